/* SPDX-License-Identifier: ISC */
/*
 * pair.h - two descriptors that are the two ends of one TCP connection over 127.0.0.1.
 *
 * Like socketpair(2), but Internet sockets: Exim hands an open connection on to another process (exim -MC), which
 * calls getsockname on it and dies if that is anything else.
 */
#ifndef SOTTO_EXIM_PAIR_H
#define SOTTO_EXIM_PAIR_H

#include <stdint.h>

#include "core/crypto/memory.h"

/*
 * Both blocking, FD_CLOEXEC, TCP_NODELAY; the caller's to close. 0; -1 with errno, and out is {-1, -1}: no descriptor,
 * no port, lo is down, or it was not done by deadline_ms (core/runtime/deadline.h).
 */
SOTTO_CHECKED int sotto_pair(int out[2], int64_t deadline_ms);

#endif
