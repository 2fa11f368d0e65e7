/* SPDX-License-Identifier: ISC */
/*
 * mlkem768-parts.h - the two halves of key generation; for mlkem768.c and tests/ct only.
 *
 * rho is public, but it is hashed from the secret d. A tool that follows secrets through memory can
 * only be told between the two halves that rho is none from here on.
 */
#ifndef SOTTO_CRYPTO_MLKEM768_PARTS_H
#define SOTTO_CRYPTO_MLKEM768_PARTS_H

#include "core/crypto/mlkem768.h"

/* FIPS 203, algorithm 13, step 1: (rho, sigma) = G(d || 3); rho, the first 32 octets, is public. */
void sotto_mlkem768_expand(uint8_t rho_sigma[64], const uint8_t d[32]);

/* Algorithm 13 from step 2 on, and the rest of algorithm 16. */
void sotto_mlkem768_generate(uint8_t ek[SOTTO_MLKEM768_EK], uint8_t dk[SOTTO_MLKEM768_DK],
			     const uint8_t rho_sigma[64], const uint8_t z[32]);

#endif
