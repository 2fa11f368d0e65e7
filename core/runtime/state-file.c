/* SPDX-License-Identifier: ISC */
/* Reads and replaces small files (state-file.h). Called by state.c, live.c and identity.c; never waits. */
#include "core/runtime/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int sotto_file_open(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? -EPROTO : -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EPROTO;
}

ssize_t sotto_file_read(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size && (got = read(fd, buf + n, size - n)) != 0) {
		if (got < 0)
			return -errno;
		n += (size_t)got;
	}
	return n < size ? (ssize_t)n : -EFBIG;
}

int sotto_file_write(int fd, const char *text, size_t n)
{
	ssize_t put = write(fd, text, n);

	if (put < 0)
		return -errno;
	/* What is written in part only is so because there is no room for the rest. */
	return (size_t)put == n ? 0 : -ENOSPC;
}

void sotto_file_unique(char name[SOTTO_ASIDE_NAME - sizeof(SOTTO_ASIDE_PREFIX)])
{
	static unsigned count;
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(name, SOTTO_ASIDE_NAME - sizeof(SOTTO_ASIDE_PREFIX), "%ld-%" PRId64 ".%09ld-%u", (long)getpid(),
		       (int64_t)now.tv_sec, now.tv_nsec, count++);
}

/* So that what a killed process left behind is in nobody's way. */
static void name_aside(char name[SOTTO_ASIDE_NAME])
{
	memcpy(name, SOTTO_ASIDE_PREFIX, sizeof(SOTTO_ASIDE_PREFIX));
	sotto_file_unique(name + sizeof(SOTTO_ASIDE_PREFIX) - 1);
}

int sotto_file_aside(int folder, char name[SOTTO_ASIDE_NAME])
{
	int fd;

	name_aside(name);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : -errno;
}

int sotto_file_replace(int folder, const char *name, const char *text, size_t n, bool *created)
{
	char aside[SOTTO_ASIDE_NAME];
	int fd = sotto_file_aside(folder, aside);
	struct stat st;
	int rc;

	if (fd < 0)
		return fd;
	rc = sotto_file_write(fd, text, n);
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	*created = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
	if (rc == 0 && renameat(folder, aside, folder, name) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlinkat(folder, aside, 0);
	return rc;
}

/*
 * To look first and remove then would now and again remove what somebody has put there in between. So it is moved away
 * first, looked at, and moved back where it is not the one that was meant.
 */
void sotto_file_take_away(int folder, const char *name, int fd)
{
	char aside[SOTTO_ASIDE_NAME];
	struct stat meant, found;

	name_aside(aside);
	if (fstat(fd, &meant) != 0 || fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0 || meant.st_ino != found.st_ino ||
	    meant.st_dev != found.st_dev || renameat(folder, name, folder, aside) != 0)
		return;
	if (fstatat(folder, aside, &found, AT_SYMLINK_NOFOLLOW) == 0 && meant.st_ino == found.st_ino && meant.st_dev == found.st_dev)
		(void)unlinkat(folder, aside, 0);
	else
		(void)renameat(folder, aside, folder, name);
}
