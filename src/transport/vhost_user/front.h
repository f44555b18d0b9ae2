/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end, as its files see it. */
#ifndef VD_VHOST_USER_FRONT_H
#define VD_VHOST_USER_FRONT_H

#include "os/linux/doorbell.h"
#include "transport/vhost_user/channel.h"
#include "viaduct/vhost_user_front.h"

/* A queue that the back end has. */
struct vd_vu_front_queue {
	struct vd_vdev_vq *queue; /* NULL: it has not */
	struct vd_doorbell kick;
	struct vd_doorbell call;
	bool called; /* the back end signalled it, and the driver has not been told */
};

struct vd_vu_front {
	struct vd_vdev vdev; /* first */
	struct vd_vu_front_config config;
	struct vd_mem mem;
	struct vd_window window;
	struct vd_vu_front_queue *queues; /* config.n_queues of them */
	int epoll;
	int later; /* an eventfd: something was noted for the next poll */

	/* a connection */
	struct vd_vu_channel channel;  /* to the back end */
	struct vd_vu_channel requests; /* from it */
	uint64_t features;             /* offered, the protocol's own bit included */
	uint64_t protocol_features;    /* negotiated */
	uint16_t n_queues;             /* what the back end has, at most config.n_queues */
	bool config_changed;           /* and the driver has not been told */
	struct vd_fault fault;

	/* the device, over all connections */
	uint64_t driver_features; /* as the driver wrote them last */
	uint8_t status;           /* likewise; what the back end adds is not in there */
	int inflight_fd;          /* -1: no record of what is in flight */
	struct vd_vu_inflight_desc inflight;
};

static inline bool vd_vu_front_has(const struct vd_vu_front *front, unsigned protocol_feature)
{
	return front->protocol_features & VD_BIT(protocol_feature);
}

/* The connection has come to its end. Returns @err. */
int vd_vu_front_end(struct vd_vu_front *front, int err);

/* ---- front_requests.c ---- */

/*
 * Send a request, with @fd (-1: none) beside it. With REPLY_ACK this waits until the back end has
 * done it. An error has ended the connection; -VD_ENODEV: there was none.
 */
int vd_vu_front_send(struct vd_vu_front *front, uint32_t request, const void *payload,
		     uint32_t size, int fd);
int vd_vu_front_send_u64(struct vd_vu_front *front, uint32_t request, uint64_t value);
int vd_vu_front_send_state(struct vd_vu_front *front, uint32_t request, uint32_t index,
			   uint32_t num);

/*
 * Send a request whose answer has @answer_size bytes, and wait for that. With @fd: for a descriptor
 * with it, which is the caller's then. Errors likewise.
 */
int vd_vu_front_ask(struct vd_vu_front *front, uint32_t request, const void *payload, uint32_t size,
		    void *answer, uint32_t answer_size, int *fd);
int vd_vu_front_ask_u64(struct vd_vu_front *front, uint32_t request, uint64_t *value);

/* Note what the back end asks for, and tell it that it was heard. 0, or why the connection has
 * ended. */
int vd_vu_front_take_requests(struct vd_vu_front *front);

/* ---- front_vdev.c ---- */

extern const struct vd_vdev_ops vd_vu_front_ops;

/* Make @queue known to the back end: new, or where its predecessor left it. */
int vd_vu_front_start_queue(struct vd_vu_front *front, struct vd_vu_front_queue *queue,
			    bool resumed);

#endif /* VD_VHOST_USER_FRONT_H */
