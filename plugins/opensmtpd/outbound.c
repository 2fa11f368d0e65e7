/* SPDX-License-Identifier: ISC */
/*
 * A connection to the hop: the mail server of the domain that the address means is connected to, and smtpd gets a session with it, sealed or
 * not. Called by connections.c. Where there is no connection to be had smtpd hears 421, and its queue tries again, as natively.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/dial.h"
#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "core/runtime/reach.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/smtpd-user.h"
#include "plugins/opensmtpd/table-parts.h"
#include "plugins/opensmtpd/worker.h"

#define OUT_OF_ORDER "421 4.3.0 Out of order at the moment; nothing was sent\r\n"
#define NO_DOMAIN "421 4.3.2 This address means no domain\r\n"
#define DISK_MS 8000	/* for a disk that hangs: smtpd tries again after 400 s where it hears 421 */
#define LOOK_MS 100

static void on_connected(struct sotto_one *o, const struct sotto_dial_result *r)
{
	struct sotto_conduct_config *c = &o->conduct.config;
	socklen_t len = sizeof(c->local);
	int mta = o->mta;

	c->peer = r->peer;
	c->peer_len = r->peer_len;
	if (getsockname(r->fd, (struct sockaddr *)&c->local, &len) != 0)
		memset(&c->local, 0, sizeof(c->local));
	sotto_addr_plain(&c->local);
	(void)snprintf(o->host, sizeof(o->host), "%s", r->host != NULL ? r->host : "");
	c->host = o->host[0] != '\0' ? o->host : NULL;
	if (c->host != NULL)
		sotto_known_route(o->w, o->domain, c->host, &c->peer);
	sotto_conduct_prepare(&o->conduct);
	o->mta = -1;
	if (sotto_conduct_start(&o->conduct, o->w->base, r->fd, mta, NULL, 0) == 0)
		return;
	o->net = r->fd;
	o->mta = mta;
	sotto_one_goodbye(o, o->mta, OUT_OF_ORDER);
}

static void on_dialled(void *arg, const struct sotto_dial_result *r)
{
	struct sotto_one *o = arg;
	char line[SOTTO_REACH_LINE], name[SOTTO_PEER_NAME];

	o->dial = NULL;
	if (r->fd >= 0) {
		on_connected(o, r);
		return;
	}
	sotto_reach_name(name, r->host, &r->peer, r->peer_len);
	sotto_log(LOG_NOTICE, "connect peer=%s outcome=none cause=\"%s\" domain=%.255s", name[0] != '\0' ? name : "unknown", sotto_dial_error(r->error),
		  o->domain);
	sotto_reach_line(line, o->domain, r);
	sotto_one_goodbye(o, o->mta, line);
}

/* What smtpd has connected to; false: no address of the hop, or the one that never is a domain's. */
static bool find_address(int fd, struct in_addr *address)
{
	struct sockaddr_in to = { 0 };
	socklen_t len = sizeof(to);

	if (getsockname(fd, (struct sockaddr *)&to, &len) != 0 || !sotto_hop_is((const struct sockaddr *)&to))
		return false;
	*address = to.sin_addr;
	return to.sin_addr.s_addr != inet_addr(SOTTO_TABLE_NOWHERE);
}

static void dial(struct sotto_one *o)
{
	struct sotto_worker *w = o->w;
	const struct sotto_dial_options how = {
		.from4 = w->from4.ss_family != AF_UNSPEC ? (const struct sockaddr *)&w->from4 : NULL,
		.from6 = w->from6.ss_family != AF_UNSPEC ? (const struct sockaddr *)&w->from6 : NULL, .timeout_ms = SOTTO_DIAL_MS,
	};

	o->dial = sotto_dial_mx(w->base, w->mx, o->domain, &how, on_dialled, o);
	if (o->dial == NULL)
		sotto_one_goodbye(o, o->mta, OUT_OF_ORDER);
}

static void begin(struct sotto_one *o);

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_one *o = arg;

	(void)fd;
	(void)what;
	event_free(o->event);
	o->event = NULL;
	sotto_worker_look(o->w);
	begin(o);
}

/* False: it is not to be waited for any more. */
static bool wait_for_disk(struct sotto_one *o)
{
	const struct timeval pause = { .tv_usec = LOOK_MS * 1000 };

	if (!o->w->disk.hangs || sotto_left_ms(o->deadline) == 0)
		return false;
	o->event = evtimer_new(o->w->base, on_look, o);
	return o->event != NULL && event_add(o->event, &pause) == 0;
}

static void begin(struct sotto_one *o)
{
	struct in_addr address;

	if (!find_address(o->mta, &address)) {
		sotto_one_goodbye(o, o->mta, NO_DOMAIN);
		return;
	}
	if (!sotto_known_hop(o->w, address, o->domain, sizeof(o->domain))) {
		if (!wait_for_disk(o))
			sotto_one_goodbye(o, o->mta, NO_DOMAIN);
		return;
	}
	sotto_one_describe(o, SOTTO_CONNECT);
	o->conduct.config.domain = o->conduct.config.learns = o->domain;
	dial(o);
}

void sotto_outbound(struct sotto_worker *w, int fd)
{
	struct sotto_one *o = sotto_one_new(w, fd);

	if (o == NULL)
		return;
	o->mta = fd;
	if (!sotto_smtpd_user(fd, w->state)) {
		sotto_one_free(o);
		return;
	}
	o->deadline = sotto_now_ms() + DISK_MS;
	begin(o);
}
