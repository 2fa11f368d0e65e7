/* SPDX-License-Identifier: ISC */
/* replace.h's promises: numbers, flags and options stay; all or none. */
#include "tests/unit/exim-lab.h"

#include <sys/time.h>

#include "plugins/exim/replace.h"

struct stage {
	int net[2], pair[2];	/* [0] is Exim's */
	int fds[2], old;
};

static void begin(struct stage *s)
{
	lab_connect(s->net, "127.0.0.1", 0, "127.0.0.2");
	lab_connect(s->pair, "127.0.0.1", 0, "127.0.0.3");
	s->fds[0] = s->net[0];
	s->fds[1] = fcntl(s->net[0], F_DUPFD, 40);
	s->old = fcntl(s->net[0], F_DUPFD_CLOEXEC, 60);
}

static void end(struct stage *s)
{
	close(s->net[1]);
	close(s->pair[0]);
	close(s->pair[1]);
	close(s->fds[0]);
	close(s->fds[1]);
	close(s->old);
}

static void all_of_them_lead_to_the_new_one(void **state)
{
	struct stage s;

	(void)state;
	begin(&s);
	assert_int_equal(sotto_replace(s.fds, 2, s.pair[0], s.old), 0);
	lab_assert_joined(s.fds[0], s.pair[1]);
	lab_assert_joined(s.pair[1], s.fds[1]);
	lab_assert_joined(s.old, s.net[1]);
	end(&s);
}

static void each_keeps_its_close_on_exec_flag(void **state)
{
	struct stage s;

	(void)state;
	begin(&s);
	assert_int_equal(sotto_replace(s.fds, 2, s.pair[0], s.old), 0);
	assert_int_equal(fcntl(s.fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(s.fds[1], F_GETFD), 0);
	sotto_put_back(s.fds, 2, s.old);
	assert_int_equal(fcntl(s.fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(s.fds[1], F_GETFD), 0);
	end(&s);
}

static void status_flags_and_options_are_taken_over(void **state)
{
	struct timeval wanted = { .tv_sec = 7 }, got = { 0 };
	struct linger linger = { .l_onoff = 1, .l_linger = 3 };
	int on = 1;
	socklen_t len = sizeof(on);
	struct stage s;

	(void)state;
	begin(&s);
	assert_int_equal(fcntl(s.net[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(setsockopt(s.net[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(s.net[0], SOL_SOCKET, SO_RCVTIMEO, &wanted, sizeof(wanted)), 0);
	assert_int_equal(setsockopt(s.net[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(sotto_replace(s.fds, 2, s.pair[0], s.old), 0);
	assert_int_equal(fcntl(s.fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	on = 0;
	assert_int_equal(getsockopt(s.fds[0], SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_int_not_equal(on, 0);
	len = sizeof(got);
	assert_int_equal(getsockopt(s.fds[1], SOL_SOCKET, SO_RCVTIMEO, &got, &len), 0);
	assert_int_equal(got.tv_sec, 7);
	memset(&linger, 0, sizeof(linger));
	len = sizeof(linger);
	assert_int_equal(getsockopt(s.fds[1], SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	assert_int_equal(linger.l_linger, 3);
	end(&s);
}

static void the_way_back_leads_to_the_old_one(void **state)
{
	struct stage s;

	(void)state;
	begin(&s);
	assert_int_equal(sotto_replace(s.fds, 2, s.pair[0], s.old), 0);
	sotto_put_back(s.fds, 2, s.old);
	lab_assert_joined(s.fds[0], s.net[1]);
	lab_assert_joined(s.net[1], s.fds[1]);
	end(&s);
}

static void where_one_cannot_be_replaced_none_is(void **state)
{
	struct stage s;
	int fds[2];

	(void)state;
	begin(&s);
	fds[0] = s.fds[0];
	fds[1] = 900;	/* is not open */
	assert_int_equal(sotto_replace(fds, 2, s.pair[0], s.old), -1);
	assert_int_equal(errno, EBADF);
	lab_assert_joined(fds[0], s.net[1]);
	lab_assert_joined(s.net[1], fds[0]);
	assert_int_equal(fcntl(900, F_GETFD), -1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_them_lead_to_the_new_one),
		cmocka_unit_test(each_keeps_its_close_on_exec_flag),
		cmocka_unit_test(status_flags_and_options_are_taken_over),
		cmocka_unit_test(the_way_back_leads_to_the_old_one),
		cmocka_unit_test(where_one_cannot_be_replaced_none_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
