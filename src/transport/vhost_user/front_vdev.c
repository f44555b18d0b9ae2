/* SPDX-License-Identifier: BSD-3-Clause */
/* The device that the driver of a front end sees: what the bus asks becomes requests. See front.h.
 */
#include "mem/shm.h"
#include "ring/wire.h"
#include "transport/vhost_user/front.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct vd_vu_front *front_of(struct vd_vdev *vdev)
{
	return (struct vd_vu_front *)(void *)vdev;
}

/* ---- features and status ---- */

static uint64_t get_features(struct vd_vdev *vdev)
{
	const struct vd_vu_front *front = front_of(vdev);

	return vd_vu_front_is_connected(front) ? front->features & ~VD_BIT(VD_VU_FEATURE_PROTOCOL)
					       : 0;
}

static int set_features(struct vd_vdev *vdev, uint64_t features)
{
	struct vd_vu_front *front = front_of(vdev);

	front->driver_features = features;
	return vd_vu_front_send_u64(front, VD_VU_SET_FEATURES,
				    features | (front->features & VD_BIT(VD_VU_FEATURE_PROTOCOL)));
}

/* A register that nobody answers for reads as all ones, as on most buses. Without STATUS the device
 * says nothing, and has what the driver wrote. */
static uint8_t get_status(struct vd_vdev *vdev)
{
	struct vd_vu_front *front = front_of(vdev);
	uint64_t status = front->status;

	if (!vd_vu_front_is_connected(front) ||
	    (vd_vu_front_has(front, VD_VU_F_STATUS) &&
	     vd_vu_front_ask_u64(front, VD_VU_GET_STATUS, &status) != 0))
		return 0xff;
	return (uint8_t)status;
}

static void set_status(struct vd_vdev *vdev, uint8_t status)
{
	struct vd_vu_front *front = front_of(vdev);

	front->status = status;
	if (vd_vu_front_has(front, VD_VU_F_STATUS))
		(void)vd_vu_front_send_u64(front, VD_VU_SET_STATUS, status);
}

/* ---- queues ---- */

static int stop_queue(struct vd_vu_front *front, struct vd_vu_front_queue *queue)
{
	struct vd_vu_state state = {.index = queue->queue->index};

	return vd_vu_front_ask(front, VD_VU_GET_VRING_BASE, &state, sizeof(state), &state,
			       sizeof(state), NULL);
}

/* The rings stop first: a back end without STATUS only knows by them. */
static int reset(struct vd_vdev *vdev)
{
	struct vd_vu_front *front = front_of(vdev);
	int err = vd_vu_front_is_connected(front) ? 0 : -VD_ENODEV;

	front->status = 0;
	for (uint16_t i = 0; err == 0 && i < front->config.n_queues; i++)
		if (front->queues[i].queue != NULL)
			err = stop_queue(front, &front->queues[i]);
	/* What was in flight is forgotten with the rings. */
	if (front->inflight_fd >= 0)
		close(front->inflight_fd);
	front->inflight_fd = -1;
	if (err != 0)
		return err;
	if (vd_vu_front_has(front, VD_VU_F_STATUS)) {
		set_status(vdev, 0);
		return get_status(vdev) == 0 ? 0 : -VD_ETIMEDOUT;
	}
	if (vd_vu_front_has(front, VD_VU_F_RESET_DEVICE))
		return vd_vu_front_send(front, VD_VU_RESET_DEVICE, NULL, 0, -1);
	return 0;
}

static uint16_t queue_size_max(struct vd_vdev *vdev, uint16_t index)
{
	const struct vd_vu_front *front = front_of(vdev);

	return vd_vu_front_is_connected(front) && index < front->n_queues ? front->config.queue_size
									  : 0;
}

/* Have a record of what is in flight; the first queue gets it for all of them. */
static int get_inflight(struct vd_vu_front *front)
{
	struct vd_vu_inflight_desc *inflight = &front->inflight;

	if (!vd_vu_front_has(front, VD_VU_F_INFLIGHT_SHMFD) || front->inflight_fd >= 0)
		return 0;
	*inflight = (struct vd_vu_inflight_desc){.num_queues = front->n_queues,
						 .queue_size = front->config.queue_size};
	return vd_vu_front_ask(front, VD_VU_GET_INFLIGHT_FD, inflight, sizeof(*inflight), inflight,
			       sizeof(*inflight), &front->inflight_fd);
}

/* Where the device begins: with a record of what is in flight, a successor learns the rest there.
 */
static uint32_t base_of(const struct vd_vu_front *front, const struct vd_vdev_vq *queue,
			bool resumed)
{
	const struct vd_split_used *used = queue->ring.device;
	const uint32_t packed_start = VD_WRAP_BIT | (uint32_t)VD_WRAP_BIT << 16;

	if (vd_vdev_has(&front->vdev, VD_F_RING_PACKED))
		return packed_start;
	return resumed ? vd_load16(&used->idx, queue->vq.swap) : 0;
}

static int send_ring(struct vd_vu_front *front, const struct vd_vdev_vq *queue, bool resumed)
{
	struct vd_vu_addr addr = {
		.index = queue->index,
		.desc = (uintptr_t)queue->ring.desc,
		.avail = (uintptr_t)queue->ring.driver,
		.used = (uintptr_t)queue->ring.device,
	};
	int err = vd_vu_front_send_state(front, VD_VU_SET_VRING_NUM, queue->index, queue->vq.size);

	if (err == 0)
		err = vd_vu_front_send_state(front, VD_VU_SET_VRING_BASE, queue->index,
					     base_of(front, queue, resumed));
	if (err == 0)
		err = vd_vu_front_send(front, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	return err;
}

static int send_bells(struct vd_vu_front *front, const struct vd_vu_front_queue *queue)
{
	const uint64_t index = queue->queue->index;
	int err = vd_vu_front_send(front, VD_VU_SET_VRING_CALL, &index, sizeof(index),
				   queue->call.fd);

	if (err == 0)
		err = vd_vu_front_send(front, VD_VU_SET_VRING_KICK, &index, sizeof(index),
				       queue->kick.fd);
	return err;
}

int vd_vu_front_start_queue(struct vd_vu_front *front, struct vd_vu_front_queue *queue,
			    bool resumed)
{
	int err = send_ring(front, queue->queue, resumed);

	if (err == 0)
		err = send_bells(front, queue);
	/* Without protocol features rings are enabled from the start. */
	if (err == 0 && (front->features & VD_BIT(VD_VU_FEATURE_PROTOCOL)))
		err = vd_vu_front_send_state(front, VD_VU_SET_VRING_ENABLE, queue->queue->index, 1);
	return err;
}

static void close_bells(struct vd_vu_front *front, struct vd_vu_front_queue *queue)
{
	if (vd_doorbell_exists(&queue->call))
		(void)epoll_ctl(front->epoll, EPOLL_CTL_DEL, queue->call.fd, NULL);
	vd_doorbell_close(&queue->call);
	vd_doorbell_close(&queue->kick);
	queue->queue = NULL;
	queue->called = false;
}

static int open_bells(struct vd_vu_front *front, struct vd_vu_front_queue *queue)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET,
				    .data.u64 = (uint64_t)(queue - front->queues)};
	int err = vd_doorbell_set(&queue->call, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	if (err == 0)
		err = vd_doorbell_set(&queue->kick, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (err != 0)
		return err;
	if (!vd_doorbell_exists(&queue->call) || !vd_doorbell_exists(&queue->kick) ||
	    epoll_ctl(front->epoll, EPOLL_CTL_ADD, queue->call.fd, &event) != 0)
		return -errno;
	return 0;
}

static int queue_enable(struct vd_vdev *vdev, struct vd_vdev_vq *vq)
{
	struct vd_vu_front *front = front_of(vdev);
	struct vd_vu_front_queue *queue = &front->queues[vq->index];
	int err = open_bells(front, queue);

	queue->queue = vq;
	if (err == 0)
		err = get_inflight(front);
	if (err == 0)
		err = vd_vu_front_start_queue(front, queue, false);
	if (err != 0)
		close_bells(front, queue);
	return err;
}

static int queue_disable(struct vd_vdev *vdev, struct vd_vdev_vq *vq)
{
	struct vd_vu_front *front = front_of(vdev);
	struct vd_vu_front_queue *queue = &front->queues[vq->index];
	int err = 0;

	if (vd_vu_front_is_connected(front))
		err = stop_queue(front, queue);
	close_bells(front, queue);
	return err;
}

static void notify(struct vd_vdev *vdev, struct vd_vdev_vq *vq, uint32_t notification)
{
	(void)notification;
	vd_doorbell_ring(&front_of(vdev)->queues[vq->index].kick);
}

/* ---- configuration space ---- */

/* The longest access; no field is longer. */
#define CONFIG_MAX 256u

/* A request about configuration space, and its answer. */
struct config_message {
	_Alignas(struct vd_vu_config) unsigned char bytes[sizeof(struct vd_vu_config) + CONFIG_MAX];
	uint32_t size;
};

static int begin_config(const struct vd_vu_front *front, struct config_message *message,
			uint32_t offset, uint32_t len)
{
	const struct vd_vu_config head = {.offset = offset, .size = len};

	if (!vd_vu_front_is_connected(front))
		return -VD_ENODEV;
	if (!vd_vu_front_has(front, VD_VU_F_CONFIG))
		return -VD_EOPNOTSUPP;
	if (len > CONFIG_MAX)
		return -VD_EINVAL;
	memset(message, 0, sizeof(*message));
	memcpy(message->bytes, &head, sizeof(head));
	message->size = (uint32_t)sizeof(head) + len;
	return 0;
}

static int config_read(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len)
{
	struct vd_vu_front *front = front_of(vdev);
	struct config_message message;
	int err = begin_config(front, &message, offset, len);

	if (err == 0)
		err = vd_vu_front_ask(front, VD_VU_GET_CONFIG, message.bytes, message.size,
				      message.bytes, message.size, NULL);
	if (err == 0)
		memcpy(bytes, message.bytes + sizeof(struct vd_vu_config), len);
	else
		memset(bytes, 0xff, len);
	return err;
}

static int config_write(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len)
{
	struct vd_vu_front *front = front_of(vdev);
	struct config_message message;
	int err = begin_config(front, &message, offset, len);

	if (err != 0)
		return err;
	memcpy(message.bytes + sizeof(struct vd_vu_config), bytes, len);
	return vd_vu_front_send(front, VD_VU_SET_CONFIG, message.bytes, message.size, -1);
}

const struct vd_vdev_ops vd_vu_front_ops = {
	.get_features = get_features,
	.set_features = set_features,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.config_read = config_read,
	.config_write = config_write,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_disable = queue_disable,
	.notify = notify,
};
