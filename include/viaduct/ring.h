/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What both ends of a virtqueue agree on: the two layouts, how much memory each takes, and the
 * value of a notification. The ends themselves are in viaduct/vq_drv.h (driver: add, kick, get) and
 * viaduct/vq_dev.h (device: pop, push, notify).
 */
#ifndef VIADUCT_RING_H
#define VIADUCT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_ring_layout {
	VD_RING_SPLIT,
	VD_RING_PACKED,
};

/* Most entries of a queue (VIRTIO 1.4, 2.7 and 2.8). */
#define VD_RING_SIZE_MAX 32768u

/* The three parts of a ring by what the specification calls their areas; "driver" is written by the
 * driver alone, and so on. */
struct vd_ring_mem {
	void *desc;   /* descriptor table, or descriptor ring */
	void *driver; /* available ring, or driver event suppression */
	void *device; /* used ring, or device event suppression */
};

struct vd_ring_part {
	size_t size;  /* bytes */
	size_t align; /* bytes; the specification's minimum */
};

struct vd_ring_parts {
	struct vd_ring_part desc;
	struct vd_ring_part driver;
	struct vd_ring_part device;
};

/*
 * The sizes and alignments of a ring with @size entries (VIRTIO 1.4, 2.7 and 2.8.10.1).
 * -VD_EINVAL: not a size for this layout (0, above 32768, or for a split ring no power of two).
 */
int vd_ring_parts(enum vd_ring_layout layout, uint32_t size, struct vd_ring_parts *parts);

/*
 * Place the three parts behind one another from @base on, each on cache lines of its own because
 * each has another writer.
 * @base must be aligned to 64 bytes. Fills @mem (may be NULL) and returns the bytes taken; 0 for an
 * impossible size.
 */
size_t vd_ring_place(enum vd_ring_layout layout, uint32_t size, void *base,
		     struct vd_ring_mem *mem);

/*
 * The same for the one-piece split layout of legacy devices and of remoteproc: table, available
 * ring, padding to @align, used ring (VIRTIO 1.4, 2.7.2; Linux: vring_init()). @align: a power of
 * two, at least 4.
 */
size_t vd_ring_place_legacy(uint32_t size, size_t align, void *base, struct vd_ring_mem *mem);

/*
 * The 32-bit value that accompanies an available-buffer notification (VIRTIO 1.4, 2.9): the queue
 * index, and with NOTIFICATION_DATA where the driver will put the next buffer. Split: @next is the
 * available index, all 16 bits. Packed:
 * @next is the slot in bits 0-14 and the driver's wrap counter in bit 15.
 */
static inline uint32_t vd_notification(uint16_t queue, uint16_t next)
{
	return (uint32_t)next << 16 | queue;
}

static inline uint16_t vd_notification_queue(uint32_t notification)
{
	return (uint16_t)notification;
}

static inline uint16_t vd_notification_next(uint32_t notification)
{
	return (uint16_t)(notification >> 16);
}

/*
 * Where one end of a queue stands: all it takes to stop a queue and go on later, here or in another
 * process. Split: free-running indexes. Packed: slot in bits 0-14, wrap counter in bit 15.
 */
struct vd_ring_position {
	uint16_t avail;
	uint16_t used;
};

/* The position of a queue in which nothing ever happened. */
static inline struct vd_ring_position vd_ring_start(enum vd_ring_layout layout)
{
	struct vd_ring_position start = {0, 0};

	if (layout == VD_RING_PACKED)
		start.avail = start.used = 0x8000; /* wrap counters start at 1 */
	return start;
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_RING_H */
