/* SPDX-License-Identifier: BSD-3-Clause */
/* A link: its life, and messages on their way in. See viaduct/rpmsg.h. */
#include "rpmsg/role.h"
#include "rpmsg/wire.h"
#include "viaduct/errno.h"

#include <string.h>

/* ---- life ---- */

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t power = 1;

	while (power < at_least && power < UINT32_C(1) << 31)
		power *= 2;
	return power;
}

void vd_rpmsg_carve(struct vd_rpmsg *link, const struct vd_rpmsg_config *config,
		    struct vd_carve *carve)
{
	link->n_buckets = power_of_two(config->n_endpoints);
	link->buckets = vd_carve(carve, link->n_buckets, sizeof(*link->buckets));
	link->n_channels = config->n_channels;
	link->channels = vd_carve(carve, link->n_channels, sizeof(*link->channels));
	link->copy_size = config->max_payload != 0 ? config->max_payload
						   : VD_RPMSG_BUFFER_SIZE - VD_RPMSG_HEADER_SIZE;
	link->copy = vd_carve(carve, link->copy_size, 1);
}

void vd_rpmsg_init(struct vd_rpmsg *link, const struct vd_rpmsg_config *config,
		   const struct vd_rpmsg_role *role)
{
	link->role = role;
	link->events = config->events;
	link->next_addr = VD_RPMSG_FIRST_DYNAMIC;
	link->tx_size = VD_RPMSG_BUFFER_SIZE;
}

void vd_rpmsg_link_up(struct vd_rpmsg *link, bool ns, bool big_endian)
{
	link->up = true;
	link->ns = ns;
	link->big_endian = big_endian;
	link->starved = false;
	link->epoch++;
	if (ns)
		(void)vd_rpmsg_create_ept(link, &link->ns_ept, NULL, VD_RPMSG_NS_ADDR,
					  VD_RPMSG_ADDR_ANY, vd_rpmsg_ns_received, 0);
	vd_rpmsg_cork(link);
	vd_rpmsg_ns_restart(link);
	if (link->events != NULL && link->events->link_changed != NULL)
		link->events->link_changed(link, true);
	vd_rpmsg_uncork(link);
}

void vd_rpmsg_link_down(struct vd_rpmsg *link)
{
	if (!link->up && !link->paused)
		return;
	link->up = false;
	link->paused = false;
	link->epoch++;
	(void)vd_rpmsg_destroy_ept(&link->ns_ept);
	vd_rpmsg_ns_stop(link);
	if (link->events != NULL && link->events->link_changed != NULL)
		link->events->link_changed(link, false);
}

void vd_rpmsg_link_pause(struct vd_rpmsg *link)
{
	if (link->up && link->events != NULL && link->events->pausing != NULL)
		link->events->pausing(link);
	link->paused = link->up;
	link->up = false;
	link->epoch++;
}

void vd_rpmsg_link_resume(struct vd_rpmsg *link)
{
	link->up = link->paused;
	link->paused = false;
	if (link->up)
		vd_rpmsg_look_for_buffers(link);
}

void vd_rpmsg_fault(struct vd_rpmsg *link, enum vd_fault_code code, uint64_t a, uint64_t b,
		    uint64_t c)
{
	struct vd_fault fault = {.code = code, .value = {a, b, c}};

	if (link->events != NULL && link->events->fault != NULL)
		link->events->fault(link, &fault);
}

/* ---- receiving ---- */

static void fetch_header(const struct vd_rpmsg *link, const struct vd_iov *iov, unsigned n,
			 struct vd_rpmsg_header *header)
{
	bool swap = vd_rpmsg_swaps(link);
	struct vd_cursor cursor;

	if (vd_likely(iov[0].len >= sizeof(*header))) {
		vd_shm_read(header, iov[0].base, sizeof(*header));
	} else {
		vd_cursor_init(&cursor, iov, n);
		(void)vd_cursor_pull(&cursor, header, sizeof(*header));
	}
	header->src = vd_swap32(header->src, swap);
	header->dst = vd_swap32(header->dst, swap);
	header->len = vd_swap16(header->len, swap);
}

/* Drop a message, and say why. */
static enum vd_rpmsg_verdict drop(struct vd_rpmsg *link, enum vd_fault_code code, uint64_t a,
				  uint64_t b)
{
	link->stats.rx_dropped++;
	vd_rpmsg_fault(link, code, a, b, 0);
	return VD_RPMSG_RELEASE;
}

/* The payload in private memory. */
static const void *copy_payload(struct vd_rpmsg *link, const struct vd_iov *iov, unsigned n,
				uint32_t len)
{
	struct vd_cursor cursor;

	if (vd_likely(iov[0].len >= VD_RPMSG_HEADER_SIZE + (size_t)len)) {
		vd_shm_read(link->copy, (const char *)iov[0].base + VD_RPMSG_HEADER_SIZE, len);
		return link->copy;
	}
	vd_cursor_init(&cursor, iov, n);
	(void)vd_cursor_skip(&cursor, VD_RPMSG_HEADER_SIZE);
	(void)vd_cursor_pull(&cursor, link->copy, len);
	return link->copy;
}

enum vd_rpmsg_verdict vd_rpmsg_deliver(struct vd_rpmsg *link, const struct vd_iov *iov, unsigned n,
				       uint64_t size, uint32_t buffer)
{
	struct vd_rpmsg_header header;
	struct vd_rpmsg_msg msg = {.link = link, .buffer = buffer, .epoch = link->epoch};
	struct vd_rpmsg_ept *ept;

	if (vd_unlikely(size < sizeof(header)))
		return drop(link, VD_FAULT_RPMSG_RUNT, size, 0);
	fetch_header(link, iov, n, &header);
	if (vd_unlikely(header.len > size - sizeof(header)))
		return drop(link, VD_FAULT_RPMSG_LENGTH, header.len, size - sizeof(header));
	ept = vd_rpmsg_find_ept(link, header.dst);
	if (vd_unlikely(ept == NULL))
		return drop(link, VD_FAULT_RPMSG_NO_ENDPOINT, header.src, header.dst);
	msg.in_place = (ept->flags & VD_RPMSG_IN_PLACE) &&
		       iov[0].len >= sizeof(header) + header.len;
	if (vd_unlikely(!msg.in_place && header.len > link->copy_size))
		return drop(link, VD_FAULT_RPMSG_LENGTH, header.len, link->copy_size);
	msg.src = header.src;
	msg.dst = header.dst;
	msg.len = header.len;
	msg.data = msg.in_place ? (const char *)iov[0].base + sizeof(header)
				: copy_payload(link, iov, n, header.len);
	link->stats.rx_messages++;
	link->stats.rx_bytes += header.len;
	/* The endpoint may be gone when its callback returns. */
	if (ept->callback(ept, &msg) == VD_RPMSG_HOLD && msg.in_place)
		return VD_RPMSG_HOLD;
	return VD_RPMSG_RELEASE;
}

static bool wants_buffer(const struct vd_rpmsg *link)
{
	return (link->starved || link->n_due > 0) && link->up;
}

/* Does somebody wait for an empty buffer, and is there one? */
static bool is_writable(struct vd_rpmsg *link)
{
	struct vd_rpmsg_frame frame;

	return wants_buffer(link) && link->role->tx_peek(link, &frame) == 0;
}

void vd_rpmsg_look_for_buffers(struct vd_rpmsg *link)
{
	if (is_writable(link) || (wants_buffer(link) && link->role->tx_arm(link, true)))
		vd_rpmsg_writable(link);
}

void vd_rpmsg_given_back(struct vd_rpmsg *link)
{
	/* A poll does it at its end. */
	if (vd_unlikely(!link->polling && wants_buffer(link)))
		vd_rpmsg_look_for_buffers(link);
}

int vd_rpmsg_poll(struct vd_rpmsg *link, unsigned budget)
{
	int n;

	if (!link->up)
		return -VD_EPIPE;
	if (link->polling)
		return -VD_EBUSY;
	link->polling = true;
	vd_rpmsg_cork(link);
	n = link->role->poll(link, budget);
	if (vd_unlikely(wants_buffer(link)))
		vd_rpmsg_look_for_buffers(link);
	vd_rpmsg_uncork(link);
	link->polling = false;
	return n;
}

int vd_rpmsg_release(const struct vd_rpmsg_msg *msg)
{
	struct vd_rpmsg *link = msg->link;
	int err;

	if (!link->up || msg->epoch != link->epoch)
		return -VD_ESTALE;
	err = link->role->release(link, msg->buffer);
	if (err >= 0 && link->corked == 0)
		link->role->flush(link);
	return err;
}

/* ---- publishing ---- */

void vd_rpmsg_cork(struct vd_rpmsg *link)
{
	link->corked++;
}

void vd_rpmsg_uncork(struct vd_rpmsg *link)
{
	if (--link->corked == 0 && link->up)
		link->role->flush(link);
}
