/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the rpmsg fuzzers share: a remote, and in front of it a driver that keeps the rules of rings
 * and none of rpmsg's. Every buffer is an allocation of just its size, so that AddressSanitizer
 * sees a byte too far, and all of them are gone when the device was reset.
 */
#ifndef RPMSG_DRIVER_H
#define RPMSG_DRIVER_H

#include "ring_fuzz.h"
#include "viaduct/rpmsg_remote.h"
#include "viaduct/vq_drv.h"

#define RPMSG_BUFFERS    16 /* in each direction */
#define RPMSG_PIECES     6
#define RPMSG_LEFT_ALONE 0xee

struct fuzz_buffer {
	unsigned char *at;
	uint32_t size;
	bool with_device;
};

struct fuzz_queue {
	struct vd_vq_drv vq;
	struct vd_ring_mem ring;
	void *state;
	void *tables;
	uint16_t size;
	bool enabled; /* known to the device */
	bool kick;    /* a notification is on its way */
	struct fuzz_buffer buffers[RPMSG_BUFFERS];
};

struct rpmsg_driver {
	struct program program;
	struct vd_rpmsg_remote remote;
	struct vd_rpmsg_remote_config config;
	void *memory;
	struct vd_mem mem;
	struct vd_window window;

	bool packed;
	bool big_endian;
	bool suspended;
	bool paused;
	bool broke_rules; /* of the rings: nothing is promised until the device is reset */
	bool gone;        /* the device was reset behind its driver's back */
	uint32_t size;    /* of every buffer, or 0: of any */
	struct fuzz_queue queues[VD_RPMSG_N_QUEUES];

	uint64_t returned; /* messages that came back read, */
	uint64_t received; /* and those that came, since ... */
	struct vd_rpmsg_stats base;
	/* A message came from the remote. */
	void (*message)(const unsigned char *at, uint32_t used);
};

extern struct rpmsg_driver side;

static inline struct vd_rpmsg *fuzz_link(void)
{
	return &side.remote.link;
}

/* Numbers on the wire. */
uint32_t fuzz_get32(const unsigned char *at);
void fuzz_put(unsigned char *at, unsigned bytes, uint32_t value);

/* Make the remote as side.config says; endpoints may be created. Nobody is in front of it yet. */
void rpmsg_open(const uint8_t *data, size_t size);
void rpmsg_close(void);

/* The driver comes, having agreed on some features; it goes; both. */
void rpmsg_driver_start(void);
void rpmsg_driver_stop(void);
void rpmsg_driver_restart(void);

/* Send @len bytes, or as many as a buffer has, in @pieces, the first @n_out of them readable. NULL:
 * there is no buffer. */
struct fuzz_buffer *rpmsg_driver_send(const unsigned char *bytes, uint32_t len, unsigned pieces,
				      unsigned n_out);

/* Post a buffer of @size bytes, or as many as it has; the first @n_out pieces readable only. */
bool rpmsg_driver_post(uint32_t size, unsigned pieces, unsigned n_out);

/* Show what was added, and bring the notification if the device wants one. */
void rpmsg_driver_publish(unsigned index);
void rpmsg_driver_notify(unsigned index);

/* Take back what was used. */
void rpmsg_driver_take(unsigned index);

/* Control. */
void rpmsg_driver_suspend(void);
void rpmsg_driver_resume(void);
void rpmsg_driver_reset_queue(unsigned index);
void rpmsg_driver_pause(void);
void rpmsg_driver_unpause(void);

#endif /* RPMSG_DRIVER_H */
