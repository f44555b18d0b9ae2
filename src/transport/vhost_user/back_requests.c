/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the back end asks of the front end, over the channel that SET_BACKEND_REQ_FD brought. A
 * request that finds the channel full waits for room, and speaks for all of its kind that come
 * meanwhile.
 */
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"

#include <unistd.h>

static void send_or_wait(struct vd_vu_backend *backend, uint32_t request, const void *payload,
			 uint32_t size, bool *due)
{
	struct vd_vu_header header = {.request = request, .flags = VD_VU_VERSION, .size = size};

	if (backend->backend_req < 0)
		return;
	*due = backend->backend_req_full ||
	       vd_vu_send(backend->backend_req, &header, payload, -1) == -VD_EAGAIN;
	if (*due && !backend->backend_req_full)
		vd_vu_watch_backend_req(backend, true);
	backend->backend_req_full |= *due;
}

static void send_about(struct vd_vu_backend *backend, uint32_t request, uint16_t index, bool *due)
{
	struct vd_vu_state state = {.index = index};

	send_or_wait(backend, request, &state, sizeof(state), due);
}

void vd_vu_send_config_change(struct vd_vu_backend *backend)
{
	if (vd_vu_has(backend, VD_VU_F_CONFIG))
		send_or_wait(backend, VD_VU_BACKEND_CONFIG_CHANGE, NULL, 0,
			     &backend->config_change_due);
}

void vd_vu_send_vring_call(struct vd_vu_backend *backend, uint16_t index)
{
	send_about(backend, VD_VU_BACKEND_VRING_CALL, index, &backend->vrings[index].call_due);
}

void vd_vu_send_vring_err(struct vd_vu_backend *backend, uint16_t index)
{
	send_about(backend, VD_VU_BACKEND_VRING_ERR, index, &backend->vrings[index].err_due);
}

void vd_vu_send_what_is_due(struct vd_vu_backend *backend)
{
	if (backend->backend_req_full)
		vd_vu_watch_backend_req(backend, false);
	backend->backend_req_full = false;
	if (backend->config_change_due)
		vd_vu_send_config_change(backend);
	for (uint16_t i = 0; i < backend->dev->n_queues; i++) {
		if (backend->vrings[i].err_due)
			vd_vu_send_vring_err(backend, i);
		if (backend->vrings[i].call_due)
			vd_vu_send_vring_call(backend, i);
	}
}

void vd_vu_set_backend_req(struct vd_vu_backend *backend, int fd)
{
	if (backend->backend_req_full)
		vd_vu_watch_backend_req(backend, false);
	backend->backend_req_full = false;
	if (backend->backend_req >= 0)
		close(backend->backend_req);
	backend->backend_req = fd;
	vd_vu_send_what_is_due(backend);
}
