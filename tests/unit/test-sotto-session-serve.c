/* SPDX-License-Identifier: ISC */
/*
 * What `sotto-session serve` promises: a connection that it is handed is a session as one that was executed would be, of a process of its
 * own, that nothing but its own ends can end; and what is handed wrongly costs nothing but an end of stream. This test is the daemon,
 * sotto-front, the client and smtpd.
 */
#include "tests/unit/session-lab.h"

struct stage {
	struct lab lab;
	struct started s;
	int daemon;
	struct sockaddr_un at;
};

/* One session: hand is the socket that it was handed over on. */
struct one {
	int client, smtpd, hand;
};

static void begin(struct stage *t)
{
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];

	set_up(&t->lab);
	t->at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(t->at.sun_path, sizeof(t->at.sun_path), "%s/s", t->lab.dir);
	assert_int_equal(bind(listening, (struct sockaddr *)&t->at, sizeof(t->at)), 0);
	assert_int_equal(listen(listening, 8), 0);
	unix_pair(pair);
	start(&t->s, (const int[]){ listening, pair[1], -1 }, (const char *const[]){ "serve", "3", "4", NULL });
	close(listening);
	close(pair[1]);
	t->daemon = pair[0];
}

static int end(struct stage *t)
{
	int code;

	close(t->daemon);
	code = ended(&t->s);
	assert_int_equal(files_in(t->lab.run), 0);
	tear_down(&t->lab);
	return code;
}

static int call(const struct stage *t)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&t->at, sizeof(t->at)), 0);
	return fd;
}

static void hand(int to, const char *octets, size_t len, const int *fds, size_t n)
{
	union { struct cmsghdr head; char octets[CMSG_SPACE(4 * sizeof(int))]; } control = { 0 };
	struct iovec io = { .iov_base = (void *)(uintptr_t)octets, .iov_len = len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = n > 0 ? &control : NULL, .msg_controllen = n > 0 ? CMSG_SPACE(n * sizeof(int)) : 0 };

	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), len);
}

/* All the words that sotto-front would have. */
static size_t words_of(const struct stage *t, char octets[1024])
{
	const char *const words[] = { "--proxy", "--adapter", "postfix", "--conf", t->lab.conf, "--state", t->lab.state[0], "--run", t->lab.run,
				      "--log", "stderr" };
	size_t n = 0;

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		memcpy(octets + n, words[i], strlen(words[i]) + 1);
		n += strlen(words[i]) + 1;
	}
	return n;
}

/* Until it has said that it is ready. */
static void prepare(const struct stage *t, struct one *o)
{
	int net[2], mta[2];
	char octets[1024];

	tcp_pair(net);
	unix_pair(mta);
	o->hand = call(t);
	hand(o->hand, octets, words_of(t, octets), (const int[]){ net[1], mta[1] }, 2);
	close(net[1]);
	close(mta[1]);
	o->client = net[0];
	o->smtpd = mta[0];
	expect(o->hand, "!");
}

static void expect_header(const struct one *o)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char head[28];

	assert_int_equal(recv(o->smtpd, head, sizeof(head), MSG_WAITALL), sizeof(head));
	assert_memory_equal(head, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01", 24);
	assert_int_equal(getsockname(o->client, (struct sockaddr *)&from, &len), 0);
	assert_memory_equal(head + 24, &from.sin_port, 2);
}

static void open_one(const struct stage *t, struct one *o)
{
	prepare(t, o);
	put(o->hand, "!");
	expect_header(o);
	put(o->smtpd, "220 mx.b.example\r\n");
	expect(o->client, "220 mx.b.example\r\n");
}

static void close_one(const struct one *o)
{
	put(o->client, "QUIT\r\n");
	expect(o->smtpd, "QUIT\r\n");
	put(o->smtpd, "221 bye\r\n");
	close(o->smtpd);
	expect(o->client, "221 bye\r\n");
	expect_end(o->client);
	close(o->client);
	expect_end(o->hand);
	close(o->hand);
}

/* Who wrote the next line of a session; *at: where it ends. Builds with sanitizers say more than that. */
static int pid_of_line(const char *said, const char **at)
{
	static const char wanted[] = "]: accept peer=[127.0.0.1]:";
	const char *line = strstr(said, wanted), *number = line;

	assert_non_null(line);
	while (number[-1] != '[')
		number--;
	*at = line + sizeof(wanted);
	return atoi(number);
}

static pid_t pid_in_file(const struct stage *t, const struct one *o)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char path[256], line[128];
	int pid = 0;
	FILE *f;

	assert_int_equal(getsockname(o->client, (struct sockaddr *)&from, &len), 0);
	(void)snprintf(path, sizeof(path), "%s/127.0.0.1:%u", t->lab.run, (unsigned)ntohs(from.sin_port));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "pid ", 4) == 0)
			pid = atoi(line + 4);
	(void)fclose(f);
	assert_true(pid > 1);
	return pid;
}

static void expect_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_true(recv(fd, &octet, 1, 0) <= 0);
}

static int files_of_sessions(const struct stage *t)
{
	return (int)files_in(t->lab.run);
}

/* ---- the tests ---- */

static void each_connection_is_a_session_in_a_process_of_its_own(void **state)
{
	struct stage t;
	struct one a, b;
	const char *at;
	int first, second;

	(void)state;
	begin(&t);
	open_one(&t, &a);
	open_one(&t, &b);
	assert_int_equal(files_of_sessions(&t), 2);
	close_one(&a);
	close_one(&b);
	put(t.daemon, "?");
	expect(t.daemon, "?");
	assert_int_equal(end(&t), 1);
	first = pid_of_line(t.s.said, &at);
	second = pid_of_line(at, &at);
	assert_int_not_equal(first, t.s.pid);
	assert_int_not_equal(second, t.s.pid);
	assert_int_not_equal(first, second);
}

/* What must differ between two sessions does, though both come from one process: the identity is read, and made, by the child. */
static void nothing_is_known_before_the_fork(void **state)
{
	char path[256];
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	put(t.daemon, "?");
	expect(t.daemon, "?");
	(void)snprintf(path, sizeof(path), "%s/identity", t.lab.state[0]);
	assert_int_equal(access(path, F_OK), -1);
	open_one(&t, &o);
	assert_int_equal(access(path, F_OK), 0);
	close_one(&o);
	assert_int_equal(end(&t), 1);
}

static void sessions_outlive_the_process_that_forked_them(void **state)
{
	struct stage t;
	struct one o;
	int status;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	assert_int_equal(kill(t.s.pid, SIGKILL), 0);
	assert_int_equal(waitpid(t.s.pid, &status, 0), t.s.pid);
	close_one(&o);
	listen_to(&t.s, NULL);
	assert_non_null(strstr(t.s.said, "accept peer=[127.0.0.1]:"));
	close(t.s.log);
	close(t.daemon);
	tear_down(&t.lab);
}

/* Who could try again and again with the same layout of memory would find out what it is. */
static void a_session_that_crashes_ends_what_forked_it_and_no_other_session(void **state)
{
	struct stage t;
	time_t late = time(NULL) + PATIENCE / 1000;
	struct one a, b;
	const char *at;
	char octet;

	(void)state;
	begin(&t);
	open_one(&t, &a);
	open_one(&t, &b);
	/* its number stands in its file */
	assert_int_equal(kill(pid_in_file(&t, &a), SIGABRT), 0);
	expect_gone(a.client);
	/* it looks whenever it is asked; a process has ended a moment after its connections have */
	while (send(t.daemon, "?", 1, MSG_NOSIGNAL) == 1 && recv(t.daemon, &octet, 1, 0) == 1)
		assert_true(time(NULL) < late);
	close_one(&b);
	close(a.client);
	close(a.smtpd);
	close(a.hand);
	listen_to(&t.s, NULL);
	(void)pid_of_line(t.s.said, &at);
	assert_int_equal(ended(&t.s), 1);
	close(t.daemon);
	tear_down(&t.lab);
}

static void what_is_taken_back_is_not_touched(void **state)
{
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	prepare(&t, &o);
	close(o.hand);
	expect_end(o.client);
	expect_end(o.smtpd);
	close(o.client);
	close(o.smtpd);
	assert_int_equal(end(&t), 1);
	assert_null(strstr(t.s.said, "accept peer="));
}

static void a_session_ends_with_who_handed_it_over(void **state)
{
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	close(o.hand);
	expect_gone(o.client);	/* lost, not ended */
	close(o.client);
	close(o.smtpd);
	assert_int_equal(end(&t), 1);
	assert_non_null(strstr(t.s.said, " end="));
}

static void what_is_handed_over_wrongly_is_an_end_and_nothing_else(void **state)
{
	static char many[20000];
	int net[2], mta[2];
	char octets[1024];
	struct stage t;
	struct one o;
	size_t n;

	(void)state;
	begin(&t);
	n = words_of(&t, octets);
	tcp_pair(net);
	unix_pair(mta);
	const int fds[] = { net[1], mta[1], mta[1] };
	const struct { const char *octets; size_t len, fds; } wrong[] = {
		{ octets, n, 0 }, { octets, n, 1 }, { octets, n, 3 }, { octets, n - 1, 2 }, { "--unknown", 10, 2 }, { "--net\0" "4000", 11, 2 },
		{ many, sizeof(many), 2 }, { many, 200, 2 },
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int to = call(&t);

		hand(to, wrong[i].octets, wrong[i].len, fds, wrong[i].fds);
		assert_int_equal(shutdown(to, SHUT_WR), 0);
		/* a reset where not all was read */
		assert_true(recv(to, many, sizeof(many), 0) <= 0);
		memset(many, 0, sizeof(many));
		close(to);
	}
	assert_int_equal(recv(net[0], many, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recv(mta[0], many, 1, MSG_DONTWAIT), -1);
	open_one(&t, &o);
	close_one(&o);
	assert_int_equal(end(&t), 1);
}

static void serve_by_hand_is_a_sentence(void **state)
{
	struct stage t;

	(void)state;
	assert_int_equal(run(&t.s, (const char *const[]){ "serve", NULL }), 2);
	assert_non_null(strstr(t.s.said, "serve is for sotto-policyd"));
	assert_int_equal(run(&t.s, (const char *const[]){ "serve", "3", "four", NULL }), 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_connection_is_a_session_in_a_process_of_its_own),
		cmocka_unit_test(nothing_is_known_before_the_fork),
		cmocka_unit_test(sessions_outlive_the_process_that_forked_them),
		cmocka_unit_test(a_session_that_crashes_ends_what_forked_it_and_no_other_session),
		cmocka_unit_test(what_is_taken_back_is_not_touched),
		cmocka_unit_test(a_session_ends_with_who_handed_it_over),
		cmocka_unit_test(what_is_handed_over_wrongly_is_an_end_and_nothing_else),
		cmocka_unit_test(serve_by_hand_is_a_sentence),
	};

	(void)argc;
	if (!find_program(argv[0]))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
