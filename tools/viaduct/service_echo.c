/* SPDX-License-Identifier: BSD-3-Clause */
/* echo: returns each message to its sender. */
#include "service.h"

#include <errno.h>

static bool return_to_sender(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	/* Whatever else is wrong with it, waiting would not help. */
	return vt_service_send(service, msg->src, msg->data, msg->len) != -ENOMEM;
}

static enum vd_rpmsg_verdict echo(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	if (service->n_waiting == 0 && return_to_sender(service, msg))
		return VD_RPMSG_RELEASE;
	return vt_service_wait(service, msg);
}

const struct vt_service_kind vt_service_echo = {
	.name = "echo",
	.channel = "rpmsg-raw",
	.summary = "returns each message to its sender",
	.message = echo,
	.retry = return_to_sender,
};
