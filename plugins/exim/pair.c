/* SPDX-License-Identifier: ISC */
/*
 * pair.c - makes the connected TCP pair that takes the place of Exim's connection. Called by interpose.c.
 *
 * Another process of this host could connect to the listening port in the moment that it exists. The accepted end is
 * taken only if its peer is, address and port, the socket that we connected; all others are closed.
 */
#include "plugins/exim/pair.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"

#define KIND (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

/*
 * Octets of each of the kernel's buffers of the pair (which counts twice as many). Left alone they grow to what tcp_rmem and tcp_wmem
 * allow, tens of megabytes for a peer that sends commands and reads no reply. On a loopback more than this makes nothing faster.
 */
#define BUFFER (256 * 1024)

static int listener(struct sockaddr_storage *at)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, KIND, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 8) == 0 &&
	    getsockname(fd, (struct sockaddr *)at, &len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int connector(const struct sockaddr_storage *to, int64_t deadline)
{
	int error = 0;
	socklen_t len = sizeof(error);
	int fd = socket(AF_INET, KIND, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)to, sizeof(struct sockaddr_in)) == 0)
		return fd;
	if (errno == EINPROGRESS && sotto_wait_fd(fd, POLLOUT, deadline) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0) {
		if (error == 0)
			return fd;
		errno = error;
	}
	close(fd);
	return -1;
}

static int accept_own(int from, const struct sockaddr_storage *own, int64_t deadline)
{
	struct sockaddr_storage peer;
	socklen_t len;
	int fd;

	while (sotto_wait_fd(from, POLLIN, deadline) == 0 && sotto_now_ms() < deadline) {
		len = sizeof(peer);
		fd = accept4(from, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
		if (fd >= 0 && sotto_addr_same(&peer, own))
			return fd;
		if (fd >= 0)
			close(fd);
		else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return -1;
	}
	errno = ETIMEDOUT;
	return -1;
}

static int make_ready(int fd)
{
	const int on = 1, size = BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -1;
	return fcntl(fd, F_SETFL, 0);
}

static void shut(int fd)
{
	int keep = errno;

	if (fd >= 0)
		close(fd);
	errno = keep;
}

int sotto_pair(int out[2], int64_t deadline)
{
	struct sockaddr_storage at, own;
	socklen_t len = sizeof(own);
	int from, a, b = -1;

	out[0] = out[1] = -1;
	memset(&at, 0, sizeof(at));
	memset(&own, 0, sizeof(own));
	from = listener(&at);
	if (from < 0)
		return -1;
	a = connector(&at, deadline);
	if (a >= 0 && getsockname(a, (struct sockaddr *)&own, &len) == 0)
		b = accept_own(from, &own, deadline);
	if (b >= 0 && make_ready(a) == 0 && make_ready(b) == 0) {
		close(from);
		out[0] = a;
		out[1] = b;
		return 0;
	}
	shut(from);
	shut(a);
	shut(b);
	return -1;
}
