/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-record.c - sealed records and their padding (PROTOCOL.md 5).
 */
#include "tests/unit/protocol-octets.h"

#include "core/crypto/aead.h"
#include "core/protocol/record.h"

static const struct sotto_direction fresh = { .key = { 1, 2, 3 }, .iv = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2 } };
static uint8_t wire[SOTTO_RECORD_WIRE], plain[SOTTO_RECORD_PLAINTEXT], text[SOTTO_RECORD_CONTENT];

static void padding_is_what_padme_says(void **state)
{
	static const size_t table[][2] = { { 1, 1024 },	    { 128, 1024 },   { 1000, 1024 },  { 1023, 1024 },  { 1024, 1024 },
					   { 1025, 1088 },  { 1056, 1088 },  { 1057, 1088 },  { 1088, 1088 },  { 1460, 1472 },
					   { 4095, 4096 },  { 4096, 4096 },  { 4097, 4352 },  { 8191, 8192 },  { 8192, 8192 },
					   { 8193, 8704 },  { 10000, 10240 }, { 16000, 16384 }, { 16383, 16384 }, { 16384, 16384 } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(sotto_record_padded(table[i][0]), table[i][1]);
}

static void padding_never_shrinks_never_falls_and_costs_at_most_12_percent(void **state)
{
	size_t before = 0;

	(void)state;
	for (size_t n = 1; n <= SOTTO_RECORD_PLAINTEXT; n++) {
		size_t padded = sotto_record_padded(n);

		assert_true(padded >= n && padded >= before && padded >= 1024 && padded <= SOTTO_RECORD_PLAINTEXT);
		if (n > 1024)
			assert_true((padded - n) * 100 <= 12 * n);
		before = padded;
	}
}

static void every_length_comes_back_with_and_without_padding(void **state)
{
	struct sotto_direction seal = fresh, open = fresh;

	(void)state;
	(void)random_of_test(text, sizeof(text));
	for (size_t len = 0; len <= SOTTO_RECORD_CONTENT; len += len < 1100 || len > 16300 ? 1 : 97) {
		bool padding = len % 2 == 0;
		enum sotto_record_type type = (enum sotto_record_type)(1 + len % 3), got;
		long n = sotto_record_seal(&seal, wire, type, text, len, padding);

		assert_int_equal(n, 18 + (padding ? sotto_record_padded(len + 1) : len + 1));
		assert_int_equal(sotto_record_size(wire, 2), n);
		assert_int_equal(sotto_record_open(&open, plain, &got, wire, (size_t)n), len);
		assert_int_equal(got, type);
		assert_memory_equal(plain, text, len);
	}
	assert_int_equal(seal.counter, open.counter);
}

static void content_may_end_in_zeroes(void **state)
{
	struct sotto_direction seal = fresh, open = fresh;
	enum sotto_record_type type;
	long n;

	(void)state;
	memset(text, 0, 40);
	n = sotto_record_seal(&seal, wire, SOTTO_DATA, text, 40, true);
	assert_int_equal(sotto_record_open(&open, plain, &type, wire, (size_t)n), 40);
}

static void lengths_out_of_bounds_are_refused_before_anything_is_read(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 65536; n++) {
		const uint8_t head[2] = { (uint8_t)(n >> 8), (uint8_t)n };

		assert_int_equal(sotto_record_size(head, 2), n < 17 || n > 16400 ? SOTTO_RECORD_LENGTH : (long)n + 2);
	}
	assert_int_equal(sotto_record_size(wire, 1), 0);
	assert_int_equal(sotto_record_size(wire, 0), 0);
}

static void a_flip_of_any_bit_is_forged_and_leaves_zeroes(void **state)
{
	struct sotto_direction seal = fresh;
	enum sotto_record_type type;
	long n;

	(void)state;
	n = sotto_record_seal(&seal, wire, SOTTO_DATA, (const uint8_t *)"MAIL", 4, false);
	for (size_t bit = 0; bit < (size_t)n * 8; bit++) {
		struct sotto_direction open = fresh;

		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(plain, 0xee, 5);
		assert_int_equal(sotto_record_open(&open, plain, &type, wire, (size_t)n), SOTTO_RECORD_FORGED);
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(plain[i], 0);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void records_open_in_their_order_only_and_once(void **state)
{
	struct sotto_direction seal = fresh, open = fresh;
	static uint8_t second[SOTTO_RECORD_WIRE];
	enum sotto_record_type type;
	long n, m;

	(void)state;
	n = sotto_record_seal(&seal, wire, SOTTO_DATA, (const uint8_t *)"one", 3, false);
	m = sotto_record_seal(&seal, second, SOTTO_DATA, (const uint8_t *)"two", 3, false);
	assert_int_equal(sotto_record_open(&open, plain, &type, second, (size_t)m), SOTTO_RECORD_FORGED);
	open = fresh;
	assert_int_equal(sotto_record_open(&open, plain, &type, wire, (size_t)n), 3);
	assert_int_equal(sotto_record_open(&open, plain, &type, wire, (size_t)n), SOTTO_RECORD_FORGED);
}

/* Seals any plaintext, as a peer that keeps no rule could. */
static size_t seal_raw(const void *p, size_t len)
{
	size_t length = len + SOTTO_AEAD_TAG;

	wire[0] = (uint8_t)(length >> 8);
	wire[1] = (uint8_t)length;
	assert_int_equal(sotto_aead_seal(wire + 2, fresh.key, fresh.iv, wire, 2, p, len), 0);
	return length + 2;
}

static void no_type_and_unknown_types_are_refused(void **state)
{
	uint8_t raw[64] = "secret octets";
	enum sotto_record_type type;

	(void)state;
	for (unsigned t = 0; t < 256; t++) {
		struct sotto_direction open = fresh;
		size_t n;

		raw[20] = (uint8_t)t;
		n = seal_raw(raw, sizeof(raw));
		if (t >= 1 && t <= 3) {
			assert_int_equal(sotto_record_open(&open, plain, &type, wire, n), 20);
			continue;
		}
		if (t == 0)
			continue;
		assert_int_equal(sotto_record_open(&open, plain, &type, wire, n), SOTTO_RECORD_TYPE);
		for (size_t i = 0; i < sizeof(raw); i++)
			assert_int_equal(plain[i], 0);
	}
	memset(raw, 0, sizeof(raw));
	for (size_t len = 1; len <= sizeof(raw); len++) {
		struct sotto_direction open = fresh;

		assert_int_equal(sotto_record_open(&open, plain, &type, wire, seal_raw(raw, len)), SOTTO_RECORD_ZERO);
	}
}

static void the_counter_never_wraps(void **state)
{
	struct sotto_direction seal = fresh, open;
	enum sotto_record_type type;
	long n;

	(void)state;
	seal.counter = UINT64_MAX - 1;
	open = seal;
	n = sotto_record_seal(&seal, wire, SOTTO_CLOSE, NULL, 0, false);
	assert_int_equal(n, 19);
	assert_int_equal(sotto_record_open(&open, plain, &type, wire, 19), 0);
	assert_int_equal(sotto_record_seal(&seal, wire, SOTTO_CLOSE, NULL, 0, false), SOTTO_RECORD_COUNTER);
	plain[0] = 0xee;
	assert_int_equal(sotto_record_open(&open, plain, &type, wire, 19), SOTTO_RECORD_COUNTER);
	assert_int_equal(plain[0], 0);
}

static void the_nonce_is_the_iv_and_the_whole_counter(void **state)
{
	struct sotto_direction seal = fresh;
	uint8_t nonce[12];

	(void)state;
	seal.counter = 0x0102030405060708u;
	memcpy(nonce, fresh.iv, 12);
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(i + 1);
	assert_int_equal(sotto_record_seal(&seal, wire, SOTTO_DATA, (const uint8_t *)"x", 1, false), 20);
	assert_int_equal(sotto_aead_open(plain, fresh.key, nonce, wire, 2, wire + 2, 18), 0);
	assert_memory_equal(plain, "x\x01", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_is_what_padme_says),
		cmocka_unit_test(padding_never_shrinks_never_falls_and_costs_at_most_12_percent),
		cmocka_unit_test(every_length_comes_back_with_and_without_padding),
		cmocka_unit_test(content_may_end_in_zeroes),
		cmocka_unit_test(lengths_out_of_bounds_are_refused_before_anything_is_read),
		cmocka_unit_test(a_flip_of_any_bit_is_forged_and_leaves_zeroes),
		cmocka_unit_test(records_open_in_their_order_only_and_once),
		cmocka_unit_test(no_type_and_unknown_types_are_refused),
		cmocka_unit_test(the_counter_never_wraps),
		cmocka_unit_test(the_nonce_is_the_iv_and_the_whole_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
