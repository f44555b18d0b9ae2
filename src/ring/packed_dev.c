/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device end of a packed ring. VIRTIO 1.4, 2.8.
 *
 * Barriers, named on both sides:
 *   E  load of a list's first flags (here) pairs with the driver's store of them: it publishes the
 * whole list. F  store of a batch's first used flags (here) pairs with the driver's load of them:
 * it publishes the whole batch. G  fence between F and reading the driver's event suppression
 * (here) pairs with the driver's fence between writing it and looking at the ring once more. H  the
 * same the other way: our fence between writing our event suppression and looking at the ring once
 * more.
 */
#include "ring/dev.h"
#include "ring/packed.h"

#include <string.h>

static struct vd_packed_desc *slots(const struct vd_vq_dev *vq)
{
	return vq->ring.desc;
}

/* ---- pop ---- */

/* All of a descriptor but its flags. */
static void decode(const struct vd_packed_desc *raw, bool swap, struct vd_desc *desc)
{
	desc->addr = vd_load64(&raw->addr, swap);
	desc->len = vd_load32(&raw->len, swap);
	desc->link = vd_load16(&raw->id, swap);
}

/* The flags of the next descriptor to pop, if it is available. */
static bool next_flags(struct vd_vq_dev *vq, uint16_t *flags)
{
	*flags = vd_load16_acquire(&slots(vq)[vd_packed_slot(vq->avail)].flags, vq->swap); /* E */
	return vd_packed_is_avail(*flags, vq->avail);
}

/* All entries of an indirect table are the buffer, in order; only WRITE counts in them (2.8.7). */
static int walk_table(struct vd_walk *walk, const struct vd_desc *table, uint16_t index)
{
	struct vd_vq_dev *vq = walk->vq;
	struct vd_packed_desc raw;
	struct vd_desc desc;
	uint32_t entries;

	if (vd_walk_table(vq, table, index, &entries) != 0)
		return -VD_EPROTO;
	if (entries > vq->size)
		return vd_vq_dev_fail(vq, VD_FAULT_CHAIN_LONG, vq->size, 0, 0);
	for (uint32_t i = 0; i < entries; i++) {
		if (vd_walk_table_entry(vq, table->addr, i, &raw) != 0)
			return -VD_EPROTO;
		decode(&raw, vq->swap, &desc);
		desc.flags = vd_load16(&raw.flags, vq->swap);
		if (vd_walk_segment(walk, &desc, (uint16_t)i) != 0)
			return -VD_EPROTO;
	}
	return 0;
}

/* One descriptor of a list, number @n of it. @index: what to call it in a fault. */
static int walk_desc(struct vd_walk *walk, const struct vd_desc *desc, uint16_t n, uint16_t index)
{
	if (walk->vq->journal != NULL && !walk->chain->replayed)
		walk->vq->journal->ops->descriptor(walk->vq->journal, desc);
	if (!(desc->flags & VD_DESC_INDIRECT))
		return vd_walk_segment(walk, desc, index);
	/* A list is either direct or one indirect descriptor (2.8.20). */
	if (n > 0)
		return vd_vq_dev_fail(walk->vq, VD_FAULT_INDIRECT_NEXT, index, 0, 0);
	return walk_table(walk, desc, index);
}

/* The next descriptor of a list: it must be available too (2.8.6). */
static int fetch(struct vd_vq_dev *vq, uint16_t at, struct vd_desc *desc)
{
	const struct vd_packed_desc *raw = &slots(vq)[vd_packed_slot(at)];

	desc->flags = vd_load16(&raw->flags, vq->swap);
	if (!vd_packed_is_avail(desc->flags, at))
		return vd_vq_dev_fail(vq, VD_FAULT_LIST_PARTIAL, vd_packed_slot(at), 0, 0);
	decode(raw, vq->swap, desc);
	return 0;
}

/* Slots of buffers that are popped, here or by a predecessor, and that the driver can't know to be
 * used. */
static inline uint16_t popped(const struct vd_vq_dev *vq)
{
	return vd_packed_distance(vq->shown, vq->avail, vq->size);
}

/* Collect the list that begins with @desc at vq->avail. 1, -VD_E2BIG or -VD_EPROTO. */
static int walk_list(struct vd_vq_dev *vq, struct vd_desc *desc, struct vd_chain *chain)
{
	uint16_t at = vq->avail;
	uint16_t most = (uint16_t)(vq->size - popped(vq));
	struct vd_walk walk;

	vd_walk_begin(&walk, vq, chain);
	for (uint16_t n = 0; n < most; n++) {
		if (n > 0 && fetch(vq, at, desc) != 0)
			return -VD_EPROTO;
		if (walk_desc(&walk, desc, n, vd_packed_slot(at)) != 0)
			return -VD_EPROTO;
		at = vd_packed_forward(at, 1, vq->size);
		if (!(desc->flags & VD_DESC_NEXT)) {
			chain->id = desc->link;
			chain->n_desc = (uint16_t)(n + 1);
			return vd_walk_end(&walk);
		}
	}
	return vd_vq_dev_fail(vq, VD_FAULT_RING_FULL, most + 1u, most, 0);
}

/* The same, quickly if it is one plain descriptor. */
static inline int walk_first(struct vd_vq_dev *vq, uint16_t flags, struct vd_chain *chain)
{
	struct vd_desc desc;

	decode(&slots(vq)[vd_packed_slot(vq->avail)], vq->swap, &desc);
	desc.flags = flags;
	if (vd_unlikely(popped(vq) == vq->size || vq->journal != NULL ||
			!vd_walk_plain(vq, &desc, chain)))
		return walk_list(vq, &desc, chain);
	chain->id = desc.link;
	chain->n_desc = 1;
	return 1;
}

/* The list that a predecessor had popped, from the journal: the ring may hold something else there
 * by now. All of them together take the slots that the position that was taken over says. */
static int walk_again(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	const struct vd_journal_ops *ops = vq->journal->ops;
	uint16_t most = (uint16_t)(popped(vq) - vq->outstanding);
	uint16_t n = 0;
	struct vd_walk walk;
	struct vd_desc desc;

	vd_walk_begin(&walk, vq, chain);
	while (ops->replay_descriptor(vq->journal, chain->entry, n, &desc)) {
		if (n == most)
			return vd_vq_dev_fail(vq, VD_FAULT_RING_FULL, n + 1u, n, 0);
		if (walk_desc(&walk, &desc, n, n) != 0)
			return -VD_EPROTO;
		chain->id = desc.link;
		n++;
	}
	if (n == 0)
		return vd_vq_dev_fail(vq, VD_FAULT_VU_INFLIGHT, 0, chain->entry, 0);
	chain->n_desc = n;
	return vd_walk_end(&walk);
}

static int pop_again(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	int got = walk_again(vq, chain);

	if (got != -VD_EPROTO)
		vq->outstanding = (uint16_t)(vq->outstanding + chain->n_desc);
	return got;
}

static inline int pop_fresh(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	uint16_t flags;
	int got;

	if (!next_flags(vq, &flags))
		return 0;
	chain->replayed = false;
	got = walk_first(vq, flags, chain);
	if (got == -VD_EPROTO)
		return got;
	vq->avail = vd_packed_forward(vq->avail, chain->n_desc, vq->size);
	vq->outstanding = (uint16_t)(vq->outstanding + chain->n_desc);
	if (vq->journal != NULL)
		chain->entry = vq->journal->ops->popped(vq->journal, chain->id);
	vd_vq_dev_popped(vq, chain);
	return got;
}

static int packed_pop_many(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count)
{
	return vd_pop_many(vq, chains, count, pop_fresh, pop_again);
}

/* Can @chain be one that was popped and not pushed? Ids are the driver's, so nothing is known about
 * them here. */
static inline bool may_hold(const struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	return chain->n_desc > 0 && chain->n_desc <= vq->outstanding - vq->pushed;
}

static int packed_unpop(struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	if (!may_hold(vq, chain) || (vq->in_order && !vd_order_holds(vq, chain)))
		return -VD_EINVAL;
	vq->outstanding = (uint16_t)(vq->outstanding - chain->n_desc);
	if (!chain->replayed)
		vq->avail = vd_packed_back(vq->avail, chain->n_desc, vq->size);
	return 0;
}

static bool packed_ready(struct vd_vq_dev *vq)
{
	uint16_t flags;

	return vq->replaying || next_flags(vq, &flags);
}

/* ---- push ---- */

/*
 * One used descriptor that stands for @n slots. The driver looks at the flags of the next one only,
 * so the first of a batch keeps its flags back until the rest is written.
 */
static inline void use(struct vd_vq_dev *vq, uint16_t id, uint32_t written, uint16_t n)
{
	struct vd_packed_desc *desc = &slots(vq)[vd_packed_slot(vq->used)];
	uint16_t flags = vd_packed_used_flags(vq->used);

	if (written > 0)
		flags |= VD_DESC_WRITE;
	vd_store16(&desc->id, id, vq->swap);
	vd_store32(&desc->len, written, vq->swap);
	if (vq->first_slot == UINT16_MAX) {
		vq->first_slot = vd_packed_slot(vq->used);
		vq->first_flags = flags;
	} else {
		vd_store16(&desc->flags, flags, vq->swap);
	}
	vq->used = vd_packed_forward(vq->used, n, vq->size);
	vd_vq_dev_used(vq, n);
}

static int packed_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint32_t written)
{
	if (!may_hold(vq, chain))
		return -VD_EINVAL;
	if (vq->in_order) {
		int err = vd_order_push(vq, chain, written);

		if (err != 0)
			return err;
	} else {
		if (vq->journal != NULL)
			vq->journal->ops->pushed(vq->journal, chain->entry);
		use(vq, chain->id, written, chain->n_desc);
	}
	return 0;
}

static void retire(struct vd_vq_dev *vq)
{
	struct vd_order batch;
	uint16_t n;

	while (vd_order_retire(vq, &batch, &n) > 0)
		use(vq, batch.id, batch.written, n);
}

static void packed_publish(struct vd_vq_dev *vq)
{
	if (vq->in_order)
		retire(vq);
	if (vq->first_slot == UINT16_MAX)
		return;
	if (vq->journal != NULL)
		vq->journal->ops->publish(vq->journal, vq->used);
	vd_store16_release(&slots(vq)[vq->first_slot].flags, vq->first_flags, vq->swap); /* F */
	vq->first_slot = UINT16_MAX;
	if (vq->journal != NULL)
		vq->journal->ops->published(vq->journal, vq->used);
}

static bool packed_need_notify(struct vd_vq_dev *vq)
{
	const struct vd_packed_event *driver = vq->ring.driver;
	uint16_t moved = vq->moved;

	vd_fence(); /* G */
	vq->moved = 0;
	return moved > 0 && vd_packed_wants_notify(vd_packed_load_event(driver, vq->swap),
						   vq->event_idx, vq->shown, moved, vq->size);
}

/* ---- notifications from the driver ---- */

static void packed_enable_notify(struct vd_vq_dev *vq)
{
	struct vd_packed_event *device = vq->ring.device;
	uint16_t mode = vq->event_idx ? VD_EVENT_DESC : VD_EVENT_ENABLE;

	vd_packed_store_event(device, vd_packed_event(vq->event_idx ? vq->avail : 0, mode),
			      vq->swap);
	vd_fence(); /* H */
}

static void packed_disable_notify(struct vd_vq_dev *vq)
{
	struct vd_packed_event *device = vq->ring.device;

	vd_packed_store_event(device, vd_packed_event(0, VD_EVENT_DISABLE), vq->swap);
}

/* ---- set-up ---- */

static size_t packed_state_size(uint32_t size, bool in_order)
{
	return in_order ? sizeof(struct vd_order) * size : 0;
}

/* Both inside the ring, and used at most a lap behind available. */
static bool position_is_sound(struct vd_ring_position position, uint16_t size)
{
	uint16_t avail = vd_packed_slot(position.avail);
	uint16_t used = vd_packed_slot(position.used);
	bool same_lap = vd_packed_wrap(position.avail) == vd_packed_wrap(position.used);

	return avail < size && used < size && (same_lap ? used <= avail : avail <= used);
}

static int packed_init(struct vd_vq_dev *vq, const struct vd_vq_dev_config *config)
{
	if (!position_is_sound(config->position, config->size))
		return -VD_EINVAL;
	if (vq->in_order)
		memset(config->state, 0, packed_state_size(config->size, true));
	vq->order = config->state;
	vq->first_slot = UINT16_MAX;
	return 0;
}

const struct vd_vq_dev_ops vd_packed_dev = {
	.layout = VD_RING_PACKED,
	.state_size = packed_state_size,
	.init = packed_init,
	.pop_many = packed_pop_many,
	.unpop = packed_unpop,
	.push = packed_push,
	.publish = packed_publish,
	.need_notify = packed_need_notify,
	.enable_notify = packed_enable_notify,
	.disable_notify = packed_disable_notify,
	.ready = packed_ready,
};
