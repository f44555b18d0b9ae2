/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring_fuzz.h. */
#include "ring_fuzz.h"

#include <string.h>

static const uint16_t split_sizes[] = {1, 2, 4, 8, 16};
static const uint16_t packed_sizes[] = {1, 2, 3, 4, 7, 16};

#define N_SPLIT  (sizeof(split_sizes) / sizeof(split_sizes[0]))
#define N_PACKED (sizeof(packed_sizes) / sizeof(packed_sizes[0]))

struct kept_ring {
	struct pages desc;
	struct pages driver;
	struct pages device;
	struct vd_ring_parts parts;
};

uint16_t fuzz_size(struct program *program, bool packed)
{
	return packed ? packed_sizes[next_below(program, N_PACKED)]
		      : split_sizes[next_below(program, N_SPLIT)];
}

/* Mapping memory for each input would take longer than the rest. */
static struct kept_ring *keep(bool packed, uint16_t size)
{
	static struct kept_ring kept[2][17];
	struct kept_ring *ring = &kept[packed][size];

	if (ring->desc.at != NULL)
		return ring;
	MUST(vd_ring_parts(packed ? VD_RING_PACKED : VD_RING_SPLIT, size, &ring->parts) == 0);
	pages_take(&ring->desc, ring->parts.desc.size, ring->parts.desc.align);
	pages_take(&ring->driver, ring->parts.driver.size, ring->parts.driver.align);
	pages_take(&ring->device, ring->parts.device.size, ring->parts.device.align);
	return ring;
}

void fuzz_ring(struct peer_ring *ring, bool packed, uint16_t size)
{
	struct kept_ring *kept = keep(packed, size);

	memset(kept->desc.at, 0, kept->parts.desc.size);
	memset(kept->driver.at, 0, kept->parts.driver.size);
	memset(kept->device.at, 0, kept->parts.device.size);
	ring->packed = packed;
	ring->size = size;
	ring->mem = (struct vd_ring_mem){
		.desc = kept->desc.at, .driver = kept->driver.at, .device = kept->device.at};
}

void fuzz_poke(struct program *program, const struct peer_ring *ring)
{
	const struct kept_ring *kept = keep(ring->packed, ring->size);
	uint8_t area = next_below(program, 3);
	uint16_t offset = next_u16(program);
	uint8_t value = next_byte(program);

	if (area == 0)
		((uint8_t *)ring->mem.desc)[offset % kept->parts.desc.size] = value;
	else if (area == 1)
		((uint8_t *)ring->mem.driver)[offset % kept->parts.driver.size] = value;
	else
		((uint8_t *)ring->mem.device)[offset % kept->parts.device.size] = value;
}
