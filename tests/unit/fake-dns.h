/* SPDX-License-Identifier: ISC */
/*
 * A name server for tests, on loopback and the test's own loop: UDP, and TCP for what is longer
 * than 1,232 octets. It answers from a table, or with whatever octets the test makes up.
 */
#ifndef SOTTO_TESTS_FAKE_DNS_H
#define SOTTO_TESTS_FAKE_DNS_H

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FAKE_UDP 1232
#ifndef FAKE_DNS_PORT
#define FAKE_DNS_PORT 0	/* any that is free */
#endif

struct fake_msg {
	size_t n, question;	/* its length, and where its question ends */
	size_t owner;	/* where the name stands that records are of; 0: in the question */
	uint8_t at[65535];
};

enum fake_what {
	FAKE_A = 1, FAKE_CNAME = 5, FAKE_MX = 15, FAKE_AAAA = 28,	/* a record */
	FAKE_EMPTY = 0x10000,	/* the name exists */
	FAKE_RCODE,	/* pref is the rcode, for every type */
	FAKE_SILENT,	/* no reply, for every type */
	FAKE_RAW,	/* make() writes the reply; it holds the header and the question already */
};

struct fake_rr {
	const char *name;
	enum fake_what what;
	unsigned pref;
	const char *data;	/* address or name */
	void (*make)(struct fake_msg *m, unsigned type);
};

struct fake_dns {
	const struct fake_rr *zone;	/* ends with a NULL name */
	int fd;
	struct event *event;
	struct evconnlistener *listener;
	char servers[32];	/* for sotto_mx_config */
	unsigned questions;
};

static inline void fake_put(struct fake_msg *m, const void *data, size_t n)
{
	if (n > sizeof m->at - m->n)
		abort();
	memcpy(m->at + m->n, data, n);
	m->n += n;
}

static inline void fake_u16(struct fake_msg *m, unsigned v)
{
	fake_put(m, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

/* Written as it stands, over-long labels and all; "" is the root. */
static inline void fake_name(struct fake_msg *m, const char *name)
{
	while (*name != 0) {
		size_t n = strcspn(name, ".");

		fake_put(m, &(uint8_t){ (uint8_t)n }, 1);
		fake_put(m, name, n);
		name += n + (name[n] == '.');
	}
	fake_put(m, "", 1);
}

/* A record of the name in question, or that it is an alias of, without its data; the answer count goes up by one. */
static inline void fake_head(struct fake_msg *m, unsigned type, size_t len)
{
	unsigned count = ((unsigned)m->at[6] << 8 | m->at[7]) + 1;

	m->at[6] = (uint8_t)(count >> 8);
	m->at[7] = (uint8_t)count;
	fake_u16(m, 0xc000 | (unsigned)(m->owner != 0 ? m->owner : 12));
	fake_u16(m, type);
	fake_u16(m, 1);
	fake_u16(m, 0);
	fake_u16(m, 60);
	fake_u16(m, (unsigned)len);
}

static inline void fake_mx(struct fake_msg *m, unsigned pref, const char *host)
{
	struct fake_msg *name = calloc(1, sizeof *name);

	fake_name(name, host);
	fake_head(m, FAKE_MX, 2 + name->n);
	fake_u16(m, pref);
	fake_put(m, name->at, name->n);
	free(name);
}

static inline void fake_address(struct fake_msg *m, unsigned type, const char *text)
{
	uint8_t octets[16];
	size_t len = type == FAKE_A ? 4 : 16;

	if (inet_pton(type == FAKE_A ? AF_INET : AF_INET6, text, octets) != 1)
		abort();
	fake_head(m, type, len);
	fake_put(m, octets, len);
}

static inline void fake_record(struct fake_msg *m, const struct fake_rr *rr)
{
	struct fake_msg *name;

	if (rr->what == FAKE_MX) {
		fake_mx(m, rr->pref, rr->data);
	} else if (rr->what == FAKE_CNAME) {
		name = calloc(1, sizeof *name);
		fake_name(name, rr->data);
		fake_head(m, FAKE_CNAME, name->n);
		m->owner = m->n;
		fake_put(m, name->at, name->n);
		free(name);
	} else {
		fake_address(m, rr->what, rr->data);
	}
}

/*
 * All that the zone has for a name and a type. A CNAME's record comes with those of its target.
 * Returns 0: silence.
 */
static inline int fake_lookup(struct fake_dns *dns, const char *name, unsigned type,
			      struct fake_msg *m)
{
	unsigned rcode = 3;

	for (const struct fake_rr *rr = dns->zone; rr->name != NULL; rr++) {
		if (strcasecmp(rr->name, name) != 0)
			continue;
		rcode = 0;
		if (rr->what == FAKE_SILENT)
			return 0;
		if (rr->what == FAKE_RCODE) {
			m->at[3] = (uint8_t)(m->at[3] | rr->pref);
			return 1;
		}
		if (rr->what == FAKE_RAW)
			rr->make(m, type);
		else if (rr->what == FAKE_CNAME)
			fake_record(m, rr);
		if (rr->what == FAKE_RAW)
			return m->n > 0;
		if (rr->what == FAKE_CNAME)
			return fake_lookup(dns, rr->data, type, m);
		if (rr->what == type)
			fake_record(m, rr);
	}
	m->at[3] = (uint8_t)(m->at[3] | rcode);
	return 1;
}

static inline int fake_answer(struct fake_dns *dns, const uint8_t *q, size_t len,
			      struct fake_msg *m)
{
	char name[1024] = "";
	size_t at = 12, n = 0;

	m->n = m->owner = 0;
	while (at < len && q[at] != 0 && n + q[at] + 2 < sizeof name && at + q[at] < len) {
		memcpy(name + n, q + at + 1, q[at]);
		n += q[at];
		name[n++] = '.';
		at += 1u + q[at];
	}
	if (at + 5 > len)
		return 0;
	name[n > 0 ? n - 1 : 0] = 0;
	dns->questions++;
	fake_put(m, q, 2);
	fake_put(m, "\x81\x80\0\1\0\0\0\0\0\0", 10);
	fake_put(m, q + 12, at + 5 - 12);
	m->question = m->n;
	return fake_lookup(dns, name, (unsigned)q[at + 1] << 8 | q[at + 2], m);
}

static inline void fake_on_udp(evutil_socket_t fd, short what, void *arg)
{
	struct fake_msg *m = malloc(sizeof *m);
	struct sockaddr_storage from;
	socklen_t from_len = sizeof from;
	uint8_t q[2048];
	ssize_t n = recvfrom(fd, q, sizeof q, 0, (struct sockaddr *)&from, &from_len);

	(void)what;
	if (n > 0 && fake_answer(arg, q, (size_t)n, m) == 1) {
		if (m->n > FAKE_UDP) {	/* truncated: only the header and the question */
			m->at[2] |= 2;
			memset(m->at + 6, 0, 6);
			m->n = m->question;
		}
		(void)sendto(fd, m->at, m->n, 0, (struct sockaddr *)&from, from_len);
	} else if (n > 0 && m->n == 0) {	/* FAKE_RAW: an empty datagram */
		(void)sendto(fd, "", 0, 0, (struct sockaddr *)&from, from_len);
	}
	free(m);
}

static inline void fake_on_tcp(struct bufferevent *b, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(b);
	uint8_t len[2], q[2048];
	struct fake_msg *m;

	while (evbuffer_copyout(in, len, 2) == 2) {
		size_t n = (size_t)len[0] << 8 | len[1];

		if (n > sizeof q || evbuffer_get_length(in) < n + 2)
			return;
		evbuffer_drain(in, 2);
		evbuffer_remove(in, q, n);
		m = malloc(sizeof *m);
		if (fake_answer(arg, q, n, m) == 1) {
			bufferevent_write(b, (uint8_t[]){ (uint8_t)(m->n >> 8), (uint8_t)m->n }, 2);
			bufferevent_write(b, m->at, m->n);
		}
		free(m);
	}
}

static inline void fake_on_gone(struct bufferevent *b, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(b);
}

static inline void fake_on_accept(struct evconnlistener *l, evutil_socket_t fd,
				  struct sockaddr *from, int len, void *arg)
{
	struct bufferevent *b =
		bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);

	(void)from;
	(void)len;
	bufferevent_setcb(b, fake_on_tcp, NULL, fake_on_gone, arg);
	bufferevent_enable(b, EV_READ | EV_WRITE);
}

static inline void fake_dns_start(struct fake_dns *dns, struct event_base *base,
				  const struct fake_rr *zone)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	*dns = (struct fake_dns){ .zone = zone };
	for (int tries = 0; dns->listener == NULL && tries < 50; tries++) {
		at.sin_port = htons(FAKE_DNS_PORT);
		dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (bind(dns->fd, (struct sockaddr *)&at, sizeof at) != 0 ||
		    getsockname(dns->fd, (struct sockaddr *)&at, &len) != 0)
			abort();
		dns->listener = evconnlistener_new_bind(
			base, fake_on_accept, dns, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
			16, (struct sockaddr *)&at, sizeof at);
		if (dns->listener == NULL)
			close(dns->fd);
	}
	if (dns->listener == NULL)
		abort();
	dns->event = event_new(base, dns->fd, EV_READ | EV_PERSIST, fake_on_udp, dns);
	event_add(dns->event, NULL);
	(void)snprintf(dns->servers, sizeof dns->servers, "127.0.0.1:%u",
		       (unsigned)ntohs(at.sin_port));
}

static inline void fake_dns_stop(struct fake_dns *dns)
{
	event_free(dns->event);
	evconnlistener_free(dns->listener);
	close(dns->fd);
}

#endif
