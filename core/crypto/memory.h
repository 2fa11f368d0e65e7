/* SPDX-License-Identifier: ISC */
/*
 * memory.h - secrets in memory: wipe them, compare them, and end when the impossible happens.
 *
 * Everything that handles a key uses these three, and no memset() or memcmp() for the purpose:
 * a compiler may drop the one, and the time of the other tells where two strings differ.
 */
#ifndef SOTTO_CRYPTO_MEMORY_H
#define SOTTO_CRYPTO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* The result of a function that can fail must be looked at. */
#define SOTTO_CHECKED __attribute__((warn_unused_result))

/* Sets len octets at p to zero, whatever the optimizer thinks of it. p may be NULL if len is 0. */
void sotto_wipe(void *p, size_t len);

/*
 * True if the len octets at a and b are the same; true for len 0, where both may be NULL.
 * The time depends on len only.
 */
SOTTO_CHECKED bool sotto_equal(const void *a, const void *b, size_t len);

/*
 * For what cannot happen, such as a library refusing arguments that its manual allows:
 * sotto_cannot_happen(__FILE__, __LINE__). Tells the hook, if a program has set one (to log
 * file and line; it must not return to the failed computation), and ends the process by abort().
 */
_Noreturn void sotto_cannot_happen(const char *file, int line);

/* Set once at start, before there is anything to fail; NULL at first. */
extern void (*sotto_cannot_happen_hook)(const char *file, int line);

#endif
