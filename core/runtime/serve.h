/* SPDX-License-Identifier: ISC */
/*
 * sotto-session serve: one process that has everything loaded, and forks a child for each connection that it is handed, which goes on as
 * a sotto-session that was executed does. Executing and linking one takes longer than a short session.
 *
 * A connection is handed over on a unix stream socket, by our own user: one message with two descriptors (net, mta) and the words that
 * stand behind --net and --mta, each with its NUL. Then both speak as with --ready (ready.h). The socket stays open for as long as the
 * session lives, and is closed by who handed over to end it.
 */
#ifndef SOTTO_RUNTIME_SERVE_H
#define SOTTO_RUNTIME_SERVE_H

#include "core/crypto/memory.h"

#define SOTTO_SERVE_WORDS 64
#define SOTTO_SERVE_OCTETS 8192	/* of all words */

/* A command line, as main gets one. */
struct sotto_served {
	int argc, starter;	/* starter: who handed over is at its other end */
	char *argv[SOTTO_SERVE_WORDS + 10];
	char numbers[3][16], octets[SOTTO_SERVE_OCTETS + 1];
};

/*
 * argv: the program, "serve", and the numbers of two descriptors: a listening socket, and a socket to the daemon, whose every octet is
 * answered with one, and whose end is ours. 0: this is a child, and *s is what it shall do. 1: it is over; 2: wrong words. Nothing secret
 * is in the process that forks, and nothing random: getrandom(2) is asked by each child.
 */
SOTTO_CHECKED int sotto_serve(struct sotto_served *s, int argc, char *argv[]);

#endif
