/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a ring takes, where its parts go, and the bytes on the wire. */
#include "ring/wire.h"
#include "viaduct/errno.h"
#include "viaduct/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void split_parts_are_as_large_as_the_specification_says(void **state)
{
	struct vd_ring_parts parts;

	(void)state;
	for (uint32_t size = 1; size <= 32768; size *= 2) {
		assert_int_equal(vd_ring_parts(VD_RING_SPLIT, size, &parts), 0);
		assert_int_equal(parts.desc.size, 16 * size);
		assert_int_equal(parts.desc.align, 16);
		assert_int_equal(parts.driver.size, 6 + 2 * size);
		assert_int_equal(parts.driver.align, 2);
		assert_int_equal(parts.device.size, 6 + 8 * size);
		assert_int_equal(parts.device.align, 4);
	}
}

static void packed_parts_are_as_large_as_the_specification_says(void **state)
{
	struct vd_ring_parts parts;

	(void)state;
	for (uint32_t size = 1; size <= 32768; size = size < 10 ? size + 1 : size * 2 - 9) {
		assert_int_equal(vd_ring_parts(VD_RING_PACKED, size, &parts), 0);
		assert_int_equal(parts.desc.size, 16 * size);
		assert_int_equal(parts.desc.align, 16);
		assert_int_equal(parts.driver.size, 4);
		assert_int_equal(parts.driver.align, 4);
		assert_int_equal(parts.device.size, 4);
		assert_int_equal(parts.device.align, 4);
	}
	assert_int_equal(vd_ring_parts(VD_RING_PACKED, 32768, &parts), 0);
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint32_t never[] = {0, 32769, 65535, 65536, 0x80000000u, UINT32_MAX};
	static const uint32_t not_split[] = {3, 5, 6, 7, 12, 255, 257, 32767};
	struct vd_ring_parts parts;

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_int_equal(vd_ring_parts(VD_RING_SPLIT, never[i], &parts), -VD_EINVAL);
		assert_int_equal(vd_ring_parts(VD_RING_PACKED, never[i], &parts), -VD_EINVAL);
		assert_int_equal(vd_ring_place(VD_RING_SPLIT, never[i], NULL, NULL), 0);
		assert_int_equal(vd_ring_place(VD_RING_PACKED, never[i], NULL, NULL), 0);
		assert_int_equal(vd_ring_place_legacy(never[i], 4096, NULL, NULL), 0);
	}
	for (size_t i = 0; i < sizeof(not_split) / sizeof(not_split[0]); i++) {
		assert_int_equal(vd_ring_parts(VD_RING_SPLIT, not_split[i], &parts), -VD_EINVAL);
		assert_int_equal(vd_ring_parts(VD_RING_PACKED, not_split[i], &parts), 0);
		assert_int_equal(vd_ring_place_legacy(not_split[i], 4096, NULL, NULL), 0);
	}
}

static void expect_placed(enum vd_ring_layout layout, uint32_t size)
{
	static _Alignas(64) unsigned char base[64];
	struct vd_ring_parts parts;
	struct vd_ring_mem mem;
	size_t total = vd_ring_place(layout, size, base, &mem);
	uintptr_t desc = (uintptr_t)mem.desc - (uintptr_t)base;
	uintptr_t driver = (uintptr_t)mem.driver - (uintptr_t)base;
	uintptr_t device = (uintptr_t)mem.device - (uintptr_t)base;

	assert_int_equal(vd_ring_parts(layout, size, &parts), 0);
	assert_int_equal(desc, 0);
	assert_int_equal(driver % 64, 0);
	assert_int_equal(device % 64, 0);
	assert_int_equal(total % 64, 0);
	assert_true(parts.desc.size <= driver);
	assert_true(driver + parts.driver.size <= device);
	assert_true(device + parts.device.size <= total);
	assert_int_equal(vd_ring_place(layout, size, NULL, NULL), total);
}

static void placed_parts_are_apart_and_on_their_own_cache_lines(void **state)
{
	(void)state;
	for (uint32_t size = 1; size <= 32768; size *= 2) {
		expect_placed(VD_RING_SPLIT, size);
		expect_placed(VD_RING_PACKED, size);
		expect_placed(VD_RING_PACKED, size - (size > 1));
	}
}

/* Worked out by hand from 2.7.2: table, available ring, padding, used ring. */
static void the_legacy_ring_is_one_piece(void **state)
{
	static _Alignas(4096) unsigned char base[64];
	struct vd_ring_mem mem;

	(void)state;
	assert_int_equal(vd_ring_place_legacy(256, 4096, base, &mem), 8192 + 6 + 8 * 256);
	assert_ptr_equal(mem.desc, base);
	assert_int_equal((uintptr_t)mem.driver - (uintptr_t)base, 4096);
	assert_int_equal((uintptr_t)mem.device - (uintptr_t)base, 8192);
	/* 64 * 16 + 2 * 67 = 1158, so with remoteproc's align of 16 the used ring is at 1168. */
	assert_int_equal(vd_ring_place_legacy(64, 16, base, &mem), 1168 + 6 + 8 * 64);
	assert_int_equal((uintptr_t)mem.driver - (uintptr_t)base, 1024);
	assert_int_equal((uintptr_t)mem.device - (uintptr_t)base, 1168);
	/* 16 + 8 = 24, which is aligned to 4 already. */
	assert_int_equal(vd_ring_place_legacy(1, 4, base, &mem), 24 + 14);
	assert_int_equal(vd_ring_place_legacy(1, 4, NULL, NULL), 24 + 14);
}

static void legacy_alignments_are_powers_of_two_from_4(void **state)
{
	(void)state;
	assert_int_equal(vd_ring_place_legacy(1, 0, NULL, NULL), 0);
	assert_int_equal(vd_ring_place_legacy(1, 1, NULL, NULL), 0);
	assert_int_equal(vd_ring_place_legacy(1, 2, NULL, NULL), 0);
	assert_int_equal(vd_ring_place_legacy(1, 12, NULL, NULL), 0);
	assert_int_equal(vd_ring_place_legacy(1, 4095, NULL, NULL), 0);
	assert_int_not_equal(vd_ring_place_legacy(1, 8, NULL, NULL), 0);
}

static void a_notification_says_which_queue_and_where(void **state)
{
	(void)state;
	assert_int_equal(vd_notification(0, 0), 0);
	assert_int_equal(vd_notification(3, 0x8001), 0x80010003u);
	assert_int_equal(vd_notification(0xffff, 0x7fff), 0x7fffffffu);
	assert_int_equal(vd_notification_queue(0x80010003u), 3);
	assert_int_equal(vd_notification_next(0x80010003u), 0x8001);
}

static void queues_start_at_0_with_wrap_counters_of_1(void **state)
{
	struct vd_ring_position split = vd_ring_start(VD_RING_SPLIT);
	struct vd_ring_position packed = vd_ring_start(VD_RING_PACKED);

	(void)state;
	assert_int_equal(split.avail, 0);
	assert_int_equal(split.used, 0);
	assert_int_equal(packed.avail, 0x8000);
	assert_int_equal(packed.used, 0x8000);
}

static void wire_structures_have_their_fields_where_they_belong(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct vd_split_desc, addr), 0);
	assert_int_equal(offsetof(struct vd_split_desc, len), 8);
	assert_int_equal(offsetof(struct vd_split_desc, flags), 12);
	assert_int_equal(offsetof(struct vd_split_desc, next), 14);
	assert_int_equal(offsetof(struct vd_packed_desc, addr), 0);
	assert_int_equal(offsetof(struct vd_packed_desc, len), 8);
	assert_int_equal(offsetof(struct vd_packed_desc, id), 12);
	assert_int_equal(offsetof(struct vd_packed_desc, flags), 14);
	assert_int_equal(offsetof(struct vd_split_avail, flags), 0);
	assert_int_equal(offsetof(struct vd_split_avail, idx), 2);
	assert_int_equal(offsetof(struct vd_split_avail, ring), 4);
	assert_int_equal(offsetof(struct vd_split_used, flags), 0);
	assert_int_equal(offsetof(struct vd_split_used, idx), 2);
	assert_int_equal(offsetof(struct vd_split_used, ring), 4);
	assert_int_equal(offsetof(struct vd_split_used_elem, id), 0);
	assert_int_equal(offsetof(struct vd_split_used_elem, len), 4);
	assert_int_equal(sizeof(struct vd_split_used_elem), 8);
	assert_int_equal(sizeof(struct vd_packed_event), 4);
}

static void wire_flags_have_the_specified_values(void **state)
{
	(void)state;
	assert_int_equal(VD_DESC_NEXT, 1);
	assert_int_equal(VD_DESC_WRITE, 2);
	assert_int_equal(VD_DESC_INDIRECT, 4);
	assert_int_equal(VD_DESC_AVAIL, 0x80);
	assert_int_equal(VD_DESC_USED, 0x8000);
	assert_int_equal(VD_AVAIL_NO_INTERRUPT, 1);
	assert_int_equal(VD_USED_NO_NOTIFY, 1);
	assert_int_equal(VD_EVENT_ENABLE, 0);
	assert_int_equal(VD_EVENT_DISABLE, 1);
	assert_int_equal(VD_EVENT_DESC, 2);
}

static void the_event_words_come_last(void **state)
{
	static uint64_t memory[64];
	unsigned char *base = (unsigned char *)memory;

	(void)state;
	assert_ptr_equal(vd_split_used_event((struct vd_split_avail *)memory, 16), base + 4 + 32);
	assert_ptr_equal(vd_split_avail_event((struct vd_split_used *)memory, 16), base + 4 + 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_parts_are_as_large_as_the_specification_says),
		cmocka_unit_test(packed_parts_are_as_large_as_the_specification_says),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(placed_parts_are_apart_and_on_their_own_cache_lines),
		cmocka_unit_test(the_legacy_ring_is_one_piece),
		cmocka_unit_test(legacy_alignments_are_powers_of_two_from_4),
		cmocka_unit_test(a_notification_says_which_queue_and_where),
		cmocka_unit_test(queues_start_at_0_with_wrap_counters_of_1),
		cmocka_unit_test(wire_structures_have_their_fields_where_they_belong),
		cmocka_unit_test(wire_flags_have_the_specified_values),
		cmocka_unit_test(the_event_words_come_last),
	};

	return cmocka_run_group_tests_name("ring_layout", tests, NULL, NULL);
}
