/* SPDX-License-Identifier: BSD-3-Clause */
/* Holding messages: where they arrived, as long as their endpoint likes, and no longer than the
 * link lives. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PLACES 4u

static struct host_rig rig;
static struct rig_ept ept[4];

/* An endpoint at 60 that holds all it gets. */
static void create_holder(void)
{
	assert_int_equal(rig_ept_create(&rig, &ept[0], NULL, 60, VD_RPMSG_IN_PLACE), 0);
	ept[0].verdict = VD_RPMSG_HOLD;
}

static void open_holder(void)
{
	host_rig_open(&rig);
	assert_int_equal(rig.config.n_held, PLACES);
	create_holder();
}

static void close_with_all_back(void)
{
	host_rig_expect_all_back(&rig);
	host_rig_close(&rig);
}

/* Send @n messages of one byte: @first and what follows. */
static void send_letters(char first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char letter = (char)(first + (char)i);

		assert_true(host_add(&rig.host, 9, 60, &letter, 1));
	}
	host_kick(&rig.host);
	host_run(&rig.host);
}

static int release(unsigned n)
{
	return vd_rpmsg_release(&rig.held[n]);
}

static void kick(void)
{
	while (vd_device_kick(&rig.remote.dev, vd_notification(VD_RPMSG_QUEUE_TX, 0)))
		;
}

/* ---- holding ---- */

static void what_is_held_stays_as_it_was(void **state)
{
	(void)state;
	open_holder();
	send_letters('a', 3);
	assert_int_equal(rig.n_held, 3);
	assert_int_equal(host_reclaim(&rig.host), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(rig.held[i].in_place);
		assert_int_equal(rig.held[i].len, 1);
		assert_int_equal(*(const char *)rig.held[i].data, 'a' + (int)i);
		assert_int_equal(release(i), 0);
		assert_int_equal(host_reclaim(&rig.host), 1);
	}
	close_with_all_back();
}

static void releases_come_in_any_order(void **state)
{
	static const unsigned order[] = {2, 0, 3, 1};

	(void)state;
	for (unsigned in_order = 0; in_order < 2; in_order++) {
		host_rig_init(&rig);
		rig.options.refuses = in_order ? 0 : VD_BIT(VD_F_IN_ORDER);
		host_rig_make(&rig);
		host_rig_join(&rig);
		create_holder();
		send_letters('a', PLACES);
		for (unsigned i = 0; i < PLACES; i++) {
			assert_int_equal(release(order[i]), i == 0);
			/* IN_ORDER lets the host see a buffer when all before it are back. */
			if (!in_order)
				assert_int_equal(host_reclaim(&rig.host), 1);
		}
		assert_int_equal(host_reclaim(&rig.host), in_order ? PLACES : 0);
		close_with_all_back();
	}
}

static void messages_pass_those_that_are_held(void **state)
{
	(void)state;
	open_holder();
	send_letters('a', 1);
	ept[0].verdict = VD_RPMSG_RELEASE;
	for (unsigned i = 0; i < 100; i++) {
		send_letters('b', 1);
		(void)host_reclaim(&rig.host);
		if (i == 8)
			assert_int_equal(release(0), 0);
	}
	assert_int_equal(ept[0].n, 101);
	assert_int_equal(ept[0].data[0], 'b');
	close_with_all_back();
}

static void what_is_not_held_can_not_be_released(void **state)
{
	struct vd_rpmsg_msg bogus;

	(void)state;
	open_holder();
	send_letters('a', 2);
	assert_int_equal(release(0), 0);
	assert_int_equal(release(0), -VD_EINVAL);
	assert_int_equal(host_reclaim(&rig.host), 1);
	bogus = rig.held[1];
	bogus.buffer = PLACES;
	assert_int_equal(vd_rpmsg_release(&bogus), -VD_EINVAL);
	bogus.buffer = UINT32_MAX;
	assert_int_equal(vd_rpmsg_release(&bogus), -VD_EINVAL);
	assert_int_equal(host_reclaim(&rig.host), 0);
	assert_int_equal(release(1), 0);
	assert_int_equal(host_reclaim(&rig.host), 1);
	close_with_all_back();
}

static void release_own(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)self;
	assert_int_equal(vd_rpmsg_release(msg), -VD_EINVAL);
}

static void a_message_is_not_released_in_its_callback(void **state)
{
	(void)state;
	open_holder();
	ept[0].on_message = release_own;
	send_letters('a', 1);
	assert_int_equal(rig.n_held, 1);
	assert_int_equal(host_reclaim(&rig.host), 0);
	assert_int_equal(release(0), 0);
	assert_int_equal(host_reclaim(&rig.host), 1);
	close_with_all_back();
}

static void a_copy_can_not_be_held(void **state)
{
	(void)state;
	open_holder();
	assert_int_equal(rig_ept_create(&rig, &ept[1], NULL, 61, 0), 0);
	ept[1].verdict = VD_RPMSG_HOLD;
	host_rig_send(&rig, 9, 61, "x", 1);
	assert_false(ept[1].msg.in_place);
	assert_int_equal(host_reclaim(&rig.host), 1);
	assert_int_equal(vd_rpmsg_release(&ept[1].msg), -VD_EINVAL);
	close_with_all_back();
}

static void a_message_in_pieces_is_a_copy_and_can_not_be_held(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.options.pieces = 2;
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_holder();
	for (unsigned i = 0; i < 2 * PLACES; i++) {
		send_letters('a', 1);
		assert_false(ept[0].msg.in_place);
		assert_int_equal(host_reclaim(&rig.host), 1);
	}
	assert_int_equal(ept[0].n, 2 * PLACES);
	close_with_all_back();
}

/* ---- places ---- */

static void reception_stops_when_all_places_are_taken(void **state)
{
	(void)state;
	open_holder();
	send_letters('a', 10);
	assert_int_equal(ept[0].n, PLACES);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 0);
	/* A notification changes nothing. */
	kick();
	assert_int_equal(ept[0].n, PLACES);
	/* The one that goes back first says that there may be more. */
	assert_int_equal(release(0), 1);
	assert_int_equal(release(1), 0);
	assert_int_equal(ept[0].n, PLACES);
	kick();
	assert_int_equal(ept[0].n, PLACES + 2);
	assert_int_equal(ept[0].data[0], 'f');
	ept[0].verdict = VD_RPMSG_RELEASE;
	assert_int_equal(release(2), 1);
	kick();
	assert_int_equal(ept[0].n, 10);
	/* And notifications come again. */
	send_letters('k', 1);
	assert_int_equal(ept[0].data[0], 'k');
	for (unsigned i = 3; i < rig.n_held; i++)
		assert_int_equal(release(i), 0);
	assert_int_equal(host_reclaim(&rig.host), 11);
	close_with_all_back();
}

static void poll_goes_on_after_a_release(void **state)
{
	(void)state;
	open_holder();
	for (unsigned i = 0; i < 10; i++)
		assert_true(host_add(&rig.host, 9, 60, "x", 1));
	host_kick(&rig.host);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), PLACES);
	for (unsigned i = 0; i < 10 - PLACES; i++) {
		assert_int_equal(release(i), 1);
		assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 1);
	}
	for (unsigned i = 10 - PLACES; i < 10; i++)
		assert_int_equal(release(i), i == 10 - PLACES);
	assert_int_equal(host_reclaim(&rig.host), 10);
	close_with_all_back();
}

static void one_place_is_enough(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.n_held = 1;
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_holder();
	send_letters('a', 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(ept[0].n, i + 1);
		assert_int_equal(ept[0].data[0], 'a' + (int)i);
		assert_int_equal(release(i), 1);
		kick();
	}
	assert_int_equal(host_reclaim(&rig.host), 5);
	close_with_all_back();
}

static void who_composes_does_not_stop_reception(void **state)
{
	struct vd_rpmsg_tx tx[PLACES];

	(void)state;
	open_holder();
	for (unsigned i = 0; i < PLACES; i++)
		assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx[i]), 0);
	send_letters('a', 1);
	assert_int_equal(ept[0].n, 1);
	/* Neither can be mistaken for the other. */
	for (unsigned i = 0; i < PLACES; i++)
		vd_rpmsg_tx_abort(&tx[i]);
	assert_int_equal(host_reclaim(&rig.host), 0);
	assert_int_equal(release(0), 0);
	close_with_all_back();
}

static void release_oldest(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)self;
	(void)msg;
	if (rig.n_held < 2)
		return;
	assert_true(release(0) >= 0);
	memmove(&rig.held[0], &rig.held[1], --rig.n_held * sizeof(rig.held[0]));
}

static void a_callback_may_release_another_message(void **state)
{
	(void)state;
	open_holder();
	ept[0].on_message = release_oldest;
	for (unsigned i = 0; i < 20; i++) {
		send_letters('a', 3);
		(void)host_reclaim(&rig.host);
	}
	assert_int_equal(ept[0].n, 60);
	assert_int_equal(rig.n_held, 2);
	assert_int_equal(release(0), 0);
	assert_int_equal(release(1), 0);
	close_with_all_back();
}

/* ---- publishing ---- */

static void the_host_is_told_of_a_release_if_it_wants(void **state)
{
	uint64_t before;

	(void)state;
	open_holder();
	send_letters('a', 3);
	before = rig.host.loop.n_to_driver;
	assert_int_equal(release(0), 0);
	assert_int_equal(rig.host.loop.n_to_driver, before);
	assert_int_equal(host_reclaim(&rig.host), 1);
	(void)vd_vq_drv_enable_cb(&rig.host.vqs[VD_RPMSG_QUEUE_TX].vq);
	assert_int_equal(release(1), 0);
	assert_int_equal(rig.host.loop.n_to_driver, before + 1);
	assert_int_equal(release(2), 0);
	close_with_all_back();
}

static void corked_releases_are_published_together(void **state)
{
	uint64_t before;

	(void)state;
	open_holder();
	send_letters('a', 3);
	(void)vd_vq_drv_enable_cb(&rig.host.vqs[VD_RPMSG_QUEUE_TX].vq);
	before = rig.host.loop.n_to_driver;
	vd_rpmsg_cork(link_of(&rig));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(release(i), 0);
	assert_int_equal(host_reclaim(&rig.host), 0);
	vd_rpmsg_uncork(link_of(&rig));
	assert_int_equal(rig.host.loop.n_to_driver, before + 1);
	assert_int_equal(host_reclaim(&rig.host), 3);
	close_with_all_back();
}

/* ---- the end of the link ---- */

static void a_message_does_not_outlive_the_link(void **state)
{
	struct vd_rpmsg_msg old[2];

	(void)state;
	open_holder();
	send_letters('a', 2);
	memcpy(old, rig.held, sizeof(old));
	host_unbind(&rig.host);
	assert_int_equal(vd_rpmsg_release(&old[0]), -VD_ESTALE);
	host_bind(&rig.host);
	send_letters('a', 2);
	/* In the same place there is another one now. */
	assert_int_equal(rig.held[0].buffer, old[0].buffer);
	assert_int_equal(vd_rpmsg_release(&old[0]), -VD_ESTALE);
	assert_int_equal(vd_rpmsg_release(&old[1]), -VD_ESTALE);
	assert_int_equal(host_reclaim(&rig.host), 0);
	assert_int_equal(release(0), 0);
	assert_int_equal(release(1), 0);
	assert_int_equal(host_reclaim(&rig.host), 2);
	close_with_all_back();
}

static void suspending_gives_back_what_is_held(void **state)
{
	struct vd_rpmsg_msg old;

	(void)state;
	open_holder();
	send_letters('a', 6);
	assert_int_equal(rig.n_held, PLACES);
	old = rig.held[1];
	rig.log[0] = '\0';
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	host_rig_expect(&rig, "pausing");
	assert_int_equal(vd_rpmsg_release(&old), -VD_ESTALE);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_release(&old), -VD_ESTALE);
	/* What had waited for a place is received now. */
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 6);
	assert_int_equal(rig.n_held, 2);
	assert_int_equal(host_reclaim(&rig.host), 4);
	assert_int_equal(release(0), 0);
	assert_int_equal(release(1), 0);
	assert_int_equal(host_reclaim(&rig.host), 2);
	close_with_all_back();
}

static void a_pause_that_the_host_does_not_see_gives_back_too(void **state)
{
	(void)state;
	open_holder();
	send_letters('a', 6);
	vd_device_pause(&rig.remote.dev);
	assert_int_equal(host_reclaim(&rig.host), 4);
	vd_device_unpause(&rig.remote.dev);
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 6);
	assert_int_equal(release(0), 0);
	assert_int_equal(release(1), 0);
	close_with_all_back();
}

static struct vd_rpmsg_msg last;

static void release_on_pause(struct host_rig *self, const char *word)
{
	if (strcmp(word, "pausing") != 0)
		return;
	(void)self;
	assert_memory_equal(last.data, "a", 1);
	assert_int_equal(vd_rpmsg_release(&last), 0);
}

static void the_pausing_event_is_the_last_chance(void **state)
{
	(void)state;
	open_holder();
	send_letters('a', 1);
	last = rig.held[0];
	rig.hook = release_on_pause;
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_release(&last), -VD_ESTALE);
	assert_int_equal(host_reclaim(&rig.host), 1);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	close_with_all_back();
}

static void a_queue_that_stops_misses_nothing_that_was_held(void **state)
{
	struct vd_ring_position position;

	(void)state;
	open_holder();
	send_letters('a', 6);
	position = host_stop_queue(&rig.host, VD_RPMSG_QUEUE_TX);
	assert_int_equal(host_missing(&rig.host, VD_RPMSG_QUEUE_TX, position), 0);
	assert_int_equal(host_reclaim(&rig.host), PLACES);
	host_start_queue(&rig.host, VD_RPMSG_QUEUE_TX, position);
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 6);
	close_with_all_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_held_stays_as_it_was),
		cmocka_unit_test(releases_come_in_any_order),
		cmocka_unit_test(messages_pass_those_that_are_held),
		cmocka_unit_test(what_is_not_held_can_not_be_released),
		cmocka_unit_test(a_message_is_not_released_in_its_callback),
		cmocka_unit_test(a_copy_can_not_be_held),
		cmocka_unit_test(a_message_in_pieces_is_a_copy_and_can_not_be_held),
		cmocka_unit_test(reception_stops_when_all_places_are_taken),
		cmocka_unit_test(poll_goes_on_after_a_release),
		cmocka_unit_test(one_place_is_enough),
		cmocka_unit_test(who_composes_does_not_stop_reception),
		cmocka_unit_test(a_callback_may_release_another_message),
		cmocka_unit_test(the_host_is_told_of_a_release_if_it_wants),
		cmocka_unit_test(corked_releases_are_published_together),
		cmocka_unit_test(a_message_does_not_outlive_the_link),
		cmocka_unit_test(suspending_gives_back_what_is_held),
		cmocka_unit_test(a_pause_that_the_host_does_not_see_gives_back_too),
		cmocka_unit_test(the_pausing_event_is_the_last_chance),
		cmocka_unit_test(a_queue_that_stops_misses_nothing_that_was_held),
	};

	return cmocka_run_group_tests_name("rpmsg_hold", tests, NULL, NULL);
}
