/* SPDX-License-Identifier: ISC */
/*
 * One direction of a connection that passes through: octets go from one descriptor to another through a pipe by splice(2),
 * without being copied to us. No loop of its own: relay.c calls sotto_splice_run() when a descriptor is ready.
 */
#ifndef SOTTO_RUNTIME_SPLICE_H
#define SOTTO_RUNTIME_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sotto_splice {
	int from, to;		/* not owned */
	int pipe[2];		/* owned */
	size_t pending;		/* octets in the pipe */
	bool ended;		/* no more octets come from `from` */
	bool broken;		/* `to` takes no more: what comes is thrown away */
	uint64_t passed;	/* octets that left for `to` */
};

/* 0, or -errno: no pipe to be had. */
int sotto_splice_open(struct sotto_splice *d, int from, int to);
void sotto_splice_close(struct sotto_splice *d);

/* Moves what can be moved now. True where anything moved or changed. */
bool sotto_splice_run(struct sotto_splice *d);

/* What to wait for: `from` to be readable, `to` to be writable. */
bool sotto_splice_wants_read(const struct sotto_splice *d);
bool sotto_splice_wants_write(const struct sotto_splice *d);

/* All that came has gone; `from` is at its end. */
bool sotto_splice_finished(const struct sotto_splice *d);

#endif
