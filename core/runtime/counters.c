/* SPDX-License-Identifier: ISC */
/*
 * Writes and reads the records of how sessions went (counters.h). Written by account.c, at the end of each session; read by the command.
 * Never waits, never fails loudly.
 */
#include "core/runtime/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"

#define NEWER "counters"
#define OLDER "counters.1"
#define RECORD SOTTO_COUNTERS_RECORD
#define SUMMED 40	/* octets under the check */
#define STEP 65536	/* octets over the bound after which room is made again, should the first who was to do it have been killed */

static const uint8_t head[4] = { 'S', 'o', 'C', 1 };

/* ---- a record ---- */

static void put(uint8_t *to, uint64_t value, unsigned octets)
{
	while (octets-- > 0) {
		to[octets] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const uint8_t *from, unsigned octets)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < octets; i++)
		value = value << 8 | from[i];
	return value;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
	return value < most ? value : most;
}

static bool is_sound(const struct sotto_counted *c)
{
	return c->adapter < SOTTO_COUNTED_ADAPTERS && c->outcome < SOTTO_COUNTED_OUTCOMES && c->cause <= UINT8_MAX && c->flags <= UINT16_MAX &&
	       c->at > 0 && c->at <= SOTTO_TIME_MAX;
}

static void write_record(uint8_t r[RECORD], const struct sotto_counted *c)
{
	memcpy(r, head, sizeof(head));
	r[4] = (uint8_t)c->adapter;
	r[5] = c->inbound;
	r[6] = (uint8_t)c->outcome;
	r[7] = (uint8_t)c->cause;
	put(r + 8, c->flags, 2);
	put(r + 10, at_most(c->exchange_ms, UINT16_MAX), 2);
	put(r + 12, c->duration_ms, 4);
	put(r + 16, (uint64_t)c->at, 8);
	put(r + 24, c->sent, 8);
	put(r + 32, c->received, 8);
	put(r + SUMMED, sotto_text_sum((const char *)r, SUMMED), 8);
}

static bool read_record(struct sotto_counted *c, const uint8_t r[RECORD])
{
	if (memcmp(r, head, sizeof(head)) != 0 || get(r + SUMMED, 8) != sotto_text_sum((const char *)r, SUMMED) || r[5] > 1)
		return false;
	*c = (struct sotto_counted){
		.adapter = (enum sotto_counted_adapter)r[4], .inbound = r[5] == 1, .outcome = (enum sotto_counted_outcome)r[6], .cause = r[7],
		.flags = (unsigned)get(r + 8, 2), .exchange_ms = (unsigned)get(r + 10, 2), .duration_ms = (unsigned)get(r + 12, 4),
		.at = (int64_t)at_most(get(r + 16, 8), INT64_MAX), .sent = get(r + 24, 8), .received = get(r + 32, 8),
	};
	return is_sound(c);
}

/* ---- writing ---- */

/* Every octet of the file is written by one process alone, and so is the one that goes over an edge. */
static bool over_an_edge(off_t end, off_t n)
{
	off_t bound = SOTTO_COUNTERS_BOUND, begin = end - n;

	return end >= bound && (begin < bound || (end - bound) / STEP != (begin - bound) / STEP);
}

/* Where somebody else was first, the file has its second name already. */
static void make_room(int folder, int fd)
{
	struct stat ours, named;

	if (fstat(fd, &ours) == 0 && fstatat(folder, NEWER, &named, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == named.st_ino)
		(void)renameat(folder, NEWER, folder, OLDER);
}

static int append(const char *dir, const uint8_t *records, size_t len)
{
	char path[PATH_MAX];
	int fd, folder, rc;
	off_t end;

	if (snprintf(path, sizeof(path), "%s/" NEWER, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = sotto_file_write(fd, (const char *)records, len);
	end = lseek(fd, 0, SEEK_CUR);
	if (rc == 0 && over_an_edge(end, (off_t)len)) {
		folder = sotto_folder_open(dir, NULL, false);
		if (folder >= 0) {
			make_room(folder, fd);
			close(folder);
		}
	}
	close(fd);
	return rc;
}

int sotto_counters_add(const char *dir, const struct sotto_counted *c)
{
	return sotto_counters_add_all(dir, c, 1);
}

int sotto_counters_add_all(const char *dir, const struct sotto_counted *c, size_t n)
{
	uint8_t records[SOTTO_COUNTERS_AT_ONCE * RECORD];

	if (n > SOTTO_COUNTERS_AT_ONCE)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!is_sound(&c[i]))
			return -EINVAL;
		write_record(records + i * RECORD, &c[i]);
	}
	return n > 0 ? append(dir, records, n * RECORD) : 0;
}

/* ---- reading ---- */

struct reading {
	void (*take)(void *arg, const struct sotto_counted *c);
	void *arg;
	size_t n;
	uint8_t at[1024 * RECORD];
};

/* A record, or an octet of what is none; what is left may be the beginning of one. */
static size_t take_records(struct reading *r)
{
	struct sotto_counted c;
	size_t at = 0;

	while (r->n - at >= RECORD) {
		bool sound = read_record(&c, r->at + at);

		if (sound)
			r->take(r->arg, &c);
		at += sound ? RECORD : 1;
	}
	memmove(r->at, r->at + at, r->n - at);
	r->n -= at;
	return at;
}

/* From an octet on to the last whole record: where that ends, or -errno. */
static int64_t read_from(struct reading *r, int fd, uint64_t from)
{
	int64_t done = (int64_t)from;
	ssize_t got;

	r->n = 0;
	while ((got = pread(fd, r->at + r->n, sizeof(r->at) - r->n, done + (off_t)r->n)) > 0) {
		r->n += (size_t)got;
		done += (int64_t)take_records(r);
	}
	return got == 0 ? done : -errno;
}

/* Both files, -1 where there is none, so that none of them is the other by its second name. 0, or -errno. */
static int open_both(int folder, int fds[2])
{
	struct stat newer, older;

	for (;;) {
		fds[1] = sotto_file_open(folder, NEWER);
		fds[0] = sotto_file_open(folder, OLDER);
		if (fds[0] < 0 && fds[1] < 0)
			return fds[1] == -ENOENT ? fds[0] : fds[1];
		if (fds[0] < 0 || fds[1] < 0 || fstat(fds[0], &older) != 0 || fstat(fds[1], &newer) != 0 || older.st_ino != newer.st_ino)
			return 0;
		close(fds[0]);
		close(fds[1]);
	}
}

static uint64_t inode(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* An inode may be used again, for a file that is shorter. */
static bool is_marked(int fd, const struct sotto_counters_mark *mark)
{
	struct stat st;

	return fd >= 0 && mark->file != 0 && fstat(fd, &st) == 0 && st.st_ino == mark->file && (uint64_t)st.st_size >= mark->at;
}

static int read_both(struct reading *r, const int fds[2], struct sotto_counters_mark *mark)
{
	unsigned first = is_marked(fds[1], mark) ? 1 : 0;
	struct sotto_counters_mark to = { 0 };

	for (unsigned i = first; i < 2; i++) {
		uint64_t file = inode(fds[i]);
		int64_t end = file != 0 ? read_from(r, fds[i], is_marked(fds[i], mark) ? mark->at : 0) : 0;

		if (end < 0)
			return (int)end;
		if (file != 0)
			to = (struct sotto_counters_mark){ file, (uint64_t)end };
	}
	*mark = to;
	return 0;
}

int sotto_counters_read(const char *dir, struct sotto_counters_mark *mark, void (*take)(void *arg, const struct sotto_counted *c), void *arg)
{
	struct sotto_counters_mark all = { 0 };
	struct reading r = { .take = take, .arg = arg };
	int folder = sotto_folder_open(dir, NULL, false), fds[2], rc;

	if (folder < 0)
		return folder;
	rc = open_both(folder, fds);
	close(folder);
	if (rc == 0)
		rc = read_both(&r, fds, mark != NULL ? mark : &all);
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}
