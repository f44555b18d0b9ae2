/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space of the device role. VIRTIO 1.4, 2.5.
 *
 * It is kept in little-endian order. A legacy driver of the other order sees each field turned
 * round (2.5.3), which is done byte by byte, so that it does not matter how an access cuts the
 * fields.
 */
#include "viaduct/device.h"
#include "viaduct/errno.h"

#include <string.h>

static bool is_inside(const struct vd_device *dev, uint32_t offset, uint32_t len)
{
	uint32_t size = dev->config != NULL ? dev->type->config_size : 0;

	return offset <= size && len <= size - offset;
}

static int outside(struct vd_device *dev, uint32_t offset, uint32_t len)
{
	struct vd_fault fault = {.code = VD_FAULT_CONFIG_RANGE,
				 .value = {offset, len, dev->type->config_size}};

	vd_device_report(dev, &fault);
	return -VD_EINVAL;
}

/* Where the byte is kept that the driver knows as byte @offset. */
static uint32_t place_of(const struct vd_device *dev, uint32_t offset)
{
	const struct vd_config_field *field;
	uint32_t in_element;

	if (!dev->big_endian || vd_device_has(dev, VD_F_VERSION_1))
		return offset;
	field = vd_config_field_at(dev->type, offset);
	if (field == NULL)
		return offset;
	in_element = (offset - field->offset) % field->width;
	return offset - in_element + (field->width - 1 - in_element);
}

int vd_device_config_read(struct vd_device *dev, uint32_t offset, void *bytes, uint32_t len)
{
	unsigned char *to = bytes;

	if (!is_inside(dev, offset, len)) {
		memset(bytes, 0, len);
		return outside(dev, offset, len);
	}
	for (uint32_t i = 0; i < len; i++)
		to[i] = dev->config[place_of(dev, offset + i)];
	return 0;
}

static bool is_writable(const struct vd_device *dev, uint32_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		const struct vd_config_field *field = vd_config_field_at(dev->type, offset + i);

		if (field == NULL || !field->writable)
			return false;
		if (field->feature != VD_F_NONE &&
		    !(vd_device_offered(dev) & VD_BIT(field->feature)))
			return false;
	}
	return true;
}

int vd_device_config_write(struct vd_device *dev, uint32_t offset, const void *bytes, uint32_t len)
{
	const unsigned char *from = bytes;

	if (!is_inside(dev, offset, len))
		return outside(dev, offset, len);
	if (dev->status & VD_STATUS_SUSPEND)
		return 0;
	if (!is_writable(dev, offset, len)) {
		struct vd_fault fault = {.code = VD_FAULT_CONFIG_READONLY, .value = {offset, len}};

		vd_device_report(dev, &fault);
		return -VD_EACCES;
	}
	for (uint32_t i = 0; i < len; i++)
		dev->config[place_of(dev, offset + i)] = from[i];
	if (dev->ops->config_written != NULL)
		dev->ops->config_written(dev, offset, len);
	return 0;
}

int vd_device_config_update(struct vd_device *dev, uint32_t offset, const void *bytes, uint32_t len)
{
	if (!is_inside(dev, offset, len))
		return -VD_EINVAL;
	if (dev->status & VD_STATUS_SUSPEND) {
		dev->config_held = true;
		return -VD_EBUSY;
	}
	/* A device without configuration space has no bytes to begin with. */
	if (len > 0)
		memcpy(dev->config + offset, bytes, len);
	dev->config_generation++;
	/* A pause is not the driver's doing, and it would not look again afterwards. */
	if (dev->running || dev->paused)
		dev->transport->config_changed(dev);
	return 0;
}
