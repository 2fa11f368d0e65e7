/* SPDX-License-Identifier: ISC */
/*
 * A list of domains like mydestination: names, `!` in front of what is not meant, /files with more of it, and tables. The first that
 * matches counts. For site.c.
 */
#ifndef SOTTO_POSTFIX_SITE_LIST_H
#define SOTTO_POSTFIX_SITE_LIST_H

#include "plugins/postfix-policy/site-maps.h"

#define SITE_LIST_FILES 16

enum sotto_site_parents {
	SITE_PARENTS_NO,	/* a name is that name */
	SITE_PARENTS_DOT,	/* .example.org is everything below example.org */
	SITE_PARENTS_ALL	/* example.org is everything below it as well */
};

struct sotto_site_pattern;

struct sotto_site_list {
	enum sotto_site_parents parents;
	struct sotto_site_pattern *pattern;
	size_t n;
	char *file[SITE_LIST_FILES];	/* that stood in it; when one changes, the list has to be made again */
	size_t files;
};

/* 0; or -errno, and in why which word is the reason. What was made is freed by sotto_site_list_free in any case. */
int sotto_site_list_make(struct sotto_site_list *list, struct sotto_site_maps *maps, const char *title, const char *words,
			 enum sotto_site_parents parents, char *why, size_t len);
void sotto_site_list_free(struct sotto_site_list *list);

/* FOUND: the domain is in it. Tables whose answer isn't known are asked, all of them. */
enum sotto_site_told sotto_site_list_has(const struct sotto_site_list *list, struct sotto_site_maps *maps, const char *domain);

#endif
