/* SPDX-License-Identifier: ISC */
/* options.h's promises: what a command line means, and one clear sentence for each that means nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/runtime/options.h"

#define MAX_WORDS 40

/* Reads a command line written as one string; what it says on stderr is in `said`. */
static int reads(struct sotto_options *o, const char *line, char *said, size_t size)
{
	static char copy[512];
	char *argv[MAX_WORDS + 1] = { (char *)"sotto-session" }, *word;
	int argc = 1, fd[2], was = dup(2), r;
	ssize_t n;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok(copy, " "); word != NULL && argc < MAX_WORDS; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "EMPTY") == 0 ? word + 5 : word;
	argv[argc] = NULL;
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], 2);
	close(fd[1]);
	r = sotto_options_read(o, argc, argv);
	fflush(stderr);
	dup2(was, 2);
	close(was);
	n = read(fd[0], said, size - 1);
	assert_true(n >= 0);
	said[n] = '\0';
	close(fd[0]);
	return r;
}

static void good(struct sotto_options *o, const char *line)
{
	char said[512];

	if (reads(o, line, said, sizeof(said)) != 0 || said[0] != '\0')
		fail_msg("'%s' is wrong: %s", line, said);
}

/* One line, from us, that names the manual page and holds `words`. */
static void wrong(const char *line, const char *words)
{
	struct sotto_options o;
	char said[512], *newline;
	int r = reads(&o, line, said, sizeof(said));

	newline = strchr(said, '\n');
	if (r != -1 || strncmp(said, "sotto-session: ", 15) != 0 || newline == NULL || newline[1] != '\0' ||
	    strstr(said, "; see sotto-session(8)") == NULL || strstr(said, words) == NULL)
		fail_msg("'%s': %d, said: %s", line, r, said);
}

static void test_what_is_not_given_has_its_default(void **state)
{
	struct sotto_options o;

	(void)state;
	good(&o, "accept --net 3 --mta 4");
	assert_int_equal(o.role, SOTTO_ACCEPT);
	assert_int_equal(o.net, 3);
	assert_int_equal(o.mta, 4);
	assert_int_equal(o.ready, -1);
	assert_null(o.backend);
	assert_null(o.to);
	assert_null(o.peer);
	assert_null(o.domain);
	assert_string_equal(o.conf, SOTTO_CONF_DIR "/sotto.conf");
	assert_string_equal(o.state, SOTTO_STATE_DIR);
	assert_string_equal(o.run, SOTTO_RUN_DIR);
	assert_string_equal(o.adapter, "exim");
	assert_false(o.log_stderr);
	assert_false(o.keep_starttls);
	assert_false(o.require);
	assert_int_equal(o.peer_addr_len, 0);
}

static void test_each_option_is_read(void **state)
{
	struct sotto_options o;
	struct sockaddr_in *four = (struct sockaddr_in *)&o.peer_addr;

	(void)state;
	good(&o, "--net=3 --mta 4 connect --ready 5 --peer mx.example --domain example.org --conf /c --state /s --run /r "
		 "--adapter postfix --log stderr --starttls keep --require --peer-addr 192.0.2.1:25");
	assert_int_equal(o.role, SOTTO_CONNECT);
	assert_int_equal(o.ready, 5);
	assert_string_equal(o.peer, "mx.example");
	assert_string_equal(o.domain, "example.org");
	assert_string_equal(o.conf, "/c");
	assert_string_equal(o.state, "/s");
	assert_string_equal(o.run, "/r");
	assert_string_equal(o.adapter, "postfix");
	assert_true(o.log_stderr);
	assert_true(o.keep_starttls);
	assert_true(o.require);
	assert_int_equal(o.peer_addr_len, sizeof(struct sockaddr_in));
	assert_int_equal(ntohs(four->sin_port), 25);
	assert_int_equal(ntohl(four->sin_addr.s_addr), 0xc0000201);
	good(&o, "accept --net 3 --backend unix:/run/x");
	assert_string_equal(o.backend, "unix:/run/x");
	good(&o, "accept --net 3 --backend [::1]:10025");
	good(&o, "connect --mta 0 --to example.org --log syslog --adapter opensmtpd");
	assert_string_equal(o.to, "example.org");
	assert_int_equal(o.mta, 0);
	assert_int_equal(o.net, -1);
	assert_false(o.log_stderr);
}

static void test_how_a_domain_is_connected_to_is_read(void **state)
{
	struct sotto_options o;
	struct sockaddr_in *four = (struct sockaddr_in *)&o.from4;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&o.from6;

	(void)state;
	good(&o, "connect --mta 4 --to example.org");
	assert_int_equal(o.from4.ss_family, AF_UNSPEC);
	assert_int_equal(o.from6.ss_family, AF_UNSPEC);
	assert_int_equal(o.family, 0);
	assert_false(o.dane);
	good(&o, "connect --mta 4 --to example.org --from 2001:db8::1 --from 192.0.2.1 --family ipv6 --dane");
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(ntohl(four->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(six->sin6_family, AF_INET6);
	assert_int_equal(six->sin6_addr.s6_addr[15], 1);
	assert_int_equal(o.family, AF_INET6);
	assert_true(o.dane);
	good(&o, "connect --mta 4 --to example.org --family ipv4 --from ::ffff:192.0.2.1");
	assert_int_equal(o.family, AF_INET);
	assert_int_equal(four->sin_family, AF_INET);
	wrong("connect --mta 4 --to example.org --from 192.0.2.1 --from 192.0.2.2", "twice for one family: 192.0.2.2");
	wrong("connect --mta 4 --to example.org --from localhost", "not: localhost");
	wrong("connect --mta 4 --to example.org --from 192.0.2.1:25", "not: 192.0.2.1:25");
	wrong("connect --mta 4 --to example.org --family ipv5", "ipv4|ipv6, not 'ipv5'");
	wrong("connect --net 3 --mta 4 --from 192.0.2.1", "belong to --to");
	wrong("connect --net 3 --mta 4 --family ipv4", "belong to --to");
	wrong("accept --net 3 --mta 4 --dane", "belong to --to");
}

static void test_each_usage_error_is_said_in_one_sentence(void **state)
{
	(void)state;
	wrong("", "accept or connect");
	wrong("--net 3 --mta 4", "accept or connect");
	wrong("listen --net 3 --mta 4", "not: listen");
	wrong("accept connect --net 3 --mta 4", "there is only one");
	wrong("accept --mta 4", "--net FD is missing");
	wrong("accept --net 3", "--mta FD or --backend is missing");
	wrong("connect --mta 4", "--net FD or --to DOMAIN is missing");
	wrong("connect --net 3", "--mta FD is missing");
	wrong("accept --net 3 --mta 4 --to example.org", "--to belongs to connect");
	wrong("connect --net 3 --backend 127.0.0.1:25", "--backend belongs to accept");
	wrong("connect --net 3 --mta 4 --to example.org", "--net and --to exclude each other");
	wrong("accept --net 3 --mta 4 --backend 127.0.0.1:25", "--mta and --backend exclude each other");
	wrong("accept --net 3 --mta 3", "different descriptors");
	wrong("accept --net 3 --mta 4 --ready 3", "different descriptors");
	wrong("accept --net 3 --mta 4 --ready 4", "different descriptors");
	wrong("connect --mta 4 --to EMPTY", "--to takes a domain");
}

static void test_odd_values_are_said_with_the_value(void **state)
{
	static const char *const fds[] = { "three", "-1", "3x", "+3", "99999999", "99999999999999999999", "EMPTY", "0x3" };
	static const char *const backends[] = { "unix:", "unix:run/x", "localhost:25", "127.0.0.1", "127.0.0.1:0", "EMPTY" };
	char line[512], path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		snprintf(line, sizeof(line), "accept --mta 4 --net %s", fds[i]);
		wrong(line, strcmp(fds[i], "EMPTY") == 0 ? "descriptor" : fds[i]);
	}
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		snprintf(line, sizeof(line), "accept --net 3 --backend %s", backends[i]);
		wrong(line, "--backend takes unix:/PATH or ADDRESS:PORT");
	}
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	snprintf(line, sizeof(line), "accept --net 3 --backend unix:/%s", path);
	wrong(line, "--backend takes unix:/PATH");
	wrong("accept --net 3 --mta 4 --adapter sendmail", "exim|postfix|opensmtpd, not 'sendmail'");
	wrong("accept --net 3 --mta 4 --adapter exim|postfix", "not 'exim|postfix'");
	wrong("accept --net 3 --mta 4 --adapter fix", "not 'fix'");
	wrong("accept --net 3 --mta 4 --adapter EMPTY", "not ''");
	wrong("accept --net 3 --mta 4 --log file", "syslog|stderr, not 'file'");
	wrong("accept --net 3 --mta 4 --starttls skip", "keep, not 'skip'");
	wrong("accept --net 3 --mta 4 --peer-addr mx.example:25", "mx.example:25");
}

static void test_unknown_and_incomplete_options_are_named(void **state)
{
	(void)state;
	wrong("accept --net 3 --mta 4 --color", "--color");
	wrong("accept --mta 4 --net", "--net");
	wrong("accept --net 3 --mta 4 --require=yes", "--require=yes");
	wrong("accept --net 3 --mta 4 -x", "-x");
	wrong("accept --net 3 --mta 4 -xy", "-x");
	wrong("accept -v --net 3 --mta 4", "-v");
}

static void test_addresses_are_numbers_with_a_port_and_nothing_else(void **state)
{
	static const char *const bad[] = { "", ":", ":25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
					   "127.0.0.1:65561", "127.0.0.1:25x", "127.0.0.1: 25", "127.0.0.1:-25", "127.1:25",
					   "0x7f.0.0.1:25", "::1:25", "[::1]", "[::1]25", "[::1:25", "[]:25", "[::1]:", "localhost:25",
					   "127.0.0.1:smtp", "127.0.0.1:25:25",
					   "[11111111111111111111111111111111111111111111111111111111111111111111111111111111]:25" };
	struct sockaddr_storage a;
	socklen_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sotto_address_read(&a, &len, bad[i]) != -1)
			fail_msg("taken for an address: '%s'", bad[i]);
	}
	assert_int_equal(sotto_address_read(&a, &len, "127.0.0.1:65535"), 0);
	assert_int_equal(a.ss_family, AF_INET);
	assert_int_equal(ntohs(((struct sockaddr_in *)&a)->sin_port), 65535);
	assert_int_equal(sotto_address_read(&a, &len, "[2001:db8::1]:1"), 0);
	assert_int_equal(a.ss_family, AF_INET6);
	assert_int_equal(len, sizeof(struct sockaddr_in6));
	assert_int_equal(ntohs(((struct sockaddr_in6 *)&a)->sin6_port), 1);
	assert_int_equal(sotto_address_read(&a, &len, "[::ffff:192.0.2.1]:25"), 0);
	assert_int_equal(a.ss_family, AF_INET6);
}

/* Runs in a child; what it prints is in `said`. Returns the exit status. */
static int prints(const char *option, char *said, size_t size)
{
	int fd[2], status = 0;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char *argv[] = { (char *)"sotto-session", (char *)(uintptr_t)option, NULL };
		struct sotto_options o;

		dup2(fd[1], 1);
		_exit(sotto_options_read(&o, 2, argv) == 0 ? 99 : 98);
	}
	close(fd[1]);
	while (got + 1 < size && (n = read(fd[0], said + got, size - 1 - got)) > 0)
		got += (size_t)n;
	said[got] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_help_and_version_print_and_exit_well(void **state)
{
	char said[2048];

	(void)state;
	assert_int_equal(prints("--help", said, sizeof(said)), 0);
	assert_non_null(strstr(said, "usage: sotto-session accept"));
	assert_int_equal(prints("--version", said, sizeof(said)), 0);
	assert_memory_equal(said, "sotto-session ", 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_given_has_its_default),
		cmocka_unit_test(test_each_option_is_read),
		cmocka_unit_test(test_how_a_domain_is_connected_to_is_read),
		cmocka_unit_test(test_each_usage_error_is_said_in_one_sentence),
		cmocka_unit_test(test_odd_values_are_said_with_the_value),
		cmocka_unit_test(test_unknown_and_incomplete_options_are_named),
		cmocka_unit_test(test_addresses_are_numbers_with_a_port_and_nothing_else),
		cmocka_unit_test(test_help_and_version_print_and_exit_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
