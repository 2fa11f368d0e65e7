/* SPDX-License-Identifier: ISC */
/* reach.h's promises: one line of 421 that says who and why, whatever the names are; and what a session teaches of its domain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "core/runtime/reach.h"

static const char *line(const char *domain, const char *host, const char *address, int error)
{
	static char out[SOTTO_REACH_LINE];
	struct sotto_dial_result r = { .fd = -1, .error = error, .host = host };

	if (address != NULL) {
		assert_int_equal(sotto_addr_read(&r.peer, address, 25), 0);
		r.peer_len = sizeof(r.peer);
	}
	sotto_reach_line(out, domain, &r);
	return out;
}

static void who_could_not_be_had_is_named(void **state)
{
	(void)state;
	assert_string_equal(line("b.example", "mx.b.example", "192.0.2.1", ECONNREFUSED),
			    "421 4.4.1 No connection to mx.b.example[192.0.2.1]: Connection refused\r\n");
	assert_string_equal(line("b.example", NULL, "2001:db8::1", ECONNREFUSED),
			    "421 4.4.1 No connection to [2001:db8::1]: Connection refused\r\n");
	assert_string_equal(line("b.example", "mx.b.example", NULL, SOTTO_DIAL_TLSA),
			    "421 4.4.1 No connection to mx.b.example: it has TLSA records (DANE)\r\n");
	assert_string_equal(line("b.example", NULL, NULL, SOTTO_DIAL_NO_DOMAIN), "421 4.4.1 No connection for b.example: no such domain\r\n");
}

static void no_name_makes_a_second_line_or_one_too_long(void **state)
{
	static const int errors[] = { SOTTO_DIAL_TEMPORARY, SOTTO_DIAL_TLSA, SOTTO_DIAL_TLSA_UNKNOWN, SOTTO_DIAL_NO_ADDRESS, ETIMEDOUT };
	char longest[254], odd[600];

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memset(odd, '\n', sizeof(odd) - 1);
	odd[sizeof(odd) - 1] = '\0';
	for (unsigned i = 0; i < 10; i++) {
		const char *got = line(odd, i % 2 ? longest : NULL, i % 2 ? "2001:db8:1111:2222:3333:4444:5555:6666" : NULL, errors[i / 2]);

		assert_ptr_equal(strchr(got, '\r') + 1, strchr(got, '\n'));
		assert_int_equal(strchr(got, '\n')[1], '\0');
		assert_int_equal(strncmp(got, "421 4.4.1 No connection ", 24), 0);
	}
}

static void what_a_session_teaches_is_what_the_peer_said(void **state)
{
	static const struct {
		struct sotto_report r;
		enum sotto_domain_offer during, after;
	} cases[] = {
		{ { .outcome = SOTTO_OUTCOME_OPEN }, SOTTO_DOMAIN_UNKNOWN, SOTTO_DOMAIN_UNKNOWN },
		{ { .outcome = SOTTO_OUTCOME_REFUSED, .cause = SOTTO_CAUSE_GREETING }, SOTTO_DOMAIN_UNKNOWN, SOTTO_DOMAIN_NO },
		{ { .outcome = SOTTO_OUTCOME_REFUSED, .offer_known = true }, SOTTO_DOMAIN_NO, SOTTO_DOMAIN_NO },
		{ { .outcome = SOTTO_OUTCOME_OPEN, .offer_known = true, .offered = true }, SOTTO_DOMAIN_YES, SOTTO_DOMAIN_YES },
		{ { .outcome = SOTTO_OUTCOME_SEALED, .offer_known = true, .offered = true }, SOTTO_DOMAIN_YES, SOTTO_DOMAIN_YES },
		{ { .outcome = SOTTO_OUTCOME_REFUSED, .offer_known = true, .offered = true, .failed = true }, SOTTO_DOMAIN_YES, SOTTO_DOMAIN_YES },
		{ { .outcome = SOTTO_OUTCOME_REFUSED, .offer_known = true, .offered = true, .refusal = 454 }, SOTTO_DOMAIN_NO, SOTTO_DOMAIN_NO },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sotto_reach_learnt(&cases[i].r, false), cases[i].during);
		assert_int_equal(sotto_reach_learnt(&cases[i].r, true), cases[i].after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_could_not_be_had_is_named),
		cmocka_unit_test(no_name_makes_a_second_line_or_one_too_long),
		cmocka_unit_test(what_a_session_teaches_is_what_the_peer_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
