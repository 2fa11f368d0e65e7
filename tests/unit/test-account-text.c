/* SPDX-License-Identifier: ISC */
/* The log line of a session: what an administrator searches for is in it, and nobody else can write into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/account-text.h"
#include "core/runtime/addr.h"

static struct sotto_account account(enum sotto_role role)
{
	struct sotto_account a = { .role = role, .host = "mx.b.example", .domain = "b.example", .peer_len = sizeof(struct sockaddr_in) };

	assert_int_equal(sotto_addr_read(&a.peer, "192.0.2.2", 25), 0);
	return a;
}

static const char *line(const struct sotto_account *a, const struct sotto_relay_end *end)
{
	static char text[SOTTO_ACCOUNT_LINE];

	sotto_account_line(text, sizeof(text), a, end);
	return text;
}

static void a_sealed_session_names_its_id(void **state)
{
	struct sotto_account a = account(SOTTO_CONNECT);
	struct sotto_report r = { .outcome = SOTTO_OUTCOME_SEALED, .version = 1, .exchange_ms = 3, .identity = SOTTO_IDENTITY_KNOWN,
				  .session_id = { 0x3f, 0x0c, 0x9d, 0x1e, 0x55, 0xa0, 0x7b, 0x42, 0xff } };
	struct sotto_relay_end end = { .report = &r, .orderly = true, .sent = 5120, .received = 2903, .duration_ms = 212 };

	(void)state;
	assert_string_equal(line(&a, &end), "connect peer=mx.b.example[192.0.2.2]:25 outcome=sealed version=1 id=3f0c9d1e55a07b42 "
					    "exchange=3ms identity=known sent=5120 received=2903 duration=212ms domain=b.example");
}

static void a_clear_session_says_why(void **state)
{
	struct sotto_account a = account(SOTTO_ACCEPT);
	struct sotto_report r = { .outcome = SOTTO_OUTCOME_CLEAR, .cause = SOTTO_CAUSE_REFUSED, .refusal = 504, .ehlo_name = "x y" };
	struct sotto_relay_end end = { .report = &r, .orderly = true };

	(void)state;
	a.host = a.domain = NULL;
	assert_string_equal(line(&a, &end), "accept peer=[192.0.2.2]:25 outcome=clear cause=\"refused\" refusal=504 sent=0 received=0 "
					    "duration=0ms ehlo=x?y");
}

static void avoidance_is_not_taken_for_mode_off(void **state)
{
	struct sotto_account a = account(SOTTO_CONNECT);
	struct sotto_report r = { .outcome = SOTTO_OUTCOME_CLEAR, .cause = SOTTO_CAUSE_OFF };
	struct sotto_relay_end end = { .report = &r, .orderly = true };

	(void)state;
	assert_non_null(strstr(line(&a, &end), " cause=\"mode off\""));
	a.avoided = true;
	assert_non_null(strstr(line(&a, &end), " cause=\"avoided after failures\""));
}

static void a_lost_session_says_so(void **state)
{
	struct sotto_account a = account(SOTTO_CONNECT);
	struct sotto_report r = { .outcome = SOTTO_OUTCOME_SEALED, .version = 1, .lost = true, .cause = SOTTO_CAUSE_TRUNCATED };
	struct sotto_relay_end end = { .report = &r };

	(void)state;
	assert_non_null(strstr(line(&a, &end), " end=lost"));
	r.lost = false;
	assert_non_null(strstr(line(&a, &end), " end=cut"));
}

/* A peer chooses its names; it must not be able to add a field, a quote, an address or a line. */
static void names_stay_one_word(void **state)
{
	struct sotto_account a = account(SOTTO_CONNECT);
	char peer[SOTTO_ACCOUNT_PEER];

	(void)state;
	a.host = "evil outcome=sealed\n[192.0.2.9]\"\x7f\xc3\xa4";
	sotto_account_peer(peer, sizeof(peer), &a);
	assert_string_equal(peer, "evil?outcome?sealed??192.0.2.9?????[192.0.2.2]:25");
}

static void who_is_not_known_is_called_so(void **state)
{
	struct sotto_account a = { .role = SOTTO_CONNECT };
	char peer[SOTTO_ACCOUNT_PEER];

	(void)state;
	sotto_account_peer(peer, sizeof(peer), &a);
	assert_string_equal(peer, "unknown");
}

static void the_longest_names_fit_or_are_cut(void **state)
{
	struct sotto_account a = account(SOTTO_ACCEPT);
	struct sotto_report r = { .outcome = SOTTO_OUTCOME_CLEAR };
	struct sotto_relay_end end = { .report = &r };
	char name[2000], tiny[8];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	a.host = a.domain = name;
	memset(r.ehlo_name, 'e', sizeof(r.ehlo_name) - 1);
	assert_non_null(strstr(line(&a, &end), "aaa[192.0.2.2]:25 outcome=clear "));
	assert_non_null(strstr(line(&a, &end), " end=cut"));
	sotto_account_line(tiny, sizeof(tiny), &a, &end);
	assert_string_equal(tiny, "accept ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_session_names_its_id),
		cmocka_unit_test(a_clear_session_says_why),
		cmocka_unit_test(avoidance_is_not_taken_for_mode_off),
		cmocka_unit_test(a_lost_session_says_so),
		cmocka_unit_test(names_stay_one_word),
		cmocka_unit_test(who_is_not_known_is_called_so),
		cmocka_unit_test(the_longest_names_fit_or_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
