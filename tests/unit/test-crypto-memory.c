/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-memory.c - the promises of memory.h, and that secrets do not stay on the stack.
 */
#include "tests/unit/vectors-hex.h"

#include "tests/unit/own-stack.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/crypto/aead.h"
#include "core/crypto/kdf.h"
#include "core/crypto/memory.h"
#include "core/crypto/mlkem768-parts.h"
#include "core/crypto/mlkem768.h"
#include "core/crypto/x25519.h"

static void wipe_clears_what_it_is_told_and_no_more(void **state)
{
	uint8_t buffer[64];

	(void)state;
	for (size_t len = 0; len <= 48; len++) {
		memset(buffer, 0xaa, sizeof(buffer));
		sotto_wipe(buffer + 8, len);
		assert_all(buffer, 8, 0xaa);
		assert_all(buffer + 8, len, 0);
		assert_all(buffer + 8 + len, sizeof(buffer) - 8 - len, 0xaa);
	}
	sotto_wipe(NULL, 0);
}

static void equal_sees_each_single_bit(void **state)
{
	uint8_t a[40], b[40];

	(void)state;
	memset(a, 0x5c, sizeof(a));
	memcpy(b, a, sizeof(a));
	for (size_t len = 0; len <= sizeof(a); len++)
		assert_true(sotto_equal(a, b, len));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		assert_false(sotto_equal(a, b, sizeof(a)));
		assert_true(sotto_equal(a, b, bit / 8));
		b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
	assert_true(sotto_equal(NULL, NULL, 0));
}

static int told[2];

static void tell(const char *file, int line)
{
	dprintf(told[1], "%s:%d", file, line);
}

static int child_that_fails(void (*hook)(const char *, int))
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		sotto_cannot_happen_hook = hook;
		sotto_cannot_happen("some-file.c", 42);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void what_cannot_happen_ends_the_process_and_says_where(void **state)
{
	char text[64] = "";
	int status;

	(void)state;
	status = child_that_fails(NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(pipe(told), 0);
	status = child_that_fails(tell);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(read(told[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "some-file.c:42");
	close(told[0]);
	close(told[1]);
}

/* ---- What a call leaves behind on its stack -------------------- */

static uint8_t secret[64];
static uint8_t out[16][SOTTO_MLKEM768_DK];

static void call_nothing_wiped(void)
{
	uint8_t copy[64];

	memcpy(copy, secret, sizeof(copy));
	__asm__ volatile("" : : "r"(copy) : "memory");
}

static void call_wiped(void)
{
	uint8_t copy[64];

	memcpy(copy, secret, sizeof(copy));
	__asm__ volatile("" : : "r"(copy) : "memory");
	sotto_wipe(copy, sizeof(copy));
}

static void call_x25519(void)
{
	sotto_x25519_public(out[0], secret);
}

static void call_keypair(void)
{
	sotto_mlkem768_keypair(out[0], out[1], secret);
}

static void call_encaps(void)
{
	if (sotto_mlkem768_encaps(out[2], out[3], out[0], secret) != 0)
		abort();
}

static void call_decaps(void)
{
	sotto_mlkem768_decaps(out[4], out[2], out[1]);
}

static void call_hkdf(void)
{
	if (sotto_hkdf_expand(out[5], 96, secret, NULL, 0) != 0)
		abort();
}

static void call_hmac(void)
{
	sotto_hmac_sha256(out[6], secret, 64, NULL, 0);
}

static void call_aead(void)
{
	static const uint8_t nonce[12];

	if (sotto_aead_seal(out[7], secret, nonce, NULL, 0, secret, 64) != 0)
		abort();
	if (sotto_aead_open(out[8], secret, nonce, NULL, 0, out[7], 80) != 0)
		abort();
}

static void no_secret_stays_on_the_stack(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37 + 11);
	on_own_stack(call_nothing_wiped);
	assert_true(left_behind(secret, 64)); /* so the look is a good one */
	on_own_stack(call_wiped);
	assert_false(left_behind(secret, 64));
	on_own_stack(call_x25519);
	assert_false(left_behind(secret, 32));
	on_own_stack(call_keypair);
	assert_false(left_behind(secret, 64));
	assert_false(left_behind(out[1], 1152)); /* s */
	sotto_mlkem768_expand(out[9], secret);
	assert_false(left_behind(out[9] + 32, 32)); /* sigma */
	on_own_stack(call_encaps);
	assert_false(left_behind(secret, 32));
	assert_false(left_behind(out[3], 32));
	on_own_stack(call_decaps);
	assert_false(left_behind(secret, 32)); /* m */
	assert_false(left_behind(out[4], 32));
	assert_memory_equal(out[3], out[4], 32);
	on_own_stack(call_hkdf);
	assert_false(left_behind(secret, 32));
	assert_false(left_behind(out[5], 96));
	on_own_stack(call_hmac);
	assert_false(left_behind(secret, 64));
	for (size_t i = 0; i < 64; i++) { /* the keys inside HMAC */
		out[10][i] = secret[i] ^ 0x36;
		out[11][i] = secret[i] ^ 0x5c;
	}
	assert_false(left_behind(out[10], 64));
	assert_false(left_behind(out[11], 64));
	on_own_stack(call_aead);
	assert_false(left_behind(secret, 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wipe_clears_what_it_is_told_and_no_more),
		cmocka_unit_test(equal_sees_each_single_bit),
		cmocka_unit_test(what_cannot_happen_ends_the_process_and_says_where),
		cmocka_unit_test(no_secret_stays_on_the_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
