/* SPDX-License-Identifier: ISC */
/*
 * Connecting to another mail server, on a libevent loop: to one address (PROTOCOL.md 8: the same
 * address again, from the same local address) or to the MX of a domain. No threads, nothing blocks.
 *
 * Several addresses are tried in the order of mx.h. One that does not answer is left to go on while
 * the next is tried, the sooner the more are still to come; the first connection that stands wins,
 * and the others are closed.
 */
#ifndef SOTTO_RUNTIME_DIAL_H
#define SOTTO_RUNTIME_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/runtime/mx.h"

struct event_base;
struct sotto_dial;	/* one attempt under way */

#define SOTTO_DIAL_TEMPORARY SOTTO_MX_TEMPORARY	/* the meanings are those of mx.h */
#define SOTTO_DIAL_NO_DOMAIN SOTTO_MX_NO_DOMAIN
#define SOTTO_DIAL_NULL_MX SOTTO_MX_NULL
#define SOTTO_DIAL_SELF SOTTO_MX_SELF
#define SOTTO_DIAL_NO_ADDRESS SOTTO_MX_NO_ADDRESS
#define SOTTO_DIAL_BAD_NAME SOTTO_MX_BAD_NAME
#define SOTTO_DIAL_TLSA (-107)	/* dane: a host has TLSA records */
#define SOTTO_DIAL_TLSA_UNKNOWN (-108)	/* dane: it could not be found out whether one has */
#define SOTTO_DIAL_NOT_OFFERED (-109)	/* the next one to connect to was `unwanted` */

struct sotto_dial_result {
	int fd;		/* connected, non-blocking, close-on-exec, now the caller's; or -1 */
	/*
	 * 0 with a descriptor; else errno of the last failure (ETIMEDOUT: time is over), or
	 * SOTTO_DIAL_…
	 */
	int error;
	/*
	 * The MX's name, valid during the call; NULL: literal, address, or none was tried. With
	 * SOTTO_DIAL_TLSA… the host that it is about.
	 */
	const char *host;
	struct sockaddr_storage peer;	/* connected to, or, on error, the one whose error it is */
	socklen_t peer_len;	/* 0: none was tried */
};

/*
 * Exactly once unless cancelled, out of the loop, never from inside the starting call. The
 * sotto_dial is gone by then; the callee may start another one, or free whatever it likes.
 */
typedef void sotto_dial_done(void *arg, const struct sotto_dial_result *r);

/*
 * One address, its port included. from: the local address (its port is not used) or NULL. Every
 * failure of the network or of the system comes through done; NULL means no memory.
 */
struct sotto_dial *sotto_dial_address(struct event_base *base, const struct sockaddr *to,
				      socklen_t to_len, const struct sockaddr *from,
				      unsigned timeout_ms, sotto_dial_done *done, void *arg);

struct sotto_dial_options {
	/* local address for a peer of that family, or NULL */
	const struct sockaddr *from4, *from6;
	unsigned timeout_ms;	/* for everything together; DNS may take two thirds */
	uint16_t port;	/* 0: 25 */
	bool dane;	/* TLSA records are asked for first, and any or no answer ends it */
	/*
	 * Called before an address is tried, with the arg of done; may be NULL. True: neither this one nor one behind it is tried;
	 * those that are under way may still win. host: the MX's name, or "".
	 */
	bool (*unwanted)(void *arg, const char *host, const struct sockaddr *to, socklen_t len);
};

/* The MX of a domain, or an address literal. mx must live until done or cancel. NULL: no memory. */
struct sotto_dial *sotto_dial_mx(struct event_base *base, struct sotto_mx *mx, const char *domain,
				 const struct sotto_dial_options *options, sotto_dial_done *done,
				 void *arg);

/*
 * The same for a caller without a sotto_mx of its own: port 25, name servers of /etc/resolv.conf,
 * which is read now (so not in a sandbox). NULL: no memory, or c-ares can't be had.
 */
struct sotto_dial *sotto_dial_domain(struct event_base *base, const char *domain,
				     const struct sockaddr *from4, const struct sockaddr *from6,
				     unsigned timeout_ms, sotto_dial_done *done, void *arg);

/* done is not called any more; NULL is nothing */
void sotto_dial_cancel(struct sotto_dial *dial);

/* For a log line: what an error of a result means. Static, or valid until the next call. */
const char *sotto_dial_error(int error);

#endif
