/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-flow.c - octets in quantity: bounds where a side does not drain, megabytes both ways in random pieces, and the sizes of
 * records on the wire.
 */
#include "tests/unit/protocol-peer.h"

#define MIB (1024 * 1024)

static struct sotto_session_config config;
static struct peer p;

static struct octets noise(size_t len)
{
	struct octets o = { 0 };
	uint8_t piece[1024];

	while (o.len < len) {
		(void)random_of_test(piece, sizeof(piece));
		add(&o, piece, sizeof(piece) < len - o.len ? sizeof(piece) : len - o.len);
	}
	return o;
}

/* ---- bounds ---- */

static void check_bounded(struct sotto_session *s, enum sotto_side from, struct octets *octets, bool sealed_in, bool sealed_out)
{
	enum sotto_side to = from == SOTTO_NET ? SOTTO_MTA : SOTTO_NET;
	struct octets got = { 0 }, wire = { 0 };
	size_t fed, space;

	if (sealed_in) {
		for (size_t at = 0; at < octets->len; at += 1000)
			peer_seal(&p, &wire, SOTTO_DATA, octets->p + at, octets->len - at < 1000 ? octets->len - at : 1000);
	} else {
		add(&wire, octets->p, octets->len);
	}
	fed = feed(s, from, wire.p, wire.len);
	(void)sotto_session_space(s, from, &space);
	assert_int_equal(space, 0);
	assert_true(fed <= SOTTO_IN + SOTTO_OUT);
	assert_true(fed >= SOTTO_IN + SOTTO_OUT / 4);
	/* once the other side drains again, everything goes on where it stopped */
	while (fed < wire.len || got.len < octets->len) {
		size_t before = got.len, more;

		if (sealed_out)
			(void)peer_hears(&p, &got);
		else
			take(s, to, &got);
		more = feed(s, from, wire.p + fed, wire.len - fed);
		fed += more;
		assert_true(got.len > before || more > 0);
	}
	assert_true(same(&got, octets));
	clear(&got);
	clear(&wire);
}

static void a_side_that_does_not_drain_stops_the_other_and_nothing_is_lost(void **state)
{
	struct octets octets = noise(300000);

	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = opaque_session((enum sotto_role)role);

		check_bounded(s, SOTTO_NET, &octets, false, false);
		check_bounded(s, SOTTO_MTA, &octets, false, false);
		end_session(s);
		s = peer_sealed(&p, (enum sotto_role)role, true);
		check_bounded(s, SOTTO_NET, &octets, true, false);
		check_bounded(s, SOTTO_MTA, &octets, false, true);
		end_session(s);
	}
	clear(&octets);
}

static void a_greeting_and_a_reply_that_nobody_reads_stay_bounded(void **state)
{
	struct octets line = { 0 };
	struct sotto_session *s;
	size_t space = 1, all = 0;

	(void)state;
	config = plain_config(SOTTO_CONNECT);
	s = new_session(&config);
	add_text(&line, "220-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
	while (all < 200000) {
		size_t n = feed(s, SOTTO_NET, line.p, line.len);

		all += n;
		if (n < line.len)
			break;
	}
	(void)sotto_session_space(s, SOTTO_NET, &space);
	assert_int_equal(space, 0);
	assert_true(all <= SOTTO_IN + SOTTO_OUT);
	end_session(s);
	clear(&line);
}

/* ---- quantity ---- */

struct pair {
	struct sotto_session *s[2];
	struct octets wire[2];		/* to the session of this index */
	const struct octets *say[2];
	size_t said[2];
	struct octets heard[2];
	bool shut[2];
};

static void pair_net(struct pair *q, unsigned i)
{
	struct octets out = { 0 };
	size_t len, n;
	const uint8_t *r = sotto_session_ready(q->s[i], SOTTO_NET, &len);

	n = dice(len + 1);
	add(&out, r, n);
	sotto_session_sent(q->s[i], SOTTO_NET, n);
	add(&q->wire[!i], out.p, out.len);
	clear(&out);
	n = feed(q->s[i], SOTTO_NET, q->wire[i].p, dice(q->wire[i].len + 1));
	drop(&q->wire[i], n);
}

static void pair_mta(struct pair *q, unsigned i)
{
	size_t len, n = q->say[i]->len - q->said[i];
	const uint8_t *r;

	if (n > 0)
		q->said[i] += feed(q->s[i], SOTTO_MTA, q->say[i]->p + q->said[i], 1 + dice(n > 60000 ? 60000 : n));
	else if (!q->shut[i]) {
		sotto_session_eof(q->s[i], SOTTO_MTA);
		q->shut[i] = true;
	}
	r = sotto_session_ready(q->s[i], SOTTO_MTA, &len);
	n = dice(len + 1);
	add(&q->heard[i], r, n);
	sotto_session_sent(q->s[i], SOTTO_MTA, n);
}

static void pair_begin(struct pair *q, bool padding)
{
	struct octets o = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		config = plain_config((enum sotto_role)i);
		config.padding = padding;
		q->s[i] = new_session(&config);
	}
	say(q->s[SOTTO_ACCEPT], SOTTO_MTA, GREETING);
	expect(q->s[SOTTO_ACCEPT], SOTTO_NET, GREETING);
	say(q->s[SOTTO_CONNECT], SOTTO_NET, GREETING);
	expect(q->s[SOTTO_CONNECT], SOTTO_MTA, GREETING);
	say(q->s[SOTTO_CONNECT], SOTTO_MTA, EHLO);
	expect(q->s[SOTTO_CONNECT], SOTTO_NET, EHLO);
	say(q->s[SOTTO_ACCEPT], SOTTO_NET, EHLO);
	expect(q->s[SOTTO_ACCEPT], SOTTO_MTA, EHLO);
	say(q->s[SOTTO_ACCEPT], SOTTO_MTA, REPLY_PLAIN);
	for (unsigned i = 0; i < 4; i++) {
		unsigned from = i % 2 == 0 ? SOTTO_ACCEPT : SOTTO_CONNECT;

		take(q->s[from], SOTTO_NET, &o);
		assert_int_equal(feed(q->s[!from], SOTTO_NET, o.p, o.len), o.len);
		drop(&o, o.len);
	}
	expect(q->s[SOTTO_CONNECT], SOTTO_MTA, REPLY_PLAIN);
	assert_true(sotto_session_is_sealed(q->s[0]) && sotto_session_is_sealed(q->s[1]));
	clear(&o);
}

static void megabytes_both_ways_in_random_pieces_arrive_whole(void **state)
{
	(void)state;
	for (unsigned padding = 0; padding < 2; padding++) {
		struct octets c = noise(MIB + dice(9999)), r = noise(MIB + dice(9999));
		struct pair q = { .say = { &r, &c } };
		unsigned rounds = 0;

		pair_begin(&q, padding == 1);
		while (!((sotto_session_wishes(q.s[0]) & SOTTO_WISH_END) && (sotto_session_wishes(q.s[1]) & SOTTO_WISH_END))) {
			unsigned i = (unsigned)dice(2);

			if (dice(2))
				pair_net(&q, i);
			else
				pair_mta(&q, i);
			if (dice(50) == 0) {
				sotto_session_clock(q.s[0], q.s[0]->now + dice(3) * 500);
				sotto_session_clock(q.s[1], q.s[0]->now);
			}
			assert_true(rounds++ < 10000000);
		}
		assert_true(same(&q.heard[SOTTO_ACCEPT], &c));
		assert_true(same(&q.heard[SOTTO_CONNECT], &r));
		for (unsigned i = 0; i < 2; i++) {
			assert_false(q.s[i]->report.lost || (sotto_session_wishes(q.s[i]) & SOTTO_WISH_ABORT));
			end_session(q.s[i]);
			clear(&q.wire[i]);
			clear(&q.heard[i]);
		}
		clear(&c);
		clear(&r);
	}
}

/* ---- sizes on the wire ---- */

/* Sizes of the records that n octets of our mail server become. */
static size_t record_sizes(struct sotto_session *s, size_t n, size_t *sizes, size_t max)
{
	struct octets text = noise(n), wire = { 0 };
	size_t fed = 0, count = 0, at = 0;

	while (fed < n) {
		fed += feed(s, SOTTO_MTA, text.p + fed, n - fed);
		take(s, SOTTO_NET, &wire);
	}
	while (at < wire.len) {
		long size = sotto_record_size(wire.p + at, wire.len - at);

		assert_true(size > 0 && count < max);
		sizes[count++] = (size_t)size;
		at += (size_t)size;
	}
	assert_int_equal(at, wire.len);
	clear(&text);
	clear(&wire);
	return count;
}

static void records_are_small_first_then_full_and_small_again_after_a_pause(void **state)
{
	static size_t sizes[1000];

	(void)state;
	for (unsigned padding = 0; padding < 2; padding++) {
		struct sotto_session *s = peer_sealed(&p, SOTTO_ACCEPT, padding == 1);

		for (unsigned i = 0; i < 3; i++) {
			size_t n = record_sizes(s, 200000, sizes, 1000), flowed = 0, large = 0;

			for (size_t k = 0; k < n; k++) {
				/* one segment of an Ethernet's TCP: 1500 - 20 - 20 - 12 */
				if (flowed < 32 * 1024)
					assert_true(sizes[k] <= 1448);
				else
					large += sizes[k] > 4096;
				flowed += sizes[k] - 18;
			}
			assert_true(large >= 8);
			/* without a pause they stay large */
			n = record_sizes(s, 16383, sizes, 1000);
			assert_int_equal(n, 1);
			advance(s, 1000);
		}
		end_session(s);
	}
}

static void padded_records_have_padme_sizes_only(void **state)
{
	static size_t sizes[2000];
	struct sotto_session *s = peer_sealed(&p, SOTTO_CONNECT, true);

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		size_t n = record_sizes(s, 1 + dice(i < 100 ? 200 : 40000), sizes, 2000);

		for (size_t k = 0; k < n; k++) {
			size_t plain = sizes[k] - 18;

			assert_int_equal(sotto_record_padded(plain), plain);
			assert_true(plain >= 1024);
		}
		if (i < 100)
			assert_int_equal(sizes[0], 18 + 1024);
		if (dice(3) == 0)
			advance(s, 2000);
	}
	end_session(s);
}

/* Whatever the pieces in which our mail server's octets can be read: each record but the last is a full one, once some have flowed. */
static void a_stream_is_sealed_in_whole_records(void **state)
{
	struct sotto_session *s = peer_sealed(&p, SOTTO_CONNECT, true);
	struct octets octets = noise(400000), wire = { 0 };
	size_t said = 0, small = 0;

	(void)state;
	while (said < octets.len) {
		said += feed(s, SOTTO_MTA, octets.p + said, octets.len - said);
		take(s, SOTTO_NET, &wire);
	}
	for (size_t at = 0; at < wire.len;) {
		long size = sotto_record_size(wire.p + at, wire.len - at);

		assert_true(size > 0);
		at += (size_t)size;
		if (at > 60000 && at < wire.len)
			small += size < SOTTO_RECORD_WIRE;
	}
	assert_int_equal(small, 0);
	end_session(s);
	clear(&octets);
	clear(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_side_that_does_not_drain_stops_the_other_and_nothing_is_lost),
		cmocka_unit_test(a_greeting_and_a_reply_that_nobody_reads_stay_bounded),
		cmocka_unit_test(megabytes_both_ways_in_random_pieces_arrive_whole),
		cmocka_unit_test(a_stream_is_sealed_in_whole_records),
		cmocka_unit_test(records_are_small_first_then_full_and_small_again_after_a_pause),
		cmocka_unit_test(padded_records_have_padme_sizes_only),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
