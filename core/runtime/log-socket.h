/* SPDX-License-Identifier: ISC */
/* Where log.c finds syslog's socket. Of log.c's and its test's alone. */
#ifndef SOTTO_RUNTIME_LOG_SOCKET_H
#define SOTTO_RUNTIME_LOG_SOCKET_H

extern const char *sotto_log_socket;	/* "/dev/log" */

#endif
