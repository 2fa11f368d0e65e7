/* SPDX-License-Identifier: ISC */
/*
 * The connector's connection to sotto-policyd: asks one question at a time, and never longer than it is told to. It is made when there
 * is something to ask, kept, and made anew where the daemon was started again. libc only.
 */
#ifndef SOTTO_POSTFIX_DAEMON_H
#define SOTTO_POSTFIX_DAEMON_H

#include <stdint.h>

#include "plugins/postfix-policy/request.h"

#define SOTTO_DAEMON_REST_MS 5000	/* a daemon that was too slow is not asked for so long: all mail would wait in a row */

struct sotto_daemon {
	enum sotto_protocol protocol;
	const char *path;	/* of its unix stream socket; the caller's */
	int fd;			/* -1: not connected */
	int64_t rest_until;
	size_t have;
	char answer[SOTTO_REQUEST_MAX];
};

/*
 * 0: d->answer holds a good answer (request.h) of d->have octets. -1: there was none by the deadline, or the daemon was too slow a
 * moment ago and was not asked; *why says which. Never leaves an answer behind that could be taken for one to the next question.
 */
SOTTO_CHECKED int sotto_daemon_ask(struct sotto_daemon *d, const char *request, size_t n, int64_t deadline, const char **why);

#endif
