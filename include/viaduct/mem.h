/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory windows: the only way from an address the peer wrote to a pointer we may follow, and back.
 *
 * A window says: these `size` bytes, which the peer knows as `peer`, are the memory at `local`, and
 * whoever goes through the window may use them as `rights` allows. A table of windows, `struct
 * vd_mem`, is what a device sees of its driver's memory, or what a driver can show its device.
 * `limit` is the highest address the peer is able to form: a 32-bit core beside a 64-bit processor
 * can't reach 0xa10000000, and an address that does not fit is refused here, loudly, instead of
 * being truncated on the wire.
 *
 * The table is the caller's memory and holds no locks. Look-ups may run from any context,
 * interrupts included, and from several threads at once; adding and removing must not overlap a
 * look-up.
 */
#ifndef VIADUCT_MEM_H
#define VIADUCT_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the one who comes through a window may do with the bytes behind it. */
enum vd_mem_rights {
	VD_MEM_READ = 1,
	VD_MEM_WRITE = 2,
	VD_MEM_RW = 3,
};

struct vd_window {
	uint64_t peer;   /* first address, as the peer writes it */
	uint64_t size;   /* bytes, not 0 */
	void *local;     /* where the first byte is for us */
	uint32_t rights; /* enum vd_mem_rights */
};

/* Private: read it through the functions below. Windows are kept in order of their peer address. */
struct vd_mem {
	struct vd_window *window;
	uint32_t count;
	uint32_t capacity;
	uint64_t limit;
};

/* The limit of a peer that can form every 64-bit address, and of a 32-bit one. */
#define VD_MEM_LIMIT_64 UINT64_MAX
#define VD_MEM_LIMIT_32 0xffffffffu

/*
 * Make @mem an empty table. @storage holds up to @capacity windows and must live as long as the
 * table.
 * @limit: the highest address the peer can form.
 */
void vd_mem_init(struct vd_mem *mem, struct vd_window *storage, uint32_t capacity, uint64_t limit);

/*
 * Add a copy of @window.
 * -VD_EINVAL: no bytes, no local pointer, no or unknown rights, or a range that wraps around (on
 * either side). -VD_ERANGE: the last byte is past the peer's limit. -VD_EEXIST: peer addresses
 * overlap a window already there. -VD_ENOSPC: the table is full.
 */
int vd_mem_add(struct vd_mem *mem, const struct vd_window *window);

/* Remove the window that starts at @peer and is @size bytes long. -VD_ENOENT: there is no such
 * window. */
int vd_mem_remove(struct vd_mem *mem, uint64_t peer, uint64_t size);

/* Remove every window. */
void vd_mem_clear(struct vd_mem *mem);

/*
 * The local pointer to all of @len bytes at peer address @addr, for a use that needs @rights.
 * A range of no bytes is refused: there is no pointer that would be right for it.
 * -VD_EFAULT: the bytes are not all inside one window. -VD_EACCES: they are, but it does not grant
 * @rights.
 */
int vd_mem_local(const struct vd_mem *mem, uint64_t addr, uint64_t len, uint32_t rights,
		 void **local);

/*
 * As vd_mem_local(), for a range that may go on in the next window: *@run, at most @len, is how
 * many of the bytes follow one another at *@local. Ask again for the rest. Errors as above, for the
 * first byte; also -VD_EFAULT: the range wraps around behind the last address.
 */
int vd_mem_span(const struct vd_mem *mem, uint64_t addr, uint64_t len, uint32_t rights,
		void **local, uint64_t *run);

/*
 * The peer address of @len bytes at @local, which the peer will use as @rights says.
 * -VD_EFAULT: the peer can't see all of them through one window. -VD_EACCES: it can, but has not
 * got @rights.
 */
int vd_mem_peer(const struct vd_mem *mem, const void *local, uint64_t len, uint32_t rights,
		uint64_t *addr);

/* Copy @len bytes out of the peer's memory, across windows if need be. Errors as vd_mem_local();
 * then nothing is copied. */
int vd_mem_read(const struct vd_mem *mem, uint64_t addr, void *dst, size_t len);

/* Copy @len bytes into the peer's memory, across windows if need be. Errors as vd_mem_local(); then
 * nothing is copied. */
int vd_mem_write(const struct vd_mem *mem, uint64_t addr, const void *src, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_MEM_H */
