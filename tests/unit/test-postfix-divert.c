/* SPDX-License-Identifier: ISC */
/* divert.h's promises: which mail takes the hop, and that nothing that is required, or the administrator's own, goes another way than it may. */
#include "tests/unit/folder-lab.h"

#include "core/runtime/hop.h"
#include "plugins/postfix-policy/divert.h"
#include "tests/unit/fake-site.h"

static struct sotto_policyd p;
static unsigned learnt, conf_changed;
static struct sotto_domain *last_learnt;

static void on_learnt(void *arg, struct sotto_domain *d)
{
	(void)arg;
	learnt++;
	last_learnt = d;
}

static void on_conf(void *arg)
{
	(void)arg;
	conf_changed++;
}

static int begin(void **state)
{
	static char conf[128], dir[64];
	const struct sotto_domains_config c = { .state = dir, .run = dir, .conf_dir = conf, .learnt = on_learnt, .conf_changed = on_conf };

	if (lab_begin(state) != 0)
		return -1;
	strcpy(dir, lab_dir);
	snprintf(conf, sizeof(conf), "%s/conf", lab_dir);
	memset(&p, 0, sizeof(p));
	sotto_conf_defaults(&p.conf);
	p.state = p.run = dir;
	p.port = 10027;
	snprintf(p.hop_dir, sizeof(p.hop_dir), "%s/hop", lab_dir);
	if (mkdir(conf, 0755) != 0)
		return -1;
	p.base = fake_site.base = event_base_new();
	fake_site.facts.usable = true;
	fake_site.answer = SOTTO_SITE_MAY;
	fake_site.asked = 0;
	learnt = conf_changed = 0;
	p.domains = sotto_domains_open(p.base, &c);
	return p.domains == NULL ? -1 : 0;
}

static int end(void **state)
{
	sotto_domains_close(p.domains);
	event_base_free(p.base);
	return lab_end(state);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void loop(void)
{
	(void)event_base_loop(p.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* The answer, without the netstring around it. Valid until the next call. */
static const char *transport(const char *key)
{
	static char reply[SOTTO_SOCKETMAP_REPLY + 1];
	size_t n = sotto_divert_transport(&p, key, strlen(key), time(NULL), reply);

	assert_true(n > 2 && reply[n - 1] == ',');
	reply[n - 1] = '\0';
	return strchr(reply, ':') + 1;
}

static const char *hop_of(const char *domain, bool required)
{
	static char text[512];
	struct in_addr a = sotto_hop_address(domain);

	snprintf(text, sizeof(text), "OK :[%s]:10027%s%s", inet_ntoa(a), required ? "" : ", ", required ? "" : domain);
	return text;
}

static void require(const char *line)
{
	lab_put("conf/require", line, strlen(line));
	loop();
}

static void mail_for_anybody_takes_the_hop_and_falls_through(void **state)
{
	char claimed[128];

	(void)state;
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	assert_string_equal(transport("a@b@EXAMPLE.org."), hop_of("example.org", false));
	assert_int_equal(sotto_hop_domain(p.hop_dir, sotto_hop_address("example.org"), claimed, sizeof(claimed)), 0);
	assert_string_equal(claimed, "example.org");
}

static void what_is_no_address_is_not_ours(void **state)
{
	static const char *const keys[] = { "*", "", "example.org", "bert@", "@", "bert@[192.0.2.1]", "bert@ex ample.org", "bert@.org",
					    "bert@b\xc3\xbc" "cher.example", "<>" };
	char far[400];

	(void)state;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(transport(keys[i]), "NOTFOUND ") != 0)
			fail_msg("taken: %s", keys[i]);
	memset(far, 'a', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	far[1] = '@';
	assert_string_equal(transport(far), "NOTFOUND ");
}

static void the_administrators_own_way_stays(void **state)
{
	(void)state;
	fake_site.answer = SOTTO_SITE_NATIVE;
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	require("example.org\n");
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

static void what_is_not_known_yet_goes_natively(void **state)
{
	(void)state;
	fake_site.answer = SOTTO_SITE_UNKNOWN;
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	fake_site.answer = SOTTO_SITE_MAY;
	fake_site.facts.usable = false;
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

/* ... but never where encryption is required: then nothing to fall through to is named, or the mail waits. */
static void what_is_required_never_falls_through(void **state)
{
	(void)state;
	require("example.org\n");
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", true));
	fake_site.answer = SOTTO_SITE_UNKNOWN;
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", true));
	fake_site.facts.usable = false;
	strcpy(fake_site.facts.why, "relayhost is set");
	assert_string_equal(transport("bert@example.org"),
			    "TEMP encryption (XSOTTO) is required for example.org, and not possible now: relayhost is set");
	assert_string_equal(transport("bert@example.com"), "NOTFOUND ");
	require("");
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

static void where_there_is_no_address_to_be_had_required_mail_waits(void **state)
{
	(void)state;
	snprintf(p.hop_dir, sizeof(p.hop_dir), "%s/no/where", lab_dir);
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	require("example.org\n");
	assert_memory_equal(transport("bert@example.org"), "TEMP ", 5);
}

static void of_two_domains_with_one_address_the_second_goes_natively(void **state)
{
	struct in_addr a = sotto_hop_address("example.org"), taken;
	char path[64];

	(void)state;
	assert_int_equal(sotto_hop_claim(p.hop_dir, "example.org", &taken), 0);
	/* as if it were another's: the file is read by hop.c, which has a test of real collisions */
	snprintf(path, sizeof(path), "hop/%s", inet_ntoa(a));
	assert_int_equal(unlink(lab_path(path)), 0);
	assert_int_equal(mkdir(lab_path(path), 0700), 0);
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

static void a_domain_that_does_not_offer_it_is_left_alone(void **state)
{
	(void)state;
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, time(NULL)), 0);
	loop();
	assert_int_equal(learnt, 1);
	assert_string_equal(last_learnt->name, "example.org");
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	assert_int_equal(unlink(lab_path("domains/example.org")), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, time(NULL) - 3601), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
}

static void one_that_is_required_is_not(void **state)
{
	(void)state;
	require("example.org\n");
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, time(NULL)), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", true));
}

static void what_was_remembered_before_the_start_counts(void **state)
{
	const struct sotto_domains_config c = { .state = p.state, .run = p.state, .conf_dir = "/nowhere", .learnt = on_learnt, .conf_changed = on_conf };

	(void)state;
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, time(NULL)), 0);
	sotto_domains_close(p.domains);
	p.domains = sotto_domains_open(p.base, &c);
	assert_non_null(p.domains);
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

static void exclude_and_off_mean_what_they_say(void **state)
{
	(void)state;
	lab_put("conf/exclude", ".example.org\n", 13);
	loop();
	assert_true(conf_changed > 0);
	assert_string_equal(transport("bert@sub.example.org"), "NOTFOUND ");
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	require("sub.example.org\n");
	assert_string_equal(transport("bert@sub.example.org"), hop_of("sub.example.org", true));
	p.conf.mode = SOTTO_MODE_OFF;
	assert_string_equal(transport("bert@sub.example.org"), "NOTFOUND ");
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	p.conf_broken = true;	/* nobody meant that */
	assert_string_equal(transport("bert@sub.example.org"), hop_of("sub.example.org", true));
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

/* One connection to find out, and none as long as that is known. */
static void to_observe_asks_once(void **state)
{
	(void)state;
	p.conf.mode = SOTTO_MODE_OBSERVE;
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_YES, time(NULL)), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

static void the_hops_tls_policy_is_what_was_found(void **state)
{
	char reply[SOTTO_SOCKETMAP_REPLY], key[64];
	size_t n;

	(void)state;
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	snprintf(key, sizeof(key), "[%s]:10027", inet_ntoa(sotto_hop_address("example.org")));
	n = sotto_divert_tls(&p, key, strlen(key), time(NULL), reply);
	assert_memory_equal(reply, "9:NOTFOUND ,", n);
	sotto_domains_get(p.domains, "example.org", 11)->tls = true;
	n = sotto_divert_tls(&p, key, strlen(key), time(NULL), reply);
	assert_memory_equal(reply, "10:OK encrypt,", n);
	for (unsigned i = 0; i < 5; i++) {
		static const char *const others[] = { "example.org", "[127.0.0.1]:25", "[192.0.2.1]", "[", "" };

		n = sotto_divert_tls(&p, others[i], strlen(others[i]), time(NULL), reply);
		assert_memory_equal(reply, "9:NOTFOUND ,", n);
	}
}

/* A session has found that the domain's mail server must not get mail in the clear: Postfix would, where it goes there without us. */
static void what_a_session_refused_does_not_go_natively(void **state)
{
	static const char *const same[] = { "example.org", "EXAMPLE.org." }, *const others[] = { "sub.example.org", ".org", "example.com" };
	char reply[SOTTO_SOCKETMAP_REPLY];
	size_t n;

	(void)state;
	sotto_domains_refuse(p.domains, sotto_domains_get(p.domains, "example.org", 11), true);
	for (unsigned i = 0; i < 2; i++) {
		n = sotto_divert_tls(&p, same[i], strlen(same[i]), time(NULL), reply);
		assert_memory_equal(reply, "55:OK secure match=encryption-by-sotto-is-required.invalid,", n);
	}
	for (unsigned i = 0; i < 3; i++) {
		n = sotto_divert_tls(&p, others[i], strlen(others[i]), time(NULL), reply);
		assert_memory_equal(reply, "9:NOTFOUND ,", n);
	}
	p.conf.mode = SOTTO_MODE_OFF;
	n = sotto_divert_tls(&p, "example.org", 11, time(NULL), reply);
	assert_memory_equal(reply, "9:NOTFOUND ,", n);
}

/* What was said of lists that are no more counts while Postfix may still come to where the session could not go, and not longer. */
static void a_refusal_ends_with_the_lists_that_it_was_for(void **state)
{
	struct sotto_domain *d = sotto_domains_get(p.domains, "example.org", 11);
	int64_t now = time(NULL);

	(void)state;
	sotto_domains_refuse(p.domains, d, true);
	d->sessions = 1;
	require("nobody.example\n");
	assert_true(sotto_domains_refused(p.domains, d, now));
	d->sessions = 0;
	d->ended = now;
	assert_true(sotto_domains_refused(p.domains, d, now + 5));
	assert_false(sotto_domains_refused(p.domains, d, now + 6));
	sotto_domains_refuse(p.domains, d, true);
	assert_true(sotto_domains_refused(p.domains, d, now + 86400));
	sotto_domains_refuse(p.domains, d, false);
	assert_false(sotto_domains_refused(p.domains, d, now));
}

/* The file may name the domain's mail server, which only a session finds out. */
static void a_no_from_before_the_file_require_is_not_believed(void **state)
{
	int64_t now = time(NULL);

	(void)state;
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, now - 60), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
	require("192.0.2.5\n");
	assert_string_equal(transport("bert@example.org"), hop_of("example.org", false));
	assert_int_equal(utimensat(AT_FDCWD, lab_path("conf/require"), (const struct timespec[2]){ { now - 30, 0 }, { now - 30, 0 } }, 0), 0);
	assert_int_equal(unlink(lab_path("domains/example.org")), 0);
	assert_int_equal(sotto_domain_note(lab_dir, "example.org", SOTTO_DOMAIN_NO, now), 0);
	loop();
	assert_string_equal(transport("bert@example.org"), "NOTFOUND ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(mail_for_anybody_takes_the_hop_and_falls_through),
		test(what_is_no_address_is_not_ours),
		test(the_administrators_own_way_stays),
		test(what_is_not_known_yet_goes_natively),
		test(what_is_required_never_falls_through),
		test(where_there_is_no_address_to_be_had_required_mail_waits),
		test(of_two_domains_with_one_address_the_second_goes_natively),
		test(a_domain_that_does_not_offer_it_is_left_alone),
		test(one_that_is_required_is_not),
		test(what_was_remembered_before_the_start_counts),
		test(exclude_and_off_mean_what_they_say),
		test(to_observe_asks_once),
		test(the_hops_tls_policy_is_what_was_found),
		test(what_a_session_refused_does_not_go_natively),
		test(a_refusal_ends_with_the_lists_that_it_was_for),
		test(a_no_from_before_the_file_require_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
