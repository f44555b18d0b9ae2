/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device for transports to be tested with: a worker that takes requests, keeps some of them for a
 * while, and completes them in an order of its own. A request begins with a number; the answer is
 * worker_answer() of it. It also has a configuration space and counts what is done to it.
 */
#ifndef FRONT_END_WORKER_H
#define FRONT_END_WORKER_H

#include "viaduct/device.h"

#define WORKER_ID       63
#define WORKER_HELD_MAX 256
#define WORKER_IOV      8
#define WORKER_CONFIG   24

/* Feature bits of the type; B needs A. */
enum {
	WORKER_F_A = 0,
	WORKER_F_B = 1,
};

enum worker_order {
	WORKER_OLDEST_FIRST,
	WORKER_NEWEST_FIRST,
	WORKER_RANDOM,
};

struct worker_request {
	struct vd_chain chain;
	struct vd_iov iov[WORKER_IOV];
	uint32_t number;
	uint16_t queue;
};

struct worker;

struct worker_config {
	uint16_t n_queues; /* 0: 2 */
	uint16_t size_max; /* 0: 256 */
	uint64_t features; /* 0: VD_DEVICE_RING_FEATURES; A and B are offered besides */
	bool suspends;     /* it can; otherwise its queues are taken away for a pause */
	bool no_config;    /* no configuration space */
	unsigned hold;     /* requests kept until more come; 0: none */
	unsigned at_once;  /* requests taken in one notification; 0: any number */
	enum worker_order order;
	uint32_t seed;
	/* optional: a request was taken, after it was recorded. */
	void (*taken)(struct worker *worker, const struct worker_request *request);
};

struct worker {
	struct vd_device dev;
	struct worker_config config;
	struct vd_device_queue *queues;
	unsigned char space[WORKER_CONFIG];
	struct worker_request held[WORKER_HELD_MAX];
	unsigned n_held;
	uint32_t random;
	int start_result; /* what start() answers */
	int suspend_result;
	bool refuses; /* accept() says no */
	void *owner;

	unsigned starts;
	unsigned stops;
	unsigned queue_starts;
	unsigned queue_stops;
	unsigned suspends;
	unsigned resumes;
	unsigned notifies;
	unsigned config_writes;
	unsigned served;
	unsigned malformed;
	struct vd_fault fault; /* the last one that was reported */
};

/* 0, or a negative error. */
int worker_init(struct worker *worker, const struct worker_config *config);
void worker_free(struct worker *worker);

static inline uint32_t worker_answer(uint32_t number)
{
	return number * 2654435761u ^ 0x5bd1e995u;
}

/* Complete up to @n of the requests it holds, and flush. */
void worker_complete(struct worker *worker, unsigned n);

/* Put the request taken last back. False: there is none, or it can't be. */
bool worker_unpop(struct worker *worker);

#endif /* FRONT_END_WORKER_H */
