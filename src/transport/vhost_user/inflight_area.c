/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared memory that in-flight records live in: made here, kept by the front end. */
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(struct vd_vu_inflight_area *area, int fd, uint64_t offset, uint64_t page)
{
	size_t size = (size_t)((area->size + page - 1) / page * page);
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	if (base == MAP_FAILED)
		return -errno;
	area->gone = false;
	area->guard = vd_guard_add(base, size, &area->gone);
	if (area->guard < 0) {
		munmap(base, size);
		return area->guard;
	}
	area->base = base;
	area->map_size = size;
	return 0;
}

static void describe(struct vd_vu_inflight_area *area, uint16_t num_queues, uint16_t queue_size)
{
	vd_vu_inflight_area_close(area);
	area->num_queues = num_queues;
	area->queue_size = queue_size;
	area->size = num_queues * vd_vu_inflight_region_size(queue_size);
}

int vd_vu_inflight_area_create(struct vd_vu_inflight_area *area, uint16_t num_queues,
			       uint16_t queue_size)
{
	int fd;
	int err = 0;

	describe(area, num_queues, queue_size);
	fd = memfd_create("viaduct-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)area->size) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		err = -errno;
	if (err == 0)
		err = map(area, fd, 0, (uint64_t)sysconf(_SC_PAGESIZE));
	if (err != 0)
		close(fd);
	return err == 0 ? fd : err;
}

int vd_vu_inflight_area_open(struct vd_vu_inflight_area *area, int fd,
			     const struct vd_vu_inflight_desc *desc)
{
	struct stat st;

	describe(area, desc->num_queues, desc->queue_size);
	if (fstat(fd, &st) != 0)
		return -errno;
	if (desc->mmap_size < area->size || desc->mmap_offset > INT64_MAX - desc->mmap_size ||
	    desc->mmap_offset + area->size > (uint64_t)st.st_size)
		return -VD_EINVAL;
	return map(area, fd, desc->mmap_offset, vd_vu_page_size(&st));
}

void vd_vu_inflight_area_close(struct vd_vu_inflight_area *area)
{
	if (area->base == NULL)
		return;
	vd_guard_remove(area->guard);
	munmap(area->base, area->map_size);
	area->base = NULL;
}
