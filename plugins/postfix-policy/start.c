/* SPDX-License-Identifier: ISC */
/*
 * fork, exec and the ready octet (start.h), for front.c. The parent becomes the session and the child watches, the other way round than
 * usual: spawn(8) waits for the process that it made. Never reads from or writes to the client.
 */
#include "plugins/postfix-policy/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/ready.h"

#define GO "!"
#define NOT_TRIED '\x15'	/* from the process that could not become the session: it goes on itself */

extern char **environ;

/*
 * All three of spawn(8)'s descriptors are the client's socket. What a session prints would be read as SMTP, and the connection would stay
 * open behind its back; so 1 and 2 are /dev/null.
 */
static int tidy(bool keep_stderr)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -1;
	if ((!keep_stderr || fcntl(STDERR_FILENO, F_GETFD) < 0) && dup2(null, STDERR_FILENO) < 0)
		return -1;
	if (null > STDERR_FILENO)
		close(null);
	return 0;
}

/* ---- the watcher ---- */

/*
 * Only a parent's number is certain to be its own; where it has ended already, ours is another's child now, and the number may be
 * anybody's.
 */
static void kill_session(pid_t session)
{
	if (getppid() == session)
		(void)kill(session, SIGKILL);
}

/* Returns where the session has not started, and never will. */
static void watch(pid_t session, int ready, int64_t deadline, const char *program, char *why, size_t len)
{
	char octet = 0;
	ssize_t n = -1;

	if (sotto_wait_fd(ready, POLLIN, deadline) == 0)
		n = recv(ready, &octet, 1, MSG_DONTWAIT);
	if (n == 1 && octet == NOT_TRIED)
		_exit(0);
	if (n == 1 && octet == SOTTO_READY && send(ready, GO, 1, MSG_NOSIGNAL) == 1)
		_exit(0);
	if (n < 0 && errno == ETIMEDOUT)
		(void)snprintf(why, len, "%s was not ready within %d ms", program, SOTTO_START_MS);
	else
		(void)snprintf(why, len, "%s ended before it was ready", program);
	kill_session(session);
	close(ready);
}

/* ---- the session-to-be ---- */

static void cannot_execute(const char *program, char *why, size_t len)
{
	(void)snprintf(why, len, "%s cannot be executed: %s", program, strerror(errno));
}

/* Returns where it could not be started at all; the watcher knows, and ends. */
static void become(char *argv[], size_t at, int ready, char *why, size_t len)
{
	static char number[16];
	char octet = NOT_TRIED;

	(void)snprintf(number, sizeof(number), "%d", ready);
	argv[at] = number;
	if (fcntl(ready, F_SETFD, 0) == 0)
		(void)execve(argv[0], argv, environ);
	cannot_execute(argv[0], why, len);
	(void)!send(ready, &octet, 1, MSG_NOSIGNAL);
	close(ready);
}

void sotto_start(char *argv[], size_t at, bool keep_stderr, char *why, size_t len)
{
	int64_t deadline = sotto_now_ms() + SOTTO_START_MS;
	pid_t self = getpid(), watcher;
	int ready[2];

	/* where Sotto is not there, or switched off in this way, a watcher for nothing is a tenth of what a connection costs */
	if (access(argv[0], X_OK) != 0) {
		cannot_execute(argv[0], why, len);
		return;
	}
	/* the watcher is the session's child, and must not be left a zombie by it: this survives execve */
	(void)signal(SIGCHLD, SIG_IGN);
	if (tidy(keep_stderr) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ready) != 0) {
		(void)snprintf(why, len, "no descriptor for it: %s", strerror(errno));
		return;
	}
	watcher = fork();
	if (watcher < 0)
		(void)snprintf(why, len, "no process for it: %s", strerror(errno));
	close(ready[watcher == 0]);
	if (watcher == 0)
		watch(self, ready[0], deadline, argv[0], why, len);
	else if (watcher > 0)
		become(argv, at, ready[1], why, len);
	else
		close(ready[1]);
}
