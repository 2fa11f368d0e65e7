/* SPDX-License-Identifier: ISC */
/* Who is at the other end of a unix socket, as the kernel says. libc only. */
#ifndef SOTTO_RUNTIME_PEER_USER_H
#define SOTTO_RUNTIME_PEER_USER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether it is a process of our own user; *pid (may be NULL) is its number then. */
static inline bool sotto_peer_is_ours(int fd, pid_t *pid)
{
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 || who.uid != geteuid())
		return false;
	if (pid != NULL)
		*pid = who.pid;
	return true;
}

#endif
