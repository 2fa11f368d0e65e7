/* SPDX-License-Identifier: ISC */
/*
 * What the fuzz targets share. Each target is one file fuzz-NAME.c with LLVMFuzzerTestOneInput, so that libFuzzer and AFL++ can
 * drive it, and replay.c, which gives it files. The same input does the same thing every time.
 */
#ifndef SOTTO_TESTS_FUZZ_H
#define SOTTO_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise. Where it does not hold, that is a finding. */
#define MUST(what)                                                                                  \
	do {                                                                                        \
		if (!(what)) {                                                                      \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                                    \
		}                                                                                   \
	} while (0)

/* A copy on the heap of exactly that size, so that a sanitizer sees a read beyond it. Never NULL. */
static inline uint8_t *fuzz_copy(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	MUST(copy != NULL);
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

#endif
