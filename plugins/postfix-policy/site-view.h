/* SPDX-License-Identifier: ISC */
/*
 * One reading of Postfix's configuration, for site.c: its parameters, lists and tables, and what they say of a domain. A new reading
 * is a new view; the old one answers until that is ready.
 */
#ifndef SOTTO_POSTFIX_SITE_VIEW_H
#define SOTTO_POSTFIX_SITE_VIEW_H

#include "plugins/postfix-policy/site-conf.h"
#include "plugins/postfix-policy/site-list.h"
#include "plugins/postfix-policy/site-maps.h"

#define SITE_LISTS 4

struct event_base;
struct sotto_mx_answer;

struct sotto_site_view {
	struct sotto_site_conf conf;
	struct sotto_site_facts facts;	/* of the parameters alone */
	struct sotto_site_maps *maps;	/* NULL: nothing has to be asked, it isn't usable anyway */
	struct sotto_site_list list[SITE_LISTS];
	bool transport_parents;	/* parents without the dot */
	int transport, wildcard, tls, sasl, discard, pix;	/* sources; -1: there is none */
	uint64_t files;	/* what main.cf, master.cf and /files looked like */
	char *postmap;
};

/* Takes conf over. NULL: no memory. */
struct sotto_site_view *sotto_site_view_make(struct event_base *base, struct sotto_site_conf *conf, const char *postmap,
					     const char *const *env, void (*news)(void *arg), void *arg);
void sotto_site_view_free(struct sotto_site_view *view);

/* main.cf, master.cf or a /file of a list is another one than before. */
bool sotto_site_view_changed(const struct sotto_site_view *view);

enum sotto_site_answer sotto_site_view_transport(struct sotto_site_view *view, const char *domain);

/* Are MX hosts needed to answer sotto_site_view_policy? */
bool sotto_site_view_needs_mx(const struct sotto_site_view *view);

/* MAY, NATIVE with why, or UNKNOWN. mx: NULL as long as it isn't known. */
enum sotto_site_answer sotto_site_view_policy(struct sotto_site_view *view, const char *domain, const struct sotto_mx_answer *mx,
					      const char **why);

#endif
