/* SPDX-License-Identifier: ISC */
/*
 * What sotto-connector promises Postfix whatever the daemon does: an answer, and one that changes nothing. The program itself, with
 * this test as Postfix and as the daemon.
 */
#include "tests/unit/postfix-lab.h"


struct stage {
	struct started s;
	int client, listening, daemon;
};

static const char request[] = "transport anna@dest.example";

static void put_map(int fd, const char *text)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "%zu:%s,", strlen(text), text);
	lab_put(fd, line);
}

static void expect_map(int fd, const char *text)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "%zu:%s,", strlen(text), text);
	lab_expect(fd, line);
}

static void begin_at(struct stage *t, const char *protocol)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	t->client = pair[0];
	lab_start(&t->s, pair[1], (const char *const[]){ protocol, lab_socket, "--require", lab_require, "--run", lab_dir, "--log", "stderr",
		  NULL });
	close(pair[1]);
	t->daemon = -1;
}

static void begin(struct stage *t, const char *protocol)
{
	t->listening = lab_listen_at(lab_socket, 8);
	begin_at(t, protocol);
}

/* The client goes; the program does too, orderly. */
static void end(struct stage *t)
{
	close(t->client);
	assert_int_equal(lab_ended(&t->s), 0);
	if (t->daemon >= 0)
		close(t->daemon);
	if (t->listening >= 0)
		close(t->listening);
}

/* The daemon hears the question. */
static void hear(struct stage *t)
{
	if (t->daemon < 0)
		t->daemon = lab_accept(t->listening);
	expect_map(t->daemon, request);
}

static void answers_pass_unchanged_over_one_connection(void **state)
{
	static const char *const answers[] = { "OK :[127.64.1.2]:10027, dest.example", "NOTFOUND ", "TEMP later", "NOTFOUND no such" };
	struct stage t;

	(void)state;
	begin(&t, "map");
	for (unsigned i = 0; i < 4; i++) {
		put_map(t.client, request);
		hear(&t);
		put_map(t.daemon, answers[i]);
		expect_map(t.client, answers[i]);
	}
	lab_expect_nothing(t.client);
	end(&t);
	assert_int_equal(t.s.len, 0);	/* nothing to say of it */
}

static void a_dead_daemon_is_nothing_found_and_said_once(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "map");
	close(t.listening);
	t.listening = -1;
	for (int i = 0; i < 3; i++) {
		put_map(t.client, request);
		expect_map(t.client, "NOTFOUND ");
	}
	assert_int_equal(unlink(lab_socket), 0);
	put_map(t.client, "transport *");
	expect_map(t.client, "NOTFOUND ");
	end(&t);
	assert_non_null(strstr(t.s.said, "sotto-policyd is not running"));
	assert_non_null(strstr(t.s.said, "systemctl status sotto-policyd"));
	assert_ptr_equal(strchr(t.s.said, '\n'), t.s.said + t.s.len - 1);
}

/* Only what is listed waits; senders, `*` and other maps do not. */
static void what_is_required_waits_while_the_daemon_is_dead(void **state)
{
	static const struct { const char *asked, *answer; } table[] = {
		{ "transport anna@secret.example", "TEMP " }, { "transport anna@Secret.Example.", "TEMP " },
		{ "transport \"a@b\"@secret.example", "TEMP " }, { "transport anna@x.below.example", "TEMP " },
		{ "transport anna@[192.0.2.7]", "TEMP " }, { "transport anna@[IPv6:2001:db8::7]", "TEMP " },
		{ "transport anna@below.example", "NOTFOUND " }, { "transport secret.example", "NOTFOUND " }, { "transport *", "NOTFOUND " },
		{ "transport anna@", "NOTFOUND " }, { "transport @", "NOTFOUND " }, { "tlspolicy anna@secret.example", "NOTFOUND " },
		{ "transport anna@[]", "NOTFOUND " }, { "transport anna@[", "NOTFOUND " }, { "", "NOTFOUND " },
		{ "transport anna@notsecret.example", "NOTFOUND " },
	};
	char got[512], colon;
	struct stage t;

	(void)state;
	lab_write(lab_require, "secret.example\n.below.example\n192.0.2.0/24\n2001:db8::7\n", 0644);
	begin(&t, "map");
	close(t.listening);
	t.listening = -1;
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int len = 0;

		put_map(t.client, table[i].asked);
		for (lab_get(t.client, &colon, 1); colon != ':'; lab_get(t.client, &colon, 1))
			len = 10 * len + colon - '0';
		memset(got, 0, sizeof(got));
		lab_get(t.client, got, (size_t)len + 1);
		if (strncmp(got, table[i].answer, strlen(table[i].answer)) != 0)
			fail_msg("'%s' was answered by '%s'", table[i].asked, got);
	}
	end(&t);
}

static void a_hanging_daemon_is_waited_for_half_a_second_and_then_left_alone(void **state)
{
	int64_t before = lab_now();
	struct stage t;

	(void)state;
	begin(&t, "map");
	put_map(t.client, request);
	hear(&t);
	expect_map(t.client, "NOTFOUND ");
	assert_true(lab_now() - before >= 400);
	lab_expect_end(t.daemon);
	/* five seconds of rest: nobody connects */
	before = lab_now();
	for (int i = 0; i < 20; i++) {
		put_map(t.client, request);
		expect_map(t.client, "NOTFOUND ");
	}
	if (lab_now() - before < 4000) {
		assert_int_equal(fcntl(t.listening, F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(accept(t.listening, NULL, NULL), -1);
	}
	end(&t);
	assert_non_null(strstr(t.s.said, "is too slow"));
}

/* Its queue is full, and nobody accepts. */
static void a_daemon_that_accepts_nobody_is_too_slow(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int full[4];
	struct stage t;

	(void)state;
	t.listening = lab_listen_at(lab_socket, 0);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", lab_socket);
	for (int i = 0; i < 4; i++) {
		full[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(full[i], (struct sockaddr *)&at, sizeof(at));
	}
	begin_at(&t, "map");
	put_map(t.client, request);
	expect_map(t.client, "NOTFOUND ");
	end(&t);
	assert_non_null(strstr(t.s.said, "is too slow"));
	for (int i = 0; i < 4; i++)
		close(full[i]);
}

/* Connecting, sending and receiving have one time together: it is not begun anew by each octet. */
static void a_daemon_that_trickles_is_too_slow(void **state)
{
	struct pollfd p;
	struct stage t;

	(void)state;
	begin(&t, "map");
	put_map(t.client, request);
	hear(&t);
	lab_put(t.daemon, "90000:OK ");
	p = (struct pollfd){ .fd = t.client, .events = POLLIN };
	for (int i = 0; i < 80000 && poll(&p, 1, 20) == 0; i++)
		(void)!send(t.daemon, "x", 1, MSG_NOSIGNAL);
	expect_map(t.client, "NOTFOUND ");
	end(&t);
}

static void nonsense_is_no_answer(void **state)
{
	static const char *const table[] = {
		"hello\n", "9:NOTFOUND", "9:NOTFOUND x", "09:NOTFOUND ,", ":,", "0:,", "3:OK ,", "2:OK,", "8:NOTFOUND,", "100001:OK x", "1234567890:",
		"4:PERM,", "8:PERM no.,", "10:TIMEOUT x.,", "6:OK a\nb,", "9:NOTFOUND ,9:NOTFOUND ,", "-1:,", "9:NOTFOUND ,\n", "action=DUNNO\n\n",
	};
	struct stage t;

	(void)state;
	begin(&t, "map");
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		put_map(t.client, request);
		hear(&t);
		lab_put(t.daemon, table[i]);
		(void)shutdown(t.daemon, SHUT_WR);	/* half an answer, and no more of it */
		expect_map(t.client, "NOTFOUND ");
		lab_expect_end(t.daemon);
		close(t.daemon);
		t.daemon = -1;
	}
	end(&t);
}

/* The second answer comes later: it must not become the one to the next question. */
static void an_answer_that_nobody_asked_for_is_thrown_away(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "map");
	put_map(t.client, request);
	hear(&t);
	put_map(t.daemon, "NOTFOUND ");
	expect_map(t.client, "NOTFOUND ");
	put_map(t.daemon, "OK :[127.64.1.2]:10027, wrong.example");
	put_map(t.client, request);
	lab_expect_gone(t.daemon);
	close(t.daemon);
	t.daemon = -1;
	hear(&t);
	put_map(t.daemon, "OK right");
	expect_map(t.client, "OK right");
	end(&t);
}

static void a_daemon_that_closes_after_each_answer_is_connected_to_again(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "map");
	for (int i = 0; i < 5; i++) {
		put_map(t.client, request);
		hear(&t);
		put_map(t.daemon, "OK x");
		expect_map(t.client, "OK x");
		close(t.daemon);
		t.daemon = -1;
	}
	end(&t);
	assert_int_equal(t.s.len, 0);
}

/* It takes the question with it: the new one is asked the same. */
static void a_daemon_that_is_restarted_costs_no_answer(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "map");
	put_map(t.client, request);
	hear(&t);
	put_map(t.daemon, "OK old");
	expect_map(t.client, "OK old");
	put_map(t.client, request);
	hear(&t);
	close(t.listening);
	t.listening = lab_listen_at(lab_socket, 8);
	lab_put(t.daemon, "6:OK");
	close(t.daemon);
	t.daemon = -1;
	hear(&t);
	put_map(t.daemon, "OK new");
	expect_map(t.client, "OK new");
	end(&t);
	assert_int_equal(t.s.len, 0);
}

static void standard_input_must_be_a_connection(void **state)
{
	struct started s;
	int fd[2], other = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		lab_start(&s, i == 0 ? fd[0] : other, (const char *const[]){ "map", lab_socket, NULL });
		assert_int_equal(lab_ended(&s), 1);
		assert_non_null(strstr(s.said, "standard input is not a client's connection"));
	}
	close(fd[0]);
	close(fd[1]);
	close(other);
}

static void a_wrong_command_line_is_told(void **state)
{
	static const char *const lines[][4] = { { NULL }, { "map", NULL }, { "other", "/x", NULL }, { "map", "/x", "y", NULL },
						{ "map", "/x", "--unknown", NULL } };
	struct started s;
	int pair[2];

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		lab_start(&s, pair[1], lines[i]);
		close(pair[1]);
		assert_int_equal(lab_ended(&s), 1);
		assert_non_null(strstr(s.said, "usage: sotto-connector"));
		lab_expect_end(pair[0]);
		close(pair[0]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_set_up, lab_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_pass_unchanged_over_one_connection),
		TEST(a_dead_daemon_is_nothing_found_and_said_once),
		TEST(what_is_required_waits_while_the_daemon_is_dead),
		TEST(a_hanging_daemon_is_waited_for_half_a_second_and_then_left_alone),
		TEST(a_daemon_that_accepts_nobody_is_too_slow),
		TEST(a_daemon_that_trickles_is_too_slow),
		TEST(nonsense_is_no_answer),
		TEST(an_answer_that_nobody_asked_for_is_thrown_away),
		TEST(a_daemon_that_closes_after_each_answer_is_connected_to_again),
		TEST(a_daemon_that_is_restarted_costs_no_answer),
		TEST(standard_input_must_be_a_connection),
		TEST(a_wrong_command_line_is_told),
	};

	(void)argc;
	lab_find(argv[0], "sotto-connector");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
