/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loopback transport: a driver and a device in one address space. For tests, for a program that
 * plays both sides, and for two processes that were one when the device was set up (fork() with the
 * rings in shared memory).
 *
 * Control (status, features, configuration, queue set-up) is a direct call from one side into the
 * other and needs both to be quiet. Notifications are only noted when they are sent; each side
 * fetches its own with vd_loopback_poll_*(), from its own thread if it has one, and can be woken by
 * a doorbell.
 */
#ifndef VIADUCT_LOOPBACK_H
#define VIADUCT_LOOPBACK_H

#include "viaduct/bus.h"
#include "viaduct/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Notifications are noted as bits: one for each queue, the last for configuration. */
#define VD_LOOPBACK_QUEUES 63u

struct vd_loopback_bits {
	uint32_t word[2];
};

struct vd_loopback;

struct vd_loopback_config {
	struct vd_device *dev;    /* initialised, attached to nothing */
	const struct vd_mem *mem; /* both sides' view of the shared memory */
	struct vd_alloc *shared;  /* for rings, inside `mem` */
	struct vd_alloc *local;
	const struct vd_vq_drv_ops *split;
	const struct vd_vq_drv_ops *packed; /* or NULL */
	uint64_t features;      /* bits 24-49 to carry; VD_LOOPBACK_FEATURES, or fewer */
	bool legacy_big_endian; /* the byte order of a legacy driver */
	/* optional: a notification for the device, or for the driver, was noted. Called by the
	 * sender, from whatever context it is in. */
	void (*ring_device)(struct vd_loopback *loop);
	void (*ring_driver)(struct vd_loopback *loop);
};

#define VD_LOOPBACK_FEATURES                                                                       \
	(VD_DEVICE_RING_FEATURES | VD_BIT(VD_F_SUSPEND) | VD_BIT(VD_F_NOTIFY_ON_EMPTY) |           \
	 VD_BIT(VD_F_ANY_LAYOUT))

struct vd_loopback {
	struct vd_vdev vdev; /* for vd_bus_add_device() */

	/* private */
	struct vd_loopback_config config;
	struct vd_loopback_bits to_device; /* notifications sent and not fetched */
	struct vd_loopback_bits to_driver;
	uint64_t n_to_device; /* notifications sent, for statistics and tests */
	uint64_t n_to_driver;
	bool detached; /* the device end was taken away, as if its processor had died */
};

/* Connect the two. loop->vdev is then ready for a bus. -VD_EINVAL: too many queues. */
int vd_loopback_init(struct vd_loopback *loop, const struct vd_loopback_config *config);

/* Deliver what was sent to the device, or to the driver. Returns whether there was anything. */
bool vd_loopback_poll_device(struct vd_loopback *loop);
bool vd_loopback_poll_driver(struct vd_loopback *loop);

/* The device dies without a word: from now on every access of the driver fails with -VD_ENODEV.
 * Nobody looks at config.dev again; its memory is free. */
void vd_loopback_kill_device(struct vd_loopback *loop);

/* A device (the same one, started again, or another of its kind) takes the place of the dead one.
 * The driver finds it reset. */
void vd_loopback_revive_device(struct vd_loopback *loop, struct vd_device *dev);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_LOOPBACK_H */
