/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions in a packed ring: the slot in bits 0-14, the wrap counter that goes with it in bit 15.
 * VIRTIO 1.4, 2.8.1. */
#ifndef VD_RING_PACKED_H
#define VD_RING_PACKED_H

#include "ring/wire.h"

static inline uint16_t vd_packed_slot(uint16_t position)
{
	return position & 0x7fff;
}

static inline bool vd_packed_wrap(uint16_t position)
{
	return position & VD_WRAP_BIT;
}

/* The position @n slots further, @n at most @size. */
static inline uint16_t vd_packed_forward(uint16_t position, uint16_t n, uint16_t size)
{
	uint32_t slot = (uint32_t)vd_packed_slot(position) + n;
	uint16_t wrap = position & VD_WRAP_BIT;

	if (slot >= size) {
		slot -= size;
		wrap ^= VD_WRAP_BIT;
	}
	return (uint16_t)(slot | wrap);
}

/* The position @n slots back, @n at most @size. */
static inline uint16_t vd_packed_back(uint16_t position, uint16_t n, uint16_t size)
{
	uint16_t slot = vd_packed_slot(position);
	uint16_t wrap = position & VD_WRAP_BIT;

	if (slot < n) {
		slot = (uint16_t)(slot + size);
		wrap ^= VD_WRAP_BIT;
	}
	return (uint16_t)((slot - n) | wrap);
}

/* How many slots lie between two positions that are a lap apart at most. */
static inline uint16_t vd_packed_distance(uint16_t from, uint16_t to, uint16_t size)
{
	uint32_t lap = vd_packed_wrap(from) != vd_packed_wrap(to) ? size : 0;

	return (uint16_t)(vd_packed_slot(to) + lap - vd_packed_slot(from));
}

/* The AVAIL and USED bits of a descriptor made available at @position. */
static inline uint16_t vd_packed_avail_flags(uint16_t position)
{
	return vd_packed_wrap(position) ? VD_DESC_AVAIL : VD_DESC_USED;
}

/* The AVAIL and USED bits of a descriptor used at @position. */
static inline uint16_t vd_packed_used_flags(uint16_t position)
{
	return vd_packed_wrap(position) ? VD_DESC_AVAIL | VD_DESC_USED : 0;
}

static inline bool vd_packed_is_avail(uint16_t flags, uint16_t position)
{
	return (flags & (VD_DESC_AVAIL | VD_DESC_USED)) == vd_packed_avail_flags(position);
}

static inline bool vd_packed_is_used(uint16_t flags, uint16_t position)
{
	return (flags & (VD_DESC_AVAIL | VD_DESC_USED)) == vd_packed_used_flags(position);
}

/*
 * An event suppression structure is two 16-bit fields, position and mode, of which we want a pair
 * that belongs together: one 32-bit access, in which the first field is the low half if the wire is
 * little-endian and the high half if it is not.
 */
static inline uint32_t vd_packed_event(uint16_t position, uint16_t mode)
{
	return (uint32_t)mode << 16 | position;
}

static inline uint16_t vd_packed_event_position(uint32_t word)
{
	return (uint16_t)word;
}

static inline uint16_t vd_packed_event_mode(uint32_t word)
{
	return (uint16_t)(word >> 16) & VD_EVENT_MASK;
}

static inline uint32_t vd_packed_order_halves(uint32_t word, bool swap)
{
	return swap != vd_host_is_big_endian() ? word << 16 | word >> 16 : word;
}

static inline uint32_t vd_packed_load_event(const struct vd_packed_event *event, bool swap)
{
	return vd_packed_order_halves(vd_load32(&event->word, swap), swap);
}

static inline void vd_packed_store_event(struct vd_packed_event *event, uint32_t word, bool swap)
{
	vd_store32(&event->word, vd_packed_order_halves(word, swap), swap);
}

/*
 * Does a side that passed @moved slots and now stands at @now have to notify the one that wrote
 * @word? Mode 3 is reserved and mode 2 needs EVENT_IDX; a side that uses them all the same is
 * notified, which is never wrong.
 */
bool vd_packed_wants_notify(uint32_t word, bool event_idx, uint16_t now, uint16_t moved,
			    uint16_t size);

#endif /* VD_RING_PACKED_H */
