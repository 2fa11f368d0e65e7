/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-flow.c - octets in quantity: bounds where a side does not drain, megabytes both ways in random pieces, sizes of records on
 * the wire, every octet value, when splice may take over; and that no key outlives its use.
 */
#include "tests/unit/protocol-peer.h"

#define MIB (1024 * 1024)

static struct sotto_session_config config;
static struct peer p;

static struct sotto_session *accepting(bool padding)
{
	struct octets rest = { 0 };

	config = plain_config(SOTTO_ACCEPT);
	config.padding = padding;
	peer_as_client(&p, &config, &rest);
	clear(&rest);
	p.open.counter = 1;	/* IDENT was left aside */
	return p.s;
}

static struct sotto_session *connecting(bool padding)
{
	config = plain_config(SOTTO_CONNECT);
	config.padding = padding;
	peer_as_server(&p, &config);
	peer_says(&p, SOTTO_IDENT_RECORD, NULL, 0);
	expect(p.s, SOTTO_MTA, REPLY_PLAIN);
	return p.s;
}

static struct sotto_session *sealed(unsigned role, bool padding)
{
	return role == SOTTO_ACCEPT ? accepting(padding) : connecting(padding);
}

/* A session that passes through. */
static struct sotto_session *opaque(unsigned role)
{
	struct sotto_session *s;

	config = plain_config((enum sotto_role)role);
	config.use = SOTTO_USE_OFF;
	s = new_session(&config);
	assert_true(sotto_session_is_opaque(s));
	return s;
}

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
		struct sotto_session *s = opaque(role);

		check_bounded(s, SOTTO_NET, &octets, false, false);
		check_bounded(s, SOTTO_MTA, &octets, false, false);
		end_session(s);
		s = sealed(role, true);
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
		struct sotto_session *s = accepting(padding == 1);

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
	struct sotto_session *s = connecting(true);

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

/* ---- passing through ---- */

static void opaque_passes_every_octet_value_both_ways(void **state)
{
	uint8_t all[256 * 2];

	(void)state;
	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i < 256 ? i : 511 - i);
	for (unsigned role = 0; role < 2; role++) {
		struct sotto_session *s = opaque(role);

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
			struct sotto_session *s = opaque(role);

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
		struct sotto_session *s = opaque(SOTTO_CONNECT);
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
		struct sotto_session *s = sealed(role, false);

		assert_int_equal(sotto_session_wishes(s) & SOTTO_WISH_SPLICE, 0);
		end_session(s);
	}
}

/* A mail server that stopped reading cannot keep an ended session for ever. */
static void an_end_that_nobody_reads_comes_after_30_seconds_without_progress(void **state)
{
	struct sotto_session *s = opaque(SOTTO_ACCEPT);

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

/* ---- keys ---- */

static bool holds(const struct sotto_session *s, const void *secret, size_t len)
{
	return memmem(s, sizeof(*s), secret, len) != NULL;
}

static bool holds_keys(const struct sotto_session *s)
{
	return holds(s, p.keys.c2s_key, 16) || holds(s, p.keys.s2c_key, 16) || holds(s, p.keys.c2s_iv, 12) ||
	       holds(s, p.keys.s2c_iv, 12) || holds(s, p.keys.h, 32);
}

enum way_to_end { CLOSE_BOTH, TRUNCATE, RESET, BAD, LATE, BAD_IDENT, WAYS };

static void no_key_outlives_its_session(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (unsigned way = 0; way < WAYS; way++) {
			struct sotto_session *s = way == BAD_IDENT && role == SOTTO_CONNECT ?
						  (config = plain_config(SOTTO_CONNECT), peer_as_server(&p, &config), p.s) : sealed(role, false);
			struct octets heard = { 0 };

			assert_true(holds(s, p.keys.c2s_key, 32) && holds(s, p.keys.s2c_key, 32));
			if (way == CLOSE_BOTH || way == LATE) {
				sotto_session_eof(s, SOTTO_MTA);
				(void)peer_hears(&p, &heard);
				if (way == CLOSE_BOTH)
					peer_says(&p, SOTTO_CLOSE, NULL, 0);
				else
					advance(s, 30000);
			} else if (way == TRUNCATE) {
				sotto_session_eof(s, SOTTO_NET);
			} else if (way == RESET) {
				sotto_session_gone(s, SOTTO_NET);
			} else if (way == BAD) {
				(void)feed(s, SOTTO_NET, "\x00\x11" "0123456789abcdefg", 19);
			} else {
				peer_says(&p, SOTTO_IDENT_RECORD, "x", 1);
			}
			take(s, SOTTO_MTA, &heard);
			assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
			if (holds_keys(s))
				fail_msg("role %u, end %u: keys are left", role, way);
			end_session(s);
			clear(&heard);
		}
	}
}

static uint64_t dice_before;

static int noted_random(uint8_t *out, size_t len)
{
	dice_before = dice_state;
	return random_of_test(out, len);
}

/* The client's ephemeral secrets, made once more from the same dice. */
static struct sotto_client_secrets secrets_again(void)
{
	uint8_t random[SOTTO_CLIENT_RANDOM], hello[SOTTO_CLIENT_HELLO];
	struct sotto_client_secrets secrets;
	uint64_t now = dice_state;

	dice_state = dice_before;
	(void)random_of_test(random, sizeof(random));
	dice_state = now;
	sotto_client_hello(hello, &secrets, random);
	assert_memory_equal(hello, p.client_hello, sizeof(hello));
	return secrets;
}

static void ephemeral_secrets_go_as_soon_as_they_have_served(void **state)
{
	struct sotto_client_secrets secrets;
	struct sotto_session *s;

	(void)state;
	config = plain_config(SOTTO_CONNECT);
	config.random = noted_random;
	peer_as_server(&p, &config);
	secrets = secrets_again();
	assert_false(holds(p.s, secrets.dk, 32));
	assert_true(holds(p.s, secrets.x, 32));	/* until IDENT */
	peer_says(&p, SOTTO_IDENT_RECORD, NULL, 0);
	assert_false(holds(p.s, secrets.x, 32) || holds(p.s, p.keys.h, 32));
	end_session(p.s);
	/* a refusal, and each failure */
	for (unsigned n = 0; n < 5; n++) {
		config.redial = n % 2;
		p.s = s = new_session(&config);
		peer_reads_hello(&p, REPLY_OFFER);
		secrets = secrets_again();
		assert_true(holds(s, secrets.dk, 32) && holds(s, secrets.x, 32));
		if (n == 0)
			say(s, SOTTO_NET, "454 4.7.0 XSOTTO no\r\n");
		else if (n < 3)
			sotto_session_gone(s, SOTTO_NET);
		else
			advance(s, 4000);
		if (holds(s, secrets.dk, 32) || holds(s, secrets.x, 32))
			fail_msg("failure %u: secrets are left", n);
		end_session(s);
	}
}

static void the_long_term_key_goes_with_its_use(void **state)
{
	uint8_t identity[32];

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct octets rest = { 0 };

		config = plain_config(SOTTO_ACCEPT);
		config.has_identity = true;
		(void)random_of_test(config.identity, 32);
		memcpy(identity, config.identity, 32);
		if (n == 0) {
			peer_as_client(&p, &config, &rest);
		} else {
			p.s = new_session(&config);
			assert_true(holds(p.s, identity, 32));
			say(p.s, SOTTO_MTA, n == 1 ? "554 no\r\n" : GREETING);
			if (n == 2)
				say(p.s, SOTTO_NET, "HELO x\r\n");
		}
		assert_false(holds(p.s, identity, 32));
		end_session(p.s);
		clear(&rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_side_that_does_not_drain_stops_the_other_and_nothing_is_lost),
		cmocka_unit_test(a_greeting_and_a_reply_that_nobody_reads_stay_bounded),
		cmocka_unit_test(megabytes_both_ways_in_random_pieces_arrive_whole),
		cmocka_unit_test(records_are_small_first_then_full_and_small_again_after_a_pause),
		cmocka_unit_test(padded_records_have_padme_sizes_only),
		cmocka_unit_test(opaque_passes_every_octet_value_both_ways),
		cmocka_unit_test(a_half_close_goes_through_and_the_other_half_lives),
		cmocka_unit_test(splice_takes_over_only_when_all_buffers_are_empty),
		cmocka_unit_test(an_end_that_nobody_reads_comes_after_30_seconds_without_progress),
		cmocka_unit_test(no_key_outlives_its_session),
		cmocka_unit_test(ephemeral_secrets_go_as_soon_as_they_have_served),
		cmocka_unit_test(the_long_term_key_goes_with_its_use),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
