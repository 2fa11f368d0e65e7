/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-handshake.c - the keys of a session and IDENT: both ends agree, or nobody has anything.
 */
#include "tests/unit/protocol-octets.h"

#include "tests/unit/own-stack.h"

#include "core/crypto/kdf.h"
#include "core/crypto/x25519.h"
#include "core/protocol/handshake.h"

static uint8_t hello[SOTTO_CLIENT_HELLO], answer[SOTTO_SERVER_HELLO];
static struct sotto_client_secrets secrets;
static struct sotto_keys client, server;

static void transcript(struct sotto_transcript *t, const char *line)
{
	sotto_transcript_begin(t);
	sotto_transcript_lines(t, (const uint8_t *)line, strlen(line));
	sotto_transcript_octets(t, hello, sizeof(hello));
}

static int serve(const char *line)
{
	uint8_t random[SOTTO_SERVER_RANDOM];
	struct sotto_transcript t;

	(void)random_of_test(random, sizeof(random));
	transcript(&t, line);
	memset(answer, 0xee, sizeof(answer));
	memset(&server, 0xee, sizeof(server));
	return sotto_server_hello(answer, &server, &t, hello, random);
}

static int finish(const char *line)
{
	struct sotto_client_secrets copy = secrets;
	struct sotto_transcript t;
	int r;

	transcript(&t, line);
	memset(&client, 0xee, sizeof(client));
	r = sotto_client_finish(&client, &t, &copy, answer);
	for (size_t i = 0; i < sizeof(copy.dk); i++)
		assert_int_equal(copy.dk[i], 0);
	return r;
}

static int begin(void **state)
{
	uint8_t random[SOTTO_CLIENT_RANDOM];

	(void)state;
	(void)random_of_test(random, sizeof(random));
	sotto_client_hello(hello, &secrets, random);
	return 0;
}

static bool all_zero(const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((const uint8_t *)p)[i] != 0)
			return false;
	}
	return true;
}

static void both_ends_have_the_same_keys(void **state)
{
	(void)state;
	assert_int_equal(serve("x"), 0);
	assert_int_equal(finish("x"), 0);
	assert_memory_equal(&client, &server, sizeof(client));
	assert_false(all_zero(client.c2s_key, 32));
	assert_memory_not_equal(client.c2s_key, client.s2c_key, 32);
	assert_memory_not_equal(client.c2s_iv, client.s2c_iv, 12);
	/* the confirmation key serves once */
	assert_true(all_zero(client.confirmation, 32));
}

static void another_transcript_is_told_and_leaves_no_keys(void **state)
{
	(void)state;
	assert_int_equal(serve("x"), 0);
	assert_int_equal(finish("y"), SOTTO_HANDSHAKE_ALTERED);
	assert_true(all_zero(&client, sizeof(client)));
	assert_int_equal(finish(""), SOTTO_HANDSHAKE_ALTERED);
}

static void a_change_of_any_octet_of_the_answer_is_told(void **state)
{
	(void)state;
	assert_int_equal(serve("x"), 0);
	for (size_t i = 0; i < sizeof(answer); i++) {
		uint8_t flip = (uint8_t)(i == SOTTO_MLKEM768_CT + 31 ? 0x40 : 1 << i % 8);

		answer[i] ^= flip;
		assert_int_equal(finish("x"), SOTTO_HANDSHAKE_ALTERED);
		answer[i] ^= flip;
	}
	/* the top bit of Y is ignored by X25519, but stands in the transcript */
	answer[SOTTO_MLKEM768_CT + 31] ^= 0x80;
	assert_int_equal(finish("x"), SOTTO_HANDSHAKE_ALTERED);
}

static void length_and_line_are_both_in_the_transcript(void **state)
{
	struct sotto_transcript a, b;
	uint8_t ha[32], hb[32];

	(void)state;
	sotto_transcript_begin(&a);
	sotto_transcript_begin(&b);
	sotto_transcript_lines(&a, (const uint8_t *)"ab", 2);
	sotto_transcript_lines(&a, (const uint8_t *)"c", 1);
	sotto_transcript_lines(&b, (const uint8_t *)"a", 1);
	sotto_transcript_lines(&b, (const uint8_t *)"bc", 2);
	sotto_sha256_final(&a.hash, ha);
	sotto_sha256_final(&b.hash, hb);
	assert_memory_not_equal(ha, hb, 32);
}

/* PROTOCOL.md 4: a key that fails the modulus check, and an X that gives an all-zero result, are refused. */
static void bad_keys_of_a_client_are_refused_with_nothing_but_zeroes(void **state)
{
	(void)state;
	memset(hello + SOTTO_MLKEM768_EK, 0, 32);
	assert_int_equal(serve("x"), SOTTO_HANDSHAKE_BAD_KEY);
	assert_true(all_zero(answer, sizeof(answer)));
	assert_true(all_zero(&server, sizeof(server)));
	(void)begin(NULL);
	hello[0] = 0x01;	/* 3329: the modulus itself */
	hello[1] = (uint8_t)((hello[1] & 0xf0) | 0x0d);
	assert_int_equal(serve("x"), SOTTO_HANDSHAKE_BAD_KEY);
	assert_true(all_zero(answer, sizeof(answer)));
	assert_true(all_zero(&server, sizeof(server)));
}

static void a_y_that_gives_zero_is_a_failure(void **state)
{
	(void)state;
	assert_int_equal(serve("x"), 0);
	memset(answer + SOTTO_MLKEM768_CT, 0, 32);
	answer[SOTTO_MLKEM768_CT] = 1;
	assert_int_equal(finish("x"), SOTTO_HANDSHAKE_BAD_KEY);
	assert_true(all_zero(&client, sizeof(client)));
}

/* PROTOCOL.md 4: the top bit is ignored, values over the prime are accepted. */
static void odd_encodings_of_x_are_accepted(void **state)
{
	(void)state;
	hello[SOTTO_MLKEM768_EK + 31] |= 0x80;
	assert_int_equal(serve("x"), 0);
	assert_int_equal(finish("x"), 0);
	memset(hello + SOTTO_MLKEM768_EK, 0xff, 32);
	assert_int_equal(serve("x"), 0);
}

static void ident_is_good_for_this_session_and_this_key_alone(void **state)
{
	uint8_t ident[SOTTO_IDENT], secret[32], h[32] = { 5 };
	const uint8_t *x = hello + SOTTO_MLKEM768_EK;

	(void)state;
	(void)random_of_test(secret, 32);
	assert_int_equal(sotto_ident_make(ident, secret, x, h), 0);
	assert_int_equal(sotto_ident_check(ident, secrets.x, h), 0);
	for (size_t i = 0; i < SOTTO_IDENT; i++) {
		ident[i] ^= 1;
		assert_int_not_equal(sotto_ident_check(ident, secrets.x, h), 0);
		ident[i] ^= 1;
	}
	h[31] ^= 1;
	assert_int_equal(sotto_ident_check(ident, secrets.x, h), SOTTO_HANDSHAKE_ALTERED);
	h[31] ^= 1;
	assert_int_equal(sotto_ident_check(ident, secret, h), SOTTO_HANDSHAKE_ALTERED);
	/* S itself is under the mac: its ignored top bit as well */
	ident[31] ^= 0x80;
	assert_int_equal(sotto_ident_check(ident, secrets.x, h), SOTTO_HANDSHAKE_ALTERED);
	memset(ident, 0, 32);
	assert_int_equal(sotto_ident_check(ident, secrets.x, h), SOTTO_HANDSHAKE_BAD_KEY);
	memset(hello + SOTTO_MLKEM768_EK, 0, 32);
	assert_int_equal(sotto_ident_make(ident, secret, x, h), SOTTO_HANDSHAKE_BAD_KEY);
	assert_true(all_zero(ident, sizeof(ident)));
}

/* ---- what a handshake leaves on its stack ---- */

static uint8_t client_random[SOTTO_CLIENT_RANDOM], server_random[SOTTO_SERVER_RANDOM], long_term[32], long_term_ident[SOTTO_IDENT];
static bool spoilt;	/* the last octet of the tag, of the mac: both ends on an error as well */

static void call_client_hello(void)
{
	sotto_client_hello(hello, &secrets, client_random);
}

static void call_server_hello(void)
{
	struct sotto_transcript t;

	transcript(&t, "x");
	if (sotto_server_hello(answer, &server, &t, hello, server_random) != 0)
		abort();
}

static void call_client_finish(void)
{
	static struct sotto_client_secrets copy;
	struct sotto_transcript t;

	copy = secrets;
	transcript(&t, "x");
	answer[sizeof(answer) - 1] ^= spoilt;
	if (sotto_client_finish(&client, &t, &copy, answer) != (spoilt ? SOTTO_HANDSHAKE_ALTERED : 0))
		abort();
	answer[sizeof(answer) - 1] ^= spoilt;
}

static void call_ident_make(void)
{
	if (sotto_ident_make(long_term_ident, long_term, hello + SOTTO_MLKEM768_EK, server.h) != 0)
		abort();
}

static void call_ident_check(void)
{
	long_term_ident[SOTTO_IDENT - 1] ^= spoilt;
	if (sotto_ident_check(long_term_ident, secrets.x, server.h) != (spoilt ? SOTTO_HANDSHAKE_ALTERED : 0))
		abort();
	long_term_ident[SOTTO_IDENT - 1] ^= spoilt;
}

/* All that is secret and made on the way, once more, step by step. */
static struct made {
	uint8_t ikm[64], prk[32], okm[152], ident_shared[32], ident_prk[32], ident_k[32], ident_mac[32];
} made;

static void make_again(void)
{
	struct sotto_part info[2] = { { "keys", 4 }, { server.h, 32 } }, h = { server.h, 32 }, s = { long_term_ident, 32 };

	sotto_mlkem768_decaps(made.ikm, answer, secrets.dk);
	assert_int_equal(sotto_x25519(made.ikm + 32, secrets.x, answer + SOTTO_MLKEM768_CT), 0);
	sotto_hkdf_extract(made.prk, "XSOTTO/1", 8, made.ikm, 64);
	assert_int_equal(sotto_hkdf_expand(made.okm, 152, made.prk, info, 2), 0);
	assert_memory_equal(made.okm, server.c2s_key, 32);
	assert_int_equal(sotto_x25519(made.ident_shared, secrets.x, long_term_ident), 0);
	sotto_hkdf_extract(made.ident_prk, "XSOTTO/1 ident", 14, made.ident_shared, 32);
	assert_int_equal(sotto_hkdf_expand(made.ident_k, 32, made.ident_prk, &h, 1), 0);
	sotto_hmac_sha256(made.ident_mac, made.ident_k, 32, &s, 1);
	assert_memory_equal(made.ident_mac, long_term_ident + 32, 16);
}

static void nothing_is_left(const char *by)
{
	if (left_behind(client_random, sizeof(client_random)) || left_behind(server_random, sizeof(server_random)) ||
	    left_behind(long_term, 32) || left_behind(secrets.dk, 1152) || left_behind(made.ikm, 64) || left_behind(made.prk, 32) ||
	    left_behind(made.okm, 120) || left_behind(made.ident_shared, 32) || left_behind(made.ident_prk, 32) ||
	    left_behind(made.ident_k, 32) || left_behind(made.ident_mac + 16, 16))
		fail_msg("%s leaves a secret on its stack", by);
}

static void no_secret_stays_on_the_stack(void **state)
{
	(void)state;
	(void)random_of_test(client_random, sizeof(client_random));
	(void)random_of_test(server_random, sizeof(server_random));
	(void)random_of_test(long_term, sizeof(long_term));
	for (unsigned n = 0; n < 2; n++) {
		spoilt = n == 1;
		call_client_hello();
		call_server_hello();
		call_ident_make();
		make_again();
		on_own_stack(call_client_hello);
		nothing_is_left("sotto_client_hello");
		on_own_stack(call_server_hello);
		nothing_is_left("sotto_server_hello");
		on_own_stack(call_client_finish);
		nothing_is_left("sotto_client_finish");
		on_own_stack(call_ident_make);
		nothing_is_left("sotto_ident_make");
		on_own_stack(call_ident_check);
		nothing_is_left("sotto_ident_check");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_ends_have_the_same_keys, begin),
		cmocka_unit_test_setup(another_transcript_is_told_and_leaves_no_keys, begin),
		cmocka_unit_test_setup(a_change_of_any_octet_of_the_answer_is_told, begin),
		cmocka_unit_test_setup(length_and_line_are_both_in_the_transcript, begin),
		cmocka_unit_test_setup(bad_keys_of_a_client_are_refused_with_nothing_but_zeroes, begin),
		cmocka_unit_test_setup(a_y_that_gives_zero_is_a_failure, begin),
		cmocka_unit_test_setup(odd_encodings_of_x_are_accepted, begin),
		cmocka_unit_test_setup(ident_is_good_for_this_session_and_this_key_alone, begin),
		cmocka_unit_test(no_secret_stays_on_the_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
