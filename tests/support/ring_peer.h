/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of a ring, written by hand: a mock driver and a mock device for both layouts, so
 * that one end of the library is tested without the other and a mistake made alike in both can't
 * hide. They share nothing with the code under test but the flag bits of ring/wire.h: offsets are
 * the specification's, bytes are put in order one by one, and positions are plain counts.
 */
#ifndef RING_PEER_H
#define RING_PEER_H

#include "viaduct/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_ring {
	bool packed;
	bool big_endian;
	uint16_t size;
	struct vd_ring_mem mem;
};

/* A descriptor of either layout: `link` is next (split) or the buffer id (packed). */
struct peer_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t link;
};

/* What a side asks of the other: split: flags and event index, packed: mode and position. */
struct peer_wish {
	uint16_t mode;
	uint16_t event;
};

/* ---- bytes ---- */

uint16_t peer_get16(const struct peer_ring *ring, const void *area, size_t offset);
uint32_t peer_get32(const struct peer_ring *ring, const void *area, size_t offset);
void peer_put16(const struct peer_ring *ring, void *area, size_t offset, uint16_t value);
void peer_put32(const struct peer_ring *ring, void *area, size_t offset, uint32_t value);

/* Descriptor @index of a table: the ring's own (mem.desc) or an indirect one. */
struct peer_desc peer_get_desc(const struct peer_ring *ring, const void *table, unsigned index);
void peer_put_desc(const struct peer_ring *ring, void *table, unsigned index,
		   struct peer_desc desc);

/* @count descriptors as a table that is followed from its start: NEXT and next are added. */
void peer_put_table(const struct peer_ring *ring, void *table, const struct peer_desc *desc,
		    unsigned count);

/* The wish in the driver's or the device's area. */
struct peer_wish peer_get_wish(const struct peer_ring *ring, bool of_driver);
void peer_put_wish(const struct peer_ring *ring, bool of_driver, uint16_t mode, uint16_t event);

/* Packed: the position after @count slots from the start, wrap counter in bit 15. */
uint16_t peer_position(const struct peer_ring *ring, uint32_t count);

/* Packed: AVAIL and USED of a descriptor available, or used, after @count slots. */
uint16_t peer_avail_bits(const struct peer_ring *ring, uint32_t count);
uint16_t peer_used_bits(const struct peer_ring *ring, uint32_t count);

/* ---- a driver ---- */

/* avail and used count entries (packed: slots) since the start and never wrap. */
struct peer_driver {
	struct peer_ring ring;
	uint32_t avail;
	uint32_t used;
	uint16_t next_free;               /* split: where the descriptors of the next chain go */
	uint16_t next_id;                 /* packed: the next buffer's id */
	uint16_t slots[VD_RING_SIZE_MAX]; /* packed: slots taken by each id */
};

struct peer_used {
	uint32_t id;
	uint32_t len;
	uint16_t flags; /* packed */
};

/* Clears the ring. */
void peer_driver_init(struct peer_driver *driver, const struct peer_ring *ring);

/* Make a buffer of @count descriptors available: NEXT, next and ids are added. Returns its head or
 * id. */
uint16_t peer_driver_offer(struct peer_driver *driver, const struct peer_desc *desc,
			   unsigned count);

/* Split: make @head available, whatever is there. */
void peer_driver_offer_head(struct peer_driver *driver, uint16_t head);

/* Packed: put one descriptor, available but otherwise exactly as given, into the next slot. */
void peer_driver_offer_slot(struct peer_driver *driver, struct peer_desc desc);

/* Split: say that the available index is @index. */
void peer_driver_set_index(struct peer_driver *driver, uint16_t index);

/* The next used buffer, if there is one. */
bool peer_driver_take(struct peer_driver *driver, struct peer_used *used);

/* ---- a device ---- */

struct peer_device {
	struct peer_ring ring;
	uint32_t avail;
	uint32_t used;
	unsigned char *memory; /* where indirect tables are, ... */
	uint64_t memory_peer;  /* ... and what the driver calls it */
};

#define PEER_CHAIN_MAX 512

struct peer_chain {
	struct peer_desc desc[PEER_CHAIN_MAX];
	unsigned count;
	uint16_t id;
	uint16_t slots; /* packed: ring slots it takes */
	bool indirect;
	struct peer_desc referring; /* if indirect */
};

void peer_device_init(struct peer_device *device, const struct peer_ring *ring);

/* The next available buffer, if there is one. */
bool peer_device_next(struct peer_device *device, struct peer_chain *chain);

/* As peer_device_next(), but nothing is followed, so that any bytes in the ring will do. */
bool peer_device_skim(struct peer_device *device, uint16_t *id, uint16_t *slots);

/* Use a buffer, or a batch that ends with it: @count entries (packed: slots) in all. */
void peer_device_use(struct peer_device *device, uint32_t id, uint32_t len, uint16_t count);

/* Split: say that the used index is @index. */
void peer_device_set_index(struct peer_device *device, uint16_t index);

#endif /* RING_PEER_H */
