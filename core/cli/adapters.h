/* SPDX-License-Identifier: ISC */
/*
 * The mail servers that Sotto knows, which of them are on this host, and what each plugin's own script says and does. And who the command
 * is: as root it changes to the adapter's user before it touches a file of Sotto's.
 */
#ifndef SOTTO_CLI_ADAPTERS_H
#define SOTTO_CLI_ADAPTERS_H

#include "core/cli/cli.h"

#define SOTTO_CLI_ADAPTERS 3
#define SOTTO_OWN_USER "_sotto"	/* packaging/sysusers */

struct sotto_adapter {
	const char *name;	/* as in --server and in the counters */
	const char *title;
	const char *user;
	const char *program;	/* the mail server's */
	const char *script;	/* the plugin's: enable, disable, status, changes */
	const char *unit;	/* the daemon of ours, or NULL */
};

extern const struct sotto_adapter sotto_adapters[SOTTO_CLI_ADAPTERS];

/* Both the mail server and our plugin for it are installed. */
bool sotto_adapter_present(const struct sotto_adapter *a);

/* The one that is meant: by --server, or the only one present; NULL, and it was said why. */
const struct sotto_adapter *sotto_adapter_choose(const struct sotto_cli *cli);

enum sotto_hooks { SOTTO_HOOKS_ON, SOTTO_HOOKS_OFF, SOTTO_HOOKS_DRIFTED, SOTTO_HOOKS_UNKNOWN };

#define SOTTO_ADAPTER_SAID 8192

/* Runs the script with these words and without a shell; what it says to stdout and stderr goes to said. Its exit code, or -1. */
int sotto_adapter_run(const struct sotto_adapter *a, const char *word, const char *other, char said[SOTTO_ADAPTER_SAID]);

/* What it said, without its own name in front. */
const char *sotto_adapter_words(const struct sotto_adapter *a, const char *said);

/* said: what is wrong, a line each; "" with ON and OFF. Only root is told. */
enum sotto_hooks sotto_adapter_hooks(const struct sotto_adapter *a, char said[SOTTO_ADAPTER_SAID]);

/* "on", "off", "drifted", "unknown" */
extern const char *const sotto_hooks_words[];

/*
 * As root: from here on, and for good, this process is the owner of the state folder; where that is root or there is none, the user of a
 * present adapter, and else nobody. 0, or SOTTO_CLI_UNKNOWN and it was said why.
 */
SOTTO_CHECKED int sotto_act_as_owner(const struct sotto_cli *cli);

/* The same in a process of its own: what function returns (0 to 127), or SOTTO_CLI_UNKNOWN. */
int sotto_as_owner(const struct sotto_cli *cli, int (*function)(const struct sotto_cli *cli, void *arg), void *arg);

#endif
