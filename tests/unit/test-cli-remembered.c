/* SPDX-License-Identifier: ISC */
/* What `sotto peers` shows is what is remembered; `sotto forget` drops that and nothing else. */
#include "tests/unit/folder-lab.h"

#include "core/cli/remembered.h"
#include "core/cli/show.h"
#include "core/runtime/state-domain.h"
#include "core/runtime/state.h"

static struct sotto_cli cli(void)
{
	return (struct sotto_cli){ .state = lab_dir, .run = lab_dir };
}

static void peer(const char *address, bool inbound, int64_t seen)
{
	struct sockaddr_storage ss = lab_addr(address, 25);
	struct sotto_state_key key = { .addr = (const struct sockaddr *)&ss, .inbound = inbound };
	struct sotto_peer_state s = { .seen = seen, .sealed = seen, .offered = true, .offer_seen = seen, .n_keys = 1, .keys = { { { 0xab, 1 }, seen } } };

	assert_int_equal(sotto_state_save(lab_dir, &key, &s), 0);
}

static void everything(void)
{
	struct sotto_peer_state s = { .seen = 1700000000, .n_keys = 1, .keys = { { { 1 }, 1700000000 } } };

	peer("192.0.2.1", false, 1700000001);
	peer("192.0.2.1", true, 1700000002);
	peer("192.0.2.2", false, 1700000003);
	peer("2001:db8:0:1:2:3:4:5", true, 1700000004);
	assert_int_equal(sotto_state_save(lab_dir, &(struct sotto_state_key){ .name = "example.org" }, &s), 0);
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_YES, time(NULL)), 0);
	assert_int_equal(sotto_domain_note(lab_dir, "example.net", SOTTO_DOMAIN_NO, time(NULL)), 0);
	lab_put("peers/not an address", "x", 1);
	lab_put("names/damaged", "x", 1);
}

static size_t size_of(const json_t *all, const char *kind)
{
	return json_array_size(json_object_get(all, kind));
}

static void assert_sizes(const char *name, size_t peers, size_t names, size_t domains)
{
	struct sotto_cli c = cli();
	json_t *all = sotto_remembered(&c, name);

	assert_non_null(all);
	assert_int_equal(size_of(all, "peers"), peers);
	assert_int_equal(size_of(all, "names"), names);
	assert_int_equal(size_of(all, "domains"), domains);
	json_decref(all);
}

static void what_is_remembered_is_shown_the_latest_first(void **state)
{
	struct sotto_cli c = cli();
	json_t *all, *first;

	(void)state;
	assert_sizes(NULL, 0, 0, 0);
	everything();
	assert_sizes(NULL, 4, 1, 2);
	all = sotto_remembered(&c, NULL);
	first = json_array_get(json_object_get(all, "peers"), 0);
	assert_string_equal(sotto_show_text(first, "address"), "2001:db8:0:1::");
	assert_string_equal(sotto_show_text(first, "direction"), "in");
	first = json_array_get(json_object_get(first, "keys"), 0);
	assert_int_equal(strlen(sotto_show_text(first, "key")), 64);
	assert_memory_equal(sotto_show_text(first, "key"), "ab01000", 7);
	json_decref(all);
}

static void a_name_finds_all_that_is_known_of_it(void **state)
{
	(void)state;
	everything();
	assert_sizes("192.0.2.1", 2, 0, 0);
	assert_sizes("192.0.2.9", 0, 0, 0);
	assert_sizes("2001:db8:0:1::77", 1, 0, 0);
	assert_sizes("Example.ORG.", 0, 1, 1);
	assert_sizes("example.net", 0, 0, 1);
	assert_sizes("../peers/192.0.2.1", 0, 0, 0);
	assert_sizes("", 0, 0, 0);
}

static void forgetting_drops_that_and_nothing_else(void **state)
{
	struct sotto_cli c = cli();
	json_t *all;

	(void)state;
	everything();
	all = sotto_remembered(&c, "192.0.2.1");
	assert_int_equal(sotto_remembered_drop(&c, all), 2);
	assert_int_equal(sotto_remembered_drop(&c, all), 0);
	json_decref(all);
	assert_sizes(NULL, 2, 1, 2);
	all = sotto_remembered(&c, "example.org");
	assert_int_equal(sotto_remembered_drop(&c, all), 2);
	json_decref(all);
	assert_sizes(NULL, 2, 0, 1);
	assert_true(lab_exists("peers/not an address"));
}

static void a_folder_that_is_not_there_is_told_from_an_empty_one(void **state)
{
	struct sotto_cli c = { .state = "/nothing/there", .run = "/nothing/there" };

	(void)state;
	assert_null(sotto_remembered(&c, NULL));
	assert_int_equal(errno, ENOENT);
}

static void what_others_say_is_printed_without_control_characters(void **state)
{
	json_t *clean = sotto_show_clean("a\033[31m\n\xff~ z", 100), *cut = sotto_show_clean("abc", 2);

	(void)state;
	assert_string_equal(json_string_value(clean), "a?[31m??~ z");
	assert_string_equal(json_string_value(cut), "ab");
	json_decref(clean);
	json_decref(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(what_is_remembered_is_shown_the_latest_first),
		lab_test(a_name_finds_all_that_is_known_of_it),
		lab_test(forgetting_drops_that_and_nothing_else),
		lab_test(a_folder_that_is_not_there_is_told_from_an_empty_one),
		lab_test(what_others_say_is_printed_without_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
