/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a vhost-user back end. */
#ifndef VD_VHOST_USER_BACKEND_H
#define VD_VHOST_USER_BACKEND_H

#include "os/linux/doorbell.h"
#include "transport/vhost_user/channel.h"
#include "transport/vhost_user/inflight.h"
#include "transport/vhost_user/memory.h"
#include "viaduct/vhost_user.h"

/* Queues that vhost-user can name: 8 bits of SET_VRING_KICK. */
#define VD_VU_QUEUES_MAX 256

/* A queue as the front end describes it, piece by piece. */
struct vd_vu_vring {
	uint32_t num;           /* entries; 0: not told yet */
	struct vd_vu_addr addr; /* user addresses */
	uint32_t base;          /* as SET_VRING_BASE has it */
	bool has_addr;
	bool big_endian;
	bool started;  /* KICK was set */
	bool enabled;  /* ENABLE 1, or no protocol features */
	bool active;   /* the device has it: all of the above, and memory */
	bool polled;   /* the front end will not notify: keep looking */
	bool call_due; /* a message that waits for room in the back-end channel */
	bool err_due;
	struct vd_doorbell kick;
	struct vd_doorbell call;
	struct vd_doorbell err;
	struct vd_vu_inflight inflight;
};

/* The shared memory that holds the records of all queues: inflight_area.c. */
struct vd_vu_inflight_area {
	void *base; /* NULL: the front end did not ask for it */
	size_t size;
	size_t map_size; /* what mmap() was asked for */
	uint16_t num_queues;
	uint16_t queue_size;
	int guard;
	volatile bool gone;
};

struct vd_vu_backend {
	struct vd_vu_backend_config config;
	struct vd_device *dev;
	int epoll;
	int again; /* eventfd: there is work left for the next poll */
	struct vd_vu_channel channel;
	struct vd_vu_memory memory;
	struct vd_vu_inflight_area inflight;
	uint64_t features;          /* SET_FEATURES, with bit 30 */
	uint64_t protocol_features; /* negotiated */
	bool relays_status;         /* the front end has passed on what its driver wrote */
	int backend_req;            /* channel for our requests, or -1 */
	bool backend_req_full;      /* it is: requests wait until it is writable */
	bool config_change_due;     /* one of them */
	bool sock_ready;            /* the socket has something to read */
	uint64_t kicked[VD_VU_QUEUES_MAX / 64]; /* queues to look at */
	struct vd_fault fault;
	struct vd_vu_vring *vrings; /* dev->n_queues of them */
};

static inline bool vd_vu_has(const struct vd_vu_backend *backend, unsigned protocol_feature)
{
	return backend->protocol_features & VD_BIT(protocol_feature);
}

/* Record why the connection has to end. Returns -VD_EPROTO. */
int vd_vu_fail(struct vd_vu_backend *backend, enum vd_fault_code code, uint64_t a, uint64_t b,
	       uint64_t c);

/* ---- requests.c ---- */

/* Handle the message in backend->channel.in, answering it. 0, or why the connection ends. */
int vd_vu_handle(struct vd_vu_backend *backend);

/* ---- vring.c ---- */

/*
 * Make the device's queue @index what the front end has told of it so far: hand it over when all is
 * known, take it away when it is not any more. 0, or why the connection ends.
 */
int vd_vu_vring_update(struct vd_vu_backend *backend, uint16_t index);

/* Take the queue away from the device, and remember where it stands. */
void vd_vu_vring_deactivate(struct vd_vu_backend *backend, uint16_t index);

/* Everything about the queue is forgotten. */
void vd_vu_vring_reset(struct vd_vu_backend *backend, uint16_t index);

/* The driver's notification for queue @index arrived. */
void vd_vu_vring_kicked(struct vd_vu_backend *backend, uint16_t index);

/* Regions changed while queues were quiet: find the rings again. */
int vd_vu_vrings_relocate(struct vd_vu_backend *backend);

/* Signal the driver, or the front end that the queue broke. */
void vd_vu_vring_call(struct vd_vu_backend *backend, uint16_t index);
void vd_vu_vring_error(struct vd_vu_backend *backend, uint16_t index);

/* ---- backend.c ---- */

/* Look at queue @index in this poll, or the next one. */
void vd_vu_kick_later(struct vd_vu_backend *backend, uint16_t index);

/* Watch a kick doorbell, or stop. 0, or why the connection ends. */
int vd_vu_watch_kick(struct vd_vu_backend *backend, uint16_t index);
void vd_vu_unwatch_kick(struct vd_vu_backend *backend, uint16_t index);

/* Watch the back-end channel for room, or stop. */
void vd_vu_watch_backend_req(struct vd_vu_backend *backend, bool on);

/* ---- inflight_area.c ---- */

/* Make an area for @num_queues queues of up to @queue_size entries. Its file descriptor, which is
 * the caller's, or a negative errno. */
int vd_vu_inflight_area_create(struct vd_vu_inflight_area *area, uint16_t num_queues,
			       uint16_t queue_size);

/* Take up the area that a predecessor left in @fd, which stays the caller's. -VD_EINVAL: it can't
 * be one. Negative errno. */
int vd_vu_inflight_area_open(struct vd_vu_inflight_area *area, int fd,
			     const struct vd_vu_inflight_desc *desc);

void vd_vu_inflight_area_close(struct vd_vu_inflight_area *area);

/* ---- back_requests.c: what we ask of the front end, now or when there is room ---- */

void vd_vu_send_config_change(struct vd_vu_backend *backend);

/* In-band notifications about queue @index. */
void vd_vu_send_vring_call(struct vd_vu_backend *backend, uint16_t index);
void vd_vu_send_vring_err(struct vd_vu_backend *backend, uint16_t index);

/* There is room. */
void vd_vu_send_what_is_due(struct vd_vu_backend *backend);

/* Take over the channel for requests (-1: none), closing the one before. */
void vd_vu_set_backend_req(struct vd_vu_backend *backend, int fd);

#endif /* VD_VHOST_USER_BACKEND_H */
