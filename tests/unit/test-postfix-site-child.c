/* SPDX-License-Identifier: ISC */
/* site-child.h's promises: what a child says, however it ends, comes out once, in bounded time, and nothing of it is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "plugins/postfix-policy/site-child.h"

#define GENEROUS_S 20

struct result {
	unsigned calls;
	int error, status;
	size_t len;
	char out[256], err[2048];
};

static void on_done(void *arg, const struct sotto_child_end *end)
{
	struct result *r = arg;

	r->calls++;
	r->error = end->error;
	r->status = end->status;
	r->len = end->out_len;
	(void)snprintf(r->out, sizeof(r->out), "%s", end->out);
	(void)snprintf(r->err, sizeof(r->err), "%s", end->err);
}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static struct result run(const char *path, const char *script, const char *input, size_t len, size_t limit, unsigned ms)
{
	const char *argv[] = { path, "-c", script, NULL }, *env[] = { "PATH=/usr/bin:/bin", NULL };
	struct sotto_child_job job = { .argv = argv, .env = env, .input = input, .input_len = len, .limit = limit, .timeout_ms = ms };
	struct event_base *base = event_base_new();
	unsigned fds = count_fds();
	struct result r = { .calls = 0 };
	time_t end = time(NULL) + GENEROUS_S;

	assert_non_null(sotto_child_start(base, &job, on_done, &r));
	assert_int_equal(r.calls, 0);
	while (r.calls == 0) {
		assert_true(time(NULL) < end);
		event_base_loop(base, EVLOOP_ONCE);
	}
	assert_int_equal(count_fds(), fds);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(r.calls, 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	event_base_free(base);
	return r;
}

static void what_goes_in_comes_out(void **state)
{
	size_t len = 300000;
	char *text = malloc(len);
	struct result r;

	(void)state;
	memset(text, 'x', len);
	r = run("/bin/sh", "cat; echo fatal >&2; exit 3", text, len, len, 10000);
	free(text);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 3);
	assert_int_equal(r.len, len);
	assert_string_equal(r.err, "fatal\n");
}

static void input_that_nobody_reads_is_no_failure(void **state)
{
	static char text[300000];
	struct result r;

	(void)state;
	r = run("/bin/sh", "exec <&-; echo done", text, sizeof(text), 100, 10000);
	assert_int_equal(r.error, 0);
	assert_string_equal(r.out, "done\n");
}

static void a_hanging_child_and_its_children_are_over_in_time(void **state)
{
	struct result r = run("/bin/sh", "sleep 300 & sleep 300", "", 0, 100, 100);

	(void)state;
	assert_int_equal(r.error, ETIME);
}

static void a_child_left_open_behind_does_not_hold_up_the_answer(void **state)
{
	struct result r = run("/bin/sh", "sleep 2 & echo here", "", 0, 100, 10000);

	(void)state;
	assert_int_equal(r.error, 0);
	assert_string_equal(r.out, "here\n");
}

static void too_much_is_an_error(void **state)
{
	struct result r = run("/bin/sh", "while :; do echo yyyyyyyyyyyyyyyyyy; done", "", 0, 5000, 10000);

	(void)state;
	assert_int_equal(r.error, EFBIG);
	assert_true(r.len <= 5000);
}

static void the_end_of_long_complaints_is_kept(void **state)
{
	struct result r = run("/bin/sh", "i=0; while [ $i -lt 500 ]; do echo warning $i >&2; i=$((i+1)); done; echo fatal: this >&2", "", 0, 10, 10000);

	(void)state;
	assert_non_null(strstr(r.err, "fatal: this\n"));
}

static void no_program_and_no_success_are_told_apart(void **state)
{
	struct result r = run("/nowhere/at/all", "", "", 0, 10, 10000);

	(void)state;
	assert_int_equal(r.error, ENOENT);
	r = run("/bin/sh", "kill -9 $$", "", 0, 10, 10000);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 128 + 9);
}

static void a_cancelled_child_says_nothing(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "sleep 300", NULL }, *env[] = { "PATH=/usr/bin:/bin", NULL };
	struct sotto_child_job job = { .argv = argv, .env = env, .limit = 10, .timeout_ms = 10000 };
	struct event_base *base = event_base_new();
	struct result r = { .calls = 0 };

	(void)state;
	sotto_child_cancel(sotto_child_start(base, &job, on_done, &r));
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(r.calls, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out), cmocka_unit_test(input_that_nobody_reads_is_no_failure),
		cmocka_unit_test(a_hanging_child_and_its_children_are_over_in_time),
		cmocka_unit_test(a_child_left_open_behind_does_not_hold_up_the_answer), cmocka_unit_test(too_much_is_an_error),
		cmocka_unit_test(the_end_of_long_complaints_is_kept), cmocka_unit_test(no_program_and_no_success_are_told_apart),
		cmocka_unit_test(a_cancelled_child_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
