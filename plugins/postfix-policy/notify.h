/* SPDX-License-Identifier: ISC */
/* sd_notify(3)'s protocol: one datagram to the socket that $NOTIFY_SOCKET names. Without it, nothing. Never waits, never fails. */
#ifndef SOTTO_POSTFIX_NOTIFY_H
#define SOTTO_POSTFIX_NOTIFY_H

void sotto_notify_ready(void);
void sotto_notify_reloading(void);
void sotto_notify_stopping(void);

#endif
