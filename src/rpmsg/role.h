/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a role of rpmsg does for the common part: moving buffers in and out of its ends of the
 * queues. Chosen once, when the link is made; the code above never asks which side it is on.
 */
#ifndef VD_RPMSG_ROLE_H
#define VD_RPMSG_ROLE_H

#include "base/carve.h"
#include "viaduct/rpmsg.h"

/* An empty buffer that can be sent. */
struct vd_rpmsg_frame {
	const struct vd_iov *iov;
	uint16_t n_iov;
	uint64_t size; /* bytes, header included */
};

/* All are only called while the link is up, and all are required. */
struct vd_rpmsg_role {
	/* Receive up to @budget messages, each through vd_rpmsg_deliver(). How many, or an error.
	 */
	int (*poll)(struct vd_rpmsg *link, unsigned budget);
	/* The next empty buffer, which stays where it is. -VD_ENOMEM: there is none. */
	int (*tx_peek)(struct vd_rpmsg *link, struct vd_rpmsg_frame *frame);
	/* The buffer peeked at goes out with @len bytes. */
	void (*tx_send)(struct vd_rpmsg *link, uint32_t len);
	/* The buffer peeked at is set aside as number *@buffer. -VD_ENOMEM: no place for it. */
	int (*tx_take)(struct vd_rpmsg *link, uint32_t *buffer);
	/* The frame of a buffer set aside; it goes out; it is put back for the next sender. */
	void (*taken_frame)(struct vd_rpmsg *link, uint32_t buffer, struct vd_rpmsg_frame *frame);
	void (*taken_send)(struct vd_rpmsg *link, uint32_t buffer, uint32_t len);
	void (*taken_return)(struct vd_rpmsg *link, uint32_t buffer);
	/* Give back the received message held as number @buffer. 0, or 1 if reception had stopped
	 * for want of a place. -VD_EINVAL: there is no such. */
	int (*release)(struct vd_rpmsg *link, uint32_t buffer);
	/* Publish all that was sent and released, and notify if the peer wants it. */
	void (*flush)(struct vd_rpmsg *link);
	/* Ask to be notified when there are empty buffers, or stop asking. True if there are some.
	 */
	bool (*tx_arm)(struct vd_rpmsg *link, bool on);
};

/* Cut the link's arrays out of the role's memory. */
void vd_rpmsg_carve(struct vd_rpmsg *link, const struct vd_rpmsg_config *config,
		    struct vd_carve *carve);

/* After that, and after *link was zeroed before it: make it usable. */
void vd_rpmsg_init(struct vd_rpmsg *link, const struct vd_rpmsg_config *config,
		   const struct vd_rpmsg_role *role);

/* Both queues work (link->tx_size is set), or not any more. */
void vd_rpmsg_link_up(struct vd_rpmsg *link, bool ns, bool big_endian);
void vd_rpmsg_link_down(struct vd_rpmsg *link);

/* Nothing may be sent or received until resumed; what is held is void. Channels stay as they are.
 */
void vd_rpmsg_link_pause(struct vd_rpmsg *link);
void vd_rpmsg_link_resume(struct vd_rpmsg *link);

/* A message arrived in @n segments of @size bytes; if it is held, it is so as number @buffer. */
enum vd_rpmsg_verdict vd_rpmsg_deliver(struct vd_rpmsg *link, const struct vd_iov *iov, unsigned n,
				       uint64_t size, uint32_t buffer);

/* The peer broke a rule. */
void vd_rpmsg_fault(struct vd_rpmsg *link, enum vd_fault_code code, uint64_t a, uint64_t b,
		    uint64_t c);

/* There are empty buffers again: send what is due, and tell whoever was told there were none. */
void vd_rpmsg_writable(struct vd_rpmsg *link);

/* There may be empty buffers again: do that if there are, and otherwise ask to be notified if
 * somebody wants them. */
void vd_rpmsg_look_for_buffers(struct vd_rpmsg *link);

/* A buffer, or a place to compose in, was given back on our side: do that if there is somebody to
 * tell.
 */
void vd_rpmsg_given_back(struct vd_rpmsg *link);

/* ---- name service ---- */

/* Send what announcements are due, as far as there are buffers. */
void vd_rpmsg_ns_send_due(struct vd_rpmsg *link);

/* The link came up: every channel is to be announced (again), and the peer's are to be forgotten.
 */
void vd_rpmsg_ns_restart(struct vd_rpmsg *link);

/* The peer is gone: nothing is due any more, and dying endpoints are dead. */
void vd_rpmsg_ns_stop(struct vd_rpmsg *link);

/* An endpoint with a name was created, or is going away. The latter: 0, or -VD_EAGAIN. */
void vd_rpmsg_ns_created(struct vd_rpmsg_ept *ept);
int vd_rpmsg_ns_destroyed(struct vd_rpmsg_ept *ept);

/* Listens at VD_RPMSG_NS_ADDR. */
vd_rpmsg_callback vd_rpmsg_ns_received;

#endif /* VD_RPMSG_ROLE_H */
