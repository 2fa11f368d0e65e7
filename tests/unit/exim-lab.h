/* SPDX-License-Identifier: ISC */
/*
 * What the tests of Exim's plugin stand on: a network of their own with 192.0.2.1 and 192.0.2.2 on lo, TCP connections in
 * it, and a program that plays sotto-session: a copy of the test itself, which main must hand over to by lab_fake.
 */
#ifndef SOTTO_TESTS_EXIM_LAB_H
#define SOTTO_TESTS_EXIM_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAB_NOBODY 65534
#define LAB_HERE "192.0.2.1"
#define LAB_THERE "192.0.2.2"
#define LAB_PATIENCE_MS 20000

static char lab_dir[64], lab_session[128];

/* ---- a network and a folder ---- */

static int lab_alias(int fd, const char *name, const char *address)
{
	struct ifreq r;
	struct sockaddr_in a = { .sin_family = AF_INET };

	memset(&r, 0, sizeof(r));
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	inet_pton(AF_INET, address, &a.sin_addr);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFADDR, &r) != 0)
		return -1;
	inet_pton(AF_INET, "255.255.255.255", &a.sin_addr);
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	return ioctl(fd, SIOCSIFNETMASK, &r);
}

/* False: this machine does not give us one. */
static inline bool lab_network(void)
{
	struct ifreq r;
	int fd, rc;

	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, "lo", 3);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	rc = ioctl(fd, SIOCSIFFLAGS, &r) != 0 || lab_alias(fd, "lo:1", LAB_HERE) != 0 || lab_alias(fd, "lo:2", LAB_THERE) != 0;
	close(fd);
	return rc == 0;
}

static inline void lab_write(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* A folder that every user can go into, with the program in it. */
static inline void lab_begin(void)
{
	char command[512], self[256] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	memcpy(lab_dir, "/tmp/sotto-exim.XXXXXX", 23);
	assert_non_null(mkdtemp(lab_dir));
	assert_int_equal(chmod(lab_dir, 0755), 0);
	(void)snprintf(lab_session, sizeof(lab_session), "%s/session", lab_dir);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s' && chmod 755 '%s'", self, lab_session, lab_session);
	assert_int_equal(system(command), 0);	/* NOLINT(cert-env33-c,bugprone-command-processor) */
}

static inline void lab_end(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", lab_dir);
	(void)!system(command);	/* NOLINT(cert-env33-c,bugprone-command-processor) */
}

static inline void lab_behave(const char *how)
{
	lab_write(lab_dir, "behaviour", how);
}

/* ---- connections ---- */

static inline void lab_address(struct sockaddr_storage *a, socklen_t *len, const char *host, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)a;
	struct sockaddr_in6 *v6 = (void *)a;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		a->ss_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof(*v4);
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
	a->ss_family = AF_INET6;
	v6->sin6_port = htons(port);
	*len = sizeof(*v6);
}

/* server listens at host and port (0: any; "::" takes IPv4 too), client comes from there. out: accepted end, client's end. */
static inline void lab_connect(int out[2], const char *host, uint16_t port, const char *client)
{
	struct sockaddr_storage at, from, to;
	socklen_t len, from_len, to_len;
	const int on = 1, off = 0;
	int l;

	lab_address(&at, &len, host, port);
	lab_address(&from, &from_len, client, 0);
	l = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	out[1] = socket(from.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	if (at.ss_family == AF_INET6)
		assert_int_equal(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(l, (void *)&at, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(bind(out[1], (void *)&from, from_len), 0);
	assert_int_equal(getsockname(l, (void *)&at, &len), 0);
	if (at.ss_family == AF_INET6 && from.ss_family == AF_INET)
		lab_address(&to, &to_len, client, ntohs(((struct sockaddr_in6 *)(void *)&at)->sin6_port));
	else {
		to = at;
		to_len = len;
	}
	assert_int_equal(connect(out[1], (void *)&to, to_len), 0);
	out[0] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(out[0] >= 0);
	close(l);
}

/* The other end's address of fd. */
static inline void lab_peer(struct sockaddr_storage *a, int fd)
{
	socklen_t len = sizeof(*a);

	memset(a, 0, sizeof(*a));
	assert_int_equal(getpeername(fd, (void *)a, &len), 0);
}

/* What is written to one end arrives at the other. */
static inline void lab_assert_joined(int a, int b)
{
	struct pollfd p = { .fd = b, .events = POLLIN };
	char octet = 0;

	assert_int_equal(write(a, "x", 1), 1);
	assert_int_equal(poll(&p, 1, LAB_PATIENCE_MS), 1);
	assert_int_equal(read(b, &octet, 1), 1);
	assert_int_equal(octet, 'x');
}

/* ---- what must be left as it was ---- */

static inline int lab_count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline void lab_assert_no_child(void)
{
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* ---- the program ---- */

static inline void lab_fake_report(int argc, char **argv, char **environment)
{
	char text[4096], folder[256];
	int n = snprintf(text, sizeof(text), "fds");

	for (int fd = 0; fd < 65536; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %d", fd);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\nleader %d\nuid %d\nmask %o\nfolder %s\nenv", getsid(0) == getpid(),
		      (int)getuid(), (unsigned)umask(0), getcwd(folder, sizeof(folder)) != NULL ? folder : "?");
	for (char **e = environment; *e != NULL; e++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", *e);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\nargv");
	for (int i = 1; i < argc; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", argv[i]);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\npid %d\n", (int)getpid());
	(void)!send(3, text, (size_t)n, MSG_NOSIGNAL);
	(void)!send(4, "mta", 3, MSG_NOSIGNAL);
}

/* Returns where this process is not the fake. */
static inline void lab_fake(int argc, char **argv, char **environment)
{
	const char *slash = strrchr(argv[0], '/');
	char path[512], how[64] = "", octet;
	int fd;

	if (argc < 2 || slash == NULL || strcmp(slash, "/session") != 0)
		return;
	(void)snprintf(path, sizeof(path), "%.*s/behaviour", (int)(slash - argv[0]), argv[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, how, sizeof(how) - 1) <= 0)
		_exit(3);
	close(fd);
	if (strcmp(how, "dies") == 0)
		_exit(1);
	if (strcmp(how, "never ready") == 0)
		(void)pause();
	if (strcmp(how, "ready, then deaf") == 0)
		(void)shutdown(5, SHUT_RD);
	(void)!send(5, strcmp(how, "garbage") == 0 ? "x" : "!", 1, MSG_NOSIGNAL);
	if (strcmp(how, "ready, then deaf") == 0)
		_exit(1);
	if (recv(5, &octet, 1, 0) == 1)
		lab_fake_report(argc, argv, environment);
	_exit(0);
}

#endif
