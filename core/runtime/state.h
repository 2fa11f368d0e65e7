/* SPDX-License-Identifier: ISC */
/*
 * What is remembered of peers (PROTOCOL.md 7 and 8; ARCHITECTURE.md, "What is remembered"): plain files in the state directory,
 * one a peer, with a format number, written aside and renamed, no fsync. Whatever is unreadable is absent; no call waits
 * for another process; nothing here ever fails loudly: without state, sealing goes on.
 *
 * libc only: the Exim plugin reads it too. Times are seconds since 1970. A time further in the future than its maximum
 * allows is over (the clock was set back).
 *
 *     DIR/peers/192.0.2.1          one we connect to, by address (IPv6 as inet_ntop writes it; a v4-mapped one is IPv4)
 *     DIR/peers/in-192.0.2.1       one that connected to us; in-2001:db8:0:1:: for an IPv6 /64; only once it was sealed
 *     DIR/names/mx.example.org     the same keys by the MX's name, or by recipient domain
 *
 * DIR is there or nothing is remembered; its two folders are made. Names are stored in lower case only: a-z, 0-9, '-', '_', '.',
 * no dot first, 253 octets at most. The files are text with a check over the whole of it (state-text.h): what was damaged,
 * cut off or edited by hand is absent.
 *
 * Two processes that load, change and save the same file at once: the later one counts. What that may lose is one failure or
 * one key, which the next session brings again; to prevent it would mean to wait.
 */
#ifndef SOTTO_RUNTIME_STATE_H
#define SOTTO_RUNTIME_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_STATE_KEYS 8	/* identity keys of a peer; a ninth takes the place of the one seen longest ago */
#define SOTTO_STATE_FILES 20000	/* of a folder; over that, the oldest tenth goes (looked at with one new file in 256) */

#define SOTTO_PEER_NO_S 3600	/* what a peer did not offer is believed for so long, as far as that saves asking it for another domain */

#define SOTTO_STATE_COUNT_MAX 1000000	/* of any count in a file */

struct sotto_key_seen {
	uint8_t key[32];
	int64_t seen;
};

struct sotto_peer_state {
	int64_t seen;		/* last session of any kind; 0: nothing is known of this peer */
	int64_t offer_seen;	/* when the last EHLO reply of the peer was read; 0: never */
	bool offered;		/* what that said */
	int64_t sealed;		/* last orderly sealed session; 0: never */
	unsigned failures;	/* in a row, counted at least a minute apart */
	int64_t failed;		/* when the last of them was counted */
	bool silence_only;	/* every one of them was silence */
	unsigned avoidances;	/* in a row: doubles the time. Those for silence alone count as one */
	int64_t avoid_until;	/* 0: it is not avoided */
	int64_t told;		/* when a fallback was last told to the log; 0: never */
	unsigned withheld;	/* fallbacks since then that were not told */
	unsigned n_keys;
	struct sotto_key_seen keys[SOTTO_STATE_KEYS];
};

enum sotto_state_event {
	SOTTO_EVENT_OFFERED,		/* the peer's EHLO reply has XSOTTO */
	SOTTO_EVENT_NOT_OFFERED,
	SOTTO_EVENT_SEALED,		/* a sealed session ended in an orderly way: clears failures and avoidance */
	SOTTO_EVENT_FAILED,		/* an exchange failed, or a sealed session was lost */
	SOTTO_EVENT_SILENT		/* an exchange failed by silence alone */
};

/*
 * What an event makes of a state; no file is touched. PROTOCOL.md 8, and what it leaves open:
 *
 * A failure less than a minute after the last one that was counted does not count. From the third on, each that counts avoids
 * the peer: 10, 20, 40 minutes and so on, up to 6 hours, or 1 hour where it has ever sealed. So the first failure after an
 * avoidance has ended avoids again, for twice the time: nothing has worked in between. A failure while the peer is avoided (a
 * session that had begun before) changes nothing. As long as every failure was silence, each avoidance is 10 minutes and
 * the time does not double. An offer clears nothing; only a sealed session does, and it clears everything.
 *
 * The clock: a last failure in the future does not keep the next from counting, and an avoidance that would last longer than
 * it was made for is over.
 */
void sotto_peer_state_apply(struct sotto_peer_state *s, enum sotto_state_event event, int64_t now);

/*
 * A fallback at this time: true where it is to be told to the log (PROTOCOL.md 8: with a limit per peer, one a minute), and how many
 * were withheld before it.
 */
bool sotto_peer_state_tell(struct sotto_peer_state *s, int64_t now, unsigned *withheld);

/* Remembers a key; true where it was known. What is known of the peer was last seen now. */
bool sotto_peer_state_see_key(struct sotto_peer_state *s, const uint8_t key[32], int64_t now);

/* Whether its last EHLO reply is known, is not older than SOTTO_PEER_NO_S, and had no XSOTTO in it; and it has never sealed. */
bool sotto_peer_state_declined(const struct sotto_peer_state *s, int64_t now);

/* Whether XSOTTO is not to be tried now. */
bool sotto_peer_state_avoided(const struct sotto_peer_state *s, int64_t now);

/* Which file: exactly one of addr and name is not NULL. inbound: the peer connected to us. */
struct sotto_state_key {
	const struct sockaddr *addr;
	bool inbound;
	const char *name;
};

/* All zero where nothing (readable) is there. */
void sotto_state_load(const char *dir, const struct sotto_state_key *key, struct sotto_peer_state *out);

/*
 * 0, or -errno: nothing is remembered (the file is what it was). -EINVAL: no such peer or name, or values that could not be
 * read again; -EPERM: inbound, and never sealed.
 */
SOTTO_CHECKED int sotto_state_save(const char *dir, const struct sotto_state_key *key, const struct sotto_peer_state *s);

/* For the plugin, one call: 1: avoided now; 0: not, or not known. One small file is read; no heap; errno is left alone. */
int sotto_state_avoided(const char *dir, const struct sockaddr *addr, int64_t now);

#endif
