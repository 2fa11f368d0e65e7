/* SPDX-License-Identifier: ISC */
/* A file without a disk for targets that read by path. */
#ifndef SOTTO_TESTS_FUZZ_FILES_H
#define SOTTO_TESTS_FUZZ_FILES_H

#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

/* A path that names a file with these octets, valid until the next call. */
static inline const char *fuzz_file(const uint8_t *p, size_t n)
{
	static int fd = -1;
	static char path[64];

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		MUST(fd >= 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, p, n, 0) == (ssize_t)n);
	return path;
}

#endif
