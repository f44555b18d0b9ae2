/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The remote role of rpmsg: the device, virtio id 7. What Linux' virtio_rpmsg_bus talks to.
 *
 *     config = VD_RPMSG_REMOTE_DEFAULTS, changed to taste
 *     vd_rpmsg_remote_init(&remote, &config, memory, vd_rpmsg_remote_memory(&config));
 *     vd_rpmsg_create_ept(&remote.link, ...);
 *     attach remote.dev to a transport
 *
 * From then on the transport calls vd_device_kick() when the driver notifies, and messages arrive
 * at their endpoints. Who polls instead calls vd_rpmsg_poll(&remote.link, ...) in his loop.
 */
#ifndef VIADUCT_RPMSG_REMOTE_H
#define VIADUCT_RPMSG_REMOTE_H

#include "viaduct/device.h"
#include "viaduct/rpmsg.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Segments of a buffer that are looked at. Linux makes one; a driver that cuts a buffer into more
 * is told so (VIRTIO 1.4, 2.7.4.1 allows a limit). */
#define VD_RPMSG_SEGMENTS 4

/* Most messages taken from a queue in one go. */
#define VD_RPMSG_BATCH_MAX 64

struct vd_rpmsg_remote_config {
	struct vd_rpmsg_config link;
	uint64_t features; /* common features to offer; NS and BUFSZ are offered by themselves */
	uint32_t vendor;
	uint16_t queue_size; /* most entries of each queue */
	uint16_t batch;      /* messages taken in one go, 1 to VD_RPMSG_BATCH_MAX */
	/* Messages that can be held at a time, 1 or more: when all places are taken nothing more is
	 * received until one is free. As many again can be composed in place. */
	uint16_t n_held;
	uint16_t idle_polls; /* times an empty queue is looked at again before waiting to be
				notified */
	uint32_t budget;     /* messages handled in one vd_device_kick() */
	/* Buffer sizes to offer (VD_RPMSG_F_BUFSZ), or 0: host to remote, remote to host. */
	uint32_t h2r_size;
	uint32_t r2h_size;
	const struct vd_vq_dev_ops *split;
	const struct vd_vq_dev_ops *packed; /* or NULL */
};

#define VD_RPMSG_REMOTE_DEFAULTS                                                                   \
	{                                                                                          \
		.link = {.n_endpoints = 64, .n_channels = 64},                                     \
		.features = VD_DEVICE_RING_FEATURES | VD_BIT(VD_F_SUSPEND), .queue_size = 256,     \
		.batch = 32, .n_held = 32, .budget = 1024, .split = &vd_split_dev,                 \
		.packed = &vd_packed_dev,                                                          \
	}

/* A buffer that somebody holds, or composes in. Private. */
struct vd_rpmsg_held {
	struct vd_chain chain;
	struct vd_iov iov[VD_RPMSG_SEGMENTS];
	uint32_t next_free;
	bool used;
};

/* Places for them. Receiving and sending have their own, so that who composes stops nobody. */
struct vd_rpmsg_places {
	struct vd_rpmsg_held *held; /* config.n_held */
	uint32_t free;              /* list of free ones */
	uint16_t n_free;
};

/* Buffers popped in one go. Private. */
struct vd_rpmsg_batch {
	struct vd_chain *chain;
	struct vd_iov *iov;
	uint16_t first; /* the next one to use */
	uint16_t count; /* behind the last one */
};

struct vd_rpmsg_remote {
	struct vd_rpmsg link;
	struct vd_device dev;

	/* private */
	struct vd_device_queue queues[VD_RPMSG_N_QUEUES];
	struct vd_rpmsg_remote_config config;
	unsigned char space[8]; /* configuration space */
	struct vd_rpmsg_batch rx;
	struct vd_rpmsg_batch tx; /* buffers for sending, popped in advance */
	struct vd_rpmsg_places received;
	struct vd_rpmsg_places composed;
	bool delivering; /* the message before rx.first is with its endpoint */
	bool tx_armed;   /* the driver is asked to notify when it returns buffers for sending */
};

/* Memory the role needs for @config. 0: the configuration makes no sense. */
size_t vd_rpmsg_remote_memory(const struct vd_rpmsg_remote_config *config);

/*
 * Make a remote. @memory: vd_rpmsg_remote_memory() bytes, aligned to 8, for as long as it exists.
 * -VD_EINVAL: a configuration that makes no sense, or too little memory.
 */
int vd_rpmsg_remote_init(struct vd_rpmsg_remote *remote,
			 const struct vd_rpmsg_remote_config *config, void *memory, size_t size);

static inline struct vd_rpmsg_remote *vd_rpmsg_remote_of(struct vd_rpmsg *link)
{
	return (struct vd_rpmsg_remote *)(void *)((char *)link -
						  offsetof(struct vd_rpmsg_remote, link));
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_RPMSG_REMOTE_H */
