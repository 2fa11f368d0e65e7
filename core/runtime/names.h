/* SPDX-License-Identifier: ISC */
/*
 * The files require and exclude: who is listed there. libc only: the plugins read them too, on every path on which
 * nothing else of ours runs.
 *
 * One entry a line; '#' begins a comment; white space around an entry, CR at its end, and a dot at the end of a name do not
 * count; case does not either.
 *
 *     example.org       this recipient domain, or host
 *     .example.org      every domain and host below it (not itself)
 *     192.0.2.1         this address; 2001:db8::1 too. A v4-mapped one is the IPv4 address
 *     192.0.2.0/24      this network; 2001:db8::/32 too
 *     *                 everybody
 *
 * A network has no bits set behind its prefix (the error says what the network would be). Names in UTF-8 are taken, but only match
 * what is spelt with the same octets: nothing is converted to or from the xn-- form, so both have to be listed.
 *
 * Anything else, and a line of more than SOTTO_NAMES_LINE octets, is an error: that line counts for nobody, all others do.
 */
#ifndef SOTTO_RUNTIME_NAMES_H
#define SOTTO_RUNTIME_NAMES_H

#include <stddef.h>
#include <sys/socket.h>

#include "core/crypto/memory.h"

#define SOTTO_NAMES_LINE 512	/* octets of a line, its end not counted */

struct sotto_who {
	const char *domain;		/* the recipients' domain, or NULL or "" */
	const char *host;		/* the peer's host name, or NULL or "" */
	const struct sockaddr *addr;	/* the peer's address, or NULL; only IPv4 and IPv6 count */
};

/*
 * 1: one of who's names or its address is listed in the file; 0: not, or there is no such file; -errno: the file cannot be read,
 * or not to its end, and nothing that was read matched.
 * What is wrong with the file, the first error only, is written to err ("/etc/sotto/require:7: not a name, an address or a
 * network: ..."); err is left alone where nothing is. No heap, no lookups. Never waits (a FIFO is no file).
 */
SOTTO_CHECKED int sotto_names_match(const char *path, const struct sotto_who *who, char *err, size_t len);

/*
 * Calls one(arg, name) for each entry that is a whole name (no address, no network, neither "*" nor the end of longer names), as it is spelt in the
 * file, whoever's it is. What is wrong is passed over, also a file that cannot be read. No heap; never waits.
 */
void sotto_names_each(const char *path, void (*one)(void *arg, const char *name), void *arg);

#endif
