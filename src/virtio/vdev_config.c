/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space as a driver reads and writes it, field by field. VIRTIO 1.4, 2.5. */
#include "viaduct/bus.h"
#include "viaduct/errno.h"

#include <string.h>

/* How often a value that keeps changing is read again. A device changes it now and then, not
 * always. */
#define CONFIG_ATTEMPTS 100u

static bool exists(struct vd_vdev *vdev, const struct vd_config_field *field, uint32_t element)
{
	return element < field->count && (field->feature == VD_F_NONE ||
					  (vdev->ops->get_features(vdev) & VD_BIT(field->feature)));
}

/* Fields are little-endian, those of a legacy device in the driver's order (2.5.3). */
static bool is_big_endian(const struct vd_vdev *vdev)
{
	return vdev->big_endian && !vd_vdev_has(vdev, VD_F_VERSION_1);
}

static uint64_t decode(const struct vd_vdev *vdev, const unsigned char *bytes, unsigned width)
{
	bool big = is_big_endian(vdev);
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[big ? width - 1 - i : i] << (8 * i);
	return value;
}

static void encode(const struct vd_vdev *vdev, uint64_t value, unsigned char *bytes, unsigned width)
{
	bool big = is_big_endian(vdev);

	for (unsigned i = 0; i < width; i++)
		bytes[big ? width - 1 - i : i] = (unsigned char)(value >> (8 * i));
}

/* One look at @len bytes, in accesses of @width. *@same: nothing differs from what @bytes held. */
static int look(struct vd_vdev *vdev, uint32_t offset, unsigned char *bytes, uint32_t len,
		uint32_t width, bool *same)
{
	*same = true;
	for (uint32_t at = 0; at < len; at += width) {
		unsigned char piece[4];
		int err = vdev->ops->config_read(vdev, offset + at, piece, width);

		if (err != 0)
			return err;
		*same = *same && memcmp(bytes + at, piece, width) == 0;
		memcpy(bytes + at, piece, width);
	}
	return 0;
}

/* Read @len bytes in accesses of @width that all belong together. */
static int read_steady(struct vd_vdev *vdev, uint32_t offset, unsigned char *bytes, uint32_t len,
		       uint32_t width)
{
	bool counted = vdev->ops->config_generation != NULL;

	for (unsigned attempt = 0; attempt < CONFIG_ATTEMPTS; attempt++) {
		uint32_t before = counted ? vdev->ops->config_generation(vdev) : 0;
		bool same;
		int err = look(vdev, offset, bytes, len, width, &same);

		if (err != 0)
			return err;
		/* A legacy device does not count: two looks must agree, unless one access was all
		 * it took (2.5.4). */
		if (counted ? vdev->ops->config_generation(vdev) == before
			    : len == width || (same && attempt > 0))
			return 0;
	}
	return -VD_EAGAIN;
}

int vd_vdev_config_get(struct vd_vdev *vdev, const struct vd_config_field *field, uint16_t element,
		       uint64_t *value)
{
	/* Nothing wider than 32 bits is read in one piece (2.5.1). */
	uint32_t width = field->width > 4 ? 4 : field->width;
	unsigned char bytes[8] = {0};
	int err;

	if (!exists(vdev, field, element))
		return -VD_ENOENT;
	err = read_steady(vdev, field->offset + (uint32_t)element * field->width, bytes,
			  field->width, width);
	if (err == 0)
		*value = decode(vdev, bytes, field->width);
	return err;
}

int vd_vdev_config_get_bytes(struct vd_vdev *vdev, const struct vd_config_field *field, void *bytes,
			     uint32_t len)
{
	if (len == 0 || !exists(vdev, field, len - 1) || field->width != 1)
		return -VD_ENOENT;
	return read_steady(vdev, field->offset, bytes, len, 1);
}

int vd_vdev_config_set(struct vd_vdev *vdev, const struct vd_config_field *field, uint16_t element,
		       uint64_t value)
{
	uint32_t offset = field->offset + (uint32_t)element * field->width;
	uint32_t width = field->width > 4 ? 4 : field->width;
	unsigned char bytes[8];
	int err = 0;

	if (!exists(vdev, field, element))
		return -VD_ENOENT;
	if (!field->writable)
		return -VD_EACCES;
	if (vdev->suspended)
		return -VD_EBUSY;
	encode(vdev, value, bytes, field->width);
	for (uint32_t at = 0; err == 0 && at < field->width; at += width)
		err = vdev->ops->config_write(vdev, offset + at, bytes + at, width);
	return err;
}
