/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed ring against a driver written by hand, honest and otherwise. */
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

static struct dev_rig rig;

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	dev_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
}

/* As if @count slots had been made available and used. */
static void open_rig_after(void **state, uint16_t size, uint64_t features, uint32_t count)
{
	const struct variant *variant = *state;
	struct peer_ring ring = {.packed = true, .size = size};
	const struct vd_ring_position position = {peer_position(&ring, count),
						  peer_position(&ring, count)};

	dev_rig_open(
		&rig, variant,
		&(struct rig_options){.size = size, .features = features, .position = &position});
	rig.driver.avail = count;
	rig.driver.used = count;
	/* What used descriptors would have left there. */
	for (uint32_t i = count > size ? count - size : 0; i < count; i++)
		peer_put_desc(&rig.driver.ring, rig.driver.ring.mem.desc, i % size,
			      (struct peer_desc){.flags = peer_used_bits(&rig.driver.ring, i)});
}

/* One descriptor, available but otherwise exactly as given. */
static void put(uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
	peer_driver_offer_slot(&rig.driver, (struct peer_desc){addr, len, flags, id});
}

/* One descriptor of an indirect table at the start of LOW. */
static void put_indirect(uint16_t index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
	peer_put_desc(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), index,
		      (struct peer_desc){addr, len, flags, id});
}

static uint16_t offer_one(void)
{
	const struct peer_desc desc = rig_in(RIG_NEXT, 64);

	return peer_driver_offer(&rig.driver, &desc, 1);
}

static void push(uint64_t written)
{
	assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, written), 0);
}

static void serve_one(void)
{
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(0);
	vd_vq_dev_publish(&rig.vq);
}

static struct peer_desc slot(unsigned index)
{
	return peer_get_desc(&rig.driver.ring, rig.driver.ring.mem.desc, index);
}

/* ---- what is legal ---- */

static void expect_segment(unsigned n, uint64_t peer, size_t len)
{
	assert_ptr_equal(rig.iov[n].base, dev_rig_at(&rig, peer));
	assert_int_equal(rig.iov[n].len, len);
}

static void lists_of_every_length_are_popped_from_every_slot(void **state)
{
	struct peer_used used;

	open_rig(state, 5, 0);
	for (unsigned round = 0; round < 60; round++) {
		unsigned count = 1 + round % 5;
		unsigned n_out = round % (count + 1);
		struct peer_desc desc[5];
		uint16_t id;

		for (unsigned i = 0; i < count; i++)
			desc[i] = i < n_out ? rig_out(RIG_LOW + 32 * i, i + 1)
					    : rig_in(RIG_LOW + 32 * i, i + 1);
		id = peer_driver_offer(&rig.driver, desc, count);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.id, id);
		assert_int_equal(rig.chain.n_out, n_out);
		assert_int_equal(rig.chain.n_in, count - n_out);
		assert_int_equal(rig.chain.out_len, n_out * (n_out + 1) / 2);
		for (unsigned i = 0; i < count; i++)
			expect_segment(i, RIG_LOW + 32 * i, i + 1);
		push(rig.chain.in_len);
		vd_vq_dev_publish(&rig.vq);
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.id, id);
		assert_int_equal(rig.driver.used, rig.driver.avail);
		assert_int_equal(dev_rig_pop(&rig), 0);
	}
	dev_rig_close(&rig);
}

static void indirect_and_direct_lists_mix(void **state)
{
	struct peer_used used;

	open_rig(state, 4, INDIRECT);
	for (unsigned round = 0; round < 12; round++) {
		const struct peer_desc direct[2] = {rig_out(RIG_NEXT, 1), rig_in(RIG_NEXT + 1, 2)};
		const struct peer_desc table = rig_table(RIG_LOW, 64);

		for (uint16_t i = 0; i < 4; i++)
			put_indirect(i, RIG_NEXT + 8u * i, i + 1, i < 2 ? 0 : VD_DESC_WRITE, 0);
		peer_driver_offer(&rig.driver, direct, 2);
		peer_driver_offer(&rig.driver, &table, 1);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, 1);
		assert_int_equal(rig.chain.n_in, 1);
		push(2);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, 2);
		assert_int_equal(rig.chain.n_in, 2);
		assert_int_equal(rig.chain.out_len, 3);
		assert_int_equal(rig.chain.in_len, 7);
		expect_segment(3, RIG_NEXT + 24, 4);
		push(7);
		vd_vq_dev_publish(&rig.vq);
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.len, 2);
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.len, 7);
	}
	dev_rig_close(&rig);
}

static void only_write_counts_in_an_indirect_table(void **state)
{
	open_rig(state, 4, INDIRECT);
	put_indirect(0, RIG_NEXT, 1, 0xffff & ~VD_DESC_WRITE, 0xffff);
	put_indirect(1, RIG_NEXT + 1, 1, 0, 77);
	put_indirect(2, RIG_NEXT + 2, 1, 0xffff, 1234);
	put(RIG_LOW, 48, VD_DESC_INDIRECT, 3);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 2);
	assert_int_equal(rig.chain.n_in, 1);
	assert_int_equal(rig.chain.id, 3);
	dev_rig_close(&rig);
}

static void write_on_the_referring_descriptor_means_nothing(void **state)
{
	open_rig(state, 4, INDIRECT);
	put_indirect(0, RIG_NEXT, 1, 0, 0);
	put(RIG_LOW, 16, VD_DESC_INDIRECT | VD_DESC_WRITE, 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 1);
	assert_int_equal(rig.chain.n_in, 0);
	dev_rig_close(&rig);
}

static void the_id_of_the_last_descriptor_counts_whatever_it_is(void **state)
{
	struct peer_used used;

	open_rig(state, 4, 0);
	put(RIG_LOW, 1, VD_DESC_NEXT, 1);
	put(RIG_LOW, 1, 0, 0xfffe);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.id, 0xfffe);
	push(0);
	vd_vq_dev_publish(&rig.vq);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, 0xfffe);
	dev_rig_close(&rig);
}

static void nothing_is_available_in_a_ring_of_zeros(void **state)
{
	open_rig(state, 4, 0);
	assert_int_equal(dev_rig_pop(&rig), 0);
	assert_false(vd_vq_dev_ready(&rig.vq));
	/* Not even with only one of the two bits right, or the other lap's. */
	peer_put_desc(&rig.driver.ring, rig.driver.ring.mem.desc, 0,
		      (struct peer_desc){RIG_LOW, 1, VD_DESC_AVAIL | VD_DESC_USED, 0});
	assert_int_equal(dev_rig_pop(&rig), 0);
	peer_put_desc(&rig.driver.ring, rig.driver.ring.mem.desc, 0,
		      (struct peer_desc){RIG_LOW, 1, VD_DESC_USED, 0});
	assert_int_equal(dev_rig_pop(&rig), 0);
	peer_put_desc(&rig.driver.ring, rig.driver.ring.mem.desc, 0,
		      (struct peer_desc){RIG_LOW, 1, VD_DESC_AVAIL, 0});
	assert_true(vd_vq_dev_ready(&rig.vq));
	assert_int_equal(dev_rig_pop(&rig), 1);
	dev_rig_close(&rig);
}

/* ---- used descriptors ---- */

static void used_descriptors_say_whether_anything_was_written(void **state)
{
	open_rig(state, 2, 0);
	serve_one();
	assert_int_equal(slot(0).flags, VD_DESC_AVAIL | VD_DESC_USED);
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(64);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(slot(1).flags, VD_DESC_AVAIL | VD_DESC_USED | VD_DESC_WRITE);
	assert_int_equal(slot(1).len, 64);
	/* The second lap. */
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(1);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(slot(0).flags, VD_DESC_WRITE);
	dev_rig_close(&rig);
}

static void used_descriptors_appear_in_the_order_of_pushing(void **state)
{
	const struct peer_desc desc[3] = {rig_out(RIG_LOW, 1), rig_out(RIG_LOW, 1),
					  rig_in(RIG_LOW, 9)};
	struct vd_chain first;
	struct peer_used used;
	uint16_t ids[2];

	open_rig(state, 4, 0);
	ids[0] = offer_one();
	ids[1] = peer_driver_offer(&rig.driver, desc, 3);
	assert_int_equal(dev_rig_pop(&rig), 1);
	first = rig.chain;
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(9);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &first, 7), 0);
	vd_vq_dev_publish(&rig.vq);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, ids[1]);
	assert_int_equal(used.len, 9);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, ids[0]);
	assert_int_equal(used.len, 7);
	assert_false(peer_driver_take(&rig.driver, &used));
	dev_rig_close(&rig);
}

static void a_batch_shows_when_its_first_flags_do(void **state)
{
	struct peer_used used;

	open_rig(state, 3, 0);
	for (unsigned i = 0; i < 3; i++)
		offer_one();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(i + 1);
		assert_int_equal(slot(0).flags, VD_DESC_AVAIL | VD_DESC_WRITE);
		assert_false(peer_driver_take(&rig.driver, &used));
	}
	assert_int_equal(slot(2).flags, VD_DESC_AVAIL | VD_DESC_USED | VD_DESC_WRITE);
	vd_vq_dev_publish(&rig.vq);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.len, i + 1);
	}
	dev_rig_close(&rig);
}

static void a_used_descriptor_is_left_alone(void **state)
{
	struct peer_desc used[3];

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 3; i++) {
		offer_one();
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(i);
		vd_vq_dev_flush(&rig.vq);
		vd_vq_dev_enable_notify(&rig.vq);
		used[i] = slot(i);
		/* Nor does it ever touch the address, in which it has nothing to say. */
		assert_int_equal(used[i].addr, RIG_NEXT);
		for (unsigned j = 0; j <= i; j++) {
			struct peer_desc now = slot(j);

			assert_memory_equal(&now, &used[j], sizeof(now));
		}
	}
	dev_rig_close(&rig);
}

static void a_ring_of_one_goes_round_and_round(void **state)
{
	struct peer_used used;

	open_rig(state, 1, EVENT_IDX);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(dev_rig_pop(&rig), 0);
		assert_false(vd_vq_dev_enable_notify(&rig.vq));
		offer_one();
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_false(vd_vq_dev_ready(&rig.vq));
		push(i);
		vd_vq_dev_publish(&rig.vq);
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.len, i);
	}
	dev_rig_close(&rig);
}

static void the_largest_ring_can_be_full(void **state)
{
	open_rig_after(state, 32768, 0, 40000);
	for (unsigned i = 0; i < 32768; i++)
		offer_one();
	for (unsigned i = 0; i < 32768; i++)
		assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(dev_rig_pop(&rig), 0);
	offer_one();
	dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
	dev_rig_close(&rig);
}

static void a_list_as_long_as_the_largest_ring_is_popped(void **state)
{
	open_rig_after(state, 32768, 0, 12345);
	for (unsigned i = 0; i < 32767; i++)
		put(RIG_LOW, 0, VD_DESC_NEXT, 0);
	put(RIG_LOW, 8, VD_DESC_WRITE, 9);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.in_len, 8);
	push(8);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(slot(12345).link, 9);
	assert_int_equal(dev_rig_pop(&rig), 0);
	dev_rig_close(&rig);
}

/* ---- lists that can't be ---- */

static void a_list_that_is_only_begun_breaks_the_queue(void **state)
{
	open_rig_after(state, 4, 0, 2);
	put(RIG_LOW, 1, VD_DESC_NEXT, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_LIST_PARTIAL, 3, 0, 0);
	dev_rig_close(&rig);

	open_rig_after(state, 4, 0, 2);
	put(RIG_LOW, 1, VD_DESC_NEXT, 0);
	put(RIG_LOW, 1, VD_DESC_NEXT, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_LIST_PARTIAL, 0, 0, 0);
	dev_rig_close(&rig);
}

static void a_list_longer_than_what_is_free_breaks_the_queue(void **state)
{
	open_rig(state, 4, 0);
	offer_one();
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(dev_rig_pop(&rig), 1);
	for (unsigned i = 0; i < 3; i++)
		put(RIG_LOW, 1, VD_DESC_NEXT, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 3, 2, 0);
	dev_rig_close(&rig);
}

static void a_list_without_an_end_breaks_the_queue(void **state)
{
	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		put(RIG_LOW, 1, VD_DESC_NEXT, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 5, 4, 0);
	dev_rig_close(&rig);
}

static void one_more_than_the_ring_holds_breaks_the_queue(void **state)
{
	open_rig(state, 3, 0);
	for (unsigned i = 0; i < 3; i++) {
		offer_one();
		assert_int_equal(dev_rig_pop(&rig), 1);
	}
	assert_false(vd_vq_dev_ready(&rig.vq));
	offer_one();
	assert_true(vd_vq_dev_ready(&rig.vq));
	dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
	dev_rig_close(&rig);
}

/* ---- indirect tables ---- */

static void an_indirect_table_that_was_not_negotiated_breaks_the_queue(void **state)
{
	open_rig_after(state, 4, 0, 2);
	put(RIG_LOW, 16, VD_DESC_INDIRECT, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_OFF, 2, 0, 0);
	dev_rig_close(&rig);
}

static void a_table_at_the_start_of_a_list_breaks_the_queue(void **state)
{
	open_rig_after(state, 4, INDIRECT, 2);
	put(RIG_LOW, 16, VD_DESC_INDIRECT | VD_DESC_NEXT, 1);
	put(RIG_LOW, 16, 0, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_NEXT, 2, 0, 0);
	dev_rig_close(&rig);
}

static void a_table_inside_a_list_breaks_the_queue(void **state)
{
	open_rig_after(state, 4, INDIRECT, 2);
	put(RIG_NEXT, 16, VD_DESC_NEXT, 1);
	put(RIG_LOW, 16, VD_DESC_INDIRECT, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_NEXT, 3, 0, 0);
	dev_rig_close(&rig);
}

static void a_table_longer_than_the_queue_breaks_it(void **state)
{
	open_rig(state, 4, INDIRECT);
	for (uint16_t i = 0; i < 5; i++)
		put_indirect(i, RIG_NEXT, 1, 0, 0);
	put(RIG_LOW, 80, VD_DESC_INDIRECT, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_CHAIN_LONG, 4, 0, 0);
	dev_rig_close(&rig);
}

/* ---- notifications ---- */

static bool notifies(void **state, uint64_t features, uint16_t mode, uint32_t first, uint32_t count,
		     uint32_t event)
{
	bool notify;

	open_rig_after(state, 5, features, first);
	peer_put_wish(&rig.driver.ring, true, mode, peer_position(&rig.driver.ring, event));
	for (unsigned i = 0; i < count; i++)
		offer_one();
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(0);
	}
	notify = vd_vq_dev_flush(&rig.vq);
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	dev_rig_close(&rig);
	return notify;
}

static void the_mode_decides_whether_the_driver_is_notified(void **state)
{
	assert_true(notifies(state, 0, VD_EVENT_ENABLE, 0, 1, 0));
	assert_false(notifies(state, 0, VD_EVENT_DISABLE, 0, 1, 0));
	assert_true(notifies(state, EVENT_IDX, VD_EVENT_ENABLE, 0, 1, 3));
	assert_false(notifies(state, EVENT_IDX, VD_EVENT_DISABLE, 0, 1, 0));
	/* What a driver must not say is answered with a notification too many, not too few. */
	assert_true(notifies(state, 0, VD_EVENT_DESC, 0, 1, 3));
	assert_true(notifies(state, EVENT_IDX, 3, 0, 1, 3));
}

static void the_position_decides_whether_the_driver_is_notified(void **state)
{
	for (uint32_t first = 10; first < 20; first++)
		for (uint32_t count = 1; count <= 5; count++)
			for (uint32_t event = first - 5; event < first + 10; event++)
				assert_int_equal(notifies(state, EVENT_IDX, VD_EVENT_DESC, first,
							  count, event),
						 event >= first && event < first + count);
}

static void a_list_is_as_many_slots_as_it_takes(void **state)
{
	const struct peer_desc desc[3] = {rig_out(RIG_LOW, 1), rig_out(RIG_LOW, 1),
					  rig_out(RIG_LOW, 1)};

	for (uint16_t event = 0; event < 4; event++) {
		open_rig(state, 4, EVENT_IDX);
		peer_put_wish(&rig.driver.ring, true, VD_EVENT_DESC, 0x8000 | event);
		peer_driver_offer(&rig.driver, desc, 3);
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(0);
		assert_int_equal(vd_vq_dev_flush(&rig.vq), event < 3);
		dev_rig_close(&rig);
	}
}

static void the_driver_is_told_by_mode_whether_to_notify(void **state)
{
	open_rig(state, 4, 0);
	vd_vq_dev_disable_notify(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, VD_EVENT_DISABLE);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 0);
	assert_false(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, VD_EVENT_ENABLE);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 0);
	offer_one();
	assert_true(vd_vq_dev_enable_notify(&rig.vq));
	dev_rig_close(&rig);
}

static void the_driver_is_told_by_position_when_to_notify(void **state)
{
	open_rig(state, 3, EVENT_IDX);
	for (unsigned i = 0; i < 9; i++) {
		struct peer_wish wish;

		assert_false(vd_vq_dev_enable_notify(&rig.vq));
		wish = peer_get_wish(&rig.driver.ring, false);
		assert_int_equal(wish.mode, VD_EVENT_DESC);
		assert_int_equal(wish.event, peer_position(&rig.driver.ring, i));
		vd_vq_dev_disable_notify(&rig.vq);
		assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, VD_EVENT_DISABLE);
		offer_one();
		assert_true(vd_vq_dev_enable_notify(&rig.vq));
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(0);
		vd_vq_dev_publish(&rig.vq);
	}
	dev_rig_close(&rig);
}

/* ---- stopping and going on ---- */

static void a_queue_goes_on_where_another_stopped(void **state)
{
	open_rig(state, 3, 0);
	for (uint32_t i = 0; i < 14; i++) {
		struct vd_ring_position position = vd_vq_dev_position(&rig.vq);

		assert_int_equal(position.avail, peer_position(&rig.driver.ring, i));
		assert_int_equal(position.used, peer_position(&rig.driver.ring, i));
		rig.config.position = position;
		memset(&rig.vq, 0xa5, sizeof(rig.vq));
		assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
		serve_one();
	}
	dev_rig_close(&rig);
}

static void expect_position(uint16_t avail, uint16_t used, int result)
{
	rig.config.position = (struct vd_ring_position){.avail = avail, .used = used};
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), result);
}

static void positions_behind_the_ring_are_refused(void **state)
{
	open_rig(state, 5, 0);
	expect_position(5, 4, -VD_EINVAL);
	expect_position(4, 5, -VD_EINVAL);
	expect_position(0x8005, 0x8004, -VD_EINVAL);
	expect_position(0xffff, 0xffff, -VD_EINVAL);
	/* In another lap each. */
	expect_position(4, 0x8005, -VD_EINVAL);
	expect_position(0x8000, 5, -VD_EINVAL);
	expect_position(0x8004, 0x8004, 0);
	dev_rig_close(&rig);
}

static void positions_that_are_not_within_a_lap_are_refused(void **state)
{
	open_rig(state, 5, 0);
	/* Used must not be ahead of available, ... */
	expect_position(2, 3, -VD_EINVAL);
	expect_position(0x8000, 0x8004, -VD_EINVAL);
	/* ... nor more than the ring behind. */
	expect_position(0x8003, 2, -VD_EINVAL);
	expect_position(4, 0x8000, -VD_EINVAL);
	expect_position(3, 2, 0);
	expect_position(0x8002, 2, 0);
	expect_position(0, 0x8004, 0);
	dev_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PACKED(lists_of_every_length_are_popped_from_every_slot),
		ON_PACKED(indirect_and_direct_lists_mix),
		ON_PACKED(only_write_counts_in_an_indirect_table),
		ON_PACKED(write_on_the_referring_descriptor_means_nothing),
		ON_PACKED(the_id_of_the_last_descriptor_counts_whatever_it_is),
		ON_PACKED(nothing_is_available_in_a_ring_of_zeros),
		ON_PACKED(used_descriptors_say_whether_anything_was_written),
		ON_PACKED(used_descriptors_appear_in_the_order_of_pushing),
		ON_PACKED(a_batch_shows_when_its_first_flags_do),
		ON_PACKED(a_used_descriptor_is_left_alone),
		ON_PACKED(a_ring_of_one_goes_round_and_round),
		ON_PACKED(the_largest_ring_can_be_full),
		ON_PACKED(a_list_as_long_as_the_largest_ring_is_popped),
		ON_PACKED(a_list_that_is_only_begun_breaks_the_queue),
		ON_PACKED(a_list_longer_than_what_is_free_breaks_the_queue),
		ON_PACKED(a_list_without_an_end_breaks_the_queue),
		ON_PACKED(one_more_than_the_ring_holds_breaks_the_queue),
		ON_PACKED(an_indirect_table_that_was_not_negotiated_breaks_the_queue),
		ON_PACKED(a_table_at_the_start_of_a_list_breaks_the_queue),
		ON_PACKED(a_table_inside_a_list_breaks_the_queue),
		ON_PACKED(a_table_longer_than_the_queue_breaks_it),
		ON_PACKED(the_mode_decides_whether_the_driver_is_notified),
		ON_PACKED(the_position_decides_whether_the_driver_is_notified),
		ON_PACKED(a_list_is_as_many_slots_as_it_takes),
		ON_PACKED(the_driver_is_told_by_mode_whether_to_notify),
		ON_PACKED(the_driver_is_told_by_position_when_to_notify),
		ON_PACKED(a_queue_goes_on_where_another_stopped),
		ON_PACKED(positions_behind_the_ring_are_refused),
		ON_PACKED(positions_that_are_not_within_a_lap_are_refused),
	};

	return cmocka_run_group_tests_name("packed_dev", tests, NULL, NULL);
}
