/* SPDX-License-Identifier: ISC */
/*
 * What sotto-connector and sotto-front have in common: whom they are started by, where their lines go, how they connect. Never prints
 * to a socket.
 */
#include "plugins/postfix-policy/spawned.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/log.h"

#define TEXT 1000

static struct {
	const char *name, *run;
	bool to_stderr, open;
} self = { .name = "sotto", .run = SOTTO_RUN_DIR };

void sotto_spawned(const char *name)
{
	self.name = name;
}

void sotto_spawned_log(bool to_stderr, const char *run)
{
	self.to_stderr = to_stderr;
	self.run = run;
}

static void open_log(void)
{
	if (!self.open)
		sotto_log_open(self.name, self.to_stderr);
	self.open = true;
}

void sotto_spawned_complain(const char *format, ...)
{
	struct stat st;
	char text[TEXT];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	open_log();
	sotto_log(LOG_ERR, "%s", text);
	if (!self.to_stderr && fstat(STDERR_FILENO, &st) == 0 && !S_ISSOCK(st.st_mode))
		(void)dprintf(STDERR_FILENO, "%s: %s\n", self.name, text);
}

void sotto_spawned_report(const char *stamp, int level, const char *format, ...)
{
	int saved = errno;
	char text[TEXT];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	open_log();
	sotto_log_limited(self.run, stamp, level, "%s", text);
	errno = saved;
}

int sotto_spawned_check(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(SOTTO_CLIENT, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM)
		return 0;
	sotto_spawned_complain("standard input is not a client's connection: this program is started by Postfix's spawn(8), as a service in "
			       "master.cf, and not by hand; see postfix-sotto(7)");
	return -1;
}

/* A unix socket is connected at once, or when its queue has room: then connect(2) waits for as long as sending may. */
int sotto_spawned_connect(const char *path, int64_t deadline)
{
	int left = sotto_left_ms(deadline), fd, error;
	struct timeval limit = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n >= sizeof(to.sun_path) || left == 0) {
		errno = left == 0 ? ETIMEDOUT : ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	error = errno == EAGAIN ? ETIMEDOUT : errno;
	close(fd);
	errno = error;
	return -1;
}
