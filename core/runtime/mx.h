/* SPDX-License-Identifier: ISC */
/*
 * To which addresses, and in which order, mail for a domain goes (RFC 5321, 5.1): MX by preference,
 * equal ones in random order; without MX the domain itself; null MX (RFC 7505); address literals;
 * both address families. Where an MX is this host, it and everything that is not better goes.
 *
 * DNS only, by c-ares on a libevent loop. Nothing blocks after sotto_mx_open, which reads
 * /etc/resolv.conf: call it before a chroot or sandbox. Afterwards it needs socket, connect,
 * getsockname, setsockopt, fcntl, send, recv, close. A lookup takes at most about 30 KiB, whatever
 * the replies hold.
 */
#ifndef SOTTO_RUNTIME_MX_H
#define SOTTO_RUNTIME_MX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/runtime/dns.h"

struct event_base;
struct sotto_mx;
struct sotto_mx_lookup;
struct sotto_resolver;

#define SOTTO_MX_ADDRESSES 10	/* of all hosts together */
#define SOTTO_MX_HOST_ADDRESSES 4	/* of one host */

/* DNS does not answer now, or not so that it can be believed */
#define SOTTO_MX_TEMPORARY (-101)
#define SOTTO_MX_NO_DOMAIN (-102)	/* NXDOMAIN */
#define SOTTO_MX_NULL (-103)		/* RFC 7505: the domain takes no mail */
#define SOTTO_MX_SELF (-104)		/* the best MX is this host */
/* the domain exists, but no host that it names has a usable address */
#define SOTTO_MX_NO_ADDRESS (-105)
/* neither a domain nor an address literal (or one beyond ASCII) */
#define SOTTO_MX_BAD_NAME (-106)

struct sotto_mx_config {
	const char *servers;	/* "127.0.0.1:5353,[::1]:53"; NULL: /etc/resolv.conf */
	/* is this address our host's? NULL: sotto_own_address */
	bool (*own)(const struct sockaddr *);
	int family;	/* AF_INET, AF_INET6: only such addresses are asked for; 0: both */
};

struct sotto_mx_address {
	/* the MX, in lower case, or the domain itself; "" for a literal */
	char host[SOTTO_DNS_NAME];
	/* the name that the address belongs to, where `host` is an alias (CNAME) of it; or "" */
	char alias_of[SOTTO_DNS_NAME];
	unsigned preference;
	socklen_t len;
	struct sockaddr_storage to;	/* port 0; never a v4-mapped one */
};

struct sotto_mx_answer {
	int status;	/* 0: n is at least 1; or SOTTO_MX_…: n is 0 */
	size_t n;
	struct sotto_mx_address at[SOTTO_MX_ADDRESSES];	/* in the order in which to try them */
};

/*
 * Exactly once unless cancelled, out of the loop, never from inside another call of this module.
 * The lookup is gone.
 */
typedef void sotto_mx_done(void *arg, const struct sotto_mx_answer *answer);

/*
 * config may be NULL; what it points to is needed during the call only. NULL: c-ares can't be had.
 */
struct sotto_mx *sotto_mx_open(struct event_base *base, const struct sotto_mx_config *config);

/* For further questions to the same name servers (tlsa.h). It stays the mx's. */
struct sotto_resolver *sotto_mx_resolver(struct sotto_mx *mx);

/* Cancels all lookups under way. NULL is nothing. */
void sotto_mx_close(struct sotto_mx *mx);

/*
 * When timeout_ms is over, what is known by then is the answer: the addresses found so far, or
 * SOTTO_MX_TEMPORARY. NULL: no memory.
 */
struct sotto_mx_lookup *sotto_mx_lookup(struct sotto_mx *mx, const char *domain,
					unsigned timeout_ms, sotto_mx_done *done, void *arg);
void sotto_mx_cancel(struct sotto_mx_lookup *lookup);	/* NULL is nothing */

#endif
