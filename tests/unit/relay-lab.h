/* SPDX-License-Identifier: ISC */
/*
 * Relays on a loop, and the ends that a test holds: sockets that read and write by themselves unless told not to, and note how
 * they end. The clock is the test's (sotto_relay_now): it stands still but for lab_pass(), and counts who asks it, which tells how often
 * a relay was called.
 */
#ifndef SOTTO_TESTS_RELAY_LAB_H
#define SOTTO_TESTS_RELAY_LAB_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/relay-parts.h"
#include "tests/unit/protocol-octets.h"

#define GENEROUS_S 60	/* an upper bound for what is over in a moment */

/* ---- the clock ---- */

static uint64_t lab_clock = 1000000, lab_asked;

static uint64_t lab_now(void)
{
	lab_asked++;
	return lab_clock;
}

/* ---- sockets ---- */

static UNUSED int lab_listen(const char *address, struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	assert_int_equal(inet_pton(AF_INET, address, &at->sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* A connected pair over loopback TCP; small: with buffers as small as the kernel lets us. */
static UNUSED void lab_tcp_small(int fd[2], bool small)
{
	struct sockaddr_in at;
	int listening = lab_listen("127.0.0.1", &at), size = 4096;

	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned i = 0; small && i < 2; i++) {
		int s = i == 0 ? fd[0] : listening;

		assert_int_equal(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
		assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	}
	assert_int_equal(connect(fd[0], (struct sockaddr *)&at, sizeof(at)), 0);
	fd[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd[1] >= 0);
	close(listening);
}

static UNUSED void lab_tcp(int fd[2])
{
	lab_tcp_small(fd, false);
}

static UNUSED void lab_unix(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static UNUSED unsigned lab_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* ---- an end that the test holds ---- */

struct end {
	int fd;
	struct event *readable, *writable;
	struct octets got, say;
	struct end *forwards_to;	/* a wire in the middle: what comes goes there, ends included */
	bool says_end, said_end;	/* after `say`: half-close */
	bool eof, reset;
	size_t swallowed;		/* where only the number counts (keep: false) */
	bool keep;
};

static void end_writes(struct end *e);

static UNUSED void end_on_readable(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buffer[65536];
	struct end *e = arg;
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && e->forwards_to != NULL)
		add(&e->forwards_to->say, buffer, (size_t)n);
	else if (n > 0 && e->keep)
		add(&e->got, buffer, (size_t)n);
	if (n > 0) {
		e->swallowed += (size_t)n;
	} else {
		e->eof = n == 0;
		e->reset = n < 0;
		event_del(e->readable);
	}
	if (e->forwards_to != NULL) {
		e->forwards_to->says_end = e->forwards_to->says_end || n == 0;
		if (e->forwards_to->fd >= 0)
			end_writes(e->forwards_to);
	}
}

static UNUSED void end_on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	end_writes(arg);
}

static UNUSED void end_writes(struct end *e)
{
	ssize_t n = e->say.len > 0 ? send(e->fd, e->say.p, e->say.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (n > 0)
		drop(&e->say, (size_t)n);
	if (n < 0 && errno != EAGAIN)
		drop(&e->say, e->say.len);
	if (e->say.len > 0)
		event_add(e->writable, NULL);
	else if (e->says_end && !e->said_end) {
		e->said_end = true;
		shutdown(e->fd, SHUT_WR);
	}
}

static UNUSED void end_open(struct end *e, struct event_base *base, int fd)
{
	*e = (struct end){ .fd = fd, .keep = true };
	evutil_make_socket_nonblocking(fd);
	e->readable = event_new(base, fd, EV_READ | EV_PERSIST, end_on_readable, e);
	e->writable = event_new(base, fd, EV_WRITE, end_on_writable, e);
	assert_int_equal(event_add(e->readable, NULL), 0);
}

static UNUSED void end_close(struct end *e)
{
	if (e->fd < 0 || e->readable == NULL)
		return;
	event_free(e->readable);
	event_free(e->writable);
	close(e->fd);
	e->readable = e->writable = NULL;
	e->fd = -1;
}

/* RST, at once. */
static UNUSED void end_reset(struct end *e)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	end_close(e);
}

static UNUSED void end_says(struct end *e, const void *p, size_t len)
{
	add(&e->say, p, len);
	end_writes(e);
}

static UNUSED void end_says_text(struct end *e, const char *text)
{
	end_says(e, text, strlen(text));
}

static UNUSED void end_half_closes(struct end *e)
{
	e->says_end = true;
	end_writes(e);
}

static UNUSED void end_stops_reading(struct end *e)
{
	event_del(e->readable);
}

static UNUSED void end_reads_again(struct end *e)
{
	event_add(e->readable, NULL);
}

/* ---- a relay and what it called ---- */

struct relay {
	struct sotto_relay *r;		/* NULL: done was called */
	unsigned done, settled, progressed;
	struct sotto_report report;
	struct sotto_relay_end end;	/* its report is the copy above */
	struct sotto_relay_config config;
};

static UNUSED void relay_on_progress(void *arg, const struct sotto_report *report)
{
	struct relay *x = arg;

	assert_int_not_equal(memcmp(&x->report, report, sizeof(*report)), 0);
	x->progressed++;
	memcpy(&x->report, report, sizeof(*report));
}

static UNUSED void relay_on_settled(void *arg)
{
	struct relay *x = arg;

	x->settled++;
}

static UNUSED void relay_on_done(void *arg, const struct sotto_relay_end *end)
{
	struct relay *x = arg;

	x->done++;
	x->r = NULL;
	x->end = *end;
	x->report = *end->report;
	x->end.report = &x->report;
}

static UNUSED struct relay lab_relay(enum sotto_role role)
{
	return (struct relay){ .config = { .session = plain_config(role),
					   .progress = relay_on_progress, .settled = relay_on_settled, .done = relay_on_done } };
}

static UNUSED void relay_start(struct relay *x, struct event_base *base, int net, int mta)
{
	x->config.arg = x;
	x->r = sotto_relay_start(base, net, mta, &x->config, NULL, 0);
	assert_non_null(x->r);
}

/* ---- the lab: client (connect) and server (accept), back to back, with or without a wire in the middle ---- */

struct lab {
	struct event_base *base;
	struct event *guard;
	bool late;
	unsigned fds;
	struct relay connect, accept;
	struct end client, server;	/* the mail servers */
	struct end wire[2];		/* the middle: towards connect, towards accept; not open without */
};

static UNUSED void lab_on_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	((struct lab *)arg)->late = true;
}

static UNUSED void lab_open(struct lab *l)
{
	struct timeval generous = { GENEROUS_S, 0 };

	memset(l, 0, sizeof(*l));
	sotto_relay_now = lab_now;
	l->fds = lab_count_fds();
	l->base = event_base_new();
	l->guard = event_new(l->base, -1, 0, lab_on_guard, l);
	event_add(l->guard, &generous);
	l->connect = lab_relay(SOTTO_CONNECT);
	l->accept = lab_relay(SOTTO_ACCEPT);
	l->client.fd = l->server.fd = l->wire[0].fd = l->wire[1].fd = -1;
}

/* Turns the loop until `cond`, and fails where that takes far too long. */
#define until(l, cond)                                                       \
	do {                                                                 \
		while (!(cond)) {                                            \
			if ((l)->late)                                       \
				fail_msg("never came: %s", #cond);           \
			event_base_loop((l)->base, EVLOOP_ONCE);             \
		}                                                            \
	} while (0)

/* Nobody has anything to do: turns the loop until it stands still. The relays must then be called no more at all. */
static UNUSED void lab_idle(struct lab *l)
{
	uint64_t asked;
	unsigned still = 0, turns = 0;

	while (still < 100) {
		asked = lab_asked;
		event_base_loop(l->base, EVLOOP_NONBLOCK);
		still = asked == lab_asked ? still + 1 : 0;
		if (++turns > 20000)
			fail_msg("a relay spins");
	}
}

/* The clock goes on, and the relay's timer is over, as if that long had passed. */
static UNUSED void lab_pass(struct relay *x, uint64_t ms)
{
	lab_clock += ms;
	if (x->r != NULL)
		event_active(x->r->timer, EV_TIMEOUT, 1);
}

/* net: two sockets of the relays; wired: the test's ends stand between them. */
static UNUSED void lab_connect(struct lab *l, bool wired, bool over_unix)
{
	int a[2], b[2], m[2];
	void (*pair)(int fd[2]) = over_unix ? lab_unix : lab_tcp;

	pair(a);
	pair(b);
	lab_tcp(m);
	if (wired) {
		int n[2];

		lab_tcp(n);
		end_open(&l->wire[0], l->base, m[1]);
		end_open(&l->wire[1], l->base, n[0]);
		l->wire[0].forwards_to = &l->wire[1];
		l->wire[1].forwards_to = &l->wire[0];
		m[1] = n[1];
	}
	end_open(&l->client, l->base, a[0]);
	end_open(&l->server, l->base, b[0]);
	relay_start(&l->connect, l->base, m[0], a[1]);
	relay_start(&l->accept, l->base, m[1], b[1]);
}

/* Up to the EHLO reply at the client. */
static UNUSED void lab_greet(struct lab *l)
{
	end_says_text(&l->server, GREETING);
	until(l, has_text(&l->client.got, GREETING));
	end_says_text(&l->client, EHLO);
	until(l, has_text(&l->server.got, EHLO));
	end_says_text(&l->server, REPLY_PLAIN);
	until(l, has_text(&l->client.got, "250 PIPELINING\r\n"));
}

static UNUSED void lab_sealed(struct lab *l, bool wired, bool over_unix)
{
	lab_open(l);
	lab_connect(l, wired, over_unix);
	lab_greet(l);
	assert_true(sotto_session_is_sealed(&l->connect.r->session));
	assert_true(sotto_session_is_sealed(&l->accept.r->session));
	clear(&l->client.got);
	clear(&l->server.got);
}

/* Both pass through, spliced, from the first octet on: mode off. */
static UNUSED void lab_opaque(struct lab *l, bool wired, bool over_unix, bool splice)
{
	lab_open(l);
	l->connect.config.session.use = l->accept.config.session.use = SOTTO_USE_OFF;
	lab_connect(l, wired, over_unix);
	l->connect.r->never_splice = l->accept.r->never_splice = !splice;
	lab_greet(l);
	assert_int_equal(l->connect.r->phase, splice ? SOTTO_PHASE_THROUGH : SOTTO_PHASE_SESSION);
	assert_int_equal(l->accept.r->phase, splice ? SOTTO_PHASE_THROUGH : SOTTO_PHASE_SESSION);
	clear(&l->client.got);
	clear(&l->server.got);
}

/* Every relay has said done once; nothing is left. */
static UNUSED void lab_close(struct lab *l)
{
	struct end *ends[] = { &l->client, &l->server, &l->wire[0], &l->wire[1] };
	struct relay *relays[] = { &l->connect, &l->accept };

	for (unsigned i = 0; i < 2; i++) {
		if (relays[i]->r != NULL)
			sotto_relay_stop(relays[i]->r);
		assert_true(relays[i]->done <= 1);
		assert_true(relays[i]->settled <= 1);
	}
	for (unsigned i = 0; i < 4; i++) {
		end_close(ends[i]);
		clear(&ends[i]->got);
		clear(&ends[i]->say);
	}
	event_free(l->guard);
	event_base_free(l->base);
	assert_int_equal(lab_count_fds(), l->fds);
}

/* Random octets, to be compared at the other end. */
static UNUSED void fill(struct octets *o, size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	random_of_test(p, len);
	add(o, p, len);
	free(p);
}

static UNUSED void assert_same(const struct octets *a, const struct octets *b)
{
	if (!same(a, b))
		fail_msg("%zu octets are not the same as %zu", a->len, b->len);
}

#endif
