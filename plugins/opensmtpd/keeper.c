/* SPDX-License-Identifier: ISC */
/* Keeps the worker (keeper.h). Called by filter-sotto's main; reads and writes nothing of mail. */
#include "plugins/opensmtpd/keeper.h"

#include <errno.h>
#include <fcntl.h>
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

#define ABOVE 100	/* no descriptor of ours that a child is given is as high */
#define WORDS 96

void sotto_keeper_begin(struct sotto_keeper *k)
{
	k->talk = k->leash = -1;
	k->again = sotto_now_ms();
}

/* ---- in the child ---- */

/* smtpd must not take us for its filter, and sees the filter's end when nobody has that socket any more. */
static void leave_smtpd(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(127);
	if (null > STDERR_FILENO)
		close(null);
}

/* From 3 on, in this order, and nothing else above. How many there are, the talk included. */
static unsigned arrange(const struct sotto_listeners *l, int talk)
{
	int fds[SOTTO_LISTENERS_MAX + 2];
	unsigned n = 0;

	fds[n++] = fcntl(talk, F_DUPFD_CLOEXEC, ABOVE);
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].fd >= 0)
			fds[n++] = fcntl(l->at[i].fd, F_DUPFD_CLOEXEC, ABOVE);
	if (l->hop >= 0)
		fds[n++] = fcntl(l->hop, F_DUPFD_CLOEXEC, ABOVE);
	for (unsigned i = 0; i < n; i++)
		if (fds[i] < 0 || dup2(fds[i], SOTTO_WORKER_TALK + (int)i) < 0)
			_exit(127);
	return n;
}

_Noreturn static void become_worker(const struct sotto_keeper *k, int talk)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char talk_word[] = "--talk", in_word[] = "--in", hop_word[] = "--hop", numbers[SOTTO_LISTENERS_MAX + 2][12];
	char *environment[] = { path, NULL }, *argv[WORDS] = { (char *)(uintptr_t)k->program };
	unsigned n, at = 1;

	sotto_default_signals();
	leave_smtpd();
	n = arrange(k->listeners, talk);
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%u", SOTTO_WORKER_TALK + i);
		argv[at++] = i == 0 ? talk_word : k->listeners->hop >= 0 && i == n - 1 ? hop_word : in_word;
		argv[at++] = numbers[i];
	}
	for (char *const *option = k->options; *option != NULL && at < WORDS - 1; option++)
		argv[at++] = *option;
	(void)execve(k->program, argv, environment);
	_exit(127);
}

_Noreturn static void become_passer(const struct sotto_keeper *k, int leash)
{
	sotto_default_signals();
	leave_smtpd();
	if (k->talk >= 0)
		close(k->talk);
	sotto_passing_serve(k->passing, k->listeners, leash);
}

/* ---- starting ---- */

/* Our end in *ours; the child's pid, or -1. */
static pid_t start(const struct sotto_keeper *k, int *ours, void become(const struct sotto_keeper *, int))
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		become(k, pair[1]);
		_exit(127);	/* it does not return */
	}
	close(pair[1]);
	if (pid > 0)
		*ours = pair[0];
	else
		close(pair[0]);
	return pid;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void start_passer(struct sotto_keeper *k)
{
	k->pass_again = 0;
	close_end(&k->leash);
	k->passer = start(k, &k->leash, become_passer);
	if (k->passer > 0)
		return;
	k->passer = 0;
	k->pass_again = sotto_now_ms() + SOTTO_PASS_AGAIN_MS;
}

/* For a while the worker is not tried any more, and somebody else serves. */
static void pass(struct sotto_keeper *k, const char *why)
{
	k->again = sotto_now_ms() + SOTTO_PASS_MS;
	if (k->passer > 0)
		return;
	sotto_log(LOG_CRIT, "%s; connections pass through unsealed for %d s, then it is tried again", why, SOTTO_PASS_MS / 1000);
	start_passer(k);
}

static void crashed(struct sotto_keeper *k)
{
	char why[64];

	k->crashes++;
	k->again = sotto_now_ms() + SOTTO_AGAIN_MS;
	if (k->crashes < SOTTO_CRASHES)
		return;
	(void)snprintf(why, sizeof(why), "the worker has ended %u times in a row", k->crashes);
	pass(k, why);
}

static void start_worker(struct sotto_keeper *k)
{
	pid_t pid;

	k->again = 0;
	k->ready = false;
	k->alive = 0;
	k->started = sotto_now_ms();
	close_end(&k->talk);
	pid = start(k, &k->talk, become_worker);
	if (pid > 0) {
		k->worker = pid;
		return;
	}
	sotto_log(LOG_ERR, "cannot start the worker: %s", strerror(errno));
	crashed(k);
}

/* One that cannot even be killed is left behind. */
static void leave_behind(struct sotto_keeper *k)
{
	(void)kill(k->worker, SIGKILL);
	k->worker = 0;
	k->ready = false;
	close_end(&k->talk);
}

/*
 * Its loop stands still: by a disk that hangs, or stopped. Its sessions are lost, those to come are not, which one that does so again and again would
 * keep waiting as well. We have been standing still ourselves, and so everybody has: it has another chance.
 */
static int64_t stuck_due(struct sotto_keeper *k, int64_t now)
{
	if (k->alive == 0)
		return INT64_MAX;
	if (now - k->ticked > SOTTO_STUCK_MS / 2)
		k->alive = now;
	k->ticked = now;
	if (now - k->alive < SOTTO_STUCK_MS)
		return now + SOTTO_STUCK_MS / 8;
	sotto_log(LOG_ERR, "the worker has not said for %d s that it lives: another one takes its place", SOTTO_STUCK_MS / 1000);
	leave_behind(k);
	if (k->alive - k->started >= SOTTO_CALM_MS)
		k->crashes = 0;
	crashed(k);
	return k->again;
}

/* What keeps it, as a disk that hangs, would keep the next one, too, and whoever connects waits at the door: they are passed through at once. */
static int64_t unready_due(struct sotto_keeper *k, int64_t now)
{
	if (now < k->started + SOTTO_READY_MS)
		return k->started + SOTTO_READY_MS;
	leave_behind(k);
	pass(k, "the worker is not ready");
	return k->again;
}

static int64_t worker_due(struct sotto_keeper *k, int64_t now)
{
	if (k->worker == 0 && k->again != 0 && now >= k->again)
		start_worker(k);
	if (k->worker == 0)
		return k->again;
	return k->ready ? stuck_due(k, now) : unready_due(k, now);
}

int64_t sotto_keeper_tick(struct sotto_keeper *k)
{
	int64_t now = sotto_now_ms(), next;

	if (k->pass_again != 0 && now >= k->pass_again)
		start_passer(k);
	next = worker_due(k, now);
	return k->pass_again != 0 && k->pass_again < next ? k->pass_again : next;
}

/* ---- the end of one ---- */

static void tell_end(const struct sotto_keeper *k, int status)
{
	if (WIFSIGNALED(status))
		sotto_log(LOG_ERR, "the worker has ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		sotto_log(LOG_ERR, "the worker cannot be started: is %s there?", k->program);
	else
		sotto_log(LOG_ERR, "the worker has ended with %d", WEXITSTATUS(status));
}

bool sotto_keeper_ended(struct sotto_keeper *k, pid_t pid, int status)
{
	if (pid == k->passer) {
		k->passer = 0;
		k->pass_again = sotto_now_ms() + SOTTO_PASS_AGAIN_MS;
		return false;
	}
	if (pid != k->worker)
		return false;
	tell_end(k, status);
	k->worker = 0;
	close_end(&k->talk);
	if (k->ready && sotto_now_ms() - k->started >= SOTTO_CALM_MS)
		k->crashes = 0;
	/* whom somebody ends from outside has done nothing wrong */
	if (k->ready && WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))
		k->again = sotto_now_ms() + SOTTO_AGAIN_MS;
	else
		crashed(k);
	k->ready = false;
	return true;
}

/* One that is not ready has no sessions, and may never hear that it is to end. */
static void leave_worker(struct sotto_keeper *k)
{
	if (k->worker > 0 && !k->ready)
		(void)kill(k->worker, SIGKILL);
	close_end(&k->talk);
}

void sotto_keeper_renew(struct sotto_keeper *k)
{
	leave_worker(k);
	k->worker = 0;
	start_worker(k);
}

/* ---- talking ---- */

bool sotto_keeper_tell(const struct sotto_keeper *k, const char *line, size_t len)
{
	return k->ready && send(k->talk, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static void hear_ready(struct sotto_keeper *k)
{
	k->ready = true;
	k->alive = k->ticked = sotto_now_ms();	/* it says so each second, and may stand still before the first */
	if (k->passer > 0)
		sotto_log(LOG_NOTICE, "the worker is back");
	k->passer = 0;
	k->pass_again = 0;
	close_end(&k->leash);	/* it ends when its connections have */
}

size_t sotto_keeper_hear(struct sotto_keeper *k, char *out, size_t size)
{
	ssize_t n = k->talk < 0 ? -1 : recv(k->talk, out, size - 1, MSG_DONTWAIT);

	if (n == 0)
		close_end(&k->talk);
	if (n <= 0)
		return 0;
	out[n] = '\0';
	if (strcmp(out, SOTTO_WORKER_ALIVE) == 0)
		k->alive = k->ticked = sotto_now_ms();
	else if (strcmp(out, "ready") == 0)
		hear_ready(k);
	else
		return (size_t)n;
	return sotto_keeper_hear(k, out, size);
}

void sotto_keeper_let_go(struct sotto_keeper *k)
{
	leave_worker(k);
	close_end(&k->leash);
}
