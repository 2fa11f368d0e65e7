/* SPDX-License-Identifier: ISC */
/*
 * A folder of its own for each test of files, and processes to do things in it: for test-state-*.c, test-live.c and
 * test-identity.c. The test fails where the lab itself cannot work.
 */
#ifndef TESTS_UNIT_FOLDER_LAB_H
#define TESTS_UNIT_FOLDER_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAB __attribute__((unused)) static
#define NOBODY 65534

static char lab_dir[64];

static int lab_begin(void **state)
{
	(void)state;
	strcpy(lab_dir, "/tmp/sotto-test-XXXXXX");
	return mkdtemp(lab_dir) != NULL && chmod(lab_dir, 0755) == 0 ? 0 : -1;
}

static int lab_rm(const char *path, const struct stat *st, int what, struct FTW *where)
{
	(void)st;
	(void)what;
	(void)where;
	return remove(path);
}

static int lab_end(void **state)
{
	(void)state;
	return nftw(lab_dir, lab_rm, 8, FTW_DEPTH | FTW_PHYS);
}

#define lab_test(f) cmocka_unit_test_setup_teardown(f, lab_begin, lab_end)

/* Valid until the next call but three. */
LAB const char *lab_path(const char *name)
{
	static char path[4][512];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", lab_dir, name);
	return path[n];
}

LAB void lab_put(const char *name, const void *octets, size_t n)
{
	int fd = open(lab_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, n), n);
	close(fd);
}

LAB size_t lab_get(const char *name, char *octets, size_t size)
{
	int fd = open(lab_path(name), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, octets, size);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

LAB bool lab_exists(const char *name)
{
	struct stat st;

	return lstat(lab_path(name), &st) == 0;
}

/* Makes a file look as old as that; negative: from the future. */
LAB void lab_age(const char *name, time_t seconds)
{
	struct timespec t[2] = { { .tv_sec = time(NULL) - seconds } };

	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, lab_path(name), t, AT_SYMLINK_NOFOLLOW), 0);
}

LAB unsigned lab_count(const char *folder)
{
	DIR *d = opendir(lab_path(folder));
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

/* Puts something that is no file in the place of one: a FIFO, a folder, a link to a file, a link to nothing. */
#define LAB_ODD_THINGS 4
LAB void lab_odd_thing(const char *name, int which, const char *link_to)
{
	(void)remove(lab_path(name));
	if (which == 0)
		assert_int_equal(mkfifo(lab_path(name), 0600), 0);
	else if (which == 1)
		assert_int_equal(mkdir(lab_path(name), 0700), 0);
	else
		assert_int_equal(symlink(which == 2 ? link_to : "/nothing/there", lab_path(name)), 0);
}

LAB struct sockaddr_storage lab_addr(const char *text, uint16_t port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (inet_pton(AF_INET, text, &sin.sin_addr) == 1) {
		memcpy(&ss, &sin, sizeof(sin));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &sin6.sin6_addr), 1);
		memcpy(&ss, &sin6, sizeof(sin6));
	}
	return ss;
}

/* ---- processes ------------------------------------------------------------------------------- */

LAB pid_t lab_start(int (*f)(void *), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);		/* a test that failed leaves nobody behind */
		_exit(f(arg) & 0xff);
	}
	return pid;
}

LAB int lab_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Runs f in a process of its own: what it returns, as 0 to 255. */
LAB int lab_run(int (*f)(void *), void *arg)
{
	return lab_wait(lab_start(f, arg));
}

LAB void lab_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* For a child: from here on, nothing can be written in lab_dir. */
LAB void lab_may_not_write(void)
{
	if (geteuid() == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
			_exit(99);
	} else if (chmod(lab_dir, 0555) != 0) {
		_exit(99);
	}
}

/* For a child: from here on, files are cut off after n octets, as on a full disk. */
LAB void lab_disk_is_full_after(rlim_t n)
{
	struct rlimit limit = { .rlim_cur = n, .rlim_max = n };

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		_exit(99);
}

#endif
