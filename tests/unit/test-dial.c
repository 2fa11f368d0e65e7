/* SPDX-License-Identifier: ISC */
/*
 * dial.h's promises, on loopback: the order, the shared time and its end, one answer or none, no
 * descriptor left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "core/runtime/dial.h"
#include "tests/unit/fake-dns.h"

#define LIVE "127.0.1.1"
#define REFUSING "127.0.1.2"
#define SILENT "127.0.1.3"
#define SILENT2 "127.0.1.4"
#define OURS "127.0.9.1"
#define LITERAL(address) "[" address "]"
#define FILL 4	/* connections that fill the queue of a silent listener */
#define GENEROUS_S 20	/* an upper bound for what should be over in a moment */

struct result {
	const char *unwanted;
	int calls, error, fd;
	char host[SOTTO_DNS_NAME];
	struct sockaddr_storage peer;
	socklen_t peer_len;
	struct lab *lab;
};

struct lab {
	struct event_base *base;
	struct fake_dns dns;
	struct sotto_mx *mx;
	int live, live6, refusing, silent[2], fill[2 * FILL];
	uint16_t port;
	int fds;
	struct result r;
};

static const struct fake_rr zone[] = {
	{ "live.org", FAKE_MX, 10, "live.example.org", NULL },
	{ "refused-then-live.org", FAKE_MX, 10, "refusing.example.org", NULL },
	{ "refused-then-live.org", FAKE_MX, 20, "live.example.org", NULL },
	{ "silent-then-live.org", FAKE_MX, 10, "silent.example.org", NULL },
	{ "silent-then-live.org", FAKE_MX, 20, "live.example.org", NULL },
	{ "silent-refused-live.org", FAKE_MX, 10, "silent.example.org", NULL },
	{ "silent-refused-live.org", FAKE_MX, 20, "refusing.example.org", NULL },
	{ "silent-refused-live.org", FAKE_MX, 30, "live.example.org", NULL },
	{ "live-then-refused.org", FAKE_MX, 10, "live.example.org", NULL },
	{ "live-then-refused.org", FAKE_MX, 20, "refusing.example.org", NULL },
	{ "refused.org", FAKE_MX, 10, "refusing.example.org", NULL },
	{ "silent.org", FAKE_MX, 10, "silent.example.org", NULL },
	{ "silent.org", FAKE_MX, 20, "silent2.example.org", NULL },
	{ "self.org", FAKE_MX, 10, "ours.example.org", NULL },
	{ "null.org", FAKE_MX, 0, "", NULL },
	{ "nothing.org", FAKE_EMPTY, 0, NULL, NULL },
	{ "mute.org", FAKE_SILENT, 0, NULL, NULL },
	{ "six.org", FAKE_AAAA, 0, "::1", NULL },
	{ "six-then-live.org", FAKE_MX, 10, "six.org", NULL },
	{ "six-then-live.org", FAKE_MX, 20, "live.example.org", NULL },
	{ "live.example.org", FAKE_A, 0, LIVE, NULL },
	{ "refusing.example.org", FAKE_A, 0, REFUSING, NULL },
	{ "silent.example.org", FAKE_A, 0, SILENT, NULL },
	{ "silent2.example.org", FAKE_A, 0, SILENT2, NULL },
	{ "ours.example.org", FAKE_A, 0, OURS, NULL },
	{ NULL, FAKE_EMPTY, 0, NULL, NULL },
};

static struct sockaddr_in v4(const char *text, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &sa.sin_addr), 1);
	return sa;
}

static bool ours(const struct sockaddr *sa)
{
	struct sockaddr_in want = v4(OURS, 0);

	return sa->sa_family == AF_INET &&
	       ((const struct sockaddr_in *)sa)->sin_addr.s_addr == want.sin_addr.s_addr;
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* ---- a host with a port that lives, one that refuses, and two that are silent ---------------- */

/*
 * A socket bound to address and port (0: any), with backlog >= 0 listening. -1: the port is taken.
 */
static int bound(const char *text, uint16_t port, int backlog)
{
	struct sockaddr_in sa = v4(text, port);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 &&
	    (backlog < 0 || listen(fd, backlog) == 0))
		return fd;
	close(fd);
	return -1;
}

static int bound6(uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 16) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Fills a listener's queue: from then on the kernel drops every SYN. */
static void fill(int *fds, const char *text, uint16_t port)
{
	struct sockaddr_in sa = v4(text, port);

	for (int i = 0; i < FILL; i++) {
		struct pollfd p = { .events = POLLOUT };

		fds[i] = p.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], (struct sockaddr *)&sa, sizeof sa);
		(void)poll(&p, 1, 20);
	}
}

static bool open_host(struct lab *lab)
{
	struct sockaddr_in at;
	socklen_t len = sizeof at;

	lab->live = bound(LIVE, 0, 64);
	getsockname(lab->live, (struct sockaddr *)&at, &len);
	lab->port = ntohs(at.sin_port);
	lab->refusing = bound(REFUSING, lab->port, -1);
	lab->silent[0] = bound(SILENT, lab->port, 0);
	lab->silent[1] = bound(SILENT2, lab->port, 0);
	if (lab->refusing >= 0 && lab->silent[0] >= 0 && lab->silent[1] >= 0)
		return true;
	close(lab->live);
	close(lab->refusing);
	close(lab->silent[0]);
	close(lab->silent[1]);
	return false;
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof *lab);
	struct sotto_mx_config config = { .own = ours };

	lab->fds = count_fds();
	lab->base = event_base_new();
	fake_dns_start(&lab->dns, lab->base, zone);
	config.servers = lab->dns.servers;
	lab->mx = sotto_mx_open(lab->base, &config);
	for (int i = 0; i < 50 && !open_host(lab); i++)
		;
	fill(lab->fill, SILENT, lab->port);
	fill(lab->fill + FILL, SILENT2, lab->port);
	lab->live6 = bound6(lab->port);
	*state = lab;
	return lab->mx != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	int left;

	sotto_mx_close(lab->mx);
	for (int i = 0; i < 20; i++)
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	fake_dns_stop(&lab->dns);
	for (int i = 0; i < 2 * FILL; i++)
		if (lab->fill[i] >= 0)
			close(lab->fill[i]);
	close(lab->live);
	close(lab->refusing);
	close(lab->silent[0]);
	close(lab->silent[1]);
	if (lab->live6 >= 0)
		close(lab->live6);
	event_base_free(lab->base);
	left = count_fds() - lab->fds;
	free(lab);
	if (left != 0)
		(void)fprintf(stderr, "%d descriptors left\n", left);
	return left;
}

static void on_done(void *arg, const struct sotto_dial_result *r)
{
	struct result *out = arg;

	out->calls++;
	out->error = r->error;
	out->fd = r->fd;
	(void)snprintf(out->host, sizeof out->host, "%s", r->host != NULL ? r->host : "");
	out->peer = r->peer;
	out->peer_len = r->peer_len;
	event_base_loopbreak(out->lab->base);
}

static const char *peer(const struct result *r)
{
	static char text[INET6_ADDRSTRLEN];

	if (r->peer_len == 0)
		return "none";
	if (r->peer.ss_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *)&r->peer)->sin_addr, text,
				 sizeof text);
	return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&r->peer)->sin6_addr, text,
			 sizeof text);
}

/* Runs the loop until the dial that was started answers; exactly one answer, and none before. */
static struct result *wait_for(struct lab *lab, const struct sotto_dial *d)
{
	assert_non_null(d);
	assert_int_equal(lab->r.calls, 0);
	event_base_dispatch(lab->base);
	assert_int_equal(lab->r.calls, 1);
	assert_true((lab->r.fd >= 0) == (lab->r.error == 0));
	event_base_loop(lab->base, EVLOOP_NONBLOCK);
	assert_int_equal(lab->r.calls, 1);
	return &lab->r;
}

static struct result *dial(struct lab *lab, const char *text, const char *from, unsigned timeout_ms)
{
	struct sockaddr_in to = v4(text, lab->port),
			   local = v4(from != NULL ? from : "0.0.0.0", 4711);

	lab->r = (struct result){ .lab = lab };
	return wait_for(lab, sotto_dial_address(lab->base, (struct sockaddr *)&to, sizeof to,
						from != NULL ? (struct sockaddr *)&local : NULL,
						timeout_ms, on_done, &lab->r));
}

static struct result *dial_mx(struct lab *lab, const char *domain, unsigned timeout_ms)
{
	struct sotto_dial_options options = { .timeout_ms = timeout_ms, .port = lab->port };

	lab->r = (struct result){ .lab = lab };
	return wait_for(lab, sotto_dial_mx(lab->base, lab->mx, domain, &options, on_done, &lab->r));
}

static void expect_connected(const struct result *r, const char *host, const char *address)
{
	int error = -1;
	socklen_t len = sizeof error;

	assert_int_equal(r->error, 0);
	assert_string_equal(r->host, host);
	assert_string_equal(peer(r), address);
	assert_int_equal(getpeername(r->fd, (struct sockaddr *)&(struct sockaddr_storage){ 0 },
				     &(socklen_t){ sizeof(struct sockaddr_storage) }), 0);
	assert_int_equal(getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	assert_true(fcntl(r->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(r->fd, F_GETFD) & FD_CLOEXEC);
	close(r->fd);
}

static void expect_error(const struct result *r, int error, const char *host, const char *address)
{
	assert_int_equal(r->error, error);
	assert_string_equal(r->host, host);
	assert_string_equal(peer(r), address);
	assert_true(strlen(sotto_dial_error(r->error)) > 0);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- one address ----------------------------------------------------------------------------- */

static void an_address_is_connected_to(void **state)
{
	expect_connected(dial(*state, LIVE, NULL, 60000), "", LIVE);
}

static void the_local_address_is_the_one_asked_for(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in from;
	socklen_t len = sizeof from;

	for (int i = 0; i < 3; i++) {	/* its port (4711) is not used: that could be once only */
		dial(lab, LIVE, "127.0.5.5", 60000);
		assert_int_equal(getsockname(lab->r.fd, (struct sockaddr *)&from, &len), 0);
		assert_int_equal(from.sin_addr.s_addr, v4("127.0.5.5", 0).sin_addr.s_addr);
		assert_int_not_equal(ntohs(from.sin_port), 4711);
		expect_connected(&lab->r, "", LIVE);
	}
}

static void failures_of_one_address_have_their_errno(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_storage odd = { .ss_family = AF_UNSPEC };
	struct sotto_dial *d;

	expect_error(dial(lab, REFUSING, NULL, 60000), ECONNREFUSED, "", REFUSING);
	expect_error(dial(lab, LIVE, "198.51.100.7", 60000), EADDRNOTAVAIL, "", LIVE);
	lab->r = (struct result){ .lab = lab };
	d = sotto_dial_address(lab->base, (struct sockaddr *)&odd, sizeof odd, NULL, 60000, on_done,
			       &lab->r);
	assert_int_not_equal(wait_for(lab, d)->error, 0);
}

static void a_silent_address_ends_with_the_timeout(void **state)
{
	uint64_t start = now_ms();

	expect_error(dial(*state, SILENT, NULL, 300), ETIMEDOUT, "", SILENT);
	assert_in_range(now_ms() - start, 290, GENEROUS_S * 1000);
	assert_int_equal(dial(*state, SILENT, NULL, 0)->error, ETIMEDOUT);
}

/* ---- a domain -------------------------------------------------------------------------------- */

static void the_mx_is_connected_to_and_named(void **state)
{
	expect_connected(dial_mx(*state, "live.org", 60000), "live.example.org", LIVE);
	expect_connected(dial_mx(*state, "live-then-refused.org", 60000), "live.example.org", LIVE);
	expect_connected(dial_mx(*state, "[" LIVE "]", 60000), "", LIVE);
}

static void ipv6_is_spoken(void **state)
{
	struct lab *lab = *state;

	if (lab->live6 < 0) {
		printf("NOT RUN: connecting over IPv6 (this machine's loopback has none)\n");
		skip();
	}
	expect_connected(dial_mx(lab, "six.org", 60000), "six.org", "::1");
	expect_connected(dial_mx(lab, "[IPv6:::1]", 60000), "", "::1");
}

static void a_refusal_leads_to_the_next_at_once(void **state)
{
	uint64_t start = now_ms();

	/* Of a minute, an address that is silent may have 20 s; one that refuses takes none. */
	expect_connected(dial_mx(*state, "refused-then-live.org", 60000), "live.example.org", LIVE);
	assert_in_range(now_ms() - start, 0, 10000);
}

static void what_cannot_be_tried_leads_to_the_next_at_once(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in6 not_ours = { .sin6_family = AF_INET6 };
	struct sotto_dial_options options = { .timeout_ms = 60000, .port = lab->port,
					      .from6 = (struct sockaddr *)&not_ours };
	uint64_t start = now_ms();

	assert_int_equal(inet_pton(AF_INET6, "2001:db8::77", &not_ours.sin6_addr), 1);
	lab->r = (struct result){ .lab = lab };
	expect_connected(wait_for(lab, sotto_dial_mx(lab->base, lab->mx, "six-then-live.org",
						     &options, on_done, &lab->r)),
			 "live.example.org", LIVE);
	assert_in_range(now_ms() - start, 0, 10000);
}

static void a_silent_address_leaves_time_for_the_next(void **state)
{
	expect_connected(dial_mx(*state, "silent-then-live.org", 1200), "live.example.org", LIVE);
	expect_connected(dial_mx(*state, "silent-refused-live.org", 1200), "live.example.org",
			 LIVE);
}

static void a_slow_address_may_still_win(void **state)
{
	struct lab *lab = *state;
	struct sotto_dial_options options = { .timeout_ms = 60000, .port = lab->port };
	struct sotto_dial *d;

	/*
	 * Silent at first; the queue is emptied while the dial is under way, and the kernel's next
	 * SYN gets through.
	 */
	lab->r = (struct result){ .lab = lab };
	d = sotto_dial_mx(lab->base, lab->mx, "silent.org", &options, on_done, &lab->r);
	while (lab->dns.questions < 5)
		event_base_loop(lab->base, EVLOOP_ONCE);
	for (int i = 0; i < 10; i++)
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	for (int i = 0; i < FILL; i++) {
		close(lab->fill[i]);
		lab->fill[i] = -1;
	}
	for (int fd; (fd = accept(lab->silent[0], NULL, NULL)) >= 0;)
		close(fd);
	expect_connected(wait_for(lab, d), "silent.example.org", SILENT);
}

static void the_last_failure_is_the_one_reported(void **state)
{
	expect_error(dial_mx(*state, "refused.org", 60000), ECONNREFUSED, "refusing.example.org",
		     REFUSING);
}

static void everything_together_ends_with_the_timeout(void **state)
{
	uint64_t start = now_ms();

	expect_error(dial_mx(*state, "silent.org", 600), ETIMEDOUT, "silent.example.org", SILENT);
	assert_in_range(now_ms() - start, 590, GENEROUS_S * 1000);
	start = now_ms();
	expect_error(dial_mx(*state, "mute.org", 300), SOTTO_DIAL_TEMPORARY, "", "none");
	expect_error(dial_mx(*state, "mute.org", 0), SOTTO_DIAL_TEMPORARY, "", "none");
	assert_in_range(now_ms() - start, 0, GENEROUS_S * 1000);
}

static void what_mx_says_is_passed_on(void **state)
{
	expect_error(dial_mx(*state, "null.org", 60000), SOTTO_DIAL_NULL_MX, "", "none");
	expect_error(dial_mx(*state, "self.org", 60000), SOTTO_DIAL_SELF, "", "none");
	expect_error(dial_mx(*state, "[" OURS "]", 60000), SOTTO_DIAL_SELF, "", "none");
	expect_error(dial_mx(*state, "unknown.org", 60000), SOTTO_DIAL_NO_DOMAIN, "", "none");
	expect_error(dial_mx(*state, "nothing.org", 60000), SOTTO_DIAL_NO_ADDRESS, "", "none");
	expect_error(dial_mx(*state, "no domain", 60000), SOTTO_DIAL_BAD_NAME, "", "none");
}

static void local_addresses_go_by_family(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in from4 = v4("127.0.5.6", 0), from;
	struct sockaddr_in6 from6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sotto_dial_options options = { .timeout_ms = 60000, .port = lab->port,
		.from4 = (struct sockaddr *)&from4, .from6 = (struct sockaddr *)&from6 };
	socklen_t len = sizeof from;

	lab->r = (struct result){ .lab = lab };
	wait_for(lab, sotto_dial_mx(lab->base, lab->mx, "live.org", &options, on_done, &lab->r));
	assert_int_equal(getsockname(lab->r.fd, (struct sockaddr *)&from, &len), 0);
	assert_int_equal(from.sin_addr.s_addr, from4.sin_addr.s_addr);
	expect_connected(&lab->r, "live.example.org", LIVE);
}

/* ---- who is not wanted ---- */

static bool unwanted(void *arg, const char *host, const struct sockaddr *to, socklen_t len)
{
	struct result *r = arg;

	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_int_equal(to->sa_family, AF_INET);
	assert_true(strlen(host) > 0);
	return strcmp(host, r->unwanted) == 0;
}

static struct result *dial_without(struct lab *lab, const char *domain, const char *host, unsigned timeout_ms)
{
	struct sotto_dial_options options = { .timeout_ms = timeout_ms, .port = lab->port, .unwanted = unwanted };

	lab->r = (struct result){ .lab = lab, .unwanted = host };
	return wait_for(lab, sotto_dial_mx(lab->base, lab->mx, domain, &options, on_done, &lab->r));
}

static void who_is_not_wanted_is_not_connected_to_and_nobody_behind(void **state)
{
	expect_error(dial_without(*state, "live.org", "live.example.org", 60000), SOTTO_DIAL_NOT_OFFERED, "live.example.org", LIVE);
	expect_error(dial_without(*state, "refused-then-live.org", "refusing.example.org", 60000), SOTTO_DIAL_NOT_OFFERED,
		     "refusing.example.org", REFUSING);
	expect_error(dial_without(*state, "refused-then-live.org", "live.example.org", 60000), SOTTO_DIAL_NOT_OFFERED, "live.example.org",
		     LIVE);
	expect_connected(dial_without(*state, "live.org", "refusing.example.org", 60000), "live.example.org", LIVE);
}

static void one_before_it_that_is_under_way_may_still_answer(void **state)
{
	expect_error(dial_without(*state, "silent-then-live.org", "live.example.org", 600), ETIMEDOUT, "silent.example.org", SILENT);
}

static void the_port_is_25_unless_said(void **state)
{
	struct lab *lab = *state;
	struct sotto_dial_options options = { .timeout_ms = 5000 };

	lab->r = (struct result){ .lab = lab };
	wait_for(lab, sotto_dial_mx(lab->base, lab->mx, "[127.0.1.9]", &options, on_done, &lab->r));
	assert_int_equal(ntohs(((struct sockaddr_in *)&lab->r.peer)->sin_port), 25);
	if (lab->r.fd >= 0)
		close(lab->r.fd);
}

static void a_resolver_of_its_own_will_do(void **state)
{
	struct lab *lab = *state;

	/* a literal: the host's name servers are not asked */
	lab->r = (struct result){ .lab = lab };
	expect_error(wait_for(lab, sotto_dial_domain(lab->base, "[127.0.1.9]", NULL, NULL, 5000,
						     on_done, &lab->r)),
		     SOTTO_DIAL_SELF, "", "none");
	sotto_dial_cancel(
		sotto_dial_domain(lab->base, "[127.0.1.9]", NULL, NULL, 5000, on_done, &lab->r));
	assert_int_equal(lab->r.calls, 1);
}

/* ---- many, and none -------------------------------------------------------------------------- */

static void cancel_at_any_time_is_silent(void **state)
{
	static const char *const domains[] = {"silent-refused-live.org", "silent.org", "live.org",
					      "mute.org", LITERAL(SILENT)};
	struct lab *lab = *state;
	struct sotto_dial_options options = { .timeout_ms = 400, .port = lab->port };

	for (size_t k = 0; k < sizeof domains / sizeof domains[0]; k++) {
		for (int turns = 0; turns < 16; turns++) {
			struct sotto_dial *d;

			lab->r = (struct result){ .lab = lab };
			d = sotto_dial_mx(lab->base, lab->mx, domains[k], &options, on_done,
					  &lab->r);
			assert_non_null(d);
			for (int i = 0; i < turns && lab->r.calls == 0; i++)
				event_base_loop(lab->base, i < 12 ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
			if (lab->r.calls == 1) {	/* it was over already */
				if (lab->r.fd >= 0)
					close(lab->r.fd);
				break;
			}
			sotto_dial_cancel(d);
			event_base_loop(lab->base, EVLOOP_NONBLOCK);
			assert_int_equal(lab->r.calls, 0);
		}
	}
	sotto_dial_cancel(NULL);
}

static void on_done_again(void *arg, const struct sotto_dial_result *r)
{
	struct result *out = arg;
	struct sockaddr_in to = v4(LIVE, out->lab->port);

	assert_int_equal(r->error, ECONNREFUSED);
	assert_non_null(sotto_dial_address(out->lab->base, (struct sockaddr *)&to, sizeof to, NULL,
					   60000, on_done, out));
}

static void the_callee_may_dial_again(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in to = v4(REFUSING, lab->port);

	lab->r = (struct result){ .lab = lab };
	expect_connected(
		wait_for(lab, sotto_dial_address(lab->base, (struct sockaddr *)&to, sizeof to, NULL,
						 60000, on_done_again, &lab->r)),
		"", LIVE);
}

static void on_one_of_many(void *arg, const struct sotto_dial_result *r)
{
	struct result *out = arg;

	out->calls++;
	out->error = r->error;
	if (r->fd >= 0)
		close(r->fd);
}

static void silent_domains_do_not_hold_up_the_others(void **state)
{
	enum { N = 60 };
	struct lab *lab = *state;
	struct sotto_dial_options options = { .timeout_ms = GENEROUS_S * 1000, .port = lab->port };
	struct result r[N] = { 0 };
	struct sotto_dial *d[N];
	uint64_t start = now_ms();
	int done = 0;

	for (int i = 0; i < N; i++) {
		r[i].lab = lab;
		d[i] = sotto_dial_mx(lab->base, lab->mx,
				     i % 3 == 0	  ? "live.org"
				     : i % 3 == 1 ? "silent.org"
						  : "mute.org",
				     &options, on_one_of_many, &r[i]);
		assert_non_null(d[i]);
	}
	while (done < N / 3) {
		event_base_loop(lab->base, EVLOOP_ONCE);
		done = 0;
		for (int i = 0; i < N; i += 3)
			done += r[i].calls;
		for (int fd; (fd = accept(lab->live, NULL, NULL)) >= 0;)
			close(fd);
	}
	assert_in_range(now_ms() - start, 0, GENEROUS_S * 1000 / 2);
	for (int i = 0; i < N; i++) {
		assert_int_equal(r[i].calls, i % 3 == 0);
		assert_int_equal(r[i].error, 0);
		if (r[i].calls == 0)
			sotto_dial_cancel(d[i]);
	}
}

/* ---- DANE ------------------------------------------------------------------------------------ */

static void make_tlsa(struct fake_msg *m, unsigned type)
{
	static const uint8_t data[35] = { 3, 1, 1 };

	if (type != 52)
		return;
	fake_head(m, type, sizeof data);
	fake_put(m, data, sizeof data);
}

static void make_broken(struct fake_msg *m, unsigned type)
{
	if (type == 52)
		fake_head(m, type, 1000);
}

/* One MX after the other, each with what is said of its TLSA records. */
static void ask_dane(struct lab *lab, const struct fake_rr said[2], unsigned timeout_ms)
{
	struct sotto_dial_options options = { .timeout_ms = timeout_ms, .port = lab->port, .dane = true };
	char names[2][64];
	struct fake_rr with[] = {
		{ "dane.org", FAKE_MX, 10, "live.example.org", NULL },
		{ "dane.org", FAKE_MX, 20, "refusing.example.org", NULL },
		{ "live.example.org", FAKE_A, 0, LIVE, NULL },
		{ "refusing.example.org", FAKE_A, 0, REFUSING, NULL },
		{ "elsewhere.org", FAKE_EMPTY, 0, NULL, NULL },
		said[0], said[1], { NULL, FAKE_EMPTY, 0, NULL, NULL },
	};

	for (int i = 0; i < 2; i++) {
		(void)snprintf(names[i], sizeof names[i], "_%u._tcp.%s", lab->port,
			       i == 0 ? "live.example.org" : "refusing.example.org");
		with[5 + i].name = said[i].what != FAKE_A ? names[i] : "unused.org";
	}
	lab->dns.zone = with;
	lab->r = (struct result){ .lab = lab };
	wait_for(lab, sotto_dial_mx(lab->base, lab->mx, "dane.org", &options, on_done, &lab->r));
	/* what was asked in vain is over before its zone is */
	lab->dns.zone = zone;
}

static void only_where_no_host_has_tlsa_records_is_one_connected_to(void **state)
{
	static const struct fake_rr none = { .what = FAKE_EMPTY }, no_name = { .what = FAKE_A, .data = LIVE },
		some = { .what = FAKE_RAW, .make = make_tlsa }, broken = { .what = FAKE_RAW, .make = make_broken },
		failed = { .what = FAKE_RCODE, .pref = 2 }, alias = { .what = FAKE_CNAME, .data = "elsewhere.org" };
	const struct {
		struct fake_rr said[2];
		int error;
		const char *host;
	} cases[] = {
		{ { none, none }, 0, "live.example.org" },
		{ { no_name, no_name }, 0, "live.example.org" },
		{ { alias, none }, 0, "live.example.org" },
		{ { some, none }, SOTTO_DIAL_TLSA, "live.example.org" },
		{ { no_name, some }, SOTTO_DIAL_TLSA, "refusing.example.org" },
		{ { broken, none }, SOTTO_DIAL_TLSA_UNKNOWN, "live.example.org" },
		{ { none, failed }, SOTTO_DIAL_TLSA_UNKNOWN, "refusing.example.org" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask_dane(*state, cases[i].said, 60000);
		if (cases[i].error == 0)
			expect_connected(&((struct lab *)*state)->r, cases[i].host, LIVE);
		else
			expect_error(&((struct lab *)*state)->r, cases[i].error, cases[i].host, "none");
	}
}

/* RFC 7672, 2.2.2: they are looked for at the end of the alias first, and where it begins. */
static void an_alias_has_the_tlsa_records_of_both_its_names(void **state)
{
	static const char *const owners[] = { "live.example.org", "alias.example.org", NULL };
	struct lab *lab = *state;
	struct sotto_dial_options options = { .timeout_ms = 60000, .port = lab->port, .dane = true };
	char name[64];

	for (size_t i = 0; i < 3; i++) {
		struct fake_rr with[] = {
			{ "dane.org", FAKE_MX, 10, "alias.example.org", NULL },
			{ "alias.example.org", FAKE_CNAME, 0, "live.example.org", NULL },
			{ "live.example.org", FAKE_A, 0, LIVE, NULL },
			{ name, FAKE_RAW, 0, NULL, make_tlsa }, { NULL, FAKE_EMPTY, 0, NULL, NULL },
		};

		(void)snprintf(name, sizeof name, "_%u._tcp.%s", lab->port, owners[i] != NULL ? owners[i] : "nobody");
		lab->dns.zone = with;
		lab->r = (struct result){ .lab = lab };
		wait_for(lab, sotto_dial_mx(lab->base, lab->mx, "dane.org", &options, on_done, &lab->r));
		lab->dns.zone = zone;
		if (owners[i] == NULL)
			expect_connected(&lab->r, "alias.example.org", LIVE);
		else
			expect_error(&lab->r, SOTTO_DIAL_TLSA, owners[i], "none");
	}
}

static void a_question_without_an_answer_ends_in_time(void **state)
{
	static const struct fake_rr said[2] = { { .what = FAKE_SILENT }, { .what = FAKE_EMPTY } };
	uint64_t start = now_ms();

	ask_dane(*state, said, 600);
	expect_error(&((struct lab *)*state)->r, SOTTO_DIAL_TLSA_UNKNOWN, "live.example.org", "none");
	assert_in_range(now_ms() - start, 250, GENEROUS_S * 1000);
}

static void nobody_asks_without_being_told_to(void **state)
{
	struct lab *lab = *state;

	lab->dns.questions = 0;
	expect_connected(dial_mx(lab, "live.org", 60000), "live.example.org", LIVE);
	assert_int_equal(lab->dns.questions, 3);	/* MX, A, AAAA */
}

static void one_family_alone_is_asked_for_and_tried(void **state)
{
	struct lab *lab = *state;
	struct sotto_mx_config config = { .own = ours, .family = AF_INET6, .servers = lab->dns.servers };

	sotto_mx_close(lab->mx);
	lab->mx = sotto_mx_open(lab->base, &config);
	assert_non_null(lab->mx);
	lab->dns.questions = 0;
	expect_error(dial_mx(lab, "live.org", 60000), SOTTO_DIAL_NO_ADDRESS, "", "none");
	assert_int_equal(lab->dns.questions, 2);
	expect_error(dial_mx(lab, LITERAL(LIVE), 60000), SOTTO_DIAL_NO_ADDRESS, "", "none");
	if (lab->live6 >= 0)
		expect_connected(dial_mx(lab, "six-then-live.org", 60000), "six.org", "::1");
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB(an_address_is_connected_to),
		LAB(the_local_address_is_the_one_asked_for),
		LAB(failures_of_one_address_have_their_errno),
		LAB(a_silent_address_ends_with_the_timeout),
		LAB(the_mx_is_connected_to_and_named),
		LAB(ipv6_is_spoken),
		LAB(a_refusal_leads_to_the_next_at_once),
		LAB(what_cannot_be_tried_leads_to_the_next_at_once),
		LAB(a_silent_address_leaves_time_for_the_next),
		LAB(a_slow_address_may_still_win),
		LAB(the_last_failure_is_the_one_reported),
		LAB(everything_together_ends_with_the_timeout),
		LAB(what_mx_says_is_passed_on),
		LAB(local_addresses_go_by_family),
		LAB(the_port_is_25_unless_said), LAB(who_is_not_wanted_is_not_connected_to_and_nobody_behind),
		LAB(one_before_it_that_is_under_way_may_still_answer),
		LAB(a_resolver_of_its_own_will_do),
		LAB(cancel_at_any_time_is_silent),
		LAB(the_callee_may_dial_again),
		LAB(silent_domains_do_not_hold_up_the_others),
		LAB(only_where_no_host_has_tlsa_records_is_one_connected_to),
		LAB(an_alias_has_the_tlsa_records_of_both_its_names),
		LAB(a_question_without_an_answer_ends_in_time),
		LAB(nobody_asks_without_being_told_to),
		LAB(one_family_alone_is_asked_for_and_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
