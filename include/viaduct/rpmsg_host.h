/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host role of rpmsg: the driver of virtio id 7, what Linux' virtio_rpmsg_bus is. It owns all
 * buffers: those the remote sends in are posted in advance, those it sends in come back when the
 * remote has read them.
 *
 *     vd_rpmsg_host_init(&host, &config, memory, vd_rpmsg_host_memory(&config));
 *     vd_rpmsg_driver_init(&driver);
 *     vd_rpmsg_driver_add(&driver, &host);
 *     vd_bus_add_driver(&bus, &driver.driver);
 *     vd_rpmsg_create_ept(&host.link, ...);
 *
 * A host takes the next device that arrives; the link is up from probe to remove. Messages arrive
 * when the transport calls vd_vdev_queue_notified(). Who polls instead asks for no notifications
 * (vd_rpmsg_host_config.polled) and calls vd_rpmsg_poll(&host.link, ...) in his loop.
 *
 * Context: as viaduct/rpmsg.h has it; the bus and its links are one context.
 */
#ifndef VIADUCT_RPMSG_HOST_H
#define VIADUCT_RPMSG_HOST_H

#include "viaduct/bus.h"
#include "viaduct/rpmsg.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vd_rpmsg_host_config {
	struct vd_rpmsg_config link;
	uint16_t queue_size; /* most buffers in each direction; 0: as many as the device takes */
	/* Bytes of a buffer, header included, unless the device says (VD_RPMSG_F_BUFSZ); 0: 512. */
	uint32_t buffer_size;
	bool polled; /* the owner polls: ask the device for no notifications of messages */
};

#define VD_RPMSG_HOST_DEFAULTS                                                                     \
	{                                                                                          \
		.link = {.n_endpoints = 64, .n_channels = 64},                                     \
	}

/* The buffers of one direction. Private. */
struct vd_rpmsg_buffers {
	unsigned char *memory; /* from vdev->shared */
	size_t memory_size;
	uint32_t size; /* of each */
	uint16_t count;
	uint16_t *free; /* those that are nobody's, first in, first out; from vdev->local */
	uint8_t *use;   /* whose each is; behind that */
	size_t local_size;
	uint16_t first_free;
	uint16_t n_free;
};

struct vd_rpmsg_host {
	struct vd_rpmsg link;
	struct vd_vdev *vdev; /* its device; NULL while it has none */

	/* private */
	struct vd_rpmsg_host_config config;
	struct vd_vdev_vq queues[VD_RPMSG_N_QUEUES];
	struct vd_rpmsg_buffers rx;
	struct vd_rpmsg_buffers tx;
	struct vd_iov frame; /* the buffer peeked at */
	bool tx_armed;       /* the device is asked to notify when it returns buffers */
	bool told;           /* the owner heard that a queue is broken */
	struct vd_rpmsg_host *next;
};

/* The driver of all hosts of a bus. */
struct vd_rpmsg_driver {
	struct vd_driver driver; /* for vd_bus_add_driver() */
	struct vd_rpmsg_host *hosts;
};

/* Private memory a host needs for @config; what depends on the device comes from its allocators. */
size_t vd_rpmsg_host_memory(const struct vd_rpmsg_host_config *config);

/*
 * Make a host. @memory: vd_rpmsg_host_memory() bytes, aligned to 8, for as long as it exists.
 * -VD_EINVAL: buffers too small for a header, or too little memory.
 */
int vd_rpmsg_host_init(struct vd_rpmsg_host *host, const struct vd_rpmsg_host_config *config,
		       void *memory, size_t size);

void vd_rpmsg_driver_init(struct vd_rpmsg_driver *driver);

/*
 * Let @host have the next device. One that arrived when there was no host is bound with
 * vd_bus_bind().
 */
void vd_rpmsg_driver_add(struct vd_rpmsg_driver *driver, struct vd_rpmsg_host *host);

/* Take it back. -VD_EBUSY: it has a device; unbind that first. -VD_ENOENT: it is not there. */
int vd_rpmsg_driver_remove(struct vd_rpmsg_driver *driver, struct vd_rpmsg_host *host);

static inline struct vd_rpmsg_host *vd_rpmsg_host_of(struct vd_rpmsg *link)
{
	return (struct vd_rpmsg_host *)(void *)((char *)link -
						offsetof(struct vd_rpmsg_host, link));
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_RPMSG_HOST_H */
