/* SPDX-License-Identifier: ISC */
/*
 * memory.c - wiping, comparing in constant time, and the end for what cannot happen.
 *
 * Called by everything that holds a secret. Never allocates, logs or looks at what it compares.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/mask.h"
#include "core/crypto/memory.h"

void (*sotto_cannot_happen_hook)(const char *file, int line);

void sotto_wipe(void *p, size_t len)
{
	if (len != 0) /* the C library forbids NULL even for nothing */
		explicit_bzero(p, len);
}

bool sotto_equal(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a;
	const uint8_t *y = b;
	uint32_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= (uint32_t)x[i] ^ y[i];
	/* 0 becomes 1, and 1 to 255 become 0, without a branch. */
	return (bool)((sotto_opaque(differ) - 1) >> 31);
}

void sotto_cannot_happen(const char *file, int line)
{
	if (sotto_cannot_happen_hook != NULL)
		sotto_cannot_happen_hook(file, line);
	abort();
}
