/* SPDX-License-Identifier: BSD-3-Clause */
/* sink: takes everything. The statistics say how much that was. */
#include "service.h"

static enum vd_rpmsg_verdict sink(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	(void)service;
	(void)msg;
	return VD_RPMSG_RELEASE;
}

const struct vt_service_kind vt_service_sink = {
	.name = "sink",
	.channel = "rpmsg-raw",
	.summary = "takes everything",
	.message = sink,
};
