/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a queue under vhost-user: stopped, started, enabled. vhost-user.rst, "Ring states".
 */
#include "ring/packed.h"
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"

/* As the device sees it: what SET_FEATURES said last may not be what it runs with. */
static bool is_packed(const struct vd_vu_backend *backend)
{
	return vd_device_has(backend->dev, VD_F_RING_PACKED);
}

static enum vd_ring_layout layout_of(const struct vd_vu_backend *backend)
{
	return is_packed(backend) ? VD_RING_PACKED : VD_RING_SPLIT;
}

/* Only legacy drivers have a byte order of their own. */
static bool is_big_endian(const struct vd_vu_backend *backend, const struct vd_vu_vring *vring)
{
	return vring->big_endian && !vd_device_has(backend->dev, VD_F_VERSION_1);
}

/* ---- signals ---- */

void vd_vu_vring_call(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];

	if (vd_doorbell_exists(&vring->call))
		vd_doorbell_ring(&vring->call);
	else if (vd_vu_has(backend, VD_VU_F_INBAND_NOTIFICATIONS))
		vd_vu_send_vring_call(backend, index);
}

void vd_vu_vring_error(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];

	if (vd_doorbell_exists(&vring->err))
		vd_doorbell_ring(&vring->err);
	else if (vd_vu_has(backend, VD_VU_F_INBAND_NOTIFICATIONS))
		vd_vu_send_vring_err(backend, index);
}

/* ---- where a queue is, and where it stands ---- */

static void *find_part(struct vd_vu_backend *backend, uint64_t addr,
		       const struct vd_ring_part *part)
{
	void *local;

	if (vd_mem_local(&backend->memory.user, addr, part->size, VD_MEM_RW, &local) != 0)
		return NULL;
	return (uintptr_t)local % part->align == 0 ? local : NULL;
}

static int find_ring(struct vd_vu_backend *backend, uint16_t index, struct vd_ring_mem *ring)
{
	struct vd_vu_vring *vring = &backend->vrings[index];
	struct vd_ring_parts parts;

	if (vd_ring_parts(layout_of(backend), vring->num, &parts) != 0)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_SIZE, index, vring->num,
				  backend->dev->queues[index].size_max);
	ring->desc = find_part(backend, vring->addr.desc, &parts.desc);
	if (ring->desc == NULL)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_MEMORY, index, 0, vring->addr.desc);
	ring->driver = find_part(backend, vring->addr.avail, &parts.driver);
	if (ring->driver == NULL)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_MEMORY, index, 1, vring->addr.avail);
	ring->device = find_part(backend, vring->addr.used, &parts.device);
	if (ring->device == NULL)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_MEMORY, index, 2, vring->addr.used);
	return 0;
}

/* The used index that our predecessor left in a split ring: SET_VRING_BASE does not bring it. */
static uint16_t used_index(const struct vd_ring_mem *ring, bool big_endian)
{
	const struct vd_split_used *used = ring->device;

	return vd_load16(&used->idx, big_endian != vd_host_is_big_endian());
}

/*
 * Base 0 of a packed ring would mean that both wrap counters are 0, as they are after one lap.
 * Linux' User Mode front end says it of fresh rings, too. In those nothing was used yet, though
 * buffers may be available already; after a lap some slot is marked used, or available for the
 * second lap, which both set the USED bit.
 */
static bool is_fresh_packed(const struct vd_vu_vring *vring, const struct vd_ring_mem *ring)
{
	const struct vd_packed_desc *slots = ring->desc;

	for (uint32_t i = 0; vring->base == 0 && i < vring->num; i++)
		if (vd_load16(&slots[i].flags, vd_host_is_big_endian()) & VD_DESC_USED)
			return false;
	return vring->base == 0;
}

static struct vd_ring_position position_of(const struct vd_vu_backend *backend, uint16_t index,
					   const struct vd_ring_mem *ring)
{
	const struct vd_vu_vring *vring = &backend->vrings[index];
	struct vd_ring_position position = {
		.avail = (uint16_t)vring->base,
		.used = (uint16_t)(vring->base >> 16),
	};

	if (!is_packed(backend))
		position.used = used_index(ring, is_big_endian(backend, vring));
	else if (is_fresh_packed(vring, ring))
		position = vd_ring_start(VD_RING_PACKED);
	return position;
}

static uint32_t base_of(const struct vd_vu_backend *backend, struct vd_ring_position position)
{
	return is_packed(backend) ? (uint32_t)position.used << 16 | position.avail : position.avail;
}

/* ---- handing over ---- */

static int open_journal(struct vd_vu_backend *backend, uint16_t index, struct vd_queue_setup *setup)
{
	struct vd_vu_inflight_area *area = &backend->inflight;
	struct vd_vu_vring *vring = &backend->vrings[index];
	unsigned char *region;
	int err;

	if (area->base == NULL)
		return 0;
	if (index >= area->num_queues || vring->num > area->queue_size)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_SIZE, index, vring->num,
				  area->queue_size);
	region = (unsigned char *)area->base + index * vd_vu_inflight_region_size(area->queue_size);
	err = vd_vu_inflight_open(&vring->inflight, layout_of(backend), region,
				  (uint16_t)vring->num, &setup->ring, &setup->position,
				  &backend->fault);
	backend->fault.value[0] = err == -VD_EPROTO ? index : backend->fault.value[0];
	if (err == 0)
		setup->journal = &vring->inflight.journal;
	return err;
}

/*
 * Does the front end say how far its driver is? Without STATUS it can't. With it QEMU 7.2 tells of
 * FEATURES_OK and, for devices like vhost-user-rng, of nothing else (hw/virtio/vhost-user.c,
 * vhost_user_set_features()): a driver's status begins with ACKNOWLEDGE.
 */
static bool relays_status(const struct vd_vu_backend *backend)
{
	return vd_vu_has(backend, VD_VU_F_STATUS) && backend->relays_status;
}

/* If it does not, the features are final when the first queue comes. */
static int accept_features(struct vd_vu_backend *backend)
{
	struct vd_device *dev = backend->dev;
	uint64_t features = backend->features & ~VD_BIT(VD_VU_FEATURE_PROTOCOL);

	if (relays_status(backend))
		return 0;
	if (vd_device_set_features(dev, features) != 0)
		return vd_vu_fail(backend, VD_FAULT_FEATURES_FROZEN, features, 0, 0);
	if (dev->status & VD_STATUS_FEATURES_OK)
		return 0;
	vd_device_set_status(dev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK);
	if (dev->status & VD_STATUS_FEATURES_OK)
		return 0;
	return vd_vu_fail(backend, dev->fault.code, dev->fault.value[0], dev->fault.value[1], 0);
}

/* The driver shows that it is ready by notifying us, or by buffers that are there from the start.
 */
static void infer_driver_ok(struct vd_vu_backend *backend)
{
	if (!relays_status(backend) && !backend->dev->running)
		vd_device_set_status(backend->dev, backend->dev->status | VD_STATUS_DRIVER_OK);
}

static int hand_over(struct vd_vu_backend *backend, uint16_t index,
		     const struct vd_queue_setup *setup)
{
	struct vd_device *dev = backend->dev;
	int err = vd_device_queue_enable(dev, index, setup);

	if (err != 0)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_POSITION, index, setup->position.avail,
				  setup->position.used);
	backend->vrings[index].active = true;
	if (vd_vq_dev_ready(&dev->queues[index].vq)) {
		infer_driver_ok(backend);
		vd_vu_kick_later(backend, index);
	}
	/* Whoever served the queue before may have died between publishing and notifying. */
	if (setup->position.avail != vd_ring_start(layout_of(backend)).avail)
		vd_vu_vring_call(backend, index);
	return 0;
}

static int activate(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];
	struct vd_queue_setup setup = {.size = (uint16_t)vring->num};
	int err = accept_features(backend);

	if (err == 0 && vring->num > backend->dev->queues[index].size_max)
		err = vd_vu_fail(backend, VD_FAULT_QUEUE_SIZE, index, vring->num,
				 backend->dev->queues[index].size_max);
	if (err == 0)
		err = find_ring(backend, index, &setup.ring);
	if (err != 0)
		return err;
	setup.big_endian = is_big_endian(backend, vring);
	setup.position = position_of(backend, index, &setup.ring);
	err = open_journal(backend, index, &setup);
	if (err == 0)
		err = hand_over(backend, index, &setup);
	if (err != 0)
		vd_vu_inflight_close(&vring->inflight);
	return err;
}

void vd_vu_vring_deactivate(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];
	struct vd_ring_position position;

	if (!vring->active)
		return;
	vring->active = false;
	if (backend->dev->queues[index].enabled) {
		vd_device_queue_disable(backend->dev, index, &position);
		vring->base = base_of(backend, position);
	}
	vd_vu_inflight_close(&vring->inflight);
}

static bool any_is_active(const struct vd_vu_backend *backend)
{
	for (uint16_t i = 0; i < backend->dev->n_queues; i++)
		if (backend->vrings[i].active)
			return true;
	return false;
}

int vd_vu_vring_update(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];
	bool wanted = vring->started && vring->enabled && vring->num > 0 && vring->has_addr;

	if (wanted == vring->active)
		return 0;
	if (wanted)
		return activate(backend, index);
	vd_vu_vring_deactivate(backend, index);
	/* A driver that went away silently can only be told from all its queues being gone. */
	if (!relays_status(backend) && !any_is_active(backend))
		vd_device_reset(backend->dev);
	return 0;
}

int vd_vu_vrings_relocate(struct vd_vu_backend *backend)
{
	for (uint16_t i = 0; i < backend->dev->n_queues; i++) {
		struct vd_ring_mem ring;
		int err;

		if (!backend->vrings[i].active)
			continue;
		err = find_ring(backend, i, &ring);
		if (err != 0)
			return err;
		vd_device_queue_move(backend->dev, i, &ring);
	}
	return 0;
}

void vd_vu_vring_kicked(struct vd_vu_backend *backend, uint16_t index)
{
	if (!backend->vrings[index].active)
		return;
	infer_driver_ok(backend);
	if (vd_device_kick(backend->dev, vd_notification(index, 0)))
		vd_vu_kick_later(backend, index);
}

void vd_vu_vring_reset(struct vd_vu_backend *backend, uint16_t index)
{
	struct vd_vu_vring *vring = &backend->vrings[index];

	vd_vu_unwatch_kick(backend, index);
	vd_doorbell_close(&vring->kick);
	vd_doorbell_close(&vring->call);
	vd_doorbell_close(&vring->err);
	vd_vu_inflight_close(&vring->inflight);
	*vring = (struct vd_vu_vring){.kick.fd = -1, .call.fd = -1, .err.fd = -1};
}
