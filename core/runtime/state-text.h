/* SPDX-License-Identifier: ISC */
/*
 * The form of the small files that Sotto keeps: text that a person can read, and a machine knows whole or not at all.
 *
 *     sotto-peer 1                 what it is, and the format's number
 *     seen 1700000000              lines of a key, a space and a value, in a fixed order
 *     check 89abcdef01234567       FNV-1a, 64 bits, over every octet above this line
 *
 * Part of state.c and live.c: no system call, no heap, libc only. The check finds damage, not forgery: whoever may write
 * here may write anything.
 */
#ifndef SOTTO_RUNTIME_STATE_TEXT_H
#define SOTTO_RUNTIME_STATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_TEXT_MAX 4096		/* octets of a file */
#define SOTTO_TIME_MAX 253402300799	/* the last second of the year 9999 */

/* FNV-1a, 64 bits. */
uint64_t sotto_text_sum(const char *at, size_t n);

/* ---- writing: begin with n = 0, put lines, finish -------------------------------------------- */

struct sotto_text_out {
	size_t n;	/* over SOTTO_TEXT_MAX: it did not fit */
	char at[SOTTO_TEXT_MAX];
};

void sotto_text_put(struct sotto_text_out *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sotto_text_put_hex(struct sotto_text_out *t, const uint8_t *octets, size_t n);

/* Puts the check line. 0, or -EFBIG. */
SOTTO_CHECKED int sotto_text_finish(struct sotto_text_out *t);

/* ---- reading: each takes what it is for from the front, or is false and the whole file is odd -- */

struct sotto_text_in {
	const char *at;
	size_t n;
};

/* False where the first line is not head (without its LF), or the check is wrong. in: what stands between. */
SOTTO_CHECKED bool sotto_text_begin(struct sotto_text_in *in, const char *text, size_t n, const char *head);

SOTTO_CHECKED bool sotto_text_word(struct sotto_text_in *in, const char *word);
SOTTO_CHECKED bool sotto_text_number(struct sotto_text_in *in, int64_t max, int64_t *out);	/* decimal, 0 to max, no leading 0 */
SOTTO_CHECKED bool sotto_text_hex(struct sotto_text_in *in, uint8_t *out, size_t n);		/* n octets, lower case */

/* Whole lines: key, space, value, LF. */
SOTTO_CHECKED bool sotto_text_number_line(struct sotto_text_in *in, const char *key, int64_t max, int64_t *out);
SOTTO_CHECKED bool sotto_text_bool_line(struct sotto_text_in *in, const char *key, bool *out);	/* yes, no */

#endif
