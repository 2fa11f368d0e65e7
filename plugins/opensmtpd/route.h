/* SPDX-License-Identifier: ISC */
/*
 * Where mail for a domain went when it last went through the hop, for those who have to send it there without us: table-sotto (the host's
 * name, which smtpd looks up by itself) and filter-sotto without a worker (the address).
 *
 *     STATE/routes/example.org     text with a check over it (state-text.h), written aside and renamed into the folder
 *     STATE/routes/127.64.x.y      the same under the domain's address of the hop, for who knows only that
 *
 * As in state.h: unreadable is absent, nothing waits, libc only.
 */
#ifndef SOTTO_OPENSMTPD_ROUTE_H
#define SOTTO_OPENSMTPD_ROUTE_H

#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/runtime/state-name.h"

struct sotto_route {
	char domain[SOTTO_FILE_NAME];
	char host[SOTTO_FILE_NAME];		/* lower case */
	struct sockaddr_storage address;	/* plain, with its port */
};

/* which: a domain, or an address of the hop. 0; -ENOENT: none is known; *out is zero then. */
SOTTO_CHECKED int sotto_route_load(const char *state, const char *which, struct sotto_route *out);

/* Written only where it is another one. 0, or -errno and the file is what it was. -EINVAL: no such name or address. */
SOTTO_CHECKED int sotto_route_note(const char *state, const char *which, const struct sotto_route *r);

#endif
