/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name service: telling the peer of our channels, and learning of its. Linux: rpmsg_ns.c.
 *
 * An announcement that finds no buffer is not lost: it stays due, and goes out with the next poll
 * that finds one.
 */
#include "rpmsg/role.h"
#include "rpmsg/wire.h"
#include "viaduct/errno.h"

#include <string.h>

enum due {
	DUE_NOTHING,
	DUE_CREATE,
	DUE_DESTROY,
};

/* ---- ours ---- */

static void set_due(struct vd_rpmsg_ept *ept, enum due due)
{
	struct vd_rpmsg *link = ept->link;

	link->n_due += (due != DUE_NOTHING);
	link->n_due -= (ept->due != DUE_NOTHING);
	ept->due = (uint8_t)due;
}

static void forget(struct vd_rpmsg_ept *ept)
{
	struct vd_rpmsg_ept **at = &ept->link->named;

	while (*at != ept)
		at = &(*at)->next_name;
	*at = ept->next_name;
	if (ept->link->next_due == ept)
		ept->link->next_due = ept->next_name;
	set_due(ept, DUE_NOTHING);
	ept->link = NULL;
}

static int announce(struct vd_rpmsg_ept *ept, uint32_t flags)
{
	struct vd_rpmsg *link = ept->link;
	bool swap = vd_rpmsg_swaps(link);
	bool starved = link->starved;
	uint32_t epoch = link->epoch;
	unsigned char message[VD_RPMSG_NS_SIZE] = {0};
	uint32_t addr = vd_swap32(ept->addr, swap);
	int err;

	flags = vd_swap32(flags, swap);
	memcpy(message + VD_RPMSG_NS_AT_NAME, ept->name, strlen(ept->name));
	memcpy(message + VD_RPMSG_NS_AT_ADDR, &addr, sizeof(addr));
	memcpy(message + VD_RPMSG_NS_AT_FLAGS, &flags, sizeof(flags));
	err = vd_rpmsg_trysend_offchannel(ept, ept->addr, VD_RPMSG_NS_ADDR, message,
					  sizeof(message));
	/* Whoever heard of a fault meanwhile ended the link, and perhaps the endpoint. */
	if (link->epoch != epoch)
		return -VD_EPIPE;
	/* That there was no buffer is not the owner's to hear: it stays due. */
	link->starved = starved;
	return err;
}

/* Send what is due for @ept. False: there was no buffer for it, or the link ended. */
static bool send_due(struct vd_rpmsg_ept *ept)
{
	enum due due = ept->due;

	if (due == DUE_NOTHING)
		return true;
	if (announce(ept, due == DUE_CREATE ? VD_RPMSG_NS_CREATE : VD_RPMSG_NS_DESTROY) != 0)
		return false;
	if (due == DUE_DESTROY)
		forget(ept);
	else
		set_due(ept, DUE_NOTHING);
	return true;
}

void vd_rpmsg_ns_send_due(struct vd_rpmsg *link)
{
	struct vd_rpmsg_ept *ept = link->named;

	/* Sending may find the link broken, and whoever is told of that may destroy any of them. */
	for (; ept != NULL && link->n_due > 0; ept = link->next_due) {
		link->next_due = ept->next_name;
		if (!send_due(ept))
			break;
	}
	link->next_due = NULL;
}

/* Does the peer know our channels, so that it has to be told of a change now or later? */
static bool announces(const struct vd_rpmsg *link)
{
	return (link->up || link->paused) && link->ns;
}

void vd_rpmsg_ns_created(struct vd_rpmsg_ept *ept)
{
	struct vd_rpmsg *link = ept->link;
	struct vd_rpmsg_ept **end = &link->named;

	while (*end != NULL)
		end = &(*end)->next_name;
	ept->next_name = NULL;
	*end = ept;
	if (announces(link)) {
		set_due(ept, DUE_CREATE);
		vd_rpmsg_ns_send_due(link);
	}
}

int vd_rpmsg_ns_destroyed(struct vd_rpmsg_ept *ept)
{
	/* What the peer never heard of need not be taken back. */
	if (!announces(ept->link) || ept->due == DUE_CREATE) {
		forget(ept);
		return 0;
	}
	set_due(ept, DUE_DESTROY);
	return send_due(ept) || ept->link == NULL ? 0 : -VD_EAGAIN;
}

void vd_rpmsg_ns_restart(struct vd_rpmsg *link)
{
	for (struct vd_rpmsg_ept *ept = link->named; ept != NULL; ept = ept->next_name)
		if (link->ns)
			set_due(ept, DUE_CREATE);
	vd_rpmsg_ns_send_due(link);
}

void vd_rpmsg_ns_stop(struct vd_rpmsg *link)
{
	struct vd_rpmsg_ept *next;

	for (struct vd_rpmsg_ept *ept = link->named; ept != NULL; ept = next) {
		next = ept->next_name;
		if (ept->due == DUE_DESTROY)
			forget(ept);
		else
			set_due(ept, DUE_NOTHING);
	}
	memset(link->channels, 0, sizeof(*link->channels) * link->n_channels);
}

/* ---- the peer's ---- */

static struct vd_rpmsg_channel *find(struct vd_rpmsg *link, const char *name, uint32_t addr)
{
	for (uint32_t i = 0; i < link->n_channels; i++) {
		struct vd_rpmsg_channel *channel = &link->channels[i];

		if (channel->addr == addr && strcmp(channel->name, name) == 0)
			return channel;
	}
	return NULL;
}

const struct vd_rpmsg_channel *vd_rpmsg_find_channel(struct vd_rpmsg *link, const char *name)
{
	for (uint32_t i = 0; i < link->n_channels; i++)
		if (name[0] != '\0' && strcmp(link->channels[i].name, name) == 0)
			return &link->channels[i];
	return NULL;
}

static void tell(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	if (link->events != NULL && link->events->channel != NULL)
		link->events->channel(link, channel, created);
}

static void create(struct vd_rpmsg *link, const struct vd_rpmsg_channel *announced)
{
	struct vd_rpmsg_channel *place = NULL;

	if (find(link, announced->name, announced->addr) != NULL) {
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_EXISTS, announced->addr, 0, 0);
		return;
	}
	for (uint32_t i = 0; place == NULL && i < link->n_channels; i++)
		if (link->channels[i].name[0] == '\0')
			place = &link->channels[i];
	if (place == NULL) {
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_FULL, announced->addr, link->n_channels, 0);
		return;
	}
	*place = *announced;
	tell(link, place, true);
}

static void destroy(struct vd_rpmsg *link, const struct vd_rpmsg_channel *announced)
{
	struct vd_rpmsg_channel *place = find(link, announced->name, announced->addr);

	if (place == NULL) {
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_UNKNOWN, announced->addr, 0, 0);
		return;
	}
	memset(place, 0, sizeof(*place));
	tell(link, announced, false);
}

enum vd_rpmsg_verdict vd_rpmsg_ns_received(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct vd_rpmsg *link = ept->link;
	const unsigned char *bytes = msg->data;
	struct vd_rpmsg_channel channel;
	uint32_t flags;

	if (msg->len != VD_RPMSG_NS_SIZE) {
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_SIZE, msg->len, 0, 0);
		return VD_RPMSG_RELEASE;
	}
	memcpy(channel.name, bytes + VD_RPMSG_NS_AT_NAME, sizeof(channel.name));
	memcpy(&channel.addr, bytes + VD_RPMSG_NS_AT_ADDR, sizeof(channel.addr));
	memcpy(&flags, bytes + VD_RPMSG_NS_AT_FLAGS, sizeof(flags));
	channel.name[VD_RPMSG_NAME_SIZE - 1] = '\0'; /* the peer may not have */
	channel.addr = vd_swap32(channel.addr, vd_rpmsg_swaps(link));
	flags = vd_swap32(flags, vd_rpmsg_swaps(link));
	if (channel.name[0] == '\0')
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_NAME, msg->src, 0, 0);
	else if (flags == VD_RPMSG_NS_CREATE)
		create(link, &channel);
	else if (flags == VD_RPMSG_NS_DESTROY)
		destroy(link, &channel);
	else
		vd_rpmsg_fault(link, VD_FAULT_RPMSG_NS_FLAGS, flags, 0, 0);
	return VD_RPMSG_RELEASE;
}
