/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user front end: a driver whose device is another process behind a Unix socket, such as
 * `viaduct device`, or any other vhost-user back end. Linux only.
 *
 *     vd_vu_front_create(&front, &config);
 *     vd_vu_front_connect(front, socket connected to the back end);
 *     vd_bus_add_device(&bus, vd_vu_front_vdev(front));
 *     for (;;) {
 *             poll on vd_vu_front_fd(front);
 *             if (vd_vu_front_poll(front) < 0)
 *                     the back end is gone: connect to its successor
 *     }
 *
 * The back end is a mortal process. While it is gone the driver keeps its device and its queues;
 * nothing it adds gets anywhere. vd_vu_front_connect() to a successor resumes them if both have
 * in-flight tracking, and the driver notices nothing; otherwise it has to be recovered
 * (vd_vdev_recover()), or unbound.
 *
 * Context: control (everything the bus does with the device) waits for the back end's answers, up
 * to config.timeout_ms each; vd_vu_front_poll() and notifications never wait.
 */
#ifndef VIADUCT_VHOST_USER_FRONT_H
#define VIADUCT_VHOST_USER_FRONT_H

#include "viaduct/bus.h"
#include "viaduct/linux.h"
#include "viaduct/vhost_user.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vd_vu_front;

struct vd_vu_front_config {
	uint32_t device_id;                /* the protocol does not say what the device is */
	const struct vd_device_type *type; /* or NULL */
	const struct vd_shared *memory; /* what the back end gets to see; outlives the front end */
	uint64_t peer;                  /* the address of its first byte, in descriptors */
	struct vd_alloc *shared;        /* memory in there */
	struct vd_alloc *local;
	const struct vd_vq_drv_ops *split;
	const struct vd_vq_drv_ops *packed; /* or NULL */
	uint64_t features;          /* bits 24-49 to carry: VD_VU_FRONT_FEATURES, or fewer */
	uint64_t protocol_features; /* VD_VU_FRONT_PROTOCOL, or fewer */
	uint16_t n_queues;   /* of the device; a back end with MQ can say that it has fewer */
	uint16_t queue_size; /* most entries of each, for back ends do not say; a power of two */
	uint32_t timeout_ms; /* to wait for an answer; 0: 5000 */
};

#define VD_VU_FRONT_FEATURES                                                                       \
	((VD_DEVICE_RING_FEATURES & ~VD_BIT(VD_F_NOTIFICATION_DATA)) | VD_BIT(VD_F_SUSPEND) |      \
	 VD_BIT(VD_F_NOTIFY_ON_EMPTY) | VD_BIT(VD_F_ANY_LAYOUT))

#define VD_VU_FRONT_PROTOCOL                                                                       \
	(VD_BIT(VD_VU_F_MQ) | VD_BIT(VD_VU_F_REPLY_ACK) | VD_BIT(VD_VU_F_BACKEND_REQ) |            \
	 VD_BIT(VD_VU_F_CONFIG) | VD_BIT(VD_VU_F_INFLIGHT_SHMFD) | VD_BIT(VD_VU_F_RESET_DEVICE) |  \
	 VD_BIT(VD_VU_F_STATUS))

/* Make a front end that is not connected. -VD_EINVAL: a configuration that makes no sense.
 * -VD_ENOMEM, or the errno of the system call that failed. */
int vd_vu_front_create(struct vd_vu_front **front, const struct vd_vu_front_config *config);

/* Disconnect and free it. Its device is on no bus any more. NULL is allowed. */
void vd_vu_front_destroy(struct vd_vu_front *front);

/*
 * Talk to the back end on the connected stream socket @sock, which is the front end's from now on,
 * also on failure. 0: the device can be added to a bus or, if its driver is bound, be recovered.
 * 1: the driver was bound, and goes on. -VD_EBUSY: connected already. -VD_ETIMEDOUT: no answer.
 * -VD_EPROTO: the back end broke a rule, vd_vu_front_fault() says which. -VD_ECONNRESET, or an
 * errno: the connection failed.
 */
int vd_vu_front_connect(struct vd_vu_front *front, int sock);

/* Close the connection. */
void vd_vu_front_disconnect(struct vd_vu_front *front);

bool vd_vu_front_is_connected(const struct vd_vu_front *front);

/* The device, for a bus. */
struct vd_vdev *vd_vu_front_vdev(struct vd_vu_front *front);

/* A file descriptor that is readable when vd_vu_front_poll() has something to do; the same from
 * create to destroy. */
int vd_vu_front_fd(const struct vd_vu_front *front);

/*
 * Pass on what the back end has to say: used buffers, changed configuration. 0: done for now.
 * Otherwise the connection has ended, with an error as of vd_vu_front_connect().
 */
int vd_vu_front_poll(struct vd_vu_front *front);

/*
 * Wait at most @timeout_ms until the back end has signalled queue @index, keeping that and
 * everything else for the next poll. For waiting inside a callback, as vd_rpmsg_send() does.
 * 0; -VD_ETIMEDOUT; -VD_EPIPE: the back end is gone.
 */
int vd_vu_front_await(struct vd_vu_front *front, uint16_t index, uint32_t timeout_ms);

/* Why the last connection ended with -VD_EPROTO. */
const struct vd_fault *vd_vu_front_fault(const struct vd_vu_front *front);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_VHOST_USER_FRONT_H */
