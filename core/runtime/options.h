/* SPDX-License-Identifier: ISC */
/* sotto-session's command line (ARCHITECTURE.md, "sotto-session's command line"; sotto-session(8)). */
#ifndef SOTTO_RUNTIME_OPTIONS_H
#define SOTTO_RUNTIME_OPTIONS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"
#include "core/protocol/session.h"

struct sotto_options {
	enum sotto_role role;
	int net, mta, ready;		/* descriptors, -1: not given */
	const char *backend;		/* unix:PATH or ADDRESS:PORT, or NULL */
	const char *to;			/* the domain to connect to, or NULL */
	struct sockaddr_storage from4, from6;	/* --to: the local address for a peer of that family; AF_UNSPEC: the kernel's choice */
	int family;			/* --to: AF_INET or AF_INET6, only that; 0: both */
	bool dane;			/* --to: not where a mail server has TLSA records, or that can't be found out */
	const char *peer;		/* the peer's host name as the adapter knows it, or NULL */
	const char *domain;		/* the recipient domain as the adapter knows it, or NULL */
	const char *conf, *state, *run, *adapter;
	bool log_stderr;
	bool keep_starttls;
	bool require;			/* nothing in the clear with this peer, whatever the file `require` says */
	struct sockaddr_storage peer_addr;
	socklen_t peer_addr_len;	/* 0: not given */
};

/*
 * Reads the arguments. The strings stay the caller's. 0, or -1 after a sentence on stderr that says what is wrong and where
 * to read on. --help and --version print and exit.
 */
SOTTO_CHECKED int sotto_options_read(struct sotto_options *o, int argc, char **argv);

/* IPV4:PORT or [IPV6]:PORT, numeric, to a socket address. 0, or -1: it is something else, or the port is 0. */
SOTTO_CHECKED int sotto_address_read(struct sockaddr_storage *out, socklen_t *len, const char *text);

#endif
