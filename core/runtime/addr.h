/* SPDX-License-Identifier: ISC */
/*
 * Internet addresses as the kernel gives them, and as people write them. libc only: plugins use it too.
 *
 * An IPv4 address that came through an IPv6 socket (::ffff:192.0.2.1) is the IPv4 address: sotto_addr_plain makes it
 * one, and the other functions expect plain addresses. No heap, no errno, no name is ever looked up.
 */
#ifndef SOTTO_RUNTIME_ADDR_H
#define SOTTO_RUNTIME_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_ADDR_TEXT 46	/* an address as text, with its NUL */

/* text: an address as in $host_address (a scope behind '%' is ignored). 0; -1, and out is zeroed: no such thing. */
SOTTO_CHECKED int sotto_addr_read(struct sockaddr_storage *out, const char *text, uint16_t port);

void sotto_addr_plain(struct sockaddr_storage *a);

/* AF_INET or AF_INET6: everything else is no address of ours. */
bool sotto_addr_internet(const struct sockaddr_storage *a);

/* Same address and port; scopes do not count. */
bool sotto_addr_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

bool sotto_addr_loopback(const struct sockaddr_storage *a);	/* 127/8, ::1 */
uint16_t sotto_addr_port(const struct sockaddr_storage *a);
void sotto_addr_write(char out[SOTTO_ADDR_TEXT], const struct sockaddr_storage *a);

#endif
