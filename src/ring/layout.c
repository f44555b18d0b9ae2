/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a ring takes and where its parts go: see viaduct/ring.h. */
#include "ring/wire.h"
#include "viaduct/errno.h"
#include "viaduct/ring.h"

#define CACHE_LINE 64u

static size_t align_up(size_t value, size_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static bool is_power_of_two(size_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

int vd_ring_parts(enum vd_ring_layout layout, uint32_t size, struct vd_ring_parts *parts)
{
	if (size == 0 || size > VD_RING_SIZE_MAX)
		return -VD_EINVAL;
	if (layout == VD_RING_PACKED) {
		*parts = (struct vd_ring_parts){
			.desc = {.size = sizeof(struct vd_packed_desc) * size, .align = 16},
			.driver = {.size = sizeof(struct vd_packed_event), .align = 4},
			.device = {.size = sizeof(struct vd_packed_event), .align = 4},
		};
		return 0;
	}
	if (!is_power_of_two(size))
		return -VD_EINVAL;
	/* The event words are part of the sizes whether EVENT_IDX is negotiated or not
	 * (VIRTIO 1.4, 2.7). */
	*parts = (struct vd_ring_parts){
		.desc = {.size = sizeof(struct vd_split_desc) * size, .align = 16},
		.driver = {.size = sizeof(struct vd_split_avail) + sizeof(vd_sh16) * (size + 1),
			   .align = 2},
		.device = {.size = sizeof(struct vd_split_used) +
				   sizeof(struct vd_split_used_elem) * size + sizeof(vd_sh16),
			   .align = 4},
	};
	return 0;
}

static void set_parts(struct vd_ring_mem *mem, void *base, size_t driver, size_t device)
{
	if (mem == NULL)
		return;
	mem->desc = base;
	mem->driver = (unsigned char *)base + driver;
	mem->device = (unsigned char *)base + device;
}

size_t vd_ring_place(enum vd_ring_layout layout, uint32_t size, void *base, struct vd_ring_mem *mem)
{
	struct vd_ring_parts parts;
	size_t driver;
	size_t device;

	if (vd_ring_parts(layout, size, &parts) != 0)
		return 0;
	driver = align_up(parts.desc.size, CACHE_LINE);
	device = driver + align_up(parts.driver.size, CACHE_LINE);
	set_parts(mem, base, driver, device);
	return device + align_up(parts.device.size, CACHE_LINE);
}

size_t vd_ring_place_legacy(uint32_t size, size_t align, void *base, struct vd_ring_mem *mem)
{
	struct vd_ring_parts parts;
	size_t device;

	if (vd_ring_parts(VD_RING_SPLIT, size, &parts) != 0 || !is_power_of_two(align) ||
	    align < parts.device.align)
		return 0;
	device = align_up(parts.desc.size + parts.driver.size, align);
	set_parts(mem, base, parts.desc.size, device);
	return device + parts.device.size;
}
