/* SPDX-License-Identifier: ISC */
/* The way of a program that has no session: octets between a client and our mail server, unsealed and unread. libc only; bounded memory; no loop outside. */
#ifndef SOTTO_RUNTIME_PASS_H
#define SOTTO_RUNTIME_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets on net, and whether neither side cut it off. */
struct sotto_passed {
	uint64_t sent, received;
	bool orderly;
};

/*
 * Passes octets on between both sockets until neither has any left; `first`, at most 64 octets, go to the backend before them. The end
 * of one direction is passed on as such. No time limit while both are there (a client that has only closed its direction is); then 30 s
 * without an octet end it, and 5 minutes once our mail server is gone. Both stay open.
 */
struct sotto_passed sotto_pass(int net, int backend, const uint8_t *first, size_t len);

#endif
