/* SPDX-License-Identifier: BSD-3-Clause */
/* The rpmsg device type: what is fixed about it. */
#include "viaduct/rpmsg.h"

static const struct vd_feature_row features[] = {
	{VD_RPMSG_F_NS, VD_F_NONE, "NS"},
	{VD_RPMSG_F_BUFSZ, VD_F_NONE, "BUFSZ"},
};

/* As NuttX and OpenAMP lay it out downstream: struct rpmsg_virtio_config. */
static const struct vd_config_field fields[] = {
	{.offset = 0, .width = 4, .count = 1, .feature = VD_RPMSG_F_BUFSZ, .name = "h2r_buf_size"},
	{.offset = 4, .width = 4, .count = 1, .feature = VD_RPMSG_F_BUFSZ, .name = "r2h_buf_size"},
};

const struct vd_device_type vd_rpmsg_type = {
	.id = VD_ID_RPMSG,
	.name = "rpmsg",
	.features = features,
	.n_features = sizeof(features) / sizeof(features[0]),
	.fields = fields,
	.n_fields = sizeof(fields) / sizeof(fields[0]),
	.config_size = 8,
};
