/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device end of a virtqueue: pop buffers that the driver made available, push them back used.
 *
 *     while (vd_vq_dev_pop(vq, &chain) == 1) {
 *             written = serve(&chain);
 *             vd_vq_dev_push(vq, &chain, written);
 *     }
 *     if (vd_vq_dev_flush(vq))
 *             notify the driver;
 *
 * Nothing is shown to the driver before vd_vq_dev_publish(), so any number of pushes cost one index
 * update and at most one notification. Everything the driver wrote is read once, checked, and used
 * from a private copy. When it broke a rule the queue is broken: every call says -VD_EPROTO until
 * vd_vq_dev_init() is called again, and vd_vq_dev_fault() says why.
 *
 * Context: no call blocks, allocates or locks, and any may be made from an interrupt; but two calls
 * on the same queue must not overlap. Different queues are independent.
 */
#ifndef VIADUCT_VQ_DEV_H
#define VIADUCT_VQ_DEV_H

#include "viaduct/fault.h"
#include "viaduct/iov.h"
#include "viaduct/mem.h"
#include "viaduct/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One buffer, popped. The caller sets iov and iov_max, and keeps the whole struct until it pushes
 * or unpops it. Segments point into memory the driver can write at any time: copy what you check.
 */
struct vd_chain {
	struct vd_iov *iov; /* the caller's room for segments: device-readable ones first, then the
			       writable */
	uint16_t iov_max;   /* how many fit; a descriptor that crosses windows takes one for each */

	uint16_t n_out;   /* device-readable segments, iov[0 .. n_out - 1] */
	uint16_t n_in;    /* device-writable segments, iov[n_out .. n_out + n_in - 1] */
	uint64_t out_len; /* bytes in the readable ones */
	uint64_t in_len;  /* bytes in the writable ones */

	uint16_t id;     /* the driver's name for the buffer: head descriptor (split) or buffer id
			    (packed) */
	uint16_t n_desc; /* private: ring slots the buffer takes */
	uint16_t seq;    /* private: its place in the order of popping */
	uint16_t entry;  /* private: its entry in the journal */
	bool replayed;   /* private: it came from the journal, not from the ring */
};

struct vd_vq_dev;
struct vd_vq_dev_ops;
struct vd_journal;

/* The two layouts. An image that only names one of them is not linked with the other. */
extern const struct vd_vq_dev_ops vd_split_dev;
extern const struct vd_vq_dev_ops vd_packed_dev;

struct vd_vq_dev_config {
	const struct vd_vq_dev_ops *layout; /* &vd_split_dev or &vd_packed_dev */
	uint16_t size;                      /* entries */
	uint64_t features; /* negotiated: INDIRECT_DESC, EVENT_IDX and IN_ORDER matter here */
	bool big_endian;   /* byte order of the ring; true only for a legacy big-endian driver */
	struct vd_ring_mem ring;  /* local pointers, aligned as vd_ring_parts() says */
	const struct vd_mem *mem; /* where buffer addresses lead; outlives the queue */
	void *state;              /* private memory, vd_vq_dev_state_size() bytes, aligned to 8 */
	size_t state_size;        /* how many there are */
	struct vd_ring_position
		position; /* where to begin: vd_ring_start(), or where the queue stopped */
	struct vd_journal
		*journal; /* survives this process (vhost-user in-flight tracking), or NULL */
};

/* Private. Members are written by the owner of the queue alone; nothing here is visible to the
 * driver. */
struct vd_vq_dev {
	const struct vd_vq_dev_ops *ops;
	const struct vd_mem *mem;
	struct vd_ring_mem ring;
	struct vd_journal *journal;

	uint16_t size;
	bool swap;
	bool event_idx;
	bool indirect;
	bool in_order;

	uint16_t avail; /* next buffer to pop; split: free-running, packed: slot, wrap in bit 15 */
	uint16_t avail_seen;  /* split: available index as last loaded */
	uint16_t used;        /* next used entry to write; same forms as avail */
	uint16_t shown;       /* `used` as of the last publication */
	uint16_t pushed;      /* entries `used` passed since then */
	uint16_t moved;       /* entries `shown` passed since the last decision to notify */
	uint16_t outstanding; /* popped here and not yet shown as used; split: buffers, packed: ring
				 slots */
	uint16_t seq;         /* buffers popped so far */
	uint16_t order_seq;   /* in order: seq of the oldest buffer not given back, ... */
	uint16_t order_slot;  /* ... and its place in `order` */
	bool unpublished;     /* pushes wait for vd_vq_dev_publish() */
	bool replaying;       /* the journal still has buffers to hand out again */
	uint16_t first_slot;  /* packed: the descriptor whose flags publish the batch, ... */
	uint16_t first_flags; /* ... and those flags */
	uint32_t hint;        /* the window that held the last buffer */

	void *shadow; /* split: used elements as they lie in the ring, to skip rewriting equal ones
		       */
	void *order;  /* in order: a record for each popped buffer, oldest first from order_slot on
		       */
	void *busy;   /* split: for each descriptor, whether it heads a popped buffer */

	struct vd_fault fault;
};

/* Private memory a queue needs. 0 for an impossible size. */
size_t vd_vq_dev_state_size(const struct vd_vq_dev_ops *layout, uint32_t size, uint64_t features);

/*
 * Set up @vq, anew or again. The ring itself is not written until the first push or notification
 * setting. -VD_EINVAL: a size or alignment that does not fit the layout, too little state, or a
 * position that can't be.
 */
int vd_vq_dev_init(struct vd_vq_dev *vq, const struct vd_vq_dev_config *config);

/*
 * Take the next buffer.
 * 1: @chain is filled. 0: nothing is available. -VD_E2BIG: there was one, with more segments than
 * chain->iov_max; it is popped, out_len and in_len say how big it is, n_out and n_in are 0, and the
 * caller pushes it back with nothing written. -VD_EPROTO: the queue is broken.
 */
int vd_vq_dev_pop(struct vd_vq_dev *vq, struct vd_chain *chain);

/*
 * Take up to @count buffers into chains[0 ..]. Returns how many were taken, 0 if none is available,
 * and an error of vd_vq_dev_pop() only if it struck the first; a later one ends the batch and shows
 * at the next call. A buffer that is too big for its chain is thus always alone.
 */
int vd_vq_dev_pop_many(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count);

/* Put the buffer popped last back as if it had not been popped. -VD_EINVAL: it is not that one. */
int vd_vq_dev_unpop(struct vd_vq_dev *vq, const struct vd_chain *chain);

/*
 * Give a popped buffer back, with @written bytes written from its first writable byte on. With
 * IN_ORDER buffers may be pushed in any order; the driver sees them in the order they were popped.
 * -VD_EINVAL: more written than the buffer holds, or it is not a popped buffer. -VD_EPROTO: the
 * queue is broken.
 */
int vd_vq_dev_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint64_t written);

/* Show everything pushed so far to the driver. */
void vd_vq_dev_publish(struct vd_vq_dev *vq);

/* Does the driver want a notification for what was published since this was last asked? Contains a
 * full fence. */
bool vd_vq_dev_need_notify(struct vd_vq_dev *vq);

/* Publish, and say whether to notify. False if nothing was published since that was last asked. */
bool vd_vq_dev_flush(struct vd_vq_dev *vq);

/*
 * Ask the driver to notify when it makes the next buffer available. Returns true if buffers are
 * available already, in which case a notification may not come: process them before waiting.
 * Contains a full fence.
 */
bool vd_vq_dev_enable_notify(struct vd_vq_dev *vq);

/* Tell the driver that notifications are not needed. A hint: they may still come. */
void vd_vq_dev_disable_notify(struct vd_vq_dev *vq);

/* Would vd_vq_dev_pop() find something (a buffer, or a fault)? Takes nothing. */
bool vd_vq_dev_ready(struct vd_vq_dev *vq);

/* Where the queue stands, buffers popped and not pushed counting as popped. */
struct vd_ring_position vd_vq_dev_position(const struct vd_vq_dev *vq);

/* Break the queue from outside, as if its driver had been caught at @fault. The first fault stays.
 */
void vd_vq_dev_break(struct vd_vq_dev *vq, const struct vd_fault *fault);

static inline bool vd_vq_dev_is_broken(const struct vd_vq_dev *vq)
{
	return vq->fault.code != VD_FAULT_NONE;
}

/* Why the queue is broken; code VD_FAULT_NONE if it is not. */
static inline const struct vd_fault *vd_vq_dev_fault(const struct vd_vq_dev *vq)
{
	return &vq->fault;
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_VQ_DEV_H */
