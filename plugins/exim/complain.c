/* SPDX-License-Identifier: ISC */
/*
 * complain.c - says in Exim's main log what an administrator should look at. Called when something of ours did not
 * work, never on the normal path.
 *
 * Each connection is a process of its own, so the time of the last line is that of a file under /run, which is memory: the disk
 * with the state may be what is wrong. Where there can be no such file, every line is written.
 */
#include "plugins/exim/complain.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugins/exim/exim.h"
#include "plugins/exim/paths.h"

#define STAMP SOTTO_RUN_DIR "/.exim-log-limit"
#define EVERY 60	/* seconds */

/* A time in the future (the clock was set back) limits nothing. */
static bool is_due(void)
{
	struct stat st;
	time_t now = time(NULL);

	return lstat(STAMP, &st) != 0 || st.st_mtime > now || now - st.st_mtime >= EVERY;
}

/* The file stays empty, so that a full disk changes nothing. Root would leave one that Exim's own user cannot open. */
static void stamp(void)
{
	int fd = open(STAMP, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (geteuid() != 0 ? O_CREAT : 0), 0600);

	if (fd < 0)
		return;
	(void)futimens(fd, NULL);
	close(fd);
}

void sotto_complain(const char *format, ...)
{
	char line[512];
	va_list ap;

	if (!is_due())
		return;
	stamp();
	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	log_write(0, LOG_MAIN, "sotto: %s", line);
}
