/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-redial.c - what becomes of an exchange that fails in the role connect (PROTOCOL.md 8): a new connection, the same EHLO,
 * its reply octet for octet; or 421. Never two replies, never none.
 */
#include "tests/unit/protocol-peer.h"

#define GAVE_UP "421 4.4.2 The XSOTTO exchange failed, and so did the connection after it\r\n"
#define ENDED (SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA)

static struct sotto_session_config config;
static struct peer p;

static int begin(void **state)
{
	(void)state;
	config = plain_config(SOTTO_CONNECT);
	return 0;
}

/* A session whose hello has been sent. */
static struct sotto_session *asked(void)
{
	p = (struct peer){ .s = new_session(&config) };
	peer_reads_hello(&p, REPLY_OFFER);
	expect(p.s, SOTTO_MTA, "");
	return p.s;
}

static void check_failed(struct sotto_session *s, enum sotto_cause cause)
{
	assert_int_equal(s->report.failed, true);
	assert_int_equal(s->report.failure, cause);
	assert_int_equal(s->report.silent, cause == SOTTO_CAUSE_SILENCE);
	expect(s, SOTTO_NET, "");
	if (config.redial) {
		size_t space;

		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_REDIAL);
		expect(s, SOTTO_MTA, "");
		(void)sotto_session_space(s, SOTTO_NET, &space);
		assert_int_equal(space, 0);
		assert_int_equal(sotto_session_deadline(s), 0);
	} else {
		expect(s, SOTTO_MTA, GAVE_UP);
		assert_int_equal(sotto_session_wishes(s), ENDED);
		assert_int_equal(s->report.outcome, SOTTO_OUTCOME_REFUSED);
	}
}

static void check_answer(const char *answer, size_t len, bool whole)
{
	for (unsigned n = 0; n < 4; n++) {
		struct sotto_session *s;

		config.redial = n % 2 == 0;
		s = asked();
		if (n < 2)
			(void)feed(s, SOTTO_NET, answer, len);
		else
			for (size_t i = 0; i < len && s->report.failed == false; i++)
				(void)feed(s, SOTTO_NET, answer + i, 1);
		if (!whole)
			sotto_session_eof(s, SOTTO_NET);
		check_failed(s, whole ? SOTTO_CAUSE_ANSWER : SOTTO_CAUSE_CLOSED);
		end_session(s);
	}
}

/* PROTOCOL.md 3: whatever else comes was not said by somebody who knows the extension. */
static void an_unknown_answer_is_a_failure(void **state)
{
	static const char *const answers[] = {
		"220-a\r\n220 b\r\n", "250 ok\r\n", "2200 x\r\n", "500 5.5.1 what?\r\n", "502 5.5.2 XSOTTO\r\n", "454 no\r\n", "454 xsotto\r\n",
		"421 4.7.0 bye\r\n", "501-5.5.4 XSOTTO a\r\n501 5.5.4 XSOTTO b\r\n", "garbage\r\n", "\r\n", "\n", "220 x\n", "220 x\rx", "g",
		"501 5.5.4 The length of XSOTTO is missing or over 4096\r\n"
	};
	char longest[513];

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		check_answer(answers[i], strlen(answers[i]), true);
	check_answer("\0", 1, true);
	check_answer("220 \0\r\n", 7, true);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "220 ", 4);
	memcpy(longest + 511, "\r\n", 2);
	check_answer(longest, 513, true);
	/* two refusals at once are none */
	config.redial = true;
	(void)asked();
	say(p.s, SOTTO_NET, "454 4.7.0 XSOTTO no\r\n454 4.7.0 XSOTTO no\r\n");
	check_failed(p.s, SOTTO_CAUSE_ANSWER);
	end_session(p.s);
}

static void an_answer_that_stops_at_any_octet_is_a_failure(void **state)
{
	struct octets answer = { 0 };
	size_t whole = strlen(GO) + SOTTO_SERVER_HELLO;

	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		config.redial = n % 2 == 0;
		for (size_t len = 0; len < whole; len += len < 60 || len > whole - 20 ? 1 : 53) {
			struct sotto_session *s = asked();

			clear(&answer);
			peer_answers(&p, REPLY_OFFER, GO, &answer);
			assert_int_equal(feed(s, SOTTO_NET, answer.p, len), len);
			assert_false(s->report.failed);
			if (n < 2)
				sotto_session_eof(s, SOTTO_NET);
			else if (n < 4)
				sotto_session_gone(s, SOTTO_NET);
			else
				advance(s, 4000);
			check_failed(s, n < 2 ? SOTTO_CAUSE_CLOSED : n < 4 ? SOTTO_CAUSE_RESET : SOTTO_CAUSE_SILENCE);
			end_session(s);
		}
	}
	clear(&answer);
}

static void half_a_refusal_is_a_failure_too(void **state)
{
	static const char refusal[] = "454 4.7.0 XSOTTO temporarily not possible\r\n";

	(void)state;
	for (size_t len = 0; len < sizeof(refusal) - 1; len++)
		check_answer(refusal, len, false);
}

static void a_wrong_tag_and_a_bad_key_are_failures(void **state)
{
	struct octets answer = { 0 };

	(void)state;
	(void)asked();
	peer_answers(&p, REPLY_OFFER, GO, &answer);
	answer.p[answer.len - 1] ^= 1;
	assert_int_equal(feed(p.s, SOTTO_NET, answer.p, answer.len), answer.len);
	check_failed(p.s, SOTTO_CAUSE_ALTERED);
	end_session(p.s);
	(void)asked();
	memset(answer.p + strlen(GO) + SOTTO_MLKEM768_CT, 0, 32);
	assert_int_equal(feed(p.s, SOTTO_NET, answer.p, answer.len), answer.len);
	check_failed(p.s, SOTTO_CAUSE_BAD_KEY);
	end_session(p.s);
	clear(&answer);
}

/* PROTOCOL.md 8: 4 seconds from the last octet of the hello to the last octet of the server hello. */
static void the_patience_runs_from_the_last_octet_of_the_hello(void **state)
{
	struct sotto_session *s = new_session(&config);
	struct octets hello = { 0 };
	size_t len;

	(void)state;
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_MTA, GREETING);
	say(s, SOTTO_MTA, EHLO);
	expect(s, SOTTO_NET, EHLO);
	assert_int_equal(sotto_session_deadline(s), 0);
	advance(s, 100000);
	say(s, SOTTO_NET, REPLY_OFFER);
	(void)sotto_session_ready(s, SOTTO_NET, &len);
	assert_int_equal(len, strlen(SOTTO_COMMAND) + SOTTO_CLIENT_HELLO);
	advance(s, 3000);
	sotto_session_sent(s, SOTTO_NET, len - 1);
	advance(s, 3000);
	sotto_session_sent(s, SOTTO_NET, 1);
	assert_int_equal(sotto_session_deadline(s), s->now + 4000);
	/* octets that come drop by drop do not renew it */
	advance(s, 3999);
	say(s, SOTTO_NET, "220 ");
	assert_int_equal(sotto_session_wishes(s), 0);
	advance(s, 1);
	check_failed(s, SOTTO_CAUSE_SILENCE);
	end_session(s);
	clear(&hello);
}

static void redialed(struct sotto_session *s, bool connected)
{
	sotto_session_redialed(s, connected);
}

/* Fails, connects again, and hears the greeting; EHLO has been repeated. */
static struct sotto_session *again(void)
{
	struct sotto_session *s = asked();

	sotto_session_gone(s, SOTTO_NET);
	redialed(s, true);
	assert_int_equal(sotto_session_wishes(s), 0);
	return s;
}

static void the_new_connection_goes_on_in_the_clear_unnoticed(void **state)
{
	for (unsigned n = 0; n < 2; n++) {
		struct sotto_session *s = again();
		const char *greeting = "220-new\r\n220 greeting\r\n", *reply = "250-new\r\n250-XSOTTO 1\r\n250 PIPECONNECT\r\n";

		(void)state;
		/* the mail server's own patience, not ours */
		assert_int_equal(sotto_session_deadline(s), 0);
		expect(s, SOTTO_NET, "");
		for (const char *c = greeting; *c != '\0'; c++)
			assert_int_equal(feed(s, SOTTO_NET, c, 1), 1);
		expect(s, SOTTO_MTA, "");
		expect(s, SOTTO_NET, EHLO);
		assert_int_equal(sotto_session_deadline(s), 0);
		if (n == 0)
			say(s, SOTTO_NET, reply);
		else
			for (const char *c = reply; *c != '\0'; c++)
				assert_int_equal(feed(s, SOTTO_NET, c, 1), 1);
		expect(s, SOTTO_MTA, reply);
		assert_true(sotto_session_is_opaque(s));
		assert_int_equal(s->report.outcome, SOTTO_OUTCOME_CLEAR);
		assert_int_equal(s->report.cause, SOTTO_CAUSE_RESET);
		say(s, SOTTO_MTA, "MAIL FROM:<>\r\n");
		expect(s, SOTTO_NET, "MAIL FROM:<>\r\n");
		end_session(s);
	}
}

static void a_peer_that_has_sealed_before_is_tried_once_more_sealed(void **state)
{
	struct sotto_session *s;
	struct octets got = { 0 };
	uint8_t first[SOTTO_CLIENT_HELLO];

	(void)state;
	config.sealed_before = true;
	s = again();
	memcpy(first, p.client_hello, sizeof(first));
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_NET, EHLO);
	say(s, SOTTO_NET, REPLY_OFFER);
	expect(s, SOTTO_MTA, "");
	take(s, SOTTO_NET, &got);
	assert_int_equal(got.len, strlen(SOTTO_COMMAND) + SOTTO_CLIENT_HELLO);
	/* no ephemeral key serves twice */
	assert_memory_not_equal(got.p + strlen(SOTTO_COMMAND), first, 32);
	assert_memory_not_equal(got.p + got.len - 32, first + SOTTO_MLKEM768_EK, 32);
	memcpy(p.client_hello, got.p + strlen(SOTTO_COMMAND), sizeof(first));
	clear(&got);
	peer_answers(&p, REPLY_OFFER, GO, &got);
	assert_int_equal(feed(s, SOTTO_NET, got.p, got.len), got.len);
	assert_true(sotto_session_is_sealed(s));
	expect(s, SOTTO_MTA, REPLY_PLAIN);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_SEALED);
	assert_true(s->report.failed);
	end_session(s);
	clear(&got);
}

static void and_then_in_the_clear(void **state)
{
	struct sotto_session *s;
	struct octets got = { 0 };

	(void)state;
	config.sealed_before = true;
	s = again();
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_NET, EHLO);
	say(s, SOTTO_NET, REPLY_OFFER);
	take(s, SOTTO_NET, &got);
	advance(s, 4000);
	check_failed(s, SOTTO_CAUSE_SILENCE);
	redialed(s, true);
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_NET, EHLO);
	say(s, SOTTO_NET, REPLY_OFFER);
	expect(s, SOTTO_NET, "");
	expect(s, SOTTO_MTA, REPLY_OFFER);
	assert_true(sotto_session_is_opaque(s));
	end_session(s);
	clear(&got);
}

static void a_peer_that_stopped_offering_is_not_asked_again(void **state)
{
	struct sotto_session *s;

	(void)state;
	config.sealed_before = true;
	s = again();
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_NET, EHLO);
	say(s, SOTTO_NET, REPLY_PLAIN);
	expect(s, SOTTO_NET, "");
	expect(s, SOTTO_MTA, REPLY_PLAIN);
	end_session(s);
}

static void check_gave_up(struct sotto_session *s)
{
	expect(s, SOTTO_MTA, GAVE_UP);
	expect(s, SOTTO_NET, "");
	assert_int_equal(sotto_session_wishes(s), ENDED);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_REFUSED);
	end_session(s);
}

/* PROTOCOL.md 8: if that connection does not get to 250 either, the mail server gets 421 and a close. */
static void a_second_connection_that_fails_is_421(void **state)
{
	static const char *const greetings[] = { "554 no\r\n", "421 later\r\n", "hello\r\n", "220 a\n", GREETING "250 early\r\n", "250 x\r\n" };
	static const char *const replies[] = { "502 no\r\n", "421 later\r\n", "garbage\r\n", "250-a\r\n251 b\r\n", "250 a\n" };
	struct sotto_session *s = asked();

	(void)state;
	sotto_session_eof(s, SOTTO_NET);
	redialed(s, false);
	check_gave_up(s);
	for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		s = again();
		(void)feed(s, SOTTO_NET, greetings[i], strlen(greetings[i]));
		check_gave_up(s);
	}
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		s = again();
		say(s, SOTTO_NET, GREETING);
		expect(s, SOTTO_NET, EHLO);
		(void)feed(s, SOTTO_NET, replies[i], strlen(replies[i]));
		check_gave_up(s);
	}
	for (unsigned n = 0; n < 4; n++) {
		s = again();
		if (n >= 2) {
			say(s, SOTTO_NET, GREETING);
			expect(s, SOTTO_NET, EHLO);
		}
		say(s, SOTTO_NET, n % 2 ? "2" : n == 0 ? "220-" : "250-");
		if (n % 2)
			sotto_session_eof(s, SOTTO_NET);
		else
			sotto_session_gone(s, SOTTO_NET);
		check_gave_up(s);
	}
}

static void a_mail_server_that_leaves_meanwhile_ends_it(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		struct sotto_session *s = n < 2 ? asked() : again();

		if (n < 2)
			sotto_session_gone(s, SOTTO_NET);
		if (n >= 4) {
			say(s, SOTTO_NET, GREETING);
			expect(s, SOTTO_NET, EHLO);
		}
		if (n % 2)
			sotto_session_eof(s, SOTTO_MTA);
		else
			sotto_session_gone(s, SOTTO_MTA);
		expect(s, SOTTO_MTA, "");
		expect(s, SOTTO_NET, "");
		assert_int_equal(sotto_session_wishes(s), ENDED);
		end_session(s);
	}
}

/* A hello that could not be written must not keep the end from coming: nobody will ever take these octets. */
static void what_was_left_for_a_dead_connection_holds_nothing_up(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct sotto_session *s;

		config.redial = n != 1;
		s = new_session(&config);
		say(s, SOTTO_NET, GREETING);
		expect(s, SOTTO_MTA, GREETING);
		say(s, SOTTO_MTA, EHLO);
		expect(s, SOTTO_NET, EHLO);
		say(s, SOTTO_NET, REPLY_OFFER);
		sotto_session_sent(s, SOTTO_NET, 100);
		if (n == 0)
			sotto_session_eof(s, SOTTO_NET);
		else
			advance(s, 4000);
		if (n != 1) {
			assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_REDIAL);
			sotto_session_eof(s, SOTTO_MTA);
		} else {
			expect(s, SOTTO_MTA, GAVE_UP);
		}
		assert_int_equal(sotto_session_wishes(s), ENDED);
		end_session(s);
	}
}

static void commands_that_come_meanwhile_wait_for_the_reply(void **state)
{
	struct sotto_session *s = again();

	(void)state;
	say(s, SOTTO_MTA, "MAIL FROM:<>\r\n");
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_NET, EHLO);
	say(s, SOTTO_NET, REPLY_PLAIN);
	expect(s, SOTTO_MTA, REPLY_PLAIN);
	expect(s, SOTTO_NET, "MAIL FROM:<>\r\n");
	end_session(s);
}

/* 454 and its like: the same connection, in the clear, the EHLO reply octet for octet. */
static void a_refusal_goes_on_in_the_same_connection(void **state)
{
	static const char *const refusals[] = { "454 4.7.0 XSOTTO no\r\n", "501 5.5.4 XSOTTO\r\n", "503 5.5.1 XSOTTO no\r\n",
						"504 5.5.4 XSOTTO no\r\n" };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct sotto_session *s = asked();

		if (i < 4)
			say(s, SOTTO_NET, refusals[i]);
		else
			for (const char *c = refusals[i - 4]; *c != '\0'; c++)
				assert_int_equal(feed(s, SOTTO_NET, c, 1), 1);
		expect(s, SOTTO_MTA, REPLY_OFFER);
		say(s, SOTTO_MTA, "MAIL FROM:<>\r\n");
		expect(s, SOTTO_NET, "MAIL FROM:<>\r\n");
		assert_true(sotto_session_is_opaque(s));
		assert_false(s->report.failed);
		assert_int_equal(s->report.cause, SOTTO_CAUSE_REFUSED);
		assert_int_equal(s->report.refusal, atoi(refusals[i % 4]));
		end_session(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_unknown_answer_is_a_failure, begin),
		cmocka_unit_test_setup(an_answer_that_stops_at_any_octet_is_a_failure, begin),
		cmocka_unit_test_setup(half_a_refusal_is_a_failure_too, begin),
		cmocka_unit_test_setup(a_wrong_tag_and_a_bad_key_are_failures, begin),
		cmocka_unit_test_setup(the_patience_runs_from_the_last_octet_of_the_hello, begin),
		cmocka_unit_test_setup(the_new_connection_goes_on_in_the_clear_unnoticed, begin),
		cmocka_unit_test_setup(a_peer_that_has_sealed_before_is_tried_once_more_sealed, begin),
		cmocka_unit_test_setup(and_then_in_the_clear, begin),
		cmocka_unit_test_setup(a_peer_that_stopped_offering_is_not_asked_again, begin),
		cmocka_unit_test_setup(a_second_connection_that_fails_is_421, begin),
		cmocka_unit_test_setup(a_mail_server_that_leaves_meanwhile_ends_it, begin),
		cmocka_unit_test_setup(what_was_left_for_a_dead_connection_holds_nothing_up, begin),
		cmocka_unit_test_setup(commands_that_come_meanwhile_wait_for_the_reply, begin),
		cmocka_unit_test_setup(a_refusal_goes_on_in_the_same_connection, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
