/* SPDX-License-Identifier: ISC */
/*
 * Whether an address is this host's own: what is sent there comes back to us (RFC 5321, 5.1).
 */
#ifndef SOTTO_RUNTIME_OWN_H
#define SOTTO_RUNTIME_OWN_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Asks the kernel, at this moment, through a datagram socket that sends nothing; 127/8, 0/8, :: and
 * ::1 are always own, a v4-mapped address is what it maps to. Not known, no descriptor to be had,
 * no route: false.
 */
bool sotto_own_address(const struct sockaddr *sa);

#endif
