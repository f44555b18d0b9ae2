/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a driver of the virtio bus stands on, made up for tests: devices that are nothing but
 * registers, an allocator that counts and fails when told, and drivers that write down what happens
 * to them.
 *
 * All write to one log, a line of words in the order of events. Devices: "reset", "S:hex" (status
 * written), "F:hex" (features written), "enable:0", "disable:0", "kick:0", "w:offset+len". Drivers:
 * "probe:A:virtio0" and so on, A being the driver's name.
 */
#ifndef VIRTIO_FAKE_H
#define VIRTIO_FAKE_H

#include "ring_rig.h"
#include "viaduct/bus.h"
#include "virtio_rig.h"

/* ---- the log ---- */

extern char fake_log[8192];

void fake_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The log since the last time must be exactly this. */
void fake_expect(const char *words);

/* Forget it. */
void fake_forget(void);

/* ---- memory ---- */

#define FAKE_ALLOCATIONS 64

struct fake_alloc {
	struct vd_alloc alloc;
	struct {
		struct pages pages;
		size_t size;
	} piece[FAKE_ALLOCATIONS]; /* each between guards */
	unsigned live;             /* pieces handed out and not given back */
	unsigned calls;
	unsigned fail_at; /* the call, counted from 1, that gets nothing; 0: none */
};

void fake_alloc_init(struct fake_alloc *alloc);

/* ---- a device ---- */

#define FAKE_QUEUES 3

struct fake {
	struct vd_vdev vdev;
	struct vd_vdev_ops ops; /* of this device alone: change them at will */
	struct fake_alloc shared;
	struct fake_alloc local;
	struct vd_window window; /* all of our memory, at the same addresses */
	struct vd_mem mem;

	/* registers */
	uint64_t offered;
	uint64_t accepted;
	uint8_t status;
	uint32_t generation;
	unsigned char space[VIRTIO_RIG_CONFIG_SIZE];
	uint16_t size_max[FAKE_QUEUES];
	bool enabled[FAKE_QUEUES];

	/* what goes wrong */
	int reset_err;
	int features_err;
	uint64_t refused; /* FEATURES_OK does not hold with these */
	int enable_err;   /* of queue `enable_err_at` */
	uint16_t enable_err_at;
	int disable_err;
	bool stubborn; /* SUSPEND and resuming do nothing by themselves */

	struct vd_vdev_vq queues[FAKE_QUEUES]; /* its driver's */

	unsigned n_reads; /* accesses to configuration space */
	/* Called before each of them. */
	void (*on_read)(struct fake *fake);
};

static inline struct fake *fake_of(struct vd_vdev *vdev)
{
	return (struct fake *)(void *)((char *)vdev - offsetof(struct fake, vdev));
}

/* A device of virtio_rig_type that offers all the type has. */
void fake_init(struct fake *fake);

/* Nothing is left behind: no memory, no queue. */
void fake_expect_clean(struct fake *fake);

/* ---- a driver ---- */

struct fake_driver {
	struct vd_driver driver;
	uint16_t n_queues; /* it asks for; they are at fake->queues */
	struct vd_vq_request requests[FAKE_QUEUES];
	int validate_err;
	uint64_t clears; /* features that validate() takes away */
	int probe_err;   /* after its queues were set up */
	int freeze_err;
	int restore_err;
	bool readies; /* probe() and restore() set DRIVER_OK themselves */
	/* Called for each word of the log that this driver writes. */
	void (*hook)(struct fake_driver *self, struct vd_vdev *vdev, const char *word);
	unsigned n_callbacks;
};

static inline struct fake_driver *fake_driver_of(struct vd_vdev *vdev)
{
	return (struct fake_driver *)(void *)vdev->driver;
}

/* A driver for every device of virtio_rig_type, with no queues. */
void fake_driver_init(struct fake_driver *driver, const char *name);

#endif /* VIRTIO_FAKE_H */
