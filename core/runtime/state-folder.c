/* SPDX-License-Identifier: ISC */
/* Folders of small files (state-file.h): opened, listed, kept small. Called by state.c and live.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/state-file.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)
#define DAY 86400

int sotto_folder_open(const char *dir, const char *name, bool make)
{
	int at = open(dir, FOLDER), fd, error;

	if (at < 0)
		return -errno;
	if (name == NULL)
		return at;
	fd = openat(at, name, FOLDER | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && make && (mkdirat(at, name, 0700) == 0 || errno == EEXIST))
		fd = openat(at, name, FOLDER | O_NOFOLLOW);
	error = errno;
	close(at);
	return fd >= 0 ? fd : -error;
}

const char *sotto_folder_next(struct sotto_folder *f)
{
	const struct dirent64 *entry;

	do {
		if (f->at >= f->n) {
			ssize_t got = getdents64(f->fd, f->buf, sizeof(f->buf));

			f->n = got > 0 ? (size_t)got : 0;
			f->at = 0;
			if (f->n == 0)
				return NULL;
		}
		entry = (const void *)(f->buf + f->at);
		f->at += entry->d_reclen;
	} while (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	return entry->d_name;
}

/* A descriptor of its own, which begins at the front. */
static bool list(struct sotto_folder *f, int folder)
{
	f->fd = openat(folder, ".", FOLDER);
	f->n = f->at = 0;
	return f->fd >= 0;
}

static size_t count(int folder)
{
	struct sotto_folder f;
	size_t n = 0;

	if (!list(&f, folder))
		return 0;
	while (sotto_folder_next(&f) != NULL)
		n++;
	close(f.fd);
	return n;
}

/* When a file was written; one from the far future, from before the clock was set back, is the oldest of all. -1: no file. */
static int64_t written(int folder, const char *name, int64_t now)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
		return -1;
	return st.st_mtime < 0 || st.st_mtime > now + DAY ? 0 : (int64_t)st.st_mtime;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The time of the file that is the last of the n oldest, and at most how many of exactly that time are among them. */
static int64_t nth_oldest(int64_t *times, size_t found, size_t n, size_t *of_that_time)
{
	size_t older = n - 1;

	qsort(times, found, sizeof(times[0]), by_time);
	while (older > 0 && times[older - 1] == times[n - 1])
		older--;
	*of_that_time = n - older;
	return times[n - 1];
}

static size_t read_times(int64_t *times, size_t room, int folder, int64_t now)
{
	struct sotto_folder f;
	const char *name;
	size_t n = 0;

	if (!list(&f, folder))
		return 0;
	while (n < room && (name = sotto_folder_next(&f)) != NULL) {
		times[n] = written(folder, name, now);
		n += times[n] >= 0;
	}
	close(f.fd);
	return n;
}

static void remove_older(int folder, int64_t last, size_t of_that_time, int64_t now)
{
	struct sotto_folder f;
	const char *name;

	if (!list(&f, folder))
		return;
	while ((name = sotto_folder_next(&f)) != NULL) {
		int64_t time_of = written(folder, name, now);

		if (time_of < 0 || time_of > last || (time_of == last && of_that_time == 0))
			continue;
		of_that_time -= time_of == last;
		(void)unlinkat(folder, name, 0);
	}
	close(f.fd);
}

void sotto_folder_prune(int folder, size_t bound)
{
	int64_t now = (int64_t)time(NULL), last;
	size_t n = count(folder), found, of_that_time;
	int64_t *times;

	if (n <= bound)
		return;
	times = calloc(n, sizeof(times[0]));
	if (times == NULL)
		return;
	found = read_times(times, n, folder, now);
	if (found > bound) {
		last = nth_oldest(times, found, found / 10 > 0 ? found / 10 : 1, &of_that_time);
		remove_older(folder, last, of_that_time, now);
	}
	free(times);
}

/* To list a folder costs more than to save a file: one new file in 256 pays for it, and nobody can tell which. */
static bool one_in_256(void)
{
	struct timespec now = { 0 };
	uint32_t mix;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	mix = ((uint32_t)now.tv_nsec ^ (uint32_t)getpid() << 16) * 2654435769U;
	return mix >> 24 == 0;
}

void sotto_folder_grown(int folder, size_t bound)
{
	if (one_in_256())
		sotto_folder_prune(folder, bound);
}
