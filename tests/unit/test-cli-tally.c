/* SPDX-License-Identifier: ISC */
/* tally.h's promises: each session is one of its kinds, and totals only grow, whatever becomes of the counters. */
#include "tests/unit/folder-lab.h"

#include "core/cli/tally.h"

static struct sotto_counted session(enum sotto_counted_outcome outcome, unsigned flags)
{
	return (struct sotto_counted){ .adapter = SOTTO_COUNTED_EXIM, .outcome = outcome, .flags = flags, .at = 1700000000, .exchange_ms = 5, .sent = 10, .received = 20 };
}

static void add(unsigned n, struct sotto_counted c)
{
	while (n-- > 0)
		assert_int_equal(sotto_counters_add(lab_dir, &c), 0);
}

static int64_t sealed(void)
{
	struct sotto_tally t[SOTTO_COUNTED_ADAPTERS];

	assert_int_equal(sotto_tally_totals(lab_dir, t), 0);
	return t[SOTTO_COUNTED_EXIM].ways[SOTTO_TALLY_OUT].kinds[SOTTO_TALLY_SEALED];
}

static void each_session_is_one_of_its_kinds(void **state)
{
	static const struct { enum sotto_counted_outcome outcome; unsigned flags; enum sotto_tally_kind kind; } cases[] = {
		{ SOTTO_COUNTED_SEALED, 0, SOTTO_TALLY_SEALED }, { SOTTO_COUNTED_CLEAR, 0, SOTTO_TALLY_CLEAR },
		{ SOTTO_COUNTED_CLEAR, SOTTO_COUNTED_STARTTLS, SOTTO_TALLY_STARTTLS }, { SOTTO_COUNTED_REFUSED, 0, SOTTO_TALLY_REFUSED },
		{ SOTTO_COUNTED_NATIVE, 0, SOTTO_TALLY_NATIVE }, { SOTTO_COUNTED_NONE, SOTTO_COUNTED_CUT, SOTTO_TALLY_NONE },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sotto_counted c = session(cases[i].outcome, cases[i].flags);
		struct sotto_tally t = { 0 };

		c.inbound = true;
		sotto_tally_add(&t, &c);
		for (unsigned k = 0; k < SOTTO_TALLY_KINDS; k++)
			assert_int_equal(t.ways[SOTTO_TALLY_IN].kinds[k], k == cases[i].kind);
		assert_int_equal(t.ways[SOTTO_TALLY_IN].sent, 10);
		assert_int_equal(t.ways[SOTTO_TALLY_IN].exchanges, cases[i].kind == SOTTO_TALLY_SEALED);
		assert_int_equal(t.ways[SOTTO_TALLY_OUT].sent, 0);
	}
}

static void events_are_counted_each(void **state)
{
	struct sotto_counted c = session(SOTTO_COUNTED_CLEAR, SOTTO_COUNTED_FELL_BACK | SOTTO_COUNTED_DOWNGRADE);
	struct sotto_tally t = { 0 };

	(void)state;
	sotto_tally_add(&t, &c);
	assert_int_equal(t.ways[SOTTO_TALLY_OUT].events[SOTTO_TALLY_FALLBACK], 1);
	assert_int_equal(t.ways[SOTTO_TALLY_OUT].events[SOTTO_TALLY_DOWNGRADE], 1);
	assert_int_equal(t.ways[SOTTO_TALLY_OUT].events[SOTTO_TALLY_LOST], 0);
}

static void totals_only_grow(void **state)
{
	struct sotto_counted c = session(SOTTO_COUNTED_SEALED, 0);

	(void)state;
	assert_int_equal(sealed(), 0);
	add(3, c);
	assert_int_equal(sealed(), 3);
	assert_int_equal(sealed(), 3);
	/* the counters begin a new file, twice: what has left them is kept */
	add(1, c);
	assert_int_equal(rename(lab_path("counters"), lab_path("counters.1")), 0);
	add(2, c);
	assert_int_equal(sealed(), 6);
	assert_int_equal(rename(lab_path("counters"), lab_path("counters.1")), 0);
	add(1, c);
	assert_int_equal(sealed(), 7);
	c.adapter = SOTTO_COUNTED_POSTFIX;
	add(5, c);
	assert_int_equal(sealed(), 7);
}

static void where_totals_are_damaged_the_counters_are_what_there_is(void **state)
{
	char text[5000];
	size_t n;

	(void)state;
	add(4, session(SOTTO_COUNTED_SEALED, 0));
	assert_int_equal(sealed(), 4);
	n = lab_get("totals", text, sizeof(text));
	assert_true(n > 0 && n < sizeof(text));
	text[n / 2] ^= 1;
	lab_put("totals", text, n);
	assert_int_equal(sealed(), 4);
}

static void the_largest_sums_can_be_read_again(void **state)
{
	struct sotto_counted c = session(SOTTO_COUNTED_SEALED, 0xffff);
	struct sotto_tally t[SOTTO_COUNTED_ADAPTERS];

	(void)state;
	c.sent = c.received = UINT64_MAX;
	for (unsigned a = 0; a < SOTTO_COUNTED_ADAPTERS; a++) {
		c.adapter = (enum sotto_counted_adapter)a;
		for (unsigned way = 0; way < 2; way++) {
			c.inbound = way == 1;
			add(1, c);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sotto_tally_totals(lab_dir, t), 0);
		assert_true(t[1].ways[1].sent == INT64_MAX / 2 && t[1].ways[1].kinds[SOTTO_TALLY_SEALED] == 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(each_session_is_one_of_its_kinds),
		lab_test(events_are_counted_each),
		lab_test(totals_only_grow),
		lab_test(where_totals_are_damaged_the_counters_are_what_there_is),
		lab_test(the_largest_sums_can_be_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
