/* SPDX-License-Identifier: BSD-3-Clause */
/* rpmsg on the wire: the header of a message and the name service message. Linux: rpmsg_hdr,
 * rpmsg_ns_msg. */
#ifndef VD_RPMSG_WIRE_H
#define VD_RPMSG_WIRE_H

#include "mem/shm.h"
#include "viaduct/rpmsg.h"

/* Byte offsets of a message's header; the payload follows. */
enum {
	VD_RPMSG_AT_SRC = 0,
	VD_RPMSG_AT_DST = 4,
	VD_RPMSG_AT_RESERVED = 8,
	VD_RPMSG_AT_LEN = 12,
	VD_RPMSG_AT_FLAGS = 14,
};

/* Byte offsets of a name service message. */
enum {
	VD_RPMSG_NS_AT_NAME = 0,
	VD_RPMSG_NS_AT_ADDR = 32,
	VD_RPMSG_NS_AT_FLAGS = 36,
	VD_RPMSG_NS_SIZE = 40,
};

enum {
	VD_RPMSG_NS_CREATE = 0,
	VD_RPMSG_NS_DESTROY = 1,
};

/* The header as it lies in a buffer, in the byte order of the link. */
struct vd_rpmsg_header {
	uint32_t src;
	uint32_t dst;
	uint32_t reserved;
	uint16_t len;
	uint16_t flags;
};

_Static_assert(sizeof(struct vd_rpmsg_header) == VD_RPMSG_HEADER_SIZE, "wire layout");

static inline bool vd_rpmsg_swaps(const struct vd_rpmsg *link)
{
	return link->big_endian != vd_host_is_big_endian();
}

#endif /* VD_RPMSG_WIRE_H */
