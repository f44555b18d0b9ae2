/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a queue, whatever its layout: see viaduct/vq_drv.h. */
#include "viaduct/vq_drv.h"

#include "ring/drv.h"
#include "ring/event.h"

#include <string.h>

/* The most one buffer may describe, VIRTIO 1.4, 2.7.5.2. */
#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

int vd_vq_drv_fail(struct vd_vq_drv *vq, enum vd_fault_code code, uint64_t a, uint64_t b,
		   uint64_t c)
{
	if (vq->fault.code == VD_FAULT_NONE)
		vq->fault = (struct vd_fault){.code = code, .value = {a, b, c}};
	return -VD_EPROTO;
}

void vd_vq_drv_break(struct vd_vq_drv *vq, const struct vd_fault *fault)
{
	(void)vd_vq_drv_fail(vq, fault->code, fault->value[0], fault->value[1], fault->value[2]);
}

static bool wants(uint64_t features, unsigned bit)
{
	return features & VD_BIT(bit);
}

size_t vd_vq_drv_state_size(const struct vd_vq_drv_ops *layout, uint32_t size)
{
	struct vd_ring_parts parts;

	return vd_ring_parts(layout->layout, size, &parts) == 0 ? layout->state_size(size) : 0;
}

static bool is_aligned(const void *p, size_t align)
{
	return p != NULL && (uintptr_t)p % align == 0;
}

static bool config_is_sound(const struct vd_vq_drv_config *config,
			    const struct vd_ring_parts *parts)
{
	return is_aligned(config->ring.desc, parts->desc.align) &&
	       is_aligned(config->ring.driver, parts->driver.align) &&
	       is_aligned(config->ring.device, parts->device.align) && config->mem != NULL &&
	       is_aligned(config->state, 8) &&
	       config->state_size >= vd_vq_drv_state_size(config->layout, config->size) &&
	       (config->tables == NULL || is_aligned(config->tables, VD_DESC_SIZE));
}

int vd_vq_drv_init(struct vd_vq_drv *vq, const struct vd_vq_drv_config *config)
{
	struct vd_ring_parts parts;

	if (vd_ring_parts(config->layout->layout, config->size, &parts) != 0 ||
	    !config_is_sound(config, &parts))
		return -VD_EINVAL;
	*vq = (struct vd_vq_drv){
		.ops = config->layout,
		.mem = config->mem,
		.ring = config->ring,
		.size = config->size,
		.chain_max = config->chain_max != 0 && config->chain_max < config->size
				     ? config->chain_max
				     : config->size,
		.swap = config->big_endian != vd_host_is_big_endian(),
		.event_idx = wants(config->features, VD_F_EVENT_IDX),
		.in_order = wants(config->features, VD_F_IN_ORDER),
		.strict_len = wants(config->features, VD_F_VERSION_1),
		.num_free = config->size,
	};
	if (config->tables != NULL && wants(config->features, VD_F_INDIRECT_DESC)) {
		int err = vd_mem_peer(config->mem, config->tables,
				      vd_vq_drv_tables_size(config->size, config->table_entries),
				      VD_MEM_READ, &vq->tables_peer);

		if (err != 0)
			return err;
		vq->tables = config->tables;
		vq->table_entries = config->table_entries;
	}
	memset(config->ring.desc, 0, parts.desc.size);
	memset(config->ring.driver, 0, parts.driver.size);
	memset(config->ring.device, 0, parts.device.size);
	memset(config->state, 0, config->layout->state_size(config->size));
	vq->ops->init(vq, config->state);
	return 0;
}

/* Can the device reach every segment, and are they not too many bytes together? */
static int check_segments(struct vd_vq_drv *vq, struct vd_request *request)
{
	uint64_t bytes = 0;

	for (unsigned n = 0; n < request->count; n++) {
		const struct vd_iov *segment = &request->segments[n];
		uint32_t rights = n < request->n_out ? VD_MEM_READ : VD_MEM_WRITE;
		uint64_t addr;
		int err;

		if (segment->len == 0)
			return -VD_EINVAL;
		if (segment->len > UINT32_MAX || (bytes += segment->len) > CHAIN_BYTES_MAX)
			return -VD_E2BIG;
		err = vd_mem_peer_hint(vq->mem, segment->base, segment->len, rights, &addr,
				       &vq->hint);
		if (err != 0)
			return err;
		if (n == 0)
			request->first_addr = addr;
		if (n >= request->n_out)
			request->in_len += segment->len;
	}
	return 0;
}

/* One segment. */
static inline int add_plain(struct vd_vq_drv *vq, const struct vd_iov *segment, bool write,
			    void *token)
{
	struct vd_plain plain = {
		.token = token,
		.len = (uint32_t)segment->len,
		.flags = write ? VD_DESC_WRITE : 0,
	};
	int err;

	if (vd_unlikely(vq->num_free == 0))
		return -VD_ENOSPC;
	if (vd_unlikely(segment->len != plain.len || plain.len == 0))
		return plain.len == 0 && segment->len == 0 ? -VD_EINVAL : -VD_E2BIG;
	err = vd_mem_peer_hint(vq->mem, segment->base, segment->len,
			       write ? VD_MEM_WRITE : VD_MEM_READ, &plain.addr, &vq->hint);
	if (vd_likely(err == 0))
		vq->ops->add_plain(vq, &plain);
	return err;
}

/* Several. */
static int add_many(struct vd_vq_drv *vq, struct vd_request *request)
{
	int err;

	request->indirect = request->count <= vq->table_entries;
	if (vd_request_descs(request) > vq->num_free)
		return -VD_ENOSPC;
	err = check_segments(vq, request);
	if (err == 0)
		vq->ops->add(vq, request);
	return err;
}

int vd_vq_drv_add(struct vd_vq_drv *vq, const struct vd_iov *segments, unsigned n_out,
		  unsigned n_in, void *token)
{
	struct vd_request request;

	if (vd_unlikely(vd_vq_drv_is_broken(vq)))
		return -VD_EPROTO;
	if (vd_likely((n_out | n_in) == 1 && n_out != n_in))
		return add_plain(vq, segments, n_in, token);
	if (n_out > vq->chain_max || n_in > vq->chain_max - n_out)
		return -VD_E2BIG;
	if (n_out + n_in == 0)
		return -VD_EINVAL;
	request = (struct vd_request){
		.segments = segments,
		.n_out = n_out,
		.count = n_out + n_in,
		.token = token,
	};
	return add_many(vq, &request);
}

void vd_vq_drv_publish(struct vd_vq_drv *vq)
{
	if (vq->added == 0 || vd_vq_drv_is_broken(vq))
		return;
	vq->ops->publish(vq);
	vq->shown = vq->avail;
	vq->moved = vd_add_capped(vq->moved, vq->added);
	vq->added = 0;
}

bool vd_vq_drv_need_kick(struct vd_vq_drv *vq)
{
	return !vd_vq_drv_is_broken(vq) && vq->ops->need_kick(vq);
}

bool vd_vq_drv_kick(struct vd_vq_drv *vq)
{
	vd_vq_drv_publish(vq);
	return vq->moved > 0 && vd_vq_drv_need_kick(vq);
}

uint32_t vd_vq_drv_notification(const struct vd_vq_drv *vq, uint16_t index)
{
	return vd_notification(index, vq->shown);
}

int vd_buf_bad_len(struct vd_vq_drv *vq, uint32_t id, uint32_t *len)
{
	uint32_t room = vd_buf(vq, (uint16_t)id)->in_len;

	/* Devices in the field (OpenAMP, kvmtool) report what they read as written. Of a buffer in
	 * which nothing can have been written that does no harm; of others it would, so there only
	 * legacy devices are forgiven. */
	if (vq->strict_len && room > 0)
		return vd_vq_drv_fail(vq, VD_FAULT_USED_LEN, id, *len, room);
	*len = room;
	return 0;
}

int vd_vq_drv_get(struct vd_vq_drv *vq, struct vd_used *used)
{
	if (vd_vq_drv_is_broken(vq))
		return -VD_EPROTO;
	return vq->ops->get(vq, used);
}

bool vd_vq_drv_ready(struct vd_vq_drv *vq)
{
	return !vd_vq_drv_is_broken(vq) && vq->ops->ready(vq);
}

static bool enable_cb(struct vd_vq_drv *vq, uint16_t after)
{
	if (vd_vq_drv_is_broken(vq))
		return false;
	vq->ops->enable_cb(vq, after);
	return vq->ops->ready(vq);
}

bool vd_vq_drv_enable_cb(struct vd_vq_drv *vq)
{
	return enable_cb(vq, 0);
}

bool vd_vq_drv_enable_cb_delayed(struct vd_vq_drv *vq)
{
	return enable_cb(vq, (uint16_t)(vq->ops->with_device(vq) * 3u / 4u));
}

void vd_vq_drv_disable_cb(struct vd_vq_drv *vq)
{
	if (!vd_vq_drv_is_broken(vq))
		vq->ops->disable_cb(vq);
}

int vd_vq_drv_detach(struct vd_vq_drv *vq, void **token)
{
	for (uint16_t id = 0; vq->outstanding > 0 && id < vq->size; id++) {
		const struct vd_buf *buf = vd_buf(vq, id);

		if (buf->n_desc == 0)
			continue;
		*token = buf->token;
		vq->ops->forget(vq, id);
		vq->added = 0; /* nothing of this will be published */
		return 1;
	}
	return 0;
}
