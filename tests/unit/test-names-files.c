/* SPDX-License-Identifier: ISC */
/*
 * names.h's promises about files: what is said of one that is wrong, and that everything else in it counts all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plugins/exim/conf.h"	/* sotto_list_has_entries: the look that the Exim plugin takes first */
#include "tests/unit/names-ask.h"

/* ---- wrong files ------------------------------------------------------------------------------------------- */

static void only_the_first_error_is_told_and_all_good_lines_count(void **state)
{
	static const char text[] = "example.net\nuser@example.org\n192.0.2.1/24\nexample.org\n";

	(void)state;
	assert_int_equal(domain_in(text, "example.org"), 1);
	assert_said(2, "not a name, an address or a network: 'user@example.org'");
	assert_int_equal(domain_in(text, "example.net"), 1);
	assert_said(2, "not a name, an address or a network: 'user@example.org'");
	assert_int_equal(domain_in(text, "example.com"), 0);
	assert_said(2, "not a name, an address or a network: 'user@example.org'");
}

static void an_overlong_line_counts_for_nobody_and_the_next_one_counts(void **state)
{
	char text[2 * SOTTO_NAMES_LINE + 64];

	(void)state;
	for (size_t len = SOTTO_NAMES_LINE - 1; len < 2 * SOTTO_NAMES_LINE; len++) {
		memset(text, ' ', len);
		memcpy(text, "example.net", 11);
		memcpy(text + len, "\r\nexample.org\n", 15);
		assert_int_equal(domain_in(text, "example.org"), 1);
		if (len <= SOTTO_NAMES_LINE)
			assert_string_equal(err, "");
		else
			assert_said(1, "a line of more than 512 octets");
		assert_int_equal(domain_in(text, "example.net"), len <= SOTTO_NAMES_LINE);
	}
}

static void the_end_of_an_overlong_line_is_no_entry(void **state)
{
	char text[SOTTO_NAMES_LINE + 64];

	(void)state;
	for (size_t len = SOTTO_NAMES_LINE - 16; len < SOTTO_NAMES_LINE + 8; len++) {
		memset(text, ' ', len);
		snprintf(text + len, sizeof(text) - len, "example.org");
		assert_int_equal(domain_in(text, "example.org"), len + 11 <= SOTTO_NAMES_LINE);
		assert_int_equal(err[0] != '\0', len + 11 > SOTTO_NAMES_LINE);
		memset(text, '#', len);
		assert_int_equal(domain_in(text, "example.org"), 0);
	}
}

static void a_nul_spoils_its_line_only(void **state)
{
	static const char text[] = "example.org\0\nexample.com\n\0example.net\nexample.edu#\0\n";

	(void)state;
	put_octets("list", text, sizeof(text) - 1);
	assert_int_equal(ask(in_dir("list"), "example.org", NULL, NULL), 0);
	assert_said(1, "a NUL octet");
	assert_int_equal(ask(in_dir("list"), "example.net", NULL, NULL), 0);
	assert_int_equal(ask(in_dir("list"), "example.edu", NULL, NULL), 0);
	assert_int_equal(ask(in_dir("list"), "example.com", NULL, NULL), 1);
}

static void an_error_has_no_control_characters_and_fits(void **state)
{
	struct sotto_who who = { .domain = "example.org" };
	char text[400], small[16] = "0123456789abcde";

	(void)state;
	domain_in("a\x1b[2Jb\n", "x");
	assert_said(1, "not a name, an address or a network: 'a?[2Jb'");
	memset(text, 'x', sizeof(text));
	text[399] = '\0';
	assert_int_equal(domain_in(text, "x"), 0);
	assert_true(strlen(err) < sizeof(err) - 1);
	assert_int_equal(sotto_names_match(in_dir("list"), &who, small, 8), 0);
	assert_int_equal(strlen(small), 7);
	assert_string_equal(small + 8, "89abcde");
	assert_int_equal(sotto_names_match(in_dir("list"), &who, NULL, 0), 0);
}

static void no_file_lists_nobody_without_a_word(void **state)
{
	(void)state;
	assert_no_match(ask(in_dir("missing"), "example.org", NULL, NULL));
	assert_no_match(domain_in("", "example.org"));
}

static void what_cannot_be_read_is_an_error(void **state)
{
	int rc;

	(void)state;
	assert_int_equal(mkdir(in_dir("list"), 0755), 0);
	assert_int_equal(ask(in_dir("list"), "example.org", NULL, NULL), -EISDIR);
	assert_said(0, "Is a directory");
	assert_true(sotto_list_has_entries(in_dir("list")));
	assert_int_equal(rmdir(in_dir("list")), 0);

	put("list", "example.org\n");
	assert_int_equal(chmod(in_dir("list"), 0), 0);
	become_nobody();
	rc = ask(in_dir("list"), "example.org", NULL, NULL);
	become_self();
	assert_int_equal(rc, -EACCES);
	assert_said(0, "Permission denied");

	put("file", "");
	assert_int_equal(ask(in_dir("file/list"), "example.org", NULL, NULL), -ENOTDIR);
}

static void a_fifo_is_no_file_and_nobody_waits_for_it(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_dir("list"), 0644), 0);
	assert_int_equal(ask(in_dir("list"), "example.org", NULL, NULL), -EINVAL);
	assert_said(0, "Not a regular file");
	assert_true(sotto_list_has_entries(in_dir("list")));
}

static void a_hundred_thousand_lines_are_read_to_the_last(void **state)
{
	FILE *f = fopen(in_dir("list"), "w");

	(void)state;
	assert_non_null(f);
	for (unsigned i = 0; i < 99999; i++)
		fprintf(f, i % 3 == 0 ? "host%u.example.net\n" : i % 3 == 1 ? "# %u\n" : "2001:db8::%x\n", i % 3 == 2 ? i % 65536 : i);
	fprintf(f, "example.org");
	assert_int_equal(fclose(f), 0);
	assert_matches(ask(in_dir("list"), "example.org", NULL, NULL));
	assert_matches(ask(in_dir("list"), "host3.example.net", NULL, NULL));
	assert_no_match(ask(in_dir("list"), "host4.example.net", NULL, NULL));
	assert_matches(ask(in_dir("list"), NULL, NULL, "2001:db8::5"));
	f = fopen(in_dir("list"), "a");
	assert_non_null(f);
	fprintf(f, "\n@");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(ask(in_dir("list"), "host3.example.net", NULL, NULL), 1);
	assert_said(100001, "not a name, an address or a network: '@'");
}

/* ---- the files that we ship, and the plugin's first look -------------------------------------------------------- */

static void the_files_as_installed_list_nobody(void **state)
{
	static const char *const files[] = { "packaging/conf/require", "packaging/conf/exclude" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(access(files[i], R_OK), 0);
		assert_no_match(ask(files[i], "example.org", "mx.example.org", "192.0.2.1"));
		assert_false(sotto_list_has_entries(files[i]));
	}
}

static void a_list_in_which_somebody_is_found_has_entries_to_the_plugin(void **state)
{
	static const char *const lists[] = { "example.org", "*", "# x\n\t*\n", "\xef\xbb\xbf*", "\r\n\r\n.org", "#\n#\n192.0.2.1#" };
	static const char *const empty[] = { "", "\n", "#", "# example.org", " \t\r\n#\n", "\n#*" };

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		assert_matches(ask(put("list", lists[i]), "example.org", NULL, "192.0.2.1"));
		assert_true(sotto_list_has_entries(in_dir("list")));
	}
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		assert_no_match(ask(put("list", empty[i]), "example.org", NULL, "192.0.2.1"));
		assert_false(sotto_list_has_entries(in_dir("list")));
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

/* ---- the names in it --------------------------------------------------------------------------------------- */

static void note(void *arg, const char *name)
{
	char *all = arg;

	strcat(all, name);
	strcat(all, " ");
}

static void each_whole_name_is_told_and_nothing_else(void **state)
{
	char all[512] = "", text[SOTTO_NAMES_LINE + 64];

	(void)state;
	sotto_names_each(in_dir("list"), note, all);
	assert_string_equal(all, "");
	memset(text, ' ', sizeof(text));
	(void)snprintf(text + SOTTO_NAMES_LINE, sizeof(text) - SOTTO_NAMES_LINE, "long.example\n Two.Example. # net\n*\n.below.example\n");
	sotto_names_each(put("list", text), note, all);
	assert_string_equal(all, "Two.Example. ");
	all[0] = '\0';
	sotto_names_each(put("list", "\xef\xbb\xbf" "one.example\r\n192.0.2.1\n2001:db8::/32\n*.x.example\nan error\n\n#no.example\nhost"), note, all);
	assert_string_equal(all, "one.example host ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_the_first_error_is_told_and_all_good_lines_count),
		T(an_overlong_line_counts_for_nobody_and_the_next_one_counts),
		T(the_end_of_an_overlong_line_is_no_entry),
		T(a_nul_spoils_its_line_only),
		T(an_error_has_no_control_characters_and_fits),
		T(no_file_lists_nobody_without_a_word),
		T(what_cannot_be_read_is_an_error),
		T(a_fifo_is_no_file_and_nobody_waits_for_it),
		T(a_hundred_thousand_lines_are_read_to_the_last),
		T(the_files_as_installed_list_nobody),
		T(a_list_in_which_somebody_is_found_has_entries_to_the_plugin),
		T(each_whole_name_is_told_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
