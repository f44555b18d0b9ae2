/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring_rig.h. */
#include "ring_rig.h"

#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

const struct variant variants[4] = {
	{.packed = false, .big_endian = false},
	{.packed = false, .big_endian = true},
	{.packed = true, .big_endian = false},
	{.packed = true, .big_endian = true},
};

void rig_ring_take(struct rig_ring *pages, struct peer_ring *ring)
{
	struct vd_ring_parts parts;

	assert_int_equal(
		vd_ring_parts(ring->packed ? VD_RING_PACKED : VD_RING_SPLIT, ring->size, &parts),
		0);
	pages_take(&pages->desc, parts.desc.size, parts.desc.align);
	pages_take(&pages->driver, parts.driver.size, parts.driver.align);
	pages_take(&pages->device, parts.device.size, parts.device.align);
	ring->mem = (struct vd_ring_mem){
		.desc = pages->desc.at,
		.driver = pages->driver.at,
		.device = pages->device.at,
	};
}

void rig_ring_give(struct rig_ring *pages)
{
	pages_give(&pages->desc);
	pages_give(&pages->driver);
	pages_give(&pages->device);
}

void rig_expect_fault(const struct vd_fault *fault, enum vd_fault_code code, uint64_t a, uint64_t b,
		      uint64_t c)
{
	assert_string_equal(vd_fault_name(fault->code), vd_fault_name(code));
	assert_int_equal(fault->value[0], a);
	assert_int_equal(fault->value[1], b);
	assert_int_equal(fault->value[2], c);
}

/* A private memory of exactly the size that is asked for. */
static void *take_state(struct pages *pages, size_t size)
{
	if (size > 0)
		pages_take(pages, size, 8);
	else
		memset(pages, 0, sizeof(*pages));
	return pages->at;
}

/* ---- the device end ---- */

static void show(struct dev_rig *rig, uint64_t peer, uint64_t size, void *local, uint32_t rights)
{
	struct vd_window window = {.peer = peer, .size = size, .local = local, .rights = rights};

	assert_int_equal(vd_mem_add(&rig->mem, &window), 0);
}

static void open_windows(struct dev_rig *rig)
{
	static const struct {
		uint64_t peer;
		uint32_t rights;
	} plain[] = {
		{RIG_ZERO, VD_MEM_RW},        {RIG_LOW, VD_MEM_RW},           {RIG_NEXT, VD_MEM_RW},
		{RIG_READ_ONLY, VD_MEM_READ}, {RIG_WRITE_ONLY, VD_MEM_WRITE}, {RIG_TOP, VD_MEM_RW},
	};

	vd_mem_init(&rig->mem, rig->windows, 32, VD_MEM_LIMIT_64);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		pages_take(&rig->window_pages[i], RIG_WINDOW, 1);
		show(rig, plain[i].peer, RIG_WINDOW, rig->window_pages[i].at, plain[i].rights);
	}
	/* Nobody ever looks into it. */
	rig->many = mmap(NULL, RIG_MANY_SIZE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(rig->many != MAP_FAILED);
	for (uint64_t i = 0; i < RIG_MANY; i++)
		show(rig, RIG_MANY_AT + i * RIG_MANY_SIZE, RIG_MANY_SIZE, rig->many, VD_MEM_RW);
}

void dev_rig_open(struct dev_rig *rig, const struct variant *variant,
		  const struct rig_options *options)
{
	const struct vd_vq_dev_ops *layout = variant->packed ? &vd_packed_dev : &vd_split_dev;
	struct peer_ring ring = {
		.packed = variant->packed,
		.big_endian = variant->big_endian,
		.size = options->size,
	};
	size_t state_size = vd_vq_dev_state_size(layout, options->size, options->features);

	memset(rig, 0, sizeof(*rig));
	rig_ring_take(&rig->ring, &ring);
	open_windows(rig);
	peer_driver_init(&rig->driver, &ring);
	rig->config = (struct vd_vq_dev_config){
		.layout = layout,
		.size = options->size,
		.features = options->features,
		.big_endian = variant->big_endian,
		.ring = ring.mem,
		.mem = &rig->mem,
		.state = take_state(&rig->state, state_size),
		.state_size = state_size,
		.position = options->position != NULL
				    ? *options->position
				    : vd_ring_start(variant->packed ? VD_RING_PACKED
								    : VD_RING_SPLIT),
		.journal = options->journal,
	};
	assert_int_equal(vd_vq_dev_init(&rig->vq, &rig->config), 0);
}

void dev_rig_close(struct dev_rig *rig)
{
	for (size_t i = 0; i < sizeof(rig->window_pages) / sizeof(rig->window_pages[0]); i++)
		pages_give(&rig->window_pages[i]);
	munmap(rig->many, RIG_MANY_SIZE);
	rig_ring_give(&rig->ring);
	pages_give(&rig->state);
}

unsigned char *dev_rig_at(struct dev_rig *rig, uint64_t peer)
{
	for (uint32_t i = 0; i < rig->mem.count; i++) {
		const struct vd_window *window = &rig->windows[i];

		if (peer >= window->peer && peer - window->peer < window->size)
			return (unsigned char *)window->local + (peer - window->peer);
	}
	fail();
	return NULL;
}

int dev_rig_pop(struct dev_rig *rig)
{
	memset(&rig->chain, 0xa5, sizeof(rig->chain));
	rig->chain.iov = rig->iov;
	rig->chain.iov_max = RIG_IOV;
	return vd_vq_dev_pop(&rig->vq, &rig->chain);
}

void dev_rig_expect_broken(struct dev_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			   uint64_t c)
{
	const struct vd_fault other = {.code = VD_FAULT_VU_IO, .value = {1, 2, 3}};
	struct vd_chain chain = {.iov = rig->iov, .iov_max = RIG_IOV};

	assert_false(vd_vq_dev_is_broken(&rig->vq));
	assert_int_equal(dev_rig_pop(rig), -VD_EPROTO);
	assert_true(vd_vq_dev_is_broken(&rig->vq));
	rig_expect_fault(vd_vq_dev_fault(&rig->vq), code, a, b, c);
	assert_int_equal(vd_vq_dev_pop(&rig->vq, &chain), -VD_EPROTO);
	assert_int_equal(vd_vq_dev_pop_many(&rig->vq, &chain, 1), -VD_EPROTO);
	assert_int_equal(vd_vq_dev_push(&rig->vq, &chain, 0), -VD_EPROTO);
	vd_vq_dev_publish(&rig->vq);
	vd_vq_dev_disable_notify(&rig->vq);
	assert_false(vd_vq_dev_flush(&rig->vq));
	assert_false(vd_vq_dev_need_notify(&rig->vq));
	assert_false(vd_vq_dev_enable_notify(&rig->vq));
	assert_false(vd_vq_dev_ready(&rig->vq));
	vd_vq_dev_break(&rig->vq, &other);
	rig_expect_fault(vd_vq_dev_fault(&rig->vq), code, a, b, c);
}

/* ---- the driver end ---- */

static void open_driver_windows(struct drv_rig *rig, size_t tables_size)
{
	struct vd_window data = {.peer = RIG_DATA, .size = RIG_DATA_SIZE - 1, .rights = VD_MEM_RW};
	struct vd_window constant = {.peer = RIG_CONST, .size = RIG_WINDOW, .rights = VD_MEM_READ};
	struct vd_window tables = {.peer = RIG_TABLES, .size = tables_size, .rights = VD_MEM_READ};

	pages_take(&rig->data, RIG_DATA_SIZE, 1);
	pages_take(&rig->constant, RIG_WINDOW, 1);
	data.local = rig->data.at;
	constant.local = rig->constant.at;
	vd_mem_init(&rig->mem, rig->windows, 3, VD_MEM_LIMIT_64);
	assert_int_equal(vd_mem_add(&rig->mem, &data), 0);
	assert_int_equal(vd_mem_add(&rig->mem, &constant), 0);
	if (tables_size == 0)
		return;
	pages_take(&rig->tables, tables_size, 16);
	tables.local = rig->tables.at;
	assert_int_equal(vd_mem_add(&rig->mem, &tables), 0);
}

void drv_rig_open(struct drv_rig *rig, const struct variant *variant,
		  const struct rig_options *options)
{
	const struct vd_vq_drv_ops *layout = variant->packed ? &vd_packed_drv : &vd_split_drv;
	struct peer_ring ring = {
		.packed = variant->packed,
		.big_endian = variant->big_endian,
		.size = options->size,
	};
	size_t state_size = vd_vq_drv_state_size(layout, options->size);

	memset(rig, 0, sizeof(*rig));
	rig_ring_take(&rig->ring, &ring);
	open_driver_windows(rig, vd_vq_drv_tables_size(options->size, options->table_entries));
	peer_device_init(&rig->device, &ring);
	rig->device.memory = rig->tables.at;
	rig->device.memory_peer = RIG_TABLES;
	rig->config = (struct vd_vq_drv_config){
		.layout = layout,
		.size = options->size,
		.features = options->features,
		.big_endian = variant->big_endian,
		.ring = ring.mem,
		.mem = &rig->mem,
		.state = take_state(&rig->state, state_size),
		.state_size = state_size,
		.tables = rig->tables.at,
		.table_entries = options->table_entries,
		.chain_max = options->chain_max,
	};
	assert_int_equal(vd_vq_drv_init(&rig->vq, &rig->config), 0);
}

void drv_rig_close(struct drv_rig *rig)
{
	pages_give(&rig->data);
	pages_give(&rig->constant);
	pages_give(&rig->tables);
	rig_ring_give(&rig->ring);
	pages_give(&rig->state);
}

int drv_rig_add(struct drv_rig *rig, unsigned n_out, unsigned n_in, uintptr_t number)
{
	struct vd_iov segments[PEER_CHAIN_MAX];

	for (unsigned i = 0; i < n_out + n_in && i < PEER_CHAIN_MAX; i++)
		segments[i] = (struct vd_iov){(unsigned char *)rig->data.at + 16 * i, 16};
	return vd_vq_drv_add(&rig->vq, segments, n_out, n_in, RIG_TOKEN(number));
}

uint16_t drv_rig_give(struct drv_rig *rig, unsigned n_out, unsigned n_in, uintptr_t number)
{
	assert_int_equal(drv_rig_add(rig, n_out, n_in, number), 0);
	vd_vq_drv_publish(&rig->vq);
	assert_true(peer_device_next(&rig->device, &rig->chain));
	return rig->chain.id;
}

void drv_rig_expect(struct drv_rig *rig, uintptr_t number, uint32_t len)
{
	struct vd_used used = {0};

	assert_int_equal(vd_vq_drv_get(&rig->vq, &used), 1);
	assert_int_equal(RIG_NUMBER(used.token), number);
	assert_int_equal(used.len, len);
}

void drv_rig_expect_broken(struct drv_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			   uint64_t c)
{
	const struct vd_fault other = {.code = VD_FAULT_VU_IO, .value = {1, 2, 3}};
	struct vd_used used;

	assert_false(vd_vq_drv_is_broken(&rig->vq));
	assert_int_equal(vd_vq_drv_get(&rig->vq, &used), -VD_EPROTO);
	assert_true(vd_vq_drv_is_broken(&rig->vq));
	rig_expect_fault(vd_vq_drv_fault(&rig->vq), code, a, b, c);
	assert_int_equal(vd_vq_drv_get(&rig->vq, &used), -VD_EPROTO);
	assert_int_equal(drv_rig_add(rig, 1, 0, 0), -VD_EPROTO);
	assert_int_equal(drv_rig_add(rig, 1, 1, 0), -VD_EPROTO);
	vd_vq_drv_publish(&rig->vq);
	vd_vq_drv_disable_cb(&rig->vq);
	assert_false(vd_vq_drv_kick(&rig->vq));
	assert_false(vd_vq_drv_need_kick(&rig->vq));
	assert_false(vd_vq_drv_enable_cb(&rig->vq));
	assert_false(vd_vq_drv_enable_cb_delayed(&rig->vq));
	assert_false(vd_vq_drv_ready(&rig->vq));
	vd_vq_drv_break(&rig->vq, &other);
	rig_expect_fault(vd_vq_drv_fault(&rig->vq), code, a, b, c);
}
