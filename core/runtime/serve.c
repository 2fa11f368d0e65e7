/* SPDX-License-Identifier: ISC */
/* Forks a session for each connection that it is handed (serve.h). Called by sotto-session's main; reads no octet of mail. */
#include "core/runtime/serve.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/deadline.h"

#define HANDED 2		/* descriptors */
#define HAND_OVER_MS 1000	/* for the message to come; it is written together with the connection */
#define PAUSE_MS 100		/* where there is no descriptor or process to be had */

enum { CHILD = 0, OVER = 1, USAGE = 2 };

/* ---- the child ---- */

static bool is_ours(int fd)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

/* The octets of the message, and both descriptors; -1: it is not as it should be. A descriptor too many is never opened. */
static ssize_t receive(struct sotto_served *s, int fds[HANDED])
{
	union { struct cmsghdr head; char octets[CMSG_SPACE(HANDED * sizeof(int))]; } control;
	struct iovec io = { .iov_base = s->octets, .iov_len = SOTTO_SERVE_OCTETS };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	ssize_t n = -1;

	if (sotto_wait_fd(s->starter, POLLIN, sotto_now_ms() + HAND_OVER_MS) == 0)
		n = recvmsg(s->starter, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c == NULL || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(HANDED * sizeof(int)) || s->octets[n - 1] != '\0')
		return -1;
	memcpy(fds, CMSG_DATA(c), HANDED * sizeof(int));
	return n;
}

static char *number(struct sotto_served *s, unsigned which, int fd)
{
	(void)snprintf(s->numbers[which], sizeof(s->numbers[which]), "%d", fd);
	return s->numbers[which];
}

/* The words behind ours; what getopt believes of a word that is given twice is the last. */
static int make_words(struct sotto_served *s, char *program, size_t n, int net, int mta, int ready)
{
	static char accept_word[] = "accept", net_word[] = "--net", mta_word[] = "--mta", ready_word[] = "--ready";
	char *own[] = { program, accept_word, net_word, number(s, 0, net), mta_word, number(s, 1, mta), ready_word, number(s, 2, ready) };

	memcpy(s->argv, own, sizeof(own));
	s->argc = sizeof(own) / sizeof(*own);
	for (size_t at = 0; at < n; at += strlen(s->octets + at) + 1) {
		if (s->argc == SOTTO_SERVE_WORDS)
			return -1;
		s->argv[s->argc++] = s->octets + at;
	}
	s->argv[s->argc] = NULL;
	return 0;
}

/* Ends where it was handed nothing that is a connection: nobody has been told anything, and who handed over goes on by itself. */
static void become_child(struct sotto_served *s, char *program)
{
	int fds[HANDED], ready;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "sotto-session", 0, 0, 0);
	(void)signal(SIGCHLD, SIG_DFL);
	n = is_ours(s->starter) ? receive(s, fds) : -1;
	ready = n > 0 ? fcntl(s->starter, F_DUPFD_CLOEXEC, 0) : -1;
	if (ready < 0 || make_words(s, program, (size_t)n, fds[0], fds[1], ready) != 0)
		_exit(OVER);
}

/* ---- the process that forks ---- */

/* For poll(2) to be left: who has ended is waited for at once. */
static void on_child_ended(int number)
{
	(void)number;
}

/* What is set up by its first use is so before there are children: each would do it for itself. */
static void warm_up(void)
{
	struct event_base *base = event_base_new();

	if (base != NULL)
		event_base_free(base);
	tzset();
}

/* False: the daemon has gone. */
static bool answer(int daemon)
{
	char octets[16];
	ssize_t n = recv(daemon, octets, sizeof(octets), MSG_DONTWAIT);

	if (n > 0)
		return send(daemon, octets, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/*
 * False: a child has crashed. Children have our layout of memory, and our stack's canary; one that gropes for it with a crash at each try gets another
 * one for the next, as with programs that are executed.
 */
static bool reap(void)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
			return false;
	return true;
}

/* True in the child. */
static bool serve_one(struct sotto_served *s, int listening)
{
	pid_t pid = -1;

	s->starter = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (s->starter >= 0)
		pid = fork();
	if (pid == 0)
		return true;
	if (pid < 0 && errno != EAGAIN)
		(void)poll(NULL, 0, PAUSE_MS);
	if (s->starter >= 0)
		close(s->starter);
	return false;
}

static int read_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && n < 1024 ? (int)n : -1;
}

int sotto_serve(struct sotto_served *s, int argc, char *argv[])
{
	struct pollfd at[2] = { { .events = POLLIN }, { .events = POLLIN } };

	for (int i = 0; i < 2; i++)
		at[i].fd = argc == 4 ? read_number(argv[2 + i]) : -1;
	if (at[0].fd < 0 || at[1].fd < 0) {
		(void)fprintf(stderr, "sotto-session: serve is for sotto-policyd; see sotto-session(8)\n");
		return USAGE;
	}
	(void)prctl(PR_SET_NAME, "sotto-serving", 0, 0, 0);
	/* not the sessions, as it does not outlive fork(2): a daemon that is killed must not leave one behind that is stopped, with connections in its queue */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	warm_up();
	(void)sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_child_ended }, NULL);
	for (;;) {
		at[0].revents = at[1].revents = 0;
		if (poll(at, 2, -1) < 0 && errno != EINTR)
			return OVER;
		if (!reap() || (at[1].revents != 0 && !answer(at[1].fd)))
			return OVER;
		if (at[0].revents == 0 || !serve_one(s, at[0].fd))
			continue;
		close(at[0].fd);
		close(at[1].fd);
		become_child(s, argv[0]);
		return CHILD;
	}
}
