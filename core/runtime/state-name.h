/* SPDX-License-Identifier: ISC */
/*
 * The names of files that stand for a peer, for state.c, state-domain.c, live.c and hop.c. They are made of inet_ntop's text or of a checked host name
 * and of nothing else, so that none of them ever leaves its folder. An IPv4 address inside IPv6 is the IPv4 address; scopes do
 * not count. No system call, no heap, libc only.
 */
#ifndef SOTTO_RUNTIME_STATE_NAME_H
#define SOTTO_RUNTIME_STATE_NAME_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_FILE_NAME 256

/* 192.0.2.1, 2001:db8::1; inbound: in-192.0.2.1, in-2001:db8:0:1:: for a whole /64. 0, or -EINVAL: neither IPv4 nor IPv6. */
SOTTO_CHECKED int sotto_name_of_peer(char out[SOTTO_FILE_NAME], const struct sockaddr *addr, bool inbound);

/* 192.0.2.1:25, [2001:db8::1]:25. 0, or -EINVAL. */
SOTTO_CHECKED int sotto_name_of_socket(char out[SOTTO_FILE_NAME], const struct sockaddr *addr);

/* a-z, 0-9, '-', '_', '.'; not a dot first, 253 octets at most. 0, or -EINVAL. */
SOTTO_CHECKED int sotto_name_of_host(char out[SOTTO_FILE_NAME], const char *host);

/* The same of a domain as somebody wrote it: in lower case, without a dot at its end. 0, or -EINVAL. */
SOTTO_CHECKED int sotto_name_of_domain(char out[SOTTO_FILE_NAME], const char *domain);

#endif
