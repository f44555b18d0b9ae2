/* SPDX-License-Identifier: BSD-3-Clause */
/* A front end's requests and their answers, and what the back end requests. See front.h. */
#include "transport/vhost_user/front.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 5000u

static int broken(struct vd_vu_front *front, enum vd_fault_code code, uint64_t a, uint64_t b)
{
	front->fault = (struct vd_fault){.code = code, .value = {a, b}};
	return vd_vu_front_end(front, -VD_EPROTO);
}

/* ---- waiting for answers ---- */

static uint64_t deadline_of(const struct vd_vu_front *front)
{
	return vd_now_ms() +
	       (front->config.timeout_ms != 0 ? front->config.timeout_ms : TIMEOUT_MS);
}

/* Sleep until the back end says something. Meanwhile it may have requests of its own, and wait for
 * our answer before it gives us its. */
static int sleep_until(struct vd_vu_front *front, uint64_t deadline)
{
	struct pollfd fds[2] = {
		{.fd = front->channel.sock, .events = POLLIN},
		{.fd = front->requests.sock, .events = POLLIN},
	};
	uint64_t now = vd_now_ms();

	if (now >= deadline)
		return vd_vu_front_end(front, -VD_ETIMEDOUT);
	if (poll(fds, 2, (int)(deadline - now)) < 0 && errno != EINTR)
		return vd_vu_front_end(front, -errno);
	return fds[1].revents != 0 ? vd_vu_front_take_requests(front) : 0;
}

/* Wait for the next message, which must be the answer to @request. */
static int await_answer(struct vd_vu_front *front, uint32_t request)
{
	const struct vd_vu_header *header = &front->channel.in.header;
	uint64_t deadline = deadline_of(front);
	int got;

	while ((got = vd_vu_channel_receive(&front->channel, &front->fault)) == 0) {
		int err = sleep_until(front, deadline);

		if (err != 0)
			return err;
	}
	if (got < 0)
		return vd_vu_front_end(front, got);
	if (header->request != request || !(header->flags & VD_VU_REPLY))
		return broken(front, VD_FAULT_VU_ANSWER, request, header->request);
	return 0;
}

static int await_ack(struct vd_vu_front *front, uint32_t request)
{
	uint64_t ack;
	int err = await_answer(front, request);

	if (err != 0)
		return err;
	if (front->channel.in.header.size != sizeof(ack))
		return broken(front, VD_FAULT_VU_SIZE, request, front->channel.in.header.size);
	memcpy(&ack, front->channel.in.payload, sizeof(ack));
	vd_vu_channel_done(&front->channel);
	return ack == 0 ? 0 : broken(front, VD_FAULT_VU_REFUSED, request, ack);
}

/* ---- sending ---- */

static int send_with(struct vd_vu_front *front, uint32_t request, uint32_t flags,
		     const void *payload, uint32_t size, int fd)
{
	struct vd_vu_header header = {
		.request = request, .flags = VD_VU_VERSION | flags, .size = size};
	int err;

	if (front->channel.sock < 0)
		return -VD_ENODEV;
	err = vd_vu_send(front->channel.sock, &header, payload, fd);
	return err == 0 ? 0 : vd_vu_front_end(front, err == -EPIPE ? -VD_ECONNRESET : err);
}

int vd_vu_front_send(struct vd_vu_front *front, uint32_t request, const void *payload,
		     uint32_t size, int fd)
{
	bool acks = vd_vu_front_has(front, VD_VU_F_REPLY_ACK);
	int err = send_with(front, request, acks ? VD_VU_NEED_REPLY : 0, payload, size, fd);

	return err == 0 && acks ? await_ack(front, request) : err;
}

int vd_vu_front_send_u64(struct vd_vu_front *front, uint32_t request, uint64_t value)
{
	return vd_vu_front_send(front, request, &value, sizeof(value), -1);
}

int vd_vu_front_send_state(struct vd_vu_front *front, uint32_t request, uint32_t index,
			   uint32_t num)
{
	struct vd_vu_state state = {.index = index, .num = num};

	return vd_vu_front_send(front, request, &state, sizeof(state), -1);
}

static int take_answer(struct vd_vu_front *front, uint32_t request, void *answer, uint32_t size,
		       int *fd)
{
	struct vd_vu_message *in = &front->channel.in;

	if (in->header.size != size)
		return broken(front, VD_FAULT_VU_SIZE, request, in->header.size);
	if (in->n_fds != (fd != NULL ? 1u : 0u))
		return broken(front, VD_FAULT_VU_FDS, request, in->n_fds);
	memcpy(answer, in->payload, size);
	if (fd != NULL) {
		*fd = in->fds[0];
		in->fds[0] = -1;
	}
	vd_vu_channel_done(&front->channel);
	return 0;
}

int vd_vu_front_ask(struct vd_vu_front *front, uint32_t request, const void *payload, uint32_t size,
		    void *answer, uint32_t answer_size, int *fd)
{
	int err = send_with(front, request, 0, payload, size, -1);

	if (err == 0)
		err = await_answer(front, request);
	return err == 0 ? take_answer(front, request, answer, answer_size, fd) : err;
}

int vd_vu_front_ask_u64(struct vd_vu_front *front, uint32_t request, uint64_t *value)
{
	return vd_vu_front_ask(front, request, NULL, 0, value, sizeof(*value), NULL);
}

/* ---- what the back end requests ---- */

static int note_call(struct vd_vu_front *front, const struct vd_vu_message *in)
{
	struct vd_vu_state state;

	if (in->header.size != sizeof(state))
		return broken(front, VD_FAULT_VU_SIZE, in->header.request, in->header.size);
	memcpy(&state, in->payload, sizeof(state));
	if (state.index >= front->config.n_queues)
		return broken(front, VD_FAULT_VU_VALUE, in->header.request, state.index);
	front->queues[state.index].called = true;
	return 0;
}

static int note_request(struct vd_vu_front *front)
{
	const struct vd_vu_message *in = &front->requests.in;

	switch (in->header.request) {
	case VD_VU_BACKEND_CONFIG_CHANGE:
		front->config_changed = true;
		return 0;
	/* That a queue broke shows in its used buffers, or in the status. */
	case VD_VU_BACKEND_VRING_CALL:
	case VD_VU_BACKEND_VRING_ERR:
		return note_call(front, in);
	default:
		return broken(front, VD_FAULT_VU_REQUEST, in->header.request, 0);
	}
}

static int acknowledge(struct vd_vu_front *front)
{
	const struct vd_vu_header *in = &front->requests.in.header;
	struct vd_vu_header header = {
		.request = in->request, .flags = VD_VU_VERSION | VD_VU_REPLY, .size = 8};
	const uint64_t done = 0;
	int err;

	if (!(in->flags & VD_VU_NEED_REPLY))
		return 0;
	err = vd_vu_send(front->requests.sock, &header, &done, -1);
	return err == 0 ? 0 : vd_vu_front_end(front, err);
}

int vd_vu_front_take_requests(struct vd_vu_front *front)
{
	const uint64_t one = 1;
	int got;

	while ((got = vd_vu_channel_receive(&front->requests, &front->fault)) == 1) {
		int err = note_request(front);

		if (err == 0)
			err = acknowledge(front);
		if (err != 0)
			return err;
		vd_vu_channel_done(&front->requests);
		(void)!write(front->later, &one, sizeof(one));
	}
	return got < 0 ? vd_vu_front_end(front, got) : 0;
}
