/* SPDX-License-Identifier: ISC */
/* What serve.c, serve-one.c, serve-words.c and serve-count.c share, and nobody else includes. */
#ifndef SOTTO_RUNTIME_SERVE_PARTS_H
#define SOTTO_RUNTIME_SERVE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/runtime/conduct.h"
#include "core/runtime/conf.h"
#include "core/runtime/ends.h"
#include "core/runtime/options.h"
#include "core/runtime/serve.h"

struct event;
struct event_base;

/* What the words say, and the file that they name; the same for all sessions of a process. */
struct sotto_serve_words {
	size_t n;			/* 0: none have come yet */
	char octets[SOTTO_SERVE_OCTETS];
	struct sotto_options options;
	struct sotto_conf conf;
	bool conf_broken, conf_read;
	char conf_dir[4096];
	struct stat conf_stat;		/* of the file that conf was read from; all zero: there was none */
};

struct sotto_serve {
	struct event_base *base;
	struct event *taking, *again, *asked, *ended, *term, *watch;
	int listening, daemon;
	struct sotto_serve_one *all, *pending;	/* pending: wants to be acted upon out of the loop */
	unsigned n, max;
	bool ending;
	bool child;			/* this is a session's own process, and `all` is it */
	int exit_code;
	struct sotto_serve_words words;
};

enum sotto_serve_state {
	SOTTO_SERVE_HANDED,	/* the message is awaited */
	SOTTO_SERVE_READY,	/* ready was said, the go-ahead is awaited */
	SOTTO_SERVE_UNDER_WAY,
	SOTTO_SERVE_PASSING	/* by who handed it over */
};

struct sotto_serve_one {
	struct sotto_serve *in;
	struct sotto_serve_one *next, **back;
	struct event *event;	/* of starter: who handed over is at its other end */
	struct event *list;	/* when it is to be listed as a live one */
	int starter;
	enum sotto_serve_state state;
	bool held;		/* pending: XSOTTO has come; otherwise the rest is to be passed through */
	struct sotto_ends ends;
	struct sotto_conduct conduct;
};

/* ---- serve-one.c ---- */

/* A connection to our socket; it is taken from here on. */
void sotto_serve_one(struct sotto_serve *v, int starter);

/* What was pending: out of the loop. */
void sotto_serve_one_pass(struct sotto_serve_one *o);
void sotto_serve_one_kept(struct sotto_serve_one *o);		/* in this process, after the fork */
void sotto_serve_one_become(struct sotto_serve_one *o);		/* in the child */
void sotto_serve_one_refuse(struct sotto_serve_one *o);		/* there is no process to be had */

/* Another process has it: nothing is said, or left. */
void sotto_serve_one_abandon(struct sotto_serve_one *o);

/* ---- serve.c ---- */

/* One has ended, or gone: it is not among `all` any more. */
void sotto_serve_ended(struct sotto_serve *v);
void sotto_serve_end(struct sotto_serve *v);

/* ---- serve-words.c ---- */

enum sotto_serve_read { SOTTO_SERVE_GOOD, SOTTO_SERVE_WRONG, SOTTO_SERVE_OTHERS };

/* OTHERS than those of the first session, and good ones: another process is needed for them. sotto.conf is read again where it has changed. */
enum sotto_serve_read sotto_serve_words(struct sotto_serve_words *w, const char *octets, size_t n);

/* ---- serve-count.c ---- */

/* Forks the process that writes the counters, so that only it waits where a disk hangs. Where there is none, they are written here. */
void sotto_serve_count_begin(const struct sotto_serve *v);

/* With the loop: several are written at once. Without memory for that, each for itself. */
void sotto_serve_count_loop(struct event_base *base);

/* All that is not written yet is, at the end. */
void sotto_serve_count_end(void);
void sotto_serve_count_leave(void);	/* in a child */
void sotto_serve_count(const char *state, const struct sotto_counted *c);

#endif
