/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client-sample: what samples/rpmsg/rpmsg_client_sample.c expects on the other side. The client
 * says hello, waits for a message, says hello again, and after a hundred messages (its parameter
 * `count`) goodbye, to its log only. So every hello is answered.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>

static bool answer(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "hello from viaduct, number %llu",
			   (unsigned long long)service->sent + 1);

	return vt_service_send(service, msg->src, text, (uint32_t)len) != -ENOMEM;
}

static enum vd_rpmsg_verdict sample(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	if (service->n_waiting == 0 && answer(service, msg))
		return VD_RPMSG_RELEASE;
	return vt_service_wait(service, msg);
}

const struct vt_service_kind vt_service_sample = {
	.name = "client-sample",
	.channel = "rpmsg-client-sample",
	.summary = "the peer of the kernel's sample client",
	.message = sample,
	.retry = answer,
};
