/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-turns.c - whose turn it is before anything is sealed: greetings go on as they come, an offer is made only where none is,
 * what comes out of turn or leaves in the middle of an exchange does no harm.
 */
#include "tests/unit/protocol-peer.h"

#define REQUIRED "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n"

static struct sotto_session_config config;
static struct peer p;

static enum sotto_side greets(unsigned role)
{
	return role == SOTTO_ACCEPT ? SOTTO_MTA : SOTTO_NET;
}

static void a_greeting_goes_on_octet_by_octet_as_it_comes(void **state)
{
	static const char *const greetings[] = { GREETING, "220-a\r\n220-b\r\n220 c\r\n", "554-no\r\n554 no\r\n", "220 a\nb\r\n" };

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		struct sotto_session *s;

		config = plain_config((enum sotto_role)(n % 2));
		/* before a greeting is whole nobody knows whether it can be sealed, required or not */
		config.clear = n % 4 < 2 ? SOTTO_CLEAR_PASS : SOTTO_CLEAR_451;
		s = new_session(&config);
		for (const char *c = greetings[n / 4]; *c != '\0'; c++) {
			const char one[2] = { *c, '\0' };

			/* a required session has ended behind the octet that told */
			if (feed(s, greets(n % 2), c, 1) == 0)
				break;
			expect(s, (enum sotto_side)!greets(n % 2), one);
		}
		end_session(s);
	}
}

static void a_keyword_of_our_mail_servers_own_keeps_us_out(void **state)
{
	static const char *const replies[] = { REPLY_OFFER, "250-s\r\n250 XSOTTO 1\r\n", "250-s\r\n250 xsotto 2 3\r\n", "250-s\r\n250 XSOTTO\r\n" };
	static const char command[] = "XSOTTO 1 5\r\nab\0\n\xff" "MAIL FROM:<>\r\n", answer[] = "220 yes\r\n\x01\x00\x02";

	(void)state;
	for (unsigned n = 0; n < sizeof(replies) / sizeof(replies[0]); n++) {
		struct sotto_session *s;
		struct octets got = { 0 };

		config = plain_config(SOTTO_ACCEPT);
		s = new_session(&config);
		say(s, SOTTO_MTA, GREETING);
		expect(s, SOTTO_NET, GREETING);
		say(s, SOTTO_NET, EHLO);
		expect(s, SOTTO_MTA, EHLO);
		say(s, SOTTO_MTA, replies[n]);
		expect(s, SOTTO_NET, replies[n]);
		assert_int_equal(s->report.cause, SOTTO_CAUSE_MTA_OFFERS);
		/* its own exchange goes through to it, octet for octet */
		assert_int_equal(feed(s, SOTTO_NET, command, sizeof(command)), sizeof(command));
		take(s, SOTTO_MTA, &got);
		assert_int_equal(got.len, sizeof(command));
		assert_memory_equal(got.p, command, sizeof(command));
		clear(&got);
		assert_int_equal(feed(s, SOTTO_MTA, answer, sizeof(answer)), sizeof(answer));
		take(s, SOTTO_NET, &got);
		assert_int_equal(got.len, sizeof(answer));
		assert_memory_equal(got.p, answer, sizeof(answer));
		clear(&got);
		end_session(s);
	}
}

/* PROTOCOL.md 2: the first line of an EHLO reply is never a keyword: a host may be called so. */
static void a_mail_server_by_the_name_of_the_keyword_is_offered_for(void **state)
{
	static const char *const replies[][2] = { { "250 XSOTTO 1\r\n", "250-XSOTTO 1\r\n250 XSOTTO 1\r\n" },
						  { "250-XSOTTO 1\r\n250 SIZE\r\n", "250-XSOTTO 1\r\n250-XSOTTO 1\r\n250 SIZE\r\n" } };

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct sotto_session *s;

		config = plain_config(SOTTO_ACCEPT);
		s = new_session(&config);
		say(s, SOTTO_MTA, GREETING);
		expect(s, SOTTO_NET, GREETING);
		say(s, SOTTO_NET, EHLO);
		expect(s, SOTTO_MTA, EHLO);
		say(s, SOTTO_MTA, replies[n][0]);
		expect(s, SOTTO_NET, replies[n][1]);
		end_session(s);
		/* and the client takes it, and shows its mail server the reply as it was */
		config = plain_config(SOTTO_CONNECT);
		p = (struct peer){ .s = new_session(&config) };
		peer_reads_hello(&p, replies[n][1]);
		end_session(p.s);
	}
}

/* A session in the role accept, offered, or the hello under way; in the role connect, the hello sent. */
static struct sotto_session *exchanging(unsigned role)
{
	struct octets reply = { 0 };

	config = plain_config((enum sotto_role)role);
	p = (struct peer){ .s = new_session(&config) };
	if (role == SOTTO_CONNECT) {
		peer_reads_hello(&p, REPLY_OFFER);
		return p.s;
	}
	peer_gets_offer(&p, &reply);
	clear(&reply);
	say(p.s, SOTTO_NET, SOTTO_COMMAND);
	return p.s;
}

/* Our mail server leaves in the middle of it: what can be finished is, and CLOSE goes out at once. */
static void a_mail_server_that_leaves_during_the_exchange_ends_it_orderly(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		unsigned role = n % 2;
		struct sotto_session *s = exchanging(role);
		struct octets got = { 0 }, answer = { 0 };

		if (n < 2)
			sotto_session_eof(s, SOTTO_MTA);
		else
			sotto_session_gone(s, SOTTO_MTA);
		assert_int_equal(sotto_session_wishes(s), 0);
		if (role == SOTTO_CONNECT) {
			peer_answers(&p, REPLY_OFFER, GO, &answer);
			assert_int_equal(feed(s, SOTTO_NET, answer.p, answer.len), answer.len);
			assert_true(peer_hears(&p, &got));
			assert_int_equal(got.len, 0);
		} else {
			uint8_t random[SOTTO_CLIENT_RANDOM];

			(void)random_of_test(random, sizeof(random));
			sotto_client_hello(p.client_hello, &p.secrets, random);
			assert_int_equal(feed(s, SOTTO_NET, p.client_hello, SOTTO_CLIENT_HELLO), SOTTO_CLIENT_HELLO);
			take(s, SOTTO_NET, &got);
			assert_int_equal(got.len, strlen(GO) + SOTTO_SERVER_HELLO + 19 + 19);	/* IDENT, CLOSE */
		}
		assert_true(sotto_session_is_sealed(s));
		assert_int_equal(sotto_session_wishes(s) & SOTTO_WISH_SHUT_NET, SOTTO_WISH_SHUT_NET);
		sotto_session_eof(s, SOTTO_NET);
		if (n >= 2)
			expect(s, SOTTO_MTA, "");
		else
			expect(s, SOTTO_MTA, role == SOTTO_CONNECT ? REPLY_PLAIN : "");
		assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
		assert_false(sotto_session_wishes(s) & SOTTO_WISH_ABORT);
		end_session(s);
		clear(&got);
		clear(&answer);
	}
}

/* What our mail server says too early is part of the session; the client alone hears it, once it is sealed, in its order. */
static void what_our_mail_server_says_during_the_hello_comes_sealed(void **state)
{
	struct sotto_session *s = exchanging(SOTTO_ACCEPT);
	struct octets got = { 0 };
	uint8_t random[SOTTO_CLIENT_RANDOM];

	(void)state;
	(void)random_of_test(random, sizeof(random));
	sotto_client_hello(p.client_hello, &p.secrets, random);
	assert_int_equal(feed(s, SOTTO_NET, p.client_hello, SOTTO_CLIENT_HELLO - 1), SOTTO_CLIENT_HELLO - 1);
	assert_int_equal(feed(s, SOTTO_MTA, "421 late\r\n", 10), 0);
	assert_int_equal(feed(s, SOTTO_NET, p.client_hello + SOTTO_CLIENT_HELLO - 1, 1), 1);
	say(s, SOTTO_MTA, "421 late\r\n");
	take(s, SOTTO_NET, &got);
	assert_int_equal(got.len, strlen(GO) + SOTTO_SERVER_HELLO + 19 + 2 + 10 + 1 + 16);
	assert_false(has_text(&got, "421"));
	end_session(s);
	clear(&got);
}

/* PROTOCOL.md 2: no reply is owed when the command is acted on. A reply too many keeps the exchange from being. */
static void a_reply_that_nobody_asked_for_ends_the_offer(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct octets reply = { 0 };

		config = plain_config(SOTTO_ACCEPT);
		p = (struct peer){ .s = new_session(&config) };
		peer_gets_offer(&p, &reply);
		clear(&reply);
		/* one octet of it is enough */
		assert_int_equal(feed(p.s, SOTTO_MTA, "250 extra\r\n", n == 0 ? 1 : n == 1 ? 9 : 11), n == 0 ? 1 : n == 1 ? 9 : 11);
		assert_true(sotto_session_is_opaque(p.s));
		assert_int_equal(p.s->report.cause, SOTTO_CAUSE_EARLY);
		take(p.s, SOTTO_NET, &reply);
		clear(&reply);
		say(p.s, SOTTO_NET, SOTTO_COMMAND);
		expect(p.s, SOTTO_NET, "");
		expect(p.s, SOTTO_MTA, SOTTO_COMMAND);
		end_session(p.s);
	}
}

/* Where encryption is required the first command other than EHLO, XSOTTO and QUIT is 451 already, and so is each that follows. */
static void required_whatever_command_comes_is_451(void **state)
{
	static const char *const commands[] = { "HELO x\r\n",	     "MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n", "DATA\r\n",
						"BDAT 5 LAST\r\n",   "STARTTLS\r\n",	  "AUTH PLAIN AGEAYg==\r\n", "VRFY x\r\n",
						"EXPN x\r\n",	     "NOOP\r\n",	  "RSET\r\n",	     "HELP\r\n",
						"XCLIENT NAME=x\r\n", "LHLO x\r\n",	  "ETRN x\r\n",	     "x\r\n",
						"\r\n",		     "QUITE\r\n" };

	(void)state;
	for (unsigned n = 0; n < 2 * sizeof(commands) / sizeof(commands[0]); n++) {
		struct octets reply = { 0 };
		struct sotto_session *s;

		config = plain_config(SOTTO_ACCEPT);
		config.clear = SOTTO_CLEAR_451;
		p = (struct peer){ .s = s = new_session(&config) };
		if (n % 2)
			peer_gets_offer(&p, &reply);
		else {
			say(s, SOTTO_MTA, GREETING);
			expect(s, SOTTO_NET, GREETING);
		}
		clear(&reply);
		for (unsigned i = 0; i < 2; i++) {
			say(s, SOTTO_NET, commands[n / 2]);
			expect(s, SOTTO_NET, REQUIRED);
		}
		say(s, SOTTO_NET, "EHLO x\r\n");
		expect(s, SOTTO_NET, REQUIRED);
		say(s, SOTTO_NET, "quit\r\n");
		expect(s, SOTTO_NET, "221 2.0.0 Bye\r\n");
		expect(s, SOTTO_MTA, "");
		assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
		end_session(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_greeting_goes_on_octet_by_octet_as_it_comes),
		cmocka_unit_test(a_keyword_of_our_mail_servers_own_keeps_us_out),
		cmocka_unit_test(a_mail_server_by_the_name_of_the_keyword_is_offered_for),
		cmocka_unit_test(a_mail_server_that_leaves_during_the_exchange_ends_it_orderly),
		cmocka_unit_test(what_our_mail_server_says_during_the_hello_comes_sealed),
		cmocka_unit_test(a_reply_that_nobody_asked_for_ends_the_offer),
		cmocka_unit_test(required_whatever_command_comes_is_451),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
