/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back end that dies at any store. Its view of shared memory is read-only, so that each store
 * into a ring or an in-flight record is caught, let through alone, and followed by the question: if
 * the back end were killed now, would its successor complete every request exactly once? A
 * successor in the same process answers it, then everything is put back and the next store is let
 * through.
 *
 * Successors are watched the same way while they recover: a crash during the recovery of a crash.
 */
#include "front_end.h"
#include "front_end_worker.h"
#include "transport/vhost_user/backend.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMORY     ((size_t)16384)
#define REQUESTS   64
#define ROUNDS     60
#define RECOVERIES 6 /* crashes whose recovery is watched, for each scenario */

struct scenario {
	const char *name;
	uint64_t features;
	uint16_t size;
	enum worker_order order;
};

struct request {
	uint32_t question;
	uint32_t answer;
	uint32_t padding[2];
};

struct life {
	struct worker worker;
	struct vd_vu_backend *backend;
};

/* The one front end, whose driver outlives everybody. */
static struct fe fe;
static const struct scenario *scenario;
static struct request *requests; /* in shared memory */
static bool done[REQUESTS];
static bool added[REQUESTS];
static uint32_t n_added;
static uint32_t n_done; /* in order */
static unsigned char *inflight;
static unsigned seed;

static unsigned n_stores;
static unsigned n_crashes;
static unsigned n_recoveries;

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			die(#condition, __LINE__);                                                 \
	} while (0)

static void die(const char *what, int line)
{
	(void)fprintf(stderr, "%s: after store %u, line %d: %s\n", scenario->name, n_stores, line,
		      what);
	abort();
}

static unsigned chance(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* ---- the driver ---- */

/* Two or three segments, so that buffers take different numbers of descriptors. */
static bool add_to_ring(struct request *request)
{
	static const unsigned outs[3] = {1, 2, 1};
	const struct vd_iov segments[3][3] = {
		{{&request->question, 4}, {&request->answer, 4}},
		{{&request->question, 4}, {request->padding, 8}, {&request->answer, 4}},
		{{&request->question, 4}, {&request->answer, 2}, {(char *)&request->answer + 2, 2}},
	};
	unsigned shape = request->question % 3;

	return vd_vq_drv_add(&fe.queues[0].vq, segments[shape], outs[shape], shape == 2 ? 2 : 1,
			     request) == 0;
}

static bool add_request(void)
{
	uint32_t at = n_added % REQUESTS;

	if (added[at] && !done[at])
		return false;
	requests[at] = (struct request){.question = n_added};
	if (!add_to_ring(&requests[at]))
		return false;
	added[at] = true;
	done[at] = false;
	n_added++;
	return true;
}

static void take_answers(void)
{
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(&fe.queues[0].vq, &used)) == 1) {
		const struct request *request = used.token;
		uint32_t at = request->question % REQUESTS;

		MUST(request == &requests[at] && added[at] && !done[at]);
		MUST(used.len == 4 && request->answer == worker_answer(request->question));
		if (scenario->features & VD_BIT(VD_F_IN_ORDER))
			MUST(request->question == n_done);
		done[at] = true;
		n_done++;
	}
	MUST(got == 0);
}

/* ---- lives of the back end ---- */

static uint32_t last_taken;

static void taken_in_order(struct worker *worker, const struct worker_request *request)
{
	(void)worker;
	MUST(request->number >= last_taken);
	last_taken = request->number + 1;
}

static void poll_backend(struct life *life)
{
	struct pollfd pollfd = {.fd = vd_vu_backend_fd(life->backend), .events = POLLIN};

	while (poll(&pollfd, 1, 0) == 1)
		MUST(vd_vu_backend_poll(life->backend) == 0);
}

static void pump(void *arg)
{
	poll_backend(arg);
}

static void born(struct life *life, unsigned hold)
{
	const struct worker_config worker = {
		.n_queues = 1, .size_max = 8, .hold = hold, .order = scenario->order, .seed = seed};
	struct vd_vu_backend_config config = {.dev = &life->worker.dev,
					      .protocol_features = VD_VU_PROTOCOL_DEFAULT};

	MUST(worker_init(&life->worker, &worker) == 0);
	MUST(vd_vu_backend_create(&life->backend, &config) == 0);
}

static void gone(struct life *life)
{
	vd_vu_backend_destroy(life->backend);
	worker_free(&life->worker);
}

/* Everything up to the queue. */
static void introduce(struct fe *front, struct life *life)
{
	front->pump = pump;
	front->pump_arg = life;
	MUST(vd_vu_backend_connect(life->backend, fe_connect_pair(front)) == 0);
	MUST(fe_negotiate(front, scenario->features,
			  VD_BIT(VD_VU_F_MQ) | VD_BIT(VD_VU_F_INFLIGHT_SHMFD)) == 0);
	MUST(fe_share(front) == 0);
	if (front->inflight_fd >= 0)
		MUST(fe_inflight_set(front) == 0);
	else
		MUST(fe_inflight_get(front, 1, scenario->size) == 0);
	poll_backend(life);
}

/* As QEMU finds out where a split queue of a back end that died stands; of a packed one nobody
 * knows. */
static uint32_t base_after_crash(void)
{
	if (scenario->features & VD_BIT(VD_F_RING_PACKED))
		return 0x80008000u;
	return ((uint16_t *)fe.queues[0].ring.device)[1];
}

static void start_queue(struct fe *front, struct life *life)
{
	front->queues[0].base = base_after_crash();
	MUST(fe_queue_start(front, 0) == 0);
	poll_backend(life);
}

/* ---- what a crash leaves, and putting it back ---- */

struct image {
	unsigned char memory[MEMORY];
	unsigned char inflight[4096];
	struct vd_vq_drv vq;
	unsigned char state[4096];
	bool done[REQUESTS];
	bool added[REQUESTS];
	uint32_t n_added;
	uint32_t n_done;
	uint32_t last_taken;
	unsigned seed;
};

static void save(struct image *image)
{
	MUST(fe.inflight.mmap_size <= sizeof(image->inflight));
	MUST(fe.queues[0].state_size <= sizeof(image->state));
	memcpy(image->memory, fe.regions[0].local, MEMORY);
	memcpy(image->inflight, inflight, (size_t)fe.inflight.mmap_size);
	image->vq = fe.queues[0].vq;
	memcpy(image->state, fe.queues[0].state, fe.queues[0].state_size);
	memcpy(image->done, done, sizeof(done));
	memcpy(image->added, added, sizeof(added));
	image->n_added = n_added;
	image->n_done = n_done;
	image->last_taken = last_taken;
	image->seed = seed;
}

static void restore(const struct image *image)
{
	memcpy(fe.regions[0].local, image->memory, MEMORY);
	memcpy(inflight, image->inflight, (size_t)fe.inflight.mmap_size);
	fe.queues[0].vq = image->vq;
	memcpy(fe.queues[0].state, image->state, fe.queues[0].state_size);
	memcpy(done, image->done, sizeof(done));
	memcpy(added, image->added, sizeof(added));
	n_added = image->n_added;
	n_done = image->n_done;
	last_taken = image->last_taken;
	seed = image->seed;
}

/* A front end of our memory and queue, with a connection and bells of its own. */
static void heir_of(struct fe *heir)
{
	*heir = fe;
	heir->sock = -1;
	heir->back = (struct fe_wire){-1, -1};
	heir->queues[0].kick = (struct fe_wire){-1, -1};
	heir->queues[0].call = (struct fe_wire){-1, -1};
	heir->queues[0].err = (struct fe_wire){-1, -1};
	MUST(fe_bells_make(heir, 0, FE_EVENTFD) == 0);
}

static void heir_dies(struct fe *heir)
{
	fe_disconnect(heir);
	fe_bell_close(&heir->queues[0].kick);
	fe_bell_close(&heir->queues[0].call);
	fe_bell_close(&heir->queues[0].err);
}

/* Whoever comes next completes what is there, and two laps of new requests. */
static void finish_all(struct fe *heir, struct life *life)
{
	take_answers();
	for (uint32_t i = 0; i < n_added && i < REQUESTS; i++)
		MUST(done[i]);
	for (unsigned i = 0; i < 2u * scenario->size; i++) {
		MUST(add_request());
		(void)vd_vq_drv_kick(&fe.queues[0].vq);
		heir->queues[0].vq = fe.queues[0].vq;
		MUST(fe_kick(heir, 0) == 0);
		poll_backend(life);
		take_answers();
		MUST(n_done == n_added);
	}
}

/* With nothing in flight all entries of a packed record are free: none was lost. */
static void expect_free_entries(const struct life *life)
{
	const struct vd_vu_inflight *record = &life->backend->vrings[0].inflight;
	uint16_t at = record->free_head;
	unsigned n = 0;

	if (!(scenario->features & VD_BIT(VD_F_RING_PACKED)))
		return;
	for (; at < record->size && n < record->size; n++)
		at = record->link[at].next;
	MUST(at == record->size && n == record->size);
}

static void check_crash(void)
{
	static struct image image;
	static struct life life;
	static struct fe heir;
	unsigned hold;

	n_crashes++;
	save(&image);
	last_taken = 0;
	/* One at a time or all at once: what the successor overwrites of the ring differs. */
	hold = chance(2) * 100;
	/* The driver may not notice for a while. */
	if (chance(2) == 0) {
		take_answers();
		while (chance(4) > 0 && add_request())
			;
		(void)vd_vq_drv_kick(&fe.queues[0].vq);
	}
	born(&life, hold);
	life.worker.config.taken = taken_in_order;
	heir_of(&heir);
	introduce(&heir, &life);
	start_queue(&heir, &life);
	while (life.worker.n_held > 0) {
		worker_complete(&life.worker, 1);
		take_answers();
	}
	life.worker.config.hold = 0;
	finish_all(&heir, &life);
	expect_free_entries(&life);
	gone(&life);
	heir_dies(&heir);
	restore(&image);
}

/* ---- store by store ---- */

struct span {
	unsigned char *base;
	size_t size;
};

static struct span watched[2]; /* the back end's mappings */
static bool watching;
static struct image kept[RECOVERIES];
static unsigned n_kept;

static void protect(int rights)
{
	for (unsigned i = 0; i < 2; i++)
		MUST(mprotect(watched[i].base, watched[i].size, rights) == 0);
}

static bool is_watched(const unsigned char *address)
{
	for (unsigned i = 0; i < 2; i++)
		if (address >= watched[i].base && address < watched[i].base + watched[i].size)
			return true;
	return false;
}

/* Requests and answers may be written any number of times: what matters are rings and records. */
static bool matters(const unsigned char *address)
{
	size_t offset = (size_t)(address - watched[0].base);

	return offset >= watched[0].size ||
	       offset < (size_t)((unsigned char *)requests - fe.regions[0].local);
}

static bool store_matters;

#if defined(__x86_64__)
#define TRAP_FLAG 0x100

static void set_trap(void *context, bool on)
{
	ucontext_t *user = context;

	if (on)
		user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	else
		user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static const bool can_step = true;
#else
static void set_trap(void *context, bool on)
{
	(void)context;
	(void)on;
}

static const bool can_step = false;
#endif

/* Before a store. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	MUST(watching && is_watched(info->si_addr));
	store_matters = matters(info->si_addr);
	protect(PROT_READ | PROT_WRITE);
	set_trap(context, true);
}

/* After it. */
static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	set_trap(context, false);
	if (store_matters) {
		watching = false;
		n_stores++;
		if (n_kept < RECOVERIES && chance(60) == 0)
			save(&kept[n_kept++]);
		check_crash();
		watching = true;
	}
	protect(PROT_READ);
}

static void watch(struct life *life)
{
	watched[0] = (struct span){life->backend->memory.regions[0]->map,
				   life->backend->memory.regions[0]->map_size};
	watched[1] = (struct span){life->backend->inflight.base, life->backend->inflight.size};
	watching = true;
	protect(PROT_READ);
}

static void look_away(void)
{
	protect(PROT_READ | PROT_WRITE);
	watching = false;
}

static void install_handlers(void)
{
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};

	MUST(sigaction(SIGSEGV, &fault, NULL) == 0);
	MUST(sigaction(SIGTRAP, &trap, NULL) == 0);
}

/* ---- a scenario ---- */

static void new_front_end(void)
{
	memset(done, 0, sizeof(done));
	memset(added, 0, sizeof(added));
	n_added = n_done = last_taken = n_stores = n_kept = 0;
	MUST(fe_open(&fe, MEMORY) == 0);
}

static void make_queue(void)
{
	MUST(fe_queue_make(&fe, 0, scenario->size) == 0);
	requests = fe_alloc(&fe, sizeof(*requests) * REQUESTS, 4096);
	MUST(requests != NULL);
	inflight = mmap(NULL, (size_t)fe.inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			fe.inflight_fd, 0);
	MUST(inflight != MAP_FAILED);
}

/* Something happens. */
static void turn(struct life *life)
{
	unsigned adds = chance(4);

	while (adds-- > 0)
		(void)add_request();
	MUST(fe_kick(&fe, 0) == 0);
	life->worker.config.hold = chance(4);
	watch(life);
	poll_backend(life);
	if (chance(3) == 0)
		while (worker_unpop(&life->worker) && chance(3) > 0)
			;
	if (chance(2) == 0)
		worker_complete(&life->worker, 1 + chance(2));
	look_away();
	if (chance(4) > 0)
		take_answers();
}

/* The recovery of a crash, itself watched. */
static void watch_recovery(const struct image *image)
{
	static struct life life;

	n_recoveries++;
	restore(image);
	born(&life, 0);
	introduce(&fe, &life);
	watch(&life);
	start_queue(&fe, &life);
	look_away();
	gone(&life);
}

static void crash_everywhere(void **state)
{
	static struct life life;

	if (!can_step)
		skip();
	scenario = *state;
	seed = (unsigned)scenario->size * 7919u + (unsigned)scenario->order;
	install_handlers();
	new_front_end();
	born(&life, 2);
	introduce(&fe, &life);
	make_queue();
	watch(&life);
	start_queue(&fe, &life);
	look_away();
	for (unsigned i = 0; i < ROUNDS; i++)
		turn(&life);
	gone(&life);
	for (unsigned i = 0; i < n_kept; i++)
		watch_recovery(&kept[i]);
	MUST(n_stores > 50);
	MUST(munmap(inflight, (size_t)fe.inflight.mmap_size) == 0);
	fe_close(&fe);
}

#define V1     VD_BIT(VD_F_VERSION_1)
#define PACKED (V1 | VD_BIT(VD_F_RING_PACKED))
#define ORDER  VD_BIT(VD_F_IN_ORDER)
#define EVENT  VD_BIT(VD_F_EVENT_IDX)

static const struct scenario scenarios[] = {
	{"split", V1, 8, WORKER_RANDOM},
	{"split, event index", V1 | EVENT, 8, WORKER_NEWEST_FIRST},
	{"split, in order", V1 | ORDER, 8, WORKER_OLDEST_FIRST},
	{"split, in order, finished out of order", V1 | ORDER, 8, WORKER_RANDOM},
	{"split, small", V1, 4, WORKER_RANDOM},
	{"packed", PACKED, 8, WORKER_RANDOM},
	{"packed, event index", PACKED | EVENT, 8, WORKER_NEWEST_FIRST},
	{"packed, in order", PACKED | ORDER, 8, WORKER_OLDEST_FIRST},
	{"packed, in order, finished out of order", PACKED | ORDER, 8, WORKER_RANDOM},
	{"packed, small and odd", PACKED, 5, WORKER_RANDOM},
	{"packed, in order, odd", PACKED | ORDER, 7, WORKER_RANDOM},
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

int main(void)
{
	struct CMUnitTest tests[N_SCENARIOS];
	int failed;

	for (unsigned i = 0; i < N_SCENARIOS; i++)
		tests[i] = (struct CMUnitTest){.name = scenarios[i].name,
					       .test_func = crash_everywhere,
					       .initial_state = (void *)(uintptr_t)&scenarios[i]};
	failed = cmocka_run_group_tests_name("vhost_user/steps", tests, NULL, NULL);
	(void)printf("%u crashes survived, %u recoveries watched\n", n_crashes, n_recoveries);
	return failed;
}
