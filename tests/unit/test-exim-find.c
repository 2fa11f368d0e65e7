/* SPDX-License-Identifier: ISC */
/* find.h's promises: all descriptors of the connection with a peer, and no others. */
#include "tests/unit/exim-lab.h"

#include "plugins/exim/find.h"

static void both_of_exims_descriptors_are_found(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	int c[2], two;

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	two = fcntl(c[0], F_DUPFD_CLOEXEC, 300);
	lab_peer(&peer, c[0]);
	assert_int_equal(sotto_find(&found, &peer), 2);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.fd[0], c[0]);
	assert_int_equal(found.fd[1], two);
	assert_false(found.used);
	close(c[0]);
	close(c[1]);
	close(two);
}

static void the_one_of_a_connection_that_we_made_is_found(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	int c[2];

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, c[1]);
	assert_int_equal(sotto_find(&found, &peer), 1);
	assert_int_equal(found.fd[0], c[1]);
	close(c[0]);
	close(c[1]);
}

static void a_v4_mapped_peer_is_found_by_its_ipv4_address(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	socklen_t len;
	int c[2];

	(void)state;
	lab_connect(c, "::", 0, "127.0.0.2");
	lab_peer(&peer, c[0]);
	assert_int_equal(peer.ss_family, AF_INET6);
	lab_address(&peer, &len, "127.0.0.2", ntohs(((struct sockaddr_in6 *)(void *)&peer)->sin6_port));
	assert_int_equal(sotto_find(&found, &peer), 1);
	assert_int_equal(found.local.ss_family, AF_INET);
	close(c[0]);
	close(c[1]);
}

static void the_same_host_with_another_port_is_another_peer(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	int c[2];

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, c[0]);
	((struct sockaddr_in *)(void *)&peer)->sin_port ^= 1;
	assert_int_equal(sotto_find(&found, &peer), 0);
	close(c[0]);
	close(c[1]);
}

/* As behind a proxy: the peer that Exim names is at the other end of none. */
static void a_peer_behind_a_proxy_is_not_found(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	socklen_t len;
	int c[2];

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_address(&peer, &len, "198.51.100.7", 40000);
	assert_int_equal(sotto_find(&found, &peer), 0);
	assert_int_equal(found.n, 0);
	close(c[0]);
	close(c[1]);
}

static void two_connections_with_one_peer_are_none(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	socklen_t len = sizeof(peer);
	const int on = 1;
	int a[2], b, l;

	(void)state;
	lab_connect(a, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, a[1]);
	b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the listener is gone: listen there again, and connect once more; nobody accepts it, and it stands all the same */
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(l, (void *)&peer, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(connect(b, (void *)&peer, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(getpeername(a[1], (void *)&peer, &len), 0);
	assert_int_equal(sotto_find(&found, &peer), 0);
	close(a[0]);
	close(a[1]);
	close(b);
	close(l);
}

static void a_connection_over_which_something_was_sent_is_used(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	int c[2];

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, c[0]);
	lab_assert_joined(c[1], c[0]);
	assert_int_equal(sotto_find(&found, &peer), 1);
	assert_false(found.used);
	lab_assert_joined(c[0], c[1]);
	assert_int_equal(sotto_find(&found, &peer), 1);
	assert_true(found.used);
	close(c[0]);
	close(c[1]);
}

static void udp_sockets_are_not_taken_for_it(void **state)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	lab_address(&peer, &len, "127.0.0.1", 25);
	assert_int_equal(connect(fd, (void *)&peer, len), 0);
	assert_int_equal(sotto_find(&found, &peer), 0);
	close(fd);
}

static void descriptors_above_1024_are_found(void **state)
{
	struct rlimit limit, more;
	struct sockaddr_storage peer;
	struct sotto_found found;
	int c[2], high;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	more = limit;
	more.rlim_cur = 5000;
	if (limit.rlim_max < 5000 || setrlimit(RLIMIT_NOFILE, &more) != 0) {
		printf("NOT RUN: no descriptor above 1024 to be had\n");
		return;
	}
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, c[0]);
	high = fcntl(c[0], F_DUPFD_CLOEXEC, 4999);
	assert_int_equal(high, 4999);
	assert_int_equal(sotto_find(&found, &peer), 2);
	assert_int_equal(found.fd[1], 4999);
	close(high);
	close(c[0]);
	close(c[1]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_of_exims_descriptors_are_found),
		cmocka_unit_test(the_one_of_a_connection_that_we_made_is_found),
		cmocka_unit_test(a_v4_mapped_peer_is_found_by_its_ipv4_address),
		cmocka_unit_test(the_same_host_with_another_port_is_another_peer),
		cmocka_unit_test(a_peer_behind_a_proxy_is_not_found),
		cmocka_unit_test(two_connections_with_one_peer_are_none),
		cmocka_unit_test(a_connection_over_which_something_was_sent_is_used),
		cmocka_unit_test(udp_sockets_are_not_taken_for_it),
		cmocka_unit_test(descriptors_above_1024_are_found),
	};

	char empty[] = "/tmp/sotto-test-XXXXXX";
	int failed = cmocka_run_group_tests(tests, NULL, NULL), status = 0;
	pid_t child;

	/* all of it again where there is no /proc */
	if (geteuid() != 0) {
		printf("NOT RUN: only root can try it without /proc\n");
		return failed;
	}
	if (mkdtemp(empty) == NULL)
		return 1;
	(void)fflush(NULL);
	child = fork();
	if (child == 0) {
		if (chroot(empty) != 0 || chdir("/") != 0 || access("/proc/self/fd", F_OK) == 0)
			_exit(1);
		failed = cmocka_run_group_tests_name("without /proc", tests, NULL, NULL);
		(void)fflush(NULL);
		_exit(failed);		/* LeakSanitizer needs /proc */
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		failed++;
	return rmdir(empty) != 0 || failed != 0;
}
