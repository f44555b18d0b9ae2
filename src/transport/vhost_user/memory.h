/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end's memory: regions of files it sent, mapped here, and the windows they make. */
#ifndef VD_VHOST_USER_MEMORY_H
#define VD_VHOST_USER_MEMORY_H

#include "transport/vhost_user/wire.h"
#include "viaduct/fault.h"
#include "viaduct/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Regions a front end may share at a time. */
#define VD_VU_SLOTS_MAX 64

struct stat;

/* Mappings of this file begin and end at multiples of this, and can only be taken away whole: it
 * may be of huge pages. */
uint64_t vd_vu_page_size(const struct stat *st);

struct vd_vu_region {
	struct vd_vu_region_desc desc;
	dev_t dev; /* which file it is part of */
	ino_t ino;
	void *map; /* what mmap() returned, and was asked for */
	size_t map_size;
	void *base; /* the region within */
	int guard;
	volatile bool gone; /* the file was made shorter */
};

struct vd_vu_memory {
	struct vd_mem guest; /* by guest address: buffers */
	struct vd_mem user;  /* by user address: rings */
	struct vd_window guest_windows[VD_VU_SLOTS_MAX];
	struct vd_window user_windows[VD_VU_SLOTS_MAX];
	struct vd_vu_region *regions[VD_VU_SLOTS_MAX];
	unsigned count;
};

void vd_vu_memory_init(struct vd_vu_memory *memory);

/* Unmap everything. */
void vd_vu_memory_clear(struct vd_vu_memory *memory);

/*
 * Add a region of the file @fd, which stays the caller's. -VD_EPROTO: @fault says what is wrong
 * with it. -VD_ENOSPC, -VD_ENOMEM.
 */
int vd_vu_memory_add(struct vd_vu_memory *memory, const struct vd_vu_region_desc *desc, int fd,
		     struct vd_fault *fault);

/* Remove the region with this guest address, user address and size. -VD_ENOENT. */
int vd_vu_memory_remove(struct vd_vu_memory *memory, const struct vd_vu_region_desc *desc);

/*
 * Replace all regions. Those that are the same before and after keep their mapping and so their
 * local addresses. Errors as vd_vu_memory_add(); then nothing is mapped any more.
 */
int vd_vu_memory_replace(struct vd_vu_memory *memory, const struct vd_vu_region_desc *descs,
			 const int *fds, unsigned count, struct vd_fault *fault);

/* Has a region been taken away under us? Then @fault names it. */
bool vd_vu_memory_is_gone(const struct vd_vu_memory *memory, struct vd_fault *fault);

#endif /* VD_VHOST_USER_MEMORY_H */
