/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages on their way out, in all the forms Linux has and composed in place. See viaduct/rpmsg.h.
 */
#include "rpmsg/role.h"
#include "rpmsg/wire.h"
#include "viaduct/errno.h"

#include <string.h>

/* Linux waits that long, too: rpmsg_send_offchannel_raw(). */
#define SEND_TIMEOUT_MS 15000u

/* What the header's length field can say. */
#define PAYLOAD_MAX UINT16_MAX

uint32_t vd_rpmsg_max_payload(const struct vd_rpmsg *link)
{
	uint32_t max = link->tx_size - VD_RPMSG_HEADER_SIZE;

	return max < PAYLOAD_MAX ? max : PAYLOAD_MAX;
}

static struct vd_rpmsg_header make_header(const struct vd_rpmsg *link, uint32_t src, uint32_t dst,
					  uint32_t len)
{
	bool swap = vd_rpmsg_swaps(link);

	return (struct vd_rpmsg_header){
		.src = vd_swap32(src, swap),
		.dst = vd_swap32(dst, swap),
		.len = vd_swap16((uint16_t)len, swap),
	};
}

static void fill(const struct vd_rpmsg_frame *frame, const struct vd_rpmsg_header *header,
		 const void *data, uint32_t len)
{
	struct vd_cursor cursor;

	if (vd_likely(frame->iov[0].len >= sizeof(*header) + (size_t)len)) {
		memcpy(frame->iov[0].base, header, sizeof(*header));
		if (len > 0)
			memcpy((char *)frame->iov[0].base + sizeof(*header), data, len);
		return;
	}
	vd_cursor_init(&cursor, frame->iov, frame->n_iov);
	(void)vd_cursor_push(&cursor, header, sizeof(*header));
	(void)vd_cursor_push(&cursor, data, len);
}

/* May a message of @len bytes go from @src to @dst at all? */
static int check(const struct vd_rpmsg *link, uint32_t src, uint32_t dst, uint32_t len)
{
	if (src == VD_RPMSG_ADDR_ANY || dst == VD_RPMSG_ADDR_ANY)
		return -VD_EINVAL;
	if (!link->up)
		return -VD_EPIPE;
	return len <= vd_rpmsg_max_payload(link) ? 0 : -VD_EMSGSIZE;
}

/* The next empty buffer; if there is none, whoever waits for one is told later. */
static int peek(struct vd_rpmsg *link, struct vd_rpmsg_frame *frame)
{
	int err = link->role->tx_peek(link, frame);

	if (vd_unlikely(err == -VD_ENOMEM) && link->role->tx_arm(link, true))
		err = link->role->tx_peek(link, frame);
	if (vd_unlikely(err == -VD_ENOMEM))
		link->starved = true;
	return err;
}

static void sent(struct vd_rpmsg *link, uint32_t len)
{
	link->stats.tx_messages++;
	link->stats.tx_bytes += len;
	if (link->corked == 0)
		link->role->flush(link);
}

static int try_send(struct vd_rpmsg *link, uint32_t src, uint32_t dst, const void *data,
		    uint32_t len)
{
	struct vd_rpmsg_header header;
	struct vd_rpmsg_frame frame;
	int err = check(link, src, dst, len);

	if (err == 0)
		err = peek(link, &frame);
	if (err != 0)
		return err;
	if (vd_unlikely(sizeof(header) + len > frame.size))
		return -VD_EMSGSIZE;
	header = make_header(link, src, dst, len);
	fill(&frame, &header, data, len);
	link->role->tx_send(link, (uint32_t)sizeof(header) + len);
	sent(link, len);
	return 0;
}

/* Let the peer return a buffer. What we sent and hold back is what it needs for that. */
static int await_buffer(struct vd_rpmsg *link, uint64_t *deadline)
{
	const struct vd_rpmsg_events *events = link->events;
	uint64_t now = events->now(link);

	if (*deadline == 0)
		*deadline = now + SEND_TIMEOUT_MS;
	if (now >= *deadline)
		return -VD_ETIMEDOUT;
	link->stats.tx_waits++;
	link->role->flush(link);
	if (link->up && link->role->tx_arm(link, true))
		return 0;
	return events->wait(link, (uint32_t)(*deadline - now));
}

static int send_waiting(struct vd_rpmsg *link, uint32_t src, uint32_t dst, const void *data,
			uint32_t len)
{
	bool can_wait = link->events != NULL && link->events->wait != NULL &&
			link->events->now != NULL;
	uint64_t deadline = 0;
	int err;

	while ((err = try_send(link, src, dst, data, len)) == -VD_ENOMEM && can_wait) {
		err = await_buffer(link, &deadline);
		if (err != 0)
			break;
	}
	return err;
}

int vd_rpmsg_send(struct vd_rpmsg_ept *ept, const void *data, uint32_t len)
{
	return vd_rpmsg_send_offchannel(ept, ept->addr, ept->dst, data, len);
}

int vd_rpmsg_sendto(struct vd_rpmsg_ept *ept, const void *data, uint32_t len, uint32_t dst)
{
	return vd_rpmsg_send_offchannel(ept, ept->addr, dst, data, len);
}

int vd_rpmsg_send_offchannel(struct vd_rpmsg_ept *ept, uint32_t src, uint32_t dst, const void *data,
			     uint32_t len)
{
	return ept->link != NULL ? send_waiting(ept->link, src, dst, data, len) : -VD_EINVAL;
}

int vd_rpmsg_trysend(struct vd_rpmsg_ept *ept, const void *data, uint32_t len)
{
	return vd_rpmsg_trysend_offchannel(ept, ept->addr, ept->dst, data, len);
}

int vd_rpmsg_trysendto(struct vd_rpmsg_ept *ept, const void *data, uint32_t len, uint32_t dst)
{
	return vd_rpmsg_trysend_offchannel(ept, ept->addr, dst, data, len);
}

int vd_rpmsg_trysend_offchannel(struct vd_rpmsg_ept *ept, uint32_t src, uint32_t dst,
				const void *data, uint32_t len)
{
	return ept->link != NULL ? try_send(ept->link, src, dst, data, len) : -VD_EINVAL;
}

void vd_rpmsg_writable(struct vd_rpmsg *link)
{
	bool starved = link->starved;

	link->starved = false;
	vd_rpmsg_cork(link);
	if (link->n_due > 0)
		vd_rpmsg_ns_send_due(link);
	if (starved && link->events != NULL && link->events->writable != NULL)
		link->events->writable(link);
	vd_rpmsg_uncork(link);
}

/* ---- composing in place ---- */

int vd_rpmsg_tx_begin(struct vd_rpmsg *link, struct vd_rpmsg_tx *tx)
{
	struct vd_rpmsg_frame frame;
	int err = link->up ? peek(link, &frame) : -VD_EPIPE;

	if (err != 0)
		return err;
	if (frame.n_iov != 1 || frame.size < VD_RPMSG_HEADER_SIZE)
		return -VD_EOPNOTSUPP;
	err = link->role->tx_take(link, &tx->buffer);
	if (err == -VD_ENOMEM)
		link->starved = true;
	if (err != 0)
		return err;
	tx->link = link;
	tx->epoch = link->epoch;
	tx->data = (char *)frame.iov[0].base + VD_RPMSG_HEADER_SIZE;
	tx->capacity = (uint32_t)(frame.size - VD_RPMSG_HEADER_SIZE);
	if (tx->capacity > PAYLOAD_MAX)
		tx->capacity = PAYLOAD_MAX;
	return 0;
}

static bool is_stale(const struct vd_rpmsg_tx *tx)
{
	return !tx->link->up || tx->epoch != tx->link->epoch;
}

/* It is done with: a second time it is stale. */
static void finish(struct vd_rpmsg_tx *tx)
{
	tx->epoch--;
}

int vd_rpmsg_tx_commit(struct vd_rpmsg_tx *tx, uint32_t src, uint32_t dst, uint32_t len)
{
	struct vd_rpmsg *link = tx->link;
	struct vd_rpmsg_header header;
	struct vd_rpmsg_frame frame;

	if (is_stale(tx))
		return -VD_ESTALE;
	if (src == VD_RPMSG_ADDR_ANY || dst == VD_RPMSG_ADDR_ANY)
		return -VD_EINVAL;
	if (len > tx->capacity)
		return -VD_EMSGSIZE;
	header = make_header(link, src, dst, len);
	link->role->taken_frame(link, tx->buffer, &frame);
	memcpy(frame.iov[0].base, &header, sizeof(header));
	link->role->taken_send(link, tx->buffer, (uint32_t)sizeof(header) + len);
	finish(tx);
	sent(link, len);
	vd_rpmsg_given_back(link);
	return 0;
}

void vd_rpmsg_tx_abort(struct vd_rpmsg_tx *tx)
{
	if (is_stale(tx))
		return;
	tx->link->role->taken_return(tx->link, tx->buffer);
	finish(tx);
	vd_rpmsg_given_back(tx->link);
}
