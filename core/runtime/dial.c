/* SPDX-License-Identifier: ISC */
/*
 * Connects, for sotto-session (redial, --to DOMAIN) and for daemons. One engine for both: a list of
 * addresses, a time at which all is over, and one attempt after the other. It never blocks, speaks
 * no SMTP and remembers nothing.
 */
#include "core/runtime/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/tlsa.h"

#define SMTP_PORT 25

struct attempt {
	struct sotto_dial *dial;
	struct event *event;
	int fd;
};

struct sotto_dial {
	struct event_base *base;
	struct event *over;	/* the time of it all */
	struct event *next;	/* time for the next address */
	struct sotto_mx *own_mx;	/* ours to close; or NULL */
	struct sotto_mx *mx;	/* whoever's */
	struct sotto_mx_lookup *lookup;
	struct sotto_tlsa *tlsa;
	bool dane;
	bool (*unwanted)(void *arg, const char *host, const struct sockaddr *to, socklen_t len);
	sotto_dial_done *done;
	void *arg;
	int64_t end_ms;
	uint16_t port;	/* 0: it stands in the address */
	struct sockaddr_storage from[2];	/* IPv4, IPv6; AF_UNSPEC: the kernel chooses */
	size_t started, open;	/* attempts: made, and still under way */
	size_t failed;	/* the one whose error it is */
	int error;
	struct sotto_mx_answer answer;
	struct attempt attempts[SOTTO_MX_ADDRESSES];
};

static struct timeval ms(uint64_t t)
{
	return (struct timeval){ (time_t)(t / 1000), (suseconds_t)(t % 1000 * 1000) };
}

/* Closes an attempt, unless its descriptor goes to the caller. */
static void drop(struct attempt *a, bool keep_fd)
{
	if (a->event != NULL)
		event_free(a->event);
	if (a->fd >= 0 && !keep_fd)
		close(a->fd);
	a->event = NULL;
	a->fd = -1;
}

void sotto_dial_cancel(struct sotto_dial *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->started; i++)
		drop(&d->attempts[i], false);
	sotto_mx_cancel(d->lookup);
	sotto_tlsa_cancel(d->tlsa);
	sotto_mx_close(d->own_mx);
	if (d->over != NULL)
		event_free(d->over);
	if (d->next != NULL)
		event_free(d->next);
	free(d);
}

/* The end: fd (or -1) of the address number i. Nothing of the dial is left when done is called. */
static void finish(struct sotto_dial *d, int fd, int error, size_t i)
{
	struct sotto_dial_result r = { .fd = fd, .error = error };
	char host[SOTTO_DNS_NAME] = "";
	sotto_dial_done *done = d->done;
	void *arg = d->arg;

	if (i < d->started) {
		memcpy(host, d->answer.at[i].host, sizeof host);
		r.host = host[0] != 0 ? host : NULL;
		r.peer = d->answer.at[i].to;
		r.peer_len = d->answer.at[i].len;
	}
	sotto_dial_cancel(d);
	done(arg, &r);
}

/* The same before any address was tried. */
static void finish_early(struct sotto_dial *d, int error, const char *host)
{
	struct sotto_dial_result r = { .fd = -1, .error = error, .host = host };
	sotto_dial_done *done = d->done;
	void *arg = d->arg;

	sotto_dial_cancel(d);
	done(arg, &r);
}

static void fail(struct sotto_dial *d, size_t i, int error)
{
	drop(&d->attempts[i], false);
	d->open--;
	d->failed = i;
	d->error = error;
}

/*
 * Goes on to the next address: at once, or (share) when the one just tried has had its share of the
 * time.
 */
static void step(struct sotto_dial *d, bool share)
{
	uint64_t wait = 0;
	struct timeval tv;

	if (d->open == 0 && d->started == d->answer.n) {
		finish(d, -1, d->error, d->failed);
		return;
	}
	if (d->started == d->answer.n)
		return;
	if (share)
		wait = (uint64_t)sotto_left_ms(d->end_ms) / (d->answer.n - d->started + 2);
	tv = ms(wait);
	evtimer_add(d->next, &tv);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	struct sotto_dial *d = a->dial;
	size_t i = (size_t)(a - d->attempts);
	int error = 0;
	socklen_t len = sizeof error;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0) {
		drop(a, true);
		finish(d, fd, 0, i);
		return;
	}
	fail(d, i, error);
	step(d, false);
}

/*
 * Binds to our side's address, whose port is chosen with the connection (it may be shared between
 * peers).
 */
static int bind_from(int fd, const struct sockaddr_storage *from)
{
	int on = 1;

	if (from->ss_family == AF_UNSPEC)
		return 0;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(fd, (const struct sockaddr *)from, from->ss_family == AF_INET ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

/*
 * Returns 0 when the connection is under way (or stands already: then the event says so at once),
 * or errno.
 */
static int attempt(struct sotto_dial *d, struct attempt *a, const struct sotto_mx_address *to)
{
	const struct sockaddr *sa = (const struct sockaddr *)&to->to;

	a->dial = d;
	a->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return errno;
	if (bind_from(a->fd, &d->from[sa->sa_family == AF_INET6]) != 0)
		return errno;
	if (connect(a->fd, sa, to->len) != 0 && errno != EINPROGRESS && errno != EINTR)
		return errno;
	a->event = event_new(d->base, a->fd, EV_WRITE, on_connected, a);
	return a->event != NULL && event_add(a->event, NULL) == 0 ? 0 : ENOMEM;
}

static void set_port(struct sockaddr_storage *to, uint16_t port)
{
	if (to->ss_family == AF_INET)
		((struct sockaddr_in *)to)->sin_port = htons(port);
	else if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = htons(port);
}

/* What stands behind it is for when this one does not answer: it is no way around it. */
static bool is_unwanted(struct sotto_dial *d, const struct sotto_mx_address *to)
{
	if (d->unwanted == NULL || !d->unwanted(d->arg, to->host, (const struct sockaddr *)&to->to, to->len))
		return false;
	d->answer.n = d->started;
	return true;
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_dial *d = arg;
	size_t i = d->started++;
	int error;

	(void)fd;
	(void)what;
	d->open++;
	if (d->port != 0)
		set_port(&d->answer.at[i].to, d->port);
	error = is_unwanted(d, &d->answer.at[i]) ? SOTTO_DIAL_NOT_OFFERED : attempt(d, &d->attempts[i], &d->answer.at[i]);
	if (error != 0)
		fail(d, i, error);
	step(d, error == 0);
}

/* The address to name is then the best one that has not answered. */
static void on_over(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_dial *d = arg;
	size_t i = 0;

	(void)fd;
	(void)what;
	while (i < d->started && d->attempts[i].fd < 0)
		i++;
	if (d->lookup != NULL)
		finish(d, -1, SOTTO_DIAL_TEMPORARY, 0);
	else if (d->tlsa != NULL)
		finish(d, -1, SOTTO_DIAL_TLSA_UNKNOWN, 0);
	else
		finish(d, -1, ETIMEDOUT, i < d->started ? i : d->failed);
}

static void on_tlsa(void *arg, enum sotto_tlsa_answer answer, const char *host)
{
	struct sotto_dial *d = arg;

	d->tlsa = NULL;
	if (answer == SOTTO_TLSA_NONE)
		step(d, false);
	else
		finish_early(d, answer == SOTTO_TLSA_SOME ? SOTTO_DIAL_TLSA : SOTTO_DIAL_TLSA_UNKNOWN, host);
}

/* Half of the time that is left; the other half is for connecting. */
static unsigned tlsa_ms(const struct sotto_dial *d)
{
	return (unsigned)sotto_left_ms(d->end_ms) / 2;
}

static void on_mx(void *arg, const struct sotto_mx_answer *answer)
{
	struct sotto_dial *d = arg;

	d->lookup = NULL;
	d->answer = *answer;
	d->error = answer->status;
	if (d->dane && answer->n > 0) {
		d->tlsa = sotto_tlsa_ask(d->base, d->mx, &d->answer, d->port, tlsa_ms(d), on_tlsa, d);
		if (d->tlsa == NULL)
			finish_early(d, SOTTO_DIAL_TLSA_UNKNOWN, NULL);
		return;
	}
	step(d, false);
}

static void set_from(struct sotto_dial *d, const struct sockaddr *from)
{
	if (from != NULL && from->sa_family == AF_INET) {
		memcpy(&d->from[0], from, sizeof(struct sockaddr_in));
		set_port(&d->from[0], 0);
	} else if (from != NULL && from->sa_family == AF_INET6) {
		memcpy(&d->from[1], from, sizeof(struct sockaddr_in6));
		set_port(&d->from[1], 0);
	}
}

static struct sotto_dial *new_dial(struct event_base *base, unsigned timeout_ms,
				   sotto_dial_done *done, void *arg)
{
	struct sotto_dial *d = calloc(1, sizeof *d);
	struct timeval tv = ms(timeout_ms);

	if (d == NULL)
		return NULL;
	for (size_t i = 0; i < SOTTO_MX_ADDRESSES; i++)
		d->attempts[i].fd = -1;
	d->base = base;
	d->done = done;
	d->arg = arg;
	d->end_ms = sotto_now_ms() + timeout_ms;
	d->over = evtimer_new(base, on_over, d);
	d->next = evtimer_new(base, on_next, d);
	if (d->over != NULL && d->next != NULL && evtimer_add(d->over, &tv) == 0)
		return d;
	sotto_dial_cancel(d);
	return NULL;
}

struct sotto_dial *sotto_dial_address(struct event_base *base, const struct sockaddr *to,
				      socklen_t to_len, const struct sockaddr *from,
				      unsigned timeout_ms, sotto_dial_done *done, void *arg)
{
	struct sotto_dial *d = new_dial(base, timeout_ms, done, arg);

	if (d == NULL)
		return NULL;
	set_from(d, from);
	d->answer.n = 1;
	d->answer.at[0].len =
		to_len < sizeof d->answer.at[0].to ? to_len : sizeof d->answer.at[0].to;
	memcpy(&d->answer.at[0].to, to, d->answer.at[0].len);
	step(d, false);
	return d;
}

struct sotto_dial *sotto_dial_mx(struct event_base *base, struct sotto_mx *mx, const char *domain,
				 const struct sotto_dial_options *options, sotto_dial_done *done,
				 void *arg)
{
	struct sotto_dial *d = new_dial(base, options->timeout_ms, done, arg);

	if (d == NULL)
		return NULL;
	set_from(d, options->from4);
	set_from(d, options->from6);
	d->port = options->port != 0 ? options->port : SMTP_PORT;
	d->dane = options->dane;
	d->unwanted = options->unwanted;
	d->mx = mx;
	d->lookup = sotto_mx_lookup(mx, domain, options->timeout_ms / 3 * 2, on_mx, d);
	if (d->lookup == NULL) {
		sotto_dial_cancel(d);
		return NULL;
	}
	return d;
}

struct sotto_dial *sotto_dial_domain(struct event_base *base, const char *domain,
				     const struct sockaddr *from4, const struct sockaddr *from6,
				     unsigned timeout_ms, sotto_dial_done *done, void *arg)
{
	struct sotto_dial_options options = {
		.from4 = from4, .from6 = from6, .timeout_ms = timeout_ms};
	struct sotto_mx *mx = sotto_mx_open(base, NULL);
	struct sotto_dial *d;

	if (mx == NULL)
		return NULL;
	d = sotto_dial_mx(base, mx, domain, &options, done, arg);
	if (d == NULL)
		sotto_mx_close(mx);
	else
		d->own_mx = mx;
	return d;
}

const char *sotto_dial_error(int error)
{
	switch (error) {
	case SOTTO_DIAL_TEMPORARY:
		return "the name servers do not answer, or not now";
	case SOTTO_DIAL_NO_DOMAIN:
		return "no such domain";
	case SOTTO_DIAL_NULL_MX:
		return "the domain takes no mail (null MX)";
	case SOTTO_DIAL_SELF:
		return "the domain's mail server is this host";
	case SOTTO_DIAL_NO_ADDRESS:
		return "none of the domain's mail servers has an address";
	case SOTTO_DIAL_BAD_NAME:
		return "not a domain";
	case SOTTO_DIAL_TLSA:
		return "it has TLSA records (DANE)";
	case SOTTO_DIAL_TLSA_UNKNOWN:
		return "whether it has TLSA records (DANE) cannot be found out now";
	case SOTTO_DIAL_NOT_OFFERED:
		return "it did not offer XSOTTO when it was asked last, less than an hour ago";
	default:
		return strerror(error);
	}
}
