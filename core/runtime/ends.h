/* SPDX-License-Identifier: ISC */
/*
 * The two ends of a session as sotto-session's command line gives them: descriptors, and who is at the other end of them.
 */
#ifndef SOTTO_RUNTIME_ENDS_H
#define SOTTO_RUNTIME_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/runtime/options.h"
#include "core/runtime/proxy.h"

struct sotto_ends {
	int net, mta;			/* -1: there is none yet (--to, --backend) */
	struct sockaddr_storage peer, local;	/* of net, plain (addr.h) */
	socklen_t peer_len, local_len;	/* 0: not known */
};

/*
 * Looks at the descriptors of the options. 0; -1: one of them is no stream socket, and err is a sentence that says which. A net
 * whose peer has gone already has no address, and is none the less an end.
 */
SOTTO_CHECKED int sotto_ends_find(struct sotto_ends *e, const struct sotto_options *o, char *err, size_t len);

/*
 * Connects to our mail server, unix:PATH or ADDRESS:PORT, and fills in the header that tells it who the peer is. 0 with e->mta; -1: err says why, nothing is
 * left open. Takes `timeout_ms` at most.
 */
SOTTO_CHECKED int sotto_ends_backend(struct sotto_ends *e, const char *backend, int timeout_ms, uint8_t header[SOTTO_PROXY_MAX],
				     size_t *header_len, char *err, size_t len);

#endif
