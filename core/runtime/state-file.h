/* SPDX-License-Identifier: ISC */
/*
 * Small files in folders of ours: read whole, or replaced whole by one written aside. For state.c, state-domain.c, live.c, identity.c and hop.c.
 *
 * Nothing waits: no lock is waited for, no fsync, a FIFO or a device is no file, and no link is followed. All it needs of the
 * kernel is openat, read, write, close, fstat and fstatat, renameat, unlinkat, mkdirat and getdents64. libc only; no heap, but
 * for sotto_folder_prune.
 */
#ifndef SOTTO_RUNTIME_STATE_FILE_H
#define SOTTO_RUNTIME_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

#define SOTTO_ASIDE_PREFIX ".new-"
#define SOTTO_ASIDE_NAME 64

/* PID-TIME-COUNT: never the same again, whichever process asks. */
void sotto_file_unique(char name[SOTTO_ASIDE_NAME - sizeof(SOTTO_ASIDE_PREFIX)]);

/* A regular file to read from, or -errno; -EPROTO: something else has the name. at: a folder's descriptor, or AT_FDCWD. */
SOTTO_CHECKED int sotto_file_open(int at, const char *name);

/* All of fd, which has to be less than size octets: how many, or -errno (-EFBIG: more). */
SOTTO_CHECKED ssize_t sotto_file_read(int fd, char *buf, size_t size);

/* A new file (0600) in a folder, and its name, SOTTO_ASIDE_PREFIX and a unique one: fd, or -errno. */
SOTTO_CHECKED int sotto_file_aside(int folder, char name[SOTTO_ASIDE_NAME]);

/* All of it, or -errno. */
SOTTO_CHECKED int sotto_file_write(int fd, const char *text, size_t n);

/* 0, or -errno and the file is what it was. *created: there was none. */
SOTTO_CHECKED int sotto_file_replace(int folder, const char *name, const char *text, size_t n, bool *created);

/* Removes name if fd is open on it; where it is another file by now, that one stays. */
void sotto_file_take_away(int folder, const char *name, int fd);

/* dir/name as a descriptor; made (0700) where it is missing and make is true; name NULL: dir itself. fd, or -errno. */
SOTTO_CHECKED int sotto_folder_open(const char *dir, const char *name, bool make);

/* The names in a folder, in no order. Begin with a zeroed struct but for fd, which is read from where it stands. */
struct sotto_folder {
	int fd;
	size_t n, at;
	_Alignas(8) char buf[4096];
};

/* The next one, without . and ..; NULL: there are no more. Valid until the next call. */
const char *sotto_folder_next(struct sotto_folder *f);

/* Where a folder has more than bound files, removes the tenth of them that was written longest ago. */
void sotto_folder_prune(int folder, size_t bound);

/* For whoever has just put a new file into a folder: one in 256 of them prunes it. */
void sotto_folder_grown(int folder, size_t bound);

#endif
