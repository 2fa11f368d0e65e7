/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-tamper.c - somebody on the wire flips, injects, strips and alters. What the mail servers hear is what was sent, or
 * less of it, or the whole of it once, on a new connection in the clear. Never anything else as something sealed.
 * With VALGRIND in the environment: one bit of each octet of the hellos, not every one.
 */
#include "tests/unit/protocol-lab.h"

#define COMMAND_AT strlen(EHLO)
#define HELLO_AT (COMMAND_AT + strlen(SOTTO_COMMAND))
#define RECORDS_AT (HELLO_AT + SOTTO_CLIENT_HELLO)
#define REPLY_AT strlen(GREETING)
#define GO_AT (REPLY_AT + strlen(REPLY_OFFER))
#define SERVER_HELLO_AT (GO_AT + strlen(GO))
#define SERVER_RECORDS_AT (SERVER_HELLO_AT + SOTTO_SERVER_HELLO)

static bool begins(const struct octets *o, const char *with)
{
	return o->len <= strlen(with) && (o->len == 0 || memcmp(o->p, with, o->len) == 0);
}

/* What the server heard is a part of the mail, but for the one bit in the EHLO line that crossed in the clear. */
static bool part_of_the_mail(const struct octets *heard, const struct lab_tamper *t)
{
	char mail[] = LAB_MAIL_OCTETS;

	if (t->way == C2S && t->at < COMMAND_AT)
		mail[t->at] = (char)((unsigned char)mail[t->at] ^ 1u << t->bit);
	return heard->len < sizeof(mail) && (heard->len == 0 || memcmp(heard->p, mail, heard->len) == 0);
}

#define CUT "421 4.4.2 XSOTTO: the connection was lost\r\n"

/* What the server said, as far as it got; and then, maybe, that it was cut off, which is for our own side to say, at the end of a line. */
static bool client_heard_right(const struct lab *l)
{
	struct octets said = l->client.heard;
	size_t len = strlen(CUT);

	if (said.len >= len && memcmp(said.p + said.len - len, CUT, len) == 0) {
		said.len -= len;
		if (said.len > 0 && said.p[said.len - 1] != '\n')
			return false;
	}
	return begins(&said, GREETING REPLY_PLAIN LAB_MAIL_REPLIES) || begins(&said, GREETING REPLY_OFFER LAB_MAIL_REPLIES);
}

static struct lab *tampered(struct lab_tamper t)
{
	struct lab *l = lab_new();

	l->tamper = t;
	lab_run(l);
	return l;
}

/* Lost, and said so; or a mail server that did not get its reply gave up. */
static bool noticed(const struct lab *l)
{
	return l->report[SOTTO_CONNECT].lost || l->report[SOTTO_ACCEPT].lost || !has_text(&l->client.heard, "221");
}

/* `last`: in the CLOSE of this way. Where one's own went first a missing one in return is no failure, so nobody need notice. */
static void check_flip(enum lab_way way, size_t at, unsigned bit, bool last)
{
	struct lab_tamper t = { .op = LAB_FLIP, .way = way, .at = at, .bit = bit };
	struct lab *l = tampered(t);
	bool in_command = way == C2S && at >= COMMAND_AT && at < HELLO_AT;
	bool in_lines = at < (way == C2S ? COMMAND_AT : GO_AT), sealed = at >= (way == C2S ? RECORDS_AT : SERVER_RECORDS_AT);
	const char *wrong = NULL;

	if (l->connections > 1)
		wrong = "more than one new connection";
	else if (l->connections == 1 && !is_text(&l->server.heard, LAB_MAIL_OCTETS))
		wrong = "the new connection did not bring the mail";
	else if (l->connections == 1 && (has_text(&l->first_heard, "MAIL") || has_text(&l->first_heard, "Subject")))
		wrong = "sent twice";
	else if (!in_command && !part_of_the_mail(l->connections ? &l->first_heard : &l->server.heard, &t))
		wrong = "the server heard what was not sent";
	else if (!in_lines && !in_command && !client_heard_right(l))
		wrong = "the client heard what was not sent";
	else if (sealed && (l->connections > 0 || l->report[SOTTO_CONNECT].outcome != SOTTO_OUTCOME_SEALED))
		wrong = "went back from sealed to clear";
	else if (sealed && !last && !noticed(l))
		wrong = "nobody noticed";
	else if (!sealed && l->connections == 0 && l->report[SOTTO_CONNECT].outcome == SOTTO_OUTCOME_SEALED &&
		 !(way == S2C && at < REPLY_AT))
		wrong = "sealed all the same";
	if (wrong != NULL)
		fail_msg("flip of bit %u of octet %zu, way %u: %s", bit, at, way, wrong);
	lab_free(l);
}

static void a_flip_of_any_bit_changes_nothing_that_is_heard(void **state)
{
	bool all = getenv("VALGRIND") == NULL;

	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		size_t from = way == C2S ? HELLO_AT : SERVER_HELLO_AT, to = way == C2S ? RECORDS_AT : SERVER_RECORDS_AT;
		struct lab *l = tampered((struct lab_tamper){ 0 });
		size_t crossed = l->crossed[way].len;

		lab_free(l);
		assert_true(crossed > to + 100);
		for (size_t at = 0; at < crossed; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				if (all || at < from || at >= to || bit == at % 8)
					check_flip((enum lab_way)way, at, bit, at >= crossed - 19);
			}
		}
	}
}

static void check_inject(enum lab_way way, size_t at, const char *what, size_t len, size_t chunk)
{
	struct lab *l = lab_new();
	const struct octets *heard = way == C2S ? &l->server.heard : &l->client.heard;
	bool greeting = way == S2C && at < REPLY_AT;	/* that crosses in the clear and is under no seal */

	l->tamper = (struct lab_tamper){ .op = LAB_INJECT, .way = way, .at = at, .octets = what, .inject_len = len };
	l->chunk = chunk;
	lab_run(l);
	if (l->connections > 1 || (l->connections == 1 && !is_text(&l->server.heard, LAB_MAIL_OCTETS)))
		fail_msg("injected at %zu, way %u: %u new connections", at, way, l->connections);
	if (l->connections == 1 && has_text(&l->first_heard, "Subject"))
		fail_msg("injected at %zu, way %u: sent twice", at, way);
	if (l->report[SOTTO_CONNECT].outcome == SOTTO_OUTCOME_SEALED && !greeting && has_text(heard, "evil"))
		fail_msg("injected at %zu, way %u: heard as sealed: %.*s", at, way, (int)heard->len, (char *)heard->p);
	if (l->report[SOTTO_CONNECT].outcome == SOTTO_OUTCOME_SEALED && l->connections == 0 && !greeting &&
	    !(begins(&l->server.heard, LAB_MAIL_OCTETS) && client_heard_right(l)))
		fail_msg("injected at %zu, way %u: heard what was not sent", at, way);
	lab_free(l);
}

static void what_is_injected_in_the_clear_is_never_heard_as_sealed(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} what[] = { { "MAIL FROM:<evil>\r\n", 0 }, { "250 evil\r\n", 0 }, { "250-evil\r\n", 0 }, { "220 evil\r\n", 0 },
		     { "\r\nevil\r\n", 0 },	    { "evil", 0 },	   { "\0", 1 },		  { "\r\n", 0 },
		     { "XSOTTO 1 1216\r\n", 0 },    { "454 4.7.0 XSOTTO evil\r\n", 0 },		  { "\x00\x11" "evil-evil-evil-evil", 21 } };

	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		struct lab *l = tampered((struct lab_tamper){ 0 });
		size_t crossed = l->crossed[way].len;

		lab_free(l);
		for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
			size_t from = way == C2S ? HELLO_AT : SERVER_HELLO_AT, to = way == C2S ? RECORDS_AT : SERVER_RECORDS_AT;

			for (size_t at = 0; at < crossed; at += at > from + 2 && at + 40 < to ? 31 : 1)
				check_inject((enum lab_way)way, at, what[i].octets, what[i].len, at % 3);
		}
	}
}

/* An alteration on the first connection: told, and then in the clear, or once more sealed. */
static void check_altered(enum lab_way way, const char *what, const char *with)
{
	for (unsigned before = 0; before < 2; before++) {
		struct lab *l = lab_new();
		const struct sotto_report *r = &l->report[SOTTO_CONNECT];

		l->connect.sealed_before = before == 1;
		l->tamper = (struct lab_tamper){ .op = LAB_REPLACE, .way = way, .octets = what, .with = with };
		lab_run(l);
		if (r->failure != SOTTO_CAUSE_ALTERED || !r->failed || l->connections != 1)
			fail_msg("%s for %s was not noticed", with, what);
		assert_int_equal(r->outcome, before ? SOTTO_OUTCOME_SEALED : SOTTO_OUTCOME_CLEAR);
		assert_text(&l->server.heard, LAB_MAIL_OCTETS);
		assert_true(client_heard_right(l));
		assert_false(l->aborted[SOTTO_CONNECT]);
		lab_free(l);
	}
}

static void whatever_both_sides_saw_differently_is_told_as_altered(void **state)
{
	(void)state;
	check_altered(C2S, "EHLO c.example", "EHLO d.example");
	check_altered(C2S, "EHLO c.example", "ehlo c.example");
	check_altered(C2S, "EHLO c.example", "EHLO c.example ");
	check_altered(C2S, "XSOTTO 1 1216", "xsotto 1 1216");
	check_altered(S2C, "250-XSOTTO 1", "250-xsotto 1");
	check_altered(S2C, "250-XSOTTO 1", "250-XSOTTO 1 2");
	check_altered(S2C, "250-SIZE 1000", "250-SIZE 9000");
	check_altered(S2C, "250-STARTTLS\r\n", "");
	check_altered(S2C, "s.example at", "t.example at");
	check_altered(S2C, "250-XSOTTO 1\r\n250-SIZE 1000\r\n", "250-SIZE 1000\r\n250-XSOTTO 1\r\n");
	check_altered(S2C, "go ahead", "go ahead!");
	check_altered(S2C, "220 2.0.0 XSOTTO go ahead", "220 ");
}

static void a_stripped_or_doubled_keyword_leaves_the_clear(void **state)
{
	static const struct {
		const char *with;
		enum sotto_cause cause;
	} cases[] = { { "", SOTTO_CAUSE_NOT_OFFERED },
		      { "250-XXXXXX 1\r\n", SOTTO_CAUSE_NOT_OFFERED },
		      { "250-XSOTTO 1\r\n250-XSOTTO 1\r\n", SOTTO_CAUSE_TWO_KEYWORDS },
		      { "250-XSOTTO 2\r\n", SOTTO_CAUSE_OTHER_VERSION } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *l = tampered((struct lab_tamper){
			.op = LAB_REPLACE, .way = S2C, .octets = "250-XSOTTO 1\r\n", .with = cases[i].with });

		assert_int_equal(l->report[SOTTO_CONNECT].cause, cases[i].cause);
		assert_int_equal(l->report[SOTTO_ACCEPT].cause, SOTTO_CAUSE_NOT_TAKEN);
		assert_text(&l->server.heard, LAB_MAIL_OCTETS);
		assert_int_equal(l->connections, 0);
		lab_free(l);
	}
}

static void who_alters_every_connection_gets_the_clear_on_the_third_at_most(void **state)
{
	struct lab *l = lab_new();

	(void)state;
	l->connect.sealed_before = true;
	l->tamper = (struct lab_tamper){
		.op = LAB_REPLACE, .way = S2C, .connection = LAB_EACH, .octets = "250-SIZE 1000", .with = "250-SIZE 9000" };
	lab_run(l);
	assert_int_equal(l->connections, 2);
	assert_int_equal(l->report[SOTTO_CONNECT].outcome, SOTTO_OUTCOME_CLEAR);
	assert_int_equal(l->report[SOTTO_CONNECT].cause, SOTTO_CAUSE_ALTERED);
	assert_text(&l->server.heard, LAB_MAIL_OCTETS);
	assert_text(&l->all_heard, EHLO EHLO LAB_MAIL_OCTETS);
	lab_free(l);
}

/* The end or a reset at any octet: the mail in part, or whole on a new connection; sealed, never an orderly end for a mail server
 * that did not hear CLOSE. */
static void a_cut_at_any_octet_loses_or_doubles_nothing(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		enum lab_way way = n % 2 ? S2C : C2S;
		struct lab *l = tampered((struct lab_tamper){ 0 });
		size_t crossed = l->crossed[way].len;

		lab_free(l);
		for (size_t at = 0; at < crossed; at++) {
			struct lab_tamper t = { .op = n < 2 ? LAB_CUT : LAB_RESET, .way = way, .at = at };
			bool sealed = at >= (way == C2S ? RECORDS_AT : SERVER_RECORDS_AT);

			l = tampered(t);
			t.at = SIZE_MAX;
			if (l->connections > 1 || !client_heard_right(l) ||
			    !(part_of_the_mail(l->connections ? &l->first_heard : &l->server.heard, &t) ||
			      begins(&l->first_heard, EHLO SOTTO_COMMAND)) ||
			    (l->connections == 1 && !is_text(&l->server.heard, LAB_MAIL_OCTETS)))
				fail_msg("cut at %zu, way %u: heard otherwise: %.*s", at, way, (int)l->server.heard.len,
					 (char *)l->server.heard.p);
			if (sealed && l->connections == 0 && at < crossed - 19 && !noticed(l))
				fail_msg("cut at %zu, way %u: nobody noticed", at, way);
			if (sealed && way == C2S && l->server.heard_end && !l->server.heard_reset &&
			    !is_text(&l->server.heard, LAB_MAIL_OCTETS))
				fail_msg("cut at %zu: an orderly end", at);
			lab_free(l);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flip_of_any_bit_changes_nothing_that_is_heard),
		cmocka_unit_test(what_is_injected_in_the_clear_is_never_heard_as_sealed),
		cmocka_unit_test(whatever_both_sides_saw_differently_is_told_as_altered),
		cmocka_unit_test(a_stripped_or_doubled_keyword_leaves_the_clear),
		cmocka_unit_test(who_alters_every_connection_gets_the_clear_on_the_third_at_most),
		cmocka_unit_test(a_cut_at_any_octet_loses_or_doubles_nothing),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
