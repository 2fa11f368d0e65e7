/* SPDX-License-Identifier: ISC */
/*
 * mlkem768-octets.c - polynomials of ML-KEM-768 made of octets, and the other way round.
 *
 * Called by mlkem768.c. The writer and the reader of each form stand next to each other. Never
 * divides, never branches on a coefficient; only sotto_poly_uniform and sotto_poly_is_reduced12,
 * whose inputs are public, look at what they read.
 */
#include "core/crypto/hash.h"
#include "core/crypto/mask.h"
#include "core/crypto/memory.h"
#include "core/crypto/mlkem768-poly.h"

#define Q SOTTO_MLKEM_Q
#define N SOTTO_MLKEM_N

#define SHAKE128_BLOCK 168 /* a multiple of 3, so no candidate is cut in two */

/* Algorithm 7, steps 6 to 15, for one block: how many coefficients there are now. */
static int take_uniform(struct sotto_poly *f, int have, const uint8_t block[SHAKE128_BLOCK])
{
	for (int i = 0; i < SHAKE128_BLOCK; i += 3) {
		int first = block[i] | (block[i + 1] & 15) << 8;
		int second = block[i + 1] >> 4 | block[i + 2] << 4;

		if (first < Q && have < N)
			f->c[have++] = (int16_t)first;
		if (second < Q && have < N)
			f->c[have++] = (int16_t)second;
	}
	return have;
}

void sotto_poly_uniform(struct sotto_poly *f, const uint8_t rho[32], uint8_t x, uint8_t y)
{
	const uint8_t place[2] = { x, y };
	uint8_t block[SHAKE128_BLOCK];
	struct sotto_shake128 xof;
	int have = 0;

	sotto_shake128_init(&xof);
	sotto_shake128_update(&xof, rho, 32);
	sotto_shake128_update(&xof, place, 2);
	while (have < N) {
		sotto_shake128_squeeze(&xof, block, sizeof(block));
		have = take_uniform(f, have, block);
	}
	sotto_shake128_end(&xof);
}

void sotto_poly_noise(struct sotto_poly *f, const uint8_t seed[32], uint8_t n)
{
	uint8_t octets[128];
	struct sotto_shake256 prf;

	sotto_shake256_init(&prf);
	sotto_shake256_update(&prf, seed, 32);
	sotto_shake256_update(&prf, &n, 1);
	sotto_shake256_squeeze(&prf, octets, sizeof(octets));
	sotto_shake256_end(&prf);
	/* Four bits a coefficient: the first two counted, less the last two counted. */
	for (int i = 0; i < 128; i++) {
		int pairs = (octets[i] & 0x55) + (octets[i] >> 1 & 0x55);

		f->c[2 * i] = (int16_t)((pairs & 3) - (pairs >> 2 & 3));
		f->c[2 * i + 1] = (int16_t)((pairs >> 4 & 3) - (pairs >> 6));
	}
	sotto_wipe(octets, sizeof(octets));
}

void sotto_poly_encode12(uint8_t out[SOTTO_POLY_12], const struct sotto_poly *f)
{
	for (int i = 0; i < N / 2; i++) {
		int a = f->c[2 * i];
		int b = f->c[2 * i + 1];

		out[3 * i] = (uint8_t)a;
		out[3 * i + 1] = (uint8_t)(a >> 8 | b << 4);
		out[3 * i + 2] = (uint8_t)(b >> 4);
	}
}

static int first12(const uint8_t *in)
{
	return in[0] | (in[1] & 15) << 8;
}

static int second12(const uint8_t *in)
{
	return in[1] >> 4 | in[2] << 4;
}

/* 12 bits hold up to 4095 = q + 766: once q away, where it can be taken away, is enough. */
static int16_t less_q(int x)
{
	uint32_t below = (uint32_t)(x - Q) >> 31;

	return (int16_t)(x - Q + (int)(sotto_mask(below) & Q));
}

void sotto_poly_decode12(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_12])
{
	for (int i = 0; i < N / 2; i++) {
		f->c[2 * i] = less_q(first12(in + 3 * i));
		f->c[2 * i + 1] = less_q(second12(in + 3 * i));
	}
}

bool sotto_poly_is_reduced12(const uint8_t in[SOTTO_POLY_12])
{
	bool good = true;

	for (int i = 0; i < N / 2; i++)
		good = good && first12(in + 3 * i) < Q && second12(in + 3 * i) < Q;
	return good;
}

/*
 * Compress_d(x) of 4.2.1 = round(2^d x / q) modulo 2^d. Rounding is adding q/2 first; q is odd, so
 * there is never a tie. 20642679 / 2^36 is so little over 1/q that the quotient is exact for all x
 * and d here (test-crypto-mlkem768 tries each). No division: its time would depend on x.
 */
static uint32_t compress(int16_t x, unsigned int d)
{
	uint32_t dividend = ((uint32_t)x << d) + Q / 2;

	return (uint32_t)((uint64_t)dividend * 20642679 >> 36) & ((1U << d) - 1);
}

/* Decompress_d(y) = round(q y / 2^d), ties upwards. */
static int16_t decompress(uint32_t y, unsigned int d)
{
	return (int16_t)((y * Q + (1U << (d - 1))) >> d);
}

/* Four coefficients of 10 bits in five octets. */
void sotto_poly_compress10(uint8_t out[SOTTO_POLY_10], const struct sotto_poly *f)
{
	for (int i = 0; i < N / 4; i++, out += 5) {
		uint64_t word = 0;

		for (int j = 0; j < 4; j++)
			word |= (uint64_t)compress(f->c[4 * i + j], 10) << (10 * j);
		for (int j = 0; j < 5; j++)
			out[j] = (uint8_t)(word >> (8 * j));
	}
}

void sotto_poly_decompress10(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_10])
{
	for (int i = 0; i < N / 4; i++, in += 5) {
		uint64_t word = 0;

		for (int j = 0; j < 5; j++)
			word |= (uint64_t)in[j] << (8 * j);
		for (int j = 0; j < 4; j++)
			f->c[4 * i + j] = decompress(word >> (10 * j) & 1023, 10);
	}
}

void sotto_poly_compress4(uint8_t out[SOTTO_POLY_4], const struct sotto_poly *f)
{
	for (int i = 0; i < N / 2; i++)
		out[i] = (uint8_t)(compress(f->c[2 * i], 4) | compress(f->c[2 * i + 1], 4) << 4);
}

void sotto_poly_decompress4(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_4])
{
	for (int i = 0; i < N / 2; i++) {
		f->c[2 * i] = decompress(in[i] & 15, 4);
		f->c[2 * i + 1] = decompress(in[i] >> 4, 4);
	}
}

void sotto_poly_compress1(uint8_t out[SOTTO_POLY_1], const struct sotto_poly *f)
{
	for (int i = 0; i < N / 8; i++) {
		uint32_t octet = 0;

		for (int j = 0; j < 8; j++)
			octet |= compress(f->c[8 * i + j], 1) << j;
		out[i] = (uint8_t)octet;
	}
}

/* A bit becomes 0 or (q + 1) / 2; this is the message itself, the mask must stay a mask. */
void sotto_poly_decompress1(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_1])
{
	for (int i = 0; i < N; i++) {
		uint32_t bit = (uint32_t)in[i / 8] >> (i % 8) & 1U;

		f->c[i] = (int16_t)(sotto_mask(bit) & ((Q + 1) / 2));
	}
}
