/* SPDX-License-Identifier: BSD-3-Clause */
/* The queues of a device in its driver's hands: memory, set-up, reset. VIRTIO 1.4, 2.6. */
#include "virtio/vdev.h"

#include "viaduct/errno.h"

#define CACHE_LINE 64u

static const struct vd_vq_drv_ops *layout_of(const struct vd_vdev *vdev)
{
	return vd_vdev_has(vdev, VD_F_RING_PACKED) ? vdev->packed : vdev->split;
}

static enum vd_ring_layout layout_kind(const struct vd_vdev *vdev)
{
	return vd_vdev_has(vdev, VD_F_RING_PACKED) ? VD_RING_PACKED : VD_RING_SPLIT;
}

static bool is_legacy_ring(const struct vd_vdev *vdev)
{
	return vdev->legacy_align != 0 && !vd_vdev_has(vdev, VD_F_VERSION_1);
}

static size_t round_up(size_t size, size_t align)
{
	return (size + align - 1) / align * align;
}

/* Where the parts of a ring go from @base on; returns the bytes taken. */
static size_t place(const struct vd_vdev *vdev, uint16_t size, void *base, struct vd_ring_mem *ring)
{
	if (is_legacy_ring(vdev))
		return vd_ring_place_legacy(size, vdev->legacy_align, base, ring);
	return vd_ring_place(layout_kind(vdev), size, base, ring);
}

static size_t alignment(const struct vd_vdev *vdev)
{
	return is_legacy_ring(vdev) && vdev->legacy_align > CACHE_LINE ? vdev->legacy_align
								       : CACHE_LINE;
}

static bool wants_tables(const struct vd_vdev_vq *queue)
{
	return queue->request.table_entries > 1 && vd_vdev_has(queue->vdev, VD_F_INDIRECT_DESC);
}

static void release(struct vd_vdev_vq *queue)
{
	struct vd_vdev *vdev = queue->vdev;

	vdev->shared->free(vdev->shared, queue->memory, queue->memory_size);
	vdev->local->free(vdev->local, queue->state, queue->state_size);
	queue->memory = NULL;
	queue->state = NULL;
}

/* Memory for @size entries; the tables come behind the ring. */
static int obtain(struct vd_vdev_vq *queue, uint16_t size, size_t ring_size)
{
	struct vd_vdev *vdev = queue->vdev;

	queue->memory_size = ring_size;
	if (wants_tables(queue))
		queue->memory_size += vd_vq_drv_tables_size(size, queue->request.table_entries);
	queue->state_size = vd_vq_drv_state_size(layout_of(vdev), size);
	queue->memory = vdev->shared->alloc(vdev->shared, queue->memory_size, alignment(vdev));
	queue->state = vdev->local->alloc(vdev->local, queue->state_size, CACHE_LINE);
	if (queue->memory != NULL && queue->state != NULL)
		return 0;
	release(queue);
	return -VD_ENOMEM;
}

static int init_ring(struct vd_vdev_vq *queue, uint16_t size, size_t ring_size)
{
	struct vd_vdev *vdev = queue->vdev;
	struct vd_vq_drv_config config = {
		.layout = layout_of(vdev),
		.size = size,
		.features = vdev->features,
		.big_endian = vdev->big_endian && !vd_vdev_has(vdev, VD_F_VERSION_1),
		.mem = vdev->mem,
		.state = queue->state,
		.state_size = queue->state_size,
	};

	(void)place(vdev, size, queue->memory, &queue->ring);
	config.ring = queue->ring;
	if (wants_tables(queue)) {
		config.tables = (unsigned char *)queue->memory + ring_size;
		config.table_entries = queue->request.table_entries;
	}
	return vd_vq_drv_init(&queue->vq, &config);
}

/* Memory, ring, and known to the device; or nothing. */
static int set_up(struct vd_vdev_vq *queue, uint16_t size)
{
	struct vd_vdev *vdev = queue->vdev;
	size_t ring_size = round_up(place(vdev, size, NULL, NULL), CACHE_LINE);
	int err;

	if (ring_size == 0)
		return -VD_EINVAL;
	err = obtain(queue, size, ring_size);
	if (err != 0)
		return err;
	err = init_ring(queue, size, ring_size);
	if (err == 0)
		err = vdev->ops->queue_enable(vdev, queue);
	if (err != 0)
		release(queue);
	return err;
}

/* As many entries as both sides allow; a split ring wants a power of two (2.7). */
static int choose_size(struct vd_vdev_vq *queue, uint16_t wanted, uint16_t *size)
{
	struct vd_vdev *vdev = queue->vdev;
	uint16_t most = vdev->ops->queue_size_max(vdev, queue->index);
	uint16_t power = 1;

	if (most == 0)
		return -VD_ENOENT;
	*size = wanted != 0 && wanted < most ? wanted : most;
	if (layout_kind(vdev) == VD_RING_PACKED)
		return 0;
	while (power <= *size / 2)
		power = (uint16_t)(power * 2);
	*size = power;
	return 0;
}

static int find_one(struct vd_vdev *vdev, uint16_t index, const struct vd_vq_request *request,
		    struct vd_vdev_vq *queue)
{
	uint16_t size;
	int err;

	*queue = (struct vd_vdev_vq){.vdev = vdev, .request = *request, .index = index};
	err = choose_size(queue, request->size, &size);
	return err == 0 ? set_up(queue, size) : err;
}

int vd_vdev_find_vqs(struct vd_vdev *vdev, uint16_t count, const struct vd_vq_request *requests,
		     struct vd_vdev_vq *queues)
{
	vdev->queues = queues;
	vdev->n_queues = 0;
	for (uint16_t i = 0; i < count; i++) {
		int err = find_one(vdev, i, &requests[i], &queues[i]);

		if (err != 0) {
			vd_vdev_del_vqs(vdev);
			return err;
		}
		vdev->n_queues++;
	}
	return 0;
}

void vd_vdev_del_vqs(struct vd_vdev *vdev)
{
	while (vdev->n_queues > 0) {
		struct vd_vdev_vq *queue = &vdev->queues[--vdev->n_queues];

		(void)vdev->ops->queue_disable(vdev, queue);
		release(queue);
	}
	vdev->queues = NULL;
}

static void notify(struct vd_vdev_vq *queue)
{
	queue->vdev->ops->notify(queue->vdev, queue,
				 vd_vq_drv_notification(&queue->vq, queue->index));
}

void vd_vdev_kick(struct vd_vdev_vq *queue)
{
	if (queue->vdev->suspended)
		return;
	/* Before DRIVER_OK buffers may be made available, but not notified of (3.1.1). */
	if (!queue->vdev->ready)
		vd_vq_drv_publish(&queue->vq);
	else if (vd_vq_drv_kick(&queue->vq))
		notify(queue);
}

void vd_vdev_kick_all(struct vd_vdev *vdev)
{
	for (uint16_t i = 0; i < vdev->n_queues; i++) {
		struct vd_vdev_vq *queue = &vdev->queues[i];

		vd_vq_drv_publish(&queue->vq);
		if (vd_vq_drv_need_kick(&queue->vq))
			notify(queue);
	}
}

/* The queue has no memory any more: keep everybody off it. */
static void lose(struct vd_vdev_vq *queue, int err)
{
	struct vd_fault fault = {.code = VD_FAULT_QUEUE_LOST,
				 .value = {queue->index, (uint64_t)-err}};

	vd_vq_drv_break(&queue->vq, &fault);
}

int vd_vdev_reset_vq(struct vd_vdev_vq *queue, uint16_t size,
		     void (*reclaim)(struct vd_vdev_vq *queue, void *token))
{
	struct vd_vdev *vdev = queue->vdev;
	void *token;
	int err;

	if (!vd_vdev_has(vdev, VD_F_RING_RESET))
		return -VD_EOPNOTSUPP;
	if (vdev->suspended)
		return -VD_EBUSY;
	err = choose_size(queue, size != 0 ? size : queue->vq.size, &size);
	if (err == 0)
		err = vdev->ops->queue_disable(vdev, queue);
	if (err != 0)
		return err;
	while (vd_vq_drv_detach(&queue->vq, &token) == 1)
		reclaim(queue, token);
	release(queue);
	err = set_up(queue, size);
	if (err != 0)
		lose(queue, err);
	return err;
}
