/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device end tells its journal, and what it does again from it: a record that the front
 * end can write into, so nothing in it is believed. */
#include "ring/journal.h"
#include "ring/wire.h"
#include "ring_rig.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define INDIRECT VD_BIT(VD_F_INDIRECT_DESC)
#define IN_ORDER VD_BIT(VD_F_IN_ORDER)

/* Writes down its calls, and replays what a test puts into it. */
struct mock {
	struct vd_journal journal;
	char log[256];
	uint16_t next_entry; /* packed: handed out by popped() */
	uint16_t again[16];  /* entries to replay */
	unsigned n_again;
	unsigned done_again;
	struct vd_desc desc[16]; /* packed: what any entry holds */
	unsigned n_desc;
	bool endless; /* split: replay entry 0 for ever */
};

static struct mock mock;
static struct dev_rig rig;
static struct vd_chain chains[8];
static struct vd_iov iov[8][4];

static void write_down(const char *what, unsigned value)
{
	size_t length = strlen(mock.log);

	snprintf(mock.log + length, sizeof(mock.log) - length, "%s%u ", what, value);
}

static void expect_log(const char *log)
{
	assert_string_equal(mock.log, log);
	mock.log[0] = '\0';
}

static void mock_descriptor(struct vd_journal *journal, const struct vd_desc *desc)
{
	(void)journal;
	write_down("descriptor", desc->len);
}

static uint16_t mock_popped(struct vd_journal *journal, uint16_t id)
{
	(void)journal;
	write_down("popped", id);
	return rig.driver.ring.packed ? mock.next_entry++ : id;
}

static void mock_unpopped(struct vd_journal *journal, uint16_t entry, bool replayed)
{
	(void)journal;
	write_down(replayed ? "again" : "unpopped", entry);
	if (replayed)
		mock.done_again--;
}

static void mock_pushed(struct vd_journal *journal, uint16_t entry)
{
	(void)journal;
	write_down("pushed", entry);
}

/* Split: the index that the driver sees. */
static uint16_t visible_used(void)
{
	return peer_get16(&rig.driver.ring, rig.driver.ring.mem.device, 2);
}

static void mock_publish(struct vd_journal *journal, uint16_t used)
{
	(void)journal;

	write_down("publish", used & 0x7fff);
	if (!rig.driver.ring.packed)
		assert_int_not_equal(visible_used(), used);
}

static void mock_published(struct vd_journal *journal, uint16_t used)
{
	(void)journal;
	write_down("published", used & 0x7fff);
	if (!rig.driver.ring.packed)
		assert_int_equal(visible_used(), used);
}

static bool mock_replay(struct vd_journal *journal, uint16_t *entry)
{
	(void)journal;
	if (mock.endless) {
		*entry = 0;
		return true;
	}
	if (mock.done_again == mock.n_again)
		return false;
	*entry = mock.again[mock.done_again++];
	return true;
}

static bool mock_replay_descriptor(struct vd_journal *journal, uint16_t entry, uint16_t n,
				   struct vd_desc *desc)
{
	(void)journal;
	(void)entry;
	if (n >= mock.n_desc)
		return false;
	*desc = mock.desc[n % 16];
	return true;
}

static const struct vd_journal_ops mock_ops = {
	.descriptor = mock_descriptor,
	.popped = mock_popped,
	.unpopped = mock_unpopped,
	.pushed = mock_pushed,
	.publish = mock_publish,
	.published = mock_published,
	.replay = mock_replay,
	.replay_descriptor = mock_replay_descriptor,
};

/* A queue of which a predecessor had taken @popped entries. */
static void open_rig_after(void **state, uint16_t size, uint64_t features, uint16_t popped)
{
	const struct variant *variant = *state;
	const struct peer_ring ring = {.packed = variant->packed, .size = size};
	struct vd_ring_position position = {.avail = popped};

	if (variant->packed)
		position = (struct vd_ring_position){peer_position(&ring, popped),
						     peer_position(&ring, 0)};
	mock = (struct mock){.journal = {.ops = &mock_ops}};
	dev_rig_open(&rig, variant,
		     &(struct rig_options){.size = size,
					   .features = features,
					   .position = &position,
					   .journal = &mock.journal});
	rig.driver.avail = popped;
	for (unsigned i = 0; i < 8; i++)
		chains[i] = (struct vd_chain){.iov = iov[i], .iov_max = 4};
}

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	open_rig_after(state, size, features, 0);
}

static uint16_t offer(unsigned count)
{
	struct peer_desc desc[8];

	for (unsigned i = 0; i < count; i++)
		desc[i] = rig_in(RIG_LOW + 64 * i, 11 * (i + 1));
	return peer_driver_offer(&rig.driver, desc, count);
}

static void pop(unsigned n)
{
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[n]), 1);
}

static void push(unsigned n)
{
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[n], 0), 0);
}

/* A process that took @count buffers died; this one begins where it was. */
static void begin_again(unsigned count)
{
	mock.log[0] = '\0';
	mock.done_again = 0;
	mock.n_again = count;
	for (unsigned i = 0; i < count; i++)
		mock.again[i] = chains[i].entry;
	rig.config.position = vd_vq_dev_position(&rig.vq);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
}

/* ---- what is written down ---- */

static void split_moments_are_told_in_order(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	offer(2);
	pop(0);
	expect_log("popped0 ");
	pop(1);
	expect_log("popped1 ");
	push(1);
	expect_log("pushed1 ");
	push(0);
	expect_log("pushed0 ");
	vd_vq_dev_publish(&rig.vq);
	expect_log("publish2 published2 ");
	vd_vq_dev_publish(&rig.vq);
	expect_log("");
	dev_rig_close(&rig);
}

static void packed_moments_are_told_in_order(void **state)
{
	open_rig(state, 4, 0);
	offer(2);
	offer(1);
	pop(0);
	expect_log("descriptor11 descriptor22 popped0 ");
	pop(1);
	expect_log("descriptor11 popped1 ");
	push(1);
	expect_log("pushed1 ");
	vd_vq_dev_publish(&rig.vq);
	expect_log("publish1 published1 ");
	push(0);
	vd_vq_dev_publish(&rig.vq);
	expect_log("pushed0 publish3 published3 ");
	dev_rig_close(&rig);
}

static void in_order_buffers_are_pushed_when_they_are_shown(void **state)
{
	open_rig(state, 8, IN_ORDER);
	offer(1);
	offer(1);
	pop(0);
	pop(1);
	mock.log[0] = '\0';
	push(1);
	vd_vq_dev_publish(&rig.vq);
	expect_log("");
	push(0);
	expect_log("");
	vd_vq_dev_publish(&rig.vq);
	expect_log("pushed0 pushed1 publish2 published2 ");
	dev_rig_close(&rig);
}

static void putting_back_is_told(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	pop(0);
	mock.log[0] = '\0';
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), 0);
	expect_log("unpopped0 ");
	pop(0);
	assert_false(chains[0].replayed);
	dev_rig_close(&rig);
}

/* ---- what is done again ---- */

static void remember_one(struct peer_desc desc)
{
	mock.desc[0] = (struct vd_desc){
		.addr = desc.addr, .len = desc.len, .flags = desc.flags, .link = desc.link};
	mock.n_desc = 1;
}

static void buffers_of_a_predecessor_come_first(void **state)
{
	struct peer_used used;

	open_rig(state, 8, 0);
	offer(1);
	offer(1);
	offer(1);
	pop(0);
	pop(1);
	remember_one(rig_in(RIG_LOW, 11));
	begin_again(2);
	assert_true(vd_vq_dev_ready(&rig.vq));
	assert_true(vd_vq_dev_enable_notify(&rig.vq));
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 3);
	assert_true(chains[0].replayed);
	assert_true(chains[1].replayed);
	assert_false(chains[2].replayed);
	assert_int_equal(chains[0].entry, 0);
	assert_int_equal(chains[1].entry, 1);
	assert_false(vd_vq_dev_ready(&rig.vq));
	assert_false(vd_vq_dev_enable_notify(&rig.vq));
	for (unsigned i = 0; i < 3; i++)
		push(i);
	vd_vq_dev_publish(&rig.vq);
	for (unsigned i = 0; i < 3; i++)
		assert_true(peer_driver_take(&rig.driver, &used));
	dev_rig_close(&rig);
}

static void nothing_to_do_again_is_nothing(void **state)
{
	open_rig(state, 8, 0);
	/* It can't know before it has asked. */
	assert_true(vd_vq_dev_ready(&rig.vq));
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 0);
	assert_false(vd_vq_dev_ready(&rig.vq));
	dev_rig_close(&rig);
}

static void what_is_done_again_can_be_put_back(void **state)
{
	open_rig(state, 8, 0);
	offer(1);
	pop(0);
	remember_one(rig_in(RIG_LOW, 11));
	begin_again(1);
	for (unsigned round = 0; round < 3; round++) {
		struct vd_ring_position before = vd_vq_dev_position(&rig.vq);

		pop(0);
		assert_true(chains[0].replayed);
		assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), 0);
		expect_log("again0 ");
		assert_int_equal(vd_vq_dev_position(&rig.vq).avail, before.avail);
		assert_true(vd_vq_dev_ready(&rig.vq));
	}
	/* Even when it was found that nothing else is to be done again. */
	pop(0);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[1]), 0);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), 0);
	assert_true(vd_vq_dev_ready(&rig.vq));
	pop(0);
	assert_true(chains[0].replayed);
	push(0);
	vd_vq_dev_publish(&rig.vq);
	dev_rig_close(&rig);
}

static void what_is_done_again_counts_as_outstanding(void **state)
{
	open_rig(state, 2, 0);
	offer(1);
	pop(0);
	remember_one(rig_in(RIG_LOW, 11));
	begin_again(1);
	pop(0);
	offer(1);
	pop(1);
	if (rig.driver.ring.packed) {
		peer_driver_offer_slot(&rig.driver, rig_in(RIG_LOW, 1));
		dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
	} else {
		peer_driver_set_index(&rig.driver, 3);
		dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 2, 3, 0);
	}
	dev_rig_close(&rig);
}

static void in_order_what_is_done_again_keeps_its_order(void **state)
{
	struct peer_used used;

	open_rig(state, 4, IN_ORDER);
	for (unsigned i = 0; i < 3; i++)
		offer(1);
	pop(0);
	pop(1);
	remember_one(rig_in(RIG_LOW, 11));
	begin_again(2);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 3);
	for (unsigned i = 0; i < 3; i++)
		push(2 - i);
	vd_vq_dev_publish(&rig.vq);
	for (unsigned i = 0; i < 3; i++)
		assert_true(peer_driver_take(&rig.driver, &used));
	assert_false(peer_driver_take(&rig.driver, &used));
	dev_rig_close(&rig);
}

static void what_does_not_fit_is_done_again_all_the_same(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	pop(0);
	remember_one(rig_in(RIG_LOW, 11));
	begin_again(1);
	chains[0].iov_max = 0;
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), -VD_E2BIG);
	assert_true(chains[0].replayed);
	push(0);
	vd_vq_dev_publish(&rig.vq);
	dev_rig_close(&rig);
}

/* ---- a record that somebody wrote into ---- */

static void split_heads_of_a_record_are_checked(void **state)
{
	open_rig_after(state, 4, 0, 4);
	mock.again[0] = 4;
	mock.n_again = 1;
	dev_rig_expect_broken(&rig, VD_FAULT_HEAD_RANGE, 4, 4, 0);
	dev_rig_close(&rig);

	open_rig_after(state, 4, 0, 4);
	mock.again[0] = 2;
	mock.again[1] = 2;
	mock.n_again = 2;
	pop(0);
	dev_rig_expect_broken(&rig, VD_FAULT_HEAD_BUSY, 2, 0, 0);
	dev_rig_close(&rig);
}

/* The same head for ever; with IN_ORDER the records of what was pushed are still needed. */
static void a_record_without_an_end_breaks_the_queue(void **state)
{
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++) {
		unsigned pops = 0;
		int got;

		open_rig_after(state, 4, features[f], 4);
		remember_one(rig_in(RIG_LOW, 11));
		mock.endless = true;
		while ((got = vd_vq_dev_pop(&rig.vq, &chains[0])) == 1 && pops < 100) {
			push(0);
			pops++;
		}
		assert_int_equal(got, -VD_EPROTO);
		assert_int_equal(pops, 4);
		rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_RING_FULL, 1, 0, 0);
		dev_rig_close(&rig);
	}
}

/* Used can't get ahead of available: the position would be one that nobody can go on from. */
static void a_record_of_more_than_was_popped_breaks_the_queue(void **state)
{
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++)
		for (uint16_t popped = 0; popped < 3; popped++) {
			open_rig_after(state, 4, features[f], popped);
			remember_one(rig_in(RIG_LOW, 11));
			mock.n_again = 3;
			mock.again[1] = 1;
			mock.again[2] = 2;
			for (unsigned i = 0; i < popped; i++) {
				pop(i);
				push(i);
				vd_vq_dev_publish(&rig.vq);
			}
			dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
			rig.config.position = vd_vq_dev_position(&rig.vq);
			assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
			dev_rig_close(&rig);
		}
}

static void packed_descriptors_of_a_record_are_checked(void **state)
{
	open_rig_after(state, 4, 0, 4);
	mock.n_again = 1;
	mock.again[0] = 3;
	dev_rig_expect_broken(&rig, VD_FAULT_VU_INFLIGHT, 0, 3, 0);
	dev_rig_close(&rig);

	open_rig_after(state, 4, 0, 4);
	mock.n_again = 1;
	mock.n_desc = 5;
	dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 5, 4, 0);
	dev_rig_close(&rig);

	open_rig_after(state, 4, 0, 4);
	mock.n_again = 1;
	remember_one(rig_in(RIG_HOLE, 8));
	dev_rig_expect_broken(&rig, VD_FAULT_ADDRESS, RIG_HOLE, 8, 0);
	dev_rig_close(&rig);

	open_rig_after(state, 4, INDIRECT, 4);
	mock.n_again = 1;
	mock.n_desc = 2;
	mock.desc[0] = (struct vd_desc){.addr = RIG_LOW, .len = 16};
	mock.desc[1] = (struct vd_desc){.addr = RIG_LOW, .len = 16, .flags = VD_DESC_INDIRECT};
	dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_NEXT, 1, 0, 0);
	dev_rig_close(&rig);
}

static void packed_lists_and_tables_of_a_record_are_done_again(void **state)
{
	open_rig_after(state, 4, INDIRECT, 4);
	mock.n_again = 2;
	mock.n_desc = 2;
	mock.desc[0] = (struct vd_desc){.addr = RIG_NEXT, .len = 7, .link = 99};
	mock.desc[1] = (struct vd_desc){
		.addr = RIG_LOW, .len = 9, .flags = VD_DESC_WRITE, .link = 2};
	pop(0);
	assert_int_equal(chains[0].n_out, 1);
	assert_int_equal(chains[0].n_in, 1);
	assert_int_equal(chains[0].id, 2);
	peer_put_desc(&rig.driver.ring, dev_rig_at(&rig, RIG_LOW), 0, rig_out(RIG_NEXT, 5));
	mock.n_desc = 1;
	mock.desc[0] = (struct vd_desc){
		.addr = RIG_LOW, .len = 16, .flags = VD_DESC_INDIRECT, .link = 1};
	pop(1);
	assert_int_equal(chains[1].out_len, 5);
	assert_int_equal(chains[1].id, 1);
	dev_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_SPLIT(split_moments_are_told_in_order),
		ON_PACKED(packed_moments_are_told_in_order),
		ON_ALL(in_order_buffers_are_pushed_when_they_are_shown),
		ON_ALL(putting_back_is_told),
		ON_ALL(buffers_of_a_predecessor_come_first),
		ON_ALL(nothing_to_do_again_is_nothing),
		ON_ALL(what_is_done_again_can_be_put_back),
		ON_ALL(what_is_done_again_counts_as_outstanding),
		ON_ALL(in_order_what_is_done_again_keeps_its_order),
		ON_ALL(what_does_not_fit_is_done_again_all_the_same),
		ON_SPLIT(split_heads_of_a_record_are_checked),
		ON_ALL(a_record_without_an_end_breaks_the_queue),
		ON_ALL(a_record_of_more_than_was_popped_breaks_the_queue),
		ON_PACKED(packed_descriptors_of_a_record_are_checked),
		ON_PACKED(packed_lists_and_tables_of_a_record_are_done_again),
	};

	return cmocka_run_group_tests_name("vq_journal", tests, NULL, NULL);
}
