/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-random-short.c - how sotto_random takes the less usual answers of getrandom(2).
 *
 * This program has a getrandom() of its own, which the library then calls instead of libc's.
 */
#include "tests/unit/vectors-hex.h"

#include <errno.h>
#include <sys/random.h>

#include "core/crypto/random.h"

/* One answer a call: above 0, so many octets at most; 0 as it is; below 0, that errno. */
static const int *answers;
static int calls;

ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	int answer = answers[calls++];

	assert_int_equal(flags, 0); /* waits for the kernel's seed, early at boot */
	if (answer < 0) {
		errno = -answer;
		return -1;
	}
	if ((size_t)answer < length)
		length = (size_t)answer;
	memset(buffer, calls, length);
	return (ssize_t)length;
}

static int draw(uint8_t out[32], const int *script)
{
	answers = script;
	calls = 0;
	memset(out, 0xaa, 32);
	return sotto_random(out, 32);
}

static void interrupted_and_short_answers_are_continued(void **state)
{
	static const int script[] = { -EINTR, 5, -EINTR, -EINTR, 20, 1, 100 };
	uint8_t out[32];

	(void)state;
	assert_int_equal(draw(out, script), 0);
	assert_int_equal(calls, 7);
	assert_all(out, 5, 2);
	assert_all(out + 5, 20, 5);
	assert_all(out + 25, 1, 6);
	assert_all(out + 26, 6, 7);
}

static void a_failure_ends_it_and_leaves_nothing(void **state)
{
	static const int at_once[] = { -ENOSYS }, later[] = { 5, -EIO }, again[] = { -EAGAIN };
	static const int nothing[] = { 31, 0 };
	static const int *const scripts[] = { at_once, later, again, nothing };
	uint8_t out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		assert_int_equal(draw(out, scripts[i]), SOTTO_ERR_RANDOM);
		assert_all(out, sizeof(out), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupted_and_short_answers_are_continued),
		cmocka_unit_test(a_failure_ends_it_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
