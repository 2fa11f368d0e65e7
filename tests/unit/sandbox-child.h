/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the sandbox stand on: a child process each, as there is no way back. In a child nothing of cmocka's is used:
 * NEED says on stderr what is missing and ends it.
 */
#ifndef SOTTO_TESTS_SANDBOX_CHILD_H
#define SOTTO_TESTS_SANDBOX_CHILD_H

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/runtime/sandbox.h"

#define NEED(what) \
	do { \
		errno = 0; \
		if (!(what)) \
			child_fails(__LINE__, #what); \
	} while (0)

/* EPERM, and the process lives. */
#define REFUSED(call) NEED((call) == -1 && errno == EPERM)

static inline void child_fails(int line, const char *what)
{
	(void)dprintf(STDERR_FILENO, "child: line %d: %s (errno %d)\n", line, what, errno);
	_exit(1);
}

/* The ways into a sandbox. */
enum way { CONNECTING, SETTLED, BOTH, SERVING, WAYS };

static inline void enter(enum way way)
{
	if (way == SERVING) {
		NEED(sotto_sandbox_enter(SOTTO_SANDBOX_SERVING) == 0);
		return;
	}
	if (way != SETTLED)
		NEED(sotto_sandbox_enter(SOTTO_SANDBOX_CONNECTING) == 0);
	if (way != CONNECTING)
		NEED(sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED) == 0);
}

/* Runs it in a child and returns how that ended, as wait(2) says. */
static inline int child_status(void (*what)(enum way), enum way way)
{
	int status = -1;
	pid_t pid;

	(void)fflush(NULL);	/* or both would write what is buffered */
	pid = fork();
	if (pid == 0) {
		what(way);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static inline void in_child(void (*what)(enum way), enum way way)
{
	assert_int_equal(child_status(what, way), 0);
}

static inline void in_both_stages(void (*what)(enum way))
{
	for (unsigned way = 0; way < WAYS; way++)
		in_child(what, (enum way)way);
}

static inline struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline int listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*at = loopback(0);
	NEED(bind(fd, (struct sockaddr *)at, len) == 0 && listen(fd, 4) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

/* Two ends of a TCP connection. */
static inline void tcp_pair(int fds[2])
{
	struct sockaddr_in at;
	int l = listener(&at);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	NEED(connect(fds[0], (struct sockaddr *)&at, sizeof at) == 0);
	NEED((fds[1] = accept(l, NULL, NULL)) >= 0);
	close(l);
}

/* False, said loudly, where there can be no sandbox: a sanitizer, valgrind, or a kernel without seccomp. */
static inline bool can_run(const char *name)
{
	const char *preload = getenv("LD_PRELOAD");
	bool sanitized = false;

#if defined(__SANITIZE_ADDRESS__)
	sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	sanitized = true;
#endif
#endif
	if (sanitized || (preload != NULL && strstr(preload, "vgpreload") != NULL)) {
		if (sotto_sandbox_enter(SOTTO_SANDBOX_CONNECTING) != -ENOSYS || sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED) != -ENOSYS)
			abort();
		printf("NOT RUN: %s: no sandbox under %s\n", name, sanitized ? "sanitizers" : "valgrind");
		return false;
	}
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
		printf("NOT RUN: %s: this kernel has no seccomp\n", name);
		return false;
	}
	return true;
}

#endif
