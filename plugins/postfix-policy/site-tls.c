/* SPDX-License-Identifier: ISC */
/* TLS policies of Postfix's SMTP client, for site.c. Pure. Whatever is not understood speaks against the hop. */
#include "plugins/postfix-policy/site-tls.h"

#include <string.h>
#include <strings.h>

#include "plugins/postfix-policy/site-words.h"

static enum sotto_site_tls level_of(const char *word, size_t len)
{
	static const struct { const char *name; enum sotto_site_tls level; } weak[] = {
		{ "none", SOTTO_SITE_TLS_NONE }, { "may", SOTTO_SITE_TLS_MAY }, { "dane", SOTTO_SITE_TLS_DANE },
	};

	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (strlen(weak[i].name) == len && strncasecmp(weak[i].name, word, len) == 0)
			return weak[i].level;
	return SOTTO_SITE_TLS_STRONG;
}

enum sotto_site_tls sotto_site_tls_default(const char *level, bool enforce, bool use)
{
	size_t len;
	const char *word = sotto_site_word(&level, &len);

	if (word != NULL)
		return sotto_site_words_none(level) ? level_of(word, len) : SOTTO_SITE_TLS_STRONG;
	return enforce ? SOTTO_SITE_TLS_STRONG : use ? SOTTO_SITE_TLS_MAY : SOTTO_SITE_TLS_NONE;
}

bool sotto_site_tls_against(enum sotto_site_tls by_default, const char *entry)
{
	size_t len;
	const char *word = sotto_site_word(&entry, &len);
	enum sotto_site_tls level;

	if (word == NULL || !sotto_site_words_none(entry))
		return true;
	level = level_of(word, len);
	if (level == SOTTO_SITE_TLS_MAY && by_default == SOTTO_SITE_TLS_DANE)
		return false;
	return level == SOTTO_SITE_TLS_STRONG || level != by_default;
}
