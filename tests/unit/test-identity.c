/* SPDX-License-Identifier: ISC */
/* identity.h's promises: one key a host, readable by nobody else, and what is no key is neither used nor overwritten. */
#include "folder-lab.h"

#include "core/runtime/identity.h"

#define NAME "identity"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define AT_ONCE 8

static const uint8_t none[32];

static void expect_refused(int error)
{
	uint8_t key[32];

	memset(key, 0x5a, sizeof(key));
	assert_int_equal(sotto_identity_load(key, lab_dir), error);
	assert_memory_equal(key, none, sizeof(key));
}

static void put_key(const char *text)
{
	lab_put(NAME, text, strlen(text));
}

static void the_first_start_makes_a_key_and_later_ones_read_it(void **state)
{
	uint8_t first[32], again[32];
	struct stat st;

	(void)state;
	assert_int_equal(sotto_identity_load(first, lab_dir), 0);
	assert_memory_not_equal(first, none, sizeof(first));
	assert_int_equal(stat(lab_path(NAME), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lab_count("."), 1);
	assert_int_equal(sotto_identity_load(again, lab_dir), 0);
	assert_memory_equal(first, again, sizeof(first));
}

static void two_hosts_have_two_keys(void **state)
{
	uint8_t first[32], second[32];

	(void)state;
	assert_int_equal(sotto_identity_load(first, lab_dir), 0);
	assert_int_equal(unlink(lab_path(NAME)), 0);
	assert_int_equal(sotto_identity_load(second, lab_dir), 0);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void a_key_is_64_hex_digits_and_perhaps_a_line_end(void **state)
{
	uint8_t key[32];

	(void)state;
	put_key(KEY);
	assert_int_equal(sotto_identity_load(key, lab_dir), 0);
	for (unsigned i = 0; i < sizeof(key); i++)
		assert_int_equal(key[i], i);
	put_key(KEY "\n");
	assert_int_equal(sotto_identity_load(key, lab_dir), 0);
	assert_int_equal(key[31], 31);
}

static int store_what_is_made(void *arg)
{
	uint8_t key[32];
	char name[32];

	snprintf(name, sizeof(name), "seen-%d", *(int *)arg);
	if (sotto_identity_load(key, lab_dir) != 0)
		return 1;
	lab_put(name, key, sizeof(key));
	return 0;
}

static void several_first_starts_at_once_end_up_with_one_key(void **state)
{
	char key[AT_ONCE][32], name[32];
	pid_t pid[AT_ONCE];

	(void)state;
	for (int i = 0; i < AT_ONCE; i++)
		pid[i] = lab_start(store_what_is_made, &i);
	for (int i = 0; i < AT_ONCE; i++) {
		assert_int_equal(lab_wait(pid[i]), 0);
		snprintf(name, sizeof(name), "seen-%d", i);
		assert_int_equal(lab_get(name, key[i], sizeof(key[i])), sizeof(key[i]));
		assert_memory_equal(key[i], key[0], sizeof(key[i]));
	}
	assert_int_equal(lab_count("."), 1 + AT_ONCE);
}

static void what_is_no_key_is_neither_used_nor_overwritten(void **state)
{
	static const char *const odd[] = {
		"", "\n", "x", "0001", KEY "0", KEY "\n\n", KEY " ", " " KEY, "G" KEY, KEY KEY KEY,
		"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
		"0000000000000000000000000000000000000000000000000000000000000000",
	};
	char still[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		put_key(odd[i]);
		expect_refused(-EPROTO);
		assert_int_equal(lab_get(NAME, still, sizeof(still)), strlen(odd[i]));
		assert_memory_equal(still, odd[i], strlen(odd[i]));
	}
}

static void a_key_that_others_may_read_is_not_used(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0644, 0620, 0602, 0601 };

	(void)state;
	put_key(KEY);
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(lab_path(NAME), modes[i]), 0);
		expect_refused(-EPERM);
	}
}

static int refused_as_nobody(void *arg)
{
	uint8_t key[32];

	(void)arg;
	lab_may_not_write();
	return -sotto_identity_load(key, lab_dir);
}

static void a_folder_that_may_not_be_written_to_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(lab_run(refused_as_nobody, NULL), EACCES);
	assert_int_equal(lab_count("."), 0);
}

static void without_a_folder_there_is_no_identity(void **state)
{
	uint8_t key[32];

	(void)state;
	assert_int_equal(sotto_identity_load(key, lab_path("nowhere")), -ENOENT);
	assert_memory_equal(key, none, sizeof(key));
}

static int load_with_a_full_disk(void *arg)
{
	uint8_t key[32];
	int rc;

	lab_disk_is_full_after(*(rlim_t *)arg);
	rc = sotto_identity_load(key, lab_dir);
	return memcmp(key, none, sizeof(key)) == 0 ? -rc : 98;
}

static void on_a_full_disk_there_is_no_half_a_key(void **state)
{
	rlim_t room[] = { 0, 10, 64 };

	(void)state;
	for (unsigned i = 0; i < sizeof(room) / sizeof(room[0]); i++) {
		assert_true(lab_run(load_with_a_full_disk, &room[i]) > 0);
		assert_int_equal(lab_count("."), 0);
	}
}

static void what_is_no_file_is_not_used_and_nobody_waits_for_it(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(lab_path(NAME), 0600), 0);
	alarm(20);
	expect_refused(-EPROTO);
	alarm(0);
	assert_true(lab_exists(NAME));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(the_first_start_makes_a_key_and_later_ones_read_it),
		lab_test(two_hosts_have_two_keys),
		lab_test(a_key_is_64_hex_digits_and_perhaps_a_line_end),
		lab_test(several_first_starts_at_once_end_up_with_one_key),
		lab_test(what_is_no_key_is_neither_used_nor_overwritten),
		lab_test(a_key_that_others_may_read_is_not_used),
		lab_test(a_folder_that_may_not_be_written_to_is_an_error),
		lab_test(without_a_folder_there_is_no_identity),
		lab_test(on_a_full_disk_there_is_no_half_a_key),
		lab_test(what_is_no_file_is_not_used_and_nobody_waits_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
