/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting one block of the caller's memory into arrays. The same code first runs without memory, to
 * say how much it will need, and then with it, so the two can't disagree.
 */
#ifndef VD_BASE_CARVE_H
#define VD_BASE_CARVE_H

#include <stddef.h>
#include <string.h>

#define VD_CARVE_ALIGN 8u

struct vd_carve {
	unsigned char *base; /* NULL: only count */
	size_t used;
};

/* @count elements of @size bytes, zeroed; NULL while only counting. */
static inline void *vd_carve(struct vd_carve *carve, size_t count, size_t size)
{
	size_t bytes = (count * size + VD_CARVE_ALIGN - 1) & ~(size_t)(VD_CARVE_ALIGN - 1);
	void *piece = carve->base != NULL ? memset(carve->base + carve->used, 0, bytes) : NULL;

	carve->used += bytes;
	return piece;
}

#endif /* VD_BASE_CARVE_H */
