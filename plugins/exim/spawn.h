/* SPDX-License-Identifier: ISC */
/*
 * spawn.h - starts sotto-session out of Exim's process, and takes it back as long as it has not been told to go.
 *
 * The session is nobody's child (its parent has ended: init has it), in a session of its own, and holds of Exim's
 * descriptors only the one that it is given. Its environment is a PATH, its folder /, its umask 022.
 *
 * The session's descriptor `ready` is a socket. It writes the octet '!' to it when all is set up that can fail, and then
 * waits for an octet back (sotto_spawn_go) before it reads from, writes to, shuts down or changes net or mta. The end of
 * the stream instead of the octet means that both were taken back: then it ends, and has touched neither.
 *
 *     sotto_spawn -> sotto_spawn_ready -> sotto_spawn_go -> sotto_spawn_end(…, false)
 *                 \___________________\________________\-> sotto_spawn_end(…, true)
 */
#ifndef SOTTO_EXIM_SPAWN_H
#define SOTTO_EXIM_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_SPAWN_NET 3	/* the numbers that the descriptors have in the session */
#define SOTTO_SPAWN_MTA 4
#define SOTTO_SPAWN_READY 5

struct sotto_spawn {
	int pidfd;	/* the session, to be killed by; -1: a kernel before 5.3 */
	int ready;	/* to the session */
};

/*
 * argv[0] is the program's path. net and mta stay the caller's. Where we are root, the session becomes the owner of
 * the folder state; if that is root too, or there is none, it does not start. 0; -1 with errno, and s holds nothing. What comes of the
 * program is seen by sotto_spawn_ready. Nothing of the caller's is left behind by it: no child, no signal.
 */
SOTTO_CHECKED int sotto_spawn(struct sotto_spawn *s, const char *const argv[], const char *state, int net, int mta);

/* 0: the session is ready. -1: errno is ECHILD (it ended before), ETIMEDOUT, or what recv says. */
SOTTO_CHECKED int sotto_spawn_ready(const struct sotto_spawn *s, int64_t deadline_ms);

/* 0: the session has the connections from now on. -1: it has ended, and has touched nothing. */
SOTTO_CHECKED int sotto_spawn_go(const struct sotto_spawn *s);

/* Releases all that s holds; undo: and kills the session. */
void sotto_spawn_end(struct sotto_spawn *s, bool undo);

#endif
