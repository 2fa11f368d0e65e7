/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-x25519.c - x25519.h against RFC 7748, and its two variants against each other.
 */
#include "tests/unit/vectors-x25519-other.h"

#include "tests/unit/vectors-hex.h"

#include "core/crypto/random.h"

typedef int (*variant)(uint8_t *, const uint8_t *, const uint8_t *);

static const variant variants[] = { sotto_x25519, sotto_x25519_other };

#define EACH(v) for (const variant *v = variants; v < variants + 2; v++)

static void assert_x25519(const char *scalar_hex, const char *u_hex, const char *out_hex)
{
	uint8_t scalar[32], u[32], out[32];

	from_hex(scalar, 32, scalar_hex);
	from_hex(u, 32, u_hex);
	EACH(v) {
		assert_int_equal((*v)(out, scalar, u), 0);
		assert_hex(out, 32, out_hex);
	}
}

static void rfc_7748_5_2_single(void **state)
{
	(void)state;
	assert_x25519("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
	assert_x25519("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

static void rfc_7748_5_2_a_thousand_times(void **state)
{
	(void)state;
	EACH(v) {
		uint8_t k[32] = { 9 }, u[32] = { 9 }, out[32];

		for (int i = 1; i <= 1000; i++) {
			assert_int_equal((*v)(out, k, u), 0);
			memcpy(u, k, 32);
			memcpy(k, out, 32);
			if (i == 1)
				assert_hex(k, 32, "422c8e7a6227d7bca1350b3e2bb7279f"
						  "7897b87bb6854b783c60e80311ae3079");
		}
		assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c"
				  "1c3887c49360e3875f2eb94d99532c51");
	}
}

static void rfc_7748_6_1_two_sides_agree(void **state)
{
	static const char shared[] = "4a5d9d5ba4ce2de1728e3bf480350f25"
				     "e07e21c947d19e3376f09b3c1e161742";
	uint8_t a[32], b[32], a_public[32], b_public[32], out[32];

	(void)state;
	from_hex(a, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	from_hex(b, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	sotto_x25519_public(a_public, a);
	assert_hex(a_public, 32, "8520f0098930a754748b7ddcb43ef75a"
				 "0dbf3a0d26381af4eba4a98eaa9b4e6a");
	sotto_x25519_public_other(b_public, b);
	assert_hex(b_public, 32, "de9edb7d7b7dc1b4d35b61c2ece43537"
				 "3f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(sotto_x25519(out, a, b_public), 0);
	assert_hex(out, 32, shared);
	assert_int_equal(sotto_x25519(out, b, a_public), 0);
	assert_hex(out, 32, shared);
}

/* All u of order 1, 2, 4 and 8, on the curve and on its twist, also written with p added. */
static void a_point_of_small_order_is_refused_and_gives_zeroes(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	uint8_t scalar[32], u[32], out[32];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(points) / sizeof(points[0]); i++) {
		from_hex(u, 32, points[i / 2]);
		u[31] |= (uint8_t)(i % 2 << 7); /* the top bit is ignored */
		assert_int_equal(sotto_random(scalar, 32), 0);
		EACH(v) {
			memset(out, 0xaa, 32);
			assert_int_equal((*v)(out, scalar, u), SOTTO_ERR_ZERO);
			assert_all(out, 32, 0);
		}
	}
}

static void the_top_bit_and_multiples_of_p_do_not_count(void **state)
{
	uint8_t scalar[32], low[32], high[32], out[32], same[32];

	(void)state;
	assert_int_equal(sotto_random(scalar, 32), 0);
	/* 2 to 18 are the only values that can be written with p added in 255 bits. */
	for (uint8_t u = 2; u <= 18; u++) {
		memset(low, 0, 32);
		memset(high, 0xff, 32);
		low[0] = u;
		high[0] = (uint8_t)(0xed + u);
		high[31] = u % 2 != 0 ? 0xff : 0x7f;
		EACH(v) {
			assert_int_equal((*v)(out, scalar, low), 0);
			assert_int_equal((*v)(same, scalar, high), 0);
			assert_memory_equal(out, same, 32);
		}
	}
}

static void the_scalar_is_clamped(void **state)
{
	uint8_t scalar[32], clamped[32], out[32], same[32];

	(void)state;
	for (int i = 0; i < 16; i++) {
		assert_int_equal(sotto_random(scalar, 32), 0);
		memcpy(clamped, scalar, 32);
		clamped[0] &= 248;
		clamped[31] = (uint8_t)((clamped[31] & 127) | 64);
		sotto_x25519_public(out, scalar);
		sotto_x25519_public(same, clamped);
		assert_memory_equal(out, same, 32);
	}
}

/* Random octets, and long runs of ones and zeroes, which bring the limbs to their ends. */
static void fill(uint8_t out[32], int i)
{
	uint8_t choice[32];

	assert_int_equal(sotto_random(out, 32), 0);
	assert_int_equal(sotto_random(choice, 32), 0);
	if (i % 4 == 0)
		return;
	for (int j = 0; j < 32; j++) {
		if (choice[j] < 80 * (i % 4))
			out[j] = choice[j] & 1 ? 0xff : 0x00;
	}
}

static void the_two_variants_agree(void **state)
{
	uint8_t scalar[32], u[32], a[32], b[32];

	(void)state;
	for (int i = 0; i < 1500; i++) {
		fill(scalar, i);
		fill(u, i / 4);
		assert_int_equal(sotto_x25519(a, scalar, u), sotto_x25519_other(b, scalar, u));
		assert_memory_equal(a, b, 32);
	}
}

static void the_output_may_be_an_input(void **state)
{
	uint8_t scalar[32], u[32], want[32], place[32];

	(void)state;
	fill(scalar, 0);
	fill(u, 0);
	EACH(v) {
		assert_int_equal((*v)(want, scalar, u), 0);
		memcpy(place, scalar, 32);
		assert_int_equal((*v)(place, place, u), 0);
		assert_memory_equal(place, want, 32);
		memcpy(place, u, 32);
		assert_int_equal((*v)(place, scalar, place), 0);
		assert_memory_equal(place, want, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_7748_5_2_single),
		cmocka_unit_test(rfc_7748_5_2_a_thousand_times),
		cmocka_unit_test(rfc_7748_6_1_two_sides_agree),
		cmocka_unit_test(a_point_of_small_order_is_refused_and_gives_zeroes),
		cmocka_unit_test(the_top_bit_and_multiples_of_p_do_not_count),
		cmocka_unit_test(the_scalar_is_clamped),
		cmocka_unit_test(the_two_variants_agree),
		cmocka_unit_test(the_output_may_be_an_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
