/* SPDX-License-Identifier: ISC */
/*
 * Becoming sotto-session, in the same process, so that it stays spawn(8)'s child and counts where that counts; and a watcher that
 * lives until the session is ready, for half a second at most. libc only.
 */
#ifndef SOTTO_POSTFIX_START_H
#define SOTTO_POSTFIX_START_H

#include <stdbool.h>
#include <stddef.h>

#define SOTTO_START_MS 500

/*
 * argv[0] is the program's path; argv[at] is filled in here: the number of the descriptor `ready`, on which it speaks as sotto-session(8)
 * says. Descriptor 0 is the client's; 1 and 2 lead nowhere (2 is left alone with keep_stderr).
 *
 * Does not return where the session was started. Otherwise it returns once, in the process that now has the connection to itself: no
 * session has touched it, or ever will. why says what happened. That is the process that called where no session could even be tried,
 * and the watcher where one was; then the process that called has been killed or has ended.
 */
void sotto_start(char *argv[], size_t at, bool keep_stderr, char *why, size_t len);

#endif
