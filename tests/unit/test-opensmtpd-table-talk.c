/* SPDX-License-Identifier: ISC */
/*
 * table-talk.h's promises: both table protocols as smtpd 6.8 and 7.6 speak them, octet by octet, several requests at once, too long and odd ones;
 * and that each answer is one that smtpd takes. Without the program: test-opensmtpd-table.c has that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/opensmtpd/table-talk.h"

enum { OK, FAIL, OPEN, CLOSE, UPDATE, CHECK, LOOKUP, FETCH };	/* imsg types of 6.8 */

struct frame {
	uint32_t type;
	uint16_t len, flags;
	uint32_t peer, pid;
};

static enum sotto_table_protocol protocol;

/* On the heap and no longer than it is. */
static long read_octets(struct sotto_table_request *r, const void *octets, size_t n)
{
	uint8_t *copy = malloc(n + (n == 0));
	long k;

	memset(r, 0x55, sizeof(*r));
	memcpy(copy, octets, n);
	k = sotto_table_read(r, &protocol, copy, n);
	free(copy);
	return k;
}

static struct sotto_table_request read_text(const char *line)
{
	struct sotto_table_request r;

	protocol = SOTTO_TABLE_LINES;
	assert_int_equal(read_octets(&r, line, strlen(line)), strlen(line));
	assert_true(r.text);
	return r;
}

static const char *written(const struct sotto_table_request *r, const char *value)
{
	static char out[SOTTO_TABLE_OUT + 1];
	size_t n = sotto_table_write((uint8_t *)out, r, value);

	assert_true(n <= SOTTO_TABLE_OUT);
	out[n] = '\0';
	return out;
}

static size_t make_frame(uint8_t *out, uint32_t type, uint32_t service, const char *key)
{
	struct frame f = { .type = type, .len = sizeof(f) };
	size_t n = sizeof(f), none = 0;

	if (key != NULL) {
		memcpy(out + n, &service, sizeof(service));
		memcpy(out + n + sizeof(service), &none, sizeof(none));
		n += sizeof(service) + sizeof(none);
		memcpy(out + n, key, strlen(key) + 1);
		n += strlen(key) + 1;
	}
	f.len = (uint16_t)n;
	memcpy(out, &f, sizeof(f));
	return n;
}

/* ---- lines ---- */

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		enum sotto_table_ask ask;
		bool known, relay;
		const char *id, *key, *found, *not_found;
	} lines[] = {
		{ "table|0.1|1.5|sotto|check|domain|12ab|example.org\n", SOTTO_TABLE_CHECK, true, false, "12ab", "example.org",
		  "check-result|12ab|found\n", "check-result|12ab|not-found\n" },
		{ "table|0.1|1.5|sotto|lookup|relayhost|1|example.org\n", SOTTO_TABLE_LOOKUP, true, true, "1", "example.org",
		  "lookup-result|1|found|VALUE\n", "lookup-result|1|not-found\n" },
		{ "table|9.9|1.5|sotto|lookup|credentials|1|a|b\n", SOTTO_TABLE_LOOKUP, false, false, "1", "a|b",
		  "lookup-result|1|found|VALUE\n", "lookup-result|1|not-found\n" },
		{ "table|0.1|1.5|sotto|fetch|domain|7\n", SOTTO_TABLE_FETCH, true, false, "7", "", "fetch-result|7|not-found\n", "fetch-result|7|not-found\n" },
		{ "table|0.1|1.5|sotto|update|77\n", SOTTO_TABLE_UPDATE, false, false, "77", "", "update-result|77|ok\n", "update-result|77|ok\n" },
		{ "config|ready\n", SOTTO_TABLE_OPEN, false, false, "", "", "register|domain\nregister|relayhost\nregister|ready\n",
		  "register|domain\nregister|relayhost\nregister|ready\n" },
		{ "config|smtpd-version|7.6.0\n", SOTTO_TABLE_NOTHING, false, false, "", "", "", "" },
		{ "table|0.1|1.5|sotto|destroy|domain|7|x\n", SOTTO_TABLE_NOTHING, true, false, "7", "x", "", "" },
		{ "tables|0.1|1.5|sotto|check|domain|7|x\n", SOTTO_TABLE_NOTHING, false, false, "", "", "", "" },
		{ "table\n", SOTTO_TABLE_NOTHING, false, false, "", "", "", "" }, { "\n", SOTTO_TABLE_NOTHING, false, false, "", "", "", "" },
		{ "table|||||\n", SOTTO_TABLE_NOTHING, false, false, "", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct sotto_table_request r = read_text(lines[i].line);

		if (r.ask != lines[i].ask || r.known != lines[i].known || r.relay != lines[i].relay)
			fail_msg("%s: ask %d, known %d, relay %d", lines[i].line, (int)r.ask, r.known, r.relay);
		if (r.ask != SOTTO_TABLE_NOTHING) {
			assert_string_equal(r.id, lines[i].id);
			assert_string_equal(r.key, lines[i].key);
		}
		assert_string_equal(written(&r, "VALUE"), lines[i].found);
		assert_string_equal(written(&r, NULL), lines[i].not_found);
	}
}

/* Cut off in front of a field it is the question as far as it goes; an answer is owed as soon as it says that it asks something. */
static void test_cut_off_lines(void **state)
{
	static const char line[] = "table|0.1|1.5|sotto|check|domain|12ab|example.org";
	char part[sizeof(line) + 1];
	size_t asks = strlen("table|0.1|1.5|sotto|check");

	(void)state;
	for (size_t n = 0; n < sizeof(line); n++) {
		struct sotto_table_request r;

		(void)snprintf(part, sizeof(part), "%.*s\n", (int)n, line);
		r = read_text(part);
		assert_int_equal(r.ask, n < asks ? SOTTO_TABLE_NOTHING : SOTTO_TABLE_CHECK);
		assert_true(strlen(r.key) + strlen(r.id) < n || n == 0);
	}
}

/* Longer than any domain: no key, and an answer; longer than our buffer: it cannot be read on. */
static void test_long_lines(void **state)
{
	static const char head[] = "table|0.1|1.5|sotto|check|domain|12ab|";
	static char line[SOTTO_TABLE_IN + 1];
	struct sotto_table_request r;

	(void)state;
	for (size_t n = 250; n < 400; n++) {
		(void)snprintf(line, sizeof(line), "%s%0*d\n", head, (int)n, 0);
		r = read_text(line);
		assert_int_equal(r.ask, SOTTO_TABLE_CHECK);
		assert_int_equal(strlen(r.key), n < sizeof(r.key) ? n : 0);
		assert_string_equal(written(&r, NULL), "check-result|12ab|not-found\n");
	}
	memset(line, 'x', sizeof(line));
	protocol = SOTTO_TABLE_LINES;
	assert_int_equal(read_octets(&r, line, SOTTO_TABLE_IN - 1), 0);
	assert_int_equal(read_octets(&r, line, SOTTO_TABLE_IN), -1);
	line[SOTTO_TABLE_IN - 1] = '\n';
	assert_int_equal(read_octets(&r, line, SOTTO_TABLE_IN), SOTTO_TABLE_IN);
}

/* A value of any length fits the answer, and an id that is too long is not half repeated. */
static void test_long_answers(void **state)
{
	static char long_one[5000], line[300];
	struct sotto_table_request r;

	(void)state;
	memset(long_one, 'v', sizeof(long_one) - 1);
	(void)snprintf(line, sizeof(line), "table|0.1|1.5|sotto|lookup|relayhost|%063d|a\n", 0);
	r = read_text(line);
	assert_int_equal(strlen(r.id), 63);
	assert_true(strchr(written(&r, long_one), '\n') != NULL);
	(void)snprintf(line, sizeof(line), "table|0.1|1.5|sotto|lookup|relayhost|%064d|a\n", 0);
	r = read_text(line);
	assert_string_equal(r.id, "");
	r = (struct sotto_table_request){ .ask = SOTTO_TABLE_LOOKUP, .known = true };
	assert_string_equal(written(&(struct sotto_table_request){ .ask = SOTTO_TABLE_CLOSE }, NULL), "");
	assert_true(strlen(written(&r, long_one)) < SOTTO_TABLE_OUT);
}

/* ---- frames ---- */

static void expect_frame(const struct sotto_table_request *r, const char *value, const void *payload, size_t n)
{
	uint8_t out[SOTTO_TABLE_OUT];
	struct frame f;

	assert_int_equal(sotto_table_write(out, r, value), sizeof(f) + n);
	memcpy(&f, out, sizeof(f));
	assert_true(f.type == OK && f.len == sizeof(f) + n && f.flags == 0);
	assert_memory_equal(out + sizeof(f), payload, n);
}

static struct sotto_table_request read_frame(uint32_t type, uint32_t service, const char *key)
{
	uint8_t octets[1024];
	size_t n = make_frame(octets, type, service, key);
	struct sotto_table_request r;

	protocol = SOTTO_TABLE_FRAMES;
	assert_int_equal(read_octets(&r, octets, n), n);
	assert_false(r.text);
	return r;
}

static void test_frames(void **state)
{
	struct sotto_table_request r = read_frame(OPEN, 0, NULL);

	(void)state;
	assert_int_equal(r.ask, SOTTO_TABLE_OPEN);
	expect_frame(&r, NULL, "", 0);
	r = read_frame(UPDATE, 0, NULL);
	expect_frame(&r, NULL, "\1\0\0\0", 4);
	r = read_frame(CHECK, 2, "example.org");
	assert_true(r.ask == SOTTO_TABLE_CHECK && r.known && !r.relay);
	assert_string_equal(r.key, "example.org");
	expect_frame(&r, "example.org", "\1\0\0\0", 4);
	expect_frame(&r, NULL, "\0\0\0\0", 4);
	r = read_frame(LOOKUP, 0x200, "example.org");
	assert_true(r.ask == SOTTO_TABLE_LOOKUP && r.known && r.relay);
	expect_frame(&r, "smtp://x", "\1\0\0\0smtp://x", 13);
	expect_frame(&r, NULL, "\0\0\0\0", 4);
	r = read_frame(LOOKUP, 0x10, "example.org");
	assert_false(r.known);
	r = read_frame(CLOSE, 0, NULL);
	assert_int_equal(r.ask, SOTTO_TABLE_CLOSE);
	/* what we don't know is answered: smtpd waits */
	r = read_frame(77, 0, NULL);
	expect_frame(&r, NULL, "\0\0\0\0", 4);
	r = read_frame(FETCH, 2, NULL);
	expect_frame(&r, NULL, "\0\0\0\0", 4);
}

/* A question that is no question, or whose key is none: asked for nothing, and answered. */
static void test_odd_frames(void **state)
{
	uint8_t octets[1024];
	struct sotto_table_request r;
	struct frame f;
	size_t n = make_frame(octets, CHECK, 2, "example.org");
	char key[600];

	(void)state;
	protocol = SOTTO_TABLE_FRAMES;
	for (size_t cut = sizeof(f); cut < n; cut++) {
		memcpy(&f, octets, sizeof(f));
		f.len = (uint16_t)cut;
		memcpy(octets, &f, sizeof(f));
		assert_int_equal(read_octets(&r, octets, cut), cut);
		assert_int_equal(r.ask, SOTTO_TABLE_CHECK);
		/* but where what is left ends in a NUL of its own, which is no key either */
		assert_string_equal(r.key, "");
	}
	for (size_t len = 250; len < 500; len++) {
		(void)snprintf(key, sizeof(key), "%0*d", (int)len, 0);
		r = read_frame(CHECK, 2, key);
		assert_int_equal(strlen(r.key), len < sizeof(r.key) ? len : 0);
	}
}

static void test_lengths_of_frames(void **state)
{
	uint8_t octets[SOTTO_TABLE_IN + 1] = { 0 };
	struct sotto_table_request r;
	struct frame f = { .type = CHECK };

	(void)state;
	protocol = SOTTO_TABLE_FRAMES;
	for (unsigned len = 0; len <= UINT16_MAX; len += len < 40 ? 1 : 997) {
		f.len = (uint16_t)len;
		memcpy(octets, &f, sizeof(f));
		assert_int_equal(read_octets(&r, octets, sizeof(f) - 1), 0);
		assert_int_equal(read_octets(&r, octets, sizeof(f)), len < sizeof(f) || len > SOTTO_TABLE_IN ? -1 : len == sizeof(f) ? (long)len : 0);
	}
	f.len = SOTTO_TABLE_IN;
	memcpy(octets, &f, sizeof(f));
	assert_int_equal(read_octets(&r, octets, SOTTO_TABLE_IN), SOTTO_TABLE_IN);
}

/* ---- either ---- */

/* Octet by octet, and two at once: the same requests. */
static void test_in_pieces(void **state)
{
	static const char lines[] = "config|ready\ntable|0.1|1.5|sotto|check|domain|1|example.org\n";
	struct sotto_table_request r;
	uint8_t frames[512];
	size_t first = make_frame(frames, OPEN, 0, NULL), n = first + make_frame(frames + first, CHECK, 2, "example.org");

	(void)state;
	protocol = SOTTO_TABLE_UNKNOWN;
	assert_int_equal(read_octets(&r, "", 0), 0);
	assert_int_equal(protocol, SOTTO_TABLE_UNKNOWN);
	for (size_t i = 0; i < sizeof(lines); i++)
		assert_int_equal(read_octets(&r, lines, i), i < 13 ? 0 : 13);
	assert_int_equal(protocol, SOTTO_TABLE_LINES);
	assert_int_equal(read_octets(&r, lines + 13, sizeof(lines) - 14), sizeof(lines) - 14);
	assert_string_equal(r.key, "example.org");
	protocol = SOTTO_TABLE_UNKNOWN;
	for (size_t i = 0; i <= n; i++)
		assert_int_equal(read_octets(&r, frames, i), i < first ? 0 : (long)first);
	assert_int_equal(protocol, SOTTO_TABLE_FRAMES);
	assert_int_equal(read_octets(&r, frames + first, n - first), n - first);
	assert_string_equal(r.key, "example.org");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_cut_off_lines), cmocka_unit_test(test_long_lines), cmocka_unit_test(test_long_answers),
		cmocka_unit_test(test_frames), cmocka_unit_test(test_odd_frames), cmocka_unit_test(test_lengths_of_frames), cmocka_unit_test(test_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
