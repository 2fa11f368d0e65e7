/* SPDX-License-Identifier: ISC */
/*
 * error.h - the failures that core/crypto knows, each named once.
 *
 * A fallible function of core/crypto returns 0 or one of these. They are negative, distinct
 * from each other, and lie below -100, so that other modules may number theirs from -1 down.
 */
#ifndef SOTTO_CRYPTO_ERROR_H
#define SOTTO_CRYPTO_ERROR_H

enum sotto_crypto_error {
	SOTTO_ERR_RANDOM = -101, /* random.h: the kernel gave no random octets */
	SOTTO_ERR_LENGTH = -102, /* kdf.h, aead.h: a length that the algorithm does not have */
	SOTTO_ERR_EMPTY = -103,  /* aead.h: an empty plaintext is neither sealed nor opened */
	SOTTO_ERR_FORGED = -104, /* aead.h: the tag does not belong to what came with it */
	SOTTO_ERR_ZERO = -105,   /* x25519.h: the shared secret is all zero */
	SOTTO_ERR_KEY = -106     /* mlkem768.h: not an encapsulation key (modulus check) */
};

#endif
