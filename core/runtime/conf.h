/* SPDX-License-Identifier: ISC */
/*
 * /etc/sotto/sotto.conf (ARCHITECTURE.md, Configuration; sotto.conf(5)), read by inih.
 */
#ifndef SOTTO_RUNTIME_CONF_H
#define SOTTO_RUNTIME_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/crypto/memory.h"

enum sotto_mode { SOTTO_MODE_OFF, SOTTO_MODE_OBSERVE, SOTTO_MODE_OPPORTUNISTIC };
enum sotto_pin { SOTTO_PIN_OFF, SOTTO_PIN_LOG, SOTTO_PIN_ENFORCE };

struct sotto_conf {
	enum sotto_mode mode;	/* default opportunistic */
	bool skip_starttls;	/* starttls = skip; default keep */
	enum sotto_pin pin;	/* default log */
	bool padding;		/* default on */
};

/* Every setting at its default: what a file without entries means. */
void sotto_conf_defaults(struct sotto_conf *c);

/*
 * Reads one file. A comment begins with '#' or ';', at the start of a line or behind white space. 0, or -1: out is untouched and
 * err says file, line and what is wrong, such as
 * "/etc/sotto/sotto.conf:4: mode is off, observe or opportunistic, not 'opportunist'". Missing and unreadable files, unknown
 * sections and settings, a setting said twice, NULs, over-long lines (1024 octets or more) and files over 64 KiB are errors.
 * Never waits (a FIFO is no file).
 */
SOTTO_CHECKED int sotto_conf_read(struct sotto_conf *out, const char *path, char *err, size_t len);

/*
 * The settings in force: those of the file; where that is broken, the last good ones, of which a copy is kept in the state
 * directory (sotto.conf.good, every setting spelt out, 0600, written aside and renamed, only where it differs); where there
 * never were any, or the copy is damaged, mode off. Always fills out. 0: the file is good; 1: the last good settings are used;
 * 2: mode off; with 1 and 2 err is as above.
 */
int sotto_conf_load(struct sotto_conf *out, const char *path, const char *state, char *err, size_t len);

#endif
