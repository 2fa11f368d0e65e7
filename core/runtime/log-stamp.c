/* SPDX-License-Identifier: ISC */
/*
 * The stamp files of sotto_log_limited (log-stamp.h). Called by log.c alone. Logs nothing, creates no directory, and never waits.
 *
 * The time stands at the file's beginning and is written over in place; dots are only ever appended. So those who withhold need no
 * lock. The lock is for those who find the minute over: one of them gets it.
 */
#include "core/runtime/log-stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD 21	/* octets of the time, with its LF */

static int open_stamp(const char *dir, const char *name)
{
	char path[512];
	struct stat st;
	int len = snprintf(path, sizeof(path), "%s/%s", dir, name), fd;

	if (len < 0 || (size_t)len >= sizeof(path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -1;
}

/* Whether the last line is a minute old, or never was. */
static bool is_due(int fd, long long now)
{
	char head[HEAD + 1] = "";
	long long then;

	if (pread(fd, head, HEAD, 0) != HEAD || head[HEAD - 1] != '\n' || strspn(head, "0123456789") != HEAD - 1)
		return true;
	errno = 0;
	then = strtoll(head, NULL, 10);
	return errno != 0 || then > now || now - then >= SOTTO_LOG_STAMP_EVERY;
}

static void withhold(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size >= HEAD + SOTTO_LOG_STAMP_MOST || fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) != 0)
		return;
	(void)!write(fd, ".", 1);	/* what cannot be counted is withheld all the same */
}

/* Where the time cannot be written (a full disk), the next line is logged as well. */
static void renew(int fd, long long now, long *withheld)
{
	char head[HEAD + 1];
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size > HEAD)
		*withheld = (long)(st.st_size - HEAD);
	(void)snprintf(head, sizeof(head), "%020lld\n", now);
	if (pwrite(fd, head, HEAD, 0) == HEAD)
		(void)!ftruncate(fd, HEAD);
}

bool sotto_log_stamp(const char *dir, const char *name, long *withheld)
{
	long long now = (long long)time(NULL);
	int fd = open_stamp(dir, name);
	bool due;

	*withheld = 0;
	if (fd < 0)
		return true;
	due = is_due(fd, now);
	if (due && flock(fd, LOCK_EX | LOCK_NB) != 0)
		due = errno != EWOULDBLOCK;	/* somebody else is at it; a file system without locks limits nothing */
	else if (due)
		due = is_due(fd, now);	/* it was somebody else's turn just before */
	if (due)
		renew(fd, now, withheld);
	else
		withhold(fd);
	close(fd);
	return due;
}
