/* SPDX-License-Identifier: ISC */
/*
 * The process that writes the counters of sotto-session serve (serve-parts.h): a disk that hangs holds it alone. What it does not take at once
 * is not counted. The records of some moments are written together.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/sandbox.h"
#include "core/runtime/serve-parts.h"

#define SOON_MS 50
#define PATH 1024

struct notes {
	char state[PATH];
	size_t n;
	struct sotto_counted counted[SOTTO_COUNTERS_AT_ONCE];
};

static int to = -1;
static struct event *soon;
static struct notes waiting;

static size_t size_of(const struct notes *notes)
{
	return offsetof(struct notes, counted) + notes->n * sizeof(*notes->counted);
}

/* Until the process that sends has ended. */
static void write_all(int from)
{
	static struct notes notes;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "sotto-counting", 0, 0, 0);
	(void)!sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED);
	while ((n = recv(from, &notes, sizeof(notes), 0)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			(void)!sotto_counters_add_all(notes.state, notes.counted, notes.n);
	_exit(0);
}

void sotto_serve_count_begin(const struct sotto_serve *v)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		close(v->listening);
		close(v->daemon);
		write_all(pair[1]);
	}
	close(pair[1]);
	if (pid > 0)
		to = pair[0];
	else
		close(pair[0]);
}

static void flush(void)
{
	if (waiting.n > 0 && to < 0)
		(void)!sotto_counters_add_all(waiting.state, waiting.counted, waiting.n);
	else if (waiting.n > 0 && send(to, &waiting, size_of(&waiting), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE) {
		/* it was killed */
		close(to);
		to = -1;
		(void)!sotto_counters_add_all(waiting.state, waiting.counted, waiting.n);
	}
	waiting.n = 0;
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	flush();
}

void sotto_serve_count_loop(struct event_base *base)
{
	soon = evtimer_new(base, on_soon, NULL);
}

void sotto_serve_count_end(void)
{
	flush();
	sotto_serve_count_leave();
}

/* What waits is the parent's. */
void sotto_serve_count_leave(void)
{
	waiting.n = 0;
	if (soon != NULL)
		event_free(soon);
	soon = NULL;
	if (to >= 0)
		close(to);
	to = -1;
}

/* All sessions of a process have the same state (serve-words.c). */
void sotto_serve_count(const char *state, const struct sotto_counted *c)
{
	const struct timeval pause = { .tv_usec = SOON_MS * 1000 };
	size_t len = strlen(state) + 1;

	if (len > sizeof(waiting.state))
		return;
	memcpy(waiting.state, state, len);
	waiting.counted[waiting.n++] = *c;
	if (waiting.n == SOTTO_COUNTERS_AT_ONCE || soon == NULL || (waiting.n == 1 && event_add(soon, &pause) != 0))
		flush();
}
