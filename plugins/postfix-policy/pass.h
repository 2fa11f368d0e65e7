/* SPDX-License-Identifier: ISC */
/* The front's own way: octets between the client and smtpd, unsealed and unread. libc only; bounded memory; no loop outside. */
#ifndef SOTTO_POSTFIX_PASS_H
#define SOTTO_POSTFIX_PASS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Passes octets on between both sockets until neither has any left; `first`, at most 64 octets, go to the backend before them. The end
 * of one direction is passed on as such. No time limit while both directions live; then 30 s without an octet end it. Both stay open.
 */
void sotto_pass(int net, int backend, const uint8_t *first, size_t len);

/* A last line to the client, which is given 5 s at most to read it, however much it says meanwhile. Closes net. */
void sotto_goodbye(int net, const char *text);

#endif
