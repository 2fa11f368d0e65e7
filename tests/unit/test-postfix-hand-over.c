/* SPDX-License-Identifier: ISC */
/*
 * What sotto-front promises where sotto-policyd has a process ready for the first commands: that is handed the connection, both ends of it, and the front
 * stays until it is over, or passes the rest through when it gets it back; and whatever that process does instead, the client and smtpd get each other.
 * The program itself; this test is the process that it hands over to, and smtpd.
 */
#include "tests/unit/postfix-lab.h"

#include "core/runtime/serve.h"
#include "plugins/postfix-policy/hand-over.h"

struct stage {
	struct started s;
	int listening, accepting, client;
	char session[128], path[100], backend[128];
};

/* ---- the stage ---- */

static int connect_tcp(int *client)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), net;

	assert_int_equal(bind(l, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&at, &len), 0);
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*client, (struct sockaddr *)&at, len), 0);
	net = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(net >= 0);
	close(l);
	return net;
}

/* The session that would be executed ends at once: then the front passes the connection on by itself. */
static void begin_at(struct stage *t)
{
	int net = connect_tcp(&t->client);

	(void)snprintf(t->session, sizeof(t->session), "%s/session", lab_dir);
	lab_write(t->session, "#!/bin/sh\nexit 1\n", 0755);
	(void)snprintf(t->backend, sizeof(t->backend), "unix:%s", lab_socket);
	t->listening = lab_listen_at(lab_socket, 8);
	lab_start(&t->s, net, (const char *const[]){ "--backend", t->backend, "--session", t->session, "--require", lab_require, "--run", lab_dir,
		  "--log", "stderr", "--", "--conf", "/conf", NULL });
	close(net);
}

static void begin_with(struct stage *t, uid_t user)
{
	(void)snprintf(t->path, sizeof(t->path), "%s/first.sock", lab_dir);
	assert_int_equal(seteuid(user), 0);
	t->accepting = lab_listen_at(t->path, 8);
	assert_int_equal(seteuid(getuid()), 0);
	begin_at(t);
}

static void begin(struct stage *t)
{
	begin_with(t, geteuid());
}

static void close_stage(struct stage *t)
{
	close(t->client);
	close(t->listening);
	if (t->accepting >= 0)
		close(t->accepting);
}

/* What was handed over; fds: the client's connection, and smtpd's. */
static void take(int from, int fds[2])
{
	union { struct cmsghdr head; char octets[CMSG_SPACE(2 * sizeof(int))]; } control;
	char octets[4096] = "";
	struct iovec io = { .iov_base = octets, .iov_len = sizeof(octets) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	static const char wanted[] = "--adapter\0postfix\0--conf\0/conf";

	assert_int_equal(recvmsg(from, &m, MSG_CMSG_CLOEXEC), sizeof(wanted));
	assert_memory_equal(octets, wanted, sizeof(wanted));
	assert_int_equal(control.head.cmsg_len, CMSG_LEN(2 * sizeof(int)));
	memcpy(fds, CMSG_DATA(&control.head), 2 * sizeof(int));
}

/* Smtpd hears whose connection it is, and can greet. */
static int accept_with_header(const struct stage *t)
{
	int smtpd = lab_accept(t->listening);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char head[28];

	lab_get(smtpd, head, sizeof(head));
	assert_memory_equal(head, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01", 24);
	assert_int_equal(getsockname(t->client, (struct sockaddr *)&from, &len), 0);
	assert_memory_equal(head + 24, &from.sin_port, 2);
	return smtpd;
}

static void expect_passed(struct stage *t, bool handed)
{
	int smtpd;

	/* the first was for the session, which did not take it */
	if (handed) {
		smtpd = lab_accept(t->listening);
		lab_expect_end(smtpd);
		close(smtpd);
	}
	smtpd = accept_with_header(t);
	lab_put(smtpd, "220 mx.example\r\n");
	lab_expect(t->client, "220 mx.example\r\n");
	close(smtpd);
	lab_expect_end(t->client);
	close(t->client);
	t->client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)lab_status(&t->s);
	assert_non_null(strstr(t->s.said, "goes on without Sotto"));
}

/* ---- the tests ---- */

/* Up to where the front waits for what comes of it; *smtpd: the backend's end of fds[1]. */
static int hand_over(struct stage *t, int fds[2], int *smtpd)
{
	int hand;

	begin(t);
	hand = lab_accept(t->accepting);
	take(hand, fds);
	lab_put(hand, "!");
	lab_expect(hand, "!");
	*smtpd = accept_with_header(t);
	lab_put(fds[1], "to smtpd");
	lab_expect(*smtpd, "to smtpd");
	lab_put(fds[0], "220 to the client\r\n");
	lab_expect(t->client, "220 to the client\r\n");
	return hand;
}

static void let_go(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void end_stage(struct stage *t, int smtpd)
{
	assert_int_equal(lab_ended(&t->s), 0);
	assert_int_equal(t->s.len, 0);
	close(smtpd);
	close_stage(t);
}

static void a_session_of_its_own_has_both_ends_and_the_front_stays(void **state)
{
	struct pollfd p;
	struct stage t;
	int fds[2], smtpd, hand = hand_over(&t, fds, &smtpd);

	(void)state;
	lab_put(hand, "K");
	/* the front lets go: these are the last of both connections */
	let_go(fds);
	lab_expect_end(t.client);
	lab_expect_end(smtpd);
	assert_int_equal(waitpid(t.s.pid, NULL, WNOHANG), 0);
	p = (struct pollfd){ .fd = hand, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	close(hand);
	end_stage(&t, smtpd);
}

/* All of it, in both directions, up to its end; and what it was is said. */
static void what_is_given_back_is_passed_through(void **state)
{
	struct sotto_serve_passed said;
	struct stage t;
	int fds[2], smtpd, hand = hand_over(&t, fds, &smtpd);

	(void)state;
	let_go(fds);
	lab_put(t.client, "MAIL FROM:<>\r\n");
	lab_put(hand, "P");
	lab_expect(smtpd, "MAIL FROM:<>\r\n");
	lab_put(smtpd, "250 ok\r\n");
	lab_expect(t.client, "250 ok\r\n");
	close(smtpd);
	lab_expect_end(t.client);
	close(t.client);
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lab_get(hand, (char *)&said, sizeof(said));
	assert_int_equal(said.sent, 8);
	assert_int_equal(said.received, 14);
	assert_int_equal(said.orderly, 1);
	lab_expect_end(hand);
	close(hand);
	smtpd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	end_stage(&t, smtpd);
}

static void what_was_cut_off_is_not_said_to_be_orderly(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct sotto_serve_passed said;
	struct stage t;
	int fds[2], smtpd, hand = hand_over(&t, fds, &smtpd);

	(void)state;
	let_go(fds);
	lab_put(hand, "P");
	lab_put(t.client, "MAIL FROM:<>\r\n");
	lab_expect(smtpd, "MAIL FROM:<>\r\n");
	assert_int_equal(setsockopt(t.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(t.client);
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lab_expect_end(smtpd);
	close(smtpd);
	smtpd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lab_get(hand, (char *)&said, sizeof(said));
	assert_int_equal(said.orderly, 0);
	close(hand);
	end_stage(&t, smtpd);
}

static void what_is_over_ends_the_front(void **state)
{
	struct stage t;
	int fds[2], smtpd, hand = hand_over(&t, fds, &smtpd);

	(void)state;
	let_go(fds);
	lab_put(hand, "E");
	lab_expect_end(hand);
	lab_expect_end(t.client);
	lab_expect_end(smtpd);
	close(hand);
	end_stage(&t, smtpd);
}

/* The client has heard the greeting and no more, or less: it is told to come again, and does not wait for an answer. */
static void a_process_that_is_killed_under_way_costs_421(void **state)
{
	struct stage t;
	int fds[2], smtpd, hand = hand_over(&t, fds, &smtpd);

	(void)state;
	let_go(fds);
	close(hand);
	lab_expect(t.client, "421 4.3.0 ");
	close(t.client);
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	end_stage(&t, smtpd);
}

static void a_process_that_is_silent_costs_a_moment(void **state)
{
	struct stage t;
	int64_t before = lab_now();
	int hand, fds[2];

	(void)state;
	begin(&t);
	hand = lab_accept(t.accepting);
	take(hand, fds);
	lab_expect_end(hand);	/* taken back */
	assert_true(lab_now() - before >= SOTTO_HAND_OVER_MS);
	close(fds[0]);
	close(fds[1]);
	expect_passed(&t, true);
	assert_non_null(strstr(t.s.said, "nobody took the connection within"));
	close(hand);
	close_stage(&t);
}

static void assert_nothing_is_lost(const char *said)
{
	struct stage t;
	int hand, fds[2];

	begin(&t);
	hand = lab_accept(t.accepting);
	take(hand, fds);
	close(fds[0]);
	close(fds[1]);
	if (said != NULL) {
		lab_put(hand, said);
		lab_expect_end(hand);
	}
	close(hand);
	expect_passed(&t, true);
	assert_null(strstr(t.s.said, "nobody took the connection"));
	close_stage(&t);
}

static void a_process_that_ends_costs_nothing(void **state)
{
	(void)state;
	assert_nothing_is_lost(NULL);
}

static void a_process_that_says_something_else_costs_nothing(void **state)
{
	(void)state;
	assert_nothing_is_lost("x");
}

/* As after a daemon that was killed: the file is there, and nobody behind it. */
static void a_socket_that_nobody_listens_at_costs_nothing(void **state)
{
	struct stage t;

	(void)state;
	(void)snprintf(t.path, sizeof(t.path), "%s/first.sock", lab_dir);
	close(lab_listen_at(t.path, 8));
	t.accepting = -1;
	begin_at(&t);
	expect_passed(&t, false);
	close_stage(&t);
}

/* A connection is nobody else's: he who listens there has another user's number. As root only, who can be another. */
static void another_users_socket_gets_nothing(void **state)
{
	struct stage t;
	int hand;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(lab_dir, 0777), 0);	/* NOLINT */
	begin_with(&t, 65534);
	hand = lab_accept(t.accepting);
	lab_expect_end(hand);
	close(hand);
	expect_passed(&t, false);
	close_stage(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_of_its_own_has_both_ends_and_the_front_stays),
		TEST(what_is_given_back_is_passed_through),
		TEST(what_was_cut_off_is_not_said_to_be_orderly),
		TEST(what_is_over_ends_the_front),
		TEST(a_process_that_is_killed_under_way_costs_421),
		TEST(a_process_that_is_silent_costs_a_moment),
		TEST(a_process_that_ends_costs_nothing),
		TEST(a_process_that_says_something_else_costs_nothing),
		TEST(a_socket_that_nobody_listens_at_costs_nothing),
		TEST(another_users_socket_gets_nothing),
	};

	(void)argc;
	lab_find(argv[0], "sotto-front");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
