/* SPDX-License-Identifier: ISC */
/* Whose connections the hop takes: smtpd's and root's. libc only. */
#ifndef SOTTO_OPENSMTPD_SMTPD_USER_H
#define SOTTO_OPENSMTPD_SMTPD_USER_H

#include <stdbool.h>

/* Looks smtpd's user up, once for all: before a sandbox, which may hide where users are listed. */
void sotto_smtpd_user_know(void);

/* Asks the kernel who is at the other end of fd. What is wrong is logged, with a limit in the folder `state`. */
bool sotto_smtpd_user(int fd, const char *state);

#endif
