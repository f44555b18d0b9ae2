/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scattered bytes, and a cursor that walks over them and counts. Code that consumes or fills a
 * buffer chain never indexes the segments itself, so it can't assume how a message was cut up
 * (VIRTIO 1.4, 2.7.4.1) and can't miscount used.len.
 */
#ifndef VIADUCT_IOV_H
#define VIADUCT_IOV_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Laid out as POSIX's struct iovec, so that on Linux an array of them goes to readv()/writev() as
 * it is. */
struct vd_iov {
	void *base;
	size_t len;
};

struct vd_cursor {
	const struct vd_iov *iov; /* the segment the cursor is in */
	size_t left_iov;          /* segments from there on */
	size_t offset;            /* bytes already passed in the first of them */
	size_t done;              /* bytes passed in all */
};

/* Put @cursor before the first byte of @count segments. */
void vd_cursor_init(struct vd_cursor *cursor, const struct vd_iov *iov, size_t count);

/* Copy up to @len bytes from under the cursor to @dst and pass them. Returns how many there were.
 */
size_t vd_cursor_pull(struct vd_cursor *cursor, void *dst, size_t len);

/* Copy up to @len bytes from @src to under the cursor and pass them. Returns how many had room. */
size_t vd_cursor_push(struct vd_cursor *cursor, const void *src, size_t len);

/* Pass up to @len bytes. Returns how many there were. */
size_t vd_cursor_skip(struct vd_cursor *cursor, size_t len);

/* Bytes from the cursor to the end. */
size_t vd_cursor_left(const struct vd_cursor *cursor);

/*
 * Start fetching the cache line at @p from the other processor, to be written (it loses its copy)
 * or read. A hint for buffers that just came back and will be filled again: without it the first
 * store to each waits for the line while everything behind it queues up. Any address is safe.
 */
static inline void vd_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	/* Compilers emit it only when told that the processor has it; one that has not ignores it.
	 */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

static inline void vd_prefetch_read(const void *p)
{
	__builtin_prefetch(p, 0);
}

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_IOV_H */
