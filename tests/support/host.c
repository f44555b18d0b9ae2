/* SPDX-License-Identifier: BSD-3-Clause */
/* See host.h. */
#include "host.h"

#include "viaduct/errno.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define MEMORY_SIZE (2u << 20)
#define PEER        UINT64_C(0x80000000)
#define HEADER      16u
#define GAP         16u /* between two buffers, filled with GUARD */
#define GUARD       0xc5

/* ---- bytes ---- */

static bool is_big_endian(const struct host *host)
{
	return host->options.big_endian;
}

static void put(const struct host *host, unsigned char *to, unsigned width, uint32_t value)
{
	for (unsigned i = 0; i < width; i++)
		to[is_big_endian(host) ? width - 1 - i : i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get(const struct host *host, const unsigned char *from, unsigned width)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint32_t)from[is_big_endian(host) ? width - 1 - i : i] << (8 * i);
	return value;
}

void host_compose(const struct host *host, void *at, uint32_t src, uint32_t dst, uint32_t len_field,
		  const void *data, uint32_t len)
{
	unsigned char *to = at;

	put(host, to, 4, src);
	put(host, to + 4, 4, dst);
	put(host, to + 8, 4, 0);
	put(host, to + 12, 2, len_field);
	put(host, to + 14, 2, 0);
	if (len > 0)
		memcpy(to + HEADER, data, len);
}

/* ---- buffers ---- */

static struct host *host_of(struct vd_vdev *vdev)
{
	return (struct host *)(void *)((char *)vdev - offsetof(struct host, loop.vdev));
}

static struct vd_vq_drv *vq_of(struct host *host, unsigned index)
{
	return &host->vqs[index].vq;
}

/*
 * Cut @len bytes at @at into @pieces, none of them empty. The cuts are uneven and the first one
 * goes through the header, if there are bytes enough.
 */
static void cut(unsigned char *at, uint32_t len, unsigned pieces, struct vd_iov *iov)
{
	static const uint32_t sizes[HOST_PIECES - 1] = {5, 9, 3, 11, 1};

	CHECK(pieces >= 1 && pieces <= HOST_PIECES && len >= pieces);
	for (unsigned i = 0; i + 1 < pieces; i++) {
		uint32_t most = len - (pieces - 1 - i);
		uint32_t size = sizes[i] < most ? sizes[i] : most;

		iov[i] = (struct vd_iov){.base = at, .len = size};
		at += size;
		len -= size;
	}
	iov[pieces - 1] = (struct vd_iov){.base = at, .len = len};
}

static struct host_buffer *free_buffer(struct host_buffer *buffers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!buffers[i].with_device)
			return &buffers[i];
	return NULL;
}

static void check_guard(const struct host_buffer *buffer)
{
	for (unsigned i = 0; i < GAP; i++)
		CHECK(buffer->at[buffer->size + i] == GUARD);
}

/* Hand a buffer to the device. False: the queue has no room for its pieces. */
static bool give_pieces(struct host *host, unsigned queue, struct host_buffer *buffer,
			const struct vd_iov *iov, unsigned pieces, unsigned n_in)
{
	int err = vd_vq_drv_add(vq_of(host, queue), iov, pieces - n_in, n_in, buffer);

	if (err == -VD_ENOSPC || err == -VD_EPROTO)
		return false;
	CHECK(err == 0);
	buffer->with_device = true;
	return true;
}

static bool give(struct host *host, unsigned queue, struct host_buffer *buffer, uint32_t len,
		 unsigned pieces, unsigned n_in)
{
	struct vd_iov iov[HOST_PIECES];

	cut(buffer->at, len, pieces, iov);
	return give_pieces(host, queue, buffer, iov, pieces, n_in);
}

static unsigned pieces_for(const struct host *host, uint32_t len)
{
	unsigned pieces = host->options.pieces;

	return len < pieces ? len : pieces;
}

/* ---- to the remote ---- */

bool host_add(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len)
{
	struct host_buffer *buffer = free_buffer(host->tx, host->n_buffers);

	CHECK(HEADER + len <= host->options.tx_size);
	if (buffer == NULL)
		return false;
	host_compose(host, buffer->at, src, dst, len, data, len);
	if (!give(host, VD_RPMSG_QUEUE_TX, buffer, HEADER + len, pieces_for(host, HEADER + len), 0))
		return false;
	host->n_sending++;
	return true;
}

bool host_send(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len)
{
	if (!host_add(host, src, dst, data, len)) {
		(void)host_reclaim(host);
		if (!host_add(host, src, dst, data, len))
			return false;
	}
	vd_vdev_kick(&host->vqs[VD_RPMSG_QUEUE_TX]);
	return true;
}

struct host_buffer *host_send_raw(struct host *host, const void *bytes, uint32_t len,
				  unsigned pieces, unsigned n_in)
{
	struct host_buffer *buffer = free_buffer(host->tx, host->n_buffers);

	if (buffer == NULL)
		return NULL;
	CHECK(len <= buffer->size);
	memcpy(buffer->at, bytes, len);
	if (!give(host, VD_RPMSG_QUEUE_TX, buffer, len, pieces, n_in))
		return NULL;
	host->n_sending++;
	vd_vdev_kick(&host->vqs[VD_RPMSG_QUEUE_TX]);
	return buffer;
}

bool host_add_cut(struct host *host, const void *bytes, const uint32_t *sizes, unsigned pieces)
{
	struct host_buffer *buffer = free_buffer(host->tx, host->n_buffers);
	struct vd_iov iov[HOST_PIECES];
	uint32_t len = 0;

	CHECK(pieces <= HOST_PIECES);
	if (buffer == NULL)
		return false;
	for (unsigned i = 0; i < pieces; i++) {
		iov[i] = (struct vd_iov){.base = buffer->at + len, .len = sizes[i]};
		len += sizes[i];
	}
	CHECK(len <= buffer->size);
	memcpy(buffer->at, bytes, len);
	if (!give_pieces(host, VD_RPMSG_QUEUE_TX, buffer, iov, pieces, 0))
		return false;
	host->n_sending++;
	return true;
}

void host_kick(struct host *host)
{
	vd_vdev_kick(&host->vqs[VD_RPMSG_QUEUE_TX]);
}

unsigned host_reclaim(struct host *host)
{
	struct vd_used used;
	unsigned n = 0;

	while (vd_vq_drv_get(vq_of(host, VD_RPMSG_QUEUE_TX), &used) == 1) {
		struct host_buffer *buffer = used.token;

		CHECK(buffer->with_device && used.len == 0);
		check_guard(buffer);
		buffer->with_device = false;
		host->n_sending--;
		n++;
	}
	return n;
}

bool host_announce(struct host *host, const char *name, uint32_t addr, uint32_t flags)
{
	unsigned char message[40] = {0};

	/* As many bytes as there are, with or without a NUL. */
	memcpy(message, name, strlen(name) < 32 ? strlen(name) : 32);
	put(host, message + 32, 4, addr);
	put(host, message + 36, 4, flags);
	return host_send(host, addr, VD_RPMSG_NS_ADDR, message, sizeof(message));
}

/* ---- from the remote ---- */

bool host_post_as(struct host *host, uint32_t size, unsigned pieces, unsigned n_out)
{
	struct host_buffer *buffer = free_buffer(host->rx, host->n_buffers);

	if (buffer == NULL)
		return false;
	CHECK(size <= buffer->size);
	/* What is not written must not look like a message. */
	memset(buffer->at, 0xee, buffer->size);
	if (!give(host, VD_RPMSG_QUEUE_RX, buffer, size, pieces, pieces - n_out))
		return false;
	host->n_posted++;
	return true;
}

unsigned host_post(struct host *host, unsigned count)
{
	unsigned n = 0;

	while (n < count && host_post_as(host, host->options.rx_size,
					 pieces_for(host, host->options.rx_size), 0))
		n++;
	vd_vdev_kick(&host->vqs[VD_RPMSG_QUEUE_RX]);
	return n;
}

static void parse(const struct host *host, const struct host_buffer *buffer, uint32_t used,
		  struct host_message *message)
{
	const unsigned char *from = buffer->at;

	/* Linux' two checks. */
	CHECK(used >= HEADER && used <= buffer->size);
	message->src = get(host, from, 4);
	message->dst = get(host, from + 4, 4);
	message->reserved = get(host, from + 8, 4);
	message->len = (uint16_t)get(host, from + 12, 2);
	message->flags = (uint16_t)get(host, from + 14, 2);
	message->used = used;
	CHECK(message->len <= used - HEADER);
	memcpy(message->data, from + HEADER, message->len);
	for (uint32_t i = used; i < buffer->size; i++)
		CHECK(from[i] == 0xee);
}

static bool receive_any(struct host *host, struct host_message *message)
{
	struct vd_used used;
	struct host_buffer *buffer;

	if (vd_vq_drv_get(vq_of(host, VD_RPMSG_QUEUE_RX), &used) != 1)
		return false;
	buffer = used.token;
	CHECK(buffer->with_device);
	check_guard(buffer);
	buffer->with_device = false;
	host->n_posted--;
	memset(message, 0, offsetof(struct host_message, data));
	if (used.len > 0)
		parse(host, buffer, used.len, message);
	if (!host->keeps)
		(void)host_post(host, 1);
	return true;
}

bool host_receive(struct host *host, struct host_message *message)
{
	while (receive_any(host, message)) {
		if (message->used == 0)
			host->n_void++;
		else if (message->dst == VD_RPMSG_ADDR_ANY)
			host->n_nobody++;
		else
			return true;
	}
	return false;
}

bool host_expect(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len)
{
	struct host_message message;

	return host_receive(host, &message) && message.src == src && message.dst == dst &&
	       message.reserved == 0 && message.flags == 0 && message.len == len &&
	       message.used == HEADER + len && memcmp(message.data, data, len) == 0;
}

/* ---- the driver ---- */

static void forget_buffers(struct host *host)
{
	for (unsigned i = 0; i < HOST_BUFFERS; i++) {
		host->rx[i].with_device = false;
		host->tx[i].with_device = false;
	}
	host->n_posted = 0;
	host->n_sending = 0;
}

static int probe(struct vd_vdev *vdev)
{
	struct host *host = host_of(vdev);
	const struct vd_vq_request requests[VD_RPMSG_N_QUEUES] = {
		{.name = "input", .size = host->options.queue_size, .table_entries = HOST_PIECES},
		{.name = "output", .size = host->options.queue_size, .table_entries = HOST_PIECES},
	};
	int err = vd_vdev_find_vqs(vdev, VD_RPMSG_N_QUEUES, requests, host->vqs);

	if (err != 0)
		return err;
	forget_buffers(host);
	host->n_buffers = host->vqs[0].vq.size < HOST_BUFFERS ? host->vqs[0].vq.size : HOST_BUFFERS;
	if (host->options.n_buffers != 0 && host->options.n_buffers < host->n_buffers)
		host->n_buffers = host->options.n_buffers;
	if (!host->options.empty)
		(void)host_post(host, host->n_buffers);
	vd_vq_drv_disable_cb(vq_of(host, VD_RPMSG_QUEUE_TX));
	return 0;
}

static void remove_driver(struct vd_vdev *vdev)
{
	(void)vd_vdev_reset(vdev);
	vd_vdev_del_vqs(vdev);
	forget_buffers(host_of(vdev));
}

static const struct vd_device_id ids[] = {{VD_ID_RPMSG, VD_ID_ANY}, {0, 0}};

static unsigned known_features(struct host *host)
{
	unsigned n = 0;

	if (!(host->options.refuses & VD_BIT(VD_RPMSG_F_NS)))
		host->features[n++] = VD_RPMSG_F_NS;
	if (!(host->options.refuses & VD_BIT(VD_RPMSG_F_BUFSZ)))
		host->features[n++] = VD_RPMSG_F_BUFSZ;
	return n;
}

/* The transport hides the common bits the driver is not to know. */
static uint64_t carried(const struct host *host)
{
	uint64_t features = VD_LOOPBACK_FEATURES & ~host->options.refuses;

	if (host->options.big_endian || host->options.little_endian)
		features &= ~VD_BIT(VD_F_VERSION_1);
	return features;
}

/* ---- life ---- */

static void lay_out(struct host *host)
{
	unsigned char *at;

	pages_take(&host->memory, MEMORY_SIZE, VD_POOL_GRAIN);
	host->window = (struct vd_window){
		.peer = PEER, .size = MEMORY_SIZE, .local = host->memory.at, .rights = VD_MEM_RW};
	host->mem = (struct vd_mem){
		.window = &host->window, .count = 1, .capacity = 1, .limit = VD_MEM_LIMIT_64};
	at = host->memory.at;
	at += MEMORY_SIZE;
	for (unsigned i = 0; i < 2 * HOST_BUFFERS; i++) {
		struct host_buffer *buffer = i < HOST_BUFFERS ? &host->rx[i]
							      : &host->tx[i - HOST_BUFFERS];
		uint32_t size = i < HOST_BUFFERS ? host->options.rx_size : host->options.tx_size;

		at -= size + GAP;
		*buffer = (struct host_buffer){.at = at, .size = size};
		memset(at + size, GUARD, GAP);
	}
	host->pool_words = calloc(vd_pool_words(MEMORY_SIZE), sizeof(uint32_t));
	CHECK(host->pool_words != NULL);
	vd_pool_init(&host->pool, host->memory.at, (size_t)(at - (unsigned char *)host->memory.at),
		     host->pool_words);
}

static void *take_local(struct vd_alloc *alloc, size_t size, size_t align)
{
	(void)alloc;
	void *p = aligned_alloc(align, (size + align - 1) / align * align);

	return p != NULL ? memset(p, 0, size) : NULL;
}

static void give_local(struct vd_alloc *alloc, void *p, size_t size)
{
	(void)alloc;
	(void)size;
	free(p);
}

static struct vd_alloc local = {.alloc = take_local, .free = give_local};

static void join(struct host *host)
{
	struct vd_loopback_config config = {
		.dev = &host->remote->dev,
		.mem = &host->mem,
		.shared = &host->pool.alloc,
		.local = &local,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
		.features = carried(host),
		.legacy_big_endian = host->options.big_endian,
	};

	host->driver = (struct vd_driver){
		.name = "host",
		.ids = ids,
		.features = host->features,
		.n_features = known_features(host),
		.probe = probe,
		.remove = remove_driver,
	};
	vd_bus_init(&host->bus);
	CHECK(vd_loopback_init(&host->loop, &config) == 0);
	CHECK(vd_bus_add_driver(&host->bus, &host->driver) == 0);
	CHECK(vd_bus_add_device(&host->bus, &host->loop.vdev) == 0);
	CHECK(host_is_bound(host));
}

void host_open(struct host *host, struct vd_rpmsg_remote *remote,
	       const struct host_options *options)
{
	memset(host, 0, sizeof(*host));
	host->remote = remote;
	if (options != NULL)
		host->options = *options;
	if (host->options.rx_size == 0)
		host->options.rx_size = 512;
	if (host->options.tx_size == 0)
		host->options.tx_size = 512;
	if (host->options.pieces == 0)
		host->options.pieces = 1;
	CHECK(host->options.rx_size <= HOST_SIZE && host->options.tx_size <= HOST_SIZE);
	lay_out(host);
	join(host);
}

void host_close(struct host *host)
{
	vd_bus_remove_device(&host->bus, &host->loop.vdev);
	CHECK(host->pool.used == 0);
	vd_loopback_kill_device(&host->loop);
	pages_give(&host->memory);
	free(host->pool_words);
}

bool host_is_bound(const struct host *host)
{
	return host->loop.vdev.driver != NULL;
}

void host_unbind(struct host *host)
{
	vd_bus_unbind(&host->loop.vdev);
}

void host_bind(struct host *host)
{
	CHECK(vd_bus_bind(&host->loop.vdev) == 0);
}

void host_restart(struct host *host)
{
	host_unbind(host);
	host_bind(host);
}

void host_run(struct host *host)
{
	bool any;

	do {
		any = vd_loopback_poll_device(&host->loop);
		any |= vd_loopback_poll_driver(&host->loop);
	} while (any);
}

/* ---- the transport's other tools ---- */

struct vd_ring_position host_stop_queue(struct host *host, uint16_t index)
{
	struct vd_ring_position position = {0, 0};

	vd_device_queue_disable(&host->remote->dev, index, &position);
	return position;
}

static bool is_packed(const struct host *host)
{
	return vd_vdev_has(&host->loop.vdev, VD_F_RING_PACKED);
}

void host_start_queue(struct host *host, uint16_t index, struct vd_ring_position position)
{
	struct vd_queue_setup setup = {
		.size = host->vqs[index].vq.size,
		.big_endian = host->options.big_endian,
		.ring = host->vqs[index].ring,
		.position = position,
	};

	CHECK(vd_device_queue_enable(&host->remote->dev, index, &setup) == 0);
}

unsigned host_missing(const struct host *host, uint16_t index, struct vd_ring_position position)
{
	uint16_t size = host->vqs[index].vq.size;
	unsigned avail = position.avail & 0x7fff;
	unsigned used = position.used & 0x7fff;

	if (!is_packed(host))
		return (uint16_t)(position.avail - position.used);
	if ((position.avail ^ position.used) & 0x8000)
		avail += size;
	return avail - used;
}
