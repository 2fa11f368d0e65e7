/* SPDX-License-Identifier: ISC */
/* What sotto_in and sotto_trace promise Exim. */
#include "tests/unit/exim-fake.h"

static uschar own_acl[] = "acl_mine", library[] = "";

static const char *call_in(void)
{
	uschar *argv[] = { own_acl, NULL }, *yield = library;

	assert_int_equal(sotto_in(&yield, 1, argv), OK);
	return (const char *)yield;
}

static void assert_nothing_done(void)
{
	assert_ptr_equal(call_in(), own_acl);
	assert_string_equal(fake.log, "");
	fake_assert_left_alone();
}

static void assert_refused(void)
{
	const char *acl = call_in();

	assert_int_equal(strncmp(acl, "defer message = 4.7.5 ", 22), 0);
	fake_assert_left_alone();
}

static void a_session_takes_the_connection_and_our_acl_comes_back(void **state)
{
	const char *how;

	(void)state;
	fake_begin("works");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	sender_host_name = own_acl;
	assert_ptr_equal(call_in(), own_acl);
	assert_string_equal((char *)own_acl, "acl_mine");
	how = fake_assert_session();
	assert_non_null(strstr(how, "argv accept "));
	assert_non_null(strstr(how, " --peer acl_mine "));
	assert_non_null(strstr(how, " --starttls keep"));
	assert_null(strstr(how, "--require"));
}

static void without_an_acl_of_ones_own_it_is_accept(void **state)
{
	uschar *yield = library;

	(void)state;
	fake_begin("works");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_int_equal(sotto_in(&yield, 0, NULL), OK);
	assert_string_equal((char *)yield, "accept");
	(void)fake_assert_session();
}

static void nothing_is_done_with_mode_off_whoever_is_required(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("sotto.conf", "[sotto]\nmode = off\n");
	fake_conf("require", "*\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_nothing_done();
}

static void a_broken_file_does_not_switch_off(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("sotto.conf", "[sotto]\nmode = off\nmood = good\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_ptr_equal(call_in(), own_acl);
	(void)fake_assert_session();
}

static void nothing_is_done_where_there_is_no_connection(void **state)
{
	static uschar odd[] = "mx.example.org";

	(void)state;
	fake_begin("works");
	fake_conf("require", "*\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	host_checking = TRUE;
	assert_ptr_equal(call_in(), own_acl);
	host_checking = FALSE;
	smtp_batched_input = TRUE;
	assert_ptr_equal(call_in(), own_acl);
	smtp_batched_input = FALSE;
	sender_host_port = 0;
	assert_ptr_equal(call_in(), own_acl);
	sender_host_port = 65536 + sotto_addr_port(&net.peer);
	assert_ptr_equal(call_in(), own_acl);
	sender_host_port = sotto_addr_port(&net.peer);
	sender_host_address = odd;
	assert_ptr_equal(call_in(), own_acl);
	sender_host_address = NULL;
	assert_nothing_done();
}

static void nothing_is_done_at_other_ports_than_25(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("require", "*\n");
	fake_inbound(LAB_HERE, 587, LAB_THERE);
	assert_nothing_done();
}

static void nothing_is_done_where_both_ends_are_loopback(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("require", "*\n");
	fake_inbound("127.0.0.1", 25, "127.0.0.2");
	assert_nothing_done();
}

static void nothing_is_done_for_who_is_excluded(void **state)
{
	static uschar name[] = "mx.example.org";

	(void)state;
	fake_begin("works");
	fake_conf("exclude", "192.0.2.2\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_nothing_done();
	fake_begin("works");
	fake_conf("exclude", ".example.org\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	sender_host_name = name;
	assert_nothing_done();
}

static void whoever_is_listed_in_both_files_is_required(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("exclude", "*\n");
	fake_conf("require", "192.0.2.2\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_ptr_equal(call_in(), own_acl);
	assert_non_null(strstr(fake_assert_session(), " --require "));
}

static void a_session_that_does_not_start_changes_nothing_but_the_log(void **state)
{
	(void)state;
	fake_begin("dies");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_ptr_equal(call_in(), own_acl);
	assert_non_null(strstr(fake.log, "sotto: no session from [192.0.2.2]: "));
	assert_non_null(strstr(fake.log, "; going on without it"));
	fake_assert_left_alone();
}

static void a_required_one_that_gets_no_session_is_told_to_come_back(void **state)
{
	(void)state;
	fake_begin("dies");
	fake_conf("require", "192.0.2.0/24\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_refused();
	assert_non_null(strstr(fake.log, "; it is told to come back later"));
}

/* TLS on connect, for one. */
static void a_connection_in_use_is_left_alone_but_if_required_refused(void **state)
{
	(void)state;
	fake_begin("works");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	lab_assert_joined(net.ours, net.theirs);
	assert_nothing_done();
	fake_begin("works");
	fake_conf("require", "192.0.2.2\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	lab_assert_joined(net.ours, net.theirs);
	assert_refused();
}

static void a_peer_behind_a_proxy_is_left_alone_but_if_required_refused(void **state)
{
	static uschar far[] = "198.51.100.7";

	(void)state;
	fake_begin("works");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	sender_host_address = far;
	assert_nothing_done();
	fake_begin("works");
	fake_conf("require", "198.51.100.7\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	sender_host_address = far;
	interface_port = 587;
	assert_ptr_equal(call_in(), own_acl);
	interface_port = 25;
	assert_refused();
}

static void a_list_that_is_wrong_somewhere_is_complained_of_and_counts(void **state)
{
	(void)state;
	fake_begin("dies");
	fake_conf("require", "192.0.2.1/24\n192.0.2.2\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_refused();
	fake_begin("works");
	fake_conf("exclude", "192.0.2.1/24\n192.0.2.2\n");
	fake_inbound(LAB_HERE, 25, LAB_THERE);
	assert_ptr_equal(call_in(), own_acl);
	assert_non_null(strstr(fake.log, "sotto: conf/exclude:1: "));
	fake_assert_left_alone();
}

/* ---- sotto_trace ---- */

static void the_trace_is_that_of_the_session_and_otherwise_empty(void **state)
{
	const struct sotto_live live = { .inbound = true, .sealed = true, .version = 1, .id = "3f0c9d1e55a07b42",
					 .adapter = "exim", .pid = 1, .since = 1700000000 };
	struct sotto_live_file file = { .fd = -1 };
	uschar *yield = NULL;
	struct sockaddr_storage peer;
	static uschar address[] = "192.0.2.2";
	socklen_t len;

	(void)state;
	fake_begin("works");
	sender_host_address = address;
	sender_host_port = 40123;
	assert_int_equal(sotto_trace(&yield, 0, NULL), OK);
	assert_string_equal((char *)yield, "");
	lab_address(&peer, &len, "192.0.2.2", 40123);
	assert_int_equal(sotto_live_write(&file, "run", (const struct sockaddr *)&peer, &live), 0);
	assert_int_equal(sotto_trace(&yield, 0, NULL), OK);
	assert_string_equal((char *)yield, "sealed v=1 id=3f0c9d1e55a07b42 peer=[192.0.2.2] by=mail.example.org");
	sender_host_address = NULL;
	assert_int_equal(sotto_trace(&yield, 0, NULL), OK);
	assert_string_equal((char *)yield, "");
	sotto_live_remove(&file);
}

int main(int argc, char **argv, char **environment)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_takes_the_connection_and_our_acl_comes_back),
		cmocka_unit_test(without_an_acl_of_ones_own_it_is_accept),
		cmocka_unit_test(nothing_is_done_with_mode_off_whoever_is_required),
		cmocka_unit_test(a_broken_file_does_not_switch_off),
		cmocka_unit_test(nothing_is_done_where_there_is_no_connection),
		cmocka_unit_test(nothing_is_done_at_other_ports_than_25),
		cmocka_unit_test(nothing_is_done_where_both_ends_are_loopback),
		cmocka_unit_test(nothing_is_done_for_who_is_excluded),
		cmocka_unit_test(whoever_is_listed_in_both_files_is_required),
		cmocka_unit_test(a_session_that_does_not_start_changes_nothing_but_the_log),
		cmocka_unit_test(a_required_one_that_gets_no_session_is_told_to_come_back),
		cmocka_unit_test(a_connection_in_use_is_left_alone_but_if_required_refused),
		cmocka_unit_test(a_peer_behind_a_proxy_is_left_alone_but_if_required_refused),
		cmocka_unit_test(a_list_that_is_wrong_somewhere_is_complained_of_and_counts),
		cmocka_unit_test(the_trace_is_that_of_the_session_and_otherwise_empty),
	};
	int rc;

	lab_fake(argc, argv, environment);
	if (!fake_ready())
		return lab_dir[0] != '\0';
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	lab_end();
	return rc;
}
