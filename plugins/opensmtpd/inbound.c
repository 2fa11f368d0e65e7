/* SPDX-License-Identifier: ISC */
/* A connection to port 25: smtpd's inner listener is connected to in its name, and they get a session between them. Called by connections.c. */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/log.h"
#include "plugins/opensmtpd/worker.h"

#define AGAIN_MS 100
#define UNREACHABLE "421 4.3.2 Our mail server cannot be reached at the moment\r\n"
#define OUT_OF_ORDER "421 4.3.0 Out of order at the moment\r\n"

static void try_backend(struct sotto_one *o);

static void give_up(struct sotto_one *o)
{
	sotto_log_limited(o->w->state, "backend-limit", LOG_ERR, "cannot connect to smtpd's inner listener: %s; does smtpd.conf have it? See "
			  "opensmtpd-sotto(7)", strerror(errno));
	sotto_one_goodbye(o, o->net, UNREACHABLE);
}

static void start(struct sotto_one *o)
{
	int net = o->net, mta = o->mta;

	event_free(o->event);
	o->event = NULL;
	sotto_conduct_prepare(&o->conduct);
	o->net = o->mta = -1;
	if (sotto_conduct_start(&o->conduct, o->w->base, net, mta, o->header, o->header_len) == 0)
		return;
	o->net = net;
	o->mta = mta;
	sotto_one_goodbye(o, o->net, OUT_OF_ORDER);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	try_backend(arg);
}

/* Refused: it is not there yet, or never will be. Its queue is full: the kernel tries again by itself. */
static void again_or_not(struct sotto_one *o, int error)
{
	const struct timeval pause = { .tv_usec = AGAIN_MS * 1000 };

	if (o->mta >= 0)
		close(o->mta);
	o->mta = -1;
	if (o->event != NULL)
		event_free(o->event);
	o->event = NULL;
	errno = error;
	if (sotto_left_ms(o->deadline) > 0)
		o->event = evtimer_new(o->w->base, on_again, o);
	if (o->event == NULL || event_add(o->event, &pause) != 0)
		give_up(o);
}

static void on_backend(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_one *o = arg;
	int error = ETIMEDOUT;
	socklen_t len = sizeof(error);

	if ((what & EV_WRITE) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0)
		start(o);
	else
		again_or_not(o, error);
}

static void try_backend(struct sotto_one *o)
{
	int left = sotto_left_ms(o->deadline);
	const struct timeval patience = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

	if (o->event != NULL)
		event_free(o->event);
	o->event = NULL;
	o->mta = socket(o->w->backend.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->mta < 0 || (connect(o->mta, (const struct sockaddr *)&o->w->backend, o->w->backend_len) != 0 && errno != EINPROGRESS)) {
		again_or_not(o, errno);
		return;
	}
	o->event = event_new(o->w->base, o->mta, EV_WRITE, on_backend, o);
	if (o->event == NULL || event_add(o->event, &patience) != 0)
		again_or_not(o, ENOMEM);
}

/* False: the peer has gone. */
static bool find_addresses(struct sotto_one *o)
{
	struct sotto_conduct_config *c = &o->conduct.config;
	socklen_t peer_len = sizeof(c->peer), local_len = sizeof(c->local);

	if (getpeername(o->net, (struct sockaddr *)&c->peer, &peer_len) != 0 ||
	    getsockname(o->net, (struct sockaddr *)&c->local, &local_len) != 0)
		return false;
	sotto_addr_plain(&c->peer);
	sotto_addr_plain(&c->local);
	c->peer_len = c->peer.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	o->header_len = sotto_proxy_header(o->header, &c->peer, &c->local);
	return o->header_len > 0;
}

void sotto_inbound(struct sotto_worker *w, int fd)
{
	struct sotto_one *o = sotto_one_new(w, fd);

	if (o == NULL)
		return;
	o->net = fd;
	if (!find_addresses(o)) {
		sotto_one_free(o);
		return;
	}
	sotto_one_describe(o, SOTTO_ACCEPT);
	o->deadline = sotto_now_ms() + SOTTO_BACKEND_MS;
	try_backend(o);
}
