/* SPDX-License-Identifier: ISC */
/*
 * names.h's promises about entries: who is listed, who is not, and what is no entry. Files are in test-names-files.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/names-ask.h"

/* ---- names ------------------------------------------------------------------------------------------------- */

static void a_name_is_a_domain_or_a_host(void **state)
{
	const char *path = put("list", "example.org\n");

	(void)state;
	assert_matches(ask(path, "example.org", NULL, NULL));
	assert_matches(ask(path, NULL, "example.org", NULL));
	assert_matches(ask(path, "other.org", "example.org", "192.0.2.1"));
	assert_no_match(ask(path, "other.org", "mx.example.org", "192.0.2.1"));
	assert_no_match(ask(path, "badexample.org", "example.org.uk", NULL));
	assert_no_match(ask(path, "", "", NULL));
	assert_no_match(ask(path, NULL, NULL, NULL));
	assert_no_match(ask(path, ".", "..", NULL));
}

static void a_leading_dot_means_what_is_below_and_not_the_domain_itself(void **state)
{
	(void)state;
	assert_matches(domain_in(".example.org\n", "mx.example.org"));
	assert_matches(domain_in(".example.org\n", "a.b.example.org"));
	assert_no_match(domain_in(".example.org\n", "example.org"));
	assert_no_match(domain_in(".example.org\n", "badexample.org"));
	assert_no_match(domain_in(".example.org\n", ".example.org"));
	assert_no_match(domain_in(".example.org\n", "example.org.net"));
	assert_no_match(domain_in(".example.org\n", "org"));
	assert_matches(ask(put("list", ".example.org"), NULL, "mx.example.org", NULL));
}

static void case_and_a_final_dot_do_not_count(void **state)
{
	(void)state;
	assert_matches(domain_in("Example.ORG\n", "eXample.org"));
	assert_matches(domain_in("example.org.\n", "example.org"));
	assert_matches(domain_in("example.org\n", "example.org."));
	assert_matches(domain_in(".EXAMPLE.org.\n", "mx.example.ORG."));
	assert_no_match(domain_in("example.org\n", "example.org.."));
}

static void white_space_and_comments_do_not_count(void **state)
{
	static const char text[] = "# head\n\n \t \n  example.org \t# why\nexample.net# at once\r\n\r\n\f\vexample.com\n#example.edu";

	(void)state;
	assert_matches(domain_in(text, "example.org"));
	assert_matches(domain_in(text, "example.net"));
	assert_matches(domain_in(text, "example.com"));
	assert_no_match(domain_in(text, "example.edu"));
}

static void the_last_line_needs_no_end(void **state)
{
	(void)state;
	assert_matches(domain_in("example.net\nexample.org", "example.org"));
	assert_matches(domain_in("example.org\r", "example.org"));
	assert_matches(address_in("192.0.2.1", "192.0.2.1"));
}

static void a_file_from_windows_is_read(void **state)
{
	static const char text[] = "\xef\xbb\xbf" "example.org\r\n192.0.2.0/24\r\n.example.net\r\n*.bad\r\n";

	(void)state;
	assert_int_equal(domain_in(text, "example.org"), 1);
	assert_said(4, "'*.bad' is written as '.bad'");
	assert_int_equal(address_in(text, "192.0.2.9"), 1);
	assert_int_equal(domain_in(text, "mx.example.net"), 1);
}

static void a_star_is_everybody(void **state)
{
	(void)state;
	assert_matches(domain_in(" * # all\n", "example.org"));
	assert_matches(address_in("*", "2001:db8::1"));
	assert_matches(ask(put("list", "*\n"), NULL, NULL, NULL));
}

static void a_name_in_utf8_matches_what_is_spelt_the_same(void **state)
{
	(void)state;
	assert_matches(domain_in("m\xc3\xbcnchen.example\n", "M\xc3\xbcnchen.example"));
	assert_matches(domain_in("\xe4\xbe\x8b\xe5\xad\x90.example\n", "\xe4\xbe\x8b\xe5\xad\x90.example"));
	assert_matches(domain_in("xn--mnchen-3ya.example\n", "XN--mnchen-3ya.example"));
	assert_no_match(domain_in("m\xc3\xbcnchen.example\n", "xn--mnchen-3ya.example"));
}

static void what_looks_like_a_name_but_is_none_is_an_error(void **state)
{
	static const char *const bad[] = {
		"user@example.org", "example..org", ".", "..", "..example.org", "example.org..", "a b.org", "example.org example.net",
		"example.org,example.net", "exam*ple.org", "[192.0.2.1]", "\"example.org\"", "example.org;", "m\xfcnchen.example",
		"example.org\xc2\xa0", "\xe2\x80\x8bxample.org", "a\xed\xa0\x80.org", "a\xc1\xa1.org", "a\xe0\x83\x80.org",
		"example\xe3\x80\x82org", "a\xc3", "**", "!example.org",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "%s\nexample.com", bad[i]);
		assert_int_equal(domain_in(text, "example.com"), 1);
		snprintf(text, sizeof(text), "not a name, an address or a network: '%s'", bad[i]);
		assert_said(1, text);
		snprintf(text, sizeof(text), "%s", bad[i]);
		assert_int_equal(domain_in(text, bad[i]), 0);
	}
}

static void names_and_labels_have_their_greatest_length(void **state)
{
	char name[400];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_matches(domain_in(name, name));
	name[63] = 'a';
	name[64] = '\0';
	assert_int_equal(domain_in(name, name), 0);
	assert_string_not_equal(err, "");
	for (size_t i = 1; i < 300; i += 2)
		memcpy(name + i - 1, "a.", 2);
	name[253] = '\0';
	assert_matches(domain_in(name, name));
	memcpy(name + 253, ".a", 3);
	assert_int_equal(domain_in(name, name), 0);
	assert_string_not_equal(err, "");
}

/* ---- addresses --------------------------------------------------------------------------------------------- */

static void an_address_is_that_address(void **state)
{
	(void)state;
	assert_matches(address_in("192.0.2.1\n", "192.0.2.1"));
	assert_no_match(address_in("192.0.2.1\n", "192.0.2.10"));
	assert_no_match(address_in("192.0.2.1\n", "2001:db8::1"));
	assert_matches(address_in("2001:DB8:0:0::1\n", "2001:db8::1"));
	assert_no_match(address_in("2001:db8::1\n", "2001:db8::2"));
	assert_no_match(domain_in("192.0.2.1\n", "192.0.2.1"));
}

static void a_mapped_address_is_the_ipv4_address(void **state)
{
	(void)state;
	assert_matches(address_in("::ffff:192.0.2.1\n", "192.0.2.1"));
	assert_matches(address_in("192.0.2.1\n", "::ffff:192.0.2.1"));
	assert_matches(address_in("192.0.2.0/24\n", "::ffff:192.0.2.1"));
	assert_matches(address_in("::ffff:192.0.2.0/120\n", "192.0.2.77"));
	assert_no_match(address_in("::ffff:192.0.2.0/120\n", "192.0.3.77"));
	assert_matches(address_in("::ffff:0:0/96\n", "203.0.113.1"));
	assert_no_match(address_in("::/0\n", "::ffff:192.0.2.1"));
}

static void a_network_is_every_address_in_it(void **state)
{
	(void)state;
	assert_matches(address_in("192.0.2.0/24\n", "192.0.2.255"));
	assert_no_match(address_in("192.0.2.0/24\n", "192.0.3.0"));
	assert_matches(address_in("192.0.2.128/25\n", "192.0.2.129"));
	assert_no_match(address_in("192.0.2.128/25\n", "192.0.2.127"));
	assert_matches(address_in("192.0.2.1/32\n", "192.0.2.1"));
	assert_no_match(address_in("192.0.2.1/32\n", "192.0.2.0"));
	assert_matches(address_in("2001:db8::/32\n", "2001:db8:ffff::1"));
	assert_no_match(address_in("2001:db8::/32\n", "2001:db9::1"));
	assert_matches(address_in("2001:db8:0:8000::/49\n", "2001:db8:0:ffff::1"));
	assert_no_match(address_in("2001:db8:0:8000::/49\n", "2001:db8:0:7fff::1"));
	assert_matches(address_in("2001:db8::1/128\n", "2001:db8::1"));
	assert_no_match(address_in("2001:db8::1/128\n", "2001:db8::"));
}

static void a_prefix_of_nothing_is_the_whole_family(void **state)
{
	(void)state;
	assert_matches(address_in("0.0.0.0/0\n", "203.0.113.1"));
	assert_no_match(address_in("0.0.0.0/0\n", "2001:db8::1"));
	assert_matches(address_in("::/0\n", "2001:db8::1"));
	assert_no_match(address_in("::/0\n", "203.0.113.1"));
}

static void bits_behind_the_prefix_are_an_error_that_names_the_network(void **state)
{
	(void)state;
	assert_int_equal(address_in("192.0.2.1/24\n", "192.0.2.1"), 0);
	assert_said(1, "the network of '192.0.2.1/24' is 192.0.2.0/24");
	assert_int_equal(address_in("\n192.0.2.1/0\n", "192.0.2.1"), 0);
	assert_said(2, "the network of '192.0.2.1/0' is 0.0.0.0/0");
	assert_int_equal(address_in("192.0.2.3/31\n", "192.0.2.3"), 0);
	assert_said(1, "the network of '192.0.2.3/31' is 192.0.2.2/31");
	assert_int_equal(address_in("2001:db8::1/127\n", "2001:db8::1"), 0);
	assert_said(1, "the network of '2001:db8::1/127' is 2001:db8::/127");
	assert_int_equal(address_in("2001:db8::1/32\n", "2001:db8::1"), 0);
	assert_said(1, "the network of '2001:db8::1/32' is 2001:db8::/32");
	assert_int_equal(address_in("::ffff:0:0/95\n", "192.0.2.1"), 0);
	assert_said(1, "the network of '::ffff:0:0/95' is ::fffe:0:0/95");
}

static void what_looks_like_an_address_but_is_none_is_an_error(void **state)
{
	static const char *const bad[] = {
		"192.0.2", "192.0.2.", "192.0.2.256", "192.0.2.1.1", "1", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/+8",
		"192.0.2.0/024", "192.0.2.0/24/24", "192.0.2.0/24x", "192.0.2.0/255.255.255.0", "192.0.2.0 /24", "/24", "0/0",
		"192.0.2.0/4294967320", "2001:db8::/129", "2001:db8::/", "2001:db8", "2001:db8:::", ":", "fe80::1%lo", "[2001:db8::1]",
		"192.0.2.1:25", "example.org:25", "example.org/24", "http://example.org", "2001:db8::/0x20", "192.0.2.01",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "#\n%s\n198.51.100.1\n", bad[i]);
		assert_int_equal(address_in(text, "198.51.100.1"), 1);
		snprintf(text, sizeof(text), "not a name, an address or a network: '%s'", bad[i]);
		assert_said(2, text);
		snprintf(text, sizeof(text), "#\n%s\n", bad[i]);
		assert_int_equal(address_in(text, "192.0.2.0"), 0);
	}
}

static void only_internet_addresses_count(void **state)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct sotto_who who = { .addr = &sa };

	(void)state;
	err[0] = '\0';
	assert_no_match(sotto_names_match(put("list", "0.0.0.0/0\n::/0\n"), &who, err, sizeof(err)));
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_name_is_a_domain_or_a_host),
		T(a_leading_dot_means_what_is_below_and_not_the_domain_itself),
		T(case_and_a_final_dot_do_not_count),
		T(white_space_and_comments_do_not_count),
		T(the_last_line_needs_no_end),
		T(a_file_from_windows_is_read),
		T(a_star_is_everybody),
		T(a_name_in_utf8_matches_what_is_spelt_the_same),
		T(what_looks_like_a_name_but_is_none_is_an_error),
		T(names_and_labels_have_their_greatest_length),
		T(an_address_is_that_address),
		T(a_mapped_address_is_the_ipv4_address),
		T(a_network_is_every_address_in_it),
		T(a_prefix_of_nothing_is_the_whole_family),
		T(bits_behind_the_prefix_are_an_error_that_names_the_network),
		T(what_looks_like_an_address_but_is_none_is_an_error),
		T(only_internet_addresses_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
