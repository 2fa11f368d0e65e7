/* SPDX-License-Identifier: ISC */
/*
 * One session from its plan to its account, around a relay: what sotto-session does once, and a daemon many times on one loop. Finding
 * the two ends, the loop, and a sandbox are the caller's.
 */
#ifndef SOTTO_RUNTIME_CONDUCT_H
#define SOTTO_RUNTIME_CONDUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/runtime/account.h"
#include "core/runtime/conf.h"
#include "core/runtime/plan.h"
#include "core/runtime/relay.h"
#include "core/runtime/state-domain.h"

struct event_base;

/* The strings, and what they and conf point to, are the caller's, and stay for as long as the session does. */
struct sotto_conduct_config {
	enum sotto_role role;
	struct sockaddr_storage peer, local;	/* of net, plain (addr.h) */
	socklen_t peer_len;			/* 0: not known */
	const char *host;			/* the peer's name, as far as it is known, or NULL */
	const char *domain;			/* the recipients' domain, or NULL */
	const char *learns;			/* connect: the domain of which is noted what the peer offers, or NULL */
	bool require, keep_starttls, native;	/* plan.h */
	int log_ms;				/* account.h, as are pid, counted and lists_later */
	bool lists_later;
	pid_t pid;
	void (*counted)(const char *state, const struct sotto_counted *c);
	const struct sotto_conf *conf;
	bool conf_broken;
	const char *conf_dir, *state, *run, *adapter;
	uint8_t *identity;			/* plan.h */
	/* Out of the loop, but learnt and refused. Each may be NULL. */
	void (*learnt)(void *arg, enum sotto_domain_offer what);	/* of the domain, as soon as it is known; and whenever that changes */
	/*
	 * connect, with learns: whether our mail server may go there without us, or must not, as encryption is required of this peer, or it
	 * shows another key than the one known and pin = enforce. As soon as it is known (in prepare, it may be), before our mail server
	 * hears how the session went, and whenever it changes.
	 */
	void (*refused)(void *arg, bool refused);
	void (*settled)(void *arg);					/* relay.h */
	/*
	 * accept, for whoever has other processes go on with a session (relay.h); both or none. With them the identity key is not read before the
	 * exchange.
	 */
	void (*held)(void *arg);
	void (*opaque)(void *arg);
	void (*done)(void *arg, bool orderly);				/* once started: it is over, and all is written but remember's file */
	void *arg;
};

struct sotto_conduct {
	struct sotto_conduct_config config;	/* filled in by the caller; the rest is zero */
	struct sotto_plan plan;
	struct sotto_account account;
	struct sotto_relay *relay;		/* NULL: not started, or over */
	enum sotto_domain_offer learnt;
	bool told_refused, told_free;		/* the last that `refused` heard */
};

/*
 * Whether this peer, which nobody has connected to yet, need not be asked: less than an hour ago it did not offer XSOTTO, encryption is not
 * required of it, and no identity key is known. For dial.h's `unwanted`. sotto_conduct_skip, once: it is not asked, and our mail server
 * may go there without us; both are told as if a session had found it out.
 */
bool sotto_conduct_knows_without(const struct sotto_conduct *c, const char *host, const struct sockaddr *peer, socklen_t len);
void sotto_conduct_skip(struct sotto_conduct *c);

/*
 * Makes the plan and opens the account: all that reads or writes files before the first octet. Where a disk hangs, it does so here.
 * Then comes start or drop.
 */
void sotto_conduct_prepare(struct sotto_conduct *c);

/* Both ends are there, and are ours. 0; -1: no memory (logged), the descriptors are still the caller's, and nothing else is left of it. */
SOTTO_CHECKED int sotto_conduct_start(struct sotto_conduct *c, struct event_base *base, int net, int mta, const uint8_t *preface,
				      size_t preface_len);

/* It was prepared, and comes to nothing. */
void sotto_conduct_drop(struct sotto_conduct *c);

/* The answers to held and opaque (relay.h). Any of them but let_go may end the session. */
void sotto_conduct_exchange(struct sotto_conduct *c);
void sotto_conduct_no_exchange(struct sotto_conduct *c);
void sotto_conduct_let_go(struct sotto_conduct *c);
void sotto_conduct_passed(struct sotto_conduct *c, uint64_t sent, uint64_t received, bool orderly);

/* With lists_later: now. */
void sotto_conduct_list(struct sotto_conduct *c);

/* ... as this process does from here on. */
void sotto_conduct_adopt(struct sotto_conduct *c, int log_ms);

/* Another process, which is a copy of this one, goes on with it: nothing of it is left here, and all of it there. Also one that is not started. */
void sotto_conduct_abandon(struct sotto_conduct *c);

/* relay.h: at once, as a lost one. Nothing where it isn't under way. */
void sotto_conduct_stop(struct sotto_conduct *c);

/*
 * Something was learnt of the domain otherwise: that it cannot be had, say. Also without prepare. Where mode is off nothing is learnt, and no
 * "no" of a peer whose mail must not go past us.
 */
void sotto_conduct_learn(struct sotto_conduct *c, enum sotto_domain_offer what);

/* Writes what was learnt of the domain, for the next one; when the session is over, so that no mail waits for the disk. */
void sotto_conduct_remember(const struct sotto_conduct *c);

/*
 * Reads sotto.conf (conf.h) and tells the log what is wrong with it, with a limit. *broken: it is, and there never were good settings.
 * conf_dir: the folder that the file is in.
 */
void sotto_conduct_conf(struct sotto_conf *conf, bool *broken, char *conf_dir, size_t len, const char *path, const char *state);

#endif
