/* SPDX-License-Identifier: BSD-3-Clause */
/* Two workers on two processors, as threads or as processes: see bench.h. */
#include "bench.h"
#include "ui.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int find_processors(struct vt_pair *pair)
{
	cpu_set_t allowed;
	int found = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -errno;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			pair->cpu[found++] = (int)cpu;
	return found == 2 ? 0 : -ENODEV;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

#define CONTROL_SIZE 4096u

int vt_pair_open(struct vt_pair *pair)
{
	void *memory;
	int err = find_processors(pair);

	if (err != 0) {
		vt_error("measuring needs two processors");
		return err;
	}
	memory = mmap(NULL, CONTROL_SIZE + VT_BENCH_MEMORY, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	pair->bell[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pair->bell[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (memory == MAP_FAILED || pair->bell[0] < 0 || pair->bell[1] < 0) {
		vt_error("no memory to measure with: %s", strerror(errno));
		return -ENOMEM;
	}
	pair->shared = memory;
	pair->memory = (unsigned char *)memory + CONTROL_SIZE;
	return 0;
}

void vt_pair_close(struct vt_pair *pair)
{
	munmap(pair->shared, CONTROL_SIZE + VT_BENCH_MEMORY);
	close(pair->bell[0]);
	close(pair->bell[1]);
}

/* ---- bells ---- */

void vt_bell_ring(int bell)
{
	const uint64_t one = 1;
	ssize_t n = write(bell, &one, sizeof(one));

	(void)n;
}

void vt_bell_wait(int bell, int ms)
{
	struct pollfd fd = {.fd = bell, .events = POLLIN};
	uint64_t count;
	ssize_t n;

	(void)poll(&fd, 1, ms);
	n = read(bell, &count, sizeof(count));
	(void)n;
}

/* What the last run rang and nobody heard would be heard by the next. */
static void silence(int bell)
{
	vt_bell_wait(bell, 0);
}

/* ---- running ---- */

struct start {
	struct vt_pair *pair;
	vt_worker *worker;
	void *argument;
	int number; /* which of the two */
};

static void wait_for_start(struct vt_bench_shared *shared)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE))
		vt_relax();
}

static void work(const struct start *start)
{
	start->worker(start->pair, start->argument);
	start->pair->shared->ended[start->number] = vt_now();
}

static void *second_worker(void *argument)
{
	struct start *start = argument;

	pin(start->pair->cpu[start->number]);
	wait_for_start(start->pair->shared);
	work(start);
	return NULL;
}

void vt_pair_fail(struct vt_pair *pair)
{
	__atomic_store_n(&pair->shared->failed, 1, __ATOMIC_SEQ_CST);
	vt_error("a message arrived that was not sent so");
	_exit(3);
}

static void run_first(const struct start *start)
{
	struct vt_bench_shared *shared = start->pair->shared;

	pin(start->pair->cpu[start->number]);
	while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) < 1)
		vt_relax();
	shared->began = vt_now();
	__atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
	work(start);
}

/* Neither starting a worker nor hearing of its end is part of what is measured. */
static double duration(const struct vt_bench_shared *shared)
{
	const double *ended = shared->ended;

	return (ended[0] > ended[1] ? ended[0] : ended[1]) - shared->began;
}

static double run_threads(struct start *first, struct start *second)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, second_worker, second) != 0)
		return -1;
	run_first(first);
	pthread_join(thread, NULL);
	return duration(first->pair->shared);
}

static double run_processes(struct start *first, struct start *second)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)second_worker(second);
		_exit(0);
	}
	if (child < 0)
		return -1;
	run_first(first);
	(void)waitpid(child, &status, 0);
	return status == 0 ? duration(first->pair->shared) : -1;
}

double vt_pair_run(struct vt_pair *pair, vt_worker *first, vt_worker *second, void *argument)
{
	struct start starts[2] = {
		{.pair = pair, .worker = first, .argument = argument, .number = 0},
		{.pair = pair, .worker = second, .argument = argument, .number = 1},
	};

	memset(pair->shared, 0, sizeof(*pair->shared));
	silence(pair->bell[0]);
	silence(pair->bell[1]);
	return pair->processes ? run_processes(&starts[0], &starts[1])
			       : run_threads(&starts[0], &starts[1]);
}

/* ---- payloads ---- */

void vt_payload_fill(unsigned char *to, uint32_t size, uint64_t number)
{
	uint64_t *words = (uint64_t *)(void *)to;

	for (uint32_t i = 0; i < size / sizeof(*words); i++)
		words[i] = number + i;
}

bool vt_payload_check(const unsigned char *from, uint32_t size, uint64_t number)
{
	const uint64_t *words = (const uint64_t *)(const void *)from;
	uint64_t n = size / sizeof(*words);
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += words[i];
	return words[0] == number && sum == n * number + n * (n - 1) / 2;
}
