/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring_pair.h. */
#include "ring_pair.h"

#include "viaduct/virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* splitmix64 */
uint32_t dice_roll(struct dice *dice, uint32_t below)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((uint32_t)(z >> 32) * (uint64_t)below >> 32);
}

static void must(int err, const char *what)
{
	if (err == 0)
		return;
	fprintf(stderr, "%s failed with %d\n", what, err);
	abort();
}

static void show(struct vd_mem *mem, uint64_t peer, uint64_t size, void *local, uint32_t rights)
{
	const struct vd_window window = {
		.peer = peer, .size = size, .local = local, .rights = rights};

	must(vd_mem_add(mem, &window), "vd_mem_add");
}

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a;
	size_t y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static void choose_cuts(struct pair *pair, struct dice *dice)
{
	do {
		for (unsigned i = 0; i < PAIR_CUTS; i++)
			pair->cut[i] = 1 + dice_roll(dice, (uint32_t)pair->data_size - 1);
		qsort(pair->cut, PAIR_CUTS, sizeof(pair->cut[0]), by_size);
	} while (pair->cut[0] == pair->cut[1] || pair->cut[1] == pair->cut[2]);
}

static void take_shared(const struct pair *pair, struct pages *pages, size_t size, size_t align)
{
	if (!pair->one_view) {
		pages_take_twice(pages, size, align);
		return;
	}
	pages_take(pages, size, align);
	pages->alias = pages->at;
}

void pair_take(struct pair *pair, size_t data_size, bool one_view, struct dice *dice)
{
	memset(pair, 0, sizeof(*pair));
	pair->data_size = data_size;
	pair->one_view = one_view;
	take_shared(pair, &pair->data, data_size, 1);
	pages_take(&pair->read_only, 4096, 1);
	mprotect(pair->read_only.at, 4096, PROT_READ);
	choose_cuts(pair, dice);
}

static void give_queue(struct pair *pair)
{
	pages_give(&pair->desc);
	pages_give(&pair->driver);
	pages_give(&pair->device);
	pages_give(&pair->tables);
	pages_give(&pair->drv_state);
	pages_give(&pair->dev_state);
}

void pair_give(struct pair *pair)
{
	give_queue(pair);
	pages_give(&pair->data);
	pages_give(&pair->read_only);
}

static void open_driver_windows(struct pair *pair, size_t tables_size)
{
	vd_mem_init(&pair->drv_mem, pair->drv_windows, 2, VD_MEM_LIMIT_64);
	show(&pair->drv_mem, PAIR_DATA, pair->data_size, pair->data.at, VD_MEM_RW);
	if (tables_size > 0)
		show(&pair->drv_mem, PAIR_TABLES, tables_size, pair->tables.at, VD_MEM_READ);
}

static void open_device_windows(struct pair *pair, size_t tables_size, struct dice *dice)
{
	unsigned char *data = pair->data.alias;
	unsigned char *tables = pair->tables.alias;
	size_t from = 0;

	vd_mem_init(&pair->dev_mem, pair->dev_windows,
		    sizeof(pair->dev_windows) / sizeof(pair->dev_windows[0]), VD_MEM_LIMIT_64);
	for (unsigned i = 0; i <= PAIR_CUTS; i++) {
		size_t to = i < PAIR_CUTS ? pair->cut[i] : pair->data_size;

		show(&pair->dev_mem, PAIR_DATA + from, to - from, data + from, VD_MEM_RW);
		from = to;
	}
	show(&pair->dev_mem, PAIR_READ_ONLY, 4096, pair->read_only.at, VD_MEM_READ);
	if (tables_size == 0)
		return;
	from = 1 + dice_roll(dice, (uint32_t)tables_size - 1);
	show(&pair->dev_mem, PAIR_TABLES, from, tables, VD_MEM_READ);
	show(&pair->dev_mem, PAIR_TABLES + from, tables_size - from, tables + from, VD_MEM_READ);
}

static uint64_t features_of(const struct pair_shape *shape)
{
	return VD_BIT(VD_F_VERSION_1) | (shape->indirect ? VD_BIT(VD_F_INDIRECT_DESC) : 0) |
	       (shape->event_idx ? VD_BIT(VD_F_EVENT_IDX) : 0) |
	       (shape->in_order ? VD_BIT(VD_F_IN_ORDER) : 0);
}

static void *take_state(struct pages *pages, size_t size)
{
	if (size > 0) {
		pages_take(pages, size, 8);
		memset(pages->at, 0xa5, size);
	}
	return pages->at;
}

static struct vd_ring_mem ring_of(const struct pair *pair, bool alias)
{
	return (struct vd_ring_mem){
		.desc = alias ? pair->desc.alias : pair->desc.at,
		.driver = alias ? pair->driver.alias : pair->driver.at,
		.device = alias ? pair->device.alias : pair->device.at,
	};
}

static void init_driver(struct pair *pair)
{
	const struct pair_shape *shape = &pair->shape;
	const struct vd_vq_drv_ops *layout = shape->packed ? &vd_packed_drv : &vd_split_drv;
	size_t state_size = vd_vq_drv_state_size(layout, shape->size);

	pair->drv_config = (struct vd_vq_drv_config){
		.layout = layout,
		.size = shape->size,
		.features = features_of(shape),
		.big_endian = shape->big_endian,
		.ring = ring_of(pair, false),
		.mem = &pair->drv_mem,
		.state = take_state(&pair->drv_state, state_size),
		.state_size = state_size,
		.tables = shape->indirect ? pair->tables.at : NULL,
		.table_entries = shape->table_entries,
	};
	must(vd_vq_drv_init(&pair->drv, &pair->drv_config), "vd_vq_drv_init");
}

static void init_device(struct pair *pair)
{
	const struct pair_shape *shape = &pair->shape;
	const struct vd_vq_dev_ops *layout = shape->packed ? &vd_packed_dev : &vd_split_dev;
	size_t state_size = vd_vq_dev_state_size(layout, shape->size, features_of(shape));

	pair->dev_config = (struct vd_vq_dev_config){
		.layout = layout,
		.size = shape->size,
		.features = features_of(shape),
		.big_endian = shape->big_endian,
		.ring = ring_of(pair, true),
		.mem = &pair->dev_mem,
		.state = take_state(&pair->dev_state, state_size),
		.state_size = state_size,
		.position = vd_ring_start(shape->packed ? VD_RING_PACKED : VD_RING_SPLIT),
	};
	must(vd_vq_dev_init(&pair->dev, &pair->dev_config), "vd_vq_dev_init");
}

void pair_open(struct pair *pair, const struct pair_shape *shape, struct dice *dice)
{
	struct vd_ring_parts parts;
	size_t tables_size = shape->indirect
				     ? vd_vq_drv_tables_size(shape->size, shape->table_entries)
				     : 0;

	give_queue(pair);
	pair->shape = *shape;
	must(vd_ring_parts(shape->packed ? VD_RING_PACKED : VD_RING_SPLIT, shape->size, &parts),
	     "vd_ring_parts");
	take_shared(pair, &pair->desc, parts.desc.size, parts.desc.align);
	take_shared(pair, &pair->driver, parts.driver.size, parts.driver.align);
	take_shared(pair, &pair->device, parts.device.size, parts.device.align);
	if (tables_size > 0)
		take_shared(pair, &pair->tables, tables_size, 16);
	open_driver_windows(pair, tables_size);
	open_device_windows(pair, tables_size, dice);
	init_driver(pair);
	init_device(pair);
}

void pair_replace_device(struct pair *pair)
{
	pair->dev_config.position = vd_vq_dev_position(&pair->dev);
	memset(&pair->dev, 0xa5, sizeof(pair->dev));
	if (pair->dev_config.state_size > 0)
		memset(pair->dev_config.state, 0xa5, pair->dev_config.state_size);
	must(vd_vq_dev_init(&pair->dev, &pair->dev_config), "vd_vq_dev_init");
}

unsigned pair_windows_of(const struct pair *pair, size_t offset, size_t len)
{
	unsigned count = 1;

	for (unsigned i = 0; i < PAIR_CUTS; i++)
		if (pair->cut[i] > offset && pair->cut[i] < offset + len)
			count++;
	return count;
}

void pair_print_shape(const struct pair_shape *shape)
{
	fprintf(stderr, "%s, %u entries%s%s%s%s\n", shape->packed ? "packed" : "split", shape->size,
		shape->indirect ? ", indirect" : "", shape->event_idx ? ", event_idx" : "",
		shape->in_order ? ", in_order" : "", shape->big_endian ? ", big-endian" : "");
}
