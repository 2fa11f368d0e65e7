/* SPDX-License-Identifier: ISC */
/*
 * site.h's promises, with a postconf and a postmap of the test's own: what speaks against the hop, what does not, and that nothing of
 * it waits, is asked twice, or is taken for "nothing" because it failed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugins/postfix-policy/site-ask.h"
#include "plugins/postfix-policy/site.h"
#include "tests/unit/fake-dns.h"

#define GENEROUS_S 20

static const char postconf[] = "#!/bin/sh\n"
	"d=${0%/*}\n"
	"test -e $d/postconf-fails && { echo 'postconf: fatal: bad things' >&2; exit 1; }\n"
	"env > $d/env\n"
	"case $1 in -x) test -e $d/edited && sleep 3; cat $d/main.cf;; -xP) cat $d/over;; -M) cat $d/services;; esac\n";

/* TYPE:FILE; the types broken, mute and hanging are what they are called. */
static const char postmap[] = "#!/bin/sh\n"
	"d=${0%/*}; shift 2; echo \"$*\" >> $d/calls\n"
	"while IFS= read -r k; do v=; for t in \"$@\"; do f=${t#*:}; case $t in\n"
	"static:*) v=$f;;\n"
	"broken:*) echo \"postmap: fatal: open database $f: Permission denied\" >&2; exit 1;;\n"
	"mute:*) exit 0;;\n"
	"hanging:*) test -e $d/hang && exec sleep 60;;\n"
	"slow:*) sleep 3;;\n"
	"*) test -r $f || { echo \"postmap: fatal: open database $f: No such file\" >&2; exit 1; }\n"
	"   v=$(awk -v k=\"$k\" '$1 == k { $1 = \"\"; print substr($0, 2); exit }' $f);;\n"
	"esac; test -n \"$v\" && break; done; printf '%s\\t%s\\n' \"$k\" \"$v\"; done\n";

struct lab {
	char dir[64], postconf[128], postmap[128], text[8192];
	struct event_base *base;
	struct sotto_site *site;
	unsigned changes;
};

static char *path(struct lab *l, const char *name)
{
	static char p[4][256];
	static unsigned n;
	char *out = p[n++ % 4];

	(void)snprintf(out, 256, "%s/%s", l->dir, name);
	return out;
}

static void put(struct lab *l, const char *name, const char *text)
{
	char aside[256];
	FILE *f;

	(void)snprintf(aside, sizeof(aside), "%s", path(l, ".aside"));
	f = fopen(aside, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(aside, 0755), 0);
	assert_int_equal(rename(aside, path(l, name)), 0);
}

/* main.cf: what a stock one says, and lines that count instead. @ is the lab's folder. */
static void conf(struct lab *l, const char *more)
{
	static const char stock[] = "myhostname = mx.home.example\nmail_owner = root\ndefault_transport = smtp\n"
		"address_verify_default_transport = smtp\nmydestination = home.example, localhost\ninet_protocols = all\n"
		"inet_interfaces = all\nsmtp_host_lookup = dns\nsmtp_tcp_port = smtp\nsmtp_tls_security_level = may\nrelayhost =\n"
		"parent_domain_matches_subdomains = debug_peer_list,relay_domains\nconfig_directory = @\ntransport_maps =\n";
	const char *p = stock;
	size_t n = 0;

	for (int i = 0; i < 2; i++, p = more)
		for (; *p != 0; p++)
			n += (size_t)snprintf(l->text + n, sizeof(l->text) - n, *p == '@' ? "%s" : "%.1s", *p == '@' ? l->dir : p);
	l->text[n] = 0;
	put(l, "main.cf", l->text);
}

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	*state = l;
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/test-site.XXXXXX");
	if (mkdtemp(l->dir) == NULL)
		return -1;
	put(l, "postconf", postconf);
	put(l, "postmap", postmap);
	put(l, "over", "");
	put(l, "master.cf", "");
	put(l, "services", "smtp       unix  -       -       y       -       -       smtp\n");
	(void)snprintf(l->postconf, sizeof(l->postconf), "%s/postconf", l->dir);
	(void)snprintf(l->postmap, sizeof(l->postmap), "%s/postmap", l->dir);
	sotto_site_paths.postconf = l->postconf;
	sotto_site_paths.postmap = l->postmap;
	conf(l, "");
	l->base = event_base_new();
	return l->base != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct lab *l = *state;
	char command[128];

	sotto_site_close(l->site);
	event_base_free(l->base);
	(void)snprintf(command, sizeof(command), "rm -rf %s", l->dir);
	free(l);
	return system(command);	/* NOLINT(cert-env33-c) */
}

static void on_changed(void *arg)
{
	((struct lab *)arg)->changes++;
}

static time_t limit(void)
{
	return time(NULL) + GENEROUS_S;
}

static void turn_until_change(struct lab *l)
{
	unsigned before = l->changes;

	for (time_t end = limit(); l->changes == before;) {
		assert_true(time(NULL) < end);
		event_base_loop(l->base, EVLOOP_ONCE);
	}
}

static const struct sotto_site_facts *opened(struct lab *l)
{
	l->site = sotto_site_open(l->base, l->dir, on_changed, l);
	assert_non_null(l->site);
	assert_false(sotto_site_facts(l->site)->usable);
	turn_until_change(l);
	return sotto_site_facts(l->site);
}

static void reread(struct lab *l, const char *more)
{
	conf(l, more);
	sotto_site_reload(l->site);
	turn_until_change(l);
}

static enum sotto_site_answer answer(struct lab *l, const char *domain)
{
	enum sotto_site_answer a;

	for (time_t end = limit(); (a = sotto_site_transport(l->site, domain)) == SOTTO_SITE_UNKNOWN;) {
		assert_true(time(NULL) < end);
		event_base_loop(l->base, EVLOOP_ONCE);
	}
	return a;
}

struct result { unsigned calls; bool allowed; char why[256]; };

static void on_done(void *arg, bool allowed, const char *why)
{
	struct result *r = arg;

	r->calls++;
	r->allowed = allowed;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
}

static struct result checked(struct lab *l, const char *domain, unsigned ms)
{
	struct result r = { 0, false, "" };

	assert_non_null(sotto_site_check(l->site, domain, ms, on_done, &r));
	assert_int_equal(r.calls, 0);
	for (time_t end = limit(); r.calls == 0;) {
		assert_true(time(NULL) < end);
		event_base_loop(l->base, EVLOOP_ONCE);
	}
	return r;
}

/* ---- ------------------------------------------------------------------------------------------------------- */

static void stock_may_at_once(void **state)
{
	struct lab *l = *state;
	const struct sotto_site_facts *f = opened(l);

	assert_string_equal(f->why, "");
	assert_true(f->usable && f->ipv4 && f->ipv6 && !f->dane);
	assert_string_equal(f->myhostname, "mx.home.example");
	assert_int_equal(f->mail_owner, 0);
	assert_int_equal(sotto_site_transport(l->site, "Example.ORG."), SOTTO_SITE_MAY);
	assert_int_equal(sotto_site_transport(l->site, "HOME.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(access(path(l, "calls"), F_OK), -1);
}

static void odd_domains_are_left_alone(void **state)
{
	static const char *const odd[] = { "", ".", "localhost", "[192.0.2.1]", "192.0.2.1", "b\303\274cher.example", "a..b", ".a.b", "a b.org",
					   "a.org\nb.org", "*" };
	struct lab *l = *state;

	(void)opened(l);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_int_equal(sotto_site_transport(l->site, odd[i]), SOTTO_SITE_NATIVE);
}

static void each_of_these_settings_stops_all_of_it(void **state)
{
	static const char *const bad[] = {
		"relayhost = [relay.example]\n", "default_transport = smtp:[relay.example]\n", "default_transport = uucp\n",
		"sender_dependent_relayhost_maps = hash:/x\n", "sender_dependent_default_transport_maps = hash:/x\n",
		"multi_instance_directories = /etc/postfix-2\n", "multi_instance_name = out\n", "inet_protocols = ipv6\n",
		"smtp_tls_security_level = encrypt\n", "smtp_tls_security_level = dane-only\n", "smtp_tls_security_level = verify\n",
		"smtp_tls_security_level = secure\n", "smtp_tls_security_level = fingerprint\n", "smtp_tls_security_level = nonsense\n",
		"smtp_tls_security_level =\nsmtp_enforce_tls = yes\n", "smtp_tls_wrappermode = yes\n", "smtp_tls_per_site = hash:/x\n",
		"smtp_host_lookup = native\n", "disable_dns_lookups = yes\n", "smtp_dns_support_level = disabled\n",
		"smtp_dns_reply_filter = pcre:/x\n", "smtp_tcp_port = 2525\n", "use_srv_lookup = smtp\n",
		"smtp_sasl_auth_enable = yes\nsmtp_sender_dependent_authentication = yes\n", "address_verify_relayhost = [r.example]\n",
		"mail_owner = nobody-of-this-name\n", "smtp_bind_address = eth0\n", "inet_interfaces = mx.home.example\n",
		"transport_maps = socketmap:unix:private/sotto-map:transport, hash:@/none\n", "transport_maps = broken:/etc/t\n",
		"transport_maps = mute:x\n", "transport_maps = /etc/t\n", "mydestination = /nowhere/at/all\n", "mydestination = broken:/etc/t\n",
		"smtp_tls_policy_maps = broken:/etc/t\n", "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = broken:/etc/t\n",
	};
	struct lab *l = *state;

	assert_true(opened(l)->usable);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reread(l, bad[i]);
		if (sotto_site_facts(l->site)->usable)
			fail_msg("usable with %s", bad[i]);
		assert_non_null(strstr(sotto_site_facts(l->site)->why, "mail goes out as before"));
		assert_int_equal(sotto_site_transport(l->site, "example.org"), SOTTO_SITE_NATIVE);
		assert_false(checked(l, "example.org", 5000).allowed);
		reread(l, "");
		assert_true(sotto_site_facts(l->site)->usable);
	}
}

static void why_names_the_table_that_cannot_be_read(void **state)
{
	struct lab *l = *state;

	conf(l, "transport_maps = broken:/etc/postfix/transport\n");
	assert_non_null(strstr(opened(l)->why, "transport_maps: open database /etc/postfix/transport: Permission denied"));
}

static void overrides_in_master_cf_count(void **state)
{
	struct lab *l = *state;
	const struct sotto_site_facts *f;

	put(l, "over", "smtp/unix/smtp_bind_address = 192.0.2.7\nsmtp/unix/inet_protocols = ipv4\nrelay/unix/smtp_tls_security_level = encrypt\n"
		"smtp/unix/relayhost = [not.read.by.smtp]\n");
	f = opened(l);
	assert_true(f->usable && !f->ipv6);
	assert_string_equal(f->from4, "192.0.2.7");
	put(l, "over", "smtp/unix/smtp_tls_security_level = encrypt\n");
	reread(l, "");
	assert_false(f->usable);
	put(l, "over", "rewrite/unix/relayhost = [relay.example]\n");
	reread(l, "");
	assert_false(f->usable);
	put(l, "over", "");
	put(l, "services", "smtp       unix  -       -       y       -       -       smtp-wrapper\n");
	reread(l, "");
	assert_non_null(strstr(f->why, "smtp/unix"));
}

static void source_addresses_are_postfix_own(void **state)
{
	struct lab *l = *state;
	const struct sotto_site_facts *f;

	conf(l, "inet_interfaces = 192.0.2.1, [2001:db8::1]\n");
	f = opened(l);
	assert_string_equal(f->from4, "192.0.2.1");
	assert_string_equal(f->from6, "2001:db8::1");
	reread(l, "inet_interfaces = 192.0.2.1, 127.0.0.1\nsmtp_bind_address6 = [2001:db8::2]\n");
	assert_string_equal(f->from4, "");
	assert_string_equal(f->from6, "2001:db8::2");
	reread(l, "inet_interfaces = 127.0.0.1\n");
	assert_string_equal(f->from4, "");
}

static void lists_are_read_as_postfix_reads_them(void **state)
{
	struct lab *l = *state;

	put(l, "more", "# nothing\nfiled.example, two.example\n  three.example # and.example\n");
	put(l, "table", "tabled.example x\nrelayed.example x\n");
	conf(l, "mydestination = home.example, !not.example, not.example, @/more\nvirtual_mailbox_domains = hash:@/table\n"
		"relay_domains = rel.example, hash:@/table\nvirtual_alias_domains = Alias.Example\n");
	assert_true(opened(l)->usable);
	assert_int_equal(answer(l, "home.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "sub.home.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "not.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "filed.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "two.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "three.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "and.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "alias.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "tabled.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "sub.rel.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "a.b.relayed.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "other.example"), SOTTO_SITE_MAY);
	reread(l, "relay_domains = rel.example, .dot.example\nparent_domain_matches_subdomains =\nmyhostname = other\n");
	assert_int_equal(answer(l, "sub.rel.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "sub.dot.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "dot.example"), SOTTO_SITE_MAY);
}

static void transport_maps_decide_by_domain_parents_and_star(void **state)
{
	struct lab *l = *state;

	put(l, "t1", "one.example smtp:[relay]\n.two.example error:no\nfree.example :\nuser@full.example smtp:[r]\nthree.example x\n");
	put(l, "t2", "four.example slow:\nsmtp.example smtp:\n");
	conf(l, "transport_maps = hash:@/t1, proxy:hash:@/t2, pcre:@/t2, socketmap:unix:private/sotto-map:transport\n");
	assert_true(opened(l)->usable);
	assert_int_equal(sotto_site_transport(l->site, "one.example"), SOTTO_SITE_UNKNOWN);
	assert_int_equal(answer(l, "one.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "sub.one.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "a.b.two.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "two.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "four.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "full.example"), SOTTO_SITE_MAY);
	assert_int_equal(answer(l, "smtp.example"), SOTTO_SITE_MAY);
	put(l, "t1", "* smtp:[relay]\nfree.example :\n");
	reread(l, "transport_maps = hash:@/t1\nmyhostname = other\n");
	assert_int_equal(answer(l, "any.example"), SOTTO_SITE_NATIVE);
	assert_int_equal(answer(l, "free.example"), SOTTO_SITE_MAY);
}

static unsigned count_calls(struct lab *l)
{
	FILE *f = fopen(path(l, "calls"), "r");
	unsigned n = 0;

	for (int c; f != NULL && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static void many_domains_are_one_question_and_not_asked_again(void **state)
{
	struct lab *l = *state;
	char name[64];
	unsigned before;

	put(l, "t1", "x.example smtp:[relay]\n");
	conf(l, "transport_maps = hash:@/t1\n");
	assert_true(opened(l)->usable);
	assert_int_equal(answer(l, "first.example"), SOTTO_SITE_MAY);
	before = count_calls(l);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 300; i++) {
			(void)snprintf(name, sizeof(name), "d%d.example", i);
			if (round == 0)
				assert_int_equal(sotto_site_transport(l->site, name), SOTTO_SITE_UNKNOWN);
			else
				assert_int_equal(answer(l, name), SOTTO_SITE_MAY);
		}
	assert_int_equal(count_calls(l), before + 1);
}

static void a_changed_file_is_noticed(void **state)
{
	struct lab *l = *state;
	time_t end = limit();

	put(l, "t1", "x.example smtp:[relay]\n");
	conf(l, "transport_maps = hash:@/t1\n");
	assert_true(opened(l)->usable);
	assert_int_equal(answer(l, "y.example"), SOTTO_SITE_MAY);
	put(l, "t1", "y.example smtp:[relay]\n");
	while (answer(l, "y.example") != SOTTO_SITE_NATIVE) {
		assert_true(time(NULL) < end);
		event_base_loop(l->base, EVLOOP_ONCE);
	}
	conf(l, "relayhost = [r.example]\n");
	turn_until_change(l);
	assert_false(sotto_site_facts(l->site)->usable);
}

static void postconf_failing_is_not_usable_and_the_environment_is_clean(void **state)
{
	struct lab *l = *state;
	char line[256];
	FILE *f;

	assert_int_equal(setenv("SOTTO_TEST_LEAK", "1", 1), 0);
	assert_true(opened(l)->usable);
	f = fopen(path(l, "env"), "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		assert_null(strstr(line, "LEAK"));
	(void)fclose(f);
	put(l, "postconf-fails", "");
	reread(l, "");
	assert_false(sotto_site_facts(l->site)->usable);
	assert_non_null(strstr(sotto_site_facts(l->site)->why, "bad things"));
}

/* Postfix's programs sleep until main.cf has not been edited for a second or two. */
static void a_configuration_that_is_just_being_edited_is_waited_for(void **state)
{
	struct lab *l = *state;

	put(l, "edited", "");
	conf(l, "smtp_tls_policy_maps = slow:x\n");
	assert_true(opened(l)->usable);
}

static void policies_that_the_hop_would_not_keep_are_refused(void **state)
{
	struct lab *l = *state;

	put(l, "p", "enc.example encrypt\n.par.example secure match=x\nmay.example may\nnone.example none\nattr.example may ciphers=high\n"
		"dane.example dane\nodd.example what\n");
	/* ours in front, as the script that switches us on has it: it knows no domain */
	conf(l, "smtp_tls_policy_maps = socketmap:unix:private/sotto-map:tlspolicy, hash:@/p\n");
	assert_true(opened(l)->usable);
	assert_false(checked(l, "enc.example", 5000).allowed);
	assert_false(checked(l, "a.par.example", 5000).allowed);
	assert_false(checked(l, "none.example", 5000).allowed);
	assert_false(checked(l, "attr.example", 5000).allowed);
	assert_false(checked(l, "dane.example", 5000).allowed);
	assert_false(checked(l, "odd.example", 5000).allowed);
	assert_true(checked(l, "may.example", 5000).allowed);
	assert_true(checked(l, "par.example", 5000).allowed);
	assert_true(checked(l, "other.example", 5000).allowed);
	put(l, "p", "other.example encrypt\n");
	assert_false(checked(l, "other.example", 5000).allowed);
	reread(l, "smtp_tls_security_level = dane\nsmtp_tls_policy_maps = hash:@/p, socketmap:unix:private/sotto-map:tlspolicy\n");
	assert_true(sotto_site_facts(l->site)->usable && sotto_site_facts(l->site)->dane);
}

static void a_hanging_table_is_answered_no_in_time(void **state)
{
	struct lab *l = *state;
	struct result r;

	conf(l, "smtp_tls_policy_maps = hanging:x\n");
	assert_true(opened(l)->usable);
	put(l, "hang", "");
	r = checked(l, "example.org", 300);
	assert_false(r.allowed);
	assert_non_null(strstr(r.why, "in time"));
}

static const struct fake_rr zone[] = {
	{ "plain.example", FAKE_MX, 10, "mx.plain.example", NULL },
	{ "mx.plain.example", FAKE_A, 0, "192.0.2.10", NULL },
	{ "auth.example", FAKE_MX, 10, "mx.plain.example", NULL },
	{ "host.example", FAKE_MX, 10, "mx.host.example", NULL },
	{ "mx.host.example", FAKE_A, 0, "192.0.2.11", NULL },
	{ "discard.example", FAKE_MX, 10, "mx.discard.example", NULL },
	{ "mx.discard.example", FAKE_A, 0, "192.0.2.12", NULL },
	{ "pix.example", FAKE_MX, 10, "mx.plain.example", NULL },
	{ "pix.example", FAKE_MX, 20, "mx.pix.example", NULL },
	{ "mx.pix.example", FAKE_AAAA, 0, "2001:db8::13", NULL },
	{ "mute.example", FAKE_SILENT, 0, NULL, NULL },
	{ NULL, FAKE_EMPTY, 0, NULL, NULL },
};

static void passwords_and_workarounds_of_a_host_are_refused(void **state)
{
	struct lab *l = *state;
	struct fake_dns dns = { .zone = zone };

	fake_dns_start(&dns, l->base, zone);
	sotto_site_paths.dns = dns.servers;
	put(l, "s", "auth.example me:secret\nmx.host.example me:secret\n");
	put(l, "d", "192.0.2.12 chunking\n");
	put(l, "x", "2001:db8::13 disable_esmtp\n");
	conf(l, "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:@/s\nsmtp_discard_ehlo_keyword_address_maps = hash:@/d\n"
		"smtp_pix_workaround_maps = hash:@/x\n");
	assert_true(opened(l)->usable);
	assert_true(checked(l, "plain.example", 5000).allowed);
	assert_non_null(strstr(checked(l, "auth.example", 5000).why, "smtp_sasl_password_maps"));
	assert_non_null(strstr(checked(l, "host.example", 5000).why, "smtp_sasl_password_maps"));
	assert_non_null(strstr(checked(l, "discard.example", 5000).why, "smtp_discard_ehlo"));
	assert_non_null(strstr(checked(l, "pix.example", 5000).why, "smtp_pix"));
	assert_false(checked(l, "mute.example", 200).allowed);
	reread(l, "smtp_sasl_password_maps = hash:@/s\nmyhostname = passwords.not.used\n");
	dns.questions = 0;
	assert_true(checked(l, "auth.example", 5000).allowed);
	assert_int_equal(dns.questions, 0);
	fake_dns_stop(&dns);
	sotto_site_paths.dns = NULL;
}

static void a_cancelled_question_has_no_answer(void **state)
{
	struct lab *l = *state;
	struct result r = { 0, false, "" };

	(void)opened(l);
	sotto_site_cancel(sotto_site_check(l->site, "example.org", 100, on_done, &r));
	assert_true(checked(l, "example.org", 5000).allowed);
	assert_int_equal(r.calls, 0);
	assert_non_null(sotto_site_check(l->site, "example.org", 5000, on_done, &r));
	sotto_site_close(l->site);
	l->site = NULL;
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	assert_int_equal(r.calls, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stock_may_at_once), T(odd_domains_are_left_alone), T(each_of_these_settings_stops_all_of_it),
		T(why_names_the_table_that_cannot_be_read), T(overrides_in_master_cf_count), T(source_addresses_are_postfix_own),
		T(lists_are_read_as_postfix_reads_them), T(transport_maps_decide_by_domain_parents_and_star),
		T(many_domains_are_one_question_and_not_asked_again), T(a_changed_file_is_noticed),
		T(postconf_failing_is_not_usable_and_the_environment_is_clean), T(a_configuration_that_is_just_being_edited_is_waited_for),
		T(policies_that_the_hop_would_not_keep_are_refused),
		T(a_hanging_table_is_answered_no_in_time), T(passwords_and_workarounds_of_a_host_are_refused), T(a_cancelled_question_has_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
