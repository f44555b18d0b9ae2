/* SPDX-License-Identifier: BSD-3-Clause */
/* The loopback transport: see viaduct/loopback.h. */
#include "viaduct/loopback.h"

#include "viaduct/errno.h"

#include <string.h>

#define CONFIG_BIT VD_LOOPBACK_QUEUES

static struct vd_loopback *loop_of(struct vd_vdev *vdev)
{
	return (struct vd_loopback *)(void *)((char *)vdev - offsetof(struct vd_loopback, vdev));
}

/* ---- notifications on their way ---- */

/* Small cores do not have 64-bit atomics; that two words are not taken at the same time does not
 * matter. */
static void note(struct vd_loopback_bits *bits, unsigned bit)
{
	__atomic_fetch_or(&bits->word[bit / 32], UINT32_C(1) << bit % 32, __ATOMIC_RELEASE);
}

static uint32_t fetch_word(uint32_t *word)
{
	if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0)
		return 0;
	return __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

static uint64_t fetch(struct vd_loopback_bits *bits)
{
	uint64_t low = fetch_word(&bits->word[0]);

	return low | (uint64_t)fetch_word(&bits->word[1]) << 32;
}

/* ---- the device's side ---- */

static void tell_driver(struct vd_loopback *loop, unsigned bit)
{
	note(&loop->to_driver, bit);
	loop->n_to_driver++;
	if (loop->config.ring_driver != NULL)
		loop->config.ring_driver(loop);
}

static void device_notify(struct vd_device *dev, uint16_t index)
{
	tell_driver(dev->transport_data, index);
}

static void device_config_changed(struct vd_device *dev)
{
	tell_driver(dev->transport_data, CONFIG_BIT);
}

/* As if the driver had notified us. */
static void device_kick_later(struct vd_device *dev, uint16_t index)
{
	struct vd_loopback *loop = dev->transport_data;

	note(&loop->to_device, index);
	if (loop->config.ring_device != NULL)
		loop->config.ring_device(loop);
}

static const struct vd_device_transport_ops device_ops = {
	.notify = device_notify,
	.config_changed = device_config_changed,
	.kick_later = device_kick_later,
};

bool vd_loopback_poll_device(struct vd_loopback *loop)
{
	uint64_t bits = fetch(&loop->to_device);

	for (uint16_t i = 0; !loop->detached && i < loop->config.dev->n_queues; i++)
		if ((bits & VD_BIT(i)) && vd_device_kick(loop->config.dev, vd_notification(i, 0)))
			note(&loop->to_device, i);
	return bits != 0;
}

/* ---- the driver's side ---- */

static uint64_t get_features(struct vd_vdev *vdev)
{
	struct vd_loopback *loop = loop_of(vdev);

	return loop->detached ? 0 : vd_device_offered(loop->config.dev);
}

static int set_features(struct vd_vdev *vdev, uint64_t features)
{
	struct vd_loopback *loop = loop_of(vdev);

	return loop->detached ? -VD_ENODEV : vd_device_set_features(loop->config.dev, features);
}

/* A register that nobody answers for reads as all ones, as on most buses. */
static uint8_t get_status(struct vd_vdev *vdev)
{
	struct vd_loopback *loop = loop_of(vdev);

	return loop->detached ? 0xff : vd_device_status(loop->config.dev);
}

static void set_status(struct vd_vdev *vdev, uint8_t status)
{
	struct vd_loopback *loop = loop_of(vdev);

	if (!loop->detached)
		vd_device_set_status(loop->config.dev, status);
}

static int reset(struct vd_vdev *vdev)
{
	struct vd_loopback *loop = loop_of(vdev);

	if (loop->detached)
		return -VD_ENODEV;
	vd_device_reset(loop->config.dev);
	return 0;
}

static int config_read(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len)
{
	struct vd_loopback *loop = loop_of(vdev);

	if (!loop->detached)
		return vd_device_config_read(loop->config.dev, offset, bytes, len);
	memset(bytes, 0xff, len);
	return -VD_ENODEV;
}

static int config_write(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len)
{
	struct vd_loopback *loop = loop_of(vdev);

	if (loop->detached)
		return -VD_ENODEV;
	return vd_device_config_write(loop->config.dev, offset, bytes, len);
}

static uint32_t config_generation(struct vd_vdev *vdev)
{
	const struct vd_loopback *loop = loop_of(vdev);

	/* The memory of a dead device may be somebody else's by now. */
	return loop->detached ? 0 : loop->config.dev->config_generation;
}

static uint16_t queue_size_max(struct vd_vdev *vdev, uint16_t index)
{
	const struct vd_loopback *loop = loop_of(vdev);
	const struct vd_device *dev = loop->config.dev;

	return !loop->detached && index < dev->n_queues ? dev->queues[index].size_max : 0;
}

static int queue_enable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	struct vd_loopback *loop = loop_of(vdev);
	struct vd_queue_setup setup = {
		.size = queue->vq.size,
		.big_endian = vdev->big_endian && !vd_vdev_has(vdev, VD_F_VERSION_1),
		.ring = queue->ring,
		.position = vd_ring_start(vd_vdev_has(vdev, VD_F_RING_PACKED) ? VD_RING_PACKED
									      : VD_RING_SPLIT),
	};

	if (loop->detached)
		return -VD_ENODEV;
	return vd_device_queue_enable(loop->config.dev, queue->index, &setup);
}

static int queue_disable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	struct vd_loopback *loop = loop_of(vdev);

	if (!loop->detached)
		vd_device_queue_disable(loop->config.dev, queue->index, NULL);
	return 0;
}

static void notify(struct vd_vdev *vdev, struct vd_vdev_vq *queue, uint32_t notification)
{
	struct vd_loopback *loop = loop_of(vdev);

	(void)notification;
	note(&loop->to_device, queue->index);
	loop->n_to_device++;
	if (loop->config.ring_device != NULL)
		loop->config.ring_device(loop);
}

static const struct vd_vdev_ops driver_ops = {
	.get_features = get_features,
	.set_features = set_features,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_disable = queue_disable,
	.notify = notify,
};

bool vd_loopback_poll_driver(struct vd_loopback *loop)
{
	uint64_t bits = fetch(&loop->to_driver);

	for (uint16_t i = 0; i < VD_LOOPBACK_QUEUES && i < loop->vdev.n_queues; i++)
		if (bits & VD_BIT(i))
			vd_vdev_queue_notified(&loop->vdev, i);
	if (bits & VD_BIT(CONFIG_BIT))
		vd_vdev_config_changed(&loop->vdev);
	return bits != 0;
}

/* ---- both ---- */

static void attach(struct vd_loopback *loop)
{
	struct vd_device *dev = loop->config.dev;

	vd_device_attach(dev, &device_ops, loop, loop->config.mem, loop->config.features);
	vd_device_set_legacy_order(dev, loop->config.legacy_big_endian);
}

int vd_loopback_init(struct vd_loopback *loop, const struct vd_loopback_config *config)
{
	if (config->dev->n_queues > VD_LOOPBACK_QUEUES)
		return -VD_EINVAL;
	*loop = (struct vd_loopback){
		.config = *config,
		.vdev =
			{
				.type = config->dev->type,
				.device_id = config->dev->type->id,
				.vendor_id = config->dev->vendor,
				.ops = &driver_ops,
				.transport_features = config->features,
				.mem = config->mem,
				.shared = config->shared,
				.local = config->local,
				.split = config->split,
				.packed = config->packed,
				.big_endian = config->legacy_big_endian,
			},
	};
	attach(loop);
	return 0;
}

void vd_loopback_kill_device(struct vd_loopback *loop)
{
	if (loop->detached)
		return;
	loop->detached = true;
	(void)fetch(&loop->to_device);
	vd_device_detach(loop->config.dev);
}

void vd_loopback_revive_device(struct vd_loopback *loop, struct vd_device *dev)
{
	loop->config.dev = dev;
	loop->detached = false;
	attach(loop);
}
