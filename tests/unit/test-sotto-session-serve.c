/* SPDX-License-Identifier: ISC */
/*
 * What `sotto-session serve` promises: a connection in which XSOTTO comes gets a process of its own, that nothing but its own ends can end;
 * any other is given back once it is known that it is none, and is accounted for all the same; and what is handed wrongly costs nothing but an
 * end of stream. This test is the daemon, sotto-front, the client and smtpd; a client that seals is a sotto-session in the role connect.
 */
#include "tests/unit/session-lab.h"

#include <sys/inotify.h>

#include "core/runtime/serve.h"

struct stage {
	struct lab lab;
	struct started s;
	int daemon;
	struct sockaddr_un at;
};

/* One session: hand is the socket that it was handed over on; copies are sotto-front's. */
struct one {
	int client, smtpd, hand, copies[2];
	unsigned port;	/* the client's */
	struct started peer;	/* of one that seals: the client's Sotto */
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
	const char *const words[] = { "--adapter", "postfix", "--conf", t->lab.conf, "--state", t->lab.state[0], "--run", t->lab.run,
				      "--log", "stderr" };
	size_t n = 0;

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		memcpy(octets + n, words[i], strlen(words[i]) + 1);
		n += strlen(words[i]) + 1;
	}
	return n;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
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
	o->port = port_of(net[0]);
	o->copies[0] = net[1];
	o->copies[1] = mta[1];
	o->client = net[0];
	o->smtpd = mta[0];
	expect(o->hand, "!");
}

static void close_copies(const struct one *o)
{
	close(o->copies[0]);
	close(o->copies[1]);
}

static void open_one(const struct stage *t, struct one *o)
{
	prepare(t, o);
	put(o->hand, "!");
	put(o->smtpd, "220 mx.b.example\r\n");
	expect(o->client, "220 mx.b.example\r\n");
}

/* The client goes on with something else than XSOTTO: who handed over passes it through from here on. */
static void take_back(const struct one *o, const char *command)
{
	put(o->client, command);
	expect(o->smtpd, command);
	expect(o->hand, "P");
}

static void tell_passed(const struct one *o, uint64_t sent, uint64_t received)
{
	const struct sotto_serve_passed passed = { .sent = sent, .received = received, .orderly = 1 };

	close_copies(o);
	assert_int_equal(send(o->hand, &passed, sizeof(passed), MSG_NOSIGNAL), sizeof(passed));
	expect_end(o->hand);
	close(o->hand);
	close(o->client);
	close(o->smtpd);
}

static void close_one(const struct one *o)
{
	take_back(o, "QUIT\r\n");
	put(o->copies[0], "221 bye\r\n");
	expect(o->client, "221 bye\r\n");
	tell_passed(o, 9, 0);
}

static void greet(const struct one *o)
{
	put(o->smtpd, "220 mx.b.example\r\n");
	expect(o->client, "220 mx.b.example\r\n");
	put(o->client, "EHLO mx.a.example\r\n");
	expect(o->smtpd, "EHLO mx.a.example\r\n");
	put(o->smtpd, "250-mx.b.example\r\n250 SIZE\r\n");
	expect(o->client, "250-mx.b.example\r\n250 SIZE\r\n");
}

/* Both ends of a sealed session: what the one sends reaches the other. */
static void open_sealed(const struct stage *t, struct one *o)
{
	int mta[2], net;

	prepare(t, o);
	net = o->client;
	unix_pair(mta);
	start(&o->peer, (const int[]){ net, mta[1], -1 }, (const char *const[]){ "connect", "--net", "3", "--mta", "4", "--conf", t->lab.conf,
	      "--state", t->lab.state[1], "--run", t->lab.dir, "--log", "stderr", NULL });
	close(mta[1]);
	close(net);
	o->client = mta[0];
	put(o->hand, "!");
	greet(o);
	expect(o->hand, "K");
	close_copies(o);
	put(o->client, "NOOP\r\n");
	expect(o->smtpd, "NOOP\r\n");
}

static void expect_over(const struct one *o)
{
	expect(o->hand, "E");
	expect_end(o->hand);
	close(o->hand);
}

static void close_sealed(struct one *o)
{
	put(o->client, "QUIT\r\n");
	expect(o->smtpd, "QUIT\r\n");
	put(o->smtpd, "221 bye\r\n");
	close(o->smtpd);
	expect(o->client, "221 bye\r\n");
	expect_end(o->client);
	close(o->client);
	expect_over(o);
	assert_int_equal(ended(&o->peer), 0);
	assert_non_null(strstr(o->peer.said, "outcome=sealed"));
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

/* Who the session is, as its file says. */
static pid_t pid_in_file(const struct stage *t, const struct one *o)
{
	char path[256], line[128];
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/127.0.0.1:%u", t->lab.run, o->port);
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

/* A session that is over in a moment is never listed. */
static void await_files(const struct stage *t, unsigned n)
{
	struct pollfd p = { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN };
	char events[4096];

	assert_true(inotify_add_watch(p.fd, t->lab.run, IN_MOVED_TO) >= 0);
	while (files_in(t->lab.run) < n) {
		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		assert_true(read(p.fd, events, sizeof(events)) > 0);
	}
	assert_int_equal(files_in(t->lab.run), n);
	close(p.fd);
}

static void hear_offer(const struct one *o)
{
	put(o->client, "EHLO mx.a.example\r\n");
	expect(o->smtpd, "EHLO mx.a.example\r\n");
	put(o->smtpd, "250 mx.b.example\r\n");
	expect(o->client, "250-mx.b.example\r\n250 XSOTTO 1\r\n");
}

/* ---- the tests ---- */

static void what_is_nothing_for_sotto_is_given_back(void **state)
{
	struct stage t;
	struct one a, b;
	const char *at;
	int first;

	(void)state;
	begin(&t);
	open_one(&t, &a);
	open_one(&t, &b);
	await_files(&t, 2);
	assert_int_equal(pid_in_file(&t, &a), getpid());	/* ending that process ends the session */
	close_one(&b);
	hear_offer(&a);
	take_back(&a, "MAIL FROM:<>\r\n");
	/* nothing reads but who it was given back to */
	put(a.client, "RCPT");
	expect(a.copies[0], "RCPT");
	put(t.daemon, "?");
	expect(t.daemon, "?");
	tell_passed(&a, 1000, 500);
	assert_int_equal(end(&t), 0);
	first = pid_of_line(t.s.said, &at);
	assert_int_equal(first, pid_of_line(at, &at));
	assert_int_not_equal(first, 0);
	assert_non_null(strstr(t.s.said, "outcome=clear cause=\"no EHLO\" sent=27 received=6 "));
	assert_non_null(strstr(t.s.said, "outcome=clear cause=\"offered, not taken\" sent=1050 received=533 "));
	assert_null(strstr(t.s.said, "end="));
}

/* Who looks whether a mail server is there: its last reply is not worth another process. Nor is what it says behind QUIT. */
static void who_quits_behind_ehlo_is_served_to_its_end(void **state)
{
	struct stage t;
	struct one a;

	(void)state;
	begin(&t);
	open_one(&t, &a);
	hear_offer(&a);
	put(a.client, "quit\r\nNOOP\r\n");
	expect(a.smtpd, "quit\r\nNOOP\r\n");
	put(a.smtpd, "221 bye\r\n");
	close_copies(&a);
	expect(a.client, "221 bye\r\n");
	close(a.smtpd);
	expect_end(a.client);
	close(a.client);
	expect_over(&a);
	assert_int_equal(end(&t), 0);
	assert_non_null(strstr(t.s.said, "outcome=clear cause=\"offered, not taken\" sent=59 received=31 "));
	assert_null(strstr(t.s.said, "end="));
}

/* Whichever end goes first, or is reset, the other hears it, and nothing is left. */
static void who_quits_and_is_gone_leaves_nothing(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct stage t;

	(void)state;
	begin(&t);
	for (unsigned way = 0; way < 3; way++) {
		struct one a;

		open_one(&t, &a);
		hear_offer(&a);
		put(a.client, "QUIT\r\n");
		expect(a.smtpd, "QUIT\r\n");
		close_copies(&a);
		if (way == 2)
			assert_int_equal(setsockopt(a.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		if (way > 0) {
			close(a.client);
			expect_end(a.smtpd);
		}
		close(a.smtpd);
		if (way == 0) {
			expect_end(a.client);
			close(a.client);
		}
		expect_over(&a);
	}
	assert_int_equal(end(&t), 0);
}

/* Nothing of the one is in the other's process: not even a descriptor. */
static void who_seals_gets_a_process_of_its_own(void **state)
{
	struct stage t;
	struct one a, b, clear;
	pid_t first, second;
	int status;

	(void)state;
	begin(&t);
	open_one(&t, &clear);
	open_sealed(&t, &a);
	open_sealed(&t, &b);
	first = pid_in_file(&t, &a);
	second = pid_in_file(&t, &b);
	assert_int_not_equal(first, second);
	assert_int_not_equal(first, getpid());
	assert_int_not_equal(first, t.s.pid);
	assert_int_equal(kill(t.s.pid, SIGKILL), 0);
	assert_int_equal(waitpid(t.s.pid, &status, 0), t.s.pid);
	/* who was in their first commands is told nothing, and its connections are whole but for that process */
	expect_end(clear.hand);
	close_copies(&clear);
	expect_end(clear.client);
	close_sealed(&a);
	close_sealed(&b);
	close(clear.client);
	close(clear.smtpd);
	close(clear.hand);
	listen_to(&t.s, NULL);
	assert_non_null(strstr(t.s.said, "outcome=sealed"));
	close(t.s.log);
	close(t.daemon);
	tear_down(&t.lab);
}

/* The secret is read, and made, by the child alone. */
static void no_secret_is_known_before_the_fork(void **state)
{
	char path[256];
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	(void)snprintf(path, sizeof(path), "%s/identity", t.lab.state[0]);
	open_one(&t, &o);
	close_one(&o);
	assert_int_equal(access(path, F_OK), -1);
	open_sealed(&t, &o);
	assert_int_equal(access(path, F_OK), 0);
	close_sealed(&o);
	assert_int_equal(end(&t), 0);
}

/* A hello that is none is refused by that process, which then goes on with the session by itself. */
static void after_a_refusal_the_session_goes_on(void **state)
{
	static char hello[1216];
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	hear_offer(&o);
	put(o.client, "XSOTTO 1 1216\r\n");
	memset(hello, 0xff, sizeof(hello));
	assert_int_equal(send(o.client, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	expect(o.hand, "K");
	close_copies(&o);
	expect(o.client, "501 5.5.4 XSOTTO hello malformed\r\n");
	put(o.client, "MAIL FROM:<>\r\n");
	expect(o.smtpd, "MAIL FROM:<>\r\n");
	put(o.smtpd, "250 ok\r\n");
	expect(o.client, "250 ok\r\n");
	close(o.smtpd);
	expect_end(o.client);
	close(o.client);
	expect(o.hand, "E");
	close(o.hand);
	assert_int_equal(end(&t), 0);
}

/* Who could try again and again with the same layout of memory would find out what it is. */
static void one_that_crashes_ends_what_forked_it_and_no_other_session(void **state)
{
	struct stage t;
	struct one a, b;
	int left;

	(void)state;
	begin(&t);
	open_one(&t, &b);
	open_sealed(&t, &a);
	assert_int_equal(kill(pid_in_file(&t, &a), SIGABRT), 0);
	expect_end(t.daemon);
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(left, (const struct sockaddr *)&t.at, sizeof(t.at)), -1);
	close(left);
	close_one(&b);
	close(a.client);
	close(a.smtpd);
	close(a.hand);
	(void)ended(&a.peer);
	assert_int_equal(ended(&t.s), 0);
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
	close_copies(&o);
	close(o.hand);
	expect_end(o.client);
	expect_end(o.smtpd);
	close(o.client);
	close(o.smtpd);
	assert_int_equal(end(&t), 0);
	assert_null(strstr(t.s.said, "accept peer="));
}

static void a_session_ends_with_who_handed_it_over(void **state)
{
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	close_copies(&o);
	close(o.hand);
	expect_gone(o.client);	/* lost, not ended */
	close(o.client);
	close(o.smtpd);
	open_one(&t, &o);
	take_back(&o, "HELP\r\n");
	close_copies(&o);
	close(o.hand);
	expect_gone(o.client);
	close(o.client);
	close(o.smtpd);
	assert_int_equal(end(&t), 0);
	assert_non_null(strstr(t.s.said, "outcome=none "));
	assert_non_null(strstr(t.s.said, "cause=\"no EHLO\""));
	assert_non_null(strstr(strstr(t.s.said, " end=cut") + 1, " end=cut"));
}

/* With the daemon nobody new is taken; who is there goes on. */
static void it_ends_after_its_last_connection(void **state)
{
	struct stage t;
	struct one o;
	int more;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	assert_int_equal(shutdown(t.daemon, SHUT_WR), 0);
	expect_end(t.daemon);
	more = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(more, (const struct sockaddr *)&t.at, sizeof(t.at)), -1);
	close(more);
	assert_int_equal(waitpid(t.s.pid, NULL, WNOHANG), 0);
	close_one(&o);
	assert_int_equal(end(&t), 0);
}

/* Of whom encryption is required hears 451, and smtpd nothing. */
static void who_is_required_to_seal_is_told_so(void **state)
{
	struct stage t;
	struct one o;
	char path[256];

	(void)state;
	begin(&t);
	(void)snprintf(path, sizeof(path), "%s/require", t.lab.dir);
	write_file(path, "127.0.0.1\n");
	open_one(&t, &o);
	put(o.client, "HELO mx.a.example\r\n");
	expect(o.client, "451 ");
	put(o.client, "QUIT\r\n");
	expect(o.hand, "E");
	close_copies(&o);
	expect_end(o.smtpd);
	close(o.client);
	close(o.smtpd);
	close(o.hand);
	assert_int_equal(end(&t), 0);
	assert_non_null(strstr(t.s.said, "outcome=refused"));
}

static void sotto_conf_is_read_again(void **state)
{
	struct stage t;
	struct one o;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	close_one(&o);
	write_file(t.lab.conf, "[sotto]\nmode = off\n");
	prepare(&t, &o);
	put(o.hand, "!");
	expect(o.hand, "P");
	tell_passed(&o, 0, 0);
	assert_int_equal(end(&t), 0);
	assert_non_null(strstr(t.s.said, "cause=\"mode off\""));
}

/* Where master.cf says something else now: another process is needed, and is started by the daemon. */
static void other_words_end_it(void **state)
{
	char octets[1024];
	struct stage t;
	struct one o;
	int net[2], mta[2], to;
	size_t n;

	(void)state;
	begin(&t);
	open_one(&t, &o);
	n = words_of(&t, octets);
	memcpy(octets + n, "--peer\0mx.a.example", 20);
	tcp_pair(net);
	unix_pair(mta);
	to = call(&t);
	hand(to, octets, n + 20, (const int[]){ net[1], mta[1] }, 2);
	expect_end(to);
	expect_end(t.daemon);
	for (unsigned i = 0; i < 2; i++) {
		close(net[i]);
		close(mta[i]);
	}
	close(to);
	close_one(&o);
	assert_int_equal(end(&t), 0);
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
	assert_int_equal(end(&t), 0);
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
		cmocka_unit_test(what_is_nothing_for_sotto_is_given_back),
		cmocka_unit_test(who_quits_behind_ehlo_is_served_to_its_end),
		cmocka_unit_test(who_quits_and_is_gone_leaves_nothing),
		cmocka_unit_test(who_seals_gets_a_process_of_its_own),
		cmocka_unit_test(no_secret_is_known_before_the_fork),
		cmocka_unit_test(after_a_refusal_the_session_goes_on),
		cmocka_unit_test(one_that_crashes_ends_what_forked_it_and_no_other_session),
		cmocka_unit_test(what_is_taken_back_is_not_touched),
		cmocka_unit_test(a_session_ends_with_who_handed_it_over),
		cmocka_unit_test(it_ends_after_its_last_connection),
		cmocka_unit_test(who_is_required_to_seal_is_told_so),
		cmocka_unit_test(sotto_conf_is_read_again),
		cmocka_unit_test(other_words_end_it),
		cmocka_unit_test(what_is_handed_over_wrongly_is_an_end_and_nothing_else),
		cmocka_unit_test(serve_by_hand_is_a_sentence),
	};

	(void)argc;
	if (!find_program(argv[0]))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
