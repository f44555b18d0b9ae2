/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver end of a virtqueue: add buffers for the device, kick, get them back used.
 *
 *     vd_vq_drv_add(vq, segments, n_out, n_in, token);
 *     if (vd_vq_drv_kick(vq))
 *             notify the device;
 *     ...
 *     while (vd_vq_drv_get(vq, &used) == 1)
 *             finish(used.token, used.len);
 *
 * Nothing is shown to the device before vd_vq_drv_publish(), so any number of adds cost one index
 * update and at most one notification. What was given to the device is remembered privately:
 * nothing is read back from memory that the device can write, except what the device has to say,
 * and that is read once and checked. A device that broke a rule breaks the queue: every call says
 * -VD_EPROTO until vd_vq_drv_init() is called again, and vd_vq_drv_fault() says why.
 *
 * Context: no call blocks, allocates or locks, and any may be made from an interrupt; but two calls
 * on the same queue must not overlap. Different queues are independent.
 */
#ifndef VIADUCT_VQ_DRV_H
#define VIADUCT_VQ_DRV_H

#include "viaduct/fault.h"
#include "viaduct/iov.h"
#include "viaduct/mem.h"
#include "viaduct/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vd_vq_drv;
struct vd_vq_drv_ops;

/* The two layouts. An image that only names one of them is not linked with the other. */
extern const struct vd_vq_drv_ops vd_split_drv;
extern const struct vd_vq_drv_ops vd_packed_drv;

/* A buffer that came back. */
struct vd_used {
	void *token;  /* what vd_vq_drv_add() was given */
	uint32_t len; /* bytes written, from the first device-writable one on; believe nothing
			 behind them */
};

struct vd_vq_drv_config {
	const struct vd_vq_drv_ops *layout; /* &vd_split_drv or &vd_packed_drv */
	uint16_t size;                      /* entries */
	uint64_t features; /* negotiated: INDIRECT_DESC, EVENT_IDX, IN_ORDER, VERSION_1 matter here
			    */
	bool big_endian;   /* byte order of the ring; true only for a legacy big-endian driver */
	struct vd_ring_mem
		ring; /* local pointers, aligned as vd_ring_parts() says; cleared by init */
	const struct vd_mem *mem; /* what the device can see of our memory; outlives the queue */
	void *state;              /* private memory, vd_vq_drv_state_size() bytes, aligned to 8 */
	size_t state_size;        /* how many there are */
	void *tables; /* indirect tables in memory the device can read, or NULL for none: */
	uint16_t table_entries; /* `size` tables of this many descriptors (16 bytes each), aligned
				   to 16 */
	uint16_t chain_max;     /* most descriptors the device takes in a buffer; 0: as many as the
				   queue has */
};

/* Private. Members are written by the owner of the queue alone; nothing here is visible to the
 * device. */
struct vd_vq_drv {
	const struct vd_vq_drv_ops *ops;
	const struct vd_mem *mem;
	struct vd_ring_mem ring;

	uint16_t size;
	uint16_t chain_max;
	bool swap;
	bool event_idx;
	bool in_order;
	bool strict_len; /* an impossible used length breaks the queue; legacy devices are known for
			    them */
	uint16_t table_entries; /* 0: no indirect descriptors */
	unsigned char *tables;
	uint64_t tables_peer; /* the same, as the device knows it */

	uint16_t avail; /* next available entry to write; split: free-running, packed: slot, wrap in
			   bit 15 */
	uint16_t used;  /* next used entry to read; same forms */
	uint16_t used_seen;   /* split: used index as last loaded */
	uint16_t shown;       /* `avail` as of the last publication */
	uint16_t added;       /* entries `avail` passed since then */
	uint16_t moved;       /* entries `shown` passed since the last decision to kick */
	uint16_t num_free;    /* descriptors (packed: ring slots) not with the device */
	uint16_t outstanding; /* buffers with the device */
	uint16_t free_head;   /* split: first free descriptor; packed: first free buffer id */
	uint16_t free_tail;   /* the last one: what comes back goes behind it, so that descriptors
				 rotate in order */
	uint16_t batch_last;  /* in order: the id that ends the batch being handed out, ... */
	uint32_t batch_len;   /* ... the length reported for it, ... */
	bool in_batch;        /* ... and whether there is such a batch */

	uint16_t first_slot;  /* packed: the descriptor whose flags publish the batch, ... */
	uint16_t first_flags; /* ... and those flags */
	uint32_t hint;        /* the window that held the last segment */

	void *shadow; /* split: descriptors as they lie in the table, to skip rewriting equal ones
		       */
	void *buf;    /* one record a buffer, by head or id */
	void *link;   /* list of free descriptors or ids */
	void *order;  /* ids in the order they were made available; split: what the available ring
			 holds */

	struct vd_fault fault;
};

/* Private memory a queue needs. 0 for an impossible size. */
size_t vd_vq_drv_state_size(const struct vd_vq_drv_ops *layout, uint32_t size);

/* Memory for the indirect tables of a queue, if there are to be any: shown to the device, aligned
 * to 16. 0 if it is more than there can be. */
static inline size_t vd_vq_drv_tables_size(uint32_t size, uint16_t table_entries)
{
	uint64_t bytes = (uint64_t)size * table_entries * 16;

	return bytes <= SIZE_MAX ? (size_t)bytes : 0;
}

/*
 * Set up @vq, anew or again (after the device was reset, or the queue alone with RING_RESET; the
 * size may differ then). Buffers that were outstanding are forgotten: fetch them first with
 * vd_vq_drv_detach(). -VD_EINVAL: a size or alignment that does not fit the layout, or too little
 * state. -VD_EFAULT, -VD_EACCES: the device can't read the indirect tables.
 */
int vd_vq_drv_init(struct vd_vq_drv *vq, const struct vd_vq_drv_config *config);

/*
 * Add one buffer: @n_out segments for the device to read, then @n_in for it to write, at least one
 * together. It stays the caller's memory, and must stay alone in the device's hands, until it comes
 * back. With more than one segment an indirect table is used if there is one that is long enough.
 * @token is handed back with the buffer; any value. -VD_ENOSPC: no room until buffers come back.
 * -VD_E2BIG: too many segments or bytes (over 2^32) to fit, ever. -VD_EINVAL: no segments, or an
 * empty one. -VD_EFAULT, -VD_EACCES: the device can't reach a segment, or not in that direction.
 * -VD_EPROTO: the queue is broken. On error nothing was added.
 */
int vd_vq_drv_add(struct vd_vq_drv *vq, const struct vd_iov *segments, unsigned n_out,
		  unsigned n_in, void *token);

/* Show everything added so far to the device. */
void vd_vq_drv_publish(struct vd_vq_drv *vq);

/* Does the device want a notification for what was published since this was last asked? Contains a
 * full fence. */
bool vd_vq_drv_need_kick(struct vd_vq_drv *vq);

/* Publish, and say whether to notify. False if nothing was published since that was last asked. */
bool vd_vq_drv_kick(struct vd_vq_drv *vq);

/* The value of a notification for this queue, which is number @index of its device: see
 * vd_notification(). */
uint32_t vd_vq_drv_notification(const struct vd_vq_drv *vq, uint16_t index);

/*
 * Take back the next used buffer. 1: @used is filled. 0: none. -VD_EPROTO: the queue is broken.
 */
int vd_vq_drv_get(struct vd_vq_drv *vq, struct vd_used *used);

/*
 * Ask for a notification when the next buffer is used. Returns true if there are used buffers
 * already, in which case one may not come: get them before waiting. Contains a full fence.
 */
bool vd_vq_drv_enable_cb(struct vd_vq_drv *vq);

/*
 * The same, but only when most (three quarters) of what is outstanding has been used: for queues
 * whose buffers nobody waits for one by one. Without EVENT_IDX the device can't be told, and this
 * is vd_vq_drv_enable_cb().
 */
bool vd_vq_drv_enable_cb_delayed(struct vd_vq_drv *vq);

/* Tell the device that notifications are not needed. A hint: they may still come. */
void vd_vq_drv_disable_cb(struct vd_vq_drv *vq);

/* Would vd_vq_drv_get() find something (a buffer, or a fault)? Takes nothing. */
bool vd_vq_drv_ready(struct vd_vq_drv *vq);

/*
 * Take back a buffer that the device has not used. Only when the device can't reach the queue any
 * more: after a reset of the device or of this queue. 1: *@token is set. 0: none is left.
 */
int vd_vq_drv_detach(struct vd_vq_drv *vq, void **token);

/* Break the queue from outside, as if its device had been caught at @fault. The first fault stays.
 */
void vd_vq_drv_break(struct vd_vq_drv *vq, const struct vd_fault *fault);

static inline bool vd_vq_drv_is_broken(const struct vd_vq_drv *vq)
{
	return vq->fault.code != VD_FAULT_NONE;
}

/* Why the queue is broken; code VD_FAULT_NONE if it is not. */
static inline const struct vd_fault *vd_vq_drv_fault(const struct vd_vq_drv *vq)
{
	return &vq->fault;
}

/* How many buffers of one segment could be added now. */
static inline uint16_t vd_vq_drv_num_free(const struct vd_vq_drv *vq)
{
	return vq->num_free;
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_VQ_DRV_H */
