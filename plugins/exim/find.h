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

#include "core/crypto/memory.h"

#define SOTTO_FOUND_MAX 8	/* descriptors of one connection */
#define SOTTO_SMTP_PORT 25

struct sotto_found {
	int fd[SOTTO_FOUND_MAX];
	unsigned n;
	struct sockaddr_storage local, peer;	/* plain (addr.h) */
	bool used;	/* something has been sent over it: TLS on connect, or in the middle of a session */
	bool proxied;	/* n is 0, but there is a connection from elsewhere to our port 25 (PROXY protocol) */
};

/*
 * Descriptors of which the other end is peer, address and port; only those below 1,024 are looked at. Returns their
 * number, 0 too where it is not certain that all of them are one and the same connection. The descriptors stay
 * Exim's.
 */
SOTTO_CHECKED unsigned sotto_find(struct sotto_found *out, const struct sockaddr_storage *peer);

#endif
