/* SPDX-License-Identifier: ISC */
/*
 * Runs a command under a list of system calls, as systemd does for a unit with SystemCallFilter=. Called by the lab.
 *
 *     filtered kill|EPERM FILE COMMAND...     FILE: the calls that are allowed, a name a line
 *
 * kill: whoever makes another call ends with SIGSYS; EPERM: the call fails. As root, PR_SET_NO_NEW_PRIVS is not set, so that programs
 * which are set-user-ID stay what they are; nobody else may have a filter without it. Names that this libseccomp does not know are passed over, as systemd does.
 */
#include <err.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void allow(scmp_filter_ctx filter, FILE *f)
{
	char name[64];

	while (fgets(name, sizeof(name), f) != NULL) {
		int number;

		name[strcspn(name, "\n")] = '\0';
		number = seccomp_syscall_resolve_name(name);
		if (number != __NR_SCMP_ERROR)
			(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter;
	FILE *f;

	if (argc < 4)
		errx(2, "usage: filtered kill|EPERM FILE COMMAND...");
	f = fopen(argv[2], "re");
	if (f == NULL)
		err(1, "%s", argv[2]);
	filter = seccomp_init(strcmp(argv[1], "kill") == 0 ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL || seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() != 0) != 0)
		errx(1, "no filter to be had");
	allow(filter, f);
	(void)fclose(f);
	errno = -seccomp_load(filter);
	if (errno != 0)
		err(1, "the filter cannot be loaded");
	execvp(argv[3], argv + 3);
	err(1, "%s", argv[3]);
}
