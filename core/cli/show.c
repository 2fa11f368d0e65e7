/* SPDX-License-Identifier: ISC */
/* Prints for the `sotto` command (show.h). Called by its subcommands; knows nothing of what it prints. */
#include "core/cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS 12

void sotto_show(const struct sotto_cli *cli, enum sotto_paint paint, const char *text)
{
	static const char *const codes[] = {
		[SOTTO_PLAIN] = "", [SOTTO_BOLD] = "1", [SOTTO_GREEN] = "32", [SOTTO_YELLOW] = "33", [SOTTO_RED] = "1;31", [SOTTO_DIM] = "2",
	};

	if (cli->colour && paint != SOTTO_PLAIN)
		printf("\033[%sm%s\033[0m", codes[paint], text);
	else
		(void)fputs(text, stdout);
}

int sotto_show_json(json_t *value, int code)
{
	int rc = value != NULL ? json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

	json_decref(value);
	return rc == 0 && putchar('\n') != EOF && fflush(stdout) == 0 ? code : SOTTO_CLI_UNKNOWN;
}

/* ---- tables ---- */

static const char *cell(const json_t *row, unsigned column)
{
	const char *text = json_string_value(json_array_get(row, column));

	return text != NULL ? text : "";
}

static void print_cell(const struct sotto_cli *cli, enum sotto_paint paint, const char *text, size_t width, bool last)
{
	sotto_show(cli, paint, text);
	if (last)
		(void)putchar('\n');
	else
		printf("%*s", (int)(width - strlen(text) + 2), "");
}

void sotto_show_table(const struct sotto_cli *cli, const char *const *heads, unsigned n, json_t *rows)
{
	size_t width[COLUMNS] = { 0 }, i;
	json_t *row;

	if (n > COLUMNS)
		sotto_cannot_happen(__FILE__, __LINE__);
	for (unsigned c = 0; c < n; c++) {
		width[c] = strlen(heads[c]);
		json_array_foreach(rows, i, row)
			if (strlen(cell(row, c)) > width[c])
				width[c] = strlen(cell(row, c));
	}
	for (unsigned c = 0; c < n; c++)
		print_cell(cli, SOTTO_BOLD, heads[c], width[c], c + 1 == n);
	json_array_foreach(rows, i, row)
		for (unsigned c = 0; c < n; c++)
			print_cell(cli, SOTTO_PLAIN, cell(row, c), width[c], c + 1 == n);
	json_decref(rows);
}

/* ---- words ---- */

void sotto_show_time(char out[SOTTO_SHOW_TIME], int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (when <= 0 || localtime_r(&t, &tm) == NULL || strftime(out, SOTTO_SHOW_TIME, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(out, SOTTO_SHOW_TIME, "never");
}

void sotto_show_span(char out[SOTTO_SHOW_TIME], int64_t seconds)
{
	if (seconds < 120)
		(void)snprintf(out, SOTTO_SHOW_TIME, "%lld s", (long long)(seconds > 0 ? seconds : 0));
	else if (seconds < 120 * 60)
		(void)snprintf(out, SOTTO_SHOW_TIME, "%lld min", (long long)(seconds / 60));
	else if (seconds < 48 * 3600)
		(void)snprintf(out, SOTTO_SHOW_TIME, "%lld h", (long long)(seconds / 3600));
	else
		(void)snprintf(out, SOTTO_SHOW_TIME, "%lld days", (long long)(seconds / 86400));
}

json_t *sotto_show_clean(const char *text, size_t n)
{
	size_t len = strnlen(text, n);
	char *copy = malloc(len + 1);
	json_t *value;

	if (copy == NULL)
		return json_string("");
	for (size_t i = 0; i < len; i++)
		copy[i] = (char)(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
	copy[len] = '\0';
	value = json_string(copy);
	free(copy);
	return value;
}

const char *sotto_show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

int64_t sotto_show_number(const json_t *object, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(object, key));
}
