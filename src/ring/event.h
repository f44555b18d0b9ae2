/* SPDX-License-Identifier: BSD-3-Clause */
/* When to notify: the arithmetic of event indexes. VIRTIO 1.4, 2.7.10 and 2.8.10; Linux:
 * vring_need_event(). */
#ifndef VD_RING_EVENT_H
#define VD_RING_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Did an index that went from @before to @now step over @event? All wrap at 65536. */
static inline bool vd_event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/*
 * The same for a packed ring of @size slots: @now is the next slot and its wrap counter in bit 15,
 * @moved how many slots were passed since the last decision, at most @size, @event the position the
 * other side asked for. An event whose wrap counter is not the current one lies one lap back.
 */
static inline bool vd_packed_event_passed(uint16_t event, uint16_t now, uint16_t moved,
					  uint16_t size)
{
	uint16_t slot = now & 0x7fff;
	uint16_t event_slot = event & 0x7fff;

	if ((event ^ now) & 0x8000)
		event_slot = (uint16_t)(event_slot - size);
	return vd_event_passed(event_slot, slot, (uint16_t)(slot - moved));
}

/* How far an index moved since the last decision, when nobody asks for a long time: all the way. */
static inline uint16_t vd_add_capped(uint16_t moved, uint16_t more)
{
	uint32_t sum = (uint32_t)moved + more;

	return sum < UINT16_MAX ? (uint16_t)sum : UINT16_MAX;
}

#endif /* VD_RING_EVENT_H */
