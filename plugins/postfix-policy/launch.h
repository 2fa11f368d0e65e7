/* SPDX-License-Identifier: ISC */
/*
 * Starts programs for sotto-policyd, without waiting for them: posix_spawn(3) and vfork(2) hold their caller until the child has been
 * given a processor and has executed the program, which on a busy machine is many milliseconds, and all lookups would wait for it. A fork
 * of a process as small as ours is a tenth of one.
 */
#ifndef SOTTO_POSTFIX_LAUNCH_H
#define SOTTO_POSTFIX_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

#define SOTTO_LAUNCH_FAILED 127	/* the exit status of a child that could not execute the program */

struct sotto_launch {
	const char *path;
	const char *otherwise;		/* where there is no such file; NULL: nothing */
	const char *const *argv, *const *env;
	const int *fds;			/* what becomes 0, 1 and so on: its own number, or one that is >= n; -1: /dev/null */
	int n;				/* of them; the child has no others */
	bool session;			/* it gets a session of its own, otherwise a process group */
};

/*
 * 0 and *pid; or errno. Its signals are as if nobody had touched them. One thread: the child does what it likes until it executes.
 */
SOTTO_CHECKED int sotto_launch(const struct sotto_launch *l, pid_t *pid);

#endif
