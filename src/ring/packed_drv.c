/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver end of a packed ring. VIRTIO 1.4, 2.8. Barriers E to H are explained in packed_dev.c;
 * their other halves are marked here. Buffer ids are ours to choose: they rotate, so that ids, like
 * slots, come back in the order they went out.
 */
#include "ring/drv.h"
#include "ring/packed.h"

#include <string.h>

static struct vd_packed_desc *slots(const struct vd_vq_drv *vq)
{
	return vq->ring.desc;
}

static uint16_t *links(const struct vd_vq_drv *vq)
{
	return vq->link;
}

/* In order: the id of the buffer whose first descriptor is in a slot. */
static uint16_t *ids(const struct vd_vq_drv *vq)
{
	return vq->order;
}

/* ---- add ---- */

/* All of a descriptor but its flags. */
static void encode(struct vd_packed_desc *desc, uint64_t addr, uint32_t len, uint16_t id, bool swap)
{
	vd_store64(&desc->addr, addr, swap);
	vd_store32(&desc->len, len, swap);
	vd_store16(&desc->id, id, swap);
}

/*
 * Write one descriptor of the ring. The device looks at the flags of the next one only, so the very
 * first since the last publication keeps its flags back until the rest is written (2.8.14).
 */
static inline void put_desc(struct vd_vq_drv *vq, uint16_t at, uint64_t addr, uint32_t len,
			    uint16_t id, uint16_t flags)
{
	struct vd_packed_desc *desc = &slots(vq)[vd_packed_slot(at)];

	flags |= vd_packed_avail_flags(at);
	encode(desc, addr, len, id, vq->swap);
	if (at == vq->avail && vq->first_slot == UINT16_MAX)
		vq->first_flags = flags;
	else
		vd_store16(&desc->flags, flags, vq->swap);
}

static void put_direct(struct vd_vq_drv *vq, const struct vd_request *request, uint16_t id)
{
	uint16_t at = vq->avail;

	for (unsigned n = 0; n < request->count; n++) {
		put_desc(vq, at, vd_request_addr(vq, request, n), vd_request_len(request, n), id,
			 vd_request_flags(request, n));
		at = vd_packed_forward(at, 1, vq->size);
	}
}

static void put_indirect(struct vd_vq_drv *vq, const struct vd_request *request, uint16_t id)
{
	struct vd_packed_desc *entries = vd_table(vq, id);

	for (unsigned n = 0; n < request->count; n++) {
		encode(&entries[n], vd_request_addr(vq, request, n), vd_request_len(request, n), 0,
		       vq->swap);
		vd_store16(&entries[n].flags, vd_request_flags(request, n) & VD_DESC_WRITE,
			   vq->swap);
	}
	put_desc(vq, vq->avail, vd_table_addr(vq, id), request->count * VD_DESC_SIZE, id,
		 VD_DESC_INDIRECT);
}

/* The buffer @id of @count descriptors lies at vq->avail: step behind it. */
static inline void offer(struct vd_vq_drv *vq, uint16_t id, uint16_t count)
{
	if (vq->first_slot == UINT16_MAX)
		vq->first_slot = vd_packed_slot(vq->avail);
	ids(vq)[vd_packed_slot(vq->avail)] = id;
	vq->free_head = links(vq)[id];
	vq->avail = vd_packed_forward(vq->avail, count, vq->size);
	vq->added = (uint16_t)(vq->added + count);
}

static void packed_add(struct vd_vq_drv *vq, const struct vd_request *request)
{
	uint16_t id = vq->free_head;
	uint16_t count = (uint16_t)vd_request_descs(request);

	if (request->indirect)
		put_indirect(vq, request, id);
	else
		put_direct(vq, request, id);
	(void)vd_buf_give(vq, id, request->token, request->in_len, count);
	offer(vq, id, count);
}

static void packed_add_plain(struct vd_vq_drv *vq, const struct vd_plain *plain)
{
	uint16_t id = vq->free_head;

	put_desc(vq, vq->avail, plain->addr, plain->len, id, plain->flags);
	(void)vd_buf_give(vq, id, plain->token, plain->flags ? plain->len : 0, 1);
	offer(vq, id, 1);
}

static void packed_publish(struct vd_vq_drv *vq)
{
	vd_store16_release(&slots(vq)[vq->first_slot].flags, vq->first_flags, vq->swap); /* E */
	vq->first_slot = UINT16_MAX;
}

static bool packed_need_kick(struct vd_vq_drv *vq)
{
	const struct vd_packed_event *device = vq->ring.device;
	uint16_t moved = vq->moved;

	vd_fence(); /* H */
	vq->moved = 0;
	return moved > 0 && vd_packed_wants_notify(vd_packed_load_event(device, vq->swap),
						   vq->event_idx, vq->shown, moved, vq->size);
}

/* ---- get ---- */

static inline void packed_forget(struct vd_vq_drv *vq, uint16_t id)
{
	struct vd_buf *buf = vd_buf(vq, id);

	if (vq->outstanding == vq->size)
		vq->free_head = id;
	else
		links(vq)[vq->free_tail] = id;
	vq->free_tail = id;
	vq->num_free = (uint16_t)(vq->num_free + buf->n_desc);
	vq->outstanding--;
	buf->n_desc = 0;
}

/* Ring slots that the device has: those not published yet are not counted. */
static uint16_t with_device(const struct vd_vq_drv *vq)
{
	return (uint16_t)(vq->size - vq->num_free - vq->added);
}

/* Is the next descriptor used? */
static bool next_flags(struct vd_vq_drv *vq, uint16_t *flags)
{
	*flags = vd_load16_acquire(&slots(vq)[vd_packed_slot(vq->used)].flags, vq->swap); /* F */
	return vd_packed_is_used(*flags, vq->used);
}

/* In order, the used descriptor may stand for a batch that ends with its id (2.8.8): is that one
 * with the device? */
static int open_batch(struct vd_vq_drv *vq, uint16_t id, uint32_t len)
{
	uint16_t at = vq->used;
	uint16_t left = with_device(vq);

	if (id >= vq->size)
		return vd_vq_drv_fail(vq, VD_FAULT_USED_RANGE, id, vq->size, 0);
	while (left > 0) {
		uint16_t next = ids(vq)[vd_packed_slot(at)];
		uint16_t n_desc = vd_buf(vq, next)->n_desc;

		if (next == id) {
			vq->batch_last = id;
			vq->batch_len = len;
			vq->in_batch = true;
			return 0;
		}
		if (n_desc == 0) /* detached */
			break;
		at = vd_packed_forward(at, n_desc, vq->size);
		left = (uint16_t)(left - n_desc);
	}
	return vd_vq_drv_fail(vq, VD_FAULT_USED_IDLE, id, 0, 0);
}

static inline int next_used(struct vd_vq_drv *vq, uint16_t flags, uint16_t *id, uint32_t *len)
{
	const struct vd_packed_desc *desc = &slots(vq)[vd_packed_slot(vq->used)];

	if (!vq->in_batch) {
		*id = vd_load16(&desc->id, vq->swap);
		/* The length means something only if the device says that it wrote (2.8.4). */
		*len = flags & VD_DESC_WRITE ? vd_load32(&desc->len, vq->swap) : 0;
		if (!vq->in_order)
			return 0;
		if (open_batch(vq, *id, *len) != 0)
			return -VD_EPROTO;
	}
	*id = ids(vq)[vd_packed_slot(vq->used)];
	*len = vq->batch_len;
	if (*id == vq->batch_last)
		vq->in_batch = false;
	else
		*len = vd_buf(vq, *id)->in_len; /* skipped ones count as used completely */
	return 0;
}

static int packed_get(struct vd_vq_drv *vq, struct vd_used *used)
{
	uint16_t flags = 0;
	uint16_t id;
	uint32_t len;

	if (with_device(vq) == 0 || (!vq->in_batch && !next_flags(vq, &flags)))
		return 0;
	if (next_used(vq, flags, &id, &len) != 0 || vd_buf_check(vq, id, len, used) != 0)
		return -VD_EPROTO;
	vq->used = vd_packed_forward(vq->used, vd_buf(vq, id)->n_desc, vq->size);
	packed_forget(vq, id);
	return 1;
}

static bool packed_ready(struct vd_vq_drv *vq)
{
	uint16_t flags;

	return with_device(vq) > 0 && (vq->in_batch || next_flags(vq, &flags));
}

/* ---- notifications from the device ---- */

static void packed_enable_cb(struct vd_vq_drv *vq, uint16_t after)
{
	struct vd_packed_event *driver = vq->ring.driver;
	uint32_t word = vd_packed_event(0, VD_EVENT_ENABLE);

	if (vq->event_idx)
		word = vd_packed_event(vd_packed_forward(vq->used, after, vq->size), VD_EVENT_DESC);
	vd_packed_store_event(driver, word, vq->swap);
	vd_fence(); /* G */
}

static void packed_disable_cb(struct vd_vq_drv *vq)
{
	struct vd_packed_event *driver = vq->ring.driver;

	vd_packed_store_event(driver, vd_packed_event(0, VD_EVENT_DISABLE), vq->swap);
}

/* ---- set-up ---- */

static size_t packed_state_size(uint32_t size)
{
	return (sizeof(struct vd_buf) + 2 * sizeof(uint16_t)) * size;
}

static void packed_init(struct vd_vq_drv *vq, void *state)
{
	struct vd_buf *buf = state;
	uint16_t *link = (uint16_t *)(buf + vq->size);

	vq->buf = buf;
	vq->link = link;
	vq->order = link + vq->size;
	for (uint32_t i = 0; i < vq->size; i++)
		link[i] = (uint16_t)(i + 1);
	vq->free_tail = (uint16_t)(vq->size - 1);
	vq->avail = VD_WRAP_BIT;
	vq->shown = VD_WRAP_BIT;
	vq->used = VD_WRAP_BIT;
	vq->first_slot = UINT16_MAX;
}

const struct vd_vq_drv_ops vd_packed_drv = {
	.layout = VD_RING_PACKED,
	.state_size = packed_state_size,
	.init = packed_init,
	.add = packed_add,
	.add_plain = packed_add_plain,
	.publish = packed_publish,
	.need_kick = packed_need_kick,
	.get = packed_get,
	.enable_cb = packed_enable_cb,
	.disable_cb = packed_disable_cb,
	.ready = packed_ready,
	.with_device = with_device,
	.forget = packed_forget,
};
