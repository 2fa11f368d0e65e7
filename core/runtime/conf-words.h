/* SPDX-License-Identifier: ISC */
/*
 * The settings of sotto.conf and the words that each may have. For conf.c, which reads the file, and for the Exim plugin, which
 * has to know whether a file that says "off" is a good one. libc only.
 */
#ifndef SOTTO_RUNTIME_CONF_WORDS_H
#define SOTTO_RUNTIME_CONF_WORDS_H

#include <string.h>

#define SOTTO_CONF_LINE 1024	/* a line of so many octets, its line feed not counted, is too long */
#define SOTTO_CONF_WORDS 3	/* of one setting, at most */

enum sotto_setting { SOTTO_SET_MODE, SOTTO_SET_STARTTLS, SOTTO_SET_PIN, SOTTO_SET_PADDING, SOTTO_SETTINGS };

/* The place of a word in its row is its value in struct sotto_conf. */
static const struct {
	const char *name, *words[SOTTO_CONF_WORDS];
} sotto_conf_table[SOTTO_SETTINGS] = {
	[SOTTO_SET_MODE] = { "mode", { "off", "observe", "opportunistic" } },
	[SOTTO_SET_STARTTLS] = { "starttls", { "keep", "skip", NULL } },
	[SOTTO_SET_PIN] = { "pin", { "off", "log", "enforce" } },
	[SOTTO_SET_PADDING] = { "padding", { "off", "on", NULL } },
};

/* The setting of that name, or -1. */
static inline int sotto_conf_setting(const char *name)
{
	for (int i = 0; i < SOTTO_SETTINGS; i++)
		if (strcmp(sotto_conf_table[i].name, name) == 0)
			return i;
	return -1;
}

/* The place of the word among those of the setting, or -1. */
static inline int sotto_conf_word(int setting, const char *word)
{
	for (int i = 0; i < SOTTO_CONF_WORDS && sotto_conf_table[setting].words[i] != NULL; i++)
		if (strcmp(sotto_conf_table[setting].words[i], word) == 0)
			return i;
	return -1;
}

#endif
