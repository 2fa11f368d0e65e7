/* SPDX-License-Identifier: ISC */
/* Writes PROXY v2 headers for `sotto-session accept --backend` and for the daemons. Reads none, and makes no system call. */
#include "core/runtime/proxy.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "core/runtime/addr.h"

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

#define VERSION_PROXY 0x21	/* version 2, command PROXY */
#define TCP_OVER_4 0x11
#define TCP_OVER_6 0x21

static uint8_t *put_address(uint8_t *at, const struct sockaddr_storage *a, bool six)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (a->ss_family == AF_INET6) {
		memcpy(&v6, a, sizeof(v6));
		memcpy(at, &v6.sin6_addr, 16);
		return at + 16;
	}
	memcpy(&v4, a, sizeof(v4));
	if (six) {
		memset(at, 0, 10);
		memset(at + 10, 0xff, 2);
		at += 12;
	}
	memcpy(at, &v4.sin_addr, 4);
	return at + 4;
}

static uint8_t *put_port(uint8_t *at, const struct sockaddr_storage *a)
{
	uint16_t port = sotto_addr_port(a);

	*at++ = (uint8_t)(port >> 8);
	*at++ = (uint8_t)port;
	return at;
}

size_t sotto_proxy_header(uint8_t out[SOTTO_PROXY_MAX], const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
	bool six = peer->ss_family == AF_INET6 || local->ss_family == AF_INET6;
	uint8_t *at = out + sizeof(signature);

	if (!sotto_addr_internet(peer) || !sotto_addr_internet(local))
		return 0;
	memcpy(out, signature, sizeof(signature));
	*at++ = VERSION_PROXY;
	*at++ = six ? TCP_OVER_6 : TCP_OVER_4;
	*at++ = 0;
	*at++ = six ? 36 : 12;
	at = put_address(at, peer, six);
	at = put_address(at, local, six);
	at = put_port(at, peer);
	at = put_port(at, local);
	return (size_t)(at - out);
}
