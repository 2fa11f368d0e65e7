/* SPDX-License-Identifier: ISC */
/*
 * find.c - finds Exim's descriptors by their peer. Called by the dlfuncs and by the trace; changes nothing.
 *
 * A thousand calls of getpeername that fail cost less than reading /proc, which may not be there.
 */
#include "plugins/exim/find.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "core/runtime/addr.h"

#define HIGHEST 1024

static bool ends(int fd, struct sockaddr_storage *local, struct sockaddr_storage *peer)
{
	socklen_t len = sizeof(*peer);

	memset(peer, 0, sizeof(*peer));
	memset(local, 0, sizeof(*local));
	if (getpeername(fd, (struct sockaddr *)peer, &len) != 0 || !sotto_addr_internet(peer))
		return false;
	len = sizeof(*local);
	if (getsockname(fd, (struct sockaddr *)local, &len) != 0)
		return false;
	sotto_addr_plain(peer);
	sotto_addr_plain(local);
	return true;
}

static bool is_tcp(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool same_socket(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev;
}

/* A kernel older than 4.19 does not tell; then it counts as unused. */
static bool has_sent(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent))
		return false;
	return info.tcpi_bytes_sent > 0;
}

static bool from_elsewhere(const struct sockaddr_storage *local, const struct sockaddr_storage *peer)
{
	return sotto_addr_port(local) == SOTTO_SMTP_PORT && !sotto_addr_loopback(peer);
}

unsigned sotto_find(struct sotto_found *out, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage local, other;
	bool proxied = false;

	memset(out, 0, sizeof(*out));
	for (int fd = 0; fd < HIGHEST; fd++) {
		if (!ends(fd, &local, &other) || !is_tcp(fd))
			continue;
		proxied = proxied || from_elsewhere(&local, &other);
		if (!sotto_addr_same(&other, peer))
			continue;
		if (out->n == SOTTO_FOUND_MAX || (out->n > 0 && !same_socket(out->fd[0], fd))) {
			memset(out, 0, sizeof(*out));
			return 0;
		}
		out->fd[out->n++] = fd;
		out->local = local;
		out->peer = other;
	}
	if (out->n > 0)
		out->used = has_sent(out->fd[0]);
	else
		out->proxied = proxied;
	return out->n;
}
