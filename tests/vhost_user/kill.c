/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Back ends that are killed at any moment, each a process of its own, while the driver goes on: no
 * request may be lost, none completed twice, and a successor takes up what was in flight in the
 * order it was taken before, then goes on where its predecessor stopped.
 *
 *     vhost_user_kill [KILLS [SEED]]
 */
#include "front_end.h"
#include "front_end_rpmsg.h"
#include "front_end_worker.h"
#include "viaduct/linux.h"
#include "viaduct/rpmsg_remote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY   ((size_t)1 << 20)
#define SIZE     32
#define N_QUEUES 2
#define SLOTS    64 /* requests of a queue that can be under way */
#define LOG_MAX  65536

static unsigned seed;
static unsigned n_kills;
static uint64_t n_requests;
static uint64_t n_again;
static const char *what;

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(#condition, __LINE__);                                                \
	} while (0)

static void fail(const char *condition, int line)
{
	(void)fprintf(stderr, "%s, kill %u, line %d: %s (errno %d)\n", what, n_kills, line,
		      condition, errno);
	exit(1);
}

static unsigned chance(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* ---- the back end's process ---- */

/* What it took, for the parent to see after its death. */
struct log {
	uint32_t n;
	struct {
		uint32_t queue;
		uint32_t number;
	} taken[LOG_MAX];
};

static struct log *journal;

static void note(struct worker *worker, const struct worker_request *request)
{
	uint32_t n = journal->n;

	(void)worker;
	if (n == LOG_MAX)
		return;
	journal->taken[n].queue = request->queue;
	journal->taken[n].number = request->number;
	__atomic_store_n(&journal->n, n + 1, __ATOMIC_RELEASE);
}

static _Noreturn void serve(struct vd_device *dev, int sock, void (*idle)(struct vd_device *dev))
{
	struct vd_vu_backend_config config = {.dev = dev,
					      .protocol_features = VD_VU_PROTOCOL_DEFAULT};
	struct vd_vu_backend *backend;

	if (vd_vu_backend_create(&backend, &config) != 0 ||
	    vd_vu_backend_connect(backend, sock) != 0)
		_exit(2);
	for (;;) {
		struct pollfd pollfd = {.fd = vd_vu_backend_fd(backend), .events = POLLIN};

		if (poll(&pollfd, 1, 1) == 0 && idle != NULL)
			idle(dev);
		if (vd_vu_backend_poll(backend) != 0)
			_exit(vd_vu_backend_fault(backend)->code == VD_FAULT_NONE ? 0 : 3);
	}
}

static struct worker worker;

/* Nothing comes any more: what is held would be held for ever. */
static void complete_all(struct vd_device *dev)
{
	(void)dev;
	worker_complete(&worker, WORKER_HELD_MAX);
}

static _Noreturn void be_worker(int sock)
{
	struct worker_config config = {
		.n_queues = N_QUEUES,
		.size_max = SIZE,
		.hold = chance(3) * chance(8),
		.at_once = chance(2) * (1 + chance(8)),
		.order = (enum worker_order)chance(3),
		.seed = seed,
		.taken = note,
	};

	if (worker_init(&worker, &config) != 0)
		_exit(2);
	serve(&worker.dev, sock, complete_all);
}

static enum vd_rpmsg_verdict echo(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	if (vd_rpmsg_trysendto(ept, msg->data, msg->len, msg->src) != 0)
		_exit(4);
	return VD_RPMSG_RELEASE;
}

static _Noreturn void be_remote(int sock)
{
	static struct vd_rpmsg_remote remote;
	static struct vd_rpmsg_ept ept;
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	void *memory;

	config.queue_size = SIZE;
	config.batch = (uint16_t)(1 + chance(32));
	memory = calloc(1, vd_rpmsg_remote_memory(&config));
	if (memory == NULL ||
	    vd_rpmsg_remote_init(&remote, &config, memory, vd_rpmsg_remote_memory(&config)) != 0 ||
	    vd_rpmsg_create_ept(&remote.link, &ept, NULL, 7, VD_RPMSG_ADDR_ANY, echo, 0) != 0)
		_exit(2);
	serve(&remote.dev, sock, NULL);
}

/* The front end, which outlives them all. */
static struct fe fe;

/* ---- the executioner ---- */

static pid_t child;
static volatile sig_atomic_t killed;

static void execute(int number)
{
	(void)number;
	if (child > 0)
		(void)kill(child, SIGKILL);
	killed = 1;
}

static void arm(unsigned us)
{
	const struct itimerval timer = {.it_value = {.tv_usec = (suseconds_t)us}};

	MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void start_child(void (*body)(int))
{
	int sock = fe_connect_pair(&fe);

	MUST(sock >= 0);
	killed = 0;
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		close(fe.sock);
		body(sock);
		_exit(5);
	}
	close(sock);
}

/* It was us who ended it, or it ended in good order. */
static void bury_child(void)
{
	int status;

	fe_disconnect(&fe);
	MUST(waitpid(child, &status, 0) == child);
	child = 0;
	MUST(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
}

/* ---- connecting, again and again ---- */

static uint32_t base_of(unsigned index)
{
	if (fe.features & VD_BIT(VD_F_RING_PACKED))
		return 0x80008000u;
	return ((uint16_t *)fe.queues[index].ring.device)[1];
}

/* False: the back end died meanwhile. */
static bool introduce(uint64_t features)
{
	uint64_t protocol = VD_BIT(VD_VU_F_MQ) | VD_BIT(VD_VU_F_INFLIGHT_SHMFD) |
			    VD_BIT(VD_VU_F_REPLY_ACK);
	int err = fe_negotiate(&fe, features, protocol);

	fe.need_reply = true;
	if (err == 0)
		err = fe_share(&fe);
	if (err == 0)
		err = fe.inflight_fd >= 0 ? fe_inflight_set(&fe)
					  : fe_inflight_get(&fe, N_QUEUES, SIZE);
	for (unsigned i = 0; err == 0 && i < N_QUEUES; i++) {
		fe.queues[i].base = base_of(i);
		err = fe_queue_start(&fe, i);
	}
	MUST(err == 0 || killed);
	return err == 0;
}

/* ---- the worker's driver ---- */

struct request {
	uint32_t question;
	uint32_t answer;
	uint32_t generation; /* not for the device */
	uint32_t busy;
};

static struct request *requests[N_QUEUES]; /* SLOTS of each queue */
static uint32_t next_number[N_QUEUES];
static uint32_t next_done[N_QUEUES];     /* in order */
static uint32_t *completed_in[N_QUEUES]; /* the generation, by number */
static uint32_t generation;

#define NUMBERS 4000000u

static bool add_one(unsigned index)
{
	uint32_t number = next_number[index];
	struct request *request = &requests[index][number % SLOTS];
	struct vd_iov segments[3] = {
		{&request->question, 4}, {&request->answer, 2}, {(char *)&request->answer + 2, 2}};
	unsigned n_in = 2;

	if (number % 2 != 0) {
		segments[1].len = 4;
		n_in = 1;
	}
	if (request->busy || number == NUMBERS)
		return false;
	request->question = number;
	request->answer = 0;
	if (vd_vq_drv_add(&fe.queues[index].vq, segments, 1, n_in, request) != 0)
		return false;
	request->busy = 1;
	next_number[index]++;
	n_requests++;
	return true;
}

static void take_one(unsigned index, const struct vd_used *used)
{
	struct request *request = used->token;

	MUST(request->busy && used->len == 4);
	MUST(request->answer == worker_answer(request->question));
	MUST(completed_in[index][request->question] == 0);
	if (fe.features & VD_BIT(VD_F_IN_ORDER))
		MUST(request->question == next_done[index]);
	completed_in[index][request->question] = generation;
	next_done[index]++;
	request->busy = 0;
}

static void take_all(unsigned index)
{
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(&fe.queues[index].vq, &used)) == 1)
		take_one(index, &used);
	MUST(got == 0);
}

/* Notify only if the device asks for it: one that forgets to ask is found out. */
static void kick_if_wanted(unsigned index)
{
	const uint64_t one = 1;

	if (vd_vq_drv_kick(&fe.queues[index].vq))
		MUST(write(fe.queues[index].kick.ours, &one, sizeof(one)) == sizeof(one));
}

static void load(void)
{
	while (!killed) {
		unsigned index = chance(N_QUEUES);

		for (unsigned n = chance(6); n > 0 && add_one(index); n--)
			;
		kick_if_wanted(index);
		if (chance(3) > 0)
			take_all(index);
		if (chance(16) == 0)
			usleep(chance(200));
	}
}

/* Sleep on the signals: one that is not sent is found out. */
static void drain(unsigned index)
{
	struct fe_queue *queue = &fe.queues[index];
	struct pollfd pollfd = {.fd = queue->call.ours, .events = POLLIN};

	for (;;) {
		take_all(index);
		if (next_done[index] == next_number[index])
			return;
		if (vd_vq_drv_enable_cb(&queue->vq))
			continue;
		MUST(poll(&pollfd, 1, 5000) == 1);
		(void)fe_bell_rang(queue->call.ours);
	}
}

/* What the dead one took, it took in order, and nothing that was completed before. */
static void check_log(void)
{
	uint32_t next[N_QUEUES] = {0};
	uint32_t most[N_QUEUES] = {0};

	for (uint32_t i = 0; i < journal->n; i++) {
		uint32_t queue = journal->taken[i].queue;
		uint32_t number = journal->taken[i].number;
		uint32_t completed = completed_in[queue][number];

		MUST(number < next_number[queue]);
		MUST(number >= next[queue]);
		MUST(completed == 0 || completed >= generation);
		next[queue] = number + 1;
		most[queue]++;
	}
	n_again += most[0] + most[1];
	journal->n = 0;
}

static void live_once(uint64_t features, bool to_the_end)
{
	generation++;
	start_child(be_worker);
	/* A child of its own has the same thoughts otherwise. */
	(void)chance(2);
	if (!to_the_end)
		arm(1 + chance(chance(2) ? 800 : 4000));
	if (introduce(features)) {
		if (!to_the_end)
			load();
		for (unsigned i = 0; to_the_end && i < N_QUEUES; i++)
			drain(i);
	}
	while (!to_the_end && !killed)
		usleep(50);
	bury_child();
	check_log();
}

static void open_worker(uint64_t features)
{
	MUST(fe_open(&fe, MEMORY) == 0);
	fe.features = features;
	for (unsigned i = 0; i < N_QUEUES; i++) {
		MUST(fe_queue_make(&fe, i, SIZE) == 0);
		requests[i] = fe_alloc(&fe, sizeof(struct request) * SLOTS, 64);
		completed_in[i] = mmap(NULL, NUMBERS * sizeof(uint32_t), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		MUST(requests[i] != NULL && completed_in[i] != MAP_FAILED);
		next_number[i] = next_done[i] = 0;
	}
	generation = 0;
}

static void kill_workers(uint64_t features, unsigned kills)
{
	open_worker(features);
	for (unsigned i = 0; i < kills; i++, n_kills++)
		live_once(features, false);
	live_once(features, true);
	for (unsigned i = 0; i < N_QUEUES; i++)
		MUST(munmap(completed_in[i], NUMBERS * sizeof(uint32_t)) == 0);
	fe_close(&fe);
}

/* ---- the remote's driver ---- */

static struct fe_rpmsg rpmsg;
static uint32_t sent;
static uint32_t heard;

/* Each message comes back; after a crash some come again, from an earlier one on. */
static void hear_all(void)
{
	struct fe_rpmsg_msg msg;
	uint32_t number;
	int got;

	while ((got = fe_rpmsg_receive(&rpmsg, &msg)) == 1) {
		MUST(msg.src == 7 && msg.dst == 1024 && msg.len == 40);
		memcpy(&number, msg.data, sizeof(number));
		MUST(number <= heard);
		if (number == heard)
			heard++;
		else
			n_again++;
	}
	MUST(got == 0);
	kick_if_wanted(0);
}

static void speak(void)
{
	unsigned char data[40] = {0};

	memcpy(data, &sent, sizeof(sent));
	/* No more than there are buffers for the answers. */
	if (sent - heard < SIZE / 2 && fe_rpmsg_send(&rpmsg, 1024, 7, data, sizeof(data)) == 0) {
		sent++;
		n_requests++;
	}
	kick_if_wanted(1);
}

static void live_remote(uint64_t features, bool to_the_end)
{
	long patience = 5000;

	start_child(be_remote);
	(void)chance(2);
	if (!to_the_end)
		arm(1 + chance(chance(2) ? 800 : 4000));
	if (introduce(features)) {
		while (!to_the_end && !killed) {
			speak();
			hear_all();
		}
		for (; to_the_end && heard < sent && patience > 0; patience--) {
			hear_all();
			usleep(1000);
		}
	}
	MUST(patience > 0);
	while (!to_the_end && !killed)
		usleep(50);
	bury_child();
}

static void kill_remotes(uint64_t features, unsigned kills)
{
	MUST(fe_open(&fe, MEMORY) == 0);
	fe.features = features;
	sent = 0;
	heard = 0;
	MUST(fe_rpmsg_make(&rpmsg, &fe, SIZE) == 0);
	for (unsigned i = 0; i < kills; i++, n_kills++)
		live_remote(features, false);
	live_remote(features, true);
	fe_rpmsg_free(&rpmsg);
	fe_close(&fe);
}

/* ---- all of them ---- */

#define V1     VD_BIT(VD_F_VERSION_1)
#define PACKED (V1 | VD_BIT(VD_F_RING_PACKED))
#define ORDER  VD_BIT(VD_F_IN_ORDER)
#define EVENT  VD_BIT(VD_F_EVENT_IDX)

static const struct {
	const char *name;
	uint64_t features;
	void (*run)(uint64_t features, unsigned kills);
} runs[] = {
	{"worker, split", V1, kill_workers},
	{"worker, split, event index", V1 | EVENT, kill_workers},
	{"worker, split, in order", V1 | ORDER, kill_workers},
	{"worker, split, in order, event index", V1 | ORDER | EVENT, kill_workers},
	{"worker, packed", PACKED, kill_workers},
	{"worker, packed, event index", PACKED | EVENT, kill_workers},
	{"worker, packed, in order", PACKED | ORDER, kill_workers},
	{"worker, packed, in order, event index", PACKED | ORDER | EVENT, kill_workers},
	{"rpmsg, split", V1, kill_remotes},
	{"rpmsg, packed, in order, event index", PACKED | ORDER | EVENT, kill_remotes},
};

#define N_RUNS (sizeof(runs) / sizeof(runs[0]))

int main(int argc, char **argv)
{
	struct sigaction alarm_action = {.sa_handler = execute, .sa_flags = SA_RESTART};
	unsigned kills = argc > 1 ? (unsigned)atoi(argv[1]) : 600;
	uint64_t began = vd_now_ms();

	seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	what = "start";
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	MUST(journal != MAP_FAILED && sigaction(SIGALRM, &alarm_action, NULL) == 0);
	for (unsigned i = 0; i < N_RUNS; i++) {
		what = runs[i].name;
		runs[i].run(runs[i].features, (kills + N_RUNS - 1) / N_RUNS);
	}
	(void)printf("%u back ends killed in %.1f s, %llu requests, %llu taken again\n", n_kills,
		     (double)(vd_now_ms() - began) / 1000, (unsigned long long)n_requests,
		     (unsigned long long)n_again);
	return 0;
}
