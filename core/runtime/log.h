/* SPDX-License-Identifier: ISC */
/*
 * Log lines to syslog(3)'s socket, or to stderr, that never wait: a line that /dev/log does not take at once is dropped and counted,
 * and the next line that gets through says how many were.
 */
#ifndef SOTTO_RUNTIME_LOG_H
#define SOTTO_RUNTIME_LOG_H

#include <stdbool.h>

/*
 * Opens the socket, which stays open: call it before a sandbox or a chroot (the time zone is read now too). name stays the
 * caller's. Never fails. Where /dev/log is not there yet, or is started again, each line tries to reach it once more, as far as a
 * sandbox lets it. To stderr goes "NAME[PID]: text"; where that is a pipe, the program must ignore SIGPIPE.
 */
void sotto_log_open(const char *name, bool to_stderr);

/*
 * level: LOG_ERR, LOG_WARNING, LOG_INFO of syslog.h; facility is mail. At most 1000 octets; control characters become '?'. errno
 * stays what it was.
 */
__attribute__((format(printf, 2, 3))) void sotto_log(int level, const char *format, ...);

/*
 * From now on no octet of mail waits for us any more: a line may wait so long for the log to take it (a log daemon that is slow for
 * a moment has room for ten). Once one has waited in vain, no other does.
 */
void sotto_log_patience(int ms);

/*
 * The same, but at most one line a minute from all processes together for each name of a stamp file in `dir` (the state
 * directory); where there can be no such file, every line. The next line says how many were withheld: about, because nobody waits
 * for anybody to count.
 */
__attribute__((format(printf, 4, 5))) void sotto_log_limited(const char *dir, const char *stamp, int level, const char *format, ...);

#endif
