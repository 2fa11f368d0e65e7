/* SPDX-License-Identifier: ISC */
/*
 * kdf.c - HMAC and HKDF over SHA-256.
 *
 * Called by the handshake and by IDENT. Written here on top of hash.h rather than over
 * libtomcrypt's hmac_ and hkdf_ functions, which take memory from the heap and want their hash
 * registered in a table of the process; RFC 2104 is a dozen lines.
 */
#include <string.h>

#include "core/crypto/hash.h"
#include "core/crypto/kdf.h"

#define BLOCK 64
#define DIGEST SOTTO_SHA256_SIZE

struct hmac {
	struct sotto_sha256 inner;
	struct sotto_sha256 outer;
};

static void hmac_init(struct hmac *mac, const uint8_t *key, size_t key_len)
{
	uint8_t pad[BLOCK] = { 0 };

	if (key_len > BLOCK) {
		sotto_sha256_init(&mac->inner);
		sotto_sha256_update(&mac->inner, key, key_len);
		sotto_sha256_final(&mac->inner, pad);
	} else if (key_len != 0) {
		memcpy(pad, key, key_len);
	}
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	sotto_sha256_init(&mac->inner);
	sotto_sha256_update(&mac->inner, pad, BLOCK);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sotto_sha256_init(&mac->outer);
	sotto_sha256_update(&mac->outer, pad, BLOCK);
	sotto_wipe(pad, sizeof(pad));
}

static void hmac_parts(struct hmac *mac, const struct sotto_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sotto_sha256_update(&mac->inner, parts[i].data, parts[i].len);
}

static void hmac_final(struct hmac *mac, uint8_t out[DIGEST])
{
	uint8_t digest[DIGEST];

	sotto_sha256_final(&mac->inner, digest);
	sotto_sha256_update(&mac->outer, digest, DIGEST);
	sotto_sha256_final(&mac->outer, out);
	sotto_wipe(digest, sizeof(digest));
}

void sotto_hmac_sha256(uint8_t out[32], const uint8_t *key, size_t key_len,
		       const struct sotto_part *parts, size_t n)
{
	struct hmac mac;

	hmac_init(&mac, key, key_len);
	hmac_parts(&mac, parts, n);
	hmac_final(&mac, out);
}

/* RFC 5869, 2.2: PRK = HMAC(salt, IKM); a missing salt and one of zeroes pad to the same block. */
void sotto_hkdf_extract(uint8_t prk[32], const void *salt, size_t salt_len, const uint8_t *ikm,
			size_t ikm_len)
{
	const struct sotto_part message = { ikm, ikm_len };

	sotto_hmac_sha256(prk, salt, salt_len, &message, 1);
}

/* RFC 5869, 2.3: T(i) = HMAC(PRK, T(i-1) || info || i), with T(0) empty and i one octet. */
int sotto_hkdf_expand(uint8_t *okm, size_t okm_len, const uint8_t prk[32],
		      const struct sotto_part *info, size_t n)
{
	struct hmac keyed;
	struct hmac mac;
	uint8_t t[DIGEST];
	uint8_t counter = 0;

	if (okm_len > SOTTO_HKDF_MAX)
		return SOTTO_ERR_LENGTH;
	hmac_init(&keyed, prk, DIGEST);
	for (size_t done = 0; done < okm_len; done += DIGEST) {
		size_t part = okm_len - done < DIGEST ? okm_len - done : DIGEST;

		mac = keyed;
		if (counter++ > 0)
			sotto_sha256_update(&mac.inner, t, DIGEST);
		hmac_parts(&mac, info, n);
		sotto_sha256_update(&mac.inner, &counter, 1);
		hmac_final(&mac, t);
		memcpy(okm + done, t, part);
	}
	sotto_wipe(&keyed, sizeof(keyed));
	sotto_wipe(t, sizeof(t));
	return 0;
}
