/* SPDX-License-Identifier: ISC */
/*
 * vectors-x25519-other.h - the variant of X25519 that is not in libsotto.a, under another name.
 *
 * Where the library has x25519-64.c, the portable x25519-32.c comes in here as
 * sotto_x25519_other(). Where it has x25519-32.c already there is no other: the name then means it.
 */
#ifndef SOTTO_TESTS_VECTORS_X25519_OTHER_H
#define SOTTO_TESTS_VECTORS_X25519_OTHER_H

#ifdef __SIZEOF_INT128__
#define sotto_x25519 sotto_x25519_other
#define sotto_x25519_public sotto_x25519_public_other
#include "core/crypto/x25519-32.c" /* NOLINT(bugprone-suspicious-include) */
#undef sotto_x25519
#undef sotto_x25519_public
#undef SOTTO_CRYPTO_X25519_H
#else
#define sotto_x25519_other sotto_x25519
#define sotto_x25519_public_other sotto_x25519_public
#endif

#include "core/crypto/x25519.h"

#endif
