/* SPDX-License-Identifier: ISC */
/*
 * What the tests of Postfix's two small programs stand on: the program as it was built, started as spawn(8) does (descriptors 0, 1 and 2
 * are one socket, but for 2 where the log is read), sockets, and a folder. The test itself plays Postfix and the daemon.
 */
#ifndef SOTTO_TESTS_POSTFIX_LAB_H
#define SOTTO_TESTS_POSTFIX_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60000	/* milliseconds; an upper bound for what is over in a moment */
#define WORDS 24

static char lab_program[512], lab_dir[64], lab_require[128], lab_socket[100];

struct started {
	pid_t pid;
	int log;
	char said[8192];
	size_t len;
};

/* ---- a folder ---- */

static inline void lab_write(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* The program stands beside the tests: build/bin, or build/san/bin. */
static inline void lab_find(const char *self, const char *name)
{
	const char *slash = strstr(self, "tests/");

	(void)snprintf(lab_program, sizeof(lab_program), "%.*sbin/%s", slash != NULL ? (int)(slash - self) : 0, self, name);
}

static inline int lab_set_up(void **state)
{
	(void)state;
	(void)snprintf(lab_dir, sizeof(lab_dir), "/tmp/sotto-postfix.XXXXXX");
	assert_non_null(mkdtemp(lab_dir));
	(void)snprintf(lab_require, sizeof(lab_require), "%s/require", lab_dir);
	(void)snprintf(lab_socket, sizeof(lab_socket), "%s/socket", lab_dir);
	return 0;
}

static inline int lab_tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", lab_dir);
	return system(command);	/* NOLINT(cert-env33-c,bugprone-command-processor) */
}

/* ---- the program ---- */

static inline void lab_start(struct started *s, int client, const char *const words[])
{
	const char *argv[WORDS] = { lab_program };
	int log[2];

	for (int i = 0; words[i] != NULL; i++)
		argv[i + 1] = words[i];
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	s->len = 0;
	s->log = log[0];
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int net = fcntl(client, F_DUPFD, 100), out = fcntl(log[1], F_DUPFD, 100);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(net, 0);
		dup2(net, 1);
		dup2(out, 2);
		close_range(3, ~0U, 0);
		execv(lab_program, (char *const *)(const void *)argv);
		_exit(99);
	}
	close(log[1]);
}

/* Reads what it logs until it has said `wanted`, or, NULL, until nobody holds its stderr any more. */
static inline void lab_listen(struct started *s, const char *wanted)
{
	struct pollfd p = { .fd = s->log, .events = POLLIN };
	ssize_t n;

	for (;;) {
		s->said[s->len] = '\0';
		if (wanted != NULL && strstr(s->said, wanted) != NULL)
			return;
		if (poll(&p, 1, PATIENCE) != 1)
			fail_msg("it did not say \"%s\", but: %s", wanted != NULL ? wanted : "its end", s->said);
		n = read(s->log, s->said + s->len, sizeof(s->said) - 1 - s->len);
		assert_true(n >= 0);
		if (n == 0 && wanted != NULL)
			fail_msg("it ended without \"%s\", and with: %s", wanted, s->said);
		if (n == 0)
			return;
		s->len += (size_t)n;
	}
}

/* Waits for its end, and that of whoever it started; its wait status. */
static inline int lab_status(struct started *s)
{
	int status = 0;

	lab_listen(s, NULL);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	close(s->log);
	return status;
}

static inline int lab_ended(struct started *s)
{
	int status = lab_status(s);

	if (!WIFEXITED(status))
		fail_msg("it was killed by signal %d: %s", WTERMSIG(status), s->said);
	return WEXITSTATUS(status);
}

/* ---- sockets ---- */

static inline void lab_put_octets(int fd, const char *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

static inline void lab_put(int fd, const char *text)
{
	lab_put_octets(fd, text, strlen(text));
}

static inline void lab_get(int fd, char *out, size_t want)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t have = 0;

	while (have < want) {
		ssize_t n;

		if (poll(&p, 1, PATIENCE) != 1)
			fail_msg("only %zu of %zu octets came", have, want);
		n = recv(fd, out + have, want - have, 0);
		if (n <= 0)
			fail_msg("the stream ended after %zu of %zu octets", have, want);
		have += (size_t)n;
	}
}

/* Exactly this text comes next. */
static inline void lab_expect(int fd, const char *text)
{
	char got[4096] = "";

	lab_get(fd, got, strlen(text));
	assert_string_equal(got, text);
}

static inline void lab_expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
}

/* The end, orderly or not: a reset is what closing with unread octets makes of it. */
static inline void lab_expect_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_true(recv(fd, &octet, 1, 0) <= 0);
}

static inline void lab_expect_nothing(int fd)
{
	char octet;

	assert_int_equal(recv(fd, &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* What the program connects to. */
static inline int lab_listen_at(const char *path, int queue)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, queue), 0);
	return fd;
}

static inline int lab_accept(int listening)
{
	struct pollfd p = { .fd = listening, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline int64_t lab_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
