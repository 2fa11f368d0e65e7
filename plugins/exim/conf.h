/* SPDX-License-Identifier: ISC */
/*
 * conf.h - the two things in /etc/sotto that have to be known before there is a session.
 *
 * This is no reader of sotto.conf: the session is the authority. It answers two questions in the direction in which
 * a mistake does no harm: a file that is odd in any way is not "off", and any mention of skip is "skip".
 */
#ifndef SOTTO_EXIM_CONF_H
#define SOTTO_EXIM_CONF_H

#include <stdbool.h>

struct sotto_hints {
	bool off;	/* mode = off, in a file in which nothing is wrong: a broken one must not switch require off */
	bool skip;	/* a line starts with starttls and speaks of skip */
};

/* A file that is missing, unreadable, or over 16 KiB says nothing. */
struct sotto_hints sotto_hints_read(const char *path);

/* Whether a list has an entry (a line that is more than a comment). A file that cannot be read has one; a missing one not. */
bool sotto_list_has_entries(const char *path);

/* The same for entries that are no address and no network: domains, hosts, everybody. */
bool sotto_list_has_names(const char *path);

#endif
