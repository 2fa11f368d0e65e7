/* SPDX-License-Identifier: ISC */
/*
 * What Postfix's tables say of keys, asked of `postmap -q -` in the background, many keys at a time, and remembered. For site.c.
 *
 * A source is one or more tables that are asked as Postfix does: the first that has the key counts. A last table of our own that has
 * every key makes sure that nothing is taken for "not there" that was only not said.
 */
#ifndef SOTTO_POSTFIX_SITE_MAPS_H
#define SOTTO_POSTFIX_SITE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sotto_site_maps;

enum sotto_site_told { SITE_TOLD_NOT, SITE_TOLD_FOUND, SITE_TOLD_UNKNOWN, SITE_TOLD_FAILED };

/* news(arg): out of the loop, whenever there are new answers, or a source failed or works again. postmap and env stay the caller's. */
struct sotto_site_maps *sotto_site_maps_open(struct event_base *base, const char *postmap, const char *const *env, void (*news)(void *arg),
					     void *arg);
void sotto_site_maps_close(struct sotto_site_maps *maps);

/* title: the parameter, for sentences. A source that is there already is not made again. Its number; -1: no memory, or too many. */
int sotto_site_maps_source(struct sotto_site_maps *maps, const char *title, const char *words);

/* Of memory. FOUND: *value is what the table says, 255 octets at most, until the loop goes on. UNKNOWN has started the question. */
enum sotto_site_told sotto_site_maps_ask(struct sotto_site_maps *maps, int source, const char *key, const char **value);

/* Looks whether the files of tables have changed. */
void sotto_site_maps_look(struct sotto_site_maps *maps);

/* All sources have answered once, or failed. */
bool sotto_site_maps_ready(const struct sotto_site_maps *maps);

/* "", or which source fails, and how. */
const char *sotto_site_maps_failed(const struct sotto_site_maps *maps);

/* Tables that are asked with whole addresses only; "proxy:" in front is passed over. */
bool sotto_site_maps_whole(const char *word, size_t len);

/* A number that is another one once the file is (0 where there is none). */
uint64_t sotto_site_signature(const char *path);

#endif
