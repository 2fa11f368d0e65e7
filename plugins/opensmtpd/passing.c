/* SPDX-License-Identifier: ISC */
/*
 * Passes connections through while filter-sotto has no worker (passing.h). A process each: a broken one is nobody else's. Never parses
 * SMTP, and never takes from, or sends to, whom the file require lists.
 */
#include "plugins/opensmtpd/passing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/goodbye.h"
#include "core/runtime/names.h"
#include "core/runtime/pass.h"
#include "core/runtime/proxy.h"
#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/smtpd-user.h"

#define CONNECT_MS 5000		/* for smtpd, or the other mail server, to take a connection */
#define UNREACHABLE "421 4.3.2 Our mail server cannot be reached at the moment\r\n"
#define REQUIRED "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n"
#define NO_WAY "421 4.3.2 Out of order at the moment; nothing was sent\r\n"

static bool is_required(const struct sotto_passing *p, const struct sotto_who *who)
{
	char path[4096], err[512] = "";

	if (snprintf(path, sizeof(path), "%s/require", p->conf_dir) >= (int)sizeof(path))
		return false;
	return sotto_names_match(path, who, err, sizeof(err)) == 1;
}

/* A descriptor, or -1. smtpd is there a moment after its filters. */
static int connect_to(const struct sockaddr_storage *to)
{
	socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int64_t deadline = sotto_now_ms() + CONNECT_MS;
	int fd, error = 0;
	socklen_t size = sizeof(error);

	do {
		fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			return -1;
		if (connect(fd, (const struct sockaddr *)to, len) == 0)
			return fd;
		if (errno == EINPROGRESS && sotto_wait_fd(fd, POLLOUT, deadline) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
			return fd;
		close(fd);
		(void)poll(NULL, 0, 100);
	} while (sotto_left_ms(deadline) > 0);
	return -1;
}

static void pass_in(const struct sotto_passing *p, int fd, const struct sockaddr_storage *backend)
{
	struct sockaddr_storage peer, local;
	socklen_t peer_len = sizeof(peer), local_len = sizeof(local);
	uint8_t header[SOTTO_PROXY_MAX];
	size_t len;
	int mta;

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 || getsockname(fd, (struct sockaddr *)&local, &local_len) != 0)
		return;
	sotto_addr_plain(&peer);
	sotto_addr_plain(&local);
	if (is_required(p, &(struct sotto_who){ .addr = (const struct sockaddr *)&peer })) {
		sotto_goodbye(fd, REQUIRED);
		return;
	}
	len = sotto_proxy_header(header, &peer, &local);
	mta = len > 0 ? connect_to(backend) : -1;
	if (mta < 0)
		sotto_goodbye(fd, UNREACHABLE);
	else
		(void)sotto_pass(fd, mta, header, len);
}

/* False: not smtpd's, or not known where it leads to, or only to be sealed. */
static bool find_route(const struct sotto_passing *p, int fd, struct sotto_route *r)
{
	char which[INET_ADDRSTRLEN];
	struct sockaddr_in to = { 0 };
	socklen_t len = sizeof(to);

	if (!sotto_smtpd_user(fd, p->state) || getsockname(fd, (struct sockaddr *)&to, &len) != 0 || to.sin_family != AF_INET ||
	    inet_ntop(AF_INET, &to.sin_addr, which, sizeof(which)) == NULL || sotto_route_load(p->state, which, r) != 0 ||
	    !sotto_addr_internet(&r->address))
		return false;
	return !is_required(p, &(struct sotto_who){ .domain = r->domain, .host = r->host, .addr = (const struct sockaddr *)&r->address });
}

static void pass_out(const struct sotto_passing *p, int fd)
{
	struct sotto_route r;
	int net = find_route(p, fd, &r) ? connect_to(&r.address) : -1;

	if (net < 0)
		sotto_goodbye(fd, NO_WAY);
	else
		(void)sotto_pass(net, fd, (const uint8_t *)"", 0);
}

/* ---- the listeners ---- */

struct server {
	const struct sotto_passing *p;
	struct sockaddr_storage backend;
	int fds[SOTTO_LISTENERS_MAX + 1], leash;
	unsigned n, hop, open;	/* hop: which of fds; n: none */
};

/* One connection, as far as there is one. */
static void take(struct server *s, unsigned i)
{
	int fd = accept4(s->fds[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pid_t pid = fd < 0 ? -1 : fork();

	if (pid == 0) {
		for (unsigned k = 0; k < s->n; k++)
			close(s->fds[k]);
		close(s->leash);
		if (i == s->hop)
			pass_out(s->p, fd);
		else
			pass_in(s->p, fd, &s->backend);
		_exit(0);
	}
	if (pid > 0)
		s->open++;
	if (fd >= 0)
		close(fd);
}

static void reap(struct server *s, int how)
{
	while (s->open > 0 && waitpid(-1, NULL, how) > 0)
		s->open--;
}

static unsigned wanted(const struct server *s, struct pollfd *polls)
{
	unsigned n = s->open < SOTTO_PASSING_MAX ? s->n : 0;

	for (unsigned i = 0; i < n; i++)
		polls[i] = (struct pollfd){ .fd = s->fds[i], .events = POLLIN };
	polls[n] = (struct pollfd){ .fd = s->leash, .events = POLLIN };
	return n;
}

static void on_child(int number)
{
	(void)number;	/* poll(2) ends with EINTR, or looks again in a moment */
}

static void prepare(struct server *s, const struct sotto_passing *p, const struct sotto_listeners *l, int leash)
{
	const struct sigaction child = { .sa_handler = on_child };
	struct sotto_listeners backend = { .n = 0 };

	*s = (struct server){ .p = p, .leash = leash };
	if (sotto_listeners_add(&backend, p->backend) == 0)
		s->backend = backend.at[0].address;
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].fd >= 0)
			s->fds[s->n++] = l->at[i].fd;
	s->hop = s->n;
	if (l->hop >= 0)
		s->fds[s->n++] = l->hop;
	(void)sigaction(SIGCHLD, &child, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void sotto_passing_serve(const struct sotto_passing *p, const struct sotto_listeners *l, int leash)
{
	struct server s;

	prepare(&s, p, l, leash);
	for (;;) {
		struct pollfd polls[SOTTO_LISTENERS_MAX + 2];
		unsigned n = wanted(&s, polls);

		(void)poll(polls, n + 1, 1000);
		reap(&s, WNOHANG);
		if (polls[n].revents != 0)
			break;
		for (unsigned i = 0; i < n; i++)
			if (polls[i].revents != 0)
				take(&s, i);
	}
	for (unsigned i = 0; i < s.n; i++)
		close(s.fds[i]);
	while (s.open > 0)
		reap(&s, 0);
	_exit(0);
}
