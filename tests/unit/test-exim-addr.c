/* SPDX-License-Identifier: ISC */
/* addr.h's promises, as Exim's plugin counts on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/runtime/addr.h"

static struct sockaddr_storage read_one(const char *text, uint16_t port)
{
	struct sockaddr_storage a;

	assert_int_equal(sotto_addr_read(&a, text, port), 0);
	return a;
}

static void assert_written(const char *text, const char *as)
{
	struct sockaddr_storage a = read_one(text, 25);
	char out[SOTTO_ADDR_TEXT];

	sotto_addr_write(out, &a);
	assert_string_equal(out, as);
	assert_int_equal(sotto_addr_port(&a), 25);
}

static void addresses_are_read_and_written_as_exim_writes_them(void **state)
{
	(void)state;
	assert_written("192.0.2.1", "192.0.2.1");
	assert_written("2001:db8::1", "2001:db8::1");
	assert_written("fe80::1%eth0", "fe80::1");
}

static void a_v4_mapped_address_is_the_ipv4_address(void **state)
{
	struct sockaddr_storage mapped = read_one("::ffff:192.0.2.1", 25), plain = read_one("192.0.2.1", 25);

	(void)state;
	assert_int_equal(mapped.ss_family, AF_INET);
	assert_true(sotto_addr_same(&mapped, &plain));
	assert_written("::ffff:192.0.2.1", "192.0.2.1");
}

static void what_is_no_address_leaves_nothing(void **state)
{
	static const char *const no[] = { "", "mx.example.org", "192.0.2", "192.0.2.1.25", "[192.0.2.1]", "2001:db8::1::",
					  "2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000:0000" };
	struct sockaddr_storage a, zero;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		memset(&a, 0xff, sizeof(a));
		assert_int_equal(sotto_addr_read(&a, no[i], 25), -1);
		assert_memory_equal(&a, &zero, sizeof(a));
	}
}

static void another_port_or_family_is_not_the_same(void **state)
{
	struct sockaddr_storage a = read_one("192.0.2.1", 25), b = read_one("192.0.2.1", 26), c = read_one("2001:db8::1", 25);
	struct sockaddr_storage none;

	(void)state;
	memset(&none, 0, sizeof(none));
	assert_false(sotto_addr_same(&a, &b));
	assert_false(sotto_addr_same(&a, &c));
	assert_false(sotto_addr_same(&none, &none));
	assert_true(sotto_addr_same(&c, &c));
}

static void loopback_is_known_in_all_its_forms(void **state)
{
	static const char *const yes[] = { "127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1" };
	static const char *const no[] = { "128.0.0.1", "126.255.255.255", "0.0.0.0", "::", "2001:db8::1" };

	(void)state;
	for (unsigned i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct sockaddr_storage a = read_one(yes[i], 0);

		assert_true(sotto_addr_loopback(&a));
	}
	for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct sockaddr_storage a = read_one(no[i], 0);

		assert_false(sotto_addr_loopback(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written_as_exim_writes_them),
		cmocka_unit_test(a_v4_mapped_address_is_the_ipv4_address),
		cmocka_unit_test(what_is_no_address_leaves_nothing),
		cmocka_unit_test(another_port_or_family_is_not_the_same),
		cmocka_unit_test(loopback_is_known_in_all_its_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
