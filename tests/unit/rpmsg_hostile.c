/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzer of an rpmsg remote found. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct host_rig rig;
static struct rig_ept ept[4];
static struct vd_ring_position position;

/* A remote with one endpoint, @n_held places, and a host with @n_buffers. */
static void open_scarce(uint16_t n_held, uint16_t n_buffers)
{
	memset(ept, 0, sizeof(ept));
	host_rig_init(&rig);
	rig.config.n_held = n_held;
	rig.options.n_buffers = n_buffers;
	host_rig_make(&rig);
	host_rig_join(&rig);
	assert_int_equal(rig_ept_create(&rig, &ept[0], NULL, 60, 0), 0);
	rig.log[0] = '\0';
}

static void a_buffer_that_was_composed_in_for_nothing_goes_to_who_waits_for_one(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_scarce(4, 1);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), 0);
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "a", 1, 9), -VD_ENOMEM);
	vd_rpmsg_tx_abort(&tx);
	host_rig_expect(&rig, "writable");
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "a", 1, 9), 0);
	assert_true(host_expect(&rig.host, 60, 9, "a", 1));
	host_rig_close(&rig);
}

static void an_announcement_goes_out_in_a_buffer_that_was_composed_in_for_nothing(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_scarce(4, 1);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), 0);
	assert_int_equal(rig_ept_create(&rig, &ept[1], "late", 61, 0), 0);
	host_rig_expect_silence(&rig);
	vd_rpmsg_tx_abort(&tx);
	host_rig_expect_announced(&rig, "late", 61, true);
	host_rig_close(&rig);
}

static void who_found_no_place_to_compose_in_is_told_when_there_is_one(void **state)
{
	struct vd_rpmsg_tx first;
	struct vd_rpmsg_tx second;

	(void)state;
	open_scarce(1, 8);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &first), 0);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &second), -VD_ENOMEM);
	assert_int_equal(vd_rpmsg_tx_commit(&first, 60, 9, 0), 0);
	host_rig_expect(&rig, "writable");
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &second), 0);
	vd_rpmsg_tx_abort(&second);
	host_rig_expect(&rig, "");
	host_rig_close(&rig);
}

static void who_found_no_place_is_told_even_if_the_buffers_are_gone_by_then(void **state)
{
	struct host_message message;
	struct vd_rpmsg_tx first;
	struct vd_rpmsg_tx second;

	(void)state;
	open_scarce(1, 2);
	rig.host.keeps = true;
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &first), 0);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &second), -VD_ENOMEM);
	assert_int_equal(vd_rpmsg_trysendto(&ept[0].ept, "a", 1, 9), 0);
	assert_int_equal(vd_rpmsg_tx_commit(&first, 60, 9, 0), 0);
	host_rig_expect(&rig, "");
	assert_true(host_receive(&rig.host, &message));
	assert_int_equal(host_post(&rig.host, 1), 1);
	host_run(&rig.host);
	host_rig_expect(&rig, "writable");
	host_rig_close(&rig);
}

static void stop_other_queue(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)self;
	(void)msg;
	position = host_stop_queue(&rig.host, VD_RPMSG_QUEUE_RX);
}

static void nothing_is_received_when_the_other_queue_went_in_a_callback(void **state)
{
	(void)state;
	open_scarce(1, 8);
	ept[0].on_message = stop_other_queue;
	assert_true(host_add(&rig.host, 9, 60, "a", 1));
	assert_true(host_add(&rig.host, 9, 60, "b", 1));
	host_rig_send(&rig, 9, 60, "c", 1);
	host_rig_expect(&rig, "msg:60 down");
	ept[0].on_message = NULL;
	host_start_queue(&rig.host, VD_RPMSG_QUEUE_RX, position);
	host_run(&rig.host);
	host_rig_expect(&rig, "up msg:60 msg:60");
	host_rig_close(&rig);
}

static void reset_on_fault(struct host_rig *self, const char *word)
{
	if (strcmp(word, "!HEAD_RANGE") == 0)
		vd_device_reset(&self->remote.dev);
}

static void an_endpoint_dies_once_if_its_last_announcement_ends_the_link(void **state)
{
	uint16_t *avail;

	(void)state;
	host_rig_init(&rig);
	rig.options.refuses = VD_BIT(VD_F_RING_PACKED);
	rig.options.empty = true;
	host_rig_make(&rig);
	host_rig_join(&rig);
	rig.host.keeps = true;
	assert_int_equal(host_post(&rig.host, 1), 1);
	assert_int_equal(rig_ept_create(&rig, &ept[1], "gone", 61, 0), 0);
	host_rig_expect_announced(&rig, "gone", 61, true);
	/* One good buffer, and behind it one that breaks the queue. */
	assert_int_equal(host_post(&rig.host, 2), 2);
	avail = rig.host.vqs[VD_RPMSG_QUEUE_RX].ring.driver;
	avail[2 + 2] = 999;
	rig.hook = reset_on_fault;
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[1].ept), 0);
	assert_null(ept[1].ept.link);
	assert_int_equal(vd_device_status(&rig.remote.dev), 0);
	rig.hook = NULL;
	host_rig_close(&rig);
}

static struct rig_ept *doomed;

static void free_on_fault(struct host_rig *self, const char *word)
{
	(void)self;
	if (strcmp(word, "!HEAD_RANGE") != 0 || doomed == NULL)
		return;
	assert_int_equal(vd_rpmsg_destroy_ept(&doomed->ept), 0);
	free(doomed);
	doomed = NULL;
}

static void an_endpoint_may_be_freed_while_another_is_announced(void **state)
{
	uint16_t *avail;

	(void)state;
	host_rig_init(&rig);
	rig.options.refuses = VD_BIT(VD_F_RING_PACKED);
	rig.options.empty = true;
	host_rig_make(&rig);
	doomed = calloc(1, sizeof(*doomed));
	assert_non_null(doomed);
	assert_int_equal(rig_ept_create(&rig, &ept[1], "first", 61, 0), 0);
	assert_int_equal(rig_ept_create(&rig, doomed, "next", 62, 0), 0);
	host_rig_join(&rig);
	rig.host.keeps = true;
	rig.hook = free_on_fault;
	/* One good buffer, and behind it one that breaks the queue. */
	assert_int_equal(host_post(&rig.host, 2), 2);
	avail = rig.host.vqs[VD_RPMSG_QUEUE_RX].ring.driver;
	avail[2 + 1] = 999;
	assert_int_equal(rig_ept_create(&rig, &ept[2], "third", 63, 0), 0);
	assert_null(doomed);
	rig.hook = NULL;
	host_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_buffer_that_was_composed_in_for_nothing_goes_to_who_waits_for_one),
		cmocka_unit_test(
			an_announcement_goes_out_in_a_buffer_that_was_composed_in_for_nothing),
		cmocka_unit_test(who_found_no_place_to_compose_in_is_told_when_there_is_one),
		cmocka_unit_test(who_found_no_place_is_told_even_if_the_buffers_are_gone_by_then),
		cmocka_unit_test(nothing_is_received_when_the_other_queue_went_in_a_callback),
		cmocka_unit_test(an_endpoint_dies_once_if_its_last_announcement_ends_the_link),
		cmocka_unit_test(an_endpoint_may_be_freed_while_another_is_announced),
	};

	return cmocka_run_group_tests_name("rpmsg_hostile", tests, NULL, NULL);
}
