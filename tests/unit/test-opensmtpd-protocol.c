/* SPDX-License-Identifier: ISC */
/*
 * protocol.h's promises: lines of the filter protocol as smtpd 6.8 and 7.6 say them, of later versions, cut off anywhere, and odd ones; and that
 * what we write is what smtpd takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/opensmtpd/protocol.h"

#define SESSION "7641df9771b4ed00"
#define TOKEN "1ef1c203cc576e5d"

/* On the heap and no longer than it is: a sanitizer sees who reads on. The line outlives what was read of it until the next one. */
static struct sotto_filter_line read_line(const char *text)
{
	static char *copy;
	struct sotto_filter_line l;

	free(copy);
	copy = strdup(text);
	memset(&l, 0x55, sizeof(l));
	sotto_filter_read(&l, copy);
	return l;
}

static void test_config(void **state)
{
	static const struct {
		const char *line;
		enum sotto_filter_kind kind;
		unsigned version;
	} lines[] = {
		{ "config|smtpd-version|6.8.0p2", SOTTO_FILTER_VERSION, 608 }, { "config|smtpd-version|7.6.0p1", SOTTO_FILTER_VERSION, 706 },
		{ "config|smtpd-version|7.10", SOTTO_FILTER_VERSION, 710 }, { "config|smtpd-version|10.0", SOTTO_FILTER_VERSION, 1000 },
		{ "config|smtpd-version|", SOTTO_FILTER_VERSION, 0 }, { "config|smtpd-version|7", SOTTO_FILTER_VERSION, 0 },
		{ "config|smtpd-version|7.", SOTTO_FILTER_VERSION, 0 }, { "config|smtpd-version|.7", SOTTO_FILTER_VERSION, 0 },
		{ "config|smtpd-version|-7.6", SOTTO_FILTER_VERSION, 0 }, { "config|smtpd-version|snapshot", SOTTO_FILTER_VERSION, 0 },
		{ "config|smtpd-version|7.100", SOTTO_FILTER_VERSION, 0 }, { "config|smtpd-version|99999999999999999999.1", SOTTO_FILTER_VERSION, 0 },
		{ "config|ready", SOTTO_FILTER_READY, 0 }, { "config|subsystem|smtp-in", SOTTO_FILTER_IN, 0 },
		{ "config|subsystem|smtp-out", SOTTO_FILTER_OUT, 0 }, { "config|protocol|0.7", SOTTO_FILTER_OTHER, 0 },
		{ "config|ready|", SOTTO_FILTER_OTHER, 0 }, { "config|READY", SOTTO_FILTER_OTHER, 0 }, { "config|subsystem|smtp-in2", SOTTO_FILTER_OTHER, 0 },
		{ "config|subsystem|smtp-", SOTTO_FILTER_OTHER, 0 }, { "config|subsystem", SOTTO_FILTER_OTHER, 0 }, { "config|", SOTTO_FILTER_OTHER, 0 },
		{ "config", SOTTO_FILTER_OTHER, 0 }, { "configs|ready", SOTTO_FILTER_OTHER, 0 }, { "", SOTTO_FILTER_OTHER, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct sotto_filter_line l = read_line(lines[i].line);

		if (l.kind != lines[i].kind || l.version != lines[i].version)
			fail_msg("%s: kind %d, version %u", lines[i].line, (int)l.kind, l.version);
	}
}

/* The protocol's version does not count, and more fields than we know belong to the rest. */
static void test_request(void **state)
{
	static const char *const versions[] = { "0.1", "0.6", "0.7", "0.8", "1.0", "99.99", "", "later" };
	struct sotto_filter_line l;
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		(void)snprintf(line, sizeof(line), "filter|%s|1576146008.006099|smtp-in|rcpt-to|" SESSION "|" TOKEN "|anna@example.org|NOTIFY|x", versions[i]);
		l = read_line(line);
		assert_int_equal(l.kind, SOTTO_FILTER_REQUEST);
		assert_true(l.session == 0x7641df9771b4ed00 && l.token == 0x1ef1c203cc576e5d);
		assert_true(sotto_filter_is(&l, "rcpt-to"));
		assert_false(sotto_filter_is(&l, "rcpt-t") || sotto_filter_is(&l, "rcpt-to|") || sotto_filter_is(&l, ""));
		assert_string_equal(l.rest, "anna@example.org|NOTIFY|x");
	}
}

static void test_data_line(void **state)
{
	struct sotto_filter_line l = read_line("filter|0.7|1.0|smtp-in|data-line|" SESSION "|" TOKEN "|a|b||");

	(void)state;
	assert_int_equal(l.kind, SOTTO_FILTER_DATA);
	assert_string_equal(l.rest, "a|b||");
	l = read_line("filter|0.7|1.0|smtp-in|data-line|" SESSION "|" TOKEN "|");
	assert_int_equal(l.kind, SOTTO_FILTER_DATA);
	assert_string_equal(l.rest, "");
	l = read_line("filter|0.7|1.0|smtp-in|data-line|" SESSION "|" TOKEN);
	assert_int_equal(l.kind, SOTTO_FILTER_DATA);
	assert_null(l.rest);
}

static void test_report(void **state)
{
	struct sotto_filter_line l = read_line("report|0.7|1.0|smtp-out|protocol-server|" SESSION "|250-XSOTTO 1");

	(void)state;
	assert_int_equal(l.kind, SOTTO_FILTER_REPORT);
	assert_true(l.session == 0x7641df9771b4ed00 && l.token == 0 && sotto_filter_is(&l, "protocol-server"));
	assert_string_equal(l.rest, "250-XSOTTO 1");
	l = read_line("report|0.7|1.0|smtp-in|link-disconnect|0");
	assert_int_equal(l.kind, SOTTO_FILTER_REPORT);
	assert_null(l.rest);
}

/* Whose session or token cannot be read is owed nothing: an answer with another one would end smtpd. */
static void test_numbers(void **state)
{
	static const char *const good[] = { "0", "F", "f", "abcdef", "ABCDEF", "0000000000000001", "ffffffffffffffff" };
	static const char *const bad[] = { "", " ", "0x1", "g", "-1", "+1", " 1", "1 ", "1.0", "00000000000000001", "ffffffffffffffff0", "\x80" };
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct sotto_filter_line l;

		(void)snprintf(line, sizeof(line), "filter|0.7|1.0|smtp-in|helo|%s|%s|x", good[i], good[i]);
		l = read_line(line);
		assert_int_equal(l.kind, SOTTO_FILTER_REQUEST);
		assert_true(l.session == strtoull(good[i], NULL, 16) && l.token == l.session);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		(void)snprintf(line, sizeof(line), "filter|0.7|1.0|smtp-in|helo|%s|1|x", bad[i]);
		assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
		(void)snprintf(line, sizeof(line), "filter|0.7|1.0|smtp-in|helo|1|%s|x", bad[i]);
		assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
		(void)snprintf(line, sizeof(line), "report|0.7|1.0|smtp-in|helo|%s|x", bad[i]);
		assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
	}
}

/* Cut off anywhere: nothing is owed before the token is there, and what is there is read no further than its end. */
static void test_cut_off(void **state)
{
	static const char line[] = "filter|0.7|1576146008.006099|smtp-in|rcpt-to|" SESSION "|" TOKEN "|anna@example.org";
	size_t token = strlen("filter|0.7|1576146008.006099|smtp-in|rcpt-to|" SESSION "|");
	char part[sizeof(line)];

	(void)state;
	for (size_t n = 0; n < sizeof(line); n++) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, line);
		assert_int_equal(read_line(part).kind, n <= token ? SOTTO_FILTER_OTHER : SOTTO_FILTER_REQUEST);
	}
}

/* A request of another subsystem is none of ours. */
static void test_other_subsystems(void **state)
{
	static const char *const names[] = { "smtp-out", "", "smtp-in2", "smtp-i", "SMTP-IN" };
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		(void)snprintf(line, sizeof(line), "filter|0.7|1.0|%s|rcpt-to|" SESSION "|" TOKEN "|x", names[i]);
		assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
	}
}

static void test_enormous(void **state)
{
	static const char head[] = "filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "|" TOKEN "|";
	size_t n = 1 << 20;
	char *line = malloc(n + 1);
	struct sotto_filter_line l;

	(void)state;
	memset(line, 'x', n);
	line[n] = '\0';
	memcpy(line, head, strlen(head));
	l = read_line(line);
	assert_int_equal(l.kind, SOTTO_FILTER_REQUEST);
	assert_int_equal(strlen(l.rest), n - strlen(head));
	memset(line, '|', n);
	assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
	memset(line, 'f', n);
	assert_int_equal(read_line(line).kind, SOTTO_FILTER_OTHER);
	free(line);
}

static void test_answer(void **state)
{
	char out[SOTTO_FILTER_ANSWER];
	size_t n = sotto_filter_proceed(out, 0x7641df9771b4ed00, 1);

	(void)state;
	assert_string_equal(out, "filter-result|" SESSION "|0000000000000001|proceed\n");
	assert_int_equal(n, strlen(out));
	n = sotto_filter_proceed(out, UINT64_MAX, UINT64_MAX);
	assert_int_equal(n, strlen(out));
	assert_true(out[n - 1] == '\n' && n < sizeof(out));
}

/* Whatever subsystems there are, it ends in the line that smtpd waits for; without smtp-in lines of messages are not asked for. */
static void test_register(void **state)
{
	char out[SOTTO_FILTER_REGISTER];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		size_t n = sotto_filter_register(out, i & 1, i & 2, i & 4);

		assert_int_equal(n, strlen(out));
		assert_true(n < sizeof(out) && strcmp(out + n - strlen("register|ready\n"), "register|ready\n") == 0);
		assert_true((strstr(out, "register|filter|smtp-in|rcpt-to\n") != NULL) == ((i & 1) != 0));
		assert_true((strstr(out, "|smtp-out|") != NULL) == ((i & 2) != 0));
		assert_true((strstr(out, "data-line") != NULL) == ((i & 5) == 5));
		assert_null(strstr(out, "\n\n"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config), cmocka_unit_test(test_request), cmocka_unit_test(test_data_line), cmocka_unit_test(test_report),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_cut_off), cmocka_unit_test(test_other_subsystems),
		cmocka_unit_test(test_enormous), cmocka_unit_test(test_answer), cmocka_unit_test(test_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
