/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device end of a split ring. VIRTIO 1.4, 2.7.
 *
 * Barriers, named on both sides:
 *   A  load of avail.idx (here) pairs with the driver's publication of it: without it we could read
 * a ring entry or a descriptor from before. B  publication of used.idx (here) pairs with the
 * driver's load of it: without it the driver could read a used element or data from before. C fence
 * between publishing used.idx and reading what the driver wants (here) pairs with the driver's
 * fence between asking for notifications and looking once more: without both, we see "not wanted"
 * and it sees "nothing new". D  the same the other way: our fence between asking for notifications
 * and looking at avail.idx once more.
 */
#include "ring/dev.h"
#include "ring/event.h"

#include <string.h>

struct shadow {
	uint32_t id;
	uint32_t len;
};

/* No element looks like this: ids are below 32768. */
#define SHADOW_NONE 0xffffffffu

static struct vd_split_desc *table(const struct vd_vq_dev *vq)
{
	return vq->ring.desc;
}

static struct vd_split_avail *avail(const struct vd_vq_dev *vq)
{
	return vq->ring.driver;
}

static struct vd_split_used *used(const struct vd_vq_dev *vq)
{
	return vq->ring.device;
}

/* One byte a descriptor: a bit each would make neighbours in a stream wait for one another. */
static bool *busy(const struct vd_vq_dev *vq)
{
	return vq->busy;
}

/* ---- pop ---- */

static void decode(const struct vd_split_desc *raw, bool swap, struct vd_desc *desc)
{
	desc->addr = vd_load64(&raw->addr, swap);
	desc->len = vd_load32(&raw->len, swap);
	desc->flags = vd_load16(&raw->flags, swap);
	desc->link = vd_load16(&raw->next, swap);
}

/* Where a chain is being followed: the queue's own table, or an indirect one. */
struct place {
	uint64_t table;   /* peer address, if indirect */
	uint32_t entries; /* in that table */
	uint16_t index;
	bool indirect;
};

static int fetch(struct vd_vq_dev *vq, const struct place *at, struct vd_desc *desc)
{
	struct vd_split_desc raw;
	int err;

	if (!at->indirect) {
		decode(&table(vq)[at->index], vq->swap, desc);
		return 0;
	}
	err = vd_walk_table_entry(vq, at->table, at->index, &raw);
	if (err == 0)
		decode(&raw, vq->swap, desc);
	return err;
}

static int enter_table(struct vd_vq_dev *vq, struct place *at, const struct vd_desc *desc)
{
	if (at->indirect)
		return vd_vq_dev_fail(vq, VD_FAULT_INDIRECT_NESTED, at->index, 0, 0);
	/* WRITE on the referring descriptor has no meaning and is ignored (2.7.5.3.2). */
	if (vd_walk_table(vq, desc, at->index, &at->entries) != 0)
		return -VD_EPROTO;
	at->table = desc->addr;
	at->indirect = true;
	at->index = 0;
	return 0;
}

static int follow(struct vd_vq_dev *vq, struct place *at, const struct vd_desc *desc)
{
	uint16_t next = desc->link;
	uint32_t in_order = at->index + 1u;

	if (next >= at->entries)
		return vd_vq_dev_fail(vq, VD_FAULT_NEXT_RANGE, at->index, next, at->entries);
	if (!at->indirect && in_order == vq->size)
		in_order = 0;
	if (vq->in_order && next != in_order)
		return vd_vq_dev_fail(vq, VD_FAULT_NEXT_ORDER, at->index, next, in_order);
	at->index = next;
	return 0;
}

/* Collect the buffer that starts with @desc at @head. 1, -VD_E2BIG or -VD_EPROTO. */
static int walk_chain(struct vd_vq_dev *vq, uint16_t head, struct vd_desc desc,
		      struct vd_chain *chain)
{
	struct place at = {.entries = vq->size, .index = head};
	struct vd_walk walk;

	vd_walk_begin(&walk, vq, chain);
	/* No chain is longer than the queue (2.7.5.3.1), so a longer one must be a loop. */
	for (uint32_t n = 0; n < vq->size;) {
		if (desc.flags & VD_DESC_INDIRECT) {
			if (enter_table(vq, &at, &desc) != 0)
				return -VD_EPROTO;
		} else {
			n++;
			if (vd_walk_segment(&walk, &desc, at.index) != 0)
				return -VD_EPROTO;
			if (!(desc.flags & VD_DESC_NEXT))
				return vd_walk_end(&walk);
			if (follow(vq, &at, &desc) != 0)
				return -VD_EPROTO;
		}
		if (fetch(vq, &at, &desc) != 0)
			return -VD_EPROTO;
	}
	return vd_vq_dev_fail(vq, VD_FAULT_CHAIN_LONG, vq->size, 0, 0);
}

/* Buffers that are popped, here or by a predecessor, and that the driver can't know to be used. */
static uint16_t popped(const struct vd_vq_dev *vq)
{
	return (uint16_t)(vq->avail - vq->shown);
}

/* Look how far the driver has come. Returns whether there is something new, or an error. */
static int refresh(struct vd_vq_dev *vq)
{
	uint16_t idx = vd_load16_acquire(&avail(vq)->idx, vq->swap); /* A */
	uint16_t ahead = (uint16_t)(idx - vq->avail);
	uint16_t most = (uint16_t)(vq->size - popped(vq));

	/* A driver has as many descriptors as the queue has entries, and each buffer holds at least
	 * one of them. */
	if (ahead > most)
		return vd_vq_dev_fail(vq, VD_FAULT_AVAIL_JUMP, vq->avail_seen, idx, most);
	vq->avail_seen = idx;
	return ahead > 0;
}

static inline int pop_head(struct vd_vq_dev *vq, uint16_t head, struct vd_chain *chain)
{
	struct vd_desc desc;
	int got = 1;

	if (vd_unlikely(head >= vq->size))
		return vd_vq_dev_fail(vq, VD_FAULT_HEAD_RANGE, head, vq->size, 0);
	if (vd_unlikely(busy(vq)[head]))
		return vd_vq_dev_fail(vq, VD_FAULT_HEAD_BUSY, head, 0, 0);
	decode(&table(vq)[head], vq->swap, &desc);
	if (vd_unlikely(!vd_walk_plain(vq, &desc, chain)))
		got = walk_chain(vq, head, desc, chain);
	if (vd_unlikely(got == -VD_EPROTO))
		return got;
	busy(vq)[head] = true;
	vq->outstanding++;
	chain->id = head;
	chain->n_desc = 1;
	return got;
}

/* The buffer that a predecessor had popped; its entry in the journal is its head. There are as many
 * of them as the position that was taken over says. */
static int pop_again(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	if (vq->outstanding == popped(vq))
		return vd_vq_dev_fail(vq, VD_FAULT_RING_FULL, 1, 0, 0);
	return pop_head(vq, chain->entry, chain);
}

static inline int pop_fresh(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	uint16_t head;
	int got;

	if (vq->avail == vq->avail_seen) {
		got = refresh(vq);
		if (got <= 0)
			return got;
	}
	head = vd_load16(&avail(vq)->ring[vq->avail & (vq->size - 1)], vq->swap);
	got = pop_head(vq, head, chain);
	if (got == -VD_EPROTO)
		return got;
	vq->avail++;
	chain->replayed = false;
	if (vq->journal != NULL)
		chain->entry = vq->journal->ops->popped(vq->journal, head);
	vd_vq_dev_popped(vq, chain);
	return got;
}

static int split_pop_many(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count)
{
	return vd_pop_many(vq, chains, count, pop_fresh, pop_again);
}

/* Is @chain one that was popped and not pushed? */
static inline bool holds(const struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	return chain->id < vq->size && busy(vq)[chain->id];
}

static int split_unpop(struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	if (!holds(vq, chain))
		return -VD_EINVAL;
	busy(vq)[chain->id] = false;
	vq->outstanding--;
	if (!chain->replayed)
		vq->avail--;
	return 0;
}

static bool split_ready(struct vd_vq_dev *vq)
{
	return vq->replaying || vq->avail != vq->avail_seen || refresh(vq) != 0;
}

/* ---- push ---- */

/* One used element that stands for @count buffers. */
static inline void use(struct vd_vq_dev *vq, uint16_t id, uint32_t written, uint16_t count)
{
	uint16_t slot = vq->used & (vq->size - 1);
	struct shadow *shadow = (struct shadow *)vq->shadow + slot;
	struct vd_split_used_elem *elem = &used(vq)->ring[slot];

	/* In a steady stream the same slot gets the same element each lap, and its cache line need
	 * not travel. */
	if (shadow->id != id || shadow->len != written) {
		shadow->id = id;
		shadow->len = written;
		vd_store32(&elem->id, id, vq->swap);
		vd_store32(&elem->len, written, vq->swap);
	}
	vq->used = (uint16_t)(vq->used + count);
	vd_vq_dev_used(vq, count);
}

static int split_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint32_t written)
{
	if (!holds(vq, chain))
		return -VD_EINVAL;
	if (vq->in_order) {
		int err = vd_order_push(vq, chain, written);

		if (err != 0)
			return err;
	} else {
		if (vq->journal != NULL)
			vq->journal->ops->pushed(vq->journal, chain->entry);
		use(vq, chain->id, written, 1);
	}
	busy(vq)[chain->id] = false;
	return 0;
}

static void retire(struct vd_vq_dev *vq)
{
	struct vd_order batch;
	uint16_t slots;
	uint16_t n;

	while ((n = vd_order_retire(vq, &batch, &slots)) > 0)
		use(vq, batch.id, batch.written, n);
}

static void split_publish(struct vd_vq_dev *vq)
{
	if (vq->in_order)
		retire(vq);
	if (vq->pushed == 0)
		return;
	if (vq->journal != NULL)
		vq->journal->ops->publish(vq->journal, vq->used);
	vd_store16_release(&used(vq)->idx, vq->used, vq->swap); /* B */
	if (vq->journal != NULL)
		vq->journal->ops->published(vq->journal, vq->used);
}

static bool split_need_notify(struct vd_vq_dev *vq)
{
	uint16_t moved = vq->moved;

	vd_fence(); /* C */
	vq->moved = 0;
	if (moved == 0)
		return false;
	if (vq->event_idx) {
		uint16_t event = vd_load16(vd_split_used_event(avail(vq), vq->size), vq->swap);

		return vd_event_passed(event, vq->shown, (uint16_t)(vq->shown - moved));
	}
	return !(vd_load16(&avail(vq)->flags, vq->swap) & VD_AVAIL_NO_INTERRUPT);
}

/* ---- notifications from the driver ---- */

static void split_enable_notify(struct vd_vq_dev *vq)
{
	if (vq->event_idx)
		vd_store16(vd_split_avail_event(used(vq), vq->size), vq->avail, vq->swap);
	else
		vd_store16(&used(vq)->flags, 0, vq->swap);
	vd_fence(); /* D */
}

static void split_disable_notify(struct vd_vq_dev *vq)
{
	/* With EVENT_IDX the flags stay 0 (2.7.10.2); an event index that is left behind asks for
	 * nothing. */
	if (!vq->event_idx)
		vd_store16(&used(vq)->flags, VD_USED_NO_NOTIFY, vq->swap);
}

/* ---- set-up ---- */

static size_t shadow_size(uint32_t size)
{
	return sizeof(struct shadow) * size;
}

static size_t order_size(uint32_t size, bool in_order)
{
	return in_order ? sizeof(struct vd_order) * size : 0;
}

static size_t split_state_size(uint32_t size, bool in_order)
{
	return shadow_size(size) + order_size(size, in_order) + sizeof(bool) * size;
}

static int split_init(struct vd_vq_dev *vq, const struct vd_vq_dev_config *config)
{
	unsigned char *state = config->state;
	struct shadow *shadow = config->state;
	uint16_t outstanding = (uint16_t)(config->position.avail - config->position.used);

	if (outstanding > config->size)
		return -VD_EINVAL;
	memset(state, 0, split_state_size(config->size, vq->in_order));
	vq->shadow = shadow;
	for (uint32_t i = 0; i < config->size; i++)
		shadow[i].id = SHADOW_NONE;
	vq->order = state + shadow_size(config->size);
	vq->busy = state + shadow_size(config->size) + order_size(config->size, vq->in_order);
	vq->avail_seen = config->position.avail;
	return 0;
}

const struct vd_vq_dev_ops vd_split_dev = {
	.layout = VD_RING_SPLIT,
	.state_size = split_state_size,
	.init = split_init,
	.pop_many = split_pop_many,
	.unpop = split_unpop,
	.push = split_push,
	.publish = split_publish,
	.need_notify = split_need_notify,
	.enable_notify = split_enable_notify,
	.disable_notify = split_disable_notify,
	.ready = split_ready,
};
