/* SPDX-License-Identifier: ISC */
/*
 * What the parts of sotto-worker share. It is filter-sotto's worker: all sessions of an OpenSMTPD, on one loop in one process, as smtpd itself
 * does it. Started by keeper.c, with the listeners and the socket on which it talks to the parent (keeper.h).
 */
#ifndef SOTTO_OPENSMTPD_WORKER_H
#define SOTTO_OPENSMTPD_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "core/runtime/conduct.h"
#include "core/runtime/mx.h"
#include "core/runtime/proxy.h"
#include "plugins/opensmtpd/disk.h"
#include "plugins/opensmtpd/listeners.h"

#define SOTTO_BACKEND_MS 10000	/* for smtpd to take a connection: it starts after its filters, and has a short queue */
#define SOTTO_DIAL_MS 4000	/* all looking up and connecting together, before smtpd hears 421 */

struct event_base;
struct event;
struct sotto_dial;
struct sotto_probes;
struct sotto_worker;

/* One connection, from accept to its end. The session is conduct's once it has started. */
struct sotto_one {
	struct sotto_worker *w;
	struct sotto_one *next, **back;		/* of all */
	int net, mta;				/* -1, or ours */
	struct event *event;			/* waits for smtpd to take the connection, or for the last line to be read */
	struct sotto_dial *dial;
	int64_t deadline;
	struct sotto_conf conf;			/* as it was when it began */
	struct sotto_conduct conduct;
	uint8_t header[SOTTO_PROXY_MAX];
	size_t header_len;
	char domain[SOTTO_DNS_NAME], host[SOTTO_DNS_NAME];
};

struct sotto_worker {
	/* options */
	const char *conf_path, *state, *run, *helo;	/* state: disk.state, once that is there */
	struct sockaddr_storage backend, from4, from6;	/* from: AF_UNSPEC, the kernel's choice */
	socklen_t backend_len;
	int talk, hop, in[SOTTO_LISTENERS_MAX], lock;
	unsigned n_in;
	bool log_stderr;
	/* what follows from them */
	char conf_dir[4096], hop_dir[4200];
	/* its own */
	struct sotto_disk disk;
	uint8_t identity[32];			/* ours, as it was read last (plan.h): peers that know it must see it while the disk hangs */
	struct event_base *base;
	struct sotto_mx *mx;
	struct timespec resolv;			/* when /etc/resolv.conf was last written, as far as mx knows it */
	struct sotto_probes *probes;
	struct event *accepting[SOTTO_LISTENERS_MAX + 1], *again, *told, *term, *tick;
	struct sotto_one *all;
	unsigned n, max;
	bool ending;				/* no new ones; it is over when the last is */
};

/* 0; -1 after a sentence on stderr. */
SOTTO_CHECKED int sotto_worker_options(struct sotto_worker *w, int argc, char **argv);

/* Before anything that reads or writes the state: where the disk hangs it is another one, and not waited for (disk.h). */
void sotto_worker_look(struct sotto_worker *w);

/* ---- connections (connections.c) ---- */

/* For a descriptor that was accepted. NULL: no memory, and it is closed. */
struct sotto_one *sotto_one_new(struct sotto_worker *w, int fd);

/* Whatever of it is still ours is closed. */
void sotto_one_free(struct sotto_one *o);

/* Says text to fd, which is of o, waits for it to be read, and frees o. */
void sotto_one_goodbye(struct sotto_one *o, int fd, const char *text);

/* Fills in what both directions have in common. */
void sotto_one_describe(struct sotto_one *o, enum sotto_role role);

/* Starts taking connections: 0, or -1. */
SOTTO_CHECKED int sotto_connections_open(struct sotto_worker *w);
void sotto_connections_end(struct sotto_worker *w);	/* no new ones */

/* ---- both directions (inbound.c, outbound.c) ---- */

void sotto_inbound(struct sotto_worker *w, int fd);
void sotto_outbound(struct sotto_worker *w, int fd);

#endif
