/* SPDX-License-Identifier: ISC */
/*
 * Postfix's policy delegation protocol (SMTPD_POLICY_README): requests of lines `name=value` up to an empty line, each answered by
 * `action=...` and an empty line. Pure: octets in, octets out.
 */
#ifndef SOTTO_POSTFIX_POLICY_H
#define SOTTO_POSTFIX_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/runtime/live.h"

#define SOTTO_POLICY_REQUEST 65536	/* octets; Postfix's have some hundreds to some thousands */
#define SOTTO_POLICY_REPLY 512

struct sotto_policy_request {
	bool data;			/* protocol_state=DATA of a smtpd_access_policy: the only request that we have something to say to */
	struct sockaddr_storage peer;	/* the client's address and port; family 0: not said, or not so that it can be read */
};

/*
 * Looks for one request at the front of n octets. How many octets it takes; 0: more are needed; -1: over SOTTO_POLICY_REQUEST, and where
 * the next one begins is not known. Attributes that are not known, lines without `=`, NULs: passed over. Of one said twice the last counts.
 */
SOTTO_CHECKED long sotto_policy_read(struct sotto_policy_request *out, const char *octets, size_t n);

/* The trace header of a live sealed session in front of the message (ARCHITECTURE.md, "The trace"); live NULL, or clear: nothing to say. */
size_t sotto_policy_write(char out[SOTTO_POLICY_REPLY], const struct sockaddr_storage *peer, const struct sotto_live *live, const char *host);

#endif
