/* SPDX-License-Identifier: ISC */
/* sd_notify(3)'s protocol: one datagram to the socket that $NOTIFY_SOCKET names. Without it, nothing. Never waits, never fails. */
#ifndef SOTTO_POSTFIX_NOTIFY_H
#define SOTTO_POSTFIX_NOTIFY_H

#include <stdint.h>

/* Opens what the others write to, before descriptors are scarce; it stays open, and no program that is executed gets it. */
void sotto_notify_open(void);

void sotto_notify_ready(void);
void sotto_notify_reloading(void);
void sotto_notify_stopping(void);
void sotto_notify_alive(void);

/* How often we are to say that we are alive, in milliseconds: twice in the time that systemd gives us (sd_watchdog_enabled(3)). 0: never. */
uint32_t sotto_notify_alive_ms(void);

#endif
