/* SPDX-License-Identifier: ISC */
/* How the `sotto` command prints: JSON, tables, times, colours on a terminal. To stdout. */
#ifndef SOTTO_CLI_SHOW_H
#define SOTTO_CLI_SHOW_H

#include <stdint.h>

#include "core/cli/cli.h"

enum sotto_paint { SOTTO_PLAIN, SOTTO_BOLD, SOTTO_GREEN, SOTTO_YELLOW, SOTTO_RED, SOTTO_DIM };

/* Prints text, painted where there are colours. */
void sotto_show(const struct sotto_cli *cli, enum sotto_paint paint, const char *text);

/* The whole value, indented; takes it. Returns code, or SOTTO_CLI_UNKNOWN where stdout cannot be written to. */
int sotto_show_json(json_t *value, int code);

/*
 * rows: an array of arrays of n strings, taken. Columns as wide as what is in them; the last one is not filled up. Nothing but
 * the heads where there is no row.
 */
void sotto_show_table(const struct sotto_cli *cli, const char *const *heads, unsigned n, json_t *rows);

#define SOTTO_SHOW_TIME 24

/* "2026-11-28 09:15" in local time; "never" for 0. */
void sotto_show_time(char out[SOTTO_SHOW_TIME], int64_t when);

/* "5 s", "3 min", "2 h", "4 days" */
void sotto_show_span(char out[SOTTO_SHOW_TIME], int64_t seconds);

/* Whatever comes from elsewhere as a JSON string: printable ASCII; what is none becomes '?'. At most n octets, or up to a NUL. */
json_t *sotto_show_clean(const char *text, size_t n);

/* A string of an object, "" where there is none. */
const char *sotto_show_text(const json_t *object, const char *key);
int64_t sotto_show_number(const json_t *object, const char *key);

#endif
