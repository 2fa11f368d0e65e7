/* SPDX-License-Identifier: ISC */
/* policy.h's promises: a well-behaved policy server, whatever a client says, and the trace where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "plugins/postfix-policy/policy.h"

#define DATA "request=smtpd_access_policy\nprotocol_state=DATA\nprotocol_name=ESMTP\nclient_address=192.0.2.1\nclient_port=40123\n"

static struct sotto_policy_request read_whole(const char *octets)
{
	struct sotto_policy_request r;
	size_t n = strlen(octets);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sotto_policy_read(&r, octets, i), 0);
	assert_int_equal(sotto_policy_read(&r, octets, n), n);
	return r;
}

static void expect_peer(const struct sotto_policy_request *r, const char *address, unsigned port)
{
	char text[SOTTO_ADDR_TEXT];

	sotto_addr_write(text, &r->peer);
	assert_string_equal(text, address);
	assert_int_equal(sotto_addr_port(&r->peer), port);
}

static void a_request_is_read_whatever_its_pieces(void **state)
{
	struct sotto_policy_request r = read_whole(DATA "\n");

	(void)state;
	assert_true(r.data);
	expect_peer(&r, "192.0.2.1", 40123);
	r = read_whole("request=smtpd_access_policy\nprotocol_state=DATA\nclient_address=2001:db8::1\nclient_port=25\n\n");
	expect_peer(&r, "2001:db8::1", 25);
	r = read_whole("request=smtpd_access_policy\nprotocol_state=DATA\nclient_address=::ffff:192.0.2.7\nclient_port=25\n\n");
	expect_peer(&r, "192.0.2.7", 25);
}

static void only_data_concerns_us(void **state)
{
	static const char *const others[] = {
		"request=smtpd_access_policy\nprotocol_state=RCPT\n\n", "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\n\n",
		"protocol_state=DATA\n\n", "request=something_else\nprotocol_state=DATA\n\n", "request=smtpd_access_policy\nprotocol_state=DATABASE\n\n",
		"request=smtpd_access_policy\n\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(read_whole(others[i]).data);
}

/* As Postfix of any version sends them, postgrey's clients and Exim's ACLs: more, less, and odd ones. */
static void unknown_and_odd_attributes_do_not_matter(void **state)
{
	struct sotto_policy_request r =
		read_whole("request=smtpd_access_policy\nno equals sign\n=\n=value\nname=\nfuture_attribute=a=b=c\nsender=\"x y\"@example.org\n"
			   "protocol_state=DATA\nclient_address=192.0.2.1\nclient_port=40123\nccert_subject=\x01\xff\n\n");

	(void)state;
	assert_true(r.data);
	expect_peer(&r, "192.0.2.1", 40123);
}

static void a_peer_that_cannot_be_read_is_none(void **state)
{
	static const char *const lines[] = { "client_address=unknown\nclient_port=25\n", "client_address=192.0.2.1\n",
					     "client_address=192.0.2.1\nclient_port=unknown\n", "client_address=192.0.2.1\nclient_port=70000\n",
					     "client_address=192.0.2.1\nclient_port=0\n", "client_port=25\n", "client_address=\nclient_port=25\n",
					     "client_address=1111111111111111111111111111111111111111111111111111111111\nclient_port=25\n" };
	char text[512];

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct sotto_policy_request r;

		snprintf(text, sizeof(text), "request=smtpd_access_policy\nprotocol_state=DATA\n%s\n", lines[i]);
		r = read_whole(text);
		assert_true(r.data);
		assert_int_equal(r.peer.ss_family, 0);
	}
}

static void requests_follow_each_other(void **state)
{
	const char *two = DATA "\n" "request=smtpd_access_policy\nprotocol_state=RCPT\n\n";
	struct sotto_policy_request r;
	long first;

	(void)state;
	first = sotto_policy_read(&r, two, strlen(two));
	assert_int_equal(first, strlen(DATA) + 1);
	assert_int_equal(sotto_policy_read(&r, two + first, strlen(two + first)), strlen(two + first));
	assert_false(r.data);
	assert_int_equal(sotto_policy_read(&r, "\n", 1), 1);	/* an empty one */
	assert_false(r.data);
}

static void what_has_no_end_is_given_up(void **state)
{
	char *octets = malloc(SOTTO_POLICY_REQUEST);
	struct sotto_policy_request r;

	(void)state;
	assert_non_null(octets);
	memset(octets, 'x', SOTTO_POLICY_REQUEST);
	assert_int_equal(sotto_policy_read(&r, octets, SOTTO_POLICY_REQUEST - 1), 0);
	assert_int_equal(sotto_policy_read(&r, octets, SOTTO_POLICY_REQUEST), -1);
	free(octets);
}

static void the_trace_names_the_session(void **state)
{
	struct sotto_live live = { .inbound = true, .sealed = true, .version = 1, .id = "0123456789abcdef" };
	struct sotto_policy_request r = read_whole(DATA "\n");
	char reply[SOTTO_POLICY_REPLY];
	size_t n = sotto_policy_write(reply, &r.peer, &live, "mail.example.net");

	(void)state;
	assert_int_equal(n, strlen(reply));
	assert_string_equal(reply, "action=PREPEND X-Sotto: sealed v=1 id=0123456789abcdef peer=[192.0.2.1] by=mail.example.net\n\n");
	live.sealed = false;
	n = sotto_policy_write(reply, &r.peer, &live, "mail.example.net");
	assert_string_equal(reply, "action=DUNNO\n\n");
	assert_int_equal(n, strlen(reply));
	(void)sotto_policy_write(reply, &r.peer, NULL, "mail.example.net");
	assert_string_equal(reply, "action=DUNNO\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read_whatever_its_pieces),
		cmocka_unit_test(only_data_concerns_us),
		cmocka_unit_test(unknown_and_odd_attributes_do_not_matter),
		cmocka_unit_test(a_peer_that_cannot_be_read_is_none),
		cmocka_unit_test(requests_follow_each_other),
		cmocka_unit_test(what_has_no_end_is_given_up),
		cmocka_unit_test(the_trace_names_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
