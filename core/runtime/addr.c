/* SPDX-License-Identifier: ISC */
/*
 * Addresses: read, compare, write. Called by everything in this folder and by the plugins; makes no
 * system call.
 */
#include "core/runtime/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct sockaddr_in *v4(struct sockaddr_storage *a)
{
	return (struct sockaddr_in *)(void *)a;
}

static struct sockaddr_in6 *v6(struct sockaddr_storage *a)
{
	return (struct sockaddr_in6 *)(void *)a;
}

static const struct sockaddr_in *const_v4(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in *)(const void *)a;
}

static const struct sockaddr_in6 *const_v6(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in6 *)(const void *)a;
}

int sotto_addr_read(struct sockaddr_storage *out, const char *text, uint16_t port)
{
	char host[SOTTO_ADDR_TEXT];
	size_t len = strcspn(text, "%");

	memset(out, 0, sizeof(*out));
	if (len >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &v4(out)->sin_addr) == 1) {
		out->ss_family = AF_INET;
		v4(out)->sin_port = htons(port);
		return 0;
	}
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, host, &v6(out)->sin6_addr) != 1)
		return -1;
	out->ss_family = AF_INET6;
	v6(out)->sin6_port = htons(port);
	sotto_addr_plain(out);
	return 0;
}

void sotto_addr_plain(struct sockaddr_storage *a)
{
	struct sockaddr_in plain = { .sin_family = AF_INET };

	if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6(a)->sin6_addr))
		return;
	plain.sin_port = v6(a)->sin6_port;
	memcpy(&plain.sin_addr, &v6(a)->sin6_addr.s6_addr[12], 4);
	memset(a, 0, sizeof(*a));
	memcpy(a, &plain, sizeof(plain));
}

bool sotto_addr_internet(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET || a->ss_family == AF_INET6;
}

bool sotto_addr_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family || sotto_addr_port(a) != sotto_addr_port(b))
		return false;
	if (a->ss_family == AF_INET)
		return const_v4(a)->sin_addr.s_addr == const_v4(b)->sin_addr.s_addr;
	if (a->ss_family == AF_INET6)
		return memcmp(&const_v6(a)->sin6_addr, &const_v6(b)->sin6_addr, 16) == 0;
	return false;
}

bool sotto_addr_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohl(const_v4(a)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return a->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&const_v6(a)->sin6_addr);
}

uint16_t sotto_addr_port(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohs(const_v4(a)->sin_port);
	if (a->ss_family == AF_INET6)
		return ntohs(const_v6(a)->sin6_port);
	return 0;
}

void sotto_addr_write(char out[SOTTO_ADDR_TEXT], const struct sockaddr_storage *a)
{
	const void *octets = a->ss_family == AF_INET ? (const void *)&const_v4(a)->sin_addr :
						       (const void *)&const_v6(a)->sin6_addr;

	if (!sotto_addr_internet(a) || inet_ntop(a->ss_family, octets, out, SOTTO_ADDR_TEXT) == NULL)
		out[0] = '\0';
}
