/* SPDX-License-Identifier: ISC */
/*
 * find.c - finds Exim's descriptors by their peer. Called by the dlfuncs and by the trace; changes nothing.
 *
 * /proc lists those that are open. Where there is none, poll tells of many numbers at once: four calls for a thousand.
 */
#include "plugins/exim/find.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/state-file.h"

#define MOST 65536
#define AT_ONCE 256

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

static int most(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > MOST)
		return MOST;
	return (int)limit.rlim_cur;
}

/* Which of n descriptors from first on are open: those that poll does not call invalid. All, where poll cannot tell. */
static void see_open(struct pollfd p[AT_ONCE], int first, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = first + i };
	(void)poll(p, (nfds_t)n, 0);
}

/* False: it is another connection with the same peer, or there are too many of them. */
static bool take(struct sotto_found *out, int fd, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage local, other;

	if (!ends(fd, &local, &other) || !is_tcp(fd) || !sotto_addr_same(&other, peer))
		return true;
	if (out->n == SOTTO_FOUND_MAX || (out->n > 0 && !same_socket(out->fd[0], fd)))
		return false;
	out->fd[out->n++] = fd;
	out->local = local;
	out->peer = other;
	return true;
}

static bool take_polled(struct sotto_found *out, const struct sockaddr_storage *peer)
{
	struct pollfd open[AT_ONCE];
	int end = most(), n;

	for (int first = 0; first < end; first += n) {
		n = end - first < AT_ONCE ? end - first : AT_ONCE;
		see_open(open, first, n);
		for (int i = 0; i < n; i++)
			if ((open[i].revents & POLLNVAL) == 0 && !take(out, first + i, peer))
				return false;
	}
	return true;
}

static bool take_listed(struct sotto_found *out, struct sotto_folder *f, const struct sockaddr_storage *peer)
{
	const char *name;

	while ((name = sotto_folder_next(f)) != NULL)
		if (!take(out, (int)strtol(name, NULL, 10), peer))
			return false;
	return true;
}

static bool take_all(struct sotto_found *out, const struct sockaddr_storage *peer)
{
	struct sotto_folder f = { .fd = sotto_folder_open("/proc/self/fd", NULL, false) };
	bool one;

	if (f.fd < 0)
		return take_polled(out, peer);
	one = take_listed(out, &f, peer);
	close(f.fd);
	return one;
}

unsigned sotto_find(struct sotto_found *out, const struct sockaddr_storage *peer)
{
	memset(out, 0, sizeof(*out));
	if (!take_all(out, peer))
		memset(out, 0, sizeof(*out));
	if (out->n > 0)
		out->used = has_sent(out->fd[0]);
	return out->n;
}
