/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a queue: where it is, where it stands, started, enabled, stopped and started again.
 */
#include "front_end_rig.h"
#include "ring/packed.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t packed = VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_RING_PACKED);
static const uint64_t protocol = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

/* Negotiated, memory shared, queue @index made and not started. */
static void prepare(uint64_t features, unsigned index, uint16_t size)
{
	vu_rig_negotiate(&rig, features, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, index, size), 0);
}

static void set_num(unsigned index, uint32_t num)
{
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, index, num), 0);
}

static void set_base(unsigned index, uint32_t base)
{
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_BASE, index, base), 0);
}

static void set_addr(const struct vd_vu_addr *addr)
{
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_VRING_ADDR, addr, sizeof(*addr), NULL, 0),
			 0);
}

static void set_addr_of(unsigned index)
{
	struct vd_vu_addr addr = fe_queue_addr(&rig.fe, index);

	set_addr(&addr);
}

static void set_kick(unsigned index)
{
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, index, rig.fe.queues[index].kick.theirs),
		0);
}

static void set_call(unsigned index)
{
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_CALL, index, rig.fe.queues[index].call.theirs),
		0);
}

static void enable(unsigned index, bool on)
{
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENABLE, index, on), 0);
}

static bool is_live(uint16_t index)
{
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	return vd_device_vq(&rig.worker.dev, index) != NULL;
}

static bool is_active(uint16_t index)
{
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	return rig.worker.queues[index].enabled;
}

/* ---- where it is ---- */

static void expect_addr(uint64_t features, struct vd_vu_addr addr, int bad_part, uint64_t bad)
{
	prepare(features, 0, 16);
	set_num(0, 16);
	set_base(0, rig.fe.queues[0].base);
	set_addr(&addr);
	set_kick(0);
	enable(0, true);
	if (bad_part < 0)
		assert_true(is_active(0));
	else
		vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_MEMORY, 0, (uint64_t)bad_part, bad);
}

static void all_parts_of_a_ring_must_be_in_memory(void **state)
{
	uint64_t end = FE_USER + RIG_MEMORY;
	struct vd_vu_addr good = {.desc = FE_USER, .avail = FE_USER + 4096, .used = FE_USER + 8192};
	struct vd_vu_addr addr;

	(void)state;
	expect_addr(version_1, good, -1, 0);
	addr = good;
	addr.desc = end - 16 * 16;
	expect_addr(version_1, addr, -1, 0);
	addr.desc += 16;
	expect_addr(version_1, addr, 0, addr.desc);
	addr.desc = FE_USER - 16;
	expect_addr(version_1, addr, 0, addr.desc);
	addr.desc = UINT64_MAX - 15;
	expect_addr(version_1, addr, 0, addr.desc);
	addr.desc = FE_GUEST;
	expect_addr(version_1, addr, 0, addr.desc);
	addr = good;
	addr.avail = end - (6 + 2 * 16);
	expect_addr(version_1, addr, -1, 0);
	addr.avail += 2;
	expect_addr(version_1, addr, 1, addr.avail);
	addr = good;
	addr.used = end - (8 + 8 * 16);
	expect_addr(version_1, addr, -1, 0);
	addr.used += 4;
	expect_addr(version_1, addr, 2, addr.used);
}

static void all_parts_of_a_packed_ring_must_be_in_memory(void **state)
{
	uint64_t end = FE_USER + RIG_MEMORY;
	struct vd_vu_addr good = {.desc = FE_USER, .avail = end - 4, .used = end - 8};
	struct vd_vu_addr addr = good;

	(void)state;
	expect_addr(packed, good, -1, 0);
	addr.desc = end - 16 * 15;
	expect_addr(packed, addr, 0, addr.desc);
	addr = good;
	addr.avail = end;
	expect_addr(packed, addr, 1, addr.avail);
	addr = good;
	addr.used = end;
	expect_addr(packed, addr, 2, addr.used);
}

static void all_parts_of_a_ring_must_be_aligned(void **state)
{
	struct vd_vu_addr good = {.desc = FE_USER, .avail = FE_USER + 4096, .used = FE_USER + 8192};
	struct vd_vu_addr addr;

	(void)state;
	for (unsigned off = 1; off < 16; off++) {
		addr = good;
		addr.desc += off;
		expect_addr(version_1, addr, 0, addr.desc);
		expect_addr(packed, addr, 0, addr.desc);
		addr = good;
		addr.avail += off;
		expect_addr(version_1, addr, off % 2 != 0 ? 1 : -1, addr.avail);
		expect_addr(packed, addr, off % 4 != 0 ? 1 : -1, addr.avail);
		addr = good;
		addr.used += off;
		expect_addr(version_1, addr, off % 4 != 0 ? 2 : -1, addr.used);
		expect_addr(packed, addr, off % 4 != 0 ? 2 : -1, addr.used);
	}
}

static void a_split_ring_has_a_power_of_two_of_entries(void **state)
{
	(void)state;
	prepare(version_1, 0, 16);
	set_num(0, 12);
	set_addr_of(0);
	enable(0, true);
	vu_rig_expect_alive(&rig);
	set_kick(0);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_SIZE, 0, 12, 256);
}

static void a_packed_ring_has_any_number_of_entries(void **state)
{
	(void)state;
	for (uint16_t size = 2; size < 20; size++) {
		prepare(packed, 0, size);
		assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
		for (uint32_t i = 0; i < 50; i++)
			vu_rig_expect_works(&rig, 0, i);
	}
}

static void two_queues_may_share_nothing_or_everything(void **state)
{
	struct vd_vu_addr addr;

	(void)state;
	/* The front end's own trouble; it must not become ours. */
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	addr = fe_queue_addr(&rig.fe, 0);
	addr.index = 1;
	addr.used = addr.avail = addr.desc;
	set_num(1, 16);
	set_addr(&addr);
	assert_int_equal(fe_bells_make(&rig.fe, 1, FE_EVENTFD), 0);
	set_kick(1);
	enable(1, true);
	vu_rig_ask(&rig, 0, 1);
	assert_int_equal(fe_kick(&rig.fe, 1), 0);
	vu_rig_poll(&rig);
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	vu_rig_expect_works(&rig, 0, 2);
}

/* ---- in which order ---- */

/* Every order of what starts a queue: it starts with the last of them, and not before. */
static void what_starts_a_queue_comes_in_any_order(void **state)
{
	enum { NUM, ADDR, KICK, ENABLE, N };

	(void)state;
	for (unsigned order = 0; order < N * N * N * N; order++) {
		unsigned step[N] = {order % N, order / N % N, order / N / N % N, order / N / N / N};
		unsigned seen = 0;

		for (unsigned i = 0; i < N; i++)
			seen |= 1u << step[i];
		if (seen != 15)
			continue;
		prepare(version_1, 1, 8);
		for (unsigned i = 0; i < N; i++) {
			assert_false(is_active(1));
			if (step[i] == NUM)
				set_num(1, 8);
			else if (step[i] == ADDR)
				set_addr_of(1);
			else if (step[i] == KICK)
				set_kick(1);
			else
				enable(1, true);
		}
		assert_true(is_active(1));
		vu_rig_expect_works(&rig, 1, order);
	}
}

static void memory_comes_before_the_queues(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 8), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_MEMORY, 0, 0, fe_queue_addr(&rig.fe, 0).desc);
}

static void without_protocol_features_all_queues_are_enabled(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, 0, 2, 8);
	assert_true(is_active(0));
	assert_true(is_active(1));
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_expect_works(&rig, 1, 2);
}

static void a_disabled_queue_is_left_alone(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 8);
	vu_rig_expect_works(&rig, 0, 1);
	enable(0, false);
	assert_false(is_active(0));
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	vu_rig_expect_works(&rig, 1, 3);
	enable(0, true);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 2);
	vu_rig_expect_works(&rig, 0, 4);
	assert_int_equal(rig.worker.starts, 1);
}

static void a_kick_before_all_is_ready_is_not_lost(void **state)
{
	(void)state;
	prepare(version_1, 0, 8);
	vu_rig_ask(&rig, 0, 1);
	set_kick(0);
	vu_rig_poll(&rig);
	set_num(0, 8);
	set_addr_of(0);
	vu_rig_poll(&rig);
	enable(0, true);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 1);
}

/* ---- when the driver is ready, if nobody says so ---- */

static void an_empty_ring_shows_no_driver(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 8);
	assert_true(is_active(0));
	assert_false(is_live(0));
	assert_int_equal(rig.worker.starts, 0);
	assert_int_equal(vd_device_status(&rig.worker.dev), 1 | 2 | 8);
	/* Nor does another kick descriptor. */
	set_kick(0);
	assert_false(is_live(0));
	assert_int_equal(fe_kick(&rig.fe, 1), 0);
	assert_true(is_live(0));
	assert_true(is_live(1));
	assert_int_equal(rig.worker.starts, 1);
}

static void an_empty_ring_without_protocol_features_shows_no_driver_either(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, 0, 2, 8);
	assert_true(is_active(0));
	assert_false(is_live(0));
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	assert_true(is_live(0));
}

static void a_ring_with_buffers_shows_a_driver(void **state)
{
	(void)state;
	prepare(version_1, 0, 8);
	vu_rig_ask(&rig, 0, 5);
	(void)fe_bell_rang(rig.fe.queues[0].kick.ours);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	assert_true(is_live(0));
	vu_rig_expect_answer(&rig, 0, 5);
	assert_true(fe_called(&rig.fe, 0));
}

static void a_driver_that_takes_all_queues_away_is_gone(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 8);
	vu_rig_expect_works(&rig, 0, 1);
	enable(1, false);
	assert_true(is_live(0));
	enable(0, false);
	vu_rig_poll(&rig);
	assert_int_equal(vd_device_status(&rig.worker.dev), 0);
	assert_int_equal(rig.worker.stops, 1);
	/* And can come back, with other features. */
	assert_int_equal(
		fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, packed | VD_BIT(VD_VU_FEATURE_PROTOCOL)),
		0);
	rig.fe.features = packed;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fe_queue_make(&rig.fe, i, 8), 0);
		rig.fe.features |= VD_BIT(VD_VU_FEATURE_PROTOCOL);
		assert_int_equal(fe_queue_start(&rig.fe, i), 0);
	}
	vu_rig_expect_works(&rig, 0, 2);
	vu_rig_expect_works(&rig, 1, 3);
	assert_int_equal(rig.worker.starts, 2);
}

static void a_device_that_fails_to_start_needs_a_reset(void **state)
{
	(void)state;
	rig.worker.start_result = -VD_ENODEV;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_ask(&rig, 0, 1);
	vu_rig_expect_alive(&rig);
	assert_true(vd_device_status(&rig.worker.dev) & VD_STATUS_NEEDS_RESET);
	assert_false(is_live(0));
	rig.worker.start_result = 0;
	enable(0, false);
	enable(0, true);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 1);
	assert_int_equal(rig.worker.starts, 2);
	assert_int_equal(rig.worker.stops, 1);
}

/* ---- parameters while it runs ---- */

static void a_queue_may_be_told_again_where_it_is(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 8);
	for (uint32_t i = 0; i < 20; i++) {
		vu_rig_expect_works(&rig, 0, i);
		if (i % 4 == 0)
			set_num(0, 8);
		else if (i % 4 == 1)
			set_addr_of(0);
		else if (i % 4 == 2)
			set_base(0, i + 1);
		else
			set_kick(0);
	}
	assert_int_equal(rig.worker.starts, 1);
	assert_int_equal(rig.worker.stops, 0);
}

static void a_base_that_can_not_be_ends_the_connection(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	set_base(0, 10);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_POSITION, 0, 10, 1);
	vu_rig_run(&rig, packed, protocol, 1, 8);
	set_base(0, 8 | 0x80008000u);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_POSITION, 0, 0x8008, 0x8000);
	vu_rig_run(&rig, packed, protocol, 1, 8);
	set_base(0, 0x80028001u);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_POSITION, 0, 0x8001, 0x8002);
}

static void a_size_that_does_not_fit_the_memory_ends_the_connection(void **state)
{
	struct vd_vu_addr addr;

	(void)state;
	prepare(version_1, 0, 8);
	addr = fe_queue_addr(&rig.fe, 0);
	addr.desc = FE_USER + RIG_MEMORY - 8 * 16;
	set_num(0, 8);
	set_addr(&addr);
	set_kick(0);
	enable(0, true);
	assert_true(is_active(0));
	set_num(0, 16);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_MEMORY, 0, 0, addr.desc);
}

/* ---- stop, and go on ---- */

static void stop_and_go(uint64_t features, uint16_t size)
{
	uint32_t next = 0;
	uint32_t expected = 0;

	rig.fe.taken = 0;
	rig.worker.config.hold = 3;
	rig.worker.config.order = features & VD_BIT(VD_F_IN_ORDER) ? WORKER_OLDEST_FIRST
								   : WORKER_RANDOM;
	vu_rig_run(&rig, features, protocol, 1, size);
	for (unsigned round = 0; round < 40; round++) {
		uint32_t answers = 0;
		struct vd_used used;

		for (unsigned i = 0; i < 1 + round % (size / 2); i++)
			vu_rig_ask(&rig, 0, next++);
		if (round % 3 != 0)
			vu_rig_poll(&rig);
		assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
		assert_int_equal(rig.worker.n_held, 0);
		while (vd_vq_drv_get(&rig.fe.queues[0].vq, &used) == 1)
			answers++;
		expected += answers;
		if (round % 3 != 0)
			assert_int_equal(expected, next);
		/* Stopped is stopped. */
		assert_int_equal(fe_kick(&rig.fe, 0), 0);
		vu_rig_poll(&rig);
		vu_rig_expect_silence(&rig, 0);
		assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
		vu_rig_poll(&rig);
		worker_complete(&rig.worker, WORKER_HELD_MAX);
		while (vd_vq_drv_get(&rig.fe.queues[0].vq, &used) == 1)
			expected++;
		assert_int_equal(expected, next);
		rig.fe.taken = RIG_MEMORY / 2;
	}
}

static void a_queue_stops_and_goes_on_where_it_was(void **state)
{
	static const uint64_t extra[] = {0, VD_BIT(VD_F_IN_ORDER), VD_BIT(VD_F_EVENT_IDX),
					 VD_BIT(VD_F_IN_ORDER) | VD_BIT(VD_F_EVENT_IDX)};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		stop_and_go(version_1 | extra[i], 8);
		stop_and_go(packed | extra[i], 7);
		stop_and_go(packed | extra[i], 8);
	}
}

static void the_base_is_where_the_device_stands(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 4);
	for (uint32_t i = 0; i < 6; i++)
		vu_rig_expect_works(&rig, 0, i);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	assert_int_equal(rig.fe.queues[0].base, 6);
	vu_rig_run(&rig, packed, protocol, 1, 4);
	for (uint32_t i = 0; i < 5; i++)
		vu_rig_expect_works(&rig, 0, i);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	assert_int_equal(rig.fe.queues[0].base, 0x80028002u);
}

static void the_base_of_a_queue_that_never_ran_is_what_it_was_given(void **state)
{
	(void)state;
	prepare(version_1, 1, 8);
	assert_int_equal(fe_queue_stop(&rig.fe, 1), 0);
	assert_int_equal(rig.fe.queues[1].base, 0);
	set_base(1, 77);
	assert_int_equal(fe_queue_stop(&rig.fe, 1), 0);
	assert_int_equal(rig.fe.queues[1].base, 77);
}

/* User Mode Linux says 0 of every new ring. */
static void base_0_of_a_new_packed_ring_is_its_start(void **state)
{
	(void)state;
	for (uint16_t size = 2; size < 10; size += 3) {
		prepare(packed, 0, size);
		rig.fe.queues[0].base = 0;
		assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
		for (uint32_t i = 0; i < 12; i++)
			vu_rig_expect_works(&rig, 0, i);
	}
}

static void base_0_of_a_used_packed_ring_is_the_second_lap(void **state)
{
	(void)state;
	vu_rig_run(&rig, packed, protocol, 1, 4);
	/* Two descriptors each. */
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_expect_works(&rig, 0, 2);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	assert_int_equal(rig.fe.queues[0].base, 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	for (uint32_t i = 0; i < 9; i++)
		vu_rig_expect_works(&rig, 0, i);
}

static void a_split_ring_runs_over_the_end_of_its_indexes(void **state)
{
	struct vd_vq_drv *vq;

	(void)state;
	prepare(version_1, 0, 8);
	vq = &rig.fe.queues[0].vq;
	/* As if 65530 buffers had gone through. */
	vq->avail = vq->used = vq->used_seen = 65530;
	((uint16_t *)rig.fe.queues[0].ring.driver)[1] = 65530;
	((uint16_t *)rig.fe.queues[0].ring.device)[1] = 65530;
	rig.fe.queues[0].base = 65530;
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	for (uint32_t i = 0; i < 6; i++)
		vu_rig_expect_works(&rig, 0, i);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	assert_int_equal(rig.fe.queues[0].base, 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 9);
}

/* ---- notifications that nobody saw ---- */

static void who_takes_over_signals_what_the_one_before_may_not_have(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	(void)fe_called(&rig.fe, 0);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	vu_rig_connect(&rig);
	assert_int_equal(fe_negotiate(&rig.fe, version_1, protocol), 0);
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_true(fe_called(&rig.fe, 0));
}

static void also_if_the_call_descriptor_comes_last(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	(void)fe_called(&rig.fe, 0);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	vu_rig_connect(&rig);
	assert_int_equal(fe_negotiate(&rig.fe, version_1, protocol), 0);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_num(0, 8);
	set_base(0, rig.fe.queues[0].base);
	set_addr_of(0);
	set_kick(0);
	enable(0, true);
	set_call(0);
	vu_rig_poll(&rig);
	assert_true(fe_called(&rig.fe, 0));
}

static void a_new_call_descriptor_gets_what_the_old_one_may_have_missed(void **state)
{
	struct fe_wire old;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	old = rig.fe.queues[0].call;
	assert_int_equal(fe_bell_make(&rig.fe.queues[0].call, FE_EVENTFD), 0);
	vu_rig_ask(&rig, 0, 1);
	vu_rig_poll(&rig);
	fe_bell_close(&old);
	set_call(0);
	vu_rig_poll(&rig);
	assert_true(fe_called(&rig.fe, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_parts_of_a_ring_must_be_in_memory),
		TEST(all_parts_of_a_packed_ring_must_be_in_memory),
		TEST(all_parts_of_a_ring_must_be_aligned),
		TEST(a_split_ring_has_a_power_of_two_of_entries),
		TEST(a_packed_ring_has_any_number_of_entries),
		TEST(two_queues_may_share_nothing_or_everything),
		TEST(what_starts_a_queue_comes_in_any_order),
		TEST(memory_comes_before_the_queues),
		TEST(without_protocol_features_all_queues_are_enabled),
		TEST(a_disabled_queue_is_left_alone),
		TEST(a_kick_before_all_is_ready_is_not_lost),
		TEST(an_empty_ring_shows_no_driver),
		TEST(an_empty_ring_without_protocol_features_shows_no_driver_either),
		TEST(a_ring_with_buffers_shows_a_driver),
		TEST(a_driver_that_takes_all_queues_away_is_gone),
		TEST(a_device_that_fails_to_start_needs_a_reset),
		TEST(a_queue_may_be_told_again_where_it_is),
		TEST(a_base_that_can_not_be_ends_the_connection),
		TEST(a_size_that_does_not_fit_the_memory_ends_the_connection),
		TEST(a_queue_stops_and_goes_on_where_it_was),
		TEST(the_base_is_where_the_device_stands),
		TEST(the_base_of_a_queue_that_never_ran_is_what_it_was_given),
		TEST(base_0_of_a_new_packed_ring_is_its_start),
		TEST(base_0_of_a_used_packed_ring_is_the_second_lap),
		TEST(a_split_ring_runs_over_the_end_of_its_indexes),
		TEST(who_takes_over_signals_what_the_one_before_may_not_have),
		TEST(also_if_the_call_descriptor_comes_last),
		TEST(a_new_call_descriptor_gets_what_the_old_one_may_have_missed),
	};

	return cmocka_run_group_tests_name("vhost_user_vring", tests, NULL, NULL);
}
