/* SPDX-License-Identifier: ISC */
/* notify.h's promises: what systemd hears, also of who has no descriptor left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugins/postfix-policy/notify.h"

/* Systemd's end, under a name that is no file. */
static int listen_as_systemd(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[64];
	size_t n = (size_t)snprintf(name, sizeof(name), "@sotto-test-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path + 1, name + 1, n - 1);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void hears(int fd, const char *expected)
{
	char text[128] = "";
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	assert_memory_equal(text, expected, strlen(expected));
}

static void without_systemd_nothing_is_opened(void **state)
{
	int before = dup(STDERR_FILENO), after;

	(void)state;
	close(before);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	sotto_notify_open();
	sotto_notify_ready();
	after = dup(STDERR_FILENO);
	assert_int_equal(after, before);
	close(after);
}

/* Else it would be killed by systemd's watchdog when it has the most to do. */
static void who_has_no_descriptor_left_is_alive(void **state)
{
	struct rlimit before, none;
	int fd = listen_as_systemd();

	(void)state;
	sotto_notify_open();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), -1);
	sotto_notify_ready();
	sotto_notify_alive();
	sotto_notify_reloading();
	sotto_notify_stopping();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	hears(fd, "READY=1");
	hears(fd, "WATCHDOG=1");
	hears(fd, "RELOADING=1\nMONOTONIC_USEC=");
	hears(fd, "STOPPING=1");
	close(fd);
}

static void says_it_twice_in_the_time_that_there_is(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
	assert_int_equal(sotto_notify_alive_ms(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "10000000", 1), 0);
	assert_int_equal(sotto_notify_alive_ms(), 5000);
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	assert_int_equal(sotto_notify_alive_ms(), 0);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(sotto_notify_alive_ms(), 5000);
	assert_int_equal(setenv("WATCHDOG_USEC", "nonsense", 1), 0);
	assert_int_equal(sotto_notify_alive_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_systemd_nothing_is_opened),
		cmocka_unit_test(who_has_no_descriptor_left_is_alive),
		cmocka_unit_test(says_it_twice_in_the_time_that_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
