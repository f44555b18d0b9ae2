/* SPDX-License-Identifier: BSD-3-Clause */
/* See virtio_fake.h. */
#include "virtio_fake.h"

#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the log ---- */

char fake_log[8192];

void fake_note(const char *format, ...)
{
	size_t used = strlen(fake_log);
	va_list arguments;

	assert_true(used + 100 < sizeof(fake_log));
	if (used > 0)
		fake_log[used++] = ' ';
	va_start(arguments, format);
	vsnprintf(fake_log + used, sizeof(fake_log) - used, format, arguments);
	va_end(arguments);
}

void fake_expect(const char *words)
{
	assert_string_equal(fake_log, words);
	fake_forget();
}

void fake_forget(void)
{
	fake_log[0] = '\0';
}

/* ---- memory ---- */

static struct fake_alloc *alloc_of(struct vd_alloc *alloc)
{
	return (struct fake_alloc *)(void *)alloc;
}

static void *take(struct vd_alloc *alloc, size_t size, size_t align)
{
	struct fake_alloc *self = alloc_of(alloc);

	self->calls++;
	if (self->calls == self->fail_at)
		return NULL;
	for (unsigned i = 0; i < FAKE_ALLOCATIONS; i++)
		if (self->piece[i].pages.at == NULL) {
			pages_take(&self->piece[i].pages, size, align);
			self->piece[i].size = size;
			self->live++;
			return self->piece[i].pages.at;
		}
	fail();
	return NULL;
}

static void give(struct vd_alloc *alloc, void *p, size_t size)
{
	struct fake_alloc *self = alloc_of(alloc);

	if (p == NULL)
		return;
	for (unsigned i = 0; i < FAKE_ALLOCATIONS; i++)
		if (self->piece[i].pages.at == p) {
			assert_int_equal(self->piece[i].size, size);
			pages_give(&self->piece[i].pages);
			self->live--;
			return;
		}
	fail();
}

void fake_alloc_init(struct fake_alloc *alloc)
{
	memset(alloc, 0, sizeof(*alloc));
	alloc->alloc = (struct vd_alloc){.alloc = take, .free = give};
}

/* ---- a device ---- */

static uint64_t get_features(struct vd_vdev *vdev)
{
	return fake_of(vdev)->offered;
}

static int set_features(struct vd_vdev *vdev, uint64_t features)
{
	fake_note("F:%llx", (unsigned long long)features);
	fake_of(vdev)->accepted = features;
	return fake_of(vdev)->features_err;
}

static uint8_t get_status(struct vd_vdev *vdev)
{
	return fake_of(vdev)->status;
}

static void set_status(struct vd_vdev *vdev, uint8_t status)
{
	struct fake *fake = fake_of(vdev);
	uint8_t set = (uint8_t)(status & ~fake->status);

	fake_note("S:%x", status);
	/* Bits are never turned off but by a reset. */
	assert_int_equal(fake->status & ~status & ~VD_STATUS_SUSPEND, 0);
	assert_int_not_equal(status, 0);
	if ((set & VD_STATUS_FEATURES_OK) && (fake->accepted & fake->refused))
		set &= (uint8_t)~VD_STATUS_FEATURES_OK;
	if (fake->stubborn)
		set &= (uint8_t) ~(VD_STATUS_SUSPEND | VD_STATUS_DRIVER_OK);
	fake->status |= set;
	if (set & VD_STATUS_SUSPEND)
		fake->status &= (uint8_t)~VD_STATUS_DRIVER_OK;
	else if (set & VD_STATUS_DRIVER_OK)
		fake->status &= (uint8_t)~VD_STATUS_SUSPEND;
}

static int reset(struct vd_vdev *vdev)
{
	struct fake *fake = fake_of(vdev);

	fake_note("reset");
	if (fake->reset_err != 0)
		return fake->reset_err;
	fake->status = 0;
	memset(fake->enabled, 0, sizeof(fake->enabled));
	return 0;
}

static int config_read(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len)
{
	struct fake *fake = fake_of(vdev);

	fake->n_reads++;
	if (fake->on_read != NULL)
		fake->on_read(fake);
	assert_true(offset + len <= sizeof(fake->space));
	memcpy(bytes, fake->space + offset, len);
	return 0;
}

static int config_write(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len)
{
	struct fake *fake = fake_of(vdev);

	fake_note("w:%u+%u", offset, len);
	assert_true(offset + len <= sizeof(fake->space));
	memcpy(fake->space + offset, bytes, len);
	return 0;
}

static uint32_t config_generation(struct vd_vdev *vdev)
{
	return fake_of(vdev)->generation;
}

static uint16_t queue_size_max(struct vd_vdev *vdev, uint16_t index)
{
	return index < FAKE_QUEUES ? fake_of(vdev)->size_max[index] : 0;
}

static int queue_enable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	struct fake *fake = fake_of(vdev);

	fake_note("enable:%u", queue->index);
	assert_false(fake->enabled[queue->index]);
	if (fake->enable_err != 0 && queue->index == fake->enable_err_at)
		return fake->enable_err;
	fake->enabled[queue->index] = true;
	return 0;
}

static int queue_disable(struct vd_vdev *vdev, struct vd_vdev_vq *queue)
{
	struct fake *fake = fake_of(vdev);

	fake_note("disable:%u", queue->index);
	if (fake->disable_err == 0)
		fake->enabled[queue->index] = false;
	return fake->disable_err;
}

static void notify(struct vd_vdev *vdev, struct vd_vdev_vq *queue, uint32_t notification)
{
	fake_note("kick:%u", queue->index);
	assert_int_equal(vd_notification_queue(notification), queue->index);
	/* Not before it is ready, not while suspended. */
	assert_true(fake_of(vdev)->status & VD_STATUS_DRIVER_OK);
}

static const struct vd_vdev_ops device_ops = {
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
};

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake_alloc_init(&fake->shared);
	fake_alloc_init(&fake->local);
	fake->window = (struct vd_window){
		.peer = 0x1000,
		.size = UINT64_C(1) << 47,
		.local = (void *)0x1000,
		.rights = VD_MEM_RW,
	};
	fake->mem = (struct vd_mem){
		.window = &fake->window, .count = 1, .capacity = 1, .limit = VD_MEM_LIMIT_64};
	fake->ops = device_ops;
	fake->offered = VIRTIO_RIG_FEATURES;
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		fake->size_max[i] = 16;
	fake->vdev = (struct vd_vdev){
		.type = &virtio_rig_type,
		.device_id = virtio_rig_type.id,
		.vendor_id = 0x1af4,
		.ops = &fake->ops,
		.transport_features = VD_F_TRANSPORT_MASK,
		.mem = &fake->mem,
		.shared = &fake->shared.alloc,
		.local = &fake->local.alloc,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
	};
}

void fake_expect_clean(struct fake *fake)
{
	assert_int_equal(fake->shared.live, 0);
	assert_int_equal(fake->local.live, 0);
	assert_int_equal(fake->vdev.n_queues, 0);
	assert_null(fake->vdev.queues);
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		assert_false(fake->enabled[i]);
}

/* ---- a driver ---- */

static void note_for(struct vd_vdev *vdev, const char *what)
{
	struct fake_driver *self = fake_driver_of(vdev);

	fake_note("%s:%s:%s", what, self->driver.name, vdev->name);
	if (self->hook != NULL)
		self->hook(self, vdev, what);
}

static int validate(struct vd_vdev *vdev)
{
	struct fake_driver *self = fake_driver_of(vdev);

	note_for(vdev, "validate");
	vdev->features &= ~self->clears;
	return self->validate_err;
}

static void queue_callback(struct vd_vdev_vq *queue)
{
	fake_driver_of(queue->vdev)->n_callbacks++;
	note_for(queue->vdev, "used");
}

static int set_up(struct vd_vdev *vdev)
{
	struct fake_driver *self = fake_driver_of(vdev);
	int err = 0;

	if (self->n_queues > 0)
		err = vd_vdev_find_vqs(vdev, self->n_queues, self->requests, fake_of(vdev)->queues);
	if (err == 0 && self->readies)
		vd_vdev_ready(vdev);
	return err;
}

static int probe(struct vd_vdev *vdev)
{
	struct fake_driver *self = fake_driver_of(vdev);
	int err;

	note_for(vdev, "probe");
	err = set_up(vdev);
	if (err != 0)
		return err;
	if (self->probe_err != 0) {
		(void)vd_vdev_reset(vdev);
		vd_vdev_del_vqs(vdev);
	}
	return self->probe_err;
}

static void scan(struct vd_vdev *vdev)
{
	note_for(vdev, "scan");
}

static void give_back(struct vd_vdev *vdev)
{
	(void)vd_vdev_reset(vdev);
	vd_vdev_del_vqs(vdev);
}

static void remove_driver(struct vd_vdev *vdev)
{
	note_for(vdev, "remove");
	give_back(vdev);
}

static void config_changed(struct vd_vdev *vdev)
{
	note_for(vdev, "config");
}

static int freeze(struct vd_vdev *vdev)
{
	note_for(vdev, "freeze");
	if (fake_driver_of(vdev)->freeze_err == 0)
		give_back(vdev);
	return fake_driver_of(vdev)->freeze_err;
}

static int restore(struct vd_vdev *vdev)
{
	note_for(vdev, "restore");
	if (fake_driver_of(vdev)->restore_err != 0)
		return fake_driver_of(vdev)->restore_err;
	return set_up(vdev);
}

static const struct vd_device_id ids[] = {{42, VD_ID_ANY}, {0, 0}};
static const uint8_t known[] = {VIRTIO_RIG_F_A, VIRTIO_RIG_F_B, VIRTIO_RIG_F_OPT, VIRTIO_RIG_F_C};

void fake_driver_init(struct fake_driver *driver, const char *name)
{
	memset(driver, 0, sizeof(*driver));
	driver->driver = (struct vd_driver){
		.name = name,
		.ids = ids,
		.features = known,
		.n_features = sizeof(known),
		.validate = validate,
		.probe = probe,
		.scan = scan,
		.remove = remove_driver,
		.config_changed = config_changed,
		.freeze = freeze,
		.restore = restore,
	};
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		driver->requests[i] = (struct vd_vq_request){.name = "queue",
							     .callback = queue_callback};
}
