/* SPDX-License-Identifier: BSD-3-Clause */
/* What the driver end does alike on both layouts: setting up, adding, getting back, and not missing
 * a notification. */
#include "ring/wire.h"
#include "ring_rig.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define INDIRECT  VD_BIT(VD_F_INDIRECT_DESC)
#define EVENT_IDX VD_BIT(VD_F_EVENT_IDX)
#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define IN_ORDER  VD_BIT(VD_F_IN_ORDER)

static struct drv_rig rig;

static void open_rig(void **state, uint16_t size, uint64_t features)
{
	drv_rig_open(&rig, *state, &(struct rig_options){.size = size, .features = features});
}

static void open_rig_with_tables(void **state, uint16_t size, uint16_t entries)
{
	drv_rig_open(&rig, *state,
		     &(struct rig_options){
			     .size = size, .features = INDIRECT, .table_entries = entries});
}

static unsigned char *data(size_t offset)
{
	return (unsigned char *)rig.data.at + offset;
}

static int add_one(void *base, size_t len, bool in)
{
	const struct vd_iov segment = {base, len};

	return vd_vq_drv_add(&rig.vq, &segment, !in, in, NULL);
}

static void expect_none(void)
{
	struct vd_used used;

	assert_false(vd_vq_drv_ready(&rig.vq));
	assert_int_equal(vd_vq_drv_get(&rig.vq, &used), 0);
}

/* ---- setting up ---- */

static int init_with(void (*change)(struct vd_vq_drv_config *config))
{
	struct vd_vq_drv_config config = rig.config;
	struct vd_vq_drv vq;

	change(&config);
	return vd_vq_drv_init(&vq, &config);
}

static void misalign_desc(struct vd_vq_drv_config *config)
{
	config->ring.desc = (unsigned char *)config->ring.desc + 8;
}

static void misalign_driver(struct vd_vq_drv_config *config)
{
	config->ring.driver = (unsigned char *)config->ring.driver + 1;
}

static void misalign_device(struct vd_vq_drv_config *config)
{
	config->ring.device = (unsigned char *)config->ring.device + 2;
}

static void misalign_state(struct vd_vq_drv_config *config)
{
	config->state = (unsigned char *)config->state + 4;
}

static void misalign_tables(struct vd_vq_drv_config *config)
{
	config->tables = (unsigned char *)config->tables + 8;
}

static void no_desc(struct vd_vq_drv_config *config)
{
	config->ring.desc = NULL;
}

static void no_driver(struct vd_vq_drv_config *config)
{
	config->ring.driver = NULL;
}

static void no_device(struct vd_vq_drv_config *config)
{
	config->ring.device = NULL;
}

static void no_mem(struct vd_vq_drv_config *config)
{
	config->mem = NULL;
}

static void no_state(struct vd_vq_drv_config *config)
{
	config->state = NULL;
}

static void less_state(struct vd_vq_drv_config *config)
{
	config->state_size--;
}

static void no_entries(struct vd_vq_drv_config *config)
{
	config->size = 0;
}

static void too_many_entries(struct vd_vq_drv_config *config)
{
	config->size = 32769;
}

static void init_refuses_what_can_not_be(void **state)
{
	static void (*const wrong[])(struct vd_vq_drv_config * config) = {
		misalign_desc, misalign_driver, misalign_device,  misalign_state, misalign_tables,
		no_desc,       no_driver,       no_device,        no_mem,         no_state,
		less_state,    no_entries,      too_many_entries,
	};

	open_rig_with_tables(state, 8, 4);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(init_with(wrong[i]), -VD_EINVAL);
	drv_rig_close(&rig);
}

static void tables_outside(struct vd_vq_drv_config *config)
{
	config->table_entries++;
}

static void tables_elsewhere(struct vd_vq_drv_config *config)
{
	config->tables = config->ring.desc;
}

static void largest_tables(struct vd_vq_drv_config *config)
{
	config->table_entries = UINT16_MAX;
}

static void no_tables(struct vd_vq_drv_config *config)
{
	config->tables = NULL;
}

static void tables_without_need(struct vd_vq_drv_config *config)
{
	tables_elsewhere(config);
	config->features = 0;
}

static void indirect_tables_must_be_readable_for_the_device(void **state)
{
	open_rig_with_tables(state, 8, 4);
	assert_int_equal(init_with(tables_outside), -VD_EFAULT);
	assert_int_equal(init_with(tables_elsewhere), -VD_EFAULT);
	assert_int_equal(init_with(largest_tables), -VD_EFAULT);
	assert_int_equal(init_with(no_tables), 0);
	assert_int_equal(init_with(tables_without_need), 0);
	rig.windows[2].rights = VD_MEM_WRITE;
	assert_int_equal(vd_vq_drv_init(&rig.vq, &rig.config), -VD_EACCES);
	drv_rig_close(&rig);
}

static void sizes_are_known_beforehand(void **state)
{
	(void)state;
	assert_int_equal(vd_vq_drv_state_size(&vd_split_drv, 0), 0);
	assert_int_equal(vd_vq_drv_state_size(&vd_split_drv, 3), 0);
	assert_int_equal(vd_vq_drv_state_size(&vd_split_drv, 32769), 0);
	assert_int_equal(vd_vq_drv_state_size(&vd_packed_drv, 0), 0);
	assert_int_equal(vd_vq_drv_state_size(&vd_packed_drv, 32769), 0);
	assert_int_not_equal(vd_vq_drv_state_size(&vd_packed_drv, 3), 0);
	assert_int_not_equal(vd_vq_drv_state_size(&vd_split_drv, 32768), 0);
	assert_int_equal(vd_vq_drv_tables_size(8, 4), 8 * 4 * 16);
	assert_int_equal(vd_vq_drv_tables_size(8, 0), 0);
	/* Almost 32 GiB: for a processor of 64 bits. */
	assert_int_equal(vd_vq_drv_tables_size(32768, 65535),
			 SIZE_MAX > UINT32_MAX ? (size_t)UINT64_C(0x7fff80000) : 0);
}

static bool is_zero(const void *area, size_t size)
{
	const unsigned char *at = area;

	for (size_t i = 0; i < size; i++)
		if (at[i] != 0)
			return false;
	return true;
}

static void init_clears_the_ring(void **state)
{
	const struct variant *variant = *state;
	struct vd_ring_parts parts;

	open_rig(state, 8, 0);
	vd_ring_parts(variant->packed ? VD_RING_PACKED : VD_RING_SPLIT, 8, &parts);
	memset(rig.config.ring.desc, 0xa5, parts.desc.size);
	memset(rig.config.ring.driver, 0xa5, parts.driver.size);
	memset(rig.config.ring.device, 0xa5, parts.device.size);
	memset(rig.config.state, 0xa5, rig.config.state_size);
	assert_int_equal(vd_vq_drv_init(&rig.vq, &rig.config), 0);
	assert_true(is_zero(rig.config.ring.desc, parts.desc.size));
	assert_true(is_zero(rig.config.ring.driver, parts.driver.size));
	assert_true(is_zero(rig.config.ring.device, parts.device.size));
	drv_rig_give(&rig, 1, 0, 7);
	peer_device_use(&rig.device, rig.chain.id, 0, 1);
	drv_rig_expect(&rig, 7, 0);
	drv_rig_close(&rig);
}

/* ---- adding ---- */

static void expect_desc(unsigned n, uint64_t addr, uint32_t len, bool in)
{
	assert_int_equal(rig.chain.desc[n].addr, addr);
	assert_int_equal(rig.chain.desc[n].len, len);
	assert_int_equal(rig.chain.desc[n].flags & VD_DESC_WRITE, in ? VD_DESC_WRITE : 0);
}

static void buffers_of_every_length_are_made_available(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned n_out = 0; n_out <= 8; n_out++)
		for (unsigned n_in = n_out == 0; n_out + n_in <= 8; n_in++) {
			drv_rig_give(&rig, n_out, n_in, n_out);
			assert_int_equal(rig.chain.count, n_out + n_in);
			assert_false(rig.chain.indirect);
			for (unsigned i = 0; i < n_out + n_in; i++)
				expect_desc(i, RIG_DATA + 16 * i, 16, i >= n_out);
			assert_int_equal(vd_vq_drv_num_free(&rig.vq), 8 - n_out - n_in);
			peer_device_use(&rig.device, rig.chain.id, 16 * n_in, rig.chain.slots);
			drv_rig_expect(&rig, n_out, 16 * n_in);
			assert_int_equal(vd_vq_drv_num_free(&rig.vq), 8);
		}
	drv_rig_close(&rig);
}

static void a_table_is_used_when_it_is_long_enough(void **state)
{
	open_rig_with_tables(state, 8, 4);
	for (unsigned round = 0; round < 20; round++)
		for (unsigned n = 1; n <= 8; n++) {
			drv_rig_give(&rig, n / 2, n - n / 2, n);
			assert_int_equal(rig.chain.indirect, n > 1 && n <= 4);
			assert_int_equal(rig.chain.count, n);
			for (unsigned i = 0; i < n; i++)
				expect_desc(i, RIG_DATA + 16 * i, 16, i >= n / 2);
			if (rig.chain.indirect) {
				assert_int_equal(rig.chain.referring.len, 16 * n);
				assert_int_equal(vd_vq_drv_num_free(&rig.vq), 7);
			}
			peer_device_use(&rig.device, rig.chain.id, 0, rig.chain.slots);
			drv_rig_expect(&rig, n, 0);
		}
	drv_rig_close(&rig);
}

static void no_table_is_used_that_was_not_negotiated(void **state)
{
	drv_rig_open(&rig, *state, &(struct rig_options){.size = 8, .table_entries = 4});
	assert_non_null(rig.config.tables);
	drv_rig_give(&rig, 1, 2, 1);
	assert_false(rig.chain.indirect);
	assert_int_equal(rig.chain.count, 3);
	drv_rig_close(&rig);
}

/* Every buffer has a table of its own. */
static void tables_do_not_overlap(void **state)
{
	struct peer_chain chains[8];

	open_rig_with_tables(state, 8, 3);
	for (unsigned i = 0; i < 8; i++) {
		drv_rig_give(&rig, 1, 2, i);
		chains[i] = rig.chain;
	}
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 0);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t offset = chains[i].referring.addr - RIG_TABLES;

		assert_true(chains[i].indirect);
		assert_int_equal(offset % 48, 0);
		assert_true(offset / 48 < 8);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(chains[i].referring.addr, chains[j].referring.addr);
	}
	drv_rig_close(&rig);
}

static void add_refuses_what_is_no_buffer(void **state)
{
	struct vd_iov hollow[2];

	open_rig(state, 8, 0);
	hollow[0] = (struct vd_iov){data(0), 16};
	hollow[1] = (struct vd_iov){data(16), 0};
	assert_int_equal(drv_rig_add(&rig, 0, 0, 0), -VD_EINVAL);
	assert_int_equal(add_one(data(0), 0, false), -VD_EINVAL);
	assert_int_equal(add_one(data(0), 0, true), -VD_EINVAL);
	assert_int_equal(vd_vq_drv_add(&rig.vq, hollow, 1, 1, NULL), -VD_EINVAL);
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 8);
	vd_vq_drv_publish(&rig.vq);
	assert_false(peer_device_next(&rig.device, &rig.chain));
	drv_rig_close(&rig);
}

static void add_refuses_what_the_device_can_not_reach(void **state)
{
	unsigned char elsewhere[16];

	open_rig(state, 8, 0);
	for (unsigned bad = 0; bad < 3; bad++) {
		struct vd_iov segments[3] = {{data(0), 16}, {data(16), 16}, {data(32), 16}};

		segments[bad].base = elsewhere;
		assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 1, 2, NULL), -VD_EFAULT);
		/* The last byte is behind the window. */
		segments[bad].base = data(RIG_DATA_SIZE - 16);
		assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 2, 1, NULL), -VD_EFAULT);
		segments[bad].len = 15;
		assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 2, 0, NULL), 0);
		assert_int_equal(vd_vq_drv_num_free(&rig.vq), 6 - 2 * bad);
	}
	assert_int_equal(add_one(elsewhere, 16, false), -VD_EFAULT);
	assert_int_equal(add_one(data(RIG_DATA_SIZE - 1), 1, true), -VD_EFAULT);
	assert_int_equal(add_one(data(RIG_DATA_SIZE - 2), 1, true), 0);
	drv_rig_close(&rig);
}

static void add_refuses_what_the_device_may_not_write(void **state)
{
	struct vd_iov segments[2];

	open_rig(state, 8, 0);
	segments[0] = (struct vd_iov){rig.constant.at, 16};
	segments[1] = (struct vd_iov){rig.constant.at, 16};
	assert_int_equal(add_one(rig.constant.at, 16, true), -VD_EACCES);
	assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 1, 1, NULL), -VD_EACCES);
	assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 2, 0, NULL), 0);
	assert_int_equal(add_one(rig.constant.at, 16, false), 0);
	vd_vq_drv_publish(&rig.vq);
	assert_true(peer_device_next(&rig.device, &rig.chain));
	expect_desc(0, RIG_CONST, 16, false);
	drv_rig_close(&rig);
}

static void add_says_when_the_queue_is_full(void **state)
{
	open_rig(state, 4, 0);
	assert_int_equal(drv_rig_add(&rig, 2, 1, 0), 0);
	assert_int_equal(drv_rig_add(&rig, 1, 1, 0), -VD_ENOSPC);
	assert_int_equal(drv_rig_add(&rig, 0, 1, 0), 0);
	assert_int_equal(drv_rig_add(&rig, 0, 1, 0), -VD_ENOSPC);
	assert_int_equal(drv_rig_add(&rig, 4, 0, 0), -VD_ENOSPC);
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 0);
	drv_rig_close(&rig);
}

static void add_says_what_can_never_fit(void **state)
{
	open_rig(state, 4, 0);
	assert_int_equal(drv_rig_add(&rig, 5, 0, 0), -VD_E2BIG);
	assert_int_equal(drv_rig_add(&rig, 2, 3, 0), -VD_E2BIG);
	assert_int_equal(drv_rig_add(&rig, 0, 5, 0), -VD_E2BIG);
	assert_int_equal(vd_vq_drv_add(&rig.vq, NULL, UINT32_MAX, 2, NULL), -VD_E2BIG);
	assert_int_equal(vd_vq_drv_add(&rig.vq, NULL, 2, UINT32_MAX, NULL), -VD_E2BIG);
	drv_rig_close(&rig);
}

static void the_device_may_want_shorter_chains(void **state)
{
	drv_rig_open(&rig, *state, &(struct rig_options){.size = 8, .chain_max = 3});
	assert_int_equal(drv_rig_add(&rig, 2, 2, 0), -VD_E2BIG);
	assert_int_equal(drv_rig_add(&rig, 2, 1, 0), 0);
	drv_rig_close(&rig);
	/* And nobody makes them longer than the queue, not in a table either. */
	drv_rig_open(&rig, *state,
		     &(struct rig_options){
			     .size = 4, .chain_max = 9, .table_entries = 8, .features = INDIRECT});
	assert_int_equal(drv_rig_add(&rig, 2, 3, 0), -VD_E2BIG);
	assert_int_equal(drv_rig_add(&rig, 2, 2, 0), 0);
	drv_rig_close(&rig);
}

#define HUGE_SIZE ((size_t)1 << 28)

static void a_buffer_is_4_gib_at_most(void **state)
{
	void *huge = mmap(NULL, HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	const struct vd_window window = {
		.peer = UINT64_C(1) << 40, .size = HUGE_SIZE, .local = huge, .rights = VD_MEM_RW};
	struct vd_iov segments[17];

	assert_true(huge != MAP_FAILED);
	open_rig(state, 32, VERSION_1);
	assert_int_equal(vd_mem_add(&rig.mem, &window), 0);
	for (unsigned i = 0; i < 17; i++)
		segments[i] = (struct vd_iov){huge, i < 16 ? HUGE_SIZE : 1};
	assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 1, 16, NULL), -VD_E2BIG);
	assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 0, 17, NULL), -VD_E2BIG);
	assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 0, 16, RIG_TOKEN(5)), 0);
	vd_vq_drv_publish(&rig.vq);
	assert_true(peer_device_next(&rig.device, &rig.chain));
	peer_device_use(&rig.device, rig.chain.id, UINT32_MAX, rig.chain.slots);
	drv_rig_expect(&rig, 5, UINT32_MAX);
	if (SIZE_MAX > UINT32_MAX) {
		size_t over = (size_t)UINT32_MAX + 1;

		assert_int_equal(add_one(huge, over, true), -VD_E2BIG);
		assert_int_equal(add_one(huge, over + 16, true), -VD_E2BIG);
		segments[0].len = over;
		assert_int_equal(vd_vq_drv_add(&rig.vq, segments, 1, 1, NULL), -VD_E2BIG);
	}
	drv_rig_close(&rig);
	munmap(huge, HUGE_SIZE);
}

static void nothing_shows_before_it_is_published(void **state)
{
	open_rig(state, 8, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(drv_rig_add(&rig, 1, 1, i), 0);
		assert_false(peer_device_next(&rig.device, &rig.chain));
	}
	vd_vq_drv_publish(&rig.vq);
	for (unsigned i = 0; i < 3; i++)
		assert_true(peer_device_next(&rig.device, &rig.chain));
	assert_false(peer_device_next(&rig.device, &rig.chain));
	drv_rig_close(&rig);
}

/* ---- getting back ---- */

static void buffers_come_back_in_the_order_they_are_used(void **state)
{
	uint16_t ids[8];
	uint16_t slots[8];

	open_rig(state, 16, 0);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 8; i++) {
			ids[i] = drv_rig_give(&rig, i % 2, 1, i);
			slots[i] = rig.chain.slots;
		}
		expect_none();
		for (unsigned i = 0; i < 8; i++)
			peer_device_use(&rig.device, ids[i * 5 % 8], i, slots[i * 5 % 8]);
		for (unsigned i = 0; i < 8; i++)
			drv_rig_expect(&rig, i * 5 % 8, i);
		expect_none();
		assert_int_equal(vd_vq_drv_num_free(&rig.vq), 16);
	}
	drv_rig_close(&rig);
}

static void any_token_comes_back(void **state)
{
	static const uintptr_t tokens[] = {0, 1, UINTPTR_MAX, 42};

	open_rig(state, 4, 0);
	for (unsigned i = 0; i < 4; i++) {
		uint16_t id = drv_rig_give(&rig, 0, 1, tokens[i]);

		peer_device_use(&rig.device, id, 16, 1);
		drv_rig_expect(&rig, tokens[i], 16);
	}
	drv_rig_close(&rig);
}

static void ids_that_do_not_exist_break_the_queue(void **state)
{
	static const uint32_t ids[] = {8, 9, 0x7fff, 0xffff};
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
			open_rig(state, 8, features[f]);
			drv_rig_give(&rig, 0, 1, 1);
			peer_device_use(&rig.device, ids[i], 0, 1);
			drv_rig_expect_broken(&rig, VD_FAULT_USED_RANGE, ids[i], 8, 0);
			drv_rig_close(&rig);
		}
}

static void ids_that_are_not_with_the_device_break_the_queue(void **state)
{
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++) {
		open_rig(state, 8, features[f]);
		drv_rig_give(&rig, 0, 1, 1);
		peer_device_use(&rig.device, 5, 0, 1);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, 5, 0, 0);
		drv_rig_close(&rig);
	}
}

static void a_buffer_used_twice_breaks_the_queue(void **state)
{
	static const uint64_t features[] = {0, IN_ORDER};

	for (size_t f = 0; f < 2; f++) {
		uint16_t id;

		open_rig(state, 8, features[f]);
		id = drv_rig_give(&rig, 0, 1, 1);
		drv_rig_give(&rig, 0, 1, 2);
		peer_device_use(&rig.device, id, 0, 1);
		peer_device_use(&rig.device, id, 0, 1);
		drv_rig_expect(&rig, 1, 0);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, id, 0, 0);
		drv_rig_close(&rig);
	}
}

/* The device guesses what will come: split, it counts too far; packed, nobody looks there. */
static void what_was_not_shown_does_not_come_back(void **state)
{
	bool packed = ((const struct variant *)*state)->packed;

	open_rig(state, 8, 0);
	assert_int_equal(drv_rig_add(&rig, 0, 1, 1), 0);
	peer_device_use(&rig.device, 0, 0, 1);
	if (packed)
		expect_none();
	else
		drv_rig_expect_broken(&rig, VD_FAULT_USED_JUMP, 0, 1, 0);
	drv_rig_close(&rig);

	open_rig(state, 8, IN_ORDER);
	drv_rig_give(&rig, 0, 1, 1);
	assert_int_equal(drv_rig_add(&rig, 0, 1, 2), 0);
	/* A batch that ends with the second buffer. */
	peer_device_use(&rig.device, 1, 0, 2);
	if (packed)
		drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, 1, 0, 0);
	else
		drv_rig_expect_broken(&rig, VD_FAULT_USED_JUMP, 0, 2, 1);
	drv_rig_close(&rig);
}

/* The middle of a chain is no buffer, ids of packed rings are not slots. */
static void only_heads_and_ids_are_buffers(void **state)
{
	uint16_t id;

	open_rig(state, 8, 0);
	id = drv_rig_give(&rig, 2, 2, 1);
	peer_device_use(&rig.device, id + 1u, 0, 1);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_IDLE, id + 1u, 0, 0);
	drv_rig_close(&rig);
}

static void use_with_length(void **state, uint64_t features, unsigned n_out, unsigned n_in,
			    uint32_t len)
{
	open_rig(state, 8, features);
	drv_rig_give(&rig, n_out, n_in, 3);
	peer_device_use(&rig.device, rig.chain.id, len, rig.chain.slots);
}

static void used_lengths_up_to_the_room_are_believed(void **state)
{
	for (uint32_t len = 0; len <= 32; len++) {
		use_with_length(state, VERSION_1, 1, 2, len);
		drv_rig_expect(&rig, 3, len);
		drv_rig_close(&rig);
	}
}

static void more_than_there_is_room_for_breaks_the_queue(void **state)
{
	static const uint32_t lengths[] = {33, 48, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		use_with_length(state, VERSION_1, 1, 2, lengths[i]);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_LEN, rig.chain.id, lengths[i], 32);
		drv_rig_close(&rig);
		/* And with a single segment, which takes a way of its own. */
		use_with_length(state, VERSION_1, 0, 1, lengths[i]);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_LEN, rig.chain.id, lengths[i], 16);
		drv_rig_close(&rig);
		use_with_length(state, VERSION_1 | IN_ORDER, 1, 2, lengths[i]);
		drv_rig_expect_broken(&rig, VD_FAULT_USED_LEN, rig.chain.id, lengths[i], 32);
		drv_rig_close(&rig);
	}
}

static void legacy_devices_are_forgiven_their_lengths(void **state)
{
	use_with_length(state, 0, 1, 2, 33);
	drv_rig_expect(&rig, 3, 32);
	drv_rig_close(&rig);
	use_with_length(state, 0, 1, 0, 16);
	drv_rig_expect(&rig, 3, 0);
	drv_rig_close(&rig);
}

static void devices_are_forgiven_lengths_of_what_they_only_read(void **state)
{
	use_with_length(state, VERSION_1, 1, 0, 16);
	drv_rig_expect(&rig, 3, 0);
	drv_rig_close(&rig);
	use_with_length(state, VERSION_1, 3, 0, UINT32_MAX);
	drv_rig_expect(&rig, 3, 0);
	drv_rig_close(&rig);
}

/* ---- IN_ORDER ---- */

static void in_order_a_batch_is_taken_apart(void **state)
{
	open_rig(state, 16, IN_ORDER | VERSION_1);
	for (unsigned round = 0; round < 50; round++) {
		unsigned count = 1 + round % 7;
		uint16_t slots = 0;
		uint16_t last = 0;

		for (unsigned i = 0; i < count; i++) {
			last = drv_rig_give(&rig, i % 2, 1, i);
			slots = (uint16_t)(slots + rig.chain.slots);
		}
		peer_device_use(&rig.device, last, 5, slots);
		for (unsigned i = 0; i < count; i++) {
			assert_true(vd_vq_drv_ready(&rig.vq));
			assert_true(vd_vq_drv_enable_cb(&rig.vq));
			/* What is skipped was used completely. */
			drv_rig_expect(&rig, i, i + 1 < count ? 16 : 5);
		}
		expect_none();
		assert_int_equal(vd_vq_drv_num_free(&rig.vq), 16);
	}
	drv_rig_close(&rig);
}

static void in_order_batches_follow_one_another(void **state)
{
	uint16_t ids[6];

	open_rig(state, 8, IN_ORDER);
	for (unsigned i = 0; i < 6; i++)
		ids[i] = drv_rig_give(&rig, 1, 0, i);
	peer_device_use(&rig.device, ids[2], 0, 3);
	peer_device_use(&rig.device, ids[3], 0, 1);
	peer_device_use(&rig.device, ids[5], 0, 2);
	for (unsigned i = 0; i < 6; i++)
		drv_rig_expect(&rig, i, 0);
	expect_none();
	drv_rig_close(&rig);
}

static void in_order_buffers_may_be_added_inside_a_batch(void **state)
{
	uint16_t last = 0;

	open_rig(state, 4, IN_ORDER);
	for (unsigned i = 0; i < 4; i++)
		last = drv_rig_give(&rig, 1, 0, i);
	peer_device_use(&rig.device, last, 0, 4);
	drv_rig_expect(&rig, 0, 0);
	drv_rig_expect(&rig, 1, 0);
	last = drv_rig_give(&rig, 1, 0, 4);
	drv_rig_expect(&rig, 2, 0);
	drv_rig_expect(&rig, 3, 0);
	expect_none();
	peer_device_use(&rig.device, last, 0, 1);
	drv_rig_expect(&rig, 4, 0);
	drv_rig_close(&rig);
}

/* ---- notifications ---- */

static void device_wants(uint16_t mode, uint32_t event)
{
	const struct peer_ring *ring = &rig.device.ring;

	peer_put_wish(ring, false, mode,
		      ring->packed ? peer_position(ring, event) : (uint16_t)event);
}

/* To be told of the next buffer. */
static void device_wants_all(void)
{
	bool event_idx = rig.config.features & EVENT_IDX;

	device_wants(rig.device.ring.packed && event_idx ? VD_EVENT_DESC : 0, rig.device.avail);
}

static void kick_obeys_the_device(void **state)
{
	open_rig(state, 8, 0);
	assert_false(vd_vq_drv_kick(&rig.vq));
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_true(vd_vq_drv_kick(&rig.vq));
	assert_false(vd_vq_drv_kick(&rig.vq));
	device_wants(1, 0);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_false(vd_vq_drv_kick(&rig.vq));
	device_wants(0, 77);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_true(vd_vq_drv_kick(&rig.vq));
	assert_false(vd_vq_drv_need_kick(&rig.vq));
	drv_rig_close(&rig);
}

static void kick_obeys_the_event_index(void **state)
{
	open_rig(state, 4, EVENT_IDX);
	for (uint32_t at = 0; at < 65600; at++) {
		unsigned count = 1 + at % 3;
		uint32_t event = at % 7 + rig.device.avail - 2;
		uint32_t first = rig.device.avail;

		device_wants(rig.device.ring.packed ? VD_EVENT_DESC : VD_USED_NO_NOTIFY, event);
		for (unsigned i = 0; i < count; i++)
			assert_int_equal(drv_rig_add(&rig, 1, 0, i), 0);
		assert_int_equal(vd_vq_drv_kick(&rig.vq), event - first < count);
		for (unsigned i = 0; i < count; i++) {
			assert_true(peer_device_next(&rig.device, &rig.chain));
			peer_device_use(&rig.device, rig.chain.id, 0, 1);
			drv_rig_expect(&rig, i, 0);
		}
	}
	drv_rig_close(&rig);
}

static void what_is_published_after_asking_is_asked_about_again(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};

	for (size_t i = 0; i < 2; i++) {
		open_rig(state, 4, features[i]);
		device_wants_all();
		assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
		vd_vq_drv_publish(&rig.vq);
		assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
		assert_true(vd_vq_drv_need_kick(&rig.vq));
		assert_true(peer_device_next(&rig.device, &rig.chain));
		assert_false(peer_device_next(&rig.device, &rig.chain));
		device_wants_all();
		assert_true(vd_vq_drv_kick(&rig.vq));
		assert_true(peer_device_next(&rig.device, &rig.chain));
		drv_rig_close(&rig);
	}
}

static void what_is_added_is_not_told_before_it_is_published(void **state)
{
	open_rig(state, 4, EVENT_IDX);
	device_wants_all();
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_false(vd_vq_drv_need_kick(&rig.vq));
	assert_true(vd_vq_drv_kick(&rig.vq));
	drv_rig_close(&rig);
}

static void kick_asks_about_what_was_published_before(void **state)
{
	open_rig(state, 4, 0);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	vd_vq_drv_publish(&rig.vq);
	assert_true(vd_vq_drv_kick(&rig.vq));
	assert_false(vd_vq_drv_kick(&rig.vq));
	drv_rig_close(&rig);
}

static void the_device_is_told_whether_to_notify(void **state)
{
	const struct peer_ring *ring = &rig.device.ring;

	open_rig(state, 8, 0);
	vd_vq_drv_disable_cb(&rig.vq);
	assert_int_equal(peer_get_wish(ring, true).mode, 1);
	assert_false(vd_vq_drv_enable_cb(&rig.vq));
	assert_int_equal(peer_get_wish(ring, true).mode, 0);
	vd_vq_drv_disable_cb(&rig.vq);
	assert_false(vd_vq_drv_enable_cb_delayed(&rig.vq));
	assert_int_equal(peer_get_wish(ring, true).mode, 0);
	drv_rig_close(&rig);
}

/* The count of entries (packed: slots) that the driver wants to hear of. */
static void expect_event(uint32_t count)
{
	const struct peer_ring *ring = &rig.device.ring;
	struct peer_wish wish = peer_get_wish(ring, true);

	assert_int_equal(wish.mode, ring->packed ? VD_EVENT_DESC : 0);
	assert_int_equal(wish.event, ring->packed ? peer_position(ring, count) : (uint16_t)count);
}

static void the_device_is_told_when_to_notify(void **state)
{
	open_rig(state, 4, EVENT_IDX);
	for (uint32_t i = 0; i < 65600; i++) {
		assert_false(vd_vq_drv_enable_cb(&rig.vq));
		expect_event(i);
		drv_rig_give(&rig, 1, 0, i);
		assert_false(vd_vq_drv_enable_cb(&rig.vq));
		expect_event(i);
		peer_device_use(&rig.device, rig.chain.id, 0, 1);
		assert_true(vd_vq_drv_enable_cb(&rig.vq));
		assert_true(vd_vq_drv_enable_cb_delayed(&rig.vq));
		vd_vq_drv_disable_cb(&rig.vq);
		if (rig.device.ring.packed)
			assert_int_equal(peer_get_wish(&rig.device.ring, true).mode,
					 VD_EVENT_DISABLE);
		else
			assert_int_equal(peer_get_wish(&rig.device.ring, true).mode, 0);
		drv_rig_expect(&rig, i, 0);
	}
	drv_rig_close(&rig);
}

/* Three quarters of what is out; of what the device will write, so slots count in a packed ring. */
static void a_delayed_notification_waits_for_most(void **state)
{
	open_rig(state, 32, EVENT_IDX);
	assert_false(vd_vq_drv_enable_cb_delayed(&rig.vq));
	expect_event(0);
	for (unsigned i = 0; i < 8; i++)
		drv_rig_give(&rig, 2, 0, i);
	assert_false(vd_vq_drv_enable_cb_delayed(&rig.vq));
	expect_event(rig.device.ring.packed ? 12 : 6);
	drv_rig_close(&rig);
}

static void a_notification_says_what_was_published(void **state)
{
	bool packed = ((const struct variant *)*state)->packed;

	open_rig(state, 5 - !packed, 0);
	assert_int_equal(vd_vq_drv_notification(&rig.vq, 3), packed ? 0x80000003u : 3);
	drv_rig_give(&rig, 1, 1, 0);
	assert_int_equal(vd_vq_drv_notification(&rig.vq, 3), packed ? 0x80020003u : 0x10003);
	/* Not what is added, but not shown yet. */
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	assert_int_equal(vd_vq_drv_notification(&rig.vq, 3), packed ? 0x80020003u : 0x10003);
	vd_vq_drv_publish(&rig.vq);
	assert_int_equal(vd_vq_drv_notification(&rig.vq, 3), packed ? 0x80030003u : 0x20003);
	peer_device_use(&rig.device, rig.chain.id, 0, rig.chain.slots);
	drv_rig_expect(&rig, 0, 0);
	drv_rig_give(&rig, 1, packed, 0);
	assert_int_equal(vd_vq_drv_notification(&rig.vq, 0xffff), packed ? 0xffffu : 0x3ffff);
	drv_rig_close(&rig);
}

/* ---- resets ---- */

static void unused_buffers_can_be_taken_back_after_a_reset(void **state)
{
	bool seen[8] = {false};
	void *token;

	open_rig(state, 16, 0);
	for (unsigned i = 0; i < 6; i++)
		drv_rig_give(&rig, i % 2, 1, i);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 6), 0);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(vd_vq_drv_detach(&rig.vq, &token), 1);
		assert_true(RIG_NUMBER(token) < 7);
		assert_false(seen[RIG_NUMBER(token)]);
		seen[RIG_NUMBER(token)] = true;
	}
	assert_int_equal(vd_vq_drv_detach(&rig.vq, &token), 0);
	assert_int_equal(vd_vq_drv_num_free(&rig.vq), 16);
	drv_rig_close(&rig);
}

/* Until it is set up again, a queue that lost buffers finds and shows none of them. */
static void what_was_taken_back_is_gone(void **state)
{
	struct vd_used used;
	uint16_t id;
	void *token;

	open_rig(state, 4, IN_ORDER);
	drv_rig_give(&rig, 1, 0, 0);
	id = drv_rig_give(&rig, 1, 0, 1);
	assert_int_equal(drv_rig_add(&rig, 1, 0, 2), 0);
	peer_device_use(&rig.device, id, 0, 2);
	assert_int_equal(vd_vq_drv_detach(&rig.vq, &token), 1);
	vd_vq_drv_publish(&rig.vq);
	assert_false(peer_device_next(&rig.device, &rig.chain));
	assert_int_equal(vd_vq_drv_get(&rig.vq, &used), -VD_EPROTO);
	drv_rig_close(&rig);
}

static void buffers_can_be_taken_back_from_a_broken_queue(void **state)
{
	void *token = NULL;

	open_rig(state, 8, 0);
	drv_rig_give(&rig, 1, 1, 5);
	peer_device_use(&rig.device, 99, 0, 1);
	drv_rig_expect_broken(&rig, VD_FAULT_USED_RANGE, 99, 8, 0);
	assert_int_equal(vd_vq_drv_detach(&rig.vq, &token), 1);
	assert_int_equal(RIG_NUMBER(token), 5);
	assert_int_equal(vd_vq_drv_detach(&rig.vq, &token), 0);
	drv_rig_close(&rig);
}

static void a_queue_can_be_set_up_again_with_another_size(void **state)
{
	static const uint16_t sizes[] = {2, 16, 1, 8};
	void *token;

	open_rig(state, 16, IN_ORDER);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 16; i++)
			drv_rig_add(&rig, 1, 0, i);
		while (vd_vq_drv_detach(&rig.vq, &token) == 1)
			;
		rig.config.size = sizes[round];
		assert_int_equal(vd_vq_drv_init(&rig.vq, &rig.config), 0);
		rig.device.ring.size = sizes[round];
		rig.device.avail = 0;
		rig.device.used = 0;
		for (unsigned i = 0; i < 40; i++) {
			drv_rig_give(&rig, 1, 0, i);
			peer_device_use(&rig.device, rig.chain.id, 0, 1);
			drv_rig_expect(&rig, i, 0);
		}
	}
	drv_rig_close(&rig);
}

static void a_queue_can_be_broken_from_outside(void **state)
{
	const struct vd_fault fault = {.code = VD_FAULT_VU_IO, .value = {1, 2, 3}};
	const struct vd_fault none = {.code = VD_FAULT_NONE};

	open_rig(state, 4, 0);
	vd_vq_drv_break(&rig.vq, &none);
	assert_false(vd_vq_drv_is_broken(&rig.vq));
	assert_int_equal(drv_rig_add(&rig, 1, 0, 0), 0);
	vd_vq_drv_break(&rig.vq, &fault);
	vd_vq_drv_publish(&rig.vq);
	assert_false(vd_vq_drv_kick(&rig.vq));
	assert_false(peer_device_next(&rig.device, &rig.chain));
	rig_expect_fault(vd_vq_drv_fault(&rig.vq), fault.code, 1, 2, 3);
	assert_int_equal(vd_vq_drv_init(&rig.vq, &rig.config), 0);
	assert_false(vd_vq_drv_is_broken(&rig.vq));
	drv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(init_refuses_what_can_not_be),
		ON_ALL(indirect_tables_must_be_readable_for_the_device),
		cmocka_unit_test(sizes_are_known_beforehand),
		ON_ALL(init_clears_the_ring),
		ON_ALL(buffers_of_every_length_are_made_available),
		ON_ALL(a_table_is_used_when_it_is_long_enough),
		ON_ALL(no_table_is_used_that_was_not_negotiated),
		ON_ALL(tables_do_not_overlap),
		ON_ALL(add_refuses_what_is_no_buffer),
		ON_ALL(add_refuses_what_the_device_can_not_reach),
		ON_ALL(add_refuses_what_the_device_may_not_write),
		ON_ALL(add_says_when_the_queue_is_full),
		ON_ALL(add_says_what_can_never_fit),
		ON_ALL(the_device_may_want_shorter_chains),
		ON_ALL(a_buffer_is_4_gib_at_most),
		ON_ALL(nothing_shows_before_it_is_published),
		ON_ALL(buffers_come_back_in_the_order_they_are_used),
		ON_ALL(any_token_comes_back),
		ON_ALL(ids_that_do_not_exist_break_the_queue),
		ON_ALL(ids_that_are_not_with_the_device_break_the_queue),
		ON_ALL(a_buffer_used_twice_breaks_the_queue),
		ON_ALL(what_was_not_shown_does_not_come_back),
		ON_ALL(only_heads_and_ids_are_buffers),
		ON_ALL(used_lengths_up_to_the_room_are_believed),
		ON_ALL(more_than_there_is_room_for_breaks_the_queue),
		ON_ALL(legacy_devices_are_forgiven_their_lengths),
		ON_ALL(devices_are_forgiven_lengths_of_what_they_only_read),
		ON_ALL(in_order_a_batch_is_taken_apart),
		ON_ALL(in_order_batches_follow_one_another),
		ON_ALL(in_order_buffers_may_be_added_inside_a_batch),
		ON_ALL(kick_obeys_the_device),
		ON_ALL(kick_obeys_the_event_index),
		ON_ALL(what_is_published_after_asking_is_asked_about_again),
		ON_ALL(what_is_added_is_not_told_before_it_is_published),
		ON_ALL(kick_asks_about_what_was_published_before),
		ON_ALL(the_device_is_told_whether_to_notify),
		ON_ALL(the_device_is_told_when_to_notify),
		ON_ALL(a_delayed_notification_waits_for_most),
		ON_ALL(a_notification_says_what_was_published),
		ON_ALL(unused_buffers_can_be_taken_back_after_a_reset),
		ON_ALL(what_was_taken_back_is_gone),
		ON_ALL(buffers_can_be_taken_back_from_a_broken_queue),
		ON_ALL(a_queue_can_be_set_up_again_with_another_size),
		ON_ALL(a_queue_can_be_broken_from_outside),
	};

	return cmocka_run_group_tests_name("vq_drv", tests, NULL, NULL);
}
