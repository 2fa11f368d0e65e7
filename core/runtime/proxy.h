/* SPDX-License-Identifier: ISC */
/*
 * The PROXY protocol's header, version 2 (haproxy's proxy-protocol.txt, 2.2): tells our mail server who connected to us, where it is
 * connected to instead of given the connection. Pure: octets out, no system call.
 */
#ifndef SOTTO_RUNTIME_PROXY_H
#define SOTTO_RUNTIME_PROXY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SOTTO_PROXY_MAX 52	/* signature and lengths, two IPv6 addresses and ports */

/*
 * Writes the header for a TCP connection from `peer` to `local`, both Internet addresses; where only one is IPv6 the other is
 * written v4-mapped. Returns the octets written; 0, nothing written: one of them is no Internet address. There is no way to write the
 * command LOCAL: a mail server takes it for itself, and lets itself relay.
 */
size_t sotto_proxy_header(uint8_t out[SOTTO_PROXY_MAX], const struct sockaddr_storage *peer, const struct sockaddr_storage *local);

#endif
