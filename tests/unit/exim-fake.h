/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the dlfuncs call Exim: what local_scan.h declares, a connection with a peer at port 25 in a network of
 * their own, and the plugin's sources, with paths in the test's folder. As in Exim, each file finds what it needs by name.
 */
#ifndef SOTTO_TESTS_EXIM_FAKE_H
#define SOTTO_TESTS_EXIM_FAKE_H

#include "tests/unit/exim-lab.h"

#include "core/runtime/live.h"
#include "core/runtime/state.h"

#undef fail	/* cmocka's */
#undef SOTTO_CONF_DIR
#undef SOTTO_STATE_DIR
#undef SOTTO_RUN_DIR
#undef SOTTO_SESSION_PATH
#define SOTTO_CONF_DIR "conf"
#define SOTTO_STATE_DIR "state"
#define SOTTO_RUN_DIR "run"
#define SOTTO_SESSION_PATH lab_session
#define SOTTO_START_MS LAB_PATIENCE_MS	/* a slow machine is no failure */
#include "plugins/exim/complain.c"
#include "plugins/exim/decide.c"
#include "plugins/exim/trace.c"
#undef SOTTO_STATE_DIR
#define SOTTO_STATE_DIR fake_state	/* who starts a session looks at it from / */
static char fake_state[128];
#include "plugins/exim/interpose.c"
#include "plugins/exim/exim-sotto.c"

/* ---- Exim ---- */

BOOL host_checking, smtp_batched_input;
int interface_port, recipients_count, sender_host_port;
recipient_item *recipients_list;
uschar *sender_host_address, *sender_host_name;

static struct {
	const char *host, *address, *port, *domain, *transport;
	const char *tlsa;	/* NULL: the lookup fails */
	const char *demanded;	/* a list that matches */
	unsigned looked_up;
	const char *local;	/* +local_domains has this one and no other; NULL: there is no such list */
	char log[1024];
} fake;

uschar *expand_string(uschar *text)
{
	const struct {
		const char *name, *value;
	} all[] = { { "$host", fake.host }, { "$host_address", fake.address }, { "$host_port", fake.port }, { "$domain", fake.domain },
		    { "$transport_name", fake.transport }, { "$primary_hostname", "mail.example.org" } };
	static char value[256];
	const char *known = NULL;

	if (strncmp((char *)text, "${lookup dnsdb", 14) == 0) {
		fake.looked_up++;
		/* a name server that does not answer is not waited for as long as Exim would */
		assert_non_null(strstr((char *)text, ",retrans_2s,retry_1,"));
		if (fake.tlsa == NULL)
			return NULL;
		(void)snprintf(value, sizeof(value), "%s", fake.tlsa);
		return (uschar *)value;
	}
	if (strncmp((char *)text, "${if match_domain{", 18) == 0) {
		if (fake.local == NULL)
			return NULL;
		(void)snprintf(value, sizeof(value), "${if match_domain{%s}{+local_domains}{yes}{no}}", fake.local);
		(void)strcpy(value, strcmp(value, (char *)text) == 0 ? "yes" : "no");
		return (uschar *)value;
	}
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp((char *)text, all[i].name) == 0)
			known = all[i].value;
	assert_non_null(known);
	return (uschar *)(uintptr_t)known;
}

uschar *string_copy_function(const uschar *text)
{
	static char copies[16][1024];
	static unsigned n;
	char *copy = copies[n++ % 16];

	(void)snprintf(copy, sizeof(copies[0]), "%s", (const char *)text);
	return (uschar *)copy;
}

void log_write(unsigned selector, int where, const char *format, ...)
{
	va_list ap;

	(void)selector;
	assert_int_equal(where, LOG_MAIN);
	va_start(ap, format);
	(void)vsnprintf(fake.log, sizeof(fake.log), format, ap);
	va_end(ap);
}

int lss_match_host(uschar *host, uschar *address, uschar *list)
{
	assert_string_equal((char *)host, fake.host);
	assert_string_equal((char *)address, fake.address);
	return fake.demanded != NULL && strcmp((char *)list, fake.demanded) == 0 ? OK : FAIL;
}

/* ---- a connection ---- */

static struct {
	int ours, theirs;
	int open;
	struct sockaddr_storage peer;
} net = { .ours = -1, .theirs = -1 };

static inline void fake_conf(const char *name, const char *text)
{
	lab_write("conf", name, text);
}

static inline void fake_end(void)
{
	close(net.ours);
	close(net.theirs);
	net.ours = net.theirs = -1;
}

/* Everything as it is where nobody has set anything, and no connection: none of a test that failed, either. */
static inline void fake_begin(const char *behaviour)
{
	if (net.ours >= 0)
		fake_end();
	lab_behave(behaviour);
	fake_conf("sotto.conf", "[sotto]\n");
	fake_conf("require", "");
	fake_conf("exclude", "");
	(void)unlink("run/.exim-log-limit");
	memset(&fake, 0, sizeof(fake));
	fake.host = fake.address = fake.port = fake.domain = fake.transport = "";
	fake.tlsa = "no";
	fake.local = "";
	host_checking = smtp_batched_input = FALSE;
	interface_port = recipients_count = sender_host_port = 0;
	recipients_list = NULL;
	sender_host_address = sender_host_name = NULL;
}

static inline void fake_connected(int ours, int theirs)
{
	net.ours = ours;
	net.theirs = theirs;
	lab_peer(&net.peer, ours);
	net.open = lab_count_fds();
}

/* A host at client connects to us at here. */
static inline void fake_inbound(const char *here, uint16_t port, const char *client)
{
	static char address[SOTTO_ADDR_TEXT];
	int c[2];

	lab_connect(c, here, port, client);
	fake_connected(c[0], c[1]);
	sotto_addr_write(address, &net.peer);
	sender_host_address = (uschar *)address;
	sender_host_port = sotto_addr_port(&net.peer);
	interface_port = port;
}

/* We connect from here to a host at there. */
static inline void fake_outbound(const char *there, uint16_t port, const char *here)
{
	static char number[8];
	int c[2];

	lab_connect(c, there, port, here);
	fake_connected(c[1], c[0]);
	(void)snprintf(number, sizeof(number), "%u", (unsigned)port);
	fake.host = "mx.example.net";
	fake.address = there;
	fake.port = number;
	fake.domain = "example.net";
	fake.transport = "remote_smtp";
}

static inline bool fake_is_pair(void)
{
	struct sockaddr_storage now;

	lab_peer(&now, net.ours);
	return !sotto_addr_same(&now, &net.peer);
}

static inline void fake_assert_left_alone(void)
{
	assert_false(fake_is_pair());
	assert_int_equal(lab_count_fds(), net.open);
	lab_assert_no_child();
	lab_assert_joined(net.ours, net.theirs);
	lab_assert_joined(net.theirs, net.ours);
	fake_end();
}

/* A session is in between; how it was called. */
static inline const char *fake_assert_session(void)
{
	struct pollfd p = { .fd = net.theirs, .events = POLLIN };
	static char text[4096];
	size_t n = 0;
	ssize_t got = 1;

	assert_true(fake_is_pair());
	assert_int_equal(lab_count_fds(), net.open);
	lab_assert_no_child();
	while (got > 0 && n < sizeof(text) - 1) {
		assert_int_equal(poll(&p, 1, LAB_PATIENCE_MS), 1);
		got = read(net.theirs, text + n, sizeof(text) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	text[n] = '\0';
	fake_end();
	assert_non_null(strstr(text, "\nargv "));
	return strstr(text, "\nargv ");
}

/* ---- all of it ---- */

/* False: this machine has no network for us. */
static inline bool fake_ready(void)
{
	if (!lab_network()) {
		printf("NOT RUN: the functions that Exim calls, as there is no network of one's own to be had here\n");
		return false;
	}
	lab_begin();
	(void)snprintf(fake_state, sizeof(fake_state), "%s/state", lab_dir);
	return chdir(lab_dir) == 0 && mkdir("conf", 0755) == 0 && mkdir("run", 0755) == 0 && mkdir("state", 0700) == 0 &&
	       (geteuid() != 0 || chown("state", LAB_NOBODY, LAB_NOBODY) == 0);
}

#endif
