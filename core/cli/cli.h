/* SPDX-License-Identifier: ISC */
/*
 * The `sotto` command: what its subcommands share. Each of them first makes a JSON value of all that it has to say, which --json
 * prints and everything else is made of; so both say the same.
 */
#ifndef SOTTO_CLI_CLI_H
#define SOTTO_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

/* Exit codes, those of Nagios' plugins; sotto(8), EXIT STATUS, says what they mean for each subcommand. */
enum { SOTTO_CLI_OK = 0, SOTTO_CLI_WARNING = 1, SOTTO_CLI_CRITICAL = 2, SOTTO_CLI_UNKNOWN = 3 };

struct sotto_cli {
	bool json, yes, all;
	bool colour;		/* stdout is a terminal, and NO_COLOR is not set */
	const char *conf;	/* sotto.conf; require and exclude stand beside it */
	const char *state, *run;
	const char *server;	/* --server, or NULL */
	uint16_t port;		/* probe: 25 unless said */
	const char *command;	/* the subcommand's name */
	const char *arg;	/* its argument, or NULL */
};

/* The subcommands: an exit code each. */
int sotto_cli_status(struct sotto_cli *cli);
int sotto_cli_peers(struct sotto_cli *cli);
int sotto_cli_forget(struct sotto_cli *cli);
int sotto_cli_sessions(struct sotto_cli *cli);
int sotto_cli_metrics(struct sotto_cli *cli);
int sotto_cli_probe(struct sotto_cli *cli);
int sotto_cli_check(struct sotto_cli *cli);
int sotto_cli_enable(struct sotto_cli *cli);
int sotto_cli_disable(struct sotto_cli *cli);

/* Says what is wrong, and what to do, to stderr; returns SOTTO_CLI_UNKNOWN. */
__attribute__((format(printf, 1, 2))) int sotto_cli_fail(const char *format, ...);

#endif
