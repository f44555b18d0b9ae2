/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpmsg between two processors: the library's remote on one side, and on the other a host that does
 * what Linux' does with the buffers, and nothing else.
 */
#include "bench.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"
#include "viaduct/loopback.h"
#include "viaduct/rpmsg_remote.h"

#include <stdlib.h>
#include <string.h>

#define BATCH        32u
#define BUFFERS      256u
#define SERVICE_ADDR 1024u
#define CLIENT_ADDR  400u

/* ---- the host ---- */

struct host {
	struct vd_bus bus;
	struct vd_driver driver;
	struct vd_loopback loop;
	struct vd_vdev_vq vqs[VD_RPMSG_N_QUEUES];
	unsigned char *buffers;       /* first those for receiving, then those for sending */
	unsigned n_fresh;             /* sending: buffers not used yet */
	unsigned char *free[BUFFERS]; /* those to send in, first in, first out */
	unsigned first_free;
	unsigned n_free;
};

/* What the driver's probe fills, and whose bells ring: there is one run at a time. */
static struct host *the_host;
static struct vt_pair *the_pair;

struct header {
	uint32_t src;
	uint32_t dst;
	uint32_t reserved;
	uint16_t len;
	uint16_t flags;
};

static unsigned char *buffer_at(const struct host *host, unsigned i)
{
	return host->buffers + (size_t)i * VD_RPMSG_BUFFER_SIZE;
}

static int post(struct host *host, unsigned char *buffer)
{
	struct vd_iov segment = {buffer, VD_RPMSG_BUFFER_SIZE};

	return vd_vq_drv_add(&host->vqs[VD_RPMSG_QUEUE_RX].vq, &segment, 0, 1, buffer);
}

static int host_probe(struct vd_vdev *vdev)
{
	static const struct vd_vq_request requests[] = {{.name = "input"}, {.name = "output"}};
	struct host *host = the_host;
	int err = vd_vdev_find_vqs(vdev, VD_RPMSG_N_QUEUES, requests, host->vqs);

	if (err != 0)
		return err;
	host->buffers = vdev->shared->alloc(vdev->shared, 2 * BUFFERS * VD_RPMSG_BUFFER_SIZE, 64);
	if (host->buffers == NULL)
		return -VD_ENOMEM;
	for (unsigned i = 0; err == 0 && i < BUFFERS; i++)
		err = post(host, buffer_at(host, i));
	vd_vq_drv_publish(&host->vqs[VD_RPMSG_QUEUE_RX].vq);
	vd_vq_drv_disable_cb(&host->vqs[VD_RPMSG_QUEUE_RX].vq);
	vd_vq_drv_disable_cb(&host->vqs[VD_RPMSG_QUEUE_TX].vq);
	return err;
}

static void host_remove(struct vd_vdev *vdev)
{
	(void)vd_vdev_reset(vdev);
	vd_vdev_del_vqs(vdev);
}

static const struct vd_device_id host_ids[] = {{VD_ID_RPMSG, VD_ID_ANY}, {0, 0}};
static const uint8_t host_features[] = {VD_RPMSG_F_NS};

/* ---- a run ---- */

struct rpmsg_job {
	const struct vt_case *which;
	struct vt_pair *pair;
	uint32_t payload;
	bool sleeps;
	struct host *host;
	struct vd_rpmsg_remote *remote;
	struct vd_rpmsg_ept ept;
	uint64_t received; /* by the remote */
	void *memory;
	uint32_t *pool_words;
	struct vd_pool pool;
	struct vd_mem mem;
	struct vd_window window;
};

static struct rpmsg_job *job_of(struct vd_rpmsg_ept *ept)
{
	return (struct rpmsg_job *)(void *)((char *)ept - offsetof(struct rpmsg_job, ept));
}

static bool copies(const struct rpmsg_job *job)
{
	return job->which->flags & VT_BENCH_COPY;
}

/* ---- the host's worker ---- */

static void host_doze(struct rpmsg_job *job, struct vd_vq_drv *vq, bool delayed)
{
	bool more = delayed ? vd_vq_drv_enable_cb_delayed(vq) : vd_vq_drv_enable_cb(vq);

	if (!more)
		vt_bell_wait(job->pair->bell[0], -1);
	vd_vq_drv_disable_cb(vq);
}

static void host_idle(struct rpmsg_job *job, unsigned *idle, struct vd_vq_drv *vq, bool delayed)
{
	if (!job->sleeps || ++*idle < VT_BENCH_SPINS) {
		vt_relax();
		return;
	}
	*idle = 0;
	host_doze(job, vq, delayed);
}

static void put_free(struct host *host, unsigned char *buffer)
{
	host->free[(host->first_free + host->n_free++) % BUFFERS] = buffer;
}

static unsigned char *take_free(struct host *host)
{
	unsigned char *buffer = host->free[host->first_free];

	host->first_free = (host->first_free + 1) % BUFFERS;
	host->n_free--;
	return buffer;
}

/* Have at least @want buffers to send in: first fresh ones, then those that came back. */
static void host_reclaim(struct rpmsg_job *job, unsigned want)
{
	struct host *host = job->host;
	struct vd_vq_drv *vq = &host->vqs[VD_RPMSG_QUEUE_TX].vq;
	unsigned idle = 0;

	while (host->n_free < want && host->n_fresh < BUFFERS)
		put_free(host, buffer_at(host, BUFFERS + host->n_fresh++));
	while (host->n_free < want) {
		struct vd_used used;

		while (host->n_free < BUFFERS && vd_vq_drv_get(vq, &used) == 1) {
			vd_prefetch_write(used.token);
			put_free(host, used.token);
		}
		if (host->n_free < want)
			host_idle(job, &idle, vq, true);
	}
}

static void host_send(struct rpmsg_job *job, unsigned char *buffer, uint64_t number)
{
	struct header *header = (void *)buffer;
	struct vd_iov segment = {buffer, VD_RPMSG_HEADER_SIZE + job->payload};
	_Alignas(8) unsigned char scratch[512];

	*header = (struct header){
		.src = CLIENT_ADDR, .dst = SERVICE_ADDR, .len = (uint16_t)job->payload};
	if (copies(job)) {
		vt_payload_fill(scratch, job->payload, number);
		memcpy(header + 1, scratch, job->payload);
	} else {
		vt_payload_fill((unsigned char *)(header + 1), job->payload, number);
	}
	if (vd_vq_drv_add(&job->host->vqs[VD_RPMSG_QUEUE_TX].vq, &segment, 1, 0, buffer) != 0)
		vt_pair_fail(job->pair);
}

static void host_stream(struct vt_pair *pair, void *argument)
{
	struct rpmsg_job *job = argument;
	struct host *host = job->host;
	uint64_t number = 0;

	(void)pair;
	while (number < job->which->count) {
		host_reclaim(job, BATCH);
		for (unsigned i = 0; i < BATCH && number < job->which->count; i++)
			host_send(job, take_free(host), number++);
		vd_vdev_kick(&host->vqs[VD_RPMSG_QUEUE_TX]);
	}
}

/* Take message @number off the receive queue and check it. Its buffer, or NULL if it is not there.
 */
static unsigned char *host_receive(struct rpmsg_job *job, uint64_t number)
{
	struct vd_used used;
	const struct header *header;
	const unsigned char *payload;
	_Alignas(8) unsigned char scratch[512];

	if (vd_vq_drv_get(&job->host->vqs[VD_RPMSG_QUEUE_RX].vq, &used) != 1)
		return NULL;
	header = used.token;
	payload = (const unsigned char *)(header + 1);
	if (copies(job))
		payload = memcpy(scratch, payload, job->payload);
	if (header->len != job->payload || header->dst != CLIENT_ADDR ||
	    !vt_payload_check(payload, job->payload, number))
		vt_pair_fail(job->pair);
	return used.token;
}

static void host_repost(struct rpmsg_job *job, unsigned char *buffer)
{
	if (post(job->host, buffer) != 0)
		vt_pair_fail(job->pair);
}

static bool host_take_one(struct rpmsg_job *job, uint64_t number)
{
	unsigned char *buffer = host_receive(job, number);

	if (buffer != NULL)
		host_repost(job, buffer);
	return buffer != NULL;
}

static void host_take(struct vt_pair *pair, void *argument)
{
	struct rpmsg_job *job = argument;
	struct vd_vdev_vq *queue = &job->host->vqs[VD_RPMSG_QUEUE_RX];
	uint64_t number = 0;
	unsigned idle = 0;

	(void)pair;
	while (number < job->which->count) {
		unsigned n = 0;

		while (n < BATCH && number < job->which->count && host_take_one(job, number)) {
			number++;
			n++;
		}
		if (n > 0)
			vd_vdev_kick(queue);
		else
			host_idle(job, &idle, &queue->vq, false);
	}
}

/* As Linux' host does it: the answer is sent from the callback, and the buffer of what was received
 * posted again after that. */
static void host_call(struct vt_pair *pair, void *argument)
{
	struct rpmsg_job *job = argument;
	struct vd_vdev_vq *queues = job->host->vqs;
	unsigned char *buffer = NULL;

	(void)pair;
	for (uint64_t number = 0; number < job->which->count; number++) {
		unsigned idle = 0;

		host_reclaim(job, 1);
		host_send(job, take_free(job->host), number);
		vd_vdev_kick(&queues[VD_RPMSG_QUEUE_TX]);
		if (buffer != NULL) {
			host_repost(job, buffer);
			vd_vdev_kick(&queues[VD_RPMSG_QUEUE_RX]);
		}
		while ((buffer = host_receive(job, number)) == NULL)
			host_idle(job, &idle, &queues[VD_RPMSG_QUEUE_RX].vq, false);
	}
}

/* ---- the remote's worker ---- */

static enum vd_rpmsg_verdict count_message(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct rpmsg_job *job = job_of(ept);

	if (msg->len != job->payload || !vt_payload_check(msg->data, job->payload, job->received++))
		vt_pair_fail(job->pair);
	return VD_RPMSG_RELEASE;
}

static enum vd_rpmsg_verdict echo_message(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	job_of(ept)->received++;
	if (vd_rpmsg_trysendto(ept, msg->data, msg->len, msg->src) != 0)
		vt_pair_fail(job_of(ept)->pair);
	return VD_RPMSG_RELEASE;
}

static void remote_serve(struct vt_pair *pair, void *argument)
{
	struct rpmsg_job *job = argument;

	while (job->received < job->which->count) {
		if (job->sleeps) {
			while (vd_device_kick(&job->remote->dev,
					      vd_notification(VD_RPMSG_QUEUE_TX, 0)))
				;
			if (job->received < job->which->count)
				vt_bell_wait(pair->bell[1], -1);
		} else if (vd_rpmsg_poll(&job->remote->link, BATCH) == 0) {
			vt_relax();
		}
	}
}

static int remote_send_one(struct rpmsg_job *job, uint64_t number)
{
	_Alignas(8) unsigned char scratch[512];
	struct vd_rpmsg_tx tx;
	int err;

	if (copies(job)) {
		vt_payload_fill(scratch, job->payload, number);
		return vd_rpmsg_trysendto(&job->ept, scratch, job->payload, CLIENT_ADDR);
	}
	err = vd_rpmsg_tx_begin(&job->remote->link, &tx);
	if (err != 0)
		return err;
	vt_payload_fill(tx.data, job->payload, number);
	return vd_rpmsg_tx_commit(&tx, SERVICE_ADDR, CLIENT_ADDR, job->payload);
}

/* No buffer: the host will return some. Let it return a few: to take each as it comes, the two
 * would write to the same cache lines all the time. A sender that failed has asked to be notified.
 */
static void remote_idle(struct rpmsg_job *job, unsigned *idle)
{
	if (job->sleeps && ++*idle == VT_BENCH_SPINS / BATCH) {
		*idle = 0;
		vt_bell_wait(job->pair->bell[1], 1);
		return;
	}
	for (unsigned i = 0; i < BATCH; i++)
		vt_relax();
}

static void remote_stream(struct vt_pair *pair, void *argument)
{
	struct rpmsg_job *job = argument;
	struct vd_rpmsg *link = &job->remote->link;
	uint64_t number = 0;
	unsigned idle = 0;

	(void)pair;
	while (number < job->which->count) {
		uint64_t before = number;

		vd_rpmsg_cork(link);
		for (unsigned i = 0;
		     i < BATCH && number < job->which->count && remote_send_one(job, number) == 0;
		     i++)
			number++;
		vd_rpmsg_uncork(link);
		if (number == before)
			remote_idle(job, &idle);
	}
}

/* ---- set-up ---- */

static void ring_remote(struct vd_loopback *loop)
{
	(void)loop;
	vt_bell_ring(the_pair->bell[1]);
}

static void ring_host(struct vd_loopback *loop)
{
	(void)loop;
	vt_bell_ring(the_pair->bell[0]);
}

static int open_memory(struct rpmsg_job *job)
{
	struct vd_window window = {
		.peer = 0x10000,
		.size = VT_BENCH_MEMORY,
		.local = job->pair->memory,
		.rights = VD_MEM_RW,
	};

	job->pool_words = calloc(vd_pool_words(VT_BENCH_MEMORY), sizeof(uint32_t));
	if (job->pool_words == NULL)
		return -VD_ENOMEM;
	vd_pool_init(&job->pool, job->pair->memory, VT_BENCH_MEMORY, job->pool_words);
	vd_mem_init(&job->mem, &job->window, 1, VD_MEM_LIMIT_64);
	return vd_mem_add(&job->mem, &window);
}

static int open_remote(struct rpmsg_job *job)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	bool echo = job->which->flags & VT_BENCH_ROUND_TRIP;
	size_t size;
	int err;

	config.batch = BATCH;
	config.idle_polls = job->sleeps ? VT_BENCH_SPINS : 0;
	/* Linux does not know IN_ORDER. */
	config.features &= ~VD_BIT(VD_F_IN_ORDER);
	if (!(job->which->flags & VT_BENCH_PACKED))
		config.features &= ~VD_BIT(VD_F_RING_PACKED);
	size = (vd_rpmsg_remote_memory(&config) + 127) / 128 * 128;
	job->memory = aligned_alloc(128, size);
	if (job->memory == NULL)
		return -VD_ENOMEM;
	err = vd_rpmsg_remote_init(job->remote, &config, job->memory, size);
	if (err != 0)
		return err;
	return vd_rpmsg_create_ept(&job->remote->link, &job->ept, NULL, SERVICE_ADDR,
				   VD_RPMSG_ADDR_ANY, echo ? echo_message : count_message,
				   copies(job) ? 0 : VD_RPMSG_IN_PLACE);
}

static int open_host(struct rpmsg_job *job)
{
	struct host *host = job->host;
	struct vd_loopback_config config = {
		.dev = &job->remote->dev,
		.mem = &job->mem,
		.shared = &job->pool.alloc,
		.local = &vd_malloc,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
		.features = VD_LOOPBACK_FEATURES,
		.ring_device = ring_remote,
		.ring_driver = ring_host,
	};
	int err = vd_loopback_init(&host->loop, &config);

	if (err != 0)
		return err;
	the_host = host;
	host->driver = (struct vd_driver){
		.name = "bench",
		.ids = host_ids,
		.features = host_features,
		.n_features = sizeof(host_features),
		.probe = host_probe,
		.remove = host_remove,
	};
	vd_bus_init(&host->bus);
	err = vd_bus_add_driver(&host->bus, &host->driver);
	if (err == 0)
		err = vd_bus_add_device(&host->bus, &host->loop.vdev);
	return err == 0 && host->loop.vdev.driver == NULL ? -VD_ENODEV : err;
}

static int open_job(struct rpmsg_job *job)
{
	int err = -VD_ENOMEM;

	job->host = aligned_alloc(128, (sizeof(*job->host) + 127) / 128 * 128);
	job->remote = aligned_alloc(128, (sizeof(*job->remote) + 127) / 128 * 128);
	if (job->host == NULL || job->remote == NULL)
		return err;
	memset(job->host, 0, sizeof(*job->host));
	the_pair = job->pair;
	err = open_memory(job);
	if (err == 0)
		err = open_remote(job);
	return err == 0 ? open_host(job) : err;
}

static void close_job(struct rpmsg_job *job)
{
	if (job->host != NULL && job->host->loop.vdev.bus != NULL)
		vd_bus_remove_device(&job->host->bus, &job->host->loop.vdev);
	free(job->memory);
	free(job->pool_words);
	free(job->remote);
	free(job->host);
}

static double run_rpmsg(struct vt_pair *pair, const struct vt_case *which)
{
	/* On lines of its own: each worker writes to what is next to it. */
	_Alignas(128) struct rpmsg_job job = {
		.which = which,
		.pair = pair,
		.payload = which->payload,
		.sleeps = which->flags & VT_BENCH_SLEEP,
	};
	double seconds = -1;

	if (open_job(&job) == 0) {
		if (which->flags & VT_BENCH_ROUND_TRIP)
			seconds = vt_pair_run(pair, host_call, remote_serve, &job);
		else if (which->flags & VT_BENCH_TO_HOST)
			seconds = vt_pair_run(pair, host_take, remote_stream, &job);
		else
			seconds = vt_pair_run(pair, host_stream, remote_serve, &job);
	}
	close_job(&job);
	return seconds < 0 ? -1 : seconds * 1e9 / which->count;
}

/* ---- the table ---- */

/* Rows that others are compared with. */
enum {
	PING_PONG,
	BARE_16,
	BARE_128,
	BARE_496,
	POLLED_REMOTE, /* what the sleeping ones are compared with */
	POLLED_HOST,
	FIRST_CASE,
};

#define MANY 1000000
#define SOME 300000
#define FEW  20000

#define THREE(flags)                                                                               \
	{"rpmsg", 16, flags, MANY, run_rpmsg, BARE_16, 13},                                        \
		{"rpmsg", 128, flags, MANY, run_rpmsg, BARE_128, 0},                               \
	{                                                                                          \
		"rpmsg", 496, flags, MANY, run_rpmsg, BARE_496, 2.5                                \
	}

const struct vt_case vt_rpmsg_cases[] = {
	[PING_PONG] = {"two-line ping-pong", 0, VT_BENCH_ROUND_TRIP, SOME, vt_base_ping_pong, -1,
		       0},
	[BARE_16] = {"bare ring", 16, 0, MANY * 8, vt_base_ring, -1, 0},
	[BARE_128] = {"bare ring", 128, 0, MANY, vt_base_ring, -1, 0},
	[BARE_496] = {"bare ring", 496, 0, MANY, vt_base_ring, -1, 0},
	[POLLED_REMOTE] = {"rpmsg", 16, VT_BENCH_COPY, MANY, run_rpmsg, BARE_16, 13},
	[POLLED_HOST] = {"rpmsg", 16, VT_BENCH_COPY | VT_BENCH_TO_HOST, MANY, run_rpmsg, BARE_16,
			 13},
	{"rpmsg", 128, VT_BENCH_COPY, MANY, run_rpmsg, BARE_128, 0},
	{"rpmsg", 496, VT_BENCH_COPY, MANY, run_rpmsg, BARE_496, 2.5},
	{"rpmsg", 128, VT_BENCH_COPY | VT_BENCH_TO_HOST, MANY, run_rpmsg, BARE_128, 0},
	{"rpmsg", 496, VT_BENCH_COPY | VT_BENCH_TO_HOST, MANY, run_rpmsg, BARE_496, 2.5},
	THREE(0),
	THREE(VT_BENCH_TO_HOST),
	THREE(VT_BENCH_PROCESSES),
	THREE(VT_BENCH_PROCESSES | VT_BENCH_TO_HOST),
	THREE(VT_BENCH_PACKED),
	THREE(VT_BENCH_PACKED | VT_BENCH_TO_HOST),
	{"rpmsg", 16, VT_BENCH_COPY | VT_BENCH_SLEEP, MANY, run_rpmsg, POLLED_REMOTE, 2},
	{"rpmsg", 16, VT_BENCH_COPY | VT_BENCH_SLEEP | VT_BENCH_TO_HOST, MANY, run_rpmsg,
	 POLLED_HOST, 2},
	{"rpmsg", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_COPY, SOME, run_rpmsg, PING_PONG, 1.7},
	{"rpmsg", 16, VT_BENCH_ROUND_TRIP, SOME, run_rpmsg, PING_PONG, 1.7},
	{"rpmsg", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_PROCESSES, SOME, run_rpmsg, PING_PONG, 1.7},
	{"rpmsg", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_PACKED, SOME, run_rpmsg, PING_PONG, 1.7},
	{"rpmsg", 496, VT_BENCH_ROUND_TRIP, SOME, run_rpmsg, PING_PONG, 0},
	{"rpmsg", 16, VT_BENCH_ROUND_TRIP | VT_BENCH_SLEEP, SOME, run_rpmsg, PING_PONG, 0},
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

const size_t vt_n_rpmsg_cases = sizeof(vt_rpmsg_cases) / sizeof(vt_rpmsg_cases[0]);
