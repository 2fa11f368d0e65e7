/* SPDX-License-Identifier: ISC */
/*
 * The hop of sotto-policyd: takes the connections that Postfix makes to 127.64.0.0/10, and gives each to a sotto-session of its own, or
 * says 421, whereupon Postfix goes to the domain natively, in the same attempt. Nobody but Postfix (and root) is served: who connects is
 * asked of the kernel.
 *
 * As long as it is not known what a domain offers, one session finds out; further connections for it are held meanwhile. So a peer
 * without XSOTTO sees one connection more, and not as many as Postfix makes at once.
 */
#ifndef SOTTO_POSTFIX_HOP_SERVICE_H
#define SOTTO_POSTFIX_HOP_SERVICE_H

#include "plugins/postfix-policy/policyd.h"

#define SOTTO_HELD_MAX 100	/* connections */
#define SOTTO_HELD_MS 4000	/* as long as a session may take to connect */
#define SOTTO_CHECK_MS 500	/* for Postfix's tables to be asked */

struct sotto_hop_service;

/* fd: sotto_hop_listen's, which is the service's from here on. NULL with errno. */
struct sotto_hop_service *sotto_hop_service_open(struct sotto_policyd *p, int fd);
void sotto_hop_service_close(struct sotto_hop_service *h);	/* NULL is nothing. Those that are held hear 421; sessions go on */

/* Hears what its sessions for this domain have said by now. */
void sotto_hop_service_hear(struct sotto_hop_service *h, const struct sotto_domain *d);

/* What is known of the domain has changed: those that are held for it go on. */
void sotto_hop_service_learnt(struct sotto_hop_service *h, struct sotto_domain *d);

#endif
