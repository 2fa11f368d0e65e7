/* SPDX-License-Identifier: ISC */
/*
 * relay.h's promises when something ends that should not: resets, closes and silence in each state of a session, truncation, a
 * new connection and none, and patience that runs out.
 */
#include "tests/unit/relay-lab.h"

/* ---- one relay between two ends of the test ---- */

/* `l->wire[0]` is the other mail server, whatever the role; `l->server` or `l->client` ours, as *mta. */
static struct relay *open_one(struct lab *l, enum sotto_role role, enum sotto_clear clear, struct end **mta)
{
	struct relay *x;
	int net[2], ours[2];

	lab_open(l);
	x = role == SOTTO_CONNECT ? &l->connect : &l->accept;
	*mta = role == SOTTO_CONNECT ? &l->client : &l->server;
	x->config.session.clear = clear;
	lab_tcp(net);
	lab_tcp(ours);
	end_open(&l->wire[0], l->base, net[0]);
	end_open(*mta, l->base, ours[0]);
	relay_start(x, l->base, net[1], ours[1]);
	return x;
}

static void turns_until_said(struct lab *l, struct end *from, const char *text, struct end *to)
{
	end_says_text(from, text);
	until(l, has_text(&to->got, text));
}

enum state { AT_START, GREETED, EHLO_SENT, OFFERED, EXCHANGING, REFUSING, SEALED, SPLICED, COPIED, STATES };

static const char *const state_names[] = { "start", "greeted", "EHLO sent", "offered", "exchanging", "refusing", "sealed", "spliced", "copied" };

/* Brings one relay to a state; the other mail server is the test's wire[0], ours *mta. False: the role has no such state. */
static struct relay *bring_to(struct lab *l, enum sotto_role role, enum state to, struct end **mta)
{
	struct relay *x = open_one(l, role, to == REFUSING ? SOTTO_CLEAR_451 : SOTTO_CLEAR_PASS, mta);
	struct end *net = &l->wire[0], *server = role == SOTTO_CONNECT ? net : *mta, *client = role == SOTTO_CONNECT ? *mta : net;

	x->r->never_splice = to == COPIED;
	if (to == AT_START)
		return x;
	turns_until_said(l, server, GREETING, client);
	if (to == GREETED)
		return x;
	if (to == SPLICED || to == COPIED) {
		turns_until_said(l, client, "HELO c.example\r\n", server);
		return x;
	}
	turns_until_said(l, client, EHLO, server);
	if (to == EHLO_SENT)
		return x;
	if (role == SOTTO_ACCEPT) {
		end_says_text(server, REPLY_PLAIN);
		until(l, has_text(&client->got, REPLY_OFFER));
		if (to == EXCHANGING)
			end_says_text(client, SOTTO_COMMAND);
		if (to == REFUSING) {
			end_says_text(client, "MAIL FROM:<>\r\n");
			until(l, has_text(&client->got, "451 "));
		}
	} else if (to == REFUSING) {
		end_says_text(server, REPLY_PLAIN);
		until(l, has_text(&client->got, "451 "));
	} else {
		end_says_text(server, REPLY_OFFER);
		until(l, has_text(&server->got, SOTTO_COMMAND));
	}
	lab_idle(l);
	return x;
}

/* Both relays and the wire between them, sealed: the relay in question is that of the role. */
static struct relay *bring_to_sealed(struct lab *l, enum sotto_role role, struct end **mta)
{
	lab_sealed(l, true, false);
	*mta = role == SOTTO_CONNECT ? &l->client : &l->server;
	return role == SOTTO_CONNECT ? &l->connect : &l->accept;
}

enum end_op { NET_RESETS, NET_CLOSES, NET_HALF_CLOSES, MTA_RESETS, MTA_CLOSES, MTA_HALF_CLOSES, OPS };

static const char *const op_names[] = { "net resets", "net closes", "net half-closes", "mta resets", "mta closes", "mta half-closes" };

static void operate(struct lab *l, enum sotto_role role, struct end *mta, enum end_op op)
{
	struct end *net = l->wire[1].readable == NULL || role == SOTTO_CONNECT ? &l->wire[0] : &l->wire[1];

	net->forwards_to = NULL;
	switch (op) {
	case NET_RESETS:
		end_reset(net);
		break;
	case NET_CLOSES:
		end_close(net);
		break;
	case NET_HALF_CLOSES:
		end_half_closes(net);
		break;
	case MTA_RESETS:
		end_reset(mta);
		break;
	case MTA_CLOSES:
		end_close(mta);
		break;
	case MTA_HALF_CLOSES:
		end_half_closes(mta);
		break;
	case OPS:
		break;
	}
}

/* Whatever happens: no spinning, and an end, once, after at most a few minutes of patience. */
static void ends(enum sotto_role role, enum state at, enum end_op op)
{
	struct lab l;
	struct end *mta;
	struct relay *x = at == SEALED ? bring_to_sealed(&l, role, &mta) : bring_to(&l, role, at, &mta);
	/* a close of the peer's and a half-close look the same, until something is written to it */
	bool net_waits = op == NET_HALF_CLOSES || op == NET_CLOSES;
	unsigned patience = 0;

	lab_idle(&l);
	operate(&l, role, mta, op);
	lab_idle(&l);
	if (net_waits && !x->done) {
		/* the other mail server may wait for replies as long as it likes: nobody is gone */
		if (at == SPLICED || at == COPIED)
			assert_true(mta->eof);
		end_close(mta);
	}
	while (!x->done && patience++ < 8) {
		lab_idle(&l);
		lab_pass(x, 31000);
		lab_idle(&l);
	}
	if (x->done != 1)
		fail_msg("role %u, %s, %s: done %u times", role, state_names[at], op_names[op], x->done);
	/* our mail server is told: by an end, or a reset */
	if (mta->fd >= 0 && !mta->eof && !mta->reset)
		fail_msg("role %u, %s, %s: our mail server was not told", role, state_names[at], op_names[op]);
	/* a reset in a session that passes through, or is sealed, is one for our mail server too */
	if (op == NET_RESETS && (at == SEALED || at == SPLICED || at == COPIED)) {
		assert_true(mta->reset);
		assert_false(x->end.orderly);
	}
	lab_close(&l);
}

static void test_each_end_in_each_state_ends_the_session_once(void **state)
{
	(void)state;
	for (enum sotto_role role = SOTTO_ACCEPT; role <= SOTTO_CONNECT; role++) {
		for (enum state at = AT_START; at < STATES; at++) {
			for (enum end_op op = 0; op < OPS; op++) {
				if (role == SOTTO_CONNECT && at == OFFERED)
					continue;
				ends(role, at, op);
			}
		}
	}
}

/* ---- what came before a loss is delivered, and then the loss ---- */

enum loss { TRUNCATED, RESET, GARBAGE, LOSSES };

static void loses(enum sotto_role role, enum loss loss, bool slow)
{
	struct lab l;
	struct end *mta, *peer, *net;
	struct relay *x = bring_to_sealed(&l, role, &mta);
	struct octets sent = { 0 };

	peer = role == SOTTO_CONNECT ? &l.server : &l.client;
	net = role == SOTTO_CONNECT ? &l.wire[0] : &l.wire[1];
	fill(&sent, 500000);
	if (slow)
		end_stops_reading(mta);
	end_says(peer, sent.p, sent.len);
	/* all of it, sealed, has left the wire */
	until(&l, peer->say.len == 0);
	lab_idle(&l);
	if (!slow)
		until(&l, mta->got.len == sent.len);
	net->forwards_to = NULL;
	if (loss == GARBAGE)
		end_says(net, "\xff\xff\xff", 3);
	else if (loss == TRUNCATED)
		end_half_closes(net);
	else if (!slow)
		end_reset(net);
	lab_idle(&l);
	if (slow)
		end_reads_again(mta);
	until(&l, mta->eof || mta->reset);
	if (!mta->reset)
		fail_msg("role %u, loss %u, slow %u: looks like an orderly end", role, loss, slow);
	if (!same(&mta->got, &sent))
		fail_msg("role %u, loss %u, slow %u: %zu octets of %zu", role, loss, slow, mta->got.len, sent.len);
	until(&l, x->done);
	assert_true(x->report.lost);
	assert_false(x->end.orderly);
	clear(&sent);
	lab_close(&l);
}

static void test_a_lost_sealed_session_is_a_reset_behind_all_authenticated_octets(void **state)
{
	(void)state;
	for (enum sotto_role role = SOTTO_ACCEPT; role <= SOTTO_CONNECT; role++) {
		for (enum loss loss = TRUNCATED; loss < LOSSES; loss++) {
			loses(role, loss, false);
			if (loss != RESET)
				loses(role, loss, true);
		}
	}
}

/* A reset in the clear, while our mail server is slow: what came before is read first. */
static void resets_in_the_clear(bool splice)
{
	struct lab l;
	struct octets sent = { 0 };

	lab_opaque(&l, true, false, splice);
	end_stops_reading(&l.client);
	fill(&sent, 500000);
	end_says(&l.server, sent.p, sent.len);
	until(&l, l.server.say.len == 0);
	lab_idle(&l);
	if (l.wire[0].say.len > 0)
		fail_msg("the kernel is too slow for this: %zu", l.wire[0].say.len);
	l.wire[0].forwards_to = NULL;
	end_reset(&l.wire[0]);
	lab_idle(&l);
	end_reads_again(&l.client);
	until(&l, l.client.eof || l.client.reset);
	assert_true(l.client.reset);
	assert_memory_equal(l.client.got.p, sent.p, l.client.got.len);
	until(&l, l.connect.done);
	assert_false(l.connect.end.orderly);
	clear(&sent);
	lab_close(&l);
}

static void test_a_reset_in_the_clear_is_passed_on_as_one(void **state)
{
	(void)state;
	resets_in_the_clear(true);
	resets_in_the_clear(false);
}

/* A client that closes behind its QUIT, with TLS: our mail server's last words are answered by a reset, and it has not read the client's. */
static void closes_behind_its_quit(enum state at)
{
	struct lab l;
	struct end *mta;
	struct relay *x = bring_to(&l, SOTTO_ACCEPT, at, &mta);

	end_close(&l.wire[0]);
	until(&l, mta->eof);
	end_says_text(mta, "221 2.0.0 Bye\r\n");
	lab_idle(&l);
	end_reset(mta);
	until(&l, x->done);	/* while the clock stands still */
	lab_close(&l);
}

static void test_a_peer_that_closes_and_then_resets_is_not_waited_for(void **state)
{
	(void)state;
	closes_behind_its_quit(SPLICED);
	closes_behind_its_quit(COPIED);
}

static void test_a_mail_server_that_never_reads_does_not_hold_the_end_up(void **state)
{
	struct lab l;
	struct octets sent = { 0 };
	unsigned passes = 0;

	(void)state;
	lab_sealed(&l, true, false);
	end_stops_reading(&l.client);
	fill(&sent, 40000000);
	end_says(&l.server, sent.p, sent.len);
	lab_idle(&l);
	l.wire[0].forwards_to = NULL;
	end_says(&l.wire[0], "\xff\xff", 2);
	end_half_closes(&l.wire[0]);
	lab_idle(&l);
	/* the sealed session is stuck behind our mail server, which lives: no patience runs out */
	lab_pass(&l.connect, 3600000);
	lab_idle(&l);
	assert_int_equal(l.connect.done, 0);
	/* now our mail server is at its end */
	end_half_closes(&l.client);
	lab_idle(&l);
	lab_pass(&l.connect, 29000);
	lab_idle(&l);
	assert_int_equal(l.connect.done, 0);
	while (!l.connect.done && passes++ < 3) {
		lab_pass(&l.connect, 31000);
		lab_idle(&l);
	}
	assert_int_equal(l.connect.done, 1);
	assert_false(l.connect.end.orderly);
	end_reads_again(&l.client);
	until(&l, l.client.reset || l.client.eof);
	assert_true(l.client.reset);
	clear(&sent);
	lab_close(&l);
}

/* A truncated session whose last octets our mail server never reads: 30 seconds, then a reset. */
static void test_what_cannot_be_delivered_after_a_loss_is_waited_for_30_seconds(void **state)
{
	struct lab l;
	struct octets sent = { 0 };
	uint64_t before, said = 0;

	(void)state;
	lab_sealed(&l, true, false);
	end_stops_reading(&l.client);
	/* so that the kernel takes little, and what we watch grows step by step */
	assert_int_equal(setsockopt(l.connect.r->side[SOTTO_MTA].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	assert_int_equal(setsockopt(l.client.fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int)), 0);
	fill(&sent, 4000);
	before = l.accept.r->side[SOTTO_MTA].in;
	do {	/* until the session's own buffers have something, but net is still read to its end */
		end_says(&l.server, sent.p, sent.len);
		said += sent.len;
		until(&l, l.accept.r->side[SOTTO_MTA].in - before >= said &&
			  l.connect.r->side[SOTTO_NET].in == l.accept.r->side[SOTTO_NET].out);
		lab_idle(&l);
	} while (sotto_buffer_len(&l.connect.r->session.out[SOTTO_MTA]) < 10000);
	l.wire[0].forwards_to = NULL;
	end_half_closes(&l.wire[0]);
	lab_idle(&l);
	assert_true(l.connect.report.lost);
	lab_pass(&l.connect, 29000);
	lab_idle(&l);
	assert_int_equal(l.connect.done, 0);
	lab_pass(&l.connect, 1000);
	lab_idle(&l);
	until(&l, l.connect.done);
	assert_false(l.connect.end.orderly);
	clear(&sent);
	lab_close(&l);
}

/* ---- the last words ---- */

static void test_what_was_said_last_is_read_although_the_peer_talks_on(void **state)
{
	struct lab l;
	struct end *mta, *net = &l.wire[0];
	struct octets more = { 0 };
	struct relay *x;

	(void)state;
	x = bring_to(&l, SOTTO_ACCEPT, EXCHANGING, &mta);
	end_stops_reading(net);
	clear(&net->got);
	fill(&more, 1000);
	end_says(net, more.p, more.len);
	lab_idle(&l);
	lab_pass(x, 60000);
	fill(&more, 200000);
	end_says(net, more.p, more.len);
	lab_idle(&l);
	end_reads_again(net);
	until(&l, net->eof || net->reset);
	assert_true(net->eof);
	assert_text(&net->got, "421 4.4.2 XSOTTO hello did not come in time\r\n");
	assert_int_equal(x->done, 0);
	end_close(net);
	lab_idle(&l);
	/* our mail server has not closed: it gets five seconds */
	assert_true(mta->eof);
	lab_pass(x, 4999);
	lab_idle(&l);
	assert_int_equal(x->done, 0);
	lab_pass(x, 1);
	lab_idle(&l);
	assert_int_equal(x->done, 1);
	clear(&more);
	lab_close(&l);
}

/* ---- the other mail server waits for replies, for hours ---- */

static void test_a_half_closed_peer_may_wait_as_long_as_it_likes(void **state)
{
	(void)state;
	for (enum state at = SEALED; at < STATES; at++) {
		struct lab l;
		struct end *mta;
		struct relay *x;

		if (at == SEALED) {
			x = bring_to_sealed(&l, SOTTO_ACCEPT, &mta);
			end_half_closes(&l.client);
		} else {
			x = bring_to(&l, SOTTO_ACCEPT, at, &mta);
			end_half_closes(&l.wire[0]);
		}
		until(&l, mta->eof);
		lab_idle(&l);
		lab_pass(x, 7200000);
		lab_idle(&l);
		assert_int_equal(x->done, 0);
		end_says_text(mta, "250 2.0.0 taken at last\r\n");
		end_half_closes(mta);
		if (at == SEALED) {
			until(&l, l.client.eof);
			assert_text(&l.client.got, "250 2.0.0 taken at last\r\n");
		} else {
			until(&l, l.wire[0].eof);
			assert_true(has_text(&l.wire[0].got, "250 2.0.0 taken at last\r\n"));
		}
		until(&l, x->done);
		assert_true(x->end.orderly);
		lab_close(&l);
	}
}

static void test_a_mail_server_that_ended_leaves_the_peer_30_seconds(void **state)
{
	(void)state;
	for (enum state at = SPLICED; at < STATES; at++) {
		struct lab l;
		struct end *mta;
		struct relay *x = bring_to(&l, SOTTO_ACCEPT, at, &mta);

		end_says_text(mta, "421 4.4.2 timeout\r\n");
		end_close(mta);
		until(&l, l.wire[0].eof);
		assert_true(has_text(&l.wire[0].got, "421 4.4.2 timeout\r\n"));
		lab_idle(&l);
		lab_pass(x, 29999);
		lab_idle(&l);
		assert_int_equal(x->done, 0);
		lab_pass(x, 1);
		lab_idle(&l);
		assert_int_equal(x->done, 1);
		lab_close(&l);
	}
}

/*
 * Our mail server counts its connections, and after its end no longer this one: whoever reads an octet now and then, or none, does not
 * keep it. The number of times that 20 seconds passed.
 */
static unsigned kept_by_a_peer(enum state at, bool reads)
{
	struct lab l;
	struct end *mta, *net = &l.wire[0];
	struct octets replies = { 0 };
	struct relay *x = bring_to(&l, SOTTO_ACCEPT, at, &mta);
	unsigned passes = 0;

	end_stops_reading(net);
	assert_int_equal(setsockopt(x->r->side[SOTTO_NET].fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	assert_int_equal(setsockopt(net->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int)), 0);
	/* more than the peer, the kernel and we take; the rest waits before our mail server's end */
	fill(&replies, 130000);
	end_says(mta, replies.p, replies.len);
	end_close(mta);
	lab_idle(&l);
	assert_false(x->r->side[SOTTO_MTA].ended);
	while (!x->done && passes++ < 40) {
		/* what an octet that the kernel got rid of amounts to */
		if (reads)
			x->r->progressed = lab_clock;
		lab_pass(x, 20000);
		lab_idle(&l);
	}
	assert_int_equal(x->done, 1);
	assert_false(x->end.orderly);
	clear(&replies);
	lab_close(&l);
	return passes;
}

static void test_a_peer_that_does_not_read_keeps_no_session_without_a_mail_server(void **state)
{
	(void)state;
	for (enum state at = SPLICED; at < STATES; at++) {
		assert_in_range(kept_by_a_peer(at, false), 2, 4);
		assert_in_range(kept_by_a_peer(at, true), 15, 18);
	}
}

/* ---- connecting again (PROTOCOL.md 8) ---- */

struct again {
	struct lab l;
	struct end *mta;
	struct relay *x;
	struct sockaddr_in peer;
	int listening;
};

/* The role connect, whose hello has gone to a peer that says nothing; a new connection goes to 127.0.9.1, from 127.0.9.2. */
static void exchange(struct again *a, bool listens)
{
	struct sockaddr_in *local;

	a->x = open_one(&a->l, SOTTO_CONNECT, SOTTO_CLEAR_PASS, &a->mta);
	a->l.fds++;	/* the listener's, until the test closes it */
	a->listening = lab_listen("127.0.9.1", &a->peer);
	if (!listens) {
		a->l.fds--;
		close(a->listening);
	}
	memcpy(&a->x->r->config.peer, &a->peer, sizeof(a->peer));
	a->x->r->config.peer_len = sizeof(a->peer);
	local = (struct sockaddr_in *)&a->x->r->config.local;
	local->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, "127.0.9.2", &local->sin_addr), 1);
	turns_until_said(&a->l, &a->l.wire[0], GREETING, a->mta);
	turns_until_said(&a->l, a->mta, EHLO, &a->l.wire[0]);
	end_says_text(&a->l.wire[0], REPLY_OFFER);
	until(&a->l, a->l.wire[0].got.len == strlen(EHLO) + strlen(SOTTO_COMMAND) + SOTTO_CLIENT_HELLO);
	lab_idle(&a->l);
}

static void silence(struct again *a)
{
	lab_pass(a->x, 3999);
	lab_idle(&a->l);
	assert_int_equal(a->x->r->session.redials, 0);
	assert_null(a->x->r->dial);
	lab_pass(a->x, 1);
}

/* The new connection, as wire[1]. */
static void take_connection(struct again *a)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd = -1;

	until(&a->l, (fd = accept(a->listening, (struct sockaddr *)&from, &len)) >= 0);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000902);
	end_open(&a->l.wire[1], a->l.base, fd);
	/* the first one is closed */
	until(&a->l, a->l.wire[0].eof || a->l.wire[0].reset);
}

static void test_after_silence_it_connects_again_and_passes_through(void **state)
{
	struct again a;
	struct octets all = { 0 };

	(void)state;
	exchange(&a, true);
	silence(&a);
	take_connection(&a);
	assert_int_equal(a.x->settled, 0);
	clear(&a.mta->got);
	lab_idle(&a.l);
	/* the greeting may take as long as our mail server waits */
	lab_pass(a.x, 100000);
	lab_idle(&a.l);
	end_says_text(&a.l.wire[1], GREETING);
	until(&a.l, is_text(&a.l.wire[1].got, EHLO));
	lab_idle(&a.l);
	end_says_text(&a.l.wire[1], REPLY_OFFER);
	until(&a.l, a.mta->got.len > 0);
	lab_idle(&a.l);
	assert_text(&a.mta->got, REPLY_OFFER);
	assert_int_equal(a.x->report.outcome, SOTTO_OUTCOME_CLEAR);
	assert_int_equal(a.x->report.failure, SOTTO_CAUSE_SILENCE);
	assert_true(a.x->report.silent);
	assert_int_equal(a.x->settled, 1);
	/* the next command is still looked at */
	assert_int_equal(a.x->r->phase, SOTTO_PHASE_SESSION);
	clear(&a.mta->got);
	clear(&a.l.wire[1].got);
	fill(&all, 1000000);
	end_says(a.mta, all.p, all.len);
	until(&a.l, a.l.wire[1].got.len == all.len);
	assert_same(&a.l.wire[1].got, &all);
	assert_int_equal(a.x->r->phase, SOTTO_PHASE_THROUGH);
	end_half_closes(a.mta);
	until(&a.l, a.l.wire[1].eof);
	end_says_text(&a.l.wire[1], "221 bye\r\n");
	end_close(&a.l.wire[1]);
	until(&a.l, a.mta->eof && a.x->done);
	assert_text(&a.mta->got, "221 bye\r\n");
	assert_true(a.x->end.orderly);
	clear(&all);
	lab_close(&a.l);
	close(a.listening);
}

static void test_a_peer_that_closes_or_resets_during_the_exchange_is_connected_to_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct again a;
		int fd = -1;

		exchange(&a, true);
		if (i == 0)
			end_reset(&a.l.wire[0]);
		else if (i == 1)
			end_close(&a.l.wire[0]);
		else
			end_says_text(&a.l.wire[0], "250 what?\r\n");
		until(&a.l, (fd = accept(a.listening, NULL, NULL)) >= 0);
		end_open(&a.l.wire[1], a.l.base, fd);
		end_says_text(&a.l.wire[1], GREETING);
		until(&a.l, is_text(&a.l.wire[1].got, EHLO));
		clear(&a.mta->got);
		end_says_text(&a.l.wire[1], REPLY_PLAIN);
		until(&a.l, is_text(&a.mta->got, REPLY_PLAIN));
		assert_true(a.x->report.failed);
		lab_close(&a.l);
		close(a.listening);
	}
}

static void is_421_and_an_end(struct again *a)
{
	until(&a->l, a->mta->eof || a->mta->reset);
	assert_true(a->mta->eof);
	assert_true(a->mta->got.len > 5 && memcmp(a->mta->got.p, "421 ", 4) == 0);
	end_close(a->mta);
	until(&a->l, a->x->done);
	assert_int_equal(a->x->report.outcome, SOTTO_OUTCOME_REFUSED);
	assert_false(a->x->end.orderly);
}

static void test_without_a_new_connection_our_mail_server_gets_421_and_an_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct again a;

		/* refused; there can't be one; no descriptor for it */
		exchange(&a, i != 0);
		clear(&a.mta->got);
		if (i == 1)
			a.x->r->config.peer_len = 0;
		if (i == 2)
			((struct sockaddr_in *)&a.x->r->config.local)->sin_addr.s_addr = htonl(0xc0000201);	/* not ours to bind */
		silence(&a);
		is_421_and_an_end(&a);
		lab_close(&a.l);
		if (i != 0)
			close(a.listening);
	}
}

static void test_a_new_connection_that_ends_is_421_too(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct again a;

		exchange(&a, true);
		clear(&a.mta->got);
		silence(&a);
		take_connection(&a);
		if (i >= 2) {
			end_says_text(&a.l.wire[1], GREETING);
			until(&a.l, is_text(&a.l.wire[1].got, EHLO));
		}
		if (i % 2 == 0)
			end_reset(&a.l.wire[1]);
		else
			end_close(&a.l.wire[1]);
		is_421_and_an_end(&a);
		lab_close(&a.l);
		close(a.listening);
	}
}

/* A listener whose queue is full does not answer. */
static void fill_queue(const struct sockaddr_in *at, int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fds[i], (const struct sockaddr *)at, sizeof(*at));
	}
}

static void test_our_mail_server_may_leave_while_a_new_connection_is_made(void **state)
{
	enum { FILLERS = 40 };
	int fillers[FILLERS];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct again a;

		exchange(&a, true);
		a.l.fds += FILLERS;
		fill_queue(&a.peer, fillers, FILLERS);
		silence(&a);
		until(&a.l, a.x->r->dial != NULL);
		lab_idle(&a.l);
		assert_non_null(a.x->r->dial);
		if (i == 0)
			end_close(a.mta);
		else if (i == 1)
			end_reset(a.mta);
		else
			sotto_relay_stop(a.x->r);
		until(&a.l, a.x->done);
		lab_close(&a.l);
		assert_int_equal(a.x->done, 1);
		close(a.listening);
		for (unsigned f = 0; f < FILLERS; f++)
			close(fillers[f]);
	}
}

static void test_our_mail_server_may_leave_before_the_new_connection_is_answered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct again a;

		exchange(&a, true);
		silence(&a);
		take_connection(&a);
		if (i >= 2) {
			end_says_text(&a.l.wire[1], GREETING);
			until(&a.l, is_text(&a.l.wire[1].got, EHLO));
		}
		if (i % 2 == 0)
			end_reset(a.mta);
		else
			end_close(a.mta);
		until(&a.l, a.l.wire[1].eof || a.l.wire[1].reset);
		end_close(&a.l.wire[1]);
		until(&a.l, a.x->done);
		lab_close(&a.l);
		close(a.listening);
	}
}

/* splice(2) raises SIGPIPE, whatever is said to it. */
static void test_nobody_is_killed_by_a_closed_connection(void **state)
{
	struct octets all = { 0 };
	struct lab l;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	lab_opaque(&l, true, false, true);
	fill(&all, 20000000);
	end_says(&l.client, all.p, all.len);
	until(&l, l.wire[0].swallowed > 1000000);
	l.wire[0].forwards_to = NULL;
	end_reset(&l.wire[0]);
	until(&l, l.connect.done);
	/* its own write may have been told of the reset, and then its read sees an end */
	until(&l, l.client.reset || l.client.eof);
	assert_false(l.connect.end.orderly);
	clear(&all);
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_end_in_each_state_ends_the_session_once),
		cmocka_unit_test(test_a_lost_sealed_session_is_a_reset_behind_all_authenticated_octets),
		cmocka_unit_test(test_a_reset_in_the_clear_is_passed_on_as_one),
		cmocka_unit_test(test_a_peer_that_closes_and_then_resets_is_not_waited_for),
		cmocka_unit_test(test_a_mail_server_that_never_reads_does_not_hold_the_end_up),
		cmocka_unit_test(test_what_cannot_be_delivered_after_a_loss_is_waited_for_30_seconds),
		cmocka_unit_test(test_what_was_said_last_is_read_although_the_peer_talks_on),
		cmocka_unit_test(test_a_half_closed_peer_may_wait_as_long_as_it_likes),
		cmocka_unit_test(test_a_mail_server_that_ended_leaves_the_peer_30_seconds),
		cmocka_unit_test(test_a_peer_that_does_not_read_keeps_no_session_without_a_mail_server),
		cmocka_unit_test(test_after_silence_it_connects_again_and_passes_through),
		cmocka_unit_test(test_a_peer_that_closes_or_resets_during_the_exchange_is_connected_to_again),
		cmocka_unit_test(test_without_a_new_connection_our_mail_server_gets_421_and_an_end),
		cmocka_unit_test(test_a_new_connection_that_ends_is_421_too),
		cmocka_unit_test(test_our_mail_server_may_leave_while_a_new_connection_is_made),
		cmocka_unit_test(test_our_mail_server_may_leave_before_the_new_connection_is_answered),
		cmocka_unit_test(test_nobody_is_killed_by_a_closed_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
