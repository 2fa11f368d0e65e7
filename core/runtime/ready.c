/* SPDX-License-Identifier: ISC */
/* The session's side of the socket --ready (ready.h). Called by sotto-session.c. */
#include "core/runtime/ready.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/deadline.h"

#define GO_MS 10000

static void let_go(int *fd)
{
	(void)close(*fd);
	*fd = -1;
}

/* 0: it was said, to somebody who answers; 1: to somebody who can't; -1. */
static int say(int fd)
{
	const char octet = SOTTO_READY;

	if (send(fd, &octet, 1, MSG_NOSIGNAL) == 1)
		return 0;
	if (errno != ENOTSOCK)
		return -1;
	return write(fd, &octet, 1) == 1 ? 1 : -1;
}

int sotto_ready_wait(int *fd, bool daemon)
{
	int said = *fd < 0 ? 1 : say(*fd);
	char octet = 0;
	ssize_t n = -1;

	if (*fd < 0)
		return 0;
	if (said == 0 && sotto_wait_fd(*fd, POLLIN, sotto_now_ms() + GO_MS) == 0)
		n = recv(*fd, &octet, 1, 0);
	if (n != 1 || !daemon)
		let_go(fd);
	if (daemon && (n == 0 || (said < 0 && errno == EPIPE)))
		return 0;
	return said == 1 || n == 1 ? 0 : -1;
}

void sotto_ready_tell(int fd, char what)
{
	if (fd >= 0)
		(void)!send(fd, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}
