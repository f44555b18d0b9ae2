/* SPDX-License-Identifier: BSD-3-Clause */
/* See rpmsg_driver.h. */
#include "rpmsg_driver.h"

#include "viaduct/errno.h"

#include <string.h>

struct rpmsg_driver side;

static struct vd_device *device(void)
{
	return &side.remote.dev;
}

/* ---- bytes ---- */

uint32_t fuzz_get32(const unsigned char *at)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (uint32_t)at[side.big_endian ? 3 - i : i] << (8 * i);
	return value;
}

void fuzz_put(unsigned char *at, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		at[side.big_endian ? bytes - 1 - i : i] = (unsigned char)(value >> (8 * i));
}

/* ---- memory ---- */

static void *exactly(size_t size)
{
	void *at = malloc(size); /* aligned to 16 */

	MUST(at != NULL);
	return memset(at, 0, size);
}

static void drop(void **at)
{
	free(*at);
	*at = NULL;
}

static uint32_t next_buffer_size(void)
{
	static const uint32_t sizes[] = {512, 512, 512, 64, 56, 48, 17, 16, 15, 1, 2048, 70000};

	if (side.size != 0)
		return side.size;
	return sizes[next_below(&side.program, sizeof(sizes) / sizeof(sizes[0]))];
}

static void make_buffers(struct fuzz_queue *queue)
{
	uint32_t size = next_buffer_size();

	for (unsigned i = 0; i < RPMSG_BUFFERS; i++) {
		struct fuzz_buffer *buffer = &queue->buffers[i];

		buffer->size = i % 4 == 3 ? next_buffer_size() : size;
		buffer->at = exactly(buffer->size);
		buffer->with_device = false;
	}
}

static void free_queue(struct fuzz_queue *queue)
{
	drop(&queue->ring.desc);
	drop(&queue->ring.driver);
	drop(&queue->ring.device);
	drop(&queue->state);
	drop(&queue->tables);
	for (unsigned i = 0; i < RPMSG_BUFFERS; i++) {
		free(queue->buffers[i].at);
		queue->buffers[i] = (struct fuzz_buffer){0};
	}
}

static struct fuzz_buffer *free_buffer(unsigned index)
{
	for (unsigned i = 0; i < RPMSG_BUFFERS; i++)
		if (!side.queues[index].buffers[i].with_device)
			return &side.queues[index].buffers[i];
	return NULL;
}

/* ---- queues ---- */

static void init_queue(struct fuzz_queue *queue)
{
	bool indirect = vd_device_has(device(), VD_F_INDIRECT_DESC);
	struct vd_vq_drv_config config = {
		.layout = side.packed ? &vd_packed_drv : &vd_split_drv,
		.size = queue->size,
		.features = device()->features,
		.big_endian = side.big_endian,
		.ring = queue->ring,
		.mem = &side.mem,
		.state = queue->state,
		.state_size = vd_vq_drv_state_size(side.packed ? &vd_packed_drv : &vd_split_drv,
						   queue->size),
		.tables = indirect ? queue->tables : NULL,
		.table_entries = indirect ? RPMSG_PIECES : 0,
	};

	MUST(vd_vq_drv_init(&queue->vq, &config) == 0);
}

static void make_queue(struct fuzz_queue *queue)
{
	enum vd_ring_layout layout = side.packed ? VD_RING_PACKED : VD_RING_SPLIT;
	struct vd_ring_parts parts;

	queue->size = (uint16_t)(side.config.queue_size >> next_below(&side.program, 2));
	MUST(vd_ring_parts(layout, queue->size, &parts) == 0);
	queue->ring.desc = exactly(parts.desc.size);
	queue->ring.driver = exactly(parts.driver.size);
	queue->ring.device = exactly(parts.device.size);
	queue->state = exactly(
		vd_vq_drv_state_size(side.packed ? &vd_packed_drv : &vd_split_drv, queue->size));
	queue->tables = exactly(vd_vq_drv_tables_size(queue->size, RPMSG_PIECES));
	queue->kick = false;
	init_queue(queue);
	make_buffers(queue);
}

static void enable_queue(unsigned index)
{
	struct fuzz_queue *queue = &side.queues[index];
	struct vd_queue_setup setup = {
		.size = queue->size,
		.big_endian = side.big_endian,
		.ring = queue->ring,
		.position = vd_ring_start(side.packed ? VD_RING_PACKED : VD_RING_SPLIT),
	};

	queue->enabled = true;
	MUST(vd_device_queue_enable(device(), (uint16_t)index, &setup) == 0);
}

/* ---- what came back ---- */

/* A buffer that goes back for its shape is left as it was. */
static void check_untouched(const struct fuzz_buffer *buffer)
{
	for (uint32_t i = 0; i < buffer->size; i++)
		MUST(buffer->at[i] == RPMSG_LEFT_ALONE);
}

static void take_message(const struct fuzz_buffer *buffer, uint32_t used)
{
	if (used == 0) {
		check_untouched(buffer);
		return;
	}
	MUST(used >= VD_RPMSG_HEADER_SIZE);
	if (fuzz_get32(buffer->at + 4) == VD_RPMSG_ADDR_ANY)
		return;
	side.received++;
	side.message(buffer->at, used);
}

static void take_one(unsigned index, const struct vd_used *used)
{
	struct fuzz_buffer *buffer = used->token;

	MUST(side.broke_rules || buffer->with_device);
	MUST(used->len <= buffer->size);
	buffer->with_device = false;
	if (index == VD_RPMSG_QUEUE_TX) {
		side.returned++;
		MUST(used->len == 0);
	} else if (!side.broke_rules) {
		take_message(buffer, used->len);
	}
}

void rpmsg_driver_take(unsigned index)
{
	struct fuzz_queue *queue = &side.queues[index];
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(&queue->vq, &used)) == 1)
		take_one(index, &used);
	/* The remote's end keeps the rules of rings, whatever it is sent. */
	MUST(got == 0 || side.broke_rules);
}

/* ---- traffic ---- */

static unsigned cut(unsigned char *at, uint32_t len, unsigned pieces, struct vd_iov *iov)
{
	if (pieces > len)
		pieces = len;
	for (unsigned i = 0; i < pieces; i++) {
		uint32_t size = i + 1 < pieces ? (i == 0 ? len / 2 : 1) : len;

		if (size > len - (pieces - 1 - i))
			size = len - (pieces - 1 - i);
		if (size == 0)
			size = 1;
		iov[i] = (struct vd_iov){.base = at, .len = size};
		at += size;
		len -= size;
	}
	return pieces;
}

/* Make the bytes of @all, which are @buffer's, available. */
static bool give(unsigned index, struct fuzz_buffer *buffer, struct vd_iov all, unsigned pieces,
		 unsigned n_out)
{
	struct vd_iov iov[RPMSG_PIECES];
	int err;

	pieces = cut(all.base, (uint32_t)all.len, pieces, iov);
	if (n_out > pieces)
		n_out = pieces;
	err = vd_vq_drv_add(&side.queues[index].vq, iov, n_out, pieces - n_out, buffer);
	MUST(err == 0 || err == -VD_ENOSPC || err == -VD_E2BIG || side.broke_rules);
	buffer->with_device = err == 0;
	return err == 0;
}

/* At the end of the buffer, so that nothing may be read behind it. */
struct fuzz_buffer *rpmsg_driver_send(const unsigned char *bytes, uint32_t len, unsigned pieces,
				      unsigned n_out)
{
	struct fuzz_buffer *buffer = free_buffer(VD_RPMSG_QUEUE_TX);
	struct vd_iov all;

	if (buffer == NULL || len == 0)
		return NULL;
	all.len = len < buffer->size ? len : buffer->size;
	all.base = buffer->at + buffer->size - all.len;
	memcpy(all.base, bytes, all.len);
	return give(VD_RPMSG_QUEUE_TX, buffer, all, pieces, n_out) ? buffer : NULL;
}

bool rpmsg_driver_post(uint32_t size, unsigned pieces, unsigned n_out)
{
	struct fuzz_buffer *buffer = free_buffer(VD_RPMSG_QUEUE_RX);
	struct vd_iov all;

	if (buffer == NULL || size == 0)
		return false;
	memset(buffer->at, RPMSG_LEFT_ALONE, buffer->size);
	all.len = size < buffer->size ? size : buffer->size;
	all.base = buffer->at;
	return give(VD_RPMSG_QUEUE_RX, buffer, all, pieces, n_out);
}

void rpmsg_driver_publish(unsigned index)
{
	struct fuzz_queue *queue = &side.queues[index];

	if (!side.suspended && vd_vq_drv_kick(&queue->vq))
		queue->kick = true;
}

void rpmsg_driver_notify(unsigned index)
{
	struct fuzz_queue *queue = &side.queues[index];

	if (!queue->kick)
		return;
	queue->kick = false;
	if (vd_device_kick(device(), vd_vq_drv_notification(&queue->vq, (uint16_t)index)))
		queue->kick = true;
}

/* ---- the transport ---- */

static void ignore_queue(struct vd_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
}

static void ignore_config(struct vd_device *dev)
{
	(void)dev;
}

static void kick_later(struct vd_device *dev, uint16_t index)
{
	(void)dev;
	side.queues[index].kick = true;
}

static const struct vd_device_transport_ops at_once = {.notify = ignore_queue,
						       .config_changed = ignore_config};
static const struct vd_device_transport_ops later = {
	.notify = ignore_queue, .config_changed = ignore_config, .kick_later = kick_later};

/* ---- checks ---- */

static void check_position(struct vd_ring_position position)
{
	MUST(side.broke_rules || position.avail == position.used);
}

/* The remote holds nothing: what it counted is what came. */
static void check_counts(void)
{
	const struct vd_rpmsg_stats *stats = &fuzz_link()->stats;

	rpmsg_driver_take(VD_RPMSG_QUEUE_RX);
	rpmsg_driver_take(VD_RPMSG_QUEUE_TX);
	if (side.broke_rules)
		return;
	MUST(stats->rx_messages + stats->rx_dropped ==
	     side.base.rx_messages + side.base.rx_dropped + side.returned);
	MUST(stats->tx_messages == side.base.tx_messages + side.received);
}

static void check_idle(void)
{
	check_counts();
	for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++)
		if (side.queues[i].enabled)
			check_position(vd_vq_dev_position(&device()->queues[i].vq));
}

/* ---- control ---- */

static void write_status(uint8_t bits)
{
	vd_device_set_status(device(), vd_device_status(device()) | bits);
}

/* Is the device in working order? */
static bool works(void)
{
	return (vd_device_status(device()) & VD_STATUS_DRIVER_OK) && device()->running;
}

static uint64_t next_features(void)
{
	static const uint8_t bits[] = {VD_F_VERSION_1,  VD_F_RING_PACKED,   VD_F_IN_ORDER,
				       VD_F_EVENT_IDX,  VD_F_INDIRECT_DESC, VD_RPMSG_F_NS,
				       VD_RPMSG_F_BUFSZ};
	uint64_t refused = 0;
	uint8_t choice = next_byte(&side.program);

	for (unsigned i = 0; i < sizeof(bits); i++)
		if (choice & 1u << i)
			refused |= VD_BIT(bits[i]);
	return vd_features_closed(&vd_rpmsg_type, vd_device_offered(device()) & ~refused);
}

static void negotiate(void)
{
	uint64_t features = next_features();

	vd_device_set_legacy_order(device(), next_byte(&side.program) & 1);
	write_status(VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
	MUST(vd_device_set_features(device(), features) == 0);
	if (vd_device_has(device(), VD_F_VERSION_1))
		write_status(VD_STATUS_FEATURES_OK);
	side.packed = vd_device_has(device(), VD_F_RING_PACKED);
	side.big_endian = device()->big_endian && !vd_device_has(device(), VD_F_VERSION_1);
}

void rpmsg_driver_start(void)
{
	negotiate();
	side.base = fuzz_link()->stats;
	side.returned = 0;
	side.received = 0;
	for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++) {
		make_queue(&side.queues[i]);
		enable_queue(i);
	}
	for (unsigned n = next_below(&side.program, 9); n > 0; n--)
		(void)rpmsg_driver_post(UINT32_MAX, 1, 0);
	vd_vq_drv_publish(&side.queues[VD_RPMSG_QUEUE_RX].vq);
	write_status(VD_STATUS_DRIVER_OK);
}

void rpmsg_driver_stop(void)
{
	vd_device_reset(device());
	for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++) {
		free_queue(&side.queues[i]);
		side.queues[i].enabled = false;
		side.queues[i].kick = false;
	}
	MUST(!fuzz_link()->up && !fuzz_link()->paused && fuzz_link()->n_due == 0);
	side.suspended = false;
	side.paused = false;
	side.broke_rules = false;
	side.gone = false;
}

void rpmsg_driver_restart(void)
{
	rpmsg_driver_stop();
	rpmsg_driver_start();
}

void rpmsg_driver_suspend(void)
{
	if (side.suspended || side.paused || !works() || !vd_device_has(device(), VD_F_SUSPEND))
		return;
	write_status(VD_STATUS_SUSPEND);
	if (!(vd_device_status(device()) & VD_STATUS_SUSPEND)) {
		MUST(side.broke_rules || side.gone);
		return;
	}
	side.suspended = true;
	check_idle();
}

void rpmsg_driver_resume(void)
{
	if (!side.suspended || !(vd_device_status(device()) & VD_STATUS_SUSPEND))
		return;
	side.suspended = false;
	write_status(VD_STATUS_DRIVER_OK);
	/* All there is to tell was held back. */
	for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++)
		rpmsg_driver_publish(i);
}

void rpmsg_driver_pause(void)
{
	if (side.suspended || side.paused || !works())
		return;
	vd_device_pause(device());
	side.paused = device()->paused;
	MUST(side.paused || side.broke_rules || side.gone);
	if (side.paused)
		check_idle();
}

void rpmsg_driver_unpause(void)
{
	side.paused = false;
	vd_device_unpause(device());
}

void rpmsg_driver_reset_queue(unsigned index)
{
	struct fuzz_queue *queue = &side.queues[index];
	struct vd_ring_position position = {0, 0};
	void *token;

	if (side.suspended || side.paused || !works())
		return;
	if (!queue->enabled) {
		enable_queue(index);
		return;
	}
	vd_device_queue_disable(device(), (uint16_t)index, &position);
	queue->enabled = false;
	queue->kick = false;
	check_position(position);
	check_counts();
	while (vd_vq_drv_detach(&queue->vq, &token) == 1)
		((struct fuzz_buffer *)token)->with_device = false;
	init_queue(queue);
	/* It stays away for a while, or comes back at once. */
	if (next_below(&side.program, 4) != 0)
		enable_queue(index);
}

/* ---- life ---- */

static void configure(void)
{
	static const uint16_t sizes[] = {8, 16, 2, 32};
	static const uint32_t payloads[] = {0, 8, 40, 2000};
	uint8_t bits = next_byte(&side.program);
	struct vd_rpmsg_remote_config *config = &side.config;

	config->features = VD_DEVICE_RING_FEATURES | VD_BIT(VD_F_SUSPEND);
	config->queue_size = sizes[bits & 3];
	config->batch = (uint16_t)(1 + (bits >> 2 & 7));
	config->n_held = (uint16_t)(1 + (bits >> 5 & 3));
	config->idle_polls = bits >> 7;
	bits = next_byte(&side.program);
	config->budget = 1 + (bits & 7);
	config->link.max_payload = payloads[bits >> 3 & 3];
	config->link.n_endpoints = bits >> 5 & 1 ? 1 : 8;
	if (bits & 64)
		config->h2r_size = config->r2h_size = 64;
	config->split = &vd_split_dev;
	config->packed = &vd_packed_dev;
}

void rpmsg_open(const uint8_t *data, size_t size)
{
	struct vd_rpmsg_remote_config given = side.config;
	size_t need;

	memset(&side, 0, sizeof(side));
	side.program = (struct program){.at = data, .left = size};
	side.config = given;
	configure();
	side.window = (struct vd_window){.peer = 0x1000,
					 .size = UINT64_C(1) << 47,
					 .local = (void *)0x1000,
					 .rights = VD_MEM_RW};
	side.mem = (struct vd_mem){
		.window = &side.window, .count = 1, .capacity = 1, .limit = VD_MEM_LIMIT_64};
	need = vd_rpmsg_remote_memory(&side.config);
	MUST(need > 0);
	side.memory = exactly(need);
	MUST(vd_rpmsg_remote_init(&side.remote, &side.config, side.memory, need) == 0);
	vd_device_attach(device(), next_byte(&side.program) & 1 ? &later : &at_once, NULL,
			 &side.mem, VD_F_TRANSPORT_MASK);
}

void rpmsg_close(void)
{
	rpmsg_driver_stop();
	vd_device_detach(device());
	drop(&side.memory);
	memset(&side.config, 0, sizeof(side.config));
}
