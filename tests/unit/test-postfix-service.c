/* SPDX-License-Identifier: ISC */
/* service.h's promises, with an echo of lines: pieces, many at once, and bounds whatever the clients do. */
#include "tests/unit/folder-lab.h"

#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "plugins/postfix-policy/service.h"

static struct event_base *base;
static struct sotto_service *service;
static unsigned answered;

/* A line is answered with itself; "end" ends the connection, and "bye" without a word. */
static long echo(void *arg, const char *octets, size_t n, char reply[SOTTO_SERVICE_REPLY], size_t *reply_len)
{
	const char *lf = memchr(octets, '\n', n);
	size_t len = lf == NULL ? 0 : (size_t)(lf - octets) + 1;

	(void)arg;
	if (len == 0)
		return n > 1000 ? -1 : 0;
	answered++;
	if (len == 4 && memcmp(octets, "bye\n", 4) == 0)
		return -1;
	memcpy(reply, octets, len);
	*reply_len = len;
	return len == 4 && memcmp(octets, "end\n", 4) == 0 ? -1 : (long)len;
}

static int begin(void **state)
{
	char err[256];

	if (lab_begin(state) != 0)
		return -1;
	base = event_base_new();
	answered = 0;
	service = sotto_service_open(base, lab_path("socket"), echo, NULL, err, sizeof(err));
	return service == NULL ? -1 : 0;
}

static int end(void **state)
{
	sotto_service_close(service);
	event_base_free(base);
	return lab_end(state);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void turn(void)
{
	for (unsigned i = 0; i < 50; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static int client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", lab_path("socket"));
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What is there to be read now; "" is the end, NULL nothing. Valid until the next call. */
static const char *hear(int fd)
{
	static char text[4096];
	ssize_t n;

	turn();
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static void requests_in_pieces_and_many_at_once_are_answered_in_order(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "on");
	assert_null(hear(fd));
	say(fd, "e\ntwo\nthr");
	assert_string_equal(hear(fd), "one\ntwo\n");
	say(fd, "ee\n");
	assert_string_equal(hear(fd), "three\n");
	close(fd);
}

static void an_end_comes_after_the_last_answer(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "one\nend\nnever\n");
	assert_string_equal(hear(fd), "one\nend\n");
	assert_string_equal(hear(fd), "");
	close(fd);
	fd = client();
	say(fd, "bye\n");
	assert_string_equal(hear(fd), "");
	close(fd);
}

static void a_client_that_leaves_is_no_loss(void **state)
{
	int one = client(), two = client();

	(void)state;
	say(one, "half a requ");
	turn();
	close(one);
	say(two, "two\n");
	assert_string_equal(hear(two), "two\n");
	close(two);
	one = client();
	say(one, "answer that nobody reads\n");
	close(one);
	turn();
}

/* Neither its answers nor its requests are heaped up. */
static void a_client_that_never_reads_is_not_read_from_either(void **state)
{
	char line[101];
	int fd = client(), sent = 0;
	unsigned before;

	(void)state;
	memset(line, 'x', 99);
	memcpy(line + 99, "\n", 2);
	for (unsigned idle = 0; idle < 100;) {
		ssize_t n = send(fd, line, 100, MSG_DONTWAIT | MSG_NOSIGNAL);

		assert_true(n == 100 || n < 0);
		idle = n == 100 ? 0 : idle + 1;
		sent += n == 100;
		turn();
	}
	before = answered;
	turn();
	assert_int_equal(answered, before);
	assert_true(sent < 40000);	/* 4 MB: what the kernel and our bounds hold */
	for (unsigned i = 0; i < 200000 && answered < (unsigned)sent; i++)
		(void)hear(fd);
	assert_int_equal(answered, sent);
	close(fd);
}

static void only_so_many_clients_are_had(void **state)
{
	int fd[SOTTO_SERVICE_CLIENTS], more;

	(void)state;
	for (unsigned i = 0; i < SOTTO_SERVICE_CLIENTS; i++) {
		fd[i] = client();
		if (i % 100 == 0)
			turn();
	}
	for (unsigned i = 0; i < 40; i++)
		turn();
	more = client();
	assert_string_equal(hear(more), "");
	close(more);
	say(fd[0], "one\n");
	assert_string_equal(hear(fd[0]), "one\n");
	for (unsigned i = 0; i < SOTTO_SERVICE_CLIENTS; i++)
		close(fd[i]);
	turn();
	more = client();
	say(more, "more\n");
	assert_string_equal(hear(more), "more\n");
	close(more);
}

static void nobody_else_may_connect(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(lab_path("socket"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_next_one_takes_the_place_of_the_last(void **state)
{
	char err[256] = "";
	struct sotto_service *next;

	(void)state;
	next = sotto_service_open(base, lab_path("socket"), echo, NULL, err, sizeof(err));
	assert_non_null(next);
	sotto_service_close(service);
	service = next;
	requests_in_pieces_and_many_at_once_are_answered_in_order(state);
	assert_null(sotto_service_open(base, "/nonexistent/folder/socket", echo, NULL, err, sizeof(err)));
	assert_string_equal(err, "/nonexistent/folder/socket: cannot listen there: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(requests_in_pieces_and_many_at_once_are_answered_in_order),
		test(an_end_comes_after_the_last_answer),
		test(a_client_that_leaves_is_no_loss),
		test(a_client_that_never_reads_is_not_read_from_either),
		test(only_so_many_clients_are_had),
		test(nobody_else_may_connect),
		test(the_next_one_takes_the_place_of_the_last),
	};
	struct rlimit files;

	(void)signal(SIGPIPE, SIG_IGN);		/* as the daemon does */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 4096) {
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
