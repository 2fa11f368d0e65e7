/* SPDX-License-Identifier: ISC */
/* The pass-through of relay.c: splice(2) between two sockets. Never looks at an octet. */
#include "core/runtime/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CHUNK 65536	/* a pipe's usual capacity */

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
}

/* `to` is dead: what is on its way to it has nowhere to go. */
static void discard(struct sotto_splice *d)
{
	char scratch[4096];
	ssize_t n;

	while ((n = read(d->pipe[0], scratch, sizeof(scratch))) > 0)
		continue;
	d->pending = 0;
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
	d->broken = true;
	return true;
}

static bool pull(struct sotto_splice *d)
{
	ssize_t n;

	if (d->ended || d->pending > 0)
		return false;
	n = splice(d->from, NULL, d->pipe[1], NULL, CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		d->pending = (size_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	d->ended = true;
	return true;
}

bool sotto_splice_run(struct sotto_splice *d)
{
	bool moved = push(d);

	if (pull(d)) {
		moved = true;
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
