/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings as they lie in shared memory: layouts and flag bits, no behaviour. VIRTIO 1.4, 2.7 (split)
 * and 2.8 (packed). */
#ifndef VD_RING_WIRE_H
#define VD_RING_WIRE_H

#include "mem/shm.h"

enum {
	VD_DESC_NEXT = 1,
	VD_DESC_WRITE = 2,
	VD_DESC_INDIRECT = 4,
	VD_DESC_AVAIL = 1 << 7, /* packed */
	VD_DESC_USED = 1 << 15, /* packed */
};

enum {
	VD_AVAIL_NO_INTERRUPT = 1,
	VD_USED_NO_NOTIFY = 1,
};

/* Packed event suppression, bits 0-1 of the flags word. */
enum {
	VD_EVENT_ENABLE = 0,
	VD_EVENT_DISABLE = 1,
	VD_EVENT_DESC = 2,
	VD_EVENT_MASK = 3,
};

/* Bit 15 of a packed position or event word. */
#define VD_WRAP_BIT 0x8000u

#define VD_DESC_SIZE 16u

struct vd_split_desc {
	vd_sh64 addr;
	vd_sh32 len;
	vd_sh16 flags;
	vd_sh16 next;
};

/* Behind ring[size] comes one more vd_sh16, used_event. */
struct vd_split_avail {
	vd_sh16 flags;
	vd_sh16 idx;
	vd_sh16 ring[];
};

struct vd_split_used_elem {
	vd_sh32 id;
	vd_sh32 len;
};

/* Behind ring[size] comes a vd_sh16, avail_event. */
struct vd_split_used {
	vd_sh16 flags;
	vd_sh16 idx;
	struct vd_split_used_elem ring[];
};

struct vd_packed_desc {
	vd_sh64 addr;
	vd_sh32 len;
	vd_sh16 id;
	vd_sh16 flags;
};

/* Two 16-bit fields, position and mode, taken in one access: see vd_packed_event() in packed.h. */
struct vd_packed_event {
	vd_sh32 word;
};

_Static_assert(sizeof(struct vd_split_desc) == VD_DESC_SIZE, "wire layout");
_Static_assert(sizeof(struct vd_packed_desc) == VD_DESC_SIZE, "wire layout");
_Static_assert(sizeof(struct vd_split_used_elem) == 8, "wire layout");
_Static_assert(sizeof(struct vd_packed_event) == 4, "wire layout");

static inline vd_sh16 *vd_split_used_event(struct vd_split_avail *avail, uint32_t size)
{
	return &avail->ring[size];
}

static inline vd_sh16 *vd_split_avail_event(struct vd_split_used *used, uint32_t size)
{
	return (vd_sh16 *)&used->ring[size];
}

#endif /* VD_RING_WIRE_H */
