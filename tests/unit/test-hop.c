/* SPDX-License-Identifier: ISC */
/* hop.h's promises: one address means one domain or nothing, whoever claims it at once; and the kernel says who connected. */
#include "tests/unit/folder-lab.h"

#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/runtime/hop.h"

#define COLLIDING_A "example3826.example.org"	/* both have the same 22 bits */
#define COLLIDING_B "mail1440.example.org"
#define ADDRESS "127.111.234.240"		/* of example.org, by another implementation of SHA-256 */

static const char *dir(void)
{
	return lab_path("hop");
}

static int claim(const char *domain)
{
	struct in_addr at;

	return sotto_hop_claim(dir(), domain, &at);
}

static struct in_addr address(const char *text)
{
	struct in_addr at;

	assert_int_equal(inet_pton(AF_INET, text, &at), 1);
	return at;
}

static void assert_means(const char *text, const char *domain)
{
	char got[300] = "x";
	int rc = sotto_hop_domain(dir(), address(text), got, sizeof(got));

	assert_int_equal(rc, domain == NULL ? -ENOENT : 0);
	assert_string_equal(got, domain == NULL ? "" : domain);
}

/* ---- addresses ---- */

static void the_address_is_made_of_the_domains_hash(void **state)
{
	static const char *const same[] = { "example.org", "EXAMPLE.Org", "example.org.", NULL };

	(void)state;
	for (unsigned i = 0; same[i] != NULL; i++)
		assert_int_equal(sotto_hop_address(same[i]).s_addr, address(ADDRESS).s_addr);
	assert_int_not_equal(sotto_hop_address("example.net").s_addr, address(ADDRESS).s_addr);
	assert_int_equal(sotto_hop_address(COLLIDING_A).s_addr, sotto_hop_address(COLLIDING_B).s_addr);
}

static void only_its_own_net_is_the_hop(void **state)
{
	static const char *const in[] = { "127.64.0.0", "127.127.255.255", ADDRESS }, *const out[] = { "127.63.255.255", "127.128.0.0",
					  "127.0.0.1", "192.0.2.1" };
	struct sockaddr_storage sa;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(sotto_hop_is((struct sockaddr *)(sa = lab_addr(in[i], 25), &sa)));
	for (unsigned i = 0; i < 4; i++)
		assert_false(sotto_hop_is((struct sockaddr *)(sa = lab_addr(out[i], 25), &sa)));
	sa = lab_addr("::ffff:127.64.0.1", 25);
	assert_false(sotto_hop_is((struct sockaddr *)&sa));
}

/* ---- claims ---- */

static void what_was_claimed_is_what_the_address_means(void **state)
{
	struct in_addr at = { 0 };
	char text[64], longest[254];
	struct stat st;

	(void)state;
	assert_int_equal(sotto_hop_claim(dir(), "Example.ORG.", &at), 0);
	assert_int_equal(at.s_addr, address(ADDRESS).s_addr);
	assert_means(ADDRESS, "example.org");
	assert_int_equal(lab_get("hop/" ADDRESS, text, sizeof(text)), 12);
	assert_memory_equal(text, "example.org\n", 12);
	assert_int_equal(stat(dir(), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(claim("example.org"), 0);
	assert_int_equal(lab_count("hop"), 1);
	assert_means("127.64.0.1", NULL);
	memset(longest, 'a', 253);
	longest[253] = '\0';
	assert_int_equal(sotto_hop_claim(dir(), longest, &at), 0);
	assert_int_equal(sotto_hop_domain(dir(), at, text, sizeof(text)), -ENAMETOOLONG);
	assert_string_equal(text, "");
}

static void what_is_no_domain_claims_nothing(void **state)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", "[192.0.2.1]", "a b", "a\nb", ".org", "caf\xc3\xa9.org", "*" };
	char longer[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(claim(names[i]), -EINVAL);
	memset(longer, 'a', 255);
	longer[255] = '\0';
	assert_int_equal(claim(longer), -EINVAL);
	longer[254] = '\0';
	assert_int_equal(claim(longer), -EINVAL);
	assert_false(lab_exists("hop"));
}

static void of_two_domains_with_one_address_the_first_has_it(void **state)
{
	struct in_addr at;
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_int_equal(claim(COLLIDING_B), 0);
	assert_int_equal(sotto_hop_claim(dir(), COLLIDING_A, &at), -EADDRINUSE);
	assert_int_equal(claim(COLLIDING_B), 0);
	assert_means(inet_ntop(AF_INET, &at, text, sizeof(text)), COLLIDING_B);
	assert_int_equal(lab_count("hop"), 1);
}

static void a_damaged_file_is_nobodys_and_is_replaced(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} bad[] = { { "", 0 }, { "\n", 1 }, { "example.org", 11 }, { "example.net\n", 12 }, { "example.org\n\n", 13 }, { "Example.org\n", 12 },
		    { "../../etc\n", 10 }, { "example.org\0\n", 13 }, { "example.org\nx", 13 } };

	(void)state;
	assert_int_equal(claim("example.org"), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lab_put("hop/" ADDRESS, bad[i].text, bad[i].n);
		assert_means(ADDRESS, NULL);
		assert_int_equal(claim("example.org"), 0);
		assert_means(ADDRESS, "example.org");
		assert_int_equal(lab_count("hop"), 1);
	}
}

static void what_is_no_file_is_an_error_and_nobody_waits_for_it(void **state)
{
	char got[300];

	(void)state;
	assert_int_equal(claim("example.org"), 0);
	for (int which = 0; which < LAB_ODD_THINGS; which++) {
		lab_odd_thing("hop/" ADDRESS, which, "/etc/passwd");
		assert_true(claim("example.org") < 0);
		assert_true(sotto_hop_domain(dir(), address(ADDRESS), got, sizeof(got)) < 0);
		assert_string_equal(got, "");
	}
}

static int claim_without_rights(void *arg)
{
	(void)arg;
	lab_may_not_write();
	return -claim("example.net");
}

static int claim_on_a_full_disk(void *arg)
{
	(void)arg;
	lab_disk_is_full_after(3);
	/* what is there already needs no room */
	return claim("example.org") != 0 ? 98 : -claim("example.net");
}

static void what_cannot_be_written_is_not_claimed(void **state)
{
	struct in_addr at;

	(void)state;
	assert_int_equal(sotto_hop_claim(lab_path("not/there"), "example.net", &at), -ENOENT);
	assert_int_equal(claim("example.org"), 0);
	assert_int_equal(lab_run(claim_on_a_full_disk, NULL), ENOSPC);
	assert_int_equal(lab_run(claim_without_rights, NULL), EACCES);
	assert_int_equal(lab_count("hop"), 1);
}

static int claim_a_thousand_times(void *arg)
{
	unsigned had = 0;

	for (unsigned i = 0; i < 1000; i++) {
		int rc = claim(arg);

		if (rc != 0 && rc != -EADDRINUSE)
			return 99;
		had += rc == 0;
	}
	return had == 1000 ? 1 : had == 0 ? 2 : 98;	/* never both */
}

static void of_processes_at_once_one_has_it_and_keeps_it(void **state)
{
	struct in_addr at = sotto_hop_address(COLLIDING_A);
	char file[64], text[INET_ADDRSTRLEN];

	(void)state;
	(void)snprintf(file, sizeof(file), "hop/%s", inet_ntop(AF_INET, &at, text, sizeof(text)));
	for (unsigned round = 0; round < 10; round++) {
		pid_t a, b;
		int got;

		/* the second time and later, both begin by taking a damaged file away */
		if (round > 0)
			lab_put(file, "damaged", 7);
		a = lab_start(claim_a_thousand_times, (void *)(uintptr_t)COLLIDING_A);
		b = lab_start(claim_a_thousand_times, (void *)(uintptr_t)COLLIDING_B);
		got = lab_wait(a);
		assert_int_equal(got + lab_wait(b), 3);
		assert_means(text, got == 1 ? COLLIDING_A : COLLIDING_B);
		assert_int_equal(lab_count("hop"), 1);
	}
}

static void a_claim_that_is_used_does_not_grow_old(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(claim("example.org"), 0);
	for (int i = 0; i < 2; i++) {
		lab_age("hop/" ADDRESS, i == 0 ? 7200 : -7200);
		assert_int_equal(claim("example.org"), 0);
		assert_int_equal(stat(lab_path("hop/" ADDRESS), &st), 0);
		assert_in_range(time(NULL) - st.st_mtime + 1, 0, 1000);
	}
}

/* ---- sockets ---- */

static int listen_anywhere(uint16_t *port)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	char err[256];
	int fd = sotto_hop_listen(0, err, sizeof(err));

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static int connect_from(const char *from, const char *to, uint16_t port)
{
	struct sockaddr_storage us = lab_addr(from, 0), them = lab_addr(to, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&us, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&them, sizeof(struct sockaddr_in)), 0);
	return fd;
}

static int take(int from)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&p, 1, 60000), 1);
	fd = accept4(from, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void every_address_of_the_hop_is_heard_and_no_other_device(void **state)
{
	static const char *const to[] = { "127.64.0.0", "127.127.255.255", ADDRESS };
	char device[IFNAMSIZ] = "", err[256] = "";
	socklen_t len = sizeof(device);
	uint16_t port;
	int from = listen_anywhere(&port);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int out = connect_from("127.0.0.1", to[i], port), in = take(from);
		struct sockaddr_storage at;
		socklen_t at_len = sizeof(at);

		assert_int_equal(getsockname(in, (struct sockaddr *)&at, &at_len), 0);
		assert_true(sotto_hop_is((struct sockaddr *)&at));
		close(out);
		close(in);
	}
	assert_int_equal(getsockopt(from, SOL_SOCKET, SO_BINDTODEVICE, device, &len), 0);
	assert_string_equal(device, "lo");
	assert_true(fcntl(from, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(from, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(sotto_hop_listen(port, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "choose another port"));
	close(from);
}

static void the_other_end_is_known_by_its_owner(void **state)
{
	uint16_t port;
	int from = listen_anywhere(&port);
	int out = connect_from("127.0.0.9", ADDRESS, port), in = take(from);
	uid_t uid = 4711;

	(void)state;
	assert_int_equal(sotto_hop_uid(in, &uid), 0);
	assert_int_equal(uid, geteuid());
	uid = 4711;
	assert_int_equal(sotto_hop_uid(from, &uid), -ENOTCONN);
	assert_int_equal(sotto_hop_uid(-1, &uid), -EBADF);
	/* whoever has gone has no owner, and must not be taken for root */
	close(out);
	assert_int_equal(poll(&(struct pollfd){ .fd = in, .events = POLLIN }, 1, 60000), 1);
	assert_int_equal(sotto_hop_uid(in, &uid), -ENOTCONN);
	assert_int_equal(uid, 4711);
	close(in);
	close(from);
}

struct caller {
	uint16_t port;
	int hold;	/* the child keeps its connection until this is closed */
};

static int call_as_nobody(void *arg)
{
	const struct caller *c = arg;
	char octet;

	if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return 99;
	(void)connect_from("127.0.0.1", ADDRESS, c->port);
	return read(c->hold, &octet, 1) == 0 ? 0 : 98;
}

/* Both ends and a second connection between the same addresses: the ports decide. */
static void another_users_end_is_that_users(void **state)
{
	struct caller c;
	int from, theirs, ours, out, hold[2];
	uid_t uid = 4711;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		(void)fprintf(stderr, "SKIPPED: needs root to become another user\n");
		skip();
	}
	from = listen_anywhere(&c.port);
	assert_int_equal(pipe(hold), 0);
	c.hold = hold[0];
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit(call_as_nobody(&c));
	}
	theirs = take(from);
	out = connect_from("127.0.0.1", ADDRESS, c.port);
	ours = take(from);
	assert_int_equal(sotto_hop_uid(theirs, &uid), 0);
	assert_int_equal(uid, NOBODY);
	assert_int_equal(sotto_hop_uid(ours, &uid), 0);
	assert_int_equal(uid, 0);
	close(hold[1]);
	assert_int_equal(lab_wait(pid), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = theirs, .events = POLLIN }, 1, 60000), 1);
	assert_true(sotto_hop_uid(theirs, &uid) < 0);
	close(theirs);
	close(ours);
	close(out);
	close(hold[0]);
	close(from);
}

static int ask_as_nobody(void *arg)
{
	uid_t uid;

	if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
		return 99;
	return sotto_hop_uid(*(int *)arg, &uid) == 0 && uid == 0 ? 0 : 1;
}

static void asking_needs_no_rights(void **state)
{
	uint16_t port;
	int from, out, in;

	(void)state;
	if (geteuid() != 0) {
		(void)fprintf(stderr, "SKIPPED: needs root to become another user\n");
		skip();
	}
	from = listen_anywhere(&port);
	out = connect_from("127.0.0.1", ADDRESS, port);
	in = take(from);
	assert_int_equal(lab_run(ask_as_nobody, &in), 0);
	close(in);
	close(out);
	close(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(the_address_is_made_of_the_domains_hash),
		lab_test(only_its_own_net_is_the_hop),
		lab_test(what_was_claimed_is_what_the_address_means),
		lab_test(what_is_no_domain_claims_nothing),
		lab_test(of_two_domains_with_one_address_the_first_has_it),
		lab_test(a_damaged_file_is_nobodys_and_is_replaced),
		lab_test(what_is_no_file_is_an_error_and_nobody_waits_for_it),
		lab_test(what_cannot_be_written_is_not_claimed),
		lab_test(of_processes_at_once_one_has_it_and_keeps_it),
		lab_test(a_claim_that_is_used_does_not_grow_old),
		lab_test(every_address_of_the_hop_is_heard_and_no_other_device),
		lab_test(the_other_end_is_known_by_its_owner),
		lab_test(another_users_end_is_that_users),
		lab_test(asking_needs_no_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
