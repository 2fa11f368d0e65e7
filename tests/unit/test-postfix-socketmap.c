/* SPDX-License-Identifier: ISC */
/* socketmap.h's promises: requests in whatever pieces, and nothing that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/postfix-policy/socketmap.h"

static void expect(const char *octets, const char *map, const char *key)
{
	struct sotto_socketmap_request r;
	size_t n = strlen(octets);

	/* every piece of it is too little, and the whole is enough, whatever stands behind it */
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sotto_socketmap_read(&r, octets, i), 0);
	assert_int_equal(sotto_socketmap_read(&r, octets, n), n);
	assert_int_equal(r.map_len, strlen(map));
	assert_memory_equal(r.map, map, r.map_len);
	assert_int_equal(r.key_len, strlen(key));
	assert_memory_equal(r.key, key, r.key_len);
}

static void requests_are_read(void **state)
{
	(void)state;
	expect("25:transport bert@example.or,", "transport", "bert@example.or");
	expect("11:transport *,", "transport", "*");
	expect("28:tlspolicy [127.64.0.1]:10027,", "tlspolicy", "[127.64.0.1]:10027");
	expect("9:transport,", "transport", "");
	expect("10:transport ,", "transport", "");
	expect("0:,", "", "");
	expect("15:transport a b@c,", "transport", "a b@c");
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const bad[] = { "x", ":", "-1:a,", "01:a,", "1x", "1:ab", "7:transport,", "100001:", "99999999", " 1:a,", "1,a:", "1:a;" };
	struct sotto_socketmap_request r;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (sotto_socketmap_read(&r, bad[i], strlen(bad[i])) != -1)
			fail_msg("taken: %s", bad[i]);
}

static void the_longest_request_is_taken(void **state)
{
	const size_t n = 7 + SOTTO_SOCKETMAP_REQUEST + 1;
	char *octets = malloc(n + 1);
	struct sotto_socketmap_request r;

	(void)state;
	assert_non_null(octets);
	memset(octets, 'x', n);
	memcpy(octets, "100000:", 7);
	octets[n - 1] = ',';
	assert_int_equal(sotto_socketmap_read(&r, octets, n - 1), 0);
	assert_int_equal(sotto_socketmap_read(&r, octets, n), n);
	free(octets);
}

static void replies_are_netstrings(void **state)
{
	char reply[SOTTO_SOCKETMAP_REPLY], longer[3000];
	size_t n;

	(void)state;
	n = sotto_socketmap_write(reply, "NOTFOUND", "");
	assert_int_equal(n, 12);
	assert_memory_equal(reply, "9:NOTFOUND ,", n);
	n = sotto_socketmap_write(reply, "OK", ":[127.64.0.1]:10027, example.org");
	assert_memory_equal(reply, "35:OK :[127.64.0.1]:10027, example.org,", n);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	n = sotto_socketmap_write(reply, "TEMP", longer);
	assert_true(n <= SOTTO_SOCKETMAP_REPLY && reply[n - 1] == ',');
	assert_int_equal(strtoul(reply, NULL, 10), n - (size_t)(strchr(reply, ':') + 1 - reply) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(the_longest_request_is_taken),
		cmocka_unit_test(replies_are_netstrings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
