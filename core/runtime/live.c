/* SPDX-License-Identifier: ISC */
/*
 * The files of open sessions (live.h). Written by sotto-session and the daemons, read by the Exim plugin, the policy service and
 * the command. Never waits.
 *
 * Who holds a lock lives. Whoever only wants to know takes the shared lock, and so never looks alive to another who asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/live-text.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"

#define SWEPT ".swept"
#define OUT "out-"	/* no address has a dash */
#define SWEEP_EVERY (10 * 60)
#define TRIES 16		/* far more than a session writes its file anew */

static int path_of(char out[256], const char *dir, const struct sockaddr *peer, bool inbound)
{
	char name[SOTTO_FILE_NAME], unique[SOTTO_ASIDE_NAME];
	int n = sotto_name_of_socket(name, peer);

	if (n != 0)
		return n;
	if (inbound) {
		n = snprintf(out, 256, "%s/%s", dir, name);
	} else {
		sotto_file_unique(unique);
		n = snprintf(out, 256, "%s/" OUT "%s-%s", dir, name, unique);
	}
	return n > 0 && n < 256 ? 0 : -ENAMETOOLONG;
}

/* A path of ours has a slash: path_of made it. */
static const char *name_in(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* The folder that path is in. fd, or -errno. */
static int open_folder(const char *path)
{
	size_t n = (size_t)(name_in(path) - path) - 1;
	char dir[256];

	memcpy(dir, path, n);
	dir[n] = '\0';
	return sotto_folder_open(dir, NULL, false);
}

/* Locked before it has its name: nobody ever sees it unlocked. fd, or -errno. */
static int put(int folder, const char *name, const struct sotto_text_out *text)
{
	char aside[SOTTO_ASIDE_NAME];
	int fd = sotto_file_aside(folder, aside), rc = 0;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = -errno;
	if (rc == 0)
		rc = sotto_file_write(fd, text->at, text->n);
	if (rc == 0 && renameat(folder, aside, folder, name) != 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	(void)unlinkat(folder, aside, 0);
	close(fd);
	return rc;
}

int sotto_live_write(struct sotto_live_file *f, const char *dir, const struct sockaddr *peer, const struct sotto_live *live)
{
	struct sotto_text_out text;
	int fd, folder, rc = sotto_live_text_write(&text, live);

	if (rc == 0 && f->fd < 0)
		rc = path_of(f->path, dir, peer, live->inbound);
	if (rc != 0) {
		sotto_live_remove(f);
		return rc;
	}
	folder = open_folder(f->path);
	fd = folder < 0 ? folder : put(folder, name_in(f->path), &text);
	if (folder >= 0)
		close(folder);
	if (fd < 0) {
		sotto_live_remove(f);
		return fd;
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	return 0;
}

void sotto_live_remove(struct sotto_live_file *f)
{
	int folder;

	if (f->fd < 0)
		return;
	folder = open_folder(f->path);
	if (folder >= 0) {
		sotto_file_take_away(folder, name_in(f->path), f->fd);
		close(folder);
	}
	close(f->fd);
	f->fd = -1;
}

/* 0: somebody holds it; -ESTALE: nobody does. */
static int held(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return -ESTALE;
	return errno == EWOULDBLOCK ? 0 : -errno;
}

/* The file that has the name now is another than fd's: its writer has put a newer one in its place. */
static bool replaced(int fd, const char *path)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev);
}

/* An open descriptor of a file that somebody holds, or -errno. Whoever writes anew lets the old file go: then the new one counts. */
static int open_held(const char *path)
{
	int rc = -ESTALE;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		int fd = sotto_file_open(AT_FDCWD, path);
		bool again;

		if (fd < 0)
			return fd;
		rc = held(fd);
		if (rc == 0)
			return fd;
		again = rc == -ESTALE && replaced(fd, path);
		close(fd);
		if (!again)
			break;
	}
	return rc;
}

static int read_file(const char *path, struct sotto_live *out)
{
	char text[SOTTO_TEXT_MAX + 1];
	int fd = open_held(path);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sotto_file_read(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return n == -EFBIG ? -EPROTO : (int)n;
	return sotto_live_text_read(out, text, (size_t)n) ? 0 : -EPROTO;
}

int sotto_live_read(const char *dir, const struct sockaddr *peer, struct sotto_live *out)
{
	char path[256];
	int error = errno, rc = path_of(path, dir, peer, true);

	memset(out, 0, sizeof(*out));
	if (rc == 0)
		rc = read_file(path, out);
	errno = error;
	return rc;
}

/* "192.0.2.1:25" of "192.0.2.1:25" and of "out-192.0.2.1:25-PID-TIME-COUNT". */
static void peer_of(char out[SOTTO_FILE_NAME], const char *name)
{
	size_t n;

	if (strncmp(name, OUT, sizeof(OUT) - 1) == 0)
		name += sizeof(OUT) - 1;
	n = strcspn(name, "-");
	if (n >= SOTTO_FILE_NAME)
		n = SOTTO_FILE_NAME - 1;
	memcpy(out, name, n);
	out[n] = '\0';
}

int sotto_live_list(const char *dir, void (*take)(void *arg, const char *peer, const struct sotto_live *live), void *arg)
{
	struct sotto_folder f = { .fd = sotto_folder_open(dir, NULL, false) };
	char path[512], peer[SOTTO_FILE_NAME];
	struct sotto_live live;
	const char *name;

	if (f.fd < 0)
		return f.fd;
	while ((name = sotto_folder_next(&f)) != NULL) {
		if (name[0] == '.' || strchr(name, ':') == NULL || snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
			continue;
		peer_of(peer, name);
		if (read_file(path, &live) == 0)
			take(arg, peer, &live);
	}
	close(f.fd);
	return 0;
}

static bool lately(const struct stat *st, int64_t now)
{
	return st->st_mtime <= now && now - st->st_mtime < SWEEP_EVERY;
}

/* Whoever makes the file anew, and only one can, sweeps. Making one needs no room, even where writing would find none. */
static bool our_turn(int folder)
{
	struct stat st;
	int fd;

	if (fstatat(folder, SWEPT, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (lately(&st, (int64_t)time(NULL)))
			return false;
		(void)unlinkat(folder, SWEPT, 0);
	}
	fd = openat(folder, SWEPT, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* A session's file, or one aside that is not on its way to becoming one this very moment: its lock comes after its name. */
static bool for_the_broom(int fd, const char *name)
{
	struct stat st;

	if (strncmp(name, SOTTO_ASIDE_PREFIX, sizeof(SOTTO_ASIDE_PREFIX) - 1) == 0)
		return fstat(fd, &st) == 0 && !lately(&st, (int64_t)time(NULL));
	return name[0] != '.' && strchr(name, ':') != NULL;
}

void sotto_live_sweep(const char *dir)
{
	struct sotto_folder f = { .fd = sotto_folder_open(dir, NULL, false) };
	const char *name;
	bool ours = f.fd >= 0 && our_turn(f.fd);

	while (ours && (name = sotto_folder_next(&f)) != NULL) {
		int fd = sotto_file_open(f.fd, name);

		if (fd < 0)
			continue;
		if (for_the_broom(fd, name) && held(fd) == -ESTALE)
			sotto_file_take_away(f.fd, name, fd);
		close(fd);
	}
	if (f.fd >= 0)
		close(f.fd);
}
