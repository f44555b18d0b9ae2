/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight records that nobody can have written, and records that were written and then changed:
 * the successor says what is wrong with them, or serves each buffer at most once. The regions are
 * as long as they must be and no longer, so that a sanitizer sees whoever leaves them.
 */
#include "front_end_rig.h"
#include "ring/packed.h"
#include "transport/vhost_user/inflight.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SPLIT_SIZE  8
#define PACKED_SIZE 7
#define LARGEST     8
#define DATA        4096u
#define ADDRESS     UINT64_C(0x10000)
#define IOV         16
#define CASES       20000u

/* Where fields are in a region. */
enum {
	VERSION = 8,
	DESC_NUM = 10,
	/* split */
	LAST_BATCH_HEAD = 12,
	USED_IDX = 14,
	/* packed */
	FREE_HEAD = 12,
	OLD_FREE_HEAD = 14,
	PACKED_USED_IDX = 16,
	PACKED_OLD_USED_IDX = 18,
};

/* And in an entry. */
enum {
	E_INFLIGHT = 0,
	E_SPLIT_NEXT = 6,
	E_NEXT = 2,
	E_LAST = 4,
	E_NUM = 6,
	E_COUNTER = 8,
	E_ID = 16,
	E_FLAGS = 18,
	E_LEN = 20,
	E_ADDR = 24,
};

/* A queue, its driver, its record, and whoever serves it at the time. */
struct queue {
	enum vd_ring_layout layout;
	uint16_t size;
	uint64_t features;
	void *pages;
	struct vd_ring_mem ring;
	unsigned char *region;
	size_t region_size;
	unsigned char data[DATA];
	struct vd_mem mem;
	struct vd_window windows[1];
	struct vd_vq_drv drv;
	void *drv_state;
	struct vd_vq_dev dev;
	void *dev_state;
	struct vd_vu_inflight inflight;
	struct vd_fault fault;
	struct vd_chain held[LARGEST];
	struct vd_iov iov[LARGEST][IOV];
	unsigned n_held;
};

static struct queue q;
static struct vu_rig rig;
static uint32_t seed;

static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* ---- the queue ---- */

static void make_rings(void)
{
	size_t bytes = vd_ring_place(q.layout, q.size, NULL, NULL);

	q.pages = aligned_alloc(64, bytes);
	assert_non_null(q.pages);
	memset(q.pages, 0, bytes);
	(void)vd_ring_place(q.layout, q.size, q.pages, &q.ring);
	q.region_size = q.layout == VD_RING_PACKED ? vd_vu_inflight_packed_size(q.size)
						   : vd_vu_inflight_split_size(q.size);
	q.region = calloc(1, q.region_size);
	assert_non_null(q.region);
}

static void make_driver(void)
{
	const struct vd_vq_drv_ops *layout = q.layout == VD_RING_PACKED ? &vd_packed_drv
									: &vd_split_drv;
	struct vd_vq_drv_config config = {
		.layout = layout,
		.size = q.size,
		.features = q.features,
		.ring = q.ring,
		.mem = &q.mem,
		.state_size = vd_vq_drv_state_size(layout, q.size),
	};

	config.state = q.drv_state = malloc(config.state_size);
	assert_non_null(q.drv_state);
	assert_int_equal(vd_vq_drv_init(&q.drv, &config), 0);
}

static const struct vd_vq_dev_ops *dev_layout(void)
{
	return q.layout == VD_RING_PACKED ? &vd_packed_dev : &vd_split_dev;
}

static void make(enum vd_ring_layout layout, uint64_t features)
{
	struct vd_window window = {.peer = ADDRESS, .size = DATA, .rights = VD_MEM_RW};

	memset(&q, 0, sizeof(q));
	q.layout = layout;
	q.features = features;
	q.size = layout == VD_RING_PACKED ? PACKED_SIZE : SPLIT_SIZE;
	vd_mem_init(&q.mem, q.windows, 1, VD_MEM_LIMIT_64);
	window.local = q.data;
	assert_int_equal(vd_mem_add(&q.mem, &window), 0);
	make_rings();
	make_driver();
	q.dev_state = malloc(vd_vq_dev_state_size(dev_layout(), q.size, q.features));
	assert_non_null(q.dev_state);
}

/* Whoever serves the queue dies. */
static void crash(void)
{
	vd_vu_inflight_close(&q.inflight);
	q.n_held = 0;
}

static void drop(void)
{
	crash();
	free(q.pages);
	free(q.region);
	free(q.drv_state);
	free(q.dev_state);
}

static uint16_t used_index(void)
{
	const struct vd_split_used *used = q.ring.device;

	return vd_load16(&used->idx, false);
}

/* Somebody takes the queue up. 0, or an error with q.fault. */
static int succeed(void)
{
	struct vd_ring_position position = vd_ring_start(q.layout);
	struct vd_vq_dev_config config = {
		.layout = dev_layout(),
		.size = q.size,
		.features = q.features,
		.ring = q.ring,
		.mem = &q.mem,
		.state = q.dev_state,
		.state_size = vd_vq_dev_state_size(dev_layout(), q.size, q.features),
	};
	int err;

	if (q.layout == VD_RING_SPLIT)
		position = (struct vd_ring_position){used_index(), used_index()};
	err = vd_vu_inflight_open(&q.inflight, q.layout, q.region, q.size, &q.ring, &position,
				  &q.fault);
	if (err != 0)
		return err;
	config.position = position;
	config.journal = &q.inflight.journal;
	err = vd_vq_dev_init(&q.dev, &config);
	if (err != 0)
		vd_vu_inflight_close(&q.inflight);
	return err;
}

/* A buffer of @n segments. */
static int add(unsigned n)
{
	struct vd_iov segments[3];

	for (unsigned i = 0; i < n; i++)
		segments[i] = (struct vd_iov){q.data + 64 * i, 16};
	return vd_vq_drv_add(&q.drv, segments, n - 1, 1, q.data);
}

static bool is_held(const struct vd_chain *chain)
{
	for (unsigned i = 0; i < q.n_held; i++)
		if (q.layout == VD_RING_SPLIT
			    ? q.held[i].id == chain->id
			    : q.held[i].entry == chain->entry && q.held[i].entry < q.size)
			return true;
	return false;
}

/* 1: q.held has one more, which it did not have; otherwise what vd_vq_dev_pop() says. */
static int pop(void)
{
	struct vd_chain *chain = &q.held[q.n_held];
	unsigned slots = 0;
	int got;

	if (q.n_held == q.size)
		return 0;
	chain->iov = q.iov[q.n_held];
	chain->iov_max = IOV;
	got = vd_vq_dev_pop(&q.dev, chain);
	if (got == 0 || got == -VD_EPROTO)
		return got;
	assert_false(is_held(chain));
	q.n_held++;
	for (unsigned i = 0; i < q.n_held; i++)
		slots += q.held[i].n_desc;
	assert_true(slots <= q.size);
	return 1;
}

static void push(unsigned at)
{
	(void)vd_vq_dev_push(&q.dev, &q.held[at], 0);
	q.n_held--;
	for (unsigned i = at; i < q.n_held; i++)
		q.held[i] = q.held[i + 1];
}

/* ---- the record ---- */

static void put16(size_t at, uint16_t value)
{
	memcpy(q.region + at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
	memcpy(q.region + at, &value, sizeof(value));
}

static size_t entry(unsigned n)
{
	return q.layout == VD_RING_PACKED ? 32 + 32 * n : 16 + 16 * n;
}

/*
 * Of three buffers the first was served and the other two were popped when the server died: one of
 * two descriptors, in entries (or descriptors) 1 and 2, and one of one, in entry 3.
 */
static void leave_two(enum vd_ring_layout layout)
{
	make(layout, 0);
	assert_int_equal(succeed(), 0);
	assert_int_equal(add(1), 0);
	assert_int_equal(add(2), 0);
	assert_int_equal(add(1), 0);
	vd_vq_drv_publish(&q.drv);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pop(), 1);
	push(0);
	vd_vq_dev_publish(&q.dev);
	crash();
}

static void expect_two(void)
{
	assert_int_equal(succeed(), 0);
	assert_int_equal(pop(), 1);
	assert_int_equal(pop(), 1);
	assert_int_equal(pop(), 0);
	assert_int_equal(q.held[0].n_out + q.held[0].n_in, 2);
	assert_int_equal(q.held[1].n_out + q.held[1].n_in, 1);
}

static void expect_bad(enum vd_vu_inflight_field field, uint64_t value)
{
	assert_int_equal(succeed(), -VD_EPROTO);
	assert_int_equal(q.fault.code, VD_FAULT_VU_INFLIGHT);
	assert_int_equal(q.fault.value[1], field);
	assert_int_equal(q.fault.value[2], value);
	drop();
}

static void refuses16(enum vd_ring_layout layout, size_t at, uint16_t value,
		      enum vd_vu_inflight_field field)
{
	leave_two(layout);
	put16(at, value);
	expect_bad(field, value);
}

static void refuses16_in_entry(unsigned n, size_t at, uint16_t value,
			       enum vd_vu_inflight_field field)
{
	refuses16(VD_RING_PACKED, 32 + 32 * n + at, value, field);
}

/* ---- any layout ---- */

static const enum vd_ring_layout layouts[] = {VD_RING_SPLIT, VD_RING_PACKED};

static void a_good_record_is_taken_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave_two(layouts[i]);
		expect_two();
		drop();
	}
}

static void a_version_that_nobody_writes_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		refuses16(layouts[i], VERSION, 2, VD_VU_INFLIGHT_VERSION);
		refuses16(layouts[i], VERSION, UINT16_MAX, VD_VU_INFLIGHT_VERSION);
	}
}

static void a_record_is_of_a_queue_of_this_size(void **state)
{
	static const uint16_t sizes[] = {0, 4, 9, UINT16_MAX};

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		refuses16(layouts[i / 4], DESC_NUM, sizes[i % 4], VD_VU_INFLIGHT_DESC_NUM);
}

static void a_blank_record_holds_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave_two(layouts[i]);
		memset(q.region, 0xff, q.region_size);
		put16(VERSION, 0);
		assert_int_equal(succeed(), 0);
		assert_int_equal(q.inflight.n_replay, 0);
		drop();
	}
}

/* It is shared memory: "1" is the only mark that we make. */
static void a_mark_is_one_or_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave_two(layouts[i]);
		q.region[entry(1) + E_INFLIGHT] = 2;
		q.region[entry(3) + E_INFLIGHT] = 255;
		assert_int_equal(succeed(), 0);
		assert_int_equal(q.inflight.n_replay, 0);
		drop();
	}
}

static void counters_say_the_order_and_nothing_else(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave_two(layouts[i]);
		put64(entry(1) + E_COUNTER, UINT64_MAX - 1);
		put64(entry(3) + E_COUNTER, UINT64_MAX);
		expect_two();
		crash();
		put64(entry(1) + E_COUNTER, 5);
		put64(entry(3) + E_COUNTER, 5);
		assert_int_equal(succeed(), 0);
		assert_int_equal(pop(), 1);
		assert_int_equal(pop(), 1);
		assert_int_equal(pop(), 0);
		drop();
	}
}

/* ---- split ---- */

static void what_was_noted_is_not_far_from_what_was_published(void **state)
{
	(void)state;
	/* The ring says 1. */
	refuses16(VD_RING_SPLIT, USED_IDX, 2, VD_VU_INFLIGHT_USED_IDX);
	refuses16(VD_RING_SPLIT, USED_IDX, UINT16_MAX - SPLIT_SIZE + 1, VD_VU_INFLIGHT_USED_IDX);
	refuses16(VD_RING_SPLIT, USED_IDX, 0x8000, VD_VU_INFLIGHT_USED_IDX);
}

static void a_batch_is_of_descriptors(void **state)
{
	(void)state;
	leave_two(VD_RING_SPLIT);
	put16(USED_IDX, 0);
	put16(LAST_BATCH_HEAD, SPLIT_SIZE);
	expect_bad(VD_VU_INFLIGHT_BATCH, SPLIT_SIZE);
	leave_two(VD_RING_SPLIT);
	put16(USED_IDX, UINT16_MAX);
	put16(LAST_BATCH_HEAD, 0);
	put16(entry(0) + E_SPLIT_NEXT, UINT16_MAX);
	expect_bad(VD_VU_INFLIGHT_BATCH, UINT16_MAX);
}

static void a_batch_that_bites_its_tail_ends(void **state)
{
	(void)state;
	leave_two(VD_RING_SPLIT);
	put16(USED_IDX, (uint16_t)(1 - SPLIT_SIZE));
	put16(LAST_BATCH_HEAD, 1);
	put16(entry(1) + E_SPLIT_NEXT, 1);
	assert_int_equal(succeed(), 0);
	assert_int_equal(q.inflight.n_replay, 1);
	drop();
}

static void more_marks_than_buffers_replay_each_once(void **state)
{
	unsigned n = 0;

	(void)state;
	leave_two(VD_RING_SPLIT);
	for (unsigned i = 0; i < SPLIT_SIZE; i++)
		q.region[entry(i) + E_INFLIGHT] = 1;
	assert_int_equal(succeed(), 0);
	while (pop() == 1)
		n++;
	assert_int_equal(n, SPLIT_SIZE);
	drop();
}

/* ---- packed ---- */

static void both_positions_are_inside_the_ring(void **state)
{
	(void)state;
	refuses16(VD_RING_PACKED, PACKED_USED_IDX, PACKED_SIZE, VD_VU_INFLIGHT_USED_IDX);
	refuses16(VD_RING_PACKED, PACKED_OLD_USED_IDX, 0x7fff, VD_VU_INFLIGHT_USED_IDX);
}

static void the_free_list_is_of_entries_and_ends(void **state)
{
	(void)state;
	refuses16(VD_RING_PACKED, OLD_FREE_HEAD, PACKED_SIZE + 1, VD_VU_INFLIGHT_FREE_HEAD);
	refuses16(VD_RING_PACKED, OLD_FREE_HEAD, UINT16_MAX, VD_VU_INFLIGHT_FREE_HEAD);
	refuses16_in_entry(4, E_NEXT, UINT16_MAX, VD_VU_INFLIGHT_FREE_HEAD);
	refuses16_in_entry(4, E_NEXT, 4, VD_VU_INFLIGHT_FREE_HEAD);
	refuses16_in_entry(6, E_NEXT, 4, VD_VU_INFLIGHT_FREE_HEAD);
}

static void the_free_list_may_be_short(void **state)
{
	(void)state;
	leave_two(VD_RING_PACKED);
	put16(OLD_FREE_HEAD, PACKED_SIZE);
	expect_two();
	/* Nobody records what comes now, and it is served all the same. */
	assert_int_equal(add(2), 0);
	vd_vq_drv_publish(&q.drv);
	assert_int_equal(pop(), 1);
	assert_int_equal(q.held[2].n_desc, 2);
	while (q.n_held > 0)
		push(0);
	vd_vq_dev_publish(&q.dev);
	drop();
}

/* Whatever its mark says: it was put back, or its publication was. */
static void what_is_free_is_not_in_flight(void **state)
{
	(void)state;
	leave_two(VD_RING_PACKED);
	q.region[entry(0) + E_INFLIGHT] = 1;
	q.region[entry(5) + E_INFLIGHT] = 1;
	expect_two();
	drop();
}

static void a_buffer_has_from_one_to_all_entries(void **state)
{
	(void)state;
	refuses16_in_entry(1, E_NUM, 0, VD_VU_INFLIGHT_NUM);
	refuses16_in_entry(1, E_NUM, PACKED_SIZE + 1, VD_VU_INFLIGHT_NUM);
	refuses16_in_entry(1, E_NUM, UINT16_MAX, VD_VU_INFLIGHT_NUM);
	/* Together they have too many. */
	refuses16_in_entry(3, E_NUM, PACKED_SIZE - 1, VD_VU_INFLIGHT_NUM);
}

static void a_buffer_s_entries_are_a_list_of_that_length(void **state)
{
	(void)state;
	refuses16_in_entry(1, E_NEXT, PACKED_SIZE, VD_VU_INFLIGHT_NEXT);
	refuses16_in_entry(1, E_NEXT, UINT16_MAX, VD_VU_INFLIGHT_NEXT);
	refuses16_in_entry(1, E_LAST, 1, VD_VU_INFLIGHT_NEXT);
	refuses16_in_entry(3, E_LAST, UINT16_MAX, VD_VU_INFLIGHT_NEXT);
}

static void no_entry_is_in_two_lists(void **state)
{
	(void)state;
	/* In the list of its own buffer, in the free list, in the list of the other buffer. */
	leave_two(VD_RING_PACKED);
	put16(entry(1) + E_NEXT, 1);
	put16(entry(1) + E_LAST, 1);
	expect_bad(VD_VU_INFLIGHT_NEXT, 1);
	leave_two(VD_RING_PACKED);
	put16(entry(1) + E_NEXT, 5);
	put16(entry(1) + E_LAST, 5);
	expect_bad(VD_VU_INFLIGHT_NEXT, 5);
	leave_two(VD_RING_PACKED);
	put16(entry(1) + E_NEXT, 3);
	put16(entry(1) + E_LAST, 3);
	expect_bad(VD_VU_INFLIGHT_NEXT, 3);
	leave_two(VD_RING_PACKED);
	put16(entry(3) + E_NEXT, 2);
	put16(entry(3) + E_LAST, 2);
	put16(entry(3) + E_NUM, 2);
	expect_bad(VD_VU_INFLIGHT_NEXT, 2);
}

/* A list that led through another one would change under the device when that one is freed. */
static void lists_stay_what_they_were_checked_to_be(void **state)
{
	(void)state;
	leave_two(VD_RING_PACKED);
	/* The second goes through the last entry of the first, and on to the end of all lists. */
	put16(entry(3) + E_NUM, 3);
	put16(entry(3) + E_NEXT, 2);
	put16(entry(2) + E_NEXT, 4);
	put16(entry(3) + E_LAST, 4);
	put16(OLD_FREE_HEAD, PACKED_SIZE);
	if (succeed() == 0) {
		assert_int_equal(pop(), 1);
		push(0);
		vd_vq_dev_publish(&q.dev);
		while (pop() == 1)
			;
	}
	assert_int_equal(q.fault.code, VD_FAULT_VU_INFLIGHT);
	drop();
}

static void copies_of_descriptors_are_checked_like_a_ring(void **state)
{
	(void)state;
	leave_two(VD_RING_PACKED);
	put64(entry(1) + E_ADDR, UINT64_MAX - 3);
	assert_int_equal(succeed(), 0);
	assert_int_equal(pop(), -VD_EPROTO);
	drop();
	leave_two(VD_RING_PACKED);
	put64(entry(2) + E_ADDR, ADDRESS + DATA);
	assert_int_equal(succeed(), 0);
	assert_int_equal(pop(), -VD_EPROTO);
	drop();
	leave_two(VD_RING_PACKED);
	put16(entry(2) + E_FLAGS, VD_DESC_INDIRECT);
	assert_int_equal(succeed(), 0);
	assert_int_equal(pop(), -VD_EPROTO);
	drop();
}

/* ---- anything at all ---- */

static void work_a_little(void)
{
	for (unsigned n = chance(24); n > 0; n--)
		switch (chance(6)) {
		case 0:
			(void)add(1 + chance(3));
			vd_vq_drv_publish(&q.drv);
			break;
		case 1:
		case 2:
			(void)pop();
			break;
		case 3:
			if (q.n_held > 0)
				push(chance(q.n_held));
			break;
		case 4:
			if (q.n_held > 0 && vd_vq_dev_unpop(&q.dev, &q.held[q.n_held - 1]) == 0)
				q.n_held--;
			break;
		default:
			vd_vq_dev_publish(&q.dev);
			break;
		}
}

static void take_what_is_used(void)
{
	struct vd_used used;

	while (vd_vq_drv_get(&q.drv, &used) == 1)
		;
}

static uint16_t strange_value(void)
{
	static const uint16_t strange[] = {0xffff, 0x8000, 0x7fff, 0x100};

	return chance(8) == 0 ? strange[chance(4)] : (uint16_t)chance(LARGEST + 2u);
}

static void corrupt(void)
{
	for (unsigned n = 1 + chance(4); n > 0; n--)
		switch (chance(4)) {
		case 0:
			q.region[chance((uint32_t)q.region_size)] = (unsigned char)chance(256);
			break;
		case 1:
			put16(12 + 2 * chance(5), strange_value());
			break;
		case 2:
			q.region[entry(chance(q.size)) + E_INFLIGHT] = (unsigned char)chance(3);
			break;
		default:
			put16(entry(chance(q.size)) + 2 + 2 * chance(3), strange_value());
			break;
		}
}

static void live_once(void)
{
	static const uint64_t features[] = {0, VD_BIT(VD_F_IN_ORDER), VD_BIT(VD_F_EVENT_IDX)};

	make(layouts[chance(2)], features[chance(3)]);
	for (unsigned lives = 0; lives < 4 && succeed() == 0; lives++) {
		work_a_little();
		take_what_is_used();
		crash();
		if (lives > 0 || chance(2))
			corrupt();
	}
	drop();
}

static void a_changed_record_does_no_harm(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CASES; i++) {
		seed = i;
		live_once();
	}
}

/* ---- through a back end ---- */

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t no_status = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static int open_rig(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

static void start(unsigned index)
{
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, index, 8), 0);
	assert_int_equal(fe_queue_start(&rig.fe, index), 0);
}

static void write_inflight(off_t at, uint16_t value)
{
	assert_int_equal(pwrite(rig.fe.inflight_fd, &value, sizeof(value), at), sizeof(value));
}

static void the_fault_names_the_queue(void **state)
{
	off_t second = (off_t)vd_vu_inflight_region_size(8);

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 8), 0);
	write_inflight(second + VERSION, 7);
	start(0);
	vu_rig_expect_works(&rig, 0, 1);
	start(1);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_INFLIGHT, 1, VD_VU_INFLIGHT_VERSION, 7);
	write_inflight(second + VERSION, 0);
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_set(&rig.fe), 0);
	start(1);
	vu_rig_expect_works(&rig, 1, 2);
}

static void a_region_is_asked_for_with_sizes_that_can_be(void **state)
{
	static const struct {
		uint16_t num_queues;
		uint16_t queue_size;
		uint16_t named;
	} bad[] = {{0, 8, 0}, {3, 8, 3}, {UINT16_MAX, 8, UINT16_MAX}, {2, 0, 0}, {2, 32769, 32769}};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct vd_vu_inflight_desc desc = {.num_queues = bad[i].num_queues,
						   .queue_size = bad[i].queue_size};

		vu_rig_negotiate(&rig, version_1, no_status);
		vu_rig_refuses(&rig, VD_VU_GET_INFLIGHT_FD, &desc, sizeof(desc), NULL, 0,
			       VD_FAULT_VU_VALUE, VD_VU_GET_INFLIGHT_FD, bad[i].named, 0);
	}
}

static void a_region_is_blank_and_sealed_and_as_long_as_it_says(void **state)
{
	unsigned char bytes[4096];
	off_t size;

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 8), 0);
	size = (off_t)(2 * vd_vu_inflight_region_size(8));
	assert_int_equal(rig.fe.inflight.mmap_size, size);
	assert_int_equal(rig.fe.inflight.mmap_offset, 0);
	assert_int_equal(lseek(rig.fe.inflight_fd, 0, SEEK_END), size);
	assert_int_equal(pread(rig.fe.inflight_fd, bytes, sizeof(bytes), 0), size);
	for (off_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_not_equal(ftruncate(rig.fe.inflight_fd, 1 << 20), 0);
}

static void the_last_region_counts(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fe_inflight_get(&rig.fe, 1, 4), 0);
		assert_int_equal(fe_inflight_get(&rig.fe, 2, 8), 0);
		assert_int_equal(fe_inflight_set(&rig.fe), 0);
		/* Ours (the memory), and one of the back end. */
		assert_int_equal(vu_count_maps(), rig.maps_before + 2);
	}
	start(0);
	vu_rig_expect_works(&rig, 0, 1);
}

static void a_region_is_not_given_while_queues_run(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 8), 0);
	start(0);
	vu_rig_refuses(&rig, VD_VU_SET_INFLIGHT_FD, &rig.fe.inflight, sizeof(rig.fe.inflight),
		       &rig.fe.inflight_fd, 1, VD_FAULT_VU_ORDER, VD_VU_SET_INFLIGHT_FD, 0, 0);
}

static void a_region_that_can_not_be_written_is_refused(void **state)
{
	char path[64];
	int fd;

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 8), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", rig.fe.inflight_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	vu_rig_refuses(&rig, VD_VU_SET_INFLIGHT_FD, &rig.fe.inflight, sizeof(rig.fe.inflight), &fd,
		       1, VD_FAULT_VU_VALUE, VD_VU_SET_INFLIGHT_FD, rig.fe.inflight.mmap_size, 0);
	close(fd);
}

/* Cut off before a queue needs it: what is found there then is zeros, and the end. */
static void a_region_cut_off_before_it_is_used_ends_the_connection(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	off_t half;

	(void)state;
	assert_int_equal(vd_guard_install(), 0);
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 512), 0);
	close(rig.fe.inflight_fd);
	rig.fe.inflight_fd = memfd_create("cut", MFD_CLOEXEC);
	assert_int_equal(ftruncate(rig.fe.inflight_fd, (off_t)rig.fe.inflight.mmap_size), 0);
	assert_int_equal(fe_inflight_set(&rig.fe), 0);
	vu_rig_poll(&rig);
	/* The first queue's half is still there. */
	half = (off_t)(vd_vu_inflight_region_size(512) / page * page);
	assert_int_equal(ftruncate(rig.fe.inflight_fd, half), 0);
	start(0);
	vu_rig_expect_works(&rig, 0, 1);
	start(1);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, 0, 0, 0);
}

#define TEST(name)    cmocka_unit_test(name)
#define BACKEND(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_record_is_taken_up),
		TEST(a_version_that_nobody_writes_is_refused),
		TEST(a_record_is_of_a_queue_of_this_size),
		TEST(a_blank_record_holds_nothing),
		TEST(a_mark_is_one_or_nothing),
		TEST(counters_say_the_order_and_nothing_else),
		TEST(what_was_noted_is_not_far_from_what_was_published),
		TEST(a_batch_is_of_descriptors),
		TEST(a_batch_that_bites_its_tail_ends),
		TEST(more_marks_than_buffers_replay_each_once),
		TEST(both_positions_are_inside_the_ring),
		TEST(the_free_list_is_of_entries_and_ends),
		TEST(the_free_list_may_be_short),
		TEST(what_is_free_is_not_in_flight),
		TEST(a_buffer_has_from_one_to_all_entries),
		TEST(a_buffer_s_entries_are_a_list_of_that_length),
		TEST(no_entry_is_in_two_lists),
		TEST(lists_stay_what_they_were_checked_to_be),
		TEST(copies_of_descriptors_are_checked_like_a_ring),
		TEST(a_changed_record_does_no_harm),
		BACKEND(the_fault_names_the_queue),
		BACKEND(a_region_is_asked_for_with_sizes_that_can_be),
		BACKEND(a_region_is_blank_and_sealed_and_as_long_as_it_says),
		BACKEND(the_last_region_counts),
		BACKEND(a_region_is_not_given_while_queues_run),
		BACKEND(a_region_that_can_not_be_written_is_refused),
		BACKEND(a_region_cut_off_before_it_is_used_ends_the_connection),
	};

	return cmocka_run_group_tests_name("vhost_user_inflight", tests, NULL, NULL);
}
