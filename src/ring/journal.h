/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record, outside this process, of the buffers a device end has popped and not yet shown as used,
 * so that whoever takes its place after a crash can do them again: none lost, none twice. The ring
 * calls it at the four moments that matter; the vhost-user transport writes what vhost-user.rst,
 * "Inflight I/O tracking", prescribes.
 *
 * The memory behind it is shared with the front end: what comes back through replay is untrusted,
 * and checked like a ring.
 */
#ifndef VD_RING_JOURNAL_H
#define VD_RING_JOURNAL_H

#include "viaduct/ring.h"

/* A descriptor, copied. `link` is next (split) or buffer id (packed). */
struct vd_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t link;
};

struct vd_journal;

struct vd_journal_ops {
	/* Packed only: one more descriptor of the buffer being popped. */
	void (*descriptor)(struct vd_journal *journal, const struct vd_desc *desc);
	/* The buffer @id is popped. Returns the entry that the later calls name it by. */
	uint16_t (*popped)(struct vd_journal *journal, uint16_t id);
	/* It was put back; @replayed: it is to be replayed again. */
	void (*unpopped)(struct vd_journal *journal, uint16_t entry, bool replayed);
	/* It will be shown as used with the next publication. */
	void (*pushed)(struct vd_journal *journal, uint16_t entry);
	/* About to publish, after which the queue stands at @used. */
	void (*publish)(struct vd_journal *journal, uint16_t used);
	/* Published. */
	void (*published)(struct vd_journal *journal, uint16_t used);
	/* The next entry to do again, or false when there is none left. */
	bool (*replay)(struct vd_journal *journal, uint16_t *entry);
	/* Packed only: descriptor number @n of that entry's buffer, or false behind the last. */
	bool (*replay_descriptor)(struct vd_journal *journal, uint16_t entry, uint16_t n,
				  struct vd_desc *desc);
};

/* The first member of whatever keeps the record. */
struct vd_journal {
	const struct vd_journal_ops *ops;
};

#endif /* VD_RING_JOURNAL_H */
