/* SPDX-License-Identifier: ISC */
/*
 * The words of a Postfix parameter: separated by commas and white space, but for what stands in braces (`inline:{ {a = b}, {c = d} }`
 * is one word). No heap.
 */
#ifndef SOTTO_POSTFIX_SITE_WORDS_H
#define SOTTO_POSTFIX_SITE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The next word at *at, which is moved behind it; its length in *len. NULL: there is none. It is not terminated. */
const char *sotto_site_word(const char **at, size_t *len);

/* Is the word this text? Case counts. */
bool sotto_site_word_is(const char *word, size_t len, const char *text);

/* Is one of the words this text? Case does not count. */
bool sotto_site_words_have(const char *words, const char *text);

/* Has it no word at all? NULL has none. */
bool sotto_site_words_none(const char *words);

/*
 * A recipient domain as Postfix looks it up: in lower case, without the dot at its end. False, and out is "": it is no domain of
 * letters, digits, '-', '_' with a dot in it, or it looks like an IPv4 address.
 */
bool sotto_site_domain(char *out, size_t len, const char *in);

/* The parent of a domain, with the dot in front: ".org" of "example.org", "org" or "". NULL: there is none. */
const char *sotto_site_parent(const char *domain);

#endif
