/* SPDX-License-Identifier: ISC */
/*
 * table-sotto, see opensmtpd-sotto(7): what smtpd starts as a table's backend. smtpd ends when it does, and waits for each answer, so that this
 * process only talks (table-talk.h), and takes no library but libc: a child judges (table-judge.c), and is started again where it ends or is
 * too slow; what it owes is answered without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/default-signals.h"
#include "core/runtime/log.h"
#include "plugins/opensmtpd/table-judge.h"
#include "plugins/opensmtpd/table-talk.h"
#include "plugins/opensmtpd/table.h"

#define SMTPD 0			/* smtpd's descriptor, to be read and written: 6.8 opens no other */
#define ANSWER_MS 200		/* for the child; smtpd stands still meanwhile */
#define REMEMBERED 128
#define REST_MS 1000		/* after one that was too slow, or ended, the next one is started */

static struct {
	struct sotto_table table;
	char words[1024];		/* what smtpd.conf says, for the child */
	pid_t child;			/* 0: there is none */
	int talk;			/* our end of a socket to it */
	int64_t rest_until;
	unsigned next;
	char by_host[REMEMBERED][SOTTO_FILE_NAME];	/* domains: remember() */
} all = { .talk = -1 };

/* ---- the child ---- */

_Noreturn static void become_judge(int talk)
{
	static char name[] = "sotto-table";
	char *const argv[] = { name, all.words, NULL };
	char *const environment[] = { NULL };

	close(SMTPD);
	sotto_default_signals();
	/* dup2 of a descriptor to itself leaves it to be closed */
	if (talk == SOTTO_JUDGE_TALK ? fcntl(talk, F_SETFD, 0) == 0 : dup2(talk, SOTTO_JUDGE_TALK) >= 0)
		(void)execve(all.table.judge, argv, environment);
	_exit(127);
}

static void start_child(void)
{
	int pair[2];

	if (sotto_now_ms() < all.rest_until || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	all.rest_until = sotto_now_ms() + REST_MS;
	all.child = fork();
	if (all.child == 0)
		become_judge(pair[1]);
	close(pair[1]);
	all.talk = pair[0];
	if (all.child > 0)
		return;
	all.child = 0;
	close(pair[0]);
	all.talk = -1;
}

static void end_child(const char *why)
{
	sotto_log(LOG_ERR, "the child %s; it is started again", why);
	close(all.talk);
	all.talk = -1;
	(void)kill(all.child, SIGKILL);
	/* one that waits for a disk cannot be killed now: whoever waited for it would wait as well */
	(void)waitpid(all.child, NULL, WNOHANG);
	all.child = 0;
}

static bool ask_child(const struct sotto_table_question *q, struct sotto_table_answer *a)
{
	int64_t deadline = sotto_now_ms() + ANSWER_MS;
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)	/* earlier ones; the one that there is shows by its socket */
		;
	if (all.child == 0)
		start_child();
	if (all.child == 0)
		return false;
	if (send(all.talk, q, sizeof(*q), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*q)) {
		if (sotto_wait_fd(all.talk, POLLIN, deadline) != 0) {
			end_child("is too slow");
			return false;
		}
		if (recv(all.talk, a, sizeof(*a), MSG_DONTWAIT) == (ssize_t)sizeof(*a))
			return true;
	}
	end_child("has ended");
	return false;
}

/* ---- memory ---- */

/* NULL: it is not there. */
static char *find_by_host(const char *name)
{
	for (unsigned i = 0; i < REMEMBERED; i++)
		if (strcmp(all.by_host[i], name) == 0)
			return all.by_host[i];
	return NULL;
}

/*
 * Domains that are required because their mail server is, the latest ones: only the route says so, and where that is out of reach, and the child
 * with it, their mail must not go out natively.
 */
static void remember(const char *key, bool by_host)
{
	char name[SOTTO_FILE_NAME], *there;

	if (sotto_name_of_domain(name, key) != 0)
		return;
	there = find_by_host(name);
	if (there != NULL && !by_host)
		there[0] = '\0';
	else if (there == NULL && by_host)
		memcpy(all.by_host[all.next++ % REMEMBERED], name, sizeof(name));
}

static bool is_remembered(const char *key)
{
	char name[SOTTO_FILE_NAME];

	return sotto_name_of_domain(name, key) == 0 && find_by_host(name) != NULL;
}

/* ---- smtpd ---- */

/* By files that may be on a disk which hangs: in a process of its own, which is not waited for either. False: it has not answered in time. */
static bool judge_in_time(const struct sotto_table_question *q, struct sotto_table_answer *a)
{
	int64_t deadline = sotto_now_ms() + ANSWER_MS;
	int pair[2];
	pid_t pid;
	bool known;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		a->found = q->relay ? sotto_table_relay_alone(&all.table, q->key, a->value) : sotto_table_match_alone(&all.table, q->key);
		_exit(send(pair[1], a, sizeof(*a), MSG_NOSIGNAL) != (ssize_t)sizeof(*a));
	}
	close(pair[1]);
	known = pid > 0 && sotto_wait_fd(pair[0], POLLIN, deadline) == 0 && recv(pair[0], a, sizeof(*a), MSG_DONTWAIT) == (ssize_t)sizeof(*a);
	close(pair[0]);
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	return known;
}

static void answer_alone(const struct sotto_table_question *q, struct sotto_table_answer *a)
{
	bool known;

	memset(a, 0, sizeof(*a));
	known = judge_in_time(q, a);
	if (!q->relay && !a->found)
		a->found = is_remembered(q->key) || (!known && sotto_table_match_by_name(&all.table, q->key));
	else if (q->relay && (!known || !a->found))
		a->found = sotto_table_relay_nowhere(&all.table, a->value);
}

/* What the key stands for; NULL: nothing. */
static const char *find(const struct sotto_table_request *r, struct sotto_table_answer *a)
{
	struct sotto_table_question q = { .relay = r->relay };

	if (!r->known || r->key[0] == '\0' || (r->ask != SOTTO_TABLE_CHECK && r->ask != SOTTO_TABLE_LOOKUP))
		return NULL;
	memcpy(q.key, r->key, sizeof(q.key));
	if (!ask_child(&q, a))
		answer_alone(&q, a);
	else if (!r->relay)
		remember(q.key, a->by_host);
	if (!a->found)
		return NULL;
	a->value[sizeof(a->value) - 1] = '\0';
	return r->relay ? a->value : r->key;
}

/* 0; -1: smtpd is gone. */
static int answer(const struct sotto_table_request *r)
{
	uint8_t out[SOTTO_TABLE_OUT];
	struct sotto_table_answer a;
	size_t n = sotto_table_write(out, r, find(r, &a)), at = 0;

	while (at < n) {
		ssize_t k = write(SMTPD, out + at, n - at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN) {
			(void)poll(&(struct pollfd){ .fd = SMTPD, .events = POLLOUT }, 1, -1);
			continue;
		}
		if (k <= 0)
			return -1;
		at += (size_t)k;
	}
	return r->ask == SOTTO_TABLE_CLOSE ? -1 : 0;
}

/* What cannot be read on from is thrown away: smtpd would end if we did. */
static int answer_all(uint8_t *in, size_t *have)
{
	static enum sotto_table_protocol protocol;
	struct sotto_table_request r;
	size_t at = 0;
	long n;

	while ((n = sotto_table_read(&r, &protocol, in + at, *have - at)) > 0) {
		at += (size_t)n;
		if (answer(&r) != 0)
			return -1;
	}
	if (n < 0)
		at = *have;
	*have -= at;
	memmove(in, in + at, *have);
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t in[SOTTO_TABLE_IN];
	size_t have = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	sotto_log_open("sotto-table", false);
	(void)snprintf(all.words, sizeof(all.words), "%s", argc > 1 ? argv[1] : "");
	sotto_table_paths(&all.table, argc > 1 ? argv[1] : NULL);
	for (;;) {
		ssize_t n = read(SMTPD, in + have, sizeof(in) - have);

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			(void)poll(&(struct pollfd){ .fd = SMTPD, .events = POLLIN }, 1, -1);
			continue;
		}
		if (n <= 0)
			return 0;
		have += (size_t)n;
		if (answer_all(in, &have) != 0)
			return 0;
	}
}
