/* SPDX-License-Identifier: ISC */
/* Who is at the other end of a descriptor, and connecting to our mail server in somebody's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/ends.h"

static struct sockaddr_storage address(const char *text, uint16_t port)
{
	struct sockaddr_storage a;

	assert_int_equal(sotto_addr_read(&a, text, port), 0);
	return a;
}

static int listener(struct sockaddr_storage *at, socklen_t len)
{
	int fd = socket(at->ss_family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &(socklen_t){ sizeof(*at) }), 0);
	return fd;
}

/* pair[0] is connected to pair[1], which came out of a dual-stack listener where `mapped`. */
static void tcp_pair(int pair[2], bool mapped)
{
	struct sockaddr_storage at = mapped ? (struct sockaddr_storage){ .ss_family = AF_INET6 } : address("127.0.0.1", 0), to;
	int from = listener(&at, sizeof(struct sockaddr_in6));

	to = address("127.0.0.1", sotto_addr_port(&at));
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&to, sizeof(struct sockaddr_in)), 0);
	pair[1] = accept(from, NULL, NULL);
	assert_true(pair[1] >= 0);
	close(from);
}

static void the_peer_is_read_from_the_descriptor(void **state)
{
	struct sotto_options o = { .mta = -1 };
	struct sotto_ends e;
	struct sockaddr_storage own;
	char err[200];
	int pair[2];

	(void)state;
	for (int mapped = 0; mapped < 2; mapped++) {
		tcp_pair(pair, mapped);
		o.net = pair[1];
		assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), 0);
		assert_int_equal(getsockname(pair[0], (struct sockaddr *)&own, &(socklen_t){ sizeof(own) }), 0);
		assert_int_equal(e.peer_len, sizeof(struct sockaddr_in));
		assert_true(sotto_addr_same(&e.peer, &own));
		assert_int_equal(e.local.ss_family, AF_INET);
		close(pair[0]);
		close(pair[1]);
	}
}

static void a_unix_socket_has_no_peer_unless_told(void **state)
{
	struct sotto_options o = { .mta = -1 };
	struct sotto_ends e;
	char err[200];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	o.net = pair[0];
	assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), 0);
	assert_int_equal(e.peer_len, 0);
	assert_int_equal(e.local_len, 0);
	assert_int_equal(sotto_address_read(&o.peer_addr, &o.peer_addr_len, "[::ffff:192.0.2.7]:99"), 0);
	assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), 0);
	assert_int_equal(e.peer_len, sizeof(struct sockaddr_in));
	assert_int_equal(sotto_addr_port(&e.peer), 99);
	close(pair[0]);
	close(pair[1]);
}

static void what_is_no_stream_socket_is_named(void **state)
{
	struct sotto_options o = { .net = STDIN_FILENO, .mta = -1 };
	struct sotto_ends e;
	char err[200];
	int pipes[2], datagram = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	o.net = pipes[0];
	assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "--net "));
	o.net = -1;
	o.mta = datagram;
	assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "--mta "));
	close(datagram);
	o.mta = datagram;
	assert_int_equal(sotto_ends_find(&e, &o, err, sizeof(err)), -1);
	close(pipes[0]);
	close(pipes[1]);
}

static struct sotto_ends known_ends(void)
{
	struct sotto_ends e = { .net = -1, .mta = -1, .peer_len = sizeof(struct sockaddr_in), .local_len = sizeof(struct sockaddr_in) };

	e.peer = address("192.0.2.1", 4711);
	e.local = address("192.0.2.2", 25);
	return e;
}

static void the_backend_may_be_a_path_or_an_address(void **state)
{
	struct sockaddr_storage at = address("127.0.0.1", 0);
	int from = listener(&at, sizeof(struct sockaddr_in));
	struct sotto_ends e = known_ends();
	uint8_t header[SOTTO_PROXY_MAX];
	char err[200], where[200];
	size_t len;

	(void)state;
	(void)snprintf(where, sizeof(where), "127.0.0.1:%u", (unsigned)sotto_addr_port(&at));
	assert_int_equal(sotto_ends_backend(&e, where, 20000, header, &len, err, sizeof(err)), 0);
	assert_true(e.mta >= 0);
	assert_int_equal(len, 28);
	close(e.mta);
	close(from);
	memset(&at, 0, sizeof(at));
	at.ss_family = AF_UNIX;
	(void)snprintf(((struct sockaddr_un *)&at)->sun_path, 100, "/tmp/sotto-test-ends-%d", (int)getpid());
	(void)snprintf(where, sizeof(where), "unix:%s", ((struct sockaddr_un *)&at)->sun_path);
	from = listener(&at, sizeof(struct sockaddr_un));
	assert_int_equal(sotto_ends_backend(&e, where, 20000, header, &len, err, sizeof(err)), 0);
	close(e.mta);
	close(from);
	unlink(where + 5);
}

static void a_backend_that_is_not_there_is_named(void **state)
{
	struct sotto_ends e = known_ends();
	uint8_t header[SOTTO_PROXY_MAX];
	char err[200];
	size_t len;

	(void)state;
	assert_int_equal(sotto_ends_backend(&e, "unix:/nowhere/at/all", 20000, header, &len, err, sizeof(err)), -1);
	assert_string_equal(err, "cannot connect to our mail server at unix:/nowhere/at/all: No such file or directory");
	assert_int_equal(e.mta, -1);
	assert_int_equal(sotto_ends_backend(&e, "localhost", 20000, header, &len, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "unix:PATH or ADDRESS:PORT"));
}

/* Our mail server would take a connection without a header for its own host's. */
static void nobody_is_connected_in_an_unknown_name(void **state)
{
	struct sotto_ends e = known_ends();
	uint8_t header[SOTTO_PROXY_MAX];
	char err[200];
	size_t len;

	(void)state;
	memset(&e.peer, 0, sizeof(e.peer));
	e.peer_len = 0;
	assert_int_equal(sotto_ends_backend(&e, "unix:/nowhere", 20000, header, &len, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "who connected is not known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_is_read_from_the_descriptor),
		cmocka_unit_test(a_unix_socket_has_no_peer_unless_told),
		cmocka_unit_test(what_is_no_stream_socket_is_named),
		cmocka_unit_test(the_backend_may_be_a_path_or_an_address),
		cmocka_unit_test(a_backend_that_is_not_there_is_named),
		cmocka_unit_test(nobody_is_connected_in_an_unknown_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
