/* SPDX-License-Identifier: ISC */
/*
 * x25519-32.c - X25519 for machines that multiply 32 by 32 bits: ten limbs of 26 and 25 bits.
 *
 * The same as x25519-64.c, for compilers that have no 128-bit integer; small rather than quick.
 * The tests run both. Never branches on a secret.
 *
 * An element is the sum of limb[i] * 2^ceil(25.5 i), modulo p = 2^255 - 19: 26 bits in even limbs,
 * 25 in odd ones. It is "carried" when no limb is over its size by more than 2^12. add() and sub()
 * of carried elements stay below 3 * 2^26 + 2^14 a limb, and that is what mul() can take: a column
 * of ten products, doubled and 19-fold where they are, stays below 2^63.
 */
#include <stdint.h>

#include "core/crypto/mask.h"

struct fe {
	uint32_t limb[10];
};

#define LOW(i) (((uint32_t)1 << size(i)) - 1)

static unsigned int size(unsigned int i)
{
	return 26 - (i & 1);
}

/* RFC 7748, 5: the top bit is ignored; values from p to 2^255 - 1 are accepted as they are. */
static void decode(struct fe *h, const uint8_t in[32])
{
	uint64_t buffer = 0;
	unsigned int bits = 0, next = 0;

	for (unsigned int i = 0; i < 10; i++) {
		for (; bits < size(i); bits += 8)
			buffer |= (uint64_t)in[next++] << bits;
		h->limb[i] = (uint32_t)buffer & LOW(i);
		buffer >>= size(i);
		bits -= size(i);
	}
}

static void carry_once(struct fe *h)
{
	uint32_t carry = 0;

	for (unsigned int i = 0; i < 10; i++) {
		carry += h->limb[i];
		h->limb[i] = carry & LOW(i);
		carry >>= size(i);
	}
	h->limb[0] += 19 * carry;
}

static void encode(uint8_t out[32], const struct fe *f)
{
	struct fe h = *f;
	uint32_t over = 19;
	uint64_t buffer = 0;
	unsigned int bits = 0, next = 0;

	carry_once(&h);
	carry_once(&h);
	/* Now h < 2^255 + 19 < 2p. It is p or more exactly if h + 19 reaches 2^255. */
	for (unsigned int i = 0; i < 10; i++)
		over = (over + h.limb[i]) >> size(i);
	h.limb[0] += 19 * over;
	carry_once(&h);         /* drops 2^255 * over, but takes 19 * over in for it ... */
	h.limb[0] -= 19 * over; /* ... which goes again; h - over * p is left */
	for (unsigned int i = 0; i < 10; i++) {
		buffer |= (uint64_t)h.limb[i] << bits;
		for (bits += size(i); bits >= 8; bits -= 8) {
			out[next++] = (uint8_t)buffer;
			buffer >>= 8;
		}
	}
	out[next] = (uint8_t)buffer; /* 255 bits: seven are left */
}

static void add(struct fe *h, const struct fe *f, const struct fe *g)
{
	for (unsigned int i = 0; i < 10; i++)
		h->limb[i] = f->limb[i] + g->limb[i];
}

/* f + 2p - g, so that no limb goes below zero. */
static void sub(struct fe *h, const struct fe *f, const struct fe *g)
{
	h->limb[0] = f->limb[0] + 2 * (LOW(0) - 18) - g->limb[0];
	for (unsigned int i = 1; i < 10; i++)
		h->limb[i] = f->limb[i] + 2 * LOW(i) - g->limb[i];
}

/* Ten columns into ten carried limbs. */
static void carry_columns(struct fe *h, const uint64_t column[10])
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 10; i++) {
		sum += column[i];
		h->limb[i] = (uint32_t)sum & LOW(i);
		sum >>= size(i);
	}
	/* At most 2^38: too much for one limb, 19-fold. */
	sum = 19 * sum + h->limb[0];
	h->limb[0] = (uint32_t)sum & LOW(0);
	sum = (sum >> 26) + h->limb[1];
	h->limb[1] = (uint32_t)sum & LOW(1);
	h->limb[2] += (uint32_t)(sum >> 25);
}

/*
 * Schoolbook. Where two odd limbs meet, half a bit each is missing in the sum of their places, and
 * the product counts twice; in an even column the partner of an odd limb is odd. What would
 * be column 10 and higher comes back 19-fold, as 2^255 = 19 modulo p.
 */
static void mul(struct fe *h, const struct fe *f, const struct fe *g)
{
	uint64_t column[10];

	for (unsigned int k = 0; k < 10; k++) {
		unsigned int twice = ~k & 1;
		uint64_t low = 0, high = 0;

		for (unsigned int i = 0; i <= k; i++)
			low += (uint64_t)(f->limb[i] << (i & twice)) * g->limb[k - i];
		for (unsigned int i = k + 1; i < 10; i++)
			high += (uint64_t)(f->limb[i] << (i & twice)) * g->limb[k + 10 - i];
		column[k] = low + 19 * high;
	}
	carry_columns(h, column);
}

static void square(struct fe *h, const struct fe *f)
{
	mul(h, f, f);
}

/* (486662 - 2) / 4 = 121665 of the curve's equation */
static void scale(struct fe *h, const struct fe *f)
{
	uint64_t column[10];

	for (unsigned int i = 0; i < 10; i++)
		column[i] = (uint64_t)f->limb[i] * 121665;
	carry_columns(h, column);
}

static void swap(struct fe *f, struct fe *g, uint32_t mask)
{
	for (unsigned int i = 0; i < 10; i++) {
		uint32_t differ = (f->limb[i] ^ g->limb[i]) & mask;

		f->limb[i] ^= differ;
		g->limb[i] ^= differ;
	}
}

#include "core/crypto/x25519-ladder.h"
