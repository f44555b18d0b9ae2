/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver role in front of a device whose registers are the input: status, features, generation,
 * sizes and configuration are whatever comes next. A driver uses every call there is. Nothing may
 * hang, and whatever was allocated is given back in the end.
 */
#include "ring_fuzz.h"
#include "viaduct/bus.h"
#include "viaduct/errno.h"

#include <string.h>

#define QUEUES  3
#define RELAXES 20u /* the transport's patience */

static struct {
	struct program program;
	struct vd_bus bus;
	struct vd_vdev vdev;
	struct vd_vdev_ops ops;
	struct vd_driver driver;
	struct vd_window window;
	struct vd_mem mem;
	struct vd_vdev_vq queues[QUEUES];
	uint8_t status;    /* of a device that behaves */
	uint64_t features; /* accepted */
	unsigned live;     /* allocations */
	unsigned depth;
	unsigned n_accesses; /* since the last operation began */
} fuzz;

static unsigned char buffer[64];

static void run_one(void);

/* ---- the device type ---- */

static const struct vd_feature_row features[] = {{0, VD_F_NONE, "A"}, {1, 0, "B"}};

static const struct vd_config_field fields[] = {
	{.offset = 0, .width = 1, .count = 6, .feature = VD_F_NONE, .name = "mac"},
	{.offset = 6, .width = 2, .count = 1, .feature = 0, .writable = true, .name = "port"},
	{.offset = 8,
	 .width = 8,
	 .count = 2,
	 .feature = VD_F_NONE,
	 .writable = true,
	 .name = "wide"},
	{.offset = 24, .width = 4, .count = 1, .feature = 63, .writable = true, .name = "far"},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct vd_device_type type = {
	.id = 42,
	.name = "fuzz",
	.features = features,
	.n_features = sizeof(features) / sizeof(features[0]),
	.fields = fields,
	.n_fields = N_FIELDS,
	.config_size = 28,
};

/* ---- the device ---- */

/* Does the device lie this time? */
static bool lies(void)
{
	fuzz.n_accesses++;
	return next_byte(&fuzz.program) >= 224;
}

static int next_error(void)
{
	static const int errors[] = {-VD_EIO, -VD_ETIMEDOUT, -VD_ENODEV, -VD_EINVAL};

	return errors[next_below(&fuzz.program, 4)];
}

static uint64_t get_features(struct vd_vdev *vdev)
{
	(void)vdev;
	if (lies())
		return (uint64_t)next_u32(&fuzz.program) << 32 | next_u32(&fuzz.program);
	return UINT64_MAX & ~VD_BIT(next_byte(&fuzz.program) % 64);
}

static int set_features(struct vd_vdev *vdev, uint64_t bits)
{
	MUST(bits == vdev->features);
	MUST(vd_features_closed(&type, bits) == bits);
	if (lies())
		return next_error();
	fuzz.features = bits;
	return 0;
}

static uint8_t get_status(struct vd_vdev *vdev)
{
	(void)vdev;
	return lies() ? next_byte(&fuzz.program) : fuzz.status;
}

static void set_status(struct vd_vdev *vdev, uint8_t status)
{
	(void)vdev;
	/* A driver never writes 0 but to reset. */
	MUST(status != 0);
	if (!lies())
		fuzz.status = status;
	if ((status & VD_STATUS_SUSPEND) && (status & VD_STATUS_DRIVER_OK) && !lies())
		fuzz.status &= (uint8_t)~VD_STATUS_DRIVER_OK;
}

static int reset(struct vd_vdev *vdev)
{
	(void)vdev;
	if (lies())
		return next_error();
	fuzz.status = 0;
	return 0;
}

static int config_read(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len)
{
	(void)vdev;
	MUST((len == 1 || len == 2 || len == 4) && offset % len == 0);
	MUST(offset + len <= type.config_size);
	if (lies())
		return next_error();
	memset(bytes, next_byte(&fuzz.program), len);
	return 0;
}

static int config_write(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len)
{
	unsigned char copy[4];

	MUST((len == 1 || len == 2 || len == 4) && offset % len == 0);
	MUST(offset + len <= type.config_size && !vdev->suspended);
	memcpy(copy, bytes, len);
	return lies() ? next_error() : 0;
}

static uint32_t config_generation(struct vd_vdev *vdev)
{
	(void)vdev;
	return lies() ? next_u32(&fuzz.program) : 7;
}

static uint16_t queue_size_max(struct vd_vdev *vdev, uint16_t index)
{
	static const uint16_t sizes[] = {8, 16, 7, 1, 0, 32768, 32769, 65535};

	(void)vdev;
	(void)index;
	return sizes[lies() ? next_below(&fuzz.program, 8) : 0];
}

static int queue_enable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	MUST(queue->vdev == vdev && queue->ring.desc != NULL && queue->vq.size > 0);
	return lies() ? next_error() : 0;
}

static int queue_disable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	MUST(queue->vdev == vdev);
	return lies() ? next_error() : 0;
}

static void notify(struct vd_vdev *vdev, struct vd_vdev_vq *queue, uint32_t notification)
{
	MUST(vdev->ready && !vdev->suspended);
	MUST(vd_notification_queue(notification) == queue->index);
	fuzz.n_accesses++;
}

static int relax(struct vd_vdev *vdev, unsigned attempt)
{
	(void)vdev;
	if (attempt < RELAXES)
		return 0;
	return next_error();
}

static const struct vd_vdev_ops ops = {
	.get_features = get_features,
	.set_features = set_features,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_disable = queue_disable,
	.notify = notify,
	.relax = relax,
};

/* ---- memory ---- */

static void *take(struct vd_alloc *alloc, size_t size, size_t align)
{
	size_t whole = (size + align - 1) / align * align;
	void *at;

	(void)alloc;
	MUST(size > 0);
	if (lies())
		return NULL;
	at = aligned_alloc(align, whole);
	MUST(at != NULL);
	fuzz.live++;
	return memset(at, 0, whole);
}

static void give(struct vd_alloc *alloc, void *at, size_t size)
{
	(void)alloc;
	(void)size;
	fuzz.live -= at != NULL;
	free(at);
}

static struct vd_alloc memory = {.alloc = take, .free = give};

/* ---- the driver ---- */

static void interrupt(void)
{
	if (next_byte(&fuzz.program) % 8 == 7)
		run_one();
}

/* The device writes no used ring here; what it says is in the bytes below. */
static void used(struct vd_vdev_vq *queue)
{
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(&queue->vq, &used)) == 1)
		MUST(used.token == buffer);
	MUST(got == 0 || vd_vq_drv_is_broken(&queue->vq));
	interrupt();
}

static int validate(struct vd_vdev *vdev)
{
	uint64_t value;

	(void)vd_vdev_config_get(vdev, &fields[0], 0, &value);
	if (next_byte(&fuzz.program) & 1)
		vdev->features &= ~VD_BIT(next_byte(&fuzz.program) % 32);
	return next_byte(&fuzz.program) == 255 ? -VD_EINVAL : 0;
}

static int set_up(struct vd_vdev *vdev)
{
	static const uint16_t sizes[] = {0, 4, 8, 300};
	struct vd_vq_request requests[QUEUES];

	for (unsigned i = 0; i < QUEUES; i++)
		requests[i] = (struct vd_vq_request){.name = "queue",
						     .callback = i < 2 ? used : NULL,
						     .size = sizes[next_below(&fuzz.program, 4)],
						     .table_entries = next_below(&fuzz.program, 3) *
								      4u};
	return vd_vdev_find_vqs(vdev, 1 + next_below(&fuzz.program, QUEUES), requests, fuzz.queues);
}

static int probe(struct vd_vdev *vdev)
{
	int err = set_up(vdev);

	if (err == 0 && next_byte(&fuzz.program) == 255) {
		(void)vd_vdev_reset(vdev);
		vd_vdev_del_vqs(vdev);
		err = -VD_EIO;
	}
	if (err == 0 && (next_byte(&fuzz.program) & 1))
		vd_vdev_ready(vdev);
	return err;
}

static void give_up(struct vd_vdev *vdev)
{
	(void)vd_vdev_reset(vdev);
	vd_vdev_del_vqs(vdev);
}

static void config_changed(struct vd_vdev *vdev)
{
	MUST(vdev->driver == &fuzz.driver);
	interrupt();
}

static int freeze(struct vd_vdev *vdev)
{
	if (next_byte(&fuzz.program) == 255)
		return -VD_EBUSY;
	give_up(vdev);
	return 0;
}

static int restore(struct vd_vdev *vdev)
{
	/* Whatever the first attempt left. */
	vd_vdev_del_vqs(vdev);
	return set_up(vdev);
}

/* ---- operations ---- */

static struct vd_vdev_vq *any_queue(void)
{
	unsigned n = next_byte(&fuzz.program);

	return fuzz.vdev.n_queues > 0 ? &fuzz.queues[n % fuzz.vdev.n_queues] : NULL;
}

static void add(void)
{
	struct vd_vdev_vq *queue = any_queue();
	struct vd_iov iov[2] = {{.base = buffer, .len = 32}, {.base = buffer + 32, .len = 32}};
	int err;

	if (queue == NULL)
		return;
	err = vd_vq_drv_add(&queue->vq, iov, 1, 1, buffer);
	MUST(err == 0 || err == -VD_ENOSPC || err == -VD_E2BIG || err == -VD_EPROTO);
}

static void kick(void)
{
	struct vd_vdev_vq *queue = any_queue();

	if (queue != NULL)
		vd_vdev_kick(queue);
}

/* What the device writes of a queue, as it likes: the ends of descriptors, or used entries. */
static void scribble(void)
{
	struct vd_vdev_vq *queue = any_queue();
	bool packed = vd_vdev_has(&fuzz.vdev, VD_F_RING_PACKED);
	unsigned at = next_below(&fuzz.program, 4);
	unsigned char value = next_byte(&fuzz.program);

	if (queue == NULL || queue->memory == NULL)
		return;
	at += next_byte(&fuzz.program) % queue->vq.size * (packed ? 16 : 4);
	if (packed)
		((unsigned char *)queue->ring.desc)[at + 12] = value;
	else
		((unsigned char *)queue->ring.device)[at] = value;
}

static void notified(void)
{
	if (next_byte(&fuzz.program) & 1)
		vd_vdev_all_notified(&fuzz.vdev);
	else
		vd_vdev_queue_notified(&fuzz.vdev, next_below(&fuzz.program, 5));
}

static void change_config(void)
{
	vd_vdev_config_changed(&fuzz.vdev);
}

static void read_config(void)
{
	const struct vd_config_field *field = &fields[next_below(&fuzz.program, N_FIELDS)];
	unsigned char bytes[6];
	uint64_t value = 0;
	int err;

	if (next_byte(&fuzz.program) & 1)
		err = vd_vdev_config_get(&fuzz.vdev, field, next_below(&fuzz.program, 4), &value);
	else
		err = vd_vdev_config_get_bytes(&fuzz.vdev, field, bytes,
					       next_below(&fuzz.program, 7));
	MUST(err <= 0);
}

static void write_config(void)
{
	const struct vd_config_field *field = &fields[next_below(&fuzz.program, N_FIELDS)];

	MUST(vd_vdev_config_set(&fuzz.vdev, field, next_below(&fuzz.program, 4),
				next_u32(&fuzz.program)) <= 0);
}

static void count(struct vd_vdev_vq *queue, void *token)
{
	MUST(token == buffer && queue->vdev == &fuzz.vdev);
}

static void reset_queue(void)
{
	struct vd_vdev_vq *queue = any_queue();
	int err;

	if (queue == NULL)
		return;
	err = vd_vdev_reset_vq(queue, next_below(&fuzz.program, 3) * 4, count);
	/* Without its memory a queue is broken, not dangling. */
	MUST(err <= 0 && (queue->memory != NULL || vd_vq_drv_is_broken(&queue->vq)));
}

static void suspend(void)
{
	int err = vd_vdev_suspend(&fuzz.vdev);

	MUST(err <= 0 && (err != 0 || fuzz.vdev.suspended));
}

static void resume(void)
{
	int err = vd_vdev_resume(&fuzz.vdev);

	MUST(err <= 0 && (err != 0 || !fuzz.vdev.suspended));
}

static void sleep(void)
{
	if (vd_vdev_freeze(&fuzz.vdev) != 0)
		return;
	for (unsigned i = 0; i < 3; i++)
		if (vd_vdev_restore(&fuzz.vdev) == 0)
			return;
}

static void recover(void)
{
	(void)vd_vdev_recover(&fuzz.vdev);
}

static void unbind(void)
{
	if (next_byte(&fuzz.program) & 1)
		vd_bus_unbind(&fuzz.vdev);
}

static void bind(void)
{
	int err = vd_bus_bind(&fuzz.vdev);

	MUST((err == 0 || err == -VD_EBUSY) == (fuzz.vdev.driver != NULL));
}

/* Not from inside a callback of the driver that would go with it. */
static void (*const operations[])(void) = {
	add,     kick,   scribble, notified, change_config, read_config, write_config, reset_queue,
	suspend, resume, sleep,    recover,  unbind,        bind,        add,          kick,
};

#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))
#define N_ANYWHERE   7

/* A device that always lies is given up on after so many looks. */
#define ACCESSES_MAX 5000u

static void run_one(void)
{
	unsigned below = fuzz.depth == 0 ? N_OPERATIONS : N_ANYWHERE;

	if (fuzz.depth == 3)
		return;
	if (fuzz.depth == 0)
		fuzz.n_accesses = 0;
	fuzz.depth++;
	operations[next_below(&fuzz.program, below)]();
	fuzz.depth--;
	MUST(fuzz.n_accesses < ACCESSES_MAX);
	MUST(fuzz.vdev.driver != NULL || fuzz.live == 0);
}

/* ---- set-up ---- */

static const struct vd_device_id ids[] = {{42, VD_ID_ANY}, {0, 0}};
static const uint8_t known[] = {0, 1, 63, 28};

static void set_up_bus(uint8_t bits)
{
	vd_bus_init(&fuzz.bus);
	fuzz.ops = ops;
	if (bits & 1)
		fuzz.ops.config_generation = NULL;
	if (bits & 2)
		fuzz.ops.relax = NULL;
	fuzz.window = (struct vd_window){.peer = 0x1000,
					 .size = UINT64_C(1) << 47,
					 .local = (void *)0x1000,
					 .rights = VD_MEM_RW};
	fuzz.mem = (struct vd_mem){
		.window = &fuzz.window, .count = 1, .capacity = 1, .limit = VD_MEM_LIMIT_64};
	fuzz.vdev = (struct vd_vdev){
		.type = &type,
		.device_id = type.id,
		.ops = &fuzz.ops,
		.transport_features = VD_F_TRANSPORT_MASK,
		.mem = &fuzz.mem,
		.shared = &memory,
		.local = &memory,
		.split = &vd_split_drv,
		.packed = bits & 4 ? NULL : &vd_packed_drv,
		.big_endian = bits & 8,
		.legacy_align = bits & 16 ? 4096 : 0,
	};
	fuzz.driver = (struct vd_driver){
		.name = "fuzz",
		.ids = ids,
		.features = known,
		.n_features = sizeof(known),
		.validate = bits & 32 ? NULL : validate,
		.probe = probe,
		.remove = give_up,
		.config_changed = config_changed,
		.freeze = bits & 64 ? NULL : freeze,
		.restore = bits & 64 ? NULL : restore,
	};
	MUST(vd_bus_add_driver(&fuzz.bus, &fuzz.driver) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.program = (struct program){.at = data, .left = size};
	set_up_bus(next_byte(&fuzz.program));
	if (vd_bus_add_device(&fuzz.bus, &fuzz.vdev) == 0) {
		while (fuzz.program.left > 0)
			run_one();
		vd_bus_remove_device(&fuzz.bus, &fuzz.vdev);
	}
	vd_bus_remove_driver(&fuzz.bus, &fuzz.driver);
	MUST(fuzz.live == 0 && fuzz.vdev.n_queues == 0);
	return 0;
}
