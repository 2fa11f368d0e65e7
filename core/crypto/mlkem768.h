/* SPDX-License-Identifier: ISC */
/*
 * mlkem768.h - ML-KEM-768, the key encapsulation of FIPS 203 (August 2024).
 *
 * The caller brings the random octets, so nothing here can fail for want of them and every
 * published vector can be run as it is. Shared secrets have 32 octets. No branch and no address
 * depends on a secret. Outputs must not overlap inputs.
 *
 *	connect side	draw seed; keypair(ek, dk, seed); send ek, receive ct; decaps(ss, ct, dk)
 *	accept side	receive ek; draw m; encaps(ct, ss, ek, m), which refuses a bad ek; send ct
 *
 * A ct that was altered gives another secret, never an error (implicit rejection); PROTOCOL.md's
 * tag tells.
 */
#ifndef SOTTO_CRYPTO_MLKEM768_H
#define SOTTO_CRYPTO_MLKEM768_H

#include <stdint.h>

#include "core/crypto/error.h"
#include "core/crypto/memory.h"

#define SOTTO_MLKEM768_EK 1184  /* encapsulation key, public */
#define SOTTO_MLKEM768_DK 2400  /* decapsulation key, secret */
#define SOTTO_MLKEM768_CT 1088  /* ciphertext, public */
#define SOTTO_MLKEM768_SEED 64  /* d || z of FIPS 203, algorithm 16; secret */
#define SOTTO_MLKEM768_SS 32    /* shared secret */

/* FIPS 203, algorithm 16 (ML-KEM.KeyGen_internal). The caller wipes seed and dk. */
void sotto_mlkem768_keypair(uint8_t ek[SOTTO_MLKEM768_EK], uint8_t dk[SOTTO_MLKEM768_DK],
			    const uint8_t seed[SOTTO_MLKEM768_SEED]);

/*
 * FIPS 203, 7.2: the modulus check, then algorithm 17 with m, 32 random octets that are used once
 * and wiped by the caller. Returns 0, or SOTTO_ERR_KEY with ct and ss all zero when a coefficient
 * in ek is not reduced modulo 3329.
 */
SOTTO_CHECKED int sotto_mlkem768_encaps(uint8_t ct[SOTTO_MLKEM768_CT],
					uint8_t ss[SOTTO_MLKEM768_SS],
					const uint8_t ek[SOTTO_MLKEM768_EK], const uint8_t m[32]);

/*
 * FIPS 203, algorithm 18, for a dk that sotto_mlkem768_keypair made in this process: the hash check
 * of section 7.3, meant for a dk from elsewhere, is not made.
 */
void sotto_mlkem768_decaps(uint8_t ss[SOTTO_MLKEM768_SS], const uint8_t ct[SOTTO_MLKEM768_CT],
			   const uint8_t dk[SOTTO_MLKEM768_DK]);

#endif
