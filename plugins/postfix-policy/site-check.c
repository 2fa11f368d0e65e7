/* SPDX-License-Identifier: ISC */
/*
 * Questions about a single connection, for site.c. A question waits for tables and for the domain's MX hosts, where those count; its
 * answer always comes from a timer, so never from inside a call.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/runtime/mx.h"
#include "plugins/postfix-policy/site-ask.h"
#include "plugins/postfix-policy/site-words.h"

struct sotto_site_question {
	struct sotto_site_question *next, **prev;
	struct sotto_site *site;
	sotto_site_done *done;
	void *arg;
	struct event *over;
	struct sotto_mx_lookup *lookup;
	bool decided, have_mx, looked;
	unsigned timeout_ms;
	enum sotto_site_answer answer;
	char why[256];
	struct sotto_mx_answer mx;
	char domain[256];
};

static void drop(struct sotto_site_question *q)
{
	if (q->next != NULL)
		q->next->prev = q->prev;
	*q->prev = q->next;
	sotto_mx_cancel(q->lookup);
	event_free(q->over);
	free(q);
}

static void on_over(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_site_question *q = arg;
	sotto_site_done *done = q->done;
	bool allowed = q->decided && q->answer == SOTTO_SITE_MAY;
	void *to = q->arg;
	char why[sizeof(q->why)];

	(void)fd, (void)what;
	(void)snprintf(why, sizeof(why), "%s", q->decided ? q->why : "what Postfix's tables say of it was not known in time");
	drop(q);
	done(to, allowed, why);
}

static void decide(struct sotto_site_question *q);

static void on_mx(void *arg, const struct sotto_mx_answer *answer)
{
	struct sotto_site_question *q = arg;

	q->lookup = NULL;
	q->mx = *answer;
	q->have_mx = true;
	decide(q);
}

static void look_up(struct sotto_site_question *q)
{
	struct sotto_mx_config config = { .servers = sotto_site_paths.dns };
	struct sotto_site *s = q->site;

	q->looked = true;
	if (s->mx == NULL)
		s->mx = sotto_mx_open(s->base, &config);
	q->lookup = s->mx != NULL ? sotto_mx_lookup(s->mx, q->domain, q->timeout_ms, on_mx, q) : NULL;
	if (q->lookup == NULL) {
		q->mx.status = SOTTO_MX_TEMPORARY;
		q->have_mx = true;
	}
}

static enum sotto_site_answer look(struct sotto_site_question *q, const char **why)
{
	struct sotto_site *s = q->site;

	if (!s->facts.usable || s->now == NULL) {
		*why = s->facts.why;
		return SOTTO_SITE_NATIVE;
	}
	if (q->domain[0] == 0) {
		*why = "it is no plain domain";
		return SOTTO_SITE_NATIVE;
	}
	if (!q->looked && sotto_site_view_needs_mx(s->now))
		look_up(q);
	return sotto_site_view_policy(s->now, q->domain, q->have_mx ? &q->mx : NULL, why);
}

static void decide(struct sotto_site_question *q)
{
	struct timeval soon = { 0, 0 };
	const char *why = "";

	if (q->decided)
		return;
	q->answer = look(q, &why);
	if (q->answer == SOTTO_SITE_UNKNOWN)
		return;
	q->decided = true;
	(void)snprintf(q->why, sizeof(q->why), "%s", why);
	event_add(q->over, &soon);
}

void sotto_site_questions(struct sotto_site *s)
{
	for (struct sotto_site_question *q = s->questions; q != NULL; q = q->next)
		decide(q);
}

void sotto_site_questions_end(struct sotto_site *s)
{
	struct sotto_site_question *next;

	for (struct sotto_site_question *q = s->questions; q != NULL; q = next) {
		next = q->next;
		drop(q);
	}
}

struct sotto_site_question *sotto_site_check(struct sotto_site *s, const char *domain, unsigned timeout_ms, sotto_site_done *done, void *arg)
{
	struct sotto_site_question *q = calloc(1, sizeof(*q));
	struct timeval over = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	if (q == NULL)
		return NULL;
	q->over = event_new(s->base, -1, 0, on_over, q);
	if (q->over == NULL || event_add(q->over, &over) != 0) {
		if (q->over != NULL)
			event_free(q->over);
		free(q);
		return NULL;
	}
	q->site = s;
	q->done = done;
	q->arg = arg;
	q->timeout_ms = timeout_ms;
	(void)sotto_site_domain(q->domain, sizeof(q->domain), domain);
	q->next = s->questions;
	q->prev = &s->questions;
	if (q->next != NULL)
		q->next->prev = &q->next;
	s->questions = q;
	if (s->now != NULL && s->now->maps != NULL)
		sotto_site_maps_look(s->now->maps);
	decide(q);
	return q;
}

void sotto_site_cancel(struct sotto_site_question *q)
{
	if (q != NULL)
		drop(q);
}
