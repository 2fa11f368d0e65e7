/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-random.c - random octets come from getrandom(2) or not at all.
 *
 * Each hostile place is a child process: no /dev, no free descriptor, no getrandom.
 * test-crypto-random-short.c has what the kernel cannot be made to do.
 */
#include "tests/unit/vectors-hex.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/crypto/random.h"

static void draws_differ_and_fill_all_of_a_large_buffer(void **state)
{
	static uint8_t big[1 << 20];
	uint8_t a[32], b[32], guard[3] = { 7, 0, 7 };
	size_t zeroes = 0;

	(void)state;
	assert_int_equal(sotto_random(a, sizeof(a)), 0);
	assert_int_equal(sotto_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(sotto_random(big, sizeof(big)), 0);
	for (size_t i = 0; i < sizeof(big); i++)
		zeroes += big[i] == 0;
	assert_in_range(zeroes, 3500, 4700); /* 4096 expected, the deviation is 64 */
	assert_int_equal(sotto_random(guard + 1, 1), 0);
	assert_int_equal(guard[0], 7);
	assert_int_equal(guard[2], 7);
	assert_int_equal(sotto_random(NULL, 0), 0);
}

/* What a child saw, through a pipe. */
struct report {
	int prepared; /* could the hostile place be made? */
	int result;
	uint8_t drawn[32];
};

static struct report in_child(int (*prepare)(void))
{
	struct report report = { 0 };
	int ends[2];
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		memset(report.drawn, 0xaa, sizeof(report.drawn));
		report.prepared = prepare();
		report.result = sotto_random(report.drawn, sizeof(report.drawn));
		_exit(write(ends[1], &report, sizeof(report)) == sizeof(report) ? 0 : 1);
	}
	assert_int_equal(read(ends[0], &report, sizeof(report)), sizeof(report));
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ends[0]);
	close(ends[1]);
	return report;
}

static int nothing(void)
{
	return 0;
}

static int no_getrandom(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static char empty[] = "/tmp/sotto-empty-XXXXXX";

static int no_dev(void)
{
	return chroot(empty) == 0 && chdir("/") == 0 && access("/dev", F_OK) != 0 ? 0 : -1;
}

static int no_descriptor(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	limit.rlim_cur = 0;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static void two_children_draw_different_octets(void **state)
{
	uint8_t own[32];
	struct report a, b;

	(void)state;
	/* Had there been a state to inherit, it would be there now. */
	assert_int_equal(sotto_random(own, sizeof(own)), 0);
	a = in_child(nothing);
	b = in_child(nothing);
	assert_int_equal(a.result, 0);
	assert_int_equal(b.result, 0);
	assert_memory_not_equal(a.drawn, b.drawn, sizeof(a.drawn));
	assert_int_equal(sotto_random(own, sizeof(own)), 0);
	assert_memory_not_equal(a.drawn, own, sizeof(own));
	assert_memory_not_equal(b.drawn, own, sizeof(own));
}

static void without_getrandom_there_is_an_error_and_no_octet(void **state)
{
	struct report report = in_child(no_getrandom);

	(void)state;
	assert_int_equal(report.prepared, 0);
	assert_int_equal(report.result, SOTTO_ERR_RANDOM);
	assert_all(report.drawn, sizeof(report.drawn), 0);
}

static void assert_drawn(const struct report *report)
{
	static const uint8_t zero[32], untouched[32] = { [0 ... 31] = 0xaa };

	assert_int_equal(report->result, 0);
	assert_memory_not_equal(report->drawn, zero, sizeof(zero));
	assert_memory_not_equal(report->drawn, untouched, sizeof(untouched));
}

static void in_a_chroot_without_dev_it_works(void **state)
{
	struct report a, b;

	(void)state;
	assert_non_null(mkdtemp(empty));
	a = in_child(no_dev);
	b = in_child(no_dev);
	assert_int_equal(rmdir(empty), 0);
	if (a.prepared != 0) {
		printf("NOT RUN: random octets in a chroot (only root may make one)\n");
		skip();
	}
	assert_drawn(&a);
	assert_drawn(&b);
	assert_memory_not_equal(a.drawn, b.drawn, sizeof(a.drawn));
}

static void without_a_free_descriptor_it_works(void **state)
{
	struct report report = in_child(no_descriptor);

	(void)state;
	assert_int_equal(report.prepared, 0);
	assert_drawn(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_differ_and_fill_all_of_a_large_buffer),
		cmocka_unit_test(two_children_draw_different_octets),
		cmocka_unit_test(without_getrandom_there_is_an_error_and_no_octet),
		cmocka_unit_test(in_a_chroot_without_dev_it_works),
		cmocka_unit_test(without_a_free_descriptor_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
