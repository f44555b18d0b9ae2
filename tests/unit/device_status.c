/* SPDX-License-Identifier: BSD-3-Clause */
/* The device role: what it offers, and its status through every order of events. VIRTIO 1.4, 2.1,
 * 2.2 and 3.1. */
#include "viaduct/errno.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ACKNOWLEDGE VD_STATUS_ACKNOWLEDGE
#define DRIVER      VD_STATUS_DRIVER
#define FEATURES_OK VD_STATUS_FEATURES_OK
#define DRIVER_OK   VD_STATUS_DRIVER_OK
#define NEEDS_RESET VD_STATUS_NEEDS_RESET
#define FAILED      VD_STATUS_FAILED

#define BEGUN      (ACKNOWLEDGE | DRIVER)
#define NEGOTIATED (BEGUN | FEATURES_OK)
#define RUNNING    (NEGOTIATED | DRIVER_OK)

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define A         VD_BIT(VIRTIO_RIG_F_A)
#define B         VD_BIT(VIRTIO_RIG_F_B)
#define C         VD_BIT(VIRTIO_RIG_F_C)

static struct virtio_rig rig;

static void set(uint8_t status)
{
	vd_device_set_status(&rig.dev, status);
}

static void expect_status(uint8_t status)
{
	assert_int_equal(vd_device_status(&rig.dev), status);
}

static void fail_device(void)
{
	const struct vd_fault fault = {.code = VD_FAULT_HEAD_RANGE, .value = {1, 2, 3}};

	vd_device_fail(&rig.dev, &fault);
}

/* ---- what is offered ---- */

static void init_refuses_what_makes_no_sense(void **state)
{
	struct vd_device_config good;
	struct vd_device_config bad;
	struct vd_device_ops ops;

	(void)state;
	virtio_rig_open(&rig);
	good = rig.config;
	assert_int_equal(vd_device_init(&rig.dev, &good), 0);

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		ops = rig.ops;                                                                     \
		bad.ops = &ops;                                                                    \
		change;                                                                            \
		assert_int_equal(vd_device_init(&rig.dev, &bad), -VD_EINVAL);                      \
	} while (0)
	REFUSES(bad.type = NULL);
	REFUSES(bad.ops = NULL);
	REFUSES(bad.split = NULL);
	REFUSES(bad.queues = NULL);
	REFUSES(bad.n_queues = 0);
	REFUSES(bad.n_queues = VD_QUEUES_MAX + 1);
	REFUSES(ops.stop = NULL);
	REFUSES(ops.notify = NULL);
	REFUSES(ops.suspend = NULL);
	REFUSES(ops.resume = NULL);
	REFUSES(rig.queues[1].size_max = 0);
	rig.queues[1].size_max = VIRTIO_RIG_SIZE_MAX;
	REFUSES(rig.queues[1].state_size--);
	rig.queues[1].state_size++;
	REFUSES(rig.queues[2].state = NULL);
#undef REFUSES
	virtio_rig_close(&rig);
}

static void only_what_is_defined_complete_and_linked_is_offered(void **state)
{
	(void)state;
	virtio_rig_init(&rig);
	/* Bits 3, 30, 44 and 51 have no row; C needs B, which is missing. */
	rig.config.features = VERSION_1 | A | C | VD_BIT(3) | VD_BIT(VD_F_UNUSED) | VD_BIT(44) |
			      VD_BIT(51) | VD_BIT(VD_F_RING_PACKED);
	rig.config.packed = NULL;
	virtio_rig_attach(&rig, UINT64_MAX);
	assert_int_equal(vd_device_offered(&rig.dev), VERSION_1 | A);
	virtio_rig_close(&rig);
}

static void nothing_that_needs_version_1_is_offered_without_it(void **state)
{
	const uint64_t legacy = VD_BIT(VD_F_INDIRECT_DESC) | VD_BIT(VD_F_EVENT_IDX) | A | B | C |
				VD_BIT(VIRTIO_RIG_F_OPT);

	(void)state;
	virtio_rig_init(&rig);
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK & ~VERSION_1);
	assert_int_equal(vd_device_offered(&rig.dev), legacy);
	virtio_rig_close(&rig);
}

static void a_transport_offers_only_the_bits_it_carries(void **state)
{
	(void)state;
	virtio_rig_init(&rig);
	virtio_rig_attach(&rig, VERSION_1 | VD_BIT(VD_F_EVENT_IDX));
	assert_int_equal(vd_device_offered(&rig.dev),
			 VERSION_1 | VD_BIT(VD_F_EVENT_IDX) | A | B | C | VD_BIT(VIRTIO_RIG_F_OPT));
	virtio_rig_close(&rig);
}

/* ---- status ---- */

static void a_driver_that_does_it_right_gets_there(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	expect_status(0);
	set(ACKNOWLEDGE);
	expect_status(ACKNOWLEDGE);
	set(BEGUN);
	expect_status(BEGUN);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1 | A), 0);
	virtio_rig_expect(&rig, "");
	set(NEGOTIATED);
	expect_status(NEGOTIATED);
	virtio_rig_expect(&rig, "accept");
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 2, 8);
	virtio_rig_expect(&rig, "");
	set(RUNNING);
	expect_status(RUNNING);
	virtio_rig_expect(&rig, "start queue_start:0 queue_start:2");
	assert_true(vd_device_has(&rig.dev, VIRTIO_RIG_F_A));
	assert_false(vd_device_has(&rig.dev, VIRTIO_RIG_F_B));
	set(0);
	expect_status(0);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:2 stop");
	assert_int_equal(rig.dev.n_faults, 0);
	virtio_rig_close(&rig);
}

static void all_bits_at_once_will_do(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
	set(RUNNING);
	expect_status(RUNNING);
	virtio_rig_expect(&rig, "accept start");
	virtio_rig_close(&rig);
}

static void set_in_order(const uint8_t *bits, unsigned n, uint8_t *model)
{
	*model = 0;
	for (unsigned i = 0; i < n; i++) {
		if (bits[i] != DRIVER_OK || (*model & FEATURES_OK))
			*model |= bits[i];
		set(vd_device_status(&rig.dev) | bits[i]);
		expect_status(*model);
	}
}

/* The order of ACKNOWLEDGE and DRIVER is the driver's business; DRIVER_OK does not come before
 * FEATURES_OK. */
static void every_order_of_the_steps_ends_where_it_should(void **state)
{
	static const uint8_t steps[4] = {ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK};

	(void)state;
	virtio_rig_open(&rig);
	for (unsigned n = 0; n < 256; n++) {
		uint8_t bits[4] = {steps[n & 3], steps[n >> 2 & 3], steps[n >> 4 & 3],
				   steps[n >> 6]};
		uint8_t model;

		set(0);
		rig.log[0] = '\0';
		assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
		set_in_order(bits, 4, &model);
		assert_true(rig.dev.running == ((model & DRIVER_OK) != 0));
		assert_true((strstr(rig.log, "start") != NULL) == ((model & DRIVER_OK) != 0));
		rig.log[0] = '\0';
	}
	virtio_rig_close(&rig);
}

static void driver_ok_without_features_ok_is_reported(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
	set(BEGUN | DRIVER_OK);
	expect_status(BEGUN);
	virtio_rig_expect(&rig, "!STATUS_ORDER");
	virtio_rig_expect_fault(&rig, VD_FAULT_STATUS_ORDER, DRIVER_OK, FEATURES_OK);
	virtio_rig_close(&rig);
}

static void bits_stay_set_until_reset(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, VERSION_1);
	set(DRIVER_OK | DRIVER);
	expect_status(RUNNING);
	virtio_rig_expect(&rig, "!STATUS_CLEARED");
	virtio_rig_expect_fault(&rig, VD_FAULT_STATUS_CLEARED, ACKNOWLEDGE | FEATURES_OK, RUNNING);
	assert_true(rig.dev.running);
	assert_int_equal(rig.dev.n_faults, 1);
	set(RUNNING);
	assert_int_equal(rig.dev.n_faults, 1);
	virtio_rig_close(&rig);
}

static void needs_reset_is_not_the_drivers_to_set_or_keep(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, VERSION_1);
	set(RUNNING | NEEDS_RESET);
	expect_status(RUNNING);
	fail_device();
	expect_status(RUNNING | NEEDS_RESET);
	rig.log[0] = '\0';
	set(RUNNING);
	expect_status(RUNNING | NEEDS_RESET);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

/* ---- features ---- */

static void expect_refused(uint64_t accepted, enum vd_fault_code code, uint64_t a, uint64_t b)
{
	set(0);
	set(BEGUN);
	assert_int_equal(vd_device_set_features(&rig.dev, accepted), 0);
	set(NEGOTIATED);
	expect_status(BEGUN);
	virtio_rig_expect_fault(&rig, code, a, b);
}

static void features_ok_does_not_hold_for_what_is_wrong(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	expect_refused(VERSION_1 | VD_BIT(3), VD_FAULT_FEATURES_UNOFFERED, VD_BIT(3), 0);
	expect_refused(VERSION_1 | VD_BIT(63), VD_FAULT_FEATURES_UNOFFERED, VD_BIT(63), 0);
	expect_refused(VERSION_1 | B, VD_FAULT_FEATURES_NEED, VIRTIO_RIG_F_B, VIRTIO_RIG_F_A);
	expect_refused(VERSION_1 | A | C, VD_FAULT_FEATURES_NEED, VIRTIO_RIG_F_C, VIRTIO_RIG_F_B);
	expect_refused(VD_BIT(VD_F_RING_PACKED), VD_FAULT_FEATURES_NEED, VD_F_RING_PACKED,
		       VD_F_VERSION_1);
	rig.refuse = true;
	expect_refused(VERSION_1 | A, VD_FAULT_FEATURES_REFUSED, VERSION_1 | A, 0);
	virtio_rig_close(&rig);
}

static void a_driver_may_try_again_with_fewer_features(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	expect_refused(VERSION_1 | B, VD_FAULT_FEATURES_NEED, VIRTIO_RIG_F_B, VIRTIO_RIG_F_A);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
	set(NEGOTIATED);
	expect_status(NEGOTIATED);
	virtio_rig_close(&rig);
}

static bool is_closed(uint64_t features)
{
	return vd_features_closed(&virtio_rig_type, features) == features;
}

static void every_valid_subset_is_accepted_and_no_other(void **state)
{
	uint64_t offered;

	(void)state;
	virtio_rig_open(&rig);
	offered = vd_device_offered(&rig.dev);
	/* All subsets of the offered bits: there are 2^12. */
	for (uint64_t subset = offered;; subset = (subset - 1) & offered) {
		uint8_t want = is_closed(subset) ? NEGOTIATED : BEGUN;

		set(0);
		set(BEGUN);
		assert_int_equal(vd_device_set_features(&rig.dev, subset), 0);
		rig.log[0] = '\0';
		set(NEGOTIATED);
		expect_status(want);
		rig.log[0] = '\0';
		if (subset == 0)
			break;
	}
	virtio_rig_close(&rig);
}

static void what_was_accepted_once_is_accepted_after_a_reset(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	for (unsigned n = 0; n < 3; n++) {
		virtio_rig_start(&rig, VERSION_1 | A | B);
		assert_int_equal(rig.dev.features, VERSION_1 | A | B);
		fail_device();
		set(0);
		assert_int_equal(rig.dev.features, 0);
	}
	virtio_rig_close(&rig);
}

static void features_are_frozen_by_features_ok(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1 | A);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), -VD_EBUSY);
	virtio_rig_expect(&rig, "!FEATURES_FROZEN");
	virtio_rig_expect_fault(&rig, VD_FAULT_FEATURES_FROZEN, VERSION_1, 0);
	assert_int_equal(rig.dev.features, VERSION_1 | A);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1 | A), 0);
	set(RUNNING);
	assert_int_equal(vd_device_set_features(&rig.dev, 0), -VD_EBUSY);
	assert_int_equal(rig.dev.features, VERSION_1 | A);
	virtio_rig_close(&rig);
}

static void a_legacy_driver_needs_no_features_ok(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	set(BEGUN);
	assert_int_equal(vd_device_set_features(&rig.dev, A), 0);
	set(BEGUN | DRIVER_OK);
	expect_status(BEGUN | DRIVER_OK);
	virtio_rig_expect(&rig, "accept start");
	assert_int_equal(vd_device_set_features(&rig.dev, 0), -VD_EBUSY);
	virtio_rig_close(&rig);
}

static void a_legacy_driver_with_impossible_features_is_not_served(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	set(BEGUN);
	assert_int_equal(vd_device_set_features(&rig.dev, B), 0);
	set(BEGUN | DRIVER_OK);
	expect_status(BEGUN);
	virtio_rig_expect(&rig, "!FEATURES_NEED");
	rig.refuse = true;
	assert_int_equal(vd_device_set_features(&rig.dev, A), 0);
	set(BEGUN | DRIVER_OK);
	expect_status(BEGUN);
	virtio_rig_expect(&rig, "accept !FEATURES_REFUSED");
	virtio_rig_close(&rig);
}

/* ---- trouble ---- */

static void failed_stops_the_family(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 1, 8);
	set(RUNNING);
	rig.log[0] = '\0';
	set(RUNNING | FAILED);
	expect_status(RUNNING | FAILED);
	virtio_rig_expect(&rig, "queue_stop:1 stop");
	assert_null(vd_device_vq(&rig.dev, 1));
	assert_false(virtio_rig_kick(&rig, 1));
	set(0);
	expect_status(0);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void a_device_that_can_not_start_asks_for_a_reset(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	rig.start_err = -VD_ENOMEM;
	set(RUNNING);
	expect_status(RUNNING | NEEDS_RESET);
	virtio_rig_expect_fault(&rig, VD_FAULT_START_FAILED, VD_ENOMEM, 0);
	assert_non_null(strstr(rig.log, ">config"));
	assert_null(strstr(rig.log, "queue_start"));
	rig.log[0] = '\0';
	set(0);
	/* "Also called if start() failed." */
	virtio_rig_expect(&rig, "stop");
	rig.start_err = 0;
	virtio_rig_start(&rig, VERSION_1);
	virtio_rig_close(&rig);
}

static void needs_reset_comes_once_and_with_a_notification(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, VERSION_1);
	fail_device();
	expect_status(RUNNING | NEEDS_RESET);
	assert_non_null(strstr(rig.log, ">config"));
	virtio_rig_expect_fault(&rig, VD_FAULT_HEAD_RANGE, 1, 2);
	rig.log[0] = '\0';
	fail_device();
	virtio_rig_expect(&rig, "!HEAD_RANGE");
	assert_int_equal(rig.dev.n_faults, 2);
	virtio_rig_close(&rig);
}

static void needs_reset_before_driver_ok_sends_nothing(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	fail_device();
	expect_status(NEGOTIATED | NEEDS_RESET);
	virtio_rig_expect(&rig, "!HEAD_RANGE");
	/* And it is not started any more. */
	set(RUNNING);
	expect_status(NEGOTIATED | NEEDS_RESET);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void the_queues_stop_at_once_when_a_reset_is_needed(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	set(RUNNING);
	assert_non_null(vd_device_vq(&rig.dev, 0));
	fail_device();
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_offer(&rig, 0);
	rig.log[0] = '\0';
	assert_false(virtio_rig_kick(&rig, 0));
	vd_device_flush(&rig.dev, 0);
	virtio_rig_expect(&rig, "");
	assert_int_equal(virtio_rig_take(&rig, 0), 0);
	set(0);
	virtio_rig_expect(&rig, "queue_stop:0 stop");
	virtio_rig_close(&rig);
}

/* ---- reset ---- */

static void bring_to(unsigned stage)
{
	set(0);
	if (stage >= 1)
		set(ACKNOWLEDGE);
	if (stage >= 2)
		set(BEGUN);
	if (stage >= 3)
		virtio_rig_negotiate(&rig, VERSION_1 | VD_BIT(VD_F_SUSPEND));
	if (stage >= 4)
		virtio_rig_enable(&rig, 1, 8);
	if (stage >= 5)
		set(RUNNING);
	if (stage == 6)
		set(RUNNING | VD_STATUS_SUSPEND);
	if (stage == 7)
		fail_device();
	if (stage == 8)
		set(RUNNING | FAILED);
	if (stage == 9)
		vd_device_pause(&rig.dev);
	rig.log[0] = '\0';
}

static void reset_works_in_every_state(void **state)
{
	static const char *const words[10] = {
		"",
		"",
		"",
		"",
		"",
		"queue_stop:1 stop",
		"queue_stop:1 stop",
		"queue_stop:1 stop",
		"",
		"queue_stop:1 stop",
	};

	(void)state;
	virtio_rig_open(&rig);
	for (unsigned stage = 0; stage < 10; stage++) {
		bring_to(stage);
		vd_device_reset(&rig.dev);
		expect_status(0);
		virtio_rig_expect(&rig, words[stage]);
		assert_int_equal(rig.dev.features, 0);
		assert_null(vd_device_vq(&rig.dev, 1));
		assert_false(rig.dev.queues[1].enabled);
		/* Nothing is sent until the driver begins anew. */
		assert_int_equal(vd_device_config_update(&rig.dev, 2, "xy", 2), 0);
		vd_device_flush(&rig.dev, 1);
		virtio_rig_expect(&rig, "");
		virtio_rig_start(&rig, VERSION_1);
	}
	virtio_rig_close(&rig);
}

static void a_device_can_be_detached_and_attached_again(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	bring_to(5);
	vd_device_detach(&rig.dev);
	virtio_rig_expect(&rig, "queue_stop:1 stop");
	assert_null(rig.dev.transport);
	assert_null(rig.dev.mem);
	vd_device_detach(&rig.dev);
	fail_device();
	vd_device_attach(&rig.dev, &rig.transport, &rig, &rig.mem, VD_F_TRANSPORT_MASK);
	expect_status(0);
	rig.log[0] = '\0';
	virtio_rig_start(&rig, VERSION_1);
	virtio_rig_close(&rig);
}

static void a_driver_that_gave_up_can_not_go_on_without_a_reset(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	set(NEGOTIATED | FAILED);
	expect_status(NEGOTIATED | FAILED);
	set(RUNNING | FAILED);
	expect_status(NEGOTIATED | FAILED);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_start(&rig, VERSION_1);
	virtio_rig_close(&rig);
}

static void reset_on_fault(struct virtio_rig *self, const char *word)
{
	if (word[0] == '!')
		vd_device_reset(&self->dev);
}

/* Whoever hears of the fault may end it all there and then. */
static void a_reset_from_the_fault_callback_is_a_clean_one(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, VERSION_1);
	rig.hook = reset_on_fault;
	fail_device();
	expect_status(0);
	rig.hook = NULL;
	set(BEGUN);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
	set(NEGOTIATED);
	set(RUNNING);
	expect_status(RUNNING);
	virtio_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_refuses_what_makes_no_sense),
		cmocka_unit_test(only_what_is_defined_complete_and_linked_is_offered),
		cmocka_unit_test(nothing_that_needs_version_1_is_offered_without_it),
		cmocka_unit_test(a_transport_offers_only_the_bits_it_carries),
		cmocka_unit_test(a_driver_that_does_it_right_gets_there),
		cmocka_unit_test(all_bits_at_once_will_do),
		cmocka_unit_test(every_order_of_the_steps_ends_where_it_should),
		cmocka_unit_test(driver_ok_without_features_ok_is_reported),
		cmocka_unit_test(bits_stay_set_until_reset),
		cmocka_unit_test(needs_reset_is_not_the_drivers_to_set_or_keep),
		cmocka_unit_test(features_ok_does_not_hold_for_what_is_wrong),
		cmocka_unit_test(a_driver_may_try_again_with_fewer_features),
		cmocka_unit_test(every_valid_subset_is_accepted_and_no_other),
		cmocka_unit_test(what_was_accepted_once_is_accepted_after_a_reset),
		cmocka_unit_test(features_are_frozen_by_features_ok),
		cmocka_unit_test(a_legacy_driver_needs_no_features_ok),
		cmocka_unit_test(a_legacy_driver_with_impossible_features_is_not_served),
		cmocka_unit_test(failed_stops_the_family),
		cmocka_unit_test(a_device_that_can_not_start_asks_for_a_reset),
		cmocka_unit_test(needs_reset_comes_once_and_with_a_notification),
		cmocka_unit_test(needs_reset_before_driver_ok_sends_nothing),
		cmocka_unit_test(the_queues_stop_at_once_when_a_reset_is_needed),
		cmocka_unit_test(reset_works_in_every_state),
		cmocka_unit_test(a_device_can_be_detached_and_attached_again),
		cmocka_unit_test(a_driver_that_gave_up_can_not_go_on_without_a_reset),
		cmocka_unit_test(a_reset_from_the_fault_callback_is_a_clean_one),
	};

	return cmocka_run_group_tests_name("device_status", tests, NULL, NULL);
}
