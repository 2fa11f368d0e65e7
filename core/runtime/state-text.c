/* SPDX-License-Identifier: ISC */
/* Writes and reads the form of the small files (state-text.h). Called by state-peer.c and live.c; knows no file. */
#include "core/runtime/state-text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECK "check "
#define CHECK_LINE (sizeof(CHECK) - 1 + 16 + 1)

static const char digits[] = "0123456789abcdef";

/* Every step can be undone, so one changed octet never leaves the sum as it was. */
uint64_t sotto_text_sum(const char *at, size_t n)
{
	uint64_t sum = 14695981039346656037U;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (uint8_t)at[i]) * 1099511628211U;
	return sum;
}

void sotto_text_put(struct sotto_text_out *t, const char *format, ...)
{
	size_t room = t->n < sizeof(t->at) ? sizeof(t->at) - t->n : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = room > 0 ? vsnprintf(t->at + t->n, room, format, args) : -1;
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		t->n = sizeof(t->at) + 1;
	else
		t->n += (size_t)n;
}

void sotto_text_put_hex(struct sotto_text_out *t, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sotto_text_put(t, "%c%c", digits[octets[i] >> 4], digits[octets[i] & 15]);
}

int sotto_text_finish(struct sotto_text_out *t)
{
	if (t->n <= sizeof(t->at))
		sotto_text_put(t, CHECK "%016" PRIx64 "\n", sotto_text_sum(t->at, t->n));
	return t->n <= sizeof(t->at) ? 0 : -EFBIG;
}

static bool checked(struct sotto_text_in *in, const char *text, size_t n)
{
	uint8_t read[8];
	uint64_t sum = 0;
	size_t body = n - CHECK_LINE;

	*in = (struct sotto_text_in){ .at = text + body, .n = CHECK_LINE };
	if (!sotto_text_word(in, CHECK) || !sotto_text_hex(in, read, sizeof(read)) || !sotto_text_word(in, "\n"))
		return false;
	for (size_t i = 0; i < sizeof(read); i++)
		sum = sum << 8 | read[i];
	return sum == sotto_text_sum(text, body);
}

bool sotto_text_begin(struct sotto_text_in *in, const char *text, size_t n, const char *head)
{
	if (n < CHECK_LINE || n > SOTTO_TEXT_MAX || !checked(in, text, n))
		return false;
	*in = (struct sotto_text_in){ .at = text, .n = n - CHECK_LINE };
	return sotto_text_word(in, head) && sotto_text_word(in, "\n");
}

static void skip(struct sotto_text_in *in, size_t n)
{
	in->at += n;
	in->n -= n;
}

bool sotto_text_word(struct sotto_text_in *in, const char *word)
{
	size_t n = strlen(word);

	if (in->n < n || memcmp(in->at, word, n) != 0)
		return false;
	skip(in, n);
	return true;
}

bool sotto_text_number(struct sotto_text_in *in, int64_t max, int64_t *out)
{
	int64_t value = 0;
	size_t n = 0;

	for (; n < in->n && in->at[n] >= '0' && in->at[n] <= '9'; n++) {
		int digit = in->at[n] - '0';

		if ((n == 1 && value == 0) || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (n == 0 || value > max)
		return false;
	skip(in, n);
	*out = value;
	return true;
}

static int nibble(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

bool sotto_text_hex(struct sotto_text_in *in, uint8_t *out, size_t n)
{
	if (in->n / 2 < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = nibble(in->at[2 * i]), low = nibble(in->at[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	skip(in, 2 * n);
	return true;
}

bool sotto_text_number_line(struct sotto_text_in *in, const char *key, int64_t max, int64_t *out)
{
	return sotto_text_word(in, key) && sotto_text_word(in, " ") && sotto_text_number(in, max, out) &&
	       sotto_text_word(in, "\n");
}

bool sotto_text_bool_line(struct sotto_text_in *in, const char *key, bool *out)
{
	if (!sotto_text_word(in, key))
		return false;
	*out = sotto_text_word(in, " yes\n");
	return *out || sotto_text_word(in, " no\n");
}
