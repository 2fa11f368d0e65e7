/* SPDX-License-Identifier: ISC */
/*
 * Where a request of Postfix's and an answer to it end, whether an answer is one, and what to answer without the daemon: the two
 * protocols that the connector passes on. Pure but for the file require; libc only.
 *
 *     map       socketmap_table(5): "NAME KEY" and "OK ...", "NOTFOUND ", "TEMP ..." as netstrings
 *     policy    SMTPD_POLICY_README: lines "name=value", and an empty line
 */
#ifndef SOTTO_POSTFIX_REQUEST_H
#define SOTTO_POSTFIX_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

#define SOTTO_MAP_MAX 100000	/* octets in a netstring: Postfix's own limit */
#define SOTTO_POLICY_MAX 65536	/* octets of a request that is passed on, its end included */
#define SOTTO_REQUEST_MAX (SOTTO_MAP_MAX + 16)	/* of either */
#define SOTTO_FALLBACK_MAX 512

enum sotto_protocol { SOTTO_MAP, SOTTO_POLICY };

/* Octets of the first request or answer in the n at p, its end included; 0: not all of it is there; -1: it is no netstring. */
ssize_t sotto_request_length(enum sotto_protocol protocol, const char *p, size_t n);

/*
 * Whether these octets, exactly one in length, are an answer of our daemon's to be passed on: OK with a value, NOTFOUND, TEMP; DUNNO
 * and PREPEND. No others, so that no fault of the daemon's makes Postfix refuse mail.
 */
bool sotto_answer_is_good(enum sotto_protocol protocol, const char *p, size_t n);

/*
 * The answer without the daemon, to the request of n octets at p: NOTFOUND or DUNNO; TEMP for a transport where the domain stands
 * in the file require. Octets written to out. What is wrong with the file is written to err (names.h).
 */
size_t sotto_fallback(enum sotto_protocol protocol, const char *p, size_t n, const char *require, char out[SOTTO_FALLBACK_MAX], char *err,
		      size_t len);

#endif
