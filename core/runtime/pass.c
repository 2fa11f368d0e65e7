/* SPDX-License-Identifier: ISC */
/*
 * Passes a connection through, for the small programs between a mail server and us when there is no session to be had. By copying: two small buffers are all that it costs, and
 * there is no system call in it that a mail server's unit could forbid. Never parses, never waits for one side with the other.
 */
#include "core/runtime/pass.h"
#include "core/runtime/deadline.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER 16384
#ifndef LINGER_MS		/* a test has less time */
#define LINGER_MS 30000		/* without an octet, once one of both is gone */
#define LEAVE_MS 300000		/* with octets, once our mail server is gone: it counts us no more */
#endif

struct way {
	int from, to;
	size_t at, have;
	bool ended;	/* no more comes from `from` */
	bool told;	/* ... and `to` knows */
	bool broken;	/* `to` takes no more: what comes is thrown away */
	bool failed;	/* it ended by an error */
	uint64_t passed;	/* octets that `to` has taken */
	uint8_t octets[BUFFER];
};

static bool is_only_not_now(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* True where anything moved or changed. */
static bool push(struct way *w)
{
	ssize_t n = w->have > 0 ? send(w->to, w->octets + w->at, w->have, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (w->have == 0 || (n < 0 && is_only_not_now()))
		return false;
	w->broken = n < 0;
	w->passed += n > 0 ? (uint64_t)n : 0;
	w->at += n > 0 ? (size_t)n : 0;
	w->have = n > 0 ? w->have - (size_t)n : 0;
	return true;
}

static bool pull(struct way *w)
{
	ssize_t n;

	if (w->ended || w->have > 0)
		return false;
	n = recv(w->from, w->octets, sizeof(w->octets), MSG_DONTWAIT);
	if (n < 0 && is_only_not_now())
		return false;
	w->ended = n <= 0;
	w->failed = n < 0;
	w->at = 0;
	w->have = n > 0 && !w->broken ? (size_t)n : 0;
	return true;
}

static bool move(struct way *w)
{
	bool moved = push(w);

	moved = pull(w) || moved;
	moved = push(w) || moved;
	if (w->ended && w->have == 0 && !w->told) {
		(void)shutdown(w->to, SHUT_WR);
		w->told = true;
	}
	return moved;
}

static bool is_over(const struct way *w)
{
	return w->ended && w->have == 0;
}

/* Where nothing is wanted of a descriptor, poll must not know it: it would report its end for ever. */
static struct pollfd wanted(int fd, const struct way *out, const struct way *in)
{
	short events = (short)((!out->ended && out->have == 0 ? POLLIN : 0) | (in->have > 0 ? POLLOUT : 0));

	return (struct pollfd){ .fd = events != 0 ? fd : -1, .events = events };
}

static void prepare(int net)
{
	const int on = 1;

	/* both fail where net is no TCP connection, and nothing is lost */
	(void)setsockopt(net, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(net, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/*
 * Our mail server, with its end: it never half-closes to wait for long. A client may: it may have sent a whole session at once, and wait for the
 * replies for as long as the mail server takes.
 */
static bool one_is_gone(const struct way *in, const struct way *out)
{
	return in->failed || in->broken || out->ended || out->broken;
}

static struct sotto_passed result(const struct way *in, const struct way *out, size_t first)
{
	bool whole = is_over(in) && is_over(out) && !in->failed && !out->failed && !out->broken;

	return (struct sotto_passed){ .sent = out->passed, .received = in->passed > first ? in->passed - first : 0, .orderly = whole };
}

struct sotto_passed sotto_pass(int net, int backend, const uint8_t *first, size_t len)
{
	static struct way in, out;	/* large */
	struct way *both[2] = { &in, &out };
	int64_t moved = sotto_now_ms(), leave = 0;

	in.from = out.to = net;
	in.to = out.from = backend;
	memcpy(in.octets, first, len);
	in.have = len;
	prepare(net);
	while (!is_over(&in) || !is_over(&out)) {
		struct pollfd p[2] = { wanted(net, &in, &out), wanted(backend, &out, &in) };
		bool ending = one_is_gone(&in, &out);

		if (poll(p, 2, ending ? sotto_left_ms(moved + LINGER_MS) : -1) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++)
			if (move(both[i]))
				moved = sotto_now_ms();
		if (leave == 0 && (out.ended || in.broken))
			leave = sotto_now_ms() + LEAVE_MS;
		if ((ending && sotto_left_ms(moved + LINGER_MS) == 0) || (leave != 0 && sotto_left_ms(leave) == 0))
			break;
	}
	return result(&in, &out, len);
}
