/* SPDX-License-Identifier: ISC */
/*
 * What is remembered of peers (PROTOCOL.md 7 and 8; ARCHITECTURE.md, "What is remembered"): plain files in the state directory,
 * one a peer, with a format number, written aside and renamed, no fsync. Whatever is unreadable is absent; no call waits
 * for another process; nothing here ever fails loudly: without state, sealing goes on.
 *
 * libc only: the Exim plugin reads it too. Times are seconds since 1970. A time further in the future than its maximum
 * allows is over (the clock was set back).
 *
 *     DIR/peers/192.0.2.1          one we connect to, by address (IPv6 as inet_ntop writes it)
 *     DIR/peers/in-192.0.2.1       one that connected to us; in-2001:db8:0:1:: for an IPv6 /64; only once it was sealed
 *     DIR/names/mx.example.org     the same keys by the MX's name, or by recipient domain
 */
#ifndef SOTTO_RUNTIME_STATE_H
#define SOTTO_RUNTIME_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_STATE_KEYS 8	/* identity keys of a peer; a ninth takes the place of the one seen longest ago */
#define SOTTO_STATE_FILES 20000	/* of a folder; over that, the oldest tenth goes */

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
	unsigned avoidances;	/* how often in a row it was avoided: doubles the time */
	int64_t avoid_until;	/* 0: it is not avoided */
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

/* What an event makes of a state; no file is touched. PROTOCOL.md 8: avoidance, its doubling and its limits. */
void sotto_peer_state_apply(struct sotto_peer_state *s, enum sotto_state_event event, int64_t now);

/* Remembers a key; true where it was known. */
bool sotto_peer_state_see_key(struct sotto_peer_state *s, const uint8_t key[32], int64_t now);

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

/* 0, or -errno: nothing is remembered (the file is what it was). */
SOTTO_CHECKED int sotto_state_save(const char *dir, const struct sotto_state_key *key, const struct sotto_peer_state *s);

/* For the plugin, one call: 1: avoided now; 0: not, or not known. */
int sotto_state_avoided(const char *dir, const struct sockaddr *addr, int64_t now);

#endif
