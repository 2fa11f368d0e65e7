/* SPDX-License-Identifier: ISC */
/*
 * Programs of ours that go on after their file was replaced by an upgrade (findings.h). Sessions, and what Postfix starts for a while, end by
 * themselves; what lasts as long as the mail server is told of.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/findings.h"

#define GONE " (deleted)"

static const struct {
	const char *program, *remedy;
} lasting[] = {
	{ "sotto-policyd", "systemctl restart sotto-policyd; sessions that are open go on" },
	{ "filter-sotto", "systemctl restart opensmtpd, when it suits; connections that are open end as with any restart" },
	{ "table-sotto", "systemctl restart opensmtpd, when it suits; connections that are open end as with any restart" },
};

enum { LASTING = sizeof(lasting) / sizeof(lasting[0]) };

/* "" where it may not be known. */
static void read_link(char out[PATH_MAX], const char *pid, const char *name)
{
	char path[PATH_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	n = readlink(path, out, PATH_MAX - 1);
	out[n > 0 ? n : 0] = '\0';
}

/* Which of them the process is, with its file gone; LASTING: none. */
static unsigned old_program(const char *pid, const char *own_space)
{
	char exe[PATH_MAX], space[PATH_MAX];
	const char *end, *name;

	read_link(exe, pid, "exe");
	end = strlen(exe) > sizeof(GONE) - 1 ? exe + strlen(exe) - (sizeof(GONE) - 1) : exe;
	if (strcmp(end, GONE) != 0)
		return LASTING;
	exe[end - exe] = '\0';
	name = strrchr(exe, '/');
	for (unsigned i = 0; name != NULL && i < LASTING; i++) {
		if (strcmp(name + 1, lasting[i].program) != 0)
			continue;
		/* one of a container is that container's business */
		read_link(space, pid, "ns/pid");
		return strcmp(space, own_space) == 0 ? i : LASTING;
	}
	return LASTING;
}

void sotto_check_running(json_t *list)
{
	char own_space[PATH_MAX];
	bool told[LASTING] = { false }, any = false;
	DIR *all = opendir("/proc");

	if (all == NULL)
		return;
	read_link(own_space, "self", "ns/pid");
	for (const struct dirent *one = readdir(all); one != NULL; one = readdir(all)) {
		unsigned i = isdigit((unsigned char)one->d_name[0]) ? old_program(one->d_name, own_space) : LASTING;

		if (i == LASTING || told[i])
			continue;
		told[i] = any = true;
		sotto_finding(list, SOTTO_CLI_WARNING, "programs", lasting[i].remedy, "%s still runs as it was before the upgrade", lasting[i].program);
	}
	(void)closedir(all);
	if (!any)
		sotto_finding(list, SOTTO_CLI_OK, "programs", "", "none runs that was replaced");
}
