/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IN_ORDER at the device end: buffers are given back exactly as they were popped (VIRTIO 1.4, 6.1),
 * whatever order they are finished in. The records form a ring of their own, from order_slot (the
 * oldest) over seq - order_seq places.
 */
#include "ring/dev.h"

static struct vd_order *record(const struct vd_vq_dev *vq, uint16_t age)
{
	uint32_t slot = (uint32_t)vq->order_slot + age;
	struct vd_order *order = vq->order;

	return &order[slot < vq->size ? slot : slot - vq->size];
}

/* Called after seq was counted up for @chain. */
void vd_order_pop(struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	*record(vq, (uint16_t)(chain->seq - vq->order_seq)) = (struct vd_order){
		.id = chain->id,
		.n_desc = chain->n_desc,
		.entry = chain->entry,
	};
}

bool vd_order_holds(const struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	uint16_t age = (uint16_t)(chain->seq - vq->order_seq);
	const struct vd_order *order;

	if (age >= (uint16_t)(vq->seq - vq->order_seq))
		return false;
	order = record(vq, age);
	return order->id == chain->id && !order->done;
}

int vd_order_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint32_t written)
{
	struct vd_order *order;

	if (!vd_order_holds(vq, chain))
		return -VD_EINVAL;
	order = record(vq, (uint16_t)(chain->seq - vq->order_seq));
	order->written = written;
	order->whole = written == chain->in_len;
	order->done = true;
	vq->unpublished = true;
	return 0;
}

uint16_t vd_order_retire(struct vd_vq_dev *vq, struct vd_order *batch, uint16_t *slots)
{
	uint16_t count = (uint16_t)(vq->seq - vq->order_seq);
	uint16_t n = 0;

	*slots = 0;
	while (n < count && record(vq, n)->done && (n == 0 || batch->whole)) {
		*batch = *record(vq, n++);
		*slots = (uint16_t)(*slots + batch->n_desc);
		if (vq->journal != NULL)
			vq->journal->ops->pushed(vq->journal, batch->entry);
	}
	vq->order_slot = (uint16_t)((vq->order_slot + n) % vq->size);
	vq->order_seq = (uint16_t)(vq->order_seq + n);
	return n;
}
