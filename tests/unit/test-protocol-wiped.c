/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-wiped.c - each secret that is made on the way to a session's keys is wiped by its name, not just trodden down by what
 * is called later, which another compiler may lay elsewhere.
 *
 * This program has an explicit_bzero() of its own, which takes note of what was there.
 */
#include "tests/unit/protocol-octets.h"

#include "tests/unit/own-stack.h"

#include "core/crypto/kdf.h"
#include "core/crypto/x25519.h"
#include "core/protocol/handshake.h"

static uint8_t noted[1 << 20];
static size_t noted_len;

static void note_and_clear(void *p, size_t len)
{
	volatile uint8_t *octet = p;

	if (len > sizeof(noted) - noted_len)
		abort();
	copy_raw(noted + noted_len, p, len);
	noted_len += len;
	while (len-- > 0)
		*octet++ = 0;
}

/* The C library's two names of it: without and with FORTIFY. */
void explicit_bzero(void *p, size_t len);
void __explicit_bzero_chk(void *p, size_t len, size_t room);

void explicit_bzero(void *p, size_t len)
{
	note_and_clear(p, len);
}

void __explicit_bzero_chk(void *p, size_t len, size_t room)
{
	assert_true(len <= room);
	note_and_clear(p, len);
}

static bool was_wiped(const void *secret, size_t len)
{
	return noted_len > 0 && memmem(noted, noted_len, secret, len) != NULL;
}

static void forget(void)
{
	memset(noted, 0, noted_len);
	noted_len = 0;
}

static uint8_t hello[SOTTO_CLIENT_HELLO], answer[SOTTO_SERVER_HELLO];
static struct sotto_client_secrets secrets;

static void transcript(struct sotto_transcript *t)
{
	sotto_transcript_begin(t);
	sotto_transcript_octets(t, hello, sizeof(hello));
}

/* What both ends make of ikm, step by step. */
static void check_schedule(const uint8_t ikm[64], const uint8_t h[32], const char *who)
{
	struct sotto_part info[2] = { { "keys", 4 }, { h, 32 } }, message[2] = { { "server", 6 }, { h, 32 } };
	static uint8_t log[sizeof(noted)];
	uint8_t prk[32], okm[152], mac[32];
	size_t log_len = noted_len;

	memcpy(log, noted, log_len);	/* what follows wipes as well */
	sotto_hkdf_extract(prk, "XSOTTO/1", 8, ikm, 64);
	assert_int_equal(sotto_hkdf_expand(okm, sizeof(okm), prk, info, 2), 0);
	sotto_hmac_sha256(mac, okm + 88, 32, message, 2);
	if (memmem(log, log_len, ikm, 64) == NULL || memmem(log, log_len, prk, 32) == NULL ||
	    memmem(log, log_len, okm + 88, 32) == NULL || memmem(log, log_len, mac, 32) == NULL)
		fail_msg("%s leaves a secret of the key schedule", who);
}

static void both_ends_wipe_the_whole_key_schedule(void **state)
{
	uint8_t random[SOTTO_CLIENT_RANDOM], dk[SOTTO_MLKEM768_DK], ikm[64];
	struct sotto_keys server, client;
	struct sotto_transcript t;

	(void)state;
	(void)random_of_test(random, sizeof(random));
	sotto_client_hello(hello, &secrets, random);
	memcpy(dk, secrets.dk, sizeof(dk));
	transcript(&t);
	(void)random_of_test(random, SOTTO_SERVER_RANDOM);
	assert_int_equal(sotto_server_hello(answer, &server, &t, hello, random), 0);
	sotto_mlkem768_decaps(ikm, answer, dk);
	assert_int_equal(sotto_x25519(ikm + 32, secrets.x, answer + SOTTO_MLKEM768_CT), 0);
	for (unsigned n = 0; n < 3; n++) {
		forget();
		transcript(&t);
		memcpy(secrets.dk, dk, sizeof(dk));
		if (n == 0)
			assert_int_equal(sotto_server_hello(answer, &server, &t, hello, random), 0);
		answer[sizeof(answer) - 1] ^= n == 2;
		if (n > 0)
			assert_int_equal(sotto_client_finish(&client, &t, &secrets, answer), n == 1 ? 0 : SOTTO_HANDSHAKE_ALTERED);
		if (n > 0)
			assert_true(was_wiped(dk, sizeof(dk)));
		/* the tag of another client was right: its keys go too */
		if (n == 2)
			assert_true(was_wiped(server.c2s_key, 32) && was_wiped(server.s2c_key, 32));
		check_schedule(ikm, server.h, n == 0 ? "the server" : "the client");
	}
}

static void both_ends_wipe_what_ident_is_made_with(void **state)
{
	uint8_t secret[32], x[32], public[32], h[32] = { 1 }, ident[SOTTO_IDENT], shared[32], prk[32], k[32], mac[32];
	struct sotto_part info = { h, 32 }, s = { ident, 32 };

	(void)state;
	(void)random_of_test(secret, 32);
	(void)random_of_test(x, 32);
	sotto_x25519_public(public, x);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(sotto_ident_make(ident, secret, public, h), 0);
		assert_int_equal(sotto_x25519(shared, x, ident), 0);
		sotto_hkdf_extract(prk, "XSOTTO/1 ident", 14, shared, 32);
		assert_int_equal(sotto_hkdf_expand(k, 32, prk, &info, 1), 0);
		sotto_hmac_sha256(mac, k, 32, &s, 1);
		forget();
		if (n == 0)
			assert_int_equal(sotto_ident_make(ident, secret, public, h), 0);
		ident[SOTTO_IDENT - 1] ^= n == 2;
		if (n > 0)
			assert_int_equal(sotto_ident_check(ident, x, h), n == 1 ? 0 : SOTTO_HANDSHAKE_ALTERED);
		assert_true(was_wiped(shared, 32) && was_wiped(prk, 32) && was_wiped(k, 32) && was_wiped(mac, 32));
	}
}

static void hmac_wipes_its_padded_key(void **state)
{
	uint8_t key[64], pad[64], out[32];

	(void)state;
	(void)random_of_test(key, sizeof(key));
	for (size_t i = 0; i < sizeof(key); i++)
		pad[i] = key[i] ^ 0x5c;
	forget();
	sotto_hmac_sha256(out, key, sizeof(key), NULL, 0);
	assert_true(was_wiped(pad, sizeof(pad)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_wipe_the_whole_key_schedule),
		cmocka_unit_test(both_ends_wipe_what_ident_is_made_with),
		cmocka_unit_test(hmac_wipes_its_padded_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
