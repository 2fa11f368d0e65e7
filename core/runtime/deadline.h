/* SPDX-License-Identifier: ISC */
/*
 * One moment by which everything that waits must be over, in milliseconds of the clock that nobody sets. libc only, and all of it here:
 * the small programs between a mail server and us use it too.
 */
#ifndef SOTTO_RUNTIME_DEADLINE_H
#define SOTTO_RUNTIME_DEADLINE_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <time.h>

#include "core/crypto/memory.h"

static inline int64_t sotto_now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How long until then: 0 where it has passed. */
static inline int sotto_left_ms(int64_t deadline)
{
	int64_t left = deadline - sotto_now_ms();

	return left > 0 ? (int)left : 0;
}

/* Waits until fd has one of events, or an end or error. 0; -1: the deadline came first (errno ETIMEDOUT), or poll failed. */
SOTTO_CHECKED static inline int sotto_wait_fd(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, sotto_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

#endif
