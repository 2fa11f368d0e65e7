/* SPDX-License-Identifier: ISC */
/* Probes (probe.h). Called by probes.c. */
#include "plugins/opensmtpd/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "core/protocol/smtp.h"
#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/dial.h"
#include "core/runtime/log.h"
#include "core/runtime/mx.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/worker.h"

#define LOOKUP_MS 5000

enum step { GREETING, EHLO, QUIT };

struct sotto_probe {
	struct sotto_probe *next;		/* of all */
	struct sotto_probe *followers, *next_follower;	/* for other domains of the same mail server */
	struct sotto_worker *w;
	const char *domain;
	sotto_probe_done *done;
	void *arg;
	struct event *event;
	struct sotto_dial *dial;
	int64_t deadline;
	int fd;
	enum step step;
	enum sotto_domain_offer answer;
	char best[SOTTO_DNS_NAME], host[SOTTO_DNS_NAME];	/* the first MX; the one that was connected to */
	struct sockaddr_storage peer;
	size_t have;
	uint8_t text[SOTTO_SMTP_REPLY_MAX];
};

static struct sotto_probe *all;	/* of those that ask, or are about to */

/* ---- the end ---- */

static void leave(const struct sotto_probe *p)
{
	struct sotto_probe **at = &all;

	while (*at != NULL && *at != p)
		at = &(*at)->next;
	if (*at != NULL)
		*at = p->next;
}

/* Each domain that waited for this mail server has the same answer. */
static void finish_one(struct sotto_probe *p, const struct sotto_probe *leader)
{
	if (leader->host[0] != '\0' && (leader->answer == SOTTO_DOMAIN_YES || sotto_known_requires(p->w)))
		sotto_known_route(p->w, p->domain, leader->host, &leader->peer);
	sotto_known_learn(p->w, p->domain, leader->answer);
	p->done(p->arg);
}

static void finish(struct sotto_probe *p)
{
	struct sotto_probe *f = p->followers, *next;

	leave(p);
	if (p->event != NULL)
		event_free(p->event);
	if (p->fd >= 0)
		close(p->fd);
	sotto_dial_cancel(p->dial);
	for (; f != NULL; f = next) {
		next = f->next_follower;
		finish_one(f, p);
		free(f);
	}
	finish_one(p, p);
	free(p);
}

/* ---- the conversation ---- */

static void say(const struct sotto_probe *p, const char *text)
{
	(void)!send(p->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_ehlo(const struct sotto_probe *p)
{
	char line[SOTTO_SMTP_COMMAND_MAX];

	(void)snprintf(line, sizeof(line), "EHLO %.255s\r\n", p->w->helo);
	say(p, line);
}

/* False: nothing more is to come of it. */
static bool judge(struct sotto_probe *p, const struct sotto_reply *reply)
{
	struct sotto_offer offer;

	switch (p->step) {
	case GREETING:
		if (reply->code != 220)
			break;
		say_ehlo(p);
		p->step = EHLO;
		return true;
	case EHLO:
		if (reply->code == 250) {
			sotto_ehlo_offer(p->text, reply, &offer);
			p->answer = offer.keywords == 1 && offer.version1 ? SOTTO_DOMAIN_YES : SOTTO_DOMAIN_NO;
		}
		break;
	case QUIT:
		return false;
	}
	say(p, "QUIT\r\n");
	p->step = QUIT;
	return true;
}

/* A whole reply at the front is taken. False: it is over. */
static bool take(struct sotto_probe *p)
{
	struct sotto_reply reply;
	enum sotto_found found;

	while ((found = sotto_smtp_reply(p->text, p->have, &reply)) == SOTTO_FOUND_WHOLE) {
		if (!judge(p, &reply))
			return false;
		p->have -= reply.len;
		memmove(p->text, p->text + reply.len, p->have);
	}
	return found == SOTTO_FOUND_PART;
}

static void on_octets(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_probe *p = arg;
	ssize_t n = (what & EV_TIMEOUT) != 0 ? -1 : recv(fd, p->text + p->have, sizeof(p->text) - p->have, MSG_DONTWAIT);

	if (n < 0 && (what & EV_TIMEOUT) == 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(p);
		return;
	}
	p->have += (size_t)n;
	if (!take(p) || sotto_left_ms(p->deadline) == 0)
		finish(p);
}

static void on_dialled(void *arg, const struct sotto_dial_result *r)
{
	struct sotto_probe *p = arg;
	int left = sotto_left_ms(p->deadline);
	const struct timeval patience = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

	p->dial = NULL;
	p->fd = r->fd;
	if (r->fd >= 0) {
		(void)snprintf(p->host, sizeof(p->host), "%s", r->host != NULL ? r->host : "");
		p->peer = r->peer;
		p->event = event_new(p->w->base, p->fd, EV_READ | EV_PERSIST, on_octets, p);
	}
	if (p->event == NULL || event_add(p->event, &patience) != 0)
		finish(p);
}

/* ---- whom to ask ---- */

static bool follow(struct sotto_probe *p)
{
	for (struct sotto_probe *leader = all; leader != NULL; leader = leader->next)
		if (leader != p && leader->best[0] != '\0' && strcmp(leader->best, p->best) == 0) {
			leave(p);
			p->next_follower = leader->followers;
			leader->followers = p;
			return true;
		}
	return false;
}

static void on_answer(void *arg, const struct sotto_mx_answer *answer)
{
	struct sotto_probe *p = arg;
	const struct sotto_worker *w = p->w;
	const struct sotto_dial_options how = {
		.from4 = w->from4.ss_family != AF_UNSPEC ? (const struct sockaddr *)&w->from4 : NULL,
		.from6 = w->from6.ss_family != AF_UNSPEC ? (const struct sockaddr *)&w->from6 : NULL, .timeout_ms = SOTTO_DIAL_MS,
	};

	if (answer->status != 0) {
		finish(p);
		return;
	}
	(void)snprintf(p->best, sizeof(p->best), "%s", answer->at[0].host);
	if (follow(p))
		return;
	p->dial = sotto_dial_mx(w->base, w->mx, p->domain, &how, on_dialled, p);
	if (p->dial == NULL)
		finish(p);
}

struct sotto_probe *sotto_probe_start(struct sotto_worker *w, const char *domain, sotto_probe_done *done, void *arg)
{
	struct sotto_probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->w = w;
	p->domain = domain;
	p->done = done;
	p->arg = arg;
	p->fd = -1;
	p->answer = SOTTO_DOMAIN_NO;
	p->deadline = sotto_now_ms() + SOTTO_PROBE_MS;
	if (sotto_mx_lookup(w->mx, domain, LOOKUP_MS, on_answer, p) == NULL) {
		free(p);
		return NULL;
	}
	p->next = all;
	all = p;
	return p;
}
