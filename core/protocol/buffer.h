/* SPDX-License-Identifier: ISC */
/*
 * A bounded buffer of octets with its cursors inside. Octets enter at the end and leave at the start.
 * The last `held` octets are in the buffer but not to be taken yet.
 * No function allocates; capacities are those of the structs below. All sizes are octets.
 */
#ifndef SOTTO_PROTOCOL_BUFFER_H
#define SOTTO_PROTOCOL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sotto_buffer {
	uint8_t *data;	/* storage that lives as long as the buffer */
	size_t cap;
	size_t start, end, held;
};

/* Makes `b` an empty buffer over `storage`. */
void sotto_buffer_init(struct sotto_buffer *b, uint8_t *storage, size_t cap);

/* Octets in the buffer, held ones included; those that may be taken; and where they start. */
size_t sotto_buffer_len(const struct sotto_buffer *b);
size_t sotto_buffer_ready(const struct sotto_buffer *b);
const uint8_t *sotto_buffer_head(const struct sotto_buffer *b);

/* Free octets, and a pointer to that many of them in one piece (moves what is in the buffer, if it must). */
size_t sotto_buffer_free(const struct sotto_buffer *b);
uint8_t *sotto_buffer_tail(struct sotto_buffer *b);

/* Declares `n` octets behind the tail filled; `n` is at most the free octets. */
void sotto_buffer_filled(struct sotto_buffer *b, size_t n);

/* Appends all of `n` octets, or none and returns false where they do not fit. */
bool sotto_buffer_put(struct sotto_buffer *b, const void *p, size_t n);

/* Appends as many of the ready octets of `from` as fit and takes them away there; how many that were. */
size_t sotto_buffer_move(struct sotto_buffer *to, struct sotto_buffer *from);

/* Takes `n` octets away at the start; `n` is at most the octets in the buffer. */
void sotto_buffer_take(struct sotto_buffer *b, size_t n);

/* Throws the held octets away. */
void sotto_buffer_drop_held(struct sotto_buffer *b);

#endif
