/* SPDX-License-Identifier: ISC */
/*
 * aead.h - ChaCha20-Poly1305 (RFC 8439) over one whole message in memory (PROTOCOL.md 5).
 *
 * A sealed message is the ciphertext, as long as the plaintext, and the tag of 16 octets behind
 * it. A nonce must never be used twice with one key; that is the caller's care. in and out may be
 * the same address (in place), but not overlap otherwise. ad may be NULL if ad_len is 0.
 *
 * The empty plaintext is refused in both directions, because libtomcrypt 1.18.2 computes a wrong
 * tag for it; a record of PROTOCOL.md is never empty.
 */
#ifndef SOTTO_CRYPTO_AEAD_H
#define SOTTO_CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto/error.h"
#include "core/crypto/memory.h"

#define SOTTO_AEAD_KEY 32
#define SOTTO_AEAD_NONCE 12
#define SOTTO_AEAD_TAG 16

/* The longest plaintext that is taken: far over a record's, far under the algorithm's 256 GiB. */
#define SOTTO_AEAD_MAX ((size_t)1 << 30)

/*
 * Seals len octets from in; writes len + SOTTO_AEAD_TAG octets to out. Returns 0, or
 * SOTTO_ERR_EMPTY (len is 0) or SOTTO_ERR_LENGTH (len over SOTTO_AEAD_MAX) with out unchanged.
 */
SOTTO_CHECKED int sotto_aead_seal(uint8_t *out, const uint8_t key[SOTTO_AEAD_KEY],
				  const uint8_t nonce[SOTTO_AEAD_NONCE], const void *ad,
				  size_t ad_len, const uint8_t *in, size_t len);

/*
 * Opens len octets (ciphertext and tag) from in; writes len - SOTTO_AEAD_TAG octets to out.
 * Returns 0; SOTTO_ERR_FORGED with that part of out all zero; or, with out unchanged,
 * SOTTO_ERR_LENGTH (len under SOTTO_AEAD_TAG or over SOTTO_AEAD_MAX + SOTTO_AEAD_TAG) or
 * SOTTO_ERR_EMPTY (nothing but a tag). The tag is compared in constant time.
 */
SOTTO_CHECKED int sotto_aead_open(uint8_t *out, const uint8_t key[SOTTO_AEAD_KEY],
				  const uint8_t nonce[SOTTO_AEAD_NONCE], const void *ad,
				  size_t ad_len, const uint8_t *in, size_t len);

#endif
