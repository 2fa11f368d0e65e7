/* SPDX-License-Identifier: ISC */
/* Decides whom to ask what they offer, and who waits for it (probes.h). Called by worker.c with the lines of smtpd. */
#include "plugins/opensmtpd/probes.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/state-name.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/probe.h"
#include "plugins/opensmtpd/protocol.h"
#include "plugins/opensmtpd/worker.h"

#define SESSIONS 8192	/* that are known at once; another one may take a place, and the first is asked nothing more */

/* One of smtpd's sessions, in or out. */
struct session {
	uint64_t id;
	bool submits;		/* in: from this host, or who has authenticated */
	bool offers;		/* out: the other mail server does */
	int64_t held;		/* ms, altogether */
};

/* A domain whose mail server is being asked. */
struct asking {
	struct sotto_probes *p;
	struct asking *next;
	struct waiting *waiting;
	int64_t since;
	char domain[SOTTO_FILE_NAME];
};

/* A RCPT command that waits. */
struct waiting {
	struct asking *a;
	struct waiting *next;
	struct event *enough;
	uint64_t session, token;
	int64_t since;
};

struct sotto_probes {
	struct sotto_worker *w;
	struct asking *asking;
	unsigned n;
	struct session sessions[SESSIONS];
};

struct sotto_probes *sotto_probes_open(struct sotto_worker *w)
{
	struct sotto_probes *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->w = w;
	return p;
}

/* ---- smtpd's sessions ---- */

static struct session *place(struct sotto_probes *p, uint64_t id)
{
	return &p->sessions[(id ^ id >> 13 ^ id >> 32) % SESSIONS];
}

static struct session *find(struct sotto_probes *p, uint64_t id)
{
	struct session *s = place(p, id);

	return s->id == id ? s : NULL;
}

static struct session *begin(struct sotto_probes *p, uint64_t id)
{
	struct session *s = find(p, id);

	if (s != NULL)
		return s;
	s = place(p, id);
	*s = (struct session){ .id = id };
	return s;
}

/* NAME|pass|SOURCE|DESTINATION; a source is ADDRESS:PORT, [ADDRESS]:PORT, or unix:PATH. */
static bool is_local(const char *rest)
{
	const char *source = rest == NULL ? NULL : strchr(rest, '|');

	source = source == NULL ? NULL : strchr(source + 1, '|');
	if (source == NULL)
		return false;
	source++;
	return strncmp(source, "unix:", 5) == 0 || strncmp(source, "local", 5) == 0 || strncmp(source, "127.", 4) == 0 ||
	       strncmp(source, "[::1]:", 6) == 0 || strncmp(source, "::1:", 4) == 0;
}

/* The result stands first, or, before protocol 0.7, last. */
static bool has_passed(const char *rest)
{
	const char *last = rest == NULL ? NULL : strrchr(rest, '|');

	return last != NULL && (strncmp(rest, "pass|", 5) == 0 || strcmp(last, "|pass") == 0);
}

/* ---- answers ---- */

static void proceed(const struct sotto_probes *p, uint64_t session, uint64_t token)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%016" PRIx64 "|%016" PRIx64, session, token);

	(void)!send(p->w->talk, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* It is in no list any more. */
static void let_pass(struct sotto_probes *p, struct waiting *q)
{
	struct session *s = find(p, q->session);

	if (s != NULL)
		s->held += sotto_now_ms() - q->since;
	proceed(p, q->session, q->token);
	event_free(q->enough);
	free(q);
}

static void on_enough(evutil_socket_t fd, short what, void *arg)
{
	struct waiting *q = arg, **at = &q->a->waiting;

	(void)fd;
	(void)what;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	let_pass(q->a->p, q);
}

/* False: it cannot wait, or has waited enough. */
static bool wait_for(struct asking *a, const struct session *s, uint64_t token)
{
	int64_t now = sotto_now_ms(), left = SOTTO_DISCOVER_MS - s->held, others = a->since + SOTTO_DISCOVER_MS - now;
	int64_t ms = left < others ? left : others;
	const struct timeval patience = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct waiting *q = ms <= 0 ? NULL : calloc(1, sizeof(*q));

	if (q == NULL)
		return false;
	q->enough = evtimer_new(a->p->w->base, on_enough, q);
	if (q->enough == NULL || event_add(q->enough, &patience) != 0) {
		if (q->enough != NULL)
			event_free(q->enough);
		free(q);
		return false;
	}
	q->a = a;
	q->session = s->id;
	q->token = token;
	q->since = now;
	q->next = a->waiting;
	a->waiting = q;
	return true;
}

/* ---- asking ---- */

static void on_asked(void *arg)
{
	struct asking *a = arg, **at = &a->p->asking;
	struct waiting *q = a->waiting, *next;

	for (; q != NULL; q = next) {
		next = q->next;
		let_pass(a->p, q);
	}
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->p->n--;
	free(a);
}

static struct asking *ask(struct sotto_probes *p, const char *domain)
{
	struct asking *a = p->asking;

	while (a != NULL && strcmp(a->domain, domain) != 0)
		a = a->next;
	if (a != NULL || p->n >= SOTTO_PROBES_MAX)
		return a;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->p = p;
	a->since = sotto_now_ms();
	(void)snprintf(a->domain, sizeof(a->domain), "%s", domain);
	if (sotto_probe_start(p->w, a->domain, on_asked, a) == NULL) {
		free(a);
		return NULL;
	}
	a->next = p->asking;
	p->asking = a;
	p->n++;
	return a;
}

/* ---- whom ---- */

/* Of an address as smtpd has it, without angle brackets. False: none that could have a mail server to be asked. */
static bool domain_of(const char *address, char domain[SOTTO_FILE_NAME])
{
	const char *at = address == NULL ? NULL : strrchr(address, '@');

	return at != NULL && sotto_name_of_domain(domain, at + 1) == 0 && strchr(domain, '.') != NULL;
}

/* Whether we may be interested in what it offers at all. */
static bool may_ask(struct sotto_worker *w, const char *domain)
{
	struct sotto_conf conf;
	bool broken, required;

	sotto_conduct_conf(&conf, &broken, w->conf_dir, sizeof(w->conf_dir), w->conf_path, w->state);
	required = (conf.mode != SOTTO_MODE_OFF || broken) && sotto_known_listed(w, "require", domain);
	if (required)
		sotto_known_claim(w, domain);	/* table-sotto has to name an address, whatever is found out */
	return required || (conf.mode != SOTTO_MODE_OFF && !sotto_known_listed(w, "exclude", domain));
}

/* Also one that is known to offer nothing, where its mail server may be required, which has not been looked at. */
static bool is_news(const struct sotto_worker *w, const char *domain)
{
	enum sotto_domain_offer what = sotto_known(w, domain);

	return what == SOTTO_DOMAIN_UNKNOWN || (what == SOTTO_DOMAIN_NO && sotto_known_requires(w) && !sotto_known_route_there(w, domain));
}

static void on_recipient(struct sotto_probes *p, const struct sotto_filter_line *l)
{
	const struct session *s = find(p, l->session);
	char domain[SOTTO_FILE_NAME];
	struct asking *a = NULL;

	if (s != NULL && s->submits && domain_of(l->rest, domain) && may_ask(p->w, domain) && is_news(p->w, domain))
		a = ask(p, domain);
	if (a == NULL || !wait_for(a, s, l->token))
		proceed(p, l->session, l->token);
}

/* MESSAGE|ok|ADDRESS, in another order before 0.7: what has an '@' is it. Another connection makes sure, and finds the way for the next mail. */
static void on_sent(struct sotto_probes *p, const char *rest)
{
	char address[512], domain[SOTTO_FILE_NAME], *end;
	const char *at = rest == NULL ? NULL : strchr(rest, '@');

	if (at == NULL || snprintf(address, sizeof(address), "%s", at) >= (int)sizeof(address))
		return;
	end = strchr(address, '|');
	if (end != NULL)
		*end = '\0';
	if (domain_of(address, domain) && sotto_known(p->w, domain) != SOTTO_DOMAIN_YES && may_ask(p->w, domain))
		(void)ask(p, domain);
}

/* ---- lines ---- */

static bool is_keyword(const char *rest)
{
	return rest != NULL && (strncasecmp(rest, "250-XSOTTO ", 11) == 0 || strncasecmp(rest, "250 XSOTTO ", 11) == 0);
}

static void on_report(struct sotto_probes *p, const struct sotto_filter_line *l)
{
	struct session *s;

	if (sotto_filter_is(l, "link-connect"))
		begin(p, l->session)->submits = is_local(l->rest);
	else if (sotto_filter_is(l, "link-auth") && has_passed(l->rest))
		begin(p, l->session)->submits = true;
	else if (sotto_filter_is(l, "protocol-server") && is_keyword(l->rest))
		begin(p, l->session)->offers = true;
	s = find(p, l->session);
	if (s != NULL && s->offers && sotto_filter_is(l, "tx-rcpt"))
		on_sent(p, l->rest);
	if (s != NULL && sotto_filter_is(l, "link-disconnect"))
		*s = (struct session){ .id = 0 };
}

void sotto_probes_hear(struct sotto_probes *p, const char *line)
{
	struct sotto_filter_line l;

	sotto_filter_read(&l, line);
	if (l.kind == SOTTO_FILTER_REQUEST)
		on_recipient(p, &l);
	else if (l.kind == SOTTO_FILTER_REPORT)
		on_report(p, &l);
}
