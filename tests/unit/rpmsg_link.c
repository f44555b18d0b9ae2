/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of an rpmsg link: up, down, suspended, with a queue taken away, and again. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct host_rig rig;
static struct rig_ept ept[4];

static void create(unsigned n, const char *name, uint32_t addr)
{
	assert_int_equal(rig_ept_create(&rig, &ept[n], name, addr, 0), 0);
}

static void close_with_all_back(void)
{
	host_rig_expect_all_back(&rig);
	host_rig_close(&rig);
}

/* A word there and back. */
static void expect_alive(void)
{
	rig.log[0] = '\0';
	host_rig_send(&rig, 0x11223344, 60, "ping", 4);
	host_rig_expect(&rig, "msg:60");
	assert_int_equal(ept[0].msg.src, 0x11223344);
	assert_int_equal(ept[0].msg.dst, 60);
	assert_memory_equal(ept[0].data, "ping", 4);
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "pong", 4, 0x55667788), 0);
	assert_true(host_expect(&rig.host, 60, 0x55667788, "pong", 4));
	host_rig_expect_silence(&rig);
}

static void open_with(const struct host_options *options)
{
	host_rig_init(&rig);
	rig.options = *options;
	host_rig_make(&rig);
	host_rig_join(&rig);
	host_rig_expect(&rig, "up");
	create(0, NULL, 60);
}

/* ---- set-up ---- */

static void a_configuration_must_make_sense(void **state)
{
	static const struct vd_rpmsg_remote_config good = VD_RPMSG_REMOTE_DEFAULTS;
	struct vd_rpmsg_remote_config bad[9];
	const unsigned n = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		bad[i] = good;
	bad[0].split = NULL;
	bad[1].batch = 0;
	bad[2].batch = VD_RPMSG_BATCH_MAX + 1;
	bad[3].n_held = 0;
	bad[4].budget = 0;
	bad[5].queue_size = 0;
	bad[6].h2r_size = 512;
	bad[7].r2h_size = 512;
	bad[8].h2r_size = bad[8].r2h_size = VD_RPMSG_HEADER_SIZE;
	assert_int_not_equal(vd_rpmsg_remote_memory(&good), 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(vd_rpmsg_remote_memory(&bad[i]), 0);
		assert_int_equal(vd_rpmsg_remote_init(&rig.remote, &bad[i], &rig, sizeof(rig)),
				 -VD_EINVAL);
	}
}

static void memory_must_be_enough_and_aligned(void **state)
{
	char *at;
	size_t size;

	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	at = rig.memory.at;
	size = vd_rpmsg_remote_memory(&rig.config);
	assert_int_equal(vd_rpmsg_remote_init(&rig.remote, &rig.config, at, size - 1), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_remote_init(&rig.remote, &rig.config, at + 4, size), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_remote_init(&rig.remote, &rig.config, NULL, size), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_remote_init(&rig.remote, &rig.config, at, size), 0);
	pages_give(&rig.memory);
}

static void events_are_optional(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	for (unsigned none = 0; none < 2; none++) {
		host_rig_init(&rig);
		rig.events = (struct vd_rpmsg_events){0};
		if (none)
			rig.config.link.events = NULL;
		rig.options.empty = true;
		host_rig_make(&rig);
		host_rig_join(&rig);
		create(0, "a", 60);
		assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9), -VD_ENOMEM);
		assert_int_equal(host_post(&rig.host, 4), 4);
		host_run(&rig.host);
		assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), 0);
		assert_true(host_announce(&rig.host, "b", 9, 0));
		assert_true(host_announce(&rig.host, "b", 9, 0));
		host_rig_send(&rig, 9, 61, "x", 1);
		assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
		assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
		host_restart(&rig.host);
		close_with_all_back();
	}
}

/* ---- up and down ---- */

static void endpoints_stay_when_the_host_comes_and_goes(void **state)
{
	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	create(0, NULL, 60);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), -VD_EPIPE);
	host_rig_join(&rig);
	host_rig_expect(&rig, "up");
	for (unsigned i = 0; i < 3; i++) {
		expect_alive();
		host_unbind(&rig.host);
		host_rig_expect(&rig, "down");
		assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), -VD_EPIPE);
		assert_ptr_equal(vd_rpmsg_find_ept(link_of(&rig), 60), &ept[0].ept);
		host_bind(&rig.host);
		host_rig_expect(&rig, "up");
	}
	expect_alive();
	close_with_all_back();
}

static void what_was_sent_is_there_when_the_link_comes_up(void **state)
{
	(void)state;
	open_with(&(struct host_options){0});
	host_rig_expect_all_back(&rig);
	/* Both queues are stopped; the driver goes on as if nothing were. */
	host_rig_expect(&rig, "down");
	assert_true(host_send(&rig.host, 9, 60, "early", 5));
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 0);
	host_restart(&rig.host);
	host_rig_expect(&rig, "up");
	expect_alive();
	close_with_all_back();
}

static void log_of_life(struct host_rig *self, const char *word)
{
	/* Whoever is told may use the link, as far as there is one. */
	if (strcmp(word, "up") == 0)
		assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "hello", 5, 9), 0);
	if (strcmp(word, "down") == 0)
		assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "bye", 3, 9), -VD_EPIPE);
	if (strcmp(word, "pausing") == 0)
		assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "wait", 4, 9), 0);
	(void)self;
}

static void the_link_can_be_used_from_its_events(void **state)
{
	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	create(0, "a", 60);
	rig.hook = log_of_life;
	host_rig_join(&rig);
	for (unsigned i = 0; i < 2; i++) {
		host_rig_expect_announced(&rig, "a", 60, true);
		assert_true(host_expect(&rig.host, 60, 9, "hello", 5));
		assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
		assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
		assert_true(host_expect(&rig.host, 60, 9, "wait", 4));
		host_restart(&rig.host);
		host_rig_expect(&rig, i == 0 ? "up pausing down up" : "pausing down up");
	}
	close_with_all_back();
}

static void coming_up_costs_one_notification(void **state)
{
	uint64_t before;

	(void)state;
	host_rig_init(&rig);
	rig.options.empty = true;
	host_rig_make(&rig);
	create(0, "a", 60);
	create(1, "b", 61);
	create(2, "c", 62);
	host_rig_join(&rig);
	rig.host.options.empty = false;
	host_unbind(&rig.host);
	before = rig.host.loop.n_to_driver;
	host_bind(&rig.host);
	assert_int_equal(rig.host.loop.n_to_driver, before + 1);
	close_with_all_back();
}

static void an_epoch_is_never_the_same_again(void **state)
{
	uint32_t epoch[6];

	(void)state;
	open_with(&(struct host_options){0});
	epoch[0] = link_of(&rig)->epoch;
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	epoch[1] = link_of(&rig)->epoch;
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	host_unbind(&rig.host);
	epoch[2] = link_of(&rig)->epoch;
	host_bind(&rig.host);
	epoch[3] = link_of(&rig)->epoch;
	vd_device_pause(&rig.remote.dev);
	epoch[4] = link_of(&rig)->epoch;
	vd_device_unpause(&rig.remote.dev);
	host_restart(&rig.host);
	epoch[5] = link_of(&rig)->epoch;
	for (unsigned i = 1; i < 6; i++)
		assert_true(epoch[i] > epoch[i - 1]);
	close_with_all_back();
}

/* ---- a queue is taken away ---- */

static void forget_buffer(struct vd_vdev_vq *queue, void *token)
{
	struct host_buffer *buffer = token;

	buffer->with_device = false;
	if (queue->index == VD_RPMSG_QUEUE_RX)
		rig.host.n_posted--;
	else
		rig.host.n_sending--;
}

static void a_queue_that_is_reset_takes_the_link_down_and_up(void **state)
{
	(void)state;
	open_with(&(struct host_options){0});
	create(1, "a", 61);
	host_rig_expect_announced(&rig, "a", 61, true);
	for (uint16_t i = 0; i < VD_RPMSG_N_QUEUES; i++) {
		assert_int_equal(vd_vdev_reset_vq(&rig.host.vqs[i], 0, forget_buffer), 0);
		host_rig_expect(&rig, "down up");
		(void)host_post(&rig.host, 8);
		host_run(&rig.host);
		/* The announcement was due again. */
		host_rig_expect_announced(&rig, "a", 61, true);
		expect_alive();
	}
	close_with_all_back();
}

static void the_link_needs_both_queues(void **state)
{
	struct vd_ring_position position[2];

	(void)state;
	open_with(&(struct host_options){0});
	position[0] = host_stop_queue(&rig.host, 0);
	host_rig_expect(&rig, "down");
	position[1] = host_stop_queue(&rig.host, 1);
	host_start_queue(&rig.host, 0, position[0]);
	host_rig_expect(&rig, "");
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9), -VD_EPIPE);
	host_start_queue(&rig.host, 1, position[1]);
	host_rig_expect(&rig, "up");
	expect_alive();
	close_with_all_back();
}

static void a_queue_goes_on_where_it_stopped(void **state)
{
	struct vd_ring_position position;

	(void)state;
	for (uint64_t packed = 0; packed < 2; packed++) {
		open_with(&(struct host_options){.refuses = packed ? 0 : VD_BIT(VD_F_RING_PACKED)});
		for (unsigned i = 0; i < 40; i++) {
			uint16_t index = i % 2;

			expect_alive();
			position = host_stop_queue(&rig.host, index);
			assert_int_equal(host_missing(&rig.host, index, position), 0);
			if (index == VD_RPMSG_QUEUE_TX)
				assert_true(host_send(&rig.host, 9, 60, "meanwhile", 9));
			host_start_queue(&rig.host, index, position);
			host_run(&rig.host);
			assert_memory_equal(ept[0].data, i % 2 ? "meanwhile" : "ping", 4);
		}
		close_with_all_back();
	}
}

/* ---- suspended ---- */

static void a_suspended_link_is_quiet(void **state)
{
	uint64_t before;

	(void)state;
	open_with(&(struct host_options){0});
	create(1, "a", 61);
	host_rig_expect_announced(&rig, "a", 61, true);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	host_rig_expect(&rig, "pausing");
	before = rig.host.loop.n_to_driver;
	assert_false(link_of(&rig)->up);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), -VD_EPIPE);
	assert_true(host_add(&rig.host, 9, 60, "x", 1));
	vd_rpmsg_cork(link_of(&rig));
	vd_rpmsg_uncork(link_of(&rig));
	host_run(&rig.host);
	assert_int_equal(rig.host.loop.n_to_driver, before);
	assert_int_equal(ept[0].n, 0);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	host_run(&rig.host);
	/* The link never was down: nothing is announced again. */
	host_rig_expect(&rig, "msg:60");
	host_rig_expect_silence(&rig);
	expect_alive();
	close_with_all_back();
}

static void what_changes_while_suspended_is_announced_after(void **state)
{
	(void)state;
	open_with(&(struct host_options){0});
	create(1, "old", 61);
	host_rig_expect_announced(&rig, "old", 61, true);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	create(2, "new", 62);
	create(3, "short", 63);
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[3].ept), 0);
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[1].ept), -VD_EAGAIN);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	host_rig_expect_announced(&rig, "old", 61, false);
	host_rig_expect_announced(&rig, "new", 62, true);
	host_rig_expect_silence(&rig);
	assert_null(ept[1].ept.link);
	close_with_all_back();
}

static void the_peers_channels_stay_over_a_suspension(void **state)
{
	(void)state;
	open_with(&(struct host_options){0});
	assert_true(host_announce(&rig.host, "theirs", 9, 0));
	host_run(&rig.host);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_find_channel(link_of(&rig), "theirs")->addr, 9);
	host_rig_expect(&rig, "+theirs@9 pausing");
	close_with_all_back();
}

static void the_host_may_go_while_suspended(void **state)
{
	(void)state;
	open_with(&(struct host_options){0});
	create(1, "a", 61);
	host_rig_expect_announced(&rig, "a", 61, true);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[1].ept), -VD_EAGAIN);
	host_unbind(&rig.host);
	host_rig_expect(&rig, "pausing down");
	assert_null(ept[1].ept.link);
	host_bind(&rig.host);
	host_rig_expect(&rig, "up");
	host_rig_expect_silence(&rig);
	expect_alive();
	close_with_all_back();
}

static void a_sender_that_starved_hears_of_buffers_after_the_suspension(void **state)
{
	(void)state;
	open_with(&(struct host_options){.empty = true});
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9), -VD_ENOMEM);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(host_post(&rig.host, 1), 1);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	host_run(&rig.host);
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9), 0);
	assert_true(host_expect(&rig.host, 60, 9, "x", 1));
	host_rig_expect(&rig, "pausing writable");
	close_with_all_back();
}

/* Still no buffer when it goes on: whoever was promised to hear, hears later. */
static void a_sender_may_starve_over_a_suspension(void **state)
{
	(void)state;
	open_with(&(struct host_options){.empty = true});
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9), -VD_ENOMEM);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	host_run(&rig.host);
	host_rig_expect(&rig, "pausing");
	assert_int_equal(host_post(&rig.host, 1), 1);
	host_run(&rig.host);
	host_rig_expect(&rig, "writable");
	close_with_all_back();
}

/* ---- other drivers ---- */

static void legacy_drivers_of_both_orders_are_understood(void **state)
{
	(void)state;
	for (unsigned big = 0; big < 2; big++) {
		open_with(&(struct host_options){.big_endian = big, .little_endian = !big});
		assert_int_equal(link_of(&rig)->big_endian, big);
		expect_alive();
		host_restart(&rig.host);
		expect_alive();
		close_with_all_back();
	}
}

static void a_driver_without_names_is_fine(void **state)
{
	(void)state;
	open_with(&(struct host_options){.refuses = VD_BIT(VD_RPMSG_F_NS)});
	create(1, "a", 61);
	/* Its address is free for others. */
	create(2, NULL, VD_RPMSG_NS_ADDR);
	expect_alive();
	host_rig_send(&rig, 9, VD_RPMSG_NS_ADDR, "x", 1);
	host_rig_expect(&rig, "msg:53");
	host_restart(&rig.host);
	expect_alive();
	close_with_all_back();
}

static void rings_of_every_kind_work(void **state)
{
	static const uint64_t bits[] = {
		VD_BIT(VD_F_RING_PACKED),
		VD_BIT(VD_F_IN_ORDER),
		VD_BIT(VD_F_EVENT_IDX),
		VD_BIT(VD_F_INDIRECT_DESC),
	};

	(void)state;
	for (unsigned without = 0; without < 16; without++) {
		struct host_options options = {.pieces = 2, .queue_size = 4};

		for (unsigned i = 0; i < 4; i++)
			if (without & 1u << i)
				options.refuses |= bits[i];
		open_with(&options);
		for (unsigned i = 0; i < 20; i++)
			expect_alive();
		close_with_all_back();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_must_make_sense),
		cmocka_unit_test(memory_must_be_enough_and_aligned),
		cmocka_unit_test(events_are_optional),
		cmocka_unit_test(endpoints_stay_when_the_host_comes_and_goes),
		cmocka_unit_test(what_was_sent_is_there_when_the_link_comes_up),
		cmocka_unit_test(the_link_can_be_used_from_its_events),
		cmocka_unit_test(coming_up_costs_one_notification),
		cmocka_unit_test(an_epoch_is_never_the_same_again),
		cmocka_unit_test(a_queue_that_is_reset_takes_the_link_down_and_up),
		cmocka_unit_test(the_link_needs_both_queues),
		cmocka_unit_test(a_queue_goes_on_where_it_stopped),
		cmocka_unit_test(a_suspended_link_is_quiet),
		cmocka_unit_test(what_changes_while_suspended_is_announced_after),
		cmocka_unit_test(the_peers_channels_stay_over_a_suspension),
		cmocka_unit_test(the_host_may_go_while_suspended),
		cmocka_unit_test(a_sender_that_starved_hears_of_buffers_after_the_suspension),
		cmocka_unit_test(a_sender_may_starve_over_a_suspension),
		cmocka_unit_test(legacy_drivers_of_both_orders_are_understood),
		cmocka_unit_test(a_driver_without_names_is_fine),
		cmocka_unit_test(rings_of_every_kind_work),
	};

	return cmocka_run_group_tests_name("rpmsg_link", tests, NULL, NULL);
}
