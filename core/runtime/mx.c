/* SPDX-License-Identifier: ISC */
/*
 * Steers an MX lookup: MX, then A and AAAA of each host at once, then the answer, out of the loop.
 * dial.c and the Postfix daemon call it. It reads no octet of a reply itself (dns.c) and puts
 * nothing in order (mx-hosts.c).
 */
#include "core/runtime/mx.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/runtime/mx-hosts.h"
#include "core/runtime/own.h"
#include "core/runtime/resolver.h"

struct sotto_mx {
	struct event_base *base;
	struct sotto_resolver *resolver;
	bool (*own)(const struct sockaddr *);
	int family;	/* 0: both */
	LIST_HEAD(lookup_list, sotto_mx_lookup) lookups;
};

struct address_question {
	struct sotto_mx_lookup *lookup;
	struct sotto_mx_host *host;
};

/*
 * The resolver cannot take a question back. So a lookup that was answered or cancelled lives on,
 * without a caller (done is NULL), until the last of its questions was answered; resolver.h bounds
 * that.
 */
struct sotto_mx_lookup {
	LIST_ENTRY(sotto_mx_lookup) link;
	struct sotto_mx *mx;
	struct event *wake;	/* the timeout, and made active when the answer is there */
	sotto_mx_done *done;
	void *arg;
	unsigned waiting;	/* questions not yet answered */
	/* SOTTO_MX_…, or 0: the hosts are known, and so is what there is to say */
	int status;
	char domain[SOTTO_DNS_NAME];
	struct sotto_mx_hosts hosts;
	struct address_question questions[SOTTO_MX_HOSTS];
};

static void release(struct sotto_mx_lookup *l)
{
	if (l->done != NULL || l->waiting > 0)
		return;
	LIST_REMOVE(l, link);
	event_free(l->wake);
	free(l);
}

static void answered(struct sotto_mx_lookup *l)
{
	l->waiting--;
	if (l->done == NULL)
		release(l);
	else if (l->waiting == 0)
		event_active(l->wake, EV_TIMEOUT, 0);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_mx_lookup *l = arg;
	struct sotto_mx_answer answer = { .status = l->status };
	sotto_mx_done *done = l->done;
	void *done_arg = l->arg;

	(void)fd;
	(void)what;
	if (answer.status == 0)
		sotto_mx_hosts_answer(&l->hosts, l->mx->own, &answer);
	sotto_mx_cancel(l);
	done(done_arg, &answer);
}

static void on_address(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct address_question *q = arg;
	struct sotto_dns_reader reader;
	struct sotto_dns_record record;
	int got;

	if (status == 0) {
		got = sotto_dns_begin(&reader, reply, len);
		while (got == 0 && (got = sotto_dns_next(&reader, &record)) == 1) {
			if (record.type == SOTTO_DNS_A || record.type == SOTTO_DNS_AAAA)
				sotto_mx_host_add(q->host, &record);
			got = 0;
		}
		if (got < 0)
			status = SOTTO_RESOLVER_TEMPORARY;
	}
	q->host->failed |= status == SOTTO_RESOLVER_TEMPORARY;
	q->host->waiting--;
	answered(q->lookup);
}

static bool wants(const struct sotto_mx_lookup *l, int family)
{
	return l->mx->family == 0 || l->mx->family == family;
}

static void ask_addresses(struct sotto_mx_lookup *l)
{
	struct sotto_resolver *resolver = l->mx->resolver;
	bool four = wants(l, AF_INET), six = wants(l, AF_INET6);
	size_t n = l->hosts.n;

	l->waiting += (unsigned)n * (four + six);
	for (size_t i = 0; i < n; i++) {
		l->questions[i] = (struct address_question){ .lookup = l, .host = &l->hosts.at[i] };
		l->hosts.at[i].waiting = (unsigned)four + six;
	}
	for (size_t i = 0; i < n; i++) {
		const char *name = l->hosts.at[i].name;
		struct address_question *q = &l->questions[i];

		if (six)
			sotto_resolver_ask(resolver, name, SOTTO_DNS_AAAA, on_address, q);
		if (four)
			sotto_resolver_ask(resolver, name, SOTTO_DNS_A, on_address, q);
	}
}

/* The records of an MX reply. A name that is none counts as a host without an address. */
static int read_mx(struct sotto_mx_hosts *hosts, const uint8_t *reply, size_t len, unsigned *seen)
{
	struct sotto_dns_reader reader;
	struct sotto_dns_record record;
	bool null = false;
	int got = sotto_dns_begin(&reader, reply, len);

	for (*seen = 0; got == 0 && (got = sotto_dns_next(&reader, &record)) == 1; got = 0) {
		if (record.type != SOTTO_DNS_MX)
			continue;
		++*seen;
		if (record.name[0] != 0)
			sotto_mx_hosts_add(hosts, record.name, record.preference);
		else
			null |= !record.odd;
	}
	if (got < 0)
		return SOTTO_MX_TEMPORARY;
	/* RFC 7505, 3: beside other MX records a null MX means nothing. */
	return null && *seen == 1 ? SOTTO_MX_NULL : 0;
}

/*
 * What is known of the domain once the MX question was answered; 0: its hosts' addresses are to be
 * asked for.
 */
static int mx_status(struct sotto_mx_lookup *l, int status, const uint8_t *reply, size_t len)
{
	unsigned seen = 0;
	int known = 0;

	if (status == SOTTO_RESOLVER_NO_NAME)
		return SOTTO_MX_NO_DOMAIN;
	if (status == SOTTO_RESOLVER_TEMPORARY)
		return SOTTO_MX_TEMPORARY;
	if (status == 0)
		known = read_mx(&l->hosts, reply, len, &seen);
	/* RFC 5321, 5.1: no MX, then the domain itself. The name server has followed any CNAME. */
	if (known == 0 && seen == 0)
		sotto_mx_hosts_add(&l->hosts, l->domain, 0);
	return known;
}

static void on_mx(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct sotto_mx_lookup *l = arg;

	if (l->done != NULL) {
		l->status = mx_status(l, status, reply, len);
		if (l->status == 0)
			ask_addresses(l);
	}
	answered(l);
}

/*
 * "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321, 4.1.3). Returns 1 when the domain is one, with its
 * address in r.
 */
static int literal(const char *domain, struct sotto_dns_record *r)
{
	char text[INET6_ADDRSTRLEN] = "";
	size_t len = strnlen(domain, sizeof text + 8);
	bool v6 = strncasecmp(domain, "[IPv6:", 6) == 0;
	size_t skip = v6 ? 6 : 1;

	if (domain[0] != '[' || len <= skip || len > sizeof text + skip || domain[len - 1] != ']')
		return 0;
	memcpy(text, domain + skip, len - skip - 1);
	*r = (struct sotto_dns_record){ .type = v6 ? SOTTO_DNS_AAAA : SOTTO_DNS_A };
	return inet_pton(v6 ? AF_INET6 : AF_INET, text, r->address);
}

static void begin(struct sotto_mx_lookup *l, const char *domain)
{
	struct sotto_dns_record r;

	if (literal(domain, &r) == 1) {
		sotto_mx_hosts_add(&l->hosts, "", 0);
		if (wants(l, r.type == SOTTO_DNS_A ? AF_INET : AF_INET6))
			sotto_mx_host_add(&l->hosts.at[0], &r);
		event_active(l->wake, EV_TIMEOUT, 0);
	} else if (sotto_dns_host_name(l->domain, domain) != 0) {
		l->status = SOTTO_MX_BAD_NAME;
		event_active(l->wake, EV_TIMEOUT, 0);
	} else {
		l->status = SOTTO_MX_TEMPORARY;	/* until more is known */
		l->waiting = 1;
		sotto_resolver_ask(l->mx->resolver, l->domain, SOTTO_DNS_MX, on_mx, l);
	}
}

struct sotto_mx_lookup *sotto_mx_lookup(struct sotto_mx *mx, const char *domain,
					unsigned timeout_ms, sotto_mx_done *done, void *arg)
{
	struct timeval timeout = {(time_t)(timeout_ms / 1000),
				  (suseconds_t)(timeout_ms % 1000) * 1000};
	struct sotto_mx_lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->mx = mx;
	l->done = done;
	l->arg = arg;
	l->wake = evtimer_new(mx->base, on_wake, l);
	if (l->wake == NULL || evtimer_add(l->wake, &timeout) != 0) {
		if (l->wake != NULL)
			event_free(l->wake);
		free(l);
		return NULL;
	}
	LIST_INSERT_HEAD(&mx->lookups, l, link);
	begin(l, domain);
	return l;
}

void sotto_mx_cancel(struct sotto_mx_lookup *l)
{
	if (l == NULL)
		return;
	l->done = NULL;
	event_del(l->wake);
	release(l);
}

struct sotto_mx *sotto_mx_open(struct event_base *base, const struct sotto_mx_config *config)
{
	struct sotto_mx *mx = calloc(1, sizeof *mx);

	if (mx == NULL)
		return NULL;
	LIST_INIT(&mx->lookups);
	mx->base = base;
	mx->own = config != NULL && config->own != NULL ? config->own : sotto_own_address;
	mx->family = config != NULL ? config->family : 0;
	mx->resolver = sotto_resolver_open(base, config != NULL ? config->servers : NULL);
	if (mx->resolver == NULL) {
		free(mx);
		return NULL;
	}
	return mx;
}

struct sotto_resolver *sotto_mx_resolver(struct sotto_mx *mx)
{
	return mx->resolver;
}

void sotto_mx_close(struct sotto_mx *mx)
{
	struct sotto_mx_lookup *l, *next;

	if (mx == NULL)
		return;
	for (l = LIST_FIRST(&mx->lookups); l != NULL; l = next) {
		next = LIST_NEXT(l, link);
		sotto_mx_cancel(l);
	}
	sotto_resolver_close(mx->resolver);	/* answers what is open, and so frees the rest */
	free(mx);
}
