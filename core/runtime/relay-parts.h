/* SPDX-License-Identifier: ISC */
/*
 * What relay.c, relay-side.c, relay-through.c and relay-end.c share, and nobody else includes but their tests: the struct, one
 * side of it, and its phases.
 *
 *      SESSION <-> THROUGH          octets go through the session, or past it; back where splice(2) turns out not to be possible
 *         |           |
 *         v           v
 *      CLOSING     CUTTING          an orderly end; a lost connection
 *
 * One function frees a relay, sotto_relay_finish(), and it is called only where nothing is done with the relay afterwards.
 */
#ifndef SOTTO_RUNTIME_RELAY_PARTS_H
#define SOTTO_RUNTIME_RELAY_PARTS_H

#include "core/runtime/relay.h"
#include "core/runtime/splice.h"

#define SOTTO_GONE_MS 30000	/* without progress, once a side is gone (ARCHITECTURE.md, The session) */
#define SOTTO_LEAVE_MS 300000	/* with progress, once our mail server is gone */

struct event;
struct sotto_dial;

enum sotto_phase {
	SOTTO_PHASE_SESSION,
	SOTTO_PHASE_THROUGH,
	SOTTO_PHASE_CLOSING,	/* both directions are shut: the other ends are read out, not for long */
	SOTTO_PHASE_CUTTING	/* what is on its way to `last` is waited for, then both are reset */
};

struct sotto_relay_side {
	int fd;			/* -1: there is no connection */
	struct event *readable, *writable;
	bool reading, writing;	/* the events are added */
	bool broken;		/* a write failed: what is for it is thrown away, what it said is still read */
	bool ended;		/* nothing more is to be read */
	bool failed;		/* ... because a read failed */
	bool shut;		/* we have shut our direction down */
	int queued;		/* what the kernel had not handed over when we last looked */
	uint64_t in, out;	/* octets that went through the session */
};

struct sotto_relay {
	struct sotto_relay_config config;
	struct event_base *base;
	struct event *timer;
	struct sotto_dial *dial;
	enum sotto_phase phase;
	enum sotto_side last;		/* CUTTING: who still gets what is for it */
	unsigned drain_ms;		/* CUTTING: until the next look */
	bool never_splice, settled, cut_off;
	bool held, stands_still;	/* held() or opaque() was called */
	struct sotto_relay_side side[2];
	struct sotto_splice through[2];	/* by side that it reads from */
	uint64_t started, progressed;
	uint64_t look_at, leave_by;	/* while nothing is read from our mail server; 0: it is there */
	size_t preface_len;
	uint8_t preface[SOTTO_RELAY_PREFACE];
	struct sotto_report told;	/* as of the last progress() */
	struct sotto_session session;	/* the last, and not cleared as a whole: most of its pages may never be touched */
};

/* Milliseconds of the monotonic clock. A pointer, so that a test can be the clock. */
extern uint64_t (*sotto_relay_now)(void);

static inline enum sotto_side sotto_other(enum sotto_side side)
{
	return side == SOTTO_NET ? SOTTO_MTA : SOTTO_NET;
}

/* ---- relay.c ---- */

/* The callback of both events of a side: also how a descriptor finds its way into a turn. */
void sotto_relay_on_event(int fd, short what, void *arg);

/* ---- relay-side.c ---- */

/* The descriptor is the side's from here on, also where false (no memory) is returned. */
bool sotto_side_open(struct sotto_relay *r, enum sotto_side side, int fd);
void sotto_side_close(struct sotto_relay_side *d);
void sotto_side_shut(struct sotto_relay_side *d);

/* Waits for these, and for nothing else. False: the kernel won't tell us. */
bool sotto_side_want(struct sotto_relay_side *d, bool reading, bool writing);

/* Once each. True where the session may now want something else. */
bool sotto_side_read(struct sotto_relay *r, enum sotto_side side);
bool sotto_side_write(struct sotto_relay *r, enum sotto_side side);

/* Says to progress() what has changed. */
void sotto_relay_tell(struct sotto_relay *r);

/* Dead in both directions: nothing comes from it, nothing reaches it. */
bool sotto_side_dead(const struct sotto_relay_side *d);

/* Looks at what the kernel has not handed over to the other end (d->queued). True where that is less than at the last look. */
bool sotto_side_drains(struct sotto_relay_side *d);

/* Reads once more, for nobody. True at the end. */
bool sotto_side_read_out(struct sotto_relay_side *d);

/* ---- relay-through.c ---- */

/* From SESSION to THROUGH, where that can be had. The session's buffers are empty. */
void sotto_through_begin(struct sotto_relay *r);

/* One descriptor is ready. May go back to SESSION. */
void sotto_through_event(struct sotto_relay *r, enum sotto_side side, bool readable, bool writable);

/* Passes ends on, and goes to CLOSING or CUTTING once there is nothing left to pass. */
void sotto_through_turn(struct sotto_relay *r);

void sotto_through_close(struct sotto_relay *r);

/* ---- relay-end.c ---- */

/* From SESSION or THROUGH. `last`: the side that has not had everything yet. */
void sotto_relay_begin_closing(struct sotto_relay *r);
void sotto_relay_begin_cutting(struct sotto_relay *r, enum sotto_side last);

/* Whether CLOSING, or CUTTING, is over. */
bool sotto_relay_is_over(struct sotto_relay *r);

/* When to look again; 0: events will say. */
uint64_t sotto_relay_end_deadline(struct sotto_relay *r);

/* Closes and frees everything but the relay's memory, which is all that a relay that never started has to give back. */
void sotto_relay_release(struct sotto_relay *r);

/* Closes and frees all, and says done(). Nothing is done with the relay afterwards. */
void sotto_relay_finish(struct sotto_relay *r);

#endif
