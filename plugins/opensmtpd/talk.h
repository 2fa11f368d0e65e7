/* SPDX-License-Identifier: ISC */
/*
 * filter-sotto's conversation with smtpd: its lines in, our answers out, and who is owed one. A request is answered once, at the latest
 * after SOTTO_HOLD_MS, whatever becomes of the worker that it was handed to. libc only, no heap.
 */
#ifndef SOTTO_OPENSMTPD_TALK_H
#define SOTTO_OPENSMTPD_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"
#include "plugins/opensmtpd/protocol.h"
#include "plugins/opensmtpd/traces.h"

#define SOTTO_HOLD_MS 3000	/* a RCPT command waits no longer for what its domain offers */
/*
 * A message that is to be taken waits so long for its session's end, and is not answered when that comes: with any filter, smtpd (seen of 6.8; 7.6 reads the same) goes on
 * with a client that sent more than the message at once although it has refused it, and an answer that comes when it has let go of the session
 * is the end of smtpd. No filter can do more: smtpd asks, and ends the session, within one turn of its loop.
 */
#define SOTTO_COMMIT_MS 20
#define SOTTO_OWED_MAX 1000	/* at once; more are answered at once */
#define SOTTO_DATA_SINCE 704	/* before 7.4 smtpd cuts lines of messages that go by a filter */
#define SOTTO_TALK_LINE 131072	/* of smtpd's; its own limit is half of that */
#define SOTTO_HANDED_MAX 2048	/* octets of a line that a worker gets; longer ones it does not */

struct sotto_owed {
	uint64_t session, token;
	int64_t until;
	bool commit;		/* nothing that the worker has in its hands */
};

struct sotto_talk {
	int in, out;
	/* A line for the worker. False: it did not take it. */
	bool (*hand)(void *arg, const char *line, size_t len);
	void *arg;
	struct sotto_traces *traces;	/* what messages are marked with */
	/* its own, begin with zero */
	unsigned version;	/* smtpd's */
	bool smtp_in, smtp_out, registered;
	bool echoing;		/* in the middle of a message's line that is longer than our buffer */
	bool skipping;		/* ... of another line */
	size_t have;
	unsigned n_owed;
	struct sotto_owed owed[SOTTO_OWED_MAX];
	size_t n_answers;
	char answers[65536];
	char line[SOTTO_TALK_LINE + 1];
};

/* Reads what is there and answers what can be answered. 0; -1: smtpd is gone. */
SOTTO_CHECKED int sotto_talk_hear(struct sotto_talk *t);

/* What the worker says, "SESSION|TOKEN" as in the line that it was handed: go on. What nobody is owed is ignored. */
SOTTO_CHECKED int sotto_talk_proceed(struct sotto_talk *t, const char *text);

/* Answers those whose time is over; all: everybody, as there is no worker any more. */
SOTTO_CHECKED int sotto_talk_expire(struct sotto_talk *t, bool all);

/* When the first one's time is over; INT64_MAX: nobody waits. */
int64_t sotto_talk_deadline(const struct sotto_talk *t);

#endif
