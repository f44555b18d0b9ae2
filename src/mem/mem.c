/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory windows: see viaduct/mem.h. */
#include "viaduct/mem.h"

#include "mem/lookup.h"
#include "mem/shm.h"
#include "viaduct/errno.h"

#include <string.h>

static bool window_is_sound(const struct vd_window *window)
{
	uint64_t last = window->size - 1;

	return window->size != 0 && window->local != NULL && window->rights != 0 &&
	       (window->rights & ~(uint32_t)VD_MEM_RW) == 0 && window->peer <= UINT64_MAX - last &&
	       last <= SIZE_MAX && (uintptr_t)window->local <= UINTPTR_MAX - (uintptr_t)last;
}

/* The first window that starts above @addr: where a window at @addr would go. */
static uint32_t upper_bound(const struct vd_mem *mem, uint64_t addr)
{
	uint32_t low = 0;
	uint32_t high = mem->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (mem->window[middle].peer <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void vd_mem_init(struct vd_mem *mem, struct vd_window *storage, uint32_t capacity, uint64_t limit)
{
	mem->window = storage;
	mem->count = 0;
	mem->capacity = capacity;
	mem->limit = limit;
}

int vd_mem_add(struct vd_mem *mem, const struct vd_window *window)
{
	uint64_t last = window->peer + (window->size - 1);
	uint32_t at;

	if (!window_is_sound(window))
		return -VD_EINVAL;
	if (last > mem->limit)
		return -VD_ERANGE;
	at = upper_bound(mem, last);
	if (at > 0 && mem->window[at - 1].peer + (mem->window[at - 1].size - 1) >= window->peer)
		return -VD_EEXIST;
	if (mem->count == mem->capacity)
		return -VD_ENOSPC;
	memmove(&mem->window[at + 1], &mem->window[at], (mem->count - at) * sizeof(*window));
	mem->window[at] = *window;
	mem->count++;
	return 0;
}

int vd_mem_remove(struct vd_mem *mem, uint64_t peer, uint64_t size)
{
	uint32_t at = upper_bound(mem, peer);

	if (at == 0 || mem->window[at - 1].peer != peer || mem->window[at - 1].size != size)
		return -VD_ENOENT;
	mem->count--;
	memmove(&mem->window[at - 1], &mem->window[at],
		(mem->count - (at - 1)) * sizeof(*mem->window));
	return 0;
}

void vd_mem_clear(struct vd_mem *mem)
{
	mem->count = 0;
}

const struct vd_window *vd_mem_search(const struct vd_mem *mem, uint64_t addr, uint32_t *hint)
{
	uint32_t at = upper_bound(mem, addr);

	if (at == 0 || !vd_window_holds(&mem->window[at - 1], addr))
		return NULL;
	*hint = at - 1;
	return &mem->window[at - 1];
}

int vd_mem_span(const struct vd_mem *mem, uint64_t addr, uint64_t len, uint32_t rights,
		void **local, uint64_t *run)
{
	uint32_t hint = 0;
	const struct vd_window *window = vd_mem_find(mem, addr, &hint);
	uint64_t rest;

	/* There may be windows at both ends, but nothing goes on at 0 behind the last address. */
	if (window == NULL || len == 0 || len - 1 > UINT64_MAX - addr)
		return -VD_EFAULT;
	if ((window->rights & rights) != rights)
		return -VD_EACCES;
	rest = window->size - (addr - window->peer);
	*local = vd_window_local(window, addr);
	*run = len < rest ? len : rest;
	return 0;
}

int vd_mem_local(const struct vd_mem *mem, uint64_t addr, uint64_t len, uint32_t rights,
		 void **local)
{
	uint64_t run;
	void *start;
	int err = vd_mem_span(mem, addr, len, rights, &start, &run);

	if (err != 0)
		return err;
	if (run != len)
		return -VD_EFAULT;
	*local = start;
	return 0;
}

int vd_mem_peer_search(const struct vd_mem *mem, const void *local, uint64_t len, uint32_t rights,
		       uint64_t *addr, uint32_t *hint)
{
	int err = -VD_EFAULT;

	for (uint32_t at = 0; len > 0 && at < mem->count; at++) {
		const struct vd_window *window = &mem->window[at];

		if (!vd_window_shows(window, local, len))
			continue;
		if ((window->rights & rights) == rights) {
			*hint = at;
			*addr = window->peer + ((uintptr_t)local - (uintptr_t)window->local);
			return 0;
		}
		/* Another window may show the same memory with more rights: go on. */
		err = -VD_EACCES;
	}
	return err;
}

int vd_mem_peer(const struct vd_mem *mem, const void *local, uint64_t len, uint32_t rights,
		uint64_t *addr)
{
	uint32_t hint;

	return vd_mem_peer_search(mem, local, len, rights, addr, &hint);
}

/* Are @len bytes at @addr all there, with @rights? So that a copy is whole or not begun. */
static int range_check(const struct vd_mem *mem, uint64_t addr, uint64_t len, uint32_t rights)
{
	while (len > 0) {
		uint64_t run;
		void *local;
		int err = vd_mem_span(mem, addr, len, rights, &local, &run);

		if (err != 0)
			return err;
		addr += run;
		len -= run;
	}
	return 0;
}

int vd_mem_read(const struct vd_mem *mem, uint64_t addr, void *dst, size_t len)
{
	int err = range_check(mem, addr, len, VD_MEM_READ);
	unsigned char *to = dst;

	while (err == 0 && len > 0) {
		uint64_t run;
		void *local;

		err = vd_mem_span(mem, addr, len, VD_MEM_READ, &local, &run);
		if (err == 0) {
			vd_shm_read(to, local, (size_t)run);
			addr += run;
			to += run;
			len -= (size_t)run;
		}
	}
	return err;
}

int vd_mem_write(const struct vd_mem *mem, uint64_t addr, const void *src, size_t len)
{
	int err = range_check(mem, addr, len, VD_MEM_WRITE);
	const unsigned char *from = src;

	while (err == 0 && len > 0) {
		uint64_t run;
		void *local;

		err = vd_mem_span(mem, addr, len, VD_MEM_WRITE, &local, &run);
		if (err == 0) {
			memcpy(local, from, (size_t)run);
			addr += run;
			from += run;
			len -= (size_t)run;
		}
	}
	return err;
}
