/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two layouts of the device end share. */
#ifndef VD_RING_DEV_H
#define VD_RING_DEV_H

#include "mem/lookup.h"
#include "ring/journal.h"
#include "ring/wire.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_dev.h"

/* One row for each layout; the generic entry points in vq_dev.c have checked that the queue is not
 * broken. */
struct vd_vq_dev_ops {
	enum vd_ring_layout layout;
	size_t (*state_size)(uint32_t size, bool in_order);
	int (*init)(struct vd_vq_dev *vq, const struct vd_vq_dev_config *config);
	int (*pop_many)(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count);
	int (*unpop)(struct vd_vq_dev *vq, const struct vd_chain *chain);
	int (*push)(struct vd_vq_dev *vq, const struct vd_chain *chain, uint32_t written);
	void (*publish)(struct vd_vq_dev *vq);
	bool (*need_notify)(struct vd_vq_dev *vq);
	void (*enable_notify)(struct vd_vq_dev *vq);
	void (*disable_notify)(struct vd_vq_dev *vq);
	bool (*ready)(struct vd_vq_dev *vq);
};

/* Break the queue and return the error that every later call returns. The one place that sets
 * vq->fault. */
int vd_vq_dev_fail(struct vd_vq_dev *vq, enum vd_fault_code code, uint64_t a, uint64_t b,
		   uint64_t c);

/* ---- collecting the segments of one buffer ---- */

struct vd_walk {
	struct vd_vq_dev *vq;
	struct vd_chain *chain;
	uint64_t bytes;
	uint16_t n_iov;
	bool writable; /* a device-writable segment was seen: only such may follow */
	bool too_big;  /* the caller's iov is full: go on checking, stop collecting */
};

void vd_walk_begin(struct vd_walk *walk, struct vd_vq_dev *vq, struct vd_chain *chain);

/* Check and collect the bytes of descriptor number @index (for the message). 0 or -VD_EPROTO. */
int vd_walk_segment(struct vd_walk *walk, const struct vd_desc *desc, uint16_t index);

/* All descriptors seen. 1, or -VD_E2BIG if the segments did not fit. */
int vd_walk_end(struct vd_walk *walk);

/*
 * Check that @desc, which has INDIRECT set, may refer to a table, and count the table's entries.
 * 0 or -VD_EPROTO.
 */
int vd_walk_table(struct vd_vq_dev *vq, const struct vd_desc *desc, uint16_t index,
		  uint32_t *entries);

/* Copy the 16 bytes of entry @index of the indirect table at @table. 0 or -VD_EPROTO. */
int vd_walk_table_entry(struct vd_vq_dev *vq, uint64_t table, uint32_t index, void *raw);

/*
 * The common buffer: one descriptor, all of it in the window that held the last one. Returns false
 * for any other, which then takes the long way; nothing is decided here that is not checked there.
 */
static inline bool vd_walk_plain(struct vd_vq_dev *vq, const struct vd_desc *desc,
				 struct vd_chain *chain)
{
	bool write = desc->flags & VD_DESC_WRITE;
	const struct vd_window *window = &vq->mem->window[vq->hint];
	uint64_t offset;

	if (vd_unlikely(desc->flags & (VD_DESC_NEXT | VD_DESC_INDIRECT)) || desc->len == 0 ||
	    chain->iov_max == 0 || vq->hint >= vq->mem->count)
		return false;
	offset = desc->addr - window->peer;
	if (vd_unlikely(offset >= window->size || desc->len > window->size - offset ||
			(window->rights & (write ? VD_MEM_WRITE : VD_MEM_READ)) == 0))
		return false;
	chain->iov[0].base = (unsigned char *)window->local + (size_t)offset;
	chain->iov[0].len = desc->len;
	chain->n_out = !write;
	chain->n_in = write;
	chain->out_len = write ? 0 : desc->len;
	chain->in_len = write ? desc->len : 0;
	return true;
}

/* ---- giving buffers back in the order they were popped ---- */

/* A popped buffer, in the order of popping. */
struct vd_order {
	uint32_t written;
	uint16_t id;
	uint16_t n_desc;
	uint16_t entry;
	bool done;  /* pushed */
	bool whole; /* used completely, so that a batch may skip over it (VIRTIO 1.4, 2.7.5
		       and 2.8.5) */
};

void vd_order_pop(struct vd_vq_dev *vq, const struct vd_chain *chain);

/* Is @chain one that was popped and not pushed? */
bool vd_order_holds(const struct vd_vq_dev *vq, const struct vd_chain *chain);
int vd_order_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint32_t written);

/*
 * Retire the oldest buffers that are done, as many as one used entry can stand for: all but the
 * last of them used completely. @batch is that last one. Returns how many buffers, and how many
 * descriptors in @slots; 0 if none is done.
 */
uint16_t vd_order_retire(struct vd_vq_dev *vq, struct vd_order *batch, uint16_t *slots);

/* ---- small things both layouts do alike ---- */

static inline void vd_vq_dev_popped(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	chain->seq = vq->seq++;
	if (vq->in_order)
		vd_order_pop(vq, chain);
}

/* @n entries were used. */
static inline void vd_vq_dev_used(struct vd_vq_dev *vq, uint16_t n)
{
	vq->pushed = (uint16_t)(vq->pushed + n);
	vq->unpublished = true;
}

typedef int vd_pop_fn(struct vd_vq_dev *vq, struct vd_chain *chain);

/* Pop what a predecessor had popped, if any is left; @again finds the buffer from chain->entry. As
 * vd_vq_dev_pop(). */
int vd_pop_replay(struct vd_vq_dev *vq, struct vd_chain *chain, vd_pop_fn *again);

static inline int vd_pop_one(struct vd_vq_dev *vq, struct vd_chain *chain, vd_pop_fn *fresh,
			     vd_pop_fn *again)
{
	if (__builtin_expect(vq->replaying, false)) {
		int got = vd_pop_replay(vq, chain, again);

		if (got != 0)
			return got;
	}
	return fresh(vq, chain);
}

/* The loop behind both layouts' pop_many. Inline, so that each gets a copy with its own functions
 * inside. */
static inline int vd_pop_many(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count,
			      vd_pop_fn *fresh, vd_pop_fn *again)
{
	for (unsigned n = 0; n < count; n++) {
		int got = vd_pop_one(vq, &chains[n], fresh, again);

		if (got == 1)
			continue;
		if (n == 0)
			return got;
		/* The batch ends here; what ended it is for the next call. */
		if (got == -VD_E2BIG)
			(void)vd_vq_dev_unpop(vq, &chains[n]);
		return (int)n;
	}
	return (int)count;
}

#endif /* VD_RING_DEV_H */
