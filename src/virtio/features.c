/* SPDX-License-Identifier: BSD-3-Clause */
/* Feature bits: names, prerequisites, and what may be accepted. VIRTIO 1.4, 2.2 and 6. */
#include "viaduct/errno.h"
#include "viaduct/virtio.h"

/* What came with VIRTIO 1.0 and later makes no sense to a driver that speaks something older. */
const struct vd_feature_row vd_common_features[] = {
	{VD_F_NOTIFY_ON_EMPTY, VD_F_NONE, "NOTIFY_ON_EMPTY"},
	{VD_F_ANY_LAYOUT, VD_F_NONE, "ANY_LAYOUT"},
	{VD_F_INDIRECT_DESC, VD_F_NONE, "INDIRECT_DESC"},
	{VD_F_EVENT_IDX, VD_F_NONE, "EVENT_IDX"},
	{VD_F_VERSION_1, VD_F_NONE, "VERSION_1"},
	{VD_F_ACCESS_PLATFORM, VD_F_VERSION_1, "ACCESS_PLATFORM"},
	{VD_F_RING_PACKED, VD_F_VERSION_1, "RING_PACKED"},
	{VD_F_IN_ORDER, VD_F_VERSION_1, "IN_ORDER"},
	{VD_F_ORDER_PLATFORM, VD_F_VERSION_1, "ORDER_PLATFORM"},
	{VD_F_SR_IOV, VD_F_VERSION_1, "SR_IOV"},
	{VD_F_NOTIFICATION_DATA, VD_F_VERSION_1, "NOTIFICATION_DATA"},
	{VD_F_NOTIF_CONFIG_DATA, VD_F_VERSION_1, "NOTIF_CONFIG_DATA"},
	{VD_F_RING_RESET, VD_F_VERSION_1, "RING_RESET"},
	{VD_F_ADMIN_VQ, VD_F_VERSION_1, "ADMIN_VQ"},
	{VD_F_SUSPEND, VD_F_VERSION_1, "SUSPEND"},
};

const unsigned vd_n_common_features = sizeof(vd_common_features) / sizeof(vd_common_features[0]);

static const struct vd_feature_row *find_in(const struct vd_feature_row *rows, unsigned n,
					    unsigned bit)
{
	for (unsigned i = 0; i < n; i++)
		if (rows[i].bit == bit)
			return &rows[i];
	return NULL;
}

static const struct vd_feature_row *find(const struct vd_device_type *type, unsigned bit)
{
	const struct vd_feature_row *row = NULL;

	if (type != NULL)
		row = find_in(type->features, type->n_features, bit);
	if (row == NULL)
		row = find_in(vd_common_features, vd_n_common_features, bit);
	return row;
}

const char *vd_feature_name(const struct vd_device_type *type, unsigned bit)
{
	const struct vd_feature_row *row = find(type, bit);

	return row != NULL ? row->name : NULL;
}

uint64_t vd_features_defined(const struct vd_device_type *type, uint64_t features)
{
	uint64_t defined = 0;

	for (unsigned bit = 0; bit < 64; bit++)
		if ((features & VD_BIT(bit)) && find(type, bit) != NULL)
			defined |= VD_BIT(bit);
	return defined;
}

/* The bit that @bit needs and @features lacks, or VD_F_NONE. */
static uint8_t missing(const struct vd_device_type *type, uint64_t features, unsigned bit)
{
	const struct vd_feature_row *row = find(type, bit);

	if (row == NULL || row->needs == VD_F_NONE || (features & VD_BIT(row->needs)))
		return VD_F_NONE;
	return row->needs;
}

uint64_t vd_features_closed(const struct vd_device_type *type, uint64_t features)
{
	uint64_t before;

	/* Again as long as it makes a difference: what was taken away may have been needed. */
	do {
		before = features;
		for (unsigned bit = 0; bit < 64; bit++)
			if ((features & VD_BIT(bit)) && missing(type, features, bit) != VD_F_NONE)
				features &= ~VD_BIT(bit);
	} while (features != before);
	return features;
}

static int refuse(struct vd_fault *fault, enum vd_fault_code code, uint64_t a, uint64_t b)
{
	*fault = (struct vd_fault){.code = code, .value = {a, b}};
	return -VD_EINVAL;
}

int vd_features_check(const struct vd_device_type *type, uint64_t offered, uint64_t accepted,
		      struct vd_fault *fault)
{
	if (accepted & ~offered)
		return refuse(fault, VD_FAULT_FEATURES_UNOFFERED, accepted & ~offered, 0);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t needs = accepted & VD_BIT(bit) ? missing(type, accepted, bit) : VD_F_NONE;

		if (needs != VD_F_NONE)
			return refuse(fault, VD_FAULT_FEATURES_NEED, bit, needs);
	}
	return 0;
}

const struct vd_config_field *vd_config_field_at(const struct vd_device_type *type, uint32_t offset)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const struct vd_config_field *field = &type->fields[i];

		if (offset >= field->offset &&
		    offset < field->offset + (uint32_t)field->width * field->count)
			return field;
	}
	return NULL;
}
