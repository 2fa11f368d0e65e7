/* SPDX-License-Identifier: ISC */
/*
 * A service of sotto-policyd on a unix stream socket: requests come in pieces or many at once, each gets its answer in order, and the
 * connection stays open. What the two protocols have in common; what a request is, and its answer, says the caller.
 */
#ifndef SOTTO_POSTFIX_SERVICE_H
#define SOTTO_POSTFIX_SERVICE_H

#include <stddef.h>

#include "core/crypto/memory.h"

#define SOTTO_SERVICE_REQUEST 131072	/* octets that are read ahead of answers at most */
#define SOTTO_SERVICE_REPLY 1024
#define SOTTO_SERVICE_CLIENTS 1000	/* connections; Postfix has one for each of its processes at most */

struct event_base;
struct sotto_service;

/*
 * Takes one request from the front of n octets and writes the answer, whose length is *reply_len, to reply. How many octets it took;
 * 0: more are needed; -1: the connection is of no use any more and is closed, after the answer if there is one.
 */
typedef long sotto_service_answer(void *arg, const char *octets, size_t n, char reply[SOTTO_SERVICE_REPLY], size_t *reply_len);

/* Listens at path (0600; what is there is replaced). NULL, and err is a sentence without a full stop. The process must ignore SIGPIPE. */
struct sotto_service *sotto_service_open(struct event_base *base, const char *path, sotto_service_answer *answer, void *arg, char *err,
					 size_t len);

/* A socket that listens at path (0600; what is there is replaced), and waits for nobody. -1 with errno. */
SOTTO_CHECKED int sotto_service_listen(const char *path);

/* NULL is nothing. The socket's file is left: whoever starts next replaces it, and Postfix's side fails open meanwhile. */
void sotto_service_close(struct sotto_service *s);

#endif
