/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-mlkem768.c - the promises of mlkem768.h, and the arithmetic under it at its limits.
 *
 * Published vectors are in test-crypto-vectors.c; what is here must hold for any key.
 */
#include "tests/unit/vectors-hex.h"

#include "core/crypto/hash.h"
#include "core/crypto/mlkem768-poly.h"
#include "core/crypto/mlkem768.h"
#include "core/crypto/random.h"

#define Q SOTTO_MLKEM_Q
#define N SOTTO_MLKEM_N
#define K SOTTO_MLKEM_K
#define EK SOTTO_MLKEM768_EK
#define DK SOTTO_MLKEM768_DK
#define CT SOTTO_MLKEM768_CT

static uint8_t ek[EK], dk[DK], ct[CT], ss[32], ss2[32], m[32], seed[64];

static void fill(void *out, size_t len)
{
	assert_int_equal(sotto_random(out, len), 0);
}

static void new_exchange(void)
{
	fill(seed, sizeof(seed));
	fill(m, sizeof(m));
	sotto_mlkem768_keypair(ek, dk, seed);
	assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek, m), 0);
}

/* J(z || ct) of FIPS 203, what an altered ciphertext must give. */
static void rejected(uint8_t out[32])
{
	struct sotto_shake256 j;

	sotto_shake256_init(&j);
	sotto_shake256_update(&j, seed + 32, 32);
	sotto_shake256_update(&j, ct, CT);
	sotto_shake256_squeeze(&j, out, 32);
	sotto_shake256_end(&j);
}

static void both_sides_get_the_same_secret(void **state)
{
	uint8_t other[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		new_exchange();
		sotto_mlkem768_decaps(ss2, ct, dk);
		assert_memory_equal(ss, ss2, 32);
		m[i % 32] ^= 1;
		assert_int_equal(sotto_mlkem768_encaps(ct, other, ek, m), 0);
		assert_memory_not_equal(ss, other, 32);
	}
}

static void any_altered_ciphertext_gives_the_implicit_rejection_and_no_error(void **state)
{
	uint8_t want[32];

	(void)state;
	new_exchange();
	for (size_t i = 0; i < 2 * CT; i++) {
		size_t octet = i / 2;
		/* The lowest bit too: it changes no message, only the comparison tells. */
		uint8_t flip = (uint8_t)(i % 2 ? 1U : 1U << (octet % 8));

		ct[octet] ^= flip;
		rejected(want);
		sotto_mlkem768_decaps(ss2, ct, dk);
		assert_memory_equal(ss2, want, 32);
		assert_memory_not_equal(ss2, ss, 32);
		ct[octet] ^= flip;
	}
	sotto_mlkem768_decaps(ss2, ct, dk);
	assert_memory_equal(ss2, ss, 32);
}

static void another_key_gives_the_implicit_rejection(void **state)
{
	uint8_t want[32];

	(void)state;
	new_exchange();
	fill(seed, sizeof(seed));
	sotto_mlkem768_keypair(ek, dk, seed);
	rejected(want);
	sotto_mlkem768_decaps(ss2, ct, dk);
	assert_memory_equal(ss2, want, 32);
}

/* Writes coefficient i of the 3 * 256 in an ek; returns what was there. */
static int exchange(size_t i, int value)
{
	uint8_t *p = ek + 3 * (i / 2);
	int old = i % 2 ? p[1] >> 4 | p[2] << 4 : p[0] | (p[1] & 15) << 8;

	if (i % 2 == 0) {
		p[0] = (uint8_t)value;
		p[1] = (uint8_t)((p[1] & 0xf0) | value >> 8);
	} else {
		p[1] = (uint8_t)((p[1] & 15) | (value & 15) << 4);
		p[2] = (uint8_t)(value >> 4);
	}
	return old;
}

static void assert_refused(void)
{
	memset(ct, 0xaa, CT);
	memset(ss, 0xaa, 32);
	assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek, m), SOTTO_ERR_KEY);
	assert_all(ct, CT, 0);
	assert_all(ss, 32, 0);
}

static void a_coefficient_of_q_or_more_is_refused_at_each_place(void **state)
{
	static const int high[] = { Q, Q + 1, 3583, 3584, 4095 };

	(void)state;
	new_exchange();
	for (size_t i = 0; i < K * N; i++) {
		int old = exchange(i, high[i % 5]);

		assert_refused();
		(void)exchange(i, Q);
		assert_refused();
		(void)exchange(i, old);
	}
	for (size_t i = 0; i < K * N; i += 97) {
		int old = exchange(i, Q - 1);

		assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek, m), 0);
		(void)exchange(i, old);
	}
}

/* All of 12 bits, at an even and at an odd place; rho, behind the coefficients, may be anything. */
static void every_value_of_a_coefficient_is_judged_by_q_alone(void **state)
{
	(void)state;
	new_exchange();
	memset(ek + K * SOTTO_POLY_12, 0xff, 32);
	for (int value = 0; value < 4096; value += value < Q - 2 || value > Q + 2 ? 13 : 1) {
		for (size_t i = 0; i < K * N; i += K * N - 1) {
			int old = exchange(i, value);
			int want = value < Q ? 0 : SOTTO_ERR_KEY;

			assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek, m), want);
			(void)exchange(i, old);
		}
	}
}

/* ---- the arithmetic -------------------- */

static int modulo_q(long x)
{
	return (int)((x % Q + Q) % Q);
}

static void reduction_is_exact_for_all_16_bits(void **state)
{
	struct sotto_poly f, zero = { { 0 } };

	(void)state;
	for (int x = INT16_MIN; x <= INT16_MAX; x += N) {
		for (int i = 0; i < N; i++)
			f.c[i] = (int16_t)(x + i);
		sotto_poly_add(&f, &zero);
		for (int i = 0; i < N; i++)
			assert_int_equal(f.c[i], modulo_q(x + i));
	}
}

static void decode12_reduces_every_12_bits_and_encode12_gives_them_back(void **state)
{
	uint8_t in[SOTTO_POLY_12], out[SOTTO_POLY_12];
	struct sotto_poly f;

	(void)state;
	for (int x = 0; x < 4096; x += N) {
		for (int i = 0; i < N / 2; i++) {
			int a = x + 2 * i, b = a + 1;

			in[3 * i] = (uint8_t)a;
			in[3 * i + 1] = (uint8_t)(a >> 8 | (b & 15) << 4);
			in[3 * i + 2] = (uint8_t)(b >> 4);
		}
		sotto_poly_decode12(&f, in);
		for (int i = 0; i < N; i++)
			assert_int_equal(f.c[i], (x + i) % Q);
		sotto_poly_encode12(out, &f);
		assert_int_equal(sotto_poly_is_reduced12(in), x + N <= Q);
		assert_true(sotto_poly_is_reduced12(out));
		if (x + N <= Q)
			assert_memory_equal(in, out, sizeof(in));
	}
}

/* d bits at place i of a little-endian string of bits */
static unsigned int bits(const uint8_t *octets, int i, int d)
{
	unsigned int value = 0;

	for (int j = 0; j < d; j++)
		value |= (unsigned int)(octets[(i * d + j) / 8] >> ((i * d + j) % 8) & 1) << j;
	return value;
}

static const struct {
	int d;
	void (*compress)(uint8_t *, const struct sotto_poly *);
	void (*decompress)(struct sotto_poly *, const uint8_t *);
} forms[] = {
	{ 10, sotto_poly_compress10, sotto_poly_decompress10 },
	{ 4, sotto_poly_compress4, sotto_poly_decompress4 },
	{ 1, sotto_poly_compress1, sotto_poly_decompress1 },
};

/* FIPS 203, 4.2.1, in whole numbers: round(a / b) = (2 a + b) / 2 b, rounded down. */
static void compression_is_exact_for_every_coefficient(void **state)
{
	uint8_t octets[SOTTO_POLY_10];
	struct sotto_poly f;

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		int d = forms[k].d;

		for (int x = 0; x < Q; x += N) {
			for (int i = 0; i < N; i++)
				f.c[i] = (int16_t)((x + i) % Q);
			forms[k].compress(octets, &f);
			for (int i = 0; i < N; i++) {
				int want = ((f.c[i] << (d + 1)) + Q) / (2 * Q) % (1 << d);

				assert_int_equal(bits(octets, i, d), want);
			}
			forms[k].decompress(&f, octets);
			for (int i = 0; i < N; i++) {
				int y = (int)bits(octets, i, d);

				assert_int_equal(f.c[i], (2 * Q * y + (1 << d)) / (2 << d));
			}
		}
	}
}

/* f * g modulo X^256 + 1 as it is taught at school */
static void school(struct sotto_poly *out, const struct sotto_poly *f, const struct sotto_poly *g)
{
	long sum[2 * N] = { 0 };

	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++)
			sum[i + j] += (long)f->c[i] * g->c[j];
	}
	for (int i = 0; i < N; i++)
		out->c[i] = (int16_t)modulo_q(sum[i] - sum[i + N]);
}

/* Coefficients at random, or at an end of what ntt takes. */
static void choose(struct sotto_poly *f, int how)
{
	uint16_t draw[N];

	fill(draw, sizeof(draw));
	for (int i = 0; i < N; i++) {
		int ends[] = { draw[i] % Q, Q - 1, draw[i] % 2 ? Q : -Q, i % 2 ? Q : -Q, Q, -Q };

		f->c[i] = (int16_t)ends[how % 6];
	}
}

static void products_by_ntt_are_those_by_hand_also_at_the_limits(void **state)
{
	(void)state;
	for (int how = 0; how < 72; how++) {
		struct sotto_vec a;
		struct sotto_factor b;
		struct sotto_poly want = { { 0 } }, part, got;

		for (int i = 0; i < K; i++) {
			choose(&a.p[i], how % 6);
			choose(&b.vec.p[i], how / 6);
			school(&part, &a.p[i], &b.vec.p[i]);
			sotto_poly_add(&want, &part);
			sotto_poly_ntt(&a.p[i]);
			sotto_poly_ntt(&b.vec.p[i]);
			for (int j = 0; j < N; j++)
				assert_in_range(a.p[i].c[j], 0, Q - 1);
		}
		sotto_factor_ready(&b);
		sotto_vec_times(&got, &a, &b);
		sotto_poly_inverse_ntt(&got);
		assert_memory_equal(&got, &want, sizeof(got));
	}
}

/* The largest that can meet in one column: everything q - 1 in NTT form already. */
static void the_largest_sums_do_not_overflow(void **state)
{
	struct sotto_vec a;
	struct sotto_factor b;
	struct sotto_poly got;

	(void)state;
	for (int i = 0; i < K; i++) {
		for (int j = 0; j < N; j++)
			a.p[i].c[j] = b.vec.p[i].c[j] = Q - 1;
	}
	sotto_factor_ready(&b);
	sotto_vec_times(&got, &a, &b);
	sotto_poly_restore(&got);
	for (int j = 1; j < N; j += 2)
		assert_int_equal(got.c[j], 6); /* 2 * 3 * (-1) * (-1) */
}

static void subtraction_is_that_of_coefficients(void **state)
{
	struct sotto_poly f, g, got;

	(void)state;
	choose(&f, 0);
	choose(&g, 0);
	f.c[0] = 0;
	g.c[0] = Q - 1;
	got = f;
	sotto_poly_sub(&got, &g);
	for (int i = 0; i < N; i++)
		assert_int_equal(got.c[i], modulo_q(f.c[i] - g.c[i]));
}

/* FIPS 203, algorithm 8, step by step: the sum of two bits less the sum of two bits. */
static void noise_is_counted_as_the_standard_counts(void **state)
{
	uint8_t octets[128], n = 5;
	struct sotto_shake256 prf;
	struct sotto_poly f;

	(void)state;
	fill(seed, 32);
	sotto_poly_noise(&f, seed, n);
	sotto_shake256_init(&prf);
	sotto_shake256_update(&prf, seed, 32);
	sotto_shake256_update(&prf, &n, 1);
	sotto_shake256_squeeze(&prf, octets, sizeof(octets));
	sotto_shake256_end(&prf);
	for (int i = 0; i < N; i++) {
		int x = (int)(bits(octets, 4 * i, 1) + bits(octets, 4 * i + 1, 1));
		int y = (int)(bits(octets, 4 * i + 2, 1) + bits(octets, 4 * i + 3, 1));

		assert_int_equal(f.c[i], x - y);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_get_the_same_secret),
		cmocka_unit_test(any_altered_ciphertext_gives_the_implicit_rejection_and_no_error),
		cmocka_unit_test(another_key_gives_the_implicit_rejection),
		cmocka_unit_test(a_coefficient_of_q_or_more_is_refused_at_each_place),
		cmocka_unit_test(every_value_of_a_coefficient_is_judged_by_q_alone),
		cmocka_unit_test(reduction_is_exact_for_all_16_bits),
		cmocka_unit_test(decode12_reduces_every_12_bits_and_encode12_gives_them_back),
		cmocka_unit_test(compression_is_exact_for_every_coefficient),
		cmocka_unit_test(products_by_ntt_are_those_by_hand_also_at_the_limits),
		cmocka_unit_test(the_largest_sums_do_not_overflow),
		cmocka_unit_test(subtraction_is_that_of_coefficients),
		cmocka_unit_test(noise_is_counted_as_the_standard_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
