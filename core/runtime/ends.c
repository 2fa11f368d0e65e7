/* SPDX-License-Identifier: ISC */
/* Finds and makes the two ends of a session, for sotto-session's main, before there is a loop and a sandbox. Reads and writes nothing. */
#include "core/runtime/ends.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/runtime/addr.h"

static int check_stream(const char *option, int fd, char *err, size_t len)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (fd < 0 || (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM))
		return 0;
	(void)snprintf(err, len, "--%s %d is not an open stream socket", option, fd);
	return -1;
}

/* Internet addresses only: others say nothing of who the peer is. */
static socklen_t plain(struct sockaddr_storage *a, bool known)
{
	if (!known || !sotto_addr_internet(a)) {
		memset(a, 0, sizeof(*a));
		return 0;
	}
	sotto_addr_plain(a);
	return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void find_addresses(struct sotto_ends *e, const struct sotto_options *o)
{
	socklen_t len = sizeof(e->peer);
	bool known;

	if (o->peer_addr_len > 0) {
		e->peer = o->peer_addr;
		known = true;
	} else {
		known = e->net >= 0 && getpeername(e->net, (struct sockaddr *)&e->peer, &len) == 0;
	}
	e->peer_len = plain(&e->peer, known);
	len = sizeof(e->local);
	known = e->net >= 0 && getsockname(e->net, (struct sockaddr *)&e->local, &len) == 0;
	e->local_len = plain(&e->local, known);
}

int sotto_ends_find(struct sotto_ends *e, const struct sotto_options *o, char *err, size_t len)
{
	memset(e, 0, sizeof(*e));
	e->net = o->net;
	e->mta = o->mta;
	if (check_stream("net", e->net, err, len) != 0 || check_stream("mta", e->mta, err, len) != 0)
		return -1;
	find_addresses(e, o);
	return 0;
}

/* ---- our mail server, where it is connected to ---- */

static int backend_address(struct sockaddr_storage *out, socklen_t *len, const char *backend)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	size_t n;

	if (strncmp(backend, "unix:", 5) != 0)
		return sotto_address_read(out, len, backend);
	n = strlen(backend + 5);
	if (n == 0 || n >= sizeof(path.sun_path))
		return -1;
	memcpy(path.sun_path, backend + 5, n);
	memset(out, 0, sizeof(*out));
	memcpy(out, &path, sizeof(path));
	*len = sizeof(path);
	return 0;
}

/* 0 or errno. */
static int finish_connect(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);
	int n = poll(&p, 1, timeout_ms);

	if (n <= 0)
		return n == 0 ? ETIMEDOUT : errno;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static int connect_to(const struct sockaddr_storage *to, socklen_t len, int timeout_ms)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)to, len) != 0)
		error = errno == EINPROGRESS ? finish_connect(fd, timeout_ms) : errno;
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

int sotto_ends_backend(struct sotto_ends *e, const char *backend, int timeout_ms, uint8_t header[SOTTO_PROXY_MAX], size_t *header_len,
		       char *err, size_t len)
{
	struct sockaddr_storage to;
	socklen_t to_len;

	*header_len = sotto_proxy_header(header, &e->peer, &e->local);
	if (*header_len == 0) {
		(void)snprintf(err, len, "who connected is not known, so nobody is connected to %s in their name", backend);
		return -1;
	}
	if (backend_address(&to, &to_len, backend) != 0) {
		(void)snprintf(err, len, "--backend takes unix:PATH or ADDRESS:PORT, not '%s'", backend);
		return -1;
	}
	e->mta = connect_to(&to, to_len, timeout_ms);
	if (e->mta >= 0)
		return 0;
	(void)snprintf(err, len, "cannot connect to our mail server at %s: %s", backend, strerror(errno));
	return -1;
}
