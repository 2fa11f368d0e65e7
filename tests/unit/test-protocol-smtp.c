/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-smtp.c - lines, replies and the EHLO reply: what is found at every length, and that nothing is read beyond it.
 */
#include "tests/unit/protocol-octets.h"

#include "core/protocol/smtp.h"

/* The octets in a piece of heap of exactly their size: a sanitizer sees a step beyond. */
static uint8_t *exact(const void *p, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

static enum sotto_found line(const char *p, size_t len, size_t max, size_t *line_len)
{
	uint8_t *copy = exact(p, len);
	enum sotto_found found = sotto_smtp_line(copy, len, max, line_len);

	free(copy);
	return found;
}

static enum sotto_found reply(const char *p, size_t len, struct sotto_reply *r)
{
	uint8_t *copy = exact(p, len);
	enum sotto_found found = sotto_smtp_reply(copy, len, r);

	free(copy);
	return found;
}

static void a_line_is_found_whole_at_its_crlf_and_not_before(void **state)
{
	const char text[] = "MAIL FROM:<>\r\nRCPT";
	size_t len, n = 0;

	(void)state;
	for (len = 0; len < 14; len++)
		assert_int_equal(line(text, len, 512, &n), SOTTO_FOUND_PART);
	for (; len < sizeof(text); len++) {
		assert_int_equal(line(text, len, 512, &n), SOTTO_FOUND_WHOLE);
		assert_int_equal(n, 14);
	}
	assert_int_equal(line("\r\n", 2, 512, &n), SOTTO_FOUND_WHOLE);
	assert_int_equal(n, 2);
}

static void nul_bare_cr_and_bare_lf_are_odd_as_soon_as_they_are_seen(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(line("ab\0", 3, 512, &n), SOTTO_FOUND_ODD);
	assert_int_equal(line("ab\n", 3, 512, &n), SOTTO_FOUND_ODD);
	assert_int_equal(line("ab\r", 3, 512, &n), SOTTO_FOUND_PART);
	assert_int_equal(line("ab\rc", 4, 512, &n), SOTTO_FOUND_ODD);
	assert_int_equal(line("ab\r\r\n", 5, 512, &n), SOTTO_FOUND_ODD);
	assert_int_equal(line("\n", 1, 512, &n), SOTTO_FOUND_ODD);
	/* octets over 0x7f are passed, never decoded */
	assert_int_equal(line("a\xff\x80\r\n", 5, 512, &n), SOTTO_FOUND_WHOLE);
}

static void a_line_may_be_as_long_as_it_may_and_no_octet_longer(void **state)
{
	char text[600];
	size_t n;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + 510, "\r\n", 2);
	assert_int_equal(line(text, 512, 512, &n), SOTTO_FOUND_WHOLE);
	assert_int_equal(n, 512);
	assert_int_equal(line(text, 512, 511, &n), SOTTO_FOUND_ODD);
	memset(text, 'a', sizeof(text));
	assert_int_equal(line(text, 511, 512, &n), SOTTO_FOUND_PART);
	assert_int_equal(line(text, 512, 512, &n), SOTTO_FOUND_ODD);
	text[511] = '\r';
	assert_int_equal(line(text, 512, 512, &n), SOTTO_FOUND_ODD);
	assert_int_equal(line(text, 0, 0, &n), SOTTO_FOUND_ODD);
}

static void a_reply_is_whole_at_its_last_line(void **state)
{
	const char text[] = "250-one\r\n250-two\r\n250 three\r\n250 next\r\n";
	const size_t whole = 9 + 9 + 11;
	struct sotto_reply r = { 0 };
	size_t len;

	(void)state;
	for (len = 0; len < whole; len++)
		assert_int_equal(reply(text, len, &r), SOTTO_FOUND_PART);
	for (; len < sizeof(text); len++) {
		assert_int_equal(reply(text, len, &r), SOTTO_FOUND_WHOLE);
		assert_int_equal(r.code, 250);
		assert_int_equal(r.len, whole);
		assert_int_equal(r.first_len, 9);
		assert_int_equal(r.lines, 3);
	}
	assert_int_equal(reply("421\r\n", 5, &r), SOTTO_FOUND_WHOLE);
	assert_int_equal(r.code, 421);
}

static void what_is_no_reply_is_odd(void **state)
{
	static const char *const odd[] = { "hello\r\n", "25\r\n", "2500 x\r\n", "250+x\r\n", "150 x\r\n", "650 x\r\n", "250\tx\r\n",
					   "250-a\r\n251 b\r\n", "250-a\r\nb\r\n", " 250 a\r\n", "\r\n", "250-a\r\n\r\n",
					   "25a x\r\n", "2 0 x\r\n", "250 a\n", "250-a\r\n250 b\n" };
	struct sotto_reply r;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if (reply(odd[i], strlen(odd[i]), &r) != SOTTO_FOUND_ODD)
			fail_msg("taken for a reply: %s", odd[i]);
	}
}

static void a_reply_of_16_kib_is_read_and_none_longer(void **state)
{
	struct octets o = { 0 };
	struct sotto_reply r;

	(void)state;
	while (o.len < SOTTO_SMTP_REPLY_MAX - 64)
		add_text(&o, "250-0123456789012345678901234567\r\n");
	while (o.len < SOTTO_SMTP_REPLY_MAX - 10)
		add_text(&o, "250-\r\n");
	while (o.len > SOTTO_SMTP_REPLY_MAX - 10)
		o.len -= 6;
	add_text(&o, "250 ");
	while (o.len < SOTTO_SMTP_REPLY_MAX - 2)
		add_text(&o, "x");
	add_text(&o, "\r\n");
	assert_int_equal(reply((char *)o.p, o.len, &r), SOTTO_FOUND_WHOLE);
	assert_int_equal(r.len, SOTTO_SMTP_REPLY_MAX);
	o.p[o.len - 2] = 'x';
	o.p[o.len - 1] = '\r';
	add_text(&o, "\n");
	assert_int_equal(reply((char *)o.p, o.len, &r), SOTTO_FOUND_ODD);
	clear(&o);
	/* lines without end are odd at 16 KiB, whether or not more is to come */
	while (o.len < SOTTO_SMTP_REPLY_MAX)
		add_text(&o, "250-aa\r\n");
	assert_int_equal(reply((char *)o.p, SOTTO_SMTP_REPLY_MAX - 1, &r), SOTTO_FOUND_PART);
	assert_int_equal(reply((char *)o.p, SOTTO_SMTP_REPLY_MAX, &r), SOTTO_FOUND_ODD);
	clear(&o);
}

static bool verb(const char *text, const char *v)
{
	uint8_t *copy = exact(text, strlen(text));
	bool is = sotto_smtp_verb(copy, strlen(text), v);

	free(copy);
	return is;
}

static void a_verb_is_known_in_any_case_alone_or_before_a_space(void **state)
{
	(void)state;
	assert_true(verb("EHLO a\r\n", "EHLO"));
	assert_true(verb("ehLO a\r\n", "EHLO"));
	assert_true(verb("EHLO\r\n", "EHLO"));
	assert_false(verb("EHLOa\r\n", "EHLO"));
	assert_false(verb("EHLO\ta\r\n", "EHLO"));
	assert_false(verb(" EHLO a\r\n", "EHLO"));
	assert_false(verb("EHL\r\n", "EHLO"));
	assert_false(verb("\r\n", "EHLO"));
}

static struct sotto_offer offer(const char *text)
{
	uint8_t *copy = exact(text, strlen(text));
	struct sotto_reply r;
	struct sotto_offer o;

	assert_int_equal(sotto_smtp_reply(copy, strlen(text), &r), SOTTO_FOUND_WHOLE);
	sotto_ehlo_offer(copy, &r, &o);
	free(copy);
	return o;
}

static void version_1_is_found_among_others_in_any_case(void **state)
{
	static const char *const good[] = { "250-x\r\n250 XSOTTO 1\r\n",	    "250-x\r\n250-XSOTTO 1\r\n250 SIZE\r\n",
					    "250-x\r\n250 xsotto 1\r\n",	    "250-x\r\n250 xSoTtO 2 1 77\r\n",
					    "250-x\r\n250 XSOTTO 9 what 1\r\n", "250-x\r\n250 XSOTTO 1 2\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sotto_offer o = offer(good[i]);

		if (o.keywords != 1 || !o.version1)
			fail_msg("not found: %s", good[i]);
	}
}

static void what_is_no_version_1_is_not_taken_for_it(void **state)
{
	static const char *const other[] = { "250-x\r\n250 XSOTTO 2\r\n",  "250-x\r\n250 XSOTTO\r\n",  "250-x\r\n250 XSOTTO 11\r\n",
					     "250-x\r\n250 XSOTTO 01\r\n", "250-x\r\n250 XSOTTO 1a\r\n", "250-x\r\n250 XSOTTO a1\r\n",
					     "250-x\r\n250 XSOTTO \r\n",   "250-x\r\n250 XSOTTO 1,2\r\n" };
	static const char *const none[] = { "250 XSOTTO 1\r\n", "250-XSOTTO 1\r\n250 SIZE\r\n", "250-x\r\n250 XSOTTO1\r\n",
					    "250-x\r\n250 XSOTTO=1\r\n", "250-x\r\n250  XSOTTO 1\r\n", "250-x\r\n250 X\r\n",
					    "250-x\r\n250 SIZE XSOTTO 1\r\n", "250-x\r\n250\r\n", "250-x\r\n250-\r\n250 \r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct sotto_offer o = offer(other[i]);

		if (o.keywords != 1 || o.version1)
			fail_msg("taken for version 1: %s", other[i]);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (offer(none[i]).keywords != 0)
			fail_msg("taken for the keyword: %s", none[i]);
	}
	assert_int_equal(offer("250-x\r\n250-XSOTTO 1\r\n250 XSOTTO 1\r\n").keywords, 2);
	assert_int_equal(offer("250-x\r\n250-XSOTTO 1\r\n250 xsotto 2\r\n").keywords, 2);
}

static void check_insert(const char *text, const char *want)
{
	uint8_t *copy = exact(text, strlen(text)), *out = exact(want, strlen(want));
	struct sotto_reply r;

	assert_int_equal(sotto_smtp_reply(copy, strlen(text), &r), SOTTO_FOUND_WHOLE);
	memset(out, 0, strlen(want));
	assert_int_equal(sotto_ehlo_insert(out, strlen(want), copy, &r), strlen(want));
	assert_memory_equal(out, want, strlen(want));
	memset(out, 0, strlen(want));
	assert_int_equal(sotto_ehlo_insert(out, strlen(want) - 1, copy, &r), 0);
	for (size_t i = 0; i < strlen(want); i++)
		assert_int_equal(out[i], 0);
	free(copy);
	free(out);
}

static void the_keyword_goes_behind_the_first_line(void **state)
{
	(void)state;
	check_insert("250 x\r\n", "250-x\r\n250 XSOTTO 1\r\n");
	check_insert("250-x\r\n250 SIZE\r\n", "250-x\r\n250-XSOTTO 1\r\n250 SIZE\r\n");
	check_insert("250-x\r\n250-A\r\n250 B\r\n", "250-x\r\n250-XSOTTO 1\r\n250-A\r\n250 B\r\n");
	check_insert("250 \r\n", "250-\r\n250 XSOTTO 1\r\n");
}

static void no_keyword_goes_into_what_cannot_bear_one(void **state)
{
	static uint8_t out[SOTTO_SMTP_REPLY_MAX + 100];
	struct sotto_reply r;
	struct octets o = { 0 };

	(void)state;
	assert_int_equal(reply("250\r\n", 5, &r), SOTTO_FOUND_WHOLE);
	assert_int_equal(sotto_ehlo_insert(out, sizeof(out), (const uint8_t *)"250\r\n", &r), 0);
	/* a reply that would be over 16 KiB with it: the client would find it odd */
	for (unsigned more = 0; more < 2; more++) {
		clear(&o);
		add_text(&o, "250 ");
		while (o.len < SOTTO_SMTP_REPLY_MAX - SOTTO_EHLO_INSERTED - 2 + more)
			add_text(&o, "x");
		add_text(&o, "\r\n");
		assert_int_equal(reply((char *)o.p, o.len, &r), SOTTO_FOUND_WHOLE);
		assert_int_equal(sotto_ehlo_insert(out, sizeof(out), o.p, &r), more ? 0 : SOTTO_SMTP_REPLY_MAX);
	}
	clear(&o);
}

static void check_hide(const char *text, bool starttls, const char *want)
{
	uint8_t *copy = exact(text, strlen(text));
	struct sotto_reply r;
	size_t n;

	assert_int_equal(sotto_smtp_reply(copy, strlen(text), &r), SOTTO_FOUND_WHOLE);
	n = sotto_ehlo_hide(copy, &r, starttls);
	if (n != strlen(want) || memcmp(copy, want, n) != 0)
		fail_msg("left of %s: %.*s", text, (int)n, (char *)copy);
	free(copy);
}

static void hidden_keywords_leave_a_whole_reply(void **state)
{
	(void)state;
	check_hide(REPLY_OFFER, false, REPLY_PLAIN);
	check_hide(REPLY_OFFER, true, "250-s.example at your service\r\n250-SIZE 1000\r\n250 PIPELINING\r\n");
	check_hide("250-x\r\n250 XSOTTO 1\r\n", false, "250 x\r\n");
	check_hide("250-x\r\n250-SIZE\r\n250 XSOTTO 1\r\n", false, "250-x\r\n250 SIZE\r\n");
	check_hide("250-x\r\n250-PIPECONNECT\r\n250-PIPE_CONNECT\r\n250-X_PIPE_CONNECT\r\n250 starttls\r\n", true, "250 x\r\n");
	check_hide("250-x\r\n250-XSOTTO 1\r\n250 STARTTLS\r\n", false, "250-x\r\n250 STARTTLS\r\n");
	check_hide("250-x\r\n250-STARTTLSX\r\n250 XSOTTOS 1\r\n", true, "250-x\r\n250-STARTTLSX\r\n250 XSOTTOS 1\r\n");
	check_hide("250 XSOTTO 1\r\n", true, "250 XSOTTO 1\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_found_whole_at_its_crlf_and_not_before),
		cmocka_unit_test(nul_bare_cr_and_bare_lf_are_odd_as_soon_as_they_are_seen),
		cmocka_unit_test(a_line_may_be_as_long_as_it_may_and_no_octet_longer),
		cmocka_unit_test(a_reply_is_whole_at_its_last_line),
		cmocka_unit_test(what_is_no_reply_is_odd),
		cmocka_unit_test(a_reply_of_16_kib_is_read_and_none_longer),
		cmocka_unit_test(a_verb_is_known_in_any_case_alone_or_before_a_space),
		cmocka_unit_test(version_1_is_found_among_others_in_any_case),
		cmocka_unit_test(what_is_no_version_1_is_not_taken_for_it),
		cmocka_unit_test(the_keyword_goes_behind_the_first_line),
		cmocka_unit_test(no_keyword_goes_into_what_cannot_bear_one),
		cmocka_unit_test(hidden_keywords_leave_a_whole_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
