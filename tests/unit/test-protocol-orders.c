/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-orders.c - the calls of session.h in random order: octets in random pieces, ends, resets, deadlines and new connections
 * whenever they like. Every session comes to an end, none stops while a side could still be served, and where encryption is
 * required nothing of the envelope crosses in the clear.
 */
#include "tests/unit/protocol-octets.h"

#include "core/protocol/session-steps.h"

#define MAIL "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@s.example>\r\nDATA\r\n"

/* Two sessions back to back, and what their mail servers have still to say. */
struct pair {
	struct sotto_session *s[2];
	struct octets wire[2];		/* towards the session of this index */
	struct octets says[2];		/* of the mail server of this index */
	unsigned run;
	uint64_t calm;			/* how rare what is out of order is */
};

static struct sotto_session_config random_config(enum sotto_role role)
{
	struct sotto_session_config c = plain_config(role);

	c.clear = (enum sotto_clear)(dice(2) ? 0 : dice(role == SOTTO_ACCEPT ? 2 : 3));
	c.use = dice(8) ? SOTTO_USE_SEAL : (enum sotto_use)dice(3);
	c.redial = dice(3) > 0;
	c.sealed_before = dice(2);
	c.hide_starttls = dice(2);
	c.padding = dice(2);
	c.enforce_identity = dice(4) == 0;
	c.has_identity = dice(2);
	c.known = (unsigned)dice(2);
	if (dice(20) == 0)
		c.random = no_random;
	return c;
}

static void server_begins(struct pair *q)
{
	static const char *const greetings[] = { GREETING, GREETING, GREETING, "220-a\r\n220 b\r\n", "554 no\r\n", "220 a\n" };
	static const char *const replies[] = { REPLY_PLAIN, REPLY_PLAIN, REPLY_PLAIN, "250 s\r\n", REPLY_OFFER, "502 no\r\n", "250-a\n" };

	add_text(&q->says[SOTTO_ACCEPT], greetings[dice(q->calm) < 10 ? dice(6) : 3]);
	if (dice(q->calm) == 0)
		add_text(&q->says[SOTTO_ACCEPT], "421 not now\r\n");
	add_text(&q->says[SOTTO_ACCEPT], replies[dice(q->calm) < 20 ? dice(7) : 0]);
	for (uint64_t n = dice(3000); n > 0; n--)
		add_text(&q->says[SOTTO_ACCEPT], "250 ok and ok and ok\r\n");
}

static void client_begins(struct pair *q)
{
	static const char *const first[] = { EHLO, EHLO, EHLO, EHLO, "ehlo x\r\n", "HELO x\r\n", "EHLO x\n" };

	add_text(&q->says[SOTTO_CONNECT], first[dice(q->calm) < 20 ? dice(7) : 0]);
	for (uint64_t n = dice(800); n > 0; n--)
		add_text(&q->says[SOTTO_CONNECT], MAIL);
}

static void begin(struct pair *q, unsigned run)
{
	*q = (struct pair){ .run = run, .calm = 30 + dice(1000) };
	for (unsigned i = 0; i < 2; i++) {
		struct sotto_session_config c = random_config((enum sotto_role)i);

		q->s[i] = new_session(&c);
	}
	server_begins(q);
	client_begins(q);
}

/* A piece of what is ready is written: to the wire, or to a mail server, which takes note of nothing. */
static void write_some(struct pair *q, unsigned i, enum sotto_side side)
{
	struct sotto_session *s = q->s[i];
	struct octets out = { 0 };
	size_t len;
	const uint8_t *p = sotto_session_ready(s, side, &len);

	assert_true(len <= SOTTO_OUT);
	len = dice(4) ? len : dice(len + 1);
	add(&out, p, len);
	if (s->config.clear != SOTTO_CLEAR_PASS) {
		bool forward = i == SOTTO_CONNECT ? side == SOTTO_NET : side == SOTTO_MTA;

		if (forward && has_text(&out, "MAIL") && !(i == SOTTO_ACCEPT && s->report.authenticated))
			fail_msg("run %u: in the clear: %.*s", q->run, (int)out.len, (char *)out.p);
	}
	sotto_session_sent(s, side, len);
	if (side == SOTTO_NET)
		add(&q->wire[!i], out.p, out.len);
	clear(&out);
}

/* Whether a mail server that waits for its turn would speak now. */
static bool is_its_turn(const struct sotto_session *s)
{
	switch (s->step) {
	case STEP_GREETING:
	case STEP_EHLO:
		return s->config.role == SOTTO_ACCEPT;
	case STEP_FIRST:
		return s->config.role == SOTTO_CONNECT;
	default:
		return s->step >= STEP_SEALED;
	}
}

/* A piece of what waits is read. Mail servers wait for their turn, mostly, and say a line at a time until anything passes. */
static void read_some(struct pair *q, unsigned i, enum sotto_side side)
{
	struct octets *from = side == SOTTO_NET ? &q->wire[i] : &q->says[i];
	const uint8_t *lf = from->len > 0 ? memchr(from->p, '\n', from->len) : NULL;
	bool line = side == SOTTO_MTA && lf != NULL && q->s[i]->step < STEP_SEALED;
	size_t most = line ? dice((uint64_t)(lf - from->p) + 1) + 1 : dice(from->len + 1);

	if (side == SOTTO_MTA && !is_its_turn(q->s[i]) && dice(q->calm * 10) > 0)
		return;
	if (from->len > 0 && dice(q->calm * 5) == 0)
		from->p[dice(from->len)] ^= (uint8_t)(1 << dice(8));
	drop(from, feed(q->s[i], side, from->p, most));
}

static void connect_again(struct pair *q)
{
	bool connected = dice(4) > 0;

	if (connected) {
		struct sotto_session_config c = random_config(SOTTO_ACCEPT);

		end_session(q->s[SOTTO_ACCEPT]);
		q->s[SOTTO_ACCEPT] = new_session(&c);
		sotto_session_clock(q->s[SOTTO_ACCEPT], q->s[SOTTO_CONNECT]->now);
		clear(&q->wire[0]);
		clear(&q->wire[1]);
		clear(&q->says[SOTTO_ACCEPT]);
		server_begins(q);
	}
	sotto_session_redialed(q->s[SOTTO_CONNECT], connected);
}

static void let_time_pass(struct pair *q, uint64_t ms)
{
	uint64_t now = q->s[0]->now + ms;

	for (unsigned i = 0; i < 2; i++) {
		sotto_session_clock(q->s[i], now);
		sotto_session_tick(q->s[i]);
	}
}

static void one_call(struct pair *q)
{
	unsigned i = (unsigned)dice(2);
	enum sotto_side side = (enum sotto_side)dice(2);

	if (sotto_session_wishes(q->s[SOTTO_CONNECT]) & SOTTO_WISH_REDIAL && dice(3) == 0)
		connect_again(q);
	else if (dice(q->calm * 10) == 0)
		sotto_session_eof(q->s[i], side);
	else if (dice(q->calm * 10) == 0)
		sotto_session_gone(q->s[i], side);
	else if (dice(30) == 0)
		let_time_pass(q, dice(6) ? dice(100) : dice(5000));
	else if (dice(2))
		read_some(q, i, side);
	else
		write_some(q, i, side);
}

static void write_all(struct sotto_session *s)
{
	size_t len;
	bool moved;

	do {
		moved = false;
		for (unsigned side = 0; side < 2; side++) {
			(void)sotto_session_ready(s, (enum sotto_side)side, &len);
			if (len > 0)
				sotto_session_sent(s, (enum sotto_side)side, len);
			moved = moved || len > 0;
		}
	} while (moved);
}

/* Once all is written, both sides are read again, where octets may pass at all. */
static void check_not_stuck(struct pair *q, unsigned i)
{
	struct sotto_session *s = q->s[i];
	bool passes = s->step == STEP_OPAQUE || (s->step == STEP_SEALED && !(s->ident_due && s->config.enforce_identity));

	write_all(s);
	for (unsigned side = 0; side < 2 && passes; side++) {
		size_t space;

		(void)sotto_session_space(s, (enum sotto_side)side, &space);
		if (space == 0 && !s->eof[side])
			fail_msg("run %u, role %u, step %u: side %u is not read any more", q->run, i, s->step, side);
		if (sotto_buffer_len(&s->in[side]) > 0 && s->step == STEP_OPAQUE)
			fail_msg("run %u, role %u: octets of side %u stay", q->run, i, side);
	}
}

/* Whatever happened: once both sides have ended and all is written, it is over, at the latest when its patience is. */
static void check_ends(struct pair *q, unsigned i)
{
	struct sotto_session *s = q->s[i];

	for (unsigned n = 0; n < 20 && !(sotto_session_wishes(s) & SOTTO_WISH_END); n++) {
		write_all(s);
		if (sotto_session_wishes(s) & SOTTO_WISH_REDIAL)
			sotto_session_redialed(s, n % 2);
		sotto_session_eof(s, SOTTO_NET);
		sotto_session_eof(s, SOTTO_MTA);
		write_all(s);
		if (sotto_session_deadline(s) > 0) {
			sotto_session_clock(s, sotto_session_deadline(s));
			sotto_session_tick(s);
		}
	}
	if (!(sotto_session_wishes(s) & SOTTO_WISH_END))
		fail_msg("run %u, role %u: no end (step %u)", q->run, i, s->step);
}

static void calls_in_any_order_come_to_an_end(void **state)
{
	unsigned sealed = 0, opaque = 0, refused = 0, redials = 0;

	(void)state;
	for (unsigned run = 0; run < 4000; run++) {
		struct pair q;

		begin(&q, run);
		for (uint64_t n = 20 + dice(2000); n > 0; n--)
			one_call(&q);
		sealed += q.s[1]->report.outcome == SOTTO_OUTCOME_SEALED;
		opaque += q.s[1]->report.outcome == SOTTO_OUTCOME_CLEAR;
		refused += q.s[1]->report.outcome == SOTTO_OUTCOME_REFUSED;
		redials += q.s[1]->redials > 0;
		for (unsigned i = 0; i < 2; i++) {
			check_not_stuck(&q, i);
			check_ends(&q, i);
			end_session(q.s[i]);
			clear(&q.wire[i]);
			clear(&q.says[i]);
		}
	}
	/* all of it was reached, not once only */
	printf("%u sealed, %u passed through, %u refused, %u connected again\n", sealed, opaque, refused, redials);
	assert_true(sealed > 100 && opaque > 100 && refused > 100 && redials > 50);
}

/* A side that half-closed first and is dead now, with more octets for it on their way than its buffer holds. */
static void what_was_for_a_dead_side_does_not_stop_the_other(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		enum sotto_side dead = (enum sotto_side)(n % 2), other = (enum sotto_side)!dead;
		struct sotto_session_config c = plain_config((enum sotto_role)(n / 2 % 2));
		static uint8_t octets[100000];
		struct sotto_session *s;
		size_t space;

		c.use = SOTTO_USE_OFF;
		s = new_session(&c);
		if (n >= 4)
			sotto_session_eof(s, dead);
		assert_true(feed(s, other, octets, sizeof(octets)) < sizeof(octets));
		sotto_session_gone(s, dead);
		(void)sotto_session_space(s, other, &space);
		assert_int_equal(space, SOTTO_IN);
		assert_int_equal(feed(s, other, octets, sizeof(octets)), sizeof(octets));
		end_session(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_in_any_order_come_to_an_end),
		cmocka_unit_test(what_was_for_a_dead_side_does_not_stop_the_other),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
