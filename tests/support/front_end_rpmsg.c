/* SPDX-License-Identifier: BSD-3-Clause */
/* rpmsg behind a front end: see front_end_rpmsg.h. */
#include "front_end_rpmsg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RX = 0,
	TX = 1,
};

struct header {
	uint32_t src;
	uint32_t dst;
	uint32_t reserved;
	uint16_t len;
	uint16_t flags;
};

static int post(struct fe_rpmsg *rpmsg, void *buffer)
{
	return fe_add(rpmsg->fe, RX, NULL, 0, buffer, FE_RPMSG_BUFFER, buffer);
}

int fe_rpmsg_make(struct fe_rpmsg *rpmsg, struct fe *fe, uint16_t size)
{
	int err = fe_queue_make(fe, RX, size);

	*rpmsg = (struct fe_rpmsg){.fe = fe, .size = size};
	if (err == 0)
		err = fe_queue_make(fe, TX, size);
	if (err != 0)
		return err;
	rpmsg->rx = fe_alloc(fe, (size_t)size * FE_RPMSG_BUFFER, 64);
	rpmsg->tx = fe_alloc(fe, (size_t)size * FE_RPMSG_BUFFER, 64);
	rpmsg->free_tx = calloc(size, sizeof(*rpmsg->free_tx));
	if (rpmsg->rx == NULL || rpmsg->tx == NULL || rpmsg->free_tx == NULL)
		return -ENOMEM;
	for (unsigned i = 0; err == 0 && i < size; i++) {
		rpmsg->free_tx[rpmsg->n_free++] = rpmsg->tx + i * FE_RPMSG_BUFFER;
		err = post(rpmsg, rpmsg->rx + i * FE_RPMSG_BUFFER);
	}
	vd_vq_drv_publish(&fe->queues[RX].vq);
	return err;
}

void fe_rpmsg_free(struct fe_rpmsg *rpmsg)
{
	free(rpmsg->free_tx);
	rpmsg->free_tx = NULL;
}

/* Buffers that the remote has read are ours again. */
static int reclaim(struct fe_rpmsg *rpmsg)
{
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(&rpmsg->fe->queues[TX].vq, &used)) == 1)
		rpmsg->free_tx[rpmsg->n_free++] = used.token;
	return got;
}

int fe_rpmsg_send(struct fe_rpmsg *rpmsg, uint32_t src, uint32_t dst, const void *data,
		  uint32_t len)
{
	struct header header = {.src = src, .dst = dst, .len = (uint16_t)len};
	unsigned char *buffer;
	int err = reclaim(rpmsg);

	if (err != 0)
		return err;
	if (len > FE_RPMSG_PAYLOAD)
		return -EMSGSIZE;
	if (rpmsg->n_free == 0)
		return -ENOMEM;
	buffer = rpmsg->free_tx[rpmsg->n_free - 1];
	memcpy(buffer, &header, sizeof(header));
	memcpy(buffer + sizeof(header), data, len);
	err = fe_add(rpmsg->fe, TX, buffer, sizeof(header) + len, NULL, 0, buffer);
	if (err == 0)
		rpmsg->n_free--;
	return err;
}

int fe_rpmsg_receive(struct fe_rpmsg *rpmsg, struct fe_rpmsg_msg *msg)
{
	struct vd_used used;
	struct header header;
	int got = vd_vq_drv_get(&rpmsg->fe->queues[RX].vq, &used);

	if (got != 1)
		return got;
	memcpy(&header, used.token, sizeof(header));
	*msg = (struct fe_rpmsg_msg){.src = header.src, .dst = header.dst, .len = header.len};
	if (used.len >= sizeof(header) && used.len <= FE_RPMSG_BUFFER &&
	    header.len <= used.len - sizeof(header))
		memcpy(msg->data, (unsigned char *)used.token + sizeof(header), header.len);
	else
		got = -EBADMSG;
	return post(rpmsg, used.token) == 0 ? got : -EIO;
}
