/* SPDX-License-Identifier: ISC */
/* sandbox.h's promises, first half: what a session needs works in the stage that it needs it in, by the code that does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "core/crypto/random.h"
#include "core/runtime/dial.h"
#include "core/runtime/hop.h"
#include "core/runtime/log-socket.h"
#include "core/runtime/log.h"
#include "core/runtime/own.h"
#include "core/runtime/splice.h"
#include "tests/unit/fake-dns.h"
#include "tests/unit/sandbox-child.h"

static char dir[64];

static char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned n;

	n = (n + 1) % 4;
	(void)snprintf(path[n], sizeof path[n], "%s/%s", dir, name);
	return path[n];
}

/* ---- in both stages ---- */

static void splice_all(enum way way)
{
	struct sotto_splice through;
	int from[2], to[2], octets;
	char got[8] = "";

	tcp_pair(from);
	tcp_pair(to);
	enter(way);
	NEED(sotto_splice_open(&through, from[1], to[0]) == 0);
	NEED(send(from[0], "octets", 6, MSG_NOSIGNAL) == 6);
	NEED(shutdown(from[0], SHUT_WR) == 0);
	while (!sotto_splice_finished(&through))
		(void)sotto_splice_run(&through);
	NEED(through.passed == 6 && !through.broken);
	NEED(recv(to[1], got, sizeof got, 0) == 6 && strcmp(got, "octets") == 0);
	NEED(ioctl(to[0], SIOCOUTQ, &octets) == 0 && ioctl(to[0], FIONREAD, &octets) == 0 && ioctl(to[0], FIONBIO, &octets) == 0);
	sotto_splice_close(&through);
	NEED(close(from[0]) == 0);
}

static void set_options(enum way way)
{
	struct linger reset = { .l_onoff = 1 };
	struct sockaddr_in at;
	socklen_t len = sizeof at, error_len = sizeof(int);
	int fds[2], on = 1, error;

	tcp_pair(fds);
	enter(way);
	NEED(setsockopt(fds[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
	NEED(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
	NEED(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
	NEED(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &error_len) == 0);
	NEED(getsockname(fds[0], (struct sockaddr *)&at, &len) == 0 && getpeername(fds[0], (struct sockaddr *)&at, &len) == 0);
	NEED(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fds[0], F_SETFD, FD_CLOEXEC) == 0);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	*(int *)arg |= what;
}

/* Sets up a loop of libevent's inside as well, which a program of ours does before. */
static void loop(enum way way)
{
	struct event_base *base;
	struct event *timer, *reader, *signals;
	struct timeval soon = { 0, 1000 };
	int fds[2], seen = 0;

	tcp_pair(fds);
	enter(way);
	NEED((base = event_base_new()) != NULL && strcmp(event_base_get_method(base), "epoll") == 0);
	timer = evtimer_new(base, on_event, &seen);
	reader = event_new(base, fds[1], EV_READ, on_event, &seen);
	signals = evsignal_new(base, SIGTERM, on_event, &seen);
	NEED(evtimer_add(timer, &soon) == 0 && event_add(reader, NULL) == 0 && event_add(signals, NULL) == 0);
	NEED(send(fds[0], "x", 1, 0) == 1 && raise(SIGTERM) == 0);
	while (seen != (EV_TIMEOUT | EV_READ | EV_SIGNAL))
		NEED(event_base_loop(base, EVLOOP_ONCE) == 0);
	event_free(timer);
	event_free(reader);
	event_free(signals);
	event_base_free(base);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void compute(enum way way)
{
	enum { MANY = 1 << 20 };
	uint8_t random[1000];
	struct timespec ts;
	struct tm tm;
	time_t now;
	int *p;

	tzset();
	enter(way);
	NEED(sotto_random(random, sizeof random) == 0);
	NEED(clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && clock_gettime(CLOCK_REALTIME, &ts) == 0 && (now = time(NULL)) > 0);
	NEED(localtime_r(&now, &tm) != NULL);
	NEED((p = calloc(MANY, sizeof *p)) != NULL);	/* of a size that takes a mapping of its own */
	for (int i = 0; i < MANY; i++)
		p[i] = (int)((unsigned)i * 2654435761u % MANY);
	qsort(p, MANY, sizeof *p, compare);
	NEED(p[0] == 0 && p[MANY - 1] == MANY - 1);
	NEED((p = realloc(p, MANY * 2 * sizeof *p)) != NULL);
	free(p);
	for (size_t i = 1; i < 2000; i++)	/* and of many sizes that do not */
		NEED((p = malloc(i * 64)) != NULL && (i % 2 == 0 || (free(p), true)));
	NEED(getpid() > 0 && getuid() == geteuid());
}

static void keep_files(enum way way)
{
	struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
	struct stat st;
	char octets[8];
	FILE *f;
	DIR *d;
	int fd, n = 0;

	enter(way);
	NEED(mkdir(in_dir("state"), 0700) == 0);
	NEED((f = fopen(in_dir("state/new"), "we")) != NULL && fputs("octets\n", f) >= 0 && fclose(f) == 0);
	NEED(rename(in_dir("state/new"), in_dir("state/peer")) == 0 && link(in_dir("state/peer"), in_dir("state/linked")) == 0);
	NEED((fd = open(in_dir("state/peer"), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW)) >= 0);
	NEED(flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_size == 7 && fchmod(fd, 0600) == 0);
	NEED(pread(fd, octets, 7, 0) == 7 && write(fd, "x", 1) == 1 && lseek(fd, 0, SEEK_END) == 8 && ftruncate(fd, 3) == 0);
	NEED(futimens(fd, times) == 0 && utimensat(AT_FDCWD, in_dir("state/peer"), times, 0) == 0 && close(fd) == 0);
	NEED(stat(in_dir("state/peer"), &st) == 0 && st.st_mtime == 2 && lstat(in_dir("state/peer"), &st) == 0);
	NEED(access(in_dir("state/peer"), R_OK) == 0 && faccessat(AT_FDCWD, in_dir("state/peer"), R_OK, AT_EACCESS) == 0);
	NEED((d = opendir(in_dir("state"))) != NULL);
	while (readdir(d) != NULL)
		n++;
	NEED(n == 4 && fstatat(dirfd(d), "peer", &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(dirfd(d), "peer", 0) == 0);
	NEED(closedir(d) == 0 && unlink(in_dir("state/linked")) == 0 && rmdir(in_dir("state")) == 0);
	NEED(stat(in_dir("state"), &st) == -1 && errno == ENOENT);
}

static int bind_syslog(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", sotto_log_socket);
	(void)unlink(at.sun_path);
	NEED(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
	return fd;
}

static bool got_line(int fd, const char *end)
{
	char line[2048];
	ssize_t n = recv(fd, line, sizeof line - 1, 0);

	line[n > 0 ? n : 0] = 0;
	return strlen(line) > strlen(end) && strcmp(line + strlen(line) - strlen(end), end) == 0;
}

static void write_logs(enum way way)
{
	int syslogd;

	sotto_log_socket = in_dir("log");
	syslogd = bind_syslog();
	sotto_log_open("test-sandbox", false);
	enter(way);
	sotto_log(LOG_INFO, "a line");
	NEED(got_line(syslogd, ": a line"));
	sotto_log_limited(dir, "stamp", LOG_INFO, "limited");
	NEED(got_line(syslogd, ": limited"));
	sotto_log_limited(dir, "stamp", LOG_INFO, "limited");
	NEED(!got_line(syslogd, "") && unlink(in_dir("stamp")) == 0);
	close(syslogd);
	sotto_log(LOG_INFO, "to nobody, and nothing comes of it");
	NEED(unlink(sotto_log_socket) == 0);
	if (way == CONNECTING) {
		syslogd = bind_syslog();	/* which this stage lets the test do as well */
		sotto_log(LOG_INFO, "again");
		NEED(got_line(syslogd, ": again (lost before it: 1)"));
		NEED(unlink(sotto_log_socket) == 0);
	}
	sotto_log_open("test-sandbox", true);
	sotto_log(LOG_INFO, "a line on stderr, from a sandbox");
}

static void exit_with_files(enum way way)
{
	FILE *f;

	enter(way);
	NEED((f = fopen(in_dir("unflushed"), "w")) != NULL && fputs("octets", f) >= 0);
	exit(7);
}

static void abort_at_once(enum way way)
{
	enter(way);
	abort();
}

static void octets_pass(void **state)
{
	(void)state;
	in_both_stages(splice_all);
	in_both_stages(set_options);
}

static void the_event_loop_runs(void **state)
{
	(void)state;
	in_both_stages(loop);
}

static void memory_time_and_random_octets_are_to_be_had(void **state)
{
	(void)state;
	in_both_stages(compute);
}

static void state_is_kept(void **state)
{
	(void)state;
	in_both_stages(keep_files);
}

static void lines_are_logged(void **state)
{
	(void)state;
	in_both_stages(write_logs);
}

static void the_process_ends_as_it_wants(void **state)
{
	struct stat st;

	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		int status = child_status(exit_with_files, (enum way)way);

		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		assert_int_equal(stat(in_dir("unflushed"), &st), 0);
		assert_int_equal(st.st_size, 6);
		assert_int_equal(unlink(in_dir("unflushed")), 0);
		status = child_status(abort_at_once, (enum way)way);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

/* ---- while connecting ---- */

static const struct fake_rr zone[] = {
	{ "example.org", FAKE_MX, 10, "mx.example.org", NULL },
	{ "mx.example.org", FAKE_A, 0, "127.0.1.1", NULL },
	{ NULL, FAKE_EMPTY, 0, NULL, NULL }
};

struct dialed {
	struct event_base *base;
	int fd, error;
};

static void on_dialed(void *arg, const struct sotto_dial_result *r)
{
	struct dialed *d = arg;

	d->fd = r->fd;
	d->error = r->error;
	event_base_loopbreak(d->base);
}

static bool nothing_is_ours(const struct sockaddr *sa)
{
	(void)sa;
	return false;
}

static void dial_address(enum way way)
{
	struct dialed d = { .base = event_base_new() };
	struct sockaddr_in at, from = loopback(0);
	int l = listener(&at);

	enter(way);
	NEED(sotto_dial_address(d.base, (struct sockaddr *)&at, sizeof at, (struct sockaddr *)&from, 20000, on_dialed, &d) != NULL);
	NEED(event_base_dispatch(d.base) == 0 && d.error == 0 && d.fd >= 0);
	NEED(poll(&(struct pollfd){ .fd = l, .events = POLLIN }, 1, 20000) == 1);
}

/* By c-ares; the name server is in the same sandbox, so it is a UDP one. */
static void dial_domain(enum way way)
{
	struct dialed d = { .base = event_base_new() };
	struct sotto_mx_config config = { .own = nothing_is_ours };
	struct sotto_dial_options options = { .timeout_ms = 20000 };
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof at;
	struct fake_dns dns;
	struct sotto_mx *mx;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(0x7f000101);
	NEED(bind(l, (struct sockaddr *)&at, sizeof at) == 0 && listen(l, 4) == 0 && getsockname(l, (struct sockaddr *)&at, &len) == 0);
	fake_dns_start(&dns, d.base, zone);
	config.servers = dns.servers;
	options.port = ntohs(at.sin_port);
	mx = sotto_mx_open(d.base, &config);
	enter(way);
	NEED(sotto_dial_mx(d.base, mx, "example.org", &options, on_dialed, &d) != NULL);
	NEED(event_base_dispatch(d.base) == 0 && d.error == 0 && d.fd >= 0 && dns.questions > 0);
	sotto_mx_close(mx);
}

static void open_sockets(enum way way)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX }, types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	int fd;

	enter(way);
	for (size_t i = 0; i < 6; i++) {
		fd = socket(families[i / 2], types[i % 2], 0);
		NEED(fd >= 0 || errno == EAFNOSUPPORT);
		fd = socket(families[i / 2], types[i % 2] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		NEED(fd < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK));
	}
	NEED(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) >= 0 && socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) >= 0);
	NEED(!sotto_own_address((struct sockaddr *)&there));
}

static void connections_are_made_while_connecting(void **state)
{
	(void)state;
	in_child(dial_address, CONNECTING);
	in_child(dial_domain, CONNECTING);
	in_child(open_sockets, CONNECTING);
}

/* That they fail is the promise; that dial.c says so in peace is its own. */
static void dial_nobody(enum way way)
{
	struct dialed d = { .base = event_base_new() };
	struct sockaddr_in at;

	(void)listener(&at);
	enter(way);
	NEED(sotto_dial_address(d.base, (struct sockaddr *)&at, sizeof at, NULL, 20000, on_dialed, &d) != NULL);
	NEED(event_base_dispatch(d.base) == 0 && d.error == EPERM && d.fd == -1);
}

static void none_are_made_once_settled(void **state)
{
	(void)state;
	in_child(dial_nobody, SETTLED);
	in_child(dial_nobody, BOTH);
}

/* ---- a daemon's ---- */

static void serve(enum way way)
{
	struct sockaddr_in at;
	int l = listener(&at), client = socket(AF_INET, SOCK_STREAM, 0), fd;
	uid_t uid = 4711;

	enter(way);
	NEED(connect(client, (struct sockaddr *)&at, sizeof at) == 0);
	NEED((fd = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	NEED(sotto_hop_uid(fd, &uid) == 0 && uid == getuid());
}

static void a_daemon_takes_connections(void **state)
{
	(void)state;
	in_child(serve, SERVING);
	in_child(dial_address, SERVING);
	in_child(dial_domain, SERVING);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/sotto-sandbox-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_pass),
		cmocka_unit_test(the_event_loop_runs),
		cmocka_unit_test(memory_time_and_random_octets_are_to_be_had),
		cmocka_unit_test(state_is_kept),
		cmocka_unit_test(lines_are_logged),
		cmocka_unit_test(the_process_ends_as_it_wants),
		cmocka_unit_test(a_daemon_takes_connections),
		cmocka_unit_test(connections_are_made_while_connecting),
		cmocka_unit_test(none_are_made_once_settled),
	};

	return can_run("test-sandbox") ? cmocka_run_group_tests(tests, set_up, tear_down) : 0;
}
