/* SPDX-License-Identifier: ISC */
/* Starts and reaps sotto-session for the hop (sessions.h). Called by hop-service.c. */
#include "plugins/postfix-policy/sessions.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/runtime/ready.h"
#include "plugins/postfix-policy/launch.h"

#define WORDS 26
#define MTA 3	/* the connection's number in the session */
#define READY 4	/* ... and that of the socket that it speaks to us on (ready.h) */

struct one {
	struct sotto_sessions *s;
	struct sotto_domain *domain;
	void *connection;	/* NULL: it has been given, or has failed */
	struct event *said;
	struct event *late;	/* the limit in time, until it is given; libevent has one of a persistent event's own begin anew with each octet */
	pid_t pid;
	int ready;
	bool given;
};

struct sotto_sessions {
	const struct sotto_policyd *p;
	struct sotto_sessions_hooks hooks;
	int program;
	char path[32];		/* ... as one to execute */
	struct event *child;
	unsigned n;
	struct one *all[SOTTO_SESSIONS_MAX];
};

static void forget(struct one *one)
{
	if (one->said != NULL)
		event_free(one->said);
	if (one->late != NULL)
		event_free(one->late);
	close(one->ready);
	free(one);
}

/* ---- what it says ---- */

/* Killed before anything else: it has not touched the connection, and never will. Its end of `ready` is seen by nobody any more. */
static void fail(struct one *one, const char *why)
{
	void *connection = one->connection;

	one->connection = NULL;
	(void)kill(one->pid, SIGKILL);
	(void)event_del(one->said);
	(void)event_del(one->late);
	one->s->hooks.failed(one->s->hooks.arg, connection, why);
}

static void give(struct one *one)
{
	const char go = SOTTO_READY;
	void *connection = one->connection;

	if (send(one->ready, &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
		fail(one, "it ended when it was ready");
		return;
	}
	one->connection = NULL;
	one->given = true;
	(void)event_del(one->late);
	one->s->hooks.given(one->s->hooks.arg, connection);
}

static void hear(struct one *one, char octet)
{
	const struct sotto_sessions_hooks *hooks = &one->s->hooks;

	if (octet == SOTTO_READY_REFUSED || octet == SOTTO_READY_FREE)
		hooks->refused(hooks->arg, one->domain, octet == SOTTO_READY_REFUSED);
	else if (one->connection != NULL && octet == SOTTO_READY)
		give(one);
	else if (one->connection != NULL)
		fail(one, "it said what it should not");
	else if (octet == SOTTO_READY_YES || octet == SOTTO_READY_NO)
		hooks->told(hooks->arg, one->domain, octet == SOTTO_READY_YES ? SOTTO_DOMAIN_YES : SOTTO_DOMAIN_NO);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fail(arg, "it was not ready in time");
}

/* Its end of the socket is closed when it has ended, and not before. */
static void on_said(evutil_socket_t fd, short what, void *arg)
{
	struct one *one = arg;
	char octet;
	ssize_t n;

	(void)what;
	while ((n = recv(fd, &octet, 1, MSG_DONTWAIT)) == 1)
		hear(one, octet);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (one->connection != NULL)
		fail(one, "it ended before it was ready");
	(void)event_del(one->said);
}

void sotto_sessions_hear(struct sotto_sessions *s, const struct sotto_domain *d)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->all[i]->domain == d)
			on_said(s->all[i]->ready, EV_READ, s->all[i]);
}

/* ---- its end ---- */

/* Only those that are ours: others of this process wait for their own children (site.h). */
static void on_child(evutil_socket_t number, short what, void *arg)
{
	struct sotto_sessions *s = arg;
	struct sotto_domain *domain;
	struct one *one;
	bool given;

	(void)number;
	(void)what;
	for (unsigned i = 0; i < s->n;) {
		one = s->all[i];
		if (waitpid(one->pid, NULL, WNOHANG) == 0) {
			i++;
			continue;
		}
		on_said(one->ready, EV_READ, one);	/* its last words */
		domain = one->domain;
		given = one->given;
		s->all[i] = s->all[--s->n];
		forget(one);
		s->hooks.ended(s->hooks.arg, domain, given);
	}
}

struct sotto_sessions *sotto_sessions_open(const struct sotto_policyd *p, const struct sotto_sessions_hooks *hooks)
{
	struct sotto_sessions *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->p = p;
	s->hooks = *hooks;
	s->program = open(p->session, O_RDONLY | O_CLOEXEC);
	if (s->program >= 0)
		s->child = evsignal_new(p->base, SIGCHLD, on_child, s);
	if (s->child == NULL || event_add(s->child, NULL) != 0) {
		sotto_sessions_close(s);
		return NULL;
	}
	(void)snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", s->program);
	return s;
}

void sotto_sessions_close(struct sotto_sessions *s)
{
	int keep = errno;

	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->n; i++)
		forget(s->all[i]);
	if (s->child != NULL)
		event_free(s->child);
	if (s->program >= 0)
		close(s->program);
	free(s);
	errno = keep;
}

unsigned sotto_sessions_count(const struct sotto_sessions *s)
{
	return s->n;
}

/* ---- the command ---- */

struct words {
	const char *at[WORDS];
	unsigned n;
};

static void add(struct words *w, const char *option, const char *value)
{
	if (w->n + 3 > WORDS || (value != NULL && value[0] == '\0'))
		return;
	w->at[w->n++] = option;
	if (value != NULL)
		w->at[w->n++] = value;
}

static void write_command(struct words *w, const struct sotto_policyd *p, const struct sotto_domain *d)
{
	const struct sotto_site_facts *facts = sotto_site_facts(p->site);

	*w = (struct words){ .n = 0 };
	add(w, p->session, NULL);
	add(w, "connect", NULL);
	add(w, "--mta", "3");
	add(w, "--ready", "4");
	add(w, "--to", d->name);
	add(w, "--adapter", "postfix");
	add(w, "--conf", p->conf_path);
	add(w, "--state", p->state);
	add(w, "--run", p->run);
	add(w, "--log", p->log_stderr ? "stderr" : "syslog");
	add(w, "--from", facts->from4);
	add(w, "--from", facts->from6);
	if (!facts->ipv6)
		add(w, "--family", "ipv4");
	if (facts->dane)
		add(w, "--dane", NULL);
	if (d->required)
		add(w, "--require", NULL);
}

/* 0 or errno. By the descriptor; where there is no /proc, by the name. Both descriptors are above the numbers that they get. */
static int launch(const struct sotto_sessions *s, const struct words *w, int mta, int ready, pid_t *pid)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const int fds[] = { -1, -1, STDERR_FILENO, [MTA] = mta, [READY] = ready };
	const struct sotto_launch l = { .path = s->path, .otherwise = s->p->session, .argv = w->at, .env = environment, .fds = fds,
					.n = READY + 1, .session = true };

	return sotto_launch(&l, pid);
}

/* 0 or errno. dup2 of a descriptor to itself would leave it to be closed, and one to the other's number would close that. */
static int launch_above(const struct sotto_sessions *s, const struct words *w, int mta, int ready, pid_t *pid)
{
	int above[2] = { fcntl(mta, F_DUPFD_CLOEXEC, READY + 1), fcntl(ready, F_DUPFD_CLOEXEC, READY + 1) };
	int rc = above[0] < 0 || above[1] < 0 ? errno : launch(s, w, above[0], above[1], pid);

	for (unsigned i = 0; i < 2; i++)
		if (above[i] >= 0)
			close(above[i]);
	return rc;
}

/* A socket to speak on, and the time that it has to become ready. NULL with errno. */
static struct one *new_one(struct sotto_sessions *s, int *theirs)
{
	const struct timeval limit = { .tv_sec = SOTTO_SESSION_READY_MS / 1000, .tv_usec = SOTTO_SESSION_READY_MS % 1000 * 1000 };
	struct one *one = calloc(1, sizeof(*one));
	int pair[2];

	if (one == NULL)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		free(one);
		return NULL;
	}
	one->s = s;
	one->ready = pair[0];
	*theirs = pair[1];
	one->said = event_new(s->p->base, pair[0], EV_READ | EV_PERSIST, on_said, one);
	one->late = evtimer_new(s->p->base, on_late, one);
	if (one->said != NULL && one->late != NULL && event_add(one->said, NULL) == 0 && event_add(one->late, &limit) == 0)
		return one;
	forget(one);
	close(pair[1]);
	errno = ENOMEM;
	return NULL;
}

int sotto_sessions_start(struct sotto_sessions *s, struct sotto_domain *d, int mta, void *connection)
{
	struct words words;
	struct one *one;
	int rc, theirs;

	if (s->n == SOTTO_SESSIONS_MAX)
		return -EAGAIN;
	one = new_one(s, &theirs);
	if (one == NULL)
		return -errno;
	write_command(&words, s->p, d);
	rc = launch_above(s, &words, mta, theirs, &one->pid);
	close(theirs);
	if (rc != 0) {
		forget(one);
		return -rc;
	}
	one->domain = d;
	one->connection = connection;
	s->all[s->n++] = one;
	return 0;
}
