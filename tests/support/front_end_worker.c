/* SPDX-License-Identifier: BSD-3-Clause */
/* A device for transports to be tested with: see front_end_worker.h. */
#include "front_end_worker.h"

#include "viaduct/errno.h"

#include <stdlib.h>
#include <string.h>

static const struct vd_feature_row features[] = {
	{WORKER_F_A, VD_F_NONE, "A"},
	{WORKER_F_B, WORKER_F_A, "B"},
};

static const struct vd_config_field fields[] = {
	{.offset = 0, .width = 4, .count = 1, .feature = VD_F_NONE, .name = "fixed"},
	{.offset = 4,
	 .width = 4,
	 .count = 1,
	 .feature = VD_F_NONE,
	 .writable = true,
	 .name = "free"},
	{.offset = 8,
	 .width = 2,
	 .count = 4,
	 .feature = WORKER_F_A,
	 .writable = true,
	 .name = "four"},
	{.offset = 16, .width = 8, .count = 1, .feature = 5, .writable = true, .name = "absent"},
};

static const struct vd_device_type type = {
	.id = WORKER_ID,
	.name = "worker",
	.features = features,
	.n_features = 2,
	.fields = fields,
	.n_fields = 4,
	.config_size = WORKER_CONFIG,
};

static struct worker *worker_of(struct vd_device *dev)
{
	return (void *)((char *)dev - offsetof(struct worker, dev));
}

/* ---- requests ---- */

static uint32_t next_random(struct worker *worker)
{
	worker->random = worker->random * 1664525u + 1013904223u;
	return worker->random >> 16;
}

static void answer(struct worker *worker, struct worker_request *request)
{
	struct vd_vq_dev *vq = vd_device_vq(&worker->dev, request->queue);
	uint32_t value = worker_answer(request->number);
	struct vd_cursor cursor;
	size_t written;

	if (vq == NULL)
		return;
	vd_cursor_init(&cursor, request->chain.iov + request->chain.n_out, request->chain.n_in);
	written = vd_cursor_push(&cursor, &value, sizeof(value));
	(void)vd_vq_dev_push(vq, &request->chain, written);
	worker->served++;
}

static unsigned choose(struct worker *worker)
{
	switch (worker->config.order) {
	case WORKER_NEWEST_FIRST:
		return worker->n_held - 1;
	case WORKER_RANDOM:
		return next_random(worker) % worker->n_held;
	default:
		return 0;
	}
}

/* Out of the list; what stays keeps its order. */
static void remove_held(struct worker *worker, unsigned at)
{
	worker->n_held--;
	for (unsigned i = at; i < worker->n_held; i++) {
		worker->held[i] = worker->held[i + 1];
		worker->held[i].chain.iov = worker->held[i].iov;
	}
}

static void answer_some(struct worker *worker, unsigned keep)
{
	while (worker->n_held > keep) {
		unsigned at = choose(worker);

		answer(worker, &worker->held[at]);
		remove_held(worker, at);
	}
}

void worker_complete(struct worker *worker, unsigned n)
{
	answer_some(worker, n < worker->n_held ? worker->n_held - n : 0);
	for (uint16_t i = 0; i < worker->dev.n_queues; i++)
		vd_device_flush(&worker->dev, i);
}

bool worker_unpop(struct worker *worker)
{
	struct worker_request *last;
	struct vd_vq_dev *vq;

	if (worker->n_held == 0)
		return false;
	last = &worker->held[worker->n_held - 1];
	vq = vd_device_vq(&worker->dev, last->queue);
	if (vq == NULL || vd_vq_dev_unpop(vq, &last->chain) != 0)
		return false;
	worker->n_held--;
	return true;
}

/* Take the next request. 1, 0 for none, or an error. */
static int take(struct worker *worker, struct vd_vq_dev *vq, uint16_t index)
{
	struct worker_request *request = &worker->held[worker->n_held];
	struct vd_cursor cursor;
	int got;

	request->chain.iov = request->iov;
	request->chain.iov_max = WORKER_IOV;
	got = vd_vq_dev_pop(vq, &request->chain);
	if (got == 0 || got == -VD_EPROTO)
		return got;
	request->queue = index;
	request->number = 0;
	vd_cursor_init(&cursor, request->iov, request->chain.n_out);
	if (vd_cursor_pull(&cursor, &request->number, sizeof(request->number)) != 4)
		worker->malformed++;
	worker->n_held++;
	if (worker->config.taken != NULL)
		worker->config.taken(worker, request);
	return 1;
}

static bool notify(struct vd_device *dev, uint16_t index)
{
	struct worker *worker = worker_of(dev);
	unsigned most = worker->config.at_once > 0 ? worker->config.at_once : WORKER_HELD_MAX;
	unsigned n = 0;
	struct vd_vq_dev *vq = vd_device_vq(dev, index);

	worker->notifies++;
	while (n < most && take(worker, vq, index) == 1) {
		n++;
		if (worker->n_held == WORKER_HELD_MAX)
			answer_some(worker, worker->config.hold);
	}
	answer_some(worker, worker->config.hold);
	vd_device_flush(dev, index);
	vq = vd_device_vq(dev, index);
	return vq != NULL && (n == most || vd_vq_dev_enable_notify(vq));
}

/* ---- life ---- */

static bool accept(struct vd_device *dev, uint64_t accepted)
{
	(void)accepted;
	return !worker_of(dev)->refuses;
}

static int start(struct vd_device *dev)
{
	worker_of(dev)->starts++;
	return worker_of(dev)->start_result;
}

static void stop(struct vd_device *dev)
{
	worker_of(dev)->stops++;
	worker_of(dev)->n_held = 0;
}

static void queue_start(struct vd_device *dev, uint16_t index)
{
	worker_of(dev)->queue_starts++;
	(void)vd_vq_dev_enable_notify(vd_device_vq(dev, index));
}

/* The request of queue @index to be answered next, or n_held. */
static unsigned choose_of(const struct worker *worker, uint16_t index)
{
	unsigned found = worker->n_held;

	for (unsigned i = 0; i < worker->n_held; i++) {
		if (worker->held[i].queue != index)
			continue;
		found = i;
		if (worker->config.order != WORKER_NEWEST_FIRST)
			break;
	}
	return found;
}

static void queue_stop(struct vd_device *dev, uint16_t index)
{
	struct worker *worker = worker_of(dev);
	unsigned at;

	worker->queue_stops++;
	while ((at = choose_of(worker, index)) < worker->n_held) {
		answer(worker, &worker->held[at]);
		remove_held(worker, at);
	}
}

static int suspend(struct vd_device *dev)
{
	struct worker *worker = worker_of(dev);

	worker->suspends++;
	if (worker->suspend_result == 0)
		answer_some(worker, 0);
	return worker->suspend_result;
}

static int resume(struct vd_device *dev)
{
	worker_of(dev)->resumes++;
	return 0;
}

static void config_written(struct vd_device *dev, uint32_t offset, uint32_t len)
{
	(void)offset;
	(void)len;
	worker_of(dev)->config_writes++;
}

static void fault(struct vd_device *dev, const struct vd_fault *what)
{
	worker_of(dev)->fault = *what;
}

static const struct vd_device_ops ops = {
	.accept = accept,
	.start = start,
	.stop = stop,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notify,
	.config_written = config_written,
	.fault = fault,
};

static const struct vd_device_ops ops_suspends = {
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

/* ---- set-up ---- */

static int make_queues(struct worker *worker, struct vd_device_config *device)
{
	size_t state_size;

	worker->queues = calloc(device->n_queues, sizeof(*worker->queues));
	if (worker->queues == NULL)
		return -VD_ENOMEM;
	state_size = vd_device_queue_state_size(device, worker->config.size_max);
	for (unsigned i = 0; i < device->n_queues; i++) {
		worker->queues[i].size_max = worker->config.size_max;
		worker->queues[i].state_size = state_size;
		worker->queues[i].state = malloc(state_size);
		if (worker->queues[i].state == NULL)
			return -VD_ENOMEM;
	}
	device->queues = worker->queues;
	return 0;
}

int worker_init(struct worker *worker, const struct worker_config *config)
{
	struct vd_device_config device = {
		.type = &type,
		.ops = config->suspends ? &ops_suspends : &ops,
		.vendor = 0x1af4,
		.split = &vd_split_dev,
		.packed = &vd_packed_dev,
	};
	int err;

	memset(worker, 0, sizeof(*worker));
	worker->config = *config;
	worker->random = config->seed;
	if (worker->config.n_queues == 0)
		worker->config.n_queues = 2;
	if (worker->config.size_max == 0)
		worker->config.size_max = 256;
	device.n_queues = worker->config.n_queues;
	device.features = VD_BIT(WORKER_F_A) | VD_BIT(WORKER_F_B);
	device.features |= config->features != 0 ? config->features : VD_DEVICE_RING_FEATURES;
	if (config->suspends)
		device.features |= VD_BIT(VD_F_SUSPEND);
	if (!config->no_config)
		device.config = worker->space;
	for (unsigned char i = 0; i < WORKER_CONFIG; i++)
		worker->space[i] = i;
	err = make_queues(worker, &device);
	if (err == 0)
		err = vd_device_init(&worker->dev, &device);
	if (err != 0)
		worker_free(worker);
	return err;
}

void worker_free(struct worker *worker)
{
	for (unsigned i = 0; worker->queues != NULL && i < worker->config.n_queues; i++)
		free(worker->queues[i].state);
	free(worker->queues);
	worker->queues = NULL;
}
