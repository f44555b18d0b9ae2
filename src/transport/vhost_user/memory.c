/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end's memory: see memory.h. */
#include "transport/vhost_user/memory.h"

#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void vd_vu_memory_init(struct vd_vu_memory *memory)
{
	vd_mem_init(&memory->guest, memory->guest_windows, VD_VU_SLOTS_MAX, VD_MEM_LIMIT_64);
	vd_mem_init(&memory->user, memory->user_windows, VD_VU_SLOTS_MAX, VD_MEM_LIMIT_64);
	memory->count = 0;
}

/* ---- one region ---- */

static void unmap(struct vd_vu_region *region)
{
	vd_guard_remove(region->guard);
	munmap(region->map, region->map_size);
	free(region);
}

static bool is_inside_file(const struct vd_vu_region_desc *desc, const struct stat *st)
{
	uint64_t end = desc->offset + desc->size;

	/* Only of a file do we know the size; a device that maps its memory has none. */
	if (!S_ISREG(st->st_mode))
		return true;
	return end >= desc->offset && end <= (uint64_t)st->st_size;
}

uint64_t vd_vu_page_size(const struct stat *st)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return (uint64_t)st->st_blksize > page ? (uint64_t)st->st_blksize : page;
}

/* Map whole pages, from one in front of the region on. */
static bool map(struct vd_vu_region *region, int fd, const struct stat *st)
{
	const struct vd_vu_region_desc *desc = &region->desc;
	uint64_t page = vd_vu_page_size(st);
	uint64_t lead = desc->offset % page;

	if (desc->size > SIZE_MAX - lead - page)
		return false;
	region->map_size = (size_t)((lead + desc->size + page - 1) / page * page);
	region->map = mmap(NULL, region->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)(desc->offset - lead));
	if (region->map == MAP_FAILED)
		return false;
	region->base = (char *)region->map + lead;
	return true;
}

static int bad_region(struct vd_fault *fault, const struct vd_vu_memory *memory,
		      const struct vd_vu_region_desc *desc)
{
	*fault = (struct vd_fault){.code = VD_FAULT_VU_REGION,
				   .value = {memory->count, desc->guest_addr, desc->size}};
	return -VD_EPROTO;
}

/* Into both address spaces, or neither. */
static int add_windows(struct vd_vu_memory *memory, const struct vd_vu_region *region)
{
	struct vd_window window = {
		.peer = region->desc.guest_addr,
		.size = region->desc.size,
		.local = region->base,
		.rights = VD_MEM_RW,
	};
	int err = vd_mem_add(&memory->guest, &window);

	if (err != 0)
		return err;
	window.peer = region->desc.user_addr;
	err = vd_mem_add(&memory->user, &window);
	if (err != 0)
		(void)vd_mem_remove(&memory->guest, region->desc.guest_addr, region->desc.size);
	return err;
}

static int enter(struct vd_vu_memory *memory, struct vd_vu_region *region, struct vd_fault *fault)
{
	if (memory->count == VD_VU_SLOTS_MAX)
		return -VD_ENOSPC;
	if (add_windows(memory, region) != 0)
		return bad_region(fault, memory, &region->desc);
	memory->regions[memory->count++] = region;
	return 0;
}

int vd_vu_memory_add(struct vd_vu_memory *memory, const struct vd_vu_region_desc *desc, int fd,
		     struct vd_fault *fault)
{
	struct vd_vu_region *region;
	struct stat st;
	int err;

	if (desc->size == 0 || fstat(fd, &st) != 0 || !is_inside_file(desc, &st))
		return bad_region(fault, memory, desc);
	region = calloc(1, sizeof(*region));
	if (region == NULL)
		return -VD_ENOMEM;
	region->desc = *desc;
	region->dev = st.st_dev;
	region->ino = st.st_ino;
	if (!map(region, fd, &st)) {
		free(region);
		return bad_region(fault, memory, desc);
	}
	/* One that could kill us unnoticed is not taken. */
	region->guard = vd_guard_add(region->map, region->map_size, &region->gone);
	err = region->guard < 0 ? region->guard : enter(memory, region, fault);
	if (err != 0)
		unmap(region);
	return err;
}

/* ---- all of them ---- */

static void leave(struct vd_vu_memory *memory, unsigned at)
{
	const struct vd_vu_region_desc *desc = &memory->regions[at]->desc;

	(void)vd_mem_remove(&memory->guest, desc->guest_addr, desc->size);
	(void)vd_mem_remove(&memory->user, desc->user_addr, desc->size);
	memory->regions[at] = memory->regions[--memory->count];
}

int vd_vu_memory_remove(struct vd_vu_memory *memory, const struct vd_vu_region_desc *desc)
{
	for (unsigned i = 0; i < memory->count; i++) {
		struct vd_vu_region *region = memory->regions[i];

		if (region->desc.guest_addr != desc->guest_addr ||
		    region->desc.user_addr != desc->user_addr || region->desc.size != desc->size)
			continue;
		leave(memory, i);
		unmap(region);
		return 0;
	}
	return -VD_ENOENT;
}

void vd_vu_memory_clear(struct vd_vu_memory *memory)
{
	while (memory->count > 0) {
		struct vd_vu_region *region = memory->regions[0];

		leave(memory, 0);
		unmap(region);
	}
}

static bool is_same(const struct vd_vu_region *region, const struct vd_vu_region_desc *desc, int fd)
{
	struct stat st;

	return region->desc.guest_addr == desc->guest_addr && region->desc.size == desc->size &&
	       region->desc.user_addr == desc->user_addr && region->desc.offset == desc->offset &&
	       fstat(fd, &st) == 0 && st.st_dev == region->dev && st.st_ino == region->ino;
}

/* Take the region that @desc describes out of @old, if it is there. */
static struct vd_vu_region *reuse(struct vd_vu_region **old, unsigned n_old,
				  const struct vd_vu_region_desc *desc, int fd)
{
	for (unsigned i = 0; i < n_old; i++) {
		struct vd_vu_region *region = old[i];

		if (region == NULL || !is_same(region, desc, fd))
			continue;
		old[i] = NULL;
		return region;
	}
	return NULL;
}

int vd_vu_memory_replace(struct vd_vu_memory *memory, const struct vd_vu_region_desc *descs,
			 const int *fds, unsigned count, struct vd_fault *fault)
{
	struct vd_vu_region *old[VD_VU_SLOTS_MAX];
	unsigned n_old = memory->count;
	int err = 0;

	for (unsigned i = 0; i < n_old; i++)
		old[i] = memory->regions[i];
	vd_vu_memory_init(memory);
	for (unsigned i = 0; err == 0 && i < count; i++) {
		struct vd_vu_region *region = reuse(old, n_old, &descs[i], fds[i]);

		if (region == NULL) {
			err = vd_vu_memory_add(memory, &descs[i], fds[i], fault);
			continue;
		}
		err = enter(memory, region, fault);
		if (err != 0)
			unmap(region);
	}
	for (unsigned i = 0; i < n_old; i++)
		if (old[i] != NULL)
			unmap(old[i]);
	if (err != 0)
		vd_vu_memory_clear(memory);
	return err;
}

bool vd_vu_memory_is_gone(const struct vd_vu_memory *memory, struct vd_fault *fault)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vd_vu_region *region = memory->regions[i];

		if (!region->gone)
			continue;
		*fault = (struct vd_fault){.code = VD_FAULT_VU_REGION_SHRUNK,
					   .value = {region->desc.guest_addr}};
		return true;
	}
	return false;
}
