/* SPDX-License-Identifier: ISC */
/* Hands a connection to the process that looks at its first commands (hand-over.h). Called by front.c. Reads nothing of the client's but to pass it through. */
#include "plugins/postfix-policy/hand-over.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/goodbye.h"
#include "core/runtime/pass.h"
#include "core/runtime/peer-user.h"
#include "core/runtime/ready.h"
#include "core/runtime/serve.h"
#include "plugins/postfix-policy/spawned.h"

#define GONE "421 4.3.0 Out of order at the moment\r\n"
#define HANDED 2

/* 0: too many. */
static size_t join(char octets[SOTTO_SERVE_OCTETS], char *const words[])
{
	size_t n = 0;

	for (char *const *w = words; *w != NULL; w++) {
		size_t len = strlen(*w) + 1;

		if (len > SOTTO_SERVE_OCTETS - n)
			return 0;
		memcpy(octets + n, *w, len);
		n += len;
	}
	return n;
}

static bool give(int server, int backend, char *const words[])
{
	union { struct cmsghdr head; char octets[CMSG_SPACE(HANDED * sizeof(int))]; } control = { 0 };
	const int fds[HANDED] = { SOTTO_CLIENT, backend };
	char octets[SOTTO_SERVE_OCTETS];
	size_t n = join(octets, words);
	struct iovec io = { .iov_base = octets, .iov_len = n };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	control.head.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	return n > 0 && sendmsg(server, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

/* Smtpd hears whose connection it is when somebody is there for it, and has its greeting ready when that begins. */
static bool tell_smtpd(const struct sotto_hand_over *h, int mta)
{
	return send(mta, h->header, h->header_len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)h->header_len;
}

/* The session takes nothing before it has heard that it may; closing the socket instead takes everything back. */
static bool is_taken(const struct sotto_hand_over *h, int server, int mta, int64_t deadline, bool *late)
{
	const char go = SOTTO_READY;
	char octet = 0;

	if (sotto_wait_fd(server, POLLIN, deadline) != 0) {
		*late = errno == ETIMEDOUT;
		return false;
	}
	return recv(server, &octet, 1, MSG_DONTWAIT) == 1 && octet == SOTTO_READY && tell_smtpd(h, mta) &&
	       send(server, &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* What it says next; 0: nothing any more. */
static int hear(int server)
{
	uint8_t octet = 0;
	ssize_t n;

	do
		n = recv(server, &octet, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1 ? octet : 0;
}

/* Ours would keep the client's connection open behind the session's back. */
static void wait_for_its_end(int server, bool keep_stderr)
{
	for (int fd = 0; fd < (keep_stderr ? STDERR_FILENO : STDERR_FILENO + 1); fd++)
		close(fd);
	(void)hear(server);
}

static void pass_rest(int server, int mta)
{
	struct sotto_passed p = sotto_pass(SOTTO_CLIENT, mta, (const uint8_t *)"", 0);
	struct sotto_serve_passed said = { .sent = p.sent, .received = p.received, .orderly = p.orderly };

	(void)!send(server, &said, sizeof(said), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void follow(int server, int mta, bool keep_stderr)
{
	switch (hear(server)) {
	case SOTTO_SERVE_PASS:
		pass_rest(server, mta);
		close(mta);
		break;
	case SOTTO_SERVE_KEPT:
		close(mta);
		wait_for_its_end(server, keep_stderr);
		break;
	case SOTTO_SERVE_OVER:
		close(mta);
		break;
	default:
		close(mta);
		sotto_goodbye(SOTTO_CLIENT, GONE);
	}
}

bool sotto_hand_over(const struct sotto_hand_over *h, bool *late)
{
	int64_t deadline = sotto_now_ms() + SOTTO_HAND_OVER_MS;
	int server = sotto_spawned_connect(h->path, deadline), mta = -1;
	bool taken = false;

	*late = server < 0 && errno == ETIMEDOUT;
	if (server < 0)
		return false;
	/* whoever else listens there gets no connection of anybody's */
	if (sotto_peer_is_ours(server, NULL))
		mta = sotto_spawned_connect(h->backend, deadline);
	if (mta >= 0) {
		taken = give(server, mta, h->words) && is_taken(h, server, mta, deadline, late);
		if (taken)
			follow(server, mta, h->keep_stderr);
		else
			close(mta);
	}
	close(server);
	return taken;
}
