/* SPDX-License-Identifier: ISC */
/*
 * OpenSMTPD's filter protocol, versions 0.6 and 0.7 (smtpd-filters(7)), as far as filter-sotto speaks it. Pure: a line in, what it says out;
 * what it says out, a line. libc only.
 *
 * smtpd ends itself when it gets a line that it does not understand. So only three kinds of lines are ever made, and only from numbers
 * that were read here.
 */
#ifndef SOTTO_OPENSMTPD_PROTOCOL_H
#define SOTTO_OPENSMTPD_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sotto_filter_kind {
	SOTTO_FILTER_OTHER,	/* nothing that we know, or not all of it there: no answer is owed */
	SOTTO_FILTER_IN, SOTTO_FILTER_OUT,	/* config|subsystem|smtp-in, smtp-out */
	SOTTO_FILTER_VERSION,	/* config|smtpd-version: `version` is it, 705 for 7.5 */
	SOTTO_FILTER_READY,	/* config|ready: now is the time to register */
	SOTTO_FILTER_REPORT,	/* session is known */
	SOTTO_FILTER_REQUEST,	/* one is owed, that names session and token */
	SOTTO_FILTER_DATA	/* a request for a line of a message, which is answered by the line */
};

struct sotto_filter_line {
	enum sotto_filter_kind kind;
	uint64_t session, token;
	unsigned version;
	const char *phase;	/* "rcpt-to": of requests, and the event of reports; it ends at a '|' */
	size_t phase_len;
	const char *rest;	/* what stands behind the session (reports) or the token (requests), without the '|'; NULL: nothing */
};

/*
 * A line without its newline, NUL-terminated; a NUL in it ends it. The version isn't looked at: whatever has this shape means this.
 * Only requests of the subsystem smtp-in are such.
 */
void sotto_filter_read(struct sotto_filter_line *out, const char *line);

bool sotto_filter_is(const struct sotto_filter_line *l, const char *phase);

#define SOTTO_FILTER_ANSWER 64

/* "filter-result|SESSION|TOKEN|proceed" and a newline: its length. */
size_t sotto_filter_proceed(char out[SOTTO_FILTER_ANSWER], uint64_t session, uint64_t token);

#define SOTTO_FILTER_REGISTER 512

/* The answer to config|ready, as far as smtpd named the subsystems; data: lines of messages are wanted as well. Its length. */
size_t sotto_filter_register(char out[SOTTO_FILTER_REGISTER], bool in, bool outgoing, bool data);

#endif
