/* SPDX-License-Identifier: ISC */
/*
 * The trace header of mail that came in sealed, for filter-sotto's parent. smtpd's own Received header is the first that a filter sees of a
 * message: the trace goes right above it, where nobody else writes. libc only.
 *
 *     X-Sotto: sealed v=1 id=<16 hex digits> peer=[<address>] by=<our host name>
 */
#ifndef SOTTO_OPENSMTPD_TRACES_H
#define SOTTO_OPENSMTPD_TRACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "plugins/opensmtpd/protocol.h"

#define SOTTO_TRACE 512
#define SOTTO_TRACES 8192	/* sessions that are known at once; another one may take a place, and the first gets no trace */

struct sotto_traces {
	const char *run;	/* where live sessions are (live.h) */
	const char *by;
	/* its own, begin with zero */
	struct sotto_traced {
		uint64_t session;
		struct sockaddr_storage peer;	/* AF_UNSPEC: not from the network */
		bool in_message;
	} at[SOTTO_TRACES];
};

/* A report of smtpd's: who connects and leaves, and that a message is to begin. */
void sotto_traces_report(struct sotto_traces *t, const struct sotto_filter_line *l);

/* Before a line of a message: the length of a header that goes before it, 0: none. */
size_t sotto_traces_line(struct sotto_traces *t, uint64_t session, const char *line, char out[SOTTO_TRACE]);

#endif
