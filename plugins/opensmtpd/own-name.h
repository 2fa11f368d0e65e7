/* SPDX-License-Identifier: ISC */
/* What smtpd calls itself. libc only. */
#ifndef SOTTO_OPENSMTPD_OWN_NAME_H
#define SOTTO_OPENSMTPD_OWN_NAME_H

/* Debian's /etc/mailname, or the host's name. Static; read once. */
const char *sotto_own_name(void);

#endif
