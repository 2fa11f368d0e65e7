/* SPDX-License-Identifier: ISC */
/*
 * What is said and remembered of a recipient domain where sotto-session connects to its mail server by itself (--to): the words for
 * our mail server, and what is learnt of the domain (state-domain.h). Connecting itself is dial.h's.
 */
#ifndef SOTTO_RUNTIME_REACH_H
#define SOTTO_RUNTIME_REACH_H

#include <stddef.h>

#include "core/protocol/session.h"
#include "core/runtime/dial.h"
#include "core/runtime/state-domain.h"

#define SOTTO_REACH_LINE 512	/* RFC 5321, 4.5.3.1.5, and a NUL */

/* "mx.example.org[192.0.2.1]"; without what is not known. */
void sotto_reach_name(char out[SOTTO_PEER_NAME], const char *host, const struct sockaddr_storage *peer, socklen_t peer_len);

/* The greeting that our mail server gets where there is no connection: 421, who could not be had, and why; CRLF included. */
void sotto_reach_line(char out[SOTTO_REACH_LINE], const char *domain, const struct sotto_dial_result *r);

/*
 * What a session teaches of its domain as far as it has come; over: it will not come further. An offer is a yes as soon as it is
 * read, and stays one where the exchange fails (PROTOCOL.md 8 has its own patience with that peer); a refusal of what was offered,
 * and a peer that never got as far as an EHLO reply, is a no.
 */
enum sotto_domain_offer sotto_reach_learnt(const struct sotto_report *report, bool over);

#endif
