/* SPDX-License-Identifier: ISC */
/* A lock that somebody may have for a moment. libc only. */
#ifndef SOTTO_RUNTIME_LOCK_H
#define SOTTO_RUNTIME_LOCK_H

#include <errno.h>
#include <poll.h>
#include <sys/file.h>

#include "core/runtime/deadline.h"

#define SOTTO_LOCK_MS 1000	/* a moment */
#define SOTTO_LOCK_LOOK_MS 10

/* flock(2) by LOCK_EX or LOCK_SH, tried for a moment and no longer. 0, or -1 with errno; EWOULDBLOCK: somebody keeps it. */
static inline int sotto_lock(int fd, int operation)
{
	int64_t end = sotto_now_ms() + SOTTO_LOCK_MS;

	while (flock(fd, operation | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || sotto_now_ms() >= end)
			return -1;
		(void)poll(NULL, 0, SOTTO_LOCK_LOOK_MS);
	}
	return 0;
}

#endif
