/* SPDX-License-Identifier: ISC */
/*
 * find.h - which descriptors of this process are the connection with a peer.
 *
 * Exim does not tell a dlfunc its descriptors. They are found by what they are connected to: two for a connection that
 * came in, one for one that was made.
 */
#ifndef SOTTO_EXIM_FIND_H
#define SOTTO_EXIM_FIND_H

#include <stdbool.h>
#include <sys/socket.h>

#define SOTTO_FOUND_MAX 8	/* descriptors of one connection */
#define SOTTO_SMTP_PORT 25

struct sotto_found {
	int fd[SOTTO_FOUND_MAX];
	unsigned n;
	struct sockaddr_storage local, peer;	/* plain (addr.h) */
	bool used;	/* something has been sent over it: TLS on connect, or in the middle of a session */
};

/*
 * TCP sockets of which the other end is peer, address and port. Looks at all that this process may open (RLIMIT_NOFILE),
 * but not beyond 65,536. Returns their number, which is in out too; 0 where it is not certain that all of them are one
 * and the same connection. Where the peer spoke to a proxy (PROXY protocol, SOCKS) there is none: the other end is the proxy. The
 * descriptors stay Exim's.
 */
unsigned sotto_find(struct sotto_found *out, const struct sockaddr_storage *peer);

#endif
