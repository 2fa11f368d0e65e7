/* SPDX-License-Identifier: ISC */
/*
 * The loopback hop: our mail server sends mail for a domain to an address in 127.64.0.0/10 that means that domain, and whoever
 * listens there (sotto-policyd) has the domain's mail server connected to instead. Which domain an address means is kept in a folder
 * of small files (/run/sotto/hop), so that it outlives the daemon:
 *
 *     DIR/127.64.x.y       the domain, in lower case, and a newline; made aside and linked, so that the first one has it
 *
 * libc and core/crypto/hash only: OpenSMTPD's plugin uses it too. No heap; nothing waits for the network, a lock or another process.
 */
#ifndef SOTTO_RUNTIME_HOP_H
#define SOTTO_RUNTIME_HOP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/crypto/memory.h"

#define SOTTO_HOP_PORT 10027
#define SOTTO_HOP_FILES 20000	/* over that, the tenth that was claimed longest ago goes */

/*
 * 127.64.0.0/10 and the first 22 bits of SHA-256 over the domain, in lower case and without a dot at its end. Another address each
 * for nearly all domains; where two have the same, only the first one to claim it gets it.
 */
struct in_addr sotto_hop_address(const char *domain);

/*
 * The domain's address, and the file that says so, written where it isn't there; the folder DIR (not what it stands in) is made. Of
 * two processes at once, one has it. A file that is damaged, or names a domain that can't have this address, is nobody's and is
 * replaced. Whoever hands the address out claims again now and then: a claim that is older than an hour is noted as seen again,
 * for SOTTO_HOP_FILES. Returns 0 with *out; -EADDRINUSE: another domain has it; -EINVAL: no domain (state-name.h says
 * what may stand in one); -errno: it could not be written. *out is filled in whenever the domain is one.
 */
SOTTO_CHECKED int sotto_hop_claim(const char *dir, const char *domain, struct in_addr *out);

/*
 * Which domain an address means. 0; -ENOENT: none (also where its file is damaged: nobody can tell whose mail that would be);
 * -ENAMETOOLONG: it does not fit into len; -errno. On an error domain is "".
 */
SOTTO_CHECKED int sotto_hop_domain(const char *dir, struct in_addr address, char *domain, size_t len);

/*
 * Listens on 0.0.0.0:port, bound to the device lo (never without), non-blocking, close-on-exec. The descriptor, or -1 and err is
 * a sentence without a full stop. It cannot share its port with anybody on this host who listens on a loopback address of it, not
 * even on 127.0.0.1 alone, nor can they with it.
 */
SOTTO_CHECKED int sotto_hop_listen(uint16_t port, char *err, size_t len);

/*
 * Whose the other end of an IPv4 connection within this host is, as the kernel tells (sock_diag), in our user namespace. 0; -ENOTCONN:
 * the other end is shut down or closed already (the kernel would call its owner root); -EAFNOSUPPORT: not IPv4; -ETIMEDOUT; -ENOENT:
 * no such socket, or a kernel without sock_diag. Whoever gets an error does not know, and must not trust.
 */
SOTTO_CHECKED int sotto_hop_uid(int fd, uid_t *uid);

/* Whether an address that was connected to is in 127.64.0.0/10. */
bool sotto_hop_is(const struct sockaddr *local);

#endif
