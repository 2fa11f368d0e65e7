/* SPDX-License-Identifier: ISC */
/* account.h's promises: what a session leaves in the memory of its peer, and that a busy peer costs no writing. */
#include "tests/unit/folder-lab.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "core/runtime/account.h"
#include "core/runtime/counters.h"
#include "core/runtime/log-socket.h"
#include "core/runtime/log.h"
#include "core/runtime/state.h"

/* In place of the C library's, for log.c: the log is read when somebody waits for it. */
static int read_when_waited_for = -1;

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec limit = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L };
	char line[2048];

	while (read_when_waited_for >= 0 && recv(read_when_waited_for, line, sizeof(line), MSG_DONTWAIT) > 0)
		;
	return ppoll(fds, n, timeout < 0 ? NULL : &limit, NULL);
}

static const struct sotto_report sealed = { .outcome = SOTTO_OUTCOME_SEALED, .offer_known = true, .offered = true, .version = 1,
					    .identity = SOTTO_IDENTITY_KNOWN, .identity_key = { 7 } };

static void session(const struct sotto_report *report, bool orderly)
{
	struct sotto_relay_end end = { .report = report, .orderly = orderly };
	struct sotto_account a = { .role = SOTTO_CONNECT, .peer = lab_addr("192.0.2.1", 25), .peer_len = sizeof(struct sockaddr_in),
				   .host = "mx.example.org", .domain = "example.org", .adapter = "exim", .state = lab_dir, .run = lab_dir,
				   .remembers_keys = true, .log_ms = 500 };

	sotto_account_open(&a);
	sotto_account_close(&a, &end);
}

static struct sotto_peer_state load(const char *name)
{
	struct sockaddr_storage peer = lab_addr("192.0.2.1", 25);
	struct sotto_state_key key = { .addr = name == NULL ? (const struct sockaddr *)&peer : NULL, .name = name };
	struct sotto_peer_state s;

	sotto_state_load(lab_dir, &key, &s);
	return s;
}

static void age(const char *name, int64_t seconds)
{
	struct sockaddr_storage peer = lab_addr("192.0.2.1", 25);
	struct sotto_state_key key = { .addr = name == NULL ? (const struct sockaddr *)&peer : NULL, .name = name };
	struct sotto_peer_state s = load(name);

	s.seen -= seconds;
	assert_int_equal(sotto_state_save(lab_dir, &key, &s), 0);
}

static const char *const files[] = { "peers/192.0.2.1", "names/mx.example.org", "names/example.org" };

static ino_t written(unsigned i)
{
	struct stat st;

	assert_int_equal(stat(lab_path(files[i]), &st), 0);
	return st.st_ino;
}

static void a_sealed_session_is_remembered(void **state)
{
	(void)state;
	session(&sealed, true);
	assert_true(load(NULL).sealed != 0 && load(NULL).offered);
	assert_int_equal(load(NULL).n_keys, 1);
	assert_int_equal(load("mx.example.org").keys[0].key[0], 7);
	assert_int_equal(load("example.org").n_keys, 1);
}

static void what_brings_nothing_new_is_not_written_again(void **state)
{
	ino_t before[3];

	(void)state;
	session(&sealed, true);
	for (unsigned i = 0; i < 3; i++)
		before[i] = written(i);
	session(&sealed, true);
	for (unsigned i = 0; i < 3; i++)
		assert_true(before[i] == written(i));
}

static void but_what_is_ten_minutes_old_is(void **state)
{
	(void)state;
	session(&sealed, true);
	age(NULL, 601);
	age("example.org", 601);
	session(&sealed, true);
	assert_true(time(NULL) - load(NULL).seen < 60);
	assert_true(time(NULL) - load("example.org").seen < 60);
}

/* The clock was set back: what is there is from the future. */
static void and_what_is_from_the_future(void **state)
{
	(void)state;
	session(&sealed, true);
	age(NULL, -5000);
	session(&sealed, true);
	assert_true(load(NULL).seen <= time(NULL));
}

static void whatever_is_new_is_written_at_once(void **state)
{
	struct sotto_report other = sealed;

	(void)state;
	session(&sealed, true);
	other.identity_key[0] = 8;
	session(&other, true);
	assert_int_equal(load(NULL).n_keys, 2);
	assert_int_equal(load("example.org").n_keys, 2);
	other.offered = false;
	other.outcome = SOTTO_OUTCOME_CLEAR;
	other.identity = SOTTO_IDENTITY_UNSEEN;
	session(&other, true);
	assert_false(load(NULL).offered);
	other.failed = true;
	session(&other, true);
	assert_int_equal(load(NULL).failures, 1);
	session(&sealed, true);
	assert_int_equal(load(NULL).failures, 0);
}

static struct sotto_counted counted[8];
static unsigned n_counted;

static void take_counted(void *arg, const struct sotto_counted *c)
{
	(void)arg;
	assert_true(n_counted < 8);
	counted[n_counted++] = *c;
}

static void every_session_is_counted_also_of_peers_not_known(void **state)
{
	static const struct sotto_report clear = { .outcome = SOTTO_OUTCOME_CLEAR, .cause = SOTTO_CAUSE_NOT_OFFERED, .offer_known = true, .starttls = true },
		failed = { .outcome = SOTTO_OUTCOME_CLEAR, .cause = SOTTO_CAUSE_SILENCE, .failed = true, .silent = true, .failure = SOTTO_CAUSE_SILENCE },
		refused = { .outcome = SOTTO_OUTCOME_REFUSED, .cause = SOTTO_CAUSE_NOT_OFFERED };
	struct sotto_relay_end end = { .report = &refused, .sent = 5, .received = 6, .duration_ms = 7 };
	struct sotto_account a = { .role = SOTTO_CONNECT, .adapter = "postfix", .state = lab_dir, .run = lab_dir, .native = true };

	(void)state;
	session(&sealed, true);
	session(&clear, true);
	session(&failed, false);
	sotto_account_open(&a);
	sotto_account_close(&a, &end);
	n_counted = 0;
	assert_int_equal(sotto_counters_read(lab_dir, NULL, take_counted, NULL), 0);
	assert_int_equal(n_counted, 4);
	assert_int_equal(counted[0].outcome, SOTTO_COUNTED_SEALED);
	assert_int_equal(counted[0].flags, 0);
	assert_int_equal(counted[1].outcome, SOTTO_COUNTED_CLEAR);
	assert_int_equal(counted[1].flags, SOTTO_COUNTED_STARTTLS);
	assert_int_equal(counted[2].flags, SOTTO_COUNTED_FELL_BACK | SOTTO_COUNTED_CUT);
	assert_int_equal(counted[3].outcome, SOTTO_COUNTED_NATIVE);
	assert_int_equal(counted[3].adapter, SOTTO_COUNTED_POSTFIX);
	assert_int_equal(counted[3].flags, 0);
	assert_true(counted[3].sent == 5 && counted[3].received == 6 && counted[3].duration_ms == 7);
}

/* Many sessions that end at once are more than a log's socket takes at once. */
static void its_line_waits_for_a_log_that_is_full(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char line[2048] = "";

	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/log", lab_dir);
	read_when_waited_for = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(read_when_waited_for, (const struct sockaddr *)&at, sizeof(at)), 0);
	sotto_log_socket = at.sun_path;
	sotto_log_open("test-account", false);
	sotto_log_patience(0);
	for (unsigned i = 0; i < 5000; i++)
		sotto_log(LOG_INFO, "filling");
	session(&sealed, true);
	assert_true(recv(read_when_waited_for, line, sizeof(line) - 1, MSG_DONTWAIT) > 0);
	if (strstr(line, "outcome=sealed") == NULL)
		fail_msg("%s", line);
	close(read_when_waited_for);
	read_when_waited_for = -1;
	sotto_log_patience(0);
	sotto_log_open("test-account", true);
}

static void a_first_sealed_session_is_written_at_once(void **state)
{
	struct sotto_report clear = { .outcome = SOTTO_OUTCOME_CLEAR, .offer_known = true, .offered = true };

	(void)state;
	session(&clear, true);
	assert_int_equal(load(NULL).sealed, 0);
	session(&sealed, true);
	assert_true(load(NULL).sealed != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(a_sealed_session_is_remembered),
		lab_test(what_brings_nothing_new_is_not_written_again),
		lab_test(but_what_is_ten_minutes_old_is),
		lab_test(and_what_is_from_the_future),
		lab_test(whatever_is_new_is_written_at_once),
		lab_test(a_first_sealed_session_is_written_at_once),
		lab_test(every_session_is_counted_also_of_peers_not_known),
		lab_test(its_line_waits_for_a_log_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
