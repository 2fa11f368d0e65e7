/* SPDX-License-Identifier: ISC */
/* What site.c and site-check.c share: the site itself. And, for tests, which programs are asked. */
#ifndef SOTTO_POSTFIX_SITE_ASK_H
#define SOTTO_POSTFIX_SITE_ASK_H

#include "plugins/postfix-policy/site-view.h"

struct event;
struct sotto_mx;
struct sotto_child;

struct sotto_site_paths {
	const char *postconf;	/* /usr/sbin/postconf */
	const char *postmap;	/* NULL: in postconf's command_directory */
	const char *dns;	/* servers, as mx.h has them; NULL: /etc/resolv.conf */
};
extern struct sotto_site_paths sotto_site_paths;

struct sotto_site {
	struct event_base *base;
	void (*changed)(void *arg);
	void *arg;
	struct event *watch;
	struct sotto_mx *mx;	/* opened when it is needed first */
	struct sotto_site_facts facts;
	struct sotto_site_view *now, *next;	/* next: until its tables have answered once */
	struct sotto_child *reading;
	unsigned step;	/* of reading */
	bool again;	/* reload was called while it read */
	unsigned idle;	/* ticks since a reading failed */
	struct sotto_site_conf conf;	/* being read */
	struct sotto_site_question *questions;
	char path[64], *config;	/* the environment of children */
	const char *env[3];
};

/* There are new answers, or other facts: see which questions can be answered now. */
void sotto_site_questions(struct sotto_site *site);
/* Ends all of them without an answer. */
void sotto_site_questions_end(struct sotto_site *site);

#endif
