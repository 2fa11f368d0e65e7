/* SPDX-License-Identifier: ISC */
/*
 * x25519.h - Diffie-Hellman on Curve25519 (RFC 7748, 5).
 *
 * A scalar is any 32 random octets; it is clamped inside. A public key is any 32 octets: the top
 * bit is ignored and values over the prime are accepted (RFC 7748, 5; PROTOCOL.md 4). No branch
 * and no address depends on the scalar, on u or on anything made of them, except the one result
 * SOTTO_ERR_ZERO, which a peer brings about by its own choice of u and therefore knows.
 *
 * x25519-64.c and x25519-32.c both implement this; the build takes the one that suits the machine.
 */
#ifndef SOTTO_CRYPTO_X25519_H
#define SOTTO_CRYPTO_X25519_H

#include <stdint.h>

#include "core/crypto/error.h"
#include "core/crypto/memory.h"

#define SOTTO_X25519_SIZE 32

/*
 * out = X25519(scalar, u). Returns 0, or SOTTO_ERR_ZERO with out all zero when u is a point of
 * small order, so that the result would not depend on the scalar. out may be scalar or u.
 */
SOTTO_CHECKED int sotto_x25519(uint8_t out[SOTTO_X25519_SIZE],
			       const uint8_t scalar[SOTTO_X25519_SIZE],
			       const uint8_t u[SOTTO_X25519_SIZE]);

/* out = X25519(scalar, 9), the public key of scalar; never zero. out may be scalar. */
void sotto_x25519_public(uint8_t out[SOTTO_X25519_SIZE], const uint8_t scalar[SOTTO_X25519_SIZE]);

#endif
