/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small rpmsg host for tests: the driver's ends of the two queues, over the loopback transport.
 * It was written from what Linux does and shares no code with src/rpmsg: it puts messages together
 * byte by byte, in buffers of any size, cut into any number of descriptors. What can't be, aborts.
 *
 * It does nothing by itself. Messages sent wait for the remote until it is polled, or the pair is
 * run; messages received wait in the queue until they are asked for.
 */
#ifndef HOST_H
#define HOST_H

#include "ring_pages.h"
#include "viaduct/loopback.h"
#include "viaduct/rpmsg_remote.h"

#define HOST_BUFFERS 256 /* most, in each direction */
#define HOST_PIECES  6   /* most descriptors of a buffer */
#define HOST_SIZE    2048

struct host_options {
	uint64_t refuses;    /* feature bits the driver does not know */
	uint16_t queue_size; /* 0: what the device allows */
	uint16_t n_buffers;  /* in each direction; 0: as many as the queues have room for */
	uint32_t rx_size;    /* bytes of a buffer that the remote sends in; 0: 512 */
	uint32_t tx_size;    /* and of one the host sends in; 0: 512 */
	uint8_t pieces;      /* descriptors each is cut into; 0: 1 */
	bool empty;          /* post no buffer in probe */
	bool big_endian;     /* a legacy driver of that order */
	bool little_endian;  /* a legacy driver of this one */
};

/* A message, parsed. */
struct host_message {
	uint32_t src;
	uint32_t dst;
	uint32_t reserved;
	uint16_t len;
	uint16_t flags;
	uint32_t used; /* bytes the remote says it wrote */
	unsigned char data[HOST_SIZE];
};

struct host_buffer {
	unsigned char *at;
	uint32_t size;
	bool with_device;
};

struct host {
	struct host_options options;
	struct vd_rpmsg_remote *remote;
	struct vd_loopback loop;
	struct vd_bus bus;
	struct vd_driver driver;
	uint8_t features[2];
	struct vd_vdev_vq vqs[VD_RPMSG_N_QUEUES];

	struct pages memory; /* rings and buffers; all the device sees */
	struct vd_window window;
	struct vd_mem mem;
	struct vd_pool pool;
	uint32_t *pool_words;

	struct host_buffer rx[HOST_BUFFERS];
	struct host_buffer tx[HOST_BUFFERS];
	unsigned n_buffers;
	unsigned n_posted;  /* rx buffers with the device */
	unsigned n_sending; /* tx buffers with the device */
	unsigned n_nobody;  /* messages to VD_RPMSG_ADDR_ANY, dropped as Linux would */
	unsigned n_void;    /* rx buffers that came back with nothing written */
	bool keeps;         /* do not post a buffer again when its message was read */
};

/* Set up driver and transport in front of @remote, and bind it. */
void host_open(struct host *host, struct vd_rpmsg_remote *remote,
	       const struct host_options *options);
void host_close(struct host *host);

/* Was the device bound, and is it ready? */
bool host_is_bound(const struct host *host);

/* The driver goes and comes back: the device is reset in between. */
void host_unbind(struct host *host);
void host_bind(struct host *host);
void host_restart(struct host *host);

/* Fetch notifications on both sides until there are none. */
void host_run(struct host *host);

/* ---- to the remote ---- */

/* Send a message. False: every buffer is with the device. It is published and notified of. */
bool host_send(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len);

/* The same, but neither published nor notified of yet. */
bool host_add(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len);

/* Put a message together where the caller wants it. @at: 16 + @len bytes. */
void host_compose(const struct host *host, void *at, uint32_t src, uint32_t dst, uint32_t len_field,
		  const void *data, uint32_t len);

/* Send @len bytes as they are, cut into @pieces, the last @n_in of them writable by the remote.
 * Returns the buffer, or NULL: every one is with the device. */
struct host_buffer *host_send_raw(struct host *host, const void *bytes, uint32_t len,
				  unsigned pieces, unsigned n_in);

/* Add a message of these bytes, cut where the caller wants it. */
bool host_add_cut(struct host *host, const void *bytes, const uint32_t *sizes, unsigned pieces);

/* Publish what was added, and notify of it. */
void host_kick(struct host *host);

/* Take back what the remote has read. How many there were. */
unsigned host_reclaim(struct host *host);

/* Announce a channel, or take it back (flags 1). */
bool host_announce(struct host *host, const char *name, uint32_t addr, uint32_t flags);

/* ---- from the remote ---- */

/* Post one more buffer, of @size bytes in @pieces, the first @n_out of them only readable. It is
 * not published. False: every one is with the device already. */
bool host_post_as(struct host *host, uint32_t size, unsigned pieces, unsigned n_out);

/* Post @count more, of the usual shape, publish and notify. How many there were. */
unsigned host_post(struct host *host, unsigned count);

/* The next message. Its buffer is posted again, unless host->keeps. Messages to nobody are passed
 * over. */
bool host_receive(struct host *host, struct host_message *message);

/* Receive it, and it must be just this. */
bool host_expect(struct host *host, uint32_t src, uint32_t dst, const void *data, uint16_t len);

/* ---- the transport's other tools ---- */

/* Stop a queue where it is, and go on there. */
struct vd_ring_position host_stop_queue(struct host *host, uint16_t index);
void host_start_queue(struct host *host, uint16_t index, struct vd_ring_position position);

/* How many buffers of a stopped queue the device has popped and not shown as used. */
unsigned host_missing(const struct host *host, uint16_t index, struct vd_ring_position position);

#endif /* HOST_H */
