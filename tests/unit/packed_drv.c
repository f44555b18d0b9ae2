/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed ring against a device written by hand, honest and otherwise. */
#include "ring/wire.h"
#include "ring_rig.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define INDIRECT  VD_BIT(VD_F_INDIRECT_DESC)
#define EVENT_IDX VD_BIT(VD_F_EVENT_IDX)
#define IN_ORDER  VD_BIT(VD_F_IN_ORDER)
#define VERSION_1 VD_BIT(VD_F_VERSION_1)

static struct drv_rig rig;

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	drv_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
}

static struct peer_desc slot(unsigned index)
{
	return peer_get_desc(&rig.device.ring, rig.device.ring.mem.desc, index);
}

static void expect_none(void)
{
	struct vd_used used;

	assert_false(vd_vq_drv_ready(&rig.vq));
	assert_int_equal(vd_vq_drv_get(&rig.vq, &used), 0);
}

/* ---- what is made available ---- */

static void lists_carry_right_flags_at_every_slot(void **state)
{
	uint32_t at = 0;

	open_rig(state, 5, 0);
	for (unsigned round = 0; round < 60; round++) {
		unsigned count = 1 + round % 5;
		uint16_t id = drv_rig_give(&rig, 1, count - 1, round);

		assert_true(id < 5);
		for (unsigned i = 0; i < count; i++, at++) {
			struct peer_desc desc = slot(at % 5);

			assert_int_equal(desc.flags, peer_avail_bits(&rig.device.ring, at) |
							     (i > 0 ? VD_DESC_WRITE : 0) |
							     (i + 1 < count ? VD_DESC_NEXT : 0));
			assert_int_equal(desc.addr, RIG_DATA + 16 * i);
		}
		assert_int_equal(rig.device.avail, at);
		peer_device_use(&rig.device, id, 0, (uint16_t)count);
		drv_rig_expect(&rig, round, 0);
	}
	drv_rig_close(&rig);
}

static void only_write_is_set_in_an_indirect_table(void **state)
{
	drv_rig_open(&rig, *state,
		     &(struct rig_options){.size = 3, .features = INDIRECT, .table_entries = 3});
	for (unsigned round = 0; round < 10; round++) {
		const unsigned char *table;

		drv_rig_give(&rig, 1, 2, 1);
		assert_int_equal(rig.chain.referring.flags & 0x7f, VD_DESC_INDIRECT);
		table = (unsigned char *)rig.tables.at + (rig.chain.referring.addr - RIG_TABLES);
		for (unsigned i = 0; i < 3; i++) {
			struct peer_desc entry = peer_get_desc(&rig.device.ring, table, i);

			assert_int_equal(entry.flags, i > 0 ? VD_DESC_WRITE : 0);
			assert_int_equal(entry.link, 0);
		}
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		drv_rig_expect(&rig, 1, 0);
	}
	drv_rig_close(&rig);
}

/* Of all that was added, the very first flags are written last. */
static void a_batch_shows_when_its_first_flags_do(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned round = 0; round < 10; round++) {
		uint32_t first = rig.device.avail;
		uint16_t before = slot(first % 8).flags;

		assert_int_equal(drv_rig_add(&rig, 2, 0, 1), 0);
		assert_int_equal(drv_rig_add(&rig, 1, 2, 2), 0);
		assert_int_equal(slot(first % 8).flags, before);
		assert_int_equal(slot((first + 4) % 8).flags,
				 peer_avail_bits(&rig.device.ring, first + 4) | VD_DESC_WRITE);
		assert_false(peer_device_next(&rig.device, &rig.chain));
		vd_vq_drv_publish(&rig.vq);
		for (unsigned i = 1; i <= 2; i++) {
			assert_true(peer_device_next(&rig.device, &rig.chain));
			peer_device_use(&rig.device, rig.chain.id, 0, rig.chain.slots);
			drv_rig_expect(&rig, i, 0);
		}
	}
	drv_rig_close(&rig);
}

static void a_ring_of_one_goes_round_and_round(void **state)
{
	open_rig(state, 1, EVENT_IDX);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(drv_rig_give(&rig, 0, 1, i), 0);
		assert_int_equal(drv_rig_add(&rig, 0, 1, i), -VD_ENOSPC);
		expect_none();
		peer_device_use(&rig.device, 0, 3, 1);
		drv_rig_expect(&rig, i, 3);
		expect_none();
	}
	drv_rig_close(&rig);
}

static void the_largest_ring_can_be_full(void **state)
{
	open_rig(state, 32768, IN_ORDER);
	for (unsigned round = 0; round < 3; round++) {
		uint16_t last = 0;

		for (unsigned i = 0; i < 32768; i++)
			last = drv_rig_give(&rig, 1, 0, i);
		assert_int_equal(drv_rig_add(&rig, 1, 0, 0), -VD_ENOSPC);
		/* All in one batch. */
		peer_device_use(&rig.device, last, 0, 32768);
		for (unsigned i = 0; i < 32768; i++)
			drv_rig_expect(&rig, i, 0);
		expect_none();
	}
	drv_rig_close(&rig);
}

static void ids_rotate_and_are_used_by_one_buffer_each(void **state)
{
	bool with_device[4] = {false};
	uint16_t ids[4];

	open_rig(state, 4, 0);
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 4; i++) {
			ids[i] = drv_rig_give(&rig, 1, 0, i);
			assert_true(ids[i] < 4);
			assert_false(with_device[ids[i]]);
			with_device[ids[i]] = true;
		}
		for (unsigned i = 0; i < 4; i++) {
			uint16_t id = ids[(i * 3 + round) % 4];

			peer_device_use(&rig.device, id, 0, 1);
			drv_rig_expect(&rig, (i * 3 + round) % 4, 0);
			with_device[id] = false;
		}
	}
	drv_rig_close(&rig);
}

static void a_descriptor_is_left_alone_until_it_is_used(void **state)
{
	struct peer_desc given[5];
	uint16_t first;

	open_rig(state, 5, 0);
	first = drv_rig_give(&rig, 2, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		given[i] = slot(i);
	drv_rig_give(&rig, 0, 1, 1);
	vd_vq_drv_kick(&rig.vq);
	peer_device_use(&rig.device, rig.chain.id, 5, 1);
	given[0] = slot(0);
	drv_rig_expect(&rig, 1, 5);
	vd_vq_drv_enable_cb(&rig.vq);
	vd_vq_drv_disable_cb(&rig.vq);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 2), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct peer_desc now = slot(i);

		assert_memory_equal(&now, &given[i], sizeof(now));
	}
	/* The slot that was used is the next one's. */
	assert_int_equal(drv_rig_add(&rig, 1, 0, 3), 0);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 4), -VD_ENOSPC);
	for (unsigned i = 1; i < 3; i++) {
		struct peer_desc now = slot(i);

		assert_memory_equal(&now, &given[i], sizeof(now));
	}
	peer_device_use(&rig.device, first, 0, 3);
	drv_rig_expect(&rig, 0, 0);
	drv_rig_close(&rig);
}

/* ---- what is used ---- */

static void slots_are_skipped_by_what_was_given_not_by_what_is_there(void **state)
{
	uint16_t ids[2];

	open_rig(state, 8, 0);
	ids[0] = drv_rig_give(&rig, 3, 0, 0);
	ids[1] = drv_rig_give(&rig, 2, 0, 1);
	/* The device may write anything into its ring: the driver remembers. */
	memset(rig.device.ring.mem.desc, 0, 8 * 16);
	peer_device_use(&rig.device, ids[1], 0, 2);
	drv_rig_expect(&rig, 1, 0);
	peer_device_use(&rig.device, ids[0], 0, 3);
	drv_rig_expect(&rig, 0, 0);
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 8);
	expect_none();
	drv_rig_close(&rig);
}

static void reserved_parts_of_a_used_descriptor_are_ignored(void **state)
{
	open_rig(state, 4, VERSION_1);
	drv_rig_give(&rig, 1, 0, 5);
	/* NEXT, INDIRECT and more; without WRITE the length means nothing. */
	peer_put_desc(&rig.device.ring, rig.device.ring.mem.desc, 0,
		      (struct peer_desc){.addr = UINT64_MAX,
					 .len = 0xffff,
					 .flags = 0xffff & ~VD_DESC_WRITE,
					 .link = rig.chain.id});
	drv_rig_expect(&rig, 5, 0);
	drv_rig_give(&rig, 0, 1, 6);
	peer_put_desc(&rig.device.ring, rig.device.ring.mem.desc, 1,
		      (struct peer_desc){.len = 0xffff,
					 .flags = 0xffff & ~VD_DESC_WRITE,
					 .link = rig.chain.id});
	drv_rig_expect(&rig, 6, 0);
	drv_rig_close(&rig);
}

static void half_of_the_two_bits_is_not_used(void **state)
{
	static const uint16_t not_used[] = {0, VD_DESC_AVAIL, VD_DESC_USED};

	open_rig(state, 4, 0);
	drv_rig_give(&rig, 1, 0, 5);
	for (size_t i = 0; i < 3; i++) {
		peer_put_desc(&rig.device.ring, rig.device.ring.mem.desc, 0,
			      (struct peer_desc){.flags = not_used[i], .link = rig.chain.id});
		expect_none();
	}
	drv_rig_close(&rig);
}

/* All slots say used, of which only those that were given can be. */
static void nothing_is_used_when_nothing_was_given(void **state)
{
	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		peer_put_desc(&rig.device.ring, rig.device.ring.mem.desc, i,
			      (struct peer_desc){.flags = VD_DESC_AVAIL | VD_DESC_USED});
	expect_none();
	assert_int_equal(drv_rig_add(&rig, 1, 0, 1), 0);
	vd_vq_drv_publish(&rig.vq);
	expect_none();
	peer_device_use(&rig.device, 0, 0, 1);
	drv_rig_expect(&rig, 1, 0);
	expect_none();
	drv_rig_close(&rig);
}

static void ids_that_are_slots_but_no_buffers_break_the_queue(void **state)
{
	open_rig(state, 8, 0);
	drv_rig_give(&rig, 4, 0, 1);
	peer_device_use(&rig.device, 3, 0, 1);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, 3, 0, 0);
	drv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PACKED(lists_carry_right_flags_at_every_slot),
		ON_PACKED(only_write_is_set_in_an_indirect_table),
		ON_PACKED(a_batch_shows_when_its_first_flags_do),
		ON_PACKED(a_ring_of_one_goes_round_and_round),
		ON_PACKED(the_largest_ring_can_be_full),
		ON_PACKED(ids_rotate_and_are_used_by_one_buffer_each),
		ON_PACKED(a_descriptor_is_left_alone_until_it_is_used),
		ON_PACKED(slots_are_skipped_by_what_was_given_not_by_what_is_there),
		ON_PACKED(reserved_parts_of_a_used_descriptor_are_ignored),
		ON_PACKED(half_of_the_two_bits_is_not_used),
		ON_PACKED(nothing_is_used_when_nothing_was_given),
		ON_PACKED(ids_that_are_slots_but_no_buffers_break_the_queue),
	};

	return cmocka_run_group_tests_name("packed_drv", tests, NULL, NULL);
}
