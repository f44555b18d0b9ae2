/* SPDX-License-Identifier: BSD-3-Clause */
/* Status, features and resets, as front ends that have STATUS send them, and as those that have
 * not. */
#include "front_end_rig.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ACKNOWLEDGE VD_STATUS_ACKNOWLEDGE
#define DRIVER      VD_STATUS_DRIVER
#define DRIVER_OK   VD_STATUS_DRIVER_OK
#define FEATURES_OK VD_STATUS_FEATURES_OK

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t packed = VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_RING_PACKED);
static const uint64_t protocol = VD_VU_PROTOCOL_DEFAULT;
static const uint64_t no_status = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	return 0;
}

static int setup_suspends(void **state)
{
	(void)state;
	vu_rig_open(&rig, &(struct vu_rig_options){.worker.suspends = true});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

static uint64_t status(void)
{
	uint64_t value;

	assert_int_equal(fe_get_u64(&rig.fe, VD_VU_GET_STATUS, &value), 0);
	return value;
}

static void set_status(uint64_t value)
{
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, value), 0);
}

static void set_features(uint64_t features)
{
	rig.fe.features = features | VD_BIT(VD_VU_FEATURE_PROTOCOL);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, rig.fe.features), 0);
}

static void start_queues(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(fe_queue_make(&rig.fe, i, 8), 0);
		assert_int_equal(fe_queue_start(&rig.fe, i), 0);
	}
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
}

/* ---- with STATUS ---- */

static void the_whole_sequence(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(status(), 0);
	set_status(ACKNOWLEDGE);
	assert_int_equal(status(), ACKNOWLEDGE);
	set_status(ACKNOWLEDGE | DRIVER);
	set_features(version_1 | VD_BIT(WORKER_F_A));
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(fe_share(&rig.fe), 0);
	start_queues(2);
	/* Buffers and kicks alone start nothing. */
	vu_rig_ask(&rig, 0, 1);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	assert_int_equal(rig.worker.starts, 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 1);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(rig.worker.dev.features, version_1 | VD_BIT(WORKER_F_A));
	vu_rig_expect_works(&rig, 1, 2);
}

/* QEMU 7.2 has STATUS, but its vhost-user-rng tells of FEATURES_OK and never of the driver. */
static void a_front_end_that_tells_only_of_features(void **state)
{
	(void)state;
	for (unsigned life = 0; life < 2; life++) {
		if (life == 0)
			vu_rig_negotiate(&rig, version_1, protocol);
		set_features(version_1 | VD_BIT(WORKER_F_A));
		set_status(status() | FEATURES_OK);
		if (life == 0)
			assert_int_equal(fe_share(&rig.fe), 0);
		start_queues(2);
		vu_rig_expect_works(&rig, 0, 1);
		vu_rig_expect_works(&rig, 1, 2);
		assert_int_equal(rig.worker.starts, life + 1);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(fe_queue_stop(&rig.fe, i), 0);
		assert_false(rig.worker.dev.running);
	}
}

/*
 * QEMU says FEATURES_OK with the features, and everything else at once when its guest's driver is
 * ready.
 */
static void the_order_of_qemu(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	set_status(status() | FEATURES_OK);
	assert_int_equal(fe_share(&rig.fe), 0);
	start_queues(2);
	set_status(status() | ACKNOWLEDGE | DRIVER | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_expect_works(&rig, 1, 2);
	/* It stops ... */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fe_queue_stop(&rig.fe, i), 0);
	set_status(0);
	assert_int_equal(status(), 0);
	assert_int_equal(rig.worker.stops, 1);
	/* ... and goes on. */
	set_features(version_1);
	set_status(status() | FEATURES_OK);
	assert_int_equal(fe_share(&rig.fe), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fe_queue_start(&rig.fe, i), 0);
	set_status(status() | ACKNOWLEDGE | DRIVER | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 3);
	vu_rig_expect_works(&rig, 1, 4);
}

static void queues_may_come_after_driver_ok(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	start_queues(2);
	vu_rig_expect_works(&rig, 1, 1);
	vu_rig_expect_works(&rig, 0, 2);
}

static void status_0_stops_all_queues_until_they_are_set_up_again(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	start_queues(2);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 1);
	set_status(0);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	assert_null(vd_device_vq(&rig.worker.dev, 0));
	vu_rig_expect_silence(&rig, 0);
	set_features(packed);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	start_queues(2);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 3);
	vu_rig_expect_works(&rig, 1, 4);
	assert_int_equal(rig.worker.starts, 2);
}

static void features_are_frozen_from_features_ok_on(void **state)
{
	uint64_t other = version_1 | VD_BIT(WORKER_F_A) | VD_BIT(VD_VU_FEATURE_PROTOCOL);

	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	set_features(version_1);
	vu_rig_expect_alive(&rig);
	vu_rig_refuses(&rig, VD_VU_SET_FEATURES, &other, sizeof(other), NULL, 0,
		       VD_FAULT_FEATURES_FROZEN, other, 0, 0);
}

static void features_that_the_device_refuses_show_in_the_status(void **state)
{
	(void)state;
	rig.worker.refuses = true;
	vu_rig_negotiate(&rig, version_1, protocol);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
	rig.worker.refuses = false;
	set_features(version_1 | VD_BIT(WORKER_F_A));
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void a_driver_that_failed_has_no_device(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	start_queues(1);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 1);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | VD_STATUS_FAILED);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_expect_alive(&rig);
	vu_rig_expect_silence(&rig, 0);
}

static void a_device_suspends_and_resumes(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1 | VD_BIT(VD_F_SUSPEND), protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	start_queues(1);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 1);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | VD_STATUS_SUSPEND);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK | VD_STATUS_SUSPEND);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	/* Memory may change meanwhile, and the queue be told anew. */
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_stop(&rig.fe, 0), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 2);
}

/* ---- the other ways to reset ---- */

static void reset_device_disables_all_queues(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, no_status, 2, 8);
	vu_rig_expect_works(&rig, 0, 1);
	assert_int_equal(fe_request(&rig.fe, VD_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	assert_int_equal(rig.worker.stops, 1);
	assert_int_equal(vd_device_status(&rig.worker.dev), 0);
	/* Memory stays. */
	start_queues(2);
	vu_rig_expect_works(&rig, 0, 3);
	vu_rig_expect_works(&rig, 1, 4);
	assert_int_equal(rig.worker.starts, 2);
}

static void reset_owner_disables_all_queues(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, no_status, 2, 8);
	vu_rig_expect_works(&rig, 0, 1);
	assert_int_equal(fe_request(&rig.fe, VD_VU_RESET_OWNER, NULL, 0, NULL, 0), 0);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENABLE, 0, 1), 0);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 2);
}

/* ---- the device and the transport must agree what was negotiated ---- */

/* A ring that is all right for the layout it was said to have, and too short for the other one. */
static void start_short_ring(uint16_t index, uint16_t size)
{
	uint64_t end = FE_USER + RIG_MEMORY;
	struct vd_vu_addr addr = {
		.index = index, .desc = end - 4096, .avail = end - 4, .used = end - 8};

	assert_int_equal(fe_bells_make(&rig.fe, index, FE_EVENTFD), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, index, size), 0);
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			 0);
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, index, rig.fe.queues[index].kick.theirs),
		0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENABLE, index, 1), 0);
}

static void status_0_forgets_features_of_both(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, packed, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE);
	set_status(0);
	start_short_ring(0, 128);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_MEMORY, 0, 1, FE_USER + RIG_MEMORY - 4);
}

static void reset_device_forgets_features_of_both(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, packed, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE);
	assert_int_equal(fe_request(&rig.fe, VD_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	start_short_ring(0, 128);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_MEMORY, 0, 1, FE_USER + RIG_MEMORY - 4);
}

static void features_set_before_status_was_negotiated_count(void **state)
{
	(void)state;
	vu_rig_connect(&rig);
	set_features(packed);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_PROTOCOL_FEATURES, protocol), 0);
	rig.fe.protocol_features = protocol;
	assert_int_equal(fe_share(&rig.fe), 0);
	start_short_ring(0, 128);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	vu_rig_expect_alive(&rig);
	assert_true(vd_device_has(&rig.worker.dev, VD_F_RING_PACKED));
	assert_non_null(vd_device_vq(&rig.worker.dev, 0));
}

static void features_changed_after_status_was_given_up_are_refused(void **state)
{
	uint64_t other = packed | VD_BIT(VD_VU_FEATURE_PROTOCOL);

	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_PROTOCOL_FEATURES, no_status), 0);
	vu_rig_refuses(&rig, VD_VU_SET_FEATURES, &other, sizeof(other), NULL, 0,
		       VD_FAULT_FEATURES_FROZEN, other, 0, 0);
}

static void a_legacy_driver_says_nothing_of_features(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, 0, protocol);
	assert_int_equal(fe_share(&rig.fe), 0);
	start_queues(1);
	set_status(ACKNOWLEDGE | DRIVER | DRIVER_OK);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_run(&rig, 0, no_status, 1, 8);
	vu_rig_expect_works(&rig, 0, 2);
}

static void the_byte_order_is_that_of_legacy_drivers_only(void **state)
{
	const struct vd_vu_state big = {.index = 0, .num = 1};

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENDIAN, 0, 1), 0);
	assert_int_equal(fe_share(&rig.fe), 0);
	start_queues(1);
	vu_rig_expect_works(&rig, 0, 1);
	/* Also if it comes before the features. */
	vu_rig_negotiate(&rig, 0, no_status);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENDIAN, 0, 1), 0);
	set_features(version_1);
	assert_int_equal(fe_share(&rig.fe), 0);
	start_queues(1);
	vu_rig_expect_works(&rig, 0, 2);
	vu_rig_refuses(&rig, VD_VU_SET_VRING_ENDIAN, &big, sizeof(big), NULL, 0, VD_FAULT_VU_ORDER,
		       VD_VU_SET_VRING_ENDIAN, 0, 0);
}

static void a_legacy_driver_of_the_other_byte_order_is_understood(void **state)
{
	unsigned char *used;
	unsigned char *avail;

	(void)state;
	vu_rig_negotiate(&rig, 0, no_status);
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENDIAN, 0, 1), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 8), 0);
	avail = rig.fe.queues[0].ring.driver;
	used = rig.fe.queues[0].ring.device;
	/* One buffer, descriptor 0 of 4 bytes to read, written by hand. */
	memset(rig.fe.queues[0].ring.desc, 0, 16);
	((unsigned char *)rig.fe.queues[0].ring.desc)[4] = 0x40;
	((unsigned char *)rig.fe.queues[0].ring.desc)[11] = 4;
	avail[3] = 1;
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(used[3], 1);
	assert_int_equal(used[2], 0);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SUSPENDS(name) cmocka_unit_test_setup_teardown(name, setup_suspends, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_whole_sequence),
		TEST(a_front_end_that_tells_only_of_features),
		TEST(the_order_of_qemu),
		TEST(queues_may_come_after_driver_ok),
		TEST(status_0_stops_all_queues_until_they_are_set_up_again),
		TEST(features_are_frozen_from_features_ok_on),
		TEST(features_that_the_device_refuses_show_in_the_status),
		TEST(a_driver_that_failed_has_no_device),
		SUSPENDS(a_device_suspends_and_resumes),
		TEST(reset_device_disables_all_queues),
		TEST(reset_owner_disables_all_queues),
		TEST(status_0_forgets_features_of_both),
		TEST(reset_device_forgets_features_of_both),
		TEST(features_set_before_status_was_negotiated_count),
		TEST(features_changed_after_status_was_given_up_are_refused),
		TEST(a_legacy_driver_says_nothing_of_features),
		TEST(the_byte_order_is_that_of_legacy_drivers_only),
		TEST(a_legacy_driver_of_the_other_byte_order_is_understood),
	};

	return cmocka_run_group_tests_name("vhost_user_status", tests, NULL, NULL);
}
