/* SPDX-License-Identifier: ISC */
/* What Postfix's configuration says, as the test likes it: stands for site.c in the tests of sotto-policyd's other parts. */
#ifndef TESTS_UNIT_FAKE_SITE_H
#define TESTS_UNIT_FAKE_SITE_H

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/postfix-policy/site.h"

struct sotto_site_question {
	struct event *later;
	sotto_site_done *done;
	void *arg;
	bool allowed;
};

static struct {
	struct event_base *base;
	struct sotto_site_facts facts;
	enum sotto_site_answer answer;
	bool tls;		/* a policy of its own speaks against the hop */
	bool silent;		/* a question is never answered */
	unsigned asked, questions;
} fake_site = { .facts = { .usable = true, .myhostname = "mail.example.net", .mail_owner = (uid_t)-1, .ipv4 = true, .ipv6 = true },
		.answer = SOTTO_SITE_MAY };

const struct sotto_site_facts *sotto_site_facts(const struct sotto_site *site)
{
	(void)site;
	return &fake_site.facts;
}

enum sotto_site_answer sotto_site_transport(struct sotto_site *site, const char *domain)
{
	(void)site;
	(void)domain;
	fake_site.asked++;
	return fake_site.answer;
}

static void fake_answer(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_site_question q = *(struct sotto_site_question *)arg;

	(void)fd;
	(void)what;
	sotto_site_cancel(arg);
	q.done(q.arg, q.allowed, q.allowed ? "" : "its own policy");
}

struct sotto_site_question *sotto_site_check(struct sotto_site *site, const char *domain, unsigned timeout_ms, sotto_site_done *done, void *arg)
{
	struct sotto_site_question *q = calloc(1, sizeof(*q));
	const struct timeval at_once = { 0, 0 };

	(void)site;
	(void)domain;
	(void)timeout_ms;
	if (q == NULL)
		return NULL;
	*q = (struct sotto_site_question){ .done = done, .arg = arg, .allowed = !fake_site.tls };
	fake_site.questions++;
	q->later = evtimer_new(fake_site.base, fake_answer, q);
	if (!fake_site.silent)
		(void)event_add(q->later, &at_once);
	return q;
}

void sotto_site_cancel(struct sotto_site_question *q)
{
	if (q == NULL)
		return;
	event_free(q->later);
	free(q);
}

#endif
