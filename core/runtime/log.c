/* SPDX-License-Identifier: ISC */
/*
 * Log lines that never wait (log.h). Called by every program of ours. Instead of syslog(3), which waits for a full socket and asks
 * for the time zone's file from within a sandbox. One thread only.
 */
#include "core/runtime/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/log-socket.h"
#include "core/runtime/log-stamp.h"

#define TEXT 1000	/* octets of a line, without what we add to it */
#define LINE (TEXT + 256)

const char *sotto_log_socket = "/dev/log";

static struct {
	const char *name;
	bool to_stderr;
	bool stderr_is_socket;
	int fd;			/* of /dev/log; -1: there is none */
	int patience;		/* milliseconds that a line may wait; 0: none */
	unsigned long lost;	/* lines dropped since the last that got through */
} log_to = { .name = "sotto", .fd = -1 };

/* ---- the ways out: each is true where the line was taken ---- */

/* A datagram socket of ours; connecting it never waits. False where nobody listens, or a sandbox does not let us. */
static bool connect_socket(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (log_to.fd < 0)
		log_to.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (log_to.fd < 0)
		return false;
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", sotto_log_socket);
	return connect(log_to.fd, (const struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool send_line(int fd, const char *line, size_t len)
{
	return fd >= 0 && send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/*
 * Where several wait, the room that poll tells of may be gone again before we have it, as often as it likes: it is the time that counts,
 * and not how often it was tried.
 */
static bool send_patiently(const char *line, size_t len)
{
	struct pollfd room = { .fd = log_to.fd, .events = POLLOUT };
	int64_t deadline = sotto_now_ms() + log_to.patience;
	bool sent = false;

	for (; log_to.patience > 0 && !sent; log_to.patience = sotto_left_ms(deadline)) {
		(void)poll(&room, 1, log_to.patience);
		sent = send_line(log_to.fd, line, len);
		if (!sent)
			(void)poll(NULL, 0, 1);
	}
	return sent;
}

/* Once more where it was started again since: then our connection leads nowhere. A full one is only full. */
static bool to_syslog(const char *line, size_t len)
{
	if (send_line(log_to.fd, line, len))
		return true;
	if (log_to.fd >= 0 && errno == EAGAIN && send_patiently(line, len))
		return true;
	if (log_to.fd >= 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR))
		return false;
	return connect_socket() && send_line(log_to.fd, line, len);
}

/*
 * Whether stderr waits is not ours to change, as others have it too. A pipe that has space at all takes a line of our length (less
 * than PIPE_BUF) at once.
 */
static bool to_stderr(const char *line, size_t len)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (log_to.stderr_is_socket)
		return send_line(STDERR_FILENO, line, len);
	return poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT && write(STDERR_FILENO, line, len) == (ssize_t)len;
}

/* ---- the line ---- */

/* RFC 3164, 4.1: "<PRI>Mmm dd hh:mm:ss ", with the months' names of C, whatever the locale. */
static int put_head(char *out, size_t len, int level)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm = { .tm_mday = 1 };

	(void)localtime_r(&now, &tm);
	return snprintf(out, len, "<%d>%.3s %2d %02d:%02d:%02d ", LOG_MAKEPRI(LOG_MAIL, LOG_PRI(level)),
			months + 3 * ((unsigned)tm.tm_mon % 12), tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Formats a text into TEXT + 2 octets: no control characters, and none of UTF-8 cut in two. */
__attribute__((format(printf, 2, 0))) static void put_text(char *out, const char *format, va_list ap)
{
	size_t end = TEXT;

	if (vsnprintf(out, TEXT + 2, format, ap) < 0)
		(void)snprintf(out, TEXT + 2, "(a line that cannot be formatted)");
	if (strlen(out) > TEXT) {
		while (end > TEXT - 4 && ((unsigned char)out[end] & 0xc0) == 0x80)
			end--;
		out[end] = 0;
	}
	for (char *c = out; *c != 0; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static void put_line(int level, const char *text, long withheld)
{
	char line[LINE], told[64] = "", lost[64] = "";
	int head = 0, rest;

	if (!log_to.to_stderr)
		head = put_head(line, sizeof(line), level);
	if (withheld > 0)
		(void)snprintf(told, sizeof(told), " (withheld before it: about %ld)", withheld);
	if (log_to.lost > 0)
		(void)snprintf(lost, sizeof(lost), " (lost before it: %lu)", log_to.lost);
	rest = snprintf(line + head, sizeof(line) - (size_t)head, "%.64s[%d]: %s%s%s%s", log_to.name, (int)getpid(), text, told, lost,
			log_to.to_stderr ? "\n" : "");
	if (rest > 0 && (log_to.to_stderr ? to_stderr : to_syslog)(line, (size_t)head + (size_t)rest))
		log_to.lost = 0;
	else
		log_to.lost++;
}

/* ---- log.h ---- */

void sotto_log_open(const char *name, bool to_stderr)
{
	struct stat st;
	int saved = errno;

	tzset();
	if (log_to.fd >= 0)
		close(log_to.fd);
	log_to.fd = -1;
	log_to.name = name;
	log_to.to_stderr = to_stderr;
	log_to.stderr_is_socket = fstat(STDERR_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);
	if (!to_stderr)
		(void)connect_socket();
	errno = saved;
}

void sotto_log_patience(int ms)
{
	log_to.patience = ms;
}

void sotto_log(int level, const char *format, ...)
{
	char text[TEXT + 2];
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	put_text(text, format, ap);
	va_end(ap);
	put_line(level, text, 0);
	errno = saved;
}

void sotto_log_limited(const char *dir, const char *stamp, int level, const char *format, ...)
{
	char text[TEXT + 2];
	int saved = errno;
	long withheld;
	va_list ap;

	va_start(ap, format);
	put_text(text, format, ap);
	va_end(ap);
	if (sotto_log_stamp(dir, stamp, &withheld))
		put_line(level, text, withheld);
	errno = saved;
}
