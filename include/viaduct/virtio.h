/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The numbers that every virtio device and driver shares: device ids, feature bits, status bits.
 * Source: OASIS VIRTIO 1.4 (v1.4-cs01), sections 2.1, 2.2, 5 and 6; device id 7 and 11 from Linux'
 * virtio_ids.h.
 */
#ifndef VIADUCT_VIRTIO_H
#define VIADUCT_VIRTIO_H

#include "viaduct/fault.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mask from a bit number. Constants named VD_F_ are bit numbers, everywhere. */
#define VD_BIT(number) (UINT64_C(1) << (number))

/* Device ids, VIRTIO 1.4 section 5. */
enum vd_virtio_id {
	VD_ID_NET = 1,
	VD_ID_BLOCK = 2,
	VD_ID_CONSOLE = 3,
	VD_ID_RNG = 4,
	VD_ID_RPMSG = 7,
	VD_ID_RPROC_SERIAL = 11,
	VD_ID_INPUT = 18,
};

/* Matches every device id or vendor id in a driver's id table (Linux: VIRTIO_DEV_ANY_ID). */
#define VD_ID_ANY 0xffffffffu

/* Feature bits that belong to no device type, VIRTIO 1.4 section 6. */
enum vd_feature {
	VD_F_NOTIFY_ON_EMPTY = 24, /* legacy only */
	VD_F_ANY_LAYOUT = 27,      /* legacy only */
	VD_F_INDIRECT_DESC = 28,
	VD_F_EVENT_IDX = 29,
	VD_F_UNUSED = 30, /* never negotiated; vhost-user has a use of its own for it */
	VD_F_VERSION_1 = 32,
	VD_F_ACCESS_PLATFORM = 33,
	VD_F_RING_PACKED = 34,
	VD_F_IN_ORDER = 35,
	VD_F_ORDER_PLATFORM = 36,
	VD_F_SR_IOV = 37,
	VD_F_NOTIFICATION_DATA = 38,
	VD_F_NOTIF_CONFIG_DATA = 39,
	VD_F_RING_RESET = 40,
	VD_F_ADMIN_VQ = 41,
	VD_F_SUSPEND = 43,
};

/* Bits 24 to 49 are not for device types to use (24-27 in legacy devices, 28-43 assigned, 44-49
 * reserved). */
#define VD_F_TRANSPORT_FIRST 24
#define VD_F_TRANSPORT_LAST  49
#define VD_F_TRANSPORT_MASK  (VD_BIT(VD_F_TRANSPORT_LAST + 1) - VD_BIT(VD_F_TRANSPORT_FIRST))

/* Device status, VIRTIO 1.4 section 2.1. */
enum vd_status {
	VD_STATUS_ACKNOWLEDGE = 1,
	VD_STATUS_DRIVER = 2,
	VD_STATUS_DRIVER_OK = 4,
	VD_STATUS_FEATURES_OK = 8,
	VD_STATUS_SUSPEND = 16,
	VD_STATUS_NEEDS_RESET = 64,
	VD_STATUS_FAILED = 128,
};

/* Most queues a device can have (VIRTIO 1.4, 4.2.2: QueueSel is 16 bits wide; vhost-user names a
 * queue with 8). */
#define VD_QUEUES_MAX 1024

/* "Needs no other feature", "belongs to no feature". */
#define VD_F_NONE 0xff

/* A feature bit: one row serves negotiation on both sides and everything that prints it. */
struct vd_feature_row {
	uint8_t bit;
	uint8_t needs; /* bit that must be accepted with it, or VD_F_NONE */
	const char *name;
};

/* A field of configuration space. Its bytes are little-endian (a legacy driver's own order). */
struct vd_config_field {
	uint16_t offset;
	uint8_t width;   /* bytes of an element: 1, 2, 4 or 8; it is accessed with that width */
	uint16_t count;  /* elements */
	uint8_t feature; /* it exists only if this bit is offered, or VD_F_NONE */
	bool writable;   /* by the driver */
	const char *name;
};

/* All that is fixed about a type of device, for both roles. */
struct vd_device_type {
	uint32_t id; /* enum vd_virtio_id */
	const char *name;
	const struct vd_feature_row *features; /* bits 0-23 and 50-63 */
	uint16_t n_features;
	uint16_t n_fields;
	const struct vd_config_field *fields; /* in order of their offset */
	uint32_t config_size;                 /* bytes */
};

/* The feature bits that belong to no device type. */
extern const struct vd_feature_row vd_common_features[];
extern const unsigned vd_n_common_features;

/* The name of a feature bit of @type (may be NULL) or of none, or NULL if nobody gave it one. */
const char *vd_feature_name(const struct vd_device_type *type, unsigned bit);

/* Those of @features that the specification defines for @type: all others are to be ignored (2.2).
 */
uint64_t vd_features_defined(const struct vd_device_type *type, uint64_t features);

/* @features without those whose prerequisite is missing from it. */
uint64_t vd_features_closed(const struct vd_device_type *type, uint64_t features);

/*
 * May a driver that was offered @offered accept @accepted? 0, or -VD_EINVAL with the reason in
 * @fault: a bit that was not offered, or one without the bit it needs.
 */
int vd_features_check(const struct vd_device_type *type, uint64_t offered, uint64_t accepted,
		      struct vd_fault *fault);

/* The field that holds byte @offset, or NULL if that byte is in no field. */
const struct vd_config_field *vd_config_field_at(const struct vd_device_type *type,
						 uint32_t offset);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_VIRTIO_H */
