/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split ring against a driver written by hand, honest and otherwise. */
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

static struct dev_rig rig;

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	dev_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
}

static void open_rig_at(void **state, uint16_t size, uint64_t features, uint16_t avail,
			uint16_t used)
{
	const struct vd_ring_position position = {.avail = avail, .used = used};

	dev_rig_open(
		&rig, *state,
		&(struct rig_options){.size = size, .features = features, .position = &position});
	rig.driver.avail = avail;
	rig.driver.used = used;
	peer_driver_set_index(&rig.driver, avail);
	peer_put16(&rig.driver.ring, rig.driver.ring.mem.device, 2, used);
}

/* One descriptor of the ring's table, exactly as given. */
static void put(uint16_t index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	peer_put_desc(&rig.driver.ring, rig.driver.ring.mem.desc, index,
		      (struct peer_desc){addr, len, flags, next});
}

/* One descriptor of an indirect table at the start of LOW. */
static void put_indirect(uint16_t index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	peer_put_desc(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), index,
		      (struct peer_desc){addr, len, flags, next});
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

static uint16_t used_index(void)
{
	return peer_get16(&rig.driver.ring, rig.driver.ring.mem.device, 2);
}

/* ---- what is legal ---- */

static void expect_segment(unsigned n, uint64_t peer, size_t len)
{
	assert_ptr_equal(rig.iov[n].base, dev_rig_at(&rig, peer));
	assert_int_equal(rig.iov[n].len, len);
}

static void offer_chain(unsigned n_out, unsigned n_in)
{
	struct peer_desc desc[64];

	for (unsigned i = 0; i < n_out + n_in; i++)
		desc[i] = i < n_out ? rig_out(RIG_LOW + 32 * i, i + 1)
				    : rig_in(RIG_LOW + 32 * i, i + 1);
	peer_driver_offer(&rig.driver, desc, n_out + n_in);
}

static void chains_of_every_length_are_popped(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned n_out = 0; n_out <= 8; n_out++)
		for (unsigned n_in = n_out == 0; n_out + n_in <= 8; n_in++) {
			unsigned all = n_out + n_in;

			offer_chain(n_out, n_in);
			assert_int_equal(dev_rig_pop(&rig), 1);
			assert_int_equal(rig.chain.n_out, n_out);
			assert_int_equal(rig.chain.n_in, n_in);
			assert_int_equal(rig.chain.out_len, n_out * (n_out + 1) / 2);
			assert_int_equal(rig.chain.out_len + rig.chain.in_len, all * (all + 1) / 2);
			for (unsigned i = 0; i < all; i++)
				expect_segment(i, RIG_LOW + 32 * i, i + 1);
			push(rig.chain.in_len);
			vd_vq_dev_publish(&rig.vq);
			assert_int_equal(dev_rig_pop(&rig), 0);
		}
	dev_rig_close(&rig);
}

static void chains_that_end_in_an_indirect_table_are_popped(void **state)
{
	open_rig(state, 8, INDIRECT);
	for (unsigned direct = 0; direct < 8; direct++) {
		struct peer_desc desc[8];
		struct peer_desc entries[8];
		unsigned n = 8 - direct;

		for (unsigned i = 0; i < direct; i++)
			desc[i] = rig_out(RIG_NEXT + i, 1);
		desc[direct] = rig_table(RIG_LOW, 16 * n);
		for (unsigned i = 0; i < n; i++)
			entries[i] = i == 0 ? rig_out(RIG_NEXT + direct, 1)
					    : rig_in(RIG_NEXT + direct + i, 1);
		peer_put_table(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), entries, n);
		peer_driver_offer(&rig.driver, desc, direct + 1);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, direct + 1);
		assert_int_equal(rig.chain.n_in, n - 1);
		for (unsigned i = 0; i < 8; i++)
			expect_segment(i, RIG_NEXT + i, 1);
		push(0);
		vd_vq_dev_publish(&rig.vq);
	}
	dev_rig_close(&rig);
}

static void entries_of_a_table_are_followed_in_any_order(void **state)
{
	open_rig(state, 4, INDIRECT);
	/* 0 -> 9 -> 3, in a table with more entries than the queue. */
	put_indirect(0, RIG_NEXT, 1, VD_DESC_NEXT, 9);
	put_indirect(9, RIG_NEXT + 1, 2, VD_DESC_NEXT, 3);
	put_indirect(3, RIG_NEXT + 2, 3, VD_DESC_WRITE, 9);
	put(2, RIG_LOW, 160, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 2);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.id, 2);
	assert_int_equal(rig.chain.n_out, 2);
	assert_int_equal(rig.chain.n_in, 1);
	expect_segment(1, RIG_NEXT + 1, 2);
	expect_segment(2, RIG_NEXT + 2, 3);
	dev_rig_close(&rig);
}

static void write_on_the_referring_descriptor_means_nothing(void **state)
{
	open_rig(state, 4, INDIRECT);
	put_indirect(0, RIG_NEXT, 1, 0, 0);
	put(0, RIG_LOW, 16, VD_DESC_INDIRECT | VD_DESC_WRITE, 0);
	put(1, RIG_NEXT + 8, 1, VD_DESC_NEXT, 0);
	peer_driver_offer_head(&rig.driver, 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 1);
	assert_int_equal(rig.chain.n_in, 0);
	push(0);
	vd_vq_dev_publish(&rig.vq);
	/* Nor does it make what follows a descriptor of the ring "writable". */
	peer_driver_offer_head(&rig.driver, 1);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 2);
	dev_rig_close(&rig);
}

static void flags_without_a_meaning_are_ignored(void **state)
{
	open_rig(state, 4, INDIRECT);
	put(0, RIG_LOW, 7, 0xfff8, 0xffff);
	peer_driver_offer_head(&rig.driver, 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 1);
	assert_int_equal(rig.chain.out_len, 7);
	dev_rig_close(&rig);
}

static void used_elements_appear_in_the_order_of_pushing(void **state)
{
	struct vd_chain first;
	struct peer_used used;
	uint16_t heads[2];

	open_rig(state, 4, 0);
	heads[0] = offer_one();
	heads[1] = offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	first = rig.chain;
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(5);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &first, 64), 0);
	assert_false(peer_driver_take(&rig.driver, &used));
	vd_vq_dev_publish(&rig.vq);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, heads[1]);
	assert_int_equal(used.len, 5);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, heads[0]);
	assert_int_equal(used.len, 64);
	assert_false(peer_driver_take(&rig.driver, &used));
	dev_rig_close(&rig);
}

/* The same element each lap, but for one, so that the private copy of the used ring matters. */
static void used_elements_are_right_lap_after_lap(void **state)
{
	struct peer_used used;

	open_rig(state, 2, 0);
	for (unsigned i = 0; i < 12; i++) {
		uint32_t len = i == 6 ? 9 : 3;
		uint16_t head = offer_one();

		assert_int_equal(dev_rig_pop(&rig), 1);
		push(len);
		vd_vq_dev_publish(&rig.vq);
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.id, head);
		assert_int_equal(used.len, len);
	}
	dev_rig_close(&rig);
}

static void nothing_but_the_used_ring_is_written(void **state)
{
	unsigned char table[64];
	unsigned char avail[14];

	open_rig(state, 4, EVENT_IDX);
	for (unsigned i = 0; i < 9; i++) {
		const struct peer_desc desc[2] = {rig_out(RIG_READ_ONLY, 8), rig_in(RIG_LOW, 8)};

		peer_driver_offer(&rig.driver, desc, 2);
		memcpy(table, rig.driver.ring.mem.desc, sizeof(table));
		memcpy(avail, rig.driver.ring.mem.driver, sizeof(avail));
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(8);
		vd_vq_dev_flush(&rig.vq);
		vd_vq_dev_enable_notify(&rig.vq);
		vd_vq_dev_disable_notify(&rig.vq);
		assert_memory_equal(table, rig.driver.ring.mem.desc, sizeof(table));
		assert_memory_equal(avail, rig.driver.ring.mem.driver, sizeof(avail));
	}
	dev_rig_close(&rig);
}

/* ---- the available index ---- */

static void the_index_may_name_every_descriptor(void **state)
{
	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		offer_one();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(dev_rig_pop(&rig), 0);
	dev_rig_close(&rig);
}

static void the_index_can_not_jump_ahead(void **state)
{
	open_rig(state, 4, 0);
	serve_one();
	peer_driver_set_index(&rig.driver, 6);
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 1, 6, 4);
	dev_rig_close(&rig);
}

static void the_index_can_not_jump_back(void **state)
{
	open_rig(state, 4, 0);
	serve_one();
	serve_one();
	peer_driver_set_index(&rig.driver, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 2, 1, 4);
	dev_rig_close(&rig);
}

static void the_index_can_not_pass_what_is_outstanding(void **state)
{
	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 3; i++) {
		offer_one();
		assert_int_equal(dev_rig_pop(&rig), 1);
	}
	peer_driver_set_index(&rig.driver, 5);
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 3, 5, 1);
	dev_rig_close(&rig);
}

static void the_index_wraps_at_65536(void **state)
{
	struct peer_used used;

	open_rig_at(state, 4, 0, 65534, 65534);
	rig.driver.avail = 65534;
	rig.driver.used = 65534;
	for (unsigned i = 0; i < 4; i++)
		offer_one();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(i);
	}
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(used_index(), 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.len, i);
	}
	peer_driver_set_index(&rig.driver, 7);
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 2, 7, 4);
	dev_rig_close(&rig);
}

static void the_largest_ring_can_be_full(void **state)
{
	open_rig_at(state, 32768, 0, 40000, 40000);
	for (unsigned i = 0; i < 32768; i++)
		offer_one();
	for (unsigned i = 0; i < 32768; i++)
		assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(dev_rig_pop(&rig), 0);
	peer_driver_set_index(&rig.driver, (uint16_t)(40000 + 32769));
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 7232, 7233, 0);
	dev_rig_close(&rig);
}

static void the_index_of_the_largest_ring_can_not_jump(void **state)
{
	open_rig_at(state, 32768, 0, 40000, 40000);
	peer_driver_set_index(&rig.driver, (uint16_t)(40000 + 32769));
	dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 40000, 7233, 32768);
	dev_rig_close(&rig);
}

static void ready_sees_a_jump_as_something(void **state)
{
	open_rig(state, 4, 0);
	peer_driver_set_index(&rig.driver, 5);
	assert_true(vd_vq_dev_ready(&rig.vq));
	assert_true(vd_vq_dev_is_broken(&rig.vq));
	rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_AVAIL_JUMP, 0, 5, 4);
	assert_int_equal(dev_rig_pop(&rig), -VD_EPROTO);
	dev_rig_close(&rig);
}

/* ---- heads ---- */

static void a_head_behind_the_table_breaks_the_queue(void **state)
{
	static const uint16_t heads[] = {4, 5, 0x8000, 0xffff};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		open_rig(state, 4, 0);
		peer_driver_offer_head(&rig.driver, heads[i]);
		dev_rig_expect_broken(&rig, VD_FAULT_HEAD_RANGE, heads[i], 4, 0);
		dev_rig_close(&rig);
	}
}

static void a_head_made_available_twice_breaks_the_queue(void **state)
{
	open_rig(state, 4, 0);
	put(2, RIG_LOW, 8, 0, 0);
	peer_driver_offer_head(&rig.driver, 2);
	peer_driver_offer_head(&rig.driver, 2);
	assert_int_equal(dev_rig_pop(&rig), 1);
	dev_rig_expect_broken(&rig, VD_FAULT_HEAD_BUSY, 2, 0, 0);
	dev_rig_close(&rig);
}

static void a_head_may_come_again_once_it_was_used(void **state)
{
	open_rig(state, 4, 0);
	put(2, RIG_LOW, 8, 0, 0);
	for (unsigned i = 0; i < 9; i++) {
		peer_driver_offer_head(&rig.driver, 2);
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(0);
		vd_vq_dev_publish(&rig.vq);
	}
	dev_rig_close(&rig);
}

/* ---- chains that lead nowhere ---- */

static void next_behind_the_table_breaks_the_queue(void **state)
{
	open_rig(state, 4, INDIRECT);
	put(1, RIG_LOW, 8, VD_DESC_NEXT, 3);
	put(3, RIG_LOW, 8, VD_DESC_NEXT, 4);
	peer_driver_offer_head(&rig.driver, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_NEXT_RANGE, 3, 4, 4);
	dev_rig_close(&rig);
}

static void next_behind_an_indirect_table_breaks_the_queue(void **state)
{
	open_rig(state, 8, INDIRECT);
	put_indirect(0, RIG_NEXT, 8, VD_DESC_NEXT, 2);
	put_indirect(2, RIG_NEXT, 8, VD_DESC_NEXT, 3);
	put(1, RIG_LOW, 48, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_NEXT_RANGE, 2, 3, 3);
	dev_rig_close(&rig);
}

static void loops_break_the_queue(void **state)
{
	for (uint16_t length = 1; length <= 4; length++) {
		open_rig(state, 4, 0);
		for (uint16_t i = 0; i < length; i++)
			put(i, RIG_LOW, 8, VD_DESC_NEXT, (uint16_t)((i + 1) % length));
		peer_driver_offer_head(&rig.driver, 0);
		dev_rig_expect_broken(&rig, VD_FAULT_CHAIN_LONG, 4, 0, 0);
		dev_rig_close(&rig);
	}
}

static void loops_in_an_indirect_table_break_the_queue(void **state)
{
	for (uint16_t length = 1; length <= 4; length++) {
		open_rig(state, 4, INDIRECT);
		for (uint16_t i = 0; i < length; i++)
			put_indirect(i, RIG_NEXT, 8, VD_DESC_NEXT, (uint16_t)((i + 1) % length));
		put(0, RIG_LOW, 16u * length, VD_DESC_INDIRECT, 0);
		peer_driver_offer_head(&rig.driver, 0);
		dev_rig_expect_broken(&rig, VD_FAULT_CHAIN_LONG, 4, 0, 0);
		dev_rig_close(&rig);
	}
}

static void a_chain_longer_than_the_queue_breaks_it(void **state)
{
	struct peer_desc entries[5];

	/* One in the ring and four in a table, for a queue of four. */
	open_rig(state, 4, INDIRECT);
	for (unsigned i = 0; i < 5; i++)
		entries[i] = rig_out(RIG_NEXT, 1);
	peer_put_table(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), entries, 4);
	put(0, RIG_NEXT, 1, VD_DESC_NEXT, 1);
	put(1, RIG_LOW, 64, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_CHAIN_LONG, 4, 0, 0);
	dev_rig_close(&rig);

	open_rig(state, 4, INDIRECT);
	peer_put_table(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), entries, 5);
	put(0, RIG_LOW, 80, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_CHAIN_LONG, 4, 0, 0);
	dev_rig_close(&rig);
}

/* ---- indirect tables ---- */

static void an_indirect_table_that_was_not_negotiated_breaks_the_queue(void **state)
{
	open_rig(state, 4, 0);
	put(1, RIG_LOW, 16, VD_DESC_NEXT, 2);
	put(2, RIG_LOW, 16, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_OFF, 2, 0, 0);
	dev_rig_close(&rig);
}

static void a_table_inside_a_table_breaks_the_queue(void **state)
{
	open_rig(state, 4, INDIRECT);
	put_indirect(0, RIG_NEXT, 1, VD_DESC_NEXT, 1);
	put_indirect(1, RIG_NEXT, 16, VD_DESC_INDIRECT, 0);
	put(3, RIG_LOW, 32, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 3);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_NESTED, 1, 0, 0);
	dev_rig_close(&rig);
}

static void a_table_that_goes_on_in_the_ring_breaks_the_queue(void **state)
{
	open_rig(state, 4, INDIRECT);
	put_indirect(0, RIG_NEXT, 1, 0, 0);
	put(3, RIG_LOW, 16, VD_DESC_INDIRECT | VD_DESC_NEXT, 0);
	peer_driver_offer_head(&rig.driver, 3);
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_NEXT, 3, 0, 0);
	dev_rig_close(&rig);
}

/* ---- IN_ORDER ---- */

static void in_order_next_is_the_following_descriptor(void **state)
{
	open_rig(state, 4, IN_ORDER);
	put(2, RIG_LOW, 1, VD_DESC_NEXT, 3);
	put(3, RIG_LOW, 1, VD_DESC_NEXT, 0);
	put(0, RIG_LOW, 1, 0, 0);
	peer_driver_offer_head(&rig.driver, 2);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(rig.chain.n_out, 3);
	dev_rig_close(&rig);
}

static void in_order_any_other_next_breaks_the_queue(void **state)
{
	static const struct {
		uint16_t head;
		uint16_t next;
		uint16_t right;
	} wrong[] = {{0, 0, 1}, {0, 2, 1}, {0, 3, 1}, {1, 0, 2}, {3, 3, 0}, {3, 1, 0}, {3, 2, 0}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		open_rig(state, 4, IN_ORDER);
		put(wrong[i].head, RIG_LOW, 1, VD_DESC_NEXT, wrong[i].next);
		peer_driver_offer_head(&rig.driver, wrong[i].head);
		dev_rig_expect_broken(&rig, VD_FAULT_NEXT_ORDER, wrong[i].head, wrong[i].next,
				      wrong[i].right);
		dev_rig_close(&rig);
	}
}

static void in_order_table_entries_follow_one_another(void **state)
{
	open_rig(state, 4, INDIRECT | IN_ORDER);
	put_indirect(0, RIG_NEXT, 1, VD_DESC_NEXT, 1);
	put_indirect(1, RIG_NEXT, 1, VD_DESC_NEXT, 2);
	put_indirect(2, RIG_NEXT, 1, 0, 0);
	put(0, RIG_LOW, 64, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	put_indirect(1, RIG_NEXT, 1, VD_DESC_NEXT, 3);
	put(1, RIG_LOW, 64, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_NEXT_ORDER, 1, 3, 2);
	dev_rig_close(&rig);
}

static void in_order_a_table_does_not_wrap_to_its_start(void **state)
{
	open_rig(state, 2, INDIRECT | IN_ORDER);
	put_indirect(0, RIG_NEXT, 1, VD_DESC_NEXT, 1);
	put_indirect(1, RIG_NEXT, 1, VD_DESC_NEXT, 0);
	put(0, RIG_LOW, 32, VD_DESC_INDIRECT, 0);
	peer_driver_offer_head(&rig.driver, 0);
	dev_rig_expect_broken(&rig, VD_FAULT_NEXT_ORDER, 1, 0, 2);
	dev_rig_close(&rig);
}

/* ---- notifications ---- */

static void flags_decide_whether_the_driver_is_notified(void **state)
{
	open_rig(state, 4, 0);
	/* used_event says no, and is nobody's business. */
	peer_put_wish(&rig.driver.ring, true, 0, 77);
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(0);
	assert_true(vd_vq_dev_flush(&rig.vq));
	peer_put_wish(&rig.driver.ring, true, VD_AVAIL_NO_INTERRUPT, 1);
	offer_one();
	assert_int_equal(dev_rig_pop(&rig), 1);
	push(0);
	assert_false(vd_vq_dev_flush(&rig.vq));
	assert_int_equal(used_index(), 2);
	dev_rig_close(&rig);
}

/* Serve @count buffers at once, of which the first has the index @first. */
static bool notifies(void **state, uint16_t first, uint16_t count, uint16_t event)
{
	bool notify;

	open_rig_at(state, 8, EVENT_IDX, first, first);
	/* The flags say no, and are nobody's business. */
	peer_put_wish(&rig.driver.ring, true, VD_AVAIL_NO_INTERRUPT, event);
	for (unsigned i = 0; i < count; i++)
		offer_one();
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(dev_rig_pop(&rig), 1);
		push(0);
	}
	notify = vd_vq_dev_flush(&rig.vq);
	assert_int_equal(used_index(), (uint16_t)(first + count));
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	dev_rig_close(&rig);
	return notify;
}

static void the_used_event_decides_whether_the_driver_is_notified(void **state)
{
	static const uint16_t starts[] = {0, 100, 32766, 65533, 65535};

	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (uint16_t count = 1; count <= 4; count++)
			for (int ahead = -2; ahead <= 6; ahead++)
				assert_int_equal(notifies(state, starts[s], count,
							  (uint16_t)(starts[s] + ahead)),
						 ahead >= 0 && ahead < count);
}

static void the_driver_is_told_by_flags_whether_to_notify(void **state)
{
	open_rig(state, 4, 0);
	vd_vq_dev_disable_notify(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, VD_USED_NO_NOTIFY);
	assert_false(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, 0);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 0);
	offer_one();
	assert_true(vd_vq_dev_enable_notify(&rig.vq));
	dev_rig_close(&rig);
}

static void the_driver_is_told_by_avail_event_when_to_notify(void **state)
{
	open_rig_at(state, 4, EVENT_IDX, 65535, 65535);
	vd_vq_dev_disable_notify(&rig.vq);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, 0);
	assert_false(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 65535);
	offer_one();
	offer_one();
	assert_true(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(dev_rig_pop(&rig), 1);
	/* The second was seen together with the first, but it is still to be popped. */
	assert_true(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_false(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).event, 1);
	assert_int_equal(peer_get_wish(&rig.driver.ring, false).mode, 0);
	dev_rig_close(&rig);
}

/* ---- stopping and going on ---- */

static void a_queue_goes_on_where_another_stopped(void **state)
{
	struct vd_ring_position position;
	struct peer_used used;

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 3; i++)
		serve_one();
	position = vd_vq_dev_position(&rig.vq);
	assert_int_equal(position.avail, 3);
	assert_int_equal(position.used, 3);
	rig.config.position = position;
	memset(&rig.vq, 0xa5, sizeof(rig.vq));
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	for (unsigned i = 0; i < 3; i++)
		serve_one();
	for (unsigned i = 0; i < 6; i++) {
		assert_true(peer_driver_take(&rig.driver, &used));
		assert_int_equal(used.id, i % 4);
	}
	assert_false(peer_driver_take(&rig.driver, &used));
	dev_rig_close(&rig);
}

static void positions_that_can_not_be_are_refused(void **state)
{
	open_rig(state, 4, 0);
	rig.config.position = (struct vd_ring_position){.avail = 5, .used = 0};
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), -VD_EINVAL);
	rig.config.position = (struct vd_ring_position){.avail = 0, .used = 1};
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), -VD_EINVAL);
	rig.config.position = (struct vd_ring_position){.avail = 3, .used = 65535};
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	dev_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_SPLIT(chains_of_every_length_are_popped),
		ON_SPLIT(chains_that_end_in_an_indirect_table_are_popped),
		ON_SPLIT(entries_of_a_table_are_followed_in_any_order),
		ON_SPLIT(write_on_the_referring_descriptor_means_nothing),
		ON_SPLIT(flags_without_a_meaning_are_ignored),
		ON_SPLIT(used_elements_appear_in_the_order_of_pushing),
		ON_SPLIT(used_elements_are_right_lap_after_lap),
		ON_SPLIT(nothing_but_the_used_ring_is_written),
		ON_SPLIT(the_index_may_name_every_descriptor),
		ON_SPLIT(the_index_can_not_jump_ahead),
		ON_SPLIT(the_index_can_not_jump_back),
		ON_SPLIT(the_index_can_not_pass_what_is_outstanding),
		ON_SPLIT(the_index_wraps_at_65536),
		ON_SPLIT(the_largest_ring_can_be_full),
		ON_SPLIT(the_index_of_the_largest_ring_can_not_jump),
		ON_SPLIT(ready_sees_a_jump_as_something),
		ON_SPLIT(a_head_behind_the_table_breaks_the_queue),
		ON_SPLIT(a_head_made_available_twice_breaks_the_queue),
		ON_SPLIT(a_head_may_come_again_once_it_was_used),
		ON_SPLIT(next_behind_the_table_breaks_the_queue),
		ON_SPLIT(next_behind_an_indirect_table_breaks_the_queue),
		ON_SPLIT(loops_break_the_queue),
		ON_SPLIT(loops_in_an_indirect_table_break_the_queue),
		ON_SPLIT(a_chain_longer_than_the_queue_breaks_it),
		ON_SPLIT(an_indirect_table_that_was_not_negotiated_breaks_the_queue),
		ON_SPLIT(a_table_inside_a_table_breaks_the_queue),
		ON_SPLIT(a_table_that_goes_on_in_the_ring_breaks_the_queue),
		ON_SPLIT(in_order_next_is_the_following_descriptor),
		ON_SPLIT(in_order_any_other_next_breaks_the_queue),
		ON_SPLIT(in_order_table_entries_follow_one_another),
		ON_SPLIT(in_order_a_table_does_not_wrap_to_its_start),
		ON_SPLIT(flags_decide_whether_the_driver_is_notified),
		ON_SPLIT(the_used_event_decides_whether_the_driver_is_notified),
		ON_SPLIT(the_driver_is_told_by_flags_whether_to_notify),
		ON_SPLIT(the_driver_is_told_by_avail_event_when_to_notify),
		ON_SPLIT(a_queue_goes_on_where_another_stopped),
		ON_SPLIT(positions_that_can_not_be_are_refused),
	};

	return cmocka_run_group_tests_name("split_dev", tests, NULL, NULL);
}
