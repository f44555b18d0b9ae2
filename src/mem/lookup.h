/* SPDX-License-Identifier: BSD-3-Clause */
/* The look-up that every descriptor goes through, inline because it is on every hot path. */
#ifndef VD_MEM_LOOKUP_H
#define VD_MEM_LOOKUP_H

#include "viaduct/mem.h"

#include <stdbool.h>

/* Does @window hold @addr? One comparison: the subtraction wraps for an address below the window.
 */
static inline bool vd_window_holds(const struct vd_window *window, uint64_t addr)
{
	return addr - window->peer < window->size;
}

static inline void *vd_window_local(const struct vd_window *window, uint64_t addr)
{
	return (unsigned char *)window->local + (size_t)(addr - window->peer);
}

/*
 * The window that holds @addr, or NULL. Traffic stays in one window for long stretches, so each
 * queue remembers the last one in *@hint (any value is safe, 0 to begin with), and the search is
 * left for when that fails.
 */
const struct vd_window *vd_mem_search(const struct vd_mem *mem, uint64_t addr, uint32_t *hint);

static inline const struct vd_window *vd_mem_find(const struct vd_mem *mem, uint64_t addr,
						  uint32_t *hint)
{
	if (*hint < mem->count && vd_window_holds(&mem->window[*hint], addr))
		return &mem->window[*hint];
	return vd_mem_search(mem, addr, hint);
}

/* Does @window show all of @len bytes at our @local? */
static inline bool vd_window_shows(const struct vd_window *window, const void *local, uint64_t len)
{
	uintptr_t offset = (uintptr_t)local - (uintptr_t)window->local;

	return offset < window->size && len <= window->size - offset;
}

/* As vd_mem_peer(), and leaves in *@hint the window that answered. */
int vd_mem_peer_search(const struct vd_mem *mem, const void *local, uint64_t len, uint32_t rights,
		       uint64_t *addr, uint32_t *hint);

/* The way back, likewise with a hint. The caller knows that @len is not 0. */
static inline int vd_mem_peer_hint(const struct vd_mem *mem, const void *local, uint64_t len,
				   uint32_t rights, uint64_t *addr, uint32_t *hint)
{
	const struct vd_window *window = &mem->window[*hint];

	if (*hint < mem->count && vd_window_shows(window, local, len) &&
	    (window->rights & rights) == rights) {
		*addr = window->peer + ((uintptr_t)local - (uintptr_t)window->local);
		return 0;
	}
	return vd_mem_peer_search(mem, local, len, rights, addr, hint);
}

#endif /* VD_MEM_LOOKUP_H */
