/* SPDX-License-Identifier: ISC */
/*
 * mlkem768.c - ML-KEM-768, after FIPS 203; its letters, its order of steps.
 *
 * Called by the handshake. Polynomials are in mlkem768-poly.c and mlkem768-octets.c. Draws no
 * random octets, allocates nothing, keeps nothing; what is secret is wiped before it returns.
 *
 *	ek = t (3 * 384) || rho (32)      dk = s (3 * 384) || ek || H(ek) (32) || z (32)
 *	ct = u (3 * 320) || v (128)
 */
#include <string.h>

#include "core/crypto/hash.h"
#include "core/crypto/mask.h"
#include "core/crypto/mlkem768-parts.h"
#include "core/crypto/mlkem768-poly.h"
#include "core/crypto/mlkem768.h"

#define K SOTTO_MLKEM_K
#define VEC_12 (K * SOTTO_POLY_12) /* where rho begins in ek, and ek in dk */
#define VEC_10 (K * SOTTO_POLY_10) /* where v begins in ct */
#define DK_HASH (VEC_12 + SOTTO_MLKEM768_EK)
#define DK_Z (DK_HASH + 32)

_Static_assert(VEC_12 + 32 == SOTTO_MLKEM768_EK, "ek is t and rho");
_Static_assert(DK_Z + 32 == SOTTO_MLKEM768_DK, "dk is s, ek, H(ek) and z");
_Static_assert(VEC_10 + SOTTO_POLY_4 == SOTTO_MLKEM768_CT, "ct is u and v");

/* H of 4.1 */
static void hash_h(uint8_t out[32], const uint8_t *in, size_t len)
{
	struct sotto_sha3_256 hash;

	sotto_sha3_256_init(&hash);
	sotto_sha3_256_update(&hash, in, len);
	sotto_sha3_256_final(&hash, out);
}

/* G of 4.1, of two parts */
static void hash_g(uint8_t out[64], const uint8_t a[32], const uint8_t *b, size_t b_len)
{
	struct sotto_sha3_512 hash;

	sotto_sha3_512_init(&hash);
	sotto_sha3_512_update(&hash, a, 32);
	sotto_sha3_512_update(&hash, b, b_len);
	sotto_sha3_512_final(&hash, out);
}

/* J of 4.1 */
static void hash_j(uint8_t out[32], const uint8_t z[32], const uint8_t ct[SOTTO_MLKEM768_CT])
{
	struct sotto_shake256 xof;

	sotto_shake256_init(&xof);
	sotto_shake256_update(&xof, z, 32);
	sotto_shake256_update(&xof, ct, SOTTO_MLKEM768_CT);
	sotto_shake256_squeeze(&xof, out, 32);
	sotto_shake256_end(&xof);
}

/* Row i of the matrix A: A[i][j] = SampleNTT(rho || j || i). */
static void row(struct sotto_vec *a, const uint8_t rho[32], uint8_t i)
{
	for (uint8_t j = 0; j < K; j++)
		sotto_poly_uniform(&a->p[j], rho, j, i);
}

/* Row i of A transposed. */
static void column(struct sotto_vec *a, const uint8_t rho[32], uint8_t i)
{
	for (uint8_t j = 0; j < K; j++)
		sotto_poly_uniform(&a->p[j], rho, i, j);
}

/* A small secret vector, its noise numbered from 0, in NTT form and ready to multiply with. */
static void secret_factor(struct sotto_factor *f, const uint8_t seed[32])
{
	for (uint8_t i = 0; i < K; i++) {
		sotto_poly_noise(&f->vec.p[i], seed, i);
		sotto_poly_ntt(&f->vec.p[i]);
	}
	sotto_factor_ready(f);
}

void sotto_mlkem768_expand(uint8_t rho_sigma[64], const uint8_t d[32])
{
	static const uint8_t k = K;

	hash_g(rho_sigma, d, &k, 1);
}

/* Algorithm 13, K-PKE.KeyGen: t = A s + e. */
static void pke_generate(uint8_t ek[SOTTO_MLKEM768_EK], uint8_t s_octets[VEC_12],
			 const uint8_t rho[32], const uint8_t sigma[32])
{
	struct sotto_factor s;
	struct sotto_vec a;
	struct sotto_poly t, e;

	secret_factor(&s, sigma);
	for (uint8_t i = 0; i < K; i++) {
		row(&a, rho, i);
		sotto_vec_times(&t, &a, &s);
		sotto_poly_restore(&t);
		sotto_poly_noise(&e, sigma, K + i);
		sotto_poly_ntt(&e);
		sotto_poly_add(&t, &e);
		sotto_poly_encode12(ek + i * SOTTO_POLY_12, &t);
		sotto_poly_encode12(s_octets + i * SOTTO_POLY_12, &s.vec.p[i]);
	}
	memcpy(ek + VEC_12, rho, 32);
	sotto_wipe(&s, sizeof(s));
	sotto_wipe(&e, sizeof(e));
}

/* Algorithm 14, K-PKE.Encrypt: u = A^T y + e1, v = t y + e2 + m. */
static void pke_encrypt(uint8_t ct[SOTTO_MLKEM768_CT], const uint8_t ek[SOTTO_MLKEM768_EK],
			const uint8_t m[32], const uint8_t r[32])
{
	struct sotto_factor y;
	struct sotto_vec a;
	struct sotto_poly w, e;

	secret_factor(&y, r);
	for (uint8_t i = 0; i < K; i++) {
		column(&a, ek + VEC_12, i);
		sotto_vec_times(&w, &a, &y);
		sotto_poly_inverse_ntt(&w);
		sotto_poly_noise(&e, r, K + i);
		sotto_poly_add(&w, &e);
		sotto_poly_compress10(ct + i * SOTTO_POLY_10, &w);
	}
	for (int i = 0; i < K; i++)
		sotto_poly_decode12(&a.p[i], ek + i * SOTTO_POLY_12);
	sotto_vec_times(&w, &a, &y);
	sotto_poly_inverse_ntt(&w);
	sotto_poly_noise(&e, r, 2 * K);
	sotto_poly_add(&w, &e);
	sotto_poly_decompress1(&e, m);
	sotto_poly_add(&w, &e);
	sotto_poly_compress4(ct + VEC_10, &w);
	sotto_wipe(&y, sizeof(y));
	sotto_wipe(&w, sizeof(w));
	sotto_wipe(&e, sizeof(e));
}

/* Algorithm 15, K-PKE.Decrypt: m = v - s u. */
static void pke_decrypt(uint8_t m[32], const uint8_t s_octets[VEC_12],
			const uint8_t ct[SOTTO_MLKEM768_CT])
{
	struct sotto_factor u;
	struct sotto_vec s;
	struct sotto_poly v, w;

	for (int i = 0; i < K; i++) {
		sotto_poly_decompress10(&u.vec.p[i], ct + i * SOTTO_POLY_10);
		sotto_poly_ntt(&u.vec.p[i]);
		sotto_poly_decode12(&s.p[i], s_octets + i * SOTTO_POLY_12);
	}
	sotto_factor_ready(&u);
	sotto_vec_times(&w, &s, &u);
	sotto_poly_inverse_ntt(&w);
	sotto_poly_decompress4(&v, ct + VEC_10);
	sotto_poly_sub(&v, &w);
	sotto_poly_compress1(m, &v);
	sotto_wipe(&s, sizeof(s));
	sotto_wipe(&v, sizeof(v));
	sotto_wipe(&w, sizeof(w));
}

void sotto_mlkem768_generate(uint8_t ek[SOTTO_MLKEM768_EK], uint8_t dk[SOTTO_MLKEM768_DK],
			     const uint8_t rho_sigma[64], const uint8_t z[32])
{
	pke_generate(ek, dk, rho_sigma, rho_sigma + 32);
	memcpy(dk + VEC_12, ek, SOTTO_MLKEM768_EK);
	hash_h(dk + DK_HASH, ek, SOTTO_MLKEM768_EK);
	memcpy(dk + DK_Z, z, 32);
}

void sotto_mlkem768_keypair(uint8_t ek[SOTTO_MLKEM768_EK], uint8_t dk[SOTTO_MLKEM768_DK],
			    const uint8_t seed[SOTTO_MLKEM768_SEED])
{
	uint8_t rho_sigma[64];

	sotto_mlkem768_expand(rho_sigma, seed);
	sotto_mlkem768_generate(ek, dk, rho_sigma, seed + 32);
	sotto_wipe(rho_sigma, sizeof(rho_sigma));
}

int sotto_mlkem768_encaps(uint8_t ct[SOTTO_MLKEM768_CT], uint8_t ss[SOTTO_MLKEM768_SS],
			  const uint8_t ek[SOTTO_MLKEM768_EK], const uint8_t m[32])
{
	uint8_t h[32];
	uint8_t kr[64];

	for (int i = 0; i < K; i++) {
		if (!sotto_poly_is_reduced12(ek + i * SOTTO_POLY_12)) {
			sotto_wipe(ct, SOTTO_MLKEM768_CT);
			sotto_wipe(ss, SOTTO_MLKEM768_SS);
			return SOTTO_ERR_KEY;
		}
	}
	hash_h(h, ek, SOTTO_MLKEM768_EK);
	hash_g(kr, m, h, sizeof(h));
	pke_encrypt(ct, ek, m, kr + 32);
	memcpy(ss, kr, SOTTO_MLKEM768_SS);
	sotto_wipe(kr, sizeof(kr));
	return 0;
}

void sotto_mlkem768_decaps(uint8_t ss[SOTTO_MLKEM768_SS], const uint8_t ct[SOTTO_MLKEM768_CT],
			   const uint8_t dk[SOTTO_MLKEM768_DK])
{
	const uint8_t *ek = dk + VEC_12;
	uint8_t m[32];
	uint8_t kr[64];
	uint8_t again[SOTTO_MLKEM768_CT];
	uint32_t same;

	pke_decrypt(m, dk, ct);
	hash_g(kr, m, dk + DK_HASH, 32);
	pke_encrypt(again, ek, m, kr + 32);
	same = sotto_mask(sotto_equal(ct, again, sizeof(again)));
	/* Algorithm 18, steps 7 to 11: implicit rejection; nobody learns which of the two it is. */
	hash_j(ss, dk + DK_Z, ct);
	for (int i = 0; i < SOTTO_MLKEM768_SS; i++)
		ss[i] = (uint8_t)(ss[i] ^ (same & (uint32_t)(ss[i] ^ kr[i])));
	sotto_wipe(m, sizeof(m));
	sotto_wipe(kr, sizeof(kr));
	sotto_wipe(again, sizeof(again));
}
