/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring/packed.h"

#include "ring/event.h"

bool vd_packed_wants_notify(uint32_t word, bool event_idx, uint16_t now, uint16_t moved,
			    uint16_t size)
{
	uint16_t mode = vd_packed_event_mode(word);

	if (mode == VD_EVENT_DISABLE)
		return false;
	if (mode == VD_EVENT_DESC && event_idx)
		return vd_packed_event_passed(vd_packed_event_position(word), now,
					      moved < size ? moved : size, size);
	return true;
}
