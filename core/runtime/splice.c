/* SPDX-License-Identifier: ISC */
/* The pass-through of relay-through.c: splice(2) between two sockets. Never looks at an octet, never waits. */
#include "core/runtime/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int sotto_splice_open(struct sotto_splice *d, int from, int to)
{
	*d = (struct sotto_splice){ .from = from, .to = to, .pipe = { -1, -1 } };
	return pipe2(d->pipe, O_NONBLOCK | O_CLOEXEC) == 0 ? 0 : -errno;
}

void sotto_splice_close(struct sotto_splice *d)
{
	for (int i = 0; i < 2; i++) {
		if (d->pipe[i] >= 0)
			close(d->pipe[i]);
		d->pipe[i] = -1;
	}
	d->pending = 0;
}

/* `to` is dead: what is on its way to it has nowhere to go. */
static void discard(struct sotto_splice *d)
{
	char scratch[4096];

	while (d->pending > 0 && read(d->pipe[0], scratch, sizeof(scratch)) > 0)
		continue;
	d->pending = 0;
}

/* What splice(2) says of itself, not of a connection. */
static bool is_of_splice(int error)
{
	return error == EINVAL || error == ENOSYS || error == EPERM || error == EACCES || error == EOPNOTSUPP || error == ENOMEM;
}

static bool push(struct sotto_splice *d)
{
	ssize_t n;

	if (d->pending == 0)
		return false;
	n = splice(d->pipe[0], NULL, d->to, NULL, d->pending, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		d->pending -= (size_t)n;
		d->passed += (uint64_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && is_of_splice(errno))
		d->impossible = true;
	else
		d->broken = true;
	return true;
}

static void end(struct sotto_splice *d, bool failed)
{
	d->ended = true;
	d->failed = failed;
}

/*
 * Where splice(2) has nothing, recv(2) has the last word: splice stops before an urgent octet of TCP and would neither go on
 * nor say so, while the kernel goes on calling the socket readable. recv skips that octet, as it does for a mail server.
 */
static bool pull_by_copy(struct sotto_splice *d)
{
	char scratch[4096];
	ssize_t n = recv(d->from, scratch, sizeof(scratch), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(d, n < 0);
		return true;
	}
	d->pulled += (uint64_t)n;
	/* an empty pipe has room for a page */
	if (write(d->pipe[1], scratch, (size_t)n) == n)
		d->pending = (size_t)n;
	else
		end(d, true);
	return true;
}

static bool pull(struct sotto_splice *d)
{
	ssize_t n;

	if (d->ended || d->pending > 0)
		return false;
	n = splice(d->from, NULL, d->pipe[1], NULL, SOTTO_SPLICE_CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		d->pending = (size_t)n;
		d->pulled += (uint64_t)n;
		return true;
	}
	if (n == 0 || errno == EAGAIN)
		return pull_by_copy(d);
	if (errno == EINTR)
		return false;
	if (is_of_splice(errno))
		d->impossible = true;
	else
		end(d, true);
	return true;
}

bool sotto_splice_run(struct sotto_splice *d)
{
	bool moved = push(d);

	if (!d->impossible && pull(d)) {
		moved = true;
		if (!d->impossible)
			(void)push(d);
	}
	if (d->broken && d->pending > 0)
		discard(d);
	return moved;
}

bool sotto_splice_wants_read(const struct sotto_splice *d)
{
	return !d->ended && d->pending == 0;
}

bool sotto_splice_wants_write(const struct sotto_splice *d)
{
	return d->pending > 0;
}

bool sotto_splice_finished(const struct sotto_splice *d)
{
	return d->ended && d->pending == 0;
}

size_t sotto_splice_take_back(struct sotto_splice *d, uint8_t *to, size_t len)
{
	ssize_t n = read(d->pipe[0], to, len < d->pending ? len : d->pending);

	if (n <= 0)
		return 0;
	d->pending -= (size_t)n;
	return (size_t)n;
}
