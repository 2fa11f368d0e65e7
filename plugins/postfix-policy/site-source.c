/* SPDX-License-Identifier: ISC */
/* The tables of a source and the files behind them, for site-maps.c. Asks nothing; stat(2) only. */
#include "plugins/postfix-policy/site-source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugins/postfix-policy/site-words.h"

static const char *const endings[] = { "", ".db", ".lmdb", ".cdb", ".dir", ".pag", ".sdbm" };
static const char *const in_files[] = { "hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "cidr", "pcre", "regexp" };
static const char *const in_itself[] = { "inline", "static", "fail" };
static const char *const whole[] = { "regexp", "pcre", "cidr", "tcp", "socketmap", "fail", "randmap" };

static bool type_in(const char *word, size_t len, const char *const *types, size_t n)
{
	const char *colon = memchr(word, ':', len);

	for (size_t i = 0; colon != NULL && i < n; i++)
		if (sotto_site_word_is(word, (size_t)(colon - word), types[i]))
			return true;
	return false;
}

static void pass_proxy(const char **word, size_t *len)
{
	while (*len > 6 && memcmp(*word, "proxy:", 6) == 0) {
		*word += 6;
		*len -= 6;
	}
}

bool sotto_site_maps_whole(const char *word, size_t len)
{
	pass_proxy(&word, &len);
	return type_in(word, len, whole, sizeof(whole) / sizeof(whole[0]));
}

uint64_t sotto_site_signature(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return 0;
	return ((uint64_t)st.st_mtim.tv_sec * 1000000007U) ^ ((uint64_t)st.st_mtim.tv_nsec << 20) ^ ((uint64_t)st.st_size << 1) ^
	       ((uint64_t)st.st_ino * 2654435761U) ^ 1U;
}

static uint64_t table_signature(const char *table)
{
	const char *name = strchr(table, ':');
	char path[1024];
	uint64_t sum = 0;

	if (name == NULL || name[1] != '/')
		return 0;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		int n = snprintf(path, sizeof(path), "%s%s", name + 1, endings[i]);

		sum = sum * 31 + (n > 0 && (size_t)n < sizeof(path) ? sotto_site_signature(path) : 0);
	}
	return sum;
}

bool sotto_site_source_look(struct sotto_site_source *s)
{
	uint64_t sum = 0, before = s->files;

	for (size_t i = 0; i < s->tables; i++)
		sum = sum * 33 + table_signature(s->table[i]);
	s->files = sum;
	if (sum == before)
		return false;
	s->epoch++;
	return true;
}

int sotto_site_source_set(struct sotto_site_source *s, const char *title, const char *words)
{
	const char *at = words, *word;
	size_t len;

	s->title = title;
	s->words = strdup(words);
	s->queue_end = &s->queue;
	s->local = true;
	while (s->words != NULL && (word = sotto_site_word(&at, &len)) != NULL) {
		pass_proxy(&word, &len);
		if (s->tables == SITE_TABLES || memchr(word, ':', len) == NULL || word[0] == '-')
			return -1;
		s->table[s->tables] = strndup(word, len);
		if (s->table[s->tables++] == NULL)
			return -1;
		s->local = s->local && (type_in(word, len, in_files, sizeof(in_files) / sizeof(in_files[0])) ||
					type_in(word, len, in_itself, sizeof(in_itself) / sizeof(in_itself[0])));
	}
	(void)sotto_site_source_look(s);
	return s->words != NULL && s->tables > 0 ? 0 : -1;
}

void sotto_site_source_free(struct sotto_site_source *s)
{
	free(s->words);
	for (size_t i = 0; i < s->tables; i++)
		free(s->table[i]);
}
