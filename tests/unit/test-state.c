/* SPDX-License-Identifier: ISC */
/* state.h's promises about files: what comes back, what damage does, which name is whose, and that nothing fails loudly. */
#include "tests/unit/folder-lab.h"

#include "core/runtime/state-file.h"
#include "core/runtime/state-peer.h"

#define T0 1700000000

static const struct sotto_peer_state nothing;

static struct sotto_peer_state full(void)
{
	struct sotto_peer_state s = {
		.seen = T0, .offer_seen = T0 - 1, .offered = true, .sealed = T0 - 2, .failures = 3, .failed = T0 - 3,
		.silence_only = true, .avoidances = 2, .avoid_until = T0 + 600, .told = T0 - 5, .withheld = 7, .n_keys = SOTTO_STATE_KEYS,
	};

	for (unsigned i = 0; i < SOTTO_STATE_KEYS; i++) {
		memset(s.keys[i].key, (int)(0x10 + i), 32);
		s.keys[i].seen = T0 - 10 - i;
	}
	return s;
}

static void save(const struct sotto_state_key *key, const struct sotto_peer_state *s)
{
	assert_int_equal(sotto_state_save(lab_dir, key, s), 0);
}

static void expect(const struct sotto_state_key *key, const struct sotto_peer_state *s)
{
	struct sotto_peer_state got;

	memset(&got, 0xee, sizeof(got));
	sotto_state_load(lab_dir, key, &got);
	assert_int_equal(got.seen, s->seen);
	assert_int_equal(got.offer_seen, s->offer_seen);
	assert_int_equal(got.offered, s->offered);
	assert_int_equal(got.sealed, s->sealed);
	assert_int_equal(got.failures, s->failures);
	assert_int_equal(got.failed, s->failed);
	assert_int_equal(got.silence_only, s->silence_only);
	assert_int_equal(got.avoidances, s->avoidances);
	assert_int_equal(got.told, s->told);
	assert_int_equal(got.withheld, s->withheld);
	assert_int_equal(got.avoid_until, s->avoid_until);
	assert_int_equal(got.n_keys, s->n_keys);
	assert_memory_equal(got.keys, s->keys, sizeof(got.keys));
}

#define PEER "peers/192.0.2.1"
static struct sockaddr_storage peer_addr;
static struct sotto_state_key peer;

static int begin(void **state)
{
	peer_addr = lab_addr("192.0.2.1", 25);
	peer = (struct sotto_state_key){ .addr = (struct sockaddr *)&peer_addr };
	return lab_begin(state);
}

/* ---- what comes back, and under which name --------------------------------------------------- */

static void what_was_saved_comes_back(void **state)
{
	struct sotto_peer_state s = full();
	struct stat st;

	(void)state;
	expect(&peer, &nothing);
	save(&peer, &s);
	expect(&peer, &s);
	save(&peer, &nothing);
	expect(&peer, &nothing);
	s.n_keys = 1;
	memset(s.keys + 1, 0, sizeof(s.keys) - sizeof(s.keys[0]));
	save(&peer, &s);
	expect(&peer, &s);
	assert_int_equal(stat(lab_path(PEER), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(lab_path("peers"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(lab_count("peers"), 1);
}

static void expect_address_file(const char *addr, bool inbound, const char *name)
{
	struct sockaddr_storage ss = lab_addr(addr, 25);
	struct sotto_state_key key = { .addr = (struct sockaddr *)&ss, .inbound = inbound };
	struct sotto_peer_state s = full();

	(void)remove(lab_path(name));
	save(&key, &s);
	assert_true(lab_exists(name));
	expect(&key, &s);
}

static void the_file_is_named_by_the_address(void **state)
{
	(void)state;
	expect_address_file("192.0.2.1", false, "peers/192.0.2.1");
	expect_address_file("::ffff:192.0.2.1", false, "peers/192.0.2.1");
	expect_address_file("192.0.2.1", true, "peers/in-192.0.2.1");
	expect_address_file("::ffff:192.0.2.1", true, "peers/in-192.0.2.1");
	expect_address_file("2001:DB8:0:1:2:3:4:5", false, "peers/2001:db8:0:1:2:3:4:5");
	expect_address_file("2001:db8:0:1:2:3:4:5", true, "peers/in-2001:db8:0:1::");
	expect_address_file("2001:db8:0:1:ffff::9", true, "peers/in-2001:db8:0:1::");
	assert_int_equal(lab_count("peers"), 4);
}

static int try_name(const char *name)
{
	struct sotto_state_key key = { .name = name };
	struct sotto_peer_state s = full();
	int rc = sotto_state_save(lab_dir, &key, &s);

	expect(&key, rc == 0 ? &s : &nothing);
	return rc;
}

static void only_checked_names_become_files(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", ".example.org", "../peers/x", "a/b", "/etc/x", "a\\b", "Example.org", "a b", "a\nb", "a:b", "\xc3\xa4.org",
		"a%s", "*", "~",
	};
	char name[300];

	(void)state;
	assert_int_equal(try_name("mx.example.org"), 0);
	assert_true(lab_exists("names/mx.example.org"));
	assert_int_equal(try_name("_x-1.xn--bcher-kva.example."), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(try_name(bad[i]), -EINVAL);
	memset(name, 'a', sizeof(name));
	name[254] = '\0';
	assert_int_equal(try_name(name), -EINVAL);
	name[253] = '\0';
	assert_int_equal(try_name(name), 0);
	assert_int_equal(lab_count("names"), 3);
	assert_int_equal(lab_count("."), 1);
}

static void exactly_one_of_address_and_name_is_a_key(void **state)
{
	struct sockaddr_storage unix_addr = { .ss_family = AF_UNIX };
	struct sotto_state_key none = { 0 }, both = { .addr = peer.addr, .name = "example.org" };
	struct sotto_state_key other = { .addr = (struct sockaddr *)&unix_addr };
	struct sotto_peer_state s = full();

	(void)state;
	assert_int_equal(sotto_state_save(lab_dir, &none, &s), -EINVAL);
	assert_int_equal(sotto_state_save(lab_dir, &both, &s), -EINVAL);
	assert_int_equal(sotto_state_save(lab_dir, &other, &s), -EINVAL);
	expect(&none, &nothing);
	expect(&both, &nothing);
	expect(&other, &nothing);
	assert_int_equal(sotto_state_avoided(lab_dir, other.addr, T0), 0);
	assert_int_equal(lab_count("."), 0);
}

static void who_connects_to_us_is_remembered_only_once_it_was_sealed(void **state)
{
	struct sotto_state_key in = { .addr = peer.addr, .inbound = true };
	struct sotto_peer_state s = full();

	(void)state;
	s.sealed = 0;
	assert_int_equal(sotto_state_save(lab_dir, &in, &s), -EPERM);
	expect(&in, &nothing);
	save(&peer, &s);
	s.sealed = T0;
	save(&in, &s);
	expect(&in, &s);
}

static void what_could_not_be_read_again_is_not_written(void **state)
{
	struct sotto_peer_state good = full(), s = good;

	(void)state;
	save(&peer, &good);
	s.n_keys = SOTTO_STATE_KEYS + 1;
	assert_int_equal(sotto_state_save(lab_dir, &peer, &s), -EINVAL);
	s = good;
	s.seen = -1;
	assert_int_equal(sotto_state_save(lab_dir, &peer, &s), -EINVAL);
	s = good;
	s.avoid_until = INT64_MAX;
	assert_int_equal(sotto_state_save(lab_dir, &peer, &s), -EINVAL);
	expect(&peer, &good);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void a_file_changed_at_any_octet_is_absent(void **state)
{
	struct sotto_peer_state s = full(), got;
	char text[SOTTO_TEXT_MAX];
	size_t n;

	(void)state;
	save(&peer, &s);
	n = lab_get(PEER, text, sizeof(text));
	assert_true(n > 500 && n < SOTTO_TEXT_MAX / 2);
	for (size_t at = 0; at < n; at++) {
		char was = text[at];

		for (unsigned v = 0; v < 256; v++) {
			text[at] = (char)v;
			assert_int_equal(sotto_peer_state_read(&got, text, n), (char)v == was);
			if ((char)v != was)
				assert_memory_equal(&got, &nothing, sizeof(got));
		}
		text[at] = (char)(was ^ 1);
		lab_put(PEER, text, n);
		expect(&peer, &nothing);
		text[at] = was;
	}
	lab_put(PEER, text, n);
	expect(&peer, &s);
}

static void a_file_cut_off_anywhere_or_too_long_is_absent(void **state)
{
	struct sotto_peer_state s = full();
	char text[SOTTO_TEXT_MAX + 2];
	size_t n;

	(void)state;
	save(&peer, &s);
	memset(text, '\n', sizeof(text));
	n = lab_get(PEER, text, sizeof(text));
	for (size_t len = 0; len < n; len++) {
		lab_put(PEER, text, len);
		expect(&peer, &nothing);
	}
	for (size_t len = n + 1; len <= sizeof(text); len += 97) {
		lab_put(PEER, text, len);
		expect(&peer, &nothing);
	}
	lab_put(PEER, text, sizeof(text));
	expect(&peer, &nothing);
}

#define LINES "seen 1\noffer-seen 2\noffered yes\nsealed 3\nfailures 4\nfailed 5\nsilence-only no\navoidances 6\navoid-until 7\ntold 8\nwithheld 9\n"
#define KEY "key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 8\n"

/* A file with a right check over whatever is above it. */
static bool taken(const char *above)
{
	struct sotto_text_out out = { 0 };
	struct sotto_peer_state s;

	sotto_text_put(&out, "%s", above);
	assert_int_equal(sotto_text_finish(&out), 0);
	return sotto_peer_state_read(&s, out.at, out.n);
}

static void a_file_that_is_whole_but_odd_is_absent(void **state)
{
	static const char *const odd[] = {
		"", "\n", LINES, "sotto-peer 2\n" LINES, "sotto-peer 0\n" LINES, "sotto-peer 1 \n" LINES, "sotto-peer 10\n" LINES,
		"sotto-live 1\n" LINES, "sotto-peer 1\r\n" LINES, "sotto-peer 1\n", "sotto-peer 1\n" LINES "\n",
		"sotto-peer 1\n" LINES "seen 1\n", "sotto-peer 1\n" LINES KEY KEY KEY KEY KEY KEY KEY KEY KEY,
		"sotto-peer 1\n" LINES "key 00 8\n", "sotto-peer 1\n" KEY LINES,
		"sotto-peer 1\n" LINES "key 000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f 8\n",
		"sotto-peer 1\n" LINES "key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
#define SEEN(x) "sotto-peer 1\nseen" x "\noffer-seen 2\noffered yes\nsealed 3\nfailures 4\nfailed 5\nsilence-only no\navoidances 6\navoid-until 7\ntold 8\nwithheld 9\n"
		SEEN(""), SEEN(" "), SEEN(" 01"), SEEN(" 00"), SEEN(" -1"), SEEN(" +1"), SEEN("  1"), SEEN(" 1 "), SEEN(" 0x1"), SEEN("\t1"),
		SEEN(" 253402300800"), SEEN(" 9223372036854775808"), SEEN(" 18446744073709551617"), SEEN(" 99999999999999999999999"),
#define BOOL(x) "sotto-peer 1\nseen 1\noffer-seen 2\noffered" x "\nsealed 3\nfailures 4\nfailed 5\nsilence-only no\navoidances 6\navoid-until 7\ntold 8\nwithheld 9\n"
		BOOL(""), BOOL(" "), BOOL(" 1"), BOOL(" Yes"), BOOL(" yes "), BOOL(" yesno"), BOOL(" y"),
#define COUNT(x) "sotto-peer 1\nseen 1\noffer-seen 2\noffered yes\nsealed 3\nfailures " x "\nfailed 5\nsilence-only no\navoidances 6\navoid-until 7\ntold 8\nwithheld 9\n"
		COUNT("1000001"), COUNT("4294967297"),
	};

	(void)state;
	assert_true(taken("sotto-peer 1\n" LINES));
	assert_true(taken("sotto-peer 1\n" LINES KEY KEY KEY KEY KEY KEY KEY KEY));
	assert_true(taken(SEEN(" 0")) && taken(SEEN(" 253402300799")) && taken(BOOL(" no")) && taken(COUNT("1000000")));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_false(taken(odd[i]));
}

static void what_does_not_fit_is_an_error(void **state)
{
	struct sotto_text_out out = { 0 };

	(void)state;
	for (int i = 0; i < SOTTO_TEXT_MAX / 8; i++)
		sotto_text_put(&out, "12345678");
	sotto_text_put(&out, "more");
	assert_int_equal(sotto_text_finish(&out), -EFBIG);
}

static int load_as_nobody(void *arg)
{
	struct sotto_peer_state s;

	(void)arg;
	lab_may_not_write();
	sotto_state_load(lab_dir, &peer, &s);
	return memcmp(&s, &nothing, sizeof(s)) == 0 ? 0 : 1;
}

static void what_may_not_be_read_is_absent(void **state)
{
	struct sotto_peer_state s = full();

	(void)state;
	save(&peer, &s);
	if (geteuid() != 0)
		assert_int_equal(chmod(lab_path(PEER), 0), 0);
	assert_int_equal(lab_run(load_as_nobody, NULL), 0);
}

static void what_is_no_file_is_absent_and_nobody_waits_for_it(void **state)
{
	struct sotto_peer_state s = full();

	(void)state;
	save(&peer, &s);
	assert_int_equal(rename(lab_path(PEER), lab_path("elsewhere")), 0);
	for (int which = 0; which < LAB_ODD_THINGS; which++) {
		lab_odd_thing(PEER, which, "../elsewhere");
		expect(&peer, &nothing);
		assert_int_equal(sotto_state_avoided(lab_dir, peer.addr, T0), 0);
		if (which == 1) {
			assert_int_equal(sotto_state_save(lab_dir, &peer, &s), -EISDIR);
			expect(&peer, &nothing);
		} else {	/* replaced, and where a link led, nothing has changed */
			s.seen++;
			save(&peer, &s);
			expect(&peer, &s);
		}
		assert_int_equal(lab_count("peers"), 1);
	}
	assert_int_equal(rename(lab_path("elsewhere"), lab_path(PEER)), 0);
	s = full();
	expect(&peer, &s);
}

/* ---- where nothing can be written ------------------------------------------------------------ */

static void without_a_folder_nothing_is_remembered(void **state)
{
	struct sotto_peer_state s = full(), got;
	char missing[128];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/missing", lab_dir);
	assert_int_equal(sotto_state_save(missing, &peer, &s), -ENOENT);
	sotto_state_load(missing, &peer, &got);
	assert_memory_equal(&got, &nothing, sizeof(got));
	assert_false(lab_exists("missing"));
	lab_put("peers", "", 0);
	assert_int_equal(sotto_state_save(lab_dir, &peer, &s), -ENOTDIR);
	expect(&peer, &nothing);
	lab_odd_thing("peers", 2, "/tmp");
	assert_true(sotto_state_save(lab_dir, &peer, &s) < 0);
}

static int save_as_nobody(void *arg)
{
	struct sotto_peer_state s = full();

	(void)arg;
	lab_may_not_write();
	return -sotto_state_save(lab_dir, &peer, &s);
}

static void a_folder_that_may_not_be_written_to_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(lab_run(save_as_nobody, NULL), EACCES);
	assert_int_equal(chmod(lab_dir, 0755), 0);
	assert_int_equal(lab_count("."), 0);
}

static int save_with_no_room(void *arg)
{
	struct sotto_peer_state s = full();

	s.seen++;
	lab_disk_is_full_after(*(rlim_t *)arg);
	return -sotto_state_save(lab_dir, &peer, &s);
}

static void on_a_full_disk_the_file_is_what_it_was(void **state)
{
	struct sotto_peer_state s = full();
	rlim_t none = 0, some = 100;

	(void)state;
	save(&peer, &s);
	assert_int_equal(lab_run(save_with_no_room, &none), EFBIG);
	assert_int_equal(lab_run(save_with_no_room, &some), ENOSPC);
	expect(&peer, &s);
	assert_int_equal(lab_count("peers"), 1);
}

/* ---- several processes ----------------------------------------------------------------------- */

/* A state in which every value follows from one, so that a mixture would show. */
static struct sotto_peer_state of_one_piece(int64_t v)
{
	struct sotto_peer_state s = {
		.seen = v, .offer_seen = v, .sealed = v, .failures = (unsigned)v, .failed = v, .avoidances = (unsigned)v,
		.avoid_until = v, .n_keys = 1 + (unsigned)v % 8,
	};

	for (unsigned i = 0; i < s.n_keys; i++) {
		memset(s.keys[i].key, (int)(v & 0xff), 32);
		s.keys[i].seen = v;
	}
	return s;
}

static int save_many(void *arg)
{
	for (int64_t v = *(int *)arg; v < 2000; v += 4) {
		struct sotto_peer_state s = of_one_piece(v);

		if (sotto_state_save(lab_dir, &peer, &s) != 0)
			return 1;
	}
	return 0;
}

static void processes_that_save_at_once_never_mix_and_never_wait(void **state)
{
	struct sotto_peer_state first = of_one_piece(0), got;
	pid_t pid[4];
	int from[4];

	(void)state;
	save(&peer, &first);
	for (int i = 0; i < 4; i++) {
		from[i] = i;
		pid[i] = lab_start(save_many, &from[i]);
	}
	for (int i = 0; i < 2000; i++) {
		sotto_state_load(lab_dir, &peer, &got);
		assert_int_not_equal(got.n_keys, 0);
		first = of_one_piece(got.seen);
		assert_memory_equal(&got, &first, sizeof(got));
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(lab_wait(pid[i]), 0);
	assert_int_equal(lab_count("peers"), 1);
}

static int save_for_ever(void *arg)
{
	int v = 0;

	(void)arg;
	while (save_many(&v) == 0)
		;
	return 1;
}

static void a_writer_killed_at_any_moment_leaves_a_whole_file(void **state)
{
	struct sotto_peer_state s = of_one_piece(0), got;

	(void)state;
	save(&peer, &s);
	for (int i = 0; i < 50; i++) {
		pid_t pid = lab_start(save_for_ever, NULL);

		do	/* until it has begun */
			sotto_state_load(lab_dir, &peer, &got);
		while (got.seen == s.seen);
		lab_kill(pid);
		sotto_state_load(lab_dir, &peer, &got);
		assert_int_not_equal(got.n_keys, 0);
		s = of_one_piece(got.seen);
		assert_memory_equal(&got, &s, sizeof(got));
	}
	save(&peer, &s);
	expect(&peer, &s);
}

/* ---- the plugin's question ------------------------------------------------------------------- */

static void the_plugin_learns_who_is_avoided_and_its_errno_stays(void **state)
{
	struct sotto_peer_state s = { .seen = T0, .failures = 3, .avoidances = 1, .avoid_until = T0 + 600 };
	struct sockaddr_storage other = lab_addr("192.0.2.2", 25), mapped = lab_addr("::ffff:192.0.2.1", 25);

	(void)state;
	errno = 77;
	assert_int_equal(sotto_state_avoided("/nowhere", peer.addr, T0), 0);
	assert_int_equal(errno, 77);
	save(&peer, &s);
	errno = 77;
	assert_int_equal(sotto_state_avoided(lab_dir, peer.addr, T0), 1);
	assert_int_equal(sotto_state_avoided(lab_dir, (struct sockaddr *)&mapped, T0), 1);
	assert_int_equal(sotto_state_avoided(lab_dir, (struct sockaddr *)&other, T0), 0);
	assert_int_equal(sotto_state_avoided(lab_dir, peer.addr, T0 + 600), 0);
	assert_int_equal(sotto_state_avoided(lab_dir, peer.addr, T0 - 86400), 0);
	assert_int_equal(errno, 77);
}

#define t(f) cmocka_unit_test_setup_teardown(f, begin, lab_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(what_was_saved_comes_back),
		t(the_file_is_named_by_the_address),
		t(only_checked_names_become_files),
		t(exactly_one_of_address_and_name_is_a_key),
		t(who_connects_to_us_is_remembered_only_once_it_was_sealed),
		t(what_could_not_be_read_again_is_not_written),
		t(a_file_changed_at_any_octet_is_absent),
		t(a_file_cut_off_anywhere_or_too_long_is_absent),
		t(a_file_that_is_whole_but_odd_is_absent),
		t(what_does_not_fit_is_an_error),
		t(what_may_not_be_read_is_absent),
		t(what_is_no_file_is_absent_and_nobody_waits_for_it),
		t(without_a_folder_nothing_is_remembered),
		t(a_folder_that_may_not_be_written_to_is_an_error),
		t(on_a_full_disk_the_file_is_what_it_was),
		t(processes_that_save_at_once_never_mix_and_never_wait),
		t(a_writer_killed_at_any_moment_leaves_a_whole_file),
		t(the_plugin_learns_who_is_avoided_and_its_errno_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
