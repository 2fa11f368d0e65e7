/* SPDX-License-Identifier: ISC */
/*
 * decide.h - what is to be done with a connection.
 */
#ifndef SOTTO_EXIM_DECIDE_H
#define SOTTO_EXIM_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "plugins/exim/find.h"

enum sotto_verdict {
	SOTTO_LEAVE,	/* it is not for us: Exim goes on as if we were not there */
	SOTTO_SEAL,	/* start a session; if that fails, as above */
	SOTTO_MUST	/* start a session; if that fails, refuse for the time being */
};

struct sotto_peer {
	const char *host;	/* its name, or NULL */
	const char *domain;	/* of the recipients, or NULL */
	const struct sockaddr_storage *addr;	/* plain */
	bool outbound;
	bool required;	/* already known to be listed in the file require */
};

/*
 * Whether the peer is listed in the file of that name in SOTTO_CONF_DIR. What is wrong with the file is written to
 * err, which is otherwise left alone; then what could be read counts, so a file that cannot be read lists nobody.
 */
bool sotto_listed(const char *file, const struct sotto_peer *peer, char *err, size_t len);

/* Both ends on loopback, among them our own pairs: such a connection never is for us. */
bool sotto_on_loopback(const struct sotto_found *found);

/* For a connection that is for us. err as above. */
enum sotto_verdict sotto_decide(const struct sotto_peer *peer, char *err, size_t len);

#endif
