/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What to compare with. The best the machine can do: a cache line that two processors hand to and
 * fro, and a ring of bare slots with one producer and one consumer that publish in batches. And
 * what a user would take instead of a virtqueue: a Unix socket, a pipe, an eventfd.
 */
#include "bench.h"
#include "ui.h"

#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32u
#define SLOTS 256u

struct job {
	const struct vt_case *which;
	uint32_t count;
	uint32_t payload;
	int fd[4]; /* of a socket or pipe: worker 0 reads [0] and writes [1], worker 1 [2] and [3]
		    */
};

static double per_message(double seconds, const struct job *job)
{
	return seconds < 0 ? -1 : seconds * 1e9 / job->count;
}

/* ---- two cache lines, one for each direction ---- */

struct lines {
	_Alignas(VT_CACHE_LINE) uint64_t there;
	_Alignas(VT_CACHE_LINE) uint64_t back;
};

static void ping(struct vt_pair *pair, void *argument)
{
	struct lines *lines = (void *)pair->memory;
	const struct job *job = argument;

	for (uint64_t i = 1; i <= job->count; i++) {
		__atomic_store_n(&lines->there, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&lines->back, __ATOMIC_ACQUIRE) != i)
			;
	}
}

static void pong(struct vt_pair *pair, void *argument)
{
	struct lines *lines = (void *)pair->memory;
	const struct job *job = argument;

	for (uint64_t i = 1; i <= job->count; i++) {
		while (__atomic_load_n(&lines->there, __ATOMIC_ACQUIRE) != i)
			;
		__atomic_store_n(&lines->back, i, __ATOMIC_RELEASE);
	}
}

double vt_base_ping_pong(struct vt_pair *pair, const struct vt_case *which)
{
	struct job job = {.which = which, .count = which->count};
	struct lines *lines = (void *)pair->memory;

	*lines = (struct lines){0};
	return per_message(vt_pair_run(pair, ping, pong, &job), &job);
}

/* ---- a bare ring ---- */

struct bare {
	_Alignas(VT_CACHE_LINE) uint64_t head; /* the producer's */
	_Alignas(VT_CACHE_LINE) uint64_t tail; /* the consumer's */
	_Alignas(VT_CACHE_LINE) unsigned char slots[];
};

static void produce(struct vt_pair *pair, void *argument)
{
	struct bare *bare = (void *)pair->memory;
	const struct job *job = argument;
	uint64_t head = 0;
	uint64_t tail = 0;

	while (head < job->count) {
		while (head + BATCH - tail > SLOTS) {
			tail = __atomic_load_n(&bare->tail, __ATOMIC_ACQUIRE);
			if (head + BATCH - tail > SLOTS)
				vt_relax();
		}
		for (unsigned i = 0; i < BATCH && head < job->count; i++, head++)
			vt_payload_fill(bare->slots + head % SLOTS * job->payload, job->payload,
					head);
		__atomic_store_n(&bare->head, head, __ATOMIC_RELEASE);
	}
}

static void consume(struct vt_pair *pair, void *argument)
{
	struct bare *bare = (void *)pair->memory;
	const struct job *job = argument;
	uint64_t head = 0;
	uint64_t tail = 0;

	while (tail < job->count) {
		while (head == tail) {
			head = __atomic_load_n(&bare->head, __ATOMIC_ACQUIRE);
			if (head == tail)
				vt_relax();
		}
		for (unsigned i = 0; i < BATCH && tail < head; i++, tail++)
			if (!vt_payload_check(bare->slots + tail % SLOTS * job->payload,
					      job->payload, tail))
				vt_pair_fail(pair);
		__atomic_store_n(&bare->tail, tail, __ATOMIC_RELEASE);
	}
}

double vt_base_ring(struct vt_pair *pair, const struct vt_case *which)
{
	struct job job = {.which = which, .count = which->count, .payload = which->payload};
	struct bare *bare = (void *)pair->memory;

	bare->head = 0;
	bare->tail = 0;
	return per_message(vt_pair_run(pair, produce, consume, &job), &job);
}

/* ---- sockets, pipes, eventfds ---- */

static bool write_all(int fd, const unsigned char *bytes, uint32_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n <= 0)
			return false;
		bytes += n;
		size -= (uint32_t)n;
	}
	return true;
}

static bool read_all(int fd, unsigned char *bytes, uint32_t size)
{
	while (size > 0) {
		ssize_t n = read(fd, bytes, size);

		if (n <= 0)
			return false;
		bytes += n;
		size -= (uint32_t)n;
	}
	return true;
}

static void stream_out(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;
	_Alignas(8) unsigned char message[512];

	for (uint64_t i = 0; i < job->count; i++) {
		vt_payload_fill(message, job->payload, i);
		if (!write_all(job->fd[1], message, job->payload))
			vt_pair_fail(pair);
	}
}

static void stream_in(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;
	_Alignas(8) unsigned char message[512];

	for (uint64_t i = 0; i < job->count; i++)
		if (!read_all(job->fd[2], message, job->payload) ||
		    !vt_payload_check(message, job->payload, i))
			vt_pair_fail(pair);
}

static void call(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;
	_Alignas(8) unsigned char message[512];

	for (uint64_t i = 1; i <= job->count; i++) {
		vt_payload_fill(message, job->payload, i);
		if (!write_all(job->fd[1], message, job->payload) ||
		    !read_all(job->fd[0], message, job->payload))
			vt_pair_fail(pair);
	}
}

static void answer(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;
	_Alignas(8) unsigned char message[512];

	for (uint64_t i = 1; i <= job->count; i++)
		if (!read_all(job->fd[2], message, job->payload) ||
		    !write_all(job->fd[3], message, job->payload))
			vt_pair_fail(pair);
}

static double run_files(struct vt_pair *pair, struct job *job)
{
	bool round_trip = job->which->flags & VT_BENCH_ROUND_TRIP;

	return per_message(vt_pair_run(pair, round_trip ? call : stream_out,
				       round_trip ? answer : stream_in, job),
			   job);
}

double vt_base_socket(struct vt_pair *pair, const struct vt_case *which)
{
	struct job job = {.which = which, .count = which->count, .payload = which->payload};
	int ends[2];
	double ns;

	/* Keeps messages apart, as a queue does. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	job.fd[0] = job.fd[1] = ends[0];
	job.fd[2] = job.fd[3] = ends[1];
	ns = run_files(pair, &job);
	close(ends[0]);
	close(ends[1]);
	return ns;
}

double vt_base_pipe(struct vt_pair *pair, const struct vt_case *which)
{
	struct job job = {.which = which, .count = which->count, .payload = which->payload};
	int there[2];
	int back[2];
	double ns;

	if (pipe(there) != 0)
		return -1;
	if (pipe(back) != 0) {
		close(there[0]);
		close(there[1]);
		return -1;
	}
	job.fd[0] = back[0];
	job.fd[1] = there[1];
	job.fd[2] = there[0];
	job.fd[3] = back[1];
	ns = run_files(pair, &job);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	return ns;
}

static void ring_bell(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;

	for (uint32_t i = 0; i < job->count; i++) {
		vt_bell_ring(pair->bell[1]);
		vt_bell_wait(pair->bell[0], -1);
	}
}

static void ring_back(struct vt_pair *pair, void *argument)
{
	const struct job *job = argument;

	for (uint32_t i = 0; i < job->count; i++) {
		vt_bell_wait(pair->bell[1], -1);
		vt_bell_ring(pair->bell[0]);
	}
}

double vt_base_eventfd(struct vt_pair *pair, const struct vt_case *which)
{
	struct job job = {.which = which, .count = which->count};

	return per_message(vt_pair_run(pair, ring_bell, ring_back, &job), &job);
}
