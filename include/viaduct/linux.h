/* SPDX-License-Identifier: BSD-3-Clause */
/* What Viaduct brings for programs on Linux, beside the transports. */
#ifndef VIADUCT_LINUX_H
#define VIADUCT_LINUX_H

#include "viaduct/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* malloc as an allocator. */
extern struct vd_alloc vd_malloc;

/*
 * Memory that another process can map, from memfd_create(): sealed against shrinking, so that
 * whoever gets the file descriptor can rely on it.
 */
struct vd_shared {
	void *base;
	size_t size;
	int fd;
};

/* @size is rounded up to whole pages. Negative errno on failure. */
int vd_shared_create(struct vd_shared *shared, const char *name, size_t size);
void vd_shared_destroy(struct vd_shared *shared);

/*
 * Install a SIGBUS handler that survives memory being taken away by the process that shared it:
 * zero pages take its place, and whoever mapped it is told (a vhost-user back end ends the
 * connection with VU_REGION_SHRUNK). A SIGBUS that has nothing to do with shared memory goes to
 * whoever handled it before. In a process once (again does nothing), before other threads start.
 * Negative errno on failure.
 */
int vd_guard_install(void);

/*
 * Watch a mapping. @hit becomes true, in the signal handler, when part of it is gone. Returns a
 * handle for vd_guard_remove(), or -VD_ENOSPC. For transports.
 */
int vd_guard_add(void *base, size_t size, volatile bool *hit);
void vd_guard_remove(int handle);

/* Monotonic milliseconds, and nanoseconds. */
uint64_t vd_now_ms(void);
uint64_t vd_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_LINUX_H */
