/* SPDX-License-Identifier: ISC */
/* The sessions that are open now, as JSON; for `sotto sessions`, `sotto status` and `sotto metrics`. */
#ifndef SOTTO_CLI_OPEN_NOW_H
#define SOTTO_CLI_OPEN_NOW_H

#include "core/cli/cli.h"

/* An array, in no order; NULL: the folder cannot be read, errno says why. */
json_t *sotto_open_now(const struct sotto_cli *cli);

/* How many of them: inbound and sealed as given. */
size_t sotto_open_count(const json_t *sessions, bool inbound, bool sealed);

#endif
