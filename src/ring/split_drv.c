/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver end of a split ring. VIRTIO 1.4, 2.7. Barriers A to D are explained in split_dev.c;
 * their other halves are marked here.
 *
 * Free descriptors form a list that is taken from at its head and given back to at its tail, so in
 * a steady stream the queue rotates: slot, descriptor and buffer meet again each lap, most of what
 * would be written is there already, and only cache lines that carry news travel. It also is the
 * order that IN_ORDER demands (2.7.5.2).
 */
#include "ring/drv.h"
#include "ring/event.h"

#include <string.h>

/* A descriptor in two words: putting it together in registers and comparing it so is a good deal
 * faster than field by field. */
struct shadow {
	uint64_t addr;
	uint64_t rest; /* len, flags << 32, next << 48 */
};

static inline struct shadow make_desc(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct shadow){
		.addr = addr,
		.rest = len | (uint64_t)flags << 32 | (uint64_t)next << 48,
	};
}

static struct vd_split_desc *table(const struct vd_vq_drv *vq)
{
	return vq->ring.desc;
}

static struct vd_split_avail *avail(const struct vd_vq_drv *vq)
{
	return vq->ring.driver;
}

static struct vd_split_used *used_ring(const struct vd_vq_drv *vq)
{
	return vq->ring.device;
}

static uint16_t *links(const struct vd_vq_drv *vq)
{
	return vq->link;
}

/* The heads in the available ring, slot by slot: our copy of it. */
static uint16_t *heads(const struct vd_vq_drv *vq)
{
	return vq->order;
}

static uint16_t slot_of(const struct vd_vq_drv *vq, uint16_t index)
{
	return index & (vq->size - 1);
}

/* ---- add ---- */

static inline void encode(struct vd_split_desc *desc, struct shadow value, bool swap)
{
	vd_store64(&desc->addr, value.addr, swap);
	vd_store32(&desc->len, (uint32_t)value.rest, swap);
	vd_store16(&desc->flags, (uint16_t)(value.rest >> 32), swap);
	vd_store16(&desc->next, (uint16_t)(value.rest >> 48), swap);
}

static inline void put_desc(struct vd_vq_drv *vq, uint16_t index, struct shadow value)
{
	struct shadow *shadow = (struct shadow *)vq->shadow + index;

	if (shadow->addr == value.addr && shadow->rest == value.rest)
		return;
	*shadow = value;
	encode(&table(vq)[index], value, vq->swap);
}

/* `next` means nothing without NEXT; 0 there keeps equal descriptors equal. */
static struct shadow segment(struct vd_vq_drv *vq, const struct vd_request *request, unsigned n,
			     uint16_t next)
{
	return make_desc(vd_request_addr(vq, request, n), vd_request_len(request, n),
			 vd_request_flags(request, n), n + 1 < request->count ? next : 0);
}

/* The chain goes into the table from @head on. Returns its last descriptor. */
static uint16_t put_direct(struct vd_vq_drv *vq, const struct vd_request *request, uint16_t head)
{
	uint16_t at = head;

	for (unsigned n = 0;; n++) {
		put_desc(vq, at, segment(vq, request, n, links(vq)[at]));
		if (n + 1 == request->count)
			return at;
		at = links(vq)[at];
	}
}

/* The chain goes into the indirect table of @head, one after another as IN_ORDER wants it. */
static void put_indirect(struct vd_vq_drv *vq, const struct vd_request *request, uint16_t head)
{
	struct vd_split_desc *entries = vd_table(vq, head);

	for (unsigned n = 0; n < request->count; n++)
		encode(&entries[n], segment(vq, request, n, (uint16_t)(n + 1)), vq->swap);
	put_desc(vq, head,
		 make_desc(vd_table_addr(vq, head), request->count * VD_DESC_SIZE, VD_DESC_INDIRECT,
			   0));
}

/* The buffer at @head is next in the available ring. */
static inline void offer(struct vd_vq_drv *vq, uint16_t head)
{
	uint16_t slot = slot_of(vq, vq->avail);

	if (heads(vq)[slot] != head) {
		heads(vq)[slot] = head;
		vd_store16(&avail(vq)->ring[slot], head, vq->swap);
	}
	vq->avail++;
	vq->added++;
}

static void split_add(struct vd_vq_drv *vq, const struct vd_request *request)
{
	uint16_t head = vq->free_head;
	uint16_t last = head;
	struct vd_buf *buf;

	if (request->indirect)
		put_indirect(vq, request, head);
	else
		last = put_direct(vq, request, head);
	vq->free_head = links(vq)[last];
	buf = vd_buf_give(vq, head, request->token, request->in_len,
			  (uint16_t)vd_request_descs(request));
	buf->last = last;
	offer(vq, head);
}

static void split_add_plain(struct vd_vq_drv *vq, const struct vd_plain *plain)
{
	uint16_t head = vq->free_head;
	struct vd_buf *buf;

	put_desc(vq, head, make_desc(plain->addr, plain->len, plain->flags, 0));
	vq->free_head = links(vq)[head];
	buf = vd_buf_give(vq, head, plain->token, plain->flags ? plain->len : 0, 1);
	buf->last = head;
	offer(vq, head);
}

static void split_publish(struct vd_vq_drv *vq)
{
	vd_store16_release(&avail(vq)->idx, vq->avail, vq->swap); /* A */
}

static bool split_need_kick(struct vd_vq_drv *vq)
{
	uint16_t moved = vq->moved;

	vd_fence(); /* D */
	vq->moved = 0;
	if (moved == 0)
		return false;
	if (vq->event_idx) {
		uint16_t event = vd_load16(vd_split_avail_event(used_ring(vq), vq->size), vq->swap);

		return vd_event_passed(event, vq->shown, (uint16_t)(vq->shown - moved));
	}
	return !(vd_load16(&used_ring(vq)->flags, vq->swap) & VD_USED_NO_NOTIFY);
}

/* ---- get ---- */

/* The descriptors of @head go back behind the last free one. */
static inline void split_forget(struct vd_vq_drv *vq, uint16_t head)
{
	struct vd_buf *buf = vd_buf(vq, head);

	if (vq->num_free == 0)
		vq->free_head = head;
	else
		links(vq)[vq->free_tail] = head;
	vq->free_tail = buf->last;
	vq->num_free = (uint16_t)(vq->num_free + buf->n_desc);
	vq->outstanding--;
	buf->n_desc = 0;
}

/* Buffers that the device has: those not published yet are not counted. */
static uint16_t with_device(const struct vd_vq_drv *vq)
{
	return (uint16_t)(vq->outstanding - vq->added);
}

/* Look how far the device has come. Returns whether there is something new, or an error. */
static int refresh(struct vd_vq_drv *vq)
{
	uint16_t idx = vd_load16_acquire(&used_ring(vq)->idx, vq->swap); /* B */
	uint16_t ahead = (uint16_t)(idx - vq->used);

	if (ahead > with_device(vq))
		return vd_vq_drv_fail(vq, VD_FAULT_USED_JUMP, vq->used_seen, idx, with_device(vq));
	vq->used_seen = idx;
	return ahead > 0;
}

/*
 * In order, one element may stand for a batch that ends with its id, in the slot of the batch's
 * first buffer (2.7.9): find out how long it is, and that it lies within what the device has
 * published.
 */
static int open_batch(struct vd_vq_drv *vq, uint32_t id, uint32_t len)
{
	uint16_t ahead = (uint16_t)(vq->used_seen - vq->used);

	if (id >= vq->size)
		return vd_vq_drv_fail(vq, VD_FAULT_USED_RANGE, id, vq->size, 0);
	for (uint16_t n = 0; n < ahead; n++) {
		if (heads(vq)[slot_of(vq, (uint16_t)(vq->used + n))] == id) {
			vq->batch_last = (uint16_t)id;
			vq->batch_len = len;
			vq->in_batch = true;
			return 0;
		}
	}
	return vd_vq_drv_fail(vq, VD_FAULT_USED_IDLE, id, 0, 0);
}

/* What the next used buffer is: from the ring, or the next of an open batch. */
static inline int next_used(struct vd_vq_drv *vq, uint32_t *id, uint32_t *len)
{
	const struct vd_split_used_elem *elem = &used_ring(vq)->ring[slot_of(vq, vq->used)];

	if (!vq->in_batch) {
		*id = vd_load32(&elem->id, vq->swap);
		*len = vd_load32(&elem->len, vq->swap);
		if (!vq->in_order)
			return 0;
		if (open_batch(vq, *id, *len) != 0)
			return -VD_EPROTO;
	}
	*id = heads(vq)[slot_of(vq, vq->used)];
	*len = vq->batch_len;
	if (*id == vq->batch_last)
		vq->in_batch = false;
	else
		*len = vd_buf(vq, (uint16_t)*id)
			       ->in_len; /* skipped ones count as used completely */
	return 0;
}

static int split_get(struct vd_vq_drv *vq, struct vd_used *used)
{
	uint32_t id;
	uint32_t len;

	if (vq->used == vq->used_seen) {
		int got = refresh(vq);

		if (got <= 0)
			return got;
	}
	if (next_used(vq, &id, &len) != 0 || vd_buf_check(vq, id, len, used) != 0)
		return -VD_EPROTO;
	split_forget(vq, (uint16_t)id);
	vq->used++;
	return 1;
}

static bool split_ready(struct vd_vq_drv *vq)
{
	return vq->used != vq->used_seen || refresh(vq) != 0;
}

/* ---- notifications from the device ---- */

static void split_enable_cb(struct vd_vq_drv *vq, uint16_t after)
{
	if (vq->event_idx)
		vd_store16(vd_split_used_event(avail(vq), vq->size), (uint16_t)(vq->used + after),
			   vq->swap);
	else
		vd_store16(&avail(vq)->flags, 0, vq->swap);
	vd_fence(); /* C */
}

static void split_disable_cb(struct vd_vq_drv *vq)
{
	/* With EVENT_IDX the flags stay 0 (2.7.7.1); an event index that is left behind asks for
	 * nothing. */
	if (!vq->event_idx)
		vd_store16(&avail(vq)->flags, VD_AVAIL_NO_INTERRUPT, vq->swap);
}

/* ---- set-up ---- */

static size_t split_state_size(uint32_t size)
{
	return (sizeof(struct shadow) + sizeof(struct vd_buf) + 2 * sizeof(uint16_t)) * size;
}

static void split_init(struct vd_vq_drv *vq, void *state)
{
	struct shadow *shadow = state;
	struct vd_buf *buf = (struct vd_buf *)(shadow + vq->size);
	uint16_t *link = (uint16_t *)(buf + vq->size);

	vq->shadow = shadow;
	vq->buf = buf;
	vq->link = link;
	vq->order = link + vq->size;
	for (uint32_t i = 0; i < vq->size; i++)
		link[i] = (uint16_t)(i + 1);
	vq->free_tail = (uint16_t)(vq->size - 1);
}

const struct vd_vq_drv_ops vd_split_drv = {
	.layout = VD_RING_SPLIT,
	.state_size = split_state_size,
	.init = split_init,
	.add = split_add,
	.add_plain = split_add_plain,
	.publish = split_publish,
	.need_kick = split_need_kick,
	.get = split_get,
	.enable_cb = split_enable_cb,
	.disable_cb = split_disable_cb,
	.ready = split_ready,
	.with_device = with_device,
	.forget = split_forget,
};
