/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user transport: a device and its driver in two processes, with the driver's memory
 * shared and a Unix socket between them for control. Linux only. Source: QEMU's
 * docs/interop/vhost-user.rst.
 *
 * The *back end* serves the device role: any `struct vd_device` can be offered to QEMU, to User
 * Mode Linux, or to any other front end.
 *
 *     vd_vu_backend_create(&backend, &config);
 *     vd_vu_backend_connect(backend, accept(...));
 *     for (;;) {
 *             poll on vd_vu_backend_fd(backend);
 *             if (vd_vu_backend_poll(backend) < 0)
 *                     the front end is gone: connect the next one
 *     }
 *
 * The front end is not trusted. A message that is malformed or comes at the wrong time ends the
 * connection with a fault that says why; the device is then reset and ready for the next one. A
 * front end that takes away memory it has shared (by making the file shorter) would kill the
 * process with SIGBUS; call vd_guard_install() (viaduct/linux.h) once to be told instead.
 */
#ifndef VIADUCT_VHOST_USER_H
#define VIADUCT_VHOST_USER_H

#include "viaduct/device.h"
#include "viaduct/fault.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Requests of the front end. */
enum vd_vu_request {
	VD_VU_GET_FEATURES = 1,
	VD_VU_SET_FEATURES = 2,
	VD_VU_SET_OWNER = 3,
	VD_VU_RESET_OWNER = 4,
	VD_VU_SET_MEM_TABLE = 5,
	VD_VU_SET_LOG_BASE = 6,
	VD_VU_SET_LOG_FD = 7,
	VD_VU_SET_VRING_NUM = 8,
	VD_VU_SET_VRING_ADDR = 9,
	VD_VU_SET_VRING_BASE = 10,
	VD_VU_GET_VRING_BASE = 11,
	VD_VU_SET_VRING_KICK = 12,
	VD_VU_SET_VRING_CALL = 13,
	VD_VU_SET_VRING_ERR = 14,
	VD_VU_GET_PROTOCOL_FEATURES = 15,
	VD_VU_SET_PROTOCOL_FEATURES = 16,
	VD_VU_GET_QUEUE_NUM = 17,
	VD_VU_SET_VRING_ENABLE = 18,
	VD_VU_SET_BACKEND_REQ_FD = 21,
	VD_VU_SET_VRING_ENDIAN = 23,
	VD_VU_GET_CONFIG = 24,
	VD_VU_SET_CONFIG = 25,
	VD_VU_GET_INFLIGHT_FD = 31,
	VD_VU_SET_INFLIGHT_FD = 32,
	VD_VU_RESET_DEVICE = 34,
	VD_VU_VRING_KICK = 35,
	VD_VU_GET_MAX_MEM_SLOTS = 36,
	VD_VU_ADD_MEM_REG = 37,
	VD_VU_REM_MEM_REG = 38,
	VD_VU_SET_STATUS = 39,
	VD_VU_GET_STATUS = 40,
};

/* Requests of the back end, on the channel that SET_BACKEND_REQ_FD brings. */
enum vd_vu_backend_request {
	VD_VU_BACKEND_CONFIG_CHANGE = 2,
	VD_VU_BACKEND_VRING_CALL = 4,
	VD_VU_BACKEND_VRING_ERR = 5,
};

/* Protocol features: bit numbers. */
enum vd_vu_protocol_feature {
	VD_VU_F_MQ = 0,
	VD_VU_F_REPLY_ACK = 3,
	VD_VU_F_BACKEND_REQ = 5,
	VD_VU_F_CROSS_ENDIAN = 6,
	VD_VU_F_CONFIG = 9,
	VD_VU_F_INFLIGHT_SHMFD = 12,
	VD_VU_F_RESET_DEVICE = 13,
	VD_VU_F_INBAND_NOTIFICATIONS = 14,
	VD_VU_F_CONFIGURE_MEM_SLOTS = 15,
	VD_VU_F_STATUS = 16,
};

/* Among the feature bits: the front end may ask for protocol features. */
#define VD_VU_FEATURE_PROTOCOL 30

/*
 * What a back end offers unless told otherwise: everything above but in-band notifications, with
 * which a back end that is stopped (in a debugger, say) stops the whole front end.
 */
#define VD_VU_PROTOCOL_DEFAULT                                                                     \
	(VD_BIT(VD_VU_F_MQ) | VD_BIT(VD_VU_F_REPLY_ACK) | VD_BIT(VD_VU_F_BACKEND_REQ) |            \
	 VD_BIT(VD_VU_F_CROSS_ENDIAN) | VD_BIT(VD_VU_F_CONFIG) | VD_BIT(VD_VU_F_INFLIGHT_SHMFD) |  \
	 VD_BIT(VD_VU_F_RESET_DEVICE) | VD_BIT(VD_VU_F_CONFIGURE_MEM_SLOTS) |                      \
	 VD_BIT(VD_VU_F_STATUS))

/* The name of a request ("SET_MEM_TABLE"), or NULL. */
const char *vd_vu_request_name(uint32_t request);

/* The name of a protocol feature ("REPLY_ACK"), or NULL. */
const char *vd_vu_protocol_feature_name(unsigned bit);

struct vd_vu_backend;

struct vd_vu_backend_config {
	struct vd_device *dev;      /* initialised, attached to nothing; outlives the back end */
	uint64_t protocol_features; /* VD_VU_PROTOCOL_DEFAULT, or others */
	void *owner;                /* the application's */
	/* optional: a request was received, and is about to be handled. @payload may be misaligned
	 * for what it holds. For those who watch. */
	void (*trace)(struct vd_vu_backend *backend, uint32_t request, uint32_t flags,
		      const void *payload, uint32_t size, unsigned n_fds);
};

/* Make a back end that is not connected. -VD_ENOMEM, or the errno of the system call that failed.
 */
int vd_vu_backend_create(struct vd_vu_backend **backend, const struct vd_vu_backend_config *config);

/* Disconnect and free it. The device stays. NULL is allowed. */
void vd_vu_backend_destroy(struct vd_vu_backend *backend);

/* Talk to the front end on the connected stream socket @sock, which is the back end's from now on,
 * also on failure. -VD_EBUSY: there is a front end already. */
int vd_vu_backend_connect(struct vd_vu_backend *backend, int sock);

/* Disconnect, as if the front end had closed the connection. */
void vd_vu_backend_disconnect(struct vd_vu_backend *backend);

bool vd_vu_backend_is_connected(const struct vd_vu_backend *backend);

/* A file descriptor that is readable when vd_vu_backend_poll() has something to do. It stays the
 * same from create to destroy, and is good for poll, epoll and every event loop built on them. */
int vd_vu_backend_fd(const struct vd_vu_backend *backend);

/*
 * Do whatever there is to do: messages of the front end, notifications of the driver. Never blocks.
 * 0: done for now. Otherwise the connection has ended and the device is reset: -VD_ECONNRESET, the
 * front end closed it; -VD_EPROTO, it broke a rule: vd_vu_backend_fault() says which; -VD_EIO or an
 * errno, it failed.
 */
int vd_vu_backend_poll(struct vd_vu_backend *backend);

/*
 * Wait at most @timeout_ms until the driver has sent a notification for queue @index, keeping
 * everything else for the next poll. For waiting inside a callback, as vd_rpmsg_send() does.
 * 0; -VD_ETIMEDOUT; -VD_EPIPE: the front end has closed the connection, or has something to say
 * that must be handled first.
 */
int vd_vu_backend_await(struct vd_vu_backend *backend, uint16_t index, uint32_t timeout_ms);

/* Why the last connection ended with -VD_EPROTO. */
const struct vd_fault *vd_vu_backend_fault(const struct vd_vu_backend *backend);

/* The configuration it was made with. */
const struct vd_vu_backend_config *vd_vu_backend_config(const struct vd_vu_backend *backend);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_VHOST_USER_H */
