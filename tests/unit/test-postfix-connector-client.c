/* SPDX-License-Identifier: ISC */
/*
 * What sotto-connector makes of what its client sends: in pieces, in a row, too long, cut off; and the policy protocol. The program
 * itself, with this test as Postfix and as the daemon.
 */
#include "tests/unit/postfix-lab.h"

#define ASKED "27:transport anna@dest.example,"
#define NOTFOUND "9:NOTFOUND ,"
#define POLICY "request=smtpd_access_policy\nprotocol_state=DATA\nnever_heard_of=x\n\n"
#define DUNNO "action=DUNNO\n\n"
#define SEALED "action=PREPEND X-Sotto: sealed v=1 id=0123456789abcdef peer=[192.0.2.1] by=mx.example\n\n"

struct stage {
	struct started s;
	int client, listening;
};

static void begin(struct stage *t, const char *protocol)
{
	int pair[2];

	t->listening = lab_listen_at(lab_socket, 8);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	t->client = pair[0];
	lab_start(&t->s, pair[1], (const char *const[]){ protocol, lab_socket, "--require", lab_require, "--run", lab_dir, "--log", "stderr",
		  NULL });
	close(pair[1]);
}

static void end(struct stage *t, int code)
{
	close(t->client);
	assert_int_equal(lab_ended(&t->s), code);
	close(t->listening);
}

/* Each octet alone, so that the program sees most of them one by one. */
static void trickle(const struct stage *t, const char *text)
{
	for (; *text != '\0'; text++) {
		lab_put_octets(t->client, text, 1);
		lab_expect_nothing(t->client);
	}
}

static void a_request_may_come_in_pieces(void **state)
{
	static const char *const protocol[] = { "map", "policy" }, *const asked[] = { ASKED, POLICY }, *const answer[] = { NOTFOUND, SEALED };
	struct stage t;
	int daemon;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&t, protocol[i]);
		trickle(&t, asked[i]);
		daemon = lab_accept(t.listening);
		lab_expect(daemon, asked[i]);
		lab_put(daemon, answer[i]);
		lab_expect(t.client, answer[i]);
		end(&t, 0);
		close(daemon);
	}
}

/* One after the other to the daemon, and the answers in their order. */
static void requests_in_a_row_are_answered_in_order(void **state)
{
	static const char *const protocol[] = { "map", "policy" }, *const asked[] = { ASKED, POLICY };
	static const char *const answer[2][3] = { { "4:OK 1,", "4:OK 2,", NOTFOUND }, { DUNNO, SEALED, DUNNO } };
	char all[1024];
	struct stage t;
	int daemon;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&t, protocol[i]);
		(void)snprintf(all, sizeof(all), "%s%s%s", asked[i], asked[i], asked[i]);
		lab_put(t.client, all);
		daemon = lab_accept(t.listening);
		for (int k = 0; k < 3; k++) {
			lab_expect(daemon, asked[i]);
			lab_expect_nothing(daemon);
			lab_put(daemon, answer[i][k]);
			lab_expect(t.client, answer[i][k]);
		}
		end(&t, 0);
		close(daemon);
	}
}

static void what_is_no_netstring_ends_the_connection(void **state)
{
	static const char *const table[] = { "hello\n", ":,", "01:x,", "3:abcd", "100001:", "9999999:x", "-1:,", POLICY };
	struct stage t;

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		begin(&t, "map");
		lab_put(t.client, table[i]);
		lab_expect_gone(t.client);
		end(&t, 1);
	}
}

static void a_client_that_goes_in_the_middle_is_no_error(void **state)
{
	struct stage t;

	(void)state;
	begin(&t, "map");
	lab_put(t.client, "27:transport anna");
	end(&t, 0);
	begin(&t, "policy");
	lab_put(t.client, "request=smtpd_access_policy\n");
	end(&t, 0);
	assert_int_equal(t.s.len, 0);
}

/* The client does not wait for its answer: SIGPIPE kills nobody. */
static void a_client_that_is_gone_when_its_answer_comes_is_no_error(void **state)
{
	struct stage t;
	int daemon;

	(void)state;
	begin(&t, "map");
	lab_put(t.client, ASKED);
	daemon = lab_accept(t.listening);
	lab_expect(daemon, ASKED);
	close(t.client);
	t.client = open("/dev/null", O_RDONLY | O_CLOEXEC);
	lab_put(daemon, NOTFOUND);
	(void)lab_ended(&t.s);	/* fails where it was killed */
	close(daemon);
	close(t.client);
	close(t.listening);
}

static void no_verdict_but_dunno_and_prepend_comes_through(void **state)
{
	static const char *const table[] = {
		"action=REJECT\n\n", "action=DEFER_IF_PERMIT x\n\n", "action=OK\n\n", "action=DUNNO\naction=REJECT\n\n", "action=\n\n", "DUNNO\n\n", "\n",
		"action=PREPEND \n\n", "action=PREPEND a\rb\n\n", "action=DUNNO\n", "action=DUNNO\n\naction=DUNNO\n\n", "9:NOTFOUND ,",
	};
	struct stage t;
	int daemon;

	(void)state;
	begin(&t, "policy");
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		lab_put(t.client, POLICY);
		daemon = lab_accept(t.listening);
		lab_expect(daemon, POLICY);
		lab_put(daemon, table[i]);
		(void)shutdown(daemon, SHUT_WR);
		lab_expect(t.client, DUNNO);
		close(daemon);
	}
	end(&t, 0);
	assert_non_null(strstr(t.s.said, "mail comes in without the header X-Sotto"));
}

/* Whole lines, an empty line alone, and one request of more than 64 KiB: none reaches the daemon, and the next one does. */
static void a_policy_request_too_long_is_skipped(void **state)
{
	char part[1001];
	struct stage t;
	int daemon;

	(void)state;
	begin(&t, "policy");
	memset(part, 'x', 1000);
	part[999] = '\n';
	for (int i = 0; i < 200; i++)
		lab_put_octets(t.client, part, 1000);
	lab_expect_nothing(t.client);
	lab_put(t.client, "\n\n" POLICY);
	lab_expect(t.client, DUNNO DUNNO);
	daemon = lab_accept(t.listening);
	lab_expect(daemon, POLICY);
	lab_put(daemon, SEALED);
	lab_expect(t.client, SEALED);
	end(&t, 0);
	close(daemon);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_set_up, lab_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_may_come_in_pieces),
		TEST(requests_in_a_row_are_answered_in_order),
		TEST(what_is_no_netstring_ends_the_connection),
		TEST(a_client_that_goes_in_the_middle_is_no_error),
		TEST(a_client_that_is_gone_when_its_answer_comes_is_no_error),
		TEST(no_verdict_but_dunno_and_prepend_comes_through),
		TEST(a_policy_request_too_long_is_skipped),
	};

	(void)argc;
	lab_find(argv[0], "sotto-connector");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
