/* SPDX-License-Identifier: ISC */
/*
 * Handing the client's connection, and one to smtpd, to the process that looks at its first commands (core/runtime/serve.h), where
 * sotto-policyd has one ready: executing a sotto-session takes many times as long. What is nothing for Sotto comes back, and is passed through
 * here. libc only.
 */
#ifndef SOTTO_POSTFIX_HAND_OVER_H
#define SOTTO_POSTFIX_HAND_OVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOTTO_HAND_OVER_MS 200	/* for that process to be ready */

struct sotto_hand_over {
	const char *path, *backend;	/* of the daemon's socket, and of smtpd's */
	const uint8_t *header;		/* the PROXY header, for smtpd */
	size_t header_len;
	char *const *words;		/* the session's behind --net and --mta; NULL ends them */
	bool keep_stderr;
};

/*
 * True: a session had the connection, and is over; this process only stayed for being counted. Then its descriptors 0 to 2 are closed (2 is
 * left alone with keep_stderr). False: no session has touched the connection, or ever will.
 * *late: somebody was there, and nothing came of it in time.
 */
bool sotto_hand_over(const struct sotto_hand_over *h, bool *late);

#endif
