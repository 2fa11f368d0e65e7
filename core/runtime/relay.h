/* SPDX-License-Identifier: ISC */
/*
 * Sessions on a libevent loop: one in sotto-session, many in a daemon. A relay owns two descriptors, drives one session of the
 * protocol (core/protocol/session.h) between them, and hands over to splice(2) once nothing is to be looked at any more.
 */
#ifndef SOTTO_RUNTIME_RELAY_H
#define SOTTO_RUNTIME_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/protocol/session.h"

struct event_base;
struct sotto_relay;

/* How a session went, once it is over. Octets as they crossed the descriptors. */
struct sotto_relay_end {
	const struct sotto_report *report;
	bool orderly;		/* no loss, no failure that ended it, nothing cut off */
	uint64_t sent, received;	/* on net */
	uint64_t duration_ms;
};

struct sotto_relay_config {
	struct sotto_session_config session;
	/* Where a new connection goes, and from where (PROTOCOL.md 8); peer_len 0: there can't be one. */
	struct sockaddr_storage peer, local;
	socklen_t peer_len;
	/* Called when the report has changed, before the octets that come after are written. May be NULL. */
	void (*progress)(void *arg, const struct sotto_report *report);
	/* Called when no connection has to be made any more. May be NULL. */
	void (*settled)(void *arg);
	/* Called once at the end, out of the loop; the relay and its descriptors are gone when it returns. */
	void (*done)(void *arg, const struct sotto_relay_end *end);
	void *arg;
};

/*
 * Starts a session between `net` and `mta`, any stream sockets, which belong to the relay from here on. Octets that stand in `preface`
 * (may be NULL) are written to mta first (the PROXY header). NULL: no memory; the descriptors are still the caller's.
 */
struct sotto_relay *sotto_relay_start(struct event_base *base, int net, int mta, const struct sotto_relay_config *config,
				      const uint8_t *preface, size_t preface_len);

/* Ends a session at once, as a lost one. done() is called from inside. */
void sotto_relay_stop(struct sotto_relay *r);

#endif
