/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-session.c - whole dialogues between two sessions: what each mail server hears, and that it does not depend on how the
 * octets were cut into pieces.
 */
#include "tests/unit/protocol-lab.h"

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct lab_command helo[] = { { "HELO c.example\r\n", 1 }, { "MAIL FROM:<a>\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command no_hello[] = { { "MAIL FROM:<a>\r\n", 1 }, { "EHLO c.example\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command pipelined[] = { { "EHLO c.example\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\n", 3 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command lower[] = { { "ehlo c.example\r\n", 1 }, { "mail from:<a>\r\n", 1 }, { "quit\r\n", 1 }, { NULL, 0 } };
static const struct lab_command bare_lf[] = { { "EHLO c.example\n", 1 }, { "MAIL FROM:<a>\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command bare_cr[] = { { "EHLO c\rexample\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command too_long[] = { { "EHLO " LONG LONG LONG LONG LONG LONG "\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command binary[] = { { "EHLO \x80\xff\xfe\x01\r\n", 1 }, { "MAIL FROM:<\xff\x7f>\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
static const struct lab_command leaves[] = { { "EHLO c.example\r\n", 1 }, { NULL, 0 } };
static const struct lab_command leaves_at_once[] = { { NULL, 0 } };
static const struct lab_command half_line[] = { { "EHLO c.exa", 0 }, { NULL, 0 } };
static const struct lab_command twice[] = { { "EHLO c.example\r\n", 1 }, { "EHLO c.example\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };

#define R_TAIL "250 PIPELINING\r\n"
static const struct dialogue {
	const char *name, *greeting, *reply;
	const struct lab_command *script;
	enum sotto_outcome outcome;
	enum sotto_cause connect_cause, accept_cause;
	const char *client_sees;	/* of the EHLO reply, where not as it was */
	bool accept_off;		/* no session behind the server offers */
} dialogues[] = {
	{ .name = "sealed", .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, one line", .reply = "250 s.example\r\n", .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, lower case", .script = lower, .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, many lines of greeting", .greeting = "220-a\r\n220-b\r\n220 c\r\n", .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, binary", .script = binary, .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, left at once", .script = leaves, .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, EHLO twice", .script = twice, .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "sealed, hides PIPECONNECT", .reply = "250-s\r\n250-PIPECONNECT\r\n250 SIZE\r\n", .client_sees = "250-s\r\n250 SIZE\r\n",
	  .outcome = SOTTO_OUTCOME_SEALED },
	{ .name = "not offered", .accept_off = true, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_NOT_OFFERED },
	{ .name = "two keywords", .accept_off = true, .reply = "250-s\r\n250-XSOTTO 1\r\n250-XSOTTO 1\r\n" R_TAIL,
	  .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_TWO_KEYWORDS },
	{ .name = "another version", .accept_off = true, .reply = "250-s\r\n250-XSOTTO 2\r\n" R_TAIL, .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_OTHER_VERSION },
	{ .name = "keyword in the first line", .accept_off = true, .reply = "250-XSOTTO 1\r\n" R_TAIL, .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_NOT_OFFERED },
	{ .name = "the mail server offers it itself, of another version", .reply = "250-s\r\n250-XSOTTO 2\r\n" R_TAIL,
	  .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_OTHER_VERSION, .accept_cause = SOTTO_CAUSE_MTA_OFFERS },
	{ .name = "HELO", .script = helo, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_NO_EHLO,
	  .accept_cause = SOTTO_CAUSE_NO_EHLO },
	{ .name = "MAIL before EHLO", .script = no_hello, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_NO_EHLO,
	  .accept_cause = SOTTO_CAUSE_NO_EHLO },
	{ .name = "bare LF", .script = bare_lf, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ODD,
	  .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "bare CR", .script = bare_cr, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ODD,
	  .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "long line", .script = too_long, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ODD,
	  .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "554 greeting", .greeting = "554 no\r\n", .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_GREETING,
	  .accept_cause = SOTTO_CAUSE_GREETING },
	{ .name = "554 greeting of two lines", .greeting = "554-no\r\n554 no\r\n", .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_GREETING, .accept_cause = SOTTO_CAUSE_GREETING },
	{ .name = "odd greeting", .greeting = "220 hi\n220 hi\r\n", .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ODD,
	  .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "octets behind the greeting", .greeting = GREETING "250 early\r\n", .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_EARLY, .accept_cause = SOTTO_CAUSE_EARLY },
	{ .name = "EHLO refused", .reply = "502 5.5.1 no\r\n", .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_EHLO_REPLY,
	  .accept_cause = SOTTO_CAUSE_EHLO_REPLY },
	{ .name = "EHLO reply with a bare LF", .reply = "250-s\n250 x\r\n", .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_ODD, .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "EHLO reply of two codes", .reply = "250-s\r\n251 x\r\n", .outcome = SOTTO_OUTCOME_CLEAR,
	  .connect_cause = SOTTO_CAUSE_ODD, .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "no words behind 250", .reply = "250\r\n", .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_NOT_OFFERED,
	  .accept_cause = SOTTO_CAUSE_ODD },
	{ .name = "left before EHLO", .script = leaves_at_once, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ENDED,
	  .accept_cause = SOTTO_CAUSE_ENDED },
	{ .name = "left within EHLO", .script = half_line, .outcome = SOTTO_OUTCOME_CLEAR, .connect_cause = SOTTO_CAUSE_ENDED,
	  .accept_cause = SOTTO_CAUSE_ENDED },
};

#define DIALOGUES (sizeof(dialogues) / sizeof(dialogues[0]))

static struct lab *run(const struct dialogue *d, size_t chunk, enum lab_way way, size_t split)
{
	struct lab *l = lab_new();

	l->greeting = d->greeting != NULL ? d->greeting : l->greeting;
	l->ehlo_reply = d->reply != NULL ? d->reply : l->ehlo_reply;
	l->script = d->script != NULL ? d->script : l->script;
	l->accept.use = d->accept_off ? SOTTO_USE_OFF : SOTTO_USE_SEAL;
	l->chunk = chunk;
	l->split[way] = split;
	lab_run(l);
	return l;
}

/* What the script says, and what the same server would have answered if nobody stood between. */
static void check_heard(const struct lab *l, const struct dialogue *d)
{
	struct octets said = { 0 };

	for (unsigned i = 0; i < l->stage; i++)
		add_text(&said, l->script[i].text);
	if (!same(&said, &l->server.heard))
		fail_msg("%s: the server heard %.*s", d->name, (int)l->server.heard.len, (char *)l->server.heard.p);
	clear(&said);
	if (!(l->script == leaves_at_once || l->script == half_line)) {
		add_text(&said, l->greeting);
		for (unsigned i = 0; i < l->stage && l->greeting[0] == '2' && strchr(l->greeting, '\n')[-1] == '\r'; i++) {
			if (strncasecmp(l->script[i].text, "EHLO", 4) == 0)
				add_text(&said, d->client_sees != NULL ? d->client_sees : l->ehlo_reply);
		}
		if (memmem(l->client.heard.p, l->client.heard.len, said.p, strlen(l->greeting)) == NULL)
			fail_msg("%s: the client heard %.*s", d->name, (int)l->client.heard.len, (char *)l->client.heard.p);
	}
	if (d->script == NULL && d->greeting == NULL && d->reply == NULL) {
		add_text(&said, LAB_MAIL_REPLIES);
		if (!same(&said, &l->client.heard))
			fail_msg("%s: the client heard %.*s", d->name, (int)l->client.heard.len, (char *)l->client.heard.p);
	}
	if (d->client_sees != NULL)
		assert_true(has_text(&l->client.heard, d->client_sees));
	else if (d->reply != NULL)
		assert_true(has_text(&l->client.heard, d->reply));
	clear(&said);
}

static void check(const struct lab *l, const struct dialogue *d)
{
	const struct sotto_report *connect = &l->report[SOTTO_CONNECT], *accept = &l->report[SOTTO_ACCEPT];

	if (connect->outcome != d->outcome || connect->cause != d->connect_cause)
		fail_msg("%s: connect came to outcome %u: %s", d->name, connect->outcome, sotto_cause_text(connect->cause));
	if (!d->accept_off && (accept->outcome != d->outcome || accept->cause != d->accept_cause))
		fail_msg("%s: accept came to outcome %u: %s", d->name, accept->outcome, sotto_cause_text(accept->cause));
	if (d->outcome == SOTTO_OUTCOME_SEALED) {
		assert_int_equal(connect->version, 1);
		assert_memory_equal(connect->session_id, accept->session_id, SOTTO_SESSION_ID);
		assert_true(accept->authenticated);
		assert_int_equal(connect->identity, SOTTO_IDENTITY_NONE);
		for (unsigned way = 0; way < 2; way++)
			assert_false(has_text(&l->crossed[way], "MAIL") || has_text(&l->crossed[way], "body"));
	}
	assert_false(connect->failed || connect->lost || accept->failed || accept->lost || l->aborted[0] || l->aborted[1]);
	assert_int_equal(l->connections, 0);
	check_heard(l, d);
}

static void every_dialogue_comes_out_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		struct lab *l = run(&dialogues[i], 0, C2S, 0);

		check(l, &dialogues[i]);
		lab_free(l);
	}
}

static void one_octet_at_a_time_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		struct lab *l = run(&dialogues[i], 1, C2S, 0);

		check(l, &dialogues[i]);
		lab_free(l);
	}
}

/* Whether an octet that crosses is inside the long random middle of a hello. */
static bool within_a_hello(const struct dialogue *d, unsigned way, size_t at)
{
	size_t lines = way == C2S ? strlen(d->script != NULL ? d->script[0].text : lab_mail[0].text) :
				    strlen(d->greeting != NULL ? d->greeting : GREETING) +
				    strlen(d->reply != NULL ? d->reply : REPLY_PLAIN) + SOTTO_EHLO_INSERTED;
	size_t from = lines + (way == C2S ? strlen(SOTTO_COMMAND) : strlen(SOTTO_GO));

	return at > from + 3 && at < from + (way == C2S ? SOTTO_CLIENT_HELLO : SOTTO_SERVER_HELLO) - 3;
}

static void a_cut_in_two_at_any_octet_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (unsigned way = 0; way < 2; way++) {
			size_t crossed = 1;

			for (size_t split = 1; split < crossed + 1; split++) {
				/* the hellos of the second and later sealed dialogues are no different from those of the first */
				if (i > 0 && dialogues[i].outcome == SOTTO_OUTCOME_SEALED && within_a_hello(&dialogues[i], way, split))
					continue;
				struct lab *l = run(&dialogues[i], 0, (enum lab_way)way, split);

				check(l, &dialogues[i]);
				crossed = l->crossed[way].len;
				lab_free(l);
			}
		}
	}
}

static void random_pieces_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (unsigned n = 0; n < 20; n++) {
			struct lab *l = run(&dialogues[i], 1 + dice(700), dice(2) ? C2S : S2C, dice(2000));

			check(l, &dialogues[i]);
			lab_free(l);
		}
	}
}

/* A client that does not wait: its commands reach the mail server early, in the clear, and nobody offers. */
static void who_does_not_wait_for_the_reply_gets_no_offer(void **state)
{
	(void)state;
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct lab *l = lab_new();

		l->connect.use = SOTTO_USE_OFF;
		l->script = pipelined;
		l->chunk = chunk;
		lab_run(l);
		assert_int_equal(l->report[SOTTO_ACCEPT].outcome, SOTTO_OUTCOME_CLEAR);
		assert_text(&l->server.heard, "EHLO c.example\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nQUIT\r\n");
		assert_text(&l->client.heard, GREETING REPLY_PLAIN "250 2.0.0 ok\r\n250 2.0.0 ok\r\n221 2.0.0 bye\r\n");
		lab_free(l);
	}
}

static void odd_ehlo_reply(const struct octets *reply, enum sotto_outcome outcome, enum sotto_cause accept_cause)
{
	for (size_t chunk = 0; chunk < 2; chunk++) {
		struct lab *l = lab_new();
		struct octets want = { 0 };

		add(&l->ehlo_octets, reply->p, reply->len);
		l->chunk = chunk;
		lab_run(l);
		assert_int_equal(l->report[SOTTO_CONNECT].outcome, outcome);
		assert_int_equal(l->report[SOTTO_ACCEPT].cause, accept_cause);
		add_text(&want, GREETING);
		add(&want, reply->p, reply->len);
		assert_true(l->client.heard.len >= want.len);
		assert_memory_equal(l->client.heard.p, want.p, want.len);
		clear(&want);
		lab_free(l);
	}
}

/* PROTOCOL.md 9 */
static void an_ehlo_reply_that_is_odd_or_over_16_kib_passes_as_it_came(void **state)
{
	struct octets o = { 0 };

	(void)state;
	add(&o, "250-a\0b\r\n250 c\r\n", 16);
	odd_ehlo_reply(&o, SOTTO_OUTCOME_CLEAR, SOTTO_CAUSE_ODD);
	clear(&o);
	add_text(&o, "250-a\rb\r\n250 c\r\n");
	odd_ehlo_reply(&o, SOTTO_OUTCOME_CLEAR, SOTTO_CAUSE_ODD);
	clear(&o);
	/* 16 KiB to the octet: whole for the one that accepts, but no room for the keyword */
	for (unsigned i = 0; i < 2047; i++)
		add_text(&o, "250-xy\r\n");
	add_text(&o, "250 xy\r\n");
	assert_int_equal(o.len, SOTTO_SMTP_REPLY_MAX);
	odd_ehlo_reply(&o, SOTTO_OUTCOME_CLEAR, SOTTO_CAUSE_ODD);
	o.len -= 8;
	add_text(&o, "250-xy\r\n250 xy\r\n");
	odd_ehlo_reply(&o, SOTTO_OUTCOME_CLEAR, SOTTO_CAUSE_ODD);
	clear(&o);
	for (unsigned i = 0; i < 2045; i++)
		add_text(&o, "250-xy\r\n");
	add_text(&o, "250 xy\r\n");
	odd_ehlo_reply(&o, SOTTO_OUTCOME_SEALED, SOTTO_CAUSE_NONE);
	clear(&o);
}

static void starttls_is_hidden_only_where_that_was_asked_for(void **state)
{
	(void)state;
	for (unsigned hide = 0; hide < 2; hide++) {
		struct lab *l = lab_new();

		l->connect.hide_starttls = hide == 1;
		lab_run(l);
		assert_int_equal(has_text(&l->client.heard, "250-STARTTLS\r\n"), hide == 0);
		assert_int_equal(l->report[SOTTO_CONNECT].outcome, SOTTO_OUTCOME_SEALED);
		lab_free(l);
		/* in the clear nothing is hidden */
		l = lab_new();
		l->connect.hide_starttls = hide == 1;
		l->accept.random = no_random;
		lab_run(l);
		assert_text(&l->client.heard, GREETING REPLY_OFFER LAB_MAIL_REPLIES);
		assert_int_equal(l->report[SOTTO_CONNECT].cause, SOTTO_CAUSE_REFUSED);
		assert_int_equal(l->report[SOTTO_CONNECT].refusal, 454);
		assert_text(&l->server.heard, LAB_MAIL_OCTETS);
		lab_free(l);
	}
}

static void a_client_without_randomness_goes_on_in_the_clear(void **state)
{
	struct lab *l = lab_new();

	(void)state;
	l->connect.random = no_random;
	lab_run(l);
	assert_text(&l->client.heard, GREETING REPLY_OFFER LAB_MAIL_REPLIES);
	assert_text(&l->server.heard, LAB_MAIL_OCTETS);
	assert_int_equal(l->report[SOTTO_CONNECT].cause, SOTTO_CAUSE_RANDOM);
	assert_int_equal(l->connections, 0);
	lab_free(l);
}

static void off_and_observe_change_no_octet(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct lab *l = lab_new();
		bool offers = i == 1 || i == 3;

		l->connect.use = i < 2 ? SOTTO_USE_OFF : SOTTO_USE_OBSERVE;
		l->accept.use = offers ? SOTTO_USE_SEAL : i == 0 ? SOTTO_USE_OFF : SOTTO_USE_OBSERVE;
		lab_run(l);
		assert_text(&l->server.heard, LAB_MAIL_OCTETS);
		assert_true(has_text(&l->client.heard, offers ? GREETING REPLY_OFFER : GREETING REPLY_PLAIN));
		assert_int_equal(l->report[SOTTO_CONNECT].outcome, SOTTO_OUTCOME_CLEAR);
		assert_int_equal(l->report[SOTTO_CONNECT].offer_known, i >= 2);
		assert_int_equal(l->report[SOTTO_CONNECT].offered, i == 3);
		assert_int_equal(l->report[SOTTO_CONNECT].cause, i < 2 ? SOTTO_CAUSE_OFF : i == 3 ? SOTTO_CAUSE_OBSERVED : SOTTO_CAUSE_NOT_OFFERED);
		lab_free(l);
	}
}

static void the_ehlo_name_is_reported_in_printable_octets(void **state)
{
	struct lab *l = lab_new();

	(void)state;
	l->script = binary;
	lab_run(l);
	assert_string_equal(l->report[SOTTO_ACCEPT].ehlo_name, "????");
	lab_free(l);
	l = lab_new();
	lab_run(l);
	assert_string_equal(l->report[SOTTO_ACCEPT].ehlo_name, "c.example");
	lab_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_dialogue_comes_out_as_it_should),
		cmocka_unit_test(one_octet_at_a_time_changes_nothing),
		cmocka_unit_test(a_cut_in_two_at_any_octet_changes_nothing),
		cmocka_unit_test(random_pieces_change_nothing),
		cmocka_unit_test(who_does_not_wait_for_the_reply_gets_no_offer),
		cmocka_unit_test(an_ehlo_reply_that_is_odd_or_over_16_kib_passes_as_it_came),
		cmocka_unit_test(starttls_is_hidden_only_where_that_was_asked_for),
		cmocka_unit_test(a_client_without_randomness_goes_on_in_the_clear),
		cmocka_unit_test(off_and_observe_change_no_octet),
		cmocka_unit_test(the_ehlo_name_is_reported_in_printable_octets),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
