/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device end does alike on both layouts: setting up, taking and giving back, and not
 * missing a notification. */
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
static struct vd_chain chains[8];
static struct vd_iov iov[8][4];

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	dev_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
	for (unsigned i = 0; i < 8; i++)
		chains[i] = (struct vd_chain){.iov = iov[i], .iov_max = 4};
}

static uint16_t offer(unsigned count)
{
	struct peer_desc desc[8];

	for (unsigned i = 0; i < count; i++)
		desc[i] = rig_in(RIG_LOW + 64 * i, 64);
	return peer_driver_offer(&rig.driver, desc, count);
}

static void push(unsigned n)
{
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[n], 0), 0);
}

static unsigned used_count(void)
{
	struct peer_used used;
	unsigned n = 0;

	while (peer_driver_take(&rig.driver, &used))
		n++;
	return n;
}

/* ---- setting up ---- */

static int init_with(void (*change)(struct vd_vq_dev_config *config))
{
	struct vd_vq_dev_config config = rig.config;
	struct vd_vq_dev vq;

	change(&config);
	return vd_vq_dev_init(&vq, &config);
}

static void misalign_desc(struct vd_vq_dev_config *config)
{
	config->ring.desc = (unsigned char *)config->ring.desc + 8;
}

static void misalign_driver(struct vd_vq_dev_config *config)
{
	config->ring.driver = (unsigned char *)config->ring.driver + 1;
}

static void misalign_device(struct vd_vq_dev_config *config)
{
	config->ring.device = (unsigned char *)config->ring.device + 2;
}

static void misalign_state(struct vd_vq_dev_config *config)
{
	config->state = (unsigned char *)config->state + 4;
}

static void no_desc(struct vd_vq_dev_config *config)
{
	config->ring.desc = NULL;
}

static void no_driver(struct vd_vq_dev_config *config)
{
	config->ring.driver = NULL;
}

static void no_device(struct vd_vq_dev_config *config)
{
	config->ring.device = NULL;
}

static void no_mem(struct vd_vq_dev_config *config)
{
	config->mem = NULL;
}

static void no_state(struct vd_vq_dev_config *config)
{
	config->state = NULL;
}

static void less_state(struct vd_vq_dev_config *config)
{
	config->state_size--;
}

static void no_entries(struct vd_vq_dev_config *config)
{
	config->size = 0;
}

static void too_many_entries(struct vd_vq_dev_config *config)
{
	config->size = 32769;
}

static void nothing_wrong(struct vd_vq_dev_config *config)
{
	(void)config;
}

static void init_refuses_what_can_not_be(void **state)
{
	static void (*const wrong[])(struct vd_vq_dev_config * config) = {
		misalign_desc, misalign_driver, misalign_device, misalign_state,
		no_desc,       no_driver,       no_device,       no_mem,
		no_state,      less_state,      no_entries,      too_many_entries,
	};

	open_rig(state, 8, IN_ORDER);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(init_with(wrong[i]), -VD_EINVAL);
	assert_int_equal(init_with(nothing_wrong), 0);
	dev_rig_close(&rig);
}

static void state_is_only_needed_for_what_is_kept_in_it(void **state)
{
	(void)state;
	assert_int_equal(vd_vq_dev_state_size(&vd_packed_dev, 256, 0), 0);
	assert_int_not_equal(vd_vq_dev_state_size(&vd_packed_dev, 256, IN_ORDER), 0);
	assert_int_not_equal(vd_vq_dev_state_size(&vd_split_dev, 256, 0), 0);
	assert_true(vd_vq_dev_state_size(&vd_split_dev, 256, IN_ORDER) >
		    vd_vq_dev_state_size(&vd_split_dev, 256, 0));
	assert_int_equal(vd_vq_dev_state_size(&vd_split_dev, 3, 0), 0);
	assert_int_equal(vd_vq_dev_state_size(&vd_split_dev, 0, IN_ORDER), 0);
	assert_int_equal(vd_vq_dev_state_size(&vd_packed_dev, 32769, IN_ORDER), 0);
	assert_int_not_equal(vd_vq_dev_state_size(&vd_packed_dev, 3, IN_ORDER), 0);
}

static void init_writes_nothing_into_the_ring(void **state)
{
	struct peer_wish wish;

	open_rig(state, 8, EVENT_IDX);
	peer_put_wish(&rig.driver.ring, false, 0x1234, 0x5678);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	wish = peer_get_wish(&rig.driver.ring, false);
	assert_int_equal(wish.mode, 0x1234);
	assert_int_equal(wish.event, 0x5678);
	dev_rig_close(&rig);
}

/* After a queue reset: another size, from the start. */
static void a_queue_can_be_set_up_again_with_another_size(void **state)
{
	const struct variant *variant = *state;

	open_rig(state, 8, 0);
	offer(1);
	offer(1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
	rig.driver.ring.size = 4;
	peer_driver_init(&rig.driver, &rig.driver.ring);
	rig.config.size = 4;
	rig.config.position = vd_ring_start(variant->packed ? VD_RING_PACKED : VD_RING_SPLIT);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 0);
	for (unsigned i = 0; i < 9; i++) {
		offer(1);
		assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
		push(0);
		assert_true(vd_vq_dev_flush(&rig.vq));
		assert_int_equal(used_count(), 1);
	}
	dev_rig_close(&rig);
}

/* ---- taking many ---- */

static void many_are_taken_at_once(void **state)
{
	open_rig(state, 8, 0);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 0);
	for (unsigned i = 0; i < 5; i++)
		offer(1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 0), 0);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 3), 3);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains + 3, 5), 2);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 0);
	for (unsigned i = 0; i < 5; i++)
		push(4 - i);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(used_count(), 5);
	dev_rig_close(&rig);
}

static void a_batch_ends_before_a_buffer_that_is_too_big(void **state)
{
	open_rig(state, 16, 0);
	offer(1);
	offer(2);
	offer(5);
	offer(1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 2);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains + 2, 6), -VD_E2BIG);
	assert_int_equal(chains[2].in_len, 5 * 64);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains + 3, 5), 1);
	for (unsigned i = 0; i < 4; i++)
		push(i);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(used_count(), 4);
	dev_rig_close(&rig);
}

static void a_batch_ends_before_a_fault(void **state)
{
	const struct peer_desc bad = rig_in(RIG_HOLE, 1);

	open_rig(state, 8, 0);
	offer(1);
	offer(1);
	peer_driver_offer(&rig.driver, &bad, 1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 8), 2);
	assert_int_equal(chains[1].n_in, 1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains + 2, 6), -VD_EPROTO);
	rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_ADDRESS, RIG_HOLE, 1, 0);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 0), -VD_EPROTO);
	dev_rig_close(&rig);
}

/* ---- giving back ---- */

static void the_last_popped_can_be_put_back(void **state)
{
	uint16_t ids[3];

	open_rig(state, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		ids[i] = offer(i + 1);
	for (unsigned round = 0; round < 20; round++) {
		struct vd_ring_position before = vd_vq_dev_position(&rig.vq);

		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[i]), 1);
		assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[1]), -VD_EINVAL);
		for (unsigned i = 3; i-- > 0;)
			assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[i]), 0);
		assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), -VD_EINVAL);
		assert_int_equal(vd_vq_dev_position(&rig.vq).avail, before.avail);
		assert_true(vd_vq_dev_ready(&rig.vq));
		assert_true(vd_vq_dev_enable_notify(&rig.vq));
		/* One more round of the ring. */
		assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
		assert_int_equal(chains[0].id, ids[0]);
		push(0);
		vd_vq_dev_publish(&rig.vq);
		ids[0] = ids[1];
		ids[1] = ids[2];
		assert_int_equal(used_count(), 1);
		ids[2] = offer(round % 2 + 1);
	}
	dev_rig_close(&rig);
}

static void what_was_put_back_can_be_mixed_with_pushes(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		offer(i % 2 + 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[i]), 1);
	push(1);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[2]), 0);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[2]), 1);
	push(0);
	push(2);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(used_count(), 3);
	assert_int_equal(rig.driver.used, rig.driver.avail);
	dev_rig_close(&rig);
}

static void what_was_not_popped_is_not_pushed(void **state)
{
	struct vd_chain other = {.id = 5, .n_desc = 1, .in_len = 64};
	struct vd_chain beyond = {.id = 8, .n_desc = 9};

	open_rig(state, 8, 0);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &other, 0), -VD_EINVAL);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &beyond, 0), -VD_EINVAL);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 0), -VD_EINVAL);
	offer(1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 65), -VD_EINVAL);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 64), 0);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 64), -VD_EINVAL);
	vd_vq_dev_publish(&rig.vq);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &chains[0], 64), -VD_EINVAL);
	assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), -VD_EINVAL);
	assert_int_equal(used_count(), 1);
	dev_rig_close(&rig);
}

static void a_driver_can_not_have_back_what_is_not_published(void **state)
{
	open_rig(state, 2, 0);
	offer(1);
	offer(1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 2), 2);
	push(0);
	push(1);
	if (rig.driver.ring.packed)
		peer_driver_offer_slot(&rig.driver, rig_in(RIG_LOW, 1));
	else
		peer_driver_offer_head(&rig.driver, 0);
	if (rig.driver.ring.packed)
		dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
	else
		dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 2, 3, 0);
	dev_rig_close(&rig);
}

/* What a predecessor took and nobody does again: the driver has not got it back. */
static void a_driver_can_not_have_back_what_was_lost(void **state)
{
	bool packed = ((const struct variant *)*state)->packed;

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 3; i++)
		offer(1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 3), 3);
	rig.config.position = vd_vq_dev_position(&rig.vq);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	offer(1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
	if (packed) {
		peer_driver_offer_slot(&rig.driver, rig_in(RIG_LOW, 1));
		dev_rig_expect_broken(&rig, VD_FAULT_RING_FULL, 1, 0, 0);
	} else {
		peer_driver_set_index(&rig.driver, 5);
		dev_rig_expect_broken(&rig, VD_FAULT_AVAIL_JUMP, 4, 5, 0);
	}
	rig.config.position = vd_vq_dev_position(&rig.vq);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	dev_rig_close(&rig);
}

/* ---- not missing a notification ---- */

/* The driver wants to hear of everything, or (EVENT_IDX) of the next it has not seen. */
static void want_notification(void)
{
	const struct peer_ring *ring = &rig.driver.ring;
	bool event_idx = rig.config.features & EVENT_IDX;

	if (ring->packed)
		peer_put_wish(ring, true, event_idx ? VD_EVENT_DESC : VD_EVENT_ENABLE,
			      peer_position(ring, rig.driver.used));
	else
		peer_put_wish(ring, true, 0, (uint16_t)rig.driver.used);
}

static void give_two(void **state, uint64_t features)
{
	open_rig(state, 4, features);
	offer(1);
	offer(1);
	assert_int_equal(vd_vq_dev_pop_many(&rig.vq, chains, 2), 2);
	want_notification();
}

static void nothing_published_is_nothing_to_notify(void **state)
{
	give_two(state, 0);
	assert_false(vd_vq_dev_flush(&rig.vq));
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	vd_vq_dev_publish(&rig.vq);
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	push(0);
	assert_true(vd_vq_dev_flush(&rig.vq));
	assert_false(vd_vq_dev_flush(&rig.vq));
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	dev_rig_close(&rig);
}

/* Asking in between, before a push is published, must not count it as told. */
static void what_is_published_after_asking_is_asked_about_again(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < 2; i++) {
		give_two(state, features[i]);
		push(0);
		vd_vq_dev_publish(&rig.vq);
		push(1);
		assert_true(vd_vq_dev_need_notify(&rig.vq));
		assert_int_equal(used_count(), 1);
		want_notification();
		vd_vq_dev_publish(&rig.vq);
		assert_true(vd_vq_dev_need_notify(&rig.vq));
		assert_int_equal(used_count(), 1);
		dev_rig_close(&rig);
	}
}

static void what_is_pushed_is_not_told_before_it_is_published(void **state)
{
	give_two(state, EVENT_IDX);
	push(0);
	assert_false(vd_vq_dev_need_notify(&rig.vq));
	assert_true(vd_vq_dev_flush(&rig.vq));
	dev_rig_close(&rig);
}

static void publications_add_up_until_somebody_asks(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < 2; i++) {
		give_two(state, features[i]);
		push(0);
		vd_vq_dev_publish(&rig.vq);
		push(1);
		vd_vq_dev_publish(&rig.vq);
		assert_true(vd_vq_dev_need_notify(&rig.vq));
		dev_rig_close(&rig);
	}
}

static void flush_asks_about_what_was_published_before(void **state)
{
	give_two(state, 0);
	push(0);
	vd_vq_dev_publish(&rig.vq);
	assert_true(vd_vq_dev_flush(&rig.vq));
	assert_false(vd_vq_dev_flush(&rig.vq));
	dev_rig_close(&rig);
}

/* For as long as the driver does not listen, and longer than any counter. */
static void a_long_silence_is_survived(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < 2; i++) {
		open_rig(state, 4, features[i]);
		peer_put_wish(&rig.driver.ring, true, 1, 0);
		for (uint32_t n = 0; n < 70003; n++) {
			offer(1);
			assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
			push(0);
			vd_vq_dev_publish(&rig.vq);
			if (n + 1 < 70003)
				assert_int_equal(used_count(), 1);
		}
		want_notification();
		assert_true(vd_vq_dev_need_notify(&rig.vq));
		dev_rig_close(&rig);
	}
}

static void enabling_says_whether_something_is_there(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX, IN_ORDER | EVENT_IDX};

	for (size_t i = 0; i < 3; i++) {
		open_rig(state, 4, features[i]);
		assert_false(vd_vq_dev_enable_notify(&rig.vq));
		offer(2);
		assert_true(vd_vq_dev_enable_notify(&rig.vq));
		assert_true(vd_vq_dev_ready(&rig.vq));
		assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
		assert_false(vd_vq_dev_enable_notify(&rig.vq));
		assert_int_equal(vd_vq_dev_unpop(&rig.vq, &chains[0]), 0);
		assert_true(vd_vq_dev_enable_notify(&rig.vq));
		dev_rig_close(&rig);
	}
}

/* ---- breaking ---- */

static void a_queue_can_be_broken_from_outside(void **state)
{
	const struct vd_fault fault = {.code = VD_FAULT_VU_REGION_SHRUNK, .value = {1, 2, 3}};
	const struct vd_fault none = {.code = VD_FAULT_NONE};

	open_rig(state, 4, 0);
	vd_vq_dev_break(&rig.vq, &none);
	assert_false(vd_vq_dev_is_broken(&rig.vq));
	vd_vq_dev_break(&rig.vq, &fault);
	assert_true(vd_vq_dev_is_broken(&rig.vq));
	offer(1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), -VD_EPROTO);
	rig_expect_fault(vd_vq_dev_fault(&rig.vq), fault.code, 1, 2, 3);
	dev_rig_close(&rig);
}

static void a_broken_queue_shows_nothing_more(void **state)
{
	const struct vd_fault fault = {.code = VD_FAULT_VU_IO};

	give_two(state, 0);
	push(0);
	vd_vq_dev_break(&rig.vq, &fault);
	vd_vq_dev_publish(&rig.vq);
	assert_false(vd_vq_dev_flush(&rig.vq));
	assert_int_equal(used_count(), 0);
	dev_rig_close(&rig);
}

static void setting_up_again_mends_the_queue(void **state)
{
	const struct peer_desc bad = rig_in(RIG_HOLE, 1);

	open_rig(state, 4, 0);
	peer_driver_offer(&rig.driver, &bad, 1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), -VD_EPROTO);
	peer_driver_init(&rig.driver, &rig.driver.ring);
	assert_int_equal(vd_vq_dev_init(&rig.vq, &rig.config), 0);
	assert_false(vd_vq_dev_is_broken(&rig.vq));
	assert_int_equal(vd_vq_dev_fault(&rig.vq)->code, VD_FAULT_NONE);
	offer(1);
	assert_int_equal(vd_vq_dev_pop(&rig.vq, &chains[0]), 1);
	dev_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(init_refuses_what_can_not_be),
		cmocka_unit_test(state_is_only_needed_for_what_is_kept_in_it),
		ON_ALL(init_writes_nothing_into_the_ring),
		ON_ALL(a_queue_can_be_set_up_again_with_another_size),
		ON_ALL(many_are_taken_at_once),
		ON_ALL(a_batch_ends_before_a_buffer_that_is_too_big),
		ON_ALL(a_batch_ends_before_a_fault),
		ON_ALL(the_last_popped_can_be_put_back),
		ON_ALL(what_was_put_back_can_be_mixed_with_pushes),
		ON_ALL(what_was_not_popped_is_not_pushed),
		ON_ALL(a_driver_can_not_have_back_what_is_not_published),
		ON_ALL(a_driver_can_not_have_back_what_was_lost),
		ON_ALL(nothing_published_is_nothing_to_notify),
		ON_ALL(what_is_published_after_asking_is_asked_about_again),
		ON_ALL(what_is_pushed_is_not_told_before_it_is_published),
		ON_ALL(publications_add_up_until_somebody_asks),
		ON_ALL(flush_asks_about_what_was_published_before),
		ON_ALL(a_long_silence_is_survived),
		ON_ALL(enabling_says_whether_something_is_there),
		ON_ALL(a_queue_can_be_broken_from_outside),
		ON_ALL(a_broken_queue_shows_nothing_more),
		ON_ALL(setting_up_again_mends_the_queue),
	};

	return cmocka_run_group_tests_name("vq_dev", tests, NULL, NULL);
}
