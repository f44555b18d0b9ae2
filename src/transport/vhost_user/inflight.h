/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking: the journal of a queue in memory that the front end keeps for us while we are
 * dead. vhost-user.rst, "Inflight I/O tracking".
 */
#ifndef VD_VHOST_USER_INFLIGHT_H
#define VD_VHOST_USER_INFLIGHT_H

#include "ring/journal.h"
#include "viaduct/fault.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of one queue's region with @size entries, for whichever layout is negotiated later. */
size_t vd_vu_inflight_region_size(uint16_t size);

struct vd_vu_replay {
	uint64_t counter;
	uint16_t entry;
};

/* The journal of one queue. */
struct vd_vu_inflight {
	struct vd_journal journal;
	void *region; /* shared with the front end */
	uint16_t size;
	uint64_t counter; /* of the next buffer popped */
	/* Entries to do again, oldest first. */
	struct vd_vu_replay *replay;
	uint16_t n_replay;
	uint16_t next_replay;
	/* Entries that the next publication shows as used. */
	uint16_t *batch;
	uint16_t n_batch;
	/* packed: our own copy of what links the entries, which the front end could change */
	struct vd_vu_link *link;
	uint16_t old_used;  /* where the last publication that is on record left the queue */
	uint16_t free_head; /* first free entry; `size` if there is none */
	uint16_t pop_at;    /* entry for the next descriptor of the buffer being popped, ... */
	uint16_t pop_last;  /* ... its last so far, ... */
	uint16_t n_popping; /* ... and how many it has */
};

struct vd_vu_link {
	uint16_t next; /* in the free list, or in the list of a buffer's descriptors */
	uint16_t last; /* of a head: the last entry of its buffer */
	uint16_t num;  /* of a head: how many it has */
	bool claimed;  /* recovery: it is in a list already */
};

/*
 * Begin or resume the record of a queue in @region. @position: in, where the ring itself says the
 * queue stands (split: `used`; packed: as SET_VRING_BASE said); out, where to go on, in-flight
 * buffers counting as popped. -VD_EPROTO: the region holds what we can't have written: @fault.
 * -VD_ENOMEM.
 */
int vd_vu_inflight_open(struct vd_vu_inflight *inflight, enum vd_ring_layout layout, void *region,
			uint16_t size, const struct vd_ring_mem *ring,
			struct vd_ring_position *position, struct vd_fault *fault);

void vd_vu_inflight_close(struct vd_vu_inflight *inflight);

/* ---- shared by the two layouts ---- */

/* What a fault calls the fields. */
enum vd_vu_inflight_field {
	VD_VU_INFLIGHT_DESC_NUM,
	VD_VU_INFLIGHT_USED_IDX,
	VD_VU_INFLIGHT_BATCH,
	VD_VU_INFLIGHT_FREE_HEAD,
	VD_VU_INFLIGHT_NEXT,
	VD_VU_INFLIGHT_NUM,
	VD_VU_INFLIGHT_VERSION,
};

/* Versions of a region: what nobody has written yet, and what we write. */
#define VD_VU_INFLIGHT_BLANK 0
#define VD_VU_INFLIGHT_V1    1

static inline struct vd_vu_inflight *vd_vu_inflight_of(struct vd_journal *journal)
{
	return (struct vd_vu_inflight *)journal;
}

extern const struct vd_journal_ops vd_vu_inflight_split;
extern const struct vd_journal_ops vd_vu_inflight_packed;

/* Sizes, and recovery of what a predecessor left; errors as above. */
size_t vd_vu_inflight_split_size(uint16_t size);
size_t vd_vu_inflight_packed_size(uint16_t size);
int vd_vu_inflight_split_recover(struct vd_vu_inflight *inflight, struct vd_ring_position *position,
				 struct vd_fault *fault);
int vd_vu_inflight_packed_recover(struct vd_vu_inflight *inflight, const struct vd_ring_mem *ring,
				  struct vd_ring_position *position, struct vd_fault *fault);

/* Note that @entry is to be done again; vd_vu_inflight_sort() then puts all in order. */
void vd_vu_inflight_add_replay(struct vd_vu_inflight *inflight, uint16_t entry, uint64_t counter);
void vd_vu_inflight_sort(struct vd_vu_inflight *inflight);

/* vd_journal_ops.replay, and the way back */
bool vd_vu_inflight_replay(struct vd_journal *journal, uint16_t *entry);
void vd_vu_inflight_unreplay(struct vd_vu_inflight *inflight, uint16_t entry);

/* This field of the region can't hold @value. Returns -VD_EPROTO. */
int vd_vu_inflight_bad(struct vd_fault *fault, enum vd_vu_inflight_field field, uint64_t value);

/* Was the region, whose header says @version and @desc_num, written for a queue like this one? */
int vd_vu_inflight_check(const struct vd_vu_inflight *inflight, uint16_t version, uint16_t desc_num,
			 struct vd_fault *fault);

#endif /* VD_VHOST_USER_INFLIGHT_H */
