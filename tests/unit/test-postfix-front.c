/* SPDX-License-Identifier: ISC */
/*
 * What sotto-front promises: the session gets the connection, in the same process; and whatever becomes of the session before it is
 * ready, the client and smtpd get each other. The program itself; the session is a shell script or this program, smtpd is this test.
 */
#include "tests/unit/postfix-lab.h"

#include <sys/resource.h>

static char self[512], session[128], backend_arg[120];

struct stage {
	struct started s;
	int listening, client, smtpd;
	struct sockaddr_storage at, from;
};

/* ---- the session: this program under another name; argv[0] says how it behaves ---- */

static void play_session(int argc, char **argv)
{
	const char *how = strrchr(argv[0], '/') + 1;
	char octet, text[1024] = "";
	int ready = atoi(argv[9]);

	for (int i = 1; i < argc; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", argv[i]);
	if (strcmp(how, "session-dies") == 0)
		_exit(1);
	if (strcmp(how, "session-crashes") == 0)
		abort();
	while (strcmp(how, "session-hangs") == 0)
		(void)pause();
	(void)!send(ready, strcmp(how, "session-garbage") == 0 ? "x" : "!", 1, MSG_NOSIGNAL);
	if (strcmp(how, "session-deaf") == 0)
		_exit(1);
	if (recv(ready, &octet, 1, 0) != 1)
		_exit(3);
	/* the watcher ends now, and must not be left for us to be waited for */
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "pid=%d zombie=%d silent=%d fds=", (int)getpid(),
		       waitpid(-1, NULL, 0) > 0, send(1, "x", 1, MSG_NOSIGNAL) < 0);
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d,", fd);
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " end\n");
	(void)!send(0, text, strlen(text), MSG_NOSIGNAL);
	while (recv(0, &octet, 1, 0) > 0)
		;
	_exit(0);
}

static void install_session(const char *how)
{
	(void)snprintf(session, sizeof(session), "%s/%s", lab_dir, how);
	assert_int_equal(symlink(self, session), 0);
}

/* ---- the stage ---- */

static void put_address(struct sockaddr_storage *a, socklen_t *len, const char *text, bool mapped)
{
	struct sockaddr_in6 *six = (void *)a;
	struct sockaddr_in *four = (void *)a;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1 && !mapped) {
		a->ss_family = AF_INET;
		*len = sizeof(*four);
		return;
	}
	memset(a, 0, sizeof(*a));
	a->ss_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : text, &six->sin6_addr), 1);
	*len = sizeof(*six);
}

/* out[0]: the client's end; out[1]: what spawn(8) gives. */
static void connect_tcp(struct stage *t, int out[2], const char *address, bool mapped)
{
	socklen_t len, from_len = sizeof(t->from);
	int l;

	put_address(&t->at, &len, address, mapped);
	l = socket(t->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (void *)&t->at, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (void *)&t->at, &len), 0);
	out[0] = socket(t->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(out[0], (void *)&t->at, len), 0);
	assert_int_equal(getsockname(out[0], (void *)&t->from, &from_len), 0);
	out[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(out[1] >= 0);
	close(l);
}

static void start_front(struct stage *t, int net)
{
	(void)snprintf(backend_arg, sizeof(backend_arg), "unix:%s", lab_socket);
	lab_start(&t->s, net, (const char *const[]){ "--backend", backend_arg, "--session", session, "--require", lab_require, "--run", lab_dir,
		  "--log", "stderr", "--", "--conf", "/conf", NULL });
}

static void begin_from(struct stage *t, const char *address, bool mapped)
{
	int pair[2];

	connect_tcp(t, pair, address, mapped);
	t->client = pair[0];
	t->listening = lab_listen_at(lab_socket, 8);
	t->smtpd = -1;
	start_front(t, pair[1]);
	close(pair[1]);
}

static void begin(struct stage *t)
{
	begin_from(t, "127.0.0.1", false);
}

/* The PROXY header that smtpd must read first, and then the greeting and a command. */
static void expect_passed(struct stage *t)
{
	uint16_t port = t->from.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&t->from)->sin_port :
						       ((struct sockaddr_in6 *)(void *)&t->from)->sin6_port;
	char head[28];

	t->smtpd = lab_accept(t->listening);
	lab_get(t->smtpd, head, sizeof(head));
	assert_memory_equal(head, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01", 24);
	assert_memory_equal(head + 24, &port, 2);
	lab_put(t->smtpd, "220 mx.example\r\n");
	lab_expect(t->client, "220 mx.example\r\n");
	lab_put(t->client, "EHLO a\r\n");
	lab_expect(t->smtpd, "EHLO a\r\n");
}

static void close_all(struct stage *t)
{
	if (t->smtpd >= 0)
		close(t->smtpd);
	close(t->client);
	close(t->listening);
}

/* The end of smtpd is the client's; and then all that was started is gone. Its wait status. */
static int end_passed(struct stage *t)
{
	int status;

	close(t->smtpd);
	t->smtpd = -1;
	lab_expect_end(t->client);
	close(t->client);
	t->client = -1;
	status = lab_status(&t->s);
	close(t->listening);
	return status;
}

/* ---- with a session ---- */

static void the_session_has_the_same_process_and_clean_descriptors(void **state)
{
	char text[1024], wanted[512];
	struct stage t;
	size_t n = 0;

	(void)state;
	install_session("session-works");
	begin(&t);
	do
		lab_get(t.client, text + n, 1);
	while (text[n++] != '\n' && n < sizeof(text) - 1);
	text[n] = '\0';
	(void)snprintf(wanted, sizeof(wanted), "accept --net 0 --backend %s --adapter postfix --ready 4 --conf /conf pid=%d zombie=0 silent=1 fds=0,1,2,4, end\n",
		       backend_arg, (int)t.s.pid);
	assert_string_equal(text, wanted);
	lab_expect_nothing(t.client);
	close(t.client);
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lab_ended(&t.s), 0);
	assert_int_equal(t.s.len, 0);
	close_all(&t);
}

/* ---- without one ---- */

static void assert_taken_over(const char *how, const char *why, bool killed)
{
	struct stage t;
	int status;

	if (how != NULL)
		install_session(how);
	begin(&t);
	expect_passed(&t);
	status = end_passed(&t);
	assert_int_equal(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, killed);
	if (strstr(t.s.said, why) == NULL || strstr(t.s.said, "the connection from [127.0.0.1] goes on without Sotto, not sealed") == NULL)
		fail_msg("no \"%s\" in: %s", why, t.s.said);
	assert_ptr_equal(strchr(t.s.said, '\n'), t.s.said + t.s.len - 1);
}

static void a_missing_session_costs_nothing(void **state)
{
	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	assert_taken_over(NULL, "missing cannot be executed: No such file", false);
}

static void a_session_that_cannot_be_executed_costs_nothing(void **state)
{
	(void)state;
	(void)snprintf(session, sizeof(session), "%s/plain", lab_dir);
	lab_write(session, "no program\n", 0644);
	assert_taken_over(NULL, "plain cannot be executed: Permission denied", false);
}

static void a_broken_session_costs_nothing(void **state)
{
	(void)state;
	(void)snprintf(session, sizeof(session), "%s/broken", lab_dir);
	lab_write(session, "\x7f" "ELF no program\n", 0755);
	assert_taken_over(NULL, "broken cannot be executed", false);
}

static void a_session_that_ends_at_once_costs_nothing(void **state)
{
	(void)state;
	assert_taken_over("session-dies", "ended before it was ready", false);
}

static void a_session_that_crashes_costs_nothing(void **state)
{
	(void)state;
	assert_taken_over("session-crashes", "ended before it was ready", false);
}

static void a_session_that_hangs_costs_half_a_second_and_is_killed(void **state)
{
	int64_t before = lab_now();

	(void)state;
	assert_taken_over("session-hangs", "was not ready within 500 ms", true);
	assert_true(lab_now() - before >= 500);
}

static void a_session_that_says_something_else_is_killed(void **state)
{
	struct stage t;

	(void)state;
	install_session("session-garbage");
	begin(&t);
	expect_passed(&t);
	(void)end_passed(&t);
}

/* Nothing in the clear, whatever the reason. */
static void a_peer_that_is_required_to_seal_gets_451(void **state)
{
	static const char *const how[] = { "session-dies", "session-hangs", "missing" };
	struct stage t;

	(void)state;
	lab_write(lab_require, "127.0.0.0/8\n", 0644);
	for (int i = 0; i < 3; i++) {
		if (i < 2)
			install_session(how[i]);
		else
			(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
		begin(&t);
		lab_expect(t.client, "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n");
		lab_expect_end(t.client);
		assert_int_equal(fcntl(t.listening, F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(accept(t.listening, NULL, NULL), -1);
		close(t.client);
		t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
		(void)lab_status(&t.s);
		close_all(&t);
	}
}

static void without_a_backend_the_client_is_told_to_come_back(void **state)
{
	struct stage t;

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	for (int i = 0; i < 2; i++) {
		int pair[2];

		connect_tcp(&t, pair, "127.0.0.1", false);
		start_front(&t, pair[1]);
		close(pair[1]);
		lab_expect(pair[0], "421 4.3.2 Our mail server cannot be reached at the moment\r\n");
		lab_expect_end(pair[0]);
		close(pair[0]);
		assert_int_equal(lab_ended(&t.s), 1);
		if (i == 0)
			assert_non_null(strstr(t.s.said, "does master.cf have that service"));
		close(lab_listen_at(lab_socket, 1));	/* the second time there is one, and it refuses */
	}
}

static void the_header_names_ipv6_and_mapped_peers(void **state)
{
	struct stage t;
	char head[52];

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	begin_from(&t, "127.0.0.1", true);	/* v4-mapped: plain IPv4 to smtpd */
	expect_passed(&t);
	(void)end_passed(&t);
	begin_from(&t, "::1", false);
	t.smtpd = lab_accept(t.listening);
	lab_get(t.smtpd, head, sizeof(head));
	assert_memory_equal(head + 12, "\x21\x21\0\x24", 4);
	assert_memory_equal(head + 16, &((struct sockaddr_in6 *)(void *)&t.from)->sin6_addr, 16);
	assert_memory_equal(head + 48, &((struct sockaddr_in6 *)(void *)&t.from)->sin6_port, 2);
	(void)end_passed(&t);
}

static void a_peer_that_has_gone_is_no_error(void **state)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct stage t;
	int pair[2];

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	connect_tcp(&t, pair, "127.0.0.1", false);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(pair[0]);
	start_front(&t, pair[1]);
	close(pair[1]);
	assert_int_equal(lab_ended(&t.s), 0);
}

static void standard_input_must_be_a_connection(void **state)
{
	struct stage t;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	start_front(&t, fd);
	assert_int_equal(lab_ended(&t.s), 1);
	assert_non_null(strstr(t.s.said, "standard input is not a client's connection"));
	close(fd);
}

/* ---- passing through ---- */

static void the_end_of_one_direction_is_passed_on_as_such(void **state)
{
	struct stage t;

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	for (int i = 0; i < 2; i++) {
		begin(&t);
		expect_passed(&t);
		int first = i == 0 ? t.client : t.smtpd, second = i == 0 ? t.smtpd : t.client;

		lab_put(first, "last");
		assert_int_equal(shutdown(first, SHUT_WR), 0);
		lab_expect(second, "last");
		lab_expect_end(second);
		lab_put(second, "still here");
		lab_expect(first, "still here");
		assert_int_equal(shutdown(second, SHUT_WR), 0);
		lab_expect_end(first);
		assert_int_equal(lab_ended(&t.s), 0);
		close_all(&t);
	}
}

#define MUCH (10U << 20)

static unsigned char octet_at(size_t i, int way)
{
	return (unsigned char)(i * 7 + i / 251 + (size_t)way);
}

/* Sends what there is room for; takes only once the other way stands still, as a slow reader does. */
static void ten_megabytes_each_way_arrive_in_bounded_memory(void **state)
{
	static unsigned char part[65536];
	size_t sent[2] = { 0, 0 }, got[2] = { 0, 0 };
	struct rusage used;
	struct stage t;
	int fd[2];

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	begin(&t);
	expect_passed(&t);
	fd[0] = t.client;
	fd[1] = t.smtpd;
	while (got[0] < MUCH || got[1] < MUCH) {
		struct pollfd p[2];

		for (int w = 0; w < 2; w++)
			p[w] = (struct pollfd){ .fd = fd[w], .events = (short)((sent[w] < MUCH ? POLLOUT : 0) | POLLIN) };
		assert_true(poll(p, 2, PATIENCE) > 0);
		for (int w = 0; w < 2; w++) {
			size_t len = MUCH - sent[w] < sizeof(part) ? MUCH - sent[w] : sizeof(part);
			ssize_t n = 0;

			for (size_t i = 0; i < len; i++)
				part[i] = octet_at(sent[w] + i, w);
			n = len > 0 ? send(fd[w], part, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
			if (n > 0) {
				sent[w] += (size_t)n;
				continue;
			}
			n = recv(fd[w], part, 1 + got[1 - w] % 4000, MSG_DONTWAIT);
			for (ssize_t i = 0; i < n; i++)
				if (part[i] != octet_at(got[1 - w] + (size_t)i, 1 - w))
					fail_msg("octet %zu is another one", got[1 - w] + (size_t)i);
			got[1 - w] += n > 0 ? (size_t)n : 0;
		}
	}
	assert_int_equal(shutdown(t.client, SHUT_WR), 0);
	(void)end_passed(&t);
	assert_int_equal(getrusage(RUSAGE_CHILDREN, &used), 0);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(used.ru_maxrss, 1, MUCH / 1024);	/* KiB; half of what went through */
#endif
}

/* What the client sent before it went still arrives. */
static void a_client_that_is_gone_loses_nothing_that_it_sent(void **state)
{
	struct stage t;

	(void)state;
	(void)snprintf(session, sizeof(session), "%s/missing", lab_dir);
	begin(&t);
	expect_passed(&t);
	lab_put(t.client, "QUIT\r\n");
	close(t.client);
	lab_expect(t.smtpd, "QUIT\r\n");
	lab_expect_end(t.smtpd);
	lab_put(t.smtpd, "221 bye\r\n");
	close(t.smtpd);
	t.smtpd = -1;
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lab_ended(&t.s), 0);
	close_all(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_set_up, lab_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_session_has_the_same_process_and_clean_descriptors),
		TEST(a_missing_session_costs_nothing),
		TEST(a_session_that_cannot_be_executed_costs_nothing),
		TEST(a_broken_session_costs_nothing),
		TEST(a_session_that_ends_at_once_costs_nothing),
		TEST(a_session_that_crashes_costs_nothing),
		TEST(a_session_that_hangs_costs_half_a_second_and_is_killed),
		TEST(a_session_that_says_something_else_is_killed),
		TEST(a_peer_that_is_required_to_seal_gets_451),
		TEST(without_a_backend_the_client_is_told_to_come_back),
		TEST(the_header_names_ipv6_and_mapped_peers),
		TEST(a_peer_that_has_gone_is_no_error),
		TEST(standard_input_must_be_a_connection),
		TEST(the_end_of_one_direction_is_passed_on_as_such),
		TEST(ten_megabytes_each_way_arrive_in_bounded_memory),
		TEST(a_client_that_is_gone_loses_nothing_that_it_sent),
	};
	const char *name = strrchr(argv[0], '/');

	if (name != NULL && strncmp(name, "/session-", 9) == 0 && argc > 9)
		play_session(argc, argv);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	lab_find(argv[0], "sotto-front");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
