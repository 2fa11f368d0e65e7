/* SPDX-License-Identifier: ISC */
/* pass.h's promises about time, with less of it: a client that has closed its direction is waited for, one that is gone is not for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINGER_MS 50
#define LEAVE_MS 400
#include "core/runtime/pass.c"	/* NOLINT(bugprone-suspicious-include) */

#define PATIENCE 60000
#define LONGER (4 * LINGER_MS)

struct stage {
	pid_t pid;
	int client, smtpd;
};

/* A process passes; how it ended is whether sotto_pass called it orderly. */
static void begin(struct stage *t)
{
	int net[2], mta[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, net), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, mta), 0);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid == 0) {
		close(net[0]);
		close(mta[0]);
		_exit(sotto_pass(net[1], mta[1], (const uint8_t *)"", 0).orderly ? 0 : 1);
	}
	close(net[1]);
	close(mta[1]);
	t->client = net[0];
	t->smtpd = mta[0];
}

static bool ends_orderly(const struct stage *t)
{
	int status;

	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

static void expect(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[64] = "";

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), strlen(text));
	assert_string_equal(got, text);
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LONGER) == 0;
}

static void who_has_said_all_is_waited_for(void **state)
{
	struct stage t;

	(void)state;
	begin(&t);
	put(t.client, "DATA\r\n.\r\nQUIT\r\n");
	assert_int_equal(shutdown(t.client, SHUT_WR), 0);
	expect(t.smtpd, "DATA\r\n.\r\nQUIT\r\n");
	expect(t.smtpd, "");
	assert_true(is_silent(t.client));	/* a milter takes its time */
	put(t.smtpd, "250 queued\r\n221 bye\r\n");
	close(t.smtpd);
	expect(t.client, "250 queued\r\n221 bye\r\n");
	expect(t.client, "");
	assert_true(ends_orderly(&t));
	close(t.client);
}

static void where_our_mail_server_has_ended_a_silent_client_is_left(void **state)
{
	struct stage t;

	(void)state;
	begin(&t);
	close(t.smtpd);
	assert_false(ends_orderly(&t));
	close(t.client);
}

/* One that goes on talking to nobody is left too. */
static void where_our_mail_server_has_ended_a_talking_client_is_left_later(void **state)
{
	struct stage t;

	(void)state;
	begin(&t);
	close(t.smtpd);
	while (send(t.client, "NOOP\r\n", 6, MSG_NOSIGNAL) == 6)
		(void)poll(NULL, 0, LINGER_MS / 5);
	assert_false(ends_orderly(&t));
	close(t.client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_said_all_is_waited_for),
		cmocka_unit_test(where_our_mail_server_has_ended_a_silent_client_is_left),
		cmocka_unit_test(where_our_mail_server_has_ended_a_talking_client_is_left_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
