/* SPDX-License-Identifier: ISC */
/*
 * vectors-hex.h - octets written as hex digits, for the tests of core/crypto.
 */
#ifndef SOTTO_TESTS_VECTORS_HEX_H
#define SOTTO_TESTS_VECTORS_HEX_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *found = c != '\0' ? strchr(digits, c) : NULL;

	if (found == NULL)
		fail_msg("'%c' is no hex digit", c);
	return (int)(found - digits) % 16;
}

/* Fills exactly len octets; another number of digits fails the test. */
static inline void from_hex(uint8_t *out, size_t len, const char *hex)
{
	if (strlen(hex) != 2 * len)
		fail_msg("%zu hex digits where %zu octets are meant", strlen(hex), len);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(hex_digit(hex[2 * i]) * 16 + hex_digit(hex[2 * i + 1]));
}

/* Octets from the heap, so that a sanitizer sees an access beyond their end; the caller frees. */
static inline uint8_t *hex_octets(const char *hex, size_t *len)
{
	uint8_t *out = malloc(strlen(hex) / 2 + 1); /* never malloc(0) */

	assert_non_null(out);
	*len = strlen(hex) / 2;
	from_hex(out, *len, hex);
	return out;
}

static inline void assert_hex(const uint8_t *got, size_t len, const char *hex)
{
	size_t want_len;
	uint8_t *want = hex_octets(hex, &want_len);

	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, len);
	free(want);
}

static inline void assert_all(const uint8_t *got, size_t len, uint8_t octet)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(got[i], octet);
}

#endif
