/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-aead.c - aead.h against RFC 8439, and against the traps of the library under it.
 */
#include "tests/unit/vectors-hex.h"

#include "core/crypto/aead.h"

#define MAX 300

static uint8_t key[32], nonce[12], text[MAX], sealed[MAX + SOTTO_AEAD_TAG], opened[MAX];
static const uint8_t ad[40] = { 1, 2, 3 };

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13 + 5);
	memset(key, 0x77, sizeof(key));
	memset(nonce, 0x66, sizeof(nonce));
	return 0;
}

static const char rfc_text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
			       "only one tip for the future, sunscreen would be it.";

static void rfc_8439_2_8_2(void **state)
{
	uint8_t rfc_key[32], rfc_nonce[12], rfc_ad[12];
	const size_t len = sizeof(rfc_text) - 1;

	(void)state;
	from_hex(rfc_key, 32, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
	from_hex(rfc_nonce, 12, "070000004041424344454647");
	from_hex(rfc_ad, 12, "50515253c0c1c2c3c4c5c6c7");
	assert_int_equal(sotto_aead_seal(sealed, rfc_key, rfc_nonce, rfc_ad, 12,
					 (const uint8_t *)rfc_text, len), 0);
	assert_hex(sealed, len + SOTTO_AEAD_TAG,
		   "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
		   "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
		   "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		   "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
	assert_int_equal(sotto_aead_open(opened, rfc_key, rfc_nonce, rfc_ad, 12, sealed,
					 len + SOTTO_AEAD_TAG), 0);
	assert_memory_equal(opened, rfc_text, len);
}

static int open_all(const uint8_t *in, size_t len)
{
	memset(opened, 0xaa, sizeof(opened));
	return sotto_aead_open(opened, key, nonce, ad, 2, in, len);
}

static void assert_forged(const uint8_t *in, size_t len)
{
	assert_int_equal(open_all(in, len), SOTTO_ERR_FORGED);
	assert_all(opened, len - SOTTO_AEAD_TAG, 0);
	assert_all(opened + len - SOTTO_AEAD_TAG, MAX - len, 0xaa);
}

/* libtomcrypt's decryption returns success whatever the tag is. */
static void a_flip_of_any_bit_of_text_or_tag_is_forged_and_gives_zeroes(void **state)
{
	const size_t len = 50 + SOTTO_AEAD_TAG;

	(void)state;
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, 50), 0);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		assert_forged(sealed, len);
		sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
	assert_int_equal(open_all(sealed, len), 0);
	assert_memory_equal(opened, text, 50);
}

static void another_key_nonce_length_or_associated_data_is_forged(void **state)
{
	const size_t len = 50 + SOTTO_AEAD_TAG;
	uint8_t other_ad[3] = { 1, 2, 0 };

	(void)state;
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, 50), 0);
	key[31] ^= 0x80;
	assert_forged(sealed, len);
	key[31] ^= 0x80;
	nonce[11] ^= 1;
	assert_forged(sealed, len);
	nonce[11] ^= 1;
	assert_forged(sealed, len - 1);
	assert_forged(sealed, len + 1);
	assert_forged(sealed + 1, len - 1);
	for (size_t ad_len = 0; ad_len <= 3; ad_len++)
		assert_int_equal(sotto_aead_open(opened, key, nonce, other_ad, ad_len, sealed, len),
				 ad_len == 2 ? 0 : SOTTO_ERR_FORGED);
	other_ad[0] = 9;
	assert_int_equal(sotto_aead_open(opened, key, nonce, other_ad, 2, sealed, len),
			 SOTTO_ERR_FORGED);
}

/* libtomcrypt computes a wrong tag for an empty text with associated data. */
static void the_empty_text_is_refused_and_nothing_written(void **state)
{
	(void)state;
	memset(sealed, 0xaa, sizeof(sealed));
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, 0), SOTTO_ERR_EMPTY);
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, NULL, 0, NULL, 0), SOTTO_ERR_EMPTY);
	assert_all(sealed, sizeof(sealed), 0xaa);
	assert_int_equal(open_all(sealed, SOTTO_AEAD_TAG), SOTTO_ERR_EMPTY);
	assert_all(opened, sizeof(opened), 0xaa);
}

static void impossible_lengths_are_refused_and_nothing_written(void **state)
{
	(void)state;
	for (size_t len = 0; len < SOTTO_AEAD_TAG; len++)
		assert_int_equal(open_all(sealed, len), SOTTO_ERR_LENGTH);
	assert_int_equal(open_all(sealed, SOTTO_AEAD_MAX + SOTTO_AEAD_TAG + 1), SOTTO_ERR_LENGTH);
	assert_int_equal(open_all(sealed, SIZE_MAX), SOTTO_ERR_LENGTH);
	assert_all(opened, sizeof(opened), 0xaa);
	memset(sealed, 0xaa, sizeof(sealed));
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, SOTTO_AEAD_MAX + 1),
			 SOTTO_ERR_LENGTH);
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, SIZE_MAX),
			 SOTTO_ERR_LENGTH);
	assert_all(sealed, sizeof(sealed), 0xaa);
}

static void every_length_comes_back_also_in_place(void **state)
{
	uint8_t place[MAX + SOTTO_AEAD_TAG];

	(void)state;
	for (size_t len = 1; len <= 200; len++) {
		size_t ad_len = len % (sizeof(ad) + 1);

		memset(sealed, 0xaa, sizeof(sealed));
		assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, ad_len, text, len), 0);
		assert_all(sealed + len + SOTTO_AEAD_TAG, MAX - len, 0xaa);
		memcpy(place, text, len);
		assert_int_equal(sotto_aead_seal(place, key, nonce, ad, ad_len, place, len), 0);
		assert_memory_equal(place, sealed, len + SOTTO_AEAD_TAG);
		assert_int_equal(sotto_aead_open(place, key, nonce, ad, ad_len, place,
						 len + SOTTO_AEAD_TAG), 0);
		assert_memory_equal(place, text, len);
	}
}

static void a_forgery_in_place_leaves_zeroes(void **state)
{
	(void)state;
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, ad, 2, text, 100), 0);
	sealed[100] ^= 1;
	assert_int_equal(sotto_aead_open(sealed, key, nonce, ad, 2, sealed, 116), SOTTO_ERR_FORGED);
	assert_all(sealed, 100, 0);
}

/* libtomcrypt calls abort() for NULL, with a length of 0 too. */
static void associated_data_may_be_null(void **state)
{
	uint8_t other[MAX];

	(void)state;
	assert_int_equal(sotto_aead_seal(sealed, key, nonce, NULL, 0, text, 20), 0);
	assert_int_equal(sotto_aead_seal(other, key, nonce, ad, 0, text, 20), 0);
	assert_memory_equal(sealed, other, 20 + SOTTO_AEAD_TAG);
	assert_int_equal(sotto_aead_open(opened, key, nonce, NULL, 0, sealed, 36), 0);
	assert_memory_equal(opened, text, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_8439_2_8_2),
		cmocka_unit_test(a_flip_of_any_bit_of_text_or_tag_is_forged_and_gives_zeroes),
		cmocka_unit_test(another_key_nonce_length_or_associated_data_is_forged),
		cmocka_unit_test(the_empty_text_is_refused_and_nothing_written),
		cmocka_unit_test(impossible_lengths_are_refused_and_nothing_written),
		cmocka_unit_test(every_length_comes_back_also_in_place),
		cmocka_unit_test(a_forgery_in_place_leaves_zeroes),
		cmocka_unit_test(associated_data_may_be_null),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
