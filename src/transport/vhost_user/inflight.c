/* SPDX-License-Identifier: BSD-3-Clause */
/* In-flight tracking, what both layouts share: see inflight.h. */
#include "transport/vhost_user/inflight.h"

#include "viaduct/errno.h"

#include <stdlib.h>

/* Regions of different queues share no cache line. */
#define REGION_ALIGN 64u

size_t vd_vu_inflight_region_size(uint16_t size)
{
	size_t split = vd_vu_inflight_split_size(size);
	size_t packed = vd_vu_inflight_packed_size(size);
	size_t larger = split > packed ? split : packed;

	return (larger + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
}

int vd_vu_inflight_bad(struct vd_fault *fault, enum vd_vu_inflight_field field, uint64_t value)
{
	*fault = (struct vd_fault){.code = VD_FAULT_VU_INFLIGHT, .value = {0, field, value}};
	return -VD_EPROTO;
}

int vd_vu_inflight_check(const struct vd_vu_inflight *inflight, uint16_t version, uint16_t desc_num,
			 struct vd_fault *fault)
{
	if (version != VD_VU_INFLIGHT_V1)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_VERSION, version);
	if (desc_num != inflight->size)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_DESC_NUM, desc_num);
	return 0;
}

void vd_vu_inflight_add_replay(struct vd_vu_inflight *inflight, uint16_t entry, uint64_t counter)
{
	inflight->replay[inflight->n_replay++] = (struct vd_vu_replay){.counter = counter,
								       .entry = entry};
	if (counter >= inflight->counter)
		inflight->counter = counter + 1;
}

static int older(const void *a, const void *b)
{
	const struct vd_vu_replay *x = a;
	const struct vd_vu_replay *y = b;

	return (x->counter > y->counter) - (x->counter < y->counter);
}

void vd_vu_inflight_sort(struct vd_vu_inflight *inflight)
{
	qsort(inflight->replay, inflight->n_replay, sizeof(*inflight->replay), older);
}

bool vd_vu_inflight_replay(struct vd_journal *journal, uint16_t *entry)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);

	if (inflight->next_replay == inflight->n_replay)
		return false;
	*entry = inflight->replay[inflight->next_replay++].entry;
	return true;
}

void vd_vu_inflight_unreplay(struct vd_vu_inflight *inflight, uint16_t entry)
{
	inflight->replay[--inflight->next_replay].entry = entry;
}

int vd_vu_inflight_open(struct vd_vu_inflight *inflight, enum vd_ring_layout layout, void *region,
			uint16_t size, const struct vd_ring_mem *ring,
			struct vd_ring_position *position, struct vd_fault *fault)
{
	int err;

	*inflight = (struct vd_vu_inflight){
		.journal.ops = layout == VD_RING_PACKED ? &vd_vu_inflight_packed
							: &vd_vu_inflight_split,
		.region = region,
		.size = size,
		.replay = calloc(size, sizeof(*inflight->replay)),
		.batch = calloc(size, sizeof(*inflight->batch)),
		.link = calloc(size, sizeof(*inflight->link)),
	};
	if (inflight->replay == NULL || inflight->batch == NULL || inflight->link == NULL)
		err = -VD_ENOMEM;
	else if (layout == VD_RING_PACKED)
		err = vd_vu_inflight_packed_recover(inflight, ring, position, fault);
	else
		err = vd_vu_inflight_split_recover(inflight, position, fault);
	if (err != 0)
		vd_vu_inflight_close(inflight);
	return err;
}

void vd_vu_inflight_close(struct vd_vu_inflight *inflight)
{
	free(inflight->replay);
	free(inflight->batch);
	free(inflight->link);
	*inflight = (struct vd_vu_inflight){0};
}
