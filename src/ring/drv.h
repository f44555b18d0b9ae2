/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two layouts of the driver end share. */
#ifndef VD_RING_DRV_H
#define VD_RING_DRV_H

#include "mem/lookup.h"
#include "ring/wire.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_drv.h"

/* The common buffer: one segment, checked. */
struct vd_plain {
	void *token;
	uint64_t addr; /* peer address */
	uint32_t len;
	uint16_t flags; /* VD_DESC_WRITE or 0 */
};

/* A buffer to be added: checked whole, so that writing it can't fail half-way. */
struct vd_request {
	const struct vd_iov *segments;
	unsigned n_out;
	unsigned count;      /* segments in all */
	uint64_t in_len;     /* bytes the device may write */
	uint64_t first_addr; /* peer address of the first segment */
	void *token;
	bool indirect; /* goes into the table of its head or id */
};

/* One row for each layout; the generic entry points in vq_drv.c have checked that the queue is not
 * broken. */
struct vd_vq_drv_ops {
	enum vd_ring_layout layout;
	size_t (*state_size)(uint32_t size);
	void (*init)(struct vd_vq_drv *vq, void *state);
	void (*add)(struct vd_vq_drv *vq, const struct vd_request *request);
	void (*add_plain)(struct vd_vq_drv *vq, const struct vd_plain *plain);
	void (*publish)(struct vd_vq_drv *vq);
	bool (*need_kick)(struct vd_vq_drv *vq);
	int (*get)(struct vd_vq_drv *vq, struct vd_used *used);
	void (*enable_cb)(struct vd_vq_drv *vq, uint16_t after);
	void (*disable_cb)(struct vd_vq_drv *vq);
	bool (*ready)(struct vd_vq_drv *vq);
	uint16_t (*with_device)(const struct vd_vq_drv *vq);
	void (*forget)(struct vd_vq_drv *vq, uint16_t id);
};

/* A buffer that is with the device, by its head descriptor (split) or buffer id (packed). */
struct vd_buf {
	void *token;
	uint32_t in_len; /* bytes the device may write; one too few for a buffer of 2^32 */
	uint16_t n_desc; /* descriptors (split) or ring slots (packed) it takes; 0: not with the
			    device */
	uint16_t last;   /* split: the last descriptor of its chain */
};

/* Break the queue and return the error that every later call returns. The one place that sets
 * vq->fault. */
int vd_vq_drv_fail(struct vd_vq_drv *vq, enum vd_fault_code code, uint64_t a, uint64_t b,
		   uint64_t c);

static inline struct vd_buf *vd_buf(const struct vd_vq_drv *vq, uint16_t id)
{
	return (struct vd_buf *)vq->buf + id;
}

/* Descriptors the request takes in the ring itself. */
static inline unsigned vd_request_descs(const struct vd_request *request)
{
	return request->indirect ? 1 : request->count;
}

/* The peer address of segment number @n. */
static inline uint64_t vd_request_addr(struct vd_vq_drv *vq, const struct vd_request *request,
				       unsigned n)
{
	const struct vd_iov *segment = &request->segments[n];
	uint64_t addr = request->first_addr;

	if (n > 0)
		(void)vd_mem_peer_hint(vq->mem, segment->base, segment->len,
				       n < request->n_out ? VD_MEM_READ : VD_MEM_WRITE, &addr,
				       &vq->hint);
	return addr;
}

/* The flags of the descriptor for segment number @n. */
static inline uint16_t vd_request_flags(const struct vd_request *request, unsigned n)
{
	return (uint16_t)((n < request->n_out ? 0 : VD_DESC_WRITE) |
			  (n + 1 < request->count ? VD_DESC_NEXT : 0));
}

static inline uint32_t vd_request_len(const struct vd_request *request, unsigned n)
{
	return (uint32_t)request->segments[n].len;
}

static inline void *vd_table(const struct vd_vq_drv *vq, uint16_t id)
{
	return vq->tables + (size_t)id * vq->table_entries * VD_DESC_SIZE;
}

static inline uint64_t vd_table_addr(const struct vd_vq_drv *vq, uint16_t id)
{
	return vq->tables_peer + (uint64_t)id * vq->table_entries * VD_DESC_SIZE;
}

/* The buffer @id is with the device from now on. */
static inline struct vd_buf *vd_buf_give(struct vd_vq_drv *vq, uint16_t id, void *token,
					 uint64_t in_len, uint16_t n_desc)
{
	struct vd_buf *buf = vd_buf(vq, id);

	buf->token = token;
	buf->in_len = in_len > UINT32_MAX ? UINT32_MAX : (uint32_t)in_len;
	buf->n_desc = n_desc;
	vq->num_free = (uint16_t)(vq->num_free - n_desc);
	vq->outstanding++;
	return buf;
}

/* The device wrote more than there is room for, it says. Break the queue, or put *@len right. */
int vd_buf_bad_len(struct vd_vq_drv *vq, uint32_t id, uint32_t *len);

/*
 * The device says that it used @id and wrote @len bytes. Check that it can be, and fill @used.
 * 0 or -VD_EPROTO.
 */
static inline int vd_buf_check(struct vd_vq_drv *vq, uint32_t id, uint32_t len,
			       struct vd_used *used)
{
	const struct vd_buf *buf;

	if (vd_unlikely(id >= vq->size))
		return vd_vq_drv_fail(vq, VD_FAULT_USED_RANGE, id, vq->size, 0);
	buf = vd_buf(vq, (uint16_t)id);
	if (vd_unlikely(buf->n_desc == 0))
		return vd_vq_drv_fail(vq, VD_FAULT_USED_IDLE, id, 0, 0);
	if (vd_unlikely(len > buf->in_len) && vd_buf_bad_len(vq, id, &len) != 0)
		return -VD_EPROTO;
	used->token = buf->token;
	used->len = len;
	return 0;
}

#endif /* VD_RING_DRV_H */
