/* SPDX-License-Identifier: BSD-3-Clause */
/* Endpoints: creation, destruction, look-up by address. See viaduct/rpmsg.h. */
#include "rpmsg/role.h"
#include "viaduct/errno.h"

#include <string.h>

/* Dynamic addresses follow one another, so the low bits spread them evenly. */
static struct vd_rpmsg_ept **bucket(struct vd_rpmsg *link, uint32_t addr)
{
	return &link->buckets[addr & (link->n_buckets - 1)];
}

struct vd_rpmsg_ept *vd_rpmsg_find_ept(struct vd_rpmsg *link, uint32_t addr)
{
	struct vd_rpmsg_ept *ept = *bucket(link, addr);

	while (ept != NULL && ept->addr != addr)
		ept = ept->next;
	return ept;
}

/*
 * The next free dynamic address. Linux takes the lowest free one; we go on from the last, so that
 * an address is not given to somebody else while messages for its old owner may still be on the
 * way.
 */
static int free_addr(struct vd_rpmsg *link, uint32_t *addr)
{
	/* One more look than there are endpoints must find one. */
	for (uint32_t n = 0; n <= link->n_epts; n++) {
		uint32_t candidate = link->next_addr++;

		if (link->next_addr == VD_RPMSG_ADDR_ANY)
			link->next_addr = VD_RPMSG_FIRST_DYNAMIC;
		if (vd_rpmsg_find_ept(link, candidate) == NULL) {
			*addr = candidate;
			return 0;
		}
	}
	return -VD_ENOSPC;
}

static bool name_is_good(const char *name)
{
	size_t len = 0;

	if (name == NULL)
		return true;
	while (len < VD_RPMSG_NAME_SIZE && name[len] != '\0')
		len++;
	return len > 0 && len < VD_RPMSG_NAME_SIZE;
}

int vd_rpmsg_create_ept(struct vd_rpmsg *link, struct vd_rpmsg_ept *ept, const char *name,
			uint32_t addr, uint32_t dst, vd_rpmsg_callback *callback, unsigned flags)
{
	int err = 0;

	if (ept->link != NULL || callback == NULL || !name_is_good(name))
		return -VD_EINVAL;
	if (addr == VD_RPMSG_ADDR_ANY)
		err = free_addr(link, &addr);
	else if (vd_rpmsg_find_ept(link, addr) != NULL)
		err = -VD_EADDRINUSE;
	if (err != 0)
		return err;
	*ept = (struct vd_rpmsg_ept){
		.link = link,
		.callback = callback,
		.name = name,
		.addr = addr,
		.dst = dst,
		.flags = (uint8_t)flags,
		.next = *bucket(link, addr),
	};
	*bucket(link, addr) = ept;
	link->n_epts++;
	if (name != NULL)
		vd_rpmsg_ns_created(ept);
	return 0;
}

/* Unreachable from here on. */
static bool unlink_ept(struct vd_rpmsg_ept *ept)
{
	struct vd_rpmsg_ept **at = bucket(ept->link, ept->addr);

	while (*at != NULL && *at != ept)
		at = &(*at)->next;
	if (*at == NULL)
		return false;
	*at = ept->next;
	ept->link->n_epts--;
	return true;
}

int vd_rpmsg_destroy_ept(struct vd_rpmsg_ept *ept)
{
	if (ept->link == NULL)
		return 0;
	/* Not found: it is dying already, and waits for a buffer to say so. */
	if (!unlink_ept(ept))
		return -VD_EAGAIN;
	if (ept->name != NULL)
		return vd_rpmsg_ns_destroyed(ept);
	ept->link = NULL;
	return 0;
}
