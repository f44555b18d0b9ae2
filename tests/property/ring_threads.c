/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two ends on two processors at once: a driver thread and a device thread that sleep until they
 * are notified (on a futex or an eventfd), or poll. Run it under ThreadSanitizer too. Every message
 * must arrive once and in order, every answer must come back, and nobody may be left sleeping.
 *
 *     property_ring_threads [SEED [MESSAGES]]
 */
#include "ring_pair.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 20

enum waiting {
	ON_FUTEX,
	ON_EVENTFD,
	SPINNING, /* on a flag: the quickest to go to sleep and to wake, and so to miss one another
		   */
	BY_POLLING,
	WAYS,
};

static const char *const way_names[] = {"futex", "eventfd", "spinning", "polling"};

/* ---- doorbells ---- */

struct bell {
	enum waiting way;
	int fd;
	_Atomic uint32_t rung;
};

static void bell_take(struct bell *bell, enum waiting way)
{
	bell->way = way;
	bell->fd = way == ON_EVENTFD ? eventfd(0, EFD_CLOEXEC) : -1;
	atomic_store(&bell->rung, 0);
}

static void bell_give(struct bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
}

static void bell_ring(struct bell *bell)
{
	uint64_t one = 1;

	if (bell->way == ON_EVENTFD && write(bell->fd, &one, sizeof(one)) != sizeof(one))
		abort();
	atomic_store(&bell->rung, 1);
	if (bell->way != ON_FUTEX)
		return;
	syscall(SYS_futex, &bell->rung, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool futex_wait(struct bell *bell)
{
	const struct timespec patience = {.tv_sec = PATIENCE_S};

	while (atomic_exchange(&bell->rung, 0) == 0)
		if (syscall(SYS_futex, &bell->rung, FUTEX_WAIT_PRIVATE, 0, &patience, NULL, 0) !=
			    0 &&
		    errno == ETIMEDOUT)
			return false;
	return true;
}

static bool eventfd_wait(struct bell *bell)
{
	struct pollfd poll_fd = {.fd = bell->fd, .events = POLLIN};
	uint64_t count;

	return poll(&poll_fd, 1, PATIENCE_S * 1000) == 1 &&
	       read(bell->fd, &count, sizeof(count)) == sizeof(count);
}

static bool spin(struct bell *bell)
{
	time_t start = time(NULL);

	for (uint32_t turns = 1; atomic_exchange(&bell->rung, 0) == 0; turns++) {
		if (turns % 1024 != 0)
			continue;
		sched_yield();
		if (time(NULL) - start > PATIENCE_S)
			return false;
	}
	return true;
}

/* False if nobody rang for so long that nobody will. */
static bool bell_wait(struct bell *bell)
{
	if (bell->way == ON_FUTEX)
		return futex_wait(bell);
	if (bell->way == ON_EVENTFD)
		return eventfd_wait(bell);
	if (bell->way == SPINNING)
		return spin(bell);
	sched_yield();
	return true;
}

/* ---- a run ---- */

struct run {
	struct pair pair;
	enum waiting way;
	uint64_t seed;
	uint32_t messages;
	struct bell for_driver;
	struct bell for_device;
	_Atomic bool over;
	uint64_t sum;
};

static _Noreturn void give_up(const struct run *run, const char *what)
{
	char text[200];

	fprintf(stderr, "%s: seed %" PRIu64 ", %s, ", what, run->seed, way_names[run->way]);
	pair_print_shape(&run->pair.shape);
	vd_fault_text(vd_vq_drv_fault(&run->pair.drv), text, sizeof(text));
	fprintf(stderr, "driver end: %s\n", text);
	vd_fault_text(vd_vq_dev_fault(&run->pair.dev), text, sizeof(text));
	fprintf(stderr, "device end: %s\n", text);
	_exit(1);
}

/* A message is a number that the device reads, and an answer that it writes. */
struct message {
	uint32_t number;
	uint64_t answer;
};

static uint64_t answer_to(uint32_t number)
{
	return (uint64_t)number * 2654435761u + 7;
}

/* ---- the driver's thread ---- */

struct driver {
	struct run *run;
	struct dice dice;
	struct message *messages; /* one for each entry of the queue, reused in turn */
	uint32_t *idle;
	uint32_t n_idle;
	uint32_t sent;
	uint32_t got;
};

static bool send_one(struct driver *driver)
{
	struct run *run = driver->run;
	struct message *message;
	struct vd_iov segments[2];
	bool answered = driver->sent % 3 != 0 && run->pair.shape.size > 1;

	if (driver->sent == run->messages || driver->n_idle == 0)
		return false;
	message = &driver->messages[driver->idle[driver->n_idle - 1]];
	segments[0] = (struct vd_iov){&message->number, sizeof(message->number)};
	segments[1] = (struct vd_iov){&message->answer, sizeof(message->answer)};
	message->number = driver->sent;
	message->answer = 0;
	if (vd_vq_drv_add(&run->pair.drv, segments, 1, answered, message) != 0)
		return false;
	driver->n_idle--;
	driver->sent++;
	return true;
}

static void take_back(struct driver *driver, const struct vd_used *used)
{
	struct run *run = driver->run;
	struct message *message = used->token;

	/* The device pushes in the order of popping. */
	if (message->number != driver->got++)
		give_up(run, "a message came back out of order");
	if (used->len != 0 &&
	    (used->len != sizeof(message->answer) || message->answer != answer_to(message->number)))
		give_up(run, "an answer is wrong");
	run->sum += message->answer;
	driver->idle[driver->n_idle++] = (uint32_t)(message - driver->messages);
}

static bool send_some(struct driver *driver)
{
	uint32_t most = 1 + dice_roll(&driver->dice, 40);
	bool any = false;

	while (most-- > 0 && send_one(driver))
		any = true;
	if (vd_vq_drv_kick(&driver->run->pair.drv))
		bell_ring(&driver->run->for_device);
	return any;
}

static bool get_some(struct driver *driver)
{
	struct vd_used used;
	bool any = false;
	int got;

	while ((got = vd_vq_drv_get(&driver->run->pair.drv, &used)) == 1) {
		take_back(driver, &used);
		any = true;
	}
	if (got < 0)
		give_up(driver->run, "the driver end broke");
	return any;
}

static void driver_sleep(struct driver *driver)
{
	struct vd_vq_drv *vq = &driver->run->pair.drv;
	bool delayed = dice_one_in(&driver->dice, 3);

	if (delayed ? vd_vq_drv_enable_cb_delayed(vq) : vd_vq_drv_enable_cb(vq))
		return;
	if (!bell_wait(&driver->run->for_driver))
		give_up(driver->run, "the driver was never notified");
	if (dice_one_in(&driver->dice, 2))
		vd_vq_drv_disable_cb(vq);
}

static void *driver_thread(void *arg)
{
	struct driver *driver = arg;

	while (driver->got < driver->run->messages) {
		bool sent = send_some(driver);
		bool got = get_some(driver);

		if (!sent && !got)
			driver_sleep(driver);
	}
	atomic_store(&driver->run->over, true);
	bell_ring(&driver->run->for_device);
	return NULL;
}

/* ---- the device's thread ---- */

#define BATCH 8

struct device {
	struct run *run;
	struct dice dice;
	uint32_t seen;
	struct vd_chain chains[BATCH];
	struct vd_iov iov[BATCH][8];
};

static uint32_t serve(struct device *device, const struct vd_chain *chain)
{
	struct vd_cursor cursor;
	uint32_t number;
	uint64_t answer;

	vd_cursor_init(&cursor, chain->iov, chain->n_out);
	if (vd_cursor_pull(&cursor, &number, sizeof(number)) != sizeof(number) ||
	    number != device->seen++)
		give_up(device->run, "a message arrived out of order");
	answer = answer_to(number);
	vd_cursor_init(&cursor, chain->iov + chain->n_out, chain->n_in);
	return (uint32_t)vd_cursor_push(&cursor, &answer, sizeof(answer));
}

static bool serve_some(struct device *device)
{
	struct run *run = device->run;
	int count = vd_vq_dev_pop_many(&run->pair.dev, device->chains,
				       1 + dice_roll(&device->dice, BATCH));

	if (count < 0)
		give_up(run, "the device end broke");
	for (int i = 0; i < count; i++) {
		uint32_t written = serve(device, &device->chains[i]);

		if (vd_vq_dev_push(&run->pair.dev, &device->chains[i], written) != 0)
			give_up(run, "a push failed");
	}
	if (dice_one_in(&device->dice, 3))
		return count > 0;
	if (vd_vq_dev_flush(&run->pair.dev))
		bell_ring(&run->for_driver);
	return count > 0;
}

static void device_sleep(struct device *device)
{
	struct run *run = device->run;

	if (vd_vq_dev_flush(&run->pair.dev))
		bell_ring(&run->for_driver);
	if (vd_vq_dev_enable_notify(&run->pair.dev))
		return;
	if (!bell_wait(&run->for_device))
		give_up(run, "the device was never notified");
	if (dice_one_in(&device->dice, 2))
		vd_vq_dev_disable_notify(&run->pair.dev);
}

static void *device_thread(void *arg)
{
	struct device *device = arg;

	for (unsigned i = 0; i < BATCH; i++) {
		device->chains[i].iov = device->iov[i];
		device->chains[i].iov_max = 8;
	}
	while (!atomic_load(&device->run->over))
		if (!serve_some(device))
			device_sleep(device);
	return NULL;
}

/* ---- all of them ---- */

static void run_threads(struct run *run)
{
	uint16_t size = run->pair.shape.size;
	struct driver driver = {.run = run, .dice = {run->seed + 1}};
	struct device device = {.run = run, .dice = {run->seed + 2}};
	pthread_t thread;

	driver.messages = run->pair.data.at;
	driver.idle = calloc(size, sizeof(uint32_t));
	while (driver.n_idle < size) {
		driver.idle[driver.n_idle] = driver.n_idle;
		driver.n_idle++;
	}
	if (pthread_create(&thread, NULL, device_thread, &device) != 0)
		abort();
	driver_thread(&driver);
	pthread_join(thread, NULL);
	free(driver.idle);
}

static void check_sum(const struct run *run)
{
	uint64_t sum = 0;

	for (uint32_t number = 0; number < run->messages; number++)
		if (number % 3 != 0 && run->pair.shape.size > 1)
			sum += answer_to(number);
	if (sum != run->sum)
		give_up(run, "the sum of all answers is wrong");
}

static void run_shape(const struct pair_shape *shape, enum waiting way, uint64_t seed,
		      uint32_t messages)
{
	static struct run run;
	struct dice dice = {.state = seed};

	memset(&run, 0, sizeof(run));
	run.way = way;
	run.seed = seed;
	/* In a queue of one, each message is a turn of both threads. */
	run.messages = shape->size < 4 ? messages / 8 : messages;

	pair_take(&run.pair, 4096, true, &dice);
	pair_open(&run.pair, shape, &dice);
	bell_take(&run.for_driver, way);
	bell_take(&run.for_device, way);
	run_threads(&run);
	check_sum(&run);
	bell_give(&run.for_driver);
	bell_give(&run.for_device);
	pair_give(&run.pair);
}

int main(int argc, char **argv)
{
	static const uint16_t sizes[] = {1, 4, 16, 128};
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint32_t messages = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 8000;

	for (unsigned number = 0; number < 16; number++)
		for (enum waiting way = ON_FUTEX; way < WAYS; way++)
			for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
				const struct pair_shape shape = {
					.packed = number & 1,
					.event_idx = number & 2,
					.in_order = number & 4,
					.indirect = number & 8,
					.size = sizes[s],
					.table_entries = 2,
				};

				run_shape(&shape, way, seed + number, messages);
			}
	return 0;
}
