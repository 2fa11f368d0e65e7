/* SPDX-License-Identifier: ISC */
/*
 * kdf.h - HMAC-SHA-256 (RFC 2104) and HKDF-SHA-256 (RFC 5869), as PROTOCOL.md 4 and 7 use them.
 *
 * A message may come in parts; the result is that of the parts put end to end:
 *
 *	struct sotto_part info[] = { { "keys", 4 }, { h, 32 } };
 *	sotto_hkdf_expand(okm, 152, prk, info, 2);
 *
 * Pointers may be NULL where their length (or number of parts) is 0. Outputs may overlap inputs
 * only where it says so. What is made on the way is wiped.
 */
#ifndef SOTTO_CRYPTO_KDF_H
#define SOTTO_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto/error.h"
#include "core/crypto/memory.h"

struct sotto_part {
	const void *data;
	size_t len;
};

#define SOTTO_HKDF_MAX (255 * 32)

/* A key of any length; one of more than 64 octets is hashed first, as RFC 2104 says. out may be
 * the key or in a part. */
void sotto_hmac_sha256(uint8_t out[32], const uint8_t *key, size_t key_len,
		       const struct sotto_part *parts, size_t n);

/* No salt at all is the same as 32 zero octets of it (RFC 5869, 2.2). prk may be ikm or salt. */
void sotto_hkdf_extract(uint8_t prk[32], const void *salt, size_t salt_len, const uint8_t *ikm,
			size_t ikm_len);

/*
 * Makes okm_len octets, 0 to SOTTO_HKDF_MAX. Returns 0, or SOTTO_ERR_LENGTH with okm unchanged.
 * okm must not overlap prk or info.
 */
SOTTO_CHECKED int sotto_hkdf_expand(uint8_t *okm, size_t okm_len, const uint8_t prk[32],
				    const struct sotto_part *info, size_t n);

#endif
