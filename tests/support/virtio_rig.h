/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of a type made up for tests, with a family and a transport that write down what happens
 * to them, and a driver written by hand in front of its queues.
 *
 * The log is a line of words in the order of events: what the family was called for ("start",
 * "queue_start:0", "notify:1", ...) and what the transport was asked to send (">queue:0",
 * ">config").
 */
#ifndef VIRTIO_RIG_H
#define VIRTIO_RIG_H

#include "ring_rig.h"
#include "viaduct/device.h"

enum virtio_rig_feature {
	VIRTIO_RIG_F_A = 0,
	VIRTIO_RIG_F_B = 1,   /* needs A */
	VIRTIO_RIG_F_OPT = 2, /* the field of that name exists */
	VIRTIO_RIG_F_C = 50,  /* needs B */
};

/* The fields of configuration space, as indexes into virtio_rig_type.fields. */
enum virtio_rig_field {
	VIRTIO_RIG_VERSION, /* u8 @0, read-only; byte 1 is in no field */
	VIRTIO_RIG_PORT,    /* u16 @2 */
	VIRTIO_RIG_WORDS,   /* u32[3] @4 */
	VIRTIO_RIG_WIDE,    /* u64 @16 */
	VIRTIO_RIG_MAC,     /* u8[6] @24, read-only */
	VIRTIO_RIG_OPT,     /* u16 @30, belongs to F_OPT */
	VIRTIO_RIG_N_FIELDS,
};

#define VIRTIO_RIG_CONFIG_SIZE 32u

extern const struct vd_device_type virtio_rig_type;

/* All the type and the rings have. */
#define VIRTIO_RIG_FEATURES                                                                        \
	(VD_DEVICE_RING_FEATURES | VD_BIT(VD_F_SUSPEND) | VD_BIT(VIRTIO_RIG_F_A) |                 \
	 VD_BIT(VIRTIO_RIG_F_B) | VD_BIT(VIRTIO_RIG_F_OPT) | VD_BIT(VIRTIO_RIG_F_C))

#define VIRTIO_RIG_QUEUES   3
#define VIRTIO_RIG_SIZE_MAX 16
#define VIRTIO_RIG_DATA     UINT64_C(0x10000) /* what the device sees: one page */

struct virtio_rig {
	struct vd_device dev;
	struct vd_device_config config;
	struct vd_device_ops ops; /* all of them; set some to NULL before opening */
	struct vd_device_transport_ops transport;
	struct vd_device_queue queues[VIRTIO_RIG_QUEUES];
	unsigned char space[VIRTIO_RIG_CONFIG_SIZE];

	struct pages state[VIRTIO_RIG_QUEUES];
	struct pages data;
	struct vd_window window;
	struct vd_mem mem;
	struct rig_ring ring[VIRTIO_RIG_QUEUES];
	struct peer_driver driver[VIRTIO_RIG_QUEUES];

	char log[4096];
	uint64_t n_served; /* buffers given back by the family */

	/* What the family answers. */
	bool refuse;
	bool more;
	int start_err;
	int suspend_err;
	int resume_err;
	bool lazy; /* it does not touch its queues when notified */

	/* Called for every word of the log, from inside the callback. */
	void (*hook)(struct virtio_rig *rig, const char *word);
};

/* Fill in what virtio_rig_open() takes: everything offered, three queues. */
void virtio_rig_init(struct virtio_rig *rig);

/* Make the device, for another transport. */
void virtio_rig_make(struct virtio_rig *rig);

/* Make it and attach it to the transport; features of the latter as given. */
void virtio_rig_attach(struct virtio_rig *rig, uint64_t carried);

/* Both of these, with all features carried. */
void virtio_rig_open(struct virtio_rig *rig);

void virtio_rig_close(struct virtio_rig *rig);

/* The log since the last time must be exactly this. */
void virtio_rig_expect(struct virtio_rig *rig, const char *words);

/* The last fault reported. */
void virtio_rig_expect_fault(struct virtio_rig *rig, enum vd_fault_code code, uint64_t a,
			     uint64_t b);

/* What a driver does up to FEATURES_OK, and up to DRIVER_OK. */
void virtio_rig_negotiate(struct virtio_rig *rig, uint64_t features);
void virtio_rig_start(struct virtio_rig *rig, uint64_t features);

/* A ring of @size entries in guarded memory for queue @index, with a driver in front. */
struct vd_queue_setup virtio_rig_setup(struct virtio_rig *rig, uint16_t index, uint16_t size);

/* And hand it to the device, which must take it. */
void virtio_rig_enable(struct virtio_rig *rig, uint16_t index, uint16_t size);

/* Make one buffer available on queue @index; it is not kicked. */
void virtio_rig_offer(struct virtio_rig *rig, uint16_t index);

/* Kick it. */
bool virtio_rig_kick(struct virtio_rig *rig, uint16_t index);

/* How many buffers came back used on queue @index since the last time. */
unsigned virtio_rig_take(struct virtio_rig *rig, uint16_t index);

#endif /* VIRTIO_RIG_H */
