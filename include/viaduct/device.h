/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device role: a virtio device as whoever implements it sees it.
 *
 * Three parties meet here. The *family* (rpmsg, console, ...) says what the device is and serves
 * its queues. The *transport* (vhost-user, mmio, remoteproc, loopback) brings what the driver does
 * and takes notifications to it. The core in between keeps status, features, configuration space
 * and queues by the rules of VIRTIO 1.4, chapters 2 and 3, so that no family and no transport has
 * to.
 *
 *     family                      core                          transport
 *     vd_device_init()            .                             vd_device_attach()
 *     .                           ops->start()           <---   vd_device_set_status(DRIVER_OK)
 *     .                           ops->notify()          <---   vd_device_kick()
 *     vd_device_flush()    --->   transport ops->notify()
 *
 * Context: nothing blocks or allocates. All calls for one device must come from one thread or
 * interrupt level at a time; the callbacks below come from inside them.
 */
#ifndef VIADUCT_DEVICE_H
#define VIADUCT_DEVICE_H

#include "viaduct/fault.h"
#include "viaduct/mem.h"
#include "viaduct/ring.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_dev.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vd_device;

/* What the family provides. "required" or "optional" (NULL allowed) for each. */
struct vd_device_ops {
	/* optional: false refuses a feature set that is legal but no use to this device. */
	bool (*accept)(struct vd_device *dev, uint64_t features);
	/* optional: the driver is ready (DRIVER_OK). queue_start() follows for each queue that is
	 * set up. An error puts the device into NEEDS_RESET. */
	int (*start)(struct vd_device *dev);
	/* required: reset, or the driver is gone. No queue may be touched any more, and no pointer
	 * into the driver's memory kept: it may be unmapped when this returns. queue_stop() was
	 * called for each queue that was started. Also called if start() failed. */
	void (*stop)(struct vd_device *dev);
	/* optional: queue @index can be used from now on; it may already hold buffers. */
	void (*queue_start)(struct vd_device *dev, uint16_t index);
	/* optional: queue @index goes away: push what is held, unpop what was popped in advance.
	 * When this returns the queue is not the family's any more, and what was neither pushed nor
	 * unpopped is lost to the driver. */
	void (*queue_stop)(struct vd_device *dev, uint16_t index);
	/* required: the driver sent an available-buffer notification for queue @index; it may be
	 * spurious. True: there is more to do than was fair to do at once, so come again without
	 * waiting for the driver. */
	bool (*notify)(struct vd_device *dev, uint16_t index);
	/* optional: the driver wrote @len bytes of configuration space at @offset. */
	void (*config_written)(struct vd_device *dev, uint32_t offset, uint32_t len);
	/* optional: give back all that is popped and take no more; 0 when that is done, an error if
	 * it can't be (the device goes into NEEDS_RESET). Needed to offer SUSPEND. */
	int (*suspend)(struct vd_device *dev);
	/* optional: go on. vd_device_config_update() calls refused meanwhile are due now. */
	int (*resume)(struct vd_device *dev);
	/* optional: something went wrong that a person should hear of: a driver broke a rule
	 * (@fault), in a queue or elsewhere. */
	void (*fault)(struct vd_device *dev, const struct vd_fault *fault);
};

/* What the transport provides. */
struct vd_device_transport_ops {
	/* required: send a used-buffer notification for queue @index. */
	void (*notify)(struct vd_device *dev, uint16_t index);
	/* required: send a configuration change notification. */
	void (*config_changed)(struct vd_device *dev);
	/* optional: queue @index holds buffers of which the driver need not notify us any more, as
	 * it did so before the device could look: call vd_device_kick() for it soon. Without this
	 * the core does, at once, from inside whatever made the device run. */
	void (*kick_later)(struct vd_device *dev, uint16_t index);
};

/* A queue as its transport sets it up. */
struct vd_queue_setup {
	uint16_t size;
	bool big_endian;                  /* legacy drivers of that order only */
	struct vd_ring_mem ring;          /* local pointers */
	struct vd_ring_position position; /* vd_ring_start(), or where it stopped */
	struct vd_journal *journal;       /* or NULL */
};

/* A queue and the memory it is given. The family declares an array of them. */
struct vd_device_queue {
	uint16_t size_max; /* the family's: most entries; a split ring then has a power of two */
	void *state;       /* the family's: vd_device_queue_state_size() bytes, aligned to 8 */
	size_t state_size;

	/* private */
	struct vd_vq_dev vq;
	struct vd_queue_setup setup;
	bool enabled;  /* set up by the transport */
	bool live;     /* handed to the family: enabled, and the device runs */
	bool stopping; /* in ops->queue_stop() */
};

struct vd_device_config {
	const struct vd_device_type *type;
	const struct vd_device_ops *ops;
	uint64_t features; /* bits of the device type to offer, and any of the common ones that the
			    * family does not want left out by VD_DEVICE_RING_FEATURES */
	uint32_t vendor;
	struct vd_device_queue *queues;
	uint16_t n_queues;
	void *config; /* type->config_size bytes, little-endian fields, the family's; or NULL */
	/* Ring layouts linked into this image. Without packed RING_PACKED is not offered. */
	const struct vd_vq_dev_ops *split;
	const struct vd_vq_dev_ops *packed;
};

/* Features of rings and of this core that cost a family nothing: what most devices offer. */
#define VD_DEVICE_RING_FEATURES                                                                    \
	(VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_INDIRECT_DESC) | VD_BIT(VD_F_EVENT_IDX) |            \
	 VD_BIT(VD_F_RING_PACKED) | VD_BIT(VD_F_IN_ORDER) | VD_BIT(VD_F_NOTIFICATION_DATA) |       \
	 VD_BIT(VD_F_RING_RESET))

/* Private, but for reading: id, features and status are what the driver sees. */
struct vd_device {
	const struct vd_device_type *type;
	const struct vd_device_ops *ops;
	const struct vd_device_transport_ops *transport;
	void *transport_data; /* the transport's */
	const struct vd_vq_dev_ops *split;
	const struct vd_vq_dev_ops *packed;
	const struct vd_mem *mem; /* the driver's memory, by the addresses in descriptors */
	struct vd_device_queue *queues;
	unsigned char *config;
	uint64_t transport_features; /* bits 24-49 that the transport can carry */
	uint64_t offered;
	uint64_t features; /* negotiated; frozen while FEATURES_OK */
	uint32_t vendor;
	uint32_t config_generation;
	uint16_t n_queues;
	uint8_t status;
	bool big_endian;  /* the byte order of the driver, if it is a legacy one */
	bool running;     /* DRIVER_OK, not suspended, not in need of a reset */
	bool started;     /* ops->start() was called, ops->stop() is due */
	bool paused;      /* between vd_device_pause() and vd_device_unpause() */
	bool config_held; /* an update was refused while suspended */
	uint64_t n_faults;
	struct vd_fault fault; /* the last one */
};

/* ---- for the family ---- */

/* Private memory for a queue of up to @size_max entries, whatever features are negotiated. 0: no
 * queue is that large. */
size_t vd_device_queue_state_size(const struct vd_device_config *config, uint16_t size_max);

/* Make a device. It is the family's memory, and can be attached to one transport at a time.
 * -VD_EINVAL: no type, ops, split ring or queues, or a queue without enough state; SUSPEND without
 * ops->suspend and ops->resume. */
int vd_device_init(struct vd_device *dev, const struct vd_device_config *config);

/* Queue @index, or NULL while the family may not use it. */
struct vd_vq_dev *vd_device_vq(struct vd_device *dev, uint16_t index);

/* Was feature @bit negotiated? */
static inline bool vd_device_has(const struct vd_device *dev, unsigned bit)
{
	return dev->features & VD_BIT(bit);
}

/* Publish what was pushed to queue @index and notify the driver if it wants that. Also finds out
 * whether the queue is broken, and if so what vd_device_fail() says. */
void vd_device_flush(struct vd_device *dev, uint16_t index);

/* Change @len bytes of configuration space at @offset (little-endian fields), and tell the driver.
 * -VD_EBUSY: suspended; do it again in ops->resume(). -VD_EINVAL: outside. */
int vd_device_config_update(struct vd_device *dev, uint32_t offset, const void *bytes,
			    uint32_t len);

/* The driver can't be served any more until it resets the device: DEVICE_NEEDS_RESET, with a
 * configuration change notification if the driver was ready (2.1.2). The queues stop at once. */
void vd_device_fail(struct vd_device *dev, const struct vd_fault *fault);

/* Count and report a driver's mistake that can be lived with. */
void vd_device_report(struct vd_device *dev, const struct vd_fault *fault);

/* ---- for the transport ---- */

/* Connect the device to a driver. It is reset. @data: what the transport's functions find in
 * dev->transport_data. @features: bits 24-49 that the transport carries. @mem: outlives the
 * connection; it may change while no queue is live. */
void vd_device_attach(struct vd_device *dev, const struct vd_device_transport_ops *ops, void *data,
		      const struct vd_mem *mem, uint64_t features);

/* A driver that does not accept VERSION_1 has this byte order (2.4.3). Little-endian until told. */
static inline void vd_device_set_legacy_order(struct vd_device *dev, bool big_endian)
{
	dev->big_endian = big_endian;
}

/* The driver is gone: stop, and forget the transport. */
void vd_device_detach(struct vd_device *dev);

/* What is offered to the driver. */
uint64_t vd_device_offered(const struct vd_device *dev);

/* The driver accepts @features. Judged when FEATURES_OK is set; refused with -VD_EBUSY after, and
 * while a queue is enabled. */
int vd_device_set_features(struct vd_device *dev, uint64_t features);

/* The driver writes the status register. Every rule about it is here. */
void vd_device_set_status(struct vd_device *dev, uint8_t status);

static inline uint8_t vd_device_status(const struct vd_device *dev)
{
	return dev->status;
}

/* The same as writing status 0. */
void vd_device_reset(struct vd_device *dev);

/* The driver reads @len bytes of configuration space at @offset. 0; -VD_EINVAL: outside, and
 * @bytes is zeroed. */
int vd_device_config_read(struct vd_device *dev, uint32_t offset, void *bytes, uint32_t len);

/* The driver writes them. -VD_EINVAL: outside. -VD_EACCES: a read-only field is touched; nothing is
 * written. Ignored while suspended. */
int vd_device_config_write(struct vd_device *dev, uint32_t offset, const void *bytes, uint32_t len);

/* The driver set up queue @index. It is used as soon as the device runs.
 * -VD_EINVAL: no such queue, too many entries, a layout that is not there, or a setup that
 * vd_vq_dev_init() refuses.
 * -VD_EBUSY: it is enabled already. */
int vd_device_queue_enable(struct vd_device *dev, uint16_t index,
			   const struct vd_queue_setup *setup);

/* The driver takes queue @index away (RING_RESET, QueueReady 0, GET_VRING_BASE). When this returns
 * it is not touched any more. @position (may be NULL) says where it stopped. */
void vd_device_queue_disable(struct vd_device *dev, uint16_t index,
			     struct vd_ring_position *position);

/*
 * Keep the family off the queues for a moment without the driver's knowledge, as when shared memory
 * is mapped anew: it gives back all it holds, and goes on afterwards. Between the two calls the
 * rings may be moved to other local addresses, and the windows of the driver's memory changed.
 */
void vd_device_pause(struct vd_device *dev);
void vd_device_unpause(struct vd_device *dev);

/* Queue @index, which is enabled, is found at @ring from now on. */
void vd_device_queue_move(struct vd_device *dev, uint16_t index, const struct vd_ring_mem *ring);

/* The driver sent an available-buffer notification, with the value @notification
 * (vd_notification()). Without NOTIFICATION_DATA only its queue index counts. True: the family
 * wants to go on with this queue; call again soon. */
bool vd_device_kick(struct vd_device *dev, uint32_t notification);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_DEVICE_H */
