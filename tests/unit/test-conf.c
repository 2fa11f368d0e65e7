/* SPDX-License-Identifier: ISC */
/*
 * conf.h's promises about one file: what it means, and what is said of one that is broken. The last good settings are in
 * test-conf-good.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/runtime/conf-words.h"
#include "core/runtime/conf.h"
#include "plugins/exim/conf.h"
#include "tests/unit/conf-files.h"

#define FILE_LIMIT 65536

static char err[512];

static int read_it(struct sotto_conf *c, const char *text)
{
	err[0] = '\0';
	return sotto_conf_read(c, put("sotto.conf", text), err, sizeof(err));
}

static bool equal(const struct sotto_conf *a, const struct sotto_conf *b)
{
	return a->mode == b->mode && a->skip_starttls == b->skip_starttls && a->pin == b->pin && a->padding == b->padding;
}

static void assert_defaults(const struct sotto_conf *c)
{
	assert_int_equal(c->mode, SOTTO_MODE_OPPORTUNISTIC);
	assert_false(c->skip_starttls);
	assert_int_equal(c->pin, SOTTO_PIN_LOG);
	assert_true(c->padding);
}

#define assert_broken(text, line, what) assert_broken_(text, strlen(text), line, what, __LINE__)

/* Exactly "PATH:LINE: WHAT", or "PATH: WHAT" for line 0, and the settings are what they were. */
static void assert_broken_(const char *text, size_t len, unsigned line, const char *what, int at)
{
	const struct sotto_conf before = { .mode = SOTTO_MODE_OBSERVE, .skip_starttls = true, .pin = SOTTO_PIN_ENFORCE };
	struct sotto_conf c = before;
	char want[512];

	put_octets("sotto.conf", text, len);
	if (line > 0)
		snprintf(want, sizeof(want), "%s:%u: %s", in_dir("sotto.conf"), line, what);
	else
		snprintf(want, sizeof(want), "%s: %s", in_dir("sotto.conf"), what);
	err[0] = '\0';
	if (sotto_conf_read(&c, in_dir("sotto.conf"), err, sizeof(err)) != -1)
		fail_msg("line %d: a good file", at);
	if (strcmp(err, want) != 0)
		fail_msg("line %d: said \"%s\" instead of \"%s\"", at, err, want);
	assert_true(equal(&c, &before));
	assert_false(sotto_hints_read(in_dir("sotto.conf")).off);
}

/* ---- good files -------------------------------------------------------------------------------------------- */

static void a_file_without_entries_means_the_defaults(void **state)
{
	static const char *const texts[] = { "", "\n", "[sotto]\n", "[sotto]", "# mode = off\n;mode = off\n [sotto] \n\t# mode = off\n",
					     "\xef\xbb\xbf[sotto]\r\n\r\n", "\xef\xbb\xbf", "[sotto]\n[sotto] ; again\n" };
	struct sotto_conf c;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&c, 0x55, sizeof(c));
		assert_int_equal(read_it(&c, texts[i]), 0);
		assert_defaults(&c);
		assert_string_equal(err, "");
	}
}

static void the_file_as_installed_shows_every_setting_at_its_default(void **state)
{
	struct sotto_conf c = { .mode = SOTTO_MODE_OFF };
	char text[4096], line[64];
	FILE *f = fopen("packaging/conf/sotto.conf", "r");

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_int_equal(sotto_conf_read(&c, "packaging/conf/sotto.conf", err, sizeof(err)), 0);
	assert_defaults(&c);
	for (int i = 0; i < SOTTO_SETTINGS; i++) {
		snprintf(line, sizeof(line), "\n%s = ", sotto_conf_table[i].name);
		assert_non_null(strstr(text, line));
	}
}

static void every_word_of_every_setting_is_read(void **state)
{
	static const struct {
		const char *text;
		struct sotto_conf want;
	} files[] = {
		{ "[sotto]\nmode=off\n", { SOTTO_MODE_OFF, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\nmode = observe\n", { SOTTO_MODE_OBSERVE, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\nmode = opportunistic", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\nstarttls = keep\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\nstarttls = skip\n", { SOTTO_MODE_OPPORTUNISTIC, true, SOTTO_PIN_LOG, true } },
		{ "[sotto]\npin = off\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_OFF, true } },
		{ "[sotto]\npin = log\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\npin = enforce\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_ENFORCE, true } },
		{ "[sotto]\npadding = on\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, true } },
		{ "[sotto]\npadding = off\n", { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, false } },
		{ "[sotto]\r\nmode = observe\r\nstarttls = skip\r\npin = enforce\r\npadding = off\r\n",
		  { SOTTO_MODE_OBSERVE, true, SOTTO_PIN_ENFORCE, false } },
	};
	struct sotto_conf c;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_int_equal(read_it(&c, files[i].text), 0);
		assert_true(equal(&c, &files[i].want));
	}
}

static void blanks_comments_and_indentation_do_not_count(void **state)
{
	static const char *const texts[] = {
		"[sotto]\nmode = off ; comment\n", "[sotto]\nmode = off # comment\n", "[sotto]\nmode = off\t;\n",
		"  [sotto]\n  pin = log\n  mode = off\n", "[sotto] # here\n\tmode\t=\toff\t\n", "[sotto]\nmode=off\r", "[sotto]\nmode: off\n",
		"[sotto]\nmode = off\n\n   \n\t; more\n", "[sotto]\nmode = off\n\npin = log\n[sotto]\npadding = on",
	};
	struct sotto_conf c;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(read_it(&c, texts[i]), 0);
		assert_int_equal(c.mode, SOTTO_MODE_OFF);
		assert_int_equal(c.pin, SOTTO_PIN_LOG);
		assert_true(sotto_hints_read(in_dir("sotto.conf")).off);
	}
}

/* inih's own buffer may be as short as 200 octets. */
static void a_long_comment_and_wide_blanks_are_not_cut(void **state)
{
	struct sotto_conf c;
	char text[4096], *at = text;

	(void)state;
	at += sprintf(at, "[sotto]\n#%0*d\npin = log ;%0*d\nmode =", 1022, 0, 1000, 0);
	memset(at, ' ', 1000);
	strcpy(at + 1000, "off\n");
	assert_int_equal(read_it(&c, text), 0);
	assert_int_equal(c.mode, SOTTO_MODE_OFF);
	assert_true(sotto_hints_read(in_dir("sotto.conf")).off);
}

/* ---- broken files ------------------------------------------------------------------------------------------ */

static void a_word_that_a_setting_does_not_have_is_told_with_those_that_it_has(void **state)
{
	(void)state;
	assert_broken("#\n[sotto]\n\nmode = opportunist\n", 4, "mode is off, observe or opportunistic, not 'opportunist'");
	assert_broken("[sotto]\nmode =\n", 2, "mode is off, observe or opportunistic, not ''");
	assert_broken("[sotto]\nmode = OFF\n", 2, "mode is off, observe or opportunistic, not 'OFF'");
	assert_broken("[sotto]\nmode = \"off\"\n", 2, "mode is off, observe or opportunistic, not '\"off\"'");
	assert_broken("[sotto]\nmode = off;comment\n", 2, "mode is off, observe or opportunistic, not 'off;comment'");
	assert_broken("[sotto]\nmode == off\n", 2, "mode is off, observe or opportunistic, not '= off'");
	assert_broken("[sotto]\nstarttls = on\n", 2, "starttls is keep or skip, not 'on'");
	assert_broken("[sotto]\npin = on\n", 2, "pin is off, log or enforce, not 'on'");
	assert_broken("[sotto]\npadding = yes\n", 2, "padding is off or on, not 'yes'");
	assert_broken("[sotto]\r\nmode = off\r\npadding = yes\r\n", 3, "padding is off or on, not 'yes'");
}

static void what_nobody_knows_is_an_error(void **state)
{
	(void)state;
	assert_broken("[sotto]\nmode = off\nmood = off\n", 3,
		      "unknown setting 'mood'; there are mode, starttls, pin and padding");
	assert_broken("[sotto]\nMode = off\n", 2, "unknown setting 'Mode'; there are mode, starttls, pin and padding");
	assert_broken("[sotto]\n= off\n", 2, "unknown setting ''; there are mode, starttls, pin and padding");
	assert_broken("[sotto]\nmode = off\n[exim]\n", 3, "unknown section '[exim]'; there is only [sotto]");
	assert_broken("[sotto\nmode = off\n", 1, "unknown section '[sotto'; there is only [sotto]");
	assert_broken("[sotto] mode = off\n", 1, "unknown section '[sotto] mode = off'; there is only [sotto]");
	assert_broken("[SOTTO]\nmode = off\n", 1, "unknown section '[SOTTO]'; there is only [sotto]");
	assert_broken("mode = off\n[sotto]\n", 1, "'mode' stands above [sotto]");
	assert_broken("mode = off\n[sotto]\nmode = off\n", 1, "'mode' stands above [sotto]");
	assert_broken("[sotto]\nmode = off\nyes\n", 3, "not of the form setting = value: 'yes'");
	assert_broken("[sotto]\nmode off\n", 2, "not of the form setting = value: 'mode off'");
	assert_broken("\n\n\xef\xbb\xbf[sotto]\n", 3, "not of the form setting = value: '\xef\xbb\xbf[sotto]'");
}

static void a_setting_said_twice_is_an_error(void **state)
{
	(void)state;
	assert_broken("[sotto]\nmode = off\nmode = off\n", 3, "mode is set twice");
	assert_broken("[sotto]\nmode = off\n[sotto]\nmode = observe\n", 4, "mode is set twice");
	assert_broken("[sotto]\nmode = off\npadding = on\n\npadding = on\n", 5, "padding is set twice");
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
	(void)state;
	assert_broken("[sotto]\nmode = off\n  observe\n", 3, "not of the form setting = value: 'observe'");
	assert_broken("[sotto]\nmode =\n  off\n", 2, "mode is off, observe or opportunistic, not ''");
}

static void only_the_first_error_is_told(void **state)
{
	(void)state;
	assert_broken("[sotto]\npin = yes\nno\n[x]\nmode = x\n", 2, "pin is off, log or enforce, not 'yes'");
	assert_broken("[sotto]\nno\npin = yes\n", 2, "not of the form setting = value: 'no'");
}

static void an_overlong_line_is_an_error_even_as_a_comment(void **state)
{
	struct sotto_conf c;
	char text[2048];

	(void)state;
	snprintf(text, sizeof(text), "[sotto]\n%c%0*d\nmode = off\n", '#', SOTTO_CONF_LINE - 2, 0);
	assert_int_equal(read_it(&c, text), 0);
	assert_int_equal(c.mode, SOTTO_MODE_OFF);
	assert_true(sotto_hints_read(in_dir("sotto.conf")).off);
	snprintf(text, sizeof(text), "[sotto]\nmode = off\n%c%0*d\n", '#', SOTTO_CONF_LINE - 1, 0);
	assert_broken(text, 3, "a line of 1024 octets or more");
	snprintf(text, sizeof(text), "[sotto]\nmode = off\n%c%0*d", '#', SOTTO_CONF_LINE - 1, 0);
	assert_broken(text, 3, "a line of 1024 octets or more");
}

static void a_line_longer_than_inihs_is_never_cut_to_a_good_one(void **state)
{
	struct sotto_conf c;
	char text[2048];

	(void)state;
	for (int n = 100; n < 1000; n++) {
		snprintf(text, sizeof(text), "[sotto]\nmode = off%0*d\n", n, 0);
		assert_int_equal(read_it(&c, text), -1);
		snprintf(text, sizeof(text), "[sotto]\n%0*dmode = off\n", n, 0);
		assert_int_equal(read_it(&c, text), -1);
		snprintf(text, sizeof(text), "[sotto]\nmode = off%0*d mode = off\n", n, 0);
		assert_int_equal(read_it(&c, text), -1);
		assert_non_null(strstr(err, "sotto.conf:2: "));
	}
}

static void a_nul_is_an_error(void **state)
{
	static const char text[] = "[sotto]\nmode = off\0\n", comment[] = "[sotto]\nmode = off\n# \0\n";

	(void)state;
	assert_broken_(text, sizeof(text) - 1, 2, "a NUL octet", __LINE__);
	assert_broken_(comment, sizeof(comment) - 1, 3, "a NUL octet", __LINE__);
}

static void a_file_over_64_kib_is_an_error(void **state)
{
	static char text[FILE_LIMIT + 2];
	struct sotto_conf c;

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	memcpy(text + FILE_LIMIT - 18, "[sotto]\nmode = off", 18);
	text[FILE_LIMIT] = '\0';
	assert_int_equal(read_it(&c, text), 0);
	assert_int_equal(c.mode, SOTTO_MODE_OFF);
	text[FILE_LIMIT] = '\n';
	assert_broken(text, 0, "over 65536 octets");
}

static void an_error_has_no_control_characters_and_fits(void **state)
{
	struct sotto_conf c;
	char text[1024], small[16] = "0123456789abcde";

	(void)state;
	assert_broken("[sotto]\nmode = \x1b[2J\x7f\n", 2, "mode is off, observe or opportunistic, not '?[2J?'");
	snprintf(text, sizeof(text), "[sotto]\nx%0*d = 1\n", 900, 0);
	assert_int_equal(read_it(&c, text), -1);
	assert_true(strlen(err) < sizeof(err) - 1);
	assert_int_equal(sotto_conf_read(&c, in_dir("sotto.conf"), small, 8), -1);
	assert_int_equal(strlen(small), 7);
	assert_string_equal(small + 8, "89abcde");
	assert_int_equal(sotto_conf_read(&c, in_dir("sotto.conf"), NULL, 0), -1);
}

static void assert_unreadable(const char *why)
{
	struct sotto_conf c = { .mode = SOTTO_MODE_OBSERVE };
	char want[256];

	snprintf(want, sizeof(want), "%s: %s", in_dir("sotto.conf"), why);
	assert_int_equal(sotto_conf_read(&c, in_dir("sotto.conf"), err, sizeof(err)), -1);
	assert_string_equal(err, want);
	assert_int_equal(c.mode, SOTTO_MODE_OBSERVE);
	assert_false(sotto_hints_read(in_dir("sotto.conf")).off);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	(void)state;
	assert_unreadable("No such file or directory");
	assert_int_equal(mkdir(in_dir("sotto.conf"), 0755), 0);
	assert_unreadable("Is a directory");
	assert_int_equal(rmdir(in_dir("sotto.conf")), 0);
	put("sotto.conf", "[sotto]\nmode = off\n");
	assert_int_equal(chmod(in_dir("sotto.conf"), 0), 0);
	become_nobody();
	assert_unreadable("Permission denied");
	become_self();
}

/* Even where somebody has written into it. */
static void a_fifo_is_no_file_and_nobody_waits_for_it(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkfifo(in_dir("sotto.conf"), 0644), 0);
	assert_unreadable("Not a regular file");
	fd = open(in_dir("sotto.conf"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[sotto]\nmode = off\n", 19), 19);
	assert_unreadable("Not a regular file");
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_without_entries_means_the_defaults),
		T(the_file_as_installed_shows_every_setting_at_its_default),
		T(every_word_of_every_setting_is_read),
		T(blanks_comments_and_indentation_do_not_count),
		T(a_long_comment_and_wide_blanks_are_not_cut),
		T(a_word_that_a_setting_does_not_have_is_told_with_those_that_it_has),
		T(what_nobody_knows_is_an_error),
		T(a_setting_said_twice_is_an_error),
		T(an_indented_line_is_a_line_of_its_own),
		T(only_the_first_error_is_told),
		T(an_overlong_line_is_an_error_even_as_a_comment),
		T(a_line_longer_than_inihs_is_never_cut_to_a_good_one),
		T(a_nul_is_an_error),
		T(a_file_over_64_kib_is_an_error),
		T(an_error_has_no_control_characters_and_fits),
		T(what_cannot_be_read_is_an_error),
		T(a_fifo_is_no_file_and_nobody_waits_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
