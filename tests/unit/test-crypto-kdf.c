/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-kdf.c - kdf.h against RFC 4231 and RFC 5869, and its promises about parts and NULL.
 */
#include "tests/unit/vectors-hex.h"

#include "core/crypto/kdf.h"

static void assert_hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
			const char *hex)
{
	const struct sotto_part part = { data, len };
	uint8_t out[32];

	sotto_hmac_sha256(out, key, key_len, &part, 1);
	assert_hex(out, 32, hex);
}

/* Case 5 is left out: it is about a shortened output, which is not ours to do. */
static void rfc_4231_hmac(void **state)
{
	static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	static const char long_both[] =
		"This is a test using a larger than block-size key and a larger than block-size "
		"data. The key needs to be hashed before being used by the HMAC algorithm.";
	uint8_t key[131], data[50];

	(void)state;
	memset(key, 0x0b, sizeof(key));
	assert_hmac(key, 20, "Hi There", 8,
		    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_hmac((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28,
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	assert_hmac(key, 20, data, 50,
		    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	assert_hmac(key, 131, long_key, strlen(long_key),
		    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_hmac(key, 131, long_both, strlen(long_both),
		    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
	for (size_t i = 0; i < 25; i++)
		key[i] = (uint8_t)(i + 1);
	memset(data, 0xcd, sizeof(data));
	assert_hmac(key, 25, data, 50,
		    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
}

static void assert_hkdf(const char *ikm_hex, const char *salt_hex, const char *info_hex,
			const char *prk_hex, const char *okm_hex)
{
	size_t ikm_len, salt_len, info_len, okm_len = strlen(okm_hex) / 2;
	uint8_t *ikm = hex_octets(ikm_hex, &ikm_len);
	uint8_t *salt = hex_octets(salt_hex, &salt_len);
	uint8_t *info = hex_octets(info_hex, &info_len);
	const struct sotto_part part = { info, info_len };
	uint8_t prk[32], okm[100];

	sotto_hkdf_extract(prk, salt, salt_len, ikm, ikm_len);
	assert_hex(prk, 32, prk_hex);
	assert_int_equal(sotto_hkdf_expand(okm, okm_len, prk, &part, 1), 0);
	assert_hex(okm, okm_len, okm_hex);
	free(ikm);
	free(salt);
	free(info);
}

static void rfc_5869_hkdf(void **state)
{
	(void)state;
	assert_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
		    "f0f1f2f3f4f5f6f7f8f9",
		    "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
		    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		    "34007208d5b887185865");
	assert_hkdf("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		    "404142434445464748494a4b4c4d4e4f",
		    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
		    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
		    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
		    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
		    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		    "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
		    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		    "cc30c58179ec3e87c14c01d5c1f3434f1d87");
	assert_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		    "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
		    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		    "9d201395faa4b61a96c8");
}

static void parts_are_taken_end_to_end(void **state)
{
	static const char text[] = "server, and then what H would be: more than a block of 64";
	const size_t len = sizeof(text) - 1;
	const struct sotto_part all = { text, len };
	uint8_t key[32] = { 1 }, whole[32], cut[32], okm[152], okm_cut[152];

	(void)state;
	sotto_hmac_sha256(whole, key, sizeof(key), &all, 1);
	assert_int_equal(sotto_hkdf_expand(okm, sizeof(okm), key, &all, 1), 0);
	for (size_t at = 0; at <= len; at++) {
		const struct sotto_part parts[] = {
			{ text, at }, { NULL, 0 }, { text + at, len - at },
		};

		sotto_hmac_sha256(cut, key, sizeof(key), parts, 3);
		assert_memory_equal(whole, cut, 32);
		assert_int_equal(sotto_hkdf_expand(okm_cut, sizeof(okm_cut), key, parts, 3), 0);
		assert_memory_equal(okm, okm_cut, sizeof(okm));
	}
}

/* libtomcrypt calls abort() for NULL, with a length of 0 too. */
static void null_with_length_0_is_nothing(void **state)
{
	const struct sotto_part nothing = { NULL, 0 };
	uint8_t a[32], b[32], zero[32] = { 0 }, prk[32];

	(void)state;
	sotto_hmac_sha256(a, NULL, 0, NULL, 0);
	sotto_hmac_sha256(b, zero, 0, &nothing, 1);
	assert_memory_equal(a, b, 32);
	assert_hex(a, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	sotto_hkdf_extract(prk, NULL, 0, NULL, 0);
	assert_memory_equal(prk, a, 32);
	sotto_hkdf_extract(b, zero, 32, NULL, 0); /* RFC 5869, 2.2 */
	assert_memory_equal(prk, b, 32);
	assert_int_equal(sotto_hkdf_expand(a, 32, prk, NULL, 0), 0);
	assert_int_equal(sotto_hkdf_expand(b, 32, prk, &nothing, 1), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(sotto_hkdf_expand(NULL, 0, prk, NULL, 0), 0);
}

static void more_than_255_blocks_are_refused_and_nothing_written(void **state)
{
	static uint8_t okm[SOTTO_HKDF_MAX + 1];
	uint8_t prk[32] = { 2 }, start[40];

	(void)state;
	memset(okm, 0xaa, sizeof(okm));
	assert_int_equal(sotto_hkdf_expand(okm, sizeof(okm), prk, NULL, 0), SOTTO_ERR_LENGTH);
	assert_all(okm, sizeof(okm), 0xaa);
	assert_int_equal(sotto_hkdf_expand(okm, SOTTO_HKDF_MAX, prk, NULL, 0), 0);
	assert_int_equal(okm[SOTTO_HKDF_MAX], 0xaa);
	/* A shorter okm is the beginning of a longer one, and not an octet more. */
	for (size_t len = 0; len < sizeof(start); len++) {
		memset(start, 0x55, sizeof(start));
		assert_int_equal(sotto_hkdf_expand(start, len, prk, NULL, 0), 0);
		assert_memory_equal(start, okm, len);
		assert_all(start + len, sizeof(start) - len, 0x55);
	}
}

static void the_output_may_be_an_input(void **state)
{
	uint8_t want[32], key[32] = { 3 }, data[32] = { 4 };
	const struct sotto_part part = { data, sizeof(data) };

	(void)state;
	sotto_hmac_sha256(want, key, sizeof(key), &part, 1);
	sotto_hmac_sha256(data, key, sizeof(key), &part, 1);
	assert_memory_equal(data, want, 32);
	sotto_hkdf_extract(want, key, sizeof(key), data, sizeof(data));
	sotto_hkdf_extract(key, key, sizeof(key), data, sizeof(data));
	assert_memory_equal(key, want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_4231_hmac),
		cmocka_unit_test(rfc_5869_hkdf),
		cmocka_unit_test(parts_are_taken_end_to_end),
		cmocka_unit_test(null_with_length_0_is_nothing),
		cmocka_unit_test(more_than_255_blocks_are_refused_and_nothing_written),
		cmocka_unit_test(the_output_may_be_an_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
