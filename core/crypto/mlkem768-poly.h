/* SPDX-License-Identifier: ISC */
/*
 * mlkem768-poly.h - the polynomials of ML-KEM-768 (FIPS 203, 4.2 and 4.3). Used by mlkem768.c only.
 *
 * mlkem768-poly.c calculates; mlkem768-octets.c makes polynomials of octets and octets of
 * polynomials. A polynomial has 256 coefficients modulo q = 3329. "Reduced" means from 0 to q - 1;
 * a coefficient is reduced wherever it does not say otherwise, before and after.
 * Nothing here can fail. Nothing branches on a secret or indexes by one: sotto_poly_uniform and
 * sotto_poly_is_reduced12 look at what they read, and that is public.
 */
#ifndef SOTTO_CRYPTO_MLKEM768_POLY_H
#define SOTTO_CRYPTO_MLKEM768_POLY_H

#include <stdbool.h>
#include <stdint.h>

#define SOTTO_MLKEM_Q 3329
#define SOTTO_MLKEM_N 256
#define SOTTO_MLKEM_K 3 /* the rank of ML-KEM-768 */

struct sotto_poly {
	int16_t c[SOTTO_MLKEM_N];
};

struct sotto_vec {
	struct sotto_poly p[SOTTO_MLKEM_K];
};

/* A vector ready to multiply by: with it, its odd coefficients times the zeta of their place. */
struct sotto_factor {
	struct sotto_vec vec;
	int16_t twisted[SOTTO_MLKEM_K][SOTTO_MLKEM_N / 2];
};

/* Algorithm 9, in place; coefficients from -q to q may go in. */
void sotto_poly_ntt(struct sotto_poly *f);

/* Algorithm 10, in place, for what sotto_vec_times made: takes its factor 2^-16 away. */
void sotto_poly_inverse_ntt(struct sotto_poly *f);

/* f += g; g from -q to q. */
void sotto_poly_add(struct sotto_poly *f, const struct sotto_poly *g);

/* f -= g */
void sotto_poly_sub(struct sotto_poly *f, const struct sotto_poly *g);

/* f = 2^16 f: takes the factor 2^-16 of sotto_vec_times away where no inverse NTT follows. */
void sotto_poly_restore(struct sotto_poly *f);

/* Fills in factor->twisted for the factor->vec given, which is in NTT form. */
void sotto_factor_ready(struct sotto_factor *factor);

/* out = 2^-16 * (a . b), all in NTT form (algorithms 11 and 12, summed over the three). */
void sotto_vec_times(struct sotto_poly *out, const struct sotto_vec *a,
		     const struct sotto_factor *b);

/* Algorithm 7, SampleNTT(rho || x || y): in NTT form. rho is public. */
void sotto_poly_uniform(struct sotto_poly *f, const uint8_t rho[32], uint8_t x, uint8_t y);

/* Algorithm 8, SamplePolyCBD_2(PRF_2(seed, n)): coefficients from -2 to 2, not reduced. */
void sotto_poly_noise(struct sotto_poly *f, const uint8_t seed[32], uint8_t n);

/* Algorithms 5 and 6 for d = 12. Octets may hold values of q and more: decoding reduces them. */
#define SOTTO_POLY_12 384
void sotto_poly_encode12(uint8_t out[SOTTO_POLY_12], const struct sotto_poly *f);
void sotto_poly_decode12(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_12]);

/* 7.2, modulus check: true if decoding would have nothing to reduce. in is public. */
bool sotto_poly_is_reduced12(const uint8_t in[SOTTO_POLY_12]);

/* ByteEncode_d(Compress_d(f)) and Decompress_d(ByteDecode_d(in)) for d = 10, 4 and 1. */
#define SOTTO_POLY_10 320
#define SOTTO_POLY_4 128
#define SOTTO_POLY_1 32
void sotto_poly_compress10(uint8_t out[SOTTO_POLY_10], const struct sotto_poly *f);
void sotto_poly_decompress10(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_10]);
void sotto_poly_compress4(uint8_t out[SOTTO_POLY_4], const struct sotto_poly *f);
void sotto_poly_decompress4(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_4]);
void sotto_poly_compress1(uint8_t out[SOTTO_POLY_1], const struct sotto_poly *f);
void sotto_poly_decompress1(struct sotto_poly *f, const uint8_t in[SOTTO_POLY_1]);

#endif
