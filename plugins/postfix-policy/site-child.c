/* SPDX-License-Identifier: ISC */
/*
 * Children, for site.c and its companions. Input goes through a socket pair, so that a child that ends early is no SIGPIPE for us. A
 * child has a process group of its own, all of which is killed when its time is over. It inherits no descriptor but three.
 */
#include "plugins/postfix-policy/site-child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/postfix-policy/launch.h"

#define ERR_MAX 1024	/* octets of stderr that are kept */
#define LAST_MS 1000	/* for a killed child to be gone */
#define LOOK_MS 10	/* between two looks at a child, where the kernel has no pidfd */
#define CANCEL_MS 200

struct sotto_child {
	sotto_child_done *done;
	void *arg;
	pid_t pid;	/* 0: there is none (any more) */
	int pidfd, in, out, err;
	struct event *ended, *over, *writable, *readable, *complaint;
	int error;
	char *input;
	size_t input_len, input_at;
	char *text;	/* what it said */
	size_t text_len, limit;
	char errtext[ERR_MAX];
	size_t errlen;
};

static void forget(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void shut(int *fd, struct event **ev)
{
	forget(ev);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop(struct sotto_child *c)
{
	shut(&c->in, &c->writable);
	shut(&c->out, &c->readable);
	shut(&c->err, &c->complaint);
	shut(&c->pidfd, &c->ended);
	forget(&c->over);
	free(c->input);
	free(c->text);
	free(c);
}

static void finish(struct sotto_child *c, int status)
{
	struct sotto_child_end end = { .error = c->error, .status = status, .out = c->text != NULL ? c->text : "",
				       .out_len = c->text_len, .err = c->errtext };

	shut(&c->in, &c->writable);
	c->done(c->arg, &end);
	drop(c);
}

static void put_down(struct sotto_child *c, int error)
{
	if (c->error == 0)
		c->error = error;
	if (c->pid > 0)
		(void)kill(-c->pid, SIGKILL);
}

/* ---- what it says ---------------------------------------------------------------------------------------- */

/* Of much that it complains about, the end is what counts: there stands why it gave up. */
static void keep_complaint(struct sotto_child *c, const char *text, size_t len)
{
	const size_t room = sizeof(c->errtext) - 1;

	if (len > room) {
		text += len - room;
		len = room;
	}
	if (c->errlen + len > room) {
		size_t gone = c->errlen + len - room;

		memmove(c->errtext, c->errtext + gone, c->errlen - gone);
		c->errlen -= gone;
	}
	memcpy(c->errtext + c->errlen, text, len);
	c->errlen += len;
	c->errtext[c->errlen] = 0;
}

static int keep_text(struct sotto_child *c, const char *text, size_t len)
{
	char *bigger;

	if (len > c->limit - c->text_len)
		return EFBIG;
	bigger = realloc(c->text, c->text_len + len + 1);
	if (bigger == NULL)
		return ENOMEM;
	c->text = bigger;
	memcpy(c->text + c->text_len, text, len);
	c->text_len += len;
	c->text[c->text_len] = 0;
	return 0;
}

/* Whatever is there now. True: there may come more. */
static bool drain_out(struct sotto_child *c)
{
	char buf[4096];
	ssize_t n;

	while (c->out >= 0 && c->error == 0 && (n = read(c->out, buf, sizeof(buf))) != 0) {
		int error = 0;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		error = keep_text(c, buf, (size_t)n);
		if (error != 0)
			put_down(c, error);
	}
	return false;
}

static bool drain_err(struct sotto_child *c)
{
	char buf[ERR_MAX];
	ssize_t n = 1;

	for (int i = 0; c->err >= 0 && i < 64 && (n = read(c->err, buf, sizeof(buf))) > 0; i++)
		keep_complaint(c, buf, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_out(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_child *c = arg;

	(void)fd, (void)what;
	if (!drain_out(c))
		shut(&c->out, &c->readable);
}

static void on_err(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_child *c = arg;

	(void)fd, (void)what;
	if (!drain_err(c))
		shut(&c->err, &c->complaint);
}

static void on_in(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_child *c = arg;
	ssize_t n = 0;

	(void)what;
	while (c->input_at < c->input_len && (n = send(fd, c->input + c->input_at, c->input_len - c->input_at, MSG_NOSIGNAL)) > 0)
		c->input_at += (size_t)n;
	if (c->input_at == c->input_len || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&c->in, &c->writable);
}

/* ---- how it ends ----------------------------------------------------------------------------------------- */

/* True: it is gone. Another that waited for it leaves ECHILD. */
static bool reap(struct sotto_child *c, int *status)
{
	int raw = 0;
	pid_t pid = waitpid(c->pid, &raw, WNOHANG);

	if (pid == 0 || (pid < 0 && errno == EINTR))
		return false;
	c->pid = 0;
	*status = pid < 0 ? 0 : WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	return true;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_child *c = arg;
	int status = 0;

	(void)fd, (void)what;
	if (!reap(c, &status))
		return;
	(void)drain_out(c);
	(void)drain_err(c);
	finish(c, status);
}

/* Its time is over; and when even SIGKILL does not end it, the process is given up, not the answer. */
static void on_over(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_child *c = arg;
	struct timeval last = { LAST_MS / 1000, 0 };

	(void)fd, (void)what;
	if (c->pid == 0 || c->error != 0) {
		finish(c, -1);
		return;
	}
	put_down(c, ETIME);
	event_add(c->over, &last);
}

void sotto_child_cancel(struct sotto_child *c)
{
	int status;

	if (c == NULL)
		return;
	put_down(c, ECANCELED);
	for (int ms = 0; c->pid > 0 && !reap(c, &status) && ms < CANCEL_MS; ms += LOOK_MS) {
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

		(void)poll(&p, 1, LOOK_MS);
	}
	drop(c);
}

/* ---- how it begins --------------------------------------------------------------------------------------- */

/* 0 or errno. What it is that cannot be executed shall be known now, not by the child's status. */
static int launch(struct sotto_child *c, const struct sotto_child_job *job, const int theirs[3])
{
	const struct sotto_launch l = { .path = job->argv[0], .argv = job->argv, .env = job->env, .fds = theirs, .n = 3 };
	int error = access(job->argv[0], X_OK) == 0 ? sotto_launch(&l, &c->pid) : errno;

	if (error != 0)
		c->pid = 0;
	return error;
}

/* Three pairs, ours never blocking. They lie above 2, so that no dup2 in the child steps on another. */
static int plumb(int ours[3], int theirs[3])
{
	int pair[2];

	for (int i = 0; i < 3; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
			return errno;
		theirs[i] = fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
		close(pair[1]);
		ours[i] = pair[0];
		if (theirs[i] < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
			return errno;
	}
	return 0;
}

static bool watch(struct sotto_child *c, struct event_base *base)
{
	struct timeval look = { 0, LOOK_MS * 1000 };

	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	c->ended = event_new(base, c->pidfd, (short)(EV_PERSIST | (c->pidfd >= 0 ? EV_READ : 0)), on_ended, c);
	c->writable = event_new(base, c->in, EV_WRITE | EV_PERSIST, on_in, c);
	c->readable = event_new(base, c->out, EV_READ | EV_PERSIST, on_out, c);
	c->complaint = event_new(base, c->err, EV_READ | EV_PERSIST, on_err, c);
	return c->ended != NULL && c->writable != NULL && c->readable != NULL && c->complaint != NULL &&
	       event_add(c->ended, c->pidfd >= 0 ? NULL : &look) == 0 && event_add(c->writable, NULL) == 0 &&
	       event_add(c->readable, NULL) == 0 && event_add(c->complaint, NULL) == 0;
}

static int begin(struct sotto_child *c, struct event_base *base, const struct sotto_child_job *job)
{
	int ours[3] = { -1, -1, -1 }, theirs[3] = { -1, -1, -1 };
	int error = plumb(ours, theirs);

	c->in = ours[0];
	c->out = ours[1];
	c->err = ours[2];
	if (error == 0)
		error = launch(c, job, theirs);
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (error == 0 && !watch(c, base))
		error = ENOMEM;
	return error;
}

struct sotto_child *sotto_child_start(struct event_base *base, const struct sotto_child_job *job, sotto_child_done *done, void *arg)
{
	struct sotto_child *c = calloc(1, sizeof(*c));
	struct timeval over = { job->timeout_ms / 1000, job->timeout_ms % 1000 * 1000 }, now = { 0, 0 };

	if (c == NULL)
		return NULL;
	c->done = done;
	c->arg = arg;
	c->limit = job->limit;
	c->pidfd = c->in = c->out = c->err = -1;
	c->input = malloc(job->input_len + 1);
	c->over = event_new(base, -1, 0, on_over, c);
	if (c->input == NULL || c->over == NULL) {
		drop(c);
		return NULL;
	}
	if (job->input_len > 0)
		memcpy(c->input, job->input, job->input_len);
	c->input_len = job->input_len;
	c->error = begin(c, base, job);
	if (c->error != 0)
		put_down(c, c->error);
	if (event_add(c->over, c->error == 0 ? &over : &now) != 0) {
		sotto_child_cancel(c);
		return NULL;
	}
	return c;
}
