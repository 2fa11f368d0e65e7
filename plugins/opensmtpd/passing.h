/* SPDX-License-Identifier: ISC */
/*
 * What filter-sotto's parent does without a worker: a child of its own, and one for each connection, pass octets through. From whoever the
 * file require lists nothing is taken (451). Connections to the hop go to the address that was last known of the domain's mail server
 * (route.h); where none is known they hear 421. libc only.
 */
#ifndef SOTTO_OPENSMTPD_PASSING_H
#define SOTTO_OPENSMTPD_PASSING_H

#include "plugins/opensmtpd/listeners.h"

#define SOTTO_PASSING_MAX 500	/* connections; more wait in the kernel's queue */

struct sotto_passing {
	const char *backend;		/* ADDRESS:PORT of smtpd's inner listener */
	const char *conf_dir;		/* where require is */
	const char *state;
};

/* Serves the listeners; never returns. leash: when it ends, they are let go of, and the process ends with its last connection. */
_Noreturn void sotto_passing_serve(const struct sotto_passing *p, const struct sotto_listeners *l, int leash);

#endif
