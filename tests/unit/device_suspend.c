/* SPDX-License-Identifier: BSD-3-Clause */
/* The device role: suspended by its driver (VIRTIO 1.4, 3.4), and paused by its transport. */
#include "viaduct/errno.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FEATURES (VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_SUSPEND))

#define NEGOTIATED  (VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK)
#define RUNNING     (NEGOTIATED | VD_STATUS_DRIVER_OK)
#define SUSPENDED   (NEGOTIATED | VD_STATUS_SUSPEND)
#define NEEDS_RESET VD_STATUS_NEEDS_RESET

static struct virtio_rig rig;

static void set(uint8_t status)
{
	vd_device_set_status(&rig.dev, status);
}

static void expect_status(uint8_t status)
{
	assert_int_equal(vd_device_status(&rig.dev), status);
}

/* Running, with queues 0 and 2. */
static void open_running(uint64_t features)
{
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, features);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 2, 8);
	rig.log[0] = '\0';
}

static void open_suspended(void)
{
	open_running(FEATURES);
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(SUSPENDED);
	rig.log[0] = '\0';
}

/* Hold @n buffers back until suspended, then use them. */
static struct vd_iov held_iov[8];
static struct vd_chain held[8];
static unsigned n_held;

static void hold(unsigned n)
{
	for (n_held = 0; n_held < n; n_held++) {
		virtio_rig_offer(&rig, 0);
		held[n_held] = (struct vd_chain){.iov = &held_iov[n_held], .iov_max = 1};
		assert_int_equal(vd_vq_dev_pop(vd_device_vq(&rig.dev, 0), &held[n_held]), 1);
	}
}

static void give_back(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "suspend") != 0 && strcmp(word, "queue_stop:0") != 0)
		return;
	while (n_held > 0)
		assert_int_equal(vd_vq_dev_push(vd_device_vq(&self->dev, 0), &held[--n_held], 0),
				 0);
}

/* ---- suspend ---- */

static void suspend_is_ignored_unless_running_and_negotiated(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	set(VD_STATUS_SUSPEND);
	expect_status(0);
	virtio_rig_negotiate(&rig, FEATURES);
	set(NEGOTIATED | VD_STATUS_SUSPEND);
	expect_status(NEGOTIATED);
	virtio_rig_expect(&rig, "");
	virtio_rig_start(&rig, VD_BIT(VD_F_VERSION_1));
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(RUNNING);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void what_is_in_work_is_used_and_told_before_the_status_changes(void **state)
{
	(void)state;
	open_running(FEATURES);
	hold(3);
	rig.hook = give_back;
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(SUSPENDED);
	virtio_rig_expect(&rig, "suspend >queue:0");
	assert_int_equal(virtio_rig_take(&rig, 0), 3);
	virtio_rig_close(&rig);
}

static void nothing_is_touched_or_sent_while_suspended(void **state)
{
	(void)state;
	open_suspended();
	virtio_rig_offer(&rig, 0);
	assert_false(virtio_rig_kick(&rig, 0));
	assert_null(vd_device_vq(&rig.dev, 0));
	vd_device_flush(&rig.dev, 0);
	assert_int_equal(virtio_rig_take(&rig, 0), 0);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void the_driver_can_not_write_while_suspended(void **state)
{
	unsigned char bytes[2];

	(void)state;
	open_suspended();
	assert_int_equal(vd_device_config_write(&rig.dev, 2, "ab", 2), 0);
	assert_int_equal(rig.space[2], 0);
	virtio_rig_expect(&rig, "");
	assert_int_equal(vd_device_config_read(&rig.dev, 2, bytes, 2), 0);
	assert_int_equal(bytes[0], 0);
	/* Nor turn any bit on or off but to resume. */
	set(VD_STATUS_ACKNOWLEDGE);
	expect_status(SUSPENDED);
	set(SUSPENDED);
	expect_status(SUSPENDED);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void a_family_that_can_not_suspend_needs_a_reset(void **state)
{
	(void)state;
	open_running(FEATURES);
	rig.suspend_err = -VD_EBUSY;
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(RUNNING | NEEDS_RESET);
	virtio_rig_expect_fault(&rig, VD_FAULT_SUSPEND_FAILED, VD_EBUSY, 0);
	assert_non_null(strstr(rig.log, ">config"));
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void a_queue_that_breaks_meanwhile_needs_a_reset(void **state)
{
	const struct vd_fault fault = {.code = VD_FAULT_HEAD_RANGE};

	(void)state;
	open_running(FEATURES);
	vd_vq_dev_break(vd_device_vq(&rig.dev, 2), &fault);
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(RUNNING | NEEDS_RESET);
	virtio_rig_close(&rig);
}

/* ---- resume ---- */

static void resume_goes_on_and_looks_at_every_queue(void **state)
{
	(void)state;
	open_suspended();
	virtio_rig_offer(&rig, 0);
	virtio_rig_offer(&rig, 2);
	set(SUSPENDED | VD_STATUS_DRIVER_OK);
	expect_status(RUNNING);
	assert_non_null(strstr(rig.log, "resume"));
	assert_int_equal(virtio_rig_take(&rig, 0), 1);
	assert_int_equal(virtio_rig_take(&rig, 2), 1);
	virtio_rig_close(&rig);
}

static void the_suspend_bit_needs_not_be_written_to_resume(void **state)
{
	(void)state;
	open_suspended();
	set(RUNNING);
	expect_status(RUNNING);
	assert_non_null(vd_device_vq(&rig.dev, 0));
	assert_int_equal(rig.dev.n_faults, 0);
	set(RUNNING | VD_STATUS_SUSPEND);
	expect_status(SUSPENDED);
	set(RUNNING);
	expect_status(RUNNING);
	virtio_rig_close(&rig);
}

static void a_family_that_can_not_resume_needs_a_reset(void **state)
{
	(void)state;
	open_suspended();
	rig.resume_err = -VD_EIO;
	set(RUNNING);
	expect_status(RUNNING | NEEDS_RESET);
	virtio_rig_expect_fault(&rig, VD_FAULT_SUSPEND_FAILED, VD_EIO, 0);
	assert_non_null(strstr(rig.log, ">config"));
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void update_on_resume(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "resume") == 0)
		assert_int_equal(vd_device_config_update(&self->dev, 24, "abcdef", 6), 0);
}

static void a_change_of_configuration_waits_for_resume(void **state)
{
	uint32_t generation;

	(void)state;
	open_suspended();
	generation = rig.dev.config_generation;
	assert_int_equal(vd_device_config_update(&rig.dev, 24, "abcdef", 6), -VD_EBUSY);
	assert_int_equal(rig.space[24], 0);
	assert_int_equal(rig.dev.config_generation, generation);
	virtio_rig_expect(&rig, "");
	rig.hook = update_on_resume;
	set(RUNNING);
	assert_memory_equal(rig.space + 24, "abcdef", 6);
	assert_non_null(strstr(rig.log, ">config"));
	rig.log[0] = '\0';
	rig.hook = NULL;
	/* Only once. */
	set(RUNNING | VD_STATUS_SUSPEND);
	set(RUNNING);
	assert_null(strstr(rig.log, ">config"));
	virtio_rig_close(&rig);
}

static void failed_and_reset_work_while_suspended(void **state)
{
	(void)state;
	open_suspended();
	set(SUSPENDED | VD_STATUS_FAILED);
	expect_status(SUSPENDED | VD_STATUS_FAILED);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:2 stop");
	set(0);
	expect_status(0);
	virtio_rig_close(&rig);
	open_suspended();
	set(0);
	expect_status(0);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:2 stop");
	virtio_rig_start(&rig, FEATURES);
	virtio_rig_close(&rig);
}

/* ---- pause ---- */

static void pause_is_suspend_without_the_drivers_knowledge(void **state)
{
	(void)state;
	open_running(FEATURES);
	hold(2);
	rig.hook = give_back;
	vd_device_pause(&rig.dev);
	expect_status(RUNNING);
	virtio_rig_expect(&rig, "suspend >queue:0");
	assert_int_equal(virtio_rig_take(&rig, 0), 2);
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_offer(&rig, 2);
	assert_false(virtio_rig_kick(&rig, 2));
	virtio_rig_expect(&rig, "");
	vd_device_unpause(&rig.dev);
	assert_non_null(strstr(rig.log, "resume"));
	assert_int_equal(virtio_rig_take(&rig, 2), 1);
	virtio_rig_close(&rig);
}

static void open_without_suspend(void)
{
	virtio_rig_init(&rig);
	rig.ops.suspend = NULL;
	rig.ops.resume = NULL;
	rig.config.features &= ~VD_BIT(VD_F_SUSPEND);
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	virtio_rig_start(&rig, VD_BIT(VD_F_VERSION_1));
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 2, 8);
	rig.log[0] = '\0';
}

static void a_family_that_can_not_suspend_loses_its_queues_for_a_pause(void **state)
{
	(void)state;
	open_without_suspend();
	hold(2);
	rig.hook = give_back;
	vd_device_pause(&rig.dev);
	virtio_rig_expect(&rig, "queue_stop:0 >queue:0 queue_stop:2");
	assert_int_equal(virtio_rig_take(&rig, 0), 2);
	assert_null(vd_device_vq(&rig.dev, 0));
	vd_device_unpause(&rig.dev);
	assert_non_null(strstr(rig.log, "queue_start:0 queue_start:2"));
	assert_non_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_offer(&rig, 0);
	(void)virtio_rig_kick(&rig, 0);
	assert_int_equal(virtio_rig_take(&rig, 0), 1);
	virtio_rig_close(&rig);
}

static void rings_and_windows_can_move_during_a_pause(void **state)
{
	struct vd_ring_mem old;
	struct vd_ring_mem new;
	struct rig_ring pages;

	(void)state;
	open_running(FEATURES);
	virtio_rig_offer(&rig, 0);
	(void)virtio_rig_kick(&rig, 0);
	assert_int_equal(virtio_rig_take(&rig, 0), 1);
	vd_device_pause(&rig.dev);
	pages = rig.ring[0];
	old = rig.driver[0].ring.mem;
	rig_ring_take(&rig.ring[0], &rig.driver[0].ring);
	new = rig.driver[0].ring.mem;
	memcpy(new.desc, old.desc, 8 * 16);
	memcpy(new.driver, old.driver, 6 + 2 * 8);
	memcpy(new.device, old.device, 6 + 8 * 8);
	rig_ring_give(&pages);
	vd_device_queue_move(&rig.dev, 0, &new);
	vd_device_unpause(&rig.dev);
	virtio_rig_offer(&rig, 0);
	(void)virtio_rig_kick(&rig, 0);
	assert_int_equal(virtio_rig_take(&rig, 0), 1);
	assert_int_equal(rig.dev.n_faults, 0);
	virtio_rig_close(&rig);
}

static void pause_is_for_devices_that_run(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	vd_device_pause(&rig.dev);
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
	open_suspended();
	vd_device_pause(&rig.dev);
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "");
	expect_status(SUSPENDED);
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void a_pause_that_fails_needs_a_reset(void **state)
{
	const struct vd_fault fault = {.code = VD_FAULT_HEAD_RANGE};

	(void)state;
	open_running(FEATURES);
	rig.suspend_err = -VD_EIO;
	vd_device_pause(&rig.dev);
	expect_status(RUNNING | NEEDS_RESET);
	vd_device_unpause(&rig.dev);
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
	open_without_suspend();
	vd_vq_dev_break(vd_device_vq(&rig.dev, 0), &fault);
	vd_device_pause(&rig.dev);
	expect_status(RUNNING | NEEDS_RESET);
	vd_device_unpause(&rig.dev);
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void fail_device(void)
{
	const struct vd_fault fault = {.code = VD_FAULT_HEAD_RANGE};

	vd_device_fail(&rig.dev, &fault);
}

static void a_device_that_was_lost_while_suspended_does_not_resume(void **state)
{
	(void)state;
	open_suspended();
	fail_device();
	/* No notification: the driver sees it when it tries to resume. */
	virtio_rig_expect(&rig, "!HEAD_RANGE");
	expect_status(SUSPENDED | NEEDS_RESET);
	set(RUNNING);
	expect_status(SUSPENDED | NEEDS_RESET);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
	open_suspended();
	set(SUSPENDED | VD_STATUS_FAILED);
	rig.log[0] = '\0';
	set(RUNNING);
	expect_status(SUSPENDED | VD_STATUS_FAILED);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void a_device_that_was_lost_during_a_pause_does_not_go_on(void **state)
{
	(void)state;
	open_running(FEATURES);
	vd_device_pause(&rig.dev);
	fail_device();
	expect_status(RUNNING | NEEDS_RESET);
	rig.log[0] = '\0';
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
	open_running(FEATURES);
	vd_device_pause(&rig.dev);
	set(RUNNING | VD_STATUS_FAILED);
	rig.log[0] = '\0';
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_close(&rig);
}

static void a_reset_during_a_pause_does_not_stop_a_queue_twice(void **state)
{
	(void)state;
	open_without_suspend();
	vd_device_pause(&rig.dev);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:2");
	set(0);
	virtio_rig_expect(&rig, "stop");
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
	open_without_suspend();
	vd_device_pause(&rig.dev);
	vd_device_queue_disable(&rig.dev, 2, NULL);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:2");
	vd_device_unpause(&rig.dev);
	assert_null(strstr(rig.log, "queue_start:2"));
	virtio_rig_close(&rig);
}

static void a_queue_enabled_meanwhile_is_served_afterwards(void **state)
{
	(void)state;
	open_suspended();
	virtio_rig_enable(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	virtio_rig_expect(&rig, "");
	set(RUNNING);
	virtio_rig_expect(&rig, "resume queue_start:1 notify:1 >queue:1");
	virtio_rig_close(&rig);
	open_running(FEATURES);
	vd_device_pause(&rig.dev);
	virtio_rig_enable(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	rig.log[0] = '\0';
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "resume queue_start:1 notify:1 >queue:1");
	virtio_rig_close(&rig);
	open_without_suspend();
	vd_device_pause(&rig.dev);
	virtio_rig_enable(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	rig.log[0] = '\0';
	vd_device_unpause(&rig.dev);
	virtio_rig_expect(&rig, "queue_start:0 queue_start:1 queue_start:2 notify:1 >queue:1");
	virtio_rig_close(&rig);
}

static void a_change_of_configuration_during_a_pause_is_told(void **state)
{
	(void)state;
	open_running(FEATURES);
	vd_device_pause(&rig.dev);
	rig.log[0] = '\0';
	assert_int_equal(vd_device_config_update(&rig.dev, 24, "abcdef", 6), 0);
	virtio_rig_expect(&rig, ">config");
	virtio_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suspend_is_ignored_unless_running_and_negotiated),
		cmocka_unit_test(what_is_in_work_is_used_and_told_before_the_status_changes),
		cmocka_unit_test(nothing_is_touched_or_sent_while_suspended),
		cmocka_unit_test(the_driver_can_not_write_while_suspended),
		cmocka_unit_test(a_family_that_can_not_suspend_needs_a_reset),
		cmocka_unit_test(a_queue_that_breaks_meanwhile_needs_a_reset),
		cmocka_unit_test(resume_goes_on_and_looks_at_every_queue),
		cmocka_unit_test(the_suspend_bit_needs_not_be_written_to_resume),
		cmocka_unit_test(a_family_that_can_not_resume_needs_a_reset),
		cmocka_unit_test(a_change_of_configuration_waits_for_resume),
		cmocka_unit_test(failed_and_reset_work_while_suspended),
		cmocka_unit_test(pause_is_suspend_without_the_drivers_knowledge),
		cmocka_unit_test(a_family_that_can_not_suspend_loses_its_queues_for_a_pause),
		cmocka_unit_test(rings_and_windows_can_move_during_a_pause),
		cmocka_unit_test(pause_is_for_devices_that_run),
		cmocka_unit_test(a_pause_that_fails_needs_a_reset),
		cmocka_unit_test(a_device_that_was_lost_while_suspended_does_not_resume),
		cmocka_unit_test(a_device_that_was_lost_during_a_pause_does_not_go_on),
		cmocka_unit_test(a_reset_during_a_pause_does_not_stop_a_queue_twice),
		cmocka_unit_test(a_queue_enabled_meanwhile_is_served_afterwards),
		cmocka_unit_test(a_change_of_configuration_during_a_pause_is_told),
	};

	return cmocka_run_group_tests_name("device_suspend", tests, NULL, NULL);
}
