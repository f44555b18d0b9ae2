/* SPDX-License-Identifier: BSD-3-Clause */
/* What the back end asks of the front end, over the channel that SET_BACKEND_REQ_FD brought. */
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"

static int send_request(struct vd_vu_backend *backend, uint32_t request, const void *payload,
			uint32_t size)
{
	struct vd_vu_header header = {.request = request, .flags = VD_VU_VERSION, .size = size};

	return vd_vu_send(backend->backend_req, &header, payload, -1);
}

void vd_vu_send_config_change(struct vd_vu_backend *backend)
{
	int err;

	if (backend->backend_req < 0 || !vd_vu_has(backend, VD_VU_F_CONFIG))
		return;
	err = send_request(backend, VD_VU_BACKEND_CONFIG_CHANGE, NULL, 0);
	/* One that waits for room speaks for all that come meanwhile. */
	backend->config_change_due = err == -VD_EAGAIN;
	vd_vu_watch_backend_req(backend, backend->config_change_due);
}

void vd_vu_send_vring_request(struct vd_vu_backend *backend, uint32_t request, uint16_t index)
{
	struct vd_vu_state state = {.index = index};

	if (backend->backend_req >= 0)
		(void)send_request(backend, request, &state, sizeof(state));
}
