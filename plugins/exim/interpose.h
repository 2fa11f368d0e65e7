/* SPDX-License-Identifier: ISC */
/*
 * interpose.h - all of it or nothing: a session stands between Exim and its peer, or everything is as it was.
 */
#ifndef SOTTO_EXIM_INTERPOSE_H
#define SOTTO_EXIM_INTERPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/crypto/memory.h"
#include "plugins/exim/find.h"

#ifndef SOTTO_START_MS
#define SOTTO_START_MS 500	/* nobody waits longer for a session to start */
#endif

struct sotto_order {
	const char *role;	/* "accept" or "connect" */
	const char *peer;	/* the peer's host name; NULL or "": not known */
	const char *domain;	/* connect: the recipients' domain; NULL or "": not known, or several */
	bool required;		/* listed in the file require under a name that the session cannot know */
	bool keep_starttls;
};

/*
 * 0; -1, and why is a sentence without full stop: nothing of Exim's was touched, nothing of ours is left. Takes
 * SOTTO_START_MS at most.
 */
SOTTO_CHECKED int sotto_interpose(const struct sotto_found *found, const struct sotto_order *order, char *why, size_t len);

#endif
