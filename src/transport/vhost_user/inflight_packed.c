/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking of a packed queue. Descriptors that are used overwrite others in the ring, so
 * the record keeps copies of all that are in flight, in entries of its own that form a free list.
 *
 * The shared region has each position twice, "old" and current: a predecessor that died between the
 * two is rolled forward or back by looking whether the ring shows its last publication. Buffers
 * that are pushed but not published keep their entries until then (the specification frees them
 * before, which a pop in between would make good use of, and a crash bad).
 */
#include "transport/vhost_user/inflight.h"

#include "ring/packed.h"
#include "viaduct/errno.h"

struct entry {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/* A position takes two fields, which must never be seen one new and one old: all are stored at
 * once.
 */
union positions {
	struct {
		uint16_t used_idx;
		uint16_t old_used_idx;
		uint8_t used_wrap;
		uint8_t old_used_wrap;
		uint8_t padding[2];
	} field;
	uint64_t all;
};

struct region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	union positions at;
	uint8_t padding[8];
	struct entry desc[];
};

_Static_assert(sizeof(struct entry) == 32 && sizeof(struct region) == 32 &&
		       offsetof(struct region, at) == 16,
	       "wire layout");

#define NO_ENTRY UINT16_MAX

#define STORE(to, value) __atomic_store_n(&(to), value, __ATOMIC_RELEASE)
#define LOAD(from)       __atomic_load_n(&(from), __ATOMIC_ACQUIRE)

static struct region *region_of(struct vd_vu_inflight *inflight)
{
	return inflight->region;
}

size_t vd_vu_inflight_packed_size(uint16_t size)
{
	return sizeof(struct region) + sizeof(struct entry) * size;
}

static void store_used(struct vd_vu_inflight *inflight, uint16_t old_used, uint16_t used)
{
	union positions at = {.field = {
				      .used_idx = vd_packed_slot(used),
				      .old_used_idx = vd_packed_slot(old_used),
				      .used_wrap = vd_packed_wrap(used),
				      .old_used_wrap = vd_packed_wrap(old_used),
			      }};

	STORE(region_of(inflight)->at.all, at.all);
	inflight->old_used = old_used;
}

/* ---- recording ---- */

static void descriptor(struct vd_journal *journal, const struct vd_desc *desc)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct entry *entry;

	if (inflight->n_popping == 0)
		inflight->pop_at = inflight->free_head;
	/* As many entries as the ring has slots: one that is missing is the ring's fault to find.
	 */
	if (inflight->pop_at >= inflight->size)
		return;
	entry = &region_of(inflight)->desc[inflight->pop_at];
	STORE(entry->addr, desc->addr);
	STORE(entry->len, desc->len);
	STORE(entry->flags, desc->flags);
	STORE(entry->id, desc->link);
	inflight->pop_last = inflight->pop_at;
	inflight->pop_at = inflight->link[inflight->pop_at].next;
	inflight->n_popping++;
}

static uint16_t popped(struct vd_journal *journal, uint16_t id)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct region *region = region_of(inflight);
	uint16_t head = inflight->free_head;

	(void)id;
	/* Only if the front end cut entries out of the free list: then it goes unrecorded. */
	if (inflight->n_popping == 0)
		return NO_ENTRY;
	inflight->link[head].last = inflight->pop_last;
	inflight->link[head].num = inflight->n_popping;
	STORE(region->desc[head].last, inflight->pop_last);
	STORE(region->desc[head].num, inflight->n_popping);
	STORE(region->desc[head].counter, inflight->counter++);
	STORE(region->desc[head].inflight, 1);
	inflight->free_head = inflight->pop_at;
	inflight->n_popping = 0;
	STORE(region->free_head, inflight->free_head);
	STORE(region->old_free_head, inflight->free_head);
	return head;
}

/* The entries of @head's buffer are free, or will be when `old_free_head` says so. */
static void free_entries(struct vd_vu_inflight *inflight, uint16_t head)
{
	struct region *region = region_of(inflight);
	uint16_t last = inflight->link[head].last;

	inflight->link[last].next = inflight->free_head;
	STORE(region->desc[last].next, inflight->free_head);
	inflight->free_head = head;
	STORE(region->free_head, head);
}

static void unpopped(struct vd_journal *journal, uint16_t head, bool replayed)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct region *region = region_of(inflight);

	if (replayed) {
		vd_vu_inflight_unreplay(inflight, head);
		return;
	}
	if (head == NO_ENTRY)
		return;
	free_entries(inflight, head);
	STORE(region->old_free_head, head);
	/* Last: what is neither in flight nor free would never be used again. */
	STORE(region->desc[head].inflight, 0);
}

static void pushed(struct vd_journal *journal, uint16_t head)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);

	if (head != NO_ENTRY)
		inflight->batch[inflight->n_batch++] = head;
}

static void publish(struct vd_journal *journal, uint16_t used)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);

	for (uint16_t i = 0; i < inflight->n_batch; i++)
		free_entries(inflight, inflight->batch[i]);
	store_used(inflight, inflight->old_used, used);
}

static void published(struct vd_journal *journal, uint16_t used)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	struct region *region = region_of(inflight);

	for (uint16_t i = 0; i < inflight->n_batch; i++)
		STORE(region->desc[inflight->batch[i]].inflight, 0);
	inflight->n_batch = 0;
	STORE(region->old_free_head, inflight->free_head);
	store_used(inflight, used, used);
}

static bool replay_descriptor(struct vd_journal *journal, uint16_t head, uint16_t n,
			      struct vd_desc *desc)
{
	struct vd_vu_inflight *inflight = vd_vu_inflight_of(journal);
	uint16_t at = head;
	const struct entry *entry;

	if (n >= inflight->link[head].num)
		return false;
	for (uint16_t i = 0; i < n; i++)
		at = inflight->link[at].next;
	entry = &region_of(inflight)->desc[at];
	desc->addr = LOAD(entry->addr);
	desc->len = LOAD(entry->len);
	desc->flags = LOAD(entry->flags);
	desc->link = LOAD(entry->id);
	return true;
}

const struct vd_journal_ops vd_vu_inflight_packed = {
	.descriptor = descriptor,
	.popped = popped,
	.unpopped = unpopped,
	.pushed = pushed,
	.publish = publish,
	.published = published,
	.replay = vd_vu_inflight_replay,
	.replay_descriptor = replay_descriptor,
};

/* ---- recovering ---- */

static void begin(struct vd_vu_inflight *inflight, uint16_t used)
{
	struct region *region = region_of(inflight);

	for (uint32_t i = 0; i < inflight->size; i++) {
		inflight->link[i].next = (uint16_t)(i + 1);
		region->desc[i].next = (uint16_t)(i + 1);
		region->desc[i].inflight = 0;
	}
	region->desc_num = inflight->size;
	region->free_head = 0;
	region->old_free_head = 0;
	store_used(inflight, used, used);
	STORE(region->version, VD_VU_INFLIGHT_V1);
}

/*
 * Does the ring show what was to be published at the old position? A buffer lay there, available.
 * Since then it may have been used, and made available again by a driver that did not wait for us,
 * for the next lap.
 */
static bool was_published(const struct vd_ring_mem *ring, uint16_t old)
{
	const struct vd_packed_desc *slots = ring->desc;
	uint16_t flags = vd_load16(&slots[vd_packed_slot(old)].flags, vd_host_is_big_endian());

	return !vd_packed_is_avail(flags, old);
}

/* Settle an update that was under way: make it or undo it. */
static int settle(struct vd_vu_inflight *inflight, const struct vd_ring_mem *ring, uint16_t *used,
		  struct vd_fault *fault)
{
	struct region *region = region_of(inflight);
	union positions at = {.all = LOAD(region->at.all)};
	uint16_t now = (uint16_t)(at.field.used_idx | at.field.used_wrap << 15);
	uint16_t old = (uint16_t)(at.field.old_used_idx | at.field.old_used_wrap << 15);

	if (vd_packed_slot(now) >= inflight->size)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_USED_IDX, vd_packed_slot(now));
	if (vd_packed_slot(old) >= inflight->size)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_USED_IDX, vd_packed_slot(old));
	if (now != old && was_published(ring, old)) {
		STORE(region->old_free_head, LOAD(region->free_head));
		*used = now;
	} else {
		STORE(region->free_head, LOAD(region->old_free_head));
		*used = old;
	}
	store_used(inflight, *used, *used);
	return 0;
}

/*
 * Put @at into the list being followed. False: it is none, or in a list already. Lists that met
 * would change each other, and lead anywhere, when one of them is freed.
 */
static bool claim(struct vd_vu_inflight *inflight, uint16_t at)
{
	if (at >= inflight->size || inflight->link[at].claimed)
		return false;
	inflight->link[at].claimed = true;
	return true;
}

/* What is in the free list is not in flight, whatever its mark says. */
static int clear_free(struct vd_vu_inflight *inflight, struct vd_fault *fault)
{
	struct region *region = region_of(inflight);
	uint16_t at = LOAD(region->old_free_head);

	inflight->free_head = at;
	while (at != inflight->size) {
		if (!claim(inflight, at))
			return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_FREE_HEAD, at);
		STORE(region->desc[at].inflight, 0);
		at = inflight->link[at].next;
	}
	return 0;
}

/* A buffer that was in flight: its entries must be there, and end where they should. */
static int recover_head(struct vd_vu_inflight *inflight, uint16_t head, uint32_t *slots,
			struct vd_fault *fault)
{
	const struct entry *entry = &region_of(inflight)->desc[head];
	struct vd_vu_link *link = &inflight->link[head];
	uint16_t at = head;

	link->num = LOAD(entry->num);
	link->last = LOAD(entry->last);
	*slots += link->num;
	if (link->num == 0 || *slots > inflight->size)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_NUM, link->num);
	for (uint16_t n = 0; n < link->num; n++) {
		if (n > 0)
			at = inflight->link[at].next;
		if (!claim(inflight, at))
			return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_NEXT, at);
	}
	if (at != link->last)
		return vd_vu_inflight_bad(fault, VD_VU_INFLIGHT_NEXT, link->last);
	vd_vu_inflight_add_replay(inflight, head, LOAD(entry->counter));
	return 0;
}

static int recover_all(struct vd_vu_inflight *inflight, uint32_t *slots, struct vd_fault *fault)
{
	const struct region *region = region_of(inflight);
	int err = clear_free(inflight, fault);

	for (uint32_t i = 0; err == 0 && i < inflight->size; i++)
		if (LOAD(region->desc[i].inflight) == 1)
			err = recover_head(inflight, (uint16_t)i, slots, fault);
	return err;
}

/*
 * A batch is written to the ring before the flags of its first descriptor publish it. What our
 * predecessor wrote of one that it did not publish must not look used behind something we publish.
 */
static void hide_unpublished(struct vd_vu_inflight *inflight, const struct vd_ring_mem *ring,
			     uint16_t used, uint32_t n)
{
	const uint16_t bits = VD_DESC_AVAIL | VD_DESC_USED;
	struct vd_packed_desc *slots = ring->desc;
	const bool swap = vd_host_is_big_endian();

	for (; n > 0; n--) {
		vd_sh16 *flags = &slots[vd_packed_slot(used)].flags;
		uint16_t value = vd_load16(flags, swap);

		if (vd_packed_is_used(value, used))
			vd_store16(flags, (value & (uint16_t)~bits) | vd_packed_avail_flags(used),
				   swap);
		used = vd_packed_forward(used, 1, inflight->size);
	}
}

int vd_vu_inflight_packed_recover(struct vd_vu_inflight *inflight, const struct vd_ring_mem *ring,
				  struct vd_ring_position *position, struct vd_fault *fault)
{
	struct region *region = region_of(inflight);
	uint16_t version = LOAD(region->version);
	uint32_t slots = 0;
	uint16_t used = 0;
	int err;

	if (version == VD_VU_INFLIGHT_BLANK) {
		begin(inflight, position->used);
		return 0;
	}
	err = vd_vu_inflight_check(inflight, version, LOAD(region->desc_num), fault);
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < inflight->size; i++)
		inflight->link[i].next = LOAD(region->desc[i].next);
	err = settle(inflight, ring, &used, fault);
	if (err == 0)
		err = recover_all(inflight, &slots, fault);
	if (err != 0)
		return err;
	hide_unpublished(inflight, ring, used, slots);
	vd_vu_inflight_sort(inflight);
	position->used = used;
	position->avail = vd_packed_forward(used, (uint16_t)slots, inflight->size);
	return 0;
}
