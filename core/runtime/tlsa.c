/* SPDX-License-Identifier: ISC */
/*
 * Asks for the TLSA records of the hosts of an MX lookup, for dial.c. Reads no more of a reply than
 * that there is one.
 */
#include "core/runtime/tlsa.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/resolver.h"

struct question {
	struct sotto_tlsa *tlsa;
	char host[SOTTO_DNS_NAME];
	bool open;
};

/*
 * The resolver cannot take a question back: what was answered or cancelled lives on, without a
 * caller (done is NULL), until the last of its questions was answered.
 */
struct sotto_tlsa {
	struct event *wake;	/* the timeout, and made active when the answer is there */
	sotto_tlsa_done *done;
	void *arg;
	unsigned waiting;
	enum sotto_tlsa_answer answer;
	size_t about, n;	/* questions: the one that the answer is about, and all */
	struct question questions[2 * SOTTO_MX_ADDRESSES];
};

static void release(struct sotto_tlsa *t)
{
	if (t->done != NULL || t->waiting > 0)
		return;
	event_free(t->wake);
	free(t);
}

void sotto_tlsa_cancel(struct sotto_tlsa *t)
{
	if (t == NULL)
		return;
	t->done = NULL;
	event_del(t->wake);
	release(t);
}

/* One name with records decides; one that is not known about decides where no other has any. */
static void note(struct sotto_tlsa *t, size_t i, enum sotto_tlsa_answer answer)
{
	if (answer == SOTTO_TLSA_NONE || t->answer == SOTTO_TLSA_SOME || t->answer == answer)
		return;
	t->answer = answer;
	t->about = i;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_tlsa *t = arg;
	sotto_tlsa_done *done = t->done;
	void *done_arg = t->arg;
	enum sotto_tlsa_answer answer;
	char host[SOTTO_DNS_NAME] = "";

	(void)fd;
	(void)what;
	for (size_t i = 0; i < t->n; i++)
		if (t->questions[i].open)
			note(t, i, SOTTO_TLSA_UNKNOWN);
	answer = t->answer;
	if (answer != SOTTO_TLSA_NONE)
		memcpy(host, t->questions[t->about].host, sizeof host);
	sotto_tlsa_cancel(t);
	done(done_arg, answer, answer == SOTTO_TLSA_NONE ? NULL : host);
}

static enum sotto_tlsa_answer read_reply(int status, const uint8_t *reply, size_t len)
{
	struct sotto_dns_reader reader;
	struct sotto_dns_record record;
	int got;

	if (status == SOTTO_RESOLVER_NONE || status == SOTTO_RESOLVER_NO_NAME)
		return SOTTO_TLSA_NONE;
	if (status != 0)
		return SOTTO_TLSA_UNKNOWN;
	got = sotto_dns_begin(&reader, reply, len);
	while (got == 0 && (got = sotto_dns_next(&reader, &record)) == 1) {
		if (record.type == SOTTO_DNS_TLSA)
			return SOTTO_TLSA_SOME;
		got = 0;
	}
	return got < 0 ? SOTTO_TLSA_UNKNOWN : SOTTO_TLSA_NONE;
}

static void on_reply(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct question *q = arg;
	struct sotto_tlsa *t = q->tlsa;

	q->open = false;
	t->waiting--;
	note(t, (size_t)(q - t->questions), read_reply(status, reply, len));
	if (t->done == NULL)
		release(t);
	else if (t->waiting == 0 || t->answer == SOTTO_TLSA_SOME)
		event_active(t->wake, EV_TIMEOUT, 0);
}

static bool listed(const struct sotto_tlsa *t, const char *host)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->questions[i].host, host) == 0)
			return true;
	return false;
}

/* A question about a host, once. "" is none. */
static void add(struct sotto_tlsa *t, const char host[SOTTO_DNS_NAME])
{
	struct question *q = &t->questions[t->n];

	if (host[0] == 0 || listed(t, host))
		return;
	*q = (struct question){ .tlsa = t, .open = true };
	memcpy(q->host, host, sizeof q->host);
	t->n++;
}

static void ask_all(struct sotto_tlsa *t, struct sotto_resolver *resolver, uint16_t port)
{
	char name[SOTTO_DNS_NAME + 16];

	if (t->n == 0)
		event_active(t->wake, EV_TIMEOUT, 0);
	t->waiting = (unsigned)t->n;
	for (size_t i = 0; i < t->n; i++) {
		(void)snprintf(name, sizeof name, "_%u._tcp.%s", (unsigned)port,
			       t->questions[i].host);
		sotto_resolver_ask(resolver, name, SOTTO_DNS_TLSA, on_reply, &t->questions[i]);
	}
}

struct sotto_tlsa *sotto_tlsa_ask(struct event_base *base, struct sotto_mx *mx,
				  const struct sotto_mx_answer *hosts, uint16_t port,
				  unsigned timeout_ms, sotto_tlsa_done *done, void *arg)
{
	struct timeval timeout = {(time_t)(timeout_ms / 1000),
				  (suseconds_t)(timeout_ms % 1000) * 1000};
	struct sotto_tlsa *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->done = done;
	t->arg = arg;
	t->wake = evtimer_new(base, on_wake, t);
	if (t->wake == NULL || evtimer_add(t->wake, &timeout) != 0) {
		if (t->wake != NULL)
			event_free(t->wake);
		free(t);
		return NULL;
	}
	for (size_t i = 0; i < hosts->n; i++) {
		add(t, hosts->at[i].alias_of);
		add(t, hosts->at[i].host);
	}
	ask_all(t, sotto_mx_resolver(mx), port);
	return t;
}
