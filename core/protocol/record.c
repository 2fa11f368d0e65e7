/* SPDX-License-Identifier: ISC */
/*
 * Seals and opens records for session-sealed.c. Knows one direction at a time and no order of types: which record may
 * follow which is the session's business.
 */
#include "core/protocol/record.h"

#include <string.h>

#include "core/crypto/aead.h"

static unsigned floor_log2(size_t n)
{
	unsigned e = 0;

	while (n >>= 1)
		e++;
	return e;
}

size_t sotto_record_padded(size_t n)
{
	size_t padded, mask;
	unsigned e, s;

	if (n < 1024)
		n = 1024;
	e = 10 + floor_log2(n >> 10);	/* at least 10, for whoever analyses the shift below */
	s = floor_log2(e) + 1;
	mask = ((size_t)1 << (e - s)) - 1;
	padded = (n + mask) & ~mask;
	return padded < SOTTO_RECORD_PLAINTEXT ? padded : SOTTO_RECORD_PLAINTEXT;
}

/* nonce = iv XOR (4 zero octets || u64 counter); each counter serves once. */
static int next_nonce(struct sotto_direction *d, uint8_t nonce[12])
{
	if (d->counter == UINT64_MAX)
		return SOTTO_RECORD_COUNTER;
	memcpy(nonce, d->iv, 12);
	for (unsigned i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(d->counter >> (8 * i));
	d->counter++;
	return 0;
}

long sotto_record_seal(struct sotto_direction *d, uint8_t *out, enum sotto_record_type type, const uint8_t *content,
		       size_t len, bool padding)
{
	size_t size, length;
	uint8_t nonce[12];

	if (len > SOTTO_RECORD_CONTENT)
		sotto_cannot_happen(__FILE__, __LINE__);
	if (next_nonce(d, nonce) != 0)
		return SOTTO_RECORD_COUNTER;
	size = padding ? sotto_record_padded(len + 1) : len + 1;
	length = size + SOTTO_AEAD_TAG;
	out[0] = (uint8_t)(length >> 8);
	out[1] = (uint8_t)length;
	if (len > 0)
		memcpy(out + 2, content, len);
	out[2 + len] = (uint8_t)type;
	memset(out + 2 + len + 1, 0, size - len - 1);
	if (sotto_aead_seal(out + 2, d->key, nonce, out, 2, out + 2, size) != 0)
		sotto_cannot_happen(__FILE__, __LINE__);
	return (long)(2 + length);
}

long sotto_record_size(const uint8_t *p, size_t len)
{
	long length;

	if (len < 2)
		return 0;
	length = (long)p[0] << 8 | p[1];
	if (length < SOTTO_RECORD_LENGTH_MIN || length > SOTTO_RECORD_LENGTH_MAX)
		return SOTTO_RECORD_LENGTH;
	return 2 + length;
}

/* The type is the last octet that is not zero. Padding is no secret from the one who has just authenticated it. */
static long read_plaintext(const uint8_t *plaintext, size_t len, enum sotto_record_type *type)
{
	while (len > 0 && plaintext[len - 1] == 0)
		len--;
	if (len == 0)
		return SOTTO_RECORD_ZERO;
	if (plaintext[len - 1] < SOTTO_DATA || plaintext[len - 1] > SOTTO_IDENT_RECORD)
		return SOTTO_RECORD_TYPE;
	*type = (enum sotto_record_type)plaintext[len - 1];
	return (long)(len - 1);
}

long sotto_record_open(struct sotto_direction *d, uint8_t *plaintext, enum sotto_record_type *type, const uint8_t *wire,
		       size_t size)
{
	uint8_t nonce[12];
	long content;

	if (next_nonce(d, nonce) != 0)
		content = SOTTO_RECORD_COUNTER;
	else if (sotto_aead_open(plaintext, d->key, nonce, wire, 2, wire + 2, size - 2) != 0)
		content = SOTTO_RECORD_FORGED;
	else
		content = read_plaintext(plaintext, size - 2 - SOTTO_AEAD_TAG, type);
	if (content < 0)
		sotto_wipe(plaintext, size - 2 - SOTTO_AEAD_TAG);
	return content;
}
