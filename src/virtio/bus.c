/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio bus: which driver gets which device. See viaduct/bus.h; Linux:
 * drivers/virtio/virtio.c. */
#include "viaduct/bus.h"

#include "viaduct/errno.h"
#include "virtio/vdev.h"

#include <string.h>

static void tell(struct vd_bus *bus, const struct vd_vdev *vdev, const char *what, int err)
{
	if (bus->event != NULL)
		bus->event(bus, vdev, what, err);
}

void vd_bus_init(struct vd_bus *bus)
{
	*bus = (struct vd_bus){0};
}

bool vd_id_match(const struct vd_device_id *ids, uint32_t device, uint32_t vendor)
{
	for (; ids->device != 0; ids++)
		if ((ids->device == device || ids->device == VD_ID_ANY) &&
		    (ids->vendor == vendor || ids->vendor == VD_ID_ANY))
			return true;
	return false;
}

/* ---- a device and a driver ---- */

static int probe(struct vd_vdev *vdev, struct vd_driver *driver)
{
	int err;

	vd_vdev_add_status(vdev, VD_STATUS_DRIVER);
	err = vd_vdev_negotiate(vdev, driver);
	if (err != 0)
		return err;
	err = driver->probe(vdev);
	if (err != 0)
		return err;
	if (!vdev->ready)
		vd_vdev_ready(vdev);
	if (driver->scan != NULL)
		driver->scan(vdev);
	vd_vdev_config_enable(vdev);
	return 0;
}

/* From any state to the one in which a driver may begin (3.1.1, steps 1 and 2). */
static int acknowledge(struct vd_vdev *vdev)
{
	int err = vd_vdev_reset(vdev);

	if (err == 0)
		vd_vdev_add_status(vdev, VD_STATUS_ACKNOWLEDGE);
	return err;
}

static int attach(struct vd_vdev *vdev, struct vd_driver *driver)
{
	bool lost = vdev->failed || (vdev->ops->get_status(vdev) & VD_STATUS_NEEDS_RESET);
	int err;

	/* After FAILED comes a reset before anything else (2.1.1). */
	err = lost ? acknowledge(vdev) : 0;
	if (err != 0)
		return err;
	vdev->failed = false;
	vdev->config_pending = false; /* what changed before is no news to this driver */
	vdev->fault = (struct vd_fault){0};
	vdev->driver = driver;
	err = probe(vdev, driver);
	if (err != 0) {
		vdev->driver = NULL;
		vdev->features = 0;
		vdev->failed = true;
		vd_vdev_add_status(vdev, VD_STATUS_FAILED);
	}
	tell(vdev->bus, vdev, err == 0 ? "bound" : "probe failed", err);
	return err;
}

int vd_bus_bind(struct vd_vdev *vdev)
{
	int err = -VD_ENODEV;

	if (vdev->driver != NULL)
		return -VD_EBUSY;
	for (struct vd_driver *driver = vdev->bus->drivers; driver != NULL; driver = driver->next) {
		if (!vd_id_match(driver->ids, vdev->device_id, vdev->vendor_id))
			continue;
		err = attach(vdev, driver);
		if (err == 0)
			return 0;
	}
	return err;
}

void vd_bus_unbind(struct vd_vdev *vdev)
{
	struct vd_driver *driver = vdev->driver;

	if (driver == NULL)
		return;
	vd_vdev_config_disable(vdev);
	driver->remove(vdev);
	vdev->driver = NULL;
	vdev->features = 0;
	if (acknowledge(vdev) != 0)
		vdev->failed = true;
	tell(vdev->bus, vdev, "unbound", 0);
}

int vd_vdev_recover(struct vd_vdev *vdev)
{
	vd_bus_unbind(vdev);
	return vd_bus_bind(vdev);
}

/* ---- devices ---- */

static bool index_is_taken(const struct vd_bus *bus, unsigned index)
{
	for (const struct vd_vdev *vdev = bus->devices; vdev != NULL; vdev = vdev->next)
		if (vdev->index == index)
			return true;
	return false;
}

static void set_name(struct vd_vdev *vdev)
{
	static const char prefix[] = "virtio";
	char digits[10];
	unsigned n = 0;
	unsigned rest = vdev->index;
	char *to = vdev->name + sizeof(prefix) - 1;

	memcpy(vdev->name, prefix, sizeof(prefix) - 1);
	do
		digits[n++] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0 && n < sizeof(vdev->name) - sizeof(prefix));
	while (n > 0)
		*to++ = digits[--n];
	*to = '\0';
}

static void append_device(struct vd_bus *bus, struct vd_vdev *vdev)
{
	struct vd_vdev **end = &bus->devices;

	while (*end != NULL)
		end = &(*end)->next;
	vdev->next = NULL;
	*end = vdev;
}

int vd_bus_add_device(struct vd_bus *bus, struct vd_vdev *vdev)
{
	int err;

	vdev->bus = bus;
	vdev->driver = NULL;
	vdev->features = 0;
	vdev->failed = false;
	vdev->ready = false;
	vdev->suspended = false;
	vdev->config_enabled = false;
	vdev->config_pending = false;
	vdev->n_queues = 0;
	vdev->index = 0;
	while (index_is_taken(bus, vdev->index))
		vdev->index++;
	set_name(vdev);
	/* A driver before us may have left the device in any state. */
	err = acknowledge(vdev);
	if (err != 0) {
		vd_vdev_add_status(vdev, VD_STATUS_FAILED);
		return err;
	}
	append_device(bus, vdev);
	tell(bus, vdev, "added", 0);
	(void)vd_bus_bind(vdev);
	return 0;
}

void vd_bus_remove_device(struct vd_bus *bus, struct vd_vdev *vdev)
{
	struct vd_vdev **at = &bus->devices;

	vd_bus_unbind(vdev);
	while (*at != NULL && *at != vdev)
		at = &(*at)->next;
	if (*at != NULL)
		*at = vdev->next;
	tell(bus, vdev, "removed", 0);
	vdev->bus = NULL;
}

/* ---- drivers ---- */

static bool are_bits(const uint8_t *bits, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (bits == NULL || bits[i] >= 64)
			return false;
	return true;
}

static bool is_whole(const struct vd_driver *driver)
{
	return driver->name != NULL && driver->ids != NULL && driver->probe != NULL &&
	       driver->remove != NULL && are_bits(driver->features, driver->n_features) &&
	       are_bits(driver->legacy_features, driver->n_legacy_features);
}

int vd_bus_add_driver(struct vd_bus *bus, struct vd_driver *driver)
{
	struct vd_driver **end = &bus->drivers;

	if (!is_whole(driver))
		return -VD_EINVAL;
	for (; *end != NULL; end = &(*end)->next)
		if (strcmp((*end)->name, driver->name) == 0)
			return -VD_EBUSY;
	driver->next = NULL;
	*end = driver;
	for (struct vd_vdev *vdev = bus->devices; vdev != NULL; vdev = vdev->next)
		if (vdev->driver == NULL &&
		    vd_id_match(driver->ids, vdev->device_id, vdev->vendor_id))
			(void)attach(vdev, driver);
	return 0;
}

void vd_bus_remove_driver(struct vd_bus *bus, struct vd_driver *driver)
{
	struct vd_driver **at = &bus->drivers;

	for (struct vd_vdev *vdev = bus->devices; vdev != NULL; vdev = vdev->next)
		if (vdev->driver == driver)
			vd_bus_unbind(vdev);
	while (*at != NULL && *at != driver)
		at = &(*at)->next;
	if (*at != NULL)
		*at = driver->next;
}
