/* SPDX-License-Identifier: ISC */
/*
 * sotto-session as a program under test, with folders of its own and the test at both of its ends: for test-sotto-session.c and
 * test-sotto-session-to.c.
 */
#ifndef TESTS_UNIT_SESSION_LAB_H
#define TESTS_UNIT_SESSION_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAB __attribute__((unused)) static
#define PATIENCE 60000	/* milliseconds; an upper bound for what is over in a moment */
#define WORDS 40

LAB char program[512];

struct lab {
	char dir[64], conf[128], state[2][128], run[128];
};

/* A program under test, with stderr as its log. */
struct started {
	pid_t pid;
	int log;
	char said[8192];
	size_t len;
};

/* ---- files ---- */

LAB void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

LAB void set_up(struct lab *l)
{
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/sotto-test-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	(void)snprintf(l->conf, sizeof(l->conf), "%s/sotto.conf", l->dir);
	(void)snprintf(l->run, sizeof(l->run), "%s/run", l->dir);
	assert_int_equal(mkdir(l->run, 0700), 0);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(l->state[i], sizeof(l->state[i]), "%s/state%d", l->dir, i);
		assert_int_equal(mkdir(l->state[i], 0700), 0);
	}
	write_file(l->conf, "[sotto]\nmode = opportunistic\n");
}

LAB void tear_down(struct lab *l)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", l->dir);
	assert_int_equal(system(command), 0);
}

LAB unsigned files_in(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	if (d == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ---- processes ---- */

/* Descriptors `fds` become 3, 4, 5 ... of the program; -1 ends the list. */
LAB void start(struct started *s, const int *fds, const char *const words[])
{
	const char *argv[WORDS] = { program };
	int log[2], n = 0;

	for (int i = 0; words[i] != NULL; i++)
		argv[i + 1] = words[i];
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	s->len = 0;
	s->log = log[0];
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int out = fcntl(log[1], F_DUPFD, 100), moved[8];

		for (n = 0; fds[n] >= 0; n++)
			moved[n] = fcntl(fds[n], F_DUPFD, 100);
		dup2(out, 1);
		dup2(out, 2);
		for (int i = 0; i < n; i++)
			dup2(moved[i], 3 + i);
		close_range(3 + (unsigned)n, ~0U, 0);
		execv(program, (char *const *)(const void *)argv);
		_exit(99);
	}
	close(log[1]);
}

/* Reads what the program says until it has said `wanted`, or, NULL, until it has ended. */
LAB void listen_to(struct started *s, const char *wanted)
{
	struct pollfd p = { .fd = s->log, .events = POLLIN };

	for (;;) {
		ssize_t n;

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

/* Waits for its end; how it ended. */
LAB int ended(struct started *s)
{
	int status;

	listen_to(s, NULL);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	close(s->log);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

LAB int run(struct started *s, const char *const words[])
{
	start(s, (const int[]){ -1 }, words);
	return ended(s);
}

/* ---- sockets ---- */

LAB void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Exactly this text comes next. */
LAB void expect(int fd, const char *text)
{
	char got[4096] = "";
	size_t want = strlen(text), have = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (have < want) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		n = recv(fd, got + have, want - have, 0);
		if (n <= 0)
			fail_msg("wanted \"%s\", the stream ended after \"%s\"", text, got);
		have += (size_t)n;
	}
	assert_string_equal(got, text);
}

/* An orderly end of the stream comes next. */
LAB void expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
}

LAB void tcp_pair(int pair[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(from, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(from, 1), 0);
	assert_int_equal(getsockname(from, (struct sockaddr *)&at, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&at, sizeof(at)), 0);
	pair[1] = accept4(from, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair[1] >= 0);
	close(from);
}

LAB void unix_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

/* The program stands beside the tests: build/bin, or build/san/bin. False: it can't be found. */
LAB bool find_program(const char *own)
{
	const char *slash = strstr(own, "tests/test-sotto-session");

	if (slash == NULL)
		return false;
	(void)snprintf(program, sizeof(program), "%.*sbin/sotto-session", (int)(slash - own), own);
	(void)signal(SIGPIPE, SIG_IGN);
	return true;
}

#endif
