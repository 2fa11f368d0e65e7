/* SPDX-License-Identifier: ISC */
/*
 * Sessions that are open now: a file each under /run/sotto, named by the peer's address and port, for the trace header and for
 * `sotto sessions`. Written aside and renamed. libc only: the Exim plugin reads it too.
 *
 *     DIR/192.0.2.1:40123                  one that connected to us; IPv6 as [2001:db8::1]:40123; a v4-mapped one is IPv4
 *     DIR/out-192.0.2.1:25-PID-TIME-COUNT  one we connected to: several may lead to the same address and port
 *     DIR/.swept                           its time is that of the last sweep
 *
 * The writer holds a lock (flock) on its file for as long as it lives: a file that nobody locks was left behind by a process that
 * was killed, is not believed, and is removed by the next sweep. A writer that forks ends the session in the child as well, or
 * closes the descriptor there.
 */
#ifndef SOTTO_RUNTIME_LIVE_H
#define SOTTO_RUNTIME_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

struct sotto_live {
	bool inbound;		/* the role accept */
	bool sealed;
	unsigned version;	/* of XSOTTO; 0 unless sealed */
	char id[17];		/* the session id's first 8 octets in hex; "" unless sealed */
	char adapter[16];
	pid_t pid;
	int64_t since;		/* seconds since 1970 */
};

/* A session's own file: its path and a descriptor that holds the lock. */
struct sotto_live_file {
	int fd;			/* -1: there is none */
	char path[256];
};

/*
 * Writes a session's file, the first time or again; an unlocked one in its place is replaced, a locked one of somebody else's
 * too (the address and port are ours now). Never waits. 0, or -errno and f->fd is -1, and there is no file of ours any more.
 * Begin with *f = { .fd = -1 }; written again, peer and live->inbound are those of the first time. The adapter's name is a-z only.
 */
SOTTO_CHECKED int sotto_live_write(struct sotto_live_file *f, const char *dir, const struct sockaddr *peer, const struct sotto_live *live);

/* Removes it, if it is still ours. Nothing where fd is -1. */
void sotto_live_remove(struct sotto_live_file *f);

/*
 * The session with one that connected to us; those that we connected are only listed. 0 and *out; -errno: there is no such session,
 * or its file is odd or nobody's (ENOENT, EPROTO, ESTALE), *out all zero. errno itself is left alone.
 */
SOTTO_CHECKED int sotto_live_read(const char *dir, const struct sockaddr *peer, struct sotto_live *out);

/*
 * Says every session that is open now, in no order; peer: its address and port as in the file's name, valid during the call. 0, or
 * -errno: the folder cannot be read.
 */
SOTTO_CHECKED int sotto_live_list(const char *dir, void (*take)(void *arg, const char *peer, const struct sotto_live *live), void *arg);

/* Removes what dead sessions left behind; at most every 10 minutes, whoever calls (the time is that of a file in dir). */
void sotto_live_sweep(const char *dir);

#endif
