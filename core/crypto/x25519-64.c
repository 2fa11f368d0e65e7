/* SPDX-License-Identifier: ISC */
/*
 * x25519-64.c - X25519 for machines that multiply 64 by 64 bits: five limbs of 51 bits.
 *
 * Called by the handshake and by IDENT through x25519.h. The build takes this file where the
 * compiler has a 128-bit integer, and x25519-32.c elsewhere. Never branches on a secret.
 *
 * An element is the sum of limb[i] * 2^(51 i), modulo p = 2^255 - 19. It is "carried" when each
 * limb is below 2^51 + 2^13. add() and sub() of carried elements stay below 2^53 a limb, and that
 * is what mul() can take: the five products of a column, 19-fold, stay below 2^113, and what is
 * carried out of the highest column, 19-fold, below 2^61.
 */
#include <stdint.h>

#include "core/crypto/mask.h"

__extension__ typedef unsigned __int128 wide;

struct fe {
	uint64_t limb[5];
};

#define LOW51 (((uint64_t)1 << 51) - 1)

static uint64_t load64(const uint8_t *p)
{
	uint64_t word = 0;

	for (int i = 7; i >= 0; i--)
		word = word << 8 | p[i];
	return word;
}

static void store64(uint8_t *p, uint64_t word)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(word >> (8 * i));
}

/* RFC 7748, 5: the top bit is ignored; values from p to 2^255 - 1 are accepted as they are. */
static void decode(struct fe *h, const uint8_t in[32])
{
	h->limb[0] = load64(in) & LOW51;
	h->limb[1] = load64(in + 6) >> 3 & LOW51;
	h->limb[2] = load64(in + 12) >> 6 & LOW51;
	h->limb[3] = load64(in + 19) >> 1 & LOW51;
	h->limb[4] = load64(in + 24) >> 12 & LOW51;
}

static void carry_once(struct fe *h)
{
	uint64_t carry = 0;

	for (int i = 0; i < 5; i++) {
		carry += h->limb[i];
		h->limb[i] = carry & LOW51;
		carry >>= 51;
	}
	h->limb[0] += 19 * carry;
}

static void encode(uint8_t out[32], const struct fe *f)
{
	struct fe h = *f;
	uint64_t over = 19;

	carry_once(&h);
	carry_once(&h);
	/* Now h < 2^255 + 19 < 2p. It is p or more exactly if h + 19 reaches 2^255. */
	for (int i = 0; i < 5; i++)
		over = (over + h.limb[i]) >> 51;
	h.limb[0] += 19 * over;
	carry_once(&h);         /* drops 2^255 * over, but takes 19 * over in for it ... */
	h.limb[0] -= 19 * over; /* ... which goes again; h - over * p is left */
	store64(out, h.limb[0] | h.limb[1] << 51);
	store64(out + 8, h.limb[1] >> 13 | h.limb[2] << 38);
	store64(out + 16, h.limb[2] >> 26 | h.limb[3] << 25);
	store64(out + 24, h.limb[3] >> 39 | h.limb[4] << 12);
}

static void add(struct fe *h, const struct fe *f, const struct fe *g)
{
	for (int i = 0; i < 5; i++)
		h->limb[i] = f->limb[i] + g->limb[i];
}

/* f + 2p - g, so that no limb goes below zero. */
static void sub(struct fe *h, const struct fe *f, const struct fe *g)
{
	h->limb[0] = f->limb[0] + 2 * (LOW51 - 18) - g->limb[0];
	for (int i = 1; i < 5; i++)
		h->limb[i] = f->limb[i] + 2 * LOW51 - g->limb[i];
}

/* Five columns into five carried limbs. In line, or a fifth of the time goes for columns that pass through memory. */
static inline __attribute__((always_inline)) void carry_columns(struct fe *h, wide c0, wide c1, wide c2, wide c3, wide c4)
{
	uint64_t low;

	c1 += (uint64_t)(c0 >> 51);
	c2 += (uint64_t)(c1 >> 51);
	c3 += (uint64_t)(c2 >> 51);
	c4 += (uint64_t)(c3 >> 51);
	low = ((uint64_t)c0 & LOW51) + 19 * (uint64_t)(c4 >> 51);
	h->limb[0] = low & LOW51;
	h->limb[1] = ((uint64_t)c1 & LOW51) + (low >> 51);
	h->limb[2] = (uint64_t)c2 & LOW51;
	h->limb[3] = (uint64_t)c3 & LOW51;
	h->limb[4] = (uint64_t)c4 & LOW51;
}

/* Schoolbook; what would be column 5 and higher comes back 19-fold, as 2^255 = 19 modulo p. */
static void mul(struct fe *h, const struct fe *f, const struct fe *g)
{
	const uint64_t *b = g->limb;
	wide a0 = f->limb[0], a1 = f->limb[1], a2 = f->limb[2], a3 = f->limb[3], a4 = f->limb[4];
	uint64_t w1 = 19 * b[1], w2 = 19 * b[2], w3 = 19 * b[3], w4 = 19 * b[4];

	carry_columns(h,
		      a0 * b[0] + a1 * w4 + a2 * w3 + a3 * w2 + a4 * w1,
		      a0 * b[1] + a1 * b[0] + a2 * w4 + a3 * w3 + a4 * w2,
		      a0 * b[2] + a1 * b[1] + a2 * b[0] + a3 * w4 + a4 * w3,
		      a0 * b[3] + a1 * b[2] + a2 * b[1] + a3 * b[0] + a4 * w4,
		      a0 * b[4] + a1 * b[3] + a2 * b[2] + a3 * b[1] + a4 * b[0]);
}

/* The doubled factors are of 64 bits, too: a product of 64 by 64 is one instruction, one of 128 is three. */
static void square(struct fe *h, const struct fe *f)
{
	const uint64_t *a = f->limb;
	wide a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4];
	uint64_t w3 = 19 * a[3], w4 = 19 * a[4];

	carry_columns(h,
		      a0 * a[0] + a1 * (2 * w4) + a2 * (2 * w3),
		      a0 * (2 * a[1]) + a2 * (2 * w4) + a3 * w3,
		      a0 * (2 * a[2]) + a1 * a[1] + a3 * (2 * w4),
		      a0 * (2 * a[3]) + a1 * (2 * a[2]) + a4 * w4,
		      a0 * (2 * a[4]) + a1 * (2 * a[3]) + a2 * a[2]);
}

/* (486662 - 2) / 4 = 121665 of the curve's equation */
static void scale(struct fe *h, const struct fe *f)
{
	const uint64_t *a = f->limb;

	carry_columns(h, (wide)a[0] * 121665, (wide)a[1] * 121665, (wide)a[2] * 121665,
		      (wide)a[3] * 121665, (wide)a[4] * 121665);
}

static void swap(struct fe *f, struct fe *g, uint32_t mask)
{
	uint64_t mask64 = (uint64_t)mask << 32 | mask;

	for (int i = 0; i < 5; i++) {
		uint64_t differ = (f->limb[i] ^ g->limb[i]) & mask64;

		f->limb[i] ^= differ;
		g->limb[i] ^= differ;
	}
}

#include "core/crypto/x25519-ladder.h"
