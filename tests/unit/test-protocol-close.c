/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-close.c - a sealed session's records: CLOSE and its order, ends of streams, cover, IDENT (PROTOCOL.md 5 and 7), against a
 * peer that says whatever the test likes.
 */
#include "tests/unit/protocol-peer.h"

#define LOST (SOTTO_WISH_END | SOTTO_WISH_ABORT)	/* and no orderly end of stream */
#define ENDED (SOTTO_WISH_END | SOTTO_WISH_SHUT_NET | SOTTO_WISH_SHUT_MTA)

static struct sotto_session_config config;
static struct peer p;
static struct octets got;

/* Role accept: the peer is a client. Sealed, nothing said yet. */
static struct sotto_session *accepting(void)
{
	struct octets rest = { 0 };

	config = plain_config(SOTTO_ACCEPT);
	peer_as_client(&p, &config, &rest);
	/* IDENT, with no content, came with the hello */
	assert_int_equal(rest.len, 19);
	assert_int_equal(peer_opens(&p, &rest, &(enum sotto_record_type){ 0 }, (uint8_t[64]){ 0 }), 0);
	clear(&rest);
	return p.s;
}

/* Role connect: the peer is a server. Sealed, IDENT was said. */
static struct sotto_session *connecting(void)
{
	config = plain_config(SOTTO_CONNECT);
	peer_as_server(&p, &config);
	peer_says(&p, SOTTO_IDENT_RECORD, NULL, 0);
	expect(p.s, SOTTO_MTA, REPLY_PLAIN);
	return p.s;
}

static struct sotto_session *sealed(unsigned role)
{
	return role == SOTTO_ACCEPT ? accepting() : connecting();
}

#define CUT "421 4.4.2 XSOTTO: the connection was lost\r\n"

/* A client hears 421 behind it, unless it has heard an orderly end, or is within a line. */
static void check_lost(struct sotto_session *s, enum sotto_cause cause, const char *heard)
{
	bool line = heard[0] == '\0' || heard[strlen(heard) - 1] == '\n';
	char text[200];

	(void)snprintf(text, sizeof(text), "%s%s", heard, s->config.role == SOTTO_CONNECT && !s->got_close && line ? CUT : "");
	expect(s, SOTTO_MTA, text);
	if (sotto_session_wishes(s) != LOST || !s->report.lost || s->report.cause != cause)
		fail_msg("wishes %u: %s", sotto_session_wishes(s), sotto_cause_text(s->report.cause));
	end_session(s);
}

static void the_peer_closes_first(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = sealed(role);

		peer_says_text(&p, "last words\r\n");
		peer_says(&p, SOTTO_CLOSE, NULL, 0);
		assert_int_equal(sotto_session_wishes(s), 0);	/* octets before the end */
		expect(s, SOTTO_MTA, "last words\r\n");
		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SHUT_MTA);
		/* our mail server may go on for as long as it likes */
		assert_int_equal(sotto_session_deadline(s), 0);
		advance(s, 1000000);
		say(s, SOTTO_MTA, "still here\r\n");
		sotto_session_eof(s, SOTTO_NET);
		peer_expects(&p, "still here\r\n");
		sotto_session_eof(s, SOTTO_MTA);
		assert_true(peer_hears(&p, &got));
		assert_int_equal(sotto_session_wishes(s), ENDED);
		assert_false(s->report.lost);
		end_session(s);
	}
	clear(&got);
}

static void we_close_first(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (unsigned n = 0; n < 4; n++) {
			struct sotto_session *s = sealed(role);

			say(s, SOTTO_MTA, "last words\r\n");
			sotto_session_eof(s, SOTTO_MTA);
			assert_int_equal(sotto_session_wishes(s), 0);
			assert_true(peer_hears(&p, &got));
			assert_text(&got, "last words\r\n");
			clear(&got);
			assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SHUT_NET);
			assert_int_equal(sotto_session_deadline(s), s->now + 30000);
			peer_says_text(&p, "one thing\r\n");
			expect(s, SOTTO_MTA, "one thing\r\n");
			/* with CLOSE, with an end of the stream, with a reset, with nothing for 30 seconds: no failure */
			if (n == 0)
				peer_says(&p, SOTTO_CLOSE, NULL, 0);
			else if (n == 1)
				sotto_session_eof(s, SOTTO_NET);
			else if (n == 2)
				sotto_session_gone(s, SOTTO_NET);
			else
				advance(s, 29999);
			if (n == 3) {
				assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SHUT_NET);
				advance(s, 1);
			}
			assert_int_equal(sotto_session_wishes(s), ENDED);
			assert_false(s->report.lost);
			end_session(s);
		}
	}
}

/* A slow peer that still reads gets everything: the 30 seconds run while nothing moves. */
static void the_patience_after_close_counts_from_the_last_octet_written(void **state)
{
	struct sotto_session *s = accepting();
	size_t len;

	(void)state;
	say(s, SOTTO_MTA, "221 bye\r\n");
	sotto_session_eof(s, SOTTO_MTA);
	for (unsigned i = 0; i < 10; i++) {
		advance(s, 29999);
		(void)sotto_session_ready(s, SOTTO_NET, &len);
		assert_true(len > 1);
		sotto_session_sent(s, SOTTO_NET, 1);
		assert_int_equal(sotto_session_deadline(s), s->now + 30000);
	}
	advance(s, 30000);
	/* the end still waits for what is left to be written, but not without an end */
	assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SHUT_MTA);
	advance(s, 30000);
	assert_int_equal(sotto_session_wishes(s), LOST);
	end_session(s);
}

/* IDENT does not take the deadline of our CLOSE away. */
static void a_client_that_leaves_at_once_does_not_wait_for_ever(void **state)
{
	(void)state;
	config = plain_config(SOTTO_CONNECT);
	peer_as_server(&p, &config);
	expect(p.s, SOTTO_MTA, REPLY_PLAIN);
	sotto_session_eof(p.s, SOTTO_MTA);
	assert_true(peer_hears(&p, &got));
	peer_says(&p, SOTTO_IDENT_RECORD, NULL, 0);
	assert_int_equal(sotto_session_deadline(p.s), p.s->now + 30000);
	advance(p.s, 30000);
	assert_int_equal(sotto_session_wishes(p.s), ENDED);
	end_session(p.s);
	clear(&got);
}

/* A mail server that is gone hears nothing more: the peer cannot keep the session for ever. */
static void nobody_talks_for_ever_to_a_mail_server_that_is_gone(void **state)
{
	struct sotto_session *s = accepting();
	unsigned n = 0;

	(void)state;
	sotto_session_gone(s, SOTTO_MTA);
	assert_true(peer_hears(&p, &got));
	for (; n < 100 && !(sotto_session_wishes(s) & SOTTO_WISH_END); n++) {
		peer_says_text(&p, "more\r\n");
		advance(s, 1000);
	}
	assert_int_equal(n, 30);
	end_session(s);
	clear(&got);
}

static void a_truncation_after_any_octet_delivers_what_was_whole(void **state)
{
	struct octets wire = { 0 };

	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		size_t all = 1, first = 0;

		for (size_t at = 0; at < all; at++) {
			for (unsigned gone = 0; gone < 2; gone++) {
				struct sotto_session *s = sealed(role);

				clear(&wire);
				peer_seal(&p, &wire, SOTTO_DATA, "one\r\n", 5);
				first = wire.len;
				peer_seal(&p, &wire, SOTTO_DATA, "two\r\n", 5);
				peer_seal(&p, &wire, SOTTO_CLOSE, NULL, 0);
				all = wire.len;
				assert_int_equal(feed(s, SOTTO_NET, wire.p, at), at);
				assert_int_equal(sotto_session_wishes(s), 0);
				if (gone)
					sotto_session_gone(s, SOTTO_NET);
				else
					sotto_session_eof(s, SOTTO_NET);
				/* what was authenticated is heard before the connection is lost */
				if (at >= first)
					assert_int_equal(sotto_session_wishes(s) & SOTTO_WISH_END, 0);
				check_lost(s, gone ? SOTTO_CAUSE_LOST : SOTTO_CAUSE_TRUNCATED,
					   at < first ? "" : at < 2 * first ? "one\r\n" : "one\r\ntwo\r\n");
			}
		}
	}
	clear(&wire);
}

static void within_a_line_nothing_is_said(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = sealed(role);

		assert_true((sotto_session_last_word(s) != NULL) == (role == SOTTO_CONNECT));
		peer_says_text(&p, "250 Part of a");
		expect(s, SOTTO_MTA, "250 Part of a");
		assert_null(sotto_session_last_word(s));
		peer_says_text(&p, " reply");
		sotto_session_gone(s, SOTTO_NET);
		check_lost(s, SOTTO_CAUSE_LOST, " reply");
	}
}

static void octets_after_close_end_it_as_lost(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = sealed(role);

		peer_says_text(&p, "one\r\n");
		peer_says(&p, SOTTO_CLOSE, NULL, 0);
		say(s, SOTTO_NET, "x");
		check_lost(s, SOTTO_CAUSE_BAD_RECORD, "one\r\n");
		s = sealed(role);
		peer_says(&p, SOTTO_CLOSE, NULL, 0);
		peer_says_text(&p, "more\r\n");
		check_lost(s, SOTTO_CAUSE_BAD_RECORD, "");
	}
}

static void bad_records_end_it_and_are_not_heard(void **state)
{
	static const struct {
		enum sotto_record_type type;
		const char *content;
	} bad[] = { { SOTTO_CLOSE, "x" }, { SOTTO_IDENT_RECORD, "" }, { SOTTO_IDENT_RECORD, "x" }, { (enum sotto_record_type)4, "x" },
		    { (enum sotto_record_type)255, "" }, { (enum sotto_record_type)0, "" } };

	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (size_t n = 0; n < 2 * sizeof(bad) / sizeof(bad[0]); n++) {
			struct sotto_session *s = sealed(role);
			struct octets wire = { 0 };

			/* all in one piece: what stands before is heard, it and what stands behind is not; alone it ends it as well */
			peer_seal(&p, &wire, SOTTO_DATA, "one\r\n", 5);
			peer_seal(&p, &wire, bad[n / 2].type, bad[n / 2].content, strlen(bad[n / 2].content));
			if (n % 2)
				peer_seal(&p, &wire, SOTTO_DATA, "two\r\n", 5);
			(void)feed(s, SOTTO_NET, wire.p, wire.len);
			check_lost(s, SOTTO_CAUSE_BAD_RECORD, "one\r\n");
			clear(&wire);
		}
	}
}

static void lengths_out_of_bounds_end_it_at_their_second_octet(void **state)
{
	static const char *const heads[] = { "\x00\x10", "\x40\x11", "\xff\xff", "\x00\x00", "MA" };

	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
			struct sotto_session *s = sealed(role);

			assert_int_equal(feed(s, SOTTO_NET, heads[i], 1), 1);
			assert_int_equal(sotto_session_wishes(s), 0);
			assert_int_equal(feed(s, SOTTO_NET, heads[i] + 1, 1), 1);
			check_lost(s, SOTTO_CAUSE_BAD_RECORD, "");
		}
	}
}

static void cover_is_dropped_and_counts_as_the_first_record(void **state)
{
	struct sotto_session *s = accepting();

	(void)state;
	assert_false(s->report.authenticated);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_OPEN);
	peer_says(&p, SOTTO_DATA, NULL, 0);
	assert_true(s->report.authenticated);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_SEALED);
	expect(s, SOTTO_MTA, "");
	peer_says_text(&p, "MAIL\r\n");
	peer_says(&p, SOTTO_DATA, NULL, 0);
	expect(s, SOTTO_MTA, "MAIL\r\n");
	end_session(s);
}

static void a_forged_first_record_makes_no_sealed_session(void **state)
{
	struct sotto_session *s = accepting();

	(void)state;
	(void)feed(s, SOTTO_NET, "\x00\x11" "0123456789abcdefg", 19);
	assert_false(s->report.authenticated);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_OPEN);
	check_lost(s, SOTTO_CAUSE_BAD_RECORD, "");
}

/* STARTTLS-class: commands injected behind the hello, in one piece with it, are records that fail. */
static void commands_behind_the_hello_are_never_heard(void **state)
{
	(void)state;
	for (unsigned pieces = 0; pieces < 2; pieces++) {
		struct octets wire = { 0 }, reply = { 0 };
		uint8_t random[SOTTO_CLIENT_RANDOM];

		config = plain_config(SOTTO_ACCEPT);
		p.s = new_session(&config);
		peer_gets_offer(&p, &reply);
		random_of_test(random, sizeof(random));
		sotto_client_hello(p.client_hello, &p.secrets, random);
		add_text(&wire, SOTTO_COMMAND);
		add(&wire, p.client_hello, SOTTO_CLIENT_HELLO);
		add_text(&wire, "MAIL FROM:<evil>\r\n");
		for (size_t i = 0; pieces == 1 && i < wire.len; i++)
			(void)feed(p.s, SOTTO_NET, wire.p + i, 1);
		if (pieces == 0)
			(void)feed(p.s, SOTTO_NET, wire.p, wire.len);
		take(p.s, SOTTO_NET, &reply);
		check_lost(p.s, SOTTO_CAUSE_BAD_RECORD, "");
		clear(&wire);
		clear(&reply);
	}
}

static void padding_can_be_off(void **state)
{
	(void)state;
	for (unsigned padding = 0; padding < 2; padding++) {
		struct sotto_session *s;

		config = plain_config(SOTTO_CONNECT);
		config.padding = padding == 1;
		peer_as_server(&p, &config);
		s = p.s;
		for (size_t len = 1; len < 1343; len += 3) {
			static uint8_t text[1343];
			struct octets wire = { 0 };

			assert_int_equal(feed(s, SOTTO_MTA, text, len), len);
			take(s, SOTTO_NET, &wire);
			assert_int_equal(wire.len, 18 + (padding ? sotto_record_padded(len + 1) : len + 1));
			clear(&wire);
		}
		end_session(s);
	}
}

/* ---- IDENT ---- */

static struct sotto_session *before_ident(bool enforce, bool known, bool this_one)
{
	config = plain_config(SOTTO_CONNECT);
	config.enforce_identity = enforce;
	if (known) {
		struct peer q = { .identity = { 7, 7, 7 } };
		uint8_t ident[SOTTO_IDENT], h[32] = { 0 }, x[32] = { 9 };

		config.known = 2;
		memset(config.known_keys[0], 0x55, 32);
		assert_int_equal(sotto_ident_make(ident, q.identity, x, h), 0);
		memcpy(config.known_keys[1], ident, 32);
		if (!this_one)
			config.known_keys[1][5] ^= 1;
	}
	peer_as_server(&p, &config);
	return p.s;
}

static void who_the_peer_is_is_reported(void **state)
{
	static const struct {
		bool known, this_one, shows;
		enum sotto_identity identity;
	} cases[] = { { false, false, false, SOTTO_IDENTITY_NONE },  { false, false, true, SOTTO_IDENTITY_FIRST },
		      { true, true, true, SOTTO_IDENTITY_KNOWN },    { true, false, true, SOTTO_IDENTITY_CHANGED },
		      { true, true, false, SOTTO_IDENTITY_ABSENT } };
	uint8_t ident[SOTTO_IDENT];

	(void)state;
	for (unsigned n = 0; n < 10; n++) {
		bool enforce = n >= 5, ends = enforce && n % 5 >= 3;
		struct sotto_session *s = before_ident(enforce, cases[n % 5].known, cases[n % 5].this_one);

		assert_int_equal(s->report.identity, SOTTO_IDENTITY_UNSEEN);
		peer_ident(&p, ident);
		if (enforce) {
			size_t len;

			/* nothing is sent, and nothing said to our mail server, before IDENT was read */
			(void)feed(s, SOTTO_MTA, "MAIL FROM:<>\r\n", 14);
			(void)sotto_session_ready(s, SOTTO_NET, &len);
			assert_int_equal(len, 0);
			expect(s, SOTTO_MTA, "");
			assert_int_equal(sotto_session_deadline(s), s->now + 4000);
		} else {
			expect(s, SOTTO_MTA, REPLY_PLAIN);
		}
		peer_says(&p, SOTTO_IDENT_RECORD, ident, cases[n % 5].shows ? SOTTO_IDENT : 0);
		assert_int_equal(s->report.identity, cases[n % 5].identity);
		if (cases[n % 5].shows)
			assert_memory_equal(s->report.identity_key, ident, 32);
		if (ends) {
			expect(s, SOTTO_MTA, "421 4.7.0 XSOTTO: the peer's identity key is not the one known\r\n");
			expect(s, SOTTO_NET, "");
			assert_int_equal(sotto_session_wishes(s), ENDED);
			assert_int_equal(s->report.outcome, SOTTO_OUTCOME_REFUSED);
			assert_int_equal(s->report.cause, SOTTO_CAUSE_IDENTITY);
		} else {
			assert_int_equal(sotto_session_deadline(s), 0);
			expect(s, SOTTO_MTA, enforce ? REPLY_PLAIN : "");
			if (!enforce)
				say(s, SOTTO_MTA, "MAIL FROM:<>\r\n");
			peer_expects(&p, "MAIL FROM:<>\r\n");
		}
		end_session(s);
	}
}

static void check_bad_ident(const void *content, size_t len)
{
	for (unsigned enforce = 0; enforce < 2; enforce++) {
		struct sotto_session *s = before_ident(enforce == 1, false, false);

		peer_says(&p, SOTTO_IDENT_RECORD, content, len);
		check_lost(s, SOTTO_CAUSE_BAD_IDENT, enforce ? "" : REPLY_PLAIN);
	}
}

static void a_bad_ident_ends_it_whether_or_not_anybody_cares(void **state)
{
	uint8_t ident[SOTTO_IDENT + 1] = { 9 };

	(void)state;
	for (size_t len = 1; len <= sizeof(ident); len += len > 2 && len < 40 ? 7 : 1) {
		if (len != SOTTO_IDENT)
			check_bad_ident(ident, len);
	}
	/* an all-zero X25519 result */
	memset(ident, 0, sizeof(ident));
	check_bad_ident(ident, SOTTO_IDENT);
	for (unsigned i = 0; i < SOTTO_IDENT; i += 5) {
		struct sotto_session *s = before_ident(false, false, false);

		peer_ident(&p, ident);
		ident[i] ^= 0x10;
		peer_says(&p, SOTTO_IDENT_RECORD, ident, SOTTO_IDENT);
		check_lost(s, SOTTO_CAUSE_BAD_IDENT, REPLY_PLAIN);
	}
}

/* PROTOCOL.md 5: exactly one, as the server's first record. */
static void ident_comes_first_and_once(void **state)
{
	uint8_t ident[SOTTO_IDENT];

	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		struct sotto_session *s = before_ident(n % 2, false, false);

		peer_ident(&p, ident);
		if (n < 2)
			peer_says_text(&p, "250 evil\r\n");
		else if (n < 4)
			peer_says(&p, SOTTO_CLOSE, NULL, 0);
		else {
			peer_says(&p, SOTTO_IDENT_RECORD, ident, SOTTO_IDENT);
			peer_says(&p, SOTTO_IDENT_RECORD, ident, SOTTO_IDENT);
		}
		check_lost(s, SOTTO_CAUSE_BAD_RECORD, n % 2 && n < 4 ? "" : REPLY_PLAIN);
	}
}

static void an_ident_that_does_not_come_is_awaited_4_seconds_where_it_matters(void **state)
{
	struct sotto_session *s = before_ident(true, false, false);

	(void)state;
	advance(s, 3999);
	assert_int_equal(sotto_session_wishes(s), 0);
	advance(s, 1);
	check_lost(s, SOTTO_CAUSE_SILENCE, "");
	s = before_ident(false, false, false);
	assert_int_equal(sotto_session_deadline(s), 0);
	advance(s, 1000000);
	expect(s, SOTTO_MTA, REPLY_PLAIN);
	end_session(s);
}

static void a_server_with_a_key_shows_it_in_the_same_write_as_its_hello(void **state)
{
	struct octets rest = { 0 };
	enum sotto_record_type type = SOTTO_DATA;
	uint8_t ident[SOTTO_IDENT + 8];

	(void)state;
	config = plain_config(SOTTO_ACCEPT);
	config.has_identity = true;
	config.identity[3] = 3;
	peer_as_client(&p, &config, &rest);
	assert_int_equal(peer_opens(&p, &rest, &type, ident), SOTTO_IDENT);
	assert_int_equal(type, SOTTO_IDENT_RECORD);
	assert_int_equal(rest.len, 0);
	assert_int_equal(sotto_ident_check(ident, p.secrets.x, p.keys.h), 0);
	end_session(p.s);
	clear(&rest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_closes_first),
		cmocka_unit_test(we_close_first),
		cmocka_unit_test(the_patience_after_close_counts_from_the_last_octet_written),
		cmocka_unit_test(a_client_that_leaves_at_once_does_not_wait_for_ever),
		cmocka_unit_test(nobody_talks_for_ever_to_a_mail_server_that_is_gone),
		cmocka_unit_test(a_truncation_after_any_octet_delivers_what_was_whole),
		cmocka_unit_test(within_a_line_nothing_is_said),
		cmocka_unit_test(octets_after_close_end_it_as_lost),
		cmocka_unit_test(bad_records_end_it_and_are_not_heard),
		cmocka_unit_test(lengths_out_of_bounds_end_it_at_their_second_octet),
		cmocka_unit_test(cover_is_dropped_and_counts_as_the_first_record),
		cmocka_unit_test(a_forged_first_record_makes_no_sealed_session),
		cmocka_unit_test(commands_behind_the_hello_are_never_heard),
		cmocka_unit_test(padding_can_be_off),
		cmocka_unit_test(who_the_peer_is_is_reported),
		cmocka_unit_test(a_bad_ident_ends_it_whether_or_not_anybody_cares),
		cmocka_unit_test(ident_comes_first_and_once),
		cmocka_unit_test(an_ident_that_does_not_come_is_awaited_4_seconds_where_it_matters),
		cmocka_unit_test(a_server_with_a_key_shows_it_in_the_same_write_as_its_hello),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
