/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver role: the virtio bus. Devices are discovered by transports, drivers are registered by
 * families, in any order; the bus brings together those whose ids match and leads each pair through
 * the life that VIRTIO 1.4, chapters 2 and 3, prescribe. The behaviour is that of Linux'
 * drivers/virtio/virtio.c, from registration to restore.
 *
 * `struct vd_vdev` is a device as its driver sees it (Linux: struct virtio_device). The other side
 * of the same device is `struct vd_device` in viaduct/device.h.
 *
 * Context: nothing blocks, except that a transport may wait for a reset or a suspension, for a
 * bounded time. All calls for one bus must come from one thread at a time, callbacks included.
 */
#ifndef VIADUCT_BUS_H
#define VIADUCT_BUS_H

#include "viaduct/alloc.h"
#include "viaduct/fault.h"
#include "viaduct/mem.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_drv.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vd_bus;
struct vd_driver;
struct vd_vdev;
struct vd_vdev_vq;

/* ---- what a transport provides ---- */

struct vd_vdev_ops {
	/* The features the device offers. */
	uint64_t (*get_features)(struct vd_vdev *vdev);
	/* Write the accepted features; more than once while FEATURES_OK is not set. Errors: the
	 * transport's. */
	int (*set_features)(struct vd_vdev *vdev, uint64_t features);
	uint8_t (*get_status)(struct vd_vdev *vdev);
	void (*set_status)(struct vd_vdev *vdev, uint8_t status);
	/* Reset, and return only when status reads 0. -VD_ETIMEDOUT, -VD_ENODEV: it does not. */
	int (*reset)(struct vd_vdev *vdev);
	/* Access configuration space; one field, or one element of an array field, at a time. */
	int (*config_read)(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len);
	int (*config_write)(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len);
	/* optional: a number that changes when configuration space does. Without it values that
	 * take several accesses are read until two looks agree. */
	uint32_t (*config_generation)(struct vd_vdev *vdev);
	/* The most entries queue @index may have; 0: there is no such queue. */
	uint16_t (*queue_size_max)(struct vd_vdev *vdev, uint16_t index);
	/* Make the queue known to the device. It was placed and initialised. */
	int (*queue_enable)(struct vd_vdev *vdev, struct vd_vdev_vq *queue);
	/* Take it away, at del_vqs() or (with RING_RESET) queue_reset(). When this returns 0 the
	 * device does not touch the queue any more. */
	int (*queue_disable)(struct vd_vdev *vdev, struct vd_vdev_vq *queue);
	/* Send an available-buffer notification. */
	void (*notify)(struct vd_vdev *vdev, struct vd_vdev_vq *queue, uint32_t notification);
	/* optional: called between two looks at the status while waiting for a suspension;
	 * @attempt counts from 0. An error gives up. Without it the bus looks only once. */
	int (*relax)(struct vd_vdev *vdev, unsigned attempt);
};

/* ---- queues of a driver ---- */

/* A queue a driver asks for. */
struct vd_vq_request {
	const char *name;
	/* The device used buffers (maybe). NULL: the driver polls. */
	void (*callback)(struct vd_vdev_vq *queue);
	uint16_t size;          /* entries wanted; 0: as many as the device allows */
	uint16_t table_entries; /* longest chain to go into an indirect table; 0 or 1: none does */
};

/* A queue a driver has. Declared by the driver, filled by vd_vdev_find_vqs(). */
struct vd_vdev_vq {
	struct vd_vq_drv vq;
	struct vd_vdev *vdev;
	struct vd_vq_request request;
	uint16_t index;

	/* private: its memory */
	struct vd_ring_mem ring;
	void *memory; /* ring and tables, from vdev->shared */
	size_t memory_size;
	void *state; /* from vdev->local */
	size_t state_size;
};

/* ---- devices ---- */

/* A transport fills the first part and hands the device to vd_bus_add_device(). */
struct vd_vdev {
	const struct vd_device_type *type; /* or NULL, if the transport does not know the type */
	uint32_t device_id;
	uint32_t vendor_id;
	const struct vd_vdev_ops *ops;
	uint64_t transport_features; /* of bits 24-49, those that the transport carries */
	const struct vd_mem *mem;    /* what the device can see of our memory */
	struct vd_alloc *shared;     /* memory for rings, inside `mem` */
	struct vd_alloc *local;      /* private memory */
	/* Ring layouts linked into this image; NULL for packed: it is not accepted. */
	const struct vd_vq_drv_ops *split;
	const struct vd_vq_drv_ops *packed;
	bool big_endian;       /* our byte order, for a device that is legacy */
	uint32_t legacy_align; /* such a device wants its rings in one piece, aligned so; or 0 */

	/* filled by the bus */
	struct vd_bus *bus;
	struct vd_driver *driver; /* bound, or NULL */
	void *priv;               /* the driver's */
	unsigned index;           /* the N of virtioN */
	char name[16];            /* "virtioN" */
	uint64_t features;        /* negotiated */
	bool failed;              /* what FAILED in the status says, kept over freeze */
	bool ready;               /* DRIVER_OK was set: the device may be notified, */
	bool suspended;           /* but not now */
	bool config_enabled;      /* configuration changes may be passed on, */
	bool config_pending;      /* one waits for that */
	struct vd_vdev_vq *queues;
	uint16_t n_queues;
	struct vd_fault fault; /* why the last probe or restore failed, if the device is to blame */
	struct vd_vdev *next;
};

/* ---- drivers ---- */

struct vd_device_id {
	uint32_t device; /* enum vd_virtio_id or VD_ID_ANY; 0 ends a table */
	uint32_t vendor; /* or VD_ID_ANY */
};

struct vd_driver {
	const char *name;               /* unique on the bus */
	const struct vd_device_id *ids; /* ends with {0} */
	const uint8_t *features;        /* feature bits the driver knows */
	unsigned n_features;            /* how many */
	const uint8_t *legacy_features; /* optional: those for a device without VERSION_1 */
	unsigned n_legacy_features;
	/* optional: judge device and features before they are final; may clear bits in
	 * vdev->features. Config may be read, not written (3.1.1). */
	int (*validate)(struct vd_vdev *vdev);
	/* required: take the device. DRIVER_OK is set after it, unless it did that itself with
	 * vd_vdev_ready(). On an error it leaves nothing behind. */
	int (*probe)(struct vd_vdev *vdev);
	/* optional: after DRIVER_OK. */
	void (*scan)(struct vd_vdev *vdev);
	/* required: give the device back: reset it (vd_vdev_reset()), then free. */
	void (*remove)(struct vd_vdev *vdev);
	/* optional: configuration space changed. */
	void (*config_changed)(struct vd_vdev *vdev);
	/* optional, both or neither: before the machine sleeps, give up queues and keep data; after
	 * it wakes, the device is reset and features are negotiated as before: set up queues. */
	int (*freeze)(struct vd_vdev *vdev);
	int (*restore)(struct vd_vdev *vdev);

	struct vd_driver *next; /* private */
};

struct vd_bus {
	struct vd_vdev *devices;   /* in order of arrival */
	struct vd_driver *drivers; /* in order of registration */
	/* optional: tells what happens, for people and logs. @err as the operation returned it. */
	void (*event)(struct vd_bus *bus, const struct vd_vdev *vdev, const char *what, int err);
};

void vd_bus_init(struct vd_bus *bus);

/*
 * A device was discovered. It gets the lowest free index and its name, is reset and acknowledged,
 * and bound to the first driver that matches and takes it. 0, whether or not there is such a
 * driver; an error of the reset (then the device is not on the bus).
 */
int vd_bus_add_device(struct vd_bus *bus, struct vd_vdev *vdev);

/* The device goes away; its driver is removed first. Traffic may be running. */
void vd_bus_remove_device(struct vd_bus *bus, struct vd_vdev *vdev);

/*
 * Register a driver: every device on the bus that matches and has none is probed.
 * -VD_EBUSY: one of that name is registered. -VD_EINVAL: no name, ids, probe or remove, or a
 * feature bit that can't be.
 */
int vd_bus_add_driver(struct vd_bus *bus, struct vd_driver *driver);

/* Unregister: it is removed from all its devices, which stay on the bus. */
void vd_bus_remove_driver(struct vd_bus *bus, struct vd_driver *driver);

/* Bind a device without a driver to a matching one, as when a probe failed for a reason that is
 * gone. -VD_ENODEV: no driver matches. -VD_EBUSY: it has one. Otherwise what the last probe
 * returned. */
int vd_bus_bind(struct vd_vdev *vdev);

/* Take the driver off a device that stays. */
void vd_bus_unbind(struct vd_vdev *vdev);

/* Does @ids name a device with these ids? */
bool vd_id_match(const struct vd_device_id *ids, uint32_t device, uint32_t vendor);

/* ---- for transports: what the device says ---- */

/* A used-buffer notification for queue @index; for every queue if the transport can't tell which.
 */
void vd_vdev_queue_notified(struct vd_vdev *vdev, uint16_t index);
void vd_vdev_all_notified(struct vd_vdev *vdev);

/*
 * A configuration change notification. Passed on when the driver is ready for it. A device in
 * NEEDS_RESET shows it this way (2.1.2): its queues break, which ends all waiting.
 */
void vd_vdev_config_changed(struct vd_vdev *vdev);

/* ---- for drivers ---- */

static inline bool vd_vdev_has(const struct vd_vdev *vdev, unsigned bit)
{
	return vdev->features & VD_BIT(bit);
}

/* Set DRIVER_OK: the device may use buffers from now on. It is notified of those there are. */
void vd_vdev_ready(struct vd_vdev *vdev);

/* Reset the device: it forgets all buffers. */
int vd_vdev_reset(struct vd_vdev *vdev);

/*
 * Set up queues 0 to @count - 1 as @requests says; @queues is the driver's memory until
 * vd_vdev_del_vqs(). All or none.
 * -VD_ENOENT: the device has not that many. -VD_ENOMEM. Or what the transport says.
 */
int vd_vdev_find_vqs(struct vd_vdev *vdev, uint16_t count, const struct vd_vq_request *requests,
		     struct vd_vdev_vq *queues);

/* Give the queues up. The device was reset. */
void vd_vdev_del_vqs(struct vd_vdev *vdev);

/* Publish what was added and notify the device if it wants that. Before vd_vdev_ready() the device
 * is not notified, and while it is suspended nothing is published; that follows then. */
void vd_vdev_kick(struct vd_vdev_vq *queue);

/*
 * Reset one queue of a running device, and set it up again empty, with @size entries (0: as
 * before). Every outstanding buffer is handed to @reclaim in between. -VD_EOPNOTSUPP: without
 * RING_RESET. -VD_EBUSY: suspended. After an error of setting it up the queue is broken; this can
 * be tried again.
 */
int vd_vdev_reset_vq(struct vd_vdev_vq *queue, uint16_t size,
		     void (*reclaim)(struct vd_vdev_vq *queue, void *token));

/*
 * Read element @element of @field. Values that take more than one access are read again until the
 * generation shows that they belong together (2.5.1).
 * -VD_ENOENT: the feature that it belongs to was not offered. -VD_EAGAIN: it kept changing.
 */
int vd_vdev_config_get(struct vd_vdev *vdev, const struct vd_config_field *field, uint16_t element,
		       uint64_t *value);

/* Read @len bytes of @field (width 1) that belong together, from its first on. */
int vd_vdev_config_get_bytes(struct vd_vdev *vdev, const struct vd_config_field *field, void *bytes,
			     uint32_t len);

/* Write it. -VD_EACCES: not writable. -VD_ENOENT as above. -VD_EBUSY: suspended. */
int vd_vdev_config_set(struct vd_vdev *vdev, const struct vd_config_field *field, uint16_t element,
		       uint64_t value);

/* ---- power ---- */

/* Before and after the machine sleeps and the device loses its state: driver->freeze and restore.
 * -VD_EOPNOTSUPP: the driver can't. */
int vd_vdev_freeze(struct vd_vdev *vdev);
int vd_vdev_restore(struct vd_vdev *vdev);

/* VIRTIO 1.4 suspend, with the device keeping its state. -VD_EOPNOTSUPP: not negotiated. -VD_EIO:
 * the device asks to be reset instead. -VD_ETIMEDOUT. */
int vd_vdev_suspend(struct vd_vdev *vdev);
int vd_vdev_resume(struct vd_vdev *vdev);

/* Recover a device that needs a reset: its driver is removed and probed again. What probe returns.
 */
int vd_vdev_recover(struct vd_vdev *vdev);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_BUS_H */
