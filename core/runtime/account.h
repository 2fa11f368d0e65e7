/* SPDX-License-Identifier: ISC */
/*
 * What is told of a session: its file among the live ones, its line in the log, what is remembered of the peer. Called by relay's
 * progress and done; a daemon has one of these for each session.
 */
#ifndef SOTTO_RUNTIME_ACCOUNT_H
#define SOTTO_RUNTIME_ACCOUNT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/runtime/counters.h"
#include "core/runtime/live.h"
#include "core/runtime/plan.h"
#include "core/runtime/relay.h"

struct sotto_account {
	enum sotto_role role;
	struct sockaddr_storage peer;	/* plain (addr.h) */
	socklen_t peer_len;		/* 0: not known; then nothing is remembered and nothing is live */
	const char *host, *domain;	/* as far as they are known, or NULL; the caller's */
	const char *adapter, *state, *run;
	bool required, avoided, offered_before, remembers_keys;
	int log_ms;			/* how long a line may wait for a full log when the session is over; 0 where others are under way */
	bool lists_later;		/* accept: no live file before sotto_account_settled() or the first news of it */
	pid_t pid;			/* whose session it is, for the live file; 0: this process's */
	/* Has the record written (counters.h) by somebody who may wait for a disk; NULL: it is written here. */
	void (*counted)(const char *state, const struct sotto_counted *c);
	bool native;			/* where it isn't sealed our mail server goes on natively: that is no refusal of ours */
	/* the account's own */
	struct sotto_live_file file;
	struct sotto_live live;
};

/*
 * Begins it, and, in the role accept, writes the session's live file, still clear. The fields above "the account's own" are filled in
 * by the caller.
 */
void sotto_account_open(struct sotto_account *a);

/* The report has grown: the live file says sealed before anything of the sealed session reaches our mail server. */
void sotto_account_progress(struct sotto_account *a, const struct sotto_report *report);

/* It is decided what the session is: from now on it has a live file in either role. */
void sotto_account_settled(struct sotto_account *a);

/* The session is over, and both its connections are closed: logs it, remembers what is to be remembered, removes the live file. */
void sotto_account_close(struct sotto_account *a, const struct sotto_relay_end *end);

/* Another process goes on with it: the live file stays, and is its. */
void sotto_account_abandon(struct sotto_account *a);

#endif
