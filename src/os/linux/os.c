/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and time on Linux: see viaduct/linux.h. */
#include "viaduct/errno.h"
#include "viaduct/iov.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* viaduct/errno.h promises Linux' numbers. */
#define SAME(name) _Static_assert((int)VD_##name == name, #name)
SAME(ENOENT);
SAME(EINTR);
SAME(EIO);
SAME(ENXIO);
SAME(E2BIG);
SAME(EAGAIN);
SAME(ENOMEM);
SAME(EACCES);
SAME(EFAULT);
SAME(EBUSY);
SAME(EEXIST);
SAME(ENODEV);
SAME(EINVAL);
SAME(ENOSPC);
SAME(EPIPE);
SAME(ERANGE);
SAME(ENOSYS);
SAME(EPROTO);
SAME(EBADMSG);
SAME(EOVERFLOW);
SAME(EMSGSIZE);
SAME(EOPNOTSUPP);
SAME(EADDRINUSE);
SAME(ECONNRESET);
SAME(ETIMEDOUT);
SAME(ESTALE);

/* viaduct/iov.h promises POSIX' layout. */
_Static_assert(sizeof(struct vd_iov) == sizeof(struct iovec) &&
		       offsetof(struct vd_iov, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct vd_iov, len) == offsetof(struct iovec, iov_len),
	       "struct vd_iov is not struct iovec");

static void *malloc_alloc(struct vd_alloc *alloc, size_t size, size_t align)
{
	void *p;

	(void)alloc;
	if (align < sizeof(void *))
		align = sizeof(void *);
	if (posix_memalign(&p, align, size) != 0)
		return NULL;
	return memset(p, 0, size);
}

static void malloc_free(struct vd_alloc *alloc, void *p, size_t size)
{
	(void)alloc;
	(void)size;
	free(p);
}

struct vd_alloc vd_malloc = {.alloc = malloc_alloc, .free = malloc_free};

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* Size, seal, map. */
static int fill_shared(struct vd_shared *shared)
{
	if (ftruncate(shared->fd, (off_t)shared->size) != 0 ||
	    fcntl(shared->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -errno;
	shared->base = mmap(NULL, shared->size, PROT_READ | PROT_WRITE, MAP_SHARED, shared->fd, 0);
	return shared->base != MAP_FAILED ? 0 : -errno;
}

int vd_shared_create(struct vd_shared *shared, const char *name, size_t size)
{
	int err;

	shared->size = whole_pages(size);
	shared->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (shared->fd < 0)
		return -errno;
	err = fill_shared(shared);
	if (err != 0)
		close(shared->fd);
	return err;
}

void vd_shared_destroy(struct vd_shared *shared)
{
	munmap(shared->base, shared->size);
	close(shared->fd);
}

uint64_t vd_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t vd_now_ms(void)
{
	return vd_now_ns() / 1000000u;
}
