/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end: its connections, one after the other. See viaduct/vhost_user_front.h. */
#include "transport/vhost_user/front.h"

#include "viaduct/errno.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* What an event of the epoll descriptor is about; below: the call of that queue. */
enum {
	EVENT_CHANNEL = 1 << 16,
	EVENT_REQUESTS,
	EVENT_LATER,
};

/* ---- connecting ---- */

static int watch(struct vd_vu_front *front, int fd, uint32_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

	return epoll_ctl(front->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void close_channel(struct vd_vu_channel *channel)
{
	if (channel->sock < 0)
		return;
	vd_vu_channel_done(channel);
	close(channel->sock);
	channel->sock = -1;
}

int vd_vu_front_end(struct vd_vu_front *front, int err)
{
	close_channel(&front->channel);
	close_channel(&front->requests);
	return err;
}

static int ask_features(struct vd_vu_front *front)
{
	uint64_t offered = 0;
	int err = vd_vu_front_ask_u64(front, VD_VU_GET_FEATURES, &front->features);

	if (err != 0 || !(front->features & VD_BIT(VD_VU_FEATURE_PROTOCOL)))
		return err;
	err = vd_vu_front_ask_u64(front, VD_VU_GET_PROTOCOL_FEATURES, &offered);
	if (err != 0)
		return err;
	/* Only from then on: REPLY_ACK is not in force for the request that asks for it. */
	err = vd_vu_front_send_u64(front, VD_VU_SET_PROTOCOL_FEATURES,
				   offered & front->config.protocol_features);
	front->protocol_features = offered & front->config.protocol_features;
	return err;
}

static int ask_queues(struct vd_vu_front *front)
{
	uint64_t n = front->config.n_queues;
	int err = 0;

	if (vd_vu_front_has(front, VD_VU_F_MQ))
		err = vd_vu_front_ask_u64(front, VD_VU_GET_QUEUE_NUM, &n);
	front->n_queues = (uint16_t)(n < front->config.n_queues ? n : front->config.n_queues);
	return err;
}

/* A channel for what the back end requests. */
static int open_requests(struct vd_vu_front *front)
{
	int ends[2];
	int err;

	if (!vd_vu_front_has(front, VD_VU_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return vd_vu_front_end(front, -errno);
	front->requests.sock = ends[0];
	err = vd_vu_front_send(front, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, ends[1]);
	close(ends[1]);
	if (err == 0)
		err = watch(front, front->requests.sock, EVENT_REQUESTS);
	return err;
}

static int share_memory(struct vd_vu_front *front)
{
	const struct vd_shared *memory = front->config.memory;
	struct vd_vu_mem_table table = {
		.count = 1,
		.region = {{.guest_addr = front->config.peer,
			    .size = memory->size,
			    .user_addr = (uintptr_t)memory->base}},
	};

	return vd_vu_front_send(front, VD_VU_SET_MEM_TABLE, &table,
				offsetof(struct vd_vu_mem_table, region[1]), memory->fd);
}

static int introduce(struct vd_vu_front *front)
{
	int err = watch(front, front->channel.sock, EVENT_CHANNEL);

	if (err == 0)
		err = ask_features(front);
	if (err == 0)
		err = vd_vu_front_send(front, VD_VU_SET_OWNER, NULL, 0, -1);
	if (err == 0)
		err = ask_queues(front);
	if (err == 0)
		err = open_requests(front);
	return err == 0 ? share_memory(front) : err;
}

/* ---- going on with a successor ---- */

static bool can_resume(const struct vd_vu_front *front)
{
	const struct vd_vdev *vdev = &front->vdev;

	return vdev->bus != NULL && vdev->driver != NULL && vdev->ready && !vdev->suspended &&
	       front->inflight_fd >= 0 && vd_vu_front_has(front, VD_VU_F_INFLIGHT_SHMFD) &&
	       (front->driver_features & ~front->features) == 0;
}

static int resume_queues(struct vd_vu_front *front)
{
	int err = vd_vu_front_send(front, VD_VU_SET_INFLIGHT_FD, &front->inflight,
				   sizeof(front->inflight), front->inflight_fd);

	for (uint16_t i = 0; err == 0 && i < front->config.n_queues; i++)
		if (front->queues[i].queue != NULL)
			err = vd_vu_front_start_queue(front, &front->queues[i], true);
	return err;
}

/* What the predecessor did not signal, and what it was not told of. */
static void catch_up(struct vd_vu_front *front)
{
	const uint64_t one = 1;

	for (uint16_t i = 0; i < front->config.n_queues; i++) {
		if (front->queues[i].queue == NULL)
			continue;
		vd_doorbell_ring(&front->queues[i].kick);
		front->queues[i].called = true;
	}
	(void)!write(front->later, &one, sizeof(one));
}

/* The driver is not asked: its device comes back in the state in which it was. */
static int resume(struct vd_vu_front *front)
{
	const struct vd_vdev_ops *ops = front->vdev.ops;
	const uint8_t status = front->status;
	int err;

	ops->set_status(&front->vdev, VD_STATUS_ACKNOWLEDGE);
	ops->set_status(&front->vdev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
	err = ops->set_features(&front->vdev, front->driver_features);
	ops->set_status(&front->vdev, status & (uint8_t)~VD_STATUS_DRIVER_OK);
	if (err == 0)
		err = resume_queues(front);
	ops->set_status(&front->vdev, status);
	if (err == 0 && !vd_vu_front_is_connected(front))
		err = -VD_ECONNRESET;
	if (err == 0)
		catch_up(front);
	return err;
}

int vd_vu_front_connect(struct vd_vu_front *front, int sock)
{
	int err;

	if (vd_vu_front_is_connected(front)) {
		close(sock);
		return -VD_EBUSY;
	}
	front->fault = (struct vd_fault){.code = VD_FAULT_NONE};
	front->features = 0;
	front->protocol_features = 0;
	front->config_changed = false;
	front->channel.sock = sock;
	err = introduce(front);
	if (err == 0 && can_resume(front)) {
		err = resume(front);
		if (err == 0)
			return 1;
	}
	return err == 0 ? 0 : vd_vu_front_end(front, err);
}

void vd_vu_front_disconnect(struct vd_vu_front *front)
{
	(void)vd_vu_front_end(front, 0);
}

bool vd_vu_front_is_connected(const struct vd_vu_front *front)
{
	return front->channel.sock >= 0;
}

/* ---- events ---- */

/* Nothing may come unasked: the back end hung up, or broke a rule. */
static int hear_channel(struct vd_vu_front *front)
{
	int got = vd_vu_channel_receive(&front->channel, &front->fault);

	if (got == 0)
		return 0;
	if (got == 1) {
		front->fault = (struct vd_fault){.code = VD_FAULT_VU_ANSWER,
						 .value = {0, front->channel.in.header.request}};
		got = -VD_EPROTO;
	}
	return vd_vu_front_end(front, got);
}

static int note_event(struct vd_vu_front *front, uint64_t what)
{
	uint64_t count;

	switch (what) {
	case EVENT_CHANNEL:
		return vd_vu_front_is_connected(front) ? hear_channel(front) : 0;
	case EVENT_REQUESTS:
		return front->requests.sock >= 0 ? vd_vu_front_take_requests(front) : 0;
	case EVENT_LATER:
		(void)!read(front->later, &count, sizeof(count));
		return 0;
	default:
		front->queues[what].called = true;
		return 0;
	}
}

/* Note all there is, sleeping up to @ms until there is something. */
static int note_events(struct vd_vu_front *front, int ms)
{
	struct epoll_event events[16];
	int n = epoll_wait(front->epoll, events, 16, ms);
	int err = n < 0 && errno != EINTR ? vd_vu_front_end(front, -errno) : 0;

	for (int i = 0; err == 0 && i < n; i++)
		err = note_event(front, events[i].data.u64);
	return err;
}

/* Tell the driver what was noted. A callback may do anything, the removal of the driver included.
 */
static void pass_on(struct vd_vu_front *front)
{
	for (uint16_t i = 0; i < front->config.n_queues; i++) {
		if (!front->queues[i].called)
			continue;
		front->queues[i].called = false;
		if (front->queues[i].queue != NULL)
			vd_vdev_queue_notified(&front->vdev, i);
	}
	if (front->config_changed && front->vdev.bus != NULL) {
		front->config_changed = false;
		vd_vdev_config_changed(&front->vdev);
	}
}

int vd_vu_front_poll(struct vd_vu_front *front)
{
	bool was_connected = vd_vu_front_is_connected(front);
	int err = note_events(front, 0);

	/* Also if it is gone: what it used before is the driver's. */
	pass_on(front);
	if (err == 0 && was_connected && !vd_vu_front_is_connected(front))
		err = -VD_ECONNRESET;
	return err;
}

int vd_vu_front_await(struct vd_vu_front *front, uint16_t index, uint32_t timeout_ms)
{
	const uint64_t one = 1;
	uint64_t deadline = vd_now_ms() + timeout_ms;
	uint64_t now;
	int err = 0;

	while (err == 0 && !front->queues[index].called && (now = vd_now_ms()) < deadline)
		err = vd_vu_front_is_connected(front) ? note_events(front, (int)(deadline - now))
						      : -VD_EPIPE;
	(void)!write(front->later, &one, sizeof(one));
	if (front->queues[index].called)
		return 0;
	return err == 0 ? -VD_ETIMEDOUT : -VD_EPIPE;
}

int vd_vu_front_fd(const struct vd_vu_front *front)
{
	return front->epoll;
}

const struct vd_fault *vd_vu_front_fault(const struct vd_vu_front *front)
{
	return &front->fault;
}

struct vd_vdev *vd_vu_front_vdev(struct vd_vu_front *front)
{
	return &front->vdev;
}

/* ---- life ---- */

static bool config_is_sound(const struct vd_vu_front_config *config)
{
	return config->memory != NULL && config->shared != NULL && config->local != NULL &&
	       config->split != NULL && config->n_queues > 0 &&
	       config->n_queues <= VD_VU_VRING_INDEX_MASK && config->queue_size > 0 &&
	       (config->queue_size & (config->queue_size - 1)) == 0;
}

static int open_descriptors(struct vd_vu_front *front)
{
	front->epoll = epoll_create1(EPOLL_CLOEXEC);
	front->later = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (front->epoll < 0 || front->later < 0)
		return -errno;
	return watch(front, front->later, EVENT_LATER);
}

static int share_window(struct vd_vu_front *front)
{
	const struct vd_window window = {
		.peer = front->config.peer,
		.size = front->config.memory->size,
		.local = front->config.memory->base,
		.rights = VD_MEM_RW,
	};

	vd_mem_init(&front->mem, &front->window, 1, VD_MEM_LIMIT_64);
	return vd_mem_add(&front->mem, &window);
}

static void init_vdev(struct vd_vu_front *front)
{
	const struct vd_vu_front_config *config = &front->config;

	front->vdev = (struct vd_vdev){
		.type = config->type,
		.device_id = config->device_id,
		.ops = &vd_vu_front_ops,
		.transport_features = config->features,
		.mem = &front->mem,
		.shared = config->shared,
		.local = config->local,
		.split = config->split,
		.packed = config->packed,
	};
}

int vd_vu_front_create(struct vd_vu_front **made, const struct vd_vu_front_config *config)
{
	struct vd_vu_front *front;
	int err;

	*made = NULL;
	if (!config_is_sound(config))
		return -VD_EINVAL;
	front = calloc(1, sizeof(*front));
	if (front == NULL)
		return -VD_ENOMEM;
	front->config = *config;
	front->epoll = front->later = front->channel.sock = front->requests.sock = -1;
	front->inflight_fd = -1;
	front->queues = calloc(config->n_queues, sizeof(*front->queues));
	for (uint16_t i = 0; front->queues != NULL && i < config->n_queues; i++)
		front->queues[i].kick.fd = front->queues[i].call.fd = -1;
	err = front->queues != NULL ? open_descriptors(front) : -VD_ENOMEM;
	if (err == 0)
		err = share_window(front);
	if (err != 0) {
		vd_vu_front_destroy(front);
		return err;
	}
	init_vdev(front);
	*made = front;
	return 0;
}

void vd_vu_front_destroy(struct vd_vu_front *front)
{
	if (front == NULL)
		return;
	vd_vu_front_disconnect(front);
	if (front->inflight_fd >= 0)
		close(front->inflight_fd);
	if (front->later >= 0)
		close(front->later);
	if (front->epoll >= 0)
		close(front->epoll);
	free(front->queues);
	free(front);
}
