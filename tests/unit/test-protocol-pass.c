/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-pass.c - a session that passes through: every octet value, half-closes, when splice may take over, and its end.
 */
#include "tests/unit/protocol-peer.h"

static struct peer p;

static void opaque_passes_every_octet_value_both_ways(void **state)
{
	uint8_t all[256 * 2];

	(void)state;
	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i < 256 ? i : 511 - i);
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = opaque_session((enum sotto_role)role);

		for (unsigned from = 0; from < 2; from++) {
			struct octets got = { 0 };

			assert_int_equal(feed(s, (enum sotto_side)from, all, sizeof(all)), sizeof(all));
			take(s, (enum sotto_side)!from, &got);
			assert_int_equal(got.len, sizeof(all));
			assert_memory_equal(got.p, all, sizeof(all));
			clear(&got);
		}
		end_session(s);
	}
}

static void a_half_close_goes_through_and_the_other_half_lives(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (unsigned from = 0; from < 2; from++) {
			enum sotto_side a = (enum sotto_side)from, b = (enum sotto_side)!from;
			unsigned shut = b == SOTTO_NET ? SOTTO_WISH_SHUT_NET : SOTTO_WISH_SHUT_MTA;
			struct sotto_session *s = opaque_session((enum sotto_role)role);

			say(s, a, "last");
			sotto_session_eof(s, a);
			assert_int_equal(sotto_session_wishes(s) & shut, 0);
			expect(s, b, "last");
			assert_true(sotto_session_wishes(s) & shut);
			assert_false(sotto_session_wishes(s) & SOTTO_WISH_END);
			assert_int_equal(sotto_session_deadline(s), 0);
			say(s, b, "still here");
			expect(s, a, "still here");
			sotto_session_eof(s, b);
			assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
			assert_false(sotto_session_wishes(s) & SOTTO_WISH_ABORT);
			end_session(s);
		}
	}
}

static void splice_takes_over_only_when_all_buffers_are_empty(void **state)
{
	(void)state;
	for (unsigned from = 0; from < 2; from++) {
		enum sotto_side a = (enum sotto_side)from, b = (enum sotto_side)!from;
		struct sotto_session *s = opaque_session(SOTTO_CONNECT);
		struct octets got = { 0 };

		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SPLICE);
		say(s, a, "x");
		assert_int_equal(sotto_session_wishes(s), 0);
		expect(s, b, "x");
		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SPLICE);
		/* more than the outgoing buffer holds: some of it is still on the incoming side */
		for (unsigned i = 0; i < 60; i++) {
			static uint8_t kib[1024];

			assert_int_equal(feed(s, a, kib, sizeof(kib)), sizeof(kib));
		}
		while (got.len < 60 * 1024) {
			assert_int_equal(sotto_session_wishes(s), 0);
			take(s, b, &got);
		}
		assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SPLICE);
		end_session(s);
		clear(&got);
	}
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = peer_sealed(&p, (enum sotto_role)role, false);

		assert_int_equal(sotto_session_wishes(s) & SOTTO_WISH_SPLICE, 0);
		end_session(s);
	}
}

/* Brings a session to where the EHLO reply, with or without an offer, has gone on in the clear and the next command is awaited. */
static struct sotto_session *in_the_clear(enum sotto_role role)
{
	struct sotto_session_config config = plain_config(role);
	enum sotto_side server = role == SOTTO_ACCEPT ? SOTTO_MTA : SOTTO_NET, client = role == SOTTO_ACCEPT ? SOTTO_NET : SOTTO_MTA;
	struct sotto_session *s = new_session(&config);

	say(s, server, GREETING);
	expect(s, client, GREETING);
	say(s, client, EHLO);
	expect(s, server, EHLO);
	say(s, server, REPLY_PLAIN);
	expect(s, client, role == SOTTO_ACCEPT ? REPLY_OFFER : REPLY_PLAIN);
	return s;
}

static void the_command_behind_ehlo_is_looked_at_and_passes_unchanged(void **state)
{
	static const struct { const char *said; bool starttls; } cases[] = {
		{ "STARTTLS\r\n", true }, { "starttls\r\n", true }, { "MAIL FROM:<a@c.example>\r\n", false }, { "STARTTLSX\r\n", false },
		{ "MAIL FROM:<a@c.example>\r\nSTARTTLS\r\n", false },
	};

	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		enum sotto_side client = role == SOTTO_ACCEPT ? SOTTO_NET : SOTTO_MTA;

		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct sotto_session *s = in_the_clear((enum sotto_role)role);

			assert_int_equal(sotto_session_wishes(s), 0);
			say(s, client, cases[i].said);
			expect(s, client == SOTTO_NET ? SOTTO_MTA : SOTTO_NET, cases[i].said);
			assert_int_equal(s->report.starttls, cases[i].starttls);
			assert_int_equal(s->report.outcome, SOTTO_OUTCOME_CLEAR);
			assert_int_equal(sotto_session_wishes(s), SOTTO_WISH_SPLICE);
			say(s, client, "STARTTLS\r\n");
			assert_int_equal(s->report.starttls, cases[i].starttls);
			end_session(s);
		}
	}
}

static void a_command_that_never_comes_holds_no_end_up(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		struct sotto_session *s = in_the_clear(SOTTO_CONNECT);

		sotto_session_eof(s, (enum sotto_side)side);
		assert_int_equal(sotto_session_wishes(s) & ~SOTTO_WISH_SPLICE, side == SOTTO_NET ? SOTTO_WISH_SHUT_MTA : SOTTO_WISH_SHUT_NET);
		sotto_session_eof(s, (enum sotto_side)!side);
		assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
		end_session(s);
	}
}

/* A mail server that stopped reading cannot keep an ended session for ever. */
static void an_end_that_nobody_reads_comes_after_30_seconds_without_progress(void **state)
{
	struct sotto_session *s = opaque_session(SOTTO_ACCEPT);

	(void)state;
	say(s, SOTTO_NET, "octets");
	sotto_session_eof(s, SOTTO_NET);
	sotto_session_eof(s, SOTTO_MTA);
	assert_int_equal(sotto_session_deadline(s), s->now + 30000);
	advance(s, 29999);
	sotto_session_sent(s, SOTTO_MTA, 1);
	advance(s, 29999);
	assert_int_equal(sotto_session_wishes(s) & SOTTO_WISH_END, 0);
	advance(s, 1);
	assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
	assert_true(sotto_session_wishes(s) & SOTTO_WISH_ABORT);
	end_session(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opaque_passes_every_octet_value_both_ways),
		cmocka_unit_test(a_half_close_goes_through_and_the_other_half_lives),
		cmocka_unit_test(splice_takes_over_only_when_all_buffers_are_empty),
		cmocka_unit_test(the_command_behind_ehlo_is_looked_at_and_passes_unchanged),
		cmocka_unit_test(a_command_that_never_comes_holds_no_end_up),
		cmocka_unit_test(an_end_that_nobody_reads_comes_after_30_seconds_without_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
