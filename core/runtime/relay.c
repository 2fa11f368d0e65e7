/* SPDX-License-Identifier: ISC */
/*
 * Drives one session between two descriptors (relay.h): reads, writes, half-closes, connects again, and closes in the order that
 * PROTOCOL.md 5 asks for. Called by sotto-session's main and by the daemons. Holds no protocol: what octets mean is the session's
 * business. Never blocks.
 */
#include "core/runtime/relay.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/dial.h"
#include "core/runtime/splice.h"

#define REDIAL_MS 5000		/* to an address that has just answered */
#define GONE_MS 30000		/* without progress, once a side is gone (ARCHITECTURE.md, The session) */
#define LINGER_MS 5000		/* for the other end to read what we said last, and to close */
#define DRAIN_MS 20		/* between two looks at what the kernel has not yet handed over */

struct side {
	int fd;
	struct event *readable, *writable;
	bool reading, writing;	/* the events are added */
	bool broken;		/* a write failed: what is for it is thrown away, what it said is still read */
	bool ended;		/* a read ended or failed */
	bool shut;		/* we have shut our direction down */
	uint64_t in, out;
};

struct sotto_relay {
	struct sotto_session session;
	struct sotto_relay_config config;
	struct event_base *base;
	struct event *timer;
	struct side side[2];
	struct sotto_splice through[2];	/* by side that it reads from */
	struct sotto_dial *dial;
	bool splicing, settled, closing, hard, cut_off;
	uint64_t started, progressed, closing_since;
	size_t preface_len;
	uint8_t preface[256];
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum sotto_side other(enum sotto_side side)
{
	return side == SOTTO_NET ? SOTTO_MTA : SOTTO_NET;
}

static void pump(struct sotto_relay *r);
static void on_event(evutil_socket_t fd, short what, void *arg);

/* ---- descriptors and events ---- */

static void want(struct event *e, bool *added, bool wanted)
{
	if (wanted == *added || e == NULL)
		return;
	if (wanted ? event_add(e, NULL) == 0 : event_del(e) == 0)
		*added = wanted;
}

static void close_side(struct side *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct side){ .fd = -1, .in = d->in, .out = d->out };
}

static void set_up_net(int fd)
{
	int on = 1;

	/* best effort: a socket that is not TCP has neither */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static bool open_side(struct sotto_relay *r, enum sotto_side side, int fd)
{
	struct side *d = &r->side[side];

	evutil_make_socket_nonblocking(fd);
	set_up_net(fd);
	d->fd = fd;
	d->readable = event_new(r->base, fd, EV_READ | EV_PERSIST, on_event, r);
	d->writable = event_new(r->base, fd, EV_WRITE | EV_PERSIST, on_event, r);
	return d->readable != NULL && d->writable != NULL;
}

static void shut(struct side *d)
{
	if (!d->shut && d->fd >= 0)
		(void)shutdown(d->fd, SHUT_WR);
	d->shut = true;
}

/* ---- the end ---- */

static void finish(struct sotto_relay *r)
{
	struct sotto_relay_end end = {
		.report = &r->session.report,
		.orderly = !r->session.report.lost && !r->cut_off && r->session.report.outcome != SOTTO_OUTCOME_REFUSED,
		.sent = r->side[SOTTO_NET].out + r->through[SOTTO_MTA].passed,
		.received = r->side[SOTTO_NET].in + r->through[SOTTO_NET].passed,
		.duration_ms = now_ms() - r->started,
	};
	void (*done)(void *arg, const struct sotto_relay_end *) = r->config.done;

	sotto_dial_cancel(r->dial);
	for (unsigned i = 0; i < 2; i++) {
		if (r->splicing)
			sotto_splice_close(&r->through[i]);
		close_side(&r->side[i]);
	}
	if (r->timer != NULL)
		event_free(r->timer);
	if (done != NULL)
		done(r->config.arg, &end);
	sotto_session_wipe(&r->session);
	free(r);
}

/* What we wrote and the kernel has not yet handed over; a reset would throw it away. */
static bool in_flight(const struct side *d)
{
	int octets = 0;

	return d->fd >= 0 && !d->broken && ioctl(d->fd, SIOCOUTQ, &octets) == 0 && octets > 0;
}

/* PROTOCOL.md 5: a lost session is ended as a lost connection. A reset says so to both ends. */
static void close_hard(struct side *d)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (d->fd >= 0)
		(void)setsockopt(d->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* Reads on, for nobody, so that closing does not drop what we said last. */
static bool read_out(struct side *d)
{
	char scratch[4096];
	ssize_t n;

	if (d->fd < 0 || d->ended)
		return true;
	n = recv(d->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	d->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	return d->ended;
}

/* Both sides are complete: waits for the other ends, not for long. Returns true when the relay is gone. */
static bool close_both(struct sotto_relay *r, bool hard)
{
	struct side *net = &r->side[SOTTO_NET], *mta = &r->side[SOTTO_MTA];
	bool over;

	if (!r->closing) {
		r->closing = true;
		r->hard = hard;
		r->closing_since = now_ms();
	}
	if (hard) {
		over = !in_flight(mta);
		if (over) {
			close_hard(mta);
			close_hard(net);
		}
	} else {
		shut(net);
		shut(mta);
		over = read_out(net);
		over = read_out(mta) && over;
	}
	if (!over && now_ms() - r->closing_since < (hard ? GONE_MS : LINGER_MS))
		return false;
	finish(r);
	return true;
}

void sotto_relay_stop(struct sotto_relay *r)
{
	r->cut_off = true;
	close_hard(&r->side[SOTTO_MTA]);
	finish(r);
}

/* ---- octets ---- */

static bool write_some(struct sotto_relay *r, enum sotto_side side)
{
	struct side *d = &r->side[side];
	size_t len;
	const uint8_t *p = sotto_session_ready(&r->session, side, &len);
	ssize_t n;

	if (side == SOTTO_MTA && r->preface_len > 0) {
		n = send(d->fd, r->preface, r->preface_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			goto failed;
		r->preface_len -= (size_t)n;
		memmove(r->preface, r->preface + n, r->preface_len);
		return true;
	}
	if (len == 0)
		return false;
	n = d->broken ? (ssize_t)len : send(d->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		d->out += d->broken ? 0 : (uint64_t)n;
		sotto_session_sent(&r->session, side, (size_t)n);
		return true;
	}
failed:
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	d->broken = true;
	r->preface_len = 0;
	return true;
}

static bool read_some(struct sotto_relay *r, enum sotto_side side)
{
	struct side *d = &r->side[side];
	size_t len;
	uint8_t *space = sotto_session_space(&r->session, side, &len);
	ssize_t n;

	if (len == 0 || d->fd < 0 || d->ended)
		return false;
	n = recv(d->fd, space, len, MSG_DONTWAIT);
	if (n > 0) {
		d->in += (uint64_t)n;
		sotto_session_got(&r->session, side, (size_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	d->ended = true;
	if (n < 0 || d->broken)
		sotto_session_gone(&r->session, side);
	else
		sotto_session_eof(&r->session, side);
	return true;
}

/* ---- what the session wishes ---- */

static void redialed(void *arg, const struct sotto_dial_result *result)
{
	struct sotto_relay *r = arg;
	bool connected = result->fd >= 0;

	r->dial = NULL;
	if (connected && !open_side(r, SOTTO_NET, result->fd)) {
		close_side(&r->side[SOTTO_NET]);
		connected = false;
	}
	sotto_session_clock(&r->session, now_ms());
	if (sotto_session_wishes(&r->session) & SOTTO_WISH_REDIAL)
		sotto_session_redialed(&r->session, connected);
	pump(r);
}

/* False where it could not even begin: then the session knows already. */
static bool redial(struct sotto_relay *r)
{
	bool bound = r->config.local.ss_family == r->config.peer.ss_family;

	if (r->dial != NULL)
		return true;
	close_side(&r->side[SOTTO_NET]);
	if (r->config.peer_len > 0)
		r->dial = sotto_dial_address(r->base, (const struct sockaddr *)&r->config.peer, r->config.peer_len,
					     bound ? (const struct sockaddr *)&r->config.local : NULL, REDIAL_MS, redialed, r);
	if (r->dial == NULL)
		sotto_session_redialed(&r->session, false);
	return r->dial != NULL;
}

static void begin_splicing(struct sotto_relay *r)
{
	int net = r->side[SOTTO_NET].fd, mta = r->side[SOTTO_MTA].fd;

	if (net < 0 || mta < 0 || r->side[SOTTO_NET].broken || r->side[SOTTO_MTA].broken || r->side[SOTTO_NET].ended ||
	    r->side[SOTTO_MTA].ended || r->preface_len > 0)
		return;
	if (sotto_splice_open(&r->through[SOTTO_NET], net, mta) != 0)
		return;
	if (sotto_splice_open(&r->through[SOTTO_MTA], mta, net) != 0) {
		sotto_splice_close(&r->through[SOTTO_NET]);
		return;
	}
	r->splicing = true;
}

static void settle(struct sotto_relay *r)
{
	if (r->settled || !(sotto_session_is_opaque(&r->session) || sotto_session_is_sealed(&r->session)))
		return;
	r->settled = true;
	if (r->config.settled != NULL)
		r->config.settled(r->config.arg);
}

/* ---- the pump ---- */

/* Moves all that can be moved. Returns false where the relay is gone. */
static bool pump_session(struct sotto_relay *r)
{
	unsigned wishes;
	bool moved;

	do {
		moved = false;
		if (r->config.progress != NULL)
			r->config.progress(r->config.arg, &r->session.report);
		for (unsigned i = 0; i < 2; i++)
			moved = (r->side[i].fd >= 0 && write_some(r, (enum sotto_side)i)) || moved;
		wishes = sotto_session_wishes(&r->session);
		if (wishes & SOTTO_WISH_REDIAL)
			moved = !redial(r) || moved;
		if (wishes & SOTTO_WISH_SHUT_NET)
			shut(&r->side[SOTTO_NET]);
		if (wishes & SOTTO_WISH_SHUT_MTA)
			shut(&r->side[SOTTO_MTA]);
		if (moved)
			r->progressed = now_ms();
	} while (moved);
	settle(r);
	if ((wishes & SOTTO_WISH_SPLICE) && !r->splicing)
		begin_splicing(r);
	if (wishes & SOTTO_WISH_END)
		return !close_both(r, (wishes & SOTTO_WISH_ABORT) != 0);
	return true;
}

static bool pump_splices(struct sotto_relay *r)
{
	bool moved = false;

	for (unsigned i = 0; i < 2; i++) {
		struct sotto_splice *d = &r->through[i];

		moved = sotto_splice_run(d) || moved;
		if (sotto_splice_finished(d))
			shut(&r->side[other((enum sotto_side)i)]);
	}
	if (moved)
		r->progressed = now_ms();
	return !(sotto_splice_finished(&r->through[0]) && sotto_splice_finished(&r->through[1]));
}

/* A side is gone once it took an error, or our mail server has ended: it never half-closes to wait for long. */
static bool one_is_gone(const struct sotto_relay *r)
{
	if (r->splicing)
		return r->through[0].broken || r->through[1].broken || r->through[SOTTO_MTA].ended;
	return r->side[SOTTO_NET].broken || r->side[SOTTO_MTA].broken || r->side[SOTTO_MTA].ended;
}

static void arm_events(struct sotto_relay *r)
{
	for (unsigned i = 0; i < 2; i++) {
		struct side *d = &r->side[i];
		bool reading, writing;
		size_t space = 0, ready = 0;

		if (r->closing) {
			reading = !d->ended && !r->hard;
			writing = false;
		} else if (r->splicing) {
			reading = sotto_splice_wants_read(&r->through[i]);
			writing = sotto_splice_wants_write(&r->through[other((enum sotto_side)i)]);
		} else {
			(void)sotto_session_space(&r->session, (enum sotto_side)i, &space);
			(void)sotto_session_ready(&r->session, (enum sotto_side)i, &ready);
			reading = space > 0 && !d->ended;
			writing = ready > 0 || (i == SOTTO_MTA && r->preface_len > 0);
		}
		want(d->readable, &d->reading, reading && d->fd >= 0);
		want(d->writable, &d->writing, writing && d->fd >= 0);
	}
}

/* The soonest of: the session's deadline, the patience with a side that is gone, the patience while closing. */
static void arm_timer(struct sotto_relay *r)
{
	uint64_t now = now_ms(), at = r->splicing ? 0 : sotto_session_deadline(&r->session), wait;
	struct timeval tv;

	if (r->closing)
		at = r->hard ? now + DRAIN_MS : r->closing_since + LINGER_MS;
	else if (one_is_gone(r) && (at == 0 || at > r->progressed + GONE_MS))
		at = r->progressed + GONE_MS;
	if (at == 0) {
		event_del(r->timer);
		return;
	}
	wait = at > now ? at - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000 };
	event_add(r->timer, &tv);
}

static void pump(struct sotto_relay *r)
{
	if (r->splicing ? !pump_splices(r) : !pump_session(r)) {
		if (r->splicing)
			finish(r);
		return;
	}
	if (!r->closing && one_is_gone(r) && now_ms() - r->progressed >= GONE_MS) {
		sotto_relay_stop(r);
		return;
	}
	arm_events(r);
	arm_timer(r);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_relay *r = arg;

	sotto_session_clock(&r->session, now_ms());
	if ((what & EV_READ) && !r->splicing && !r->closing) {
		enum sotto_side side = fd == r->side[SOTTO_NET].fd ? SOTTO_NET : SOTTO_MTA;

		if (read_some(r, side))
			r->progressed = now_ms();
	}
	pump(r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_relay *r = arg;

	(void)fd;
	(void)what;
	sotto_session_clock(&r->session, now_ms());
	if (!r->splicing && !r->closing)
		sotto_session_tick(&r->session);
	pump(r);
}

struct sotto_relay *sotto_relay_start(struct event_base *base, int net, int mta, const struct sotto_relay_config *config,
				      const uint8_t *preface, size_t preface_len)
{
	struct sotto_relay *r = calloc(1, sizeof(*r));
	struct timeval at_once = { 0, 0 };

	if (r == NULL || preface_len > sizeof(r->preface)) {
		free(r);
		return NULL;
	}
	r->base = base;
	r->config = *config;
	r->started = r->progressed = now_ms();
	r->side[SOTTO_NET].fd = r->side[SOTTO_MTA].fd = -1;
	if (preface_len > 0)
		memcpy(r->preface, preface, preface_len);
	r->preface_len = preface_len;
	sotto_session_init(&r->session, &config->session, r->started);
	r->timer = event_new(base, -1, 0, on_timer, r);
	if (r->timer == NULL || !open_side(r, SOTTO_NET, net) || !open_side(r, SOTTO_MTA, mta) ||
	    event_add(r->timer, &at_once) != 0) {
		r->side[SOTTO_NET].fd = r->side[SOTTO_MTA].fd = -1;	/* they stay the caller's */
		r->config.done = NULL;
		finish(r);
		return NULL;
	}
	return r;
}
