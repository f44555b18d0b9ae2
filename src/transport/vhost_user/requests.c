/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the front end asks for. The table at the end has a row for each request: what it must look
 * like, what must have been negotiated for it, and who handles it; nothing reaches a handler that
 * does not fit its row. Source: vhost-user.rst, "Front-end message types".
 */
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"

#include <string.h>
#include <unistd.h>

/* The answer a handler gives, if its request has one of its own. */
struct reply {
	const void *payload; /* NULL: none */
	uint32_t size;
	int fd; /* goes with it, and is closed then; or -1 */
};

/*
 * A handler returns 0; a negative error, for which the connection ends (vd_vu_fail() has said why);
 * or 1: the request was understood and could not be met. The front end hears of that if it asked
 * for an acknowledgement.
 */
typedef int handler(struct vd_vu_backend *backend, struct vd_vu_message *message,
		    struct reply *reply);

/* ---- helpers ---- */

/* The payload is aligned for whatever it holds. */
static void *payload_of(struct vd_vu_message *message)
{
	return message->payload;
}

static const struct vd_vu_state *state_of(struct vd_vu_message *message)
{
	return payload_of(message);
}

static uint64_t u64_of(const struct vd_vu_message *message)
{
	uint64_t value;

	memcpy(&value, message->payload, sizeof(value));
	return value;
}

/* Answer with the number @value, which is stored in the message that asked. */
static int reply_u64(struct vd_vu_message *message, struct reply *reply, uint64_t value)
{
	memcpy(message->payload, &value, sizeof(value));
	*reply = (struct reply){.payload = message->payload, .size = sizeof(value), .fd = -1};
	return 0;
}

static int bad_value(struct vd_vu_backend *backend, const struct vd_vu_message *message,
		     uint64_t value)
{
	return vd_vu_fail(backend, VD_FAULT_VU_VALUE, message->header.request, value, 0);
}

static int bad_order(struct vd_vu_backend *backend, const struct vd_vu_message *message)
{
	return vd_vu_fail(backend, VD_FAULT_VU_ORDER, message->header.request, 0, 0);
}

/* The queue a message is about, or NULL if there is none (and the connection is to end). */
static struct vd_vu_vring *vring_at(struct vd_vu_backend *backend, uint64_t index)
{
	if (index < backend->dev->n_queues)
		return &backend->vrings[index];
	(void)vd_vu_fail(backend, VD_FAULT_QUEUE_RANGE, index, backend->dev->n_queues, 0);
	return NULL;
}

/* Take over the only file descriptor of a message. */
static int take_fd(struct vd_vu_message *message)
{
	int fd = message->fds[0];

	message->fds[0] = -1;
	return fd;
}

/* ---- features ---- */

static int get_features(struct vd_vu_backend *backend, struct vd_vu_message *message,
			struct reply *reply)
{
	return reply_u64(message, reply,
			 vd_device_offered(backend->dev) | VD_BIT(VD_VU_FEATURE_PROTOCOL));
}

static bool any_is_active(const struct vd_vu_backend *backend)
{
	for (uint16_t i = 0; i < backend->dev->n_queues; i++)
		if (backend->vrings[i].active)
			return true;
	return false;
}

/* Without protocol features there is no ENABLE, and every ring counts as enabled. */
static int enable_all(struct vd_vu_backend *backend)
{
	int err = 0;

	for (uint16_t i = 0; err == 0 && i < backend->dev->n_queues; i++) {
		backend->vrings[i].enabled = true;
		err = vd_vu_vring_update(backend, i);
	}
	return err;
}

static int set_features(struct vd_vu_backend *backend, struct vd_vu_message *message,
			struct reply *reply)
{
	uint64_t features = u64_of(message);
	uint64_t own = features & ~VD_BIT(VD_VU_FEATURE_PROTOCOL);
	struct vd_fault fault;

	(void)reply;
	if (vd_features_check(backend->dev->type, vd_device_offered(backend->dev), own, &fault) !=
	    0)
		return vd_vu_fail(backend, fault.code, fault.value[0], fault.value[1], 0);
	if (features != backend->features && any_is_active(backend))
		return vd_vu_fail(backend, VD_FAULT_FEATURES_FROZEN, features, 0, 0);
	backend->features = features;
	if (vd_device_set_features(backend->dev, own) != 0)
		return vd_vu_fail(backend, VD_FAULT_FEATURES_FROZEN, features, 0, 0);
	if (!(features & VD_BIT(VD_VU_FEATURE_PROTOCOL)))
		return enable_all(backend);
	return 0;
}

static int get_protocol_features(struct vd_vu_backend *backend, struct vd_vu_message *message,
				 struct reply *reply)
{
	return reply_u64(message, reply, backend->config.protocol_features);
}

static int set_protocol_features(struct vd_vu_backend *backend, struct vd_vu_message *message,
				 struct reply *reply)
{
	uint64_t features = u64_of(message);
	uint64_t inband_needs = VD_BIT(VD_VU_F_REPLY_ACK) | VD_BIT(VD_VU_F_BACKEND_REQ);

	(void)reply;
	if ((features & ~backend->config.protocol_features) ||
	    ((features & VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS)) &&
	     (features & inband_needs) != inband_needs))
		return vd_vu_fail(backend, VD_FAULT_VU_PROTOCOL_FEATURES, features, 0, 0);
	if (any_is_active(backend))
		return bad_order(backend, message);
	backend->protocol_features = features;
	return 0;
}

/* ---- owner, status, reset ---- */

static int nothing(struct vd_vu_backend *backend, struct vd_vu_message *message,
		   struct reply *reply)
{
	(void)backend;
	(void)message;
	(void)reply;
	return 0;
}

/* Deprecated; what is left of it is to disable all rings. */
static int reset_owner(struct vd_vu_backend *backend, struct vd_vu_message *message,
		       struct reply *reply)
{
	int err = 0;

	(void)message;
	(void)reply;
	for (uint16_t i = 0; err == 0 && i < backend->dev->n_queues; i++) {
		backend->vrings[i].enabled = false;
		err = vd_vu_vring_update(backend, i);
	}
	return err;
}

/* The device was reset: no ring works until it is set up again. */
static void stop_all(struct vd_vu_backend *backend)
{
	for (uint16_t i = 0; i < backend->dev->n_queues; i++) {
		vd_vu_vring_deactivate(backend, i);
		backend->vrings[i].started = false;
	}
}

static int set_status(struct vd_vu_backend *backend, struct vd_vu_message *message,
		      struct reply *reply)
{
	uint64_t status = u64_of(message);

	(void)reply;
	if (status > UINT8_MAX)
		return bad_value(backend, message, status);
	if (status & (VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER))
		backend->relays_status = true;
	vd_device_set_status(backend->dev, (uint8_t)status);
	if (status == 0)
		stop_all(backend);
	return 0;
}

static int get_status(struct vd_vu_backend *backend, struct vd_vu_message *message,
		      struct reply *reply)
{
	return reply_u64(message, reply, vd_device_status(backend->dev));
}

static int reset_device(struct vd_vu_backend *backend, struct vd_vu_message *message,
			struct reply *reply)
{
	(void)message;
	(void)reply;
	vd_device_reset(backend->dev);
	stop_all(backend);
	for (uint16_t i = 0; i < backend->dev->n_queues; i++)
		backend->vrings[i].enabled = false;
	return 0;
}

/* ---- memory ---- */

static int set_mem_table(struct vd_vu_backend *backend, struct vd_vu_message *message,
			 struct reply *reply)
{
	const struct vd_vu_mem_table *table = payload_of(message);
	size_t fits = (message->header.size - offsetof(struct vd_vu_mem_table, region)) /
		      sizeof(table->region[0]);
	int err;

	(void)reply;
	if (table->count > VD_VU_FDS_MAX || table->count > fits)
		return bad_value(backend, message, table->count);
	if (table->count != message->n_fds)
		return vd_vu_fail(backend, VD_FAULT_VU_FDS, message->header.request, message->n_fds,
				  table->count);
	vd_device_pause(backend->dev);
	err = vd_vu_memory_replace(&backend->memory, table->region, message->fds, table->count,
				   &backend->fault);
	if (err == 0)
		err = vd_vu_vrings_relocate(backend);
	if (err == 0)
		vd_device_unpause(backend->dev);
	return err;
}

static int get_max_mem_slots(struct vd_vu_backend *backend, struct vd_vu_message *message,
			     struct reply *reply)
{
	(void)backend;
	return reply_u64(message, reply, VD_VU_SLOTS_MAX);
}

static const struct vd_vu_region_desc *region_of(struct vd_vu_message *message)
{
	const struct vd_vu_mem_reg *payload = payload_of(message);

	return &payload->region;
}

static int add_mem_reg(struct vd_vu_backend *backend, struct vd_vu_message *message,
		       struct reply *reply)
{
	int err = vd_vu_memory_add(&backend->memory, region_of(message), message->fds[0],
				   &backend->fault);

	(void)reply;
	return err == -VD_ENOSPC || err == -VD_ENOMEM ? 1 : err;
}

static int rem_mem_reg(struct vd_vu_backend *backend, struct vd_vu_message *message,
		       struct reply *reply)
{
	const struct vd_vu_region_desc *region = region_of(message);
	int err;

	(void)reply;
	vd_device_pause(backend->dev);
	if (vd_vu_memory_remove(&backend->memory, region) != 0)
		return vd_vu_fail(backend, VD_FAULT_VU_REGION, backend->memory.count,
				  region->guest_addr, region->size);
	err = vd_vu_vrings_relocate(backend);
	if (err == 0)
		vd_device_unpause(backend->dev);
	return err;
}

/* ---- queues ---- */

/* A parameter of a queue changes: it stops being used, and is used again when all is there. */
static int set_vring_num(struct vd_vu_backend *backend, struct vd_vu_message *message,
			 struct reply *reply)
{
	const struct vd_vu_state *state = state_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	if (state->num == 0 || state->num > backend->dev->queues[state->index].size_max)
		return vd_vu_fail(backend, VD_FAULT_QUEUE_SIZE, state->index, state->num,
				  backend->dev->queues[state->index].size_max);
	vd_vu_vring_deactivate(backend, (uint16_t)state->index);
	vring->num = state->num;
	return vd_vu_vring_update(backend, (uint16_t)state->index);
}

static int set_vring_addr(struct vd_vu_backend *backend, struct vd_vu_message *message,
			  struct reply *reply)
{
	const struct vd_vu_addr *addr = payload_of(message);
	struct vd_vu_vring *vring = vring_at(backend, addr->index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	/* Logging of writes for migration was not offered. */
	if (addr->flags != 0)
		return bad_value(backend, message, addr->flags);
	vd_vu_vring_deactivate(backend, (uint16_t)addr->index);
	vring->addr = *addr;
	vring->has_addr = true;
	return vd_vu_vring_update(backend, (uint16_t)addr->index);
}

static int set_vring_base(struct vd_vu_backend *backend, struct vd_vu_message *message,
			  struct reply *reply)
{
	const struct vd_vu_state *state = state_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	vd_vu_vring_deactivate(backend, (uint16_t)state->index);
	vring->base = state->num;
	return vd_vu_vring_update(backend, (uint16_t)state->index);
}

static int get_vring_base(struct vd_vu_backend *backend, struct vd_vu_message *message,
			  struct reply *reply)
{
	struct vd_vu_state *state = payload_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);
	int err;

	if (vring == NULL)
		return -VD_EPROTO;
	vring->started = false;
	err = vd_vu_vring_update(backend, (uint16_t)state->index);
	state->num = vring->base;
	*reply = (struct reply){.payload = state, .size = sizeof(*state), .fd = -1};
	return err;
}

static int set_vring_enable(struct vd_vu_backend *backend, struct vd_vu_message *message,
			    struct reply *reply)
{
	const struct vd_vu_state *state = state_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	if (!(backend->features & VD_BIT(VD_VU_FEATURE_PROTOCOL)))
		return bad_order(backend, message);
	if (state->num > 1)
		return bad_value(backend, message, state->num);
	vring->enabled = state->num;
	return vd_vu_vring_update(backend, (uint16_t)state->index);
}

static int set_vring_endian(struct vd_vu_backend *backend, struct vd_vu_message *message,
			    struct reply *reply)
{
	const struct vd_vu_state *state = state_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	if (state->num > 1)
		return bad_value(backend, message, state->num);
	if (vring->active)
		return bad_order(backend, message);
	vring->big_endian = state->num;
	vd_device_set_legacy_order(backend->dev, vring->big_endian);
	return 0;
}

/* The number in SET_VRING_KICK, _CALL and _ERR names a queue, and says whether a descriptor is
 * there. */
static struct vd_vu_vring *vring_of_fd(struct vd_vu_backend *backend,
				       const struct vd_vu_message *message, uint16_t *index)
{
	uint64_t value = u64_of(message);
	unsigned expected = value & VD_VU_VRING_NO_FD ? 0 : 1;

	if (value & ~(uint64_t)(VD_VU_VRING_INDEX_MASK | VD_VU_VRING_NO_FD)) {
		(void)bad_value(backend, message, value);
		return NULL;
	}
	if (message->n_fds != expected) {
		(void)vd_vu_fail(backend, VD_FAULT_VU_FDS, message->header.request, message->n_fds,
				 expected);
		return NULL;
	}
	*index = value & VD_VU_VRING_INDEX_MASK;
	return vring_at(backend, *index);
}

/* Take over the doorbell that a message brings, or its absence. */
static int take_bell(struct vd_vu_backend *backend, struct vd_vu_message *message,
		     struct vd_doorbell *bell)
{
	int err = vd_doorbell_set(bell, message->n_fds > 0 ? take_fd(message) : -1);

	return err == 0 ? 0 : vd_vu_fail(backend, VD_FAULT_VU_IO, (uint64_t)-err, 0, 0);
}

static int set_vring_kick(struct vd_vu_backend *backend, struct vd_vu_message *message,
			  struct reply *reply)
{
	uint16_t index;
	struct vd_vu_vring *vring = vring_of_fd(backend, message, &index);
	int err;

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	vd_vu_unwatch_kick(backend, index);
	err = take_bell(backend, message, &vring->kick);
	if (err == 0)
		err = vd_vu_watch_kick(backend, index);
	if (err != 0)
		return err;
	vring->polled = !vd_doorbell_exists(&vring->kick) &&
			!vd_vu_has(backend, VD_VU_F_INBAND_NOTIFICATIONS);
	vring->started = true;
	err = vd_vu_vring_update(backend, index);
	/* A kick may have gone to the descriptor before. But an empty ring shows no driver yet. */
	if (err == 0 && vring->active && vd_vq_dev_ready(&backend->dev->queues[index].vq))
		vd_vu_kick_later(backend, index);
	return err;
}

static int set_vring_call(struct vd_vu_backend *backend, struct vd_vu_message *message,
			  struct reply *reply)
{
	uint16_t index;
	struct vd_vu_vring *vring = vring_of_fd(backend, message, &index);
	int err;

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	err = take_bell(backend, message, &vring->call);
	/* What was signalled before may have gone nowhere, or to nobody who still listens. */
	if (err == 0 && vring->active)
		vd_doorbell_ring(&vring->call);
	return err;
}

static int set_vring_err(struct vd_vu_backend *backend, struct vd_vu_message *message,
			 struct reply *reply)
{
	uint16_t index;
	struct vd_vu_vring *vring = vring_of_fd(backend, message, &index);

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	return take_bell(backend, message, &vring->err);
}

static int vring_kick(struct vd_vu_backend *backend, struct vd_vu_message *message,
		      struct reply *reply)
{
	const struct vd_vu_state *state = state_of(message);
	struct vd_vu_vring *vring = vring_at(backend, state->index);
	int err;

	(void)reply;
	if (vring == NULL)
		return -VD_EPROTO;
	vring->started = true;
	err = vd_vu_vring_update(backend, (uint16_t)state->index);
	if (err == 0)
		vd_vu_vring_kicked(backend, (uint16_t)state->index);
	return err;
}

static int get_queue_num(struct vd_vu_backend *backend, struct vd_vu_message *message,
			 struct reply *reply)
{
	return reply_u64(message, reply, backend->dev->n_queues);
}

/* ---- configuration space ---- */

static int get_config(struct vd_vu_backend *backend, struct vd_vu_message *message,
		      struct reply *reply)
{
	struct vd_vu_config *config = payload_of(message);

	if (config->size != message->header.size - sizeof(*config))
		return bad_value(backend, message, config->size);
	*reply = (struct reply){.payload = config, .size = message->header.size, .fd = -1};
	/* An empty answer is how an error is told. */
	if (vd_device_config_read(backend->dev, config->offset, config->bytes, config->size) != 0)
		reply->size = 0;
	return 0;
}

static int set_config(struct vd_vu_backend *backend, struct vd_vu_message *message,
		      struct reply *reply)
{
	const struct vd_vu_config *config = payload_of(message);
	int err;

	(void)reply;
	if (config->size != message->header.size - sizeof(*config))
		return bad_value(backend, message, config->size);
	if (config->flags & ~(uint32_t)VD_VU_CONFIG_MIGRATION)
		return bad_value(backend, message, config->flags);
	if (config->flags & VD_VU_CONFIG_MIGRATION)
		err = vd_device_config_update(backend->dev, config->offset, config->bytes,
					      config->size);
	else
		err = vd_device_config_write(backend->dev, config->offset, config->bytes,
					     config->size);
	return err == 0 ? 0 : 1;
}

/* ---- our own requests ---- */

static int set_backend_req_fd(struct vd_vu_backend *backend, struct vd_vu_message *message,
			      struct reply *reply)
{
	(void)reply;
	vd_vu_set_backend_req(backend, take_fd(message));
	return 0;
}

/* ---- in-flight tracking ---- */

static int check_inflight(struct vd_vu_backend *backend, const struct vd_vu_message *message,
			  const struct vd_vu_inflight_desc *desc)
{
	if (desc->num_queues == 0 || desc->num_queues > backend->dev->n_queues)
		return bad_value(backend, message, desc->num_queues);
	if (desc->queue_size == 0 || desc->queue_size > VD_RING_SIZE_MAX)
		return bad_value(backend, message, desc->queue_size);
	return any_is_active(backend) ? bad_order(backend, message) : 0;
}

static int get_inflight_fd(struct vd_vu_backend *backend, struct vd_vu_message *message,
			   struct reply *reply)
{
	struct vd_vu_inflight_desc *desc = payload_of(message);
	int err = check_inflight(backend, message, desc);
	int fd;

	if (err != 0)
		return err;
	fd = vd_vu_inflight_area_create(&backend->inflight, desc->num_queues, desc->queue_size);
	if (fd < 0)
		return vd_vu_fail(backend, VD_FAULT_VU_IO, (uint64_t)-fd, 0, 0);
	desc->mmap_size = backend->inflight.size;
	desc->mmap_offset = 0;
	*reply = (struct reply){.payload = desc, .size = message->header.size, .fd = fd};
	return 0;
}

static int set_inflight_fd(struct vd_vu_backend *backend, struct vd_vu_message *message,
			   struct reply *reply)
{
	const struct vd_vu_inflight_desc *desc = payload_of(message);
	int err = check_inflight(backend, message, desc);

	(void)reply;
	if (err != 0)
		return err;
	if (vd_vu_inflight_area_open(&backend->inflight, message->fds[0], desc) != 0)
		return bad_value(backend, message, desc->mmap_size);
	return 0;
}

/* ---- the table ---- */

#define ANY_FEATURE 0xff

struct row {
	uint16_t size_min; /* payload */
	uint16_t size_max;
	uint8_t fds_min;
	uint8_t fds_max;
	uint8_t needs; /* protocol feature, or ANY_FEATURE */
	handler *handle;
};

#define U64    sizeof(uint64_t), sizeof(uint64_t)
#define STATE  sizeof(struct vd_vu_state), sizeof(struct vd_vu_state)
#define ADDR   sizeof(struct vd_vu_addr), sizeof(struct vd_vu_addr)
#define REGION sizeof(struct vd_vu_mem_reg), sizeof(struct vd_vu_mem_reg)
#define CONFIG sizeof(struct vd_vu_config), VD_VU_PAYLOAD_MAX
#define TABLE  offsetof(struct vd_vu_mem_table, region), sizeof(struct vd_vu_mem_table)
/* With or without the padding that the compiler of the front end put behind it. */
#define INFLIGHT                                                                                   \
	offsetof(struct vd_vu_inflight_desc, queue_size) + 2, sizeof(struct vd_vu_inflight_desc)

static const struct row rows[] = {
	[VD_VU_GET_FEATURES] = {0, 0, 0, 0, ANY_FEATURE, get_features},
	[VD_VU_SET_FEATURES] = {U64, 0, 0, ANY_FEATURE, set_features},
	[VD_VU_SET_OWNER] = {0, 0, 0, 0, ANY_FEATURE, nothing},
	[VD_VU_RESET_OWNER] = {0, 0, 0, 0, ANY_FEATURE, reset_owner},
	[VD_VU_SET_MEM_TABLE] = {TABLE, 0, VD_VU_FDS_MAX, ANY_FEATURE, set_mem_table},
	[VD_VU_SET_VRING_NUM] = {STATE, 0, 0, ANY_FEATURE, set_vring_num},
	[VD_VU_SET_VRING_ADDR] = {ADDR, 0, 0, ANY_FEATURE, set_vring_addr},
	[VD_VU_SET_VRING_BASE] = {STATE, 0, 0, ANY_FEATURE, set_vring_base},
	[VD_VU_GET_VRING_BASE] = {STATE, 0, 0, ANY_FEATURE, get_vring_base},
	[VD_VU_SET_VRING_KICK] = {U64, 0, 1, ANY_FEATURE, set_vring_kick},
	[VD_VU_SET_VRING_CALL] = {U64, 0, 1, ANY_FEATURE, set_vring_call},
	[VD_VU_SET_VRING_ERR] = {U64, 0, 1, ANY_FEATURE, set_vring_err},
	[VD_VU_GET_PROTOCOL_FEATURES] = {0, 0, 0, 0, ANY_FEATURE, get_protocol_features},
	[VD_VU_SET_PROTOCOL_FEATURES] = {U64, 0, 0, ANY_FEATURE, set_protocol_features},
	[VD_VU_GET_QUEUE_NUM] = {0, 0, 0, 0, VD_VU_F_MQ, get_queue_num},
	[VD_VU_SET_VRING_ENABLE] = {STATE, 0, 0, ANY_FEATURE, set_vring_enable},
	[VD_VU_SET_BACKEND_REQ_FD] = {0, 0, 1, 1, VD_VU_F_BACKEND_REQ, set_backend_req_fd},
	[VD_VU_SET_VRING_ENDIAN] = {STATE, 0, 0, VD_VU_F_CROSS_ENDIAN, set_vring_endian},
	[VD_VU_GET_CONFIG] = {CONFIG, 0, 0, VD_VU_F_CONFIG, get_config},
	[VD_VU_SET_CONFIG] = {CONFIG, 0, 0, VD_VU_F_CONFIG, set_config},
	[VD_VU_GET_INFLIGHT_FD] = {INFLIGHT, 0, 0, VD_VU_F_INFLIGHT_SHMFD, get_inflight_fd},
	[VD_VU_SET_INFLIGHT_FD] = {INFLIGHT, 1, 1, VD_VU_F_INFLIGHT_SHMFD, set_inflight_fd},
	[VD_VU_RESET_DEVICE] = {0, 0, 0, 0, VD_VU_F_RESET_DEVICE, reset_device},
	[VD_VU_VRING_KICK] = {STATE, 0, 0, VD_VU_F_INBAND_NOTIFICATIONS, vring_kick},
	[VD_VU_GET_MAX_MEM_SLOTS] = {0, 0, 0, 0, VD_VU_F_CONFIGURE_MEM_SLOTS, get_max_mem_slots},
	[VD_VU_ADD_MEM_REG] = {REGION, 1, 1, VD_VU_F_CONFIGURE_MEM_SLOTS, add_mem_reg},
	/* "For compatibility the back-end MAY accept messages with one file descriptor." */
	[VD_VU_REM_MEM_REG] = {REGION, 0, 1, VD_VU_F_CONFIGURE_MEM_SLOTS, rem_mem_reg},
	[VD_VU_SET_STATUS] = {U64, 0, 0, VD_VU_F_STATUS, set_status},
	[VD_VU_GET_STATUS] = {0, 0, 0, 0, VD_VU_F_STATUS, get_status},
};

static const struct row *row_of(const struct vd_vu_header *header)
{
	if (header->request >= sizeof(rows) / sizeof(rows[0]) ||
	    rows[header->request].handle == NULL)
		return NULL;
	return &rows[header->request];
}

/* Does the message fit its row? */
static int check(struct vd_vu_backend *backend, const struct vd_vu_message *message,
		 const struct row *row)
{
	const struct vd_vu_header *header = &message->header;

	if (row == NULL)
		return vd_vu_fail(backend, VD_FAULT_VU_REQUEST, header->request, 0, 0);
	if (row->needs != ANY_FEATURE && !vd_vu_has(backend, row->needs))
		return vd_vu_fail(backend, VD_FAULT_VU_UNNEGOTIATED, header->request, row->needs,
				  0);
	if (header->size < row->size_min || header->size > row->size_max)
		return vd_vu_fail(backend, VD_FAULT_VU_SIZE, header->request, header->size, 0);
	if (message->n_fds < row->fds_min || message->n_fds > row->fds_max)
		return vd_vu_fail(backend, VD_FAULT_VU_FDS, header->request, message->n_fds,
				  row->fds_max);
	return 0;
}

static int answer(struct vd_vu_backend *backend, const struct vd_vu_message *message,
		  const struct reply *reply)
{
	struct vd_vu_header header = {
		.request = message->header.request,
		.flags = VD_VU_VERSION | VD_VU_REPLY,
		.size = reply->size,
	};
	int err = vd_vu_send(backend->channel.sock, &header, reply->payload, reply->fd);

	if (reply->fd >= 0)
		close(reply->fd);
	return err == 0 ? 0 : vd_vu_fail(backend, VD_FAULT_VU_IO, (uint64_t)-err, 0, 0);
}

static bool wants_ack(const struct vd_vu_backend *backend, uint32_t flags)
{
	return vd_vu_has(backend, VD_VU_F_REPLY_ACK) && (flags & VD_VU_NEED_REPLY);
}

int vd_vu_handle(struct vd_vu_backend *backend)
{
	struct vd_vu_message *message = &backend->channel.in;
	const struct row *row = row_of(&message->header);
	struct reply reply = {.fd = -1};
	uint32_t flags = message->header.flags;
	int result;

	if (backend->config.trace != NULL)
		backend->config.trace(backend, message->header.request, flags, message->payload,
				      message->header.size, message->n_fds);
	result = check(backend, message, row);
	if (result == 0)
		result = row->handle(backend, message, &reply);
	if (result < 0)
		return result;
	/* SET_PROTOCOL_FEATURES may just have turned acknowledgements on: the flag decides. */
	if (reply.payload == NULL && wants_ack(backend, flags))
		(void)reply_u64(message, &reply, (uint64_t)result);
	return reply.payload != NULL ? answer(backend, message, &reply) : 0;
}
