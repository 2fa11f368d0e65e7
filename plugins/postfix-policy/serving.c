/* SPDX-License-Identifier: ISC */
/* Starts, asks and ends the process that sees sessions through their first commands (serving.h). Called by policyd.c. Never waits for it. */
#include "plugins/postfix-policy/serving.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/log.h"
#include "plugins/postfix-policy/launch.h"
#include "plugins/postfix-policy/service.h"

#define LISTENING 3	/* its descriptors */
#define DAEMON 4
#define SILENT 3	/* questions without an answer: it hangs */
#define LEAVING 8
#define OLD 3600	/* seconds: then another one is started, with the libraries as they are by then, and another layout of memory */

struct sotto_serving {
	const struct sotto_policyd *p;
	char path[128], aside[128];
	struct event *tick, *said;
	pid_t pid;		/* 0: there is none */
	pid_t leaving[LEAVING];	/* those before it, which see their last connections to their ends; 0: none */
	int talk;		/* -1: it is to end, or there is none */
	unsigned unanswered, age;	/* age: seconds */
	bool there;		/* path is its socket */
};

/* ---- its end ---- */

/* One that hangs holds its clients: they are better off with 421. Who has a session of its own goes on; so does what is passed through. */
static void end_hanging(const struct sotto_serving *s)
{
	if (s->pid > 0 && (!s->there || s->unanswered > 1))
		(void)kill(s->pid, SIGKILL);
}

/* For one more that leaves, or NULL. */
static pid_t *find_room(struct sotto_serving *s)
{
	for (unsigned i = 0; i < LEAVING; i++)
		if (s->leaving[i] == 0)
			return &s->leaving[i];
	return NULL;
}

/* Nobody is sent to it any more. It hears that, and ends with the last connection that it has. */
static void withdraw(struct sotto_serving *s)
{
	pid_t *room = find_room(s);

	end_hanging(s);
	if (s->said != NULL)
		event_free(s->said);
	s->said = NULL;
	if (s->talk >= 0)
		close(s->talk);
	s->talk = -1;
	if (s->there)
		(void)unlink(s->path);
	s->there = false;
	if (room != NULL) {
		*room = s->pid;
		s->pid = 0;
	}
}

static void reap(struct sotto_serving *s)
{
	for (unsigned i = 0; i < LEAVING; i++)
		if (s->leaving[i] > 0 && waitpid(s->leaving[i], NULL, WNOHANG) != 0)
			s->leaving[i] = 0;
}

static void fail(struct sotto_serving *s, const char *why)
{
	sotto_log_limited(s->p->run, ".serving-limit", LOG_NOTICE, "sotto-session serve %s; sotto-front starts sessions by itself until another one is ready", why);
	withdraw(s);
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_serving *s = arg;
	char octets[16];
	ssize_t n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(s, "has ended");
		return;
	}
	s->unanswered = 0;
	if (!s->there)
		s->there = rename(s->aside, s->path) == 0;
}

/* ---- its beginning ---- */

/* 0 or errno. Its descriptors are above the numbers that they get. */
static int launch(struct sotto_serving *s, int listening, int daemon)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const char *const argv[] = { s->p->session, "serve", "3", "4", NULL };
	const int fds[] = { -1, -1, STDERR_FILENO, [LISTENING] = listening, [DAEMON] = daemon };
	const struct sotto_launch l = { .path = s->p->session, .argv = argv, .env = environment, .fds = fds, .n = DAEMON + 1, .session = true };

	return listening < 0 || daemon < 0 ? errno : sotto_launch(&l, &s->pid);
}

static int launch_above(struct sotto_serving *s, int listening, int daemon)
{
	int above[2] = { fcntl(listening, F_DUPFD_CLOEXEC, DAEMON + 1), fcntl(daemon, F_DUPFD_CLOEXEC, DAEMON + 1) };
	int error = launch(s, above[0], above[1]);

	for (unsigned i = 0; i < 2; i++)
		if (above[i] >= 0)
			close(above[i]);
	if (error != 0)
		s->pid = 0;
	return error;
}

static void ask(struct sotto_serving *s)
{
	s->unanswered++;
	(void)!send(s->talk, "?", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void begin(struct sotto_serving *s)
{
	int pair[2], listening = sotto_service_listen(s->aside), error = 0;

	if (listening >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
		error = launch_above(s, listening, pair[1]);
		close(pair[1]);
		s->talk = pair[0];
	}
	if (listening >= 0)
		close(listening);
	if (s->talk >= 0 && error == 0)
		s->said = event_new(s->p->base, s->talk, EV_READ | EV_PERSIST, on_said, s);
	if (s->said == NULL || event_add(s->said, NULL) != 0) {
		fail(s, "cannot be started");
		return;
	}
	s->unanswered = s->age = 0;
	ask(s);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_serving *s = arg;

	(void)fd;
	(void)what;
	reap(s);
	if (s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) != 0) {
		s->pid = 0;
		withdraw(s);
	}
	if (s->talk >= 0 && ++s->age >= OLD && s->unanswered <= 1 && find_room(s) != NULL)
		withdraw(s);
	if (s->pid == 0) {
		begin(s);
	} else if (s->talk >= 0 && s->unanswered < SILENT) {
		ask(s);
	} else if (s->talk >= 0) {
		fail(s, "hangs");
	}
}

struct sotto_serving *sotto_serving_open(const struct sotto_policyd *p)
{
	const struct timeval often = { .tv_sec = 1 };
	struct sotto_serving *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->p = p;
	s->talk = -1;
	(void)snprintf(s->path, sizeof(s->path), "%s/first.sock", p->run);
	(void)snprintf(s->aside, sizeof(s->aside), "%s/first.sock.new", p->run);
	s->tick = event_new(p->base, -1, EV_PERSIST, on_tick, s);
	if (s->tick == NULL || event_add(s->tick, &often) != 0) {
		sotto_serving_close(s);
		return NULL;
	}
	(void)unlink(s->path);	/* of a daemon that was killed */
	begin(s);
	return s;
}

void sotto_serving_close(struct sotto_serving *s)
{
	if (s == NULL)
		return;
	withdraw(s);
	if (s->tick != NULL)
		event_free(s->tick);
	free(s);
}
