/* SPDX-License-Identifier: ISC */
/*
 * One side of a relay (relay-parts.h): its descriptor, its events, and one read or write between it and the session. Called by the
 * other files of the relay. Decides nothing about the session and never blocks.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/runtime/relay-parts.h"

static void set_up(int fd, enum sotto_side side)
{
	int on = 1;

	/* best effort: a socket that is not TCP has neither */
	if (side == SOTTO_NET)
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool sotto_side_open(struct sotto_relay *r, enum sotto_side side, int fd)
{
	struct sotto_relay_side *d = &r->side[side];

	/* reads and writes do not depend on it, splice(2) does: relay-through.c looks again */
	(void)evutil_make_socket_nonblocking(fd);
	set_up(fd, side);
	d->fd = fd;
	d->readable = event_new(r->base, fd, EV_READ | EV_PERSIST, sotto_relay_on_event, r);
	d->writable = event_new(r->base, fd, EV_WRITE | EV_PERSIST, sotto_relay_on_event, r);
	return d->readable != NULL && d->writable != NULL;
}

void sotto_side_close(struct sotto_relay_side *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct sotto_relay_side){ .fd = -1, .in = d->in, .out = d->out };
}

void sotto_side_shut(struct sotto_relay_side *d)
{
	if (!d->shut && d->fd >= 0)
		(void)shutdown(d->fd, SHUT_WR);
	d->shut = true;
}

static bool want(struct event *e, bool *added, bool wanted)
{
	if (wanted == *added)
		return true;
	if ((wanted ? event_add(e, NULL) : event_del(e)) != 0)
		return false;
	*added = wanted;
	return true;
}

bool sotto_side_want(struct sotto_relay_side *d, bool reading, bool writing)
{
	if (d->fd < 0)
		return true;
	return want(d->readable, &d->reading, reading) && want(d->writable, &d->writing, writing);
}

bool sotto_side_dead(const struct sotto_relay_side *d)
{
	return d->failed || (d->ended && d->broken);
}

/*
 * The connection is no more, and nobody has been told: we read no further than its end, and have written nothing since. The kernel goes
 * on counting what was not acknowledged. Takes nothing away from who reads or writes next.
 */
static bool is_lost(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

bool sotto_side_drains(struct sotto_relay_side *d)
{
	int was = d->queued;

	d->queued = 0;
	if (d->fd >= 0 && !d->broken && !d->failed && !is_lost(d->fd) && ioctl(d->fd, SIOCOUTQ, &d->queued) != 0)
		d->queued = 0;
	return d->queued < was;
}

static bool try_again(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

bool sotto_side_read_out(struct sotto_relay_side *d)
{
	char scratch[4096];
	ssize_t n;

	if (d->fd < 0 || d->ended)
		return true;
	n = recv(d->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	if (n > 0 || try_again(n))
		return false;
	d->ended = true;
	d->failed = n < 0;
	return true;
}

bool sotto_side_read(struct sotto_relay *r, enum sotto_side side)
{
	struct sotto_relay_side *d = &r->side[side];
	size_t len;
	uint8_t *space = sotto_session_space(&r->session, side, &len);
	ssize_t n;

	if (len == 0 || d->fd < 0 || d->ended)
		return false;
	n = recv(d->fd, space, len, MSG_DONTWAIT);
	if (try_again(n))
		return false;
	r->progressed = sotto_relay_now();
	if (n > 0) {
		d->in += (uint64_t)n;
		sotto_session_got(&r->session, side, (size_t)n);
		return true;
	}
	d->ended = true;
	/* the kernel says a reset once, to whoever asks first: after a write that failed, the end is no orderly one */
	d->failed = n < 0 || d->broken;
	if (d->failed)
		sotto_session_gone(&r->session, side);
	else
		sotto_session_eof(&r->session, side);
	return true;
}

void sotto_relay_tell(struct sotto_relay *r)
{
	/* padding may differ: then it is told once too often. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
	if (r->config.progress == NULL || memcmp(&r->told, &r->session.report, sizeof(r->told)) == 0)
		return;
	memcpy(&r->told, &r->session.report, sizeof(r->told));
	r->config.progress(r->config.arg, &r->session.report);
}

/* A side takes no more. What it said before may still be there to be read. */
static bool write_failed(struct sotto_relay *r, enum sotto_side side)
{
	struct sotto_relay_side *d = &r->side[side];

	d->broken = true;
	if (side == SOTTO_MTA)
		r->preface_len = 0;
	if (d->ended)
		sotto_session_gone(&r->session, side);
	return true;
}

static bool write_preface(struct sotto_relay *r)
{
	ssize_t n = send(r->side[SOTTO_MTA].fd, r->preface, r->preface_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (try_again(n))
		return false;
	if (n <= 0)
		return write_failed(r, SOTTO_MTA);
	r->preface_len -= (size_t)n;
	memmove(r->preface, r->preface + n, r->preface_len);
	return true;
}

bool sotto_side_write(struct sotto_relay *r, enum sotto_side side)
{
	struct sotto_relay_side *d = &r->side[side];
	size_t len;
	const uint8_t *p = sotto_session_ready(&r->session, side, &len);
	ssize_t n;

	if (d->fd < 0)
		return false;
	if (side == SOTTO_MTA && r->preface_len > 0)
		return write_preface(r);
	if (len == 0)
		return false;
	if (d->broken) {
		sotto_session_sent(&r->session, side, len);
		return true;
	}
	sotto_relay_tell(r);
	n = send(d->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (try_again(n))
		return false;
	if (n <= 0)
		return write_failed(r, side);
	r->progressed = sotto_relay_now();
	d->out += (uint64_t)n;
	sotto_session_sent(&r->session, side, (size_t)n);
	return true;
}
