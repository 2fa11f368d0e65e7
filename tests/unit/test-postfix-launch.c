/* SPDX-License-Identifier: ISC */
/* launch.h's promises: a program gets what it is given and nothing else, and whoever starts it does not wait for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugins/postfix-policy/launch.h"

#define LIBC_OWN 0x180000000ULL	/* signals 32 and 33: nobody can touch those */
#define HOG_S 0.3	/* a processor is nobody else's for so long; the kernel takes care that it is not much longer */

static const char *const environment[] = { "PATH=/usr/bin:/bin", "ONLY=this", NULL };

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What a shell says to its descriptor 1. Its 4 is /dev/null. */
static void say(char *out, size_t len, const char *script, bool session)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	int pair[2], mine, fds[5] = { -1, 0, STDERR_FILENO, 0, -1 };
	const struct sotto_launch l = { .path = "/bin/sh", .argv = argv, .env = environment, .fds = fds, .n = 5, .session = session };
	ssize_t n;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);	/* the child would inherit them */
	mine = fcntl(pair[1], F_DUPFD, 64);
	fds[1] = fds[3] = mine;
	assert_int_equal(sotto_launch(&l, &pid), 0);
	close(pair[1]);
	close(mine);
	n = recv(pair[0], out, len - 1, MSG_WAITALL);
	assert_true(n >= 0);
	out[n] = '\0';
	close(pair[0]);
	assert_int_equal(status_of(pid), 0);
}

static void it_has_the_descriptors_that_it_is_given(void **state)
{
	char out[512];

	(void)state;
	say(out, sizeof(out), "for fd in /proc/self/fd/*; do echo ${fd##*/}; done; readlink /proc/self/fd/0 /proc/self/fd/4", false);
	/* the shell's own list may have one more: the folder that it reads */
	assert_non_null(strstr(out, "0\n1\n2\n3\n4\n"));
	assert_null(strstr(out, "64\n"));
	assert_non_null(strstr(out, "/dev/null\n/dev/null\n"));
}

static void it_has_the_environment_that_it_is_given(void **state)
{
	char out[512];

	(void)state;
	say(out, sizeof(out), "tr '\\0' '\\n' < /proc/self/environ | grep -c .; echo $ONLY", false);
	assert_non_null(strstr(out, "this\n"));
}

static void signals_are_as_if_nobody_had_touched_them(void **state)
{
	char out[512];
	unsigned long long blocked = 1, ignored = 1;
	sigset_t some, before;

	(void)state;
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(sigprocmask(SIG_BLOCK, &some, &before), 0);
	say(out, sizeof(out), "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'", false);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, &some), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(sscanf(out, "SigBlk:%16llxSigIgn:%16llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & ~LIBC_OWN, 0);
	assert_true(sigismember(&some, SIGTERM));	/* ours are what they were */
}

static void it_has_a_session_or_a_group_of_its_own(void **state)
{
	static const char script[] = "set -- $(cut -d' ' -f1,5,6 /proc/$$/stat); test $1 = $2 && echo group; test $1 = $3 && echo session";
	char out[512];

	(void)state;
	say(out, sizeof(out), script, true);
	assert_string_equal(out, "group\nsession\n");
	say(out, sizeof(out), "set -- $(cut -d' ' -f1,5,6 /proc/$$/stat); test $1 = $2 && echo group; test $1 = $3 || echo no session", false);
	assert_string_equal(out, "group\nno session\n");
}

static void one_that_is_not_there(void **state)
{
	const char *const argv[] = { "nothing", NULL }, *const sh[] = { "sh", "-c", "exit 7", NULL };
	const int fds[] = { -1 };
	struct sotto_launch l = { .path = "/nonexistent", .argv = argv, .env = environment, .fds = fds, .n = 1 };
	pid_t pid;

	(void)state;
	assert_int_equal(sotto_launch(&l, &pid), 0);
	assert_int_equal(status_of(pid), SOTTO_LAUNCH_FAILED);
	l.otherwise = "/bin/sh";
	l.argv = sh;
	assert_int_equal(sotto_launch(&l, &pid), 0);
	assert_int_equal(status_of(pid), 7);
}

/* ---- not waiting ---- */

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run_before(int priority)
{
	const struct sched_param how = { .sched_priority = priority };

	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &how) == 0;
}

/* A process that has this processor to itself from when it says so, but for whoever has a higher priority. */
static pid_t hog(void)
{
	int said[2];
	char octet;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	if (pid == 0) {
		bool can = run_before(1) && write(said[1], "!", 1) == 1;

		for (double end = now() + HOG_S; can && now() < end;)
			;
		_exit(0);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &octet, 1), 1);
	close(said[0]);
	return pid;
}

static void nobody_waits_for_it_to_begin(void **state)
{
	const char *const argv[] = { "true", NULL };
	const int fds[] = { -1 };
	const struct sotto_launch l = { .path = "/bin/true", .argv = argv, .env = environment, .fds = fds, .n = 1 };
	const struct sched_param plain = { 0 };
	pid_t pid, other;
	cpu_set_t one, all;
	bool goes_on;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	if (!run_before(2)) {
		printf("NOT RUN: a child that gets no processor (nobody may have SCHED_FIFO here)\n");
		assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
		skip();
	}
	other = hog();
	assert_int_equal(sotto_launch(&l, &pid), 0);
	goes_on = waitpid(other, NULL, WNOHANG) == 0;
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &plain), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(status_of(pid), 0);
	assert_true(goes_on);
	assert_int_equal(status_of(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_the_descriptors_that_it_is_given), cmocka_unit_test(it_has_the_environment_that_it_is_given),
		cmocka_unit_test(signals_are_as_if_nobody_had_touched_them), cmocka_unit_test(it_has_a_session_or_a_group_of_its_own),
		cmocka_unit_test(one_that_is_not_there), cmocka_unit_test(nobody_waits_for_it_to_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
