/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From descriptors to segments: every address, length and table that a driver can write, on both
 * layouts, directly in the ring, in an indirect table, and (split) half and half.
 */
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

#define INDIRECT VD_BIT(VD_F_INDIRECT_DESC)
#define GIB4     (UINT64_C(1) << 32)

enum way {
	DIRECT,
	IN_TABLE,
	TAIL_IN_TABLE,
};

static struct dev_rig rig;

/* Away from the start, so that a slot and a place in a list are different numbers. */
static void open_rig(void **state, uint16_t size)
{
	const struct peer_desc desc = rig_out(RIG_LOW, 1);

	dev_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = INDIRECT});
	peer_driver_offer(&rig.driver, &desc, 1);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, 0), 0);
	vd_vq_dev_publish(&rig.vq);
}

/* The ways that a buffer of @count descriptors can be laid out. */
static enum way last_way(void **state, unsigned count)
{
	const struct variant *variant = *state;

	return variant->packed || count < 2 ? IN_TABLE : TAIL_IN_TABLE;
}

/* Where tables are, out of the way of the data. */
#define TABLE (RIG_NEXT + 0x800)

static void offer(enum way way, const struct peer_desc *desc, unsigned count)
{
	unsigned direct = way == TAIL_IN_TABLE ? 1 : 0;
	struct peer_desc with_table[2] = {desc[0]};

	if (way == DIRECT) {
		peer_driver_offer(&rig.driver, desc, count);
		return;
	}
	peer_put_table(&rig.driver.ring, dev_rig_at(&rig, TABLE), desc + direct, count - direct);
	with_table[direct] = rig_table(TABLE, 16 * (count - direct));
	peer_driver_offer(&rig.driver, with_table, direct + 1);
}

/* What a fault calls descriptor number @n of a buffer that was offered so. */
static uint64_t name_of(enum way way, unsigned n)
{
	if (way == DIRECT)
		return (n + 1) % rig.driver.ring.size;
	if (way == IN_TABLE)
		return n;
	return n == 0 ? 1 : n - 1;
}

static void expect_pop(void **state, const struct peer_desc *desc, unsigned count, unsigned n_out,
		       unsigned n_in, uint64_t out_len, uint64_t in_len)
{
	for (enum way way = DIRECT; way <= last_way(state, count); way++) {
		open_rig(state, 32);
		offer(way, desc, count);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, n_out);
		assert_int_equal(rig.chain.n_in, n_in);
		assert_int_equal(rig.chain.out_len, out_len);
		assert_int_equal(rig.chain.in_len, in_len);
		dev_rig_close(&rig);
	}
}

static void expect_fault(void **state, const struct peer_desc *desc, unsigned count,
			 enum vd_fault_code code, uint64_t a, uint64_t b)
{
	for (enum way way = DIRECT; way <= last_way(state, count); way++) {
		open_rig(state, 32);
		offer(way, desc, count);
		dev_rig_expect_broken(&rig, code, a, b, 0);
		dev_rig_close(&rig);
	}
}

/* ---- directions ---- */

static void readable_after_writable_breaks_the_queue(void **state)
{
	for (unsigned first_in = 0; first_in < 4; first_in++)
		for (unsigned out_again = first_in + 1; out_again < 5; out_again++)
			for (enum way way = DIRECT; way <= last_way(state, 5); way++) {
				struct peer_desc desc[5];

				for (unsigned i = 0; i < 5; i++)
					desc[i] = i < first_in || i == out_again
							  ? rig_out(RIG_LOW, 1)
							  : rig_in(RIG_LOW, 1);
				open_rig(state, 8);
				offer(way, desc, 5);
				dev_rig_expect_broken(&rig, VD_FAULT_READ_AFTER_WRITE,
						      name_of(way, out_again), 0, 0);
				dev_rig_close(&rig);
			}
}

static void an_empty_writable_descriptor_ends_the_readable_ones_too(void **state)
{
	const struct peer_desc desc[2] = {rig_in(RIG_LOW, 0), rig_out(RIG_LOW, 0)};

	for (enum way way = DIRECT; way <= last_way(state, 2); way++) {
		open_rig(state, 8);
		offer(way, desc, 2);
		dev_rig_expect_broken(&rig, VD_FAULT_READ_AFTER_WRITE, name_of(way, 1), 0, 0);
		dev_rig_close(&rig);
	}
}

/* ---- lengths ---- */

static void empty_descriptors_are_nothing_wherever_they_point(void **state)
{
	const struct peer_desc empty[5] = {rig_out(RIG_LOW, 0), rig_out(RIG_HOLE, 0),
					   rig_in(UINT64_MAX, 0), rig_in(RIG_READ_ONLY, 0),
					   rig_in(RIG_NEXT, 0)};
	const struct peer_desc mixed[4] = {rig_out(RIG_HOLE, 0), rig_out(RIG_LOW, 3),
					   rig_in(RIG_HOLE, 0), rig_in(RIG_LOW, 4)};

	for (unsigned i = 0; i < 5; i++)
		expect_pop(state, empty + i, 1, 0, 0, 0, 0);
	expect_pop(state, empty, 5, 0, 0, 0, 0);
	expect_pop(state, mixed, 4, 1, 1, 3, 4);
}

static void a_buffer_of_4_gib_is_legal(void **state)
{
	struct peer_desc desc[RIG_MANY];
	const struct peer_desc two[2] = {rig_out(RIG_MANY_AT, UINT32_MAX), rig_in(RIG_LOW, 1)};

	for (unsigned i = 0; i < RIG_MANY; i++)
		desc[i] = i < 5 ? rig_out(RIG_MANY_AT, RIG_MANY_SIZE)
				: rig_in(RIG_MANY_AT, RIG_MANY_SIZE);
	expect_pop(state, desc, RIG_MANY, 5, 11, 5 * (GIB4 / 16), 11 * (GIB4 / 16));
	for (unsigned i = 0; i < RIG_MANY; i++)
		desc[i].flags = VD_DESC_WRITE;
	expect_pop(state, desc, RIG_MANY, 0, 16, 0, GIB4);
	expect_pop(state, two, 2, RIG_MANY, 1, UINT32_MAX, 1);
}

/* What the queue does to a buffer can be done to one that is not even mapped: see RIG_MANY_AT. */
static void the_bytes_of_a_buffer_are_neither_read_nor_written(void **state)
{
	const struct peer_desc desc[2] = {rig_out(RIG_MANY_AT, 64), rig_in(RIG_MANY_AT, 4096)};

	for (enum way way = DIRECT; way <= last_way(state, 2); way++) {
		open_rig(state, 8);
		offer(way, desc, 2);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(vd_vq_dev_unpop(&rig.vq, &rig.chain), 0);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, 4096), 0);
		vd_vq_dev_flush(&rig.vq);
		dev_rig_close(&rig);
	}
}

static void a_byte_more_than_4_gib_breaks_the_queue(void **state)
{
	struct peer_desc desc[RIG_MANY + 1];
	const struct peer_desc two[2] = {rig_out(RIG_MANY_AT, UINT32_MAX),
					 rig_in(RIG_MANY_AT, UINT32_MAX)};

	for (unsigned i = 0; i < RIG_MANY; i++)
		desc[i] = rig_out(RIG_MANY_AT, RIG_MANY_SIZE);
	desc[RIG_MANY] = rig_in(RIG_LOW, 1);
	expect_fault(state, desc, RIG_MANY + 1, VD_FAULT_CHAIN_BYTES, GIB4 + 1, 0);
	expect_fault(state, two, 2, VD_FAULT_CHAIN_BYTES, 2 * (uint64_t)UINT32_MAX, 0);
}

static void four_gib_written_are_reported_as_a_byte_less(void **state)
{
	struct peer_desc desc[RIG_MANY];
	struct peer_used used;

	for (unsigned i = 0; i < RIG_MANY; i++)
		desc[i] = rig_in(RIG_MANY_AT, RIG_MANY_SIZE);
	open_rig(state, 32);
	assert_true(peer_driver_take(&rig.driver, &used));
	offer(DIRECT, desc, RIG_MANY);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, GIB4 + 1), -VD_EINVAL);
	assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, GIB4), 0);
	vd_vq_dev_publish(&rig.vq);
	assert_true(peer_driver_take(&rig.driver, &used));
	assert_int_equal(used.len, UINT32_MAX);
	dev_rig_close(&rig);
}

/* ---- addresses ---- */

static void expect_segment(unsigned n, uint64_t peer, size_t len)
{
	assert_ptr_equal(rig.iov[n].base, dev_rig_at(&rig, peer));
	assert_int_equal(rig.iov[n].len, len);
}

static void buffers_that_straddle_windows_are_cut(void **state)
{
	const struct peer_desc desc[2] = {rig_out(RIG_LOW + 0xffe, 0x1004), rig_in(RIG_NEXT, 7)};

	for (enum way way = DIRECT; way <= last_way(state, 2); way++) {
		open_rig(state, 8);
		offer(way, desc, 2);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, 3);
		assert_int_equal(rig.chain.n_in, 1);
		assert_int_equal(rig.chain.out_len, 0x1004);
		expect_segment(0, RIG_LOW + 0xffe, 2);
		expect_segment(1, RIG_NEXT, 0x1000);
		expect_segment(2, RIG_READ_ONLY, 2);
		expect_segment(3, RIG_NEXT, 7);
		dev_rig_close(&rig);
	}
}

static void the_first_and_the_last_byte_of_all_can_be_used(void **state)
{
	const struct peer_desc desc[3] = {rig_out(UINT64_MAX, 1), rig_in(0, 1),
					  rig_in(RIG_TOP, RIG_WINDOW)};

	expect_pop(state, desc, 3, 1, 2, 1, 1 + RIG_WINDOW);
}

static void an_address_outside_breaks_the_queue(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint64_t bad; /* where it leaves the windows */
	} outside[] = {
		{RIG_HOLE, 1, RIG_HOLE},
		{RIG_LOW - 1, 1, RIG_LOW - 1},
		{RIG_LOW - 1, 2, RIG_LOW - 1},
		{RIG_HOLE - 1, 2, RIG_HOLE},
		{RIG_NEXT, UINT32_MAX, RIG_HOLE},
		{RIG_ZERO + RIG_WINDOW, 1, RIG_ZERO + RIG_WINDOW},
		{RIG_TOP - 1, 1, RIG_TOP - 1},
		{RIG_MANY_AT + GIB4, 1, RIG_MANY_AT + GIB4},
		{0x8000000000000000, 16, 0x8000000000000000},
	};

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		uint64_t inside = outside[i].bad - outside[i].addr;
		const struct peer_desc alone = rig_out(outside[i].addr, outside[i].len);
		const struct peer_desc second[2] = {rig_out(RIG_LOW, 1), alone};

		expect_fault(state, &alone, 1, VD_FAULT_ADDRESS, outside[i].bad,
			     outside[i].len - inside);
		expect_fault(state, second, 2, VD_FAULT_ADDRESS, outside[i].bad,
			     outside[i].len - inside);
	}
}

static void an_address_that_wraps_breaks_the_queue(void **state)
{
	/* There is memory on both sides. */
	static const struct {
		uint64_t addr;
		uint32_t len;
	} wrapping[] = {
		{UINT64_MAX, 2},
		{UINT64_MAX - 15, 32},
		{RIG_TOP, RIG_WINDOW + 1},
		{UINT64_MAX, UINT32_MAX},
	};

	for (size_t i = 0; i < sizeof(wrapping) / sizeof(wrapping[0]); i++) {
		const struct peer_desc out = rig_out(wrapping[i].addr, wrapping[i].len);
		const struct peer_desc in = rig_in(wrapping[i].addr, wrapping[i].len);

		expect_fault(state, &out, 1, VD_FAULT_ADDRESS, wrapping[i].addr, wrapping[i].len);
		expect_fault(state, &in, 1, VD_FAULT_ADDRESS, wrapping[i].addr, wrapping[i].len);
	}
}

static void memory_is_used_only_as_it_may_be(void **state)
{
	const struct peer_desc read_only = rig_in(RIG_READ_ONLY, 1);
	const struct peer_desc into_read_only = rig_in(RIG_NEXT + 0xfff, 5);
	const struct peer_desc write_only = rig_out(RIG_WRITE_ONLY + 8, 9);
	const struct peer_desc right[2] = {rig_out(RIG_READ_ONLY, 3), rig_in(RIG_WRITE_ONLY, 4)};

	expect_fault(state, &read_only, 1, VD_FAULT_RIGHTS, RIG_READ_ONLY, 1);
	expect_fault(state, &into_read_only, 1, VD_FAULT_RIGHTS, RIG_READ_ONLY, 4);
	expect_fault(state, &write_only, 1, VD_FAULT_RIGHTS, RIG_WRITE_ONLY + 8, 9);
	expect_pop(state, right, 2, 1, 1, 3, 4);
}

static void a_device_without_memory_finds_every_address_outside(void **state)
{
	const struct peer_desc desc = rig_out(RIG_LOW, 1);

	open_rig(state, 8);
	vd_mem_init(&rig.mem, NULL, 0, VD_MEM_LIMIT_64);
	peer_driver_offer(&rig.driver, &desc, 1);
	dev_rig_expect_broken(&rig, VD_FAULT_ADDRESS, RIG_LOW, 1, 0);
	dev_rig_close(&rig);
}

static void windows_may_change_between_buffers(void **state)
{
	const struct peer_desc desc = rig_out(RIG_NEXT, 4);

	open_rig(state, 8);
	peer_driver_offer(&rig.driver, &desc, 1);
	peer_driver_offer(&rig.driver, &desc, 1);
	peer_driver_offer(&rig.driver, &desc, 1);
	assert_int_equal(dev_rig_pop(&rig), 1);
	assert_int_equal(vd_mem_remove(&rig.mem, RIG_LOW, RIG_WINDOW), 0);
	assert_int_equal(dev_rig_pop(&rig), 1);
	expect_segment(0, RIG_NEXT, 4);
	assert_int_equal(vd_mem_remove(&rig.mem, RIG_NEXT, RIG_WINDOW), 0);
	dev_rig_expect_broken(&rig, VD_FAULT_ADDRESS, RIG_NEXT, 4, 0);
	dev_rig_close(&rig);
}

/* ---- indirect tables ---- */

static void put_table(uint64_t addr, unsigned count)
{
	struct peer_desc desc[8] = {0};
	unsigned char bytes[128];

	for (unsigned i = 0; i < count; i++)
		desc[i] = rig_out(RIG_LOW + 16 * i, 16);
	peer_put_table(&rig.driver.ring, bytes, desc, count);
	/* Byte by byte: it may lie across windows. */
	for (unsigned i = 0; i < 16 * count; i++)
		*dev_rig_at(&rig, addr + i) = bytes[i];
}

static void tables_are_read_wherever_they_lie(void **state)
{
	static const uint64_t addresses[] = {
		RIG_LOW + 0x101,       RIG_LOW + 0xffe, RIG_LOW + 0xfe8,  RIG_NEXT + 0xfff,
		RIG_READ_ONLY + 0xf80, RIG_TOP,         UINT64_MAX - 127, 0,
	};

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		const struct peer_desc desc = rig_table(addresses[i], 128);

		open_rig(state, 8);
		put_table(addresses[i], 8);
		peer_driver_offer(&rig.driver, &desc, 1);
		assert_int_equal(dev_rig_pop(&rig), 1);
		assert_int_equal(rig.chain.n_out, 8);
		for (unsigned n = 0; n < 8; n++)
			expect_segment(n, RIG_LOW + 16 * n, 16);
		dev_rig_close(&rig);
	}
}

static void tables_of_no_or_no_whole_descriptors_break_the_queue(void **state)
{
	static const uint32_t sizes[] = {0, 1, 15, 17, 31, 0x1008, UINT32_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct peer_desc desc = rig_table(RIG_LOW, sizes[i]);

		open_rig(state, 8);
		put_table(RIG_LOW, 8);
		peer_driver_offer(&rig.driver, &desc, 1);
		dev_rig_expect_broken(&rig, VD_FAULT_INDIRECT_SIZE, sizes[i], 0, 0);
		dev_rig_close(&rig);
	}
}

static void expect_bad_table(void **state, uint64_t addr, uint64_t first_bad,
			     enum vd_fault_code code)
{
	const struct peer_desc desc = rig_table(addr, 64);

	open_rig(state, 8);
	/* What can be read of it is fine. */
	for (uint64_t at = addr; at != first_bad; at += 16)
		peer_put_desc(&rig.driver.ring, dev_rig_at(&rig, at), 0,
			      (struct peer_desc){.addr = RIG_LOW,
						 .len = 1,
						 .flags = VD_DESC_NEXT,
						 .link = (uint16_t)((at - addr) / 16 + 1)});
	peer_driver_offer(&rig.driver, &desc, 1);
	dev_rig_expect_broken(&rig, code, first_bad, 16, 0);
	dev_rig_close(&rig);
}

static void tables_outside_memory_break_the_queue(void **state)
{
	expect_bad_table(state, RIG_HOLE, RIG_HOLE, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_LOW - 16, RIG_LOW - 16, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_LOW - 1, RIG_LOW - 1, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_HOLE - 8, RIG_HOLE - 8, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_HOLE - 48, RIG_HOLE, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_HOLE - 24, RIG_HOLE - 8, VD_FAULT_ADDRESS);
	expect_bad_table(state, RIG_WRITE_ONLY, RIG_WRITE_ONLY, VD_FAULT_RIGHTS);
}

static void tables_that_wrap_break_the_queue(void **state)
{
	/* The next entry would be at 0, where there is memory. */
	expect_bad_table(state, UINT64_MAX - 15, 0, VD_FAULT_ADDRESS);
}

static void a_table_entry_that_wraps_breaks_the_queue(void **state)
{
	expect_bad_table(state, UINT64_MAX - 7, UINT64_MAX - 7, VD_FAULT_ADDRESS);
}

/* ---- buffers with more segments than there is room for ---- */

static int pop_into(uint16_t iov_max)
{
	memset(rig.iov, 0xa5, sizeof(rig.iov));
	rig.chain = (struct vd_chain){.iov = rig.iov, .iov_max = iov_max};
	return vd_vq_dev_pop(&rig.vq, &rig.chain);
}

static void a_buffer_that_is_too_big_says_how_big_and_goes_back(void **state)
{
	/* Four descriptors, five segments. */
	const struct peer_desc desc[4] = {rig_out(RIG_LOW, 1), rig_out(RIG_LOW + 0xffe, 4),
					  rig_in(RIG_NEXT, 8), rig_in(RIG_NEXT, 16)};
	static const struct vd_iov untouched = {(void *)(uintptr_t)0xa5a5a5a5a5a5a5a5,
						(size_t)0xa5a5a5a5a5a5a5a5};
	struct peer_used used;

	for (enum way way = DIRECT; way <= last_way(state, 4); way++)
		for (uint16_t iov_max = 0; iov_max < 5; iov_max++) {
			open_rig(state, 8);
			assert_true(peer_driver_take(&rig.driver, &used));
			offer(way, desc, 4);
			assert_int_equal(pop_into(iov_max), -VD_E2BIG);
			assert_int_equal(rig.chain.n_out, 0);
			assert_int_equal(rig.chain.n_in, 0);
			assert_int_equal(rig.chain.out_len, 5);
			assert_int_equal(rig.chain.in_len, 24);
			assert_memory_equal(&rig.iov[iov_max], &untouched, sizeof(untouched));
			assert_false(vd_vq_dev_ready(&rig.vq));
			assert_int_equal(vd_vq_dev_push(&rig.vq, &rig.chain, 0), 0);
			vd_vq_dev_publish(&rig.vq);
			assert_true(peer_driver_take(&rig.driver, &used));
			assert_int_equal(used.id, rig.chain.id);
			assert_int_equal(used.len, 0);
			dev_rig_close(&rig);
		}
}

static void a_buffer_that_just_fits_is_popped(void **state)
{
	const struct peer_desc desc[2] = {rig_out(RIG_LOW + 0xffe, 4), rig_in(RIG_NEXT, 8)};

	open_rig(state, 8);
	offer(DIRECT, desc, 2);
	assert_int_equal(pop_into(3), 1);
	assert_int_equal(rig.chain.n_out, 2);
	assert_int_equal(rig.chain.n_in, 1);
	dev_rig_close(&rig);
}

static void a_buffer_without_bytes_fits_into_nothing(void **state)
{
	const struct peer_desc desc[2] = {rig_out(RIG_LOW, 0), rig_in(RIG_NEXT, 0)};

	open_rig(state, 8);
	offer(DIRECT, desc, 2);
	assert_int_equal(pop_into(0), 1);
	dev_rig_close(&rig);
}

static void what_does_not_fit_is_checked_all_the_same(void **state)
{
	const struct peer_desc desc[3] = {rig_out(RIG_LOW, 1), rig_out(RIG_LOW, 1),
					  rig_in(RIG_HOLE, 1)};

	for (enum way way = DIRECT; way <= last_way(state, 3); way++) {
		open_rig(state, 8);
		offer(way, desc, 3);
		assert_int_equal(pop_into(1), -VD_EPROTO);
		rig_expect_fault(vd_vq_dev_fault(&rig.vq), VD_FAULT_ADDRESS, RIG_HOLE, 1, 0);
		dev_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(readable_after_writable_breaks_the_queue),
		ON_ALL(an_empty_writable_descriptor_ends_the_readable_ones_too),
		ON_ALL(empty_descriptors_are_nothing_wherever_they_point),
		ON_ALL(a_buffer_of_4_gib_is_legal),
		ON_ALL(the_bytes_of_a_buffer_are_neither_read_nor_written),
		ON_ALL(a_byte_more_than_4_gib_breaks_the_queue),
		ON_ALL(four_gib_written_are_reported_as_a_byte_less),
		ON_ALL(buffers_that_straddle_windows_are_cut),
		ON_ALL(the_first_and_the_last_byte_of_all_can_be_used),
		ON_ALL(an_address_outside_breaks_the_queue),
		ON_ALL(an_address_that_wraps_breaks_the_queue),
		ON_ALL(memory_is_used_only_as_it_may_be),
		ON_ALL(a_device_without_memory_finds_every_address_outside),
		ON_ALL(windows_may_change_between_buffers),
		ON_ALL(tables_are_read_wherever_they_lie),
		ON_ALL(tables_of_no_or_no_whole_descriptors_break_the_queue),
		ON_ALL(tables_outside_memory_break_the_queue),
		ON_ALL(tables_that_wrap_break_the_queue),
		ON_ALL(a_table_entry_that_wraps_breaks_the_queue),
		ON_ALL(a_buffer_that_is_too_big_says_how_big_and_goes_back),
		ON_ALL(a_buffer_that_just_fits_is_popped),
		ON_ALL(a_buffer_without_bytes_fits_into_nothing),
		ON_ALL(what_does_not_fit_is_checked_all_the_same),
	};

	return cmocka_run_group_tests_name("vq_walk", tests, NULL, NULL);
}
