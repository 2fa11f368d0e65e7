/* SPDX-License-Identifier: ISC */
/* What follows from sotto.conf, the lists and the memory of a peer, before a session begins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/random.h"
#include "core/runtime/addr.h"
#include "core/runtime/plan.h"
#include "core/runtime/state.h"

#define NOW 1800000000

struct lab {
	char dir[64], state[128];
	struct sockaddr_storage addr;
	struct sotto_plan_for f;
	struct sotto_conf conf;
	struct sotto_plan plan;
	char err[512];
};

static void write_file(const struct lab *l, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/sotto-test-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	(void)snprintf(l->state, sizeof(l->state), "%s/state", l->dir);
	assert_int_equal(mkdir(l->state, 0700), 0);
	assert_int_equal(sotto_addr_read(&l->addr, "192.0.2.2", 25), 0);
	l->f = (struct sotto_plan_for){ .role = SOTTO_CONNECT, .conf_dir = l->dir, .state = l->state, .redial = true,
					.who = { .domain = "b.example", .host = "mx.b.example", .addr = (struct sockaddr *)&l->addr } };
	sotto_conf_defaults(&l->conf);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *l = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", l->dir);
	assert_int_equal(system(command), 0);
	free(l);
	return 0;
}

static const struct sotto_session_config *plan(struct lab *l)
{
	sotto_plan_make(&l->plan, &l->f, &l->conf, NOW, l->err, sizeof(l->err));
	return &l->plan.session;
}

static void save(struct lab *l, const char *name, const struct sotto_peer_state *s)
{
	struct sotto_state_key key = { .addr = name == NULL ? l->f.who.addr : NULL, .name = name };

	assert_int_equal(sotto_state_save(l->state, &key, s), 0);
}

static void a_stranger_is_sealed_with_if_possible(void **state)
{
	struct lab *l = *state;
	const struct sotto_session_config *c = plan(l);

	assert_int_equal(c->use, SOTTO_USE_SEAL);
	assert_int_equal(c->clear, SOTTO_CLEAR_PASS);
	assert_true(c->redial && c->padding);
	assert_false(c->sealed_before || c->hide_starttls || c->enforce_identity || c->has_identity);
	assert_int_equal(c->known, 0);
	assert_string_equal(l->err, "");
}

static void the_modes_decide_what_is_used(void **state)
{
	struct lab *l = *state;

	l->conf.mode = SOTTO_MODE_OBSERVE;
	assert_int_equal(plan(l)->use, SOTTO_USE_OBSERVE);
	l->conf.mode = SOTTO_MODE_OFF;
	assert_int_equal(plan(l)->use, SOTTO_USE_OFF);
}

static void a_required_peer_is_never_served_in_the_clear(void **state)
{
	struct lab *l = *state;

	write_file(l, "require", "b.example\n");
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_451);
	assert_true(l->plan.required);
	write_file(l, "exclude", "b.example\n");
	assert_int_equal(plan(l)->use, SOTTO_USE_SEAL);
	assert_false(l->plan.excluded);
	l->f.native = true;
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_451);
	write_file(l, "require", "");
	l->f.require = true;
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_451);
}

/* "mode = off" is the administrator's word for all of it; a broken file is nobody's word. */
static void a_broken_conf_leaves_require_in_force(void **state)
{
	struct lab *l = *state;

	write_file(l, "require", "192.0.2.0/24\n");
	l->conf.mode = SOTTO_MODE_OFF;
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_PASS);
	l->f.broken = true;
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_451);
	assert_int_equal(plan(l)->use, SOTTO_USE_OFF);
}

static void an_excluded_peer_is_passed_through(void **state)
{
	struct lab *l = *state;

	write_file(l, "exclude", "mx.b.example\n");
	assert_int_equal(plan(l)->use, SOTTO_USE_OFF);
	assert_true(l->plan.excluded);
}

static void a_wrong_line_is_reported(void **state)
{
	struct lab *l = *state;

	write_file(l, "exclude", "not a name\nmx.b.example\n");
	assert_int_equal(plan(l)->use, SOTTO_USE_OFF);
	assert_non_null(strstr(l->err, "/exclude:1: "));
}

static void our_mail_server_goes_on_natively_where_it_can(void **state)
{
	struct lab *l = *state;

	l->f.native = true;
	assert_int_equal(plan(l)->clear, SOTTO_CLEAR_421);
}

static void a_peer_in_avoidance_is_passed_through_unless_required(void **state)
{
	struct lab *l = *state;
	struct sotto_peer_state s = { .seen = NOW };

	for (int i = 0; i < 3; i++)
		sotto_peer_state_apply(&s, SOTTO_EVENT_FAILED, NOW - 180 + 60 * i);
	save(l, NULL, &s);
	assert_int_equal(plan(l)->use, SOTTO_USE_OFF);
	assert_true(l->plan.avoided);
	/* with a mail server that goes on natively the peer hears an EHLO and a QUIT */
	l->f.native = true;
	assert_int_equal(plan(l)->use, SOTTO_USE_OBSERVE);
	assert_int_equal(l->plan.session.clear, SOTTO_CLEAR_421);
	l->f.require = true;
	assert_int_equal(plan(l)->use, SOTTO_USE_SEAL);
}

static void what_was_sealed_and_offered_before_is_known(void **state)
{
	struct lab *l = *state;
	struct sotto_peer_state s = { .seen = NOW };

	sotto_peer_state_apply(&s, SOTTO_EVENT_OFFERED, NOW - 10);
	sotto_peer_state_apply(&s, SOTTO_EVENT_SEALED, NOW - 10);
	save(l, NULL, &s);
	assert_true(plan(l)->sealed_before);
	assert_true(l->plan.offered_before);
}

/* PROTOCOL.md 7: keys count under the address, the MX's name and the domain; each once. */
static void keys_are_known_by_address_and_name(void **state)
{
	struct lab *l = *state;
	static const uint8_t a[32] = { 1 }, b[32] = { 2 }, c[32] = { 3 };
	struct sotto_peer_state s = { .seen = NOW };

	(void)sotto_peer_state_see_key(&s, a, NOW);
	save(l, NULL, &s);
	(void)sotto_peer_state_see_key(&s, b, NOW);
	save(l, "mx.b.example", &s);
	(void)sotto_peer_state_see_key(&s, c, NOW);
	save(l, "b.example", &s);
	assert_int_equal(plan(l)->known, 3);
	l->conf.pin = SOTTO_PIN_ENFORCE;
	assert_true(plan(l)->enforce_identity);
	l->conf.pin = SOTTO_PIN_OFF;
	assert_int_equal(plan(l)->known, 0);
	assert_false(l->plan.session.enforce_identity);
}

static void starttls_is_hidden_only_where_nobody_needs_it(void **state)
{
	struct lab *l = *state;

	l->conf.skip_starttls = true;
	assert_true(plan(l)->hide_starttls);
	l->f.keep_starttls = true;
	assert_false(plan(l)->hide_starttls);
}

/* The server shows its key; without a place to keep it, it seals all the same. */
static void a_server_has_an_identity_if_it_can_keep_one(void **state)
{
	struct lab *l = *state;
	uint8_t first[32];

	l->f.role = SOTTO_ACCEPT;
	assert_true(plan(l)->has_identity);
	memcpy(first, l->plan.session.identity, 32);
	assert_true(plan(l)->has_identity);
	assert_memory_equal(l->plan.session.identity, first, 32);
	assert_int_equal(l->plan.identity_error, 0);
	l->f.state = "/nowhere/at/all";
	assert_false(plan(l)->has_identity);
	assert_int_equal(l->plan.identity_error, -ENOENT);
	assert_int_equal(l->plan.session.use, SOTTO_USE_SEAL);
}

/* Kept in memory, it is shown where the file cannot be had; but not where the file says that it must not be. */
static void a_key_that_was_read_outlasts_a_disk_that_hangs(void **state)
{
	static const uint8_t none[32];
	struct lab *l = *state;
	uint8_t kept[32] = { 0 }, first[32];
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/identity", l->state);
	l->f.role = SOTTO_ACCEPT;
	l->f.identity = kept;
	l->f.state = "/dev/null/no-state";
	assert_false(plan(l)->has_identity);
	assert_int_equal(l->plan.identity_error, -ENOTDIR);
	l->f.state = l->state;
	assert_true(plan(l)->has_identity);
	memcpy(first, l->plan.session.identity, 32);
	l->f.state = "/dev/null/no-state";
	assert_true(plan(l)->has_identity);
	assert_int_equal(l->plan.identity_error, 0);
	assert_memory_equal(l->plan.session.identity, first, 32);
	/* another one in its place */
	l->f.state = l->state;
	assert_int_equal(unlink(path), 0);
	assert_true(plan(l)->has_identity);
	assert_memory_not_equal(l->plan.session.identity, first, 32);
	assert_memory_equal(l->plan.session.identity, kept, 32);
	/* one that others may have read */
	assert_int_equal(chmod(path, 0644), 0);
	assert_false(plan(l)->has_identity);
	assert_int_equal(l->plan.identity_error, -EPERM);
	l->f.state = "/dev/null/no-state";
	assert_false(plan(l)->has_identity);
	assert_memory_equal(l->plan.session.identity, none, 32);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_stranger_is_sealed_with_if_possible), T(the_modes_decide_what_is_used),
		T(a_required_peer_is_never_served_in_the_clear), T(a_broken_conf_leaves_require_in_force),
		T(an_excluded_peer_is_passed_through), T(a_wrong_line_is_reported),
		T(our_mail_server_goes_on_natively_where_it_can), T(a_peer_in_avoidance_is_passed_through_unless_required),
		T(what_was_sealed_and_offered_before_is_known), T(keys_are_known_by_address_and_name),
		T(starttls_is_hidden_only_where_nobody_needs_it), T(a_server_has_an_identity_if_it_can_keep_one),
		T(a_key_that_was_read_outlasts_a_disk_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
