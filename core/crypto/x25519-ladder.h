/* SPDX-License-Identifier: ISC */
/*
 * x25519-ladder.h - the half of X25519 that does not depend on how a field element is stored.
 *
 * Included once, at the end, by x25519-64.c and by x25519-32.c, which bring the field:
 *
 *	struct fe			an element of the integers modulo 2^255 - 19
 *	add, sub			results may only go into mul, square, scale
 *	mul, square			result "carried": may go anywhere
 *	scale				times 121665, result carried
 *	swap(f, g, mask)		exchanges where mask is all ones, by no branch
 *	decode, encode			32 octets, little-endian; encode gives the one value below p
 *
 * Outputs may be inputs. Never branches on, or indexes by, anything but loop counters.
 */
#include <string.h>

#include "core/crypto/x25519.h"

/* All that is made of the scalar on the way, in one place, so that one wipe is enough. */
struct ladder {
	uint8_t scalar[SOTTO_X25519_SIZE];
	struct fe x1, x2, z2, x3, z3;       /* as in RFC 7748, 5 */
	struct fe a, aa, b, bb, e, da, cb;  /* the same */
};

static void square_times(struct fe *h, const struct fe *f, int times)
{
	square(h, f);
	while (--times > 0)
		square(h, h);
}

/*
 * h = 1/f = f^(p-2), and 0 for 0. p - 2 = 2^255 - 21 = (2^250 - 1) * 2^5 + 11. In the comments,
 * "n ones" is f^(2^n - 1), and n ones, squared m times, times m ones, make n + m ones.
 */
static void invert(struct fe *h, const struct fe *f)
{
	struct fe eleven, ones5, ones10, ones50, t, u;

	square(&t, f);                  /* 2 */
	square_times(&u, &t, 2);        /* 8 */
	mul(&u, &u, f);                 /* 9 */
	mul(&eleven, &u, &t);           /* 11 */
	square(&t, &eleven);            /* 22 */
	mul(&ones5, &t, &u);            /* 31: 5 ones */
	square_times(&t, &ones5, 5);
	mul(&ones10, &t, &ones5);       /* 10 ones */
	square_times(&t, &ones10, 10);
	mul(&u, &t, &ones10);           /* 20 ones */
	square_times(&t, &u, 20);
	mul(&t, &t, &u);                /* 40 ones */
	square_times(&t, &t, 10);
	mul(&ones50, &t, &ones10);      /* 50 ones */
	square_times(&t, &ones50, 50);
	mul(&u, &t, &ones50);           /* 100 ones */
	square_times(&t, &u, 100);
	mul(&t, &t, &u);                /* 200 ones */
	square_times(&t, &t, 50);
	mul(&t, &t, &ones50);           /* 250 ones */
	square_times(&t, &t, 5);
	mul(h, &t, &eleven);
}

/* RFC 7748, 5: one differential addition and one doubling; its names, its order. */
static void step(struct ladder *l)
{
	add(&l->a, &l->x2, &l->z2);
	square(&l->aa, &l->a);
	sub(&l->b, &l->x2, &l->z2);
	square(&l->bb, &l->b);
	sub(&l->e, &l->aa, &l->bb);
	sub(&l->cb, &l->x3, &l->z3);    /* D */
	mul(&l->da, &l->cb, &l->a);
	add(&l->cb, &l->x3, &l->z3);    /* C */
	mul(&l->cb, &l->cb, &l->b);
	add(&l->x3, &l->da, &l->cb);
	square(&l->x3, &l->x3);
	sub(&l->z3, &l->da, &l->cb);
	square(&l->z3, &l->z3);
	mul(&l->z3, &l->z3, &l->x1);
	mul(&l->x2, &l->aa, &l->bb);
	scale(&l->z2, &l->e);
	add(&l->z2, &l->z2, &l->aa);
	mul(&l->z2, &l->z2, &l->e);
}

static void climb(struct ladder *l)
{
	uint32_t swapped = 0;

	for (unsigned int t = 255; t-- > 0;) {
		uint32_t bit = (uint32_t)l->scalar[t / 8] >> (t % 8) & 1U;
		uint32_t mask = sotto_mask(swapped ^ bit);

		swap(&l->x2, &l->x3, mask);
		swap(&l->z2, &l->z3, mask);
		swapped = bit;
		step(l);
	}
	/* The lowest bit of a clamped scalar is 0: nothing is left swapped. */
}

int sotto_x25519(uint8_t out[SOTTO_X25519_SIZE], const uint8_t scalar[SOTTO_X25519_SIZE],
		 const uint8_t u[SOTTO_X25519_SIZE])
{
	static const uint8_t zero[SOTTO_X25519_SIZE];
	static const uint8_t one[SOTTO_X25519_SIZE] = { 1 };
	struct ladder l;

	memcpy(l.scalar, scalar, SOTTO_X25519_SIZE);
	l.scalar[0] &= 0xf8;
	l.scalar[31] &= 0x7f;
	l.scalar[31] |= 0x40;
	decode(&l.x1, u);
	decode(&l.x2, one);
	decode(&l.z2, zero);
	l.x3 = l.x1;
	l.z3 = l.x2;
	climb(&l);
	invert(&l.z2, &l.z2);
	mul(&l.x2, &l.x2, &l.z2);
	encode(out, &l.x2);
	sotto_wipe(&l, sizeof(l));
	/* A point at infinity comes out as 0, so an out to be refused is all zero already. */
	return (int)(sotto_mask(sotto_equal(out, zero, sizeof(zero))) & (uint32_t)SOTTO_ERR_ZERO);
}

void sotto_x25519_public(uint8_t out[SOTTO_X25519_SIZE], const uint8_t scalar[SOTTO_X25519_SIZE])
{
	static const uint8_t base[SOTTO_X25519_SIZE] = { 9 };
	int never_zero = sotto_x25519(out, scalar, base);

	(void)never_zero; /* 9 is of prime order, and a clamped scalar no multiple of that */
}
