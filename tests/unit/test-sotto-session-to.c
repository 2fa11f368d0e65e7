/* SPDX-License-Identifier: ISC */
/*
 * sotto-session --to, with a name server and a mail server in a network of its own: what our mail server hears, what the peer sees, and
 * what is remembered of the domain. Needs root for that network.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#define FAKE_DNS_PORT 53
#include "tests/unit/fake-dns.h"
#include "tests/unit/session-lab.h"

#include "core/runtime/state-domain.h"
#include "core/runtime/state.h"

#define PEER "192.0.2.5"
#define FROM "192.0.2.7"
#define NAMED "mx.b.example[" PEER "]"

struct net {
	struct lab lab;
	struct started s;
	int listener, peer, mta, ready;	/* ready: the test is the daemon */
	pid_t dns;
};

static const struct fake_rr zone[] = {
	{ "b.example", FAKE_MX, 10, "mx.b.example", NULL },
	{ "mx.b.example", FAKE_A, 0, PEER, NULL },
	{ "_25._tcp.mx.b.example", FAKE_EMPTY, 0, NULL, NULL },
	{ "dane.example", FAKE_MX, 10, "mx.dane.example", NULL },
	{ "mx.dane.example", FAKE_A, 0, PEER, NULL },
	{ "_25._tcp.mx.dane.example", FAKE_RCODE, 2, NULL, NULL },
	{ "refusing.example", FAKE_MX, 10, "mx.refusing.example", NULL },
	{ "mx.refusing.example", FAKE_A, 0, "192.0.2.6", NULL },
	{ NULL, FAKE_EMPTY, 0, NULL, NULL },
};

/* ---- the network ---- */

static void answer_for_ever(int ready)
{
	struct event_base *base = event_base_new();
	struct fake_dns dns;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	fake_dns_start(&dns, base, zone);
	(void)!write(ready, "!", 1);
	event_base_dispatch(base);
	_exit(0);
}

static void start_dns(struct net *n)
{
	int ready[2];
	char octet;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	n->dns = fork();
	assert_true(n->dns >= 0);
	if (n->dns == 0)
		answer_for_ever(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
}

/* 192.0.2/24 is all here, but only 192.0.2.1 is this host's own. */
static int enter_network(void **state)
{
	struct net *n = *state;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(25) };
	char conf[] = "/tmp/sotto-resolv-XXXXXX";
	int fd, on = 1;

	if (geteuid() != 0)
		return 0;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    system("ip link set lo up && ip addr add 192.0.2.1/32 dev lo && "
		   "ip route add local 192.0.2.0/24 dev lo table local src 192.0.2.1") != 0)
		return -1;
	fd = mkstemp(conf);
	if (fd < 0 || write(fd, "nameserver 127.0.0.1\n", 21) != 21 || mount(conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) != 0)
		return -1;
	close(fd);
	(void)unlink(conf);
	start_dns(n);
	(void)inet_pton(AF_INET, PEER, &at.sin_addr);
	n->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(n->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(n->listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(n->listener, 8) == 0 ? 0 : -1;
}

static int leave_network(void **state)
{
	struct net *n = *state;

	if (n->dns > 0 && (kill(n->dns, SIGKILL) != 0 || waitpid(n->dns, NULL, 0) != n->dns))
		return -1;
	return 0;
}

static void needs_root(void)
{
	if (geteuid() == 0)
		return;
	(void)fprintf(stderr, "SKIPPED: needs root for a network of its own\n");
	skip();
}

/* ---- one session ---- */

static void begin(struct net *n, const char *domain, const char *extra)
{
	struct lab *l = &n->lab;
	int mta[2], ready[2];

	unix_pair(mta);
	unix_pair(ready);
	start(&n->s, (const int[]){ mta[1], ready[1], -1 }, (const char *const[]){ "connect", "--mta", "3", "--ready", "4", "--to", domain, "--adapter", "postfix",
	      "--from", FROM, "--family", "ipv4", "--conf", l->conf, "--state", l->state[0], "--run", l->run, "--log", "stderr", extra, NULL });
	close(mta[1]);
	close(ready[1]);
	n->mta = mta[0];
	n->ready = ready[0];
}

static void take(struct net *n)
{
	struct pollfd p = { .fd = n->listener, .events = POLLIN };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	n->peer = accept4(n->listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
	assert_true(n->peer >= 0);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0xc0000207);
}

/* It is ready, and nothing has been said to our mail server before it is told to go. */
static void let_go(struct net *n)
{
	char octet;

	expect(n->ready, "!");
	assert_int_equal(recv(n->mta, &octet, 1, MSG_DONTWAIT), -1);
	put(n->ready, "!");
}

static void greet(struct net *n)
{
	take(n);
	let_go(n);
	put(n->peer, "220 mx.b.example ESMTP\r\n");
	expect(n->mta, "220 mx.b.example ESMTP\r\n");
	put(n->mta, "EHLO mx.a.example\r\n");
	expect(n->peer, "EHLO mx.a.example\r\n");
}

static void assert_domain(const struct net *n, const char *domain, enum sotto_domain_offer what)
{
	struct sotto_domain_state s;

	sotto_domain_load(n->lab.state[0], domain, &s);
	assert_int_equal(s.offer, what);
}

static void finish(struct net *n, const char *domain, enum sotto_domain_offer what, const char *logged)
{
	expect_end(n->mta);
	close(n->mta);
	(void)ended(&n->s);
	assert_domain(n, domain, what);
	expect_end(n->ready);
	close(n->ready);
	if (strstr(n->s.said, logged) == NULL)
		fail_msg("not logged: %s, but: %s", logged, n->s.said);
	tear_down(&n->lab);
}

static void a_peer_without_xsotto_is_421_to_ehlo_quit_to_the_peer_and_a_no(void **state)
{
	struct net *n = *state;

	needs_root();
	set_up(&n->lab);
	begin(n, "b.example", "--dane");
	greet(n);
	put(n->peer, "250-mx.b.example\r\n250 PIPELINING\r\n");
	expect(n->mta, "421 4.3.2 " NAMED " does not offer XSOTTO; nothing was sent\r\n");
	expect(n->peer, "QUIT\r\n");
	expect(n->ready, "-f");
	put(n->peer, "221 bye\r\n");
	expect_end(n->peer);
	close(n->peer);
	finish(n, "b.example", SOTTO_DOMAIN_NO, "connect peer=" NAMED ":25 outcome=native cause=\"not offered\"");
}

static void an_offer_is_a_yes_at_once_and_stays_one_when_the_exchange_fails(void **state)
{
	struct net *n = *state;

	needs_root();
	set_up(&n->lab);
	begin(n, "B.Example", NULL);
	greet(n);
	put(n->peer, "250-mx.b.example\r\n250 XSOTTO 1\r\n");
	expect(n->peer, "XSOTTO 1 1216\r\n");
	expect(n->ready, "+");
	shutdown(n->peer, SHUT_WR);
	expect(n->mta, "421 4.3.2 " NAMED ": no XSOTTO: closed during the exchange; nothing was sent\r\n");
	expect(n->ready, "f");
	close(n->peer);
	finish(n, "b.example", SOTTO_DOMAIN_YES, "fallback: peer=" NAMED);
}

static void a_peer_that_does_not_greet_well_is_a_421_greeting(void **state)
{
	struct net *n = *state;

	needs_root();
	set_up(&n->lab);
	begin(n, "b.example", NULL);
	take(n);
	let_go(n);
	put(n->peer, "554 go away\r\n");
	expect(n->mta, "421 4.3.2 " NAMED ": no XSOTTO: no 220 greeting; nothing was sent\r\n");
	close(n->peer);
	expect(n->ready, "f-");
	finish(n, "b.example", SOTTO_DOMAIN_NO, "outcome=");
}

static void a_peer_in_avoidance_is_a_no_and_hears_our_mail_servers_name(void **state)
{
	struct net *n = *state;
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sotto_state_key key = { .addr = (struct sockaddr *)&at };
	struct sotto_peer_state s = { 0 };
	int64_t now = (int64_t)time(NULL);

	needs_root();
	set_up(&n->lab);
	(void)inet_pton(AF_INET, PEER, &at.sin_addr);
	for (int minutes = 6; minutes >= 2; minutes -= 2)
		sotto_peer_state_apply(&s, SOTTO_EVENT_FAILED, now - (int64_t)minutes * 60);
	assert_int_equal(sotto_state_save(n->lab.state[0], &key, &s), 0);
	begin(n, "b.example", NULL);
	greet(n);
	expect(n->ready, "-");
	put(n->peer, "250-mx.b.example\r\n250 XSOTTO 1\r\n");
	expect(n->mta, "421 4.3.2 ");
	expect(n->ready, "f");
	expect(n->peer, "QUIT\r\n");
	close(n->peer);
	while (recv(n->mta, &(char[64]){ 0 }, 64, 0) > 0)
		;
	finish(n, "b.example", SOTTO_DOMAIN_NO, "cause=\"avoided after failures\"");
}

/* Another domain's mail found it out; the daemon, which may have heard of a refusal before, hears that our mail server may go there. */
static void a_peer_that_is_known_not_to_offer_it_is_not_asked_again(void **state)
{
	struct net *n = *state;
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sotto_state_key key = { .addr = (struct sockaddr *)&at };
	struct sotto_peer_state s = { .seen = time(NULL), .offer_seen = time(NULL) };

	needs_root();
	set_up(&n->lab);
	(void)inet_pton(AF_INET, PEER, &at.sin_addr);
	assert_int_equal(sotto_state_save(n->lab.state[0], &key, &s), 0);
	begin(n, "b.example", NULL);
	let_go(n);
	expect(n->mta, "421 4.4.1 No connection to " NAMED ": it did not offer XSOTTO when it was asked last, less than an hour ago\r\n");
	expect(n->ready, "f-");
	finish(n, "b.example", SOTTO_DOMAIN_NO, " outcome=native cause=");
}

static void without_a_connection_the_greeting_is_421_and_a_no(void **state)
{
	static const char *const cases[][2] = {
		{ "refusing.example", "421 4.4.1 No connection to mx.refusing.example[192.0.2.6]: Connection refused\r\n" },
		{ "dane.example", "421 4.4.1 No connection to mx.dane.example: whether it has TLSA records (DANE) cannot be found out now\r\n" },
		{ "nowhere.example", "421 4.4.1 No connection for nowhere.example: no such domain\r\n" },
	};
	struct net *n = *state;

	needs_root();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(&n->lab);
		begin(n, cases[i][0], "--dane");
		let_go(n);
		expect(n->mta, cases[i][1]);
		expect(n->ready, "-");
		finish(n, cases[i][0], SOTTO_DOMAIN_NO, " outcome=none cause=");
	}
}

/*
 * Before the session even begins the daemon hears that our mail server must not go there without us; and there is no "no", by which it
 * would. Listed as a domain, or as a host or an address, which only we can know.
 */
static void required_peer(struct net *n, const char *option, const char *listed)
{
	char path[300];

	needs_root();
	set_up(&n->lab);
	(void)snprintf(path, sizeof(path), "%s/require", n->lab.dir);
	write_file(path, listed);
	begin(n, "b.example", option);
	take(n);
	expect(n->ready, "r");
	let_go(n);
	put(n->peer, "220 mx.b.example ESMTP\r\n");
	expect(n->mta, "220 mx.b.example ESMTP\r\n");
	put(n->mta, "EHLO mx.a.example\r\n");
	expect(n->peer, "EHLO mx.a.example\r\n");
	put(n->peer, "250-mx.b.example\r\n250 PIPELINING\r\n");
	expect(n->mta, "451 4.7.0 Encryption (XSOTTO) is required with " NAMED ", and could not be had\r\n");
	expect(n->peer, "QUIT\r\n");
	close(n->peer);
	put(n->mta, "QUIT\r\n");
	expect(n->mta, "221 2.0.0 Bye\r\n");
	finish(n, "b.example", SOTTO_DOMAIN_UNKNOWN, " outcome=refused cause=\"not offered\"");
}

static void a_required_peer_is_451_and_named(void **state)
{
	required_peer(*state, "--require", "");
	required_peer(*state, NULL, "mx.b.example\n");
	required_peer(*state, NULL, PEER "\n");
}

/* Where the administrator has switched it off there is nothing to be learnt. */
static void mode_off_teaches_nothing(void **state)
{
	struct net *n = *state;

	needs_root();
	set_up(&n->lab);
	write_file(n->lab.conf, "[sotto]\nmode = off\n");
	begin(n, "refusing.example", NULL);
	let_go(n);
	expect(n->mta, "421 4.4.1 ");
	while (recv(n->mta, &(char[64]){ 0 }, 64, 0) > 0)
		;
	finish(n, "refusing.example", SOTTO_DOMAIN_UNKNOWN, " outcome=none ");
}

/* The daemon was ended, by whoever restarts it: its connections are their sessions' alone. */
static void without_the_daemon_it_goes_on_by_itself(void **state)
{
	struct net *n = *state;

	needs_root();
	set_up(&n->lab);
	begin(n, "b.example", NULL);
	close(n->ready);
	take(n);
	put(n->peer, "220 mx.b.example ESMTP\r\n");
	expect(n->mta, "220 mx.b.example ESMTP\r\n");
	n->ready = open("/dev/null", O_RDONLY | O_CLOEXEC);
	put(n->mta, "EHLO mx.a.example\r\n");
	expect(n->peer, "EHLO mx.a.example\r\n");
	put(n->peer, "250 mx.b.example\r\n");
	expect(n->mta, "421 4.3.2 " NAMED " does not offer XSOTTO; nothing was sent\r\n");
	expect(n->peer, "QUIT\r\n");
	close(n->peer);
	expect_end(n->mta);
	close(n->mta);
	close(n->ready);
	(void)ended(&n->s);
	assert_domain(n, "b.example", SOTTO_DOMAIN_NO);
	tear_down(&n->lab);
}

int main(int argc, char **argv)
{
	static struct net net;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_peer_without_xsotto_is_421_to_ehlo_quit_to_the_peer_and_a_no, &net),
		cmocka_unit_test_prestate(an_offer_is_a_yes_at_once_and_stays_one_when_the_exchange_fails, &net),
		cmocka_unit_test_prestate(a_peer_that_does_not_greet_well_is_a_421_greeting, &net),
		cmocka_unit_test_prestate(a_peer_in_avoidance_is_a_no_and_hears_our_mail_servers_name, &net),
		cmocka_unit_test_prestate(a_peer_that_is_known_not_to_offer_it_is_not_asked_again, &net),
		cmocka_unit_test_prestate(without_a_connection_the_greeting_is_421_and_a_no, &net),
		cmocka_unit_test_prestate(a_required_peer_is_451_and_named, &net),
		cmocka_unit_test_prestate(mode_off_teaches_nothing, &net),
		cmocka_unit_test_prestate(without_the_daemon_it_goes_on_by_itself, &net),
	};
	void *state = &net;
	int failed;

	(void)argc;
	if (!find_program(argv[0]) || enter_network(&state) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return leave_network(&state) != 0 ? 1 : failed;
}
