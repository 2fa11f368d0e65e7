/* SPDX-License-Identifier: ISC */
/* The words that connections are handed over with, and the settings that they name (serve-parts.h). */
#include <string.h>

#include "core/runtime/log.h"
#include "core/runtime/serve-parts.h"

#define OWN 6

enum { NET = 0, MTA = 1 };	/* stand for those that come with each connection, and are no words' business */

/* The strings of the options stay in w. */
static bool read_words(struct sotto_serve_words *w, const char *octets, size_t n)
{
	static char program[] = "sotto-session", accept_word[] = "accept", net[] = "--net", mta[] = "--mta", zero[] = "0", one[] = "1";
	char *argv[SOTTO_SERVE_WORDS + OWN + 1] = { program, accept_word, net, zero, mta, one };
	int argc = OWN;

	memcpy(w->octets, octets, n);
	for (size_t at = 0; at < n; at += strlen(w->octets + at) + 1) {
		if (argc == SOTTO_SERVE_WORDS + OWN)
			return false;
		argv[argc++] = w->octets + at;
	}
	argv[argc] = NULL;
	return sotto_options_read(&w->options, argc, argv) == 0 && w->options.net == NET && w->options.mta == MTA && w->options.ready < 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mode == b->st_mode &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The copy of the last good settings is on the state's disk, which may hang: only where there is something new. */
static void refresh_conf(struct sotto_serve_words *w)
{
	struct stat now;

	if (stat(w->options.conf, &now) != 0)
		memset(&now, 0, sizeof(now));
	if (w->conf_read && is_same_file(&now, &w->conf_stat))
		return;
	sotto_conduct_conf(&w->conf, &w->conf_broken, w->conf_dir, sizeof(w->conf_dir), w->options.conf, w->options.state);
	w->conf_stat = now;
	/* what could not be read now may be in a moment */
	w->conf_read = !w->conf_broken;
}

enum sotto_serve_read sotto_serve_words(struct sotto_serve_words *w, const char *octets, size_t n)
{
	static struct sotto_serve_words others;

	if (w->n == 0) {
		if (!read_words(w, octets, n))
			return SOTTO_SERVE_WRONG;
		w->n = n;
		sotto_log_open("sotto-session", w->options.log_stderr);
	} else if (n != w->n || memcmp(octets, w->octets, n) != 0) {
		return read_words(&others, octets, n) ? SOTTO_SERVE_OTHERS : SOTTO_SERVE_WRONG;
	}
	refresh_conf(w);
	return SOTTO_SERVE_GOOD;
}
