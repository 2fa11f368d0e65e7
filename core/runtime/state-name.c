/* SPDX-License-Identifier: ISC */
/* Names files after peers (state-name.h). Called by state.c and live.c. */
#include "core/runtime/state-name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HOST_MAX 253

/* An address taken apart, and plain. */
struct plain {
	int family;
	uint8_t octets[16];
	unsigned port;
};

static int read_address(struct plain *p, const struct sockaddr *addr)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->sa_family == AF_INET) {
		memcpy(&sin, addr, sizeof(sin));
		*p = (struct plain){ .family = AF_INET, .port = ntohs(sin.sin_port) };
		memcpy(p->octets, &sin.sin_addr, 4);
		return 0;
	}
	if (addr->sa_family != AF_INET6)
		return -EINVAL;
	memcpy(&sin6, addr, sizeof(sin6));
	*p = (struct plain){ .family = AF_INET6, .port = ntohs(sin6.sin6_port) };
	memcpy(p->octets, &sin6.sin6_addr, 16);
	if (IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr)) {
		p->family = AF_INET;
		memcpy(p->octets, sin6.sin6_addr.s6_addr + 12, 4);
	}
	return 0;
}

int sotto_name_of_peer(char out[SOTTO_FILE_NAME], const struct sockaddr *addr, bool inbound)
{
	char text[INET6_ADDRSTRLEN];
	struct plain p;

	if (read_address(&p, addr) != 0)
		return -EINVAL;
	/* Whoever has one address of a /64 usually has them all. */
	if (inbound && p.family == AF_INET6)
		memset(p.octets + 8, 0, 8);
	if (inet_ntop(p.family, p.octets, text, sizeof(text)) == NULL)
		return -EINVAL;
	(void)snprintf(out, SOTTO_FILE_NAME, "%s%s", inbound ? "in-" : "", text);
	return 0;
}

int sotto_name_of_socket(char out[SOTTO_FILE_NAME], const struct sockaddr *addr)
{
	char text[INET6_ADDRSTRLEN];
	struct plain p;

	if (read_address(&p, addr) != 0 || inet_ntop(p.family, p.octets, text, sizeof(text)) == NULL)
		return -EINVAL;
	(void)snprintf(out, SOTTO_FILE_NAME, p.family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, p.port);
	return 0;
}

int sotto_name_of_host(char out[SOTTO_FILE_NAME], const char *host)
{
	size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

	if (n == 0 || n > HOST_MAX || host[n] != '\0' || host[0] == '.')
		return -EINVAL;
	memcpy(out, host, n + 1);
	return 0;
}

int sotto_name_of_domain(char out[SOTTO_FILE_NAME], const char *domain)
{
	char lower[HOST_MAX + 2];
	size_t n = strnlen(domain, sizeof(lower));

	if (n > 0 && domain[n - 1] == '.')
		n--;
	if (n >= sizeof(lower))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)(domain[i] >= 'A' && domain[i] <= 'Z' ? domain[i] - 'A' + 'a' : domain[i]);
	lower[n] = '\0';
	return sotto_name_of_host(out, lower);
}
