/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where memory comes from. The core allocates nothing behind its user's back; the few places that
 * need memory whose size only shows at run time (the rings of a device that was just discovered)
 * are given an allocator. On Linux that is malloc (viaduct/linux.h) or a shared region; on a small
 * machine a pool.
 */
#ifndef VIADUCT_ALLOC_H
#define VIADUCT_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_alloc {
	/* @size bytes aligned to @align (a power of two), zeroed; NULL if there are none. */
	void *(*alloc)(struct vd_alloc *alloc, size_t size, size_t align);
	/* Give back what alloc() returned for @size. NULL is allowed. */
	void (*free)(struct vd_alloc *alloc, void *p, size_t size);
};

/*
 * A pool: an allocator over one piece of memory, such as the window that a peer with few address
 * lines can reach. First fit, in grains of VD_POOL_GRAIN bytes. What is free is noted in private
 * memory and not in the pool itself, where the peer could rewrite it.
 */
#define VD_POOL_GRAIN 64u

struct vd_pool {
	struct vd_alloc alloc; /* hand out &pool->alloc */
	unsigned char *base;
	uint32_t *taken; /* private: a bit a grain */
	size_t grains;
	size_t used; /* grains taken; for statistics */
};

/* Words of @taken that a pool of @size bytes needs. */
static inline size_t vd_pool_words(size_t size)
{
	return (size / VD_POOL_GRAIN + 31) / 32;
}

/*
 * Make a pool of the @size bytes at @base, which is aligned to VD_POOL_GRAIN. @taken has
 * vd_pool_words(size) words. A rest that is no whole grain stays unused.
 */
void vd_pool_init(struct vd_pool *pool, void *base, size_t size, uint32_t *taken);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_ALLOC_H */
