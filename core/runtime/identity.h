/* SPDX-License-Identifier: ISC */
/*
 * This host's long-term X25519 key (PROTOCOL.md 7), a file of 64 hex digits in the state directory: DIR/identity, 0600.
 */
#ifndef SOTTO_RUNTIME_IDENTITY_H
#define SOTTO_RUNTIME_IDENTITY_H

#include <stdint.h>

#include "core/crypto/memory.h"

/*
 * Reads the key, or makes it at first start: two processes that do so at once end up with the same one. A file that is there and
 * is not a key, or that others than its owner may read, is never overwritten and never used. 0; or -errno (EPROTO: not a key,
 * EPERM: others may read it) and secret is all zero: then there is no identity, and sealing goes on without.
 */
SOTTO_CHECKED int sotto_identity_load(uint8_t secret[32], const char *state);

#endif
