/* SPDX-License-Identifier: BSD-3-Clause */
/* See virtio_rig.h. */
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the type ---- */

static const struct vd_feature_row features[] = {
	{VIRTIO_RIG_F_A, VD_F_NONE, "A"},
	{VIRTIO_RIG_F_B, VIRTIO_RIG_F_A, "B"},
	{VIRTIO_RIG_F_OPT, VD_F_NONE, "OPT"},
	{VIRTIO_RIG_F_C, VIRTIO_RIG_F_B, "C"},
};

static const struct vd_config_field fields[VIRTIO_RIG_N_FIELDS] = {
	[VIRTIO_RIG_VERSION] = {0, 1, 1, VD_F_NONE, false, "version"},
	[VIRTIO_RIG_PORT] = {2, 2, 1, VD_F_NONE, true, "port"},
	[VIRTIO_RIG_WORDS] = {4, 4, 3, VD_F_NONE, true, "words"},
	[VIRTIO_RIG_WIDE] = {16, 8, 1, VD_F_NONE, true, "wide"},
	[VIRTIO_RIG_MAC] = {24, 1, 6, VD_F_NONE, false, "mac"},
	[VIRTIO_RIG_OPT] = {30, 2, 1, VIRTIO_RIG_F_OPT, true, "opt"},
};

const struct vd_device_type virtio_rig_type = {
	.id = 42,
	.name = "rig",
	.features = features,
	.n_features = sizeof(features) / sizeof(features[0]),
	.fields = fields,
	.n_fields = VIRTIO_RIG_N_FIELDS,
	.config_size = VIRTIO_RIG_CONFIG_SIZE,
};

/* ---- the log ---- */

static struct virtio_rig *rig_of(struct vd_device *dev)
{
	return (struct virtio_rig *)(void *)((char *)dev - offsetof(struct virtio_rig, dev));
}

static void note(struct vd_device *dev, const char *word)
{
	struct virtio_rig *rig = rig_of(dev);
	size_t used = strlen(rig->log);

	assert_true(used + strlen(word) + 2 < sizeof(rig->log));
	snprintf(rig->log + used, sizeof(rig->log) - used, "%s%s", used > 0 ? " " : "", word);
	if (rig->hook != NULL)
		rig->hook(rig, word);
}

static void note_number(struct vd_device *dev, const char *word, unsigned number)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%u", word, number);
	note(dev, text);
}

void virtio_rig_expect(struct virtio_rig *rig, const char *words)
{
	assert_string_equal(rig->log, words);
	rig->log[0] = '\0';
}

void virtio_rig_expect_fault(struct virtio_rig *rig, enum vd_fault_code code, uint64_t a,
			     uint64_t b)
{
	assert_string_equal(vd_fault_name(rig->dev.fault.code), vd_fault_name(code));
	assert_int_equal(rig->dev.fault.value[0], a);
	assert_int_equal(rig->dev.fault.value[1], b);
}

/* ---- the family ---- */

static bool accept(struct vd_device *dev, uint64_t accepted)
{
	(void)accepted;
	note(dev, "accept");
	return !rig_of(dev)->refuse;
}

static int start(struct vd_device *dev)
{
	note(dev, "start");
	return rig_of(dev)->start_err;
}

static void stop(struct vd_device *dev)
{
	note(dev, "stop");
}

static void queue_start(struct vd_device *dev, uint16_t index)
{
	note_number(dev, "queue_start", index);
}

static void queue_stop(struct vd_device *dev, uint16_t index)
{
	note_number(dev, "queue_stop", index);
}

/* Give back all there is, and ask to be notified of more. */
static void serve(struct vd_device *dev, uint16_t index)
{
	struct vd_vq_dev *vq;
	struct vd_iov iov[8];
	struct vd_chain chain = {.iov = iov, .iov_max = 8};

	while ((vq = vd_device_vq(dev, index)) != NULL && vd_vq_dev_pop(vq, &chain) == 1) {
		assert_int_equal(vd_vq_dev_push(vq, &chain, 0), 0);
		rig_of(dev)->n_served++;
	}
	vd_device_flush(dev, index);
	vq = vd_device_vq(dev, index);
	if (vq != NULL)
		(void)vd_vq_dev_enable_notify(vq);
}

static bool notify(struct vd_device *dev, uint16_t index)
{
	note_number(dev, "notify", index);
	if (!rig_of(dev)->lazy)
		serve(dev, index);
	return rig_of(dev)->more;
}

static void config_written(struct vd_device *dev, uint32_t offset, uint32_t len)
{
	char text[64];

	snprintf(text, sizeof(text), "written:%u+%u", offset, len);
	note(dev, text);
}

static int suspend(struct vd_device *dev)
{
	note(dev, "suspend");
	return rig_of(dev)->suspend_err;
}

static int resume(struct vd_device *dev)
{
	note(dev, "resume");
	return rig_of(dev)->resume_err;
}

static void fault(struct vd_device *dev, const struct vd_fault *what)
{
	char text[64];

	snprintf(text, sizeof(text), "!%s", vd_fault_name(what->code));
	note(dev, text);
}

/* ---- the transport ---- */

static void send_notification(struct vd_device *dev, uint16_t index)
{
	note_number(dev, ">queue", index);
}

static void send_config_change(struct vd_device *dev)
{
	note(dev, ">config");
}

/* ---- life ---- */

void virtio_rig_init(struct virtio_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->ops = (struct vd_device_ops){
		.accept = accept,
		.start = start,
		.stop = stop,
		.queue_start = queue_start,
		.queue_stop = queue_stop,
		.notify = notify,
		.config_written = config_written,
		.suspend = suspend,
		.resume = resume,
		.fault = fault,
	};
	rig->transport = (struct vd_device_transport_ops){
		.notify = send_notification,
		.config_changed = send_config_change,
	};
	rig->config = (struct vd_device_config){
		.type = &virtio_rig_type,
		.ops = &rig->ops,
		.features = VIRTIO_RIG_FEATURES,
		.vendor = 0x1af4,
		.queues = rig->queues,
		.n_queues = VIRTIO_RIG_QUEUES,
		.config = rig->space,
		.split = &vd_split_dev,
		.packed = &vd_packed_dev,
	};
	for (unsigned i = 0; i < VIRTIO_RIG_QUEUES; i++)
		rig->queues[i].size_max = VIRTIO_RIG_SIZE_MAX;
}

static void give_state(struct virtio_rig *rig)
{
	for (unsigned i = 0; i < VIRTIO_RIG_QUEUES; i++) {
		struct vd_device_queue *queue = &rig->queues[i];

		queue->state_size = vd_device_queue_state_size(&rig->config, queue->size_max);
		assert_int_not_equal(queue->state_size, 0);
		pages_take(&rig->state[i], queue->state_size, 8);
		queue->state = rig->state[i].at;
	}
}

void virtio_rig_make(struct virtio_rig *rig)
{
	give_state(rig);
	pages_take(&rig->data, 4096, 1);
	rig->window = (struct vd_window){
		.peer = VIRTIO_RIG_DATA, .size = 4096, .local = rig->data.at, .rights = VD_MEM_RW};
	rig->mem = (struct vd_mem){.window = &rig->window, .count = 1, .capacity = 1};
	assert_int_equal(vd_device_init(&rig->dev, &rig->config), 0);
}

void virtio_rig_attach(struct virtio_rig *rig, uint64_t carried)
{
	virtio_rig_make(rig);
	vd_device_attach(&rig->dev, &rig->transport, rig, &rig->mem, carried);
}

void virtio_rig_open(struct virtio_rig *rig)
{
	virtio_rig_init(rig);
	virtio_rig_attach(rig, VD_F_TRANSPORT_MASK);
}

void virtio_rig_close(struct virtio_rig *rig)
{
	rig->hook = NULL;
	for (unsigned i = 0; i < VIRTIO_RIG_QUEUES; i++) {
		rig_ring_give(&rig->ring[i]);
		pages_give(&rig->state[i]);
	}
	pages_give(&rig->data);
}

/* ---- the driver ---- */

void virtio_rig_negotiate(struct virtio_rig *rig, uint64_t accepted)
{
	vd_device_set_status(&rig->dev, 0);
	vd_device_set_status(&rig->dev, VD_STATUS_ACKNOWLEDGE);
	vd_device_set_status(&rig->dev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
	assert_int_equal(vd_device_set_features(&rig->dev, accepted), 0);
	vd_device_set_status(&rig->dev, vd_device_status(&rig->dev) | VD_STATUS_FEATURES_OK);
	assert_true(vd_device_status(&rig->dev) & VD_STATUS_FEATURES_OK);
	rig->log[0] = '\0';
}

void virtio_rig_start(struct virtio_rig *rig, uint64_t accepted)
{
	virtio_rig_negotiate(rig, accepted);
	vd_device_set_status(&rig->dev, vd_device_status(&rig->dev) | VD_STATUS_DRIVER_OK);
	assert_true(vd_device_status(&rig->dev) & VD_STATUS_DRIVER_OK);
	rig->log[0] = '\0';
}

struct vd_queue_setup virtio_rig_setup(struct virtio_rig *rig, uint16_t index, uint16_t size)
{
	bool packed = vd_device_has(&rig->dev, VD_F_RING_PACKED);
	struct peer_ring ring = {
		.packed = packed,
		.size = size,
		.big_endian = rig->dev.big_endian && !vd_device_has(&rig->dev, VD_F_VERSION_1),
	};

	rig_ring_give(&rig->ring[index]);
	rig_ring_take(&rig->ring[index], &ring);
	peer_driver_init(&rig->driver[index], &ring);
	return (struct vd_queue_setup){
		.size = size,
		.big_endian = ring.big_endian,
		.ring = ring.mem,
		.position = vd_ring_start(packed ? VD_RING_PACKED : VD_RING_SPLIT),
	};
}

void virtio_rig_enable(struct virtio_rig *rig, uint16_t index, uint16_t size)
{
	struct vd_queue_setup setup = virtio_rig_setup(rig, index, size);

	assert_int_equal(vd_device_queue_enable(&rig->dev, index, &setup), 0);
}

void virtio_rig_offer(struct virtio_rig *rig, uint16_t index)
{
	const struct peer_desc desc = rig_in(VIRTIO_RIG_DATA, 64);

	peer_driver_offer(&rig->driver[index], &desc, 1);
}

bool virtio_rig_kick(struct virtio_rig *rig, uint16_t index)
{
	return vd_device_kick(&rig->dev, vd_notification(index, 0));
}

unsigned virtio_rig_take(struct virtio_rig *rig, uint16_t index)
{
	struct peer_used used;
	unsigned n = 0;

	while (peer_driver_take(&rig->driver[index], &used))
		n++;
	return n;
}
