/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split ring against a device written by hand, honest and otherwise. */
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

static struct drv_rig rig;

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	drv_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
}

static uint16_t avail_index(void)
{
	return peer_get16(&rig.device.ring, rig.device.ring.mem.driver, 2);
}

static struct peer_desc desc(unsigned index)
{
	return peer_get_desc(&rig.device.ring, rig.device.ring.mem.desc, index);
}

static void serve_one(void)
{
	drv_rig_give(&rig, 1, 0, 9);
	peer_device_use(&rig.device, rig.chain.id, 0, 1);
	drv_rig_expect(&rig, 9, 0);
}

/* ---- the descriptor table and the available ring ---- */

static void descriptors_are_taken_in_ring_order(void **state)
{
	uint16_t next = 0;

	open_rig(state, 8, IN_ORDER);
	for (unsigned round = 0; round < 40; round++) {
		unsigned count = 1 + round % 5;
		uint16_t head = drv_rig_give(&rig, count, 0, 1);

		assert_int_equal(head, next);
		for (unsigned i = 0; i + 1 < count; i++) {
			uint16_t at = (uint16_t)((head + i) % 8);

			assert_int_equal(desc(at).flags, VD_DESC_NEXT);
			assert_int_equal(desc(at).link, (at + 1) % 8);
		}
		next = (uint16_t)((next + count) % 8);
		assert_int_equal(desc((next + 7u) % 8).flags, 0);
		peer_device_use(&rig.device, head, 0, 1);
		drv_rig_expect(&rig, 1, 0);
	}
	drv_rig_close(&rig);
}

static void table_entries_are_linked_one_after_another(void **state)
{
	drv_rig_open(&rig, *state,
		     &(struct rig_options){
			     .size = 8, .features = INDIRECT | IN_ORDER, .table_entries = 5});
	for (unsigned round = 0; round < 20; round++) {
		unsigned count = 2 + round % 4;
		const unsigned char *table;

		drv_rig_give(&rig, 1, count - 1, 1);
		table = (unsigned char *)rig.tables.at + (rig.chain.referring.addr - RIG_TABLES);
		assert_int_equal(rig.chain.referring.flags, VD_DESC_INDIRECT);
		assert_int_equal(rig.chain.referring.len, 16 * count);
		for (unsigned i = 0; i < count; i++) {
			struct peer_desc entry = peer_get_desc(&rig.device.ring, table, i);
			bool last = i + 1 == count;

			assert_int_equal(entry.flags,
					 (last ? 0 : VD_DESC_NEXT) | (i > 0 ? VD_DESC_WRITE : 0));
			assert_int_equal(entry.link, last ? 0 : i + 1);
		}
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		drv_rig_expect(&rig, 1, 0);
	}
	drv_rig_close(&rig);
}

static void the_index_counts_buffers_and_wraps_at_65536(void **state)
{
	open_rig(state, 2, 0);
	for (uint32_t i = 0; i < 65540; i++) {
		assert_int_equal(avail_index(), (uint16_t)i);
		serve_one();
	}
	assert_int_equal(avail_index(), 4);
	drv_rig_close(&rig);
}

/* What is in the ring already is not written again; what changed is. */
static void descriptors_are_right_lap_after_lap(void **state)
{
	open_rig(state, 2, 0);
	for (unsigned i = 0; i < 20; i++) {
		struct vd_iov segment = {(unsigned char *)rig.data.at + (i == 11 ? 64 : 0),
					 i == 13 ? 8 : 16};
		bool in = i == 15;

		assert_int_equal(vd_vq_drv_add(&rig.vq, &segment, !in, in, NULL), 0);
		vd_vq_drv_publish(&rig.vq);
		assert_true(peer_device_next(&rig.device, &rig.chain));
		assert_int_equal(rig.chain.id, i % 2);
		assert_int_equal(rig.chain.desc[0].addr, RIG_DATA + (i == 11 ? 64 : 0));
		assert_int_equal(rig.chain.desc[0].len, i == 13 ? 8 : 16);
		assert_int_equal(rig.chain.desc[0].flags, in ? VD_DESC_WRITE : 0);
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		drv_rig_expect(&rig, 0, 0);
	}
	drv_rig_close(&rig);
}

static void nothing_that_the_device_writes_is_written(void **state)
{
	unsigned char used[4 + 8 * 4 + 2];

	open_rig(state, 4, EVENT_IDX);
	for (unsigned i = 0; i < 9; i++) {
		drv_rig_give(&rig, 1, 0, 3);
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		memcpy(used, rig.device.ring.mem.device, sizeof(used));
		vd_vq_drv_kick(&rig.vq);
		drv_rig_expect(&rig, 3, 0);
		vd_vq_drv_enable_cb(&rig.vq);
		vd_vq_drv_disable_cb(&rig.vq);
		assert_memory_equal(used, rig.device.ring.mem.device, sizeof(used));
	}
	drv_rig_close(&rig);
}

static void a_descriptor_is_left_alone_until_it_is_used(void **state)
{
	struct peer_desc given[3];
	uint16_t first;

	open_rig(state, 8, 0);
	first = drv_rig_give(&rig, 2, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		given[i] = desc(first + i);
	for (unsigned round = 0; round < 20; round++) {
		drv_rig_give(&rig, round % 4, 1, 1);
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		drv_rig_expect(&rig, 1, 0);
		for (unsigned i = 0; i < 3; i++) {
			struct peer_desc now = desc(first + i);

			assert_memory_equal(&now, &given[i], sizeof(now));
		}
	}
	peer_device_use(&rig.device, first, 16, 1);
	drv_rig_expect(&rig, 0, 16);
	drv_rig_close(&rig);
}

/* A device that writes where only the driver may harms itself alone. */
static void the_driver_does_not_read_what_it_wrote(void **state)
{
	struct peer_chain chain;

	open_rig(state, 4, 0);
	drv_rig_give(&rig, 2, 1, 1);
	chain = rig.chain;
	drv_rig_give(&rig, 1, 0, 2);
	memset(rig.device.ring.mem.desc, 0xff, 64);
	memset(rig.device.ring.mem.driver, 0xff, 4 + 8);
	peer_device_use(&rig.device, chain.id, 16, 1);
	drv_rig_expect(&rig, 1, 16);
	peer_device_use(&rig.device, rig.chain.id, 0, 1);
	drv_rig_expect(&rig, 2, 0);
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 4);
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
		assert_false(vd_vq_drv_ready(&rig.vq));
	}
	drv_rig_close(&rig);
}

/* ---- the used ring ---- */

static void the_used_index_can_not_jump_ahead(void **state)
{
	open_rig(state, 8, 0);
	serve_one();
	drv_rig_give(&rig, 1, 0, 1);
	drv_rig_give(&rig, 1, 0, 2);
	peer_device_set_index(&rig.device, 4);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_JUMP, 1, 4, 2);
	drv_rig_close(&rig);
}

static void the_used_index_can_not_jump_back(void **state)
{
	open_rig(state, 8, 0);
	serve_one();
	serve_one();
	peer_device_set_index(&rig.device, 1);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_JUMP, 2, 1, 0);
	drv_rig_close(&rig);
}

static void ready_sees_a_jump_as_something(void **state)
{
	struct vd_used used;

	open_rig(state, 8, 0);
	peer_device_set_index(&rig.device, 1);
	assert_true(vd_vq_drv_ready(&rig.vq));
	rig_expect_fault(vd_vq_drv_fault(&rig.vq), VD_FAULT_USED_JUMP, 0, 1, 0);
	assert_int_equal(vd_vq_drv_get(&rig.vq, &used), -VD_EPROTO);
	drv_rig_close(&rig);
}

/* The id is 32 bits wide in this layout. */
static void ids_are_not_cut_to_16_bits(void **state)
{
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++) {
		open_rig(state, 8, features[f]);
		assert_int_equal(drv_rig_give(&rig, 1, 0, 1), 0);
		peer_device_use(&rig.device, 0x10000, 0, 1);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_RANGE, 0x10000, 8, 0);
		drv_rig_close(&rig);
	}
}

/* In order, an id can't end a batch that is longer than what was published of it. */
static void in_order_a_batch_ends_within_what_was_used(void **state)
{
	open_rig(state, 8, IN_ORDER);
	drv_rig_give(&rig, 1, 0, 1);
	drv_rig_give(&rig, 1, 0, 2);
	drv_rig_give(&rig, 1, 0, 3);
	peer_device_use(&rig.device, rig.chain.id, 0, 2);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, rig.chain.id, 0, 0);
	drv_rig_close(&rig);
}

/* ---- notifications ---- */

static void with_event_idx_the_flags_stay_0_and_mean_nothing(void **state)
{
	open_rig(state, 4, EVENT_IDX);
	vd_vq_drv_disable_cb(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.device.ring, true).mode, 0);
	vd_vq_drv_enable_cb(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.device.ring, true).mode, 0);
	peer_put_wish(&rig.device.ring, false, VD_USED_NO_NOTIFY, 0);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_true(vd_vq_drv_kick(&rig.vq));
	drv_rig_close(&rig);
}

static void without_event_idx_the_event_is_never_written(void **state)
{
	open_rig(state, 4, 0);
	peer_put_wish(&rig.device.ring, true, 0, 0x1234);
	serve_one();
	vd_vq_drv_disable_cb(&rig.vq);
	vd_vq_drv_enable_cb(&rig.vq);
	vd_vq_drv_enable_cb_delayed(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.device.ring, true).event, 0x1234);
	drv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_SPLIT(descriptors_are_taken_in_ring_order),
		ON_SPLIT(table_entries_are_linked_one_after_another),
		ON_SPLIT(the_index_counts_buffers_and_wraps_at_65536),
		ON_SPLIT(descriptors_are_right_lap_after_lap),
		ON_SPLIT(nothing_that_the_device_writes_is_written),
		ON_SPLIT(a_descriptor_is_left_alone_until_it_is_used),
		ON_SPLIT(the_driver_does_not_read_what_it_wrote),
		ON_SPLIT(the_largest_ring_can_be_full),
		ON_SPLIT(the_used_index_can_not_jump_ahead),
		ON_SPLIT(the_used_index_can_not_jump_back),
		ON_SPLIT(ready_sees_a_jump_as_something),
		ON_SPLIT(ids_are_not_cut_to_16_bits),
		ON_SPLIT(in_order_a_batch_ends_within_what_was_used),
		ON_SPLIT(with_event_idx_the_flags_stay_0_and_mean_nothing),
		ON_SPLIT(without_event_idx_the_event_is_never_written),
	};

	return cmocka_run_group_tests_name("split_drv", tests, NULL, NULL);
}
