/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool allocator: see viaduct/alloc.h. */
#include "viaduct/alloc.h"

#include <stdbool.h>
#include <string.h>

static bool is_taken(const struct vd_pool *pool, size_t grain)
{
	return pool->taken[grain / 32] >> (grain % 32) & 1;
}

static void mark(struct vd_pool *pool, size_t first, size_t count, bool taken)
{
	for (size_t grain = first; grain < first + count; grain++) {
		uint32_t bit = UINT32_C(1) << (grain % 32);

		if (taken)
			pool->taken[grain / 32] |= bit;
		else
			pool->taken[grain / 32] &= ~bit;
	}
	pool->used = taken ? pool->used + count : pool->used - count;
}

static size_t grains_for(size_t size)
{
	return size / VD_POOL_GRAIN + (size % VD_POOL_GRAIN != 0);
}

/* The first grain at or after @grain whose address has the alignment. */
static size_t align_grain(const struct vd_pool *pool, size_t grain, size_t align)
{
	uintptr_t address = (uintptr_t)pool->base + grain * VD_POOL_GRAIN;
	uintptr_t rest = address & (align - 1);

	return rest == 0 ? grain : grain + grains_for(align - rest);
}

/* How many grains from @first on are free, up to @count. */
static size_t free_run(const struct vd_pool *pool, size_t first, size_t count)
{
	size_t n = 0;

	while (n < count && !is_taken(pool, first + n))
		n++;
	return n;
}

static void *pool_alloc(struct vd_alloc *alloc, size_t size, size_t align)
{
	struct vd_pool *pool = (struct vd_pool *)alloc;
	size_t count = grains_for(size);
	size_t grain = 0;

	if (count == 0)
		return NULL;
	for (;;) {
		size_t run;

		grain = align_grain(pool, grain, align);
		if (grain >= pool->grains || count > pool->grains - grain)
			return NULL;
		run = free_run(pool, grain, count);
		if (run == count)
			break;
		grain += run + 1;
	}
	mark(pool, grain, count, true);
	return memset(pool->base + grain * VD_POOL_GRAIN, 0, size);
}

static void pool_free(struct vd_alloc *alloc, void *p, size_t size)
{
	struct vd_pool *pool = (struct vd_pool *)alloc;

	if (p != NULL)
		mark(pool, (size_t)((unsigned char *)p - pool->base) / VD_POOL_GRAIN,
		     grains_for(size), false);
}

void vd_pool_init(struct vd_pool *pool, void *base, size_t size, uint32_t *taken)
{
	*pool = (struct vd_pool){
		.alloc = {.alloc = pool_alloc, .free = pool_free},
		.base = base,
		.taken = taken,
		.grains = size / VD_POOL_GRAIN,
	};
	memset(taken, 0, vd_pool_words(size) * sizeof(*taken));
}
