/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking of a split queue. The order of the stores is what makes it work: whenever this
 * process dies, the record says of each buffer either "in flight" or how to find out that it was
 * published. They are atomic so that the compiler keeps that order.
 */
#include "transport/vhost_user/inflight.h"

#include "viaduct/errno.h"

struct entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next; /* in the list of the last batch */
	uint64_t counter;
};

struct region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct entry desc[];
};

_Static_assert(sizeof(struct entry) == 16 && sizeof(struct region) == 16, "wire layout");

#define STORE(to, value) __atomic_store_n(&(to), value, __ATOMIC_RELEASE)
#define LOAD(from)       __atomic_load_n(&(from), __ATOMIC_ACQUIRE)

static struct region *region_of(struct vd_vu_inflight *inflight)
{
	return inflight->region;
}

size_t vd_vu_inflight_split_size(uint16_t size)
{
	return sizeof(struct region) + sizeof(struct entry) * size;
}

/* ---- recording ---- */

static uint16_t popped(struct vd_journal *journal, uint16_t id)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct entry *entry = &region_of(inflight)->desc[id];

	STORE(entry->counter, inflight->counter++);
	STORE(entry->inflight, 1);
	return id;
}

static void unpopped(struct vd_journal *journal, uint16_t id, bool replayed)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);

	/* One that a predecessor had popped stays in flight, for us or for our successor. */
	if (replayed)
		vd_vu_inflight_unreplay(inflight, id);
	else
		STORE(region_of(inflight)->desc[id].inflight, 0);
}

static void pushed(struct vd_journal *journal, uint16_t id)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct region *region = region_of(inflight);

	/* The head of the list is ours to remember, not to read back. */
	STORE(region->desc[id].next,
	      inflight->n_batch > 0 ? inflight->batch[inflight->n_batch - 1] : id);
	STORE(region->last_batch_head, id);
	inflight->batch[inflight->n_batch++] = id;
}

static void publish(struct vd_journal *journal, uint16_t used)
{
	(void)journal;
	(void)used;
}

static void published(struct vd_journal *journal, uint16_t used)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct region *region = region_of(inflight);

	for (uint16_t i = 0; i < inflight->n_batch; i++)
		STORE(region->desc[inflight->batch[i]].inflight, 0);
	inflight->n_batch = 0;
	STORE(region->used_idx, used);
}

const struct vd_journal_ops vd_vu_inflight_split = {
	.popped = popped,
	.unpopped = unpopped,
	.pushed = pushed,
	.publish = publish,
	.published = published,
	.replay = vd_vu_inflight_replay,
};

/* ---- recovering ---- */

static void begin(struct region *region, uint16_t size, uint16_t used)
{
	for (uint32_t i = 0; i < size; i++)
		region->desc[i].inflight = 0;
	region->desc_num = size;
	region->used_idx = used;
	STORE(region->version, VD_VU_INFLIGHT_V1);
}

/*
 * The predecessor died between publishing a batch and noting so: what the batch held is used.
 * The list was written newest first, and its length is what the used index is ahead.
 */
static int finish_batch(struct vd_vu_inflight *inflight, uint16_t used, struct vd_fault *fault)
{
	struct region *region = region_of(inflight);
	uint16_t noted = LOAD(region->used_idx);
	uint16_t count = (uint16_t)(used - noted);
	uint16_t at = LOAD(region->last_batch_head);

	if (count > inflight->size)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_USED_IDX, noted);
	for (; count > 0; count--) {
		if (at >= inflight->size)
			return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_BATCH, at);
		STORE(region->desc[at].inflight, 0);
		at = LOAD(region->desc[at].next);
	}
	STORE(region->used_idx, used);
	return 0;
}

int vd_vu_inflight_split_recover(struct vd_vu_inflight *inflight, struct vd_ring_position *position,
				 struct vd_fault *fault)
{
	struct region *region = region_of(inflight);
	uint16_t version = LOAD(region->version);
	int err;

	if (version == VD_VU_INFLIGHT_BLANK) {
		begin(region, inflight->size, position->used);
		return 0;
	}
	err = vd_vu_inflight_check(inflight, version, LOAD(region->desc_num), fault);
	if (err == 0)
		err = finish_batch(inflight, position->used, fault);
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < inflight->size; i++)
		if (LOAD(region->desc[i].inflight) == 1)
			vd_vu_inflight_add_replay(inflight, (uint16_t)i,
						  LOAD(region->desc[i].counter));
	vd_vu_inflight_sort(inflight);
	position->avail = (uint16_t)(position->used + inflight->n_replay);
	return 0;
}
