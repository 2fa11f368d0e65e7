/* SPDX-License-Identifier: ISC */
/*
 * conf.h's promises about the settings in force: the last good ones, and where they are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/runtime/conf.h"
#include "tests/unit/conf-files.h"

#define ROUNDS 300

static char err[512];

static bool equal(const struct sotto_conf *a, const struct sotto_conf *b)
{
	return a->mode == b->mode && a->skip_starttls == b->skip_starttls && a->pin == b->pin && a->padding == b->padding;
}

/* ---- the last good settings -------------------------------------------------------------------------------- */

static const char good[] = "[sotto]\nmode = observe\nstarttls = skip\npin = enforce\npadding = off\n";
static const struct sotto_conf good_settings = { SOTTO_MODE_OBSERVE, true, SOTTO_PIN_ENFORCE, false };

static const struct sotto_conf defaults = { SOTTO_MODE_OPPORTUNISTIC, false, SOTTO_PIN_LOG, true };

static int make_state(void **state)
{
	return make_dir(state) == 0 && mkdir(in_dir("state"), 0755) == 0 ? 0 : -1;
}

static int load(struct sotto_conf *c, const char *text)
{
	memset(c, 0x55, sizeof(*c));
	err[0] = '\0';
	if (text != NULL)
		put("sotto.conf", text);
	return sotto_conf_load(c, in_dir("sotto.conf"), in_dir("state"), err, sizeof(err));
}

static void assert_off(const struct sotto_conf *c)
{
	assert_int_equal(c->mode, SOTTO_MODE_OFF);
	assert_false(c->skip_starttls);
	assert_int_equal(c->pin, SOTTO_PIN_LOG);
	assert_true(c->padding);
	assert_string_not_equal(err, "");
}

static unsigned files_in_state(void)
{
	DIR *d = opendir(in_dir("state"));
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void a_broken_file_leaves_the_last_good_settings_in_force(void **state)
{
	struct sotto_conf c;

	(void)state;
	assert_int_equal(load(&c, good), 0);
	assert_true(equal(&c, &good_settings));
	assert_string_equal(err, "");
	assert_int_equal(load(&c, "[sotto]\nmode = opportunist\n"), 1);
	assert_true(equal(&c, &good_settings));
	assert_non_null(strstr(err, "/sotto.conf:2: mode is off, observe or opportunistic, not 'opportunist'"));
	assert_int_equal(unlink(in_dir("sotto.conf")), 0);
	assert_int_equal(load(&c, NULL), 1);
	assert_true(equal(&c, &good_settings));
	assert_int_equal(load(&c, ""), 0);
	assert_true(equal(&c, &defaults));
	assert_int_equal(load(&c, "x"), 1);
	assert_true(equal(&c, &defaults));
	assert_int_equal(load(&c, "[sotto]\nmode = off\n"), 0);
	assert_int_equal(load(&c, "x"), 1);
	assert_int_equal(c.mode, SOTTO_MODE_OFF);
	assert_int_equal(files_in_state(), 1);
}

static void without_good_settings_ever_the_mode_is_off(void **state)
{
	struct sotto_conf c;

	(void)state;
	assert_int_equal(load(&c, "[sotto]\npadding = maybe\n"), 2);
	assert_off(&c);
	assert_int_equal(unlink(in_dir("sotto.conf")), 0);
	assert_int_equal(load(&c, NULL), 2);
	assert_off(&c);
	assert_int_equal(files_in_state(), 0);
}

static void a_copy_that_is_damaged_counts_as_none(void **state)
{
	static const char *const damaged[] = { "", "[sotto]\n", "[sotto]\nmode = observe\n", "x", "[sotto]\nmode = observe\nstarttls" };
	char text[256];
	struct sotto_conf c;
	FILE *f;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		put("state/sotto.conf.good", damaged[i]);
		assert_int_equal(load(&c, "x"), 2);
		assert_off(&c);
	}
	assert_int_equal(load(&c, good), 0);
	assert_int_equal(load(&c, "x"), 1);
	f = fopen(in_dir("state/sotto.conf.good"), "r");
	assert_non_null(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t cut = 0; cut + 1 < len; cut++) {
		put_octets("state/sotto.conf.good", text, cut);
		assert_int_equal(load(&c, "x"), 2);
		assert_off(&c);
	}
	assert_int_equal(unlink(in_dir("state/sotto.conf.good")), 0);
	assert_int_equal(mkfifo(in_dir("state/sotto.conf.good"), 0600), 0);
	assert_int_equal(load(&c, "x"), 2);
	assert_off(&c);
	assert_int_equal(load(&c, good), 0);
	assert_int_equal(load(&c, "x"), 1);
	assert_true(equal(&c, &good_settings));
}

static void the_copy_is_for_its_owner_only_and_written_only_where_it_differs(void **state)
{
	struct stat first, second, third;
	struct sotto_conf c;
	mode_t mask = umask(0777);

	(void)state;
	if (geteuid() == 0)
		assert_int_equal(chown(in_dir("state"), NOBODY, NOBODY), 0);
	umask(0);
	assert_int_equal(load(&c, good), 0);
	assert_int_equal(stat(in_dir("state/sotto.conf.good"), &first), 0);
	assert_int_equal(first.st_mode, S_IFREG | 0600);
	assert_int_equal(first.st_uid, geteuid() == 0 ? NOBODY : geteuid());
	assert_int_equal(load(&c, "# the same, otherwise spelt\n[sotto]\npadding=off\npin=enforce\nstarttls=skip\nmode=observe"), 0);
	assert_int_equal(stat(in_dir("state/sotto.conf.good"), &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	assert_memory_equal(&first.st_mtim, &second.st_mtim, sizeof(first.st_mtim));
	umask(0777);
	assert_int_equal(load(&c, "[sotto]\n"), 0);
	umask(mask);
	assert_int_equal(stat(in_dir("state/sotto.conf.good"), &third), 0);
	assert_int_equal(third.st_mode, S_IFREG | 0600);
	assert_int_not_equal(third.st_ino, second.st_ino);
}

static void where_no_copy_can_be_kept_a_good_file_is_good_all_the_same(void **state)
{
	struct sotto_conf c;
	int rc[2];

	(void)state;
	assert_int_equal(rmdir(in_dir("state")), 0);
	assert_int_equal(load(&c, good), 0);
	assert_true(equal(&c, &good_settings));
	assert_int_equal(load(&c, "x"), 2);
	assert_off(&c);
	put("state", "");
	assert_int_equal(load(&c, good), 0);
	assert_int_equal(load(&c, "x"), 2);
	assert_int_equal(unlink(in_dir("state")), 0);

	put("sotto.conf", good);
	assert_int_equal(mkdir(in_dir("state"), 0555), 0);
	become_nobody();
	rc[0] = load(&c, NULL);
	become_self();
	assert_true(equal(&c, &good_settings));
	put("sotto.conf", "x");
	become_nobody();
	rc[1] = load(&c, NULL);
	become_self();
	assert_off(&c);
	assert_int_equal(rc[0], 0);
	assert_int_equal(rc[1], 2);
	assert_int_equal(files_in_state(), 0);
}

/* The size that a file may have stands in for the disk: what cannot be written whole is not there at all. */
static void a_full_disk_leaves_the_copy_that_was(void **state)
{
	struct rlimit before, none;
	struct sotto_conf c;
	int rc;

	(void)state;
	assert_int_equal(load(&c, good), 0);
	put("sotto.conf", "[sotto]\nmode = off\n");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 20, .rlim_max = before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = load(&c, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(rc, 0);
	assert_int_equal(c.mode, SOTTO_MODE_OFF);
	assert_int_equal(files_in_state(), 1);
	assert_int_equal(load(&c, "x"), 1);
	assert_true(equal(&c, &good_settings));
}

_Noreturn static void write_for_ever_so_often(const char *path, const char *where)
{
	struct sotto_conf c;
	char text[256];
	int rc = 0;

	for (int i = 0; i < ROUNDS && rc == 0; i++)
		rc = sotto_conf_load(&c, path, where, text, sizeof(text));
	_exit(rc);
}

static void writers_at_once_leave_one_good_copy_at_every_moment(void **state)
{
	static const struct sotto_conf off = { SOTTO_MODE_OFF, false, SOTTO_PIN_LOG, true };
	static const char *const files[2] = { "a.conf", "b.conf" };
	struct sotto_conf c;
	int running = 4, status;

	(void)state;
	put(files[0], good);
	put(files[1], "[sotto]\nmode = off\n");
	assert_int_equal(load(&c, good), 0);
	put("sotto.conf", "x");
	for (int i = 0; i < running; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever_so_often(in_dir(files[i % 2]), in_dir("state"));
	}
	while (running > 0) {
		assert_int_equal(load(&c, NULL), 1);
		assert_true(equal(&c, &off) || equal(&c, &good_settings));
		if (waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			running--;
		}
	}
	assert_int_equal(files_in_state(), 1);
}

static void a_path_that_is_too_long_harms_nothing(void **state)
{
	static char path[2 * PATH_MAX];
	struct sotto_conf c;

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	put("sotto.conf", good);
	assert_int_equal(sotto_conf_load(&c, in_dir("sotto.conf"), path, err, sizeof(err)), 0);
	assert_int_equal(sotto_conf_load(&c, path, in_dir("state"), err, sizeof(err)), 2);
	assert_off(&c);
	assert_int_equal(sotto_conf_load(&c, path, path, err, sizeof(err)), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_state, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_broken_file_leaves_the_last_good_settings_in_force),
		T(without_good_settings_ever_the_mode_is_off),
		T(a_copy_that_is_damaged_counts_as_none),
		T(the_copy_is_for_its_owner_only_and_written_only_where_it_differs),
		T(where_no_copy_can_be_kept_a_good_file_is_good_all_the_same),
		T(a_full_disk_leaves_the_copy_that_was),
		T(writers_at_once_leave_one_good_copy_at_every_moment),
		T(a_path_that_is_too_long_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
