/* SPDX-License-Identifier: ISC */
/* What the programs of the bench share (bench.h). Measures nothing by itself. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

_Noreturn void bench_die(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: this failed: %s (%s)\n", file, line, what, strerror(errno));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	MUST(clock_gettime(clock, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_cpu(void)
{
	return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double bench_process_cpu(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_wall(void)
{
	return seconds(CLOCK_MONOTONIC);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *figures, size_t n)
{
	MUST(n > 0);
	qsort(figures, n, sizeof(*figures), by_size);
	return (figures[(n - 1) / 2] + figures[n / 2]) / 2;
}

void bench_say(const char *name, double value)
{
	printf("%s %.9g\n", name, value);
	(void)fflush(stdout);
}

unsigned bench_number(int argc, char **argv, int at, unsigned otherwise)
{
	return argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;
}

/* ---- processes and sockets ---- */

void bench_folder_begin(struct bench_folder *f, const char *mode)
{
	FILE *conf;

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/sotto-bench-XXXXXX");
	MUST(mkdtemp(f->dir) != NULL);
	(void)snprintf(f->conf, sizeof(f->conf), "%s/sotto.conf", f->dir);
	(void)snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	(void)snprintf(f->run, sizeof(f->run), "%s/run", f->dir);
	MUST(mkdir(f->state, 0700) == 0 && mkdir(f->run, 0700) == 0);
	conf = fopen(f->conf, "w");
	MUST(conf != NULL);
	MUST(fprintf(conf, "[sotto]\nmode = %s\n", mode) > 0 && fclose(conf) == 0);
}

void bench_folder_end(const struct bench_folder *f)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	MUST(system(command) == 0);
}

pid_t bench_start(const int *fds, const char *const argv[])
{
	pid_t pid = fork();
	int moved[8], n = 0;

	MUST(pid >= 0);
	if (pid > 0)
		return pid;
	for (; fds[n] >= 0; n++)
		moved[n] = fcntl(fds[n], F_DUPFD, 64);
	for (int i = 0; i < n; i++)
		if (dup2(moved[i], 3 + i) < 0)
			_exit(98);
	(void)close_range(3 + (unsigned)n, ~0U, 0);
	execv(argv[0], (char *const *)(const void *)argv);
	_exit(99);
}

pid_t bench_session(const struct bench_folder *f, const char *role, int net, int mta, int ready)
{
	const char *argv[] = { "build/bin/sotto-session", role, "--net", "3", "--mta", "4", "--conf", f->conf, "--state", f->state,
			       "--run", f->run, "--log", "syslog", ready >= 0 ? "--ready" : NULL, "5", NULL };

	return bench_start((const int[]){ net, mta, ready, -1 }, argv);
}

double bench_end(pid_t pid)
{
	struct rusage used;
	int status;

	MUST(wait4(pid, &status, 0, &used) == pid);
	MUST(WIFEXITED(status));
	MUST(WEXITSTATUS(status) < 98);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void bench_tcp_pair(int pair[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(bind(from, (struct sockaddr *)&at, len) == 0 && listen(from, 1) == 0);
	MUST(getsockname(from, (struct sockaddr *)&at, &len) == 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(connect(pair[0], (struct sockaddr *)&at, sizeof(at)) == 0);
	pair[1] = accept4(from, NULL, NULL, SOCK_CLOEXEC);
	MUST(pair[1] >= 0);
	close(from);
}

void bench_unix_pair(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

void bench_put(int fd, const char *text)
{
	MUST(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

void bench_await(int fd, const char *text)
{
	char got[8192] = "";
	size_t have = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (strstr(got, text) == NULL) {
		ssize_t n;

		MUST(have < sizeof(got) - 1 && poll(&p, 1, PATIENCE_MS) == 1);
		n = recv(fd, got + have, sizeof(got) - 1 - have, 0);
		MUST(n > 0);
		have += (size_t)n;
		got[have] = '\0';
	}
}

void bench_greet(int client, int server)
{
	bench_put(server, "220 mx.b.example ESMTP\r\n");
	bench_await(client, "220 mx.b.example ESMTP\r\n");
	bench_put(client, "EHLO mx.a.example\r\n");
	bench_await(server, "EHLO mx.a.example\r\n");
	bench_put(server, "250-mx.b.example\r\n250 PIPELINING\r\n");
	bench_await(client, "250 PIPELINING\r\n");
	bench_put(client, "MAIL FROM:<anna@a.example>\r\n");
	bench_await(server, "MAIL FROM:<anna@a.example>\r\n");
	bench_put(server, "250 OK\r\n");
	bench_await(client, "250 OK\r\n");
}
