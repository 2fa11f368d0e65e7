/* SPDX-License-Identifier: ISC */
/* What trace.h promises, and the header that local_scan makes of it: nothing is called sealed but what is sealed now. */
#include "tests/unit/exim-lab.h"

#include "plugins/exim/exim.h"
#include "plugins/exim/trace.h"

#undef SOTTO_RUN_DIR
#define SOTTO_RUN_DIR lab_dir
#include "plugins/exim/trace.c"

#define PORT 40123
#define BY "mail.example.org"
#define SEALED "sealed v=1 id=3f0c9d1e55a07b42 peer=[192.0.2.1] by=mail.example.org"

/* ---- what local-scan.c takes from Exim ---- */

uschar *sender_host_address;
int sender_host_port;
static char added[1024];

uschar *expand_string(uschar *text)
{
	static uschar by[] = BY;

	assert_string_equal((char *)text, "$primary_hostname");
	return by;
}

__attribute__((format(printf, 5, 6))) void header_add_at_position(BOOL after, uschar *name, BOOL topnot, int type, const char *format, ...)
{
	va_list ap;

	(void)topnot;
	assert_false(after);	/* before, and no name: above all others */
	assert_null(name);
	assert_int_equal(type, ' ');
	va_start(ap, format);
	(void)vsnprintf(added, sizeof(added), format, ap);
	va_end(ap);
}

/* ---- sessions ---- */

static struct sotto_live_file file;

static void live_as(const char *address, uint16_t port, bool sealed, bool inbound)
{
	struct sotto_live live = { .inbound = inbound, .sealed = sealed, .version = sealed ? 1 : 0, .adapter = "exim",
				   .pid = getpid(), .since = 1700000000 };
	struct sockaddr_storage peer;
	socklen_t len;

	if (sealed)
		memcpy(live.id, "3f0c9d1e55a07b42", 17);
	lab_address(&peer, &len, address, port);
	file = (struct sotto_live_file){ .fd = -1 };
	assert_int_equal(sotto_live_write(&file, lab_dir, (const struct sockaddr *)&peer, &live), 0);
}

static void assert_trace(const char *address, int port, const char *by, const char *wanted)
{
	char text[SOTTO_TRACE_TEXT] = "unwritten";

	sotto_trace_text(text, sizeof(text), address, port, by);
	assert_string_equal(text, wanted);
}

static int gone(void **state)
{
	(void)state;
	sotto_live_remove(&file);
	return 0;
}

static void a_sealed_session_is_told_of(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	assert_trace("192.0.2.1", PORT, BY, SEALED);
	assert_trace("::ffff:192.0.2.1", PORT, BY, SEALED);
}

static void one_over_ipv6_as_well(void **state)
{
	(void)state;
	live_as("2001:db8::7", PORT, true, true);
	assert_trace("2001:db8::7", PORT, BY, "sealed v=1 id=3f0c9d1e55a07b42 peer=[2001:db8::7] by=mail.example.org");
	assert_trace("2001:0DB8:0::7", PORT, BY, "sealed v=1 id=3f0c9d1e55a07b42 peer=[2001:db8::7] by=mail.example.org");
}

static void one_that_is_not_sealed_has_no_trace(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, false, true);
	assert_trace("192.0.2.1", PORT, BY, "");
}

static void one_that_has_died_has_no_trace(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	close(file.fd);		/* and with it the lock; the file stays */
	assert_int_equal(access(file.path, F_OK), 0);
	assert_trace("192.0.2.1", PORT, BY, "");
	assert_int_equal(unlink(file.path), 0);
	file.fd = -1;
}

static void one_that_we_made_to_the_same_address_does_not_count(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, false);
	assert_trace("192.0.2.1", PORT, BY, "");
}

static void a_damaged_file_is_not_believed(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	assert_int_equal(truncate(file.path, 20), 0);
	assert_trace("192.0.2.1", PORT, BY, "");
}

/* No session of ours is in between, as we hold the connection itself; whatever another process has written. */
static void who_holds_the_connection_itself_has_no_trace(void **state)
{
	char address[INET_ADDRSTRLEN];
	struct sockaddr_storage peer;
	struct sockaddr_in *v4 = (void *)&peer;
	int c[2], port;

	(void)state;
	lab_connect(c, "127.0.0.1", 0, "127.0.0.2");
	lab_peer(&peer, c[0]);
	assert_non_null(inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address)));
	port = ntohs(v4->sin_port);
	live_as(address, (uint16_t)port, true, true);
	assert_trace(address, port, BY, "");
	close(c[0]);
	assert_trace(address, port, BY, "sealed v=1 id=3f0c9d1e55a07b42 peer=[127.0.0.2] by=mail.example.org");
	close(c[1]);
}

static void another_peer_has_no_trace(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	assert_trace("192.0.2.1", PORT + 1, BY, "");
	assert_trace("192.0.2.2", PORT, BY, "");
}

/* Mail from a program on this host, for one. */
static void no_peer_has_no_trace(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	assert_trace(NULL, PORT, BY, "");
	assert_trace("", PORT, BY, "");
	assert_trace("mx.example.org", PORT, BY, "");
	assert_trace("192.0.2.1", 0, BY, "");
	assert_trace("192.0.2.1", -1, BY, "");
	assert_trace("192.0.2.1", PORT + 65536, BY, "");
	assert_trace("192.0.2.1", PORT, NULL, "");
}

/* ---- local_scan ---- */

static void scan(const char *address, int port)
{
	static uschar text[64];
	uschar *returned = NULL;

	memset(added, 0, sizeof(added));
	if (address != NULL)
		(void)snprintf((char *)text, sizeof(text), "%s", address);
	sender_host_address = address != NULL ? text : NULL;
	sender_host_port = port;
	assert_int_equal(local_scan(-1, &returned), LOCAL_SCAN_ACCEPT);
	assert_null(returned);
}

static void local_scan_accepts_and_adds_the_header_on_top(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, true, true);
	scan("192.0.2.1", PORT);
	assert_string_equal(added, "X-Sotto: " SEALED "\n");
}

static void local_scan_accepts_and_adds_nothing_otherwise(void **state)
{
	(void)state;
	live_as("192.0.2.1", PORT, false, true);
	scan("192.0.2.1", PORT);
	assert_string_equal(added, "");
	scan(NULL, 0);
	assert_string_equal(added, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_sealed_session_is_told_of, gone),
		cmocka_unit_test_teardown(one_over_ipv6_as_well, gone),
		cmocka_unit_test_teardown(one_that_is_not_sealed_has_no_trace, gone),
		cmocka_unit_test_teardown(one_that_has_died_has_no_trace, gone),
		cmocka_unit_test_teardown(one_that_we_made_to_the_same_address_does_not_count, gone),
		cmocka_unit_test_teardown(a_damaged_file_is_not_believed, gone),
		cmocka_unit_test_teardown(who_holds_the_connection_itself_has_no_trace, gone),
		cmocka_unit_test_teardown(another_peer_has_no_trace, gone),
		cmocka_unit_test_teardown(no_peer_has_no_trace, gone),
		cmocka_unit_test_teardown(local_scan_accepts_and_adds_the_header_on_top, gone),
		cmocka_unit_test_teardown(local_scan_accepts_and_adds_nothing_otherwise, gone),
	};
	int rc;

	lab_begin();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	lab_end();
	return rc;
}
