/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues between two processors: what a buffer costs, streaming and there and back. */
#include "bench.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_dev.h"
#include "viaduct/vq_drv.h"

#include <stdlib.h>
#include <string.h>

#define SIZE  256u
#define BATCH 32u

/* One end of a queue with all that is private to it, on cache lines of its own. */
struct end {
	_Alignas(128) struct vd_mem mem;
	struct vd_window window;
	union {
		struct vd_vq_drv drv;
		struct vd_vq_dev dev;
	};
	_Alignas(128) unsigned char state[64 * 1024];
};

struct ring_job {
	const struct vt_case *which;
	uint32_t payload;
	uint32_t stride;
	bool sleeps;
	unsigned char *buffers;
	struct end *driver;
	struct end *device;
};

static void spin_or(struct ring_job *job, unsigned *idle,
		    void (*doze)(struct vt_pair *, struct ring_job *), struct vt_pair *pair)
{
	if (!job->sleeps || ++*idle < VT_BENCH_SPINS) {
		vt_relax();
		return;
	}
	*idle = 0;
	doze(pair, job);
}

/* ---- the driver's worker ---- */

static void driver_doze(struct vt_pair *pair, struct ring_job *job)
{
	if (!vd_vq_drv_enable_cb_delayed(&job->driver->drv))
		vt_bell_wait(pair->bell[0], -1);
	vd_vq_drv_disable_cb(&job->driver->drv);
}

/* Buffers that are free, oldest first. */
struct free_list {
	unsigned char *buffer[SIZE];
	unsigned first;
	unsigned count;
};

static void put_free(struct free_list *list, unsigned char *buffer)
{
	list->buffer[(list->first + list->count++) % SIZE] = buffer;
}

static unsigned char *take_free(struct free_list *list)
{
	unsigned char *buffer = list->buffer[list->first];

	list->first = (list->first + 1) % SIZE;
	list->count--;
	return buffer;
}

static void reclaim(struct vt_pair *pair, struct ring_job *job, struct free_list *list)
{
	unsigned idle = 0;

	while (list->count < BATCH) {
		struct vd_used used;
		int got;

		while ((got = vd_vq_drv_get(&job->driver->drv, &used)) == 1) {
			/* It will be filled again soon. */
			vd_prefetch_write(used.token);
			put_free(list, used.token);
		}
		if (got < 0)
			vt_pair_fail(pair);
		if (list->count < BATCH)
			spin_or(job, &idle, driver_doze, pair);
	}
}

static void compose(struct ring_job *job, unsigned char *buffer, uint64_t number)
{
	_Alignas(8) unsigned char scratch[512];

	if (!(job->which->flags & VT_BENCH_COPY)) {
		vt_payload_fill(buffer, job->payload, number);
		return;
	}
	vt_payload_fill(scratch, job->payload, number);
	memcpy(buffer, scratch, job->payload);
}

static void drive(struct vt_pair *pair, void *argument)
{
	struct ring_job *job = argument;
	struct vd_vq_drv *vq = &job->driver->drv;
	struct free_list list = {.count = 0};
	uint64_t number = 0;

	for (unsigned i = 0; i < SIZE; i++)
		put_free(&list, job->buffers + (size_t)i * job->stride);
	while (number < job->which->count) {
		reclaim(pair, job, &list);
		for (unsigned i = 0; i < BATCH && number < job->which->count; i++) {
			struct vd_iov segment = {take_free(&list), job->payload};

			compose(job, segment.base, number++);
			if (vd_vq_drv_add(vq, &segment, 1, 0, segment.base) != 0)
				vt_pair_fail(pair);
		}
		if (vd_vq_drv_kick(vq))
			vt_bell_ring(pair->bell[1]);
	}
}

/* ---- the device's worker ---- */

static void device_doze(struct vt_pair *pair, struct ring_job *job)
{
	if (!vd_vq_dev_enable_notify(&job->device->dev))
		vt_bell_wait(pair->bell[1], -1);
	vd_vq_dev_disable_notify(&job->device->dev);
}

static void examine(struct vt_pair *pair, struct ring_job *job, const unsigned char *buffer,
		    uint64_t number)
{
	_Alignas(8) unsigned char scratch[512];

	if (job->which->flags & VT_BENCH_COPY) {
		memcpy(scratch, buffer, job->payload);
		buffer = scratch;
	}
	if (!vt_payload_check(buffer, job->payload, number))
		vt_pair_fail(pair);
}

static void serve(struct vt_pair *pair, void *argument)
{
	struct ring_job *job = argument;
	struct vd_vq_dev *vq = &job->device->dev;
	struct vd_iov iov[BATCH];
	struct vd_chain chains[BATCH];
	uint64_t number = 0;
	unsigned idle = 0;

	for (unsigned i = 0; i < BATCH; i++)
		chains[i] = (struct vd_chain){.iov = &iov[i], .iov_max = 1};
	while (number < job->which->count) {
		int n = vd_vq_dev_pop_many(vq, chains, BATCH);

		if (n < 0)
			vt_pair_fail(pair);
		for (int i = 0; i < n; i++) {
			examine(pair, job, chains[i].iov[0].base, number++);
			(void)vd_vq_dev_push(vq, &chains[i], 0);
		}
		if (n == 0)
			spin_or(job, &idle, device_doze, pair);
		else if (vd_vq_dev_flush(vq))
			vt_bell_ring(pair->bell[0]);
	}
}

/* ---- there and back: the device writes into the buffer what it read from it ---- */

static void await_used(struct vt_pair *pair, struct ring_job *job)
{
	struct vd_used used;
	unsigned idle = 0;
	int got;

	while ((got = vd_vq_drv_get(&job->driver->drv, &used)) == 0)
		spin_or(job, &idle, driver_doze, pair);
	if (got < 0 || used.len != job->payload)
		vt_pair_fail(pair);
}

static void drive_round_trips(struct vt_pair *pair, void *argument)
{
	struct ring_job *job = argument;
	struct vd_vq_drv *vq = &job->driver->drv;
	unsigned char *buffer = job->buffers;
	struct vd_iov segments[2] = {{buffer, job->payload}, {buffer + job->stride, job->payload}};

	for (uint64_t number = 0; number < job->which->count; number++) {
		vt_payload_fill(buffer, job->payload, number);
		if (vd_vq_drv_add(vq, segments, 1, 1, buffer) != 0)
			vt_pair_fail(pair);
		if (vd_vq_drv_kick(vq))
			vt_bell_ring(pair->bell[1]);
		await_used(pair, job);
		if (!vt_payload_check(buffer + job->stride, job->payload, number))
			vt_pair_fail(pair);
	}
}

static void serve_round_trips(struct vt_pair *pair, void *argument)
{
	struct ring_job *job = argument;
	struct vd_vq_dev *vq = &job->device->dev;
	struct vd_iov iov[2];
	struct vd_chain chain = {.iov = iov, .iov_max = 2};
	unsigned idle = 0;

	for (uint64_t number = 0; number < job->which->count;) {
		int n = vd_vq_dev_pop(vq, &chain);

		if (n < 0)
			vt_pair_fail(pair);
		if (n == 0) {
			spin_or(job, &idle, device_doze, pair);
			continue;
		}
		idle = 0;
		memcpy(iov[1].base, iov[0].base, job->payload);
		number++;
		(void)vd_vq_dev_push(vq, &chain, job->payload);
		if (vd_vq_dev_flush(vq))
			vt_bell_ring(pair->bell[0]);
	}
}

/* ---- set-up ---- */

static bool open_end(struct end *end, struct vt_pair *pair)
{
	struct vd_window window = {
		.peer = 0x10000,
		.size = VT_BENCH_MEMORY,
		.local = pair->memory,
		.rights = VD_MEM_RW,
	};

	vd_mem_init(&end->mem, &end->window, 1, VD_MEM_LIMIT_64);
	return vd_mem_add(&end->mem, &window) == 0;
}

static bool open_ends(struct vt_pair *pair, struct ring_job *job)
{
	bool packed = job->which->flags & VT_BENCH_PACKED;
	enum vd_ring_layout layout = packed ? VD_RING_PACKED : VD_RING_SPLIT;
	uint64_t features = VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_EVENT_IDX);
	struct vd_ring_mem ring;
	size_t ring_size = vd_ring_place(layout, SIZE, pair->memory, &ring);
	struct vd_vq_drv_config driver = {
		.layout = packed ? &vd_packed_drv : &vd_split_drv,
		.size = SIZE,
		.features = features,
		.ring = ring,
		.mem = &job->driver->mem,
		.state = job->driver->state,
		.state_size = sizeof(job->driver->state),
	};
	struct vd_vq_dev_config device = {
		.layout = packed ? &vd_packed_dev : &vd_split_dev,
		.size = SIZE,
		.features = features,
		.ring = ring,
		.mem = &job->device->mem,
		.state = job->device->state,
		.state_size = sizeof(job->device->state),
		.position = vd_ring_start(layout),
	};

	job->buffers = pair->memory + (ring_size + 4095) / 4096 * 4096;
	if (!open_end(job->driver, pair) || !open_end(job->device, pair) ||
	    vd_vq_drv_init(&job->driver->drv, &driver) != 0 ||
	    vd_vq_dev_init(&job->device->dev, &device) != 0)
		return false;
	vd_vq_drv_disable_cb(&job->driver->drv);
	vd_vq_dev_disable_notify(&job->device->dev);
	return true;
}

static double run_ring(struct vt_pair *pair, const struct vt_case *which)
{
	bool round_trip = which->flags & VT_BENCH_ROUND_TRIP;
	struct ring_job job = {
		.which = which,
		.payload = which->payload,
		/* Small ones lie side by side, as in the bare ring; larger ones on lines of their
		 * own. There and back, each direction has lines of its own. */
		.stride = which->payload <= 16 && !round_trip ? 16
							      : (which->payload + 63) / 64 * 64,
		.sleeps = which->flags & VT_BENCH_SLEEP,
		.driver = aligned_alloc(128, sizeof(struct end)),
		.device = aligned_alloc(128, sizeof(struct end)),
	};
	double seconds = -1;

	if (job.driver != NULL && job.device != NULL && open_ends(pair, &job))
		seconds = vt_pair_run(pair, round_trip ? drive_round_trips : drive,
				      round_trip ? serve_round_trips : serve, &job);
	free(job.driver);
	free(job.device);
	return seconds < 0 ? -1 : seconds * 1e9 / which->count;
}

/* ---- the table ---- */

/* Rows that others are compared with. */
enum {
	PING_PONG,
	BARE_16,
	BARE_128,
	BARE_496,
	FIRST_CASE,
};

#define MANY 2000000
#define SOME 500000
#define FEW  20000

#define THREE(name, flags, count, aim)                                                             \
	{name, 16, flags, count, run_ring, BARE_16, aim},                                          \
		{name, 128, flags, count, run_ring, BARE_128, 0},                                  \
	{                                                                                          \
		name, 496, flags, count, run_ring, BARE_496, 0                                     \
	}

const struct vt_case vt_ring_cases[] = {
	[PING_PONG] = {"two-line ping-pong", 0, VT_BENCH_ROUND_TRIP, SOME, vt_base_ping_pong, -1,
		       0},
	[BARE_16] = {"bare ring", 16, 0, MANY * 4, vt_base_ring, -1, 0},
	[BARE_128] = {"bare ring", 128, 0, MANY, vt_base_ring, -1, 0},
	[BARE_496] = {"bare ring", 496, 0, MANY, vt_base_ring, -1, 0},
	THREE("split", 0, MANY, 12),
	THREE("packed", VT_BENCH_PACKED, MANY, 9),
	THREE("split", VT_BENCH_COPY, MANY, 12),
	THREE("packed", VT_BENCH_PACKED | VT_BENCH_COPY, MANY, 9),
	THREE("split", VT_BENCH_PROCESSES, MANY, 12),
	THREE("packed", VT_BENCH_PACKED | VT_BENCH_PROCESSES, MANY, 9),
	THREE("split", VT_BENCH_SLEEP, MANY, 24),
	THREE("packed", VT_BENCH_PACKED | VT_BENCH_SLEEP, MANY, 18),
	{"split", 16, VT_BENCH_ROUND_TRIP, SOME, run_ring, PING_PONG, 0},
	{"packed", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_PACKED, SOME, run_ring, PING_PONG, 0},
	{"split", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_SLEEP, SOME, run_ring, PING_PONG, 0},
	{"packed", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_PACKED | VT_BENCH_SLEEP, SOME, run_ring,
	 PING_PONG, 0},
	{"unix socket", 16, VT_BENCH_PROCESSES, FEW * 5, vt_base_socket, BARE_16, 0},
	{"unix socket", 496, VT_BENCH_PROCESSES, FEW * 5, vt_base_socket, BARE_496, 0},
	{"unix socket", 16, VT_BENCH_PROCESSES | VT_BENCH_ROUND_TRIP, FEW, vt_base_socket,
	 PING_PONG, 0},
	{"pipe", 16, VT_BENCH_PROCESSES, FEW * 5, vt_base_pipe, BARE_16, 0},
	{"pipe", 496, VT_BENCH_PROCESSES, FEW * 5, vt_base_pipe, BARE_496, 0},
	{"pipe", 16, VT_BENCH_PROCESSES | VT_BENCH_ROUND_TRIP, FEW, vt_base_pipe, PING_PONG, 0},
	{"eventfd", 0, VT_BENCH_PROCESSES | VT_BENCH_ROUND_TRIP, FEW, vt_base_eventfd, PING_PONG,
	 0},
};

const size_t vt_n_ring_cases = sizeof(vt_ring_cases) / sizeof(vt_ring_cases[0]);
