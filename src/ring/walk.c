/* SPDX-License-Identifier: BSD-3-Clause */
/* From descriptors to segments: every address and length of a buffer passes through here. */
#include "ring/dev.h"

/* The most one buffer may describe, VIRTIO 1.4, 2.7.5.2. */
#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

void vd_walk_begin(struct vd_walk *walk, struct vd_vq_dev *vq, struct vd_chain *chain)
{
	*walk = (struct vd_walk){.vq = vq, .chain = chain};
	chain->n_out = 0;
	chain->n_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
}

static void collect(struct vd_walk *walk, void *base, size_t len)
{
	struct vd_chain *chain = walk->chain;

	if (walk->writable)
		chain->in_len += len;
	else
		chain->out_len += len;
	if (walk->n_iov == chain->iov_max) {
		walk->too_big = true;
		return;
	}
	chain->iov[walk->n_iov++] = (struct vd_iov){.base = base, .len = len};
	if (walk->writable)
		chain->n_in++;
	else
		chain->n_out++;
}

static int bad_address(struct vd_vq_dev *vq, int err, uint64_t addr, uint64_t len)
{
	return vd_vq_dev_fail(vq, err == -VD_EACCES ? VD_FAULT_RIGHTS : VD_FAULT_ADDRESS, addr, len,
			      0);
}

/* A descriptor whose bytes go on in the next window, or lead nowhere. */
static int collect_spans(struct vd_walk *walk, uint64_t addr, uint64_t len, uint32_t rights)
{
	while (len > 0) {
		void *local;
		uint64_t run;
		int err = vd_mem_span(walk->vq->mem, addr, len, rights, &local, &run);

		if (err != 0)
			return bad_address(walk->vq, err, addr, len);
		collect(walk, local, (size_t)run);
		addr += run;
		len -= run;
	}
	return 0;
}

int vd_walk_segment(struct vd_walk *walk, const struct vd_desc *desc, uint16_t index)
{
	struct vd_vq_dev *vq = walk->vq;
	const struct vd_window *window;
	uint32_t rights = VD_MEM_READ;

	if (desc->flags & VD_DESC_WRITE) {
		walk->writable = true;
		rights = VD_MEM_WRITE;
	} else if (walk->writable) {
		return vd_vq_dev_fail(vq, VD_FAULT_READ_AFTER_WRITE, index, 0, 0);
	}
	walk->bytes += desc->len;
	if (walk->bytes > CHAIN_BYTES_MAX)
		return vd_vq_dev_fail(vq, VD_FAULT_CHAIN_BYTES, walk->bytes, 0, 0);

	window = vd_mem_find(vq->mem, desc->addr, &vq->hint);
	if (window == NULL || desc->len > window->size - (desc->addr - window->peer) ||
	    (window->rights & rights) == 0)
		return collect_spans(walk, desc->addr, desc->len, rights);
	if (desc->len > 0)
		collect(walk, vd_window_local(window, desc->addr), desc->len);
	return 0;
}

int vd_walk_end(struct vd_walk *walk)
{
	struct vd_chain *chain = walk->chain;

	if (!walk->too_big)
		return 1;
	chain->n_out = 0;
	chain->n_in = 0;
	return -VD_E2BIG;
}

int vd_walk_table(struct vd_vq_dev *vq, const struct vd_desc *desc, uint16_t index,
		  uint32_t *entries)
{
	if (!vq->indirect)
		return vd_vq_dev_fail(vq, VD_FAULT_INDIRECT_OFF, index, 0, 0);
	if (desc->flags & VD_DESC_NEXT)
		return vd_vq_dev_fail(vq, VD_FAULT_INDIRECT_NEXT, index, 0, 0);
	if (desc->len == 0 || desc->len % VD_DESC_SIZE != 0)
		return vd_vq_dev_fail(vq, VD_FAULT_INDIRECT_SIZE, desc->len, 0, 0);
	*entries = desc->len / VD_DESC_SIZE;
	return 0;
}

int vd_walk_table_entry(struct vd_vq_dev *vq, uint64_t table, uint32_t index, void *raw)
{
	uint64_t addr = table + (uint64_t)index * VD_DESC_SIZE;
	int err = addr < table ? -VD_EFAULT : vd_mem_read(vq->mem, addr, raw, VD_DESC_SIZE);

	return err == 0 ? 0 : bad_address(vq, err, addr, VD_DESC_SIZE);
}
