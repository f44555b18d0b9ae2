/* SPDX-License-Identifier: BSD-3-Clause */
/* IN_ORDER at the device end: whatever order buffers are finished in, the driver gets them as it
 * made them available, and a batch of them with one used entry. */
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

#define IN_ORDER  VD_BIT(VD_F_IN_ORDER)
#define EVENT_IDX VD_BIT(VD_F_EVENT_IDX)

static struct dev_rig rig;
static struct vd_chain chains[32];
static struct vd_iov iov[32][4];

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	dev_rig_open(&rig, *state,
		     &(struct rig_options){.size = size, .features = features | IN_ORDER});
}

/* A buffer of @count descriptors, the last of them writable with 64 bytes. */
static uint16_t offer(unsigned count)
{
	struct peer_desc desc[8];

	for (unsigned i = 0; i < count; i++)
		desc[i] = i + 1 < count ? rig_out(RIG_LOW, 1) : rig_in(RIG_NEXT, 64);
	return peer_driver_offer(&rig.driver, desc, count);
}

static int pop(unsigned n)
{
	memset(&chains[n], 0xa5, sizeof(chains[n]));
	chains[n].iov = iov[n];
	chains[n].iov_max = 4;
	return vd_vq_dev_pop(&rig.vq, &chains[n]);
}

static void take(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pop(i), 1);
}

static void push(unsigned n, uint64_t written)
{
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[n], written), 0);
}

/* The next used entry stands for chains[first .. last]. */
static void expect_used(unsigned first, unsigned last, uint32_t len)
{
	struct peer_used used = {0};
	uint32_t before = rig.driver.used;

	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.id, chains[last].id);
	assert_int_equal(used.len, len);
	rig.driver.used = before;
	for (unsigned i = first; i <= last; i++)
		rig.driver.used += rig.driver.ring.packed ? rig.driver.slots[chains[i].id] : 1;
}

static void expect_nothing_used(void)
{
	struct peer_used used;

	assert_false(peer_driver_take(&rig.driver, &used));
}

static void buffers_are_given_back_as_they_were_popped(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		offer(2);
	take(3);
	push(2, 3);
	assert_false(vd_vq_dev_flush(&rig.vq));
	expect_nothing_used();
	push(1, 2);
	assert_false(vd_vq_dev_flush(&rig.vq));
	expect_nothing_used();
	push(0, 1);
	assert_true(vd_vq_dev_flush(&rig.vq));
	expect_used(0, 0, 1);
	expect_used(1, 1, 2);
	expect_used(2, 2, 3);
	expect_nothing_used();
	dev_rig_close(&rig);
}

static void buffers_used_completely_are_skipped_over(void **state)
{
	open_rig(state, 16, 0);
	for (unsigned i = 0; i < 5; i++)
		offer(i % 2 + 1);
	take(5);
	push(0, 64);
	push(1, 64);
	push(2, 5);
	push(3, 64);
	push(4, 64);
	vd_vq_dev_publish(&rig.vq);
	expect_used(0, 2, 5);
	expect_used(3, 4, 64);
	expect_nothing_used();
	dev_rig_close(&rig);
}

static void a_batch_ends_at_what_is_not_done(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned i = 0; i < 4; i++)
		offer(1);
	take(4);
	push(0, 64);
	push(1, 64);
	push(3, 64);
	vd_vq_dev_publish(&rig.vq);
	expect_used(0, 1, 64);
	expect_nothing_used();
	push(2, 0);
	vd_vq_dev_publish(&rig.vq);
	expect_used(2, 2, 0);
	expect_used(3, 3, 64);
	dev_rig_close(&rig);
}

static void a_batch_can_be_the_whole_ring(void **state)
{
	open_rig(state, 8, EVENT_IDX);
	for (unsigned round = 0; round < 5; round++) {
		bool notify;

		/* Somewhere inside the batch. */
		peer_put_wish(&rig.driver.ring, true, rig.driver.ring.packed ? VD_EVENT_DESC : 0,
			      rig.driver.ring.packed
				      ? peer_position(&rig.driver.ring, rig.driver.used + 3)
				      : (uint16_t)(rig.driver.used + 3));
		for (unsigned i = 0; i < 8; i++)
			offer(1);
		take(8);
		for (unsigned i = 0; i < 8; i++)
			push(7 - i, 64);
		notify = vd_vq_dev_flush(&rig.vq);
		assert_true(notify);
		expect_used(0, 7, 64);
		expect_nothing_used();
	}
	dev_rig_close(&rig);
}

static void buffers_that_hold_nothing_to_write_are_used_completely(void **state)
{
	const struct peer_desc desc = rig_out(RIG_LOW, 9);

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 3; i++)
		peer_driver_offer(&rig.driver, &desc, 1);
	take(3);
	for (unsigned i = 0; i < 3; i++)
		push(i, 0);
	vd_vq_dev_publish(&rig.vq);
	expect_used(0, 2, 0);
	dev_rig_close(&rig);
}

static void records_go_round_for_a_long_time(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 8};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		open_rig(state, sizes[s], 0);
		/* Past the wrap of the 16-bit numbers behind it. */
		for (uint32_t round = 0; round < 70000; round++) {
			unsigned count = 1 + round % sizes[s];

			for (unsigned i = 0; i < count; i++)
				offer(1);
			take(count);
			for (unsigned i = 0; i < count; i++)
				push(count - 1 - i, 7);
			vd_vq_dev_publish(&rig.vq);
			for (unsigned i = 0; i < count; i++)
				expect_used(i, i, 7);
			expect_nothing_used();
		}
		dev_rig_close(&rig);
	}
}

static void a_buffer_is_pushed_once(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	offer(1);
	take(2);
	push(1, 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[1], 1), -VD_EINVAL);
	push(0, 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 1), -VD_EINVAL);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 1), -VD_EINVAL);
	expect_used(0, 0, 1);
	expect_used(1, 1, 1);
	expect_nothing_used();
	dev_rig_close(&rig);
}

/* Somebody has counted wrong, but names an id that exists. */
static void a_buffer_that_is_still_to_come_is_not_pushed(void **state)
{
	struct vd_chain forged;

	open_rig(state, 4, 0);
	offer(1);
	offer(1);
	assert_int_equal(pop(0), 1);
	forged = chains[0];
	forged.seq++;
	assert_int_equal(forged.id, 0);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &forged, 0), -VD_EINVAL);
	forged.seq = (uint16_t)(chains[0].seq - 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &forged, 0), -VD_EINVAL);
	dev_rig_close(&rig);
}

static void a_buffer_that_was_put_back_is_forgotten(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	offer(2);
	take(2);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[1]), 0);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[1], 1), -VD_EINVAL);
	push(0, 64);
	vd_vq_dev_publish(&rig.vq);
	expect_used(0, 0, 64);
	expect_nothing_used();
	assert_int_equal(pop(1), 1);
	push(1, 1);
	vd_vq_dev_publish(&rig.vq);
	expect_used(1, 1, 1);
	dev_rig_close(&rig);
}

static void a_buffer_that_was_pushed_can_not_be_put_back(void **state)
{
	open_rig(state, 4, 0);
	offer(1);
	offer(1);
	take(2);
	push(1, 64);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[1]), -VD_EINVAL);
	push(0, 64);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[1]), -VD_EINVAL);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[1]), -VD_EINVAL);
	expect_used(0, 1, 64);
	expect_nothing_used();
	dev_rig_close(&rig);
}

/*
 * A driver that makes buffers available again before it could see them used. The device pops and
 * pushes until nothing is left, as the example in vq_dev.h does, and must not run out of records.
 */
static void a_driver_that_does_not_wait_for_its_buffers_breaks_the_queue(void **state)
{
	struct peer_desc again = {.addr = RIG_LOW, .len = 1};
	unsigned pops = 0;
	int got;

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		offer(1);
	while ((got = pop(0)) == 1 && pops < 1000) {
		push(0, 0);
		pops++;
		if (rig.driver.ring.packed)
			peer_driver_offer_slot(&rig.driver, again);
		else
			peer_driver_offer_head(&rig.driver, chains[0].id);
	}
	assert_int_equal(got, -VD_EPROTO);
	assert_int_equal(pops, 4);
	if (rig.driver.ring.packed)
		rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_RING_FULL, 1, 0, 0);
	else
		rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_AVAIL_JUMP, 4, 8, 0);
	dev_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(buffers_are_given_back_as_they_were_popped),
		ON_ALL(buffers_used_completely_are_skipped_over),
		ON_ALL(a_batch_ends_at_what_is_not_done),
		ON_ALL(a_batch_can_be_the_whole_ring),
		ON_ALL(buffers_that_hold_nothing_to_write_are_used_completely),
		ON_ALL(records_go_round_for_a_long_time),
		ON_ALL(a_buffer_is_pushed_once),
		ON_ALL(a_buffer_that_is_still_to_come_is_not_pushed),
		ON_ALL(a_buffer_that_was_put_back_is_forgotten),
		ON_ALL(a_buffer_that_was_pushed_can_not_be_put_back),
		ON_ALL(a_driver_that_does_not_wait_for_its_buffers_breaks_the_queue),
	};

	return cmocka_run_group_tests_name("vq_order", tests, NULL, NULL);
}
