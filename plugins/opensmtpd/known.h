/* SPDX-License-Identifier: ISC */
/*
 * What sotto-worker knows of recipient domains: whether they offer XSOTTO (state-domain.h), their hop address (hop.h), and the route that
 * follows for table-sotto (route.h). All of it is in files; only required domains that no file could be written of are kept in memory.
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

/*
 * Which domain an address of the hop means. Where the disk does not say it: the required one that has this address, by what is in memory, or
 * stands in the file require as it is (".example.org" and "*" name none); false where there are two of them.
 */
SOTTO_CHECKED bool sotto_known_hop(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len);

/*
 * The address for the domain, as state-name.h makes it, and the claim on the disk (hop.h, sotto_hop_claim): one that cannot be written is kept in
 * memory, where the domain is required. 0 or -errno.
 */
SOTTO_CHECKED int sotto_known_own(const struct sotto_worker *w, const char *domain, struct in_addr *hop);

/* ---- the lists ---- */

#define SOTTO_LIST_PATH 4200

/* Where require or exclude is. */
void sotto_known_list(char path[SOTTO_LIST_PATH], const struct sotto_worker *w, const char *file);

/* Whether the domain stands there by its own name. */
SOTTO_CHECKED bool sotto_known_listed(const struct sotto_worker *w, const char *file, const char *domain);

/*
 * Whether somebody is required, be it by a name or address that only a mail server has: then routes are kept of domains that offer nothing as
 * well, and table-sotto finds in them whose mail must not go out natively.
 */
SOTTO_CHECKED bool sotto_known_requires(const struct sotto_worker *w);

/* ---- routes ---- */

SOTTO_CHECKED bool sotto_known_route_there(const struct sotto_worker *w, const char *domain);

/* What was learnt: noted of the domain, and in its route. */
void sotto_known_learn(const struct sotto_worker *w, const char *domain, enum sotto_domain_offer what);

#endif
