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
#define LINGER_MS 30000		/* without an octet, once one direction is at its end */

struct way {
	int from, to;
	size_t at, have;
	bool ended;	/* no more comes from `from` */
	bool told;	/* ... and `to` knows */
	bool broken;	/* `to` takes no more: what comes is thrown away */
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

void sotto_pass(int net, int backend, const uint8_t *first, size_t len)
{
	static struct way in, out;	/* large */
	struct way *both[2] = { &in, &out };
	int64_t moved = sotto_now_ms();

	in.from = out.to = net;
	in.to = out.from = backend;
	memcpy(in.octets, first, len);
	in.have = len;
	prepare(net);
	while (!is_over(&in) || !is_over(&out)) {
		struct pollfd p[2] = { wanted(net, &in, &out), wanted(backend, &out, &in) };
		bool ending = in.ended || out.ended || in.broken || out.broken;

		if (poll(p, 2, ending ? sotto_left_ms(moved + LINGER_MS) : -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2; i++)
			if (move(both[i]))
				moved = sotto_now_ms();
		if (ending && sotto_left_ms(moved + LINGER_MS) == 0)
			return;
	}
}
