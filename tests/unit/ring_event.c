/* SPDX-License-Identifier: BSD-3-Clause */
/* Event indexes and positions in a packed ring, against counts that never wrap. */
#include "ring/event.h"
#include "ring/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The definition: one of the entries @before .. @now - 1 has the index @event. */
static bool really_passed(uint16_t event, uint32_t now, uint32_t before)
{
	for (uint32_t i = before; i != now; i++)
		if ((uint16_t)i == event)
			return true;
	return false;
}

static void an_event_is_passed_exactly_when_an_entry_has_its_index(void **state)
{
	static const uint32_t starts[] = {0, 1, 100, 32767, 32768, 65530, 65535, 65536, 131070};

	(void)state;
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (uint32_t moved = 0; moved < 20; moved++)
			for (uint32_t event = starts[s] - 3; event != starts[s] + 24; event++)
				assert_int_equal(vd_event_passed((uint16_t)event,
								 (uint16_t)(starts[s] + moved),
								 (uint16_t)starts[s]),
						 really_passed((uint16_t)event, starts[s] + moved,
							       starts[s]));
}

static void an_event_is_passed_by_the_largest_steps_too(void **state)
{
	(void)state;
	assert_true(vd_event_passed(0, 32768, 0));
	assert_true(vd_event_passed(32767, 32768, 0));
	assert_false(vd_event_passed(32768, 32768, 0));
	assert_true(vd_event_passed(65534, 65535, 0));
	assert_false(vd_event_passed(65535, 65535, 0));
	assert_true(vd_event_passed(0, 65535, 0));
}

/* Slots and wrap counter of a count that never wraps. */
static uint16_t position(uint32_t count, uint16_t size)
{
	return (uint16_t)(count % size | (count / size % 2 == 0 ? 0x8000u : 0));
}

static bool really_passed_packed(uint32_t event, uint32_t now, uint32_t moved, uint16_t size)
{
	for (uint32_t i = now - moved; i != now; i++)
		if (position(i, size) == position(event, size))
			return true;
	return false;
}

static void check_packed_events(uint16_t size, uint32_t now, uint32_t moved)
{
	/* From one lap back to one lap ahead: what a driver or device can ask for. */
	uint32_t reach = size > 8 ? 8 : size;

	for (uint32_t event = now - reach; event != now + reach; event++)
		assert_int_equal(vd_packed_event_passed(position(event, size), position(now, size),
							(uint16_t)moved, size),
				 really_passed_packed(event, now, moved, size));
}

static void a_packed_event_is_passed_exactly_when_its_slot_is(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 100, 256, 32767, 32768};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint16_t size = sizes[s];

		for (uint32_t now = 4u * size; now < 4u * size + 9; now++)
			for (uint32_t moved = 0; moved <= size && moved < 9; moved++)
				check_packed_events(size, now, moved);
		for (uint32_t now = 6u * size - 4; now < 6u * size + 4; now++)
			check_packed_events(size, now, size);
	}
}

static void packed_positions_go_forward_and_back(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 8, 255, 32767, 32768};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint16_t size = sizes[s];
		uint32_t step = size > 64 ? size / 16 : 1;

		for (uint32_t at = 2u * size; at < 4u * size; at += step)
			for (uint32_t n = 0; n <= size; n += step) {
				uint16_t from = position(at, size);
				uint16_t to = position(at + n, size);

				assert_int_equal(vd_packed_forward(from, (uint16_t)n, size), to);
				assert_int_equal(vd_packed_back(to, (uint16_t)n, size), from);
				assert_int_equal(vd_packed_distance(from, to, size), n);
			}
	}
}

static void avail_and_used_flags_follow_the_wrap_counter(void **state)
{
	uint16_t first = 0x8000 | 5;
	uint16_t second = 5;

	(void)state;
	assert_int_equal(vd_packed_avail_flags(first), 0x0080);
	assert_int_equal(vd_packed_avail_flags(second), 0x8000);
	assert_int_equal(vd_packed_used_flags(first), 0x8080);
	assert_int_equal(vd_packed_used_flags(second), 0);
	for (uint32_t other = 0; other < 0x80; other++) {
		assert_true(vd_packed_is_avail((uint16_t)(0x0080 | other), first));
		assert_false(vd_packed_is_avail((uint16_t)(0x8000 | other), first));
		assert_false(vd_packed_is_avail((uint16_t)(0x8080 | other), first));
		assert_false(vd_packed_is_avail((uint16_t)other, first));
		assert_true(vd_packed_is_avail((uint16_t)(0x8000 | other), second));
		assert_false(vd_packed_is_avail((uint16_t)other, second));
		assert_true(vd_packed_is_used((uint16_t)(0x8080 | other), first));
		assert_false(vd_packed_is_used((uint16_t)other, first));
		assert_true(vd_packed_is_used((uint16_t)other, second));
		assert_false(vd_packed_is_used((uint16_t)(0x0080 | other), second));
	}
}

static bool asks(uint16_t mode, uint16_t at, bool event_idx)
{
	/* Slots 2 and 3 of 8 were passed, in the first lap. */
	return vd_packed_wants_notify(vd_packed_event(at, mode), event_idx, 0x8004, 2, 8);
}

static void event_modes_are_obeyed(void **state)
{
	(void)state;
	assert_true(asks(VD_EVENT_ENABLE, 0, false));
	assert_true(asks(VD_EVENT_ENABLE, 0x8007, true));
	assert_false(asks(VD_EVENT_DISABLE, 0x8002, false));
	assert_false(asks(VD_EVENT_DISABLE, 0x8002, true));
	assert_true(asks(VD_EVENT_DESC, 0x8002, true));
	assert_true(asks(VD_EVENT_DESC, 0x8003, true));
	assert_false(asks(VD_EVENT_DESC, 0x8001, true));
	assert_false(asks(VD_EVENT_DESC, 0x8004, true));
	assert_false(asks(VD_EVENT_DESC, 0x0002, true));
}

static void event_modes_that_can_not_be_are_answered_all_the_same(void **state)
{
	(void)state;
	assert_true(asks(3, 0x8001, true));
	assert_true(asks(3, 0x8001, false));
	assert_true(asks(VD_EVENT_DESC, 0x8001, false));
	/* Bits 2 to 15 of the mode are reserved. */
	assert_false(asks(0xfffc | VD_EVENT_DISABLE, 0, true));
	assert_true(asks(0xfffc | VD_EVENT_ENABLE, 0, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_passed_exactly_when_an_entry_has_its_index),
		cmocka_unit_test(an_event_is_passed_by_the_largest_steps_too),
		cmocka_unit_test(a_packed_event_is_passed_exactly_when_its_slot_is),
		cmocka_unit_test(packed_positions_go_forward_and_back),
		cmocka_unit_test(avail_and_used_flags_follow_the_wrap_counter),
		cmocka_unit_test(event_modes_are_obeyed),
		cmocka_unit_test(event_modes_that_can_not_be_are_answered_all_the_same),
	};

	return cmocka_run_group_tests_name("ring_event", tests, NULL, NULL);
}
