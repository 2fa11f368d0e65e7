/* SPDX-License-Identifier: ISC */
/*
 * What is remembered of a recipient domain: whether its mail server offers XSOTTO. For daemons that must know before there is a
 * connection; peers themselves are remembered by address (state.h).
 *
 *     DIR/domains/example.org      text with a check over it (state-text.h), written aside and renamed into the folder
 *
 * As in state.h: unreadable is absent, nothing waits, libc only, times are seconds since 1970. Domains may be given in any case and
 * with a dot at the end; what state-name.h does not take as a name (address literals too) is never remembered.
 */
#ifndef SOTTO_RUNTIME_STATE_DOMAIN_H
#define SOTTO_RUNTIME_STATE_DOMAIN_H

#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_DOMAIN_YES_S 86400	/* an offer is believed a day */
#define SOTTO_DOMAIN_NO_S 3600		/* the first no: an hour; each one after it twice as long */
#define SOTTO_DOMAIN_NO_MAX_S 604800	/* ... but never more than 7 days */
#define SOTTO_DOMAIN_RENEW_S 3600	/* a yes older than that is written again when it is heard again */

enum sotto_domain_offer { SOTTO_DOMAIN_UNKNOWN, SOTTO_DOMAIN_YES, SOTTO_DOMAIN_NO };

struct sotto_domain_state {
	enum sotto_domain_offer offer;
	int64_t seen;		/* when that was last learnt; 0: never */
	int64_t until;		/* it is not believed any more from then on */
	unsigned noes;		/* in a row */
};

/*
 * What was learnt now. yes: believed for a day, noes = 0. no: 1 hour, 2, 4 and so on up to 7 days; a no while one is in force (a
 * session that had begun before) is seen, and changes nothing else. UNKNOWN: nothing was learnt.
 */
void sotto_domain_state_apply(struct sotto_domain_state *s, enum sotto_domain_offer what, int64_t now);

/* What to believe now. It is over, or further in the future than it can have been made for (the clock was set back): unknown. */
enum sotto_domain_offer sotto_domain_state_now(const struct sotto_domain_state *s, int64_t now);

/* All zero where nothing (readable) is there. */
void sotto_domain_load(const char *dir, const char *domain, struct sotto_domain_state *out);

/* 0, or -errno and the file is what it was. -EINVAL: no such name, or values that could not be read again. */
SOTTO_CHECKED int sotto_domain_save(const char *dir, const char *domain, const struct sotto_domain_state *s);

/*
 * Loads, applies, and saves where that changes more than `seen`, or renews a yes that is older than SOTTO_DOMAIN_RENEW_S. 0 (also
 * where nothing was to be written), or -errno.
 */
SOTTO_CHECKED int sotto_domain_note(const char *dir, const char *domain, enum sotto_domain_offer what, int64_t now);

#endif
