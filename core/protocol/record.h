/* SPDX-License-Identifier: ISC */
/*
 * Sealed records (PROTOCOL.md 5): length (2 octets) || ChaCha20-Poly1305 of content || type || zero octets.
 */
#ifndef SOTTO_PROTOCOL_RECORD_H
#define SOTTO_PROTOCOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_RECORD_PLAINTEXT 16384			/* the most octets of content, type and padding */
#define SOTTO_RECORD_CONTENT (SOTTO_RECORD_PLAINTEXT - 1)
#define SOTTO_RECORD_WIRE (2 + SOTTO_RECORD_PLAINTEXT + 16)
#define SOTTO_RECORD_LENGTH_MIN 17
#define SOTTO_RECORD_LENGTH_MAX 16400

enum sotto_record_type { SOTTO_DATA = 1, SOTTO_CLOSE = 2, SOTTO_IDENT_RECORD = 3 };

enum sotto_record_error {
	SOTTO_RECORD_LENGTH = -1,	/* too short or too long */
	SOTTO_RECORD_FORGED = -2,	/* does not authenticate */
	SOTTO_RECORD_ZERO = -3,		/* no type: all octets are zero */
	SOTTO_RECORD_TYPE = -4,		/* a type that version 1 does not have */
	SOTTO_RECORD_COUNTER = -5	/* 2^64 records: never wraps */
};

/* One direction: its key, its iv, and how many records went. Wipe it when the direction is over. */
struct sotto_direction {
	uint8_t key[32];
	uint8_t iv[12];
	uint64_t counter;
};

/* The plaintext's size for `n` octets of content and type: padme(max(1024, n)), at most SOTTO_RECORD_PLAINTEXT. */
size_t sotto_record_padded(size_t n);

/*
 * Seals `len` octets (at most SOTTO_RECORD_CONTENT) into `out`, with or without padding. Returns the octets written, at most
 * SOTTO_RECORD_WIRE, or SOTTO_RECORD_COUNTER. `out` and `content` do not overlap.
 */
SOTTO_CHECKED long sotto_record_seal(struct sotto_direction *d, uint8_t *out, enum sotto_record_type type,
				     const uint8_t *content, size_t len, bool padding);

/* The whole size on the wire of the record at `p`: 0 where more octets are needed to tell, or SOTTO_RECORD_LENGTH. */
SOTTO_CHECKED long sotto_record_size(const uint8_t *p, size_t len);

/*
 * Opens the whole record at `wire` (`size` as sotto_record_size said) into `plaintext`, which has room for size - 18 octets. Returns
 * the octets of content and sets *type; or an error, with plaintext zeroed.
 */
SOTTO_CHECKED long sotto_record_open(struct sotto_direction *d, uint8_t *plaintext, enum sotto_record_type *type,
				     const uint8_t *wire, size_t size);

#endif
