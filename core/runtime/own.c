/* SPDX-License-Identifier: ISC */
/*
 * Tells this host's own addresses from others, for mx.c and whoever must not talk to itself. It
 * reads no list of interfaces, so that it works in a sandbox without netlink, and never sends.
 */
#include "core/runtime/own.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* Which of our addresses the kernel would talk to that one from: itself only when it is our own. */
static bool kernel_source(const struct sockaddr *to, socklen_t len, struct sockaddr *from)
{
	socklen_t from_len = len;
	int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool known;

	if (fd < 0)
		return false;
	known = connect(fd, to, len) == 0 && getsockname(fd, from, &from_len) == 0;
	close(fd);
	return known;
}

static bool own4(struct in_addr addr)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = addr };
	struct sockaddr_in from = { 0 };
	unsigned net = ntohl(addr.s_addr) >> 24;

	if (net == 127 || net == 0)
		return true;
	return kernel_source((struct sockaddr *)&to, sizeof to, (struct sockaddr *)&from) &&
	       from.sin_addr.s_addr == addr.s_addr;
}

static bool own6(const struct sockaddr_in6 *sa)
{
	struct sockaddr_in6 to = *sa;
	struct sockaddr_in6 from = { 0 };
	struct in_addr mapped;

	if (IN6_IS_ADDR_V4MAPPED(&sa->sin6_addr)) {
		memcpy(&mapped, sa->sin6_addr.s6_addr + 12, sizeof mapped);
		return own4(mapped);
	}
	if (IN6_IS_ADDR_LOOPBACK(&sa->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&sa->sin6_addr))
		return true;
	to.sin6_port = htons(9);
	return kernel_source((struct sockaddr *)&to, sizeof to, (struct sockaddr *)&from) &&
	       IN6_ARE_ADDR_EQUAL(&from.sin6_addr, &sa->sin6_addr);
}

bool sotto_own_address(const struct sockaddr *sa)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&sin, sa, sizeof sin);
		return own4(sin.sin_addr);
	case AF_INET6:
		memcpy(&sin6, sa, sizeof sin6);
		return own6(&sin6);
	default:
		return false;
	}
}
