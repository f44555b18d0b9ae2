/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in its driver's hands: status, features, notifications, power. VIRTIO 1.4, 2.1, 2.2, 3.
 */
#include "virtio/vdev.h"

#include "viaduct/errno.h"

/* How often the status is looked at while a suspension takes its time; relax() may give up sooner.
 */
#define SUSPEND_ATTEMPTS 100000u

/* Common features that this library's driver role can live with, if the transport carries them. */
static const uint8_t understood[] = {
	VD_F_INDIRECT_DESC, VD_F_EVENT_IDX, VD_F_VERSION_1,      VD_F_ACCESS_PLATFORM,
	VD_F_RING_PACKED,   VD_F_IN_ORDER,  VD_F_ORDER_PLATFORM, VD_F_NOTIFICATION_DATA,
	VD_F_RING_RESET,    VD_F_SUSPEND,
};

static uint64_t mask_of(const uint8_t *bits, unsigned n)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < n; i++)
		mask |= VD_BIT(bits[i]);
	return mask;
}

/* ---- status ---- */

void vd_vdev_add_status(struct vd_vdev *vdev, uint8_t bits)
{
	vdev->ops->set_status(vdev, vdev->ops->get_status(vdev) | bits);
}

int vd_vdev_reset(struct vd_vdev *vdev)
{
	vdev->ready = false;
	vdev->suspended = false;
	return vdev->ops->reset(vdev);
}

void vd_vdev_ready(struct vd_vdev *vdev)
{
	vd_vdev_add_status(vdev, VD_STATUS_DRIVER_OK);
	vdev->ready = true;
	vd_vdev_kick_all(vdev);
}

/* ---- features ---- */

static uint64_t wanted(const struct vd_vdev *vdev, const struct vd_driver *driver, uint64_t offered)
{
	uint64_t common = mask_of(understood, sizeof(understood)) & vdev->transport_features;
	uint64_t known = mask_of(driver->features, driver->n_features);

	if (vdev->packed == NULL)
		common &= ~VD_BIT(VD_F_RING_PACKED);
	if (!(offered & VD_BIT(VD_F_VERSION_1)) && driver->legacy_features != NULL)
		known = mask_of(driver->legacy_features, driver->n_legacy_features);
	return (known & ~VD_F_TRANSPORT_MASK) | common;
}

/* Agree on the features with the device, and see that it takes them (3.1.1, steps 5 and 6). */
static int features_ok(struct vd_vdev *vdev)
{
	/* A legacy device has no FEATURES_OK (3.1.2). */
	if (!vd_vdev_has(vdev, VD_F_VERSION_1))
		return 0;
	vd_vdev_add_status(vdev, VD_STATUS_FEATURES_OK);
	if (vdev->ops->get_status(vdev) & VD_STATUS_FEATURES_OK)
		return 0;
	vdev->fault = (struct vd_fault){.code = VD_FAULT_FEATURES_REFUSED,
					.value = {vdev->features}};
	return -VD_ENODEV;
}

/* Let the driver judge the features, and take back those it takes away and what needs them. */
static int validate(struct vd_vdev *vdev, const struct vd_driver *driver)
{
	uint64_t before = vdev->features;
	int err = driver->validate(vdev);

	if (err != 0)
		return err;
	vdev->features = vd_features_closed(vdev->type, vdev->features);
	return vdev->features != before ? vdev->ops->set_features(vdev, vdev->features) : 0;
}

int vd_vdev_negotiate(struct vd_vdev *vdev, const struct vd_driver *driver)
{
	uint64_t offered = vdev->ops->get_features(vdev);
	int err;

	/* What neither side's tables know is not even looked at (2.2.1). */
	vdev->features = vd_features_closed(vdev->type, offered & wanted(vdev, driver, offered));
	/* The device has them before validate() reads its configuration space, as the byte order
	 * there depends on them (2.5.3). */
	err = vdev->ops->set_features(vdev, vdev->features);
	if (err == 0 && driver->validate != NULL)
		err = validate(vdev, driver);
	return err == 0 ? features_ok(vdev) : err;
}

/* ---- what the device says ---- */

void vd_vdev_queue_notified(struct vd_vdev *vdev, uint16_t index)
{
	struct vd_vdev_vq *queue;

	if (index >= vdev->n_queues)
		return;
	queue = &vdev->queues[index];
	if (queue->request.callback != NULL)
		queue->request.callback(queue);
}

void vd_vdev_all_notified(struct vd_vdev *vdev)
{
	/* A callback may remove the driver, and the queues with it. */
	for (uint16_t i = 0; i < vdev->n_queues; i++)
		vd_vdev_queue_notified(vdev, i);
}

static void break_queues(struct vd_vdev *vdev, const struct vd_fault *fault)
{
	for (uint16_t i = 0; i < vdev->n_queues; i++)
		vd_vq_drv_break(&vdev->queues[i].vq, fault);
}

static void pass_config_change(struct vd_vdev *vdev)
{
	if (vdev->driver->config_changed != NULL)
		vdev->driver->config_changed(vdev);
}

void vd_vdev_config_changed(struct vd_vdev *vdev)
{
	uint8_t status = vdev->ops->get_status(vdev);

	if (status & VD_STATUS_NEEDS_RESET) {
		vdev->fault = (struct vd_fault){.code = VD_FAULT_NEEDS_RESET, .value = {status}};
		break_queues(vdev, &vdev->fault);
	}
	if (vdev->config_enabled)
		pass_config_change(vdev);
	else
		vdev->config_pending = true;
}

void vd_vdev_config_enable(struct vd_vdev *vdev)
{
	vdev->config_enabled = true;
	if (!vdev->config_pending)
		return;
	vdev->config_pending = false;
	pass_config_change(vdev);
}

void vd_vdev_config_disable(struct vd_vdev *vdev)
{
	vdev->config_enabled = false;
	vdev->config_pending = false;
}

/* ---- power ---- */

int vd_vdev_freeze(struct vd_vdev *vdev)
{
	int err;

	if (vdev->driver == NULL)
		return 0;
	if (vdev->driver->freeze == NULL)
		return -VD_EOPNOTSUPP;
	vdev->config_enabled = false; /* a change that comes meanwhile is still news afterwards */
	err = vdev->driver->freeze(vdev);
	if (err != 0)
		vd_vdev_config_enable(vdev);
	return err;
}

static int restore(struct vd_vdev *vdev)
{
	int err = vdev->ops->set_features(vdev, vdev->features);

	if (err == 0)
		err = features_ok(vdev);
	if (err == 0)
		err = vdev->driver->restore(vdev);
	if (err == 0 && !vdev->ready)
		vd_vdev_ready(vdev);
	return err;
}

int vd_vdev_restore(struct vd_vdev *vdev)
{
	int err = vd_vdev_reset(vdev);

	if (err != 0)
		return err;
	vd_vdev_add_status(vdev, VD_STATUS_ACKNOWLEDGE);
	if (vdev->driver == NULL) {
		/* A device that had been given up on stays so. */
		if (vdev->failed)
			vd_vdev_add_status(vdev, VD_STATUS_FAILED);
		return 0;
	}
	if (vdev->driver->restore == NULL)
		return -VD_EOPNOTSUPP;
	vd_vdev_add_status(vdev, VD_STATUS_DRIVER);
	err = restore(vdev);
	vdev->failed = err != 0;
	if (err != 0) {
		vd_vdev_add_status(vdev, VD_STATUS_FAILED);
		return err;
	}
	vd_vdev_config_enable(vdev);
	return 0;
}

/* Look at the status until the bits of @set are set and those of @clear are clear. */
static int await_status(struct vd_vdev *vdev, uint8_t set, uint8_t clear)
{
	for (unsigned attempt = 0; attempt < SUSPEND_ATTEMPTS; attempt++) {
		uint8_t status = vdev->ops->get_status(vdev);
		int err;

		if (status & VD_STATUS_NEEDS_RESET)
			return -VD_EIO;
		if ((status & set) == set && (status & clear) == 0)
			return 0;
		if (vdev->ops->relax == NULL)
			break;
		err = vdev->ops->relax(vdev, attempt);
		if (err != 0)
			return err;
	}
	return -VD_ETIMEDOUT;
}

int vd_vdev_suspend(struct vd_vdev *vdev)
{
	if (!vd_vdev_has(vdev, VD_F_SUSPEND) ||
	    !(vdev->ops->get_status(vdev) & VD_STATUS_DRIVER_OK))
		return -VD_EOPNOTSUPP;
	/* From the attempt on, whatever comes of it, the queues are not ours to use (3.4.1). */
	vdev->suspended = true;
	vd_vdev_add_status(vdev, VD_STATUS_SUSPEND);
	return await_status(vdev, VD_STATUS_SUSPEND, VD_STATUS_DRIVER_OK);
}

int vd_vdev_resume(struct vd_vdev *vdev)
{
	int err;

	if (!vd_vdev_has(vdev, VD_F_SUSPEND))
		return -VD_EOPNOTSUPP;
	vd_vdev_add_status(vdev, VD_STATUS_DRIVER_OK);
	err = await_status(vdev, VD_STATUS_DRIVER_OK, VD_STATUS_SUSPEND);
	if (err != 0)
		return err;
	vdev->suspended = false;
	vd_vdev_kick_all(vdev);
	return 0;
}
