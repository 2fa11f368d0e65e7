/* SPDX-License-Identifier: ISC */
/*
 * Postfix's socketmap protocol (socketmap_table(5)): netstrings, LENGTH ":" OCTETS ",". A request is `MAP KEY`, a reply one of
 * `OK VALUE`, `NOTFOUND `, `TEMP REASON`, `PERM REASON`. Pure: octets in, octets out.
 */
#ifndef SOTTO_POSTFIX_SOCKETMAP_H
#define SOTTO_POSTFIX_SOCKETMAP_H

#include <stddef.h>

#include "core/crypto/memory.h"

#define SOTTO_SOCKETMAP_REQUEST 100000	/* octets of a request's text: Postfix's own limit */
#define SOTTO_SOCKETMAP_KEY 1024	/* what a key of ours can have: an address with a domain */
#define SOTTO_SOCKETMAP_REPLY 1024

struct sotto_socketmap_request {
	const char *map;	/* points into the request; not terminated */
	size_t map_len;
	const char *key;
	size_t key_len;
};

/*
 * Looks for one request at the front of n octets. How many octets it takes; 0: more are needed; -1: this is no request, and where the next
 * one begins is not known.
 */
SOTTO_CHECKED long sotto_socketmap_read(struct sotto_socketmap_request *out, const char *octets, size_t n);

/* Writes a reply: status is OK, NOTFOUND, TEMP or PERM; an over-long text is cut off. How many octets. */
size_t sotto_socketmap_write(char out[SOTTO_SOCKETMAP_REPLY], const char *status, const char *text);

#endif
