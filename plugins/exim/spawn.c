/* SPDX-License-Identifier: ISC */
/*
 * spawn.c - the double fork. Called by interpose.c; knows nothing of Exim.
 *
 * The helper in the middle lives until the outcome is known, for one reason: only a parent can kill a child and be
 * sure that the number still means that child. A session that hangs would keep Exim's connection open for ever.
 *
 * Exim ignores SIGCHLD while it receives: then the helper is reaped by the kernel, and waitpid only waits for that. A
 * helper that does not end (somebody stopped it) is killed, so that Exim never waits for it longer than REAP_MS. Then
 * nobody kills the session; but it sees the end of its ready descriptor, and ends.
 */
#include "plugins/exim/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/exim/deadline.h"

#define ABOVE 16	/* out of the way of 0 to 5 */
#define REAP_MS 200	/* for a helper to end that has been told to */

struct job {
	const char *const *argv;
	const char *state;
	int net, mta, ready, control;
};

/* ---- in the session-to-be: nothing but system calls ------------------------------------------------------ */

static void default_signals(void)
{
	struct sigaction as_usual;
	sigset_t none;

	memset(&as_usual, 0, sizeof(as_usual));
	as_usual.sa_handler = SIG_DFL;
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &as_usual, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Kernels before 5.9, and filters that do not know close_range, leave no other way than one by one. */
static void close_all(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < 65536; fd++)
		close((int)fd);
}

/* First out of the way, then into place: net may well be 4, and mta 3. */
static int arrange(const struct job *j)
{
	int net = fcntl(j->net, F_DUPFD, ABOVE), mta = fcntl(j->mta, F_DUPFD, ABOVE);
	int ready = fcntl(j->ready, F_DUPFD, ABOVE), null = open("/dev/null", O_RDWR);

	if (net < 0 || mta < 0 || ready < 0 || null < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (dup2(net, SOTTO_SPAWN_NET) < 0 || dup2(mta, SOTTO_SPAWN_MTA) < 0 || dup2(ready, SOTTO_SPAWN_READY) < 0)
		return -1;
	close_all(SOTTO_SPAWN_READY + 1, ~0U);
	return 0;
}

/* What the session remembers belongs to one user. Exim is that user, but for root's own tests; nothing of ours is ever root. */
static int not_as_root(const char *state)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(state, &st) != 0 || st.st_uid == 0)
		return -1;
	return setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0 ? -1 : 0;
}

_Noreturn static void become_session(const struct job *j)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };

	default_signals();
	(void)umask(022);
	if (setsid() >= 0 && chdir("/") == 0 && arrange(j) == 0 && not_as_root(j->state) == 0)
		execve(j->argv[0], (char *const *)(const void *)j->argv, environment);
	_exit(127);
}

/* ---- in the helper --------------------------------------------------------------------------------------- */

static void close_all_but(int fd)
{
	if (fd > 0)
		close_all(0, (unsigned)fd - 1);
	close_all((unsigned)fd + 1, ~0U);
}

_Noreturn static void help(const struct job *j)
{
	pid_t session = fork();
	char order = 0;
	ssize_t n;

	if (session == 0)
		become_session(j);
	if (session < 0)
		_exit(1);
	default_signals();
	close_all_but(j->control);
	do
		n = recv(j->control, &order, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		(void)kill(session, SIGKILL);
	_exit(0);
}

/* ---- in Exim's process ----------------------------------------------------------------------------------- */

static pid_t fork_helper(const struct job *j)
{
	sigset_t all, before;
	pid_t pid;
	int keep;

	/* None of Exim's handlers must run in our children. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		help(j);
	keep = errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = keep;
	return pid;
}

static void shut(int pair[2])
{
	int keep = errno;

	close(pair[0]);
	close(pair[1]);
	errno = keep;
}

int sotto_spawn(struct sotto_spawn *s, const char *const argv[], const char *state, int net, int mta)
{
	int control[2], ready[2];
	struct job j = { .argv = argv, .state = state, .net = net, .mta = mta };

	*s = (struct sotto_spawn){ .helper = -1, .control = -1, .ready = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ready) != 0) {
		shut(control);
		return -1;
	}
	j.control = control[1];
	j.ready = ready[1];
	s->helper = fork_helper(&j);
	if (s->helper < 0) {
		shut(control);
		shut(ready);
		return -1;
	}
	close(control[1]);
	close(ready[1]);
	s->control = control[0];
	s->ready = ready[0];
	return 0;
}

int sotto_spawn_ready(const struct sotto_spawn *s, int64_t deadline)
{
	char octet = 0;
	ssize_t n;

	if (sotto_wait_fd(s->ready, POLLIN, deadline) != 0)
		return -1;
	n = recv(s->ready, &octet, 1, MSG_DONTWAIT);
	if (n == 1 && octet == '!')
		return 0;
	if (n >= 0)
		errno = ECHILD;
	return -1;
}

int sotto_spawn_go(const struct sotto_spawn *s)
{
	return send(s->ready, "!", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* The helper's end of control closes when it ends. Where it is slow, its number is still its own as long as waitpid says 0. */
static void reap(const struct sotto_spawn *s)
{
	(void)shutdown(s->control, SHUT_WR);
	if (sotto_wait_fd(s->control, POLLIN, sotto_now_ms() + REAP_MS) != 0 && waitpid(s->helper, NULL, WNOHANG) == 0)
		(void)kill(s->helper, SIGKILL);
	while (waitpid(s->helper, NULL, 0) < 0 && errno == EINTR)
		;
}

void sotto_spawn_end(struct sotto_spawn *s, bool undo)
{
	int keep = errno;

	if (undo)
		(void)send(s->control, "k", 1, MSG_NOSIGNAL);
	close(s->ready);
	reap(s);
	close(s->control);
	*s = (struct sotto_spawn){ .helper = -1, .control = -1, .ready = -1 };
	errno = keep;
}
