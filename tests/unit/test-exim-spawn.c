/* SPDX-License-Identifier: ISC */
/*
 * What spawn.h and interpose.h promise: all of it or nothing. Exim's process is this one, sotto-session a copy of this
 * program that behaves as each test says (exim-lab.h).
 */
#include <sys/syscall.h>

#include "tests/unit/exim-lab.h"

#include "plugins/exim/interpose.h"

enum { WRITTEN_START_MS = SOTTO_START_MS };

/* The written time counts in the one test in which it is to pass; elsewhere a slow machine must not make it pass. */
static int start_ms;
static const char *session_path;
static char state_dir[128];

#undef SOTTO_START_MS
#undef SOTTO_SESSION_PATH
#undef SOTTO_STATE_DIR
#undef SOTTO_CONF_DIR
#undef SOTTO_RUN_DIR
#define SOTTO_START_MS start_ms
#define SOTTO_SESSION_PATH session_path
#define SOTTO_STATE_DIR state_dir
#define SOTTO_CONF_DIR "/conf"
#define SOTTO_RUN_DIR "/run"
#include "plugins/exim/interpose.c"

struct stage {
	int exim, second, peer;	/* both of Exim's descriptors, and the other end */
	struct sotto_found found;
	int open;
	char why[256];
};

static const struct sotto_order order = {
	.role = "accept", .peer = "mx.example.org", .domain = "--net", .required = true, .keep_starttls = true
};

static void begin(struct stage *s, const char *behaviour)
{
	struct sockaddr_storage peer;
	int c[2];

	lab_behave(behaviour);
	start_ms = LAB_PATIENCE_MS;
	session_path = lab_session;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	s->exim = c[0];
	s->second = fcntl(c[0], F_DUPFD, 0);
	s->peer = c[1];
	lab_peer(&peer, s->exim);
	assert_int_equal(sotto_find(&s->found, &peer), 2);
	s->open = lab_count_fds();
	memset(s->why, 0, sizeof(s->why));
}

static int interpose(struct stage *s)
{
	return sotto_interpose(&s->found, &order, s->why, sizeof(s->why));
}

/* The peer sees the end of the connection, and before that nothing: nobody else holds it, and nobody wrote to it. */
static void end_alone(struct stage *s)
{
	struct pollfd p = { .fd = s->peer, .events = POLLIN };
	char octet;

	close(s->exim);
	close(s->second);
	assert_int_equal(poll(&p, 1, LAB_PATIENCE_MS), 1);
	assert_int_equal(read(s->peer, &octet, 1), 0);
	close(s->peer);
}

static void assert_untouched(struct stage *s)
{
	assert_int_equal(lab_count_fds(), s->open);
	lab_assert_no_child();
	lab_assert_joined(s->exim, s->peer);
	lab_assert_joined(s->peer, s->second);
	assert_int_equal(fcntl(s->exim, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(s->second, F_GETFD), 0);
	end_alone(s);
}

static void assert_undone(const char *behaviour, const char *why)
{
	struct stage s;

	begin(&s, behaviour);
	assert_int_equal(interpose(&s), -1);
	assert_non_null(strstr(s.why, why));
	assert_untouched(&s);
}

/* ---- when it does not work ---- */

static void one_that_is_never_ready_is_undone_when_time_is_up(void **state)
{
	struct stage s;
	int64_t before;

	(void)state;
	if (syscall(SYS_pidfd_open, getpid(), 0) < 0 && errno == ENOSYS) {	/* a kernel before 5.3, or valgrind's */
		print_message("NOT RUN: a session that hangs is killed: no pidfd_open here\n");
		skip();
	}
	assert_int_equal(WRITTEN_START_MS, 500);
	begin(&s, "never ready");
	start_ms = WRITTEN_START_MS;
	before = sotto_now_ms();
	assert_int_equal(interpose(&s), -1);
	assert_true(sotto_now_ms() - before >= WRITTEN_START_MS);
	assert_non_null(strstr(s.why, "was not ready within 500 ms"));
	assert_untouched(&s);
}

static void one_that_ends_at_once_is_undone(void **state)
{
	(void)state;
	assert_undone("dies", "ended before it was ready");
}

static void one_that_says_something_else_is_undone(void **state)
{
	(void)state;
	assert_undone("garbage", "ended before it was ready");
}

static void one_that_dies_between_ready_and_go_is_undone(void **state)
{
	(void)state;
	assert_undone("ready, then deaf", "ended as soon as it was ready");
}

static void a_missing_program_changes_nothing(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, "works");
	session_path = "/nonexistent/session";
	assert_int_equal(interpose(&s), -1);
	assert_non_null(strstr(s.why, "/nonexistent/session is missing or cannot be executed"));
	assert_untouched(&s);
}

static void nothing_of_ours_is_ever_root(void **state)
{
	struct stage s;

	(void)state;
	if (geteuid() != 0) {
		printf("NOT RUN: whether a session starts as root, as this is not root\n");
		return;
	}
	begin(&s, "works");
	assert_int_equal(chown(state_dir, 0, 0), 0);
	assert_int_equal(interpose(&s), -1);
	assert_untouched(&s);
	assert_int_equal(chown(state_dir, LAB_NOBODY, LAB_NOBODY), 0);
}

/* From none at all to enough: each call that needs one fails once. */
static void without_descriptors_left_nothing_changes(void **state)
{
	struct rlimit limit, less;
	struct stage s;
	int rc = -1, undone = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = limit;
	for (less.rlim_cur = 3; rc != 0 && less.rlim_cur < 256; less.rlim_cur++) {
		begin(&s, "works");
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
		rc = interpose(&s);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (rc == 0)
			break;
		assert_true(s.why[0] != '\0');
		assert_untouched(&s);
		undone++;
	}
	assert_int_equal(rc, 0);
	assert_true(undone > 0);
	close(s.exim);
	close(s.second);
	close(s.peer);
}

/* ---- when it works ---- */

static void read_all(int fd, char *out, size_t size)
{
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got = 1;

	while (got > 0 && n < size - 1) {
		assert_int_equal(poll(&p, 1, LAB_PATIENCE_MS), 1);
		got = read(fd, out + n, size - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	out[n] = '\0';
}

static void assert_line(const char *report, const char *line)
{
	if (strstr(report, line) == NULL)
		print_error("no \"%s\" in:\n%s\n", line, report);
	assert_non_null(strstr(report, line));
}

static void the_session_has_the_connection_and_exim_the_session(void **state)
{
	struct stage s;
	char text[4096], command[512];

	(void)state;
	begin(&s, "works");
	assert_int_equal(interpose(&s), 0);
	lab_assert_no_child();
	assert_int_equal(lab_count_fds(), s.open);
	assert_int_equal(fcntl(s.exim, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(s.second, F_GETFD), 0);
	read_all(s.peer, text, sizeof(text));
	(void)snprintf(command, sizeof(command), "\nargv accept --net 3 --mta 4 --ready 5 --adapter exim --peer mx.example.org --require "
		       "--starttls keep --conf /conf/sotto.conf --state %s --run /run\n", state_dir);
	assert_line(text, command);
	assert_line(text, "fds 0 1 2 3 4 5\n");
	assert_line(text, "\nenv PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
	assert_line(text, "\nleader 1\n");
	assert_line(text, "\nfolder /\n");
	assert_line(text, "\nmask 22\n");
	if (geteuid() == 0)
		assert_line(text, "\nuid 65534\n");
	read_all(s.exim, text, sizeof(text));
	assert_string_equal(text, "mta");
	assert_int_equal(read(s.second, text, 1), 0);
	close(s.exim);
	close(s.second);
	close(s.peer);
}

/* As Exim does while it receives; its other children are none of ours. */
static void ignored_children_are_not_waited_for(void **state)
{
	pid_t other = fork();
	struct stage s;

	(void)state;
	if (other == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pause();
		_exit(0);
	}
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	begin(&s, "works");
	assert_int_equal(interpose(&s), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);	/* the other one lives, and is the only one */
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
	close(s.exim);
	close(s.second);
	close(s.peer);
}

/* ---- what Exim sees of it ---- */

static volatile sig_atomic_t heard;

static void hear(int number)
{
	(void)number;
	heard++;
}

static void start(struct stage *s, struct sotto_spawn *spawn, int mta[2])
{
	const char *const argv[] = { lab_session, "accept", NULL };

	begin(s, "works");
	assert_int_equal(sotto_pair(mta, sotto_now_ms() + LAB_PATIENCE_MS), 0);
	assert_int_equal(sotto_spawn(spawn, argv, state_dir, s->exim, mta[1]), 0);
	assert_int_equal(sotto_spawn_ready(spawn, sotto_now_ms() + LAB_PATIENCE_MS), 0);
}

/* Exim waits for children of its own here and there, and has a handler for their end. */
static void no_child_and_no_signal_of_ours_reach_exim(void **state)
{
	struct sigaction before, ours = { .sa_handler = hear };
	struct sotto_spawn spawn;
	struct stage s;
	int mta[2];

	(void)state;
	heard = 0;
	assert_int_equal(sigaction(SIGCHLD, &ours, &before), 0);
	start(&s, &spawn, mta);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	sotto_spawn_end(&spawn, true);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(heard, 0);
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
	close(mta[0]);
	close(mta[1]);
	assert_untouched(&s);
}

/* The session takes the signals as any program does, and Exim's mask is what it was. */
static void exims_signal_mask_stays(void **state)
{
	sigset_t ours, after;
	struct sotto_spawn spawn;
	struct stage s;
	int mta[2];

	(void)state;
	sigemptyset(&ours);
	sigaddset(&ours, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_SETMASK, &ours, NULL), 0);
	start(&s, &spawn, mta);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
	assert_int_equal(sigismember(&after, SIGUSR2), 1);
	assert_int_equal(sigismember(&after, SIGCHLD), 0);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &ours, NULL), 0);
	sotto_spawn_end(&spawn, true);
	close(mta[0]);
	close(mta[1]);
	assert_untouched(&s);
}

int main(int argc, char **argv, char **environment)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_never_ready_is_undone_when_time_is_up),
		cmocka_unit_test(one_that_ends_at_once_is_undone),
		cmocka_unit_test(one_that_says_something_else_is_undone),
		cmocka_unit_test(one_that_dies_between_ready_and_go_is_undone),
		cmocka_unit_test(a_missing_program_changes_nothing),
		cmocka_unit_test(nothing_of_ours_is_ever_root),
		cmocka_unit_test(without_descriptors_left_nothing_changes),
		cmocka_unit_test(the_session_has_the_connection_and_exim_the_session),
		cmocka_unit_test(ignored_children_are_not_waited_for),
		cmocka_unit_test(no_child_and_no_signal_of_ours_reach_exim),
		cmocka_unit_test(exims_signal_mask_stays),
	};
	int rc;

	lab_fake(argc, argv, environment);
	lab_begin();
	(void)snprintf(state_dir, sizeof(state_dir), "%s/state", lab_dir);
	if (mkdir(state_dir, 0700) != 0 || (geteuid() == 0 && chown(state_dir, LAB_NOBODY, LAB_NOBODY) != 0))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	lab_end();
	return rc;
}
