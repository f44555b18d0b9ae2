/* SPDX-License-Identifier: BSD-3-Clause */
/* The cursor over scattered bytes. */
#include "viaduct/iov.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char memory[16];

/* "abcd" in three pieces, with empty ones before, between and after. */
static const struct vd_iov scattered[] = {
	{memory + 9, 0}, {memory + 8, 1}, {memory, 0}, {memory, 2}, {memory + 12, 1}, {memory, 0},
};
static const size_t count = sizeof(scattered) / sizeof(scattered[0]);

static void fill(const char *text)
{
	memset(memory, '.', sizeof(memory));
	memory[8] = text[0];
	memory[0] = text[1];
	memory[1] = text[2];
	memory[12] = text[3];
}

static void pull_gathers_whatever_the_cuts(void **state)
{
	(void)state;
	fill("abcd");
	for (size_t step = 1; step <= 5; step++) {
		struct vd_cursor cursor;
		char text[8] = "";
		size_t got = 0;
		size_t n;

		vd_cursor_init(&cursor, scattered, count);
		while ((n = vd_cursor_pull(&cursor, text + got, step)) > 0)
			got += n;
		assert_int_equal(got, 4);
		assert_string_equal(text, "abcd");
		assert_int_equal(cursor.done, 4);
		assert_int_equal(vd_cursor_left(&cursor), 0);
	}
}

static void push_scatters_and_stops_at_the_end(void **state)
{
	struct vd_cursor cursor;

	(void)state;
	fill("----");
	vd_cursor_init(&cursor, scattered, count);
	assert_int_equal(vd_cursor_push(&cursor, "ab", 2), 2);
	assert_int_equal(cursor.done, 2);
	assert_int_equal(vd_cursor_push(&cursor, "cdef", 4), 2);
	assert_int_equal(vd_cursor_push(&cursor, "g", 1), 0);
	assert_int_equal(cursor.done, 4);
	assert_memory_equal(memory, "bc......a...d...", 16);
}

static void skip_passes_without_touching(void **state)
{
	struct vd_cursor cursor;
	char text[4] = "";

	(void)state;
	fill("abcd");
	vd_cursor_init(&cursor, scattered, count);
	assert_int_equal(vd_cursor_skip(&cursor, 3), 3);
	assert_int_equal(vd_cursor_left(&cursor), 1);
	assert_int_equal(vd_cursor_pull(&cursor, text, 4), 1);
	assert_string_equal(text, "d");
	assert_int_equal(vd_cursor_skip(&cursor, 1), 0);
	assert_int_equal(cursor.done, 4);
	assert_memory_equal(memory, "bc......a...d...", 16);
}

static void left_counts_from_everywhere(void **state)
{
	struct vd_cursor cursor;

	(void)state;
	vd_cursor_init(&cursor, scattered, count);
	for (size_t passed = 0; passed < 4; passed++) {
		assert_int_equal(vd_cursor_left(&cursor), 4 - passed);
		assert_int_equal(vd_cursor_skip(&cursor, 1), 1);
	}
	assert_int_equal(vd_cursor_left(&cursor), 0);
}

static void nothing_is_a_cursor_too(void **state)
{
	struct vd_cursor cursor;
	char c;

	(void)state;
	vd_cursor_init(&cursor, NULL, 0);
	assert_int_equal(vd_cursor_left(&cursor), 0);
	assert_int_equal(vd_cursor_pull(&cursor, &c, 1), 0);
	assert_int_equal(vd_cursor_push(&cursor, "x", 1), 0);
	assert_int_equal(vd_cursor_skip(&cursor, SIZE_MAX), 0);
	assert_int_equal(cursor.done, 0);
}

static void nothing_asked_is_nothing_done(void **state)
{
	struct vd_cursor cursor;

	(void)state;
	vd_cursor_init(&cursor, scattered, count);
	assert_int_equal(vd_cursor_pull(&cursor, NULL, 0), 0);
	assert_int_equal(vd_cursor_push(&cursor, NULL, 0), 0);
	assert_int_equal(vd_cursor_skip(&cursor, 0), 0);
	assert_int_equal(vd_cursor_left(&cursor), 4);
	assert_int_equal(vd_cursor_skip(&cursor, SIZE_MAX), 4);
}

static void prefetching_is_harmless_anywhere(void **state)
{
	(void)state;
	vd_prefetch_read(memory);
	vd_prefetch_write(memory);
	vd_prefetch_read(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pull_gathers_whatever_the_cuts),
		cmocka_unit_test(push_scatters_and_stops_at_the_end),
		cmocka_unit_test(skip_passes_without_touching),
		cmocka_unit_test(left_counts_from_everywhere),
		cmocka_unit_test(nothing_is_a_cursor_too),
		cmocka_unit_test(nothing_asked_is_nothing_done),
		cmocka_unit_test(prefetching_is_harmless_anywhere),
	};

	return cmocka_run_group_tests_name("iov", tests, NULL, NULL);
}
