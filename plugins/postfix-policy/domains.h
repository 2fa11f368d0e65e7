/* SPDX-License-Identifier: ISC */
/*
 * What sotto-policyd knows of recipient domains, in memory, so that a lookup is answered from there: what is remembered of them
 * (state-domain.h; the folder is read at the start and watched from then on), who is listed in the files require and exclude, which address
 * of the loopback hop a domain has, and which connections wait until it is known what the domain offers.
 */
#ifndef SOTTO_POSTFIX_DOMAINS_H
#define SOTTO_POSTFIX_DOMAINS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/crypto/memory.h"
#include "core/runtime/state-domain.h"

#define SOTTO_DOMAINS_MAX 50000		/* more are not known: their mail goes natively */
#define SOTTO_DOMAIN_TEXT 256

struct event_base;
struct sotto_domains;
struct sotto_held;	/* hop-service.c's */

struct sotto_domain {
	struct sotto_domain *next;
	struct sotto_domain_state state;
	unsigned listed_at;		/* the generation of the lists that required and excluded are of */
	bool required, excluded;
	bool tls;			/* at the last look, its native TLS policy was more than the hop can do */
	bool asked;			/* a session is finding out what it offers */
	bool refused;			/* its mail server must not get mail in the clear, a session has said (ready.h); ask sotto_domains_refused */
	unsigned refused_at;		/* the generation of the lists then */
	unsigned sessions;		/* that are under way; one that is not ready yet has said nothing */
	int64_t ended;			/* when the last of them did */
	int64_t claimed;		/* when its address was last claimed; 0: never */
	struct in_addr address;
	struct sotto_held *held;
	char name[];			/* lower case, no dot at the end */
};

struct sotto_domains_config {
	const char *state;		/* the folder that domains/ is in */
	const char *run;		/* for the limit on log lines: no disk, which may hang */
	const char *conf_dir;		/* where require and exclude are */
	void (*learnt)(void *arg, struct sotto_domain *d);	/* what is remembered of it has changed */
	void (*conf_changed)(void *arg);	/* something in conf_dir has; the lists are looked at again by themselves */
	void *arg;
};

/* NULL: no memory, or no inotify to be had; errno says which. Without the folder domains/, which is made, nothing is remembered. */
struct sotto_domains *sotto_domains_open(struct event_base *base, const struct sotto_domains_config *config);
void sotto_domains_close(struct sotto_domains *d);	/* NULL is nothing; nothing may be held any more */

/*
 * The domain of a name in any case, with or without a dot at its end; made where it isn't known. NULL: no domain (state-name.h), or there are
 * too many. Valid until close. Its required and excluded are those of the files as they are now, and a "no" that is older than the file
 * require is not known any more.
 */
struct sotto_domain *sotto_domains_get(struct sotto_domains *d, const char *name, size_t len);

/* The same, but NULL where it isn't known; its required and excluded may be old. */
struct sotto_domain *sotto_domains_find(const struct sotto_domains *d, const char *name, size_t len);

/* A session has said whether the domain's mail server may be gone to without us. */
void sotto_domains_refuse(const struct sotto_domains *d, struct sotto_domain *one, bool refused);

/*
 * What it said last. It may have been said of lists that have been changed since: that counts for as long as a session is under way, and
 * a moment longer, in which Postfix comes to where the session could not go. Then the next one has to say it again.
 */
bool sotto_domains_refused(const struct sotto_domains *d, const struct sotto_domain *one, int64_t now);

/* The domain that has this address of the hop, as far as it is known here; or NULL. */
struct sotto_domain *sotto_domains_at(const struct sotto_domains *d, struct in_addr address);

/* Reads all of it again. */
void sotto_domains_reload(struct sotto_domains *d);

#endif
