/* SPDX-License-Identifier: ISC */
/* A source of site-maps.c: its tables, the files behind them, and whether they have changed. */
#ifndef SOTTO_POSTFIX_SITE_SOURCE_H
#define SOTTO_POSTFIX_SITE_SOURCE_H

#include "plugins/postfix-policy/site-maps.h"

#define SITE_TABLES 16	/* of a source */

struct sotto_child;
struct sotto_site_entry;

struct sotto_site_source {
	struct sotto_site_maps *maps;
	const char *title;
	char *words;	/* as it was given */
	char *table[SITE_TABLES];	/* TYPE:NAME */
	size_t tables;
	bool local;	/* all of it stands in files of this host, or in the parameter itself */
	uint64_t files;	/* what their files looked like last */
	unsigned epoch;	/* one more with each change */
	struct sotto_site_entry *queue, **queue_end, *asked;
	struct sotto_child *child;
	unsigned child_epoch, timeouts;
	int64_t child_at, tried;
	bool probed;
	char why[160];	/* it fails: how. Nothing is asked then but the probe */
};

/* 0; -1: no memory, too many tables, or a word that is no table. */
int sotto_site_source_set(struct sotto_site_source *s, const char *title, const char *words);
void sotto_site_source_free(struct sotto_site_source *s);

/* Takes note of changed files. True: they are others than before. */
bool sotto_site_source_look(struct sotto_site_source *s);

#endif
