/* SPDX-License-Identifier: ISC */
/*
 * The rules for logcheck (packaging/logcheck): of all lines that a session can leave, those that are everyday are passed over, and none
 * that an administrator should see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "core/runtime/account-text.h"
#include "core/runtime/addr.h"

#define LINES "build/tests/logcheck.lines"
#define GREP "grep -nE -f packaging/logcheck/sotto-common " LINES
#define MOST 40000

static bool everyday[MOST], passed_over[MOST];
static char texts[MOST][SOTTO_ACCOUNT_LINE];
static unsigned n;

static bool is_alarming(enum sotto_cause cause)
{
	return cause == SOTTO_CAUSE_TWO_KEYWORDS || cause == SOTTO_CAUSE_MTA_OFFERS || cause == SOTTO_CAUSE_BAD_KEY || cause == SOTTO_CAUSE_ALTERED ||
	       cause >= SOTTO_CAUSE_RANDOM;
}

/* Whoever connects may leave as they like before anything is sealed: port scanners do all day. */
static bool is_everyday(const struct sotto_account *a, const struct sotto_relay_end *end)
{
	const struct sotto_report *r = end->report;

	if (is_alarming(r->cause))
		return false;
	if (r->version != 0 && a->role == SOTTO_CONNECT && (r->identity == SOTTO_IDENTITY_CHANGED || r->identity == SOTTO_IDENTITY_ABSENT))
		return false;
	if (sotto_account_native(a, r))
		return true;
	if (r->outcome == SOTTO_OUTCOME_REFUSED)
		return false;
	return end->orderly || (a->role == SOTTO_ACCEPT && r->version == 0 && r->outcome != SOTTO_OUTCOME_SEALED && !r->lost);
}

static void put(FILE *f, const struct sotto_account *a, const struct sotto_relay_end *end)
{
	static const char *const heads[] = { "Jan  2 03:04:05 mx", "2026-01-02T03:04:05.678901+00:00 mx-1.b.example" };
	char line[SOTTO_ACCOUNT_LINE];

	assert_true(n < MOST);
	sotto_account_line(line, sizeof(line), a, end);
	fprintf(f, "%s sotto-session[%u]: %s\n", heads[n % 2], 1 + n, line);
	(void)snprintf(texts[n], sizeof(texts[n]), "%s", line);
	everyday[n++] = is_everyday(a, end);
}

/* What differs between lines of one outcome and cause. */
static void put_kinds(FILE *f, enum sotto_role role, enum sotto_outcome outcome, enum sotto_cause cause)
{
	for (unsigned kind = 0; kind < 3u * 6 * 2 * 2 * 2; kind++) {
		struct sotto_account a = { .role = role, .native = (kind & 1) != 0, .peer_len = sizeof(struct sockaddr_in6) };
		struct sotto_report r = { .outcome = outcome, .cause = cause, .version = (kind & 2) != 0, .identity = (enum sotto_identity)(kind / 8 % 6),
					  .lost = kind / 48 == 2, .refusal = cause == SOTTO_CAUSE_REFUSED ? 504 : 0, .exchange_ms = 12 };
		struct sotto_relay_end end = { .report = &r, .orderly = kind / 48 == 0, .sent = 1, .received = 5120, .duration_ms = 100 };

		assert_int_equal(sotto_addr_read(&a.peer, "2001:db8::2", 25), 0);
		if ((kind & 4) != 0) {
			a.host = "mx.b.example";
			a.domain = "b.example";
			(void)snprintf(r.ehlo_name, sizeof(r.ehlo_name), "mx.c.example");
		}
		put(f, &a, &end);
	}
}

static void put_all(void)
{
	FILE *f = fopen(LINES, "w");

	assert_non_null(f);
	n = 0;
	for (int role = SOTTO_ACCEPT; role <= SOTTO_CONNECT; role++)
		for (int outcome = SOTTO_OUTCOME_OPEN; outcome <= SOTTO_OUTCOME_REFUSED; outcome++)
			for (int cause = SOTTO_CAUSE_NONE; cause <= SOTTO_CAUSE_IDENTITY; cause++)
				put_kinds(f, (enum sotto_role)role, (enum sotto_outcome)outcome, (enum sotto_cause)cause);
	assert_int_equal(fclose(f), 0);
}

static void every_line_is_judged_rightly(void **state)
{
	char line[2048];
	FILE *grep;

	(void)state;
	put_all();
	grep = popen(GREP, "r");
	assert_non_null(grep);
	while (fgets(line, sizeof(line), grep) != NULL)
		passed_over[strtoul(line, NULL, 10) - 1] = true;
	assert_int_equal(pclose(grep), 0);
	for (unsigned i = 0; i < n; i++)
		if (everyday[i] != passed_over[i])
			fail_msg("%s: %s", passed_over[i] ? "is passed over" : "is not passed over", texts[i]);
	(void)remove(LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_line_is_judged_rightly) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
