/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of a queue in one process, each with its own view of the shared memory: the driver's
 * pointers and the device's are never the same, so one that got across by mistake does not work.
 * Every piece lies between guard pages.
 */
#ifndef RING_PAIR_H
#define RING_PAIR_H

#include "ring_pages.h"
#include "viaduct/vq_dev.h"
#include "viaduct/vq_drv.h"

/* A small random generator: the same numbers everywhere for the same seed. */
struct dice {
	uint64_t state;
};

uint32_t dice_roll(struct dice *dice, uint32_t below);

static inline bool dice_one_in(struct dice *dice, uint32_t n)
{
	return dice_roll(dice, n) == 0;
}

struct pair_shape {
	bool packed;
	bool indirect;
	bool event_idx;
	bool in_order;
	bool big_endian;
	uint16_t size;
	uint16_t table_entries;
};

#define PAIR_DATA      UINT64_C(0x123456780)
#define PAIR_TABLES    UINT64_C(0x7f0000000000)
#define PAIR_READ_ONLY UINT64_C(0x1000)
#define PAIR_CUTS      3

struct pair {
	struct pair_shape shape;
	bool one_view; /* both ends use the same pointers: ThreadSanitizer knows memory by its
			  address */
	struct vd_vq_drv drv;
	struct vd_vq_dev dev;
	struct vd_vq_drv_config drv_config;
	struct vd_vq_dev_config dev_config;

	struct vd_mem drv_mem;
	struct vd_mem dev_mem;
	struct vd_window drv_windows[2];
	struct vd_window dev_windows[PAIR_CUTS + 1 + 2 + 1];
	size_t cut[PAIR_CUTS]; /* offsets in the data where the device's windows meet, ascending */

	size_t data_size;
	struct pages data;
	struct pages desc;
	struct pages driver;
	struct pages device;
	struct pages tables;
	struct pages read_only; /* a page that the device sees and must not write */
	struct pages drv_state;
	struct pages dev_state;
};

/* A pair with @data_size bytes of data, but no queue yet. @one_view: without separate views. */
void pair_take(struct pair *pair, size_t data_size, bool one_view, struct dice *dice);
void pair_give(struct pair *pair);

/* Set up a queue of this shape in fresh memory, instead of the one that was there. */
void pair_open(struct pair *pair, const struct pair_shape *shape, struct dice *dice);

/* Another device end takes over where this one stands. */
void pair_replace_device(struct pair *pair);

/* How many of the device's windows hold a part of @len bytes at @offset of the data. */
unsigned pair_windows_of(const struct pair *pair, size_t offset, size_t len);

void pair_print_shape(const struct pair_shape *shape);

#endif /* RING_PAIR_H */
