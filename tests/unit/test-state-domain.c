/* SPDX-License-Identifier: ISC */
/* state-domain.h's promises: how long what is believed of a domain, and how few files are written for it. */
#include "tests/unit/folder-lab.h"

#include "core/runtime/state-domain.h"
#include "core/runtime/state.h"

#define T0 1800000000
#define HOUR 3600

static enum sotto_domain_offer at(const struct sotto_domain_state *s, int64_t now)
{
	return sotto_domain_state_now(s, now);
}

/* ---- what is believed ---- */

static void a_yes_is_believed_for_a_day(void **state)
{
	struct sotto_domain_state s = { 0 };

	(void)state;
	assert_int_equal(at(&s, T0), SOTTO_DOMAIN_UNKNOWN);
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_UNKNOWN, T0);
	assert_int_equal(s.seen, 0);
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_YES, T0);
	assert_int_equal(at(&s, T0), SOTTO_DOMAIN_YES);
	assert_int_equal(at(&s, T0 + 24 * HOUR - 1), SOTTO_DOMAIN_YES);
	assert_int_equal(at(&s, T0 + 24 * HOUR), SOTTO_DOMAIN_UNKNOWN);
	assert_int_equal(at(&s, T0 - 1), SOTTO_DOMAIN_UNKNOWN);
}

static void each_no_lasts_twice_as_long_up_to_7_days(void **state)
{
	static const int hours[] = { 1, 2, 4, 8, 16, 32, 64, 128, 168, 168, 168 };
	struct sotto_domain_state s = { 0 };
	int64_t now = T0;

	(void)state;
	for (unsigned i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
		sotto_domain_state_apply(&s, SOTTO_DOMAIN_NO, now);
		assert_int_equal(s.noes, i + 1);
		assert_int_equal(at(&s, now + (int64_t)hours[i] * HOUR - 1), SOTTO_DOMAIN_NO);
		now += (int64_t)hours[i] * HOUR;
		assert_int_equal(at(&s, now), SOTTO_DOMAIN_UNKNOWN);
	}
	s.noes = 1000000;
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_NO, now);
	assert_int_equal(s.noes, 1000000);
	assert_int_equal(s.until, now + SOTTO_DOMAIN_NO_MAX_S);
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_YES, now);
	assert_int_equal(s.noes, 0);
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_NO, now);
	assert_int_equal(s.until, now + HOUR);
}

/* Twenty connections that find out at once are one no. */
static void a_no_while_one_is_in_force_does_not_double(void **state)
{
	struct sotto_domain_state s = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		sotto_domain_state_apply(&s, SOTTO_DOMAIN_NO, T0 + i);
	assert_int_equal(s.noes, 1);
	assert_int_equal(s.until, T0 + HOUR);
	assert_int_equal(s.seen, T0 + 19);
}

static void what_lies_too_far_in_the_future_is_over(void **state)
{
	struct sotto_domain_state s = { 0 };

	(void)state;
	sotto_domain_state_apply(&s, SOTTO_DOMAIN_NO, T0);
	assert_int_equal(at(&s, T0), SOTTO_DOMAIN_NO);
	assert_int_equal(at(&s, T0 - 1), SOTTO_DOMAIN_UNKNOWN);
	assert_int_equal(at(&s, T0 - 1000 * HOUR), SOTTO_DOMAIN_UNKNOWN);
}

/* ---- the file ---- */

static void what_was_saved_comes_back(void **state)
{
	static const struct sotto_domain_state states[] = {
		{ SOTTO_DOMAIN_YES, T0, T0 + 24 * HOUR, 0 }, { SOTTO_DOMAIN_NO, T0, T0 + HOUR, 1 }, { SOTTO_DOMAIN_NO, T0, T0 + 7, 1000000 },
	};
	struct sotto_domain_state got;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sotto_domain_save(lab_dir, "Example.ORG.", &states[i]), 0);
		sotto_domain_load(lab_dir, "example.org", &got);
		assert_memory_equal(&got, &states[i], sizeof(got));
		assert_true(lab_exists("domains/example.org"));
		assert_int_equal(lab_count("domains"), 1);
	}
	sotto_domain_load(lab_dir, "example.net", &got);
	assert_int_equal(got.offer, SOTTO_DOMAIN_UNKNOWN);
	assert_int_equal(got.seen, 0);
}

static void what_could_not_be_read_again_is_not_written(void **state)
{
	static const struct sotto_domain_state states[] = {
		{ SOTTO_DOMAIN_UNKNOWN, T0, T0 + 1, 0 }, { SOTTO_DOMAIN_YES, T0, T0 + 1, 1 }, { SOTTO_DOMAIN_NO, T0, T0 + 1, 0 },
		{ SOTTO_DOMAIN_NO, -1, T0 + 1, 1 }, { SOTTO_DOMAIN_NO, T0, T0 + 1, 1000001 },
	};
	static const char *const names[] = { "", "../x", "[192.0.2.1]", "a/b", ".x" };

	(void)state;
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		assert_int_equal(sotto_domain_save(lab_dir, "example.org", &states[i]), -EINVAL);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sotto_domain_state got = { .noes = 7 };

		assert_int_equal(sotto_domain_note(lab_dir, names[i], SOTTO_DOMAIN_YES, T0), -EINVAL);
		sotto_domain_load(lab_dir, names[i], &got);
		assert_int_equal(got.noes, 0);
	}
	assert_false(lab_exists("domains"));
}

static void a_file_changed_or_cut_off_anywhere_is_absent(void **state)
{
	struct sotto_domain_state got;
	char text[512];
	size_t n;

	(void)state;
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, T0), 0);
	n = lab_get("domains/example.org", text, sizeof(text));
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 1;
		lab_put("domains/example.org", text, n);
		text[i] ^= 1;
		sotto_domain_load(lab_dir, "example.org", &got);
		assert_int_equal(got.offer, SOTTO_DOMAIN_UNKNOWN);
		lab_put("domains/example.org", text, i);
		sotto_domain_load(lab_dir, "example.org", &got);
		assert_int_equal(got.offer, SOTTO_DOMAIN_UNKNOWN);
	}
	lab_put("domains/example.org", text, n);
	sotto_domain_load(lab_dir, "example.org", &got);
	assert_int_equal(got.offer, SOTTO_DOMAIN_NO);
	for (int which = 0; which < LAB_ODD_THINGS; which++) {
		lab_odd_thing("domains/example.org", which, "/etc/passwd");
		sotto_domain_load(lab_dir, "example.org", &got);
		assert_int_equal(got.offer, SOTTO_DOMAIN_UNKNOWN);
	}
}

/* ---- notes ---- */

/* Notes, and says whether a new file has come into the folder. */
static bool written_at(enum sotto_domain_offer what, int64_t now)
{
	struct stat before = { 0 }, after = { 0 };

	(void)stat(lab_path("domains/example.org"), &before);
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", what, now), 0);
	(void)stat(lab_path("domains/example.org"), &after);
	return before.st_ino != after.st_ino;
}

static void only_news_is_written(void **state)
{
	(void)state;
	assert_false(written_at(SOTTO_DOMAIN_UNKNOWN, T0));
	assert_true(written_at(SOTTO_DOMAIN_YES, T0));
	assert_false(written_at(SOTTO_DOMAIN_YES, T0 + 1));
	assert_false(written_at(SOTTO_DOMAIN_YES, T0 + HOUR));
	assert_true(written_at(SOTTO_DOMAIN_YES, T0 + HOUR + 1));	/* renewed */
	assert_true(written_at(SOTTO_DOMAIN_YES, T0));			/* the clock was set back */
	assert_true(written_at(SOTTO_DOMAIN_NO, T0 + 2));
	assert_false(written_at(SOTTO_DOMAIN_NO, T0 + 3));
	assert_false(written_at(SOTTO_DOMAIN_NO, T0 + HOUR + 1));
	assert_true(written_at(SOTTO_DOMAIN_NO, T0 + HOUR + 2));	/* the first one was over */
	assert_true(written_at(SOTTO_DOMAIN_YES, T0 + HOUR + 3));
}

static int note_without_rights(void *arg)
{
	(void)arg;
	lab_may_not_write();
	return -sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, T0);
}

static int note_on_a_full_disk(void *arg)
{
	(void)arg;
	lab_disk_is_full_after(3);
	return -sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, T0);
}

static void what_cannot_be_written_leaves_the_file_as_it_was(void **state)
{
	struct sotto_domain_state got;

	(void)state;
	assert_int_equal(sotto_domain_note(lab_path("nowhere"), "example.org", SOTTO_DOMAIN_YES, T0), -ENOENT);
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_YES, T0), 0);
	assert_int_equal(lab_run(note_on_a_full_disk, NULL), ENOSPC);
	assert_int_equal(lab_run(note_without_rights, NULL), EACCES);
	sotto_domain_load(lab_dir, "example.org", &got);
	assert_int_equal(got.offer, SOTTO_DOMAIN_YES);
	assert_int_equal(lab_count("domains"), 1);
}

static void of_too_many_domains_the_oldest_go(void **state)
{
	char name[64];
	int folder;

	(void)state;
	assert_int_equal(sotto_domain_note(lab_dir, "oldest.example", SOTTO_DOMAIN_YES, T0), 0);
	lab_age("domains/oldest.example", 86400);
	folder = open(lab_path("domains"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < SOTTO_STATE_FILES; i++) {
		(void)snprintf(name, sizeof(name), "d%d.example", i);
		close(openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	close(folder);
	/* one new file in 256 looks: that none of 10,000 does is less likely than that this machine breaks */
	for (int i = 0; i < 10000 && lab_exists("domains/oldest.example"); i++) {
		(void)snprintf(name, sizeof(name), "new%d.example", i);
		assert_int_equal(sotto_domain_note(lab_dir, name, SOTTO_DOMAIN_NO, T0), 0);
	}
	assert_false(lab_exists("domains/oldest.example"));
	assert_in_range(lab_count("domains"), 1, SOTTO_STATE_FILES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(a_yes_is_believed_for_a_day),
		lab_test(each_no_lasts_twice_as_long_up_to_7_days),
		lab_test(a_no_while_one_is_in_force_does_not_double),
		lab_test(what_lies_too_far_in_the_future_is_over),
		lab_test(what_was_saved_comes_back),
		lab_test(what_could_not_be_read_again_is_not_written),
		lab_test(a_file_changed_or_cut_off_anywhere_is_absent),
		lab_test(only_news_is_written),
		lab_test(what_cannot_be_written_leaves_the_file_as_it_was),
		lab_test(of_too_many_domains_the_oldest_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
