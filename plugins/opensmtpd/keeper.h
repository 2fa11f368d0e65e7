/* SPDX-License-Identifier: ISC */
/*
 * Keeps filter-sotto's worker alive: starts it with the listeners, notices its end, starts it again. After three crashes in a row a child of
 * our own takes the connections (passing.h), until the worker is tried again. SIGKILL and SIGTERM, which come from outside, are no crash of
 * a worker that was ready. libc only, no heap.
 *
 * The worker has the listeners from descriptor 4 on, and on descriptor 3 one end of a socket (SOCK_SEQPACKET): there it gets smtpd's lines,
 * and says "ready" once, "alive" each second, and "SESSION|TOKEN" for each request that may go on. The end of that socket means that the parent has let go of
 * it: it stops listening at once, and ends when its last session does.
 */
#ifndef SOTTO_OPENSMTPD_KEEPER_H
#define SOTTO_OPENSMTPD_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plugins/opensmtpd/listeners.h"
#include "plugins/opensmtpd/passing.h"

#define SOTTO_AGAIN_MS 20	/* from a worker's end to the next one's start */
#define SOTTO_READY_MS 5000	/* for a new one to be ready; then it is killed, and connections are passed through */
#define SOTTO_STUCK_MS 8000	/* one that has been ready, and has not said for so long that it lives, is killed, and has crashed */
#define SOTTO_CALM_MS 10000	/* a worker that has lived so long has not crashed in a row with those before it */
#define SOTTO_CRASHES 3
#define SOTTO_PASS_MS 60000	/* then for so long we only pass through */
#define SOTTO_PASS_AGAIN_MS 500	/* where even that does not live */

#define SOTTO_WORKER_ALIVE "alive"
#define SOTTO_WORKER_TALK 3
#define SOTTO_WORKER_FIRST 4

struct sotto_keeper {
	const char *program;		/* the worker's path */
	char *const *options;		/* ... and its options, beside those that say which descriptor is which; NULL ends them */
	const struct sotto_listeners *listeners;
	const struct sotto_passing *passing;
	/* its own, begin with zero */
	pid_t worker, passer;		/* 0: there is none */
	int talk, leash;		/* our ends of their sockets; -1 */
	bool ready;
	unsigned crashes;
	int64_t started, again;		/* again: when the next one is to be started, 0: it isn't */
	int64_t alive, ticked;		/* when the worker last said so, 0: never; when we last looked */
	int64_t pass_again;		/* the same for the child that passes through */
};

void sotto_keeper_begin(struct sotto_keeper *k);

/* After poll: what is due by now. Its next time in ms of the clock of deadline.h, INT64_MAX: none. */
int64_t sotto_keeper_tick(struct sotto_keeper *k);

/* A child has ended. True where it was the worker: whoever waits for its word waits in vain. */
bool sotto_keeper_ended(struct sotto_keeper *k, pid_t pid, int status);

/* The listeners are others: a new worker gets them, the one that is there goes on with its sessions. */
void sotto_keeper_renew(struct sotto_keeper *k);

/* A line to the worker. False: there is none, or it is too slow. */
bool sotto_keeper_tell(const struct sotto_keeper *k, const char *line, size_t len);

/*
 * The next thing that the worker says, NUL-terminated; 0: nothing; its length otherwise. "ready" and "alive" are not told. Its end is heard by
 * sotto_keeper_ended.
 */
size_t sotto_keeper_hear(struct sotto_keeper *k, char *out, size_t size);

/* smtpd is gone. Both go on for as long as they have sessions; a worker that isn't ready has none, and is ended. */
void sotto_keeper_let_go(struct sotto_keeper *k);

#endif
