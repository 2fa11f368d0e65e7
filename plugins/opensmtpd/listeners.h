/* SPDX-License-Identifier: ISC */
/*
 * The listening sockets of filter-sotto: port 25 to the world, by the file's capability, and the loopback hop (core/runtime/hop.h). They are
 * the parent's, so that nobody's connection is refused while a worker is started again. libc only.
 */
#ifndef SOTTO_OPENSMTPD_LISTENERS_H
#define SOTTO_OPENSMTPD_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_LISTENERS_MAX 16	/* addresses, the hop not counted */

struct sotto_listener {
	const char *text;		/* as the options say it */
	struct sockaddr_storage address;
	socklen_t len;
	int fd;				/* -1: not yet */
};

struct sotto_listeners {
	unsigned n;
	struct sotto_listener at[SOTTO_LISTENERS_MAX];
	uint16_t hop_port;		/* 0: no hop */
	int hop;			/* -1: not yet */
	bool told;			/* that some could not be had */
};

/* Everybody's IPv4 and IPv6, port 25, where the options name none. */
void sotto_listeners_default(struct sotto_listeners *l);

/* ADDRESS:PORT, the IPv6 address in brackets. 0; -1: it is none. */
SOTTO_CHECKED int sotto_listeners_address(struct sockaddr_storage *out, socklen_t *len, const char *text);

/* Such a one more. 0; -1: it is none, or there are too many. */
SOTTO_CHECKED int sotto_listeners_add(struct sotto_listeners *l, const char *text);

/*
 * Opens those that are not open yet. True: all are. What is wrong is logged once, and once more when all are there: until the smtpd before us
 * has let go of them they cannot be had.
 */
bool sotto_listeners_open(struct sotto_listeners *l);

/* Nobody listens there any more, not even a child that hangs: the next smtpd can have the ports. */
void sotto_listeners_end(const struct sotto_listeners *l);

/*
 * Whether this process could (another one may have them now: rights are looked at first). 0; -1, and a sentence on stderr. For who is about
 * to switch over.
 */
SOTTO_CHECKED int sotto_listeners_check(const struct sotto_listeners *l);

#endif
