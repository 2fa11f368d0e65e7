/* SPDX-License-Identifier: ISC */
/*
 * The hosts of one MX lookup, always in the order in which they are to be tried, and their
 * addresses. Of fixed size: what does not fit drops out at the far end, so that thousands of
 * records cost no more than ten.
 */
#ifndef SOTTO_RUNTIME_MX_HOSTS_H
#define SOTTO_RUNTIME_MX_HOSTS_H

#include <netinet/in.h>

#include "core/runtime/mx.h"

#define SOTTO_MX_HOSTS 10
/* addresses of a family of a host; more than are used: one may be ours */
#define SOTTO_MX_HOST_KEPT 8

union sotto_mx_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

struct sotto_mx_place {
	uint32_t rank;	/* random */
	union sotto_mx_sockaddr to;
};

struct sotto_mx_host {
	uint64_t rank;	/* preference, then random */
	char name[SOTTO_DNS_NAME];
	char alias_of[2][SOTTO_DNS_NAME];	/* IPv4, IPv6: as of the last address; "": of nobody */
	unsigned waiting;	/* replies still to come */
	bool failed;	/* a reply was SOTTO_RESOLVER_TEMPORARY */
	size_t n[2];	/* IPv4, IPv6 */
	struct sotto_mx_place at[2][SOTTO_MX_HOST_KEPT];	/* by rank */
};

struct sotto_mx_hosts {
	size_t n;
	struct sotto_mx_host at[SOTTO_MX_HOSTS];	/* by rank */
};

/* Only before any host has addresses. */
void sotto_mx_hosts_add(struct sotto_mx_hosts *hosts, const char *name, unsigned preference);

/* r is an A or AAAA record. What no mail can be sent to (multicast, link-local) is left out. */
void sotto_mx_host_add(struct sotto_mx_host *host, const struct sotto_dns_record *r);

/*
 * RFC 5321, 5.1: who is tried, in order; the status; without our own addresses and what is no
 * better than they.
 */
void sotto_mx_hosts_answer(const struct sotto_mx_hosts *hosts, bool (*own)(const struct sockaddr *),
			   struct sotto_mx_answer *answer);

#endif
