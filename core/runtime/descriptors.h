/* SPDX-License-Identifier: ISC */
/* How many descriptors a process with many connections may have. libc only. */
#ifndef SOTTO_RUNTIME_DESCRIPTORS_H
#define SOTTO_RUNTIME_DESCRIPTORS_H

#include <sys/resource.h>

/* As many as the system lets us have, and no more than `most` are asked for: raises the limit, and returns what it is then. */
static inline rlim_t sotto_descriptors(rlim_t most)
{
	struct rlimit files = { 1024, 1024 };

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max && files.rlim_cur < most) {
		files.rlim_cur = files.rlim_max < most ? files.rlim_max : most;
		(void)setrlimit(RLIMIT_NOFILE, &files);
		(void)getrlimit(RLIMIT_NOFILE, &files);
	}
	return files.rlim_cur;
}

#endif
