/* SPDX-License-Identifier: ISC */
/*
 * Files for the tests of names.c and conf.c, in a directory of their own that any user may look into. Included once by each.
 */
#ifndef SOTTO_TESTS_CONF_FILES_H
#define SOTTO_TESTS_CONF_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_S 60	/* for what must not wait at all */
#define NOBODY 65534

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sotto-conf-XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
		return -1;
	alarm(PATIENCE_S);
	return 0;
}

static int remove_dir(void **state)
{
	char command[96];

	(void)state;
	alarm(0);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);	/* NOLINT(cert-env33-c) */
}

/* A path in the directory, good until the fourth call after this. */
static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned at;
	char *path = paths[at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static const char *put_octets(const char *name, const void *text, size_t len)
{
	const char *path = in_dir(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return path;
}

static inline const char *put(const char *name, const char *text)
{
	return put_octets(name, text, strlen(text));
}

/* Root may read and write everything: for a while we are somebody else. */
static inline void become_nobody(void)
{
	if (geteuid() == 0)
		assert_int_equal(seteuid(NOBODY), 0);
}

static inline void become_self(void)
{
	assert_int_equal(seteuid(getuid()), 0);
}

#endif
