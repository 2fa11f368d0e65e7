/* SPDX-License-Identifier: ISC */
/*
 * random.c - random octets from getrandom(2).
 *
 * Called whenever a key or a seed is made. Never opens a file, never keeps a state, never makes
 * do with anything else: libtomcrypt's rng_get_bytes() would fall back to the clock's jitter.
 */
#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "core/crypto/random.h"

int sotto_random(uint8_t *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		/* May be interrupted, and gives less than asked for over 256 octets. */
		ssize_t got = getrandom(out + done, len - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			sotto_wipe(out, len);
			return SOTTO_ERR_RANDOM;
		}
		done += (size_t)got;
	}
	return 0;
}
