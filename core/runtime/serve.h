/* SPDX-License-Identifier: ISC */
/*
 * sotto-session serve: one process that has everything loaded, and sees connections that it is handed through their first commands, many
 * on one loop. Most are nothing for Sotto: those it gives back, to be passed through. One in which XSOTTO comes gets a process of its
 * own, forked from this one, before its hello is looked at: no key is ever made here, and no record opened.
 *
 * A connection is handed over on a unix stream socket, by our own user: one message with two descriptors (net; mta, which has been told who
 * the client is), of which who hands over keeps copies, and the words that stand behind --net and --mta, each with its NUL. Then both speak as
 * with --ready (ready.h).
 * What is said next, on the same socket:
 *
 *     SOTTO_SERVE_PASS    pass the rest through, with your copies: we have closed ours. Then say a sotto_serve_passed, and close.
 *     SOTTO_SERVE_KEPT    it has a process of its own: close your copies. The end of the stream is its end.
 *     SOTTO_SERVE_OVER    it is over: close your copies.
 *     the end             without any of these: this process was killed; the client was told nothing
 *
 * The socket stays open for as long as the session lives; who handed over closes it to end the session.
 */
#ifndef SOTTO_RUNTIME_SERVE_H
#define SOTTO_RUNTIME_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_SERVE_WORDS 64
#define SOTTO_SERVE_OCTETS 8192	/* of all words */

#define SOTTO_SERVE_PASS 'P'
#define SOTTO_SERVE_KEPT 'K'
#define SOTTO_SERVE_OVER 'E'

/* Octets on net since SOTTO_SERVE_PASS; between two programs of one build. */
struct sotto_serve_passed {
	uint64_t sent, received;
	uint64_t orderly;	/* 1: neither side cut it off */
};

/*
 * argv: the program, "serve", and the numbers of two descriptors: a listening socket, and a socket to the daemon, whose every octet is
 * answered with one. When that ends, or at SIGTERM, no connection is taken any more, and those that there are, are seen to their ends. Then 0, as in a
 * child at the end of its session, or 1 where that was not orderly; 2: wrong words.
 */
SOTTO_CHECKED int sotto_serve(int argc, char *argv[]);

#endif
