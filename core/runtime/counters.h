/* SPDX-License-Identifier: ISC */
/*
 * How sessions went, for `sotto status` and `sotto metrics`: a record of fixed size for each, appended at the session's end.
 *
 *     DIR/counters, DIR/counters.1     the newer ones, and those before them; records of 48 octets, numbers with the high octet first:
 *
 *     0  "SoC", 1 (the format)   8  flags                     16  seconds since 1970     40  FNV-1a, 64 bits, over all of the above
 *     4  adapter                10  exchange, ms (or more)    24  octets sent
 *     5  1: it connected to us  12  duration, ms (or more)    32  octets received
 *     6  outcome   7  cause
 *
 * As in state.h: nothing waits for another process, nothing fails loudly, unreadable is absent, libc only. O_APPEND keeps the records of
 * many processes apart; one that a full disk cut off is passed over, and so is every record of another format. Together the
 * two files hold no more than about 2 * SOTTO_COUNTERS_BOUND octets.
 */
#ifndef SOTTO_RUNTIME_COUNTERS_H
#define SOTTO_RUNTIME_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

#define SOTTO_COUNTERS_RECORD 48
#define SOTTO_COUNTERS_BOUND (131072 * SOTTO_COUNTERS_RECORD)	/* octets; whoever writes over it makes room for a new file */

enum sotto_counted_adapter { SOTTO_COUNTED_EXIM, SOTTO_COUNTED_POSTFIX, SOTTO_COUNTED_OPENSMTPD, SOTTO_COUNTED_ADAPTERS };

enum sotto_counted_outcome {
	SOTTO_COUNTED_NONE,	/* it ended before anything was decided */
	SOTTO_COUNTED_CLEAR,
	SOTTO_COUNTED_SEALED,
	SOTTO_COUNTED_REFUSED,
	SOTTO_COUNTED_NATIVE,	/* our mail server went on without us */
	SOTTO_COUNTED_OUTCOMES
};

#define SOTTO_COUNTED_FELL_BACK	1u	/* an exchange failed (PROTOCOL.md 8) */
#define SOTTO_COUNTED_LOST	2u	/* a sealed session was lost */
#define SOTTO_COUNTED_DOWNGRADE	4u	/* the peer offered XSOTTO before, and did not now */
#define SOTTO_COUNTED_IDENTITY	8u	/* another identity key than before, or none any more */
#define SOTTO_COUNTED_STARTTLS	16u	/* in the clear: STARTTLS was the next command */
#define SOTTO_COUNTED_CUT	32u	/* not an orderly end */
#define SOTTO_COUNTED_AVOIDED	64u	/* XSOTTO was not tried, because of failures before */

struct sotto_counted {
	enum sotto_counted_adapter adapter;
	bool inbound;
	enum sotto_counted_outcome outcome;
	unsigned cause;		/* enum sotto_cause; of a build's own, so compare it with no number from elsewhere */
	unsigned flags;
	unsigned exchange_ms, duration_ms;
	int64_t at;		/* when it ended */
	uint64_t sent, received;
};

/* 0, or -errno: it is not counted, and that is all. -EINVAL: values that could not be read again. */
SOTTO_CHECKED int sotto_counters_add(const char *dir, const struct sotto_counted *c);

#define SOTTO_COUNTERS_AT_ONCE 32

/* The same for up to SOTTO_COUNTERS_AT_ONCE of them, in one write. -EINVAL: too many, or one of them could not be read again. */
SOTTO_CHECKED int sotto_counters_add_all(const char *dir, const struct sotto_counted *c, size_t n);

/* Up to where somebody has read. All zero: nothing. Survives that the file gets its second name. */
struct sotto_counters_mark {
	uint64_t file;		/* the inode */
	uint64_t at;		/* octets */
};

/*
 * Says each record behind *mark to take(), the oldest first, and moves *mark to the end. Where the marked file is gone: all there are.
 * mark may be NULL: all. 0, or -errno (-ENOENT: nothing was ever counted) and *mark is what it was.
 */
SOTTO_CHECKED int sotto_counters_read(const char *dir, struct sotto_counters_mark *mark, void (*take)(void *arg, const struct sotto_counted *c), void *arg);

#endif
