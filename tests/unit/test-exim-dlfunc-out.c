/* SPDX-License-Identifier: ISC */
/* What sotto_out promises Exim. */
#include "tests/unit/exim-fake.h"

static uschar name[] = "helo.example.org", list[] = "+sotto_require_tls", nothing[] = "";

static int call(uschar **yield)
{
	uschar *argv[] = { name, list, NULL };

	*yield = nothing;
	return sotto_out(yield, 2, argv);
}

static void assert_name_comes_back(void)
{
	uschar *yield;

	assert_int_equal(call(&yield), OK);
	assert_ptr_equal(yield, name);
	assert_string_equal((char *)name, "helo.example.org");
}

static void assert_nothing_done(void)
{
	assert_name_comes_back();
	assert_string_equal(fake.log, "");
	fake_assert_left_alone();
}

static void assert_deferred(void)
{
	uschar *yield;

	assert_int_equal(call(&yield), FAIL);
	assert_non_null(strstr((char *)yield, "is listed in conf/require, but there is no session"));
	fake_assert_left_alone();
}

static void begin(const char *behaviour)
{
	fake_begin(behaviour);
	fake_outbound(LAB_THERE, 25, LAB_HERE);
}

/* A connection made with these files, and nothing wrong; how the session was called. */
static const char *how_it_goes(void)
{
	assert_name_comes_back();
	return fake_assert_session();
}

static void a_session_takes_the_connection_and_the_name_comes_back(void **state)
{
	const char *how;

	(void)state;
	begin("works");
	how = how_it_goes();
	assert_non_null(strstr(how, "argv connect "));
	assert_non_null(strstr(how, " --peer mx.example.net "));
	assert_non_null(strstr(how, " --domain example.net "));
	assert_non_null(strstr(how, " --starttls keep"));
	assert_null(strstr(how, "--require"));
}

static void without_a_name_it_is_the_primary_hostname(void **state)
{
	uschar *yield = nothing;

	(void)state;
	begin("works");
	assert_int_equal(sotto_out(&yield, 0, NULL), OK);
	assert_string_equal((char *)yield, "mail.example.org");
	(void)fake_assert_session();
}

/* ---- nothing is done ---- */

static void nothing_is_done_with_mode_off_whoever_is_required(void **state)
{
	(void)state;
	begin("works");
	fake_conf("sotto.conf", "[sotto]\nmode = off\n");
	fake_conf("require", "*\n");
	assert_nothing_done();
}

static void nothing_is_done_at_other_ports_than_25(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("require", "*\n");
	fake_outbound(LAB_THERE, 587, LAB_HERE);
	assert_nothing_done();
}

static void nothing_is_done_where_both_ends_are_loopback(void **state)
{
	(void)state;
	fake_begin("works");
	fake_conf("require", "*\n");
	fake_outbound("127.0.0.2", 25, "127.0.0.1");
	assert_nothing_done();
}

static void nothing_is_done_for_who_is_excluded(void **state)
{
	static const char *const entries[] = { "192.0.2.2\n", "mx.example.net\n", "example.net\n", "*\n" };

	(void)state;
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		begin("works");
		fake_conf("exclude", entries[i]);
		assert_nothing_done();
	}
}

static void avoid(const struct sotto_state_key *key, enum sotto_state_event event)
{
	struct sotto_peer_state s;
	int64_t now = (int64_t)time(NULL);

	memset(&s, 0, sizeof(s));
	for (int minutes = 6; minutes >= 2; minutes -= 2)
		sotto_peer_state_apply(&s, event, now - (int64_t)minutes * 60);
	assert_int_equal(sotto_peer_state_avoided(&s, now), event == SOTTO_EVENT_FAILED);
	assert_int_equal(sotto_state_save("run", key, &s), 0);
}

static void nothing_is_done_for_who_is_avoided_unless_required(void **state)
{
	struct sockaddr_storage there;
	const struct sotto_state_key key = { .addr = (const struct sockaddr *)&there };
	socklen_t len;

	(void)state;
	lab_address(&there, &len, LAB_THERE, 25);
	avoid(&key, SOTTO_EVENT_FAILED);
	begin("works");
	assert_nothing_done();
	begin("works");
	fake_conf("require", "mx.example.net\n");
	assert_non_null(strstr(how_it_goes(), " --require "));
	avoid(&key, SOTTO_EVENT_SEALED);
	begin("works");
	(void)how_it_goes();
}

/* exim -MC: another process began it, and our session stands there. */
static void nothing_is_done_with_a_connection_that_was_passed_on(void **state)
{
	int c[2], keep;

	(void)state;
	begin("works");
	keep = fcntl(0, F_DUPFD_CLOEXEC, 3);
	assert_true(keep >= 0);
	fake_conf("require", "*\n");
	fake.address = "198.51.100.7";
	lab_connect(c, "127.0.0.1", 0, "127.0.0.1");
	assert_int_equal(dup2(c[0], 0), 0);
	assert_name_comes_back();
	assert_int_equal(dup2(keep, 0), 0);
	close(c[0]);
	close(c[1]);
	close(keep);
	fake_assert_left_alone();
}

/* ---- when there is no session to be had ---- */

static void a_session_that_does_not_start_changes_nothing_but_the_log(void **state)
{
	(void)state;
	begin("dies");
	assert_name_comes_back();
	assert_non_null(strstr(fake.log, "sotto: no session to [192.0.2.2]: "));
	assert_non_null(strstr(fake.log, "; going on without it"));
	fake_assert_left_alone();
}

static void who_is_required_and_gets_no_session_is_deferred(void **state)
{
	static const char *const entries[] = { "192.0.2.2\n", "mx.example.net\n", "example.net\n", "*\n" };

	(void)state;
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		begin("dies");
		fake_conf("require", entries[i]);
		assert_deferred();
	}
}

/* A proxy is in between (SOCKS), or the connection is in use (TLS on connect). */
static void where_no_session_can_be_only_who_is_required_is_deferred(void **state)
{
	(void)state;
	begin("works");
	fake.address = "198.51.100.7";
	assert_nothing_done();
	begin("works");
	fake_conf("require", "example.net\n");
	fake.address = "198.51.100.7";
	assert_deferred();
	begin("works");
	lab_assert_joined(net.ours, net.theirs);
	assert_nothing_done();
	begin("works");
	fake_conf("require", "example.net\n");
	lab_assert_joined(net.ours, net.theirs);
	assert_deferred();
}

static void with_recipients_of_several_domains_each_counts(void **state)
{
	uschar one[] = "postmaster", two[] = "a@example.org", three[] = "b@\"x\"@example.com";
	recipient_item all[] = { { .address = one }, { .address = two }, { .address = three } };

	(void)state;
	begin("dies");
	fake_conf("require", "example.com\n");
	fake.domain = "";
	recipients_list = all;
	recipients_count = 2;
	assert_name_comes_back();
	recipients_count = 3;
	assert_deferred();
	begin("works");
	fake_conf("require", "example.com\n");
	fake.domain = "";
	recipients_list = all;
	recipients_count = 3;
	assert_non_null(strstr(how_it_goes(), " --require "));
}

/* An alias may have put in his place somebody who is listed: only entries that are addresses can rule that out. */
static void with_several_domains_a_local_recipient_may_stand_for_any(void **state)
{
	uschar one[] = "team@here.example", two[] = "a@example.org", odd[] = "b@a}b.example";
	recipient_item all[] = { { .address = two }, { .address = one } }, strange[] = { { .address = odd } };

	(void)state;
	for (unsigned listed = 0; listed < 2; listed++) {
		begin("dies");
		fake_conf("require", listed ? "# x\n10.9.0.0/16\nother.example\n" : "10.9.0.0/16 # no.name\n2001:db8:7::1\n");
		fake.domain = "";
		fake.local = "here.example";
		recipients_list = all;
		recipients_count = 1;
		assert_name_comes_back();
		recipients_count = 2;
		if (listed)
			assert_deferred();
		else
			assert_name_comes_back();
	}
	for (unsigned i = 0; i < 2; i++) {
		begin("dies");
		fake_conf("require", "other.example\n");
		fake.domain = "";
		recipients_list = i ? strange : all;
		recipients_count = 1;
		fake.local = i ? "" : NULL;
		assert_deferred();
	}
}

/* ---- STARTTLS ---- */

static void begin_skip(void)
{
	begin("works");
	fake_conf("sotto.conf", "[sotto]\nstarttls = skip\n");
}

static void starttls_may_be_hidden_with_skip_alone(void **state)
{
	(void)state;
	begin_skip();
	assert_null(strstr(how_it_goes(), "--starttls"));
	begin("works");
	assert_non_null(strstr(how_it_goes(), " --starttls keep"));
	assert_int_equal(fake.looked_up, 0);	/* and nobody asks the DNS for nothing */
}

static void starttls_stays_where_tls_may_be_demanded(void **state)
{
	(void)state;
	begin_skip();
	fake.demanded = "+sotto_require_tls";
	assert_non_null(strstr(how_it_goes(), " --starttls keep"));
	begin_skip();
	fake.tlsa = "yes";
	assert_non_null(strstr(how_it_goes(), " --starttls keep"));
	begin_skip();
	fake.tlsa = NULL;
	assert_non_null(strstr(how_it_goes(), " --starttls keep"));
	begin_skip();
	fake.transport = "remote_smtp_smarthost";
	assert_non_null(strstr(how_it_goes(), " --starttls keep"));
}

/* ---- no connection: may another message go down the one that there is? ---- */

static void assert_no_two_answers_are_the_same(void)
{
	uschar *a, *b;

	assert_int_equal(call(&a), OK);
	assert_int_equal(call(&b), OK);
	assert_string_not_equal((char *)a, (char *)b);
	assert_string_not_equal((char *)a, (char *)name);
	assert_string_not_equal((char *)b, (char *)name);
}

static void a_connection_is_used_again_unless_somebody_is_required(void **state)
{
	(void)state;
	begin("works");
	(void)how_it_goes();
	fake.address = "";
	assert_name_comes_back();
	fake_conf("require", "example.com\n");
	assert_no_two_answers_are_the_same();
	fake_conf("sotto.conf", "[sotto]\nmode = off\n");
	assert_name_comes_back();
}

static void one_that_is_sealed_by_order_is_used_again(void **state)
{
	(void)state;
	begin("works");
	fake_conf("require", "example.net\n");
	(void)how_it_goes();
	fake.address = "";
	assert_name_comes_back();
	fake_outbound(LAB_THERE, 25, LAB_HERE);	/* the next one is not */
	fake_conf("require", "example.com\n");
	(void)how_it_goes();
	fake.address = "";
	assert_no_two_answers_are_the_same();
}

int main(int argc, char **argv, char **environment)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_takes_the_connection_and_the_name_comes_back),
		cmocka_unit_test(without_a_name_it_is_the_primary_hostname),
		cmocka_unit_test(nothing_is_done_with_mode_off_whoever_is_required),
		cmocka_unit_test(nothing_is_done_at_other_ports_than_25),
		cmocka_unit_test(nothing_is_done_where_both_ends_are_loopback),
		cmocka_unit_test(nothing_is_done_for_who_is_excluded),
		cmocka_unit_test(nothing_is_done_for_who_is_avoided_unless_required),
		cmocka_unit_test(nothing_is_done_with_a_connection_that_was_passed_on),
		cmocka_unit_test(a_session_that_does_not_start_changes_nothing_but_the_log),
		cmocka_unit_test(who_is_required_and_gets_no_session_is_deferred),
		cmocka_unit_test(where_no_session_can_be_only_who_is_required_is_deferred),
		cmocka_unit_test(with_recipients_of_several_domains_each_counts),
		cmocka_unit_test(with_several_domains_a_local_recipient_may_stand_for_any),
		cmocka_unit_test(starttls_may_be_hidden_with_skip_alone),
		cmocka_unit_test(starttls_stays_where_tls_may_be_demanded),
		cmocka_unit_test(a_connection_is_used_again_unless_somebody_is_required),
		cmocka_unit_test(one_that_is_sealed_by_order_is_used_again),
	};
	int rc;

	lab_fake(argc, argv, environment);
	if (!fake_ready())
		return lab_dir[0] != '\0';
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	lab_end();
	return rc;
}
