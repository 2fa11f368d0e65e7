/* SPDX-License-Identifier: ISC */
/* Trying another mail server, for `sotto probe` and for the test session of `sotto enable`. */
#ifndef SOTTO_CLI_PROBE_H
#define SOTTO_CLI_PROBE_H

#include "core/cli/cli.h"

/*
 * Connects to a domain's MX, a host, or an address (with or without brackets; of this host too), says EHLO, seals if that is offered, and
 * says QUIT. No mail is sent, nothing is remembered. It takes a minute at most. What was found, as sotto(8) describes it: "result" is
 * "sealed", "clear", "failed" (offered, and the exchange failed) or "unreachable". As the owner of the state folder: its keys are known.
 */
json_t *sotto_probe(const struct sotto_cli *cli, const char *target);

#endif
