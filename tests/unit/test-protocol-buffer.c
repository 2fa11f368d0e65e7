/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-buffer.c - the bounded buffer: nothing lost, nothing beyond, held octets stay.
 */
#include "tests/unit/protocol-octets.h"

#include "core/protocol/buffer.h"

static void octets_leave_in_the_order_in_which_they_came(void **state)
{
	uint8_t store[64], in = 0, out = 0;
	struct sotto_buffer b;

	(void)state;
	sotto_buffer_init(&b, store, sizeof(store));
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = dice(sotto_buffer_free(&b) + 1);
		uint8_t *tail = sotto_buffer_tail(&b);

		for (size_t i = 0; i < n; i++)
			tail[i] = in++;
		sotto_buffer_filled(&b, n);
		n = dice(sotto_buffer_len(&b) + 1);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(sotto_buffer_head(&b)[i], out++);
		sotto_buffer_take(&b, n);
		assert_int_equal(sotto_buffer_len(&b) + sotto_buffer_free(&b), sizeof(store));
		assert_int_equal(sotto_buffer_len(&b), (uint8_t)(in - out));
	}
}

static void the_whole_free_space_lies_behind_the_tail(void **state)
{
	uint8_t *store = malloc(10);
	struct sotto_buffer b;

	(void)state;
	sotto_buffer_init(&b, store, 10);
	assert_true(sotto_buffer_put(&b, "0123456789", 10));
	sotto_buffer_take(&b, 9);
	assert_int_equal(sotto_buffer_free(&b), 9);
	memset(sotto_buffer_tail(&b), 'x', 9);
	sotto_buffer_filled(&b, 9);
	assert_memory_equal(sotto_buffer_head(&b), "9xxxxxxxxx", 10);
	free(store);
}

static void what_does_not_fit_is_not_put_at_all(void **state)
{
	uint8_t store[8];
	struct sotto_buffer b;

	(void)state;
	sotto_buffer_init(&b, store, sizeof(store));
	assert_true(sotto_buffer_put(&b, "12345", 5));
	assert_false(sotto_buffer_put(&b, "6789", 4));
	assert_int_equal(sotto_buffer_len(&b), 5);
	assert_true(sotto_buffer_put(&b, "678", 3));
	assert_false(sotto_buffer_put(&b, "9", 1));
	assert_true(sotto_buffer_put(&b, NULL, 0));
	assert_memory_equal(sotto_buffer_head(&b), "12345678", 8);
}

static void held_octets_are_not_ready_do_not_move_and_can_be_dropped(void **state)
{
	uint8_t one[8], two[8];
	struct sotto_buffer from, to;

	(void)state;
	sotto_buffer_init(&from, one, sizeof(one));
	sotto_buffer_init(&to, two, sizeof(two));
	assert_true(sotto_buffer_put(&from, "abcHELD", 7));
	from.held = 4;
	assert_int_equal(sotto_buffer_ready(&from), 3);
	assert_int_equal(sotto_buffer_move(&to, &from), 3);
	assert_int_equal(sotto_buffer_move(&to, &from), 0);
	assert_memory_equal(sotto_buffer_head(&to), "abc", 3);
	assert_int_equal(sotto_buffer_len(&from), 4);
	sotto_buffer_drop_held(&from);
	assert_int_equal(sotto_buffer_len(&from), 0);
	assert_int_equal(sotto_buffer_free(&from), 8);
}

static void a_move_takes_no_more_than_fits(void **state)
{
	uint8_t one[8], two[3];
	struct sotto_buffer from, to;

	(void)state;
	sotto_buffer_init(&from, one, sizeof(one));
	sotto_buffer_init(&to, two, sizeof(two));
	assert_true(sotto_buffer_put(&from, "abcdef", 6));
	assert_int_equal(sotto_buffer_move(&to, &from), 3);
	assert_int_equal(sotto_buffer_move(&to, &from), 0);
	sotto_buffer_take(&to, 2);
	assert_int_equal(sotto_buffer_move(&to, &from), 2);
	assert_memory_equal(sotto_buffer_head(&to), "cde", 3);
	assert_memory_equal(sotto_buffer_head(&from), "f", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_leave_in_the_order_in_which_they_came),
		cmocka_unit_test(the_whole_free_space_lies_behind_the_tail),
		cmocka_unit_test(what_does_not_fit_is_not_put_at_all),
		cmocka_unit_test(held_octets_are_not_ready_do_not_move_and_can_be_dropped),
		cmocka_unit_test(a_move_takes_no_more_than_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
