/* SPDX-License-Identifier: ISC */
/*
 * aead.c - ChaCha20-Poly1305, a front over libtomcrypt 1.18.2.
 *
 * Called for each record. Does what libtomcrypt leaves to its caller: compares the tag, in constant
 * time, and lets nothing out that was not authenticated. Keeps two of its traps shut: NULL (it
 * calls abort()) and the empty plaintext (it computes a wrong tag).
 */
#include <tomcrypt.h>

#include "core/crypto/aead.h"

#define MUST(call)                                                                                 \
	do {                                                                                       \
		if ((call) != CRYPT_OK)                                                            \
			sotto_cannot_happen(__FILE__, __LINE__);                                   \
	} while (0)

static void start(chacha20poly1305_state *state, const uint8_t *key, const uint8_t *nonce,
		  const void *ad, size_t ad_len)
{
	MUST(chacha20poly1305_init(state, key, SOTTO_AEAD_KEY));
	MUST(chacha20poly1305_setiv(state, nonce, SOTTO_AEAD_NONCE));
	if (ad_len != 0)
		MUST(chacha20poly1305_add_aad(state, ad, (unsigned long)ad_len));
}

static void finish(chacha20poly1305_state *state, uint8_t tag[SOTTO_AEAD_TAG])
{
	unsigned long tag_len = SOTTO_AEAD_TAG;

	MUST(chacha20poly1305_done(state, tag, &tag_len));
	sotto_wipe(state, sizeof(*state));
	if (tag_len != SOTTO_AEAD_TAG)
		sotto_cannot_happen(__FILE__, __LINE__);
}

int sotto_aead_seal(uint8_t *out, const uint8_t key[SOTTO_AEAD_KEY],
		    const uint8_t nonce[SOTTO_AEAD_NONCE], const void *ad, size_t ad_len,
		    const uint8_t *in, size_t len)
{
	chacha20poly1305_state state;

	if (len == 0)
		return SOTTO_ERR_EMPTY;
	if (len > SOTTO_AEAD_MAX)
		return SOTTO_ERR_LENGTH;
	start(&state, key, nonce, ad, ad_len);
	MUST(chacha20poly1305_encrypt(&state, in, (unsigned long)len, out));
	finish(&state, out + len);
	return 0;
}

int sotto_aead_open(uint8_t *out, const uint8_t key[SOTTO_AEAD_KEY],
		    const uint8_t nonce[SOTTO_AEAD_NONCE], const void *ad, size_t ad_len,
		    const uint8_t *in, size_t len)
{
	chacha20poly1305_state state;
	uint8_t tag[SOTTO_AEAD_TAG];
	size_t text_len = len - SOTTO_AEAD_TAG;
	int result = 0;

	if (len < SOTTO_AEAD_TAG || text_len > SOTTO_AEAD_MAX)
		return SOTTO_ERR_LENGTH;
	if (text_len == 0)
		return SOTTO_ERR_EMPTY;
	start(&state, key, nonce, ad, ad_len);
	MUST(chacha20poly1305_decrypt(&state, in, (unsigned long)text_len, out));
	finish(&state, tag);
	/* The tag of the message stands behind what was overwritten, also in place. */
	if (!sotto_equal(tag, in + text_len, SOTTO_AEAD_TAG)) {
		sotto_wipe(out, text_len);
		result = SOTTO_ERR_FORGED;
	}
	sotto_wipe(tag, sizeof(tag)); /* a forger must not learn the right one */
	return result;
}
