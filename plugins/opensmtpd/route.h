/* SPDX-License-Identifier: ISC */
/*
 * Which domains take the hop, and where their mail goes without it. Written by the worker; read by table-sotto, which is smtpd's user, at each
 * lookup, and by filter-sotto where it has no worker. They can do with libc then, and need nothing else of the state.
 *
 *     STATE/table/example.org      text with a check over it (state-text.h), written aside and renamed into the folder; 0644
 *     STATE/table/127.64.x.y       the same under the domain's address of the hop, for who knows only that
 *
 * STATE and the folder may be entered by everybody, and listed by their owner alone. As in state.h: unreadable is absent, nothing waits.
 */
#ifndef SOTTO_OPENSMTPD_ROUTE_H
#define SOTTO_OPENSMTPD_ROUTE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/runtime/state-name.h"

struct sotto_route {
	char domain[SOTTO_FILE_NAME];
	struct in_addr hop;			/* claimed for the domain (hop.h) */
	int64_t until;				/* its offer is believed up to then; 0: it makes none */
	char host[SOTTO_FILE_NAME];		/* its mail server, lower case; "": not known */
	struct sockaddr_storage address;	/* plain, with its port; AF_UNSPEC: not known */
};

/* which: a domain, or an address of the hop. 0; -ENOENT: none is known; *out is zero then. */
SOTTO_CHECKED int sotto_route_load(const char *state, const char *which, struct sotto_route *out);

/* Under both names. 0, or -errno and a file is what it was. -EINVAL: values that could not be read again. */
SOTTO_CHECKED int sotto_route_save(const char *state, const struct sotto_route *r);

#endif
