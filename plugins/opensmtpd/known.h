/* SPDX-License-Identifier: ISC */
/*
 * What sotto-worker knows of recipient domains: whether they offer XSOTTO (state-domain.h), their hop address (hop.h), and the route that
 * follows for table-sotto (route.h). All of it is in files; nothing is kept in memory.
 */
#ifndef SOTTO_OPENSMTPD_KNOWN_H
#define SOTTO_OPENSMTPD_KNOWN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/runtime/state-domain.h"

struct sotto_worker;

/* What to believe now. */
enum sotto_domain_offer sotto_known(const struct sotto_worker *w, const char *domain);

/* Where the domain's mail goes, as somebody has just found out. Only written where it is another one. */
void sotto_known_route(const struct sotto_worker *w, const char *domain, const char *host, const struct sockaddr_storage *address);

/* Nothing is known of it yet, but it is to have an address of the hop; in memory, where the state cannot be written. */
void sotto_known_claim(const struct sotto_worker *w, const char *domain);

/* Which domain an address of the hop means, also by what is in memory alone. */
SOTTO_CHECKED bool sotto_known_hop(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len);

/* What was learnt: noted of the domain, and in its route. */
void sotto_known_learn(const struct sotto_worker *w, const char *domain, enum sotto_domain_offer what);

#endif
