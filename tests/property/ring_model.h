/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a queue should do, kept in plain lists and counters that never wrap, beside a pair of ends
 * that really does it. Each step below performs one call and stops the program if the answer, or
 * the bytes, are not what the model says.
 */
#ifndef RING_MODEL_H
#define RING_MODEL_H

#include "ring_pair.h"

/* A buffer of the driver, on its way round. */
struct buffer {
	uint32_t serial; /* makes its contents different from all others' */
	unsigned n_out;
	unsigned n_in;
	struct vd_iov *segments; /* the driver's view */
	uint32_t *chunks;        /* one for each segment */
	uint64_t out_len;
	uint64_t in_len;
	unsigned out_pieces; /* what the device gets of it, cut at its windows */
	unsigned in_pieces;
	unsigned descs;        /* descriptors or slots it takes in the ring */
	struct vd_chain chain; /* the device's view, once it was popped */
	struct vd_iov *iov;
	uint32_t written;
	bool held;   /* popped and not pushed */
	bool pushed; /* pushed and not yet shown as used */
};

struct fifo {
	uint32_t *items;
	uint32_t first;
	uint32_t count;
	uint32_t room;
};

/* What a side asked to be told of. */
struct wish {
	enum { WISH_ALL, WISH_NONE, WISH_AT } kind;
	uint64_t at;
};

struct model {
	struct pair pair;
	struct dice dice;
	const char *step; /* for a failure's message */
	uint64_t seed;
	uint64_t steps;

	struct buffer *buffers;
	uint32_t n_buffers;
	unsigned segments_max;
	unsigned iov_max;
	uint32_t serial;
	struct fifo idle;   /* buffers not in use */
	struct fifo chunks; /* pieces of the data not in use */

	struct fifo added;          /* not yet published */
	struct fifo shown;          /* not yet popped */
	struct fifo held;           /* not yet pushed, in any order */
	struct fifo popped;         /* in order: not yet shown as used, in the order of popping */
	struct fifo pushed;         /* otherwise: not yet shown as used, in the order of pushing */
	struct fifo used;           /* not yet fetched, in the order they must come */
	struct buffer *last_popped; /* if it can be put back */
	unsigned free_descs;

	/* Entries (packed: slots) since the start. */
	uint64_t drv_shown;
	uint64_t drv_asked; /* drv_shown when need_kick was last asked */
	uint64_t drv_got;
	uint64_t dev_popped;
	uint64_t dev_shown;
	uint64_t dev_asked;

	struct wish drv_wish;
	struct wish dev_wish;
	bool drv_asleep; /* will not look before it is notified */
	bool dev_asleep;
	bool drv_called; /* a notification is on its way */
	bool dev_kicked;

	uint64_t kicks;
	uint64_t calls;
	uint64_t fetched;
};

void model_take(struct model *model, const struct pair_shape *shape, uint64_t seed);
void model_give(struct model *model);

/* The driver's steps. */
void step_add(struct model *model);
void step_publish(struct model *model);
void step_need_kick(struct model *model);
void step_kick(struct model *model);
void step_get(struct model *model);
void step_enable_cb(struct model *model, bool delayed);
void step_disable_cb(struct model *model);
void step_drv_wake(struct model *model);

/* The device's steps. */
void step_pop(struct model *model);
void step_pop_many(struct model *model);
void step_pop_small(struct model *model);
void step_unpop(struct model *model);
void step_push(struct model *model);
void step_dev_publish(struct model *model);
void step_need_notify(struct model *model);
void step_flush(struct model *model);
void step_enable_notify(struct model *model);
void step_disable_notify(struct model *model);
void step_dev_wake(struct model *model);
void step_replace_device(struct model *model);

/* Both: reset the queue, take everything back, go on with @size entries. */
void step_reset(struct model *model, uint16_t size);

/* Is everybody awake who has to be? */
void model_check_sleepers(struct model *model);

/* Let everything come back, and see that nothing is missing. */
void model_drain(struct model *model);

#endif /* RING_MODEL_H */
