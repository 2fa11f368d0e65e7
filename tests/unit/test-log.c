/* SPDX-License-Identifier: ISC */
/* log.h's promises: nothing ever waits, what is lost or withheld is told, and nobody writes into somebody else's line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/log-socket.h"
#include "core/runtime/log.h"

/* In place of the C library's, for log-stamp.c: what another process does just before the lock is got. */
static void (*before_lock)(void);
int flock(int fd, int how);

int flock(int fd, int how)
{
	if (before_lock != NULL)
		before_lock();
	return (int)syscall(SYS_flock, fd, how);
}

/* In place of the C library's, for log.c: there is room, says the kernel so often, and somebody else has it; then there is. No nap is one. */
static unsigned taken_by_others;
static int emptied_then = -1;

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec limit = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L };
	char line[2048];

	if (taken_by_others > 0 && n == 0)
		return 0;
	if (taken_by_others > 0 && --taken_by_others == 0)
		while (recv(emptied_then, line, sizeof line, MSG_DONTWAIT) > 0)
			;
	else if (taken_by_others > 0)
		return 1;
	return ppoll(fds, n, timeout < 0 ? NULL : &limit, NULL);
}

struct lab {
	char dir[32], path[64], stamp[64];
	int syslog;	/* what stands for syslogd */
	char line[2048];
};

static int bind_syslog(const struct lab *lab)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", lab->path);
	return bind(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof *lab);

	strcpy(lab->dir, "/tmp/sotto-log-XXXXXX");
	if (mkdtemp(lab->dir) == NULL)
		return -1;
	(void)snprintf(lab->path, sizeof lab->path, "%s/log", lab->dir);
	(void)snprintf(lab->stamp, sizeof lab->stamp, "%s/stamp", lab->dir);
	sotto_log_socket = lab->path;
	setenv("TZ", "EAST-5:30", 1);
	lab->syslog = bind_syslog(lab);
	sotto_log_open("test-log", false);
	/* none of an earlier test's losses are told in this one */
	sotto_log(LOG_INFO, "begin");
	(void)recv(lab->syslog, lab->line, sizeof lab->line, 0);
	*state = lab;
	return lab->syslog >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;

	close(lab->syslog);
	(void)unlink(lab->path);
	(void)unlink(lab->stamp);
	(void)rmdir(lab->stamp);
	(void)rmdir(lab->dir);
	free(lab);
	return 0;
}

/* The next line that arrived, whole; NULL: none. */
static char *next(struct lab *lab)
{
	ssize_t n = recv(lab->syslog, lab->line, sizeof lab->line - 1, 0);

	lab->line[n > 0 ? n : 0] = 0;
	return n >= 0 ? lab->line : NULL;
}

/* Its text, after "NAME[PID]: "; "" where there is none. */
static char *text(struct lab *lab)
{
	static char none[] = "";
	char *line = next(lab), *at = line != NULL ? strstr(line, "]: ") : NULL;

	return at != NULL ? at + 3 : none;
}

static unsigned count_lines(struct lab *lab)
{
	unsigned n = 0;

	while (next(lab) != NULL)
		n++;
	return n;
}

/* ---- the line ---- */

static void expect(char *out, size_t len, int pri, time_t t)
{
	char when[32];
	struct tm tm;

	t += 19800;	/* 5:30 east */
	gmtime_r(&t, &tm);
	(void)strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
	(void)snprintf(out, len, "<%d>%s test-log[%d]: to mx.example.org: 7", pri, when, (int)getpid());
}

static void a_line_is_as_syslog_wants_it(void **state)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_INFO }, pri[] = { 19, 20, 22 };
	struct lab *lab = *state;

	for (size_t i = 0; i < 3; i++) {
		char before[128], after[128];

		expect(before, sizeof before, pri[i], time(NULL));
		sotto_log(levels[i], "to %s: %d", "mx.example.org", 7);
		expect(after, sizeof after, pri[i], time(NULL));
		assert_non_null(next(lab));
		if (strcmp(lab->line, before) != 0)
			assert_string_equal(lab->line, after);
	}
	assert_null(next(lab));
}

static void control_characters_are_replaced(void **state)
{
	char odd[34], wanted[34];

	for (int i = 0; i < 32; i++)
		odd[i] = (char)(i + 1);
	odd[31] = 0x7f;
	odd[32] = 'x';
	odd[33] = 0;
	memset(wanted, '?', 32);
	strcpy(wanted + 32, "x");
	sotto_log(LOG_INFO, "%s", odd);
	assert_string_equal(text(*state), wanted);
	sotto_log(LOG_INFO, "b\xc3\xbc" "cher");
	assert_string_equal(text(*state), "b\xc3\xbc" "cher");
}

static void a_text_has_at_most_1000_octets(void **state)
{
	char long_text[5001];

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[5000] = 0;
	for (unsigned i = 999; i <= 1001; i++) {
		sotto_log(LOG_INFO, "%.*s", (int)i, long_text);
		assert_int_equal(strlen(text(*state)), i < 1000 ? i : 1000);
	}
	sotto_log(LOG_INFO, "%s", long_text);
	assert_int_equal(strlen(text(*state)), 1000);
	/* UTF-8 is not cut in two: octets 999 to 1001 are one character */
	memcpy(long_text + 998, "\xe2\x82\xac", 3);
	sotto_log(LOG_INFO, "%s", long_text);
	assert_int_equal(strlen(text(*state)), 998);
	memset(long_text, '\x80', sizeof long_text - 1);	/* nor does what is none cost more than a character */
	sotto_log(LOG_INFO, "%s", long_text);
	assert_in_range(strlen(text(*state)), 996, 1000);
}

static void errno_stays(void **state)
{
	struct lab *lab = *state;

	close(lab->syslog);
	errno = ENOTTY;
	sotto_log(LOG_INFO, "%m");
	assert_int_equal(errno, ENOTTY);
	sotto_log_limited("/nowhere", "stamp", LOG_INFO, "x");
	assert_int_equal(errno, ENOTTY);
	sotto_log_open("test-log", false);
	assert_int_equal(errno, ENOTTY);
	unlink(lab->path);
	lab->syslog = bind_syslog(lab);
	sotto_log(LOG_INFO, "%m");
	assert_string_equal(text(lab), "Inappropriate ioctl for device (lost before it: 2)");
}

/* ---- syslog is not there, or does not read ---- */

static void a_full_socket_does_not_wait_and_the_loss_is_told(void **state)
{
	struct lab *lab = *state;
	char wanted[64];
	unsigned got;

	for (unsigned i = 0; i < 5000; i++)
		sotto_log(LOG_INFO, "line %u", i);
	got = count_lines(lab);
	assert_in_range(got, 1, 4999);
	sotto_log(LOG_INFO, "next");
	(void)snprintf(wanted, sizeof wanted, "next (lost before it: %u)", 5000 - got);
	assert_string_equal(text(lab), wanted);
	sotto_log(LOG_INFO, "last");
	assert_string_equal(text(lab), "last");
}

/* When no mail waits for it any more, a line may: until there is room, or its time is over. */
static void with_patience_a_line_waits_for_room(void **state)
{
	struct lab *lab = *state;
	pid_t reader;
	int status;

	for (unsigned i = 0; i < 5000; i++)
		sotto_log(LOG_INFO, "filling");
	/* nobody reads: it gives up, and does not wait another time */
	sotto_log_patience(50);
	sotto_log(LOG_INFO, "in vain");
	sotto_log(LOG_INFO, "at once");
	sotto_log_patience(600000);
	reader = fork();
	if (reader == 0) {
		/* reads when the writer waits: only then is there one whose line is `last` */
		while (strncmp(text(lab), "last", 4) != 0)
			(void)poll(&(struct pollfd){ .fd = lab->syslog, .events = POLLIN }, 1, 1000);
		_exit(0);
	}
	sotto_log(LOG_INFO, "last");
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	sotto_log_patience(0);
}

/*
 * Where several wait, one gets the room that there is, and the others have waited for nothing. Only its time ends a line's waiting, and
 * not how often that happens to it.
 */
static void a_line_is_not_given_up_because_others_are_quicker(void **state)
{
	struct lab *lab = *state;

	for (unsigned i = 0; i < 5000; i++)
		sotto_log(LOG_INFO, "filling");
	sotto_log_patience(10000);
	taken_by_others = 2000;
	emptied_then = lab->syslog;
	sotto_log(LOG_INFO, "last");
	sotto_log_patience(0);
	assert_int_equal(taken_by_others, 0);
	assert_memory_equal(text(lab), "last", 4);
}

static void syslog_may_be_started_again(void **state)
{
	struct lab *lab = *state;

	close(lab->syslog);
	sotto_log(LOG_INFO, "dead");
	unlink(lab->path);
	sotto_log(LOG_INFO, "gone");
	lab->syslog = bind_syslog(lab);
	sotto_log(LOG_INFO, "back");
	assert_string_equal(text(lab), "back (lost before it: 2)");
	close(lab->syslog);
	unlink(lab->path);
	lab->syslog = bind_syslog(lab);
	sotto_log(LOG_INFO, "at once");
	assert_string_equal(text(lab), "at once");
}

static void syslog_may_come_later(void **state)
{
	struct lab *lab = *state;

	close(lab->syslog);
	unlink(lab->path);
	sotto_log_open("test-log", false);
	sotto_log(LOG_INFO, "early");
	lab->syslog = bind_syslog(lab);
	sotto_log(LOG_INFO, "late");
	assert_string_equal(text(lab), "late (lost before it: 1)");
}

/* ---- stderr ---- */

/* Makes fd the stderr of sotto_log until it is given back. cmocka writes there too, so nothing is asserted meanwhile. */
static int take_stderr(int fd)
{
	int saved = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	close(fd);
	sotto_log_open("test-log", true);
	return saved;
}

static void give_back_stderr(int saved)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static size_t drain(int fd, char *last, size_t len)
{
	size_t lines = 0, n = 0;
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == '\n') {
			last[n < len ? n : len - 1] = 0;
			lines++;
			n = 0;
		} else {
			if (n < len)
				last[n] = c;
			n++;
		}
	}
	return lines;
}

static void stderr_that_nobody_reads(int ours, int theirs)
{
	char last[1200], wanted[128];
	size_t got, again;
	int saved = take_stderr(theirs);

	for (unsigned i = 0; i < 20000; i++)
		sotto_log(LOG_INFO, "line %u", i);
	got = drain(ours, last, sizeof last);
	sotto_log(LOG_INFO, "next");
	again = drain(ours, last, sizeof last);
	give_back_stderr(saved);
	assert_in_range(got, 1, 19999);
	assert_int_equal(again, 1);
	(void)snprintf(wanted, sizeof wanted, "test-log[%d]: next (lost before it: %zu)", (int)getpid(), 20000 - got);
	assert_string_equal(last, wanted);
	close(ours);
}

static void a_full_pipe_does_not_wait(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);	/* the end that is written to waits */
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	stderr_that_nobody_reads(fds[0], fds[1]);
}

static void a_full_socket_as_stderr_does_not_wait(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	stderr_that_nobody_reads(fds[0], fds[1]);
}

static void stderr_that_is_gone_harms_nobody(void **state)
{
	int fds[2], saved;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[0]);
	saved = take_stderr(fds[1]);
	sotto_log(LOG_INFO, "to nobody");
	give_back_stderr(saved);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	saved = take_stderr(fds[1]);
	sotto_log(LOG_INFO, "to nobody");
	close(STDERR_FILENO);
	sotto_log(LOG_INFO, "to nothing");
	give_back_stderr(saved);
}

/* ---- limited ---- */

static void write_stamp(struct lab *lab, long long then, const char *dots)
{
	FILE *f = fopen(lab->stamp, "w");

	(void)fprintf(f, "%020lld\n%s", then, dots);
	(void)fclose(f);
}

static void limited(struct lab *lab)
{
	sotto_log_limited(lab->dir, "stamp", LOG_WARNING, "limited");
}

static void one_line_a_minute_and_the_rest_is_counted(void **state)
{
	struct lab *lab = *state;

	limited(lab);
	assert_string_equal(text(lab), "limited");
	write_stamp(lab, (long long)time(NULL), "");
	for (unsigned i = 0; i < 7; i++)
		limited(lab);
	assert_null(next(lab));
	write_stamp(lab, (long long)time(NULL) - 60, ".......");
	limited(lab);
	assert_string_equal(text(lab), "limited (withheld before it: about 7)");
	limited(lab);
	assert_null(next(lab));
}

/* Not by a test's own octets: what was withheld stands in the file. */
static void what_is_withheld_stands_in_the_file(void **state)
{
	struct lab *lab = *state;
	struct stat st;

	write_stamp(lab, (long long)time(NULL), "");
	assert_int_equal(stat(lab->stamp, &st), 0);
	for (unsigned i = 1; i <= 3; i++) {
		off_t before = st.st_size;

		limited(lab);
		assert_int_equal(stat(lab->stamp, &st), 0);
		assert_int_equal(st.st_size, before + 1);
	}
	assert_int_equal(truncate(lab->stamp, 10 << 20), 0);	/* and is bounded */
	limited(lab);
	assert_int_equal(stat(lab->stamp, &st), 0);
	assert_int_equal(st.st_size, 10 << 20);
}

static void each_name_has_its_own_minute(void **state)
{
	struct lab *lab = *state;

	limited(lab);
	assert_string_equal(text(lab), "limited");
	(void)unlink(lab->stamp);
	write_stamp(lab, (long long)time(NULL), "");
	sotto_log_limited(lab->dir, "other", LOG_WARNING, "other");
	assert_string_equal(text(lab), "other");
	(void)snprintf(lab->line, sizeof lab->line, "%s/other", lab->dir);
	assert_int_equal(unlink(lab->line), 0);
}

static void an_odd_stamp_limits_nothing(void **state)
{
	static const char *const odd[] = {"", "\n", "x", "-0000000000000000001\n", "99999999999999999999\n", "17\n", "....................\n"};
	struct lab *lab = *state;

	write_stamp(lab, (long long)time(NULL) + 1000, "");	/* the clock was set back */
	limited(lab);
	assert_string_equal(text(lab), "limited");
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		FILE *f = fopen(lab->stamp, "w");

		(void)fputs(odd[i], f);
		(void)fclose(f);
		limited(lab);
		assert_int_equal(strncmp(text(lab), "limited", 7), 0);
		limited(lab);	/* and is mended */
		assert_null(next(lab));
	}
}

static void without_a_file_every_line_is_written(void **state)
{
	struct lab *lab = *state;
	char long_dir[600];

	memset(long_dir, '/', sizeof long_dir - 1);
	long_dir[599] = 0;
	for (unsigned i = 0; i < 2; i++) {
		sotto_log_limited("/nowhere", "stamp", LOG_WARNING, "limited");
		assert_string_equal(text(lab), "limited");
		sotto_log_limited(long_dir, "stamp", LOG_WARNING, "limited");
		assert_string_equal(text(lab), "limited");
	}
	assert_int_equal(mkdir(lab->stamp, 0700), 0);
	limited(lab);
	limited(lab);
	assert_int_equal(count_lines(lab), 2);
	assert_int_equal(rmdir(lab->stamp), 0);
	assert_int_equal(mkfifo(lab->stamp, 0600), 0);	/* which nobody reads: it is not waited for */
	limited(lab);
	limited(lab);
	assert_int_equal(count_lines(lab), 2);
	assert_int_equal(unlink(lab->stamp), 0);
	assert_int_equal(symlink("elsewhere", lab->stamp), 0);
	limited(lab);
	limited(lab);
	assert_int_equal(count_lines(lab), 2);
}

/* Several processes that begin at once; the parent reads meanwhile, so that no line is lost for want of space. */
static unsigned many(struct lab *lab, unsigned processes, unsigned lines)
{
	unsigned n = 0;
	int gate[2], over[2], waiting;
	char c;
	struct pollfd ready[2];

	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(over), 0);
	for (unsigned i = 0; i < processes; i++) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		close(over[0]);
		(void)!read(gate[0], &c, 1);
		for (unsigned k = 0; k < lines; k++)
			limited(lab);
		_exit(0);
	}
	close(gate[0]);
	close(gate[1]);
	close(over[1]);
	ready[0] = (struct pollfd){ .fd = lab->syslog, .events = POLLIN };
	ready[1] = (struct pollfd){ .fd = over[0], .events = POLLIN };
	do {
		waiting = poll(ready, 2, -1) < 0 || ready[1].revents == 0;
		n += count_lines(lab);
	} while (waiting);
	close(over[0]);
	while (wait(NULL) > 0)
		;
	return n + count_lines(lab);
}

static void many_processes_write_one_line_a_minute(void **state)
{
	struct lab *lab = *state;
	time_t start = time(NULL);
	struct stat st;
	unsigned n;

	for (unsigned round = 0; round < 20; round++) {
		write_stamp(lab, (long long)time(NULL) - 60, "");
		n = many(lab, 8, 5);
		if (time(NULL) - start >= 60)
			skip();	/* too slow a machine to tell */
		assert_int_equal(n, 1);
		assert_int_equal(stat(lab->stamp, &st), 0);
		assert_in_range(st.st_size, 21 + 1, 21 + 39);
	}
}

static void a_lock_held_by_a_stopped_process_is_not_waited_for(void **state)
{
	struct lab *lab = *state;
	int fd;

	write_stamp(lab, (long long)time(NULL) - 60, "");
	fd = open(lab->stamp, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	limited(lab);
	assert_null(next(lab));
	close(fd);
	limited(lab);
	assert_string_equal(text(lab), "limited (withheld before it: about 1)");
}

static struct lab *racing;

static void write_stamp_just_now(void)
{
	write_stamp(racing, (long long)time(NULL), "");
}

static void who_comes_second_to_the_lock_withholds(void **state)
{
	struct lab *lab = *state;

	write_stamp(lab, (long long)time(NULL) - 60, "");
	racing = lab;
	before_lock = write_stamp_just_now;
	limited(lab);
	before_lock = NULL;
	assert_null(next(lab));
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB(a_line_is_as_syslog_wants_it),
		LAB(control_characters_are_replaced),
		LAB(a_text_has_at_most_1000_octets),
		LAB(errno_stays),
		LAB(a_full_socket_does_not_wait_and_the_loss_is_told),
		LAB(with_patience_a_line_waits_for_room),
		LAB(a_line_is_not_given_up_because_others_are_quicker),
		LAB(syslog_may_be_started_again),
		LAB(syslog_may_come_later),
		LAB(a_full_pipe_does_not_wait),
		LAB(a_full_socket_as_stderr_does_not_wait),
		LAB(stderr_that_is_gone_harms_nobody),
		LAB(one_line_a_minute_and_the_rest_is_counted),
		LAB(what_is_withheld_stands_in_the_file),
		LAB(each_name_has_its_own_minute),
		LAB(an_odd_stamp_limits_nothing),
		LAB(without_a_file_every_line_is_written),
		LAB(many_processes_write_one_line_a_minute),
		LAB(who_comes_second_to_the_lock_withholds),
		LAB(a_lock_held_by_a_stopped_process_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
