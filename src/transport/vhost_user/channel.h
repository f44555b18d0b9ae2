/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole messages over a Unix socket that gives them in pieces, with file descriptors beside them.
 */
#ifndef VD_VHOST_USER_CHANNEL_H
#define VD_VHOST_USER_CHANNEL_H

#include "transport/vhost_user/wire.h"
#include "viaduct/fault.h"

#include <stddef.h>

struct vd_vu_message {
	struct vd_vu_header header;
	int fds[VD_VU_FDS_MAX]; /* whoever takes one puts -1 in its place */
	unsigned n_fds;
	_Alignas(8) unsigned char payload[VD_VU_PAYLOAD_MAX];
};

struct vd_vu_channel {
	int sock; /* -1: not connected */
	size_t got;
	struct vd_vu_message in;
};

/*
 * Receive what is there. 1: channel->in is a whole message, which vd_vu_channel_done() ends. 0: not
 * yet. -VD_ECONNRESET: the other side closed the connection between messages. -VD_EPROTO: @fault
 * says what was wrong. Other errnos: the connection failed.
 */
int vd_vu_channel_receive(struct vd_vu_channel *channel, struct vd_fault *fault);

/* The message is dealt with: close what is left of its descriptors, and begin the next one. */
void vd_vu_channel_done(struct vd_vu_channel *channel);

/* Send a message at once, with @fd (-1: none) beside it. Negative errno; a socket whose buffer is
 * full counts as failed: a few hundred replies that nobody reads are no conversation. */
int vd_vu_send(int sock, const struct vd_vu_header *header, const void *payload, int fd);

#endif /* VD_VHOST_USER_CHANNEL_H */
