/* SPDX-License-Identifier: ISC */
/* known.h's promises about addresses of the hop: whose one is, also where the state cannot be read, and that none ever means another domain. */
#include "tests/unit/folder-lab.h"

#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/worker.h"

#define COLLIDING_A "example3826.example.org"	/* both have the same 22 bits */
#define COLLIDING_B "mail1440.example.org"
#define HUNG "/dev/null/no-state"		/* what disk.h says then */

/* What it keeps in memory outlasts a test: each has domains of its own. */
static struct sotto_worker w;

static void use_state(const char *state)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s", state);
	w.state = path;
	(void)snprintf(w.hop_dir, sizeof(w.hop_dir), "%s/hop", state);
}

/* A worker that has seen nobody, as one that has just been started. */
static int begin(void **state)
{
	if (lab_begin(state) != 0)
		return -1;
	sotto_log_open("test", true);
	(void)snprintf(w.conf_dir, sizeof(w.conf_dir), "%s", lab_dir);
	use_state(lab_path("state"));
	return mkdir(lab_path("state"), 0755);
}

static void require(const char *text)
{
	lab_put("require", text, strlen(text));
}

/* domain NULL: nobody's. */
static void assert_whose(const char *address_of, const char *domain)
{
	char got[300] = "";
	bool known = sotto_known_hop(&w, sotto_hop_address(address_of), got, sizeof(got));

	assert_int_equal(known, domain != NULL);
	if (domain != NULL)
		assert_string_equal(got, domain);
}

/* ---- by the file require ---- */

static void a_required_domain_has_its_address_where_the_disk_hangs(void **state)
{
	(void)state;
	require("# partners\nother.example\n  Partner.Example.  # sealed\n192.0.2.0/24\nwrong line\n");
	use_state(HUNG);
	assert_whose("partner.example", "partner.example");
	assert_whose("other.example", "other.example");
	assert_whose("stranger.example", NULL);
	assert_whose("line", NULL);
}

static void where_the_disk_answers_the_address_is_claimed(void **state)
{
	struct in_addr address = sotto_hop_address("new.example");
	char domain[300];

	(void)state;
	require("new.example\n");
	assert_whose("new.example", "new.example");
	assert_int_equal(sotto_hop_domain(w.hop_dir, address, domain, sizeof(domain)), 0);
	assert_string_equal(domain, "new.example");
}

static void what_names_no_single_domain_is_not_guessed_by(void **state)
{
	static const char *const entries[] = { "*\n", ".example\n", ".below.example\n", "192.0.2.1\n", "2001:db8::/32\n", "", "#all.below.example\n" };

	(void)state;
	use_state(HUNG);
	for (unsigned i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		require(entries[i]);
		assert_whose("all.below.example", NULL);
	}
	assert_int_equal(unlink(lab_path("require")), 0);
	assert_whose("all.below.example", NULL);
}

static void of_two_required_domains_with_one_address_neither_is_guessed(void **state)
{
	(void)state;
	use_state(HUNG);
	require(COLLIDING_A "\n" COLLIDING_B "\n");
	assert_whose(COLLIDING_A, NULL);
	require(COLLIDING_B "\n" COLLIDING_B ".\nMAIL1440.example.org\n");
	assert_whose(COLLIDING_A, COLLIDING_B);
}

static void what_the_disk_says_counts_before_what_is_required(void **state)
{
	struct in_addr hop;

	(void)state;
	sotto_known_claim(&w, COLLIDING_A);
	require(COLLIDING_B "\n");
	assert_int_equal(sotto_known_own(&w, COLLIDING_B, &hop), -EADDRINUSE);
	assert_whose(COLLIDING_B, COLLIDING_A);
}

/* ---- in memory ---- */

static void a_claim_that_cannot_be_written_is_kept_where_it_is_required(void **state)
{
	(void)state;
	require(".kept.example\n");
	use_state(HUNG);
	sotto_known_claim(&w, "a.kept.example");
	sotto_known_claim(&w, "not.example");
	assert_whose("a.kept.example", "a.kept.example");
	assert_whose("not.example", NULL);
	use_state(lab_path("state"));
	assert_whose("a.kept.example", "a.kept.example");
	assert_true(lab_exists("state/hop"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, lab_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_required_domain_has_its_address_where_the_disk_hangs),
		test(where_the_disk_answers_the_address_is_claimed),
		test(what_names_no_single_domain_is_not_guessed_by),
		test(of_two_required_domains_with_one_address_neither_is_guessed),
		test(what_the_disk_says_counts_before_what_is_required),
		test(a_claim_that_cannot_be_written_is_kept_where_it_is_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
