/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages as they go over the socket, in the machine's byte order. vhost-user.rst. */
#ifndef VD_VHOST_USER_WIRE_H
#define VD_VHOST_USER_WIRE_H

#include <stdint.h>

struct vd_vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};

enum {
	VD_VU_VERSION = 1,
	VD_VU_VERSION_MASK = 3,
	VD_VU_REPLY = 1 << 2,
	VD_VU_NEED_REPLY = 1 << 3,
};

/* At most this many file descriptors ride with a message (QEMU: VHOST_USER_MAX_FDS... 8). */
#define VD_VU_FDS_MAX 8

/* Room for every payload; the longest are configuration spaces. */
#define VD_VU_PAYLOAD_MAX 4096

struct vd_vu_state {
	uint32_t index;
	uint32_t num;
};

struct vd_vu_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vd_vu_region_desc {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t offset;
};

struct vd_vu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vd_vu_region_desc region[VD_VU_FDS_MAX];
};

struct vd_vu_mem_reg {
	uint64_t padding;
	struct vd_vu_region_desc region;
};

struct vd_vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	unsigned char bytes[];
};

enum {
	VD_VU_CONFIG_MIGRATION = 1, /* flags */
};

struct vd_vu_inflight_desc {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
};

/* Bits of the number in SET_VRING_KICK, _CALL, _ERR. */
enum {
	VD_VU_VRING_INDEX_MASK = 0xff,
	VD_VU_VRING_NO_FD = 1 << 8,
};

_Static_assert(sizeof(struct vd_vu_header) == 12, "wire layout");
_Static_assert(sizeof(struct vd_vu_addr) == 40, "wire layout");
_Static_assert(sizeof(struct vd_vu_region_desc) == 32, "wire layout");
_Static_assert(sizeof(struct vd_vu_config) == 12, "wire layout");

#endif /* VD_VHOST_USER_WIRE_H */
