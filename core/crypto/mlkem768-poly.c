/* SPDX-License-Identifier: ISC */
/*
 * mlkem768-poly.c - arithmetic with the polynomials of ML-KEM-768.
 *
 * Called by mlkem768.c. Never divides, branches on a coefficient or indexes by one.
 *
 * Two ways of taking a number modulo q, both multiplications by constants. reduced() is for sums,
 * and gives the one value from 0 to q - 1. times() is Montgomery's, for products: it multiplies and
 * divides by 2^16 at once. Where one factor is a constant, the constant carries 2^16 in it.
 */
#include "core/crypto/mlkem768-poly.h"

#define Q SOTTO_MLKEM_Q
#define N SOTTO_MLKEM_N
#define K SOTTO_MLKEM_K

/* zeta[i] = 2^16 * 17^BitRev7(i) modulo q, from -q/2 to q/2 (FIPS 203, appendix A). */
static const int16_t zeta[128] = {
	-1044, -758, -359, -1517, 1493, 1422, 287, 202, -171, 622, 1577, 182,
	962, -1202, -1474, 1468, 573, -1325, 264, 383, -829, 1458, -1602, -130,
	-681, 1017, 732, 608, -1542, 411, -205, -1571, 1223, 652, -552, 1015,
	-1293, 1491, -282, -1544, 516, -8, -320, -666, -1618, -1162, 126, 1469,
	-853, -90, -271, 830, 107, -1421, -247, -951, -398, 961, -1508, -725,
	448, -1065, 677, -1275, -1103, 430, 555, 843, -1251, 871, 1550, 105,
	422, 587, 177, -235, -291, -460, 1574, 1653, -246, 778, 1159, -147,
	-777, 1483, -602, 1119, -1590, 644, -872, 349, 418, 329, -156, -75,
	817, 1097, 603, 610, 1322, -1285, -1465, 384, -1215, -136, 1218, -1335,
	-874, 220, -1187, -1659, -1185, -1530, -1278, 794, -1510, -854, -870, 478,
	-108, -308, 996, 991, 958, -1460, 1522, 1628,
};

/*
 * x modulo q, for any int16_t. 10 q is added first, to be above zero; then 40318 / 2^27 is so
 * little over 1/q that the quotient is exact up to 2^17 (test-crypto-mlkem768 tries each x).
 */
static int16_t reduced(int x)
{
	uint32_t y = (uint32_t)(x + 10 * Q);

	return (int16_t)(y - ((y * 40318) >> 27) * Q);
}

/*
 * x * 2^-16 modulo q, from -q to q, for x from -2^15 q to 2^15 q. 62209 = 1/q modulo 2^16, so that
 * the low half of low * q is that of x; what is left has 16 zero bits at its end.
 */
static int16_t shrunk(int32_t x)
{
	int16_t low = (int16_t)((uint32_t)x * 62209U);

	return (int16_t)((x - (int32_t)low * Q) >> 16);
}

static int16_t times(int16_t a, int16_t b)
{
	return shrunk((int32_t)a * b);
}

static void reduce(struct sotto_poly *f)
{
	for (int i = 0; i < N; i++)
		f->c[i] = reduced(f->c[i]);
}

void sotto_poly_ntt(struct sotto_poly *f)
{
	unsigned int k = 1;

	/* Each of the seven layers adds less than q: no coefficient passes 8 q < 2^15. */
	for (int len = 128, blocks = 1; len >= 2; len >>= 1, blocks <<= 1) {
		int16_t *c = f->c;

		for (int block = 0; block < blocks; block++, c += 2 * len) {
			const int16_t z = zeta[k++];

			for (int j = 0; j < len; j++) {
				int16_t t = times(z, c[j + len]);

				c[j + len] = (int16_t)(c[j] - t);
				c[j] = (int16_t)(c[j] + t);
			}
		}
	}
	reduce(f);
}

void sotto_poly_inverse_ntt(struct sotto_poly *f)
{
	unsigned int k = 127;

	for (int len = 2, blocks = 64; len <= 128; len <<= 1, blocks >>= 1) {
		int16_t *c = f->c;

		for (int block = 0; block < blocks; block++, c += 2 * len) {
			const int16_t z = zeta[k--];

			for (int j = 0; j < len; j++) {
				int t = c[j];

				c[j] = (int16_t)(t + c[j + len]);
				c[j + len] = times(z, (int16_t)(c[j + len] - t));
			}
		}
		/* The sums double with each layer: reduced every third, they stay below 8 q. */
		if (len == 8 || len == 64)
			reduce(f);
	}
	/* 1441 = 2^32 / 128: one 2^16 for times(), the other for sotto_vec_times(). */
	for (int i = 0; i < N; i++)
		f->c[i] = reduced(times(f->c[i], 1441));
}

void sotto_poly_add(struct sotto_poly *f, const struct sotto_poly *g)
{
	for (int i = 0; i < N; i++)
		f->c[i] = reduced(f->c[i] + g->c[i]);
}

void sotto_poly_sub(struct sotto_poly *f, const struct sotto_poly *g)
{
	for (int i = 0; i < N; i++)
		f->c[i] = reduced(f->c[i] - g->c[i]);
}

void sotto_poly_restore(struct sotto_poly *f)
{
	/* 1353 = 2^32: one 2^16 for times(). */
	for (int i = 0; i < N; i++)
		f->c[i] = reduced(times(f->c[i], 1353));
}

/*
 * Algorithm 12: the pair 2i, 2i+1 is a polynomial of degree 1 modulo X^2 - g, where g is
 * zeta[64 + i/2], negative for every other pair.
 */
void sotto_factor_ready(struct sotto_factor *factor)
{
	for (int j = 0; j < K; j++) {
		const int16_t *c = factor->vec.p[j].c;
		int16_t *twisted = factor->twisted[j];

		for (int i = 0; i < N / 2; i += 2) {
			twisted[i] = times(c[2 * i + 1], zeta[64 + i / 2]);
			twisted[i + 1] = times(c[2 * i + 3], (int16_t)-zeta[64 + i / 2]);
		}
	}
}

void sotto_vec_times(struct sotto_poly *out, const struct sotto_vec *a,
		     const struct sotto_factor *b)
{
	for (int i = 0; i < N / 2; i++) {
		int32_t even = 0;
		int32_t odd = 0;

		/* Six products below q^2, which is far below the 2^15 q that shrunk() takes. */
		for (int j = 0; j < K; j++) {
			const int16_t *x = &a->p[j].c[2 * i];
			const int16_t *y = &b->vec.p[j].c[2 * i];

			even += x[0] * y[0] + x[1] * b->twisted[j][i];
			odd += x[0] * y[1] + x[1] * y[0];
		}
		out->c[2 * i] = reduced(shrunk(even));
		out->c[2 * i + 1] = reduced(shrunk(odd));
	}
}
