/* SPDX-License-Identifier: ISC */
/*
 * X25519 and ML-KEM-768 joined into the keys of a session, as PROTOCOL.md 4 and 7 say. Called by session-accept.c and
 * session-connect.c. Asks nobody for randomness, keeps nothing.
 */
#include "core/protocol/handshake.h"

#include <string.h>

#include "core/crypto/kdf.h"
#include "core/crypto/x25519.h"

#define SALT "XSOTTO/1"
#define IDENT_SALT "XSOTTO/1 ident"
#define TAG 16
#define OKM 152

/* client hello: ek[1184] X[32];  server hello: ct[1088] Y[32] tag[16] */
#define X_AT SOTTO_MLKEM768_EK
#define Y_AT SOTTO_MLKEM768_CT
#define TAG_AT (SOTTO_MLKEM768_CT + 32)

_Static_assert(offsetof(struct sotto_keys, h) == OKM, "the keys lie as okm does");

void sotto_transcript_begin(struct sotto_transcript *t)
{
	sotto_sha256_init(&t->hash);
	sotto_sha256_update(&t->hash, SALT, strlen(SALT));
}

void sotto_transcript_lines(struct sotto_transcript *t, const uint8_t *s, size_t len)
{
	const uint8_t u32[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

	sotto_sha256_update(&t->hash, u32, sizeof(u32));
	sotto_sha256_update(&t->hash, s, len);
}

void sotto_transcript_octets(struct sotto_transcript *t, const uint8_t *s, size_t len)
{
	sotto_sha256_update(&t->hash, s, len);
}

/* prk and okm from both shared secrets (ML-KEM's first) and H. */
static void derive(struct sotto_keys *keys, struct sotto_transcript *t, const uint8_t ikm[64])
{
	uint8_t prk[32];
	struct sotto_part info[2] = { { "keys", 4 }, { keys->h, 32 } };

	sotto_sha256_final(&t->hash, keys->h);
	sotto_hkdf_extract(prk, SALT, strlen(SALT), ikm, 64);
	if (sotto_hkdf_expand((uint8_t *)keys, OKM, prk, info, 2) != 0)
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_wipe(prk, sizeof(prk));
}

/* tag = first 16 octets of HMAC-SHA-256(confirmation key, "server" || H); the key serves once and is wiped. */
static void confirm(uint8_t tag[TAG], struct sotto_keys *keys)
{
	uint8_t mac[32];
	struct sotto_part parts[2] = { { "server", 6 }, { keys->h, 32 } };

	sotto_hmac_sha256(mac, keys->confirmation, 32, parts, 2);
	memcpy(tag, mac, TAG);
	sotto_wipe(mac, sizeof(mac));
	sotto_wipe(keys->confirmation, sizeof(keys->confirmation));
}

void sotto_client_hello(uint8_t hello[SOTTO_CLIENT_HELLO], struct sotto_client_secrets *secrets,
			const uint8_t random[SOTTO_CLIENT_RANDOM])
{
	sotto_mlkem768_keypair(hello, secrets->dk, random);
	memcpy(secrets->x, random + 64, 32);
	sotto_x25519_public(hello + X_AT, secrets->x);
}

int sotto_server_hello(uint8_t out[SOTTO_SERVER_HELLO], struct sotto_keys *keys, struct sotto_transcript *t,
		       const uint8_t client_hello[SOTTO_CLIENT_HELLO], const uint8_t random[SOTTO_SERVER_RANDOM])
{
	uint8_t ikm[64];
	int r = SOTTO_HANDSHAKE_BAD_KEY;

	if (sotto_mlkem768_encaps(out, ikm, client_hello, random) != 0 ||
	    sotto_x25519(ikm + 32, random + 32, client_hello + X_AT) != 0) {
		memset(out, 0, SOTTO_SERVER_HELLO);
		sotto_wipe(keys, sizeof(*keys));
		goto done;
	}
	sotto_x25519_public(out + Y_AT, random + 32);
	sotto_transcript_octets(t, out, TAG_AT);
	derive(keys, t, ikm);
	confirm(out + TAG_AT, keys);
	r = 0;
done:
	sotto_wipe(ikm, sizeof(ikm));
	return r;
}

int sotto_client_finish(struct sotto_keys *keys, struct sotto_transcript *t, struct sotto_client_secrets *secrets,
			const uint8_t server_hello[SOTTO_SERVER_HELLO])
{
	uint8_t ikm[64], tag[TAG];
	int r = 0;

	sotto_mlkem768_decaps(ikm, server_hello, secrets->dk);
	sotto_wipe(secrets->dk, sizeof(secrets->dk));
	if (sotto_x25519(ikm + 32, secrets->x, server_hello + Y_AT) != 0) {
		r = SOTTO_HANDSHAKE_BAD_KEY;
		goto done;
	}
	sotto_transcript_octets(t, server_hello, TAG_AT);
	derive(keys, t, ikm);
	confirm(tag, keys);
	if (!sotto_equal(tag, server_hello + TAG_AT, TAG))
		r = SOTTO_HANDSHAKE_ALTERED;
done:
	if (r != 0)
		sotto_wipe(keys, sizeof(*keys));
	sotto_wipe(ikm, sizeof(ikm));
	return r;
}

/* mac = first 16 octets of HMAC-SHA-256(k, S), k from the X25519 secret of the long-term and the client's key, and H. */
static int ident_mac(uint8_t mac16[TAG], const uint8_t s[32], const uint8_t secret[32], const uint8_t public[32],
		     const uint8_t h[32])
{
	uint8_t shared[32], prk[32], k[32], mac[32];
	struct sotto_part info = { h, 32 }, message = { s, 32 };
	int r = SOTTO_HANDSHAKE_BAD_KEY;

	if (sotto_x25519(shared, secret, public) != 0)
		goto done;
	sotto_hkdf_extract(prk, IDENT_SALT, strlen(IDENT_SALT), shared, 32);
	if (sotto_hkdf_expand(k, 32, prk, &info, 1) != 0)
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_hmac_sha256(mac, k, 32, &message, 1);
	memcpy(mac16, mac, TAG);
	r = 0;
	sotto_wipe(prk, sizeof(prk));
	sotto_wipe(k, sizeof(k));
	sotto_wipe(mac, sizeof(mac));
done:
	sotto_wipe(shared, sizeof(shared));
	return r;
}

int sotto_ident_make(uint8_t out[SOTTO_IDENT], const uint8_t secret[32], const uint8_t client_x[32], const uint8_t h[32])
{
	int r;

	sotto_x25519_public(out, secret);
	r = ident_mac(out + 32, out, secret, client_x, h);
	if (r != 0)
		memset(out, 0, SOTTO_IDENT);
	return r;
}

int sotto_ident_check(const uint8_t ident[SOTTO_IDENT], const uint8_t x[32], const uint8_t h[32])
{
	uint8_t mac[TAG];
	int r = ident_mac(mac, ident, x, ident, h);

	if (r != 0)
		return r;
	r = sotto_equal(mac, ident + 32, TAG) ? 0 : SOTTO_HANDSHAKE_ALTERED;
	sotto_wipe(mac, sizeof(mac));
	return r;
}
