/* SPDX-License-Identifier: ISC */
/*
 * A short-lived child on a libevent loop: what goes into it, what it says, how it ended; with a bound on its time and its output. For
 * site.c and its companions, which ask Postfix's programs.
 *
 * No handler for SIGCHLD is needed: the kernel's pidfd tells that a child has ended, or, where there is none, waitpid(2) from time to
 * time. Where somebody else waited for the child, its status counts as 0: look at what it said as well.
 */
#ifndef SOTTO_POSTFIX_SITE_CHILD_H
#define SOTTO_POSTFIX_SITE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct sotto_child;

struct sotto_child_end {
	int error;	/* 0: it ran to its end; ETIME, EFBIG (said too much; killed), or why it couldn't be started */
	int status;	/* its exit status; 128 and the signal that ended it */
	const char *out;	/* what it wrote, a NUL behind it */
	size_t out_len;
	const char *err;	/* the last of what it wrote to stderr, a NUL behind it */
};

/* Exactly once unless cancelled, out of the loop, never from inside sotto_child_start. The child is gone. */
typedef void sotto_child_done(void *arg, const struct sotto_child_end *end);

struct sotto_child_job {
	const char *const *argv;	/* argv[0] is the path */
	const char *const *env;
	const char *input;	/* is copied */
	size_t input_len;
	size_t limit;	/* octets of output */
	unsigned timeout_ms;
};

/* NULL: no memory. */
struct sotto_child *sotto_child_start(struct event_base *base, const struct sotto_child_job *job, sotto_child_done *done, void *arg);

/* Kills it, and waits for its end, 200 ms at most. NULL is nothing. */
void sotto_child_cancel(struct sotto_child *child);

#endif
