/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user back end: connection and events. See viaduct/vhost_user.h. */
#include "transport/vhost_user/backend.h"

#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* Messages handled in one poll, so that a front end that never stops talking starves no queue. */
#define MESSAGES_AT_ONCE 64

#define EVENTS_AT_ONCE 32

/* How long to wait between two looks at a queue whose driver does not notify. */
#define POLL_MS 1

/* What an event is about: one of these, or the number of a queue. */
enum tag {
	TAG_SOCKET = VD_VU_QUEUES_MAX,
	TAG_AGAIN,
	TAG_BACKEND_REQ,
	TAG_END,
};

/* Feature bits 24-49 that make sense between two processes. A notification is an eventfd, which
 * carries no data. */
#define CARRIED ((VD_DEVICE_RING_FEATURES & ~VD_BIT(VD_F_NOTIFICATION_DATA)) | VD_BIT(VD_F_SUSPEND))

int vd_vu_fail(struct vd_vu_backend *backend, enum vd_fault_code code, uint64_t a, uint64_t b,
	       uint64_t c)
{
	backend->fault = (struct vd_fault){.code = code, .value = {a, b, c}};
	return -VD_EPROTO;
}

/* ---- for the device ---- */

static void device_notify(struct vd_device *dev, uint16_t index)
{
	vd_vu_vring_call(dev->transport_data, index);
}

static void device_config_changed(struct vd_device *dev)
{
	struct vd_vu_backend *backend = dev->transport_data;

	/* A broken queue shows as NEEDS_RESET, and to vhost-user also as an error of the vring. */
	if (dev->status & VD_STATUS_NEEDS_RESET)
		for (uint16_t i = 0; i < dev->n_queues; i++)
			if (dev->queues[i].live && vd_vq_dev_is_broken(&dev->queues[i].vq))
				vd_vu_vring_error(backend, i);
	vd_vu_send_config_change(backend);
}

static const struct vd_device_transport_ops device_ops = {
	.notify = device_notify,
	.config_changed = device_config_changed,
};

/* ---- events ---- */

static int watch(struct vd_vu_backend *backend, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(backend->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* To be done before any close(): whoever has the same open file would keep it in our set. */
static void unwatch(struct vd_vu_backend *backend, int fd)
{
	(void)epoll_ctl(backend->epoll, EPOLL_CTL_DEL, fd, NULL);
}

int vd_vu_watch_kick(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_doorbell *kick = &backend->vrings[index].kick;
	int err;

	if (!vd_doorbell_exists(kick))
		return 0;
	err = watch(backend, kick->fd,
		    kick->kind == VD_DOORBELL_EVENTFD ? EPOLLIN | EPOLLET : EPOLLIN, index);
	return err == 0 ? 0 : vd_vu_fail(backend, VD_FAULT_VU_IO, (uint64_t)-err, 0, 0);
}

void vd_vu_unwatch_kick(struct vd_vu_backend *backend, uint16_t index)
{
	if (vd_doorbell_exists(&backend->vrings[index].kick))
		unwatch(backend, backend->vrings[index].kick.fd);
}

void vd_vu_watch_backend_req(struct vd_vu_backend *backend, bool on)
{
	if (on)
		(void)watch(backend, backend->backend_req, EPOLLOUT, TAG_BACKEND_REQ);
	else
		unwatch(backend, backend->backend_req);
}

static void mark(struct vd_vu_backend *backend, uint16_t index)
{
	backend->kicked[index / 64] |= UINT64_C(1) << (index % 64);
}

static bool unmark(struct vd_vu_backend *backend, uint16_t index)
{
	uint64_t bit = UINT64_C(1) << (index % 64);
	bool was = backend->kicked[index / 64] & bit;

	backend->kicked[index / 64] &= ~bit;
	return was;
}

/* Make the descriptor that the application waits on readable. */
static void come_again(struct vd_vu_backend *backend)
{
	const uint64_t one = 1;
	ssize_t n = write(backend->again, &one, sizeof(one));

	(void)n;
}

/* And not readable any more. */
static void rest(struct vd_vu_backend *backend)
{
	uint64_t count;
	ssize_t n = read(backend->again, &count, sizeof(count));

	(void)n;
}

void vd_vu_kick_later(struct vd_vu_backend *backend, uint16_t index)
{
	mark(backend, index);
	come_again(backend);
}

/* A kick doorbell rang. One whose other end is closed rings for ever: stop listening. */
static void doorbell_rang(struct vd_vu_backend *backend, uint16_t index)
{
	if (!vd_doorbell_drain(&backend->vrings[index].kick))
		vd_vu_unwatch_kick(backend, index);
	mark(backend, index);
}

static void note(struct vd_vu_backend *backend, const struct epoll_event *event)
{
	switch (event->data.u32) {
	case TAG_SOCKET:
		backend->sock_ready = true;
		break;
	case TAG_AGAIN:
		rest(backend);
		break;
	case TAG_BACKEND_REQ:
		vd_vu_send_what_is_due(backend);
		break;
	default:
		doorbell_rang(backend, (uint16_t)event->data.u32);
		break;
	}
}

/* Find out what happened, waiting up to @timeout_ms. How many events there were. */
static int collect(struct vd_vu_backend *backend, int timeout_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(backend->epoll, events, EVENTS_AT_ONCE, timeout_ms);

	for (int i = 0; i < n; i++)
		note(backend, &events[i]);
	return n;
}

/* Find out all there is. Each descriptor has one event: more would be the same ones again. */
static void collect_all(struct vd_vu_backend *backend)
{
	unsigned most = backend->dev->n_queues + (TAG_END - TAG_SOCKET);

	for (unsigned seen = 0; seen < most; seen += EVENTS_AT_ONCE)
		if (collect(backend, 0) < EVENTS_AT_ONCE)
			break;
}

/* ---- the connection ---- */

static void end(struct vd_vu_backend *backend)
{
	vd_device_detach(backend->dev);
	for (uint16_t i = 0; i < backend->dev->n_queues; i++)
		vd_vu_vring_reset(backend, i);
	backend->config_change_due = false;
	vd_vu_set_backend_req(backend, -1);
	vd_vu_channel_done(&backend->channel);
	unwatch(backend, backend->channel.sock);
	close(backend->channel.sock);
	backend->channel.sock = -1;
	vd_vu_memory_clear(&backend->memory);
	vd_vu_inflight_area_close(&backend->inflight);
	backend->features = 0;
	backend->protocol_features = 0;
	backend->relays_status = false;
	backend->sock_ready = false;
	memset(backend->kicked, 0, sizeof(backend->kicked));
	rest(backend);
}

bool vd_vu_backend_is_connected(const struct vd_vu_backend *backend)
{
	return backend->channel.sock >= 0;
}

int vd_vu_backend_connect(struct vd_vu_backend *backend, int sock)
{
	int err = -VD_EBUSY;

	if (!vd_vu_backend_is_connected(backend))
		err = watch(backend, sock, EPOLLIN, TAG_SOCKET);
	if (err != 0) {
		close(sock);
		return err;
	}
	backend->channel.sock = sock;
	backend->channel.got = 0;
	backend->fault = (struct vd_fault){0};
	vd_device_attach(backend->dev, &device_ops, backend, &backend->memory.guest, CARRIED);
	return 0;
}

void vd_vu_backend_disconnect(struct vd_vu_backend *backend)
{
	if (vd_vu_backend_is_connected(backend))
		end(backend);
}

/* ---- work ---- */

static int handle_messages(struct vd_vu_backend *backend)
{
	for (unsigned n = 0; n < MESSAGES_AT_ONCE; n++) {
		int got = vd_vu_channel_receive(&backend->channel, &backend->fault);

		if (got == 0)
			backend->sock_ready = false;
		if (got <= 0)
			return got;
		got = vd_vu_handle(backend);
		vd_vu_channel_done(&backend->channel);
		if (got != 0)
			return got;
	}
	come_again(backend);
	return 0;
}

static void handle_kicks(struct vd_vu_backend *backend)
{
	for (uint16_t i = 0; i < backend->dev->n_queues; i++) {
		bool polled = backend->vrings[i].active && backend->vrings[i].polled;

		if (polled)
			come_again(backend);
		if (unmark(backend, i) || (polled && vd_vq_dev_ready(&backend->dev->queues[i].vq)))
			vd_vu_vring_kicked(backend, i);
	}
}

static int check_memory(struct vd_vu_backend *backend)
{
	if (vd_vu_memory_is_gone(&backend->memory, &backend->fault))
		return -VD_EPROTO;
	if (backend->inflight.base != NULL && backend->inflight.gone)
		return vd_vu_fail(backend, VD_FAULT_VU_REGION_SHRUNK, 0, 0, 0);
	return 0;
}

int vd_vu_backend_poll(struct vd_vu_backend *backend)
{
	int err = 0;

	if (!vd_vu_backend_is_connected(backend))
		return -VD_ECONNRESET;
	collect_all(backend);
	if (backend->sock_ready)
		err = handle_messages(backend);
	/* What the driver notified us of before it went was meant to be done: a last announcement,
	 * a flush. */
	if (err == 0 || err == -VD_ECONNRESET)
		handle_kicks(backend);
	/* Memory that is gone explains whatever else did not make sense. */
	if (check_memory(backend) != 0)
		err = -VD_EPROTO;
	if (err != 0)
		end(backend);
	return err;
}

/* Whoever is polled instead of notifying has notified when there is something. */
static bool has_come(struct vd_vu_backend *backend, uint16_t index)
{
	const struct vd_vu_vring *vring = &backend->vrings[index];

	return unmark(backend, index) ||
	       (vring->active && vring->polled && vd_vq_dev_ready(&backend->dev->queues[index].vq));
}

/* Wait for anything at all to happen. */
static int await_more(struct vd_vu_backend *backend, uint16_t index, uint64_t deadline)
{
	uint64_t now = vd_now_ms();
	uint64_t most = backend->vrings[index].polled ? POLL_MS : INT_MAX;

	if (backend->sock_ready)
		return -VD_EPIPE;
	if (now >= deadline)
		return -VD_ETIMEDOUT;
	if (most > deadline - now)
		most = deadline - now;
	return collect(backend, (int)most) >= 0 || errno == EINTR ? 0 : -errno;
}

int vd_vu_backend_await(struct vd_vu_backend *backend, uint16_t index, uint32_t timeout_ms)
{
	uint64_t deadline = vd_now_ms() + timeout_ms;
	int err = 0;

	while (err == 0 && !has_come(backend, index))
		err = await_more(backend, index, deadline);
	/* What was found out meanwhile is for the next poll. */
	come_again(backend);
	return err;
}

/* ---- life ---- */

static int open_events(struct vd_vu_backend *backend)
{
	backend->epoll = epoll_create1(EPOLL_CLOEXEC);
	backend->again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (backend->epoll < 0 || backend->again < 0)
		return -errno;
	return watch(backend, backend->again, EPOLLIN, TAG_AGAIN);
}

int vd_vu_backend_create(struct vd_vu_backend **result, const struct vd_vu_backend_config *config)
{
	struct vd_vu_backend *backend = calloc(1, sizeof(*backend));
	int err = -VD_ENOMEM;

	if (backend == NULL)
		return err;
	backend->config = *config;
	backend->dev = config->dev;
	backend->epoll = -1;
	backend->again = -1;
	backend->channel.sock = -1;
	backend->backend_req = -1;
	vd_vu_memory_init(&backend->memory);
	backend->vrings = calloc(backend->dev->n_queues, sizeof(*backend->vrings));
	if (backend->vrings != NULL && backend->dev->n_queues <= VD_VU_QUEUES_MAX)
		err = open_events(backend);
	if (err != 0) {
		vd_vu_backend_destroy(backend);
		return err;
	}
	for (uint16_t i = 0; i < backend->dev->n_queues; i++)
		backend->vrings[i] = (struct vd_vu_vring){
			.kick.fd = -1, .call.fd = -1, .err.fd = -1};
	*result = backend;
	return 0;
}

void vd_vu_backend_destroy(struct vd_vu_backend *backend)
{
	if (backend == NULL)
		return;
	vd_vu_backend_disconnect(backend);
	if (backend->epoll >= 0)
		close(backend->epoll);
	if (backend->again >= 0)
		close(backend->again);
	free(backend->vrings);
	free(backend);
}

int vd_vu_backend_fd(const struct vd_vu_backend *backend)
{
	return backend->epoll;
}

const struct vd_fault *vd_vu_backend_fault(const struct vd_vu_backend *backend)
{
	return &backend->fault;
}

const struct vd_vu_backend_config *vd_vu_backend_config(const struct vd_vu_backend *backend)
{
	return &backend->config;
}
