/* SPDX-License-Identifier: ISC */
/*
 * mx.h's promises: the order of RFC 5321, 5.1, every answer told apart, nothing hostile in a reply
 * does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <time.h>

#include "core/runtime/mx-hosts.h"
#include "core/runtime/own.h"
#include "tests/unit/fake-dns.h"

/* ---- the reader ------------------------------------------------------------------------------ */

/*
 * Reads a copy of exactly that length, so that a sanitizer sees one octet too many. Returns the
 * records, or -1.
 */
static int read_all(const uint8_t *msg, size_t len, struct sotto_dns_record *last)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct sotto_dns_reader r;
	struct sotto_dns_record rec;
	int n = 0, got;

	memcpy(copy, msg, len);
	got = sotto_dns_begin(&r, copy, len);
	while (got == 0 && (got = sotto_dns_next(&r, &rec)) == 1) {
		assert_true(memchr(rec.name, 0, sizeof rec.name) != NULL);
		if (last != NULL)
			*last = rec;
		n++;
		got = 0;
	}
	free(copy);
	return got < 0 ? -1 : n;
}

static struct fake_msg *reply_to(const char *name)
{
	struct fake_msg *m = calloc(1, sizeof *m);

	fake_put(m, "\0\0\x81\x80\0\1\0\0\0\0\0\0", 12);
	fake_name(m, name);
	fake_u16(m, FAKE_MX);
	fake_u16(m, 1);
	return m;
}

static struct fake_msg *good_reply(void)
{
	struct fake_msg *m = reply_to("example.org");

	fake_mx(m, 10, "mx1.EXAMPLE.org");
	fake_address(m, FAKE_A, "192.0.2.1");
	fake_head(m, 99, 3);
	fake_put(m, "xyz", 3);
	fake_address(m, FAKE_AAAA, "2001:db8::1");
	fake_head(m, FAKE_MX, 8);	/* "mx2" and a pointer to the question */
	fake_u16(m, 20);
	fake_put(m, "\3mx2\xc0\x0c", 6);
	return m;
}

static void reads_the_records_of_its_types(void **state)
{
	struct fake_msg *m = good_reply();
	struct sotto_dns_reader r;
	struct sotto_dns_record rec;

	(void)state;
	assert_int_equal(sotto_dns_begin(&r, m->at, m->n), 0);
	assert_int_equal(sotto_dns_next(&r, &rec), 1);
	assert_int_equal(rec.preference, 10);
	assert_string_equal(rec.name, "mx1.example.org");
	assert_int_equal(sotto_dns_next(&r, &rec), 1);
	assert_memory_equal(rec.address, "\xc0\0\2\1", 4);
	assert_string_equal(rec.name, "example.org");
	assert_int_equal(sotto_dns_next(&r, &rec), 1);
	assert_int_equal(rec.type, SOTTO_DNS_AAAA);
	assert_int_equal(sotto_dns_next(&r, &rec), 1);
	assert_string_equal(rec.name, "mx2.example.org");
	assert_int_equal(sotto_dns_next(&r, &rec), 0);
	assert_int_equal(sotto_dns_next(&r, &rec), 0);
	free(m);
}

static void a_reply_cut_anywhere_is_broken(void **state)
{
	struct fake_msg *m = good_reply();

	(void)state;
	for (size_t len = 0; len < m->n; len++)
		assert_int_equal(read_all(m->at, len, NULL), -1);
	assert_int_equal(read_all(m->at, m->n, NULL), 4);
	free(m);
}

static void a_reply_changed_anywhere_is_harmless(void **state)
{
	struct fake_msg *m = good_reply();
	uint32_t seed = 1;

	(void)state;
	for (size_t at = 0; at < m->n; at++) {
		uint8_t was = m->at[at];

		for (unsigned v = 0; v < 256; v++) {
			m->at[at] = (uint8_t)v;
			(void)read_all(m->at, m->n, NULL);
		}
		m->at[at] = was;
	}
	for (int i = 0; i < 100000; i++) {
		struct fake_msg bad = { .n = m->n };

		memcpy(bad.at, m->at, m->n);
		for (int k = 0; k < 6; k++) {
			seed = seed * 1664525 + 1013904223;
			bad.at[(seed >> 8) % bad.n] = (uint8_t)(seed >> 24);
		}
		(void)read_all(bad.at, bad.n, NULL);
	}
	free(m);
}

/* The name of an MX record, made of these octets and nothing else. */
static void expect_name(const void *octets, size_t n, bool odd, const char *text)
{
	/* the name is at 12, the answer at 29, its name at 43 */
	struct fake_msg *m = reply_to("example.org");
	struct sotto_dns_record rec;

	fake_head(m, FAKE_MX, 2 + n);
	fake_u16(m, 5);
	fake_put(m, octets, n);
	assert_int_equal(read_all(m->at, m->n, &rec), 1);
	assert_int_equal(rec.odd, odd);
	assert_string_equal(rec.name, text);
	free(m);
}

static void a_name_that_is_no_host_name_is_odd(void **state)
{
	uint8_t longest[256], label[66];

	(void)state;
	expect_name("", 1, false, "");
	expect_name("\xc0\x0c", 2, false, "example.org");
	expect_name("\xc0\x14", 2, false, "org");
	expect_name("\1a\xc0\x0c", 4, false, "a.example.org");
	expect_name("\xc0\x2b", 2, true, "");			/* to itself */
	expect_name("\1a\xc0\x2b", 4, true, "");		/* a loop */
	expect_name("\1a\xc0\x2d", 4, true, "");
	expect_name("\xc0\x2d\0", 3, true, "");			/* forward */
	expect_name("\xff\xff", 2, true, "");
	expect_name("\xc0", 1, true, "");
	expect_name("\1a", 2, true, "");			/* no end */
	expect_name("\5a\0", 3, true, "");
	expect_name("\x41" "a\0", 3, true, "");			/* 0x40 and 0x80: no such labels */
	expect_name("\3a b\0", 5, true, "");
	expect_name("\3a\nb\0", 5, true, "");
	expect_name("\3a.b\0", 5, true, "");
	expect_name("\3a\0b\0", 5, true, "");
	expect_name("\2\xc3\xa9\0", 4, true, "");
	expect_name("", 0, true, "");
	memset(label, 'a', sizeof label);
	label[0] = 63;
	label[64] = 0;
	expect_name(label, 65, false,
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 2 ? 'a' : 1;
	longest[254] = 0;	/* 126 labels */
	expect_name(longest + 2, 253, false,
		    "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
		    "a.a.a."
		    "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
		    "a.a.a."
		    "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
		    "a.a.a");
	longest[254] = 1;
	expect_name(longest, 256, true, "");
}

static void expect_host_name(const char *in, const char *out)
{
	char name[SOTTO_DNS_NAME] = "?";

	assert_int_equal(sotto_dns_host_name(name, in), out != NULL ? 0 : SOTTO_DNS_BROKEN);
	assert_string_equal(name, out != NULL ? out : "");
}

static void a_domain_is_taken_only_if_it_is_one(void **state)
{
	char text[260];

	(void)state;
	expect_host_name("Example.ORG", "example.org");
	expect_host_name("example.org.", "example.org");
	expect_host_name("x", "x");
	expect_host_name("", NULL);
	expect_host_name(".", NULL);
	expect_host_name("a..b", NULL);
	expect_host_name(".a", NULL);
	expect_host_name("a..", NULL);
	expect_host_name("a b", NULL);
	expect_host_name("a\n", NULL);
	expect_host_name("caf\xc3\xa9.example", NULL);
	memset(text, 'a', sizeof text);
	text[64] = 0;
	expect_host_name(text, NULL);
	memset(text, 'a', sizeof text);
	for (size_t i = 1; i < sizeof text; i += 2)
		text[i] = '.';
	text[253] = 0;
	expect_host_name(text, text);
	text[253] = '.';	/* with the dot at the end that is not counted */
	text[254] = 0;
	assert_int_equal(sotto_dns_host_name((char[SOTTO_DNS_NAME]){ 0 }, text), 0);
	text[254] = 'a';
	text[255] = 0;
	expect_host_name(text, NULL);
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool never(const struct sockaddr *sa)
{
	(void)sa;
	return false;
}

/* 127.0.9.x is this host. */
static bool nine(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET &&
	       ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 8 == 0x7f0009;
}

static void add_address(struct sotto_mx_host *host, const char *text)
{
	struct sotto_dns_record r = { .type = strchr(text, ':') ? SOTTO_DNS_AAAA : SOTTO_DNS_A };

	assert_int_equal(inet_pton(r.type == SOTTO_DNS_A ? AF_INET : AF_INET6, text, r.address), 1);
	sotto_mx_host_add(host, &r);
}

static const char *text_of(const struct sotto_mx_address *a)
{
	static char text[INET6_ADDRSTRLEN];

	if (a->to.ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&a->to)->sin_addr, text,
			  sizeof text);
	else
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&a->to)->sin6_addr, text,
			  sizeof text);
	return text;
}

static void better_hosts_come_first_and_equal_ones_by_chance(void **state)
{
	unsigned first_b = 0;

	(void)state;
	for (int i = 0; i < 64; i++) {
		struct sotto_mx_hosts h = { 0 };

		sotto_mx_hosts_add(&h, "c", 20);
		sotto_mx_hosts_add(&h, "a", 10);
		sotto_mx_hosts_add(&h, "d", 65535);
		sotto_mx_hosts_add(&h, "b", 10);
		assert_int_equal(h.n, 4);
		assert_string_equal(h.at[2].name, "c");
		assert_string_equal(h.at[3].name, "d");
		first_b += h.at[0].name[0] == 'b';
	}
	assert_in_range(first_b, 1, 63);
}

static void of_thousands_of_hosts_the_best_are_kept(void **state)
{
	struct sotto_mx_hosts h = { 0 };
	char name[16];

	(void)state;
	for (unsigned i = 5000; i > 0; i--) {
		(void)snprintf(name, sizeof name, "h%u", i);
		sotto_mx_hosts_add(&h, name, i);
	}
	for (unsigned i = 5000; i > 0; i--)
		sotto_mx_hosts_add(&h, "worse", 6000);
	assert_int_equal(h.n, SOTTO_MX_HOSTS);
	for (unsigned i = 0; i < h.n; i++) {
		(void)snprintf(name, sizeof name, "h%u", i + 1);
		assert_string_equal(h.at[i].name, name);
	}
}

static void families_take_turns_and_chance_begins(void **state)
{
	unsigned v6_first = 0, one_first = 0;

	(void)state;
	for (int i = 0; i < 64; i++) {
		struct sotto_mx_hosts h = { 0 };
		struct sotto_mx_answer a;

		sotto_mx_hosts_add(&h, "mx", 10);
		for (int k = 1; k < 200; k++) {
			char text[32];

			(void)snprintf(text, sizeof text, "192.0.2.%d", k);
			add_address(&h.at[0], text);
			(void)snprintf(text, sizeof text, "2001:db8::%x", k);
			add_address(&h.at[0], text);
		}
		sotto_mx_hosts_answer(&h, never, &a);
		assert_int_equal(a.status, 0);
		assert_int_equal(a.n, SOTTO_MX_HOST_ADDRESSES);
		for (size_t k = 1; k < a.n; k++)
			assert_int_not_equal(a.at[k].to.ss_family, a.at[k - 1].to.ss_family);
		v6_first += a.at[0].to.ss_family == AF_INET6;
		one_first += strcmp(text_of(&a.at[0]), "192.0.2.1") == 0;
	}
	assert_in_range(v6_first, 1, 63);
	assert_in_range(one_first, 0, 32);	/* not the order of the reply */
}

static void at_most_ten_addresses_and_each_once(void **state)
{
	struct sotto_mx_hosts h = { 0 };
	struct sotto_mx_answer a;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		sotto_mx_hosts_add(&h, "mx", i);
	}
	for (unsigned i = 0; i < 10; i++) {
		char text[32];

		add_address(&h.at[i], "192.0.2.77");
		for (unsigned k = 0; k < 2; k++) {
			(void)snprintf(text, sizeof text, "192.0.2.%u", 10 * i + k);
			add_address(&h.at[i], text);
		}
	}
	sotto_mx_hosts_answer(&h, never, &a);
	assert_int_equal(a.n, SOTTO_MX_ADDRESSES);
	for (size_t i = 0; i < a.n; i++) {
		assert_true(i == 0 || a.at[i].preference >= a.at[i - 1].preference);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&a.at[i].to, &a.at[k].to,
						sizeof(struct sockaddr_in));
	}
}

static void where_no_mail_can_go_is_left_out(void **state)
{
	static const char *const bad[] = {"224.0.0.1", "255.255.255.255", "240.0.0.1",
					  "ff02::1",   "fe80::1",	  "::ffff:224.0.0.1"};
	struct sotto_mx_hosts h = { 0 };
	struct sotto_mx_answer a;

	(void)state;
	sotto_mx_hosts_add(&h, "mx", 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		add_address(&h.at[0], bad[i]);
	sotto_mx_hosts_answer(&h, never, &a);
	assert_int_equal(a.n, 0);
	assert_int_equal(a.status, SOTTO_MX_NO_ADDRESS);
	add_address(&h.at[0], "::ffff:192.0.2.1");
	sotto_mx_hosts_answer(&h, never, &a);
	assert_int_equal(a.n, 1);
	assert_string_equal(text_of(&a.at[0]), "192.0.2.1");
	assert_int_equal(a.at[0].len, sizeof(struct sockaddr_in));
}

static void we_and_what_is_no_better_are_not_tried(void **state)
{
	struct sotto_mx_hosts h = { 0 };
	struct sotto_mx_answer a;

	(void)state;
	sotto_mx_hosts_add(&h, "best", 5);
	sotto_mx_hosts_add(&h, "worse", 20);
	sotto_mx_hosts_add(&h, "equal", 10);
	sotto_mx_hosts_add(&h, "we", 10);
	for (size_t i = 0; i < h.n; i++) {
		char text[32];

		(void)snprintf(text, sizeof text, "192.0.2.%zu", i);
		add_address(&h.at[i], text);
		if (strcmp(h.at[i].name, "we") == 0)
			add_address(&h.at[i], "127.0.9.1");
	}
	sotto_mx_hosts_answer(&h, nine, &a);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.at[0].host, "best");
	h.at[0].n[0] = 0;	/* the better one has no address: that leaves us */
	sotto_mx_hosts_answer(&h, nine, &a);
	assert_int_equal(a.status, SOTTO_MX_SELF);
	h.at[0].failed = true;	/* not known just now: perhaps it has */
	sotto_mx_hosts_answer(&h, nine, &a);
	assert_int_equal(a.status, SOTTO_MX_TEMPORARY);
}

static bool own(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return sotto_own_address((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return sotto_own_address((struct sockaddr *)&v6);
}

static void our_own_addresses_are_known(void **state)
{
	struct ifaddrs *all;

	(void)state;
	assert_true(own("127.0.0.1"));
	assert_true(own("127.8.9.1"));
	assert_true(own("0.0.0.0"));
	assert_true(own("::1"));
	assert_true(own("::"));
	assert_true(own("::ffff:127.0.0.1"));
	assert_false(own("198.51.100.25"));
	assert_false(own("2001:db8::25"));
	assert_false(sotto_own_address(&(struct sockaddr){ .sa_family = AF_UNIX }));
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
			assert_true(sotto_own_address(i->ifa_addr));
	freeifaddrs(all);
}

/* ---- lookups --------------------------------------------------------------------------------- */

struct lab {
	struct event_base *base;
	struct fake_dns dns;
	struct sotto_mx *mx;
	struct sotto_mx_answer answer;
	int answers, fds;
};

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void raw_empty(struct fake_msg *m, unsigned type)
{
	(void)type;
	m->n = 0;
}

static void raw_short(struct fake_msg *m, unsigned type)
{
	(void)type;
	m->n = 7;
}

static void raw_counts(struct fake_msg *m, unsigned type)
{
	(void)type;
	memset(m->at + 6, 0xff, 6);
}

static void raw_truncated(struct fake_msg *m, unsigned type)
{
	fake_head(m, type, 400);
	fake_u16(m, 10);
}

static void raw_long_name(struct fake_msg *m, unsigned type)
{
	char name[600];

	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 10 == 9 ? '.' : 'x';
	name[sizeof name - 1] = 0;
	if (type == FAKE_MX)
		fake_mx(m, 10, name);
}

static void raw_loop(struct fake_msg *m, unsigned type)
{
	fake_head(m, type, 4);
	fake_u16(m, 10);
	fake_u16(m, 0xc000 | (unsigned)m->n);
}

static void raw_odd(struct fake_msg *m, unsigned type)
{
	if (type == FAKE_MX)
		fake_mx(m, 10, "mx1 x\r\n250 ok.example.org");
}

static void raw_thousands(struct fake_msg *m, unsigned type)
{
	char name[16];

	for (unsigned i = 2000; type == FAKE_MX && i > 0; i--) {
		(void)snprintf(name, sizeof name, "h%u", i);
		fake_mx(m, i, name);
	}
}

static void raw_addresses(struct fake_msg *m, unsigned type)
{
	char text[32];

	for (unsigned i = 0; type == FAKE_A && i < 3000; i++) {
		(void)snprintf(text, sizeof text, "127.1.%u.%u", i / 250, i % 250);
		fake_address(m, FAKE_A, text);
	}
}

/* Each name leads through 50 pointers over as much of the message as there is. */
static void raw_bomb(struct fake_msg *m, unsigned type)
{
	size_t start;

	if (type != FAKE_MX)
		return;
	fake_head(m, 99, 16000);
	start = m->n;
	for (size_t i = 0; i < 16000 / 64 - 1; i++) {
		fake_put(m, "\x3f", 1);
		for (int k = 0; k < 63; k++)
			fake_put(m, "y", 1);
	}
	while (m->n < start + 16000)
		fake_u16(m, 0xc000 | (unsigned)start);
	for (int i = 0; i < 2500; i++) {
		fake_head(m, FAKE_MX, 4);
		fake_u16(m, 10);
		fake_u16(m, 0xc000 | (unsigned)start);
	}
}

static const struct fake_rr zone[] = {
	{ "example.org", FAKE_MX, 20, "mx2.example.org", NULL },
	{ "example.org", FAKE_MX, 10, "MX1.example.org", NULL },
	{ "mx1.example.org", FAKE_A, 0, "127.0.1.1", NULL },
	{ "mx1.example.org", FAKE_AAAA, 0, "2001:db8::1", NULL },
	{ "mx2.example.org", FAKE_A, 0, "127.0.1.2", NULL },
	{ "implicit.org", FAKE_A, 0, "127.0.1.3", NULL },
	{ "nothing.org", FAKE_EMPTY, 0, NULL, NULL },
	{ "alias.org", FAKE_CNAME, 0, "example.org", NULL },
	{ "toalias.org", FAKE_MX, 5, "mxalias.org", NULL },
	{ "mxalias.org", FAKE_CNAME, 0, "mx1.example.org", NULL },
	{ "implicitalias.org", FAKE_CNAME, 0, "mx1.example.org", NULL },
	{ "null.org", FAKE_MX, 0, "", NULL },
	{ "null.org", FAKE_A, 0, "127.0.1.3", NULL },
	{ "notnull.org", FAKE_MX, 0, "", NULL },
	{ "notnull.org", FAKE_MX, 5, "mx2.example.org", NULL },
	{ "dangling.org", FAKE_MX, 5, "nowhere.example.org", NULL },
	{ "dangling.org", FAKE_A, 0, "127.0.1.3", NULL },
	{ "servfail.org", FAKE_RCODE, 2, NULL, NULL },
	{ "refused.org", FAKE_RCODE, 5, NULL, NULL },
	{ "hostfails.org", FAKE_MX, 5, "servfail.org", NULL },
	{ "silent.org", FAKE_SILENT, 0, NULL, NULL },
	{ "half.org", FAKE_MX, 5, "silent.org", NULL },
	{ "half.org", FAKE_MX, 10, "mx2.example.org", NULL },
	{ "we.org", FAKE_MX, 5, "nine.example.org", NULL },
	{ "backup.org", FAKE_MX, 5, "mx2.example.org", NULL },
	{ "backup.org", FAKE_MX, 10, "nine.example.org", NULL },
	{ "backup.org", FAKE_MX, 20, "mx1.example.org", NULL },
	{ "nine.example.org", FAKE_A, 0, "127.0.9.9", NULL },
	{ "empty.bad", FAKE_RAW, 0, NULL, raw_empty },
	{ "short.bad", FAKE_RAW, 0, NULL, raw_short },
	{ "counts.bad", FAKE_RAW, 0, NULL, raw_counts },
	{ "truncated.bad", FAKE_RAW, 0, NULL, raw_truncated },
	{ "long.bad", FAKE_RAW, 0, NULL, raw_long_name },
	{ "loop.bad", FAKE_RAW, 0, NULL, raw_loop },
	{ "odd.bad", FAKE_RAW, 0, NULL, raw_odd },
	{ "bomb.bad", FAKE_RAW, 0, NULL, raw_bomb },
	{ "thousands.bad", FAKE_RAW, 0, NULL, raw_thousands },
	{ "h7", FAKE_RAW, 0, NULL, raw_addresses },
	{ NULL, FAKE_EMPTY, 0, NULL, NULL },
};

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof *lab);
	struct sotto_mx_config config = { .own = nine };

	lab->fds = count_fds();
	lab->base = event_base_new();
	fake_dns_start(&lab->dns, lab->base, zone);
	config.servers = lab->dns.servers;
	lab->mx = sotto_mx_open(lab->base, &config);
	*state = lab;
	return lab->mx != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	int left;

	sotto_mx_close(lab->mx);
	for (int i = 0; i < 20; i++)	/* the server notices that its clients have gone */
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	fake_dns_stop(&lab->dns);
	event_base_free(lab->base);
	left = count_fds() - lab->fds;
	free(lab);
	return left;
}

static void on_answer(void *arg, const struct sotto_mx_answer *answer)
{
	struct lab *lab = arg;

	lab->answers++;
	lab->answer = *answer;
	event_base_loopbreak(lab->base);
}

static const struct sotto_mx_answer *look(struct lab *lab, const char *domain, unsigned timeout_ms)
{
	lab->answers = 0;
	assert_non_null(sotto_mx_lookup(lab->mx, domain, timeout_ms, on_answer, lab));
	assert_int_equal(lab->answers, 0);	/* never from inside */
	event_base_dispatch(lab->base);
	assert_int_equal(lab->answers, 1);
	assert_true((lab->answer.status == 0) == (lab->answer.n > 0));
	return &lab->answer;
}

static void expect_status(struct lab *lab, const char *domain, int status)
{
	assert_int_equal(look(lab, domain, 10000)->status, status);
}

static void expect_one(struct lab *lab, const char *domain, const char *host, const char *address)
{
	const struct sotto_mx_answer *a = look(lab, domain, 10000);

	assert_int_equal(a->status, 0);
	assert_int_equal(a->n, 1);
	assert_string_equal(a->at[0].host, host);
	assert_string_equal(text_of(&a->at[0]), address);
}

static void hosts_come_with_both_families_in_order(void **state)
{
	static const char *const names[] = { "example.org", "EXAMPLE.org.", "alias.org" };

	for (size_t i = 0; i < 3; i++) {
		const struct sotto_mx_answer *a = look(*state, names[i], 10000);

		assert_int_equal(a->n, 3);
		assert_string_equal(a->at[0].host, "mx1.example.org");
		assert_string_equal(a->at[1].host, "mx1.example.org");
		assert_int_not_equal(a->at[0].to.ss_family, a->at[1].to.ss_family);
		assert_string_equal(a->at[2].host, "mx2.example.org");
		assert_string_equal(a->at[2].alias_of, "");
		assert_int_equal(a->at[2].preference, 20);
		assert_string_equal(text_of(&a->at[2]), "127.0.1.2");
	}
}

static void a_host_that_is_an_alias_keeps_both_names(void **state)
{
	static const char *const domains[] = { "toalias.org", "implicitalias.org" }, *const hosts[] = { "mxalias.org", "implicitalias.org" };

	for (size_t i = 0; i < 2; i++) {
		const struct sotto_mx_answer *a = look(*state, domains[i], 10000);

		assert_int_equal(a->n, 2);
		for (size_t at = 0; at < 2; at++) {
			assert_string_equal(a->at[at].host, hosts[i]);
			assert_string_equal(a->at[at].alias_of, "mx1.example.org");
		}
	}
}

static void without_mx_the_domain_itself_is_the_host(void **state)
{
	expect_one(*state, "implicit.org", "implicit.org", "127.0.1.3");
	expect_status(*state, "nothing.org", SOTTO_MX_NO_ADDRESS);
	/* it has an MX, so its own address is none */
	expect_status(*state, "dangling.org", SOTTO_MX_NO_ADDRESS);
}

static void null_mx_is_told_from_the_rest(void **state)
{
	expect_status(*state, "null.org", SOTTO_MX_NULL);
	expect_one(*state, "notnull.org", "mx2.example.org", "127.0.1.2");
}

static void failures_are_told_apart(void **state)
{
	expect_status(*state, "unknown.org", SOTTO_MX_NO_DOMAIN);
	expect_status(*state, "servfail.org", SOTTO_MX_TEMPORARY);
	expect_status(*state, "refused.org", SOTTO_MX_TEMPORARY);
	expect_status(*state, "hostfails.org", SOTTO_MX_TEMPORARY);
}

static void silence_ends_with_the_timeout(void **state)
{
	struct timespec from, to;
	const struct sotto_mx_answer *a;

	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(look(*state, "silent.org", 200)->status, SOTTO_MX_TEMPORARY);
	a = look(*state, "half.org", 200);
	assert_int_equal(a->n, 1);	/* what is known by then */
	assert_string_equal(a->at[0].host, "mx2.example.org");
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 5);
}

static void literals_need_no_question(void **state)
{
	struct lab *lab = *state;

	expect_one(lab, "[127.0.1.7]", "", "127.0.1.7");
	expect_one(lab, "[ipv6:2001:db8::7]", "", "2001:db8::7");
	expect_one(lab, "[IPv6:::ffff:127.0.1.7]", "", "127.0.1.7");
	expect_status(lab, "[127.0.9.7]", SOTTO_MX_SELF);
	expect_status(lab, "[224.0.0.1]", SOTTO_MX_NO_ADDRESS);
	assert_int_equal(lab->dns.questions, 0);
}

static void what_is_no_domain_is_not_asked_for(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"[",
		"[]",
		"[127.0.0.1",
		"127.0.0.1]",
		"[127.0.0.1.2]",
		"[2001:db8::7]",
		"[IPv6:]",
		"[IPv6:127.0.0.1]",
		"[IPv6:2001:db8::7",
		"a b",
		"a\r\nb",
		"caf\xc3\xa9.org",
		"a..b",
		"[IPv6:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]"};
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_status(lab, bad[i], SOTTO_MX_BAD_NAME);
	assert_int_equal(lab->dns.questions, 0);
}

static void we_are_recognised(void **state)
{
	expect_status(*state, "we.org", SOTTO_MX_SELF);
	expect_one(*state, "backup.org", "mx2.example.org", "127.0.1.2");
}

static void hostile_replies_are_harmless(void **state)
{
	static const char *const names[] = {"empty.bad", "short.bad", "counts.bad", "truncated.bad",
					    "loop.bad",	 "long.bad",  "odd.bad",    "bomb.bad"};
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_true(look(lab, names[i], 1500)->status < 0);
	/* and the resolver still works */
	expect_one(lab, "implicit.org", "implicit.org", "127.0.1.3");
}

static void thousands_of_records_come_over_tcp_and_few_are_used(void **state)
{
	const struct sotto_mx_answer *a = look(*state, "thousands.bad", 10000);

	/* h1 to h10 are kept; h7 has 3000 addresses */
	assert_int_equal(a->n, SOTTO_MX_HOST_ADDRESSES);
	assert_string_equal(a->at[0].host, "h7");
	assert_int_equal(a->at[0].preference, 7);
}

static void no_name_server_is_a_temporary_failure(void **state)
{
	struct lab *lab = *state;
	struct sotto_mx_config config = { .servers = lab->dns.servers };
	struct sotto_mx *mx = lab->mx;

	event_del(lab->dns.event);	/* the port is closed for the time of this test */
	shutdown(lab->dns.fd, SHUT_RDWR);
	close(lab->dns.fd);
	lab->mx = sotto_mx_open(lab->base, &config);
	expect_status(lab, "example.org", SOTTO_MX_TEMPORARY);
	sotto_mx_close(lab->mx);
	lab->mx = mx;
	lab->dns.fd = socket(AF_INET, SOCK_DGRAM, 0);
}

static void after_cancel_nothing_is_heard(void **state)
{
	struct lab *lab = *state;
	struct sotto_mx_lookup *l;

	/* before the question, after it, after its answers ... */
	for (int rounds = 0; rounds < 12; rounds++) {
		l = sotto_mx_lookup(lab->mx, "half.org", 10000, on_answer, lab);
		for (int i = 0; i < rounds; i++)
			event_base_loop(lab->base, EVLOOP_NONBLOCK);
		sotto_mx_cancel(l);
	}
	l = sotto_mx_lookup(lab->mx, "[127.0.0.1]", 10000, on_answer, lab);
	sotto_mx_cancel(l);
	sotto_mx_cancel(NULL);
	lab->answers = 0;
	event_base_loop(lab->base, EVLOOP_NONBLOCK);
	assert_int_equal(lab->answers, 0);
	expect_one(lab, "implicit.org", "implicit.org", "127.0.1.3");
}

static void closing_ends_the_lookups_under_way(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 50; i++) {
		assert_non_null(sotto_mx_lookup(lab->mx, "half.org", 10000, on_answer, lab));
		assert_non_null(sotto_mx_lookup(lab->mx, "[127.0.0.1]", 10000, on_answer, lab));
		if (i == 25)
			event_base_loop(lab->base, EVLOOP_ONCE);
	}
	lab->answers = 0;
	sotto_mx_close(lab->mx);
	lab->mx = NULL;
	for (int i = 0; i < 20; i++)
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	assert_int_equal(lab->answers, 0);
}

static void bad_servers_are_refused(void **state)
{
	struct lab *lab = *state;
	struct sotto_mx_config config = { .servers = "not an address" };

	assert_null(sotto_mx_open(lab->base, &config));
	sotto_mx_close(NULL);
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_records_of_its_types),
		cmocka_unit_test(a_reply_cut_anywhere_is_broken),
		cmocka_unit_test(a_reply_changed_anywhere_is_harmless),
		cmocka_unit_test(a_name_that_is_no_host_name_is_odd),
		cmocka_unit_test(a_domain_is_taken_only_if_it_is_one),
		cmocka_unit_test(better_hosts_come_first_and_equal_ones_by_chance),
		cmocka_unit_test(of_thousands_of_hosts_the_best_are_kept),
		cmocka_unit_test(families_take_turns_and_chance_begins),
		cmocka_unit_test(at_most_ten_addresses_and_each_once),
		cmocka_unit_test(where_no_mail_can_go_is_left_out),
		cmocka_unit_test(we_and_what_is_no_better_are_not_tried),
		cmocka_unit_test(our_own_addresses_are_known),
		LAB(hosts_come_with_both_families_in_order),
		LAB(a_host_that_is_an_alias_keeps_both_names),
		LAB(without_mx_the_domain_itself_is_the_host),
		LAB(null_mx_is_told_from_the_rest),
		LAB(failures_are_told_apart),
		LAB(silence_ends_with_the_timeout),
		LAB(literals_need_no_question),
		LAB(what_is_no_domain_is_not_asked_for),
		LAB(we_are_recognised),
		LAB(hostile_replies_are_harmless),
		LAB(thousands_of_records_come_over_tcp_and_few_are_used),
		LAB(no_name_server_is_a_temporary_failure),
		LAB(after_cancel_nothing_is_heard),
		LAB(closing_ends_the_lookups_under_way),
		LAB(bad_servers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
