/* SPDX-License-Identifier: ISC */
/*
 * What filter-sotto's parent promises smtpd, which is this test: it never ends before its input does, never says a line that smtpd would end
 * for, answers each request once, and keeps somebody behind the listeners, whatever becomes of its worker. The program itself; the worker
 * is this program again.
 */
#include "tests/unit/postfix-lab.h"

#include <limits.h>

#include "core/runtime/addr.h"
#include "core/runtime/live.h"
#include "plugins/opensmtpd/keeper.h"
#include "plugins/opensmtpd/talk.h"

#define SESSION "7641df9771b4ed00"
#define OTHER "7641df9771b4ed01"
#define TOKEN "1ef1c203cc576e5d"
#define RCPT(session, address) "filter|0.7|1576146008.006099|smtp-in|rcpt-to|" session "|" TOKEN "|" address "\n"
#define COMMIT(session) "filter|0.7|1576146008.006099|smtp-in|commit|" session "|" TOKEN "\n"
#define PROCEED(session) "filter-result|" session "|" TOKEN "|proceed\n"
#define REGISTERS "register|report|smtp-in|link-connect\nregister|report|smtp-in|link-auth\nregister|report|smtp-in|link-disconnect\n" \
	"register|filter|smtp-in|rcpt-to\nregister|filter|smtp-in|commit\n"
#define DATA_REGISTERS "register|report|smtp-in|tx-begin\nregister|filter|smtp-in|data-line\n"
#define READY "register|ready\n"
#define DATA(text) "filter|0.7|1.0|smtp-in|data-line|" SESSION "|" TOKEN "|" text "\n"
#define ECHO(text) "filter-dataline|" SESSION "|" TOKEN "|" text "\n"
#define CONNECT(peer) "report|0.7|1.0|smtp-in|link-connect|" SESSION "|mx.example|pass|" peer "|192.0.2.1:25\n"

static char self[PATH_MAX];

struct stage {
	struct started s;
	int smtpd;			/* our end of what the filter has as its input and output */
	char port[8], hop[8], listen[32], backend[32];
	int listening;			/* smtpd's inner listener */
};

/* ---- the worker: --from says how it behaves ---- */

static const char *word_after(int argc, char **argv, const char *option)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], option) == 0)
			return argv[i + 1];
	return "";
}

static void say(int talk, const char *text)
{
	if (send(talk, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void answer(int talk, const char *line)
{
	char text[64] = "";

	if (strstr(line, "rcpt-to|") == NULL || strstr(line, "hold") != NULL)
		return;
	if (strstr(line, "die") != NULL)
		_exit(1);
	(void)snprintf(text, sizeof(text), "%.33s", strstr(line, "rcpt-to|") + 8);
	if (strstr(line, "lie") != NULL) {
		say(talk, "filter-result|x|y|proceed\nrubbish");
		say(talk, "");
		say(talk, "0|0");
		say(talk, "7641df9771b4ed00|1ef1c203cc576e5d|and more");
	}
	say(talk, text);
	say(talk, text);	/* said twice: it must not be heard twice */
}

static void serve(int listening)
{
	char text[64];
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	(void)snprintf(text, sizeof(text), "worker %d\r\n", (int)getpid());
	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		(void)close(fd);
	}
}

static void play_worker(int argc, char **argv)
{
	const char *how = word_after(argc, argv, "--from");
	int talk = atoi(word_after(argc, argv, "--talk")), listening = atoi(word_after(argc, argv, "--in"));
	struct pollfd p[2] = { { .fd = talk, .events = POLLIN }, { .fd = listening, .events = POLLIN } };
	char line[SOTTO_HANDED_MAX + 1];
	ssize_t n;

	if (strcmp(how, "crash") == 0)
		abort();
	while (strcmp(how, "mute") == 0)
		(void)pause();
	say(talk, "ready");
	for (;;) {
		(void)poll(p, 2, 1000);
		if (strcmp(how, "still") != 0)
			say(talk, "alive");
		if (p[1].revents != 0)
			serve(listening);
		if (p[0].revents == 0)
			continue;
		n = recv(talk, line, sizeof(line) - 1, 0);
		if (n <= 0)
			_exit(0);
		line[n] = '\0';
		answer(talk, line);
	}
}

/* ---- the stage ---- */

static int listen_tcp(char port[8])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(port, 8, "%u", ntohs(at.sin_port));
	return fd;
}

static void begin(struct stage *t, const char *how, const char *worker)
{
	char conf[128], inner[8];
	int pair[2], fd;
	const char *const words[] = { "--listen", t->listen, "--hop-port", t->hop, "--worker", worker, "--backend", t->backend, "--conf", conf,
				      "--state", lab_dir, "--run", lab_dir, "--helo", "mx.test.example", "--from", how, NULL };

	(void)snprintf(conf, sizeof(conf), "%s/sotto.conf", lab_dir);
	fd = listen_tcp(t->port);
	close(listen_tcp(t->hop));
	close(fd);
	(void)snprintf(t->listen, sizeof(t->listen), "127.0.0.1:%s", t->port);
	t->listening = listen_tcp(inner);
	(void)snprintf(t->backend, sizeof(t->backend), "127.0.0.1:%s", inner);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lab_start(&t->s, pair[1], words);
	close(pair[1]);
	t->smtpd = pair[0];
	lab_put(t->smtpd, "config|smtpd-version|7.6.0\nconfig|protocol|0.7\nconfig|smtp-session-timeout|300\nconfig|subsystem|smtp-in\nconfig|ready\n");
	lab_expect(t->smtpd, REGISTERS DATA_REGISTERS READY);
}

/* A connection to the public port, as soon as it listens. */
static int call(const struct stage *t)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_port = htons((uint16_t)atoi(t->port)) };
	int64_t until = lab_now() + PATIENCE;
	int fd;

	do {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
			return fd;
		assert_int_equal(errno, ECONNREFUSED);
		close(fd);
		(void)poll(NULL, 0, 5);
	} while (lab_now() < until);
	fail_msg("nobody listens");
	return -1;
}

/* The process that serves a connection made now. */
static int served_by(const struct stage *t)
{
	char text[64] = "";
	int fd = call(t), pid;

	lab_get(fd, text, strlen("worker 1\r\n"));
	while (strchr(text, '\n') == NULL)
		lab_get(fd, text + strlen(text), 1);
	close(fd);
	assert_int_equal(sscanf(text, "worker %d", &pid), 1);	/* NOLINT(cert-err34-c) */
	return pid;
}

/* Lives, answers, and owes nothing else. */
static void expect_alive(const struct stage *t)
{
	lab_put(t->smtpd, RCPT("00000000000000aa", "now@alive.example"));
	lab_expect(t->smtpd, PROCEED("00000000000000aa"));
}

/* Input ends: so does it, and nobody of its own holds the port. */
static void end(struct stage *t)
{
	expect_alive(t);
	(void)shutdown(t->smtpd, SHUT_WR);
	assert_int_equal(lab_ended(&t->s), 0);
	lab_expect_end(t->smtpd);
	close(t->smtpd);
	close(t->listening);
}

/* The connection reaches smtpd with a PROXY header, and octets go both ways. */
static void expect_passed(const struct stage *t)
{
	uint8_t header[28];
	int client = call(t), mta = lab_accept(t->listening);

	lab_get(mta, (char *)header, sizeof(header));
	assert_memory_equal(header + 12, "\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01", 12);
	lab_put(mta, "220 smtpd\r\n");
	lab_expect(client, "220 smtpd\r\n");
	lab_put(client, "EHLO x\r\n");
	lab_expect(mta, "EHLO x\r\n");
	close(mta);
	lab_expect_end(client);
	close(client);
}

static void test_answers(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	(void)served_by(&t);
	lab_put(t.smtpd, RCPT(SESSION, "anna@example.org"));
	lab_expect(t.smtpd, PROCEED(SESSION));
	lab_put(t.smtpd, "filter|0.6|1576146008.006099|smtp-in|rcpt-to|" SESSION "|" TOKEN "|lie@example.org\n");
	lab_expect(t.smtpd, PROCEED(SESSION));
	lab_put(t.smtpd, "config|ready\n");	/* once more: it has registered */
	end(&t);
}

/* At most 3 seconds; others go on meanwhile; and it is answered once, whatever the worker says later. */
static void test_holds(void **state)
{
	struct stage t;
	int64_t began;

	(void)state;
	begin(&t, "good", self);
	(void)served_by(&t);
	began = lab_now();
	lab_put(t.smtpd, RCPT(SESSION, "hold@example.org") RCPT(OTHER, "bert@example.org"));
	lab_expect(t.smtpd, PROCEED(OTHER));
	lab_expect(t.smtpd, PROCEED(SESSION));
	assert_true(lab_now() - began >= SOTTO_HOLD_MS - 10);
	end(&t);
}

/* The worker ends with requests in its hands: they are answered; the next connection finds another one. */
static void test_worker_dies(void **state)
{
	struct stage t;
	int first, again;

	(void)state;
	begin(&t, "good", self);
	first = served_by(&t);
	lab_put(t.smtpd, RCPT(SESSION, "hold@example.org") RCPT(OTHER, "die@example.org"));
	lab_expect(t.smtpd, "filter-result|7641df9771b4ed0");
	while (recv(t.smtpd, &(char){ 0 }, 1, MSG_DONTWAIT) == 1)
		;
	again = served_by(&t);
	assert_int_not_equal(first, again);
	end(&t);
}

/* However often somebody kills it: the next connection finds another one, and none is refused or passed through. */
static void test_killed(void **state)
{
	struct stage t;
	int before, now;

	(void)state;
	begin(&t, "good", self);
	now = served_by(&t);
	for (int i = 0; i < 10; i++) {
		before = now;
		assert_int_equal(kill(before, SIGKILL), 0);
		now = served_by(&t);
		assert_int_not_equal(now, before);
		expect_alive(&t);
	}
	end(&t);
}

/* Three that fail by themselves are too many: the next connection is passed through. */
static void test_fails_under_way(void **state)
{
	struct stage t;
	int before, now = 0;

	(void)state;
	begin(&t, "good", self);
	for (int i = 0; i < SOTTO_CRASHES; i++) {
		before = now;
		now = served_by(&t);
		assert_int_not_equal(now, before);
		lab_put(t.smtpd, RCPT(SESSION, "die@example.org"));
		lab_expect(t.smtpd, PROCEED(SESSION));
	}
	expect_passed(&t);
	end(&t);
}

static const char *const odd[] = {
	"\n", "|\n", "||||||||||\n", "filter\n", "filter|\n", "filter|0.7\n", "filter|0.7|1.0|smtp-in|rcpt-to\n", "filter|0.7|1.0|smtp-in|rcpt-to|\n",
	"filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "\n", "filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "|\n", "filter|0.7|1.0|smtp-in|rcpt-to|zz|" TOKEN "|a\n",
	"filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "0|" TOKEN "|a\n", "filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "| " TOKEN "|a\n",
	"filter|0.7|1.0|smtp-out|rcpt-to|" SESSION "|" TOKEN "|a\n", "report|0.7|1.0|smtp-in|link-connect\n", "report|0.7|1.0|smtp-in|link-connect|xyz\n",
	"report|0.7|1.0|smtp-in|timeout|" SESSION "\n", "config|ready|now\n", "config|subsystem|smtp-sideways\n", "CONFIG|READY\n", "quit\r\n", "\x80\xff|\n",
	"filter-result|" SESSION "|" TOKEN "|proceed\n", "table|0.1|1.0|x|lookup|domain|1|a\n", "filter|9.9|1.0|smtp-in||||\n", "filter|||smtp-in|||\n",
};

static void test_malformed(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		lab_put(t.smtpd, odd[i]);
		expect_alive(&t);
	}
	lab_put_octets(t.smtpd, "filter|0.7|1.0|smtp-in|rcpt-to|\0|\0\n", 35);
	expect_alive(&t);
	/* a later version, and phases that were not registered, of the same shape */
	lab_put(t.smtpd, "filter|1.3|1.0|smtp-in|rcpt-to|" SESSION "|" TOKEN "|a@b.example|more|of it\n");
	lab_expect(t.smtpd, PROCEED(SESSION));
	lab_put(t.smtpd, "filter|0.7|1.0|smtp-in|commit|" SESSION "|" TOKEN "\n");
	lab_expect(t.smtpd, PROCEED(SESSION));
	lab_put(t.smtpd, "filter|0.7|1.0|smtp-in|connect|a|B|rdns|192.0.2.1\n");
	lab_expect(t.smtpd, "filter-result|000000000000000a|000000000000000b|proceed\n");
	end(&t);
}

/* smtpd speaks before it is asked to, and octet by octet. */
static void test_early_and_slow(void **state)
{
	static const char line[] = RCPT(SESSION, "anna@example.org");
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	for (size_t i = 0; i + 1 < sizeof(line); i++)
		lab_put_octets(t.smtpd, line + i, 1);
	lab_expect(t.smtpd, PROCEED(SESSION));
	end(&t);
}

/* It may stand still as soon as it is ready, by the first connection. */
static void test_never_alive(void **state)
{
	int64_t until = lab_now() + SOTTO_STUCK_MS + PATIENCE;
	struct stage t;
	int first;

	(void)state;
	begin(&t, "still", self);
	first = served_by(&t);
	while (served_by(&t) == first) {
		assert_true(lab_now() < until);
		(void)poll(NULL, 0, 100);
	}
	end(&t);
}

/* begin, `n` times x, a newline. */
static void put_long(int fd, const char *begin_with, size_t n)
{
	char piece[4096];

	memset(piece, 'x', sizeof(piece));
	lab_put(fd, begin_with);
	for (; n > 0; n -= n < sizeof(piece) ? n : sizeof(piece))
		lab_put_octets(fd, piece, n < sizeof(piece) ? n : sizeof(piece));
	lab_put(fd, "\n");
}

static void test_enormous(void **state)
{
	static const size_t sizes[] = { 2000, 2100, 65535, SOTTO_TALK_LINE - 200, SOTTO_TALK_LINE, SOTTO_TALK_LINE + 1, 3000000 };
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		put_long(t.smtpd, "filter|0.7|1.0|smtp-in|rcpt-to|" SESSION "|" TOKEN "|", sizes[i]);
		lab_expect(t.smtpd, PROCEED(SESSION));
		put_long(t.smtpd, "report|0.7|1.0|smtp-in|link-connect|" SESSION "|", sizes[i]);
		put_long(t.smtpd, "what|", sizes[i]);
		put_long(t.smtpd, "", sizes[i]);
		expect_alive(&t);
	}
	end(&t);
}

/* A line of a message is answered by the same line, however long it is: not an octet of mail is lost. Read and written by turns. */
static void test_data_lines(void **state)
{
	static const size_t sizes[] = { 0, 1, 998, 65535, SOTTO_TALK_LINE - 70, SOTTO_TALK_LINE, SOTTO_TALK_LINE + 1, 1000000 };
	struct stage t;
	char *got = malloc(1100000);

	(void)state;
	begin(&t, "good", self);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t head = strlen("filter-dataline|" SESSION "|" TOKEN "|"), x = 0;
		pid_t writer = fork();

		if (writer == 0) {
			put_long(t.smtpd, "filter|0.7|1.0|smtp-in|data-line|" SESSION "|" TOKEN "|", sizes[i]);
			_exit(0);
		}
		lab_get(t.smtpd, got, head + sizes[i] + 1);
		assert_memory_equal(got, "filter-dataline|" SESSION "|" TOKEN "|", head);
		while (got[head + x] == 'x')
			x++;
		assert_int_equal(x, sizes[i]);
		assert_int_equal(got[head + x], '\n');
		assert_int_equal(waitpid(writer, NULL, 0), writer);
	}
	free(got);
	end(&t);
}

/* Whose session ends meanwhile is not answered, and others are: smtpd ends by an answer to one that it has let go of. */
static void test_ended_before_the_commit(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	(void)served_by(&t);
	lab_put(t.smtpd, COMMIT(SESSION) COMMIT(OTHER) "report|0.7|1.0|smtp-in|link-disconnect|" SESSION "\n");
	lab_expect(t.smtpd, PROCEED(OTHER));
	lab_put(t.smtpd, COMMIT(OTHER));
	lab_expect(t.smtpd, PROCEED(OTHER));
	end(&t);
}

/* smtpd before 7.4 cuts lines that go by a filter: none go by it there. And what is not named is not registered for. */
static void test_old_smtpd(void **state)
{
	static const struct {
		const char *config, *registers;
	} all[] = {
		{ "config|smtpd-version|6.8.0p2\nconfig|subsystem|smtp-in\n", REGISTERS READY }, { "config|smtpd-version|7.3\nconfig|subsystem|smtp-in\n", REGISTERS READY },
		{ "config|smtpd-version|7.4.0\nconfig|subsystem|smtp-in\n", REGISTERS DATA_REGISTERS READY },
		{ "config|smtpd-version|10.1\nconfig|subsystem|smtp-in\n", REGISTERS DATA_REGISTERS READY },
		{ "config|smtpd-version|new\nconfig|subsystem|smtp-in\n", REGISTERS READY }, { "config|smtpd-version|7.6.0\n", READY },
		{ "config|smtpd-version|7.6.0\nconfig|subsystem|smtp-out\n", "register|report|smtp-out|protocol-server\nregister|report|smtp-out|tx-rcpt\n"
		  "register|report|smtp-out|link-disconnect\n" READY },
	};
	const char *const words[] = { "--listen", "127.0.0.1:1", "--hop-port", "0", "--worker", self, "--state", lab_dir, NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct stage t = { .listening = open("/dev/null", O_RDONLY | O_CLOEXEC) };
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		lab_start(&t.s, pair[1], words);
		close(pair[1]);
		t.smtpd = pair[0];
		lab_put(t.smtpd, all[i].config);
		lab_put(t.smtpd, "config|ready\n");
		lab_expect(t.smtpd, all[i].registers);
		end(&t);
	}
}

/* What came in sealed says so, before the first line that smtpd has of it; what did not, does not. */
static void test_trace(void **state)
{
	struct sotto_live live = { .inbound = true, .sealed = true, .version = 1, .id = "0123456789abcdef", .adapter = "opensmtpd", .pid = 1 };
	struct sotto_live_file file = { .fd = -1 };
	struct sockaddr_storage peer;
	struct stage t;

	(void)state;
	begin(&t, "good", self);
	assert_int_equal(sotto_addr_read(&peer, "2001:db8::7", 4711), 0);
	assert_int_equal(sotto_live_write(&file, lab_dir, (struct sockaddr *)&peer, &live), 0);
	lab_put(t.smtpd, CONNECT("[2001:db8::7]:4711") DATA("Received: x") DATA("") DATA("..") DATA("."));
	lab_expect(t.smtpd, ECHO("X-Sotto: sealed v=1 id=0123456789abcdef peer=[2001:db8::7] by=mx.test.example")
		   ECHO("Received: x") ECHO("") ECHO("..") ECHO("."));
	lab_put(t.smtpd, DATA("X-Sotto: sealed by=mx.test.example") DATA("."));
	lab_expect(t.smtpd, ECHO("X-Sotto: sealed v=1 id=0123456789abcdef peer=[2001:db8::7] by=mx.test.example")
		   ECHO("X-Sotto: sealed by=mx.test.example") ECHO("."));
	/* a message that is broken off, and one after it */
	lab_put(t.smtpd, DATA("From: b") "report|0.7|1.0|smtp-in|tx-begin|" SESSION "|abcd\n");
	lab_expect(t.smtpd, ECHO("X-Sotto: sealed v=1 id=0123456789abcdef peer=[2001:db8::7] by=mx.test.example") ECHO("From: b"));
	sotto_live_remove(&file);
	lab_put(t.smtpd, DATA("x-sotto: sealed by=mx.test.example") DATA("X-Sotto: and another") DATA("."));
	lab_expect(t.smtpd, ECHO("x-sotto: sealed by=mx.test.example") ECHO("X-Sotto: and another") ECHO("."));
	lab_put(t.smtpd, "report|0.7|1.0|smtp-in|link-disconnect|" SESSION "\n" CONNECT("unix:/run/smtpd.sock") DATA("From: c") DATA("."));
	lab_expect(t.smtpd, ECHO("From: c") ECHO("."));
	end(&t);
}

/* ---- without a worker ---- */

static void test_passes(const char *how, const char *worker)
{
	struct stage t;
	char text[64] = "";
	int client;

	begin(&t, how, worker);
	lab_put(t.smtpd, RCPT(SESSION, "anna@example.org"));
	lab_expect(t.smtpd, PROCEED(SESSION));
	expect_passed(&t);
	expect_passed(&t);
	lab_write(lab_require, "127.0.0.1\n", 0644);
	client = call(&t);
	lab_get(client, text, 4);
	assert_memory_equal(text, "451 ", 4);
	close(client);
	assert_int_equal(unlink(lab_require), 0);
	expect_passed(&t);
	end(&t);
}

static void test_crashes(void **state)
{
	(void)state;
	test_passes("crash", self);
}

static void test_missing(void **state)
{
	(void)state;
	test_passes("good", "/nonexistent/sotto-worker");
}

/* Of one that is not ready nothing is left, and smtpd's requests are answered at once meanwhile. */
static void test_mute(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "mute", self);
	expect_alive(&t);
	end(&t);
}

/* Nobody who connects waits for a second one that would not be ready either. */
static void test_mute_and_a_client(void **state)
{
	struct stage t;
	int64_t began = lab_now();

	(void)state;
	begin(&t, "mute", self);
	expect_passed(&t);
	assert_true(lab_now() - began < 2 * SOTTO_READY_MS);
	end(&t);
}

/* A listener that somebody else has still is had as soon as it is free. */
static void test_busy_port(void **state)
{
	struct stage t;
	char port[8];
	int busy = listen_tcp(port), pair[2];
	const char *const words[] = { "--listen", t.listen, "--hop-port", "0", "--worker", self, "--state", lab_dir, NULL };

	(void)state;
	(void)snprintf(t.listen, sizeof(t.listen), "127.0.0.1:%s", port);
	(void)snprintf(t.port, sizeof(t.port), "%s", port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lab_start(&t.s, pair[1], words);
	close(pair[1]);
	t.smtpd = pair[0];
	t.listening = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect_alive(&t);
	close(busy);
	(void)served_by(&t);
	end(&t);
}

/* Wrong options are no reason to end: smtpd would, too. */
static void test_wrong_options(void **state)
{
	struct stage t;
	int pair[2];
	const char *const words[] = { "--listen", "nowhere", "--bogus", "--hop-port", "70000", "--listen", "127.0.0.1:1", "--worker", self, "--state", lab_dir,
				      "--listen", NULL };

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lab_start(&t.s, pair[1], words);
	close(pair[1]);
	t.smtpd = pair[0];
	t.listening = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lab_listen(&t.s, "without a value: '--listen'");
	end(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_holds, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_worker_dies, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_killed, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_fails_under_way, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_early_and_slow, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_never_alive, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_enormous, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_data_lines, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_ended_before_the_commit, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_old_smtpd, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_trace, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_crashes, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_missing, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_mute, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_mute_and_a_client, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_busy_port, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_options, lab_set_up, lab_tear_down),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && strcmp(argv[1], "--talk") == 0)
		play_worker(argc, argv);
	if (realpath(argv[0], self) == NULL)
		return 1;
	lab_find(self, "filter-sotto");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
