/* SPDX-License-Identifier: ISC */
/* The hop (hop-service.h). Called by policyd.c; a connection is `accepted`, `checked`, maybe `held`, and then a session's or told 421. */
#include "plugins/postfix-policy/hop-service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "plugins/postfix-policy/divert.h"
#include "plugins/postfix-policy/sessions.h"

#define ACCEPT_AT_ONCE 32
#define PAUSE_MS 100		/* without descriptors left: Postfix's connections wait in the kernel's queue meanwhile */

/* A connection that no session has yet. In one list of all, and in its domain's while it is held. */
struct sotto_held {
	struct sotto_hop_service *service;
	struct sotto_held *next, **back;	/* of all */
	struct sotto_held *next_held;		/* of the domain's */
	struct sotto_domain *domain;
	struct sotto_site_question *question;
	struct event *gone;			/* Postfix leaves, or time is over */
	bool starting;				/* a session is becoming ready, and will have it */
	int fd;
};

struct sotto_hop_service {
	struct sotto_policyd *p;
	struct sotto_sessions *sessions;
	struct event *accepting, *again;
	struct sotto_held *all;
	unsigned held;
	int fd;
	int spare;				/* to have one where there is none, for a connection to hear 421 on; -1: none */
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- the end of one ---- */

static void leave_domain(struct sotto_held *c)
{
	struct sotto_held **at = &c->domain->held;

	while (*at != NULL && *at != c)
		at = &(*at)->next_held;
	if (*at == NULL)
		return;
	*at = c->next_held;
	c->service->held--;
}

static void drop(struct sotto_held *c)
{
	leave_domain(c);
	sotto_site_cancel(c->question);
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	if (c->gone != NULL)
		event_free(c->gone);
	close(c->fd);
	free(c);
}

/* A greeting, and the end. Postfix says nothing before it: no octet of its own is left unread that would cut this off. */
static void say(const struct sotto_hop_service *h, int fd, const char *why)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "421 4.3.2 %.255s sotto: %s\r\n", sotto_site_facts(h->p->site)->myhostname, why);

	(void)!send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_and_drop(struct sotto_held *c, const char *why)
{
	say(c->service, c->fd, why);
	drop(c);
}

static void complain_of_session(const struct sotto_hop_service *h, const char *why)
{
	sotto_log_limited(h->p->run, ".session-limit", LOG_ERR, "%s: no session to be had: %s; mail goes natively until that is mended",
			  h->p->session, why);
}

static void give(struct sotto_held *c)
{
	int r = sotto_sessions_start(c->service->sessions, c->domain, c->fd, c);

	c->starting = r == 0;
	if (r == 0)
		return;
	complain_of_session(c->service, strerror(-r));
	say_and_drop(c, "no session to be had");
}

static void on_given(void *arg, void *connection)
{
	struct sotto_held *c = connection;

	(void)arg;
	c->domain->sessions++;
	drop(c);
}

/* Those that wait for what it would have found out have waited enough. */
static void on_failed(void *arg, void *connection, const char *why)
{
	struct sotto_held *c = connection, *next = c->domain->held;

	complain_of_session(arg, why);
	say_and_drop(c, "no session to be had");
	while (next != NULL) {
		c = next;
		next = c->next_held;
		say_and_drop(c, "no session to be had");
	}
}

/* ---- held ---- */

static void on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_held *c = arg;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0)
		say_and_drop(c, "what the domain offers was not found out in time");
	else
		drop(c);
}

static void hold(struct sotto_held *c)
{
	struct sotto_hop_service *h = c->service;
	struct timeval patience = { .tv_sec = SOTTO_HELD_MS / 1000, .tv_usec = SOTTO_HELD_MS % 1000 * 1000 };

	c->gone = h->held < SOTTO_HELD_MAX ? event_new(h->p->base, c->fd, EV_READ, on_gone, c) : NULL;
	if (c->gone == NULL || event_add(c->gone, &patience) != 0) {
		say_and_drop(c, "too many connections at once for domains that nothing is known of");
		return;
	}
	c->next_held = c->domain->held;
	c->domain->held = c;
	h->held++;
}

/* Its state says what to do; one whose offer is unknown finds out, for all of them. */
static void go_on(struct sotto_held *c)
{
	struct sotto_domain *d = c->domain;
	int64_t now = now_s();

	switch (sotto_divert_hop(c->service->p, d, now)) {
	case SOTTO_HOP_OFF:
		say_and_drop(c, "not for this domain");
		return;
	case SOTTO_HOP_NATIVE:
		say_and_drop(c, "the domain's mail server does not offer XSOTTO");
		return;
	case SOTTO_HOP_TAKE:
		break;
	}
	if (sotto_domain_state_now(&d->state, now) == SOTTO_DOMAIN_UNKNOWN && d->asked) {
		hold(c);
		return;
	}
	d->asked = true;
	give(c);
}

/* Those that are held, in whatever order: each is looked at once, also where it ends up held again. */
static void go_on_held(struct sotto_domain *d)
{
	struct sotto_held *c = d->held, *next;

	for (; c != NULL; c = next) {
		next = c->next_held;
		leave_domain(c);
		event_free(c->gone);
		c->gone = NULL;
		go_on(c);
	}
}

void sotto_hop_service_learnt(struct sotto_hop_service *h, struct sotto_domain *d)
{
	(void)h;
	d->asked = false;
	go_on_held(d);
}

/* What is in memory is believed at once; the file that says the same comes when the session is over. */
static void on_told(void *arg, struct sotto_domain *d, enum sotto_domain_offer what)
{
	int64_t now = now_s();

	if (sotto_domain_state_now(&d->state, now) != what)
		sotto_domain_state_apply(&d->state, what, now);
	sotto_hop_service_learnt(arg, d);
}

/* Believed until a session says otherwise: the next mail comes this way first again. */
static void on_refused(void *arg, struct sotto_domain *d, bool refused)
{
	struct sotto_hop_service *h = arg;

	sotto_domains_refuse(h->p->domains, d, refused);
}

void sotto_hop_service_hear(struct sotto_hop_service *h, const struct sotto_domain *d)
{
	sotto_sessions_hear(h->sessions, d);
}

/* It has ended without a word of what the domain offers: the next one finds out. */
static void on_ended(void *arg, struct sotto_domain *d, bool given)
{
	(void)arg;
	if (given) {
		d->sessions--;
		d->ended = now_s();
	}
	if (sotto_domain_state_now(&d->state, now_s()) != SOTTO_DOMAIN_UNKNOWN)
		return;
	d->asked = false;
	go_on_held(d);
}

/* ---- new ones ---- */

static void on_checked(void *arg, bool allowed, const char *why)
{
	struct sotto_held *c = arg;

	(void)why;
	c->question = NULL;
	c->domain->tls = !allowed;
	if (allowed)
		go_on(c);
	else
		say_and_drop(c, "its own TLS policy, or another setting of Postfix's for it, stays in force");
}

static void begin(struct sotto_hop_service *h, int fd, struct sotto_domain *d)
{
	struct sotto_held *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	*c = (struct sotto_held){ .service = h, .domain = d, .fd = fd, .next = h->all, .back = &h->all };
	if (h->all != NULL)
		h->all->back = &c->next;
	h->all = c;
	c->question = sotto_site_check(h->p->site, d->name, SOTTO_CHECK_MS, on_checked, c);
	if (c->question == NULL)
		say_and_drop(c, "no memory");
}

/* Postfix's own user, or root; no other program on this host gets a way out through port 25. */
static bool is_postfix(const struct sotto_hop_service *h, int fd)
{
	uid_t uid;
	int r = sotto_hop_uid(fd, &uid);

	if (r == 0 && (uid == 0 || uid == sotto_site_facts(h->p->site)->mail_owner))
		return true;
	if (r == 0)
		sotto_log_limited(h->p->run, ".uid-limit", LOG_WARNING, "a program of user %u connected to the loopback hop; it is Postfix's alone",
				  (unsigned)uid);
	else if (r != -ENOTCONN)
		sotto_log_limited(h->p->run, ".uid-limit", LOG_ERR, "the kernel does not say who connects to the loopback hop: %s (is its module "
				  "tcp_diag there?); mail goes natively", strerror(-r));
	return false;
}

static struct sotto_domain *domain_of(const struct sotto_hop_service *h, int fd)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	char name[SOTTO_DOMAIN_TEXT];

	memset(&to, 0, sizeof(to));
	if (getsockname(fd, (struct sockaddr *)&to, &len) != 0 || !sotto_hop_is((const struct sockaddr *)&to) ||
	    sotto_hop_domain(h->p->hop_dir, to.sin_addr, name, sizeof(name)) != 0)
		return NULL;
	return sotto_domains_get(h->p->domains, name, strlen(name));
}

static void take(struct sotto_hop_service *h, int fd)
{
	struct sotto_domain *d;

	if (!is_postfix(h, fd)) {
		close(fd);
		return;
	}
	d = domain_of(h, fd);
	if (d == NULL) {
		say(h, fd, "this address means no domain");
		close(fd);
		return;
	}
	begin(h, fd, d);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_hop_service *h = arg;

	(void)fd;
	(void)what;
	(void)event_add(h->accepting, NULL);
}

/* One connection hears 421 on the descriptor that is kept for this; the others wait in the kernel's queue for a moment. */
static void pause_accepting(struct sotto_hop_service *h, int listening)
{
	const struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };
	int fd;

	sotto_log_limited(h->p->run, ".accept-limit", LOG_ERR, "the loopback hop takes no connection: %s", strerror(errno));
	if (h->spare >= 0) {
		close(h->spare);
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			say(h, fd, "no descriptor is left");
			close(fd);
		}
		h->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (event_add(h->again, &pause) == 0)
		(void)event_del(h->accepting);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct sotto_hop_service *h = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			take(h, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(h, listening);
		if (fd < 0)
			return;
	}
}

struct sotto_hop_service *sotto_hop_service_open(struct sotto_policyd *p, int fd)
{
	struct sotto_hop_service *h = calloc(1, sizeof(*h));
	const struct sotto_sessions_hooks hooks = { on_given, on_failed, on_told, on_refused, on_ended, h };

	if (h == NULL) {
		close(fd);
		return NULL;
	}
	h->p = p;
	h->fd = fd;
	h->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	h->sessions = sotto_sessions_open(p, &hooks);
	h->accepting = event_new(p->base, fd, EV_READ | EV_PERSIST, on_accept, h);
	h->again = evtimer_new(p->base, on_again, h);
	if (h->sessions != NULL && h->accepting != NULL && h->again != NULL && event_add(h->accepting, NULL) == 0)
		return h;
	sotto_hop_service_close(h);
	return NULL;
}

void sotto_hop_service_close(struct sotto_hop_service *h)
{
	struct sotto_held *next;
	int keep = errno;

	if (h == NULL)
		return;
	for (struct sotto_held *c = h->all; c != NULL; c = next) {
		next = c->next;
		if (c->starting)
			drop(c);
		else
			say_and_drop(c, "going down");
	}
	if (h->accepting != NULL)
		event_free(h->accepting);
	if (h->again != NULL)
		event_free(h->again);
	sotto_sessions_close(h->sessions);
	if (h->spare >= 0)
		close(h->spare);
	close(h->fd);
	free(h);
	errno = keep;
}
