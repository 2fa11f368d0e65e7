/* SPDX-License-Identifier: ISC */
/* The socketmap protocol (socketmap.h), for sotto-policyd's map service. Reads and writes octets in memory, decides nothing. */
#include "plugins/postfix-policy/socketmap.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 6	/* of SOTTO_SOCKETMAP_REQUEST */

/* The length in front of the colon. Its digits, or 0: more are needed, or -1: no length. */
static long read_length(size_t *length, const char *octets, size_t n)
{
	size_t digits = 0;

	*length = 0;
	while (digits < n && octets[digits] >= '0' && octets[digits] <= '9' && digits < DIGITS + 1)
		*length = *length * 10 + (size_t)(octets[digits++] - '0');
	if (digits == n && digits <= DIGITS)
		return 0;
	if (digits == 0 || digits > DIGITS || octets[digits] != ':' || (digits > 1 && octets[0] == '0') || *length > SOTTO_SOCKETMAP_REQUEST)
		return -1;
	return (long)digits;
}

long sotto_socketmap_read(struct sotto_socketmap_request *out, const char *octets, size_t n)
{
	size_t length, all;
	long digits = read_length(&length, octets, n);
	const char *text, *space;

	if (digits <= 0)
		return digits;
	all = (size_t)digits + 1 + length + 1;
	if (n < all)
		return 0;
	if (octets[all - 1] != ',')
		return -1;
	text = octets + digits + 1;
	space = memchr(text, ' ', length);
	out->map = text;
	out->map_len = space != NULL ? (size_t)(space - text) : length;
	out->key = space != NULL ? space + 1 : text + length;
	out->key_len = space != NULL ? length - out->map_len - 1 : 0;
	return (long)all;
}

size_t sotto_socketmap_write(char out[SOTTO_SOCKETMAP_REPLY], const char *status, const char *text)
{
	char body[SOTTO_SOCKETMAP_REPLY - DIGITS - 2];
	int n = snprintf(body, sizeof(body), "%s %s", status, text);
	size_t length = n < (int)sizeof(body) ? (size_t)n : sizeof(body) - 1;

	n = snprintf(out, SOTTO_SOCKETMAP_REPLY, "%zu:%.*s,", length, (int)length, body);
	return (size_t)n;
}
