/* SPDX-License-Identifier: BSD-3-Clause */
/* A hand-written driver and device: see ring_peer.h. Offsets: VIRTIO 1.4, 2.7 and 2.8. */
#include "ring_peer.h"

#include "ring/wire.h"

#include <string.h>

/* ---- bytes ---- */

static uint64_t get(const struct peer_ring *ring, const void *area, size_t offset, size_t bytes)
{
	const unsigned char *at = (const unsigned char *)area + offset;
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[ring->big_endian ? i : bytes - 1 - i];
	return value;
}

static void put(const struct peer_ring *ring, void *area, size_t offset, size_t bytes,
		uint64_t value)
{
	unsigned char *at = (unsigned char *)area + offset;

	for (size_t i = 0; i < bytes; i++, value >>= 8)
		at[ring->big_endian ? bytes - 1 - i : i] = (unsigned char)value;
}

uint16_t peer_get16(const struct peer_ring *ring, const void *area, size_t offset)
{
	return (uint16_t)get(ring, area, offset, 2);
}

uint32_t peer_get32(const struct peer_ring *ring, const void *area, size_t offset)
{
	return (uint32_t)get(ring, area, offset, 4);
}

void peer_put16(const struct peer_ring *ring, void *area, size_t offset, uint16_t value)
{
	put(ring, area, offset, 2, value);
}

void peer_put32(const struct peer_ring *ring, void *area, size_t offset, uint32_t value)
{
	put(ring, area, offset, 4, value);
}

struct peer_desc peer_get_desc(const struct peer_ring *ring, const void *table, unsigned index)
{
	size_t at = (size_t)index * 16;

	return (struct peer_desc){
		.addr = get(ring, table, at, 8),
		.len = peer_get32(ring, table, at + 8),
		.flags = peer_get16(ring, table, at + (ring->packed ? 14 : 12)),
		.link = peer_get16(ring, table, at + (ring->packed ? 12 : 14)),
	};
}

void peer_put_desc(const struct peer_ring *ring, void *table, unsigned index, struct peer_desc desc)
{
	size_t at = (size_t)index * 16;

	put(ring, table, at, 8, desc.addr);
	peer_put32(ring, table, at + 8, desc.len);
	peer_put16(ring, table, at + (ring->packed ? 14 : 12), desc.flags);
	peer_put16(ring, table, at + (ring->packed ? 12 : 14), desc.link);
}

void peer_put_table(const struct peer_ring *ring, void *table, const struct peer_desc *desc,
		    unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct peer_desc entry = desc[i];

		if (!ring->packed && i + 1 < count) {
			entry.flags |= VD_DESC_NEXT;
			entry.link = (uint16_t)(i + 1);
		}
		peer_put_desc(ring, table, i, entry);
	}
}

static size_t event_offset(const struct peer_ring *ring, bool of_driver)
{
	return 4 + (of_driver ? 2u : 8u) * ring->size;
}

struct peer_wish peer_get_wish(const struct peer_ring *ring, bool of_driver)
{
	const void *area = of_driver ? ring->mem.driver : ring->mem.device;

	if (ring->packed)
		return (struct peer_wish){.mode = peer_get16(ring, area, 2),
					  .event = peer_get16(ring, area, 0)};
	return (struct peer_wish){.mode = peer_get16(ring, area, 0),
				  .event = peer_get16(ring, area, event_offset(ring, of_driver))};
}

void peer_put_wish(const struct peer_ring *ring, bool of_driver, uint16_t mode, uint16_t event)
{
	void *area = of_driver ? ring->mem.driver : ring->mem.device;

	peer_put16(ring, area, ring->packed ? 2 : 0, mode);
	peer_put16(ring, area, ring->packed ? 0 : event_offset(ring, of_driver), event);
}

static bool wrap_counter(const struct peer_ring *ring, uint32_t count)
{
	return count / ring->size % 2 == 0;
}

uint16_t peer_position(const struct peer_ring *ring, uint32_t count)
{
	return (uint16_t)(count % ring->size | (wrap_counter(ring, count) ? 0x8000u : 0));
}

uint16_t peer_avail_bits(const struct peer_ring *ring, uint32_t count)
{
	return wrap_counter(ring, count) ? VD_DESC_AVAIL : VD_DESC_USED;
}

uint16_t peer_used_bits(const struct peer_ring *ring, uint32_t count)
{
	return wrap_counter(ring, count) ? VD_DESC_AVAIL | VD_DESC_USED : 0;
}

static void clear(const struct peer_ring *ring)
{
	memset(ring->mem.desc, 0, (size_t)ring->size * 16);
	memset(ring->mem.driver, 0, ring->packed ? 4 : 6 + 2u * ring->size);
	memset(ring->mem.device, 0, ring->packed ? 4 : 6 + 8u * ring->size);
}

/* ---- a driver ---- */

void peer_driver_init(struct peer_driver *driver, const struct peer_ring *ring)
{
	struct peer_ring copy = *ring; /* may be driver->ring */

	memset(driver, 0, sizeof(*driver));
	driver->ring = copy;
	clear(&copy);
}

void peer_driver_set_index(struct peer_driver *driver, uint16_t index)
{
	peer_put16(&driver->ring, driver->ring.mem.driver, 2, index);
}

void peer_driver_offer_head(struct peer_driver *driver, uint16_t head)
{
	const struct peer_ring *ring = &driver->ring;

	peer_put16(ring, ring->mem.driver, 4 + driver->avail % ring->size * 2, head);
	driver->avail++;
	peer_driver_set_index(driver, (uint16_t)driver->avail);
}

void peer_driver_offer_slot(struct peer_driver *driver, struct peer_desc desc)
{
	const struct peer_ring *ring = &driver->ring;

	desc.flags |= peer_avail_bits(ring, driver->avail);
	peer_put_desc(ring, ring->mem.desc, driver->avail % ring->size, desc);
	driver->avail++;
}

static uint16_t offer_split(struct peer_driver *driver, const struct peer_desc *desc,
			    unsigned count)
{
	uint16_t size = driver->ring.size;
	uint16_t head = driver->next_free;

	for (unsigned i = 0; i < count; i++) {
		struct peer_desc one = desc[i];
		uint16_t at = driver->next_free;

		driver->next_free = (uint16_t)((at + 1u) % size);
		if (i + 1 < count) {
			one.flags |= VD_DESC_NEXT;
			one.link = driver->next_free;
		}
		peer_put_desc(&driver->ring, driver->ring.mem.desc, at, one);
	}
	peer_driver_offer_head(driver, head);
	return head;
}

static uint16_t offer_packed(struct peer_driver *driver, const struct peer_desc *desc,
			     unsigned count)
{
	uint16_t id = driver->next_id;

	driver->next_id = (uint16_t)((id + 1u) % driver->ring.size);
	driver->slots[id] = (uint16_t)count;
	for (unsigned i = 0; i < count; i++) {
		struct peer_desc one = desc[i];

		/* The id counts in the last one only: put nonsense into the others. */
		one.link = i + 1 < count ? (uint16_t)~id : id;
		if (i + 1 < count)
			one.flags |= VD_DESC_NEXT;
		peer_driver_offer_slot(driver, one);
	}
	return id;
}

uint16_t peer_driver_offer(struct peer_driver *driver, const struct peer_desc *desc, unsigned count)
{
	return driver->ring.packed ? offer_packed(driver, desc, count)
				   : offer_split(driver, desc, count);
}

static bool take_split(struct peer_driver *driver, struct peer_used *used)
{
	const struct peer_ring *ring = &driver->ring;
	size_t at = 4 + driver->used % ring->size * 8;

	if (peer_get16(ring, ring->mem.device, 2) == (uint16_t)driver->used)
		return false;
	*used = (struct peer_used){.id = peer_get32(ring, ring->mem.device, at),
				   .len = peer_get32(ring, ring->mem.device, at + 4)};
	driver->used++;
	return true;
}

static bool take_packed(struct peer_driver *driver, struct peer_used *used)
{
	const struct peer_ring *ring = &driver->ring;
	struct peer_desc desc = peer_get_desc(ring, ring->mem.desc, driver->used % ring->size);

	if ((desc.flags & (VD_DESC_AVAIL | VD_DESC_USED)) != peer_used_bits(ring, driver->used))
		return false;
	*used = (struct peer_used){.id = desc.link, .len = desc.len, .flags = desc.flags};
	driver->used += driver->slots[desc.link % ring->size];
	return true;
}

bool peer_driver_take(struct peer_driver *driver, struct peer_used *used)
{
	return driver->ring.packed ? take_packed(driver, used) : take_split(driver, used);
}

/* ---- a device ---- */

void peer_device_init(struct peer_device *device, const struct peer_ring *ring)
{
	*device = (struct peer_device){.ring = *ring};
}

static const void *table_at(const struct peer_device *device, uint64_t addr)
{
	return device->memory + (addr - device->memory_peer);
}

static void follow_split(struct peer_device *device, const void *table, uint16_t index,
			 struct peer_chain *chain)
{
	while (chain->count < PEER_CHAIN_MAX) {
		struct peer_desc desc = peer_get_desc(&device->ring, table, index);

		if (desc.flags & VD_DESC_INDIRECT) {
			chain->indirect = true;
			chain->referring = desc;
			table = table_at(device, desc.addr);
			index = 0;
			continue;
		}
		chain->desc[chain->count++] = desc;
		if (!(desc.flags & VD_DESC_NEXT))
			return;
		index = desc.link;
	}
}

static bool next_split(struct peer_device *device, struct peer_chain *chain)
{
	const struct peer_ring *ring = &device->ring;

	if (peer_get16(ring, ring->mem.driver, 2) == (uint16_t)device->avail)
		return false;
	chain->id = peer_get16(ring, ring->mem.driver, 4 + device->avail % ring->size * 2);
	chain->slots = 1;
	device->avail++;
	follow_split(device, ring->mem.desc, chain->id, chain);
	return true;
}

static void read_packed_table(struct peer_device *device, struct peer_chain *chain)
{
	const void *table = table_at(device, chain->referring.addr);

	for (unsigned i = 0; i < chain->referring.len / 16 && i < PEER_CHAIN_MAX; i++)
		chain->desc[chain->count++] = peer_get_desc(&device->ring, table, i);
}

static bool next_packed(struct peer_device *device, struct peer_chain *chain)
{
	const struct peer_ring *ring = &device->ring;
	struct peer_desc desc;

	do {
		desc = peer_get_desc(ring, ring->mem.desc, device->avail % ring->size);
		if ((desc.flags & (VD_DESC_AVAIL | VD_DESC_USED)) !=
		    peer_avail_bits(ring, device->avail))
			return false;
		device->avail++;
		chain->slots++;
		chain->id = desc.link;
		if (desc.flags & VD_DESC_INDIRECT) {
			chain->indirect = true;
			chain->referring = desc;
			read_packed_table(device, chain);
		} else {
			chain->desc[chain->count++] = desc;
		}
	} while (desc.flags & VD_DESC_NEXT);
	return true;
}

bool peer_device_next(struct peer_device *device, struct peer_chain *chain)
{
	chain->count = 0;
	chain->slots = 0;
	chain->indirect = false;
	return device->ring.packed ? next_packed(device, chain) : next_split(device, chain);
}

bool peer_device_skim(struct peer_device *device, uint16_t *id, uint16_t *slots)
{
	const struct peer_ring *ring = &device->ring;
	struct peer_desc desc;

	*slots = 0;
	if (!ring->packed) {
		if (peer_get16(ring, ring->mem.driver, 2) == (uint16_t)device->avail)
			return false;
		*id = peer_get16(ring, ring->mem.driver, 4 + device->avail++ % ring->size * 2);
		*slots = 1;
		return true;
	}
	do {
		desc = peer_get_desc(ring, ring->mem.desc, device->avail % ring->size);
		if ((desc.flags & (VD_DESC_AVAIL | VD_DESC_USED)) !=
		    peer_avail_bits(ring, device->avail))
			return false;
		device->avail++;
		*id = desc.link;
	} while (++*slots < ring->size && (desc.flags & VD_DESC_NEXT));
	return true;
}

void peer_device_set_index(struct peer_device *device, uint16_t index)
{
	peer_put16(&device->ring, device->ring.mem.device, 2, index);
}

static void use_split(struct peer_device *device, uint32_t id, uint32_t len, uint16_t count)
{
	const struct peer_ring *ring = &device->ring;
	size_t at = 4 + device->used % ring->size * 8;

	peer_put32(ring, ring->mem.device, at, id);
	peer_put32(ring, ring->mem.device, at + 4, len);
	device->used += count;
	peer_device_set_index(device, (uint16_t)device->used);
}

static void use_packed(struct peer_device *device, uint32_t id, uint32_t len, uint16_t count)
{
	const struct peer_ring *ring = &device->ring;
	uint16_t flags = peer_used_bits(ring, device->used);

	if (len > 0)
		flags |= VD_DESC_WRITE;
	/* The address means nothing any more. */
	peer_put_desc(
		ring, ring->mem.desc, device->used % ring->size,
		(struct peer_desc){
			.addr = UINT64_MAX, .len = len, .flags = flags, .link = (uint16_t)id});
	device->used += count;
}

void peer_device_use(struct peer_device *device, uint32_t id, uint32_t len, uint16_t count)
{
	if (device->ring.packed)
		use_packed(device, id, len, count);
	else
		use_split(device, id, len, count);
}
