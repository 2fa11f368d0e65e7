/* SPDX-License-Identifier: ISC */
/*
 * Which of many processes may log a line now: a file tells when the last one did, and its size how many were withheld since. For
 * log.c alone.
 *
 *     20 digits and LF     seconds since 1970
 *     dots                 one for each line withheld
 */
#ifndef SOTTO_RUNTIME_LOG_STAMP_H
#define SOTTO_RUNTIME_LOG_STAMP_H

#include <stdbool.h>

#include "core/crypto/memory.h"

#define SOTTO_LOG_STAMP_EVERY 60	/* seconds */
#define SOTTO_LOG_STAMP_MOST 100000	/* the file does not grow beyond: more dots are not counted */

/*
 * True: log it, and *withheld is about how many were not since the last; false: this one is withheld, and counted. A time in the
 * future, and a file that holds none, limit nothing; where there can be no file, always true. Never waits: the file's lock is tried.
 */
SOTTO_CHECKED bool sotto_log_stamp(const char *dir, const char *name, long *withheld);

#endif
