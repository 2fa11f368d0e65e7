/* SPDX-License-Identifier: ISC */
/*
 * The process that sees handed over connections through their first commands (serve.h): takes them, forks for those in which XSOTTO comes, and ends. What
 * becomes of one is serve-one.c's. Called by sotto-session's main.
 */
#include "core/runtime/serve.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/descriptors.h"
#include "core/runtime/log.h"
#include "core/runtime/sandbox.h"
#include "core/runtime/serve-parts.h"

#define PAUSE_MS 100		/* where there is no descriptor to be had: they wait in the kernel's queue, and not for long */
#define HANGS_S 8		/* for which the loop stands still */
#define DESCRIPTORS 5		/* of one: both ends, who handed over, its live file, and one for a moment */

enum { OVER = 0, FAILED = 1, USAGE = 2 };

/* ---- no more ---- */

static void close_event(struct event **event, int *fd)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
	if (fd != NULL && *fd >= 0)
		close(*fd);
	if (fd != NULL)
		*fd = -1;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	(void)alarm(HANGS_S);
}

/* The daemon does not any more: clients of a loop that hangs are better off with 421. An alarm is no child's. */
static void watch_over_ourselves(struct sotto_serve *v)
{
	const struct timeval often = { .tv_sec = 1 };

	v->watch = event_new(v->base, -1, EV_PERSIST, on_watch, v);
	if (v->watch != NULL && event_add(v->watch, &often) == 0)
		(void)alarm(HANGS_S);
}

/* Who waits in our queue hears its end, and goes on by itself. */
void sotto_serve_end(struct sotto_serve *v)
{
	v->ending = true;
	close_event(&v->taking, &v->listening);
	close_event(&v->again, NULL);
	close_event(&v->asked, &v->daemon);
	if (v->n == 0)
		(void)event_base_loopbreak(v->base);
	else if (!v->child && v->watch == NULL)
		watch_over_ourselves(v);
}

void sotto_serve_ended(struct sotto_serve *v)
{
	if (v->n == 0 && v->ending)
		(void)event_base_loopbreak(v->base);
	else if (v->n + 1 == v->max && v->taking != NULL)
		(void)event_add(v->taking, NULL);
}

/* ---- connections ---- */

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_serve *v = arg;

	(void)fd;
	(void)what;
	(void)event_add(v->taking, NULL);
}

static void pause_taking(struct sotto_serve *v)
{
	const struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };

	if (event_add(v->again, &pause) == 0)
		(void)event_del(v->taking);
}

static void on_connection(evutil_socket_t listening, short what, void *arg)
{
	struct sotto_serve *v = arg;
	int fd;

	(void)what;
	if (v->n >= v->max) {
		(void)event_del(v->taking);	/* the next one that ends lets them in */
		return;
	}
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		sotto_serve_one(v, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		pause_taking(v);
}

static void on_asked(evutil_socket_t daemon, short what, void *arg)
{
	struct sotto_serve *v = arg;
	char octets[16];
	ssize_t n = recv(daemon, octets, sizeof(octets), MSG_DONTWAIT);

	(void)what;
	if (n > 0)
		(void)!send(daemon, octets, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		sotto_serve_end(v);
}

/* ---- processes ---- */

/*
 * Children have our layout of memory, and our stack's canary: one that crashes may have been groping for it, and the next is to have
 * another, as with programs that are executed.
 */
static void on_child_ended(evutil_socket_t number, short what, void *arg)
{
	int status;

	(void)number;
	(void)what;
	while (waitpid(-1, &status, WNOHANG) > 0)
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
			sotto_serve_end(arg);
}

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct sotto_serve *v = arg;

	(void)number;
	(void)what;
	if (v->child && v->all != NULL && v->all->conduct.relay != NULL)
		sotto_conduct_stop(&v->all->conduct);
	else
		sotto_serve_end(v);
}

static void enter_sandbox(const struct sotto_serve *v, enum sotto_sandbox which)
{
	int r = sotto_sandbox_enter(which);

	if (r != 0 && v->words.n > 0)
		sotto_log_limited(v->words.options.state, "sandbox-limit", LOG_NOTICE, "no sandbox: %s; going on without", strerror(-r));
}

/* The loop is ours alone from here on, and so is the session; nothing of the others is told to anybody. */
static bool become_child(struct sotto_serve *v, struct sotto_serve_one *o)
{
	if (event_reinit(v->base) != 0)
		return false;
	v->child = true;
	(void)prctl(PR_SET_NAME, "sotto-session", 0, 0, 0);
	sotto_serve_count_leave();
	close_event(&v->ended, NULL);
	close_event(&v->watch, NULL);
	for (struct sotto_serve_one *next, *each = v->all; each != NULL; each = next) {
		next = each->next;
		if (each != o)
			sotto_serve_one_abandon(each);
	}
	sotto_serve_end(v);
	enter_sandbox(v, SOTTO_SANDBOX_SETTLED);
	sotto_serve_one_become(o);
	return true;
}

/* False: a child that cannot be one. */
static bool fork_for(struct sotto_serve *v, struct sotto_serve_one *o)
{
	pid_t pid = fork();

	if (pid == 0)
		return become_child(v, o);
	if (pid < 0)
		sotto_serve_one_refuse(o);
	else
		sotto_serve_one_kept(o);
	return true;
}

static bool act(struct sotto_serve *v)
{
	struct sotto_serve_one *o = v->pending;

	v->pending = NULL;
	if (o == NULL)
		return true;
	if (o->held)
		return fork_for(v, o);
	sotto_serve_one_pass(o);
	return true;
}

/* ---- the process ---- */

static int read_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && n < 1024 ? (int)n : -1;
}

static void find_limit(struct sotto_serve *v)
{
	rlim_t files = sotto_descriptors(16384);

	v->max = files > 128 ? (unsigned)(files - 32) / DESCRIPTORS : 16;
}

static bool add(struct event *event)
{
	return event != NULL && event_add(event, NULL) == 0;
}

static bool prepare_loop(struct sotto_serve *v)
{
	int flags = fcntl(v->listening, F_GETFL);

	v->base = event_base_new();
	if (v->base == NULL || flags < 0 || fcntl(v->listening, F_SETFL, flags | O_NONBLOCK) != 0)
		return false;
	v->taking = event_new(v->base, v->listening, EV_READ | EV_PERSIST, on_connection, v);
	v->asked = event_new(v->base, v->daemon, EV_READ | EV_PERSIST, on_asked, v);
	v->ended = evsignal_new(v->base, SIGCHLD, on_child_ended, v);
	v->term = evsignal_new(v->base, SIGTERM, on_term, v);
	v->again = evtimer_new(v->base, on_again, v);
	return v->again != NULL && add(v->taking) && add(v->asked) && add(v->ended) && add(v->term);
}

/* Only who handed over a connection ever waits for us; and all that is left of one is freed with its end. */
static int run(struct sotto_serve *v)
{
	bool well;

	do {
		(void)event_base_dispatch(v->base);
		do
			well = act(v);
		while (well && v->pending != NULL);	/* what is done out of the loop cannot leave it */
	} while (well && (v->n > 0 || !v->ending));
	return v->child ? v->exit_code : OVER;
}

int sotto_serve(int argc, char *argv[])
{
	static struct sotto_serve v;
	int r = FAILED;

	v.listening = argc == 4 ? read_number(argv[2]) : -1;
	v.daemon = argc == 4 ? read_number(argv[3]) : -1;
	if (v.listening < 0 || v.daemon < 0) {
		(void)fprintf(stderr, "sotto-session: serve is for sotto-policyd; see sotto-session(8)\n");
		return USAGE;
	}
	(void)prctl(PR_SET_NAME, "sotto-serving", 0, 0, 0);
	tzset();
	find_limit(&v);
	sotto_serve_count_begin(&v);
	if (prepare_loop(&v)) {
		sotto_serve_count_loop(v.base);
		enter_sandbox(&v, SOTTO_SANDBOX_FORKING);
		r = run(&v);
	}
	sotto_serve_end(&v);
	sotto_serve_count_end();
	close_event(&v.ended, NULL);
	close_event(&v.watch, NULL);
	close_event(&v.term, NULL);
	if (v.base != NULL)
		event_base_free(v.base);
	return r;
}
