/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-refusal.c - the role accept and an XSOTTO command that is not as it should be (PROTOCOL.md 3): refused in step, or
 * closed where there is no step; never a hello read as commands.
 */
#include "tests/unit/protocol-peer.h"

static struct sotto_session_config config;
static struct sotto_session *s;

/* A session that has made its offer. */
static int offered(void **state)
{
	struct octets reply = { 0 };
	struct peer p;

	(void)state;
	config = plain_config(SOTTO_ACCEPT);
	s = new_session(&config);
	p.s = s;
	peer_gets_offer(&p, &reply);
	clear(&reply);
	return 0;
}

static int done(void **state)
{
	(void)state;
	end_session(s);
	return 0;
}

static void give(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(feed(s, SOTTO_NET, i % 16 < 14 ? "Q" : i % 16 == 14 ? "\r" : "\n", 1), 1);
}

static void mail_goes_on_in_the_clear(void)
{
	say(s, SOTTO_NET, "MAIL FROM:<>\r\n");
	expect(s, SOTTO_MTA, "MAIL FROM:<>\r\n");
	say(s, SOTTO_MTA, "250 ok\r\n");
	expect(s, SOTTO_NET, "250 ok\r\n");
	assert_true(sotto_session_is_opaque(s));
	assert_int_equal(s->report.cause, SOTTO_CAUSE_REFUSED);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_CLEAR);
}

static void check_in_step(const char *command, size_t length, const char *code)
{
	struct octets reply = { 0 };

	(void)offered(NULL);
	say(s, SOTTO_NET, command);
	if (length > 0) {
		give(length - 1);
		expect(s, SOTTO_NET, "");	/* not before the last octet */
		give(1);
	}
	take(s, SOTTO_NET, &reply);
	if (reply.len < 10 || memcmp(reply.p, code, 4) != 0 || !has_text(&reply, " XSOTTO ") ||
	    memchr(reply.p, '\n', reply.len) != reply.p + reply.len - 1)
		fail_msg("%s was answered: %.*s", command, (int)reply.len, (char *)reply.p);
	clear(&reply);
	assert_int_equal(s->report.refusal, atoi(code));
	mail_goes_on_in_the_clear();
	end_session(s);
}

static void a_refusal_leaves_the_session_in_step(void **state)
{
	static const struct {
		const char *command;
		size_t length;
		const char *code;
	} cases[] = { { "XSOTTO 1 0\r\n", 0, "501 " },		 { "XSOTTO 1 1\r\n", 1, "501 " },
		      { "XSOTTO 1 1215\r\n", 1215, "501 " },	 { "XSOTTO 1 1217\r\n", 1217, "501 " },
		      { "XSOTTO 1 4096\r\n", 4096, "501 " },	 { "XSOTTO 1 1216\r\n", 1216, "501 " },
		      { "XSOTTO 2 1216\r\n", 1216, "504 " },	 { "XSOTTO 2 0\r\n", 0, "504 " },
		      { "xsotto 999 4096\r\n", 4096, "504 " },	 { "XSOTTO 01 1216\r\n", 1216, "501 " },
		      { "XSOTTO one 1216\r\n", 1216, "501 " },	 { "XSOTTO  1216\r\n", 1216, "501 " } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_in_step(cases[i].command, cases[i].length, cases[i].code);
}

static void without_a_length_it_is_501_and_the_end(void **state)
{
	static const char *const commands[] = { "XSOTTO\r\n",	       "XSOTTO 1\r\n",	     "XSOTTO 1 4097\r\n",  "XSOTTO 1 99999\r\n",
						"XSOTTO 1 100000\r\n", "XSOTTO 1 01216\r\n", "XSOTTO 1 1216 x\r\n", "XSOTTO 1 x\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct octets reply = { 0 };
		size_t line_len, space;
		unsigned code;

		(void)offered(NULL);
		say(s, SOTTO_NET, commands[i]);
		take(s, SOTTO_NET, &reply);
		assert_memory_equal(reply.p, "501 5.5.4 ", 10);
		/* a client must not take it for a refusal: the session does not go on */
		assert_int_equal(sotto_answer_read(reply.p, reply.len, &line_len, &code), SOTTO_ANSWER_OTHER);
		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA);
		(void)sotto_session_space(s, SOTTO_NET, &space);
		assert_int_equal(space, 0);
		expect(s, SOTTO_MTA, "");
		clear(&reply);
		end_session(s);
	}
}

static void a_second_command_is_503_and_the_ninth_the_end(void **state)
{
	(void)state;
	say(s, SOTTO_NET, "XSOTTO 2 5\r\n12345");
	expect(s, SOTTO_NET, "504 5.5.4 XSOTTO version not supported\r\n");
	for (unsigned i = 1; i < 8; i++) {
		/* 503 comes before 504 and 501 */
		say(s, SOTTO_NET, i % 2 ? "XSOTTO 2 3\r\n123" : "XSOTTO 1 3\r\n123");
		expect(s, SOTTO_NET, "503 5.5.1 XSOTTO was refused already\r\n");
	}
	say(s, SOTTO_NET, "XSOTTO 1 3\r\n123");
	expect(s, SOTTO_NET, "421 4.7.0 XSOTTO too many refusals\r\n");
	assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA);
	expect(s, SOTTO_MTA, "");
}

static void even_a_good_command_is_503_after_a_refusal(void **state)
{
	uint8_t hello[SOTTO_CLIENT_HELLO], random[SOTTO_CLIENT_RANDOM];
	struct sotto_client_secrets secrets;

	(void)state;
	random_of_test(random, sizeof(random));
	sotto_client_hello(hello, &secrets, random);
	say(s, SOTTO_NET, "XSOTTO 1 0\r\n");
	expect(s, SOTTO_NET, "501 5.5.4 XSOTTO command malformed\r\n");
	say(s, SOTTO_NET, SOTTO_COMMAND);
	assert_int_equal(feed(s, SOTTO_NET, hello, sizeof(hello)), sizeof(hello));
	expect(s, SOTTO_NET, "503 5.5.1 XSOTTO was refused already\r\n");
	mail_goes_on_in_the_clear();
}

static void no_randomness_is_454(void **state)
{
	uint8_t hello[SOTTO_CLIENT_HELLO] = { 0 };

	(void)state;
	s->config.random = no_random;
	say(s, SOTTO_NET, SOTTO_COMMAND);
	assert_int_equal(feed(s, SOTTO_NET, hello, sizeof(hello)), sizeof(hello));
	expect(s, SOTTO_NET, "454 4.7.0 XSOTTO temporarily not possible\r\n");
	mail_goes_on_in_the_clear();
}

/* PROTOCOL.md 3: allows 60 seconds for the octets of the hello, then 421. */
static void a_hello_that_does_not_come_is_421_after_a_minute(void **state)
{
	uint64_t began;

	(void)state;
	assert_int_equal(sotto_session_deadline(s), 0);
	advance(s, 1000000);
	began = s->now;
	say(s, SOTTO_NET, SOTTO_COMMAND);
	assert_int_equal(sotto_session_deadline(s), began + 60000);
	give(1215);
	advance(s, 59999);
	assert_int_equal(sotto_session_wishes(s), 0);
	advance(s, 1);
	expect(s, SOTTO_NET, "421 4.4.2 XSOTTO hello did not come in time\r\n");
	assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA);
	assert_true(s->report.failed && s->report.silent);
	expect(s, SOTTO_MTA, "");
}

static void a_client_that_leaves_within_its_hello_ends_it(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		if (n == 1) {
			end_session(s);
			(void)offered(NULL);
		}
		say(s, SOTTO_NET, SOTTO_COMMAND);
		give(1215);
		if (n == 0)
			sotto_session_eof(s, SOTTO_NET);
		else
			sotto_session_gone(s, SOTTO_NET);
		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA);
		assert_int_equal(s->report.failure, n == 0 ? SOTTO_CAUSE_CLOSED : SOTTO_CAUSE_RESET);
		expect(s, SOTTO_MTA, "");
		expect(s, SOTTO_NET, "");
	}
}

static void another_command_ends_the_offer(void **state)
{
	(void)state;
	say(s, SOTTO_NET, "NOOP\r\n");
	expect(s, SOTTO_MTA, "NOOP\r\n");
	assert_int_equal(s->report.cause, SOTTO_CAUSE_NOT_TAKEN);
	say(s, SOTTO_NET, "XSOTTO 1 1216\r\n");
	expect(s, SOTTO_MTA, "XSOTTO 1 1216\r\n");
	assert_true(sotto_session_is_opaque(s));
}

/* PROTOCOL.md 3: acts on the command only when its EHLO reply has been sent whole. */
static void a_command_waits_until_the_reply_has_gone(void **state)
{
	struct sotto_session *t = new_session(&config);
	size_t len;

	(void)state;
	say(t, SOTTO_MTA, GREETING);
	expect(t, SOTTO_NET, GREETING);
	say(t, SOTTO_NET, EHLO);
	expect(t, SOTTO_MTA, EHLO);
	say(t, SOTTO_MTA, REPLY_PLAIN);
	say(t, SOTTO_NET, "XSOTTO 1 0\r\n");
	(void)sotto_session_ready(t, SOTTO_NET, &len);
	assert_int_equal(len, strlen(REPLY_OFFER));
	sotto_session_sent(t, SOTTO_NET, len - 1);
	(void)sotto_session_ready(t, SOTTO_NET, &len);
	assert_int_equal(len, 1);
	sotto_session_sent(t, SOTTO_NET, 1);
	expect(t, SOTTO_NET, "501 5.5.4 XSOTTO command malformed\r\n");
	end_session(t);
}

/* Whatever our mail server says while a hello comes waits, and is heard by the client alone, sealed or not. */
static void what_our_mail_server_says_meanwhile_waits(void **state)
{
	(void)state;
	say(s, SOTTO_NET, "XSOTTO 2 3\r\n12");
	assert_int_equal(feed(s, SOTTO_MTA, "421 bye\r\n", 9), 0);
	say(s, SOTTO_NET, "3");
	expect(s, SOTTO_NET, "504 5.5.4 XSOTTO version not supported\r\n");
	say(s, SOTTO_MTA, "421 bye\r\n");
	expect(s, SOTTO_NET, "421 bye\r\n");
	assert_true(sotto_session_is_opaque(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_leaves_the_session_in_step),
		cmocka_unit_test(without_a_length_it_is_501_and_the_end),
		cmocka_unit_test_setup_teardown(a_second_command_is_503_and_the_ninth_the_end, offered, done),
		cmocka_unit_test_setup_teardown(even_a_good_command_is_503_after_a_refusal, offered, done),
		cmocka_unit_test_setup_teardown(no_randomness_is_454, offered, done),
		cmocka_unit_test_setup_teardown(a_hello_that_does_not_come_is_421_after_a_minute, offered, done),
		cmocka_unit_test_setup_teardown(a_client_that_leaves_within_its_hello_ends_it, offered, done),
		cmocka_unit_test_setup_teardown(another_command_ends_the_offer, offered, done),
		cmocka_unit_test_setup_teardown(a_command_waits_until_the_reply_has_gone, offered, done),
		cmocka_unit_test_setup_teardown(what_our_mail_server_says_meanwhile_waits, offered, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
