/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the driver role share. */
#ifndef VD_VIRTIO_VDEV_H
#define VD_VIRTIO_VDEV_H

#include "viaduct/bus.h"

/* Set bits of the status, never clear any (2.1.1). */
void vd_vdev_add_status(struct vd_vdev *vdev, uint8_t bits);

/* Choose among what the device offers, for @driver, and agree on it with the device. */
int vd_vdev_negotiate(struct vd_vdev *vdev, const struct vd_driver *driver);

/* The device may be notified from now on: do it for all that was added before. */
void vd_vdev_kick_all(struct vd_vdev *vdev);

/* Configuration changes are passed on from now on, one that waited at once; or not any more. */
void vd_vdev_config_enable(struct vd_vdev *vdev);
void vd_vdev_config_disable(struct vd_vdev *vdev);

#endif /* VD_VIRTIO_VDEV_H */
