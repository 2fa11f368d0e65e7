/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-require.c - where encryption is required (or our mail server should go on natively), nothing of the envelope passes in
 * the clear, whatever the other side does; the answer is temporary, and QUIT gets 221.
 */
#include "tests/unit/protocol-lab.h"

#define REQUIRED "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n"
#define NATIVE "421 4.7.0 XSOTTO could not be used with this peer\r\n"

static const struct lab_command helo[] = { { "HELO c.example\r\n", 1 }, { "MAIL FROM:<a>\r\n", 1 }, { "RCPT TO:<b>\r\n", 1 },
					   { "DATA\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command mail[] = { { "MAIL FROM:<a>\r\n", 1 }, { "RCPT TO:<b>\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command ehlo[] = { { "EHLO c.example\r\n", 1 }, { "MAIL FROM:<a>\r\n", 1 }, { "RCPT TO:<b>\r\n", 1 },
					   { "DATA\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command pipelined[] = { { "EHLO c.example\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\n", 3 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command bare_lf[] = { { "EHLO c.example\nMAIL FROM:<a>\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };

static const struct dialogue {
	const char *name, *greeting, *reply;
	const struct lab_command *script;
	struct lab_tamper tamper;
} dialogues[] = {
	{ .name = "not offered" },
	{ .name = "HELO", .script = helo },
	{ .name = "MAIL at once", .script = mail },
	{ .name = "pipelined", .script = pipelined },
	{ .name = "bare LF", .script = bare_lf },
	{ .name = "554 greeting", .greeting = "554 no\r\n" },
	{ .name = "odd greeting", .greeting = "220 a\n" },
	{ .name = "early octets", .greeting = GREETING "250 early\r\n" },
	{ .name = "EHLO refused", .reply = "502 no\r\n" },
	{ .name = "odd reply", .reply = "250-a\n250 b\r\n" },
	{ .name = "another version", .reply = "250-a\r\n250 XSOTTO 2\r\n" },
	{ .name = "two keywords", .reply = "250-a\r\n250-XSOTTO 1\r\n250 XSOTTO 1\r\n" },
	{ .name = "offered by one who does not know it", .reply = "250-a\r\n250 XSOTTO 1\r\n" },
	{ .name = "cut", .tamper = { .op = LAB_CUT, .way = S2C, .at = 60 } },
	{ .name = "reset", .tamper = { .op = LAB_RESET, .way = S2C, .at = 60 } },
};

#define DIALOGUES (sizeof(dialogues) / sizeof(dialogues[0]))

static bool envelope(const struct octets *o)
{
	return has_text(o, "MAIL") || has_text(o, "RCPT") || has_text(o, "DATA") || has_text(o, "HELO") || has_text(o, "Subject");
}

static struct lab *run(const struct dialogue *d, size_t chunk, enum sotto_clear connect, enum sotto_clear accept)
{
	struct lab *l = lab_new();

	l->greeting = d->greeting != NULL ? d->greeting : l->greeting;
	l->ehlo_reply = d->reply != NULL ? d->reply : l->ehlo_reply;
	l->script = d->script != NULL ? d->script : ehlo;
	l->tamper = d->tamper;
	l->chunk = chunk;
	l->connect.clear = connect;
	l->accept.clear = accept;
	l->accept.use = accept == SOTTO_CLEAR_PASS ? SOTTO_USE_OFF : SOTTO_USE_SEAL;
	l->connect.use = connect == SOTTO_CLEAR_PASS ? SOTTO_USE_OFF : SOTTO_USE_SEAL;
	lab_run(l);
	return l;
}

static void check(const struct lab *l, const struct dialogue *d, enum sotto_role role)
{
	const struct sotto_report *r = &l->report[role];

	if (r->outcome != SOTTO_OUTCOME_REFUSED)
		fail_msg("%s: outcome %u: %s", d->name, r->outcome, sotto_cause_text(r->cause));
	if (envelope(&l->all_heard) || (role == SOTTO_CONNECT && envelope(&l->crossed[C2S])))
		fail_msg("%s: in the clear: %.*s", d->name, (int)l->crossed[C2S].len, (char *)l->crossed[C2S].p);
	if (l->connections > 0)
		fail_msg("%s: connected again", d->name);
	/* no permanent failure that the other side did not say itself */
	if (has_text(&l->client.heard, "\r\n5") || has_text(&l->client.heard, "250 2.0.0"))
		fail_msg("%s: our mail server heard %.*s", d->name, (int)l->client.heard.len, (char *)l->client.heard.p);
}

static void connecting_nothing_of_the_envelope_goes_out_in_the_clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (unsigned n = 0; n < 4; n++) {
			enum sotto_clear clear_as = n < 2 ? SOTTO_CLEAR_451 : SOTTO_CLEAR_421;
			struct lab *l = run(&dialogues[i], n % 2, clear_as, SOTTO_CLEAR_PASS);

			check(l, &dialogues[i], SOTTO_CONNECT);
			lab_free(l);
		}
	}
}

static void accepting_nothing_of_the_envelope_comes_in_in_the_clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (unsigned chunk = 0; chunk < 2; chunk++) {
			struct lab *l;

			/* what is cut when nobody requires anything is an end like any other */
			if (dialogues[i].tamper.op != LAB_NOTHING)
				continue;
			l = run(&dialogues[i], chunk, SOTTO_CLEAR_PASS, SOTTO_CLEAR_451);
			check(l, &dialogues[i], SOTTO_ACCEPT);
			lab_free(l);
		}
	}
}

static void each_command_gets_451_and_quit_221(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct lab *l = run(&dialogues[0], 0, role == SOTTO_CONNECT ? SOTTO_CLEAR_451 : SOTTO_CLEAR_PASS,
				    role == SOTTO_ACCEPT ? SOTTO_CLEAR_451 : SOTTO_CLEAR_PASS);

		assert_text(&l->client.heard, role == SOTTO_CONNECT ? GREETING REQUIRED REQUIRED REQUIRED REQUIRED "221 2.0.0 Bye\r\n" :
								      GREETING REPLY_OFFER REQUIRED REQUIRED REQUIRED "221 2.0.0 Bye\r\n");
		/* the other side is left politely where it can be */
		assert_text(&l->server.heard, role == SOTTO_CONNECT ? EHLO "QUIT\r\n" : EHLO);
		assert_int_equal(l->report[role].cause, role == SOTTO_CONNECT ? SOTTO_CAUSE_NOT_OFFERED : SOTTO_CAUSE_NOT_TAKEN);
		lab_free(l);
	}
}

static void natively_is_421_to_ehlo_and_a_close(void **state)
{
	struct lab *l = run(&dialogues[0], 0, SOTTO_CLEAR_421, SOTTO_CLEAR_PASS);

	(void)state;
	assert_text(&l->client.heard, GREETING NATIVE);
	assert_text(&l->server.heard, EHLO "QUIT\r\n");
	assert_true(l->client.heard_end);
	lab_free(l);
}

/* ... whatever a peer says: exactly 421, and the peer, where it has greeted, is left politely. */
static void natively_nothing_else_than_421_is_heard(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (unsigned chunk = 0; chunk < 2; chunk++) {
			struct lab *l = run(&dialogues[i], chunk, SOTTO_CLEAR_421, SOTTO_CLEAR_PASS);
			/* octets behind a greeting are seen too late to hold it, or in time */
			bool greets = dialogues[i].greeting == NULL || has_text(&l->client.heard, GREETING);

			if (!has_text(&l->client.heard, greets ? GREETING NATIVE : NATIVE) ||
			    l->client.heard.len != strlen(greets ? GREETING NATIVE : NATIVE))
				fail_msg("%s: heard %.*s", dialogues[i].name, (int)l->client.heard.len, (char *)l->client.heard.p);
			assert_true(l->client.heard_end);
			lab_free(l);
		}
	}
}

#define NAMED "mx.b.example[192.0.2.1]"

static void the_replies_name_the_peer_and_why(void **state)
{
	static const char *const replies[][2] = {
		{ "250-a\r\n250 PIPELINING\r\n", "421 4.3.2 " NAMED " does not offer XSOTTO; nothing was sent\r\n" },
		{ "250-a\r\n250 XSOTTO 2\r\n", "421 4.3.2 " NAMED ": no XSOTTO: no common version; nothing was sent\r\n" },
		{ "550 no\r\n", "421 4.3.2 " NAMED ": no XSOTTO: no 250 reply to EHLO; nothing was sent\r\n" },
		{ "250-a\r\n250 PIPELINING\r\n", "451 4.7.0 Encryption (XSOTTO) is required with " NAMED ", and could not be had\r\n" },
	};

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct sotto_session_config config = plain_config(SOTTO_CONNECT);
		struct sotto_session *s;

		config.clear = n < 3 ? SOTTO_CLEAR_421 : SOTTO_CLEAR_451;
		(void)snprintf(config.peer_name, sizeof(config.peer_name), NAMED);
		s = new_session(&config);
		say(s, SOTTO_NET, GREETING);
		expect(s, SOTTO_MTA, GREETING);
		say(s, SOTTO_MTA, EHLO);
		expect(s, SOTTO_NET, EHLO);
		say(s, SOTTO_NET, replies[n][0]);
		expect(s, SOTTO_MTA, replies[n][1]);
		expect(s, SOTTO_NET, "QUIT\r\n");
		end_session(s);
	}
}

/* Our mail server says something else than EHLO: the peer, which waits for it, is told that nothing will come. */
static void a_peer_that_has_greeted_is_left_with_quit(void **state)
{
	struct sotto_session_config config = plain_config(SOTTO_CONNECT);
	struct sotto_session *s;

	(void)state;
	config.clear = SOTTO_CLEAR_421;
	s = new_session(&config);
	say(s, SOTTO_NET, "220-a\r\n");
	expect(s, SOTTO_MTA, "");
	say(s, SOTTO_NET, "220 b\r\n");
	expect(s, SOTTO_MTA, "220-a\r\n220 b\r\n");
	say(s, SOTTO_MTA, "HELO c.example\r\n");
	expect(s, SOTTO_MTA, NATIVE);
	expect(s, SOTTO_NET, "QUIT\r\n");
	end_session(s);
}

static void what_can_be_sealed_is_not_touched_by_it(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct lab *l = lab_new();

		l->connect.clear = n ? SOTTO_CLEAR_421 : SOTTO_CLEAR_451;
		l->accept.clear = SOTTO_CLEAR_451;
		lab_run(l);
		assert_text(&l->server.heard, LAB_MAIL_OCTETS);
		assert_text(&l->client.heard, GREETING REPLY_PLAIN LAB_MAIL_REPLIES);
		assert_int_equal(l->report[0].outcome, SOTTO_OUTCOME_SEALED);
		assert_int_equal(l->report[1].outcome, SOTTO_OUTCOME_SEALED);
		lab_free(l);
	}
}

static void a_refused_or_failed_exchange_is_451_without_a_new_connection(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct lab *l = lab_new();

		l->connect.clear = SOTTO_CLEAR_451;
		l->connect.sealed_before = true;
		if (n == 0)
			l->accept.random = no_random;
		else
			l->tamper = (struct lab_tamper){ .op = LAB_REPLACE, .way = S2C, .octets = "go ahead", .with = "go away" };
		lab_run(l);
		assert_true(has_text(&l->client.heard, GREETING REQUIRED REQUIRED));
		/* whoever refused in words understands QUIT; any other may still be at our hello */
		assert_text(&l->all_heard, n == 0 ? EHLO "QUIT\r\n" : EHLO);
		assert_int_equal(l->connections, 0);
		assert_int_equal(l->report[SOTTO_CONNECT].cause, n == 0 ? SOTTO_CAUSE_REFUSED : SOTTO_CAUSE_ALTERED);
		lab_free(l);
	}
}

/* With nothing said yet, 421 stands where the greeting would. */
static void off_and_required_together_say_421_at_once(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session_config config = plain_config((enum sotto_role)role);
		struct sotto_session *s;

		config.clear = SOTTO_CLEAR_451;
		config.use = SOTTO_USE_OFF;
		s = new_session(&config);
		expect(s, role == SOTTO_ACCEPT ? SOTTO_NET : SOTTO_MTA, NATIVE);
		expect(s, role == SOTTO_ACCEPT ? SOTTO_MTA : SOTTO_NET, "");
		assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
		end_session(s);
	}
}

static void odd_commands_and_too_many_end_with_421(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct sotto_session_config config = plain_config(SOTTO_ACCEPT);
		struct sotto_session *s;
		struct octets heard = { 0 };

		config.clear = SOTTO_CLEAR_451;
		s = new_session(&config);
		say(s, SOTTO_MTA, GREETING);
		expect(s, SOTTO_NET, GREETING);
		say(s, SOTTO_NET, "NOOP\r\n");
		expect(s, SOTTO_NET, REQUIRED);
		for (unsigned i = 1; n == 0 && i < 20; i++) {
			say(s, SOTTO_NET, "NOOP\r\n");
			expect(s, SOTTO_NET, REQUIRED);
		}
		say(s, SOTTO_NET, n == 0 ? "NOOP\r\n" : "NOOP\n");
		expect(s, SOTTO_NET, NATIVE);
		assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
		expect(s, SOTTO_MTA, "");
		end_session(s);
		clear(&heard);
	}
}

/* Our mail server may end a session that waits: that much is said in the clear. */
static void our_mail_servers_421_still_gets_through(void **state)
{
	struct sotto_session_config config = plain_config(SOTTO_ACCEPT);
	struct sotto_session *s;

	(void)state;
	config.clear = SOTTO_CLEAR_451;
	s = new_session(&config);
	say(s, SOTTO_MTA, GREETING);
	expect(s, SOTTO_NET, GREETING);
	say(s, SOTTO_MTA, "421 too ");
	expect(s, SOTTO_NET, "");
	say(s, SOTTO_MTA, "slow\r\n");
	expect(s, SOTTO_NET, "421 too slow\r\n");
	assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
	end_session(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connecting_nothing_of_the_envelope_goes_out_in_the_clear),
		cmocka_unit_test(accepting_nothing_of_the_envelope_comes_in_in_the_clear),
		cmocka_unit_test(each_command_gets_451_and_quit_221),
		cmocka_unit_test(natively_is_421_to_ehlo_and_a_close),
		cmocka_unit_test(natively_nothing_else_than_421_is_heard),
		cmocka_unit_test(the_replies_name_the_peer_and_why),
		cmocka_unit_test(a_peer_that_has_greeted_is_left_with_quit),
		cmocka_unit_test(what_can_be_sealed_is_not_touched_by_it),
		cmocka_unit_test(a_refused_or_failed_exchange_is_451_without_a_new_connection),
		cmocka_unit_test(off_and_required_together_say_421_at_once),
		cmocka_unit_test(odd_commands_and_too_many_end_with_421),
		cmocka_unit_test(our_mail_servers_421_still_gets_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
