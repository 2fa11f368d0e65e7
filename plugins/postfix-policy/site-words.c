/* SPDX-License-Identifier: ISC */
/* Words of Postfix's parameters, and domains as it looks them up; for site.c and its companions. Pure. */
#include "plugins/postfix-policy/site-words.h"

#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t\r\n"

const char *sotto_site_word(const char **at, size_t *len)
{
	const char *start = *at + strspn(*at, SEPARATORS), *p = start;
	unsigned depth = 0;

	for (; *p != 0; p++) {
		if (*p == '{')
			depth++;
		else if (*p == '}' && depth > 0)
			depth--;
		else if (depth == 0 && strchr(SEPARATORS, *p) != NULL)
			break;
	}
	*at = p;
	*len = (size_t)(p - start);
	return *len > 0 ? start : NULL;
}

bool sotto_site_word_is(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(word, text, len) == 0;
}

bool sotto_site_words_have(const char *words, const char *text)
{
	const char *at = words, *word;
	size_t len;

	while ((word = sotto_site_word(&at, &len)) != NULL)
		if (strlen(text) == len && strncasecmp(word, text, len) == 0)
			return true;
	return false;
}

bool sotto_site_words_none(const char *words)
{
	return words == NULL || words[strspn(words, SEPARATORS)] == 0;
}

bool sotto_site_domain(char *out, size_t len, const char *in)
{
	size_t n = strlen(in);
	bool dot = false, letter = false;

	out[0] = 0;
	if (n > 0 && in[n - 1] == '.')
		n--;
	if (n == 0 || n >= len || n > 253 || in[0] == '.' || in[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = in[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		letter = letter || (c >= 'a' && c <= 'z');
		dot = dot || c == '.';
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '.' && in[i - 1] != '.'))) {
			out[0] = 0;
			return false;
		}
		out[i] = c;
	}
	out[dot && letter ? n : 0] = 0;
	return dot && letter;
}

const char *sotto_site_parent(const char *domain)
{
	return domain[0] != 0 ? strchr(domain + 1, '.') : NULL;
}
