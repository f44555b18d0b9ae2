/* SPDX-License-Identifier: BSD-3-Clause */
/* Just enough of rpmsg's host side to talk to a remote behind a front end: queue 0 receives. */
#ifndef FRONT_END_RPMSG_H
#define FRONT_END_RPMSG_H

#include "front_end.h"

#define FE_RPMSG_BUFFER  512u
#define FE_RPMSG_PAYLOAD 496u

struct fe_rpmsg {
	struct fe *fe;
	uint16_t size; /* of both queues */
	unsigned char *rx;
	unsigned char *tx;
	void **free_tx; /* buffers that are ours */
	unsigned n_free;
};

struct fe_rpmsg_msg {
	uint32_t src;
	uint32_t dst;
	uint32_t len;
	unsigned char data[FE_RPMSG_PAYLOAD];
};

/* Make both queues and post every receive buffer. */
int fe_rpmsg_make(struct fe_rpmsg *rpmsg, struct fe *fe, uint16_t size);
void fe_rpmsg_free(struct fe_rpmsg *rpmsg);

/* Send, without notifying. -ENOMEM: every buffer is with the remote. */
int fe_rpmsg_send(struct fe_rpmsg *rpmsg, uint32_t src, uint32_t dst, const void *data,
		  uint32_t len);

/* 1: a message was received, and its buffer posted again without notifying. 0: none. -EBADMSG: it
 * makes no sense. -EPROTO: the remote broke a queue. */
int fe_rpmsg_receive(struct fe_rpmsg *rpmsg, struct fe_rpmsg_msg *msg);

#endif /* FRONT_END_RPMSG_H */
