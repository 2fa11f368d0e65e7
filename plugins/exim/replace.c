/* SPDX-License-Identifier: ISC */
/*
 * replace.c - dup3 over Exim's descriptors, with all that belongs to them. Called by interpose.c.
 */
#include "plugins/exim/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const int options[] = { SO_KEEPALIVE, SO_OOBINLINE, SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO };

static int over(int from, int onto)
{
	int flags = fcntl(onto, F_GETFD), rc;

	if (flags < 0)
		return -1;
	do
		rc = dup3(from, onto, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	while (rc < 0 && (errno == EINTR || errno == EBUSY));
	return rc < 0 ? -1 : 0;
}

static void take_options(int to, int from)
{
	union {
		int on;
		struct linger linger;
		struct timeval time;
	} value;

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		socklen_t len = sizeof(value);

		if (getsockopt(from, SOL_SOCKET, options[i], &value, &len) == 0)
			(void)setsockopt(to, SOL_SOCKET, options[i], &value, len);
	}
}

void sotto_put_back(const int *fds, unsigned n, int old)
{
	for (unsigned i = 0; i < n; i++)
		(void)over(old, fds[i]);
}

int sotto_replace(const int *fds, unsigned n, int with, int old)
{
	int flags = fcntl(old, F_GETFL), keep;

	if (flags < 0 || fcntl(with, F_SETFL, flags) != 0)
		return -1;
	take_options(with, old);
	for (unsigned i = 0; i < n; i++) {
		if (over(with, fds[i]) == 0)
			continue;
		keep = errno;
		sotto_put_back(fds, i, old);
		errno = keep;
		return -1;
	}
	return 0;
}
