/* SPDX-License-Identifier: ISC */
/*
 * What table-sotto answers smtpd: which domains' mail takes the hop (match), and where to connect for it (relay). From files alone: sotto.conf,
 * require and exclude, the routes that the worker writes (route.h), and a lock that says whether there is a worker. No lookup waits for the
 * network or another process.
 */
#ifndef SOTTO_OPENSMTPD_TABLE_H
#define SOTTO_OPENSMTPD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"
#include "core/runtime/state-name.h"

#define SOTTO_WORKER_LOCK "worker.lock"	/* in RUN; a worker that serves the hop has a shared flock(2) on it */
#define SOTTO_TABLE_URL (SOTTO_FILE_NAME + 32)

struct sotto_table {
	const char *state, *conf, *run;	/* conf: sotto.conf's path */
	const char *judge;		/* table-sotto's child, a program */
	char conf_dir[1024];
	uint16_t port;			/* of the hop */
};

/* Up to four paths, separated by ':', each may be empty: STATE, CONF, RUN, JUDGE. They are cut up, and stay the caller's. */
void sotto_table_paths(struct sotto_table *t, char *text);

/* Whether mail for the domain takes the hop now. *by_host: because its mail server is required; its own name is not. */
bool sotto_table_match(const struct sotto_table *t, const char *domain, int64_t now, bool *by_host);

/*
 * Where mail goes that has taken it: to the hop, or, where nobody serves that, to the domain's own mail server by its name. False: no domain.
 * Where encryption is required the hop, or an address where nobody is, so that it waits.
 */
bool sotto_table_relay(const struct sotto_table *t, const char *domain, char url[SOTTO_TABLE_URL]);

/* What is in the way of mail taking the hop, whatever the domain: a sentence, or NULL. */
const char *sotto_table_obstacle(const struct sotto_table *t);

/*
 * The same for who has nobody to ask: of the first, only what is required takes the hop; of the second, the mail server's own name. libc
 * only, and few files.
 */
bool sotto_table_match_alone(const struct sotto_table *t, const char *domain);
bool sotto_table_relay_alone(const struct sotto_table *t, const char *domain, char url[SOTTO_TABLE_URL]);

/* Where the state cannot be read: what is required by the domain's own name; and an address where nobody is, so that mail waits (true). */
bool sotto_table_match_by_name(const struct sotto_table *t, const char *domain);
bool sotto_table_relay_nowhere(const struct sotto_table *t, char url[SOTTO_TABLE_URL]);

#endif
