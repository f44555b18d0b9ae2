/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a queue, whatever its layout: see viaduct/vq_dev.h. */
#include "viaduct/vq_dev.h"

#include "ring/dev.h"
#include "ring/event.h"

#include <string.h>

int vd_vq_dev_fail(struct vd_vq_dev *vq, enum vd_fault_code code, uint64_t a, uint64_t b,
		   uint64_t c)
{
	if (vq->fault.code == VD_FAULT_NONE)
		vq->fault = (struct vd_fault){.code = code, .value = {a, b, c}};
	return -VD_EPROTO;
}

void vd_vq_dev_break(struct vd_vq_dev *vq, const struct vd_fault *fault)
{
	(void)vd_vq_dev_fail(vq, fault->code, fault->value[0], fault->value[1], fault->value[2]);
}

static bool wants(uint64_t features, unsigned bit)
{
	return features & VD_BIT(bit);
}

size_t vd_vq_dev_state_size(const struct vd_vq_dev_ops *layout, uint32_t size, uint64_t features)
{
	struct vd_ring_parts parts;

	if (vd_ring_parts(layout->layout, size, &parts) != 0)
		return 0;
	return layout->state_size(size, wants(features, VD_F_IN_ORDER));
}

static bool is_aligned(const void *p, size_t align)
{
	return p != NULL && (uintptr_t)p % align == 0;
}

static bool config_is_sound(const struct vd_vq_dev_config *config)
{
	struct vd_ring_parts parts;

	if (vd_ring_parts(config->layout->layout, config->size, &parts) != 0)
		return false;
	if (!is_aligned(config->ring.desc, parts.desc.align) ||
	    !is_aligned(config->ring.driver, parts.driver.align) ||
	    !is_aligned(config->ring.device, parts.device.align))
		return false;
	return config->mem != NULL && (config->state_size == 0 || is_aligned(config->state, 8)) &&
	       config->state_size >=
		       vd_vq_dev_state_size(config->layout, config->size, config->features);
}

int vd_vq_dev_init(struct vd_vq_dev *vq, const struct vd_vq_dev_config *config)
{
	if (!config_is_sound(config))
		return -VD_EINVAL;
	*vq = (struct vd_vq_dev){
		.ops = config->layout,
		.mem = config->mem,
		.ring = config->ring,
		.journal = config->journal,
		.size = config->size,
		.swap = config->big_endian != vd_host_is_big_endian(),
		.event_idx = wants(config->features, VD_F_EVENT_IDX),
		.indirect = wants(config->features, VD_F_INDIRECT_DESC),
		.in_order = wants(config->features, VD_F_IN_ORDER),
		.avail = config->position.avail,
		.used = config->position.used,
		.shown = config->position.used,
		.replaying = config->journal != NULL,
	};
	return vq->ops->init(vq, config);
}

int vd_vq_dev_pop(struct vd_vq_dev *vq, struct vd_chain *chain)
{
	return vd_vq_dev_pop_many(vq, chain, 1);
}

int vd_vq_dev_pop_many(struct vd_vq_dev *vq, struct vd_chain *chains, unsigned count)
{
	if (vd_vq_dev_is_broken(vq))
		return -VD_EPROTO;
	return vq->ops->pop_many(vq, chains, count);
}

int vd_pop_replay(struct vd_vq_dev *vq, struct vd_chain *chain, vd_pop_fn *again)
{
	int got;

	if (!vq->journal->ops->replay(vq->journal, &chain->entry)) {
		vq->replaying = false;
		return 0;
	}
	chain->replayed = true;
	got = again(vq, chain);
	if (got != -VD_EPROTO)
		vd_vq_dev_popped(vq, chain);
	return got;
}

int vd_vq_dev_unpop(struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	int err;

	if (chain->seq != (uint16_t)(vq->seq - 1))
		return -VD_EINVAL;
	err = vq->ops->unpop(vq, chain);
	if (err != 0)
		return err;
	vq->seq--;
	if (vq->journal != NULL) {
		vq->journal->ops->unpopped(vq->journal, chain->entry, chain->replayed);
		vq->replaying |= chain->replayed;
	}
	return 0;
}

int vd_vq_dev_push(struct vd_vq_dev *vq, const struct vd_chain *chain, uint64_t written)
{
	if (vd_vq_dev_is_broken(vq))
		return -VD_EPROTO;
	if (written > chain->in_len)
		return -VD_EINVAL;
	/* A buffer of 2^32 bytes is legal, and one byte more than the field can say; saying less is
	 * (2.7.8.2). */
	return vq->ops->push(vq, chain, written > UINT32_MAX ? UINT32_MAX : (uint32_t)written);
}

void vd_vq_dev_publish(struct vd_vq_dev *vq)
{
	if (!vq->unpublished || vd_vq_dev_is_broken(vq))
		return;
	vq->unpublished = false;
	vq->ops->publish(vq);
	vq->shown = vq->used;
	vq->outstanding = (uint16_t)(vq->outstanding - vq->pushed);
	vq->moved = vd_add_capped(vq->moved, vq->pushed);
	vq->pushed = 0;
}

bool vd_vq_dev_need_notify(struct vd_vq_dev *vq)
{
	return !vd_vq_dev_is_broken(vq) && vq->ops->need_notify(vq);
}

bool vd_vq_dev_flush(struct vd_vq_dev *vq)
{
	vd_vq_dev_publish(vq);
	return vq->moved > 0 && vd_vq_dev_need_notify(vq);
}

bool vd_vq_dev_enable_notify(struct vd_vq_dev *vq)
{
	if (vd_vq_dev_is_broken(vq))
		return false;
	vq->ops->enable_notify(vq);
	return vd_vq_dev_ready(vq);
}

void vd_vq_dev_disable_notify(struct vd_vq_dev *vq)
{
	if (!vd_vq_dev_is_broken(vq))
		vq->ops->disable_notify(vq);
}

bool vd_vq_dev_ready(struct vd_vq_dev *vq)
{
	return !vd_vq_dev_is_broken(vq) && vq->ops->ready(vq);
}

struct vd_ring_position vd_vq_dev_position(const struct vd_vq_dev *vq)
{
	return (struct vd_ring_position){.avail = vq->avail, .used = vq->used};
}
