/* SPDX-License-Identifier: ISC */
/*
 * deadline.h - one moment by which everything that waits must be over, on the clock that nobody sets.
 */
#ifndef SOTTO_EXIM_DEADLINE_H
#define SOTTO_EXIM_DEADLINE_H

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

/* Waits until fd has one of events, or an end or error. 0; -1: the deadline passed first (errno ETIMEDOUT), or poll failed. */
SOTTO_CHECKED static inline int sotto_wait_fd(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	do {
		left = deadline_ms - sotto_now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

#endif
