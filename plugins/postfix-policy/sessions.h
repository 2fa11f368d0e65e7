/* SPDX-License-Identifier: ISC */
/*
 * The processes of sotto-session that sotto-policyd has started: one for each connection of the hop. They are not ended with it
 * (KillMode=process): a reload, a restart or an upgrade of the daemon costs no mail. The program is opened once, at the start, so that an
 * upgrade under load never runs a half of each.
 */
#ifndef SOTTO_POSTFIX_SESSIONS_H
#define SOTTO_POSTFIX_SESSIONS_H

#include "plugins/postfix-policy/policyd.h"

#define SOTTO_SESSIONS_MAX 2000		/* at once; Postfix's own limits are far below */

struct sotto_sessions;

/* ended(arg, d): a session for this domain has ended. NULL with errno: no memory, or the program is not there. */
struct sotto_sessions *sotto_sessions_open(const struct sotto_policyd *p, void (*ended)(void *arg, struct sotto_domain *d), void *arg);
void sotto_sessions_close(struct sotto_sessions *s);	/* NULL is nothing; the processes go on */

/* Starts one with the connection mta, which stays the caller's. 0, or -errno: there is none (-EAGAIN: there are too many). */
SOTTO_CHECKED int sotto_sessions_start(struct sotto_sessions *s, struct sotto_domain *d, int mta);

unsigned sotto_sessions_count(const struct sotto_sessions *s);

#endif
