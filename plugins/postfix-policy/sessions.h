/* SPDX-License-Identifier: ISC */
/*
 * The processes of sotto-session that sotto-policyd has started: one for each connection of the hop. They are not ended with it
 * (KillMode=process): a reload, a restart or an upgrade of the daemon costs no mail. The program is opened once, at the start, so that an
 * upgrade under load never runs a half of each.
 *
 * A session is given its connection when it says that it is ready, which is when it has connected to the other mail server, or has found
 * that it can't. One that does not become so is killed, and the connection stays what it was: nobody has touched it.
 */
#ifndef SOTTO_POSTFIX_SESSIONS_H
#define SOTTO_POSTFIX_SESSIONS_H

#include "plugins/postfix-policy/policyd.h"

#define SOTTO_SESSIONS_MAX 2000		/* at once; Postfix's own limits are far below */
#define SOTTO_SESSION_READY_MS 5000	/* 4 s of looking up and connecting, and the start of a program on a busy machine */

struct sotto_sessions;

/* Never called from within sotto_sessions_start. */
struct sotto_sessions_hooks {
	void (*given)(void *arg, void *connection);			/* the session has it to itself: close yours */
	void (*failed)(void *arg, void *connection, const char *why);	/* the session that was to have it is no more */
	void (*told)(void *arg, struct sotto_domain *d, enum sotto_domain_offer what);
	void (*refused)(void *arg, struct sotto_domain *d, bool refused);	/* whether its mail server may be gone to without us (ready.h) */
	void (*ended)(void *arg, struct sotto_domain *d, bool given);	/* a session for this domain, after any of the above; given: it had the connection */
	void *arg;
};

/* NULL with errno: no memory, or the program is not there. */
struct sotto_sessions *sotto_sessions_open(const struct sotto_policyd *p, const struct sotto_sessions_hooks *hooks);

/* NULL is nothing. The processes go on, also those that are not ready yet: their connections are theirs when the caller closes its own. */
void sotto_sessions_close(struct sotto_sessions *s);

/*
 * Starts one with the connection mta, which stays the caller's until it hears `given` or `failed` with `connection`. 0, or -errno: there
 * is none, and nothing will be heard of it (-EAGAIN: there are too many).
 */
SOTTO_CHECKED int sotto_sessions_start(struct sotto_sessions *s, struct sotto_domain *d, int mta, void *connection);

/* Hears what sessions for this domain have said by now. It may lead to any of the hooks. */
void sotto_sessions_hear(struct sotto_sessions *s, const struct sotto_domain *d);

unsigned sotto_sessions_count(const struct sotto_sessions *s);

#endif
