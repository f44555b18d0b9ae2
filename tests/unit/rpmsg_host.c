/* SPDX-License-Identifier: BSD-3-Clause */
/* The rpmsg host role, with the library's own remote at the other end of a loopback. */
#include "viaduct/rpmsg_host.h"
#include "ring_pages.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"
#include "viaduct/loopback.h"
#include "viaduct/rpmsg_remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ANY    VD_RPMSG_ADDR_ANY
#define MEMORY ((size_t)1 << 20)

struct end {
	struct vd_rpmsg_ept ept; /* first */
	unsigned n;
	struct vd_rpmsg_msg msg; /* the last one, ... */
	unsigned char data[2048];
	enum vd_rpmsg_verdict verdict;
	void (*on_message)(struct end *end, const struct vd_rpmsg_msg *msg);
};

static struct {
	struct vd_rpmsg_remote_config remote_config;
	struct vd_rpmsg_host_config host_config;
	struct vd_rpmsg_events host_events;
	struct vd_rpmsg_remote remote;
	struct vd_rpmsg_host host;
	void *remote_memory;
	void *host_memory;
	struct vd_bus bus;
	struct vd_rpmsg_driver driver;
	struct vd_loopback loop;
	struct pages memory;
	struct vd_pool pool;
	uint32_t *pool_words;
	struct vd_mem mem;
	struct vd_window window;
	char log[4096];
	uint64_t now;
	unsigned n_waits;
	struct end here;  /* an endpoint of the host */
	struct end there; /* and one of the remote */
} rig;

/* ---- the rig ---- */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	size_t used = strlen(rig.log);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(rig.log + used, sizeof(rig.log) - used, format, args);
	va_end(args);
}

static void expect_log(const char *words)
{
	assert_string_equal(rig.log, words);
	rig.log[0] = '\0';
}

static void on_link(struct vd_rpmsg *link, bool up)
{
	(void)link;
	note(up ? "up " : "down ");
}

static void on_channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	(void)link;
	note("%c%s@%u ", created ? '+' : '-', channel->name, channel->addr);
}

static void on_writable(struct vd_rpmsg *link)
{
	(void)link;
	note("writable ");
}

static void on_fault(struct vd_rpmsg *link, const struct vd_fault *fault)
{
	(void)link;
	note("!%s ", vd_fault_name(fault->code));
}

static void run(void)
{
	while (vd_loopback_poll_device(&rig.loop) || vd_loopback_poll_driver(&rig.loop))
		;
}

static int on_wait(struct vd_rpmsg *link, uint32_t ms)
{
	(void)link;
	(void)ms;
	rig.n_waits++;
	rig.now += 1000;
	if (rig.n_waits > 1)
		run();
	return 0;
}

static uint64_t on_now(struct vd_rpmsg *link)
{
	(void)link;
	return rig.now;
}

static enum vd_rpmsg_verdict keep(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct end *end = (struct end *)ept;

	end->n++;
	end->msg = *msg;
	memcpy(end->data, msg->data, msg->len);
	if (end->on_message != NULL)
		end->on_message(end, msg);
	return end->verdict;
}

/* What tests change before open_rig(). */
static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.remote_config = (struct vd_rpmsg_remote_config)VD_RPMSG_REMOTE_DEFAULTS;
	rig.remote_config.queue_size = 8;
	rig.host_config = (struct vd_rpmsg_host_config)VD_RPMSG_HOST_DEFAULTS;
	rig.host_events = (struct vd_rpmsg_events){
		.link_changed = on_link,
		.channel = on_channel,
		.writable = on_writable,
		.fault = on_fault,
		.wait = on_wait,
		.now = on_now,
	};
	rig.host_config.link.events = &rig.host_events;
	return 0;
}

static void make_remote(void)
{
	size_t size = vd_rpmsg_remote_memory(&rig.remote_config);

	rig.remote_memory = aligned_alloc(8, size);
	assert_int_equal(
		vd_rpmsg_remote_init(&rig.remote, &rig.remote_config, rig.remote_memory, size), 0);
}

static void make_host(void)
{
	size_t size = vd_rpmsg_host_memory(&rig.host_config);

	rig.host_memory = aligned_alloc(8, size);
	assert_int_equal(vd_rpmsg_host_init(&rig.host, &rig.host_config, rig.host_memory, size), 0);
	vd_rpmsg_driver_init(&rig.driver);
	vd_rpmsg_driver_add(&rig.driver, &rig.host);
	vd_bus_init(&rig.bus);
	assert_int_equal(vd_bus_add_driver(&rig.bus, &rig.driver.driver), 0);
}

static void make_loop(void)
{
	struct vd_loopback_config config = {
		.dev = &rig.remote.dev,
		.mem = &rig.mem,
		.shared = &rig.pool.alloc,
		.local = &vd_malloc,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
		.features = VD_LOOPBACK_FEATURES,
	};

	pages_take(&rig.memory, MEMORY, 4096);
	rig.pool_words = calloc(vd_pool_words(MEMORY), sizeof(*rig.pool_words));
	vd_pool_init(&rig.pool, rig.memory.at, MEMORY, rig.pool_words);
	vd_mem_init(&rig.mem, &rig.window, 1, VD_MEM_LIMIT_64);
	assert_int_equal(vd_mem_add(&rig.mem, &(struct vd_window){.peer = 0x4000,
								  .size = MEMORY,
								  .local = rig.memory.at,
								  .rights = VD_MEM_RW}),
			 0);
	assert_int_equal(vd_loopback_init(&rig.loop, &config), 0);
}

static void join(void)
{
	assert_int_equal(vd_bus_add_device(&rig.bus, &rig.loop.vdev), 0);
	run();
}

static void open_rig(void)
{
	make_remote();
	make_host();
	make_loop();
	join();
	expect_log("up ");
	assert_int_equal(vd_rpmsg_create_ept(&rig.host.link, &rig.here.ept, NULL, 400, 1030, keep,
					     VD_RPMSG_IN_PLACE),
			 0);
	assert_int_equal(vd_rpmsg_create_ept(&rig.remote.link, &rig.there.ept, NULL, 1030, 400,
					     keep, VD_RPMSG_IN_PLACE),
			 0);
}

static int teardown(void **state)
{
	(void)state;
	if (rig.loop.vdev.bus != NULL)
		vd_bus_remove_device(&rig.bus, &rig.loop.vdev);
	assert_int_equal(rig.pool.used, 0);
	vd_bus_remove_driver(&rig.bus, &rig.driver.driver);
	free(rig.remote_memory);
	free(rig.host_memory);
	free(rig.pool_words);
	if (rig.memory.at != NULL)
		pages_give(&rig.memory);
	return 0;
}

static void expect_got(struct end *end, unsigned n, const char *text)
{
	run();
	assert_int_equal(end->n, n);
	assert_int_equal(end->msg.len, strlen(text));
	assert_memory_equal(end->data, text, strlen(text));
}

static int say(struct end *end, const char *text)
{
	return vd_rpmsg_trysend(&end->ept, text, (uint32_t)strlen(text));
}

static void expect_conversation(unsigned n)
{
	char text[24];

	for (unsigned i = 0; i < n; i++) {
		unsigned before = rig.there.n;

		(void)snprintf(text, sizeof(text), "message %u", i);
		assert_int_equal(say(&rig.here, text), 0);
		expect_got(&rig.there, before + 1, text);
		before = rig.here.n;
		assert_int_equal(say(&rig.there, text), 0);
		expect_got(&rig.here, before + 1, text);
	}
}

/* ---- messages ---- */

static void messages_go_both_ways_lap_after_lap(void **state)
{
	(void)state;
	open_rig();
	expect_conversation(40);
	assert_int_equal(rig.here.msg.src, 1030);
	assert_int_equal(rig.here.msg.dst, 400);
	assert_int_equal(rig.host.link.stats.tx_messages, 40);
	assert_int_equal(rig.host.link.stats.rx_messages, 40);
}

static void a_split_queue_without_event_index_does(void **state)
{
	(void)state;
	rig.remote_config.features &= ~(VD_BIT(VD_F_RING_PACKED) | VD_BIT(VD_F_EVENT_IDX));
	open_rig();
	expect_conversation(40);
}

static void messages_of_every_length(void **state)
{
	unsigned char data[496];

	(void)state;
	open_rig();
	for (uint32_t len = 0; len <= sizeof(data); len++) {
		memset(data, (int)len, len);
		assert_int_equal(vd_rpmsg_trysend(&rig.here.ept, data, len), 0);
		run();
		assert_int_equal(rig.there.msg.len, len);
		assert_memory_equal(rig.there.data, data, len);
	}
	assert_int_equal(rig.there.n, 497);
	assert_int_equal(vd_rpmsg_trysend(&rig.here.ept, data, 497), -VD_EMSGSIZE);
}

static void a_burst_costs_one_notification(void **state)
{
	uint64_t before;

	(void)state;
	open_rig();
	before = rig.loop.n_to_device;
	vd_rpmsg_cork(&rig.host.link);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(say(&rig.here, "x"), 0);
	assert_int_equal(rig.loop.n_to_device, before);
	vd_rpmsg_uncork(&rig.host.link);
	assert_int_equal(rig.loop.n_to_device, before + 1);
	expect_got(&rig.there, 8, "x");
}

static void who_finds_no_buffer_hears_of_one(void **state)
{
	(void)state;
	open_rig();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(say(&rig.here, "x"), 0);
	assert_int_equal(say(&rig.here, "x"), -VD_ENOMEM);
	expect_log("");
	expect_got(&rig.there, 8, "x");
	expect_log("writable ");
	assert_int_equal(say(&rig.here, "y"), 0);
	expect_got(&rig.there, 9, "y");
	expect_log("");
}

static void who_can_wait_waits_for_a_buffer(void **state)
{
	(void)state;
	open_rig();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(say(&rig.here, "x"), 0);
	assert_int_equal(vd_rpmsg_send(&rig.here.ept, "last", 4), 0);
	assert_int_equal(rig.n_waits, 2);
	expect_got(&rig.there, 9, "last");
}

static int wait_in_vain(struct vd_rpmsg *link, uint32_t ms)
{
	(void)link;
	assert_true(ms <= 15000);
	rig.now += 4000;
	return 0;
}

static void waiting_ends_after_fifteen_seconds(void **state)
{
	(void)state;
	rig.host_events.wait = wait_in_vain;
	rig.now = 1;
	open_rig();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(say(&rig.here, "x"), 0);
	assert_int_equal(vd_rpmsg_send(&rig.here.ept, "x", 1), -VD_ETIMEDOUT);
	assert_int_equal(rig.now, 16001);
}

static void a_callback_can_answer_at_once(struct end *end, const struct vd_rpmsg_msg *msg)
{
	assert_int_equal(vd_rpmsg_trysendto(&end->ept, msg->data, msg->len, msg->src), 0);
}

static void answers_from_inside_callbacks(void **state)
{
	(void)state;
	open_rig();
	rig.here.on_message = a_callback_can_answer_at_once;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(say(&rig.there, "ping"), 0);
		expect_got(&rig.there, i + 1, "ping");
	}
}

static void polled_hosts_are_not_notified_of_messages(void **state)
{
	uint64_t before;

	(void)state;
	rig.host_config.polled = true;
	open_rig();
	before = rig.loop.n_to_driver;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(say(&rig.there, "x"), 0);
		assert_int_equal(vd_rpmsg_poll(&rig.host.link, 10), 1);
		assert_int_equal(rig.here.n, i + 1);
	}
	assert_int_equal(rig.loop.n_to_driver, before);
}

/* ---- held and composed ---- */

static void held_messages_keep_their_buffers(void **state)
{
	struct vd_rpmsg_msg held[8];

	(void)state;
	open_rig();
	rig.here.verdict = VD_RPMSG_HOLD;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(say(&rig.there, "hold me"), 0);
		expect_got(&rig.here, i + 1, "hold me");
		held[i] = rig.here.msg;
	}
	assert_int_equal(say(&rig.there, "no more"), -VD_ENOMEM);
	assert_int_equal(vd_rpmsg_release(&held[3]), 0);
	assert_int_equal(vd_rpmsg_release(&held[3]), -VD_EINVAL);
	run();
	assert_int_equal(say(&rig.there, "one more"), 0);
	expect_got(&rig.here, 9, "one more");
	for (unsigned i = 0; i < 8; i++)
		assert_memory_equal(i == 3 ? "hold me" : held[i].data, "hold me", 7);
	held[3] = rig.here.msg;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(vd_rpmsg_release(&held[i]), 0);
	rig.here.verdict = VD_RPMSG_RELEASE;
	expect_conversation(20);
}

static void messages_are_composed_in_place(void **state)
{
	struct vd_rpmsg_tx tx[3];

	(void)state;
	open_rig();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vd_rpmsg_tx_begin(&rig.host.link, &tx[i]), 0);
		assert_int_equal(tx[i].capacity, 496);
		memset(tx[i].data, 'a' + (int)i, 4);
	}
	assert_int_equal(vd_rpmsg_tx_commit(&tx[2], 400, 1030, 4), 0);
	expect_got(&rig.there, 1, "cccc");
	vd_rpmsg_tx_abort(&tx[1]);
	vd_rpmsg_tx_abort(&tx[1]);
	assert_int_equal(say(&rig.here, "between"), 0);
	expect_got(&rig.there, 2, "between");
	assert_int_equal(vd_rpmsg_tx_commit(&tx[0], 400, 1030, 4), 0);
	assert_int_equal(vd_rpmsg_tx_commit(&tx[0], 400, 1030, 4), -VD_ESTALE);
	expect_got(&rig.there, 3, "aaaa");
	expect_conversation(20);
}

static void all_buffers_can_be_composed_in(void **state)
{
	struct vd_rpmsg_tx tx[9];

	(void)state;
	open_rig();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(vd_rpmsg_tx_begin(&rig.host.link, &tx[i]), 0);
	assert_int_equal(vd_rpmsg_tx_begin(&rig.host.link, &tx[8]), -VD_ENOMEM);
	vd_rpmsg_tx_abort(&tx[5]);
	expect_log("writable ");
	assert_int_equal(vd_rpmsg_tx_begin(&rig.host.link, &tx[5]), 0);
	for (unsigned i = 0; i < 8; i++)
		vd_rpmsg_tx_abort(&tx[i]);
	expect_conversation(20);
}

/* ---- channels ---- */

static void channels_are_announced_both_ways(void **state)
{
	struct end end = {.n = 0};

	(void)state;
	open_rig();
	assert_int_equal(
		vd_rpmsg_create_ept(&rig.remote.link, &end.ept, "rpmsg-raw", 77, ANY, keep, 0), 0);
	run();
	expect_log("+rpmsg-raw@77 ");
	assert_non_null(vd_rpmsg_find_channel(&rig.host.link, "rpmsg-raw"));
	assert_int_equal(vd_rpmsg_destroy_ept(&end.ept), 0);
	run();
	expect_log("-rpmsg-raw@77 ");
	assert_int_equal(vd_rpmsg_create_ept(&rig.host.link, &end.ept, "ours", 88, ANY, keep, 0),
			 0);
	run();
	assert_int_equal(vd_rpmsg_find_channel(&rig.remote.link, "ours")->addr, 88);
	assert_int_equal(vd_rpmsg_destroy_ept(&end.ept), 0);
	run();
	assert_null(vd_rpmsg_find_channel(&rig.remote.link, "ours"));
}

static void more_announcements_than_buffers_all_arrive(void **state)
{
	static struct end ends[30];
	char names[30][VD_RPMSG_NAME_SIZE];

	(void)state;
	memset(ends, 0, sizeof(ends));
	open_rig();
	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "service %u", i);
		assert_int_equal(vd_rpmsg_create_ept(&rig.host.link, &ends[i].ept, names[i], ANY,
						     ANY, keep, 0),
				 0);
	}
	run();
	for (unsigned i = 0; i < 30; i++)
		assert_non_null(vd_rpmsg_find_channel(&rig.remote.link, names[i]));
	expect_log("");
}

/* ---- sizes ---- */

static void the_device_says_how_long_buffers_are(void **state)
{
	static unsigned char data[2048];

	(void)state;
	rig.remote_config.h2r_size = 1016;
	rig.remote_config.r2h_size = 80;
	rig.remote_config.link.max_payload = 1000;
	open_rig();
	assert_int_equal(vd_rpmsg_max_payload(&rig.host.link), 1000);
	assert_int_equal(vd_rpmsg_trysend(&rig.here.ept, data, 1000), 0);
	run();
	assert_int_equal(rig.there.msg.len, 1000);
	assert_int_equal(vd_rpmsg_trysend(&rig.there.ept, data, 64), 0);
	assert_int_equal(vd_rpmsg_trysend(&rig.there.ept, data, 65), -VD_EMSGSIZE);
	run();
	assert_int_equal(rig.here.msg.len, 64);
}

static void a_device_with_impossible_sizes_is_not_taken(void **state)
{
	(void)state;
	rig.remote_config.h2r_size = 70000;
	rig.remote_config.r2h_size = 512;
	make_remote();
	make_host();
	make_loop();
	join();
	assert_null(rig.host.vdev);
	assert_null(rig.loop.vdev.driver);
	expect_log("!RPMSG_BUFFER_SIZE ");
}

static void without_memory_nothing_is_left_behind(void **state)
{
	(void)state;
	rig.remote_config.h2r_size = 65000;
	rig.remote_config.r2h_size = 65000;
	rig.remote_config.queue_size = 256;
	make_remote();
	make_host();
	make_loop();
	join();
	assert_null(rig.host.vdev);
	assert_int_equal(rig.pool.used, 0);
}

/* ---- life and death ---- */

static void a_host_takes_one_device_and_can_come_back(void **state)
{
	(void)state;
	open_rig();
	assert_int_equal(vd_rpmsg_driver_remove(&rig.driver, &rig.host), -VD_EBUSY);
	for (unsigned i = 0; i < 3; i++) {
		vd_bus_unbind(&rig.loop.vdev);
		expect_log("down ");
		assert_int_equal(say(&rig.here, "x"), -VD_EPIPE);
		assert_int_equal(rig.pool.used, 0);
		assert_int_equal(vd_bus_bind(&rig.loop.vdev), 0);
		run();
		expect_log("up ");
		expect_conversation(10);
	}
	vd_bus_unbind(&rig.loop.vdev);
	assert_int_equal(vd_rpmsg_driver_remove(&rig.driver, &rig.host), 0);
	assert_int_equal(vd_rpmsg_driver_remove(&rig.driver, &rig.host), -VD_ENOENT);
	assert_int_equal(vd_bus_bind(&rig.loop.vdev), -VD_EBUSY);
}

static void what_was_held_or_composed_is_void_after_a_restart(void **state)
{
	struct vd_rpmsg_msg held;
	struct vd_rpmsg_tx tx;

	(void)state;
	open_rig();
	rig.here.verdict = VD_RPMSG_HOLD;
	assert_int_equal(say(&rig.there, "hold me"), 0);
	run();
	held = rig.here.msg;
	assert_int_equal(vd_rpmsg_tx_begin(&rig.host.link, &tx), 0);
	assert_int_equal(vd_vdev_recover(&rig.loop.vdev), 0);
	run();
	expect_log("down up ");
	assert_int_equal(vd_rpmsg_release(&held), -VD_ESTALE);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 400, 1030, 1), -VD_ESTALE);
	vd_rpmsg_tx_abort(&tx);
	rig.here.verdict = VD_RPMSG_RELEASE;
	expect_conversation(20);
}

static void unbind_here(struct end *end, const struct vd_rpmsg_msg *msg)
{
	(void)end;
	(void)msg;
	vd_bus_unbind(&rig.loop.vdev);
}

static void the_device_may_go_inside_a_callback(void **state)
{
	(void)state;
	open_rig();
	rig.here.on_message = unbind_here;
	assert_int_equal(say(&rig.there, "x"), 0);
	assert_int_equal(say(&rig.there, "y"), 0);
	run();
	assert_int_equal(rig.here.n, 1);
	expect_log("down ");
	assert_int_equal(rig.pool.used, 0);
	rig.here.on_message = NULL;
	assert_int_equal(vd_bus_bind(&rig.loop.vdev), 0);
	run();
	expect_log("up ");
	expect_conversation(10);
}

static void freeze_and_restore(void **state)
{
	struct end end = {.n = 0};

	(void)state;
	open_rig();
	assert_int_equal(vd_rpmsg_create_ept(&rig.host.link, &end.ept, "ours", 88, ANY, keep, 0),
			 0);
	run();
	assert_int_equal(vd_vdev_freeze(&rig.loop.vdev), 0);
	expect_log("down ");
	assert_int_equal(rig.pool.used, 0);
	assert_int_equal(say(&rig.here, "x"), -VD_EPIPE);
	assert_int_equal(vd_vdev_restore(&rig.loop.vdev), 0);
	run();
	expect_log("up ");
	assert_non_null(vd_rpmsg_find_channel(&rig.remote.link, "ours"));
	expect_conversation(10);
}

static void suspended_devices_get_what_was_sent_when_they_resume(void **state)
{
	(void)state;
	open_rig();
	assert_int_equal(vd_vdev_suspend(&rig.loop.vdev), 0);
	assert_int_equal(say(&rig.here, "sleeper"), 0);
	run();
	assert_int_equal(rig.there.n, 0);
	assert_int_equal(vd_vdev_resume(&rig.loop.vdev), 0);
	expect_got(&rig.there, 1, "sleeper");
	expect_conversation(20);
}

static void a_dead_device_is_replaced(void **state)
{
	(void)state;
	open_rig();
	vd_loopback_kill_device(&rig.loop);
	assert_int_equal(say(&rig.here, "into the void"), 0);
	run();
	vd_bus_unbind(&rig.loop.vdev);
	expect_log("down ");
	vd_loopback_revive_device(&rig.loop, &rig.remote.dev);
	assert_int_equal(vd_bus_bind(&rig.loop.vdev), 0);
	run();
	expect_log("up ");
	expect_conversation(10);
}

/* ---- a device that breaks the rules ---- */

static void a_broken_queue_is_told_once_and_recovers(void **state)
{
	struct vd_fault fault = {.code = VD_FAULT_USED_IDLE};

	(void)state;
	rig.host_config.polled = true;
	open_rig();
	vd_vq_drv_break(&rig.host.queues[VD_RPMSG_QUEUE_RX].vq, &fault);
	assert_int_equal(vd_rpmsg_poll(&rig.host.link, 1), -VD_EPROTO);
	assert_int_equal(vd_rpmsg_poll(&rig.host.link, 1), -VD_EPROTO);
	expect_log("!USED_IDLE ");
	assert_int_equal(vd_vdev_recover(&rig.loop.vdev), 0);
	expect_log("down up ");
	assert_int_equal(say(&rig.there, "x"), 0);
	assert_int_equal(vd_rpmsg_poll(&rig.host.link, 1), 1);
}

static void a_broken_queue_for_sending_is_a_broken_pipe(void **state)
{
	struct vd_fault fault = {.code = VD_FAULT_USED_RANGE};

	(void)state;
	open_rig();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(say(&rig.here, "x"), 0);
	vd_vq_drv_break(&rig.host.queues[VD_RPMSG_QUEUE_TX].vq, &fault);
	assert_int_equal(say(&rig.here, "x"), -VD_EPIPE);
	assert_int_equal(say(&rig.here, "x"), -VD_EPIPE);
	expect_log("!USED_RANGE ");
}

static void configurations_that_make_no_sense(void **state)
{
	struct vd_rpmsg_host_config config = VD_RPMSG_HOST_DEFAULTS;
	static uint64_t memory[4096];

	(void)state;
	assert_true(vd_rpmsg_host_memory(&config) <= sizeof(memory));
	assert_int_equal(vd_rpmsg_host_init(&rig.host, &config, memory, 8), -VD_EINVAL);
	assert_int_equal(
		vd_rpmsg_host_init(&rig.host, &config, (char *)memory + 1, sizeof(memory) - 1),
		-VD_EINVAL);
	assert_int_equal(vd_rpmsg_host_init(&rig.host, &config, NULL, sizeof(memory)), -VD_EINVAL);
	config.buffer_size = 16;
	assert_int_equal(vd_rpmsg_host_memory(&config), 0);
	assert_int_equal(vd_rpmsg_host_init(&rig.host, &config, memory, sizeof(memory)),
			 -VD_EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_go_both_ways_lap_after_lap),
		TEST(a_split_queue_without_event_index_does),
		TEST(messages_of_every_length),
		TEST(a_burst_costs_one_notification),
		TEST(who_finds_no_buffer_hears_of_one),
		TEST(who_can_wait_waits_for_a_buffer),
		TEST(waiting_ends_after_fifteen_seconds),
		TEST(answers_from_inside_callbacks),
		TEST(polled_hosts_are_not_notified_of_messages),
		TEST(held_messages_keep_their_buffers),
		TEST(messages_are_composed_in_place),
		TEST(all_buffers_can_be_composed_in),
		TEST(channels_are_announced_both_ways),
		TEST(more_announcements_than_buffers_all_arrive),
		TEST(the_device_says_how_long_buffers_are),
		TEST(a_device_with_impossible_sizes_is_not_taken),
		TEST(without_memory_nothing_is_left_behind),
		TEST(a_host_takes_one_device_and_can_come_back),
		TEST(what_was_held_or_composed_is_void_after_a_restart),
		TEST(the_device_may_go_inside_a_callback),
		TEST(freeze_and_restore),
		TEST(suspended_devices_get_what_was_sent_when_they_resume),
		TEST(a_dead_device_is_replaced),
		TEST(a_broken_queue_is_told_once_and_recovers),
		TEST(a_broken_queue_for_sending_is_a_broken_pipe),
		cmocka_unit_test(configurations_that_make_no_sense),
	};

	return cmocka_run_group_tests_name("rpmsg_host", tests, NULL, NULL);
}
