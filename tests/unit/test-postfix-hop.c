/* SPDX-License-Identifier: ISC */
/*
 * hop-service.h's promises, with real connections over the loopback: who gets a session, who hears 421, and that one session finds out
 * for all. sotto-session is this program again, which writes what it was given into a file and goes on as the test says.
 */
#include "tests/unit/folder-lab.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/runtime/hop.h"
#include "plugins/postfix-policy/hop-service.h"
#include "plugins/postfix-policy/sessions.h"
#include "tests/unit/fake-site.h"

#define PATIENCE_MS 30000
#define READY_FD 4

static struct sotto_policyd p;
static struct sotto_hop_service *hop;
static char self[512];

static void on_learnt(void *arg, struct sotto_domain *d)
{
	(void)arg;
	sotto_hop_service_learnt(hop, d);
}

static void on_conf(void *arg)
{
	(void)arg;
}

/* ---- the session ---- */

/* How it becomes ready is its domain's to say. */
static bool is_ready(const char *domain, const char *state)
{
	char octet = 0, lifted[200];

	snprintf(lifted, sizeof(lifted), "%s/lifted", state);
	if (access(lifted, F_OK) == 0)
		(void)poll(NULL, 0, PATIENCE_MS);
	if (strcmp(domain, "dies.example") == 0)
		_exit(0);
	if (strcmp(domain, "required.example") == 0 && write(READY_FD, "r", 1) != 1)
		return false;
	if (strcmp(domain, "hangs.example") == 0)
		(void)poll(NULL, 0, PATIENCE_MS);
	if (write(READY_FD, strcmp(domain, "babbles.example") == 0 ? "+" : "!", 1) != 1)
		return errno == EPIPE;	/* nobody is there any more */
	return read(READY_FD, &octet, 1) == 0 || octet == '!';
}

/* Says its arguments as a greeting; what it reads then is what it tells of its domain. */
static int session(int argc, char **argv)
{
	char text[2000] = "220 ", octet;
	struct pollfd io = { .fd = 3, .events = POLLIN };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", argv[i]);
	strcat(text, "\r\n");
	if (!is_ready(argv[7], argv[13]) || write(3, text, strlen(text)) < 0)
		return 1;
	while (poll(&io, 1, PATIENCE_MS) == 1 && read(3, &octet, 1) == 1)
		if (write(READY_FD, &octet, 1) != 1)
			return 1;
	return 0;
}

/* ---- the lab ---- */

static int begin(void **state)
{
	static char conf[128], dir[64];
	const struct sotto_domains_config c = { .state = dir, .run = dir, .conf_dir = conf, .learnt = on_learnt, .conf_changed = on_conf };
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	char err[256];
	int fd;

	if (lab_begin(state) != 0)
		return -1;
	strcpy(dir, lab_dir);
	snprintf(conf, sizeof(conf), "%s/conf", lab_dir);
	memset(&p, 0, sizeof(p));
	sotto_conf_defaults(&p.conf);
	p.state = p.run = dir;
	p.conf_path = "sotto.conf";
	p.session = self;
	snprintf(p.hop_dir, sizeof(p.hop_dir), "%s/hop", lab_dir);
	p.base = fake_site.base = event_base_new();
	fake_site.facts.mail_owner = geteuid();
	fake_site.answer = SOTTO_SITE_MAY;
	fake_site.tls = fake_site.silent = false;
	p.domains = sotto_domains_open(p.base, &c);
	fd = sotto_hop_listen(0, err, sizeof(err));
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		return -1;
	p.port = ntohs(at.sin_port);
	hop = sotto_hop_service_open(&p, fd);
	return hop == NULL ? -1 : 0;
}

static int end(void **state)
{
	sotto_hop_service_close(hop);
	sotto_domains_close(p.domains);
	event_base_free(p.base);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return lab_end(state);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

/* As Postfix connects: to the domain's address, claimed as for a lookup. */
static int connect_for(const char *domain)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sotto_hop_claim(p.hop_dir, domain, &to.sin_addr), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Turns the loop until there is something to read, or for some turns. */
static bool readable(int fd, unsigned ms)
{
	struct pollfd io = { .fd = fd, .events = POLLIN };

	for (unsigned i = 0; i < ms; i++) {
		(void)event_base_loop(p.base, EVLOOP_NONBLOCK);
		if (poll(&io, 1, 1) == 1)
			return true;
	}
	return false;
}

/* The greeting; "" at the end of the connection. Valid until the next call. */
static const char *greeting(int fd)
{
	static char text[2001];
	ssize_t n;

	assert_true(readable(fd, PATIENCE_MS));
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void turn(void)
{
	for (unsigned i = 0; i < 20; i++)
		(void)event_base_loop(p.base, EVLOOP_NONBLOCK);
}

static unsigned children(void)
{
	char path[64], text[4096];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%4095s", text) == 1)
		n++;
	fclose(f);
	return n;
}

/* ---- who gets a session ---- */

static void a_connection_gets_a_session_with_all_it_needs(void **state)
{
	char expected[512];
	int fd;

	(void)state;
	strcpy(fake_site.facts.from4, "192.0.2.9");
	fake_site.facts.ipv6 = false;
	fake_site.facts.dane = true;
	fd = connect_for("example.org");
	snprintf(expected, sizeof(expected),
		 "220 connect --mta 3 --ready 4 --to example.org --adapter postfix --conf sotto.conf --state %s --run %s --log syslog --from 192.0.2.9 "
		 "--family ipv4 --dane \r\n", lab_dir, lab_dir);
	assert_string_equal(greeting(fd), expected);
	close(fd);
	fake_site.facts.from4[0] = '\0';
	fake_site.facts.ipv6 = true;
	fake_site.facts.dane = false;
}

static void the_session_outlives_us(void **state)
{
	struct pollfd io = { .events = POLLIN };
	char err[256];

	(void)state;
	io.fd = connect_for("example.org");
	assert_memory_equal(greeting(io.fd), "220 ", 4);
	sotto_hop_service_close(hop);
	/* nobody has ended the connection, nor the process at its other end */
	assert_int_equal(poll(&io, 1, 50), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	close(io.fd);
	assert_true(waitpid(-1, NULL, 0) > 0);
	hop = sotto_hop_service_open(&p, sotto_hop_listen(0, err, sizeof(err)));
	assert_non_null(hop);
}

static void an_address_that_means_no_domain_hears_421(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p.port), .sin_addr = sotto_hop_address("unclaimed.example") };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_memory_equal(greeting(fd), "421 4.3.2 mail.example.net ", 27);
	assert_string_equal(greeting(fd), "");
	close(fd);
}

static void another_user_of_this_host_is_not_served(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p.port) };
	int pipefd[2], status;
	pid_t child;
	char octet;

	(void)state;
	if (geteuid() != 0) {
		print_message("NOT RUN: only root can be somebody else\n");
		skip();
	}
	assert_int_equal(sotto_hop_claim(p.hop_dir, "example.org", &to.sin_addr), 0);
	assert_int_equal(pipe(pipefd), 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
			_exit(9);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 || write(pipefd[1], "x", 1) != 1)
			_exit(8);
		_exit(read(fd, &octet, 1) == 0 ? 0 : 1);	/* the end, without a word */
	}
	assert_int_equal(read(pipefd[0], &octet, 1), 1);
	while (waitpid(child, &status, WNOHANG) == 0)
		(void)event_base_loop(p.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(status, 0);
	close(pipefd[0]);
	close(pipefd[1]);
}

static void what_speaks_against_the_hop_is_421(void **state)
{
	int fd;

	(void)state;
	fake_site.tls = true;
	fd = connect_for("example.org");
	assert_non_null(strstr(greeting(fd), "its own TLS policy"));
	close(fd);
	assert_true(sotto_domains_get(p.domains, "example.org", 11)->tls);
	fake_site.tls = false;
	fake_site.answer = SOTTO_SITE_NATIVE;
	fd = connect_for("example.org");
	assert_memory_equal(greeting(fd), "421 4.3.2 ", 10);
	close(fd);
	fake_site.answer = SOTTO_SITE_MAY;
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, time(NULL)), 0);
	turn();
	fd = connect_for("example.org");
	assert_non_null(strstr(greeting(fd), "does not offer XSOTTO"));
	close(fd);
}

/* A clear word at the start, and not later. */
static void without_the_program_there_is_no_service(void **state)
{
	char err[256];

	(void)state;
	sotto_hop_service_close(hop);
	p.session = "/nonexistent/sotto-session";
	hop = sotto_hop_service_open(&p, sotto_hop_listen(0, err, sizeof(err)));
	assert_null(hop);
	assert_int_equal(errno, ENOENT);
}

/* The program is there, and nobody can execute it. */
static void without_a_session_to_be_had_it_is_421(void **state)
{
	char err[256];
	int fd;

	(void)state;
	sotto_hop_service_close(hop);
	lab_put("no-program", "garbage", 7);
	p.session = lab_path("no-program");
	fd = sotto_hop_listen(0, err, sizeof(err));
	hop = sotto_hop_service_open(&p, fd);
	assert_non_null(hop);
	{
		struct sockaddr_in at;
		socklen_t len = sizeof(at);

		assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
		p.port = ntohs(at.sin_port);
	}
	fd = connect_for("example.org");
	assert_non_null(strstr(greeting(fd), "no session to be had"));
	close(fd);
}

/* ---- finding out ---- */

static void one_session_finds_out_for_all(void **state)
{
	int first = connect_for("example.org"), second, third;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	second = connect_for("example.org");
	third = connect_for("example.org");
	assert_false(readable(second, 50));
	assert_false(readable(third, 1));
	assert_int_equal(write(first, "+", 1), 1);
	assert_memory_equal(greeting(second), "220 ", 4);
	assert_memory_equal(greeting(third), "220 ", 4);
	close(first);
	close(second);
	close(third);
}

static void and_when_there_is_no_offer_all_hear_421(void **state)
{
	int first = connect_for("example.org"), second;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	second = connect_for("example.org");
	assert_false(readable(second, 50));
	assert_int_equal(write(first, "-", 1), 1);
	assert_non_null(strstr(greeting(second), "does not offer XSOTTO"));
	close(first);
	close(second);
}

/* Before it is ready, and later; and what it has said counts before the loop comes to it. */
static void a_session_says_where_mail_must_not_go_without_us(void **state)
{
	struct sotto_domain *d = sotto_domains_get(p.domains, "required.example", 16);
	int first = connect_for("required.example");

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	assert_true(d->refused);
	assert_int_equal(write(first, "f", 1), 1);
	while (d->refused)
		sotto_hop_service_hear(hop, d);
	assert_int_equal(write(first, "r", 1), 1);
	while (!d->refused)
		sotto_hop_service_hear(hop, d);
	sotto_hop_service_hear(hop, sotto_domains_get(p.domains, "example.org", 11));
	close(first);
	turn();
	assert_true(d->refused);
}

/* Of lists that are others by now, and there is no session that could say it anew: the next one is never ready. */
static void what_was_said_of_old_lists_does_not_hold_mail_up(void **state)
{
	struct sotto_domain *d = sotto_domains_get(p.domains, "required.example", 16);
	int first = connect_for("required.example"), second;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	assert_true(sotto_domains_refused(p.domains, d, time(NULL)));
	close(first);
	while (d->sessions > 0)
		turn();
	sotto_domains_reload(p.domains);
	lab_put("lifted", "", 0);
	second = connect_for("required.example");
	while (children() == 0)
		turn();
	assert_false(sotto_domains_refused(p.domains, d, time(NULL) + 60));
	assert_memory_equal(greeting(second), "421 ", 4);
	close(second);
}

/* As one does that was started by a daemon before us. */
static void what_a_file_says_is_heard_too(void **state)
{
	int first = connect_for("example.org"), second;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	second = connect_for("example.org");
	assert_false(readable(second, 50));
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_YES, time(NULL)), 0);
	assert_memory_equal(greeting(second), "220 ", 4);
	close(first);
	close(second);
}

/* ---- sessions that come to nothing ---- */

static void one_that_never_is_ready_is_killed_and_nobody_has_touched_the_connection(void **state)
{
	static const char *const domains[] = { "dies.example", "babbles.example", "hangs.example" };
	int fd, held;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fd = connect_for(domains[i]);
		turn();
		held = connect_for(domains[i]);
		assert_non_null(strstr(greeting(fd), "421 4.3.2 mail.example.net sotto: no session to be had"));
		assert_string_equal(greeting(fd), "");
		assert_memory_equal(greeting(held), "421 ", 4);
		close(fd);
		close(held);
		while (children() > 0)
			turn();
		assert_null(sotto_domains_get(p.domains, domains[i], strlen(domains[i]))->held);
		assert_false(sotto_domains_get(p.domains, domains[i], strlen(domains[i]))->asked);
	}
}

/* The limit is one for becoming ready: another session that runs into it tells when that time is over. */
static void one_that_was_ready_and_has_told_has_all_the_time_it_needs(void **state)
{
	const struct sotto_domain *d = sotto_domains_get(p.domains, "example.org", 11);
	int first = connect_for("example.org"), late;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	assert_int_equal(write(first, "+", 1), 1);
	while (d->state.offer != SOTTO_DOMAIN_YES)
		turn();
	late = connect_for("hangs.example");
	assert_memory_equal(greeting(late), "421 ", 4);
	assert_false(readable(first, 50));
	assert_int_equal(children(), 1);
	close(late);
	close(first);
}

/* Whoever is not ready when we go has the connection to itself. */
static void one_that_is_not_ready_yet_goes_on_without_us(void **state)
{
	int fd = connect_for("example.org"), error;
	char err[256], octets[64];
	struct pollfd io = { .fd = fd, .events = POLLIN };

	(void)state;
	while (children() == 0)
		(void)event_base_loop(p.base, EVLOOP_ONCE);
	sotto_hop_service_close(hop);
	assert_int_equal(poll(&io, 1, PATIENCE_MS), 1);
	error = (int)read(fd, octets, sizeof(octets));
	assert_true(error > 4);
	assert_memory_equal(octets, "220 ", 4);
	close(fd);
	hop = sotto_hop_service_open(&p, sotto_hop_listen(0, err, sizeof(err)));
	assert_non_null(hop);
}

static void without_descriptors_it_is_421_and_not_silence(void **state)
{
	struct rlimit before, few;
	int clients[4], fd, most;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		clients[i] = connect_for("example.org");
	most = fcntl(clients[3], F_DUPFD_CLOEXEC, 0);
	close(most);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	fd = readable(clients[0], 1000) ? clients[0] : -1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(fd >= 0);
	assert_memory_equal(greeting(fd), "421 ", 4);
	for (unsigned i = 0; i < 4; i++)
		close(clients[i]);
}

static void when_the_first_ends_without_a_word_the_next_one_asks(void **state)
{
	int first = connect_for("example.org"), second, third;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	second = connect_for("example.org");
	third = connect_for("example.org");
	assert_false(readable(second, 50));
	close(first);
	/* whichever of them it is, the other waits for it */
	while (!readable(second, 1) && !readable(third, 1))
		;
	assert_true(readable(second, 1) != readable(third, 1));
	close(second);
	close(third);
}

static void other_domains_are_not_held_up(void **state)
{
	int first = connect_for("example.org"), held, other;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	held = connect_for("example.org");
	other = connect_for("example.com");
	assert_memory_equal(greeting(other), "220 ", 4);
	assert_false(readable(held, 1));
	close(first);
	close(held);
	close(other);
}

static void only_so_many_are_held(void **state)
{
	int first = connect_for("example.org"), held[SOTTO_HELD_MAX], more;

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	for (unsigned i = 0; i < SOTTO_HELD_MAX; i++) {
		held[i] = connect_for("example.org");
		turn();
	}
	more = connect_for("example.org");
	assert_non_null(strstr(greeting(more), "too many connections at once"));
	/* one that leaves makes room */
	close(held[0]);
	turn();
	close(more);
	more = connect_for("example.org");
	assert_false(readable(more, 50));
	for (unsigned i = 1; i < SOTTO_HELD_MAX; i++)
		close(held[i]);
	close(more);
	close(first);
	turn();
	assert_null(sotto_domains_get(p.domains, "example.org", 11)->held);
}

static void whoever_is_held_when_we_go_hears_421(void **state)
{
	int first = connect_for("example.org"), held;
	char err[256], octets[64];

	(void)state;
	assert_memory_equal(greeting(first), "220 ", 4);
	held = connect_for("example.org");
	assert_false(readable(held, 50));
	sotto_hop_service_close(hop);
	assert_true(read(held, octets, sizeof(octets)) > 4);
	assert_memory_equal(octets, "421 ", 4);
	hop = sotto_hop_service_open(&p, sotto_hop_listen(0, err, sizeof(err)));
	assert_non_null(hop);
	close(first);
	close(held);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(a_connection_gets_a_session_with_all_it_needs),
		test(the_session_outlives_us),
		test(an_address_that_means_no_domain_hears_421),
		test(another_user_of_this_host_is_not_served),
		test(what_speaks_against_the_hop_is_421),
		test(without_the_program_there_is_no_service),
		test(without_a_session_to_be_had_it_is_421),
		test(one_session_finds_out_for_all),
		test(and_when_there_is_no_offer_all_hear_421),
		test(a_session_says_where_mail_must_not_go_without_us),
		test(what_was_said_of_old_lists_does_not_hold_mail_up),
		test(what_a_file_says_is_heard_too),
		test(one_that_never_is_ready_is_killed_and_nobody_has_touched_the_connection),
		test(one_that_is_not_ready_yet_goes_on_without_us),
		test(one_that_was_ready_and_has_told_has_all_the_time_it_needs),
		test(without_descriptors_it_is_421_and_not_silence),
		test(when_the_first_ends_without_a_word_the_next_one_asks),
		test(other_domains_are_not_held_up),
		test(only_so_many_are_held),
		test(whoever_is_held_when_we_go_hears_421),
	};
	ssize_t n;

	if (argc > 1 && strcmp(argv[1], "connect") == 0)
		return session(argc, argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return 1;
	self[n] = '\0';
	return cmocka_run_group_tests(tests, NULL, NULL);
}
