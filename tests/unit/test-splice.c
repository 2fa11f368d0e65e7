/* SPDX-License-Identifier: ISC */
/* splice.h's promises: octets pass, ends and errors are told apart, urgent octets do not stop it, and what splice(2) cannot do is said. */
#include "tests/unit/relay-lab.h"

struct through {
	int in[2], out[2];	/* the test's end, the splice's end */
	struct sotto_splice s;
};

static void open_through(struct through *t, void (*pair)(int fd[2]))
{
	pair(t->in);
	pair(t->out);
	for (unsigned i = 0; i < 2; i++) {
		evutil_make_socket_nonblocking(t->in[i]);
		evutil_make_socket_nonblocking(t->out[i]);
	}
	assert_int_equal(sotto_splice_open(&t->s, t->in[1], t->out[1]), 0);
}

static void close_through(struct through *t)
{
	sotto_splice_close(&t->s);
	for (unsigned i = 0; i < 2; i++) {
		if (t->in[i] >= 0)
			close(t->in[i]);
		if (t->out[i] >= 0)
			close(t->out[i]);
	}
}

static void reset(int *fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(*fd);
	*fd = -1;
}

static void both(void (*test)(void (*pair)(int fd[2])))
{
	unsigned before = lab_count_fds();

	test(lab_tcp);
	test(lab_unix);
	assert_int_equal(lab_count_fds(), before);
}

static void passes(void (*pair)(int fd[2]))
{
	struct through t;
	struct octets all = { 0 }, got = { 0 };
	size_t sent = 0;
	static uint8_t buffer[30000];

	open_through(&t, pair);
	fill(&all, 3000000);
	while (got.len < all.len) {
		ssize_t n = send(t.in[0], all.p + sent, all.len - sent, MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		sotto_splice_run(&t.s);
		assert_true(t.s.pending <= SOTTO_SPLICE_CHUNK);
		n = recv(t.out[0], buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n > 0)
			add(&got, buffer, (size_t)n);
	}
	assert_same(&got, &all);
	assert_int_equal(t.s.passed, all.len);
	assert_int_equal(t.s.pulled, all.len);
	assert_false(sotto_splice_finished(&t.s));
	assert_true(sotto_splice_wants_read(&t.s));
	assert_false(sotto_splice_run(&t.s));
	shutdown(t.in[0], SHUT_WR);
	while (!t.s.ended)
		sotto_splice_run(&t.s);
	assert_true(sotto_splice_finished(&t.s));
	assert_false(t.s.failed);
	assert_false(sotto_splice_wants_read(&t.s));
	assert_false(sotto_splice_wants_write(&t.s));
	assert_false(sotto_splice_run(&t.s));
	clear(&all);
	clear(&got);
	close_through(&t);
}

static void test_every_octet_passes_and_then_the_end(void **state)
{
	(void)state;
	both(passes);
}

static void stops(void (*pair)(int fd[2]))
{
	static uint8_t some[65536];
	struct through t;
	uint64_t before;
	ssize_t n;

	open_through(&t, pair);
	do {
		n = send(t.in[0], some, sizeof(some), MSG_DONTWAIT);
	} while (sotto_splice_run(&t.s) || n > 0);
	/* it waits for `to` alone: a socket that is not read may not wake anybody */
	assert_true(sotto_splice_wants_write(&t.s));
	assert_false(sotto_splice_wants_read(&t.s));
	before = t.s.passed;
	while (recv(t.out[0], some, sizeof(some), MSG_DONTWAIT) > 0 && t.s.passed == before)
		sotto_splice_run(&t.s);
	assert_true(t.s.passed > before);
	close_through(&t);
}

static void test_a_slow_reader_stops_the_reading(void **state)
{
	(void)state;
	both(stops);
}

/* Runs until the socket has told: loopback is not bound to have done so at once. */
static void run_until(struct sotto_splice *s, const bool *what)
{
	for (unsigned i = 0; i < 1000000 && !*what; i++)
		sotto_splice_run(s);
	assert_true(*what);
}

static void test_a_reset_is_no_end(void **state)
{
	struct through t;
	char got[8];

	(void)state;
	open_through(&t, lab_tcp);
	assert_int_equal(send(t.in[0], "octets", 6, 0), 6);
	reset(&t.in[0]);
	run_until(&t.s, &t.s.ended);
	assert_true(t.s.failed);
	/* what came before it has passed */
	assert_int_equal(recv(t.out[0], got, sizeof(got), 0), 6);
	assert_true(sotto_splice_finished(&t.s));
	close_through(&t);
}

static void breaks(void (*pair)(int fd[2]))
{
	static uint8_t some[65536];
	struct through t;
	ssize_t n;

	open_through(&t, pair);
	close(t.out[0]);
	t.out[0] = -1;
	for (unsigned i = 0; i < 1000000 && !t.s.broken; i++) {
		n = send(t.in[0], some, 100, MSG_DONTWAIT);
		assert_true(n > 0 || errno == EAGAIN);
		sotto_splice_run(&t.s);
	}
	assert_true(t.s.broken);
	/* what comes is thrown away, and the end is still noticed */
	assert_int_equal(t.s.pending, 0);
	assert_true(send(t.in[0], some, 1000, MSG_DONTWAIT) > 0);
	shutdown(t.in[0], SHUT_WR);
	run_until(&t.s, &t.s.ended);
	assert_int_equal(t.s.pending, 0);
	assert_false(t.s.failed);
	close_through(&t);
}

static void test_a_dead_reader_does_not_kill_us_nor_stop_the_writer(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	both(breaks);
}

static void test_an_urgent_octet_is_skipped_and_what_follows_passes(void **state)
{
	struct through t;
	char got[64] = "";
	size_t n = 0;

	(void)state;
	open_through(&t, lab_tcp);
	assert_int_equal(send(t.in[0], "before", 6, 0), 6);
	assert_int_equal(send(t.in[0], "!", 1, MSG_OOB), 1);
	assert_int_equal(send(t.in[0], "after", 5, 0), 5);
	shutdown(t.in[0], SHUT_WR);
	run_until(&t.s, &t.s.ended);
	while (n < 11) {
		ssize_t r = recv(t.out[0], got + n, sizeof(got) - n, 0);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	assert_int_equal(n, 11);
	assert_memory_equal(got, "beforeafter", 11);
	assert_false(t.s.failed);
	close_through(&t);
}

static void test_where_splice_cannot_be_used_it_says_so_and_loses_nothing(void **state)
{
	struct through t;
	uint8_t back[8];
	int append = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);

	(void)state;
	open_through(&t, lab_tcp);
	/* a descriptor that may only append takes no splice: EINVAL */
	t.s.to = append;
	assert_int_equal(send(t.in[0], "octets", 6, 0), 6);
	run_until(&t.s, &t.s.impossible);
	assert_false(t.s.broken);
	assert_int_equal(t.s.pending, 6);
	assert_int_equal(sotto_splice_take_back(&t.s, back, 4), 4);
	assert_int_equal(sotto_splice_take_back(&t.s, back + 4, 4), 2);
	assert_memory_equal(back, "octets", 6);
	assert_int_equal(sotto_splice_take_back(&t.s, back, 4), 0);
	close(append);
	close_through(&t);
}

static void test_without_descriptors_it_says_so(void **state)
{
	struct rlimit was, none;
	struct sotto_splice s;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(sotto_splice_open(&s, 0, 1), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	sotto_splice_close(&s);
	sotto_splice_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_octet_passes_and_then_the_end),
		cmocka_unit_test(test_a_slow_reader_stops_the_reading),
		cmocka_unit_test(test_a_reset_is_no_end),
		cmocka_unit_test(test_a_dead_reader_does_not_kill_us_nor_stop_the_writer),
		cmocka_unit_test(test_an_urgent_octet_is_skipped_and_what_follows_passes),
		cmocka_unit_test(test_where_splice_cannot_be_used_it_says_so_and_loses_nothing),
		cmocka_unit_test(test_without_descriptors_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
