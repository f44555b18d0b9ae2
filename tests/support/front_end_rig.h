/* SPDX-License-Identifier: BSD-3-Clause */
/* A front end, a worker and a back end between them in one process, for cmocka tests. */
#ifndef FRONT_END_RIG_H
#define FRONT_END_RIG_H

#include "front_end.h"
#include "front_end_worker.h"

#define RIG_MEMORY ((size_t)1 << 20)

struct vu_rig {
	struct fe fe;
	struct worker worker;
	struct vd_vu_backend *backend;
	int ended;        /* what ended the connection, or 0 */
	bool never_rests; /* a queue is polled, so that there is always something to do */
	unsigned traced;

	/* of this process, when the rig was opened */
	unsigned fds_before;
	unsigned maps_before;
};

struct vu_rig_options {
	struct worker_config worker;
	uint64_t protocol_features; /* the back end offers; 0: the default */
};

/* Not connected yet. */
void vu_rig_open(struct vu_rig *rig, const struct vu_rig_options *options);

/* Also checks that no file descriptor and no mapping stayed behind. */
void vu_rig_close(struct vu_rig *rig);

void vu_rig_connect(struct vu_rig *rig);

/* Connect and negotiate. */
void vu_rig_negotiate(struct vu_rig *rig, uint64_t features, uint64_t protocol_features);

/* That, one region, and @n queues of @size entries, started. */
void vu_rig_run(struct vu_rig *rig, uint64_t features, uint64_t protocol_features, unsigned n,
		uint16_t size);

/* Have the back end do all that there is to do. */
void vu_rig_poll(struct vu_rig *rig);

/* It still serves: it answers GET_FEATURES. */
void vu_rig_expect_alive(struct vu_rig *rig);

/* It has disconnected, with this error, or because of this fault. */
void vu_rig_expect_ended(struct vu_rig *rig, int err);
void vu_rig_expect_fault(struct vu_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			 uint64_t c);

/* A message sent (with the version in its flags) ends the connection with this fault. */
void vu_rig_refuses(struct vu_rig *rig, uint32_t request, const void *payload, uint32_t size,
		    const int *fds, unsigned n_fds, enum vd_fault_code code, uint64_t a, uint64_t b,
		    uint64_t c);

/* A message sent with NEED_REPLY is acknowledged with @value. */
void vu_rig_expect_ack(struct vu_rig *rig, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned n_fds, uint64_t value);

/* Send request @number through queue @index: add, publish, kick. */
void vu_rig_ask(struct vu_rig *rig, unsigned index, uint32_t number);

/* The next buffer used on queue @index is the answer to @number; or there is none. */
void vu_rig_expect_answer(struct vu_rig *rig, unsigned index, uint32_t number);
void vu_rig_expect_silence(struct vu_rig *rig, unsigned index);

/* Ask, poll, expect. */
void vu_rig_expect_works(struct vu_rig *rig, unsigned index, uint32_t number);

unsigned vu_count_fds(void);
unsigned vu_count_maps(void); /* shared mappings */

#endif /* FRONT_END_RIG_H */
