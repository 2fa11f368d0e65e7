/* SPDX-License-Identifier: ISC */
/* counters.h's promises: what was counted is read again, whatever else stands in the file; the files stay small; many may count at once. */
#include "tests/unit/folder-lab.h"

#include "core/runtime/counters.h"

struct seen {
	unsigned n;
	uint64_t sent;
	struct sotto_counted last;
};

static void take(void *arg, const struct sotto_counted *c)
{
	struct seen *s = arg;

	s->n++;
	s->sent += c->sent;
	s->last = *c;
}

static const struct sotto_counted one = { .adapter = SOTTO_COUNTED_POSTFIX, .inbound = true, .outcome = SOTTO_COUNTED_SEALED, .cause = 14,
					  .flags = SOTTO_COUNTED_LOST | SOTTO_COUNTED_CUT, .exchange_ms = 7, .duration_ms = 70000,
					  .at = 1700000000, .sent = 1ULL << 40, .received = 1 };

static void add(unsigned n)
{
	struct sotto_counted c = one;

	c.sent = 1;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(sotto_counters_add(lab_dir, &c), 0);
}

static unsigned count(void)
{
	struct seen s = { 0 };
	int rc = sotto_counters_read(lab_dir, NULL, take, &s);

	assert_true(rc == 0 || rc == -ENOENT);
	return s.n;
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(lab_path(name), &st) == 0 ? st.st_size : -1;
}

static void what_was_counted_is_read_again(void **state)
{
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(sotto_counters_read(lab_dir, NULL, take, &s), -ENOENT);
	assert_int_equal(sotto_counters_add(lab_dir, &one), 0);
	assert_int_equal(sotto_counters_read(lab_dir, NULL, take, &s), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.last.adapter, one.adapter);
	assert_true(s.last.inbound);
	assert_int_equal(s.last.outcome, one.outcome);
	assert_int_equal(s.last.cause, one.cause);
	assert_int_equal(s.last.flags, one.flags);
	assert_int_equal(s.last.exchange_ms, 7);
	assert_int_equal(s.last.duration_ms, 70000);
	assert_int_equal(s.last.at, one.at);
	assert_true(s.last.sent == one.sent);
	assert_int_equal(s.last.received, 1);
	assert_int_equal(size_of("counters"), SOTTO_COUNTERS_RECORD);
}

static void what_could_not_be_read_is_not_written(void **state)
{
	struct sotto_counted c = one;

	(void)state;
	c.at = 0;
	assert_int_equal(sotto_counters_add(lab_dir, &c), -EINVAL);
	c = one;
	c.outcome = SOTTO_COUNTED_OUTCOMES;
	assert_int_equal(sotto_counters_add(lab_dir, &c), -EINVAL);
	assert_false(lab_exists("counters"));
}

/* A full disk cut a record off; a later release writes another format; somebody edited the file. */
static void several_are_written_as_one(void **state)
{
	struct sotto_counted all[SOTTO_COUNTERS_AT_ONCE + 1];
	struct seen s = { 0 };

	(void)state;
	for (unsigned i = 0; i <= SOTTO_COUNTERS_AT_ONCE; i++) {
		all[i] = one;
		all[i].sent = i;
	}
	assert_int_equal(sotto_counters_add_all(lab_dir, all, SOTTO_COUNTERS_AT_ONCE + 1), -EINVAL);
	assert_int_equal(sotto_counters_add_all(lab_dir, all, 0), 0);
	all[1].at = 0;
	assert_int_equal(sotto_counters_add_all(lab_dir, all, 2), -EINVAL);
	assert_false(lab_exists("counters"));
	all[1].at = one.at;
	assert_int_equal(sotto_counters_add_all(lab_dir, all, SOTTO_COUNTERS_AT_ONCE), 0);
	assert_int_equal(sotto_counters_read(lab_dir, NULL, take, &s), 0);
	assert_int_equal(s.n, SOTTO_COUNTERS_AT_ONCE);
	assert_int_equal(s.sent, SOTTO_COUNTERS_AT_ONCE * (SOTTO_COUNTERS_AT_ONCE - 1) / 2);
	assert_int_equal(s.last.sent, SOTTO_COUNTERS_AT_ONCE - 1);
}

static void what_is_odd_costs_no_other_record(void **state)
{
	char file[16 * SOTTO_COUNTERS_RECORD];
	size_t n;

	(void)state;
	add(3);
	n = lab_get("counters", file, sizeof(file));
	for (size_t cut = 1; cut < SOTTO_COUNTERS_RECORD; cut++) {
		lab_put("counters", file, n - cut);
		add(2);
		assert_int_equal(count(), 4);
	}
	for (size_t i = 0; i < SOTTO_COUNTERS_RECORD; i++) {
		file[SOTTO_COUNTERS_RECORD + i] ^= 1;
		lab_put("counters", file, n);
		assert_int_equal(count(), 2);
		file[SOTTO_COUNTERS_RECORD + i] ^= 1;
	}
}

static void where_there_can_be_no_file_nothing_happens(void **state)
{
	(void)state;
	for (int i = 0; i < LAB_ODD_THINGS; i++) {
		lab_put("elsewhere", "x", 1);
		lab_odd_thing("counters", i, lab_path("elsewhere"));
		assert_true(sotto_counters_add(lab_dir, &one) < 0);
		assert_int_equal(size_of("elsewhere"), 1);
		(void)remove(lab_path("counters"));
	}
	assert_int_equal(sotto_counters_add("/nothing/there", &one), -ENOENT);
}

static void a_mark_leads_to_what_is_new(void **state)
{
	struct sotto_counters_mark mark = { 0 };
	struct seen s = { 0 };

	(void)state;
	add(3);
	assert_int_equal(sotto_counters_read(lab_dir, &mark, take, &s), 0);
	assert_int_equal(s.n, 3);
	add(2);
	assert_int_equal(rename(lab_path("counters"), lab_path("counters.1")), 0);
	add(1);
	assert_int_equal(sotto_counters_read(lab_dir, &mark, take, &s), 0);
	assert_int_equal(s.n, 6);
	assert_int_equal(sotto_counters_read(lab_dir, &mark, take, &s), 0);
	assert_int_equal(s.n, 6);
	/* the marked file is gone: everything is new */
	mark.file++;
	assert_int_equal(sotto_counters_read(lab_dir, &mark, take, &s), 0);
	assert_int_equal(s.n, 12);
}

/* A file of this many records, made without writing each. */
static void fill(unsigned records)
{
	static char block[1024 * SOTTO_COUNTERS_RECORD];
	int fd;

	add(1);
	(void)lab_get("counters", block, SOTTO_COUNTERS_RECORD);
	for (unsigned i = 1; i < 1024; i++)
		memcpy(block + i * SOTTO_COUNTERS_RECORD, block, SOTTO_COUNTERS_RECORD);
	fd = open(lab_path("counters"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	for (; records >= 1024; records -= 1024)
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(write(fd, block, records * SOTTO_COUNTERS_RECORD), records * SOTTO_COUNTERS_RECORD);
	close(fd);
}

#define BOUND (SOTTO_COUNTERS_BOUND / SOTTO_COUNTERS_RECORD)

static void over_the_bound_a_new_file_begins(void **state)
{
	(void)state;
	fill(BOUND - 2);
	add(1);
	assert_false(lab_exists("counters.1"));
	add(1);
	assert_int_equal(size_of("counters.1"), SOTTO_COUNTERS_BOUND);
	assert_false(lab_exists("counters"));
	assert_int_equal(count(), BOUND);
	add(5);
	assert_int_equal(count(), BOUND + 5);
}

/* Whoever was to make room has been killed: the next edge is not far. */
static void a_missed_bound_is_made_up_for(void **state)
{
	(void)state;
	fill(BOUND + 10);
	add(65536 / SOTTO_COUNTERS_RECORD);
	assert_true(lab_exists("counters.1"));
	assert_true(size_of("counters") < SOTTO_COUNTERS_BOUND);
}

static void many_count_at_once_and_none_is_lost(void **state)
{
	enum { PROCESSES = 8, EACH = 500 };

	(void)state;
	fill(BOUND - 1000);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid > 0)
			continue;
		for (unsigned k = 0; k < EACH; k++)
			if (sotto_counters_add(lab_dir, &one) != 0)
				_exit(1);
		_exit(0);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status = -1;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_true(lab_exists("counters.1"));
	assert_int_equal(count(), BOUND - 1000 + PROCESSES * EACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(what_was_counted_is_read_again),
		lab_test(what_could_not_be_read_is_not_written),
		lab_test(several_are_written_as_one),
		lab_test(what_is_odd_costs_no_other_record),
		lab_test(where_there_can_be_no_file_nothing_happens),
		lab_test(a_mark_leads_to_what_is_new),
		lab_test(over_the_bound_a_new_file_begins),
		lab_test(a_missed_bound_is_made_up_for),
		lab_test(many_count_at_once_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
