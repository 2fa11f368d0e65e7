/* SPDX-License-Identifier: ISC */
/*
 * random.h - random octets from the kernel, getrandom(2), or none.
 *
 * There is no state in the process, so a fork needs no care: two children never draw the same
 * octets. No file is opened, so it works in a chroot and without a free descriptor. There is no
 * fallback: without the kernel's octets there are no keys.
 */
#ifndef SOTTO_CRYPTO_RANDOM_H
#define SOTTO_CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto/error.h"
#include "core/crypto/memory.h"

/*
 * Fills out with len random octets: 0, or SOTTO_ERR_RANDOM and out is all zero. Waits only where
 * the kernel has not yet seeded itself, early at boot. len may be 0; out may then be NULL.
 */
SOTTO_CHECKED int sotto_random(uint8_t *out, size_t len);

#endif
