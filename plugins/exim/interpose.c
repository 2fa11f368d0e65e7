/* SPDX-License-Identifier: ISC */
/*
 * interpose.c - puts a session between Exim and its peer. Called by the dlfuncs once they have decided to; the only
 * place where the order of the steps stands.
 *
 * Exim's descriptors are replaced when the session is ready, and the session touches them only when it is told to go.
 * Whatever goes wrong before that is undone, and Exim talks to its peer as if we were not there.
 */
#include "plugins/exim/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "plugins/exim/pair.h"
#include "plugins/exim/paths.h"
#include "plugins/exim/replace.h"
#include "plugins/exim/spawn.h"

#define WORDS 32

struct words {
	const char *at[WORDS];
	unsigned n;
};

static void add(struct words *w, const char *option, const char *value)
{
	if (w->n + 3 > WORDS)
		return;
	w->at[w->n++] = option;
	if (value != NULL)
		w->at[w->n++] = value;
}

static bool is_name(const char *s)
{
	return s != NULL && s[0] != '\0' && s[0] != '-';
}

/* The numbers are those of spawn.h. */
static void write_command(struct words *w, const struct sotto_order *o)
{
	*w = (struct words){ .n = 0 };
	add(w, SOTTO_SESSION_PATH, NULL);
	add(w, o->role, NULL);
	add(w, "--net", "3");
	add(w, "--mta", "4");
	add(w, "--ready", "5");
	add(w, "--adapter", "exim");
	if (is_name(o->peer))
		add(w, "--peer", o->peer);
	if (is_name(o->domain))
		add(w, "--domain", o->domain);
	if (o->required)
		add(w, "--require", NULL);
	if (o->keep_starttls)
		add(w, "--starttls", "keep");
	add(w, "--conf", SOTTO_CONF_DIR "/sotto.conf");
	add(w, "--state", SOTTO_STATE_DIR);
	add(w, "--run", SOTTO_RUN_DIR);
}

__attribute__((format(printf, 3, 4))) static void say(char *why, size_t len, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(why, len, format, ap);
	va_end(ap);
}

static int wait_ready(const struct sotto_spawn *s, int64_t deadline, char *why, size_t len)
{
	if (sotto_spawn_ready(s, deadline) == 0)
		return 0;
	if (errno == ETIMEDOUT)
		say(why, len, "%s was not ready within %d ms", SOTTO_SESSION_PATH, SOTTO_START_MS);
	else if (errno == ECHILD)
		say(why, len, access(SOTTO_SESSION_PATH, X_OK) == 0 ? "%s ended before it was ready" :
			      "%s is missing or cannot be executed", SOTTO_SESSION_PATH);
	else
		say(why, len, "no word from %s: %s", SOTTO_SESSION_PATH, strerror(errno));
	return -1;
}

/* mta[0] becomes Exim's, mta[1] the session's. */
static int swap(const struct sotto_found *found, const int mta[2], int net, const struct sotto_spawn *s, char *why, size_t len)
{
	if (sotto_replace(found->fd, found->n, mta[0], net) != 0) {
		say(why, len, "the connection cannot be replaced: %s", strerror(errno));
		return -1;
	}
	if (sotto_spawn_go(s) == 0)
		return 0;
	sotto_put_back(found->fd, found->n, net);
	say(why, len, "%s ended as soon as it was ready", SOTTO_SESSION_PATH);
	return -1;
}

static int with_session(const struct sotto_found *found, const struct words *w, const int mta[2], int net,
			int64_t deadline, char *why, size_t len)
{
	struct sotto_spawn s;
	int rc;

	if (sotto_spawn(&s, w->at, SOTTO_STATE_DIR, net, mta[1]) != 0) {
		say(why, len, "no process for it: %s", strerror(errno));
		return -1;
	}
	rc = wait_ready(&s, deadline, why, len);
	if (rc == 0)
		rc = swap(found, mta, net, &s, why, len);
	sotto_spawn_end(&s, rc != 0);
	return rc;
}

int sotto_interpose(const struct sotto_found *found, const struct sotto_order *order, char *why, size_t len)
{
	int64_t deadline = sotto_now_ms() + SOTTO_START_MS;
	struct words words;
	int mta[2], net, rc = -1;

	write_command(&words, order);
	net = fcntl(found->fd[0], F_DUPFD_CLOEXEC, 3);
	if (net < 0) {
		say(why, len, "no descriptor for it: %s", strerror(errno));
		return -1;
	}
	if (sotto_pair(mta, deadline) == 0) {
		rc = with_session(found, &words, mta, net, deadline, why, len);
		close(mta[0]);
		close(mta[1]);
	} else {
		say(why, len, "no connection over 127.0.0.1: %s", strerror(errno));
	}
	close(net);
	return rc;
}
