/* SPDX-License-Identifier: ISC */
/*
 * The bounded buffer between the two sides of a session (session.c). Every copy of octets inside the protocol goes
 * through here, so that no caller does arithmetic on pointers. Never allocates.
 */
#include "core/protocol/buffer.h"

#include <string.h>

#include "core/crypto/memory.h"

void sotto_buffer_init(struct sotto_buffer *b, uint8_t *storage, size_t cap)
{
	*b = (struct sotto_buffer){ .data = storage, .cap = cap };
}

size_t sotto_buffer_len(const struct sotto_buffer *b)
{
	return b->end - b->start;
}

size_t sotto_buffer_ready(const struct sotto_buffer *b)
{
	return b->end - b->start - b->held;
}

const uint8_t *sotto_buffer_head(const struct sotto_buffer *b)
{
	return b->data + b->start;
}

size_t sotto_buffer_free(const struct sotto_buffer *b)
{
	return b->cap - sotto_buffer_len(b);
}

uint8_t *sotto_buffer_tail(struct sotto_buffer *b)
{
	if (b->start > 0) {
		size_t len = sotto_buffer_len(b);
		memmove(b->data, b->data + b->start, len);
		b->start = 0;
		b->end = len;
	}
	return b->data + b->end;
}

void sotto_buffer_filled(struct sotto_buffer *b, size_t n)
{
	if (n > b->cap - b->end)
		sotto_cannot_happen(__FILE__, __LINE__);
	b->end += n;
}

bool sotto_buffer_put(struct sotto_buffer *b, const void *p, size_t n)
{
	if (n > sotto_buffer_free(b))
		return false;
	if (n > 0) {
		memcpy(sotto_buffer_tail(b), p, n);
		b->end += n;
	}
	return true;
}

size_t sotto_buffer_move(struct sotto_buffer *to, struct sotto_buffer *from)
{
	size_t n = sotto_buffer_ready(from);

	if (n > sotto_buffer_free(to))
		n = sotto_buffer_free(to);
	if (!sotto_buffer_put(to, sotto_buffer_head(from), n))
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_buffer_take(from, n);
	return n;
}

void sotto_buffer_take(struct sotto_buffer *b, size_t n)
{
	if (n > sotto_buffer_len(b))
		sotto_cannot_happen(__FILE__, __LINE__);
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void sotto_buffer_drop_held(struct sotto_buffer *b)
{
	b->end -= b->held;
	b->held = 0;
}
