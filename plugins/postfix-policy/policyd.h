/* SPDX-License-Identifier: ISC */
/* What the parts of sotto-policyd share: its options, its settings, and the modules that it asks. */
#ifndef SOTTO_POSTFIX_POLICYD_H
#define SOTTO_POSTFIX_POLICYD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/runtime/conf.h"
#include "plugins/postfix-policy/domains.h"
#include "plugins/postfix-policy/site.h"

struct event_base;

struct sotto_policyd {
	/* options */
	const char *conf_path, *state, *run, *session, *postfix;	/* postfix: its configuration's folder, or NULL: postconf's own */
	uint16_t port;
	bool log_stderr;
	/* what follows from them */
	char conf_dir[4096], hop_dir[4096];
	/* settings in force */
	struct sotto_conf conf;
	bool conf_broken;	/* it is, and there never were good settings: require holds, all else is off */
	/* modules */
	struct event_base *base;
	struct sotto_domains *domains;
	struct sotto_site *site;
};

/*
 * Reads the arguments into *p; the strings stay the caller's. 0, or -1 after a sentence on stderr. --help and --version print and exit.
 */
SOTTO_CHECKED int sotto_policyd_options(struct sotto_policyd *p, int argc, char **argv);

/* sotto.conf, again. What is wrong with it is logged, with a limit. */
void sotto_policyd_conf(struct sotto_policyd *p);

#endif
