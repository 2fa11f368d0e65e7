/* SPDX-License-Identifier: ISC */
/* live.h's promises: who is believed to be connected now, what a killed writer leaves behind, and what the sweep takes. */
#include "tests/unit/folder-lab.h"

#include <sys/file.h>

#include "core/runtime/live-text.h"
#include "core/runtime/live.h"

#define T0 1700000000
#define PEER "192.0.2.1:40123"
#define SWEPT ".swept"

static const struct sotto_live nothing;
static struct sockaddr_storage peer_addr;
static const struct sockaddr *peer = (const struct sockaddr *)&peer_addr;

static int begin(void **state)
{
	peer_addr = lab_addr("192.0.2.1", 40123);
	return lab_begin(state);
}

static struct sotto_live sealed(void)
{
	return (struct sotto_live){ .inbound = true, .sealed = true, .version = 1, .id = "0123456789abcdef", .adapter = "exim",
				    .pid = 4711, .since = T0 };
}

static struct sotto_live outbound(void)
{
	struct sotto_live live = sealed();

	live.inbound = false;
	return live;
}

static struct sotto_live_file opened(const struct sockaddr *addr, struct sotto_live live)
{
	struct sotto_live_file f = { .fd = -1 };

	assert_int_equal(sotto_live_write(&f, lab_dir, addr, &live), 0);
	assert_true(f.fd >= 0);
	return f;
}

static void expect_same(const struct sotto_live *got, const struct sotto_live *live)
{
	assert_int_equal(got->inbound, live->inbound);
	assert_int_equal(got->sealed, live->sealed);
	assert_int_equal(got->version, live->version);
	assert_string_equal(got->id, live->id);
	assert_string_equal(got->adapter, live->adapter);
	assert_int_equal(got->pid, live->pid);
	assert_int_equal(got->since, live->since);
}

static void expect(const struct sockaddr *addr, struct sotto_live live)
{
	struct sotto_live got;

	memset(&got, 0xee, sizeof(got));
	assert_int_equal(sotto_live_read(lab_dir, addr, &got), 0);
	expect_same(&got, &live);
}

static void expect_none(const struct sockaddr *addr, int rc)
{
	struct sotto_live got;

	memset(&got, 0xee, sizeof(got));
	errno = 77;
	assert_int_equal(sotto_live_read(lab_dir, addr, &got), rc);
	assert_int_equal(errno, 77);
	assert_memory_equal(&got, &nothing, sizeof(got));
}

/* ---- what comes back, and under which name --------------------------------------------------- */

static void what_was_written_comes_back(void **state)
{
	struct sotto_live live = sealed(), plain = { .inbound = true, .pid = 1, .since = T0 };
	struct sotto_live_file f;
	struct stat st;

	(void)state;
	expect_none(peer, -ENOENT);
	f = opened(peer, plain);
	expect(peer, plain);
	assert_int_equal(stat(lab_path(PEER), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sotto_live_write(&f, lab_dir, peer, &live), 0);
	errno = 77;
	expect(peer, live);
	assert_int_equal(errno, 77);
	assert_int_equal(lab_count("."), 1);
	sotto_live_remove(&f);
	assert_int_equal(f.fd, -1);
	expect_none(peer, -ENOENT);
	assert_int_equal(lab_count("."), 0);
}

static void version_and_id_are_those_of_a_sealed_session_only(void **state)
{
	struct sotto_live live = sealed();
	struct sotto_live_file f;

	(void)state;
	live.sealed = false;
	f = opened(peer, live);
	live.version = 0;
	live.id[0] = '\0';
	expect(peer, live);
	sotto_live_remove(&f);
}

static void expect_inbound_file(const char *addr, const char *name)
{
	struct sockaddr_storage ss = lab_addr(addr, 40123);
	struct sotto_live_file f = opened((struct sockaddr *)&ss, sealed());

	assert_true(lab_exists(name));
	assert_string_equal(f.path, lab_path(name));
	expect((struct sockaddr *)&ss, sealed());
	sotto_live_remove(&f);
	assert_int_equal(lab_count("."), 0);
}

static void one_that_connected_to_us_is_named_by_address_and_port(void **state)
{
	struct sockaddr_storage unix_addr = { .ss_family = AF_UNIX };
	struct sotto_live_file f = { .fd = -1 };
	struct sotto_live live = sealed();

	(void)state;
	expect_inbound_file("192.0.2.1", PEER);
	expect_inbound_file("::ffff:192.0.2.1", PEER);
	expect_inbound_file("2001:DB8:0::1", "[2001:db8::1]:40123");
	expect_inbound_file("2001:db8:0:1:2:3:4:5", "[2001:db8:0:1:2:3:4:5]:40123");
	assert_int_equal(sotto_live_write(&f, lab_dir, (struct sockaddr *)&unix_addr, &live), -EINVAL);
	expect_none((struct sockaddr *)&unix_addr, -EINVAL);
}

static void an_ipv4_peer_is_found_by_its_mapped_address_and_not_by_another_port(void **state)
{
	struct sockaddr_storage mapped = lab_addr("::ffff:192.0.2.1", 40123), port = lab_addr("192.0.2.1", 40124);
	struct sotto_live_file f = opened(peer, sealed());

	(void)state;
	expect((struct sockaddr *)&mapped, sealed());
	expect_none((struct sockaddr *)&port, -ENOENT);
	sotto_live_remove(&f);
}

static void several_we_connected_have_a_file_each_and_none_is_read_as_one_that_connected(void **state)
{
	struct sotto_live_file a = opened(peer, outbound()), b = opened(peer, outbound());
	struct sotto_live live = outbound();
	char begins[512], was[256];

	(void)state;
	(void)snprintf(begins, sizeof(begins), "%s/out-" PEER "-%ld-", lab_dir, (long)getpid());
	assert_memory_equal(a.path, begins, strlen(begins));
	assert_memory_equal(b.path, begins, strlen(begins));
	assert_string_not_equal(a.path, b.path);
	expect_none(peer, -ENOENT);
	memcpy(was, a.path, sizeof(was));
	live.since++;
	assert_int_equal(sotto_live_write(&a, lab_dir, peer, &live), 0);
	assert_string_equal(a.path, was);
	assert_int_equal(lab_count("."), 2);
	sotto_live_remove(&a);
	assert_int_equal(access(b.path, F_OK), 0);
	sotto_live_remove(&b);
	assert_int_equal(lab_count("."), 0);
}

/* ---- who lives ------------------------------------------------------------------------------- */

struct writer {
	int to_us[2];
	bool inbound;
};

static int write_and_stay(void *arg)
{
	const struct writer *w = arg;
	struct sotto_live live = w->inbound ? sealed() : outbound();
	struct sotto_live_file f = { .fd = -1 };

	if (sotto_live_write(&f, lab_dir, peer, &live) != 0 || write(w->to_us[1], "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* A process that has written a session's file and lives on. */
static pid_t writer(bool inbound)
{
	struct writer w = { .inbound = inbound };
	pid_t pid;
	char c;

	assert_int_equal(pipe2(w.to_us, O_CLOEXEC), 0);
	pid = lab_start(write_and_stay, &w);
	close(w.to_us[1]);
	assert_int_equal(read(w.to_us[0], &c, 1), 1);
	close(w.to_us[0]);
	return pid;
}

static void what_a_killed_writer_left_is_not_believed_and_swept(void **state)
{
	pid_t in = writer(true), out = writer(false);

	(void)state;
	assert_int_equal(lab_count("."), 2);
	expect(peer, sealed());
	lab_kill(in);
	lab_kill(out);
	assert_int_equal(lab_count("."), 2);
	expect_none(peer, -ESTALE);
	expect_none(peer, -ESTALE);
	sotto_live_sweep(lab_dir);
	expect_none(peer, -ENOENT);
	assert_int_equal(lab_count("."), 1);	/* the sweep's own */
	assert_true(lab_exists(SWEPT));
}

struct listed {
	unsigned n, sealed, inbound;
	char peers[4][64];
};

static void list_one(void *arg, const char *name, const struct sotto_live *live)
{
	struct listed *l = arg;

	assert_true(l->n < 4);
	(void)snprintf(l->peers[l->n++], sizeof(l->peers[0]), "%s", name);
	l->sealed += live->sealed;
	l->inbound += live->inbound;
}

static void all_that_are_open_are_listed_by_their_peer_and_nobody_else(void **state)
{
	struct sockaddr_storage six = lab_addr("2001:db8::1", 25);
	struct sotto_live live = outbound();
	struct sotto_live_file a, b, c;
	struct listed l = { 0 };
	pid_t dead;

	(void)state;
	a = opened(peer, sealed());
	live.sealed = false;
	live.version = 0;
	live.id[0] = '\0';
	b = opened(peer, live);
	c = opened((const struct sockaddr *)&six, outbound());
	dead = writer(false);
	lab_kill(dead);
	lab_put("no.session", "x", 1);
	lab_put("198.51.100.1:25", "x", 1);
	assert_int_equal(mkdir(lab_path("peers"), 0700), 0);
	assert_int_equal(sotto_live_list(lab_dir, list_one, &l), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.sealed, 2);
	assert_int_equal(l.inbound, 1);
	for (unsigned i = 0; i < l.n; i++)
		assert_true(strcmp(l.peers[i], PEER) == 0 || strcmp(l.peers[i], "[2001:db8::1]:25") == 0);
	sotto_live_remove(&a);
	sotto_live_remove(&b);
	sotto_live_remove(&c);
	assert_int_equal(sotto_live_list("/nothing/there", list_one, &l), -ENOENT);
}

static void what_a_killed_writer_left_is_replaced(void **state)
{
	struct sotto_live live = sealed();
	struct sotto_live_file f;

	(void)state;
	lab_kill(writer(true));
	live.since++;
	f = opened(peer, live);
	expect(peer, live);
	assert_int_equal(lab_count("."), 1);
	sotto_live_remove(&f);
}

static void the_sweep_leaves_the_living_and_what_is_not_its_own(void **state)
{
	pid_t in = writer(true), out = writer(false);

	(void)state;
	lab_put("notes", "x", 1);
	lab_put(".hidden:1", "x", 1);
	lab_odd_thing("a:b", 1, NULL);
	lab_age(PEER, 365 * 86400);
	sotto_live_sweep(lab_dir);
	assert_int_equal(lab_count("."), 6);
	expect(peer, sealed());
	lab_kill(in);
	lab_kill(out);
}

static void the_sweep_takes_what_was_left_on_its_way_to_becoming_a_file(void **state)
{
	(void)state;
	lab_put(".new-1-2.3-4", "x", 1);
	lab_put(".new-1-2.3-5", "x", 1);
	lab_age(".new-1-2.3-4", 601);
	sotto_live_sweep(lab_dir);
	assert_false(lab_exists(".new-1-2.3-4"));
	assert_true(lab_exists(".new-1-2.3-5"));	/* its lock may come this very moment */
}

static bool swept_when_last_swept(time_t ago)
{
	lab_put(PEER, "x", 1);
	if (lab_exists(SWEPT))
		lab_age(SWEPT, ago);
	sotto_live_sweep(lab_dir);
	return !lab_exists(PEER);
}

static void it_is_swept_every_ten_minutes_at_most_and_a_clock_set_back_does_not_stop_it(void **state)
{
	(void)state;
	assert_true(swept_when_last_swept(0));	/* never yet */
	assert_false(swept_when_last_swept(0));
	assert_false(swept_when_last_swept(500));
	assert_true(swept_when_last_swept(600));
	sotto_live_sweep(lab_dir);
	assert_false(swept_when_last_swept(0));
	assert_true(swept_when_last_swept(-1000));
	lab_put(PEER, "x", 1);
	sotto_live_sweep(lab_dir);		/* the file's time is now again */
	assert_true(lab_exists(PEER));
}

static int rewrite_for_ever(void *arg)
{
	struct sotto_live_file f = { .fd = -1 };
	struct sotto_live live = sealed();

	(void)arg;
	for (live.since = 1; sotto_live_write(&f, lab_dir, peer, &live) == 0; live.since++)
		;
	return 1;
}

static void a_session_written_again_and_again_is_alive_at_every_moment(void **state)
{
	pid_t writing = lab_start(rewrite_for_ever, NULL);
	struct sotto_live got;

	(void)state;
	while (sotto_live_read(lab_dir, peer, &got) == -ENOENT)	/* until it has begun */
		;
	for (int64_t i = 0, last = 0; i < 5000; i++) {
		assert_int_equal(sotto_live_read(lab_dir, peer, &got), 0);
		assert_true(got.since >= last);
		last = got.since;
	}
	lab_kill(writing);
	expect_none(peer, -ESTALE);
}

static void only_to_ask_does_not_look_alive(void **state)
{
	int fd;

	(void)state;
	lab_kill(writer(true));
	fd = open(lab_path(PEER), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	expect_none(peer, -ESTALE);
	close(fd);
}

/* ---- whose it is ----------------------------------------------------------------------------- */

static void only_our_own_file_is_removed(void **state)
{
	struct sotto_live_file none = { .fd = -1 }, old = opened(peer, sealed()), now;
	struct sotto_live live = sealed();

	(void)state;
	live.since++;
	now = opened(peer, live);	/* the address and port are somebody else's by now */
	sotto_live_remove(&none);
	sotto_live_remove(&old);
	sotto_live_remove(&old);
	expect(peer, live);
	assert_int_equal(remove(now.path), 0);
	lab_put(PEER, "x", 1);
	sotto_live_remove(&now);
	assert_true(lab_exists(PEER));
	assert_int_equal(lab_count("."), 1);
}

static void what_could_not_be_read_again_is_not_written_and_the_old_file_goes(void **state)
{
	struct sotto_live bad[] = { sealed(), sealed(), sealed(), sealed(), sealed(), sealed(), sealed(), sealed() };

	(void)state;
	bad[0].version = 0;
	bad[1].version = 1000;
	bad[2].id[15] = '\0';
	bad[3].id[3] = 'A';
	memset(bad[4].id, 'a', sizeof(bad[4].id));
	memset(bad[5].adapter, 'a', sizeof(bad[5].adapter));
	strcpy(bad[6].adapter, "a\npid 1");
	bad[7].since = -1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sotto_live_file f = opened(peer, sealed());

		assert_int_equal(sotto_live_write(&f, lab_dir, peer, &bad[i]), -EINVAL);
		assert_int_equal(f.fd, -1);
		expect_none(peer, -ENOENT);
		assert_int_equal(sotto_live_write(&f, lab_dir, peer, &bad[i]), -EINVAL);
		assert_int_equal(lab_count("."), 0);
	}
}

/* ---- damage: of a file that is locked, so that only its text counts ---------------------------- */

static void a_file_changed_at_any_octet_is_odd(void **state)
{
	struct sotto_live_file f = opened(peer, sealed());
	char text[SOTTO_TEXT_MAX];
	size_t n = lab_get(PEER, text, sizeof(text));
	struct sotto_live got;

	(void)state;
	assert_true(n > 100 && n < 300);
	for (size_t at = 0; at < n; at++) {
		char was = text[at];

		for (unsigned v = 0; v < 256; v++) {
			text[at] = (char)v;
			assert_int_equal(sotto_live_text_read(&got, text, n), (char)v == was);
			if ((char)v != was)
				assert_memory_equal(&got, &nothing, sizeof(got));
		}
		text[at] = (char)(was ^ 1);
		lab_put(PEER, text, n);
		expect_none(peer, -EPROTO);
		text[at] = was;
	}
	lab_put(PEER, text, n);
	expect(peer, sealed());
	sotto_live_remove(&f);
}

static void a_file_cut_off_anywhere_or_too_long_is_odd(void **state)
{
	struct sotto_live_file f = opened(peer, sealed());
	char text[SOTTO_TEXT_MAX + 2];
	size_t n;

	(void)state;
	memset(text, '\n', sizeof(text));
	n = lab_get(PEER, text, sizeof(text));
	for (size_t len = 0; len < n; len++) {
		lab_put(PEER, text, len);
		expect_none(peer, -EPROTO);
	}
	for (size_t len = n + 1; len <= sizeof(text); len += 97) {
		lab_put(PEER, text, len);
		expect_none(peer, -EPROTO);
	}
	lab_put(PEER, text, sizeof(text));
	expect_none(peer, -EPROTO);
	sotto_live_remove(&f);
}

/* A file with a right check over whatever is above it. */
static bool taken(const char *above)
{
	struct sotto_text_out out = { 0 };
	struct sotto_live live;

	sotto_text_put(&out, "%s", above);
	assert_int_equal(sotto_text_finish(&out), 0);
	return sotto_live_text_read(&live, out.at, out.n);
}

#define FILE_OF(adapter, pid, since, rest) \
	"sotto-live 1\ninbound yes\nadapter " adapter "\npid " pid "\nsince " since "\nsealed " rest
#define ID "id 0123456789abcdef\n"

static void a_file_that_is_whole_but_odd_is_odd(void **state)
{
	static const char *const odd[] = {
		"", "sotto-live 1\n", "sotto-peer 1\n", "sotto-live 2\ninbound yes\nadapter exim\npid 1\nsince 2\nsealed no\n",
		FILE_OF("exim", "1", "2", "no\n\n"), FILE_OF("exim", "1", "2", "no\nversion 1\n" ID), FILE_OF("exim", "1", "2", "yes\n"),
		FILE_OF("exim", "1", "2", "yes\nversion 0\n" ID), FILE_OF("exim", "1", "2", "yes\nversion 1000\n" ID),
		FILE_OF("exim", "1", "2", "yes\nversion 1\nid 0123456789abcde\n"),
		FILE_OF("exim", "1", "2", "yes\nversion 1\nid 0123456789abcdeF\n"),
		FILE_OF("exim", "1", "2", "yes\nversion 1\nid 0123456789abcdef0\n"),
		FILE_OF("Exim", "1", "2", "no\n"), FILE_OF("ex im", "1", "2", "no\n"), FILE_OF("abcdefghijklmnop", "1", "2", "no\n"),
		FILE_OF("exim", "2147483648", "2", "no\n"), FILE_OF("exim", "-1", "2", "no\n"),
		FILE_OF("exim", "1", "253402300800", "no\n"), FILE_OF("exim", "1", "02", "no\n"),
	};

	(void)state;
	assert_true(taken(FILE_OF("exim", "1", "2", "no\n")));
	assert_true(taken(FILE_OF("abcdefghijklmno", "2147483647", "253402300799", "yes\nversion 999\n" ID)));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_false(taken(odd[i]));
}

/* ---- where nothing can be read or written ---------------------------------------------------- */

static void what_is_no_file_is_odd_and_nobody_waits_for_it(void **state)
{
	struct sotto_live_file linked = opened(peer, sealed()), f = { .fd = -1 };
	struct sotto_live live = sealed();

	(void)state;
	assert_int_equal(rename(lab_path(PEER), lab_path("elsewhere")), 0);
	for (int which = 0; which < LAB_ODD_THINGS; which++) {
		lab_odd_thing(PEER, which, "elsewhere");
		expect_none(peer, -EPROTO);
		sotto_live_sweep(lab_dir);
		assert_int_equal(unlink(lab_path(SWEPT)), 0);
		assert_true(lab_exists(PEER));
		if (which == 1) {
			assert_int_equal(sotto_live_write(&f, lab_dir, peer, &live), -EISDIR);
			assert_int_equal(f.fd, -1);
		} else {
			assert_int_equal(sotto_live_write(&f, lab_dir, peer, &live), 0);
			expect(peer, live);
			sotto_live_remove(&f);
		}
		assert_true(lab_exists("elsewhere"));
		assert_int_equal(lab_count("."), which == 1 ? 2 : 1);
	}
	sotto_live_remove(&linked);	/* it has another name now: that one is not ours to remove */
	assert_true(lab_exists("elsewhere"));
}

static void without_a_folder_there_is_no_session(void **state)
{
	struct sotto_live_file f = { .fd = -1 };
	struct sotto_live live = sealed(), got;
	char missing[400];

	(void)state;
	(void)snprintf(missing, sizeof(missing), "%s/missing", lab_dir);
	assert_int_equal(sotto_live_write(&f, missing, peer, &live), -ENOENT);
	assert_int_equal(f.fd, -1);
	assert_int_equal(sotto_live_read(missing, peer, &got), -ENOENT);
	sotto_live_sweep(missing);
	assert_false(lab_exists("missing"));
	memset(missing, 'a', sizeof(missing) - 1);
	missing[sizeof(missing) - 1] = '\0';
	assert_int_equal(sotto_live_write(&f, missing, peer, &live), -ENAMETOOLONG);
	assert_int_equal(sotto_live_read(missing, peer, &got), -ENAMETOOLONG);
	sotto_live_sweep(missing);
}

static int write_as_nobody(void *arg)
{
	struct sotto_live_file f = { .fd = -1 };
	struct sotto_live live = sealed();
	int rc;

	(void)arg;
	lab_may_not_write();
	sotto_live_sweep(lab_dir);
	rc = sotto_live_write(&f, lab_dir, peer, &live);
	return f.fd == -1 ? -rc : 98;
}

static void a_folder_that_may_not_be_written_to_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(lab_run(write_as_nobody, NULL), EACCES);
	assert_int_equal(chmod(lab_dir, 0755), 0);
	assert_int_equal(lab_count("."), 0);
}

/* Written once, and then there is no room to write it again. */
static int write_again_with_no_room(void *arg)
{
	struct sotto_live_file f = { .fd = -1 };
	struct sotto_live live = sealed();
	int rc = sotto_live_write(&f, lab_dir, peer, &live);

	lab_disk_is_full_after(*(rlim_t *)arg);
	if (rc == 0)
		rc = sotto_live_write(&f, lab_dir, peer, &live);
	return f.fd == -1 ? -rc : 98;
}

static void on_a_full_disk_there_is_no_file_of_ours_any_more(void **state)
{
	rlim_t none = 0, some = 50;

	(void)state;
	assert_int_equal(lab_run(write_again_with_no_room, &none), EFBIG);
	assert_int_equal(lab_count("."), 0);
	assert_int_equal(lab_run(write_again_with_no_room, &some), ENOSPC);
	assert_int_equal(lab_count("."), 0);
}

#define t(f) cmocka_unit_test_setup_teardown(f, begin, lab_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(what_was_written_comes_back),
		t(version_and_id_are_those_of_a_sealed_session_only),
		t(one_that_connected_to_us_is_named_by_address_and_port),
		t(an_ipv4_peer_is_found_by_its_mapped_address_and_not_by_another_port),
		t(several_we_connected_have_a_file_each_and_none_is_read_as_one_that_connected),
		t(what_a_killed_writer_left_is_not_believed_and_swept),
		t(all_that_are_open_are_listed_by_their_peer_and_nobody_else),
		t(what_a_killed_writer_left_is_replaced),
		t(the_sweep_leaves_the_living_and_what_is_not_its_own),
		t(the_sweep_takes_what_was_left_on_its_way_to_becoming_a_file),
		t(it_is_swept_every_ten_minutes_at_most_and_a_clock_set_back_does_not_stop_it),
		t(a_session_written_again_and_again_is_alive_at_every_moment),
		t(only_to_ask_does_not_look_alive),
		t(only_our_own_file_is_removed),
		t(what_could_not_be_read_again_is_not_written_and_the_old_file_goes),
		t(a_file_changed_at_any_octet_is_odd),
		t(a_file_cut_off_anywhere_or_too_long_is_odd),
		t(a_file_that_is_whole_but_odd_is_odd),
		t(what_is_no_file_is_odd_and_nobody_waits_for_it),
		t(without_a_folder_there_is_no_session),
		t(a_folder_that_may_not_be_written_to_is_an_error),
		t(on_a_full_disk_there_is_no_file_of_ours_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
