/* SPDX-License-Identifier: ISC */
/*
 * mask.h - choosing by a secret bit without a branch. Used inside core/crypto only.
 *
 * Compilers know that a mask made of one bit is all ones or all zeroes, and may turn "x & mask"
 * into a branch. What went through sotto_opaque() they know nothing about. tests/ct shows that it
 * works for the compilers that we test.
 */
#ifndef SOTTO_CRYPTO_MASK_H
#define SOTTO_CRYPTO_MASK_H

#include <stdint.h>

/* x, of which the optimizer no longer knows anything. */
static inline uint32_t sotto_opaque(uint32_t x)
{
	__asm__("" : "+r"(x));
	return x;
}

/* All ones for bit 1, all zeroes for bit 0. */
static inline uint32_t sotto_mask(uint32_t bit)
{
	return sotto_opaque(0U - bit);
}

#endif
