/* SPDX-License-Identifier: ISC */
/* relay.h's promises while both sides live: whole dialogues sealed and not, half-closes, slow readers, many on a loop, callbacks. */
#include "tests/unit/relay-lab.h"

#define MUCH 5000000

static void converse(struct lab *l)
{
	end_says_text(&l->client, "MAIL FROM:<a@c.example>\r\n");
	until(l, has_text(&l->server.got, "MAIL FROM:<a@c.example>\r\n"));
	end_says_text(&l->server, "250 2.0.0 ok\r\n");
	until(l, has_text(&l->client.got, "250 2.0.0 ok\r\n"));
	clear(&l->client.got);
	clear(&l->server.got);
}

/* As much as you like in both directions at once. */
static void pour(struct lab *l, size_t len)
{
	struct octets there = { 0 }, back = { 0 };

	fill(&there, len);
	fill(&back, len);
	end_says(&l->client, there.p, there.len);
	end_says(&l->server, back.p, back.len);
	until(l, l->server.got.len >= len && l->client.got.len >= len);
	assert_same(&l->server.got, &there);
	assert_same(&l->client.got, &back);
	clear(&there);
	clear(&back);
	clear(&l->client.got);
	clear(&l->server.got);
}

/* QUIT, 221, and both mail servers see an end of the stream. */
static void quit(struct lab *l)
{
	end_says_text(&l->client, "QUIT\r\n");
	until(l, has_text(&l->server.got, "QUIT\r\n"));
	end_says_text(&l->server, "221 2.0.0 bye\r\n");
	end_half_closes(&l->server);
	until(l, l->client.eof || l->client.reset);
	assert_true(l->client.eof);
	assert_text(&l->client.got, "221 2.0.0 bye\r\n");
	end_half_closes(&l->client);
	until(l, l->server.eof || l->server.reset);
	assert_true(l->server.eof);
	assert_text(&l->server.got, "QUIT\r\n");
	until(l, l->connect.done && l->accept.done);
	assert_true(l->connect.end.orderly);
	assert_true(l->accept.end.orderly);
}

static void seals(bool over_unix)
{
	struct lab l;

	lab_sealed(&l, false, over_unix);
	lab_idle(&l);
	converse(&l);
	lab_idle(&l);
	pour(&l, MUCH);
	lab_idle(&l);
	quit(&l);
	assert_int_equal(l.connect.report.outcome, SOTTO_OUTCOME_SEALED);
	assert_int_equal(l.accept.report.outcome, SOTTO_OUTCOME_SEALED);
	assert_memory_equal(l.connect.report.session_id, l.accept.report.session_id, SOTTO_SESSION_ID);
	assert_int_equal(l.connect.end.sent, l.accept.end.received);
	assert_int_equal(l.connect.end.received, l.accept.end.sent);
	assert_true(l.connect.end.sent > MUCH);
	assert_int_equal(l.connect.settled, 1);
	assert_int_equal(l.accept.settled, 1);
	lab_close(&l);
}

static void test_a_sealed_session_passes_everything_and_ends_in_an_orderly_way(void **state)
{
	(void)state;
	seals(false);
	seals(true);
}

static void passes(bool over_unix, bool splice)
{
	struct lab l;
	size_t octets = strlen(EHLO) + strlen("MAIL FROM:<a@c.example>\r\n") + MUCH + strlen("QUIT\r\n");

	lab_opaque(&l, false, over_unix, splice);
	lab_idle(&l);
	converse(&l);
	pour(&l, MUCH);
	lab_idle(&l);
	assert_int_equal(l.connect.r->phase, splice ? SOTTO_PHASE_THROUGH : SOTTO_PHASE_SESSION);
	quit(&l);
	assert_int_equal(l.connect.report.outcome, SOTTO_OUTCOME_CLEAR);
	assert_int_equal(l.connect.end.sent, octets);
	assert_int_equal(l.accept.end.received, octets);
	lab_close(&l);
}

static void test_a_session_in_the_clear_passes_everything_spliced_or_copied(void **state)
{
	(void)state;
	passes(false, true);
	passes(false, false);
	passes(true, true);
	passes(true, false);
}

/* ---- half-closes ---- */

enum how { SEALED, SPLICED, COPIED, HOWS };

static void open_how(struct lab *l, enum how how, bool wired)
{
	if (how == SEALED)
		lab_sealed(l, wired, false);
	else
		lab_opaque(l, wired, false, how == SPLICED);
}

static void half_closes(enum how how, bool client_first)
{
	struct lab l;
	struct end *first, *second;
	struct octets late = { 0 };

	open_how(&l, how, false);
	first = client_first ? &l.client : &l.server;
	second = client_first ? &l.server : &l.client;
	end_says_text(first, "the last of it\r\n");
	end_half_closes(first);
	until(&l, second->eof || second->reset);
	assert_true(second->eof);
	assert_text(&second->got, "the last of it\r\n");
	/* the other direction goes on, for as long as something moves */
	lab_idle(&l);
	for (unsigned i = 0; i < 4; i++) {
		lab_clock += 20000;
		fill(&late, 300000);
		end_says(second, late.p + i * 300000, 300000);
		until(&l, first->got.len == (i + 1) * 300000);
		lab_idle(&l);
	}
	assert_same(&first->got, &late);
	assert_false(first->eof);
	end_half_closes(second);
	until(&l, l.connect.done && l.accept.done);
	until(&l, first->eof || first->reset);
	assert_true(first->eof);
	assert_true(l.connect.end.orderly);
	assert_true(l.accept.end.orderly);
	clear(&late);
	lab_close(&l);
}

static void test_half_closes_are_passed_on_in_each_direction(void **state)
{
	(void)state;
	for (enum how how = SEALED; how < HOWS; how++) {
		half_closes(how, true);
		half_closes(how, false);
	}
}

/* ---- slow readers ---- */

static size_t kernel_buffers(int fd)
{
	int snd = 0, rcv = 0;
	socklen_t len = sizeof(snd);

	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, &len);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, &len);
	return (size_t)snd + (size_t)rcv;
}

static void slow(enum how how)
{
	struct lab l;
	struct octets all = { 0 };
	size_t taken, room;

	open_how(&l, how, false);
	fill(&all, 64000000);
	end_stops_reading(&l.server);
	end_says(&l.client, all.p, all.len);
	lab_idle(&l);
	taken = all.len - l.client.say.len;
	/* a session, or two pipes, for each relay, and what the kernel takes */
	room = 2 * (SOTTO_IN + SOTTO_OUT) + kernel_buffers(l.client.fd) + kernel_buffers(l.server.fd);
	for (unsigned i = 0; i < 2; i++)
		room += kernel_buffers(l.connect.r->side[i].fd) + kernel_buffers(l.accept.r->side[i].fd);
	if (taken >= all.len || taken > room)
		fail_msg("%zu octets were taken of %zu; there is room for %zu", taken, all.len, room);
	/* the other direction does not care */
	end_says_text(&l.server, "452 wait\r\n");
	until(&l, has_text(&l.client.got, "452 wait\r\n"));
	lab_idle(&l);
	end_reads_again(&l.server);
	until(&l, l.server.got.len == all.len);
	assert_same(&l.server.got, &all);
	clear(&all);
	lab_close(&l);
}

static void test_a_slow_reader_stops_the_writer_within_bounds(void **state)
{
	(void)state;
	for (enum how how = SEALED; how < HOWS; how++)
		slow(how);
}

static void test_a_relay_takes_what_its_buffers_take(void **state)
{
	(void)state;
	/* 64 KiB a direction, the keys, and what a line of SMTP needs */
	assert_true(sizeof(struct sotto_relay) < 2 * 65536 + 12 * 1024);
	print_message("a relay: %zu octets\n", sizeof(struct sotto_relay));
}

/* ---- many on a loop ---- */

static void shares(enum how how)
{
	struct lab busy, quiet;
	struct octets all = { 0 };
	unsigned turns = 0;

	open_how(&busy, how, false);
	lab_open(&quiet);
	event_free(quiet.guard);
	event_base_free(quiet.base);
	quiet.base = busy.base;
	quiet.guard = NULL;
	lab_connect(&quiet, false, false);
	fill(&all, 64000000);
	end_says(&busy.client, all.p, all.len);
	end_says(&busy.server, all.p, all.len);
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(busy.base, EVLOOP_ONCE);
	end_says_text(&quiet.server, GREETING);
	while (!has_text(&quiet.client.got, GREETING) && turns++ < 50)
		event_base_loop(busy.base, EVLOOP_ONCE);
	assert_true(turns < 50);
	assert_true(busy.server.got.len < all.len);
	sotto_relay_stop(quiet.connect.r);
	sotto_relay_stop(quiet.accept.r);
	end_close(&quiet.client);
	end_close(&quiet.server);
	clear(&quiet.client.got);
	clear(&quiet.server.got);
	clear(&quiet.server.say);
	clear(&all);
	lab_close(&busy);
}

static void test_a_busy_relay_leaves_the_loop_to_others(void **state)
{
	(void)state;
	for (enum how how = SEALED; how < HOWS; how++)
		shares(how);
}

/* ---- without splice(2) ---- */

static void test_without_pipes_it_copies(void **state)
{
	struct rlimit was, none;
	struct lab l;

	(void)state;
	lab_open(&l);
	l.connect.config.session.use = l.accept.config.session.use = SOTTO_USE_OFF;
	lab_connect(&l, false, false);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	lab_greet(&l);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(l.connect.r->phase, SOTTO_PHASE_SESSION);
	assert_true(l.connect.r->never_splice);
	lab_idle(&l);
	clear(&l.client.got);
	clear(&l.server.got);
	pour(&l, 1000000);
	quit(&l);
	lab_close(&l);
}

/* splice(2) fails in the middle: EINVAL for a descriptor that may only append. */
static void goes_back(bool ended)
{
	struct lab l;
	struct octets all = { 0 };
	int append;

	lab_opaque(&l, false, false, true);
	append = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	converse(&l);
	l.connect.r->through[SOTTO_MTA].to = append;
	fill(&all, MUCH);
	end_says(&l.client, all.p, all.len);
	if (ended)
		end_half_closes(&l.client);
	until(&l, l.server.got.len == all.len);
	assert_same(&l.server.got, &all);
	assert_int_equal(l.connect.r->phase, SOTTO_PHASE_SESSION);
	assert_int_equal(l.accept.r->phase, SOTTO_PHASE_THROUGH);
	clear(&all);
	clear(&l.server.got);
	lab_idle(&l);
	if (ended) {
		until(&l, l.server.eof);
		end_says_text(&l.server, "221 bye\r\n");
		end_half_closes(&l.server);
		until(&l, l.connect.done && l.accept.done);
		assert_text(&l.client.got, "221 bye\r\n");
	} else {
		pour(&l, 1000000);
		quit(&l);
	}
	close(append);
	assert_int_equal(l.connect.end.sent, l.accept.end.received);
	lab_close(&l);
}

static void test_where_splice_fails_the_session_goes_on_by_copying(void **state)
{
	(void)state;
	goes_back(false);
	goes_back(true);
}

static void test_urgent_octets_do_not_make_it_spin_or_stop(void **state)
{
	(void)state;
	for (enum how how = SPLICED; how < HOWS; how++) {
		struct lab l;

		open_how(&l, how, false);
		end_says_text(&l.client, "before");
		assert_int_equal(send(l.client.fd, "!", 1, MSG_OOB), 1);
		end_says_text(&l.client, "after");
		until(&l, l.server.got.len >= 11);
		assert_text(&l.server.got, "beforeafter");
		lab_idle(&l);
		clear(&l.server.got);
		quit(&l);
		lab_close(&l);
	}
}

/* ---- start, callbacks, stop ---- */

static void test_the_preface_is_what_our_mail_server_reads_first(void **state)
{
	uint8_t preface[SOTTO_RELAY_PREFACE + 1];
	struct sotto_relay_config config;
	struct lab l;
	int net[2], mta[2];

	(void)state;
	for (size_t i = 0; i < sizeof(preface); i++)
		preface[i] = (uint8_t)i;
	lab_open(&l);
	lab_tcp(net);
	lab_unix(mta);
	config = l.accept.config;
	config.session.use = SOTTO_USE_OFF;
	config.arg = &l.accept;
	/* too long: the descriptors are still ours */
	assert_null(sotto_relay_start(l.base, net[1], mta[1], &config, preface, sizeof(preface)));
	assert_true(fcntl(net[1], F_GETFD) >= 0 && fcntl(mta[1], F_GETFD) >= 0);
	end_open(&l.client, l.base, net[0]);
	end_open(&l.server, l.base, mta[0]);
	end_says_text(&l.client, EHLO);
	l.accept.r = sotto_relay_start(l.base, net[1], mta[1], &config, preface, SOTTO_RELAY_PREFACE);
	assert_non_null(l.accept.r);
	assert_int_equal(l.accept.progressed + l.accept.settled + l.accept.done, 0);
	until(&l, l.server.got.len == SOTTO_RELAY_PREFACE + strlen(EHLO));
	assert_memory_equal(l.server.got.p, preface, SOTTO_RELAY_PREFACE);
	assert_memory_equal(l.server.got.p + SOTTO_RELAY_PREFACE, EHLO, strlen(EHLO));
	lab_close(&l);
	assert_int_equal(l.accept.done, 1);
}

static uint64_t mta_octets_when_sealed;

static void note_when_sealed(void *arg, const struct sotto_report *report)
{
	struct relay *x = arg;

	relay_on_progress(arg, report);
	if (report->authenticated && mta_octets_when_sealed == 0)
		mta_octets_when_sealed = x->r->side[SOTTO_MTA].out;
}

static void test_progress_is_told_before_the_octets_that_come_after(void **state)
{
	struct lab l;

	(void)state;
	mta_octets_when_sealed = 0;
	lab_open(&l);
	l.accept.config.progress = note_when_sealed;
	lab_connect(&l, false, false);
	lab_greet(&l);
	assert_int_equal(mta_octets_when_sealed, 0);
	end_says_text(&l.client, "MAIL FROM:<a@c.example>\r\n");
	until(&l, has_text(&l.server.got, "MAIL"));
	assert_int_equal(mta_octets_when_sealed, strlen(EHLO));
	lab_close(&l);
}

static void test_settled_comes_when_no_connection_is_to_be_made(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l);
	l.connect.config.peer_len = sizeof(struct sockaddr_in);
	l.connect.config.peer.ss_family = AF_INET;
	lab_connect(&l, false, false);
	end_says_text(&l.server, GREETING);
	until(&l, has_text(&l.client.got, GREETING));
	lab_idle(&l);
	assert_int_equal(l.accept.settled, 1);
	assert_int_equal(l.connect.settled, 0);
	clear(&l.client.got);
	end_says_text(&l.client, EHLO);
	until(&l, has_text(&l.server.got, EHLO));
	assert_int_equal(l.connect.settled, 0);
	end_says_text(&l.server, REPLY_PLAIN);
	until(&l, has_text(&l.client.got, "250 PIPELINING"));
	assert_int_equal(l.connect.settled, 1);
	lab_close(&l);
}

static void test_a_stopped_relay_resets_both_and_says_so_once(void **state)
{
	(void)state;
	for (enum how how = SEALED; how < HOWS; how++) {
		struct lab l;

		open_how(&l, how, true);
		sotto_relay_stop(l.connect.r);
		assert_int_equal(l.connect.done, 1);
		assert_false(l.connect.end.orderly);
		until(&l, l.client.reset || l.client.eof);
		assert_true(l.client.reset);
		until(&l, l.wire[0].reset || l.wire[0].eof);
		assert_true(l.wire[0].reset);
		lab_close(&l);
		assert_int_equal(l.connect.done, 1);
	}
}

static void test_a_relay_that_never_turned_can_be_stopped(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l);
	lab_connect(&l, false, false);
	lab_close(&l);
	assert_int_equal(l.connect.done, 1);
	assert_int_equal(l.accept.done, 1);
}

/* A descriptor that epoll does not take: no events would ever come. */
static void test_a_descriptor_without_events_ends_it_at_once(void **state)
{
	struct lab l;
	int mta[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	lab_open(&l);
	l.fds--;	/* the file belongs to the relay */
	lab_unix(mta);
	end_open(&l.client, l.base, mta[0]);
	relay_start(&l.connect, l.base, file, mta[1]);
	until(&l, l.connect.done);
	assert_false(l.connect.end.orderly);
	lab_close(&l);
}

static void the_identity_key_is_kept_in_the_session_alone(void **state)
{
	struct lab l;
	struct sotto_session_config *c;

	(void)state;
	lab_open(&l);
	c = &l.accept.config.session;
	c->has_identity = true;
	memset(c->identity, 0x5a, sizeof(c->identity));
	lab_connect(&l, false, false);
	assert_null(memmem(l.accept.r, offsetof(struct sotto_relay, session), c->identity, sizeof(c->identity)));
	assert_memory_equal(l.accept.r->session.config.identity, c->identity, sizeof(c->identity));
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_identity_key_is_kept_in_the_session_alone),
		cmocka_unit_test(test_a_sealed_session_passes_everything_and_ends_in_an_orderly_way),
		cmocka_unit_test(test_a_session_in_the_clear_passes_everything_spliced_or_copied),
		cmocka_unit_test(test_half_closes_are_passed_on_in_each_direction),
		cmocka_unit_test(test_a_slow_reader_stops_the_writer_within_bounds),
		cmocka_unit_test(test_a_relay_takes_what_its_buffers_take),
		cmocka_unit_test(test_a_busy_relay_leaves_the_loop_to_others),
		cmocka_unit_test(test_without_pipes_it_copies),
		cmocka_unit_test(test_where_splice_fails_the_session_goes_on_by_copying),
		cmocka_unit_test(test_urgent_octets_do_not_make_it_spin_or_stop),
		cmocka_unit_test(test_the_preface_is_what_our_mail_server_reads_first),
		cmocka_unit_test(test_progress_is_told_before_the_octets_that_come_after),
		cmocka_unit_test(test_settled_comes_when_no_connection_is_to_be_made),
		cmocka_unit_test(test_a_stopped_relay_resets_both_and_says_so_once),
		cmocka_unit_test(test_a_relay_that_never_turned_can_be_stopped),
		cmocka_unit_test(test_a_descriptor_without_events_ends_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
