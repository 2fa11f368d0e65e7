/* SPDX-License-Identifier: ISC */
/* pair.h's promises: two ends of one connection of our own, ready for use; a stranger's connection is not taken. */
#include "tests/unit/exim-lab.h"

#include <netinet/tcp.h>

/* The connection of a stranger is there before ours: accept4 in pair.c is this one. */
static int stranger = -1, strangers;

static int meddling_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	struct sockaddr_storage at;
	socklen_t at_len = sizeof(at);

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (strangers > 0) {
		/* ours is first in the queue: it is put behind, as if the stranger had come first */
		strangers--;
		(void)getsockname(fd, (struct sockaddr *)&at, &at_len);
		stranger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)connect(stranger, (struct sockaddr *)&at, at_len);
		*len = sizeof(struct sockaddr_in);
		(void)getsockname(stranger, peer, len);
		return dup(stranger);
	}
	return accept4(fd, peer, len, flags);
}

#define accept4 meddling_accept4
#include "plugins/exim/pair.c"	/* NOLINT(bugprone-suspicious-include) */
#undef accept4

static int64_t soon(void)
{
	return sotto_now_ms() + LAB_PATIENCE_MS;
}

static void it_is_one_connection_ready_for_use(void **state)
{
	int p[2], value = 0;
	socklen_t len = sizeof(value);

	(void)state;
	assert_int_equal(sotto_pair(p, soon()), 0);
	lab_assert_joined(p[0], p[1]);
	lab_assert_joined(p[1], p[0]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(p[i], F_GETFL) & O_NONBLOCK, 0);
		assert_int_equal(fcntl(p[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		assert_int_equal(getsockopt(p[i], IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
		assert_int_not_equal(value, 0);
		close(p[i]);
	}
}

/* Kernel memory for a peer that sends and does not read is bounded here, whatever tcp_rmem and tcp_wmem allow. */
static void what_nobody_reads_is_soon_taken_no_more(void **state)
{
	static char block[65536];
	size_t taken = 0;
	ssize_t n;
	int p[2];

	(void)state;
	assert_int_equal(sotto_pair(p, soon()), 0);
	while (taken <= 8U * BUFFER && (n = send(p[0], block, sizeof(block), MSG_DONTWAIT)) > 0)
		taken += (size_t)n;
	assert_in_range(taken, 1, 4 * BUFFER);
	close(p[0]);
	close(p[1]);
}

/* Exim's getsockname wants an Internet socket. */
static void both_ends_are_on_loopback(void **state)
{
	struct sockaddr_storage a;
	int p[2];

	(void)state;
	assert_int_equal(sotto_pair(p, soon()), 0);
	for (int i = 0; i < 2; i++) {
		lab_peer(&a, p[i]);
		assert_int_equal(a.ss_family, AF_INET);
		assert_true(sotto_addr_loopback(&a));
		close(p[i]);
	}
}

static void a_strangers_connection_is_not_taken(void **state)
{
	int before = lab_count_fds(), p[2];
	char octet;

	(void)state;
	strangers = 2;
	assert_int_equal(sotto_pair(p, soon()), 0);
	assert_int_equal(strangers, 0);
	lab_assert_joined(p[0], p[1]);
	lab_assert_joined(p[1], p[0]);
	assert_true(recv(stranger, &octet, 1, MSG_DONTWAIT) <= 0);
	close(p[0]);
	close(p[1]);
	assert_true(lab_count_fds() <= before + 2);	/* the stranger's own */
}

static void no_descriptor_left_means_failure_and_none_lost(void **state)
{
	struct rlimit limit, less;
	int before, p[2];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = lab_count_fds();
	for (rlim_t spare = 0; spare < 3; spare++) {
		int lowest = dup(0);

		close(lowest);
		less = limit;
		less.rlim_cur = (rlim_t)lowest + spare;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
		assert_int_equal(sotto_pair(p, soon()), -1);
		assert_int_equal(errno, EMFILE);
		assert_int_equal(p[0], -1);
		assert_int_equal(p[1], -1);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(lab_count_fds(), before);
	}
}

static void a_deadline_that_is_over_means_failure_and_none_lost(void **state)
{
	int before = lab_count_fds(), p[2];

	(void)state;
	assert_int_equal(sotto_pair(p, sotto_now_ms() - 1), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(lab_count_fds(), before);
}

/* In a network where lo is down. */
static void without_lo_there_is_none(void **state)
{
	int before = lab_count_fds(), p[2];

	(void)state;
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		printf("NOT RUN: no network of one's own to be had\n");
		return;
	}
	assert_int_equal(sotto_pair(p, sotto_now_ms() + 300), -1);
	assert_int_equal(lab_count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_one_connection_ready_for_use),
		cmocka_unit_test(what_nobody_reads_is_soon_taken_no_more),
		cmocka_unit_test(both_ends_are_on_loopback),
		cmocka_unit_test(a_strangers_connection_is_not_taken),
		cmocka_unit_test(no_descriptor_left_means_failure_and_none_lost),
		cmocka_unit_test(a_deadline_that_is_over_means_failure_and_none_lost),
		cmocka_unit_test(without_lo_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
