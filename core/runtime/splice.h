/* SPDX-License-Identifier: ISC */
/*
 * One direction of a connection that passes through: octets go from one descriptor to another through a pipe by splice(2),
 * without being copied to us. No loop of its own: relay-through.c calls sotto_splice_run() when a descriptor is ready.
 *
 * Both descriptors are set to non-blocking, or splice(2) waits; and the process ignores SIGPIPE, or a closed connection kills it.
 */
#ifndef SOTTO_RUNTIME_SPLICE_H
#define SOTTO_RUNTIME_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_SPLICE_CHUNK 65536	/* octets at most in the pipe; a pipe's usual capacity */

struct sotto_splice {
	int from, to;		/* not owned */
	int pipe[2];		/* owned */
	size_t pending;		/* octets in the pipe */
	bool ended;		/* no more octets come from `from` */
	bool failed;		/* ... because of an error */
	bool broken;		/* `to` takes no more: what comes is thrown away */
	bool impossible;	/* splice(2) does not work with these: nothing is lost, take back what is pending and copy */
	uint64_t pulled, passed;	/* octets that came from `from`, and that left for `to` */
};

/* 0, or -errno: no pipe to be had. */
SOTTO_CHECKED int sotto_splice_open(struct sotto_splice *d, int from, int to);

/* Closes the pipe; nothing where it is closed already. What it counted can still be read. */
void sotto_splice_close(struct sotto_splice *d);

/* Moves what can be moved now, a pipe's content at most. True where anything moved or changed. */
bool sotto_splice_run(struct sotto_splice *d);

/* What to wait for: `from` to be readable, `to` to be writable. */
bool sotto_splice_wants_read(const struct sotto_splice *d);
bool sotto_splice_wants_write(const struct sotto_splice *d);

/* All that came has gone; `from` is at its end. */
bool sotto_splice_finished(const struct sotto_splice *d);

/* Takes up to `len` pending octets out of the pipe again: how many; 0: there are none to be had. */
size_t sotto_splice_take_back(struct sotto_splice *d, uint8_t *to, size_t len);

#endif
