/* SPDX-License-Identifier: BSD-3-Clause */
/* The device role: status, features, life of the queues. See viaduct/device.h; VIRTIO 1.4, 2 and 3.
 */
#include "viaduct/device.h"

#include "viaduct/errno.h"

/* ---- faults ---- */

void vd_device_report(struct vd_device *dev, const struct vd_fault *fault)
{
	dev->n_faults++;
	dev->fault = *fault;
	if (dev->ops->fault != NULL)
		dev->ops->fault(dev, fault);
}

static void report(struct vd_device *dev, enum vd_fault_code code, uint64_t a, uint64_t b)
{
	struct vd_fault fault = {.code = code, .value = {a, b}};

	vd_device_report(dev, &fault);
}

void vd_device_fail(struct vd_device *dev, const struct vd_fault *fault)
{
	if (!(dev->status & VD_STATUS_NEEDS_RESET)) {
		dev->running = false;
		dev->paused = false;
		dev->status |= VD_STATUS_NEEDS_RESET;
		if (dev->status & VD_STATUS_DRIVER_OK)
			dev->transport->config_changed(dev);
	}
	/* Last, as whoever hears of it may reset the device. */
	vd_device_report(dev, fault);
}

static void fail(struct vd_device *dev, enum vd_fault_code code, int err)
{
	struct vd_fault fault = {.code = code, .value = {(uint64_t)-err}};

	vd_device_fail(dev, &fault);
}

/* ---- set-up ---- */

static uint64_t worst_features(void)
{
	return VD_BIT(VD_F_IN_ORDER);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* A split ring has a power of two of entries. */
static uint16_t largest_split(uint16_t size_max)
{
	uint16_t power = 1;

	while (power <= size_max / 2)
		power = (uint16_t)(power * 2);
	return power;
}

size_t vd_device_queue_state_size(const struct vd_device_config *config, uint16_t size_max)
{
	size_t split;

	if (size_max == 0 || size_max > VD_RING_SIZE_MAX)
		return 0;
	split = vd_vq_dev_state_size(config->split, largest_split(size_max), worst_features());
	if (config->packed == NULL)
		return split;
	return larger(split, vd_vq_dev_state_size(config->packed, size_max, worst_features()));
}

static bool queues_are_sound(const struct vd_device_config *config)
{
	if (config->queues == NULL || config->n_queues == 0 || config->n_queues > VD_QUEUES_MAX)
		return false;
	for (unsigned i = 0; i < config->n_queues; i++) {
		const struct vd_device_queue *queue = &config->queues[i];
		size_t need = vd_device_queue_state_size(config, queue->size_max);

		if (need == 0 || queue->state == NULL || queue->state_size < need)
			return false;
	}
	return true;
}

static uint64_t offered_by(const struct vd_device_config *config)
{
	uint64_t features = config->features;

	if (config->packed == NULL)
		features &= ~VD_BIT(VD_F_RING_PACKED);
	return vd_features_closed(config->type, vd_features_defined(config->type, features));
}

int vd_device_init(struct vd_device *dev, const struct vd_device_config *config)
{
	if (config->type == NULL || config->ops == NULL || config->split == NULL ||
	    config->ops->stop == NULL || config->ops->notify == NULL || !queues_are_sound(config))
		return -VD_EINVAL;
	if ((config->features & VD_BIT(VD_F_SUSPEND)) &&
	    (config->ops->suspend == NULL || config->ops->resume == NULL))
		return -VD_EINVAL;
	*dev = (struct vd_device){
		.type = config->type,
		.ops = config->ops,
		.split = config->split,
		.packed = config->packed,
		.queues = config->queues,
		.n_queues = config->n_queues,
		.config = config->config,
		.vendor = config->vendor,
		.offered = offered_by(config),
	};
	for (unsigned i = 0; i < dev->n_queues; i++) {
		dev->queues[i].enabled = false;
		dev->queues[i].live = false;
		dev->queues[i].stopping = false;
	}
	return 0;
}

void vd_device_attach(struct vd_device *dev, const struct vd_device_transport_ops *ops, void *data,
		      const struct vd_mem *mem, uint64_t features)
{
	dev->transport = ops;
	dev->transport_data = data;
	dev->mem = mem;
	dev->transport_features = features;
	dev->big_endian = false;
	vd_device_reset(dev);
}

void vd_device_detach(struct vd_device *dev)
{
	vd_device_reset(dev);
	dev->transport = NULL;
	dev->mem = NULL;
}

/* ---- queues ---- */

struct vd_vq_dev *vd_device_vq(struct vd_device *dev, uint16_t index)
{
	if (!dev->running || index >= dev->n_queues || !dev->queues[index].live)
		return NULL;
	return &dev->queues[index].vq;
}

static void queue_live(struct vd_device *dev, uint16_t index)
{
	dev->queues[index].live = true;
	if (dev->ops->queue_start != NULL)
		dev->ops->queue_start(dev, index);
}

/* The family lets go of a queue. @flush: what it gave back just now, in others too, the driver may
 * be waiting to hear of. */
static void queue_dead(struct vd_device *dev, uint16_t index, bool flush)
{
	struct vd_device_queue *queue = &dev->queues[index];

	/* Its own queue_stop() may have led here. */
	if (!queue->live || queue->stopping)
		return;
	queue->stopping = true;
	if (dev->ops->queue_stop != NULL)
		dev->ops->queue_stop(dev, index);
	for (uint16_t i = 0; flush && i < dev->n_queues; i++)
		vd_device_flush(dev, i);
	queue->stopping = false;
	queue->live = false;
}

/* It gets those that are set up and not its own yet. */
static void start_queues(struct vd_device *dev)
{
	for (uint16_t i = 0; i < dev->n_queues && dev->running; i++)
		if (dev->queues[i].enabled && !dev->queues[i].live)
			queue_live(dev, i);
}

static int queue_init(struct vd_device *dev, struct vd_device_queue *queue,
		      const struct vd_queue_setup *setup)
{
	struct vd_vq_dev_config config = {
		.layout = vd_device_has(dev, VD_F_RING_PACKED) ? dev->packed : dev->split,
		.size = setup->size,
		.features = dev->features,
		.big_endian = setup->big_endian,
		.ring = setup->ring,
		.mem = dev->mem,
		.state = queue->state,
		.state_size = queue->state_size,
		.position = setup->position,
		.journal = setup->journal,
	};

	/* Features need not have been judged yet. */
	if (config.layout == NULL)
		return -VD_EINVAL;
	return vd_vq_dev_init(&queue->vq, &config);
}

void vd_device_flush(struct vd_device *dev, uint16_t index)
{
	struct vd_vq_dev *vq = vd_device_vq(dev, index);

	if (vq == NULL)
		return;
	if (vd_vq_dev_flush(vq))
		dev->transport->notify(dev, index);
	if (vd_vq_dev_is_broken(vq))
		vd_device_fail(dev, vd_vq_dev_fault(vq));
}

bool vd_device_kick(struct vd_device *dev, uint32_t notification)
{
	uint16_t index = vd_notification_queue(notification);
	struct vd_vq_dev *vq;
	bool more;

	if (index >= dev->n_queues) {
		report(dev, VD_FAULT_QUEUE_RANGE, index, dev->n_queues);
		return false;
	}
	/* Too early, too late, or while suspended: not an offence, and when the queue starts it is
	 * looked at. */
	if (vd_device_vq(dev, index) == NULL || dev->queues[index].stopping)
		return false;
	more = dev->ops->notify(dev, index);
	vq = vd_device_vq(dev, index);
	if (vq == NULL)
		return false;
	if (vd_vq_dev_is_broken(vq))
		vd_device_fail(dev, vd_vq_dev_fault(vq));
	return more && dev->running;
}

/* Buffers that were there before a queue was served: the driver need not notify of them again. */
static void look_at(struct vd_device *dev, uint16_t index)
{
	struct vd_vq_dev *vq;

	vd_device_flush(dev, index); /* it may have been found broken by now */
	vq = vd_device_vq(dev, index);
	if (vq == NULL || !vd_vq_dev_ready(vq))
		return;
	if (dev->transport->kick_later != NULL) {
		dev->transport->kick_later(dev, index);
		return;
	}
	while (vd_device_kick(dev, vd_notification(index, 0)))
		;
}

static void look_at_queues(struct vd_device *dev)
{
	for (uint16_t i = 0; i < dev->n_queues; i++)
		look_at(dev, i);
}

int vd_device_queue_enable(struct vd_device *dev, uint16_t index,
			   const struct vd_queue_setup *setup)
{
	struct vd_device_queue *queue;
	int err;

	if (index >= dev->n_queues || setup->size > dev->queues[index].size_max)
		return -VD_EINVAL;
	queue = &dev->queues[index];
	if (queue->enabled)
		return -VD_EBUSY;
	err = queue_init(dev, queue, setup);
	if (err != 0)
		return err;
	queue->setup = *setup;
	queue->enabled = true;
	if (!dev->running)
		return 0;
	queue_live(dev, index);
	look_at_queues(dev);
	return 0;
}

void vd_device_queue_disable(struct vd_device *dev, uint16_t index,
			     struct vd_ring_position *position)
{
	struct vd_device_queue *queue;

	if (index >= dev->n_queues || !dev->queues[index].enabled)
		return;
	queue = &dev->queues[index];
	queue_dead(dev, index, true);
	queue->enabled = false;
	if (position != NULL)
		*position = vd_vq_dev_position(&queue->vq);
}

void vd_device_queue_move(struct vd_device *dev, uint16_t index, const struct vd_ring_mem *ring)
{
	dev->queues[index].vq.ring = *ring;
	dev->queues[index].setup.ring = *ring;
}

/* ---- status ---- */

/* Did one of the two sides give up? Then only a reset helps. */
static bool is_lost(const struct vd_device *dev)
{
	return dev->status & (VD_STATUS_NEEDS_RESET | VD_STATUS_FAILED);
}

/* The family lets go of everything. */
static void halt(struct vd_device *dev)
{
	for (uint16_t i = 0; i < dev->n_queues; i++)
		queue_dead(dev, i, false);
	dev->running = false;
	dev->paused = false;
	if (dev->started) {
		dev->started = false;
		dev->ops->stop(dev);
	}
}

void vd_device_reset(struct vd_device *dev)
{
	halt(dev);
	for (uint16_t i = 0; i < dev->n_queues; i++)
		dev->queues[i].enabled = false;
	dev->features = 0;
	dev->config_held = false;
	dev->status = 0;
}

uint64_t vd_device_offered(const struct vd_device *dev)
{
	uint64_t carried = dev->offered & (~VD_F_TRANSPORT_MASK | dev->transport_features);

	return vd_features_closed(dev->type, carried);
}

/* Queues work by the features that were accepted when they were set up. */
static bool are_frozen(const struct vd_device *dev)
{
	for (uint16_t i = 0; i < dev->n_queues; i++)
		if (dev->queues[i].enabled)
			return true;
	return dev->status & (VD_STATUS_FEATURES_OK | VD_STATUS_DRIVER_OK);
}

int vd_device_set_features(struct vd_device *dev, uint64_t features)
{
	if (features == dev->features)
		return 0;
	if (are_frozen(dev)) {
		report(dev, VD_FAULT_FEATURES_FROZEN, features, 0);
		return -VD_EBUSY;
	}
	dev->features = features;
	return 0;
}

static bool features_are_good(struct vd_device *dev)
{
	struct vd_fault fault;

	if (vd_features_check(dev->type, vd_device_offered(dev), dev->features, &fault) != 0) {
		vd_device_report(dev, &fault);
		return false;
	}
	if (dev->ops->accept != NULL && !dev->ops->accept(dev, dev->features)) {
		report(dev, VD_FAULT_FEATURES_REFUSED, dev->features, 0);
		return false;
	}
	return true;
}

static void start(struct vd_device *dev)
{
	int err = 0;

	/* A legacy driver does not know FEATURES_OK (3.1.2); its features are judged here. */
	if (!(dev->status & VD_STATUS_FEATURES_OK)) {
		if (vd_device_has(dev, VD_F_VERSION_1)) {
			report(dev, VD_FAULT_STATUS_ORDER, VD_STATUS_DRIVER_OK,
			       VD_STATUS_FEATURES_OK);
			return;
		}
		if (!features_are_good(dev))
			return;
	}
	dev->status |= VD_STATUS_DRIVER_OK;
	dev->running = true;
	dev->started = true;
	if (dev->ops->start != NULL)
		err = dev->ops->start(dev);
	if (err != 0) {
		fail(dev, VD_FAULT_START_FAILED, err);
		return;
	}
	start_queues(dev);
	look_at_queues(dev);
}

/* The family gives back everything and stops. False: it could not, or a queue broke meanwhile. */
static bool quiesce(struct vd_device *dev)
{
	int err = dev->ops->suspend(dev);

	if (err != 0) {
		fail(dev, VD_FAULT_SUSPEND_FAILED, err);
		return false;
	}
	for (uint16_t i = 0; i < dev->n_queues; i++)
		vd_device_flush(dev, i);
	if (!dev->running)
		return false;
	dev->running = false;
	return true;
}

/* It goes on, with queues that were enabled meanwhile, too. */
static void wake(struct vd_device *dev)
{
	int err = dev->ops->resume(dev);

	if (err != 0) {
		fail(dev, VD_FAULT_SUSPEND_FAILED, err);
		return;
	}
	start_queues(dev);
	look_at_queues(dev);
}

static void suspend(struct vd_device *dev)
{
	/* Not fully initialised, or not negotiated: ignored. */
	if (!dev->running || !vd_device_has(dev, VD_F_SUSPEND))
		return;
	if (quiesce(dev))
		dev->status = (uint8_t)((dev->status | VD_STATUS_SUSPEND) & ~VD_STATUS_DRIVER_OK);
}

static void resume(struct vd_device *dev)
{
	bool config_held = dev->config_held;

	dev->status = (uint8_t)((dev->status | VD_STATUS_DRIVER_OK) & ~VD_STATUS_SUSPEND);
	dev->running = true;
	dev->config_held = false;
	if (config_held)
		dev->transport->config_changed(dev);
	wake(dev);
}

/* While suspended only two things can be written: resume, and reset (done by the caller). */
static void set_status_suspended(struct vd_device *dev, uint8_t status)
{
	if (status & VD_STATUS_FAILED) {
		dev->status |= VD_STATUS_FAILED;
		halt(dev);
	} else if ((status & VD_STATUS_DRIVER_OK) && !is_lost(dev)) {
		resume(dev);
	}
}

void vd_device_set_status(struct vd_device *dev, uint8_t status)
{
	uint8_t set = (uint8_t)(status & ~dev->status);
	uint8_t cleared = (uint8_t)(dev->status & ~status & ~VD_STATUS_NEEDS_RESET);

	if (status == 0) {
		vd_device_reset(dev);
		return;
	}
	if (dev->status & VD_STATUS_SUSPEND) {
		set_status_suspended(dev, status);
		return;
	}
	if (cleared != 0)
		report(dev, VD_FAULT_STATUS_CLEARED, cleared, dev->status);
	dev->status |= set & (VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FAILED);
	if ((set & VD_STATUS_FEATURES_OK) && features_are_good(dev))
		dev->status |= VD_STATUS_FEATURES_OK;
	if (set & VD_STATUS_FAILED)
		halt(dev);
	else if ((set & VD_STATUS_DRIVER_OK) && !is_lost(dev))
		start(dev);
	if (set & VD_STATUS_SUSPEND)
		suspend(dev);
}

/* ---- pause ---- */

static bool can_suspend(const struct vd_device *dev)
{
	return dev->ops->suspend != NULL && dev->ops->resume != NULL;
}

void vd_device_pause(struct vd_device *dev)
{
	if (!dev->running)
		return;
	if (can_suspend(dev)) {
		dev->paused = quiesce(dev);
		return;
	}
	/* A family that can't suspend loses its queues and gets them again. */
	for (uint16_t i = 0; i < dev->n_queues; i++)
		queue_dead(dev, i, true);
	dev->paused = dev->running;
	dev->running = false;
}

void vd_device_unpause(struct vd_device *dev)
{
	if (!dev->paused)
		return;
	dev->paused = false;
	dev->running = true;
	if (can_suspend(dev)) {
		wake(dev);
		return;
	}
	start_queues(dev);
	look_at_queues(dev);
}
