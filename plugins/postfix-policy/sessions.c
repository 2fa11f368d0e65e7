/* SPDX-License-Identifier: ISC */
/* Starts and reaps sotto-session for the hop (sessions.h). Called by hop-service.c. */
#include "plugins/postfix-policy/sessions.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 24
#define MTA 3	/* the connection's number in the session */

struct one {
	pid_t pid;
	struct sotto_domain *domain;
};

struct sotto_sessions {
	const struct sotto_policyd *p;
	void (*ended)(void *arg, struct sotto_domain *d);
	void *arg;
	int program;
	char path[32];		/* ... as one to execute */
	struct event *child;
	unsigned n;
	struct one all[SOTTO_SESSIONS_MAX];
};

/* Only those that are ours: others of this process wait for their own children (site.h). */
static void on_child(evutil_socket_t number, short what, void *arg)
{
	struct sotto_sessions *s = arg;
	struct sotto_domain *domain;

	(void)number;
	(void)what;
	for (unsigned i = 0; i < s->n;) {
		if (waitpid(s->all[i].pid, NULL, WNOHANG) == 0) {
			i++;
			continue;
		}
		domain = s->all[i].domain;
		s->all[i] = s->all[--s->n];
		s->ended(s->arg, domain);
	}
}

struct sotto_sessions *sotto_sessions_open(const struct sotto_policyd *p, void (*ended)(void *arg, struct sotto_domain *d), void *arg)
{
	struct sotto_sessions *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->p = p;
	s->ended = ended;
	s->arg = arg;
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

/* 0 or errno. */
static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int mta)
{
	sigset_t none, all;
	int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, mta, MTA);
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	(void)posix_spawnattr_setsigmask(how, &none);
	(void)posix_spawnattr_setsigdefault(how, &all);
	(void)posix_spawnattr_setflags(how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return rc;
}

/* 0 or errno. By the descriptor; where there is no /proc, by the name. */
static int spawn(const struct sotto_sessions *s, const struct words *w, int mta, pid_t *pid)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	char *const *argv = (char *const *)(const void *)w->at;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&how);
	if (rc == 0) {
		rc = prepare(&files, &how, mta);
		if (rc == 0)
			rc = posix_spawn(pid, s->path, &files, &how, argv, environment);
		if (rc == ENOENT)
			rc = posix_spawn(pid, s->p->session, &files, &how, argv, environment);
		(void)posix_spawnattr_destroy(&how);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

int sotto_sessions_start(struct sotto_sessions *s, struct sotto_domain *d, int mta)
{
	struct words words;
	pid_t pid;
	int rc, above = mta;

	if (s->n == SOTTO_SESSIONS_MAX)
		return -EAGAIN;
	/* dup2 of a descriptor to itself would leave it to be closed */
	if (mta == MTA)
		above = fcntl(mta, F_DUPFD_CLOEXEC, MTA + 1);
	if (above < 0)
		return -errno;
	write_command(&words, s->p, d);
	rc = spawn(s, &words, above, &pid);
	if (above != mta)
		close(above);
	if (rc != 0)
		return -rc;
	s->all[s->n++] = (struct one){ pid, d };
	return 0;
}
