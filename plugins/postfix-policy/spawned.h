/* SPDX-License-Identifier: ISC */
/*
 * What it is to be started by Postfix's spawn(8): descriptors 0, 1 and 2 are all the client's socket, so that nothing must ever be
 * printed. For sotto-connector and sotto-front; libc only.
 */
#ifndef SOTTO_POSTFIX_SPAWNED_H
#define SOTTO_POSTFIX_SPAWNED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_CLIENT 0	/* the client's descriptor */

/* Before anything else. name stays the caller's. The log is opened when there is something to say, which is hardly ever. */
void sotto_spawned(const char *name);

/* Log lines go to stderr, for who starts the program by hand; and the folder of the log's limits, otherwise SOTTO_STATE_DIR. */
void sotto_spawned_log(bool to_stderr, const char *run);

/* 0; -1, after a sentence where somebody reads it: descriptor 0 is no stream socket. */
SOTTO_CHECKED int sotto_spawned_check(void);

/* A sentence to the log at once, and to stderr where that is not the client. */
__attribute__((format(printf, 1, 2))) void sotto_spawned_complain(const char *format, ...);

/* A line a minute at most from all processes with this stamp. level as in log.h. errno stays what it was. */
__attribute__((format(printf, 3, 4))) void sotto_spawned_report(const char *stamp, int level, const char *format, ...);

/* Connects to a unix stream socket; waits only until the deadline for a full queue there. A descriptor, or -1 with errno. */
SOTTO_CHECKED int sotto_spawned_connect(const char *path, int64_t deadline);

#endif
