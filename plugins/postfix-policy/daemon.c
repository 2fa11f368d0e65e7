/* SPDX-License-Identifier: ISC */
/* Asks sotto-policyd (daemon.h), for connector.c. Whatever goes wrong closes the connection: nothing out of step is ever read. */
#include "plugins/postfix-policy/daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "plugins/postfix-policy/spawned.h"

enum outcome { ANSWERED, GONE, LATE, NONSENSE };

static void hang_up(struct sotto_daemon *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Nothing may come unasked: not an octet, and not the end. */
static bool is_stale(const struct sotto_daemon *d)
{
	char octet;

	return d->fd >= 0 && (recv(d->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR));
}

/* What to do about an error of send and recv: go on where that is GONE no more. */
static enum outcome wait_for(const struct sotto_daemon *d, short events, int64_t deadline)
{
	if (errno == EINTR)
		return ANSWERED;
	if (errno != EAGAIN)
		return GONE;
	if (sotto_wait_fd(d->fd, events, deadline) == 0)
		return ANSWERED;
	return errno == ETIMEDOUT ? LATE : GONE;
}

static enum outcome send_all(const struct sotto_daemon *d, const char *p, size_t n, int64_t deadline)
{
	enum outcome o = ANSWERED;

	while (n > 0 && o == ANSWERED) {
		ssize_t k = send(d->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k < 0) {
			o = wait_for(d, POLLOUT, deadline);
			continue;
		}
		p += k;
		n -= (size_t)k;
	}
	return o;
}

/* LATE: not all of it is there yet. */
static enum outcome judge(const struct sotto_daemon *d)
{
	ssize_t len = sotto_request_length(d->protocol, d->answer, d->have);

	if (len == 0 && d->have < sizeof(d->answer))
		return LATE;
	return len == (ssize_t)d->have && sotto_answer_is_good(d->protocol, d->answer, d->have) ? ANSWERED : NONSENSE;
}

static enum outcome receive(struct sotto_daemon *d, int64_t deadline)
{
	enum outcome o;
	ssize_t k;

	d->have = 0;
	do {
		k = recv(d->fd, d->answer + d->have, sizeof(d->answer) - d->have, MSG_DONTWAIT);
		if (k == 0)
			return GONE;
		if (k > 0) {
			d->have += (size_t)k;
			o = judge(d);
			if (o != LATE)
				return o;
			/* one that trickles is late all the same */
			o = sotto_left_ms(deadline) > 0 ? ANSWERED : LATE;
		} else {
			o = wait_for(d, POLLIN, deadline);
		}
	} while (o == ANSWERED);
	return o;
}

static enum outcome attempt(struct sotto_daemon *d, const char *request, size_t n, int64_t deadline)
{
	enum outcome o;

	if (d->fd < 0)
		d->fd = sotto_spawned_connect(d->path, deadline);
	if (d->fd < 0)
		return errno == ETIMEDOUT ? LATE : GONE;
	o = send_all(d, request, n, deadline);
	return o == ANSWERED ? receive(d, deadline) : o;
}

int sotto_daemon_ask(struct sotto_daemon *d, const char *request, size_t n, int64_t deadline, const char **why)
{
	static const char *const words[] = { [GONE] = "is not running, or went away", [LATE] = "is too slow", [NONSENSE] = "answers nonsense" };
	enum outcome o;
	bool kept;

	*why = words[LATE];
	if (sotto_now_ms() < d->rest_until)
		return -1;
	if (is_stale(d))
		hang_up(d);
	kept = d->fd >= 0;
	o = attempt(d, request, n, deadline);
	if (o == GONE && kept) {
		hang_up(d);
		o = attempt(d, request, n, deadline);
	}
	if (o == ANSWERED)
		return 0;
	*why = words[o];
	hang_up(d);
	if (o == LATE)
		d->rest_until = sotto_now_ms() + SOTTO_DAEMON_REST_MS;
	return -1;
}
