/* SPDX-License-Identifier: ISC */
/*
 * hash.c - SHA-2 and SHA-3, a front over libtomcrypt 1.18.2.
 *
 * Called by kdf.c, the handshake (transcript) and ML-KEM. Keeps libtomcrypt's hash_state in the
 * opaque structs of hash.h, and NULL away from it, for which it would call abort(). Never uses
 * its table of registered hashes, so there is nothing to initialise and nothing shared.
 */
#include <tomcrypt.h>

#include "core/crypto/hash.h"
#include "core/crypto/memory.h"

_Static_assert(sizeof(struct sotto_sha256) >= sizeof(struct sha256_state), "sha256 fits");
_Static_assert(sizeof(struct sotto_keccak) >= sizeof(struct sha3_state), "sha3 fits");

#define MUST(call)                                                                                 \
	do {                                                                                       \
		if ((call) != CRYPT_OK)                                                            \
			sotto_cannot_happen(__FILE__, __LINE__);                                   \
	} while (0)

/* libtomcrypt wants its union of all hashes, and touches only the member of the one in question. */
static hash_state *sha256(struct sotto_sha256 *hash)
{
	return (hash_state *)(void *)hash->opaque;
}

static hash_state *sha3(struct sotto_keccak *keccak)
{
	return (hash_state *)(void *)keccak->opaque;
}

void sotto_sha256_init(struct sotto_sha256 *hash)
{
	MUST(sha256_init(sha256(hash)));
}

void sotto_sha256_update(struct sotto_sha256 *hash, const void *data, size_t len)
{
	if (len != 0)
		MUST(sha256_process(sha256(hash), data, (unsigned long)len));
}

void sotto_sha256_final(struct sotto_sha256 *hash, uint8_t out[SOTTO_SHA256_SIZE])
{
	MUST(sha256_done(sha256(hash), out));
	sotto_wipe(hash, sizeof(*hash));
}

static void absorb(struct sotto_keccak *keccak, const void *data, size_t len)
{
	if (len != 0)
		MUST(sha3_process(sha3(keccak), data, (unsigned long)len));
}

static void squeeze(struct sotto_keccak *keccak, uint8_t *out, size_t len)
{
	if (len != 0)
		MUST(sha3_shake_done(sha3(keccak), out, (unsigned long)len));
}

static void digest(struct sotto_keccak *keccak, uint8_t *out)
{
	MUST(sha3_done(sha3(keccak), out));
	sotto_wipe(keccak, sizeof(*keccak));
}

void sotto_sha3_256_init(struct sotto_sha3_256 *hash)
{
	MUST(sha3_256_init(sha3(&hash->keccak)));
}

void sotto_sha3_256_update(struct sotto_sha3_256 *hash, const void *data, size_t len)
{
	absorb(&hash->keccak, data, len);
}

void sotto_sha3_256_final(struct sotto_sha3_256 *hash, uint8_t out[SOTTO_SHA3_256_SIZE])
{
	digest(&hash->keccak, out);
}

void sotto_sha3_512_init(struct sotto_sha3_512 *hash)
{
	MUST(sha3_512_init(sha3(&hash->keccak)));
}

void sotto_sha3_512_update(struct sotto_sha3_512 *hash, const void *data, size_t len)
{
	absorb(&hash->keccak, data, len);
}

void sotto_sha3_512_final(struct sotto_sha3_512 *hash, uint8_t out[SOTTO_SHA3_512_SIZE])
{
	digest(&hash->keccak, out);
}

void sotto_shake128_init(struct sotto_shake128 *xof)
{
	MUST(sha3_shake_init(sha3(&xof->keccak), 128));
}

void sotto_shake128_update(struct sotto_shake128 *xof, const void *data, size_t len)
{
	absorb(&xof->keccak, data, len);
}

void sotto_shake128_squeeze(struct sotto_shake128 *xof, uint8_t *out, size_t len)
{
	squeeze(&xof->keccak, out, len);
}

void sotto_shake128_end(struct sotto_shake128 *xof)
{
	sotto_wipe(xof, sizeof(*xof));
}

void sotto_shake256_init(struct sotto_shake256 *xof)
{
	MUST(sha3_shake_init(sha3(&xof->keccak), 256));
}

void sotto_shake256_update(struct sotto_shake256 *xof, const void *data, size_t len)
{
	absorb(&xof->keccak, data, len);
}

void sotto_shake256_squeeze(struct sotto_shake256 *xof, uint8_t *out, size_t len)
{
	squeeze(&xof->keccak, out, len);
}

void sotto_shake256_end(struct sotto_shake256 *xof)
{
	sotto_wipe(xof, sizeof(*xof));
}
