/* SPDX-License-Identifier: ISC */
/* Remembers since when Sotto has been on (enabled.h). Called by enable.c and status.c. */
#include "core/cli/enabled.h"

#include <unistd.h>

#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"

#define NAME "enabled"
#define HEAD "sotto-enabled 1"

int64_t sotto_enabled_since(const char *state)
{
	int folder = sotto_folder_open(state, NULL, false), fd;
	char text[SOTTO_TEXT_MAX + 1];
	struct sotto_text_in in;
	int64_t since = 0;
	ssize_t n = -1;

	if (folder < 0)
		return 0;
	fd = sotto_file_open(folder, NAME);
	if (fd >= 0) {
		n = sotto_file_read(fd, text, sizeof(text));
		close(fd);
	}
	close(folder);
	if (n < 0 || !sotto_text_begin(&in, text, (size_t)n, HEAD) || !sotto_text_number_line(&in, "since", SOTTO_TIME_MAX, &since))
		return 0;
	return since;
}

void sotto_enabled_note(const char *state, int64_t when)
{
	int folder = sotto_folder_open(state, NULL, false);
	struct sotto_text_out out = { 0 };
	bool created;

	if (folder < 0)
		return;
	sotto_text_put(&out, HEAD "\nsince %lld\n", (long long)when);
	if (when == 0)
		(void)unlinkat(folder, NAME, 0);
	else if (sotto_text_finish(&out) == 0)
		(void)!sotto_file_replace(folder, NAME, out.at, out.n, &created);
	close(folder);
}
