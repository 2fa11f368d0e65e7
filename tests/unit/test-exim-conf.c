/* SPDX-License-Identifier: ISC */
/* The hints out of sotto.conf: off only without doubt, skip at any mention; and whether a list has entries. */
#include "tests/unit/exim-lab.h"

#include "plugins/exim/conf.h"

static struct sotto_hints hints(const char *text)
{
	char path[128];

	lab_write(lab_dir, "sotto.conf", text);
	(void)snprintf(path, sizeof(path), "%s/sotto.conf", lab_dir);
	return sotto_hints_read(path);
}

static void off_is_off_when_it_is_said_without_doubt(void **state)
{
	(void)state;
	assert_true(hints("[sotto]\nmode = off\n").off);
	assert_true(hints("# a comment\n[sotto]\n; another\nmode=off ; for now\npadding = on\n").off);
	assert_true(hints("[sotto]\r\nmode = off\r\n").off);
}

static void a_file_that_is_odd_is_not_off(void **state)
{
	static const char *const odd[] = {
		"", "mode = off\n", "[other]\nmode = off\n", "[sotto]\nmode = of\n", "[sotto]\nmode = off off\n",
		"[sotto]\nmode = off\nmode = opportunistic\n", "[sotto]\nmode = opportunistic\nmode = off\n",
		"[sotto]\nmode = off\nmode = off\n", "[sotto]\n;mode = off\n", "[sotto]\nmode = off\nwhat is this\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_false(hints(odd[i]).off);
}

static void any_mention_of_skip_is_skip(void **state)
{
	(void)state;
	assert_true(hints("[sotto]\nstarttls = skip\n").skip);
	assert_true(hints("starttls=skip\n").skip);
	assert_true(hints("[sotto]\nSTARTTLS = Skip it\n").skip);
	assert_false(hints("[sotto]\nstarttls = keep\n").skip);
	assert_false(hints("[sotto]\n; starttls = skip\n").skip);
}

static void what_is_missing_too_long_or_no_file_says_nothing(void **state)
{
	static char text[20000];
	char path[128];

	(void)state;
	assert_false(sotto_hints_read("/nonexistent/sotto.conf").off);
	memset(text, '\n', sizeof(text) - 1);
	memcpy(text, "[sotto]\nmode = off\n", 19);
	assert_false(hints(text).off);
	(void)snprintf(path, sizeof(path), "%s/fifo", lab_dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(sotto_hints_read(path).off);
}

static bool entries(const char *text)
{
	char path[128];

	lab_write(lab_dir, "require", text);
	(void)snprintf(path, sizeof(path), "%s/require", lab_dir);
	return sotto_list_has_entries(path);
}

static void a_list_has_entries_where_a_line_is_more_than_a_comment(void **state)
{
	(void)state;
	assert_false(entries(""));
	assert_false(entries("# example.org\n\n   # example.net"));
	assert_true(entries("example.org"));
	assert_true(entries("# comment\n \texample.org # here\n"));
}

static void a_missing_list_has_none_and_an_unreadable_one_may_have(void **state)
{
	(void)state;
	assert_false(sotto_list_has_entries("/nonexistent/require"));
	assert_true(sotto_list_has_entries("/"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_is_off_when_it_is_said_without_doubt),
		cmocka_unit_test(a_file_that_is_odd_is_not_off),
		cmocka_unit_test(any_mention_of_skip_is_skip),
		cmocka_unit_test(what_is_missing_too_long_or_no_file_says_nothing),
		cmocka_unit_test(a_list_has_entries_where_a_line_is_more_than_a_comment),
		cmocka_unit_test(a_missing_list_has_none_and_an_unreadable_one_may_have),
	};
	int rc;

	(void)argc;
	(void)argv;
	lab_begin();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	lab_end();
	return rc;
}
