/* SPDX-License-Identifier: ISC */
/* The PROXY v2 header: octet for octet what haproxy's proxy-protocol.txt (2.2) shows, or nothing at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "core/runtime/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static struct sockaddr_storage address(const char *text, uint16_t port)
{
	struct sockaddr_storage a;

	assert_int_equal(sotto_addr_read(&a, text, port), 0);
	return a;
}

static void ipv4_takes_28_octets(void **state)
{
	static const uint8_t want[] = SIGNATURE "\x21\x11\0\x0c" "\xc0\0\x02\x01" "\xc0\0\x02\x02" "\x12\x67" "\0\x19";
	struct sockaddr_storage peer = address("192.0.2.1", 4711), local = address("192.0.2.2", 25);
	uint8_t out[SOTTO_PROXY_MAX];

	(void)state;
	assert_int_equal(sotto_proxy_header(out, &peer, &local), 28);
	assert_memory_equal(out, want, 28);
}

static void ipv6_takes_52_octets(void **state)
{
	static const uint8_t want[] = SIGNATURE "\x21\x21\0\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
					"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" "\xff\xff" "\0\x19";
	struct sockaddr_storage peer = address("2001:db8::1", 65535), local = address("2001:db8::2", 25);
	uint8_t out[SOTTO_PROXY_MAX];

	(void)state;
	assert_int_equal(sotto_proxy_header(out, &peer, &local), 52);
	assert_memory_equal(out, want, 52);
}

/* Both must be of one family: IPv4 is then written as a v4-mapped address. */
static void mixed_families_are_written_as_ipv6(void **state)
{
	static const uint8_t mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01";
	struct sockaddr_storage peer = address("192.0.2.1", 1), local = address("2001:db8::2", 25);
	uint8_t out[SOTTO_PROXY_MAX];

	(void)state;
	assert_int_equal(sotto_proxy_header(out, &peer, &local), 52);
	assert_int_equal(out[13], 0x21);
	assert_memory_equal(out + 16, mapped, 16);
}

/* A header without addresses would make the peer our own host, which may relay. */
static void an_unknown_end_gets_no_header(void **state)
{
	struct sockaddr_storage known = address("192.0.2.1", 1), unknown;
	uint8_t out[SOTTO_PROXY_MAX], before[SOTTO_PROXY_MAX];

	(void)state;
	memset(&unknown, 0, sizeof(unknown));
	memset(out, 0xa5, sizeof(out));
	memcpy(before, out, sizeof(out));
	assert_int_equal(sotto_proxy_header(out, &unknown, &known), 0);
	assert_int_equal(sotto_proxy_header(out, &known, &unknown), 0);
	unknown.ss_family = AF_UNIX;
	assert_int_equal(sotto_proxy_header(out, &unknown, &known), 0);
	assert_memory_equal(out, before, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_takes_28_octets),
		cmocka_unit_test(ipv6_takes_52_octets),
		cmocka_unit_test(mixed_families_are_written_as_ipv6),
		cmocka_unit_test(an_unknown_end_gets_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
