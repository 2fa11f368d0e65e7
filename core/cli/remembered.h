/* SPDX-License-Identifier: ISC */
/* What is remembered of peers, names and domains, as JSON; for `sotto peers` and `sotto forget`. Acts as whoever calls. */
#ifndef SOTTO_CLI_REMEMBERED_H
#define SOTTO_CLI_REMEMBERED_H

#include "core/cli/cli.h"

/*
 * {"peers": [...], "names": [...], "domains": [...]}, each with those last seen first; name: only what is remembered under that address,
 * host or domain; NULL: all. NULL: the folder cannot be read, errno says why.
 */
json_t *sotto_remembered(const struct sotto_cli *cli, const char *name);

/* Removes the files of what stands in such a value, the copies for the mail server's side too. How many, or -errno of the first that stays. */
int sotto_remembered_drop(const struct sotto_cli *cli, const json_t *what);

#endif
