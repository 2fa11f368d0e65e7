/* SPDX-License-Identifier: ISC */
/* Sums over the counters (core/runtime/counters.h), for `sotto status` and `sotto metrics`. No file but the counters' and one of its own is touched. */
#ifndef SOTTO_CLI_TALLY_H
#define SOTTO_CLI_TALLY_H

#include "core/runtime/counters.h"

enum sotto_tally_way { SOTTO_TALLY_OUT, SOTTO_TALLY_IN, SOTTO_TALLY_WAYS };

/* How a session went, as an administrator sees it. */
enum sotto_tally_kind {
	SOTTO_TALLY_SEALED,
	SOTTO_TALLY_STARTTLS,
	SOTTO_TALLY_CLEAR,
	SOTTO_TALLY_NATIVE,
	SOTTO_TALLY_REFUSED,
	SOTTO_TALLY_NONE,
	SOTTO_TALLY_KINDS
};

enum sotto_tally_event {
	SOTTO_TALLY_FALLBACK, SOTTO_TALLY_LOST, SOTTO_TALLY_DOWNGRADE, SOTTO_TALLY_IDENTITY, SOTTO_TALLY_CUT, SOTTO_TALLY_AVOIDED,
	SOTTO_TALLY_EVENTS
};

extern const char *const sotto_tally_ways[SOTTO_TALLY_WAYS];		/* "out", "in" */
extern const char *const sotto_tally_kinds[SOTTO_TALLY_KINDS];		/* "sealed", ... */
extern const char *const sotto_tally_events[SOTTO_TALLY_EVENTS];	/* "fallbacks", ... */
extern const char *const sotto_tally_adapters[SOTTO_COUNTED_ADAPTERS];

struct sotto_tally_way_sums {
	int64_t kinds[SOTTO_TALLY_KINDS];
	int64_t events[SOTTO_TALLY_EVENTS];
	int64_t sent, received;			/* octets */
	int64_t exchanges, exchange_ms;		/* sealed sessions, and how long their exchanges took together */
};

struct sotto_tally {
	struct sotto_tally_way_sums ways[SOTTO_TALLY_WAYS];
};

void sotto_tally_add(struct sotto_tally *t, const struct sotto_counted *c);

/*
 * Everything that was ever counted, by adapter: what DIR/totals holds and what has been counted since, and DIR/totals says so from
 * now on. What is no longer in the counters when nobody has asked in the meantime is missing. 0, or -errno: *out is good all
 * the same where DIR/totals alone could not be written.
 */
SOTTO_CHECKED int sotto_tally_totals(const char *dir, struct sotto_tally out[SOTTO_COUNTED_ADAPTERS]);

#endif
