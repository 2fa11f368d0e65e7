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
	bool orderly;		/* no loss, no refusal, no reset and no end of patience that cut something off */
	uint64_t sent, received;	/* on net */
	uint64_t duration_ms;
};

struct sotto_relay_config {
	struct sotto_session_config session;
	/* Where a new connection goes, and from where (PROTOCOL.md 8); peer_len 0: there can't be one. */
	struct sockaddr_storage peer, local;
	socklen_t peer_len;
	/*
	 * The callbacks come out of the loop, never from inside sotto_relay_start(), and must not stop this relay. Each may be NULL.
	 * progress: the report has changed; called before the octets that come after are written.
	 * settled: no connection has to be made any more; called once, at the start where there could never be one. Splices are
	 * opened later than that: pipe2(2) is still needed.
	 */
	void (*progress)(void *arg, const struct sotto_report *report);
	void (*settled)(void *arg);
	/*
	 * For whoever has another process go on with it. held: SOTTO_WISH_EXCHANGE of a session with `hold`; then comes one of
	 * exchange, no_exchange and abandon. opaque, but behind QUIT: nothing is looked at any more and nothing is buffered; the relay
	 * stands still until let_go. Both from inside a turn: act when the loop is left.
	 */
	void (*held)(void *arg);
	void (*opaque)(void *arg);
	/* Once, at the end. The descriptors are closed already; the relay and the report are gone when it returns. */
	void (*done)(void *arg, const struct sotto_relay_end *end);
	void *arg;
};

#define SOTTO_RELAY_PREFACE 256

/*
 * Starts a session between `net` and `mta`, any stream sockets, which belong to the relay from here on and are set to non-blocking.
 * Octets that stand in `preface` (may be NULL; at most SOTTO_RELAY_PREFACE) are written to mta first (the PROXY header). NULL: no
 * memory, or an over-long preface; the descriptors are still the caller's. The process ignores SIGPIPE from here on (splice(2)
 * knows no other way to be told of a closed connection without being killed).
 *
 * One callback moves at most what the buffers of a session hold (64 KiB a direction), so that many relays share a loop.
 */
struct sotto_relay *sotto_relay_start(struct event_base *base, int net, int mta, const struct sotto_relay_config *config,
				      const uint8_t *preface, size_t preface_len);

/* Ends a session at once, as a lost one: both connections are reset. done() is called from inside. Not from a relay's own callback. */
void sotto_relay_stop(struct sotto_relay *r);

/*
 * The answer to `held`: it goes on with this identity (32 octets, or NULL), and opaque() is not called any more; or XSOTTO is refused. The
 * relay may be gone when they return.
 */
void sotto_relay_exchange(struct sotto_relay *r, const uint8_t *identity);
void sotto_relay_no_exchange(struct sotto_relay *r);

/* Somebody else has these connections too, and goes on with them: nothing is said to anybody, and done() is not called. */
void sotto_relay_abandon(struct sotto_relay *r);

/*
 * The answer to `opaque`: somebody else passes the rest through, and the relay lets go of its descriptors; nothing is said to anybody. Once
 * that is over, passed() with the octets on net since then; done() is called from inside.
 */
void sotto_relay_let_go(struct sotto_relay *r);
void sotto_relay_passed(struct sotto_relay *r, uint64_t sent, uint64_t received, bool orderly);

#endif
