/* SPDX-License-Identifier: ISC */
/* state.h's promises about avoidance and keys: PROTOCOL.md 7 and 8, and what the clock may do to them. No file is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/state.h"

#define T0 1700000000
#define MIN 60
#define YEAR (365 * 86400)

#define FAILED SOTTO_EVENT_FAILED
#define SILENT SOTTO_EVENT_SILENT

static struct sotto_peer_state s;

static int begin(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	return 0;
}

static void apply(enum sotto_state_event event, int64_t now)
{
	sotto_peer_state_apply(&s, event, now);
}

/* Three failures, two minutes apart, the last of them at T0. */
static void three(enum sotto_state_event event)
{
	apply(event, T0 - 4 * MIN);
	apply(event, T0 - 2 * MIN);
	apply(event, T0);
}

/* Avoided from now for that long, and not a second longer. */
static void expect_avoided_for(int64_t now, int64_t seconds)
{
	assert_true(sotto_peer_state_avoided(&s, now));
	assert_true(sotto_peer_state_avoided(&s, now + seconds - 1));
	assert_false(sotto_peer_state_avoided(&s, now + seconds));
}

static void two_failures_do_not_avoid_and_three_do(void **state)
{
	(void)state;
	assert_false(sotto_peer_state_avoided(&s, T0));
	apply(FAILED, T0);
	apply(FAILED, T0 + MIN);
	assert_false(sotto_peer_state_avoided(&s, T0 + MIN));
	apply(FAILED, T0 + 2 * MIN);
	expect_avoided_for(T0 + 2 * MIN, 10 * MIN);
}

static void failures_within_a_minute_count_once(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		apply(FAILED, T0 + i);
	assert_int_equal(s.failures, 1);
	apply(FAILED, T0 + 60);
	assert_int_equal(s.failures, 2);
	apply(FAILED, T0 + 119);
	assert_int_equal(s.failures, 2);
	assert_false(sotto_peer_state_avoided(&s, T0 + 119));
	assert_int_equal(s.seen, T0 + 119);
}

static void the_next_failure_after_an_avoidance_doubles_it_up_to_six_hours(void **state)
{
	static const int minutes[] = { 10, 20, 40, 80, 160, 320, 360, 360, 360 };
	int64_t now = T0;

	(void)state;
	three(FAILED);
	for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		if (i > 0)
			apply(FAILED, now);
		expect_avoided_for(now, minutes[i] * MIN);
		now += minutes[i] * MIN;
	}
}

static void who_has_ever_sealed_is_avoided_for_an_hour_at_most(void **state)
{
	static const int minutes[] = { 10, 20, 40, 60, 60, 60 };
	int64_t now = T0;

	(void)state;
	apply(SOTTO_EVENT_SEALED, T0 - YEAR);
	three(FAILED);
	for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		if (i > 0)
			apply(FAILED, now);
		expect_avoided_for(now, minutes[i] * MIN);
		now += minutes[i] * MIN;
	}
}

static void silence_alone_is_ten_minutes_however_often(void **state)
{
	int64_t now = T0;

	(void)state;
	three(SILENT);
	for (int i = 0; i < 100; i++) {
		if (i > 0)
			apply(SILENT, now);
		expect_avoided_for(now, 10 * MIN);
		now += 10 * MIN;
	}
	/* All that silence does not make the first real failure worse than a second avoidance. */
	apply(FAILED, now);
	expect_avoided_for(now, 20 * MIN);
	apply(SILENT, now + 20 * MIN);
	expect_avoided_for(now + 20 * MIN, 40 * MIN);
}

static void one_failure_that_was_not_silence_ends_the_grace(void **state)
{
	(void)state;
	for (int odd = 0; odd < 3; odd++) {
		memset(&s, 0, sizeof(s));
		for (int i = 0; i < 3; i++)
			apply(i == odd ? FAILED : SILENT, T0 + i * MIN);
		apply(SILENT, T0 + 60 * MIN);
		expect_avoided_for(T0 + 60 * MIN, 20 * MIN);
	}
}

static void one_success_clears_everything(void **state)
{
	(void)state;
	three(FAILED);
	apply(FAILED, T0 + 20 * MIN);
	apply(SOTTO_EVENT_SEALED, T0 + 21 * MIN);
	assert_false(sotto_peer_state_avoided(&s, T0 + 21 * MIN));
	assert_int_equal(s.sealed, T0 + 21 * MIN);
	apply(FAILED, T0 + 30 * MIN);
	apply(FAILED, T0 + 31 * MIN);
	assert_false(sotto_peer_state_avoided(&s, T0 + 31 * MIN));
	apply(FAILED, T0 + 32 * MIN);
	expect_avoided_for(T0 + 32 * MIN, 10 * MIN);
}

static void a_success_between_failures_begins_the_row_anew(void **state)
{
	(void)state;
	apply(FAILED, T0);
	apply(FAILED, T0 + MIN);
	apply(SOTTO_EVENT_SEALED, T0 + 2 * MIN);
	apply(FAILED, T0 + 2 * MIN + 1);
	assert_int_equal(s.failures, 1);
	assert_false(sotto_peer_state_avoided(&s, T0 + 2 * MIN + 1));
}

static void an_offer_clears_nothing_and_is_remembered(void **state)
{
	(void)state;
	three(FAILED);
	apply(SOTTO_EVENT_OFFERED, T0 + 1);
	assert_true(s.offered);
	assert_int_equal(s.offer_seen, T0 + 1);
	apply(SOTTO_EVENT_NOT_OFFERED, T0 + 2);
	assert_false(s.offered);
	assert_int_equal(s.offer_seen, T0 + 2);
	assert_int_equal(s.seen, T0 + 2);
	assert_int_equal(s.failures, 3);
	expect_avoided_for(T0 + 2, 10 * MIN - 2);
}

static void failures_while_avoided_change_nothing(void **state)
{
	(void)state;
	three(FAILED);
	for (int i = 1; i < 10; i++)
		apply(FAILED, T0 + i * MIN);
	assert_int_equal(s.failures, 3);
	expect_avoided_for(T0, 10 * MIN);
}

static void a_clock_set_back_ends_an_avoidance(void **state)
{
	(void)state;
	three(FAILED);
	assert_false(sotto_peer_state_avoided(&s, T0 - YEAR));
	assert_false(sotto_peer_state_avoided(&s, T0 - 1));
	assert_false(sotto_peer_state_avoided(&s, 0));
	assert_false(sotto_peer_state_avoided(&s, -1));
	assert_false(sotto_peer_state_avoided(&s, INT64_MIN));
	assert_false(sotto_peer_state_avoided(&s, T0 + YEAR));
	assert_false(sotto_peer_state_avoided(&s, INT64_MAX));
}

static void a_clock_set_back_does_not_keep_failures_from_counting(void **state)
{
	(void)state;
	apply(FAILED, T0 + YEAR);
	apply(FAILED, T0);
	assert_int_equal(s.failures, 2);
	apply(FAILED, T0 + MIN);
	expect_avoided_for(T0 + MIN, 10 * MIN);
}

static void an_avoidance_from_a_year_ahead_is_followed_by_one_of_now(void **state)
{
	(void)state;
	apply(FAILED, T0 + YEAR);
	apply(FAILED, T0 + YEAR + MIN);
	apply(FAILED, T0 + YEAR + 2 * MIN);
	assert_true(sotto_peer_state_avoided(&s, T0 + YEAR + 2 * MIN));
	assert_false(sotto_peer_state_avoided(&s, T0));
	apply(FAILED, T0);
	expect_avoided_for(T0, 20 * MIN);
}

static void a_clock_set_forward_and_back_never_avoids_longer_than_the_maximum(void **state)
{
	int64_t now = T0;

	(void)state;
	three(FAILED);
	for (int i = 0; i < 200; i++) {
		now += i % 3 == 0 ? YEAR : i % 3 == 1 ? -YEAR : 7 * MIN;
		apply(i % 2 == 0 ? FAILED : SILENT, now);
		assert_false(sotto_peer_state_avoided(&s, now + 6 * 3600));
		assert_true(s.avoid_until <= now + 6 * 3600 || !sotto_peer_state_avoided(&s, now));
	}
}

static void any_state_and_any_clock_are_harmless(void **state)
{
	static const int64_t odd[] = { INT64_MIN, -1, 0, 1, T0, INT64_MAX / 2, INT64_MAX - 6 * 3600 };
	const size_t n = sizeof(odd) / sizeof(odd[0]);

	(void)state;
	for (size_t i = 0; i < n * n * n; i++) {
		s = (struct sotto_peer_state){ .failures = UINT32_MAX, .avoidances = UINT32_MAX, .failed = odd[i % n],
					       .avoid_until = odd[i / n % n] };
		(void)sotto_peer_state_avoided(&s, odd[i / n / n]);
		apply(FAILED, odd[i / n / n]);
		assert_true(s.failures != 0 && s.avoidances != 0);
	}
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool see(int which, int64_t now)
{
	uint8_t key[32] = { (uint8_t)which, 1 };

	return sotto_peer_state_see_key(&s, key, now);
}

static void a_key_is_known_from_the_second_time_on(void **state)
{
	(void)state;
	assert_false(see(1, T0));
	assert_false(see(2, T0 + 1));
	assert_true(see(1, T0 + 2));
	assert_int_equal(s.n_keys, 2);
	assert_int_equal(s.keys[0].seen, T0 + 2);
	assert_int_equal(s.seen, T0 + 2);
}

static void the_ninth_key_takes_the_place_of_the_one_seen_longest_ago(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		assert_false(see(i, T0 + i));
	assert_true(see(0, T0 + 100));	/* so that it is 1 */
	assert_false(see(8, T0 + 101));
	assert_int_equal(s.n_keys, 8);
	for (int i = 0; i <= 8; i++)
		if (i != 1)
			assert_true(see(i, T0 + 102));
	assert_false(see(1, T0 + 103));
	assert_int_equal(s.n_keys, 8);
}

#define t(f) cmocka_unit_test_setup(f, begin)

static void one_fallback_a_minute_is_told_and_the_others_are_counted(void **state)
{
	unsigned withheld = 99;

	(void)state;
	assert_true(sotto_peer_state_tell(&s, T0, &withheld));
	assert_int_equal(withheld, 0);
	assert_false(sotto_peer_state_tell(&s, T0, &withheld));
	assert_false(sotto_peer_state_tell(&s, T0 + 59, &withheld));
	assert_true(sotto_peer_state_tell(&s, T0 + 60, &withheld));
	assert_int_equal(withheld, 2);
	/* the clock goes back by a year */
	assert_true(sotto_peer_state_tell(&s, T0 - 365 * 86400, &withheld));
	assert_int_equal(withheld, 0);
}

static void what_was_not_offered_is_believed_for_an_hour(void **state)
{
	(void)state;
	assert_false(sotto_peer_state_declined(&s, T0));
	apply(SOTTO_EVENT_NOT_OFFERED, T0);
	assert_true(sotto_peer_state_declined(&s, T0));
	assert_true(sotto_peer_state_declined(&s, T0 + SOTTO_PEER_NO_S - 1));
	assert_false(sotto_peer_state_declined(&s, T0 + SOTTO_PEER_NO_S));
	assert_false(sotto_peer_state_declined(&s, T0 - 1));	/* the clock was set back */
	apply(SOTTO_EVENT_OFFERED, T0 + 1);
	assert_false(sotto_peer_state_declined(&s, T0 + 1));
	apply(SOTTO_EVENT_SEALED, T0 + 2);
	apply(SOTTO_EVENT_NOT_OFFERED, T0 + 3);
	assert_false(sotto_peer_state_declined(&s, T0 + 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(one_fallback_a_minute_is_told_and_the_others_are_counted),
		t(two_failures_do_not_avoid_and_three_do),
		t(failures_within_a_minute_count_once),
		t(the_next_failure_after_an_avoidance_doubles_it_up_to_six_hours),
		t(who_has_ever_sealed_is_avoided_for_an_hour_at_most),
		t(silence_alone_is_ten_minutes_however_often),
		t(one_failure_that_was_not_silence_ends_the_grace),
		t(one_success_clears_everything),
		t(a_success_between_failures_begins_the_row_anew),
		t(an_offer_clears_nothing_and_is_remembered),
		t(failures_while_avoided_change_nothing),
		t(a_clock_set_back_ends_an_avoidance),
		t(a_clock_set_back_does_not_keep_failures_from_counting),
		t(an_avoidance_from_a_year_ahead_is_followed_by_one_of_now),
		t(a_clock_set_forward_and_back_never_avoids_longer_than_the_maximum),
		t(any_state_and_any_clock_are_harmless),
		t(a_key_is_known_from_the_second_time_on),
		t(the_ninth_key_takes_the_place_of_the_one_seen_longest_ago),
		t(what_was_not_offered_is_believed_for_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
