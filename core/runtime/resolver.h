/* SPDX-License-Identifier: ISC */
/*
 * Questions to the host's name servers, by c-ares (1.18 and later) on a libevent loop. DNS only:
 * /etc/hosts is not read, as Postfix's default has it (smtp_host_lookup = dns) and because reading
 * it would block.
 *
 * The one thing that touches files is sotto_resolver_open: call it before a chroot or a sandbox.
 * The name servers are those of that moment; a daemon opens another one when it is told to reload.
 */
#ifndef SOTTO_RUNTIME_RESOLVER_H
#define SOTTO_RUNTIME_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sotto_resolver;

#define SOTTO_RESOLVER_NONE (-1)	/* the name exists, without such a record */
#define SOTTO_RESOLVER_NO_NAME (-2)	/* NXDOMAIN */
#define SOTTO_RESOLVER_TEMPORARY (-3)	/* no answer, SERVFAIL, refused, nonsense, no memory */

/*
 * Exactly once for each question, perhaps before sotto_resolver_ask returns, at the latest out of
 * sotto_resolver_close. status 0: reply is the whole DNS message, the library's, valid during the
 * call; otherwise NULL.
 */
typedef void sotto_resolver_done(void *arg, int status, const uint8_t *reply, size_t len);

/*
 * servers: "192.0.2.53,[2001:db8::53]:5353", or NULL for those of /etc/resolv.conf. NULL when it
 * can't be had.
 */
struct sotto_resolver *sotto_resolver_open(struct event_base *base, const char *servers);

/*
 * Every open question is answered SOTTO_RESOLVER_TEMPORARY first. Not from inside an answer. NULL
 * is nothing.
 */
void sotto_resolver_close(struct sotto_resolver *r);

/*
 * Asks for the records of a type (SOTTO_DNS_…). c-ares ends a question by itself after three tries
 * with each server (1, 2 and 4 s); the caller keeps its own time.
 */
void sotto_resolver_ask(struct sotto_resolver *r, const char *name, uint16_t type,
			sotto_resolver_done *done, void *arg);

#endif
