/* SPDX-License-Identifier: ISC */
/* Lists like mydestination, for site.c. Reads /files while a list is made; afterwards memory only. */
#include "plugins/postfix-policy/site-list.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/postfix-policy/site-words.h"

#define PATTERNS 50000
#define FILE_MAX (1024 * 1024)
#define DEPTH 5

struct sotto_site_pattern {
	bool negate, whole;	/* whole: a table that isn't asked for parents */
	int source;	/* -1: a name */
	char *name;
};

struct making {
	struct sotto_site_list *list;
	struct sotto_site_maps *maps;
	const char *title;
	char *why;
	size_t len;
};

static int refuse(struct making *k, const char *word, size_t len, int error)
{
	(void)snprintf(k->why, k->len, "%s: %.*s: %s", k->title, (int)(len < 100 ? len : 100), word, strerror(error));
	return -error;
}

static int add(struct making *k, const struct sotto_site_pattern *p)
{
	struct sotto_site_list *l = k->list;

	if (l->n % 64 == 0) {
		struct sotto_site_pattern *more = l->n < PATTERNS ? realloc(l->pattern, (l->n + 64) * sizeof(*more)) : NULL;

		if (more == NULL)
			return ENOMEM;
		l->pattern = more;
	}
	l->pattern[l->n++] = *p;
	return 0;
}

static int add_name(struct making *k, const char *word, size_t len, bool negate)
{
	struct sotto_site_pattern p = { .negate = negate, .source = -1, .name = strndup(word, len) };

	for (char *c = p.name; c != NULL && *c != 0; c++)
		*c = (char)tolower((unsigned char)*c);
	if (p.name == NULL || add(k, &p) != 0) {
		free(p.name);
		return refuse(k, word, len, ENOMEM);
	}
	return 0;
}

static int add_table(struct making *k, const char *word, size_t len, bool negate)
{
	struct sotto_site_pattern p = { .negate = negate, .whole = sotto_site_maps_whole(word, len) };
	char *table = strndup(word, len);

	p.source = table != NULL ? sotto_site_maps_source(k->maps, k->title, table) : -1;
	free(table);
	return p.source < 0 || add(k, &p) != 0 ? refuse(k, word, len, ENOMEM) : 0;
}

/* The whole of a file, of the usual size of lists; NULL and errno. */
static char *whole_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		errno = EFBIG;
	else
		text = malloc((size_t)st.st_size + 1);
	while (text != NULL && have < (size_t)st.st_size && (n = read(fd, text + have, (size_t)st.st_size - have)) > 0)
		have += (size_t)n;
	if (text != NULL)
		text[have] = 0;
	close(fd);
	return text;
}

static int words_in(struct making *k, const char *words, bool negate, int depth);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH */
static int add_file(struct making *k, const char *word, size_t len, bool negate, int depth)
{
	struct sotto_site_list *l = k->list;
	char *path, *text, *line, *next;
	int error = 0;

	if (depth == DEPTH || l->files == SITE_LIST_FILES)
		return refuse(k, word, len, ELOOP);
	path = l->file[l->files] = strndup(word, len);
	if (path == NULL)
		return refuse(k, word, len, ENOMEM);
	l->files++;
	text = whole_file(path);
	if (text == NULL)
		return refuse(k, word, len, errno);
	for (line = text; line != NULL && error == 0; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = 0;
		error = words_in(k, line, negate, depth + 1);
	}
	free(text);
	return error;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH */
static int words_in(struct making *k, const char *words, bool negate, int depth)
{
	const char *word;
	size_t len;
	int error = 0;

	while (error == 0 && (word = sotto_site_word(&words, &len)) != NULL && *word != '#') {
		bool not = negate;

		for (; len > 0 && *word == '!'; word++, len--)
			not = !not;
		if (len > 0 && *word == '/')
			error = add_file(k, word, len, not, depth);
		else if (len > 0 && *word != '[' && memchr(word, ':', len) != NULL)
			error = add_table(k, word, len, not);
		else
			error = add_name(k, word, len, not);
	}
	return error;
}

int sotto_site_list_make(struct sotto_site_list *list, struct sotto_site_maps *maps, const char *title, const char *words,
			 enum sotto_site_parents parents, char *why, size_t len)
{
	struct making k = { .list = list, .maps = maps, .title = title, .why = why, .len = len };

	*list = (struct sotto_site_list){ .parents = parents };
	return words_in(&k, words, false, 0);
}

void sotto_site_list_free(struct sotto_site_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->pattern[i].name);
	for (size_t i = 0; i < list->files; i++)
		free(list->file[i]);
	free(list->pattern);
	*list = (struct sotto_site_list){ .n = 0 };
}

static bool name_matches(const struct sotto_site_list *list, const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	if (strcmp(name, domain) == 0)
		return true;
	if (list->parents == SITE_PARENTS_NO || n >= d || strcmp(domain + d - n, name) != 0)
		return false;
	return list->parents == SITE_PARENTS_DOT ? name[0] == '.' : domain[d - n - 1] == '.';
}

static enum sotto_site_told table_has(const struct sotto_site_list *list, struct sotto_site_maps *maps, const struct sotto_site_pattern *p,
				      const char *domain)
{
	enum sotto_site_told all = SITE_TOLD_NOT, one;
	const char *value;

	for (const char *key = domain; key != NULL && *key != 0; key = sotto_site_parent(key)) {
		one = sotto_site_maps_ask(maps, p->source, key + (key != domain && list->parents == SITE_PARENTS_ALL), &value);
		if (one == SITE_TOLD_FAILED || (one == SITE_TOLD_FOUND && all == SITE_TOLD_NOT))
			return one;
		if (one != SITE_TOLD_NOT)
			all = SITE_TOLD_UNKNOWN;
		if (list->parents == SITE_PARENTS_NO || p->whole)
			break;
	}
	return all;
}

enum sotto_site_told sotto_site_list_has(const struct sotto_site_list *list, struct sotto_site_maps *maps, const char *domain)
{
	bool unknown = false;

	for (size_t i = 0; i < list->n; i++) {
		const struct sotto_site_pattern *p = &list->pattern[i];
		enum sotto_site_told one = SITE_TOLD_NOT;

		if (p->source >= 0)
			one = table_has(list, maps, p, domain);
		else if (name_matches(list, p->name, domain))
			one = SITE_TOLD_FOUND;
		if (one == SITE_TOLD_FAILED)
			return one;
		if (one == SITE_TOLD_FOUND && !unknown)
			return p->negate ? SITE_TOLD_NOT : SITE_TOLD_FOUND;
		unknown = unknown || one == SITE_TOLD_UNKNOWN;
	}
	return unknown ? SITE_TOLD_UNKNOWN : SITE_TOLD_NOT;
}
