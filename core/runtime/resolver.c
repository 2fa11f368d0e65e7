/* SPDX-License-Identifier: ISC */
/*
 * The seam between c-ares and libevent, for mx.c: one event for each socket that c-ares opens, one
 * timer. It looks at no reply, and never blocks after sotto_resolver_open.
 */
#define CARES_NO_DEPRECATED	/* the calls that 1.18 has are marked as old by 1.34 */
#include "core/runtime/resolver.h"

#include <ares.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#define TRY_MS 1000
#define TRIES 3
#define UDP_SIZE 1232	/* what DNS flag day 2020 agreed on: no fragments */
#define CLASS_IN 1

struct watch {
	LIST_ENTRY(watch) link;
	struct sotto_resolver *resolver;
	struct event *event;
	ares_socket_t fd;
};

struct sotto_resolver {
	struct event_base *base;
	ares_channel channel;
	struct event *timer;
	LIST_HEAD(watch_list, watch) watches;
};

struct question {
	sotto_resolver_done *done;
	void *arg;
};

/* After each call into c-ares: when it wants to be called without a socket having moved. */
static void arm(struct sotto_resolver *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) != NULL)
		evtimer_add(r->timer, &tv);
	else
		evtimer_del(r->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_resolver *r = arg;

	(void)fd;
	(void)what;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

/* The watch may be gone when ares_process_fd returns. */
static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_resolver *r = ((struct watch *)arg)->resolver;

	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	arm(r);
}

static struct watch *find_watch(struct sotto_resolver *r, ares_socket_t fd)
{
	struct watch *w;

	LIST_FOREACH(w, &r->watches, link)
		if (w->fd == fd)
			return w;
	return NULL;
}

static void drop_watch(struct watch *w)
{
	if (w == NULL)
		return;
	LIST_REMOVE(w, link);
	if (w->event != NULL)
		event_free(w->event);
	free(w);
}

/*
 * c-ares opened a socket, waits for something else on it, or (neither) closes it. Without memory it
 * times out.
 */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct sotto_resolver *r = arg;
	struct watch *w;

	drop_watch(find_watch(r, fd));
	if (!readable && !writable)
		return;
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return;
	*w = (struct watch){ .resolver = r, .fd = fd };
	LIST_INSERT_HEAD(&r->watches, w, link);
	w->event = event_new(
		r->base, fd,
		(short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0)),
		on_socket, w);
	if (w->event == NULL || event_add(w->event, NULL) != 0)
		drop_watch(w);
}

/*
 * What 1.18 does not have. A socket for each question, because up to 1.34.5 one empty datagram
 * makes c-ares deaf on the socket that it came to; and no cache, which has no bound.
 */
static int newer_options(struct ares_options *options)
{
#ifdef ARES_OPT_QUERY_CACHE
	options->udp_max_queries = 1;
	options->qcache_max_ttl = 0;
	return ARES_OPT_UDP_MAX_QUERIES | ARES_OPT_QUERY_CACHE;
#else
	(void)options;
	return 0;
#endif
}

static int open_channel(struct sotto_resolver *r, const char *servers)
{
	static char dns_only[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = TRY_MS, .tries = TRIES, .lookups = dns_only, .ednspsz = UDP_SIZE,
		.sock_state_cb = on_state, .sock_state_cb_data = r,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		   ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;

	mask |= newer_options(&options);
	if (ares_init_options(&r->channel, &options, mask) != ARES_SUCCESS)
		return -1;
	if (servers != NULL && ares_set_servers_ports_csv(r->channel, servers) != ARES_SUCCESS) {
		ares_destroy(r->channel);
		return -1;
	}
	return 0;
}

struct sotto_resolver *sotto_resolver_open(struct event_base *base, const char *servers)
{
	struct sotto_resolver *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	LIST_INIT(&r->watches);
	r->base = base;
	r->timer = evtimer_new(base, on_timer, r);
	if (r->timer != NULL && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) {
		if (open_channel(r, servers) == 0)
			return r;
		ares_library_cleanup();
	}
	if (r->timer != NULL)
		event_free(r->timer);
	free(r);
	return NULL;
}

void sotto_resolver_close(struct sotto_resolver *r)
{
	struct watch *w, *next;

	if (r == NULL)
		return;
	ares_destroy(r->channel);
	ares_library_cleanup();
	for (w = LIST_FIRST(&r->watches); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		drop_watch(w);
	}
	event_free(r->timer);
	free(r);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
	struct question q = *(struct question *)arg;

	(void)timeouts;
	free(arg);
	if (status == ARES_SUCCESS && reply != NULL && len > 0)
		q.done(q.arg, 0, reply, (size_t)len);
	else if (status == ARES_ENODATA)
		q.done(q.arg, SOTTO_RESOLVER_NONE, NULL, 0);
	else if (status == ARES_ENOTFOUND)
		q.done(q.arg, SOTTO_RESOLVER_NO_NAME, NULL, 0);
	else
		q.done(q.arg, SOTTO_RESOLVER_TEMPORARY, NULL, 0);
}

void sotto_resolver_ask(struct sotto_resolver *r, const char *name, uint16_t type,
			sotto_resolver_done *done, void *arg)
{
	struct question *q = calloc(1, sizeof *q);

	if (q == NULL) {
		done(arg, SOTTO_RESOLVER_TEMPORARY, NULL, 0);
		return;
	}
	*q = (struct question){ .done = done, .arg = arg };
	ares_query(r->channel, name, CLASS_IN, type, on_answer, q);
	arm(r);
}
