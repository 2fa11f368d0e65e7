/* SPDX-License-Identifier: ISC */
/*
 * The program itself, as an adapter starts it: its command line, the ready octet, what it logs, remembers and leaves behind. Two of
 * them, back to back, with this test as both mail servers.
 */
#include "tests/unit/session-lab.h"

#include "core/runtime/state.h"

/* ---- two programs, back to back ---- */

struct both {
	struct lab lab;
	struct started client, server;
	int client_mta, server_mta;
};

static void start_both(struct both *b, const char *extra)
{
	int wire[2], c[2], s[2];
	struct lab *l = &b->lab;

	tcp_pair(wire);
	unix_pair(c);
	unix_pair(s);
	start(&b->client, (const int[]){ wire[0], c[1], -1 }, (const char *const[]){ "connect", "--net", "3", "--mta", "4", "--peer", "mx.b.example",
	      "--domain", "b.example", "--conf", l->conf, "--state", l->state[0], "--run", l->run, "--log", "stderr", extra, NULL });
	start(&b->server, (const int[]){ wire[1], s[1], -1 }, (const char *const[]){ "accept", "--net", "3", "--mta", "4",
	      "--conf", l->conf, "--state", l->state[1], "--run", l->run, "--log", "stderr", NULL });
	close(wire[0]);
	close(wire[1]);
	close(c[1]);
	close(s[1]);
	b->client_mta = c[0];
	b->server_mta = s[0];
}

#define EHLO_REPLY "250-mx.b.example\r\n250-PIPELINING\r\n250 HELP\r\n"

static void greet(struct both *b)
{
	put(b->server_mta, "220 mx.b.example ESMTP\r\n");
	expect(b->client_mta, "220 mx.b.example ESMTP\r\n");
	put(b->client_mta, "EHLO mx.a.example\r\n");
	expect(b->server_mta, "EHLO mx.a.example\r\n");
	put(b->server_mta, EHLO_REPLY);
}

static void quit(struct both *b)
{
	put(b->client_mta, "QUIT\r\n");
	expect(b->server_mta, "QUIT\r\n");
	put(b->server_mta, "221 bye\r\n");
	expect(b->client_mta, "221 bye\r\n");
	close(b->server_mta);
	expect_end(b->client_mta);
	close(b->client_mta);
}

static void id_of(char id[17], const char *said)
{
	const char *at = strstr(said, " id=");

	assert_non_null(at);
	memcpy(id, at + 4, 16);
	id[16] = '\0';
}

static void a_session_is_sealed_and_leaves_one_line_on_each_side(void **state)
{
	struct both *b = *state;
	char ids[2][17];
	struct stat st;
	char path[256];

	set_up(&b->lab);
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, EHLO_REPLY);
	put(b->client_mta, "MAIL FROM:<anna@a.example>\r\n");
	expect(b->server_mta, "MAIL FROM:<anna@a.example>\r\n");
	put(b->server_mta, "250 OK\r\n");
	expect(b->client_mta, "250 OK\r\n");
	assert_int_equal(files_in(b->lab.run), 2);
	quit(b);
	assert_int_equal(ended(&b->client), 0);
	assert_int_equal(ended(&b->server), 0);
	assert_non_null(strstr(b->client.said, "connect peer=mx.b.example[127.0.0.1]:"));
	assert_non_null(strstr(b->client.said, " outcome=sealed version=1 id="));
	assert_non_null(strstr(b->client.said, " identity=first "));
	assert_non_null(strstr(b->server.said, "accept peer=[127.0.0.1]:"));
	assert_non_null(strstr(b->server.said, " outcome=sealed "));
	id_of(ids[0], b->client.said);
	id_of(ids[1], b->server.said);
	assert_string_equal(ids[0], ids[1]);
	assert_int_equal(files_in(b->lab.run), 0);
	(void)snprintf(path, sizeof(path), "%s/identity", b->lab.state[1]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	tear_down(&b->lab);
}

/* The second time, the key is an old acquaintance; a new one is reported. */
static void the_identity_is_remembered(void **state)
{
	struct both *b = *state;
	static const char *const wanted[] = { " identity=first ", " identity=known ", " identity=changed ", " identity=known " };
	char path[256];

	set_up(&b->lab);
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s/identity", b->lab.state[1]);
		if (i == 2)
			assert_int_equal(unlink(path), 0);
		start_both(b, NULL);
		greet(b);
		expect(b->client_mta, EHLO_REPLY);
		quit(b);
		assert_int_equal(ended(&b->client), 0);
		assert_int_equal(ended(&b->server), 0);
		assert_non_null(strstr(b->client.said, wanted[i]));
		assert_int_equal(strstr(b->client.said, "identity: peer=") != NULL, i == 2);
	}
	tear_down(&b->lab);
}

static void a_key_that_cannot_be_used_is_reported_and_mail_sealed_without(void **state)
{
	struct both *b = *state;
	char path[256];

	set_up(&b->lab);
	(void)snprintf(path, sizeof(path), "%s/identity", b->lab.state[1]);
	write_file(path, "not a key\n");
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, EHLO_REPLY);
	quit(b);
	assert_int_equal(ended(&b->client), 0);
	assert_int_equal(ended(&b->server), 0);
	assert_non_null(strstr(b->client.said, " identity=none "));
	assert_non_null(strstr(b->server.said, " outcome=sealed "));
	assert_non_null(strstr(b->server.said, "/state1/identity: we show no identity key: "));
	tear_down(&b->lab);
}

static void mode_off_passes_everything_through(void **state)
{
	struct both *b = *state;

	set_up(&b->lab);
	write_file(b->lab.conf, "[sotto]\nmode = off\n");
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, EHLO_REPLY);
	quit(b);
	assert_int_equal(ended(&b->client), 0);
	assert_int_equal(ended(&b->server), 0);
	assert_non_null(strstr(b->client.said, " outcome=clear cause=\"mode off\""));
	assert_non_null(strstr(b->server.said, " outcome=clear cause=\"mode off\""));
	tear_down(&b->lab);
}

/* ... but not the administrator's "off" where encryption is required. */
static void a_broken_conf_is_reported_and_require_holds(void **state)
{
	struct both *b = *state;

	set_up(&b->lab);
	write_file(b->lab.conf, "[sotto]\nmode = perhaps\n");
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, EHLO_REPLY);
	quit(b);
	assert_int_equal(ended(&b->client), 0);
	assert_int_equal(ended(&b->server), 0);
	assert_non_null(strstr(b->client.said, "sotto.conf:2: "));
	start_both(b, "--require");
	expect(b->client_mta, "421 4.7.0 XSOTTO could not be used with this peer\r\n");
	expect_end(b->client_mta);
	close(b->client_mta);
	close(b->server_mta);
	(void)ended(&b->client);
	(void)ended(&b->server);
	assert_non_null(strstr(b->client.said, " outcome=refused "));
	tear_down(&b->lab);
}

static void an_excluded_peer_is_not_sealed_with(void **state)
{
	struct both *b = *state;
	char path[256];

	set_up(&b->lab);
	(void)snprintf(path, sizeof(path), "%s/exclude", b->lab.dir);
	write_file(path, "# not them\n.b.example\n");
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, "250-mx.b.example\r\n250-XSOTTO 1\r\n250-PIPELINING\r\n250 HELP\r\n");
	quit(b);
	assert_int_equal(ended(&b->client), 0);
	assert_int_equal(ended(&b->server), 0);
	assert_non_null(strstr(b->client.said, " outcome=clear "));
	tear_down(&b->lab);
}

/* ---- the ready octet ---- */

/* Where Exim's process looks, no disk can hang: what it needs to know of a peer that is avoided is there after one session. */
static void that_a_peer_is_avoided_is_left_where_the_adapter_looks(void **state)
{
	struct both *b = *state;
	struct started *s = &b->client;
	struct sotto_peer_state seen = { 0 };
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sotto_state_key key = { .addr = (const struct sockaddr *)&there };
	int64_t now = (int64_t)time(NULL);
	int net[2], mta[2];

	set_up(&b->lab);
	for (int avoided = 0; avoided < 2; avoided++) {
		for (int minutes = 6; avoided && minutes >= 2; minutes -= 2)
			sotto_peer_state_apply(&seen, SOTTO_EVENT_FAILED, now - (int64_t)minutes * 60);
		if (avoided)
			assert_int_equal(sotto_state_save(b->lab.state[0], &key, &seen), 0);
		tcp_pair(net);
		unix_pair(mta);
		start(s, (const int[]){ net[1], mta[1], -1 }, (const char *const[]){ "connect", "--net", "3", "--mta", "4",
		      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
		close(mta[1]);
		put(net[0], "220 early\r\n");
		expect(mta[0], "220 early\r\n");
		assert_int_equal(sotto_state_avoided(b->lab.run, key.addr, now), avoided);
		close(net[0]);
		expect_end(mta[0]);
		close(mta[0]);
		assert_int_equal(ended(s), 0);
	}
}

/* Under sanitizers there is no sandbox, and that is said. */
static bool said_nothing(const struct started *s)
{
	const char *end = strchr(s->said, '\n');

	return s->said[0] == '\0' || (strstr(s->said, "no sandbox: ") != NULL && end != NULL && end[1] == '\0');
}

static void nothing_is_touched_before_the_adapter_lets_go(void **state)
{
	struct both *b = *state;
	struct started *s = &b->client;
	int net[2], mta[2], ready[2];
	char octet;

	set_up(&b->lab);
	for (int go = 0; go < 2; go++) {
		tcp_pair(net);
		unix_pair(mta);
		unix_pair(ready);
		put(net[0], "220 early\r\n");
		start(s, (const int[]){ net[1], mta[1], ready[1], -1 }, (const char *const[]){ "connect", "--net", "3", "--mta", "4", "--ready", "5",
		      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
		close(ready[1]);
		expect(ready[0], "!");
		if (go)
			put(ready[0], "!");
		close(ready[0]);
		close(mta[1]);
		if (go) {
			expect(mta[0], "220 early\r\n");
			close(net[0]);
			expect_end(mta[0]);
			close(mta[0]);
			assert_int_equal(ended(s), 0);
		} else {
			assert_int_equal(ended(s), 1);
			assert_true(said_nothing(s));
			expect_end(mta[0]);
			assert_int_equal(recv(net[1], &octet, 1, MSG_PEEK | MSG_DONTWAIT), 1);
			close(net[0]);
			close(mta[0]);
		}
		close(net[1]);
	}
	tear_down(&b->lab);
}

/* ---- our mail server is connected to ---- */

static void the_backend_is_told_who_connected(void **state)
{
	struct both *b = *state;
	struct started *s = &b->server;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char where[200];
	uint8_t header[28];
	int net[2], from, mta;

	set_up(&b->lab);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/smtpd", b->lab.dir);
	(void)snprintf(where, sizeof(where), "unix:%s", at.sun_path);
	from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(from, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(from, 1), 0);
	tcp_pair(net);
	start(s, (const int[]){ net[1], -1 }, (const char *const[]){ "accept", "--net", "3", "--backend", where, "--adapter", "postfix",
	      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
	close(net[1]);
	mta = accept(from, NULL, NULL);
	assert_int_equal(recv(mta, header, sizeof(header), MSG_WAITALL), sizeof(header));
	assert_memory_equal(header + 16, "\x7f\0\0\1\x7f\0\0\1", 8);
	put(mta, "220 inside\r\n");
	expect(net[0], "220 inside\r\n");
	close(mta);
	expect_end(net[0]);
	close(net[0]);
	assert_int_equal(ended(s), 0);
	close(from);
	tear_down(&b->lab);
}

static void a_dead_backend_is_a_421(void **state)
{
	struct both *b = *state;
	struct started *s = &b->server;
	int net[2];

	set_up(&b->lab);
	tcp_pair(net);
	start(s, (const int[]){ net[1], -1 }, (const char *const[]){ "accept", "--net", "3", "--backend", "unix:/nowhere/at/all",
	      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
	close(net[1]);
	expect(net[0], "421 4.3.2 Our mail server cannot be reached at the moment\r\n");
	expect_end(net[0]);
	close(net[0]);
	assert_int_equal(ended(s), 1);
	assert_non_null(strstr(s->said, "cannot connect to our mail server at unix:/nowhere/at/all"));
	tear_down(&b->lab);
}

static void a_dead_backend_leaves_the_connection_to_an_adapter_that_waits(void **state)
{
	struct both *b = *state;
	struct started *s = &b->server;
	int net[2], ready[2];
	char octet;

	set_up(&b->lab);
	tcp_pair(net);
	unix_pair(ready);
	start(s, (const int[]){ net[1], ready[1], -1 }, (const char *const[]){ "accept", "--net", "3", "--ready", "4", "--backend",
	      "unix:/nowhere/at/all", "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
	close(ready[1]);
	expect_end(ready[0]);
	assert_int_equal(ended(s), 1);
	/* nothing was said, and nothing shut down */
	put(net[1], "220 without Sotto\r\n");
	expect(net[0], "220 without Sotto\r\n");
	assert_int_equal(recv(net[0], &octet, 1, MSG_DONTWAIT), -1);
	close(ready[0]);
	close(net[0]);
	close(net[1]);
	tear_down(&b->lab);
}

static void the_end_is_not_put_off_by_a_peer_that_talks_on(void **state)
{
	struct both *b = *state;
	struct started *s = &b->server;
	struct timespec began, now;
	int net[2];

	set_up(&b->lab);
	tcp_pair(net);
	start(s, (const int[]){ net[1], -1 }, (const char *const[]){ "accept", "--net", "3", "--backend", "unix:/nowhere/at/all",
	      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
	close(net[1]);
	(void)clock_gettime(CLOCK_MONOTONIC, &began);
	/* until it has closed; without a limit of its own it never would */
	do {
		assert_int_equal(poll(NULL, 0, 50), 0);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (send(net[0], "x", 1, MSG_NOSIGNAL) == 1 && now.tv_sec - began.tv_sec < PATIENCE / 1000);
	assert_in_range(now.tv_sec - began.tv_sec, 0, PATIENCE / 1000 - 1);
	close(net[0]);
	assert_int_equal(ended(s), 1);
	tear_down(&b->lab);
}

static void a_domain_that_cannot_be_reached_is_a_421(void **state)
{
	struct both *b = *state;
	struct started *s = &b->client;
	int mta[2];

	set_up(&b->lab);
	unix_pair(mta);
	start(s, (const int[]){ mta[1], -1 }, (const char *const[]){ "connect", "--mta", "3", "--to", "[127.0.0.1]", "--adapter", "postfix",
	      "--conf", b->lab.conf, "--state", b->lab.state[0], "--run", b->lab.run, "--log", "stderr", NULL });
	close(mta[1]);
	expect(mta[0], "421 4.4.1 No connection for [127.0.0.1]: the domain's mail server is this host\r\n");
	expect_end(mta[0]);
	close(mta[0]);
	assert_int_equal(ended(s), 1);
	tear_down(&b->lab);
}

/* ---- words ---- */

static void wrong_usage_is_2_and_a_sentence(void **state)
{
	static const char *const cases[][8] = {
		{ NULL }, { "listen", NULL }, { "accept", "--net", "3", NULL }, { "accept", "--net", "x", "--mta", "4", NULL },
		{ "accept", "--net", "77", "--mta", "78", NULL }, { "connect", "--to", "b.example", NULL }, { "accept", "--what", NULL },
	};
	struct started *s = &((struct both *)*state)->client;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(run(s, cases[i]), 2);
		assert_int_equal(strncmp(s->said, "sotto-session: ", 15), 0);
		assert_non_null(strstr(s->said, "see sotto-session(8)\n"));
		assert_ptr_equal(strchr(s->said, '\n'), s->said + s->len - 1);
	}
}

static void help_and_version_are_0(void **state)
{
	struct started *s = &((struct both *)*state)->client;

	assert_int_equal(run(s, (const char *const[]){ "--help", NULL }), 0);
	assert_int_equal(strncmp(s->said, "usage: sotto-session accept", 27), 0);
	assert_int_equal(run(s, (const char *const[]){ "--version", NULL }), 0);
	assert_int_equal(strncmp(s->said, "sotto-session ", 14), 0);
}

static void it_ends_on_sigterm_as_a_lost_connection(void **state)
{
	struct both *b = *state;

	set_up(&b->lab);
	start_both(b, NULL);
	greet(b);
	expect(b->client_mta, EHLO_REPLY);
	assert_int_equal(kill(b->client.pid, SIGTERM), 0);
	assert_int_equal(ended(&b->client), 1);
	assert_non_null(strstr(b->client.said, " end="));
	assert_int_equal(ended(&b->server), 1);
	assert_non_null(strstr(b->server.said, " end=lost"));
	close(b->client_mta);
	close(b->server_mta);
	assert_int_equal(files_in(b->lab.run), 0);
	tear_down(&b->lab);
}

int main(int argc, char **argv)
{
	static struct both both;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_session_is_sealed_and_leaves_one_line_on_each_side, &both),
		cmocka_unit_test_prestate(the_identity_is_remembered, &both),
		cmocka_unit_test_prestate(a_key_that_cannot_be_used_is_reported_and_mail_sealed_without, &both),
		cmocka_unit_test_prestate(mode_off_passes_everything_through, &both),
		cmocka_unit_test_prestate(a_broken_conf_is_reported_and_require_holds, &both),
		cmocka_unit_test_prestate(an_excluded_peer_is_not_sealed_with, &both),
		cmocka_unit_test_prestate(nothing_is_touched_before_the_adapter_lets_go, &both),
		cmocka_unit_test_prestate(that_a_peer_is_avoided_is_left_where_the_adapter_looks, &both),
		cmocka_unit_test_prestate(the_backend_is_told_who_connected, &both),
		cmocka_unit_test_prestate(a_dead_backend_is_a_421, &both),
		cmocka_unit_test_prestate(a_dead_backend_leaves_the_connection_to_an_adapter_that_waits, &both),
		cmocka_unit_test_prestate(the_end_is_not_put_off_by_a_peer_that_talks_on, &both),
		cmocka_unit_test_prestate(a_domain_that_cannot_be_reached_is_a_421, &both),
		cmocka_unit_test_prestate(it_ends_on_sigterm_as_a_lost_connection, &both),
		cmocka_unit_test_prestate(wrong_usage_is_2_and_a_sentence, &both),
		cmocka_unit_test_prestate(help_and_version_are_0, &both),
	};

	(void)argc;
	if (!find_program(argv[0]))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
