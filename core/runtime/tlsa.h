/* SPDX-License-Identifier: ISC */
/*
 * Whether mail servers have TLSA records (RFC 7672: DANE), on a libevent loop: then our mail server
 * checks their certificates itself, if it is told to, and must not be led past that. No record is
 * looked at or believed: any of them counts.
 */
#ifndef SOTTO_RUNTIME_TLSA_H
#define SOTTO_RUNTIME_TLSA_H

#include <stdint.h>

#include "core/runtime/mx.h"

struct event_base;
struct sotto_tlsa;

enum sotto_tlsa_answer {
	SOTTO_TLSA_NONE,	/* every name was asked about, and has none */
	SOTTO_TLSA_SOME,
	SOTTO_TLSA_UNKNOWN	/* SERVFAIL, nonsense or no answer in time for a name, and none of another */
};

/*
 * Exactly once unless cancelled, out of the loop. host: which name the answer is about, valid during
 * the call; NULL where it is NONE.
 */
typedef void sotto_tlsa_done(void *arg, enum sotto_tlsa_answer answer, const char *host);

/*
 * Asks for _port._tcp.HOST of each host in `hosts` (address literals have none), and of the name
 * that it is an alias of (RFC 7672, 2.2.2: the records are looked for there first). Must be
 * cancelled before the mx is closed. NULL: no memory.
 */
struct sotto_tlsa *sotto_tlsa_ask(struct event_base *base, struct sotto_mx *mx,
				  const struct sotto_mx_answer *hosts, uint16_t port,
				  unsigned timeout_ms, sotto_tlsa_done *done, void *arg);
void sotto_tlsa_cancel(struct sotto_tlsa *tlsa);	/* NULL is nothing */

#endif
