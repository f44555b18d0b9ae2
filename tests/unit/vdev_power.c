/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role: machines that sleep, and devices that are suspended. VIRTIO 1.4, 3.4; Linux:
 * virtio_device_freeze() and virtio_device_restore(). */
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define SUSPEND   VD_BIT(VD_F_SUSPEND)

#define NEGOTIATED (VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK)
#define READY      (NEGOTIATED | VD_STATUS_DRIVER_OK)

static struct vd_bus bus;
static struct fake device;
static struct fake_driver driver;

static int set_up(void **state)
{
	(void)state;
	fake_init(&device);
	device.offered = VERSION_1;
	fake_driver_init(&driver, "A");
	driver.n_queues = 1;
	vd_bus_init(&bus);
	return 0;
}

static void open_device(void)
{
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	fake_forget();
}

/* ---- freeze and restore ---- */

static void a_machine_sleeps_and_wakes(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	fake_expect("freeze:A:virtio0 reset disable:0");
	fake_expect_clean(&device);
	/* The device lost its state, and offers more now. */
	device.status = 0x55;
	device.accepted = 0;
	device.offered |= VD_BIT(VD_F_EVENT_IDX);
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	fake_expect("reset S:1 S:3 F:100000000 S:b restore:A:virtio0 enable:0 S:f");
	/* Features are what they were. */
	assert_int_equal(device.accepted, VERSION_1);
	assert_int_equal(device.vdev.features, VERSION_1);
	assert_int_equal(device.status, READY);
	assert_int_equal(device.vdev.n_queues, 1);
	vd_bus_remove_device(&bus, &device.vdev);
	fake_expect_clean(&device);
}

static void a_driver_may_be_ready_in_restore(void **state)
{
	(void)state;
	driver.readies = true;
	open_device();
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	fake_forget();
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	assert_non_null(strstr(fake_log, "enable:0 S:f"));
	assert_null(strstr(fake_log, "S:f S:f"));
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_driver_that_can_not_sleep_says_so(void **state)
{
	(void)state;
	driver.driver.freeze = NULL;
	driver.driver.restore = NULL;
	open_device();
	assert_int_equal(vd_vdev_freeze(&device.vdev), -VD_EOPNOTSUPP);
	fake_expect("");
	assert_int_equal(device.status, READY);
	vd_vdev_config_changed(&device.vdev);
	fake_expect("config:A:virtio0");
	assert_int_equal(vd_vdev_restore(&device.vdev), -VD_EOPNOTSUPP);
}

static void a_device_without_a_driver_just_sleeps(void **state)
{
	(void)state;
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	fake_forget();
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	device.status = 0;
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	fake_expect("reset S:1");
}

static void a_device_that_had_been_given_up_on_stays_so(void **state)
{
	(void)state;
	driver.probe_err = -VD_EIO;
	open_device();
	assert_true(device.vdev.failed);
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	device.status = 0;
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	assert_int_equal(device.status, VD_STATUS_ACKNOWLEDGE | VD_STATUS_FAILED);
	driver.probe_err = 0;
	assert_int_equal(vd_bus_bind(&device.vdev), 0);
	assert_int_equal(device.status, READY);
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_restore_that_fails_leaves_a_failed_device(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		(void)set_up(state);
		open_device();
		assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
		device.reset_err = n == 0 ? -VD_ETIMEDOUT : 0;
		device.features_err = n == 1 ? -VD_EIO : 0;
		device.refused = n == 2 ? VERSION_1 : 0;
		driver.restore_err = n == 3 ? -VD_ENOMEM : 0;
		assert_int_not_equal(vd_vdev_restore(&device.vdev), 0);
		assert_true(n == 0 || (device.status & VD_STATUS_FAILED));
		assert_false(device.status & VD_STATUS_DRIVER_OK);
		vd_vdev_config_changed(&device.vdev);
		assert_null(strstr(fake_log, "config:"));
		device.reset_err = 0;
		vd_bus_remove_device(&bus, &device.vdev);
		fake_expect_clean(&device);
	}
}

static void a_change_while_asleep_is_told_after_waking(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	fake_forget();
	vd_vdev_config_changed(&device.vdev);
	fake_expect("");
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	assert_non_null(strstr(fake_log, "S:f config:A:virtio0"));
	vd_bus_remove_device(&bus, &device.vdev);
}

/* ---- suspend and resume ---- */

static void open_suspendable(void)
{
	device.offered |= SUSPEND;
	open_device();
}

static void a_device_is_suspended_and_resumed(void **state)
{
	(void)state;
	open_suspendable();
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	fake_expect("S:1f");
	assert_int_equal(device.status, NEGOTIATED | VD_STATUS_SUSPEND);
	assert_int_equal(vd_vdev_resume(&device.vdev), 0);
	fake_expect("S:1f");
	assert_int_equal(device.status, READY);
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	vd_bus_remove_device(&bus, &device.vdev);
	fake_expect_clean(&device);
}

static void suspend_needs_the_feature_and_a_running_device(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_EOPNOTSUPP);
	assert_int_equal(vd_vdev_resume(&device.vdev), -VD_EOPNOTSUPP);
	fake_expect("");
	vd_bus_remove_device(&bus, &device.vdev);
	(void)set_up(state);
	driver.probe_err = -VD_EIO;
	open_suspendable();
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_EOPNOTSUPP);
	fake_expect("");
}

static unsigned looks;
static unsigned takes;

static int relax(struct vd_vdev *vdev, unsigned attempt)
{
	struct fake *fake = fake_of(vdev);

	assert_int_equal(attempt, looks);
	if (++looks < takes)
		return 0;
	if (fake->status & VD_STATUS_DRIVER_OK)
		fake->status = NEGOTIATED | VD_STATUS_SUSPEND;
	else
		fake->status = READY;
	return 0;
}

static int give_up(struct vd_vdev *vdev, unsigned attempt)
{
	(void)vdev;
	return attempt < 3 ? 0 : -VD_EINTR;
}

static void suspension_may_take_its_time(void **state)
{
	(void)state;
	open_suspendable();
	device.stubborn = true;
	device.ops.relax = relax;
	looks = 0;
	takes = 1000;
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	assert_int_equal(looks, 1000);
	looks = 0;
	assert_int_equal(vd_vdev_resume(&device.vdev), 0);
	assert_int_equal(looks, 1000);
	vd_bus_remove_device(&bus, &device.vdev);
}

static void suspension_is_not_waited_for_for_ever(void **state)
{
	(void)state;
	open_suspendable();
	device.stubborn = true;
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_ETIMEDOUT);
	device.ops.relax = relax;
	looks = 0;
	takes = UINT32_MAX;
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_ETIMEDOUT);
	device.ops.relax = give_up;
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_EINTR);
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_device_that_can_not_asks_to_be_reset(void **state)
{
	(void)state;
	open_suspendable();
	device.stubborn = true;
	device.status |= VD_STATUS_NEEDS_RESET;
	assert_int_equal(vd_vdev_suspend(&device.vdev), -VD_EIO);
	assert_int_equal(vd_vdev_resume(&device.vdev), -VD_EIO);
	device.stubborn = false;
	assert_int_equal(vd_vdev_recover(&device.vdev), 0);
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_driver_that_fails_to_freeze_goes_on(void **state)
{
	(void)state;
	open_device();
	driver.freeze_err = -VD_EBUSY;
	assert_int_equal(vd_vdev_freeze(&device.vdev), -VD_EBUSY);
	fake_forget();
	vd_vdev_config_changed(&device.vdev);
	fake_expect("config:A:virtio0");
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_restore_can_be_tried_again(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_freeze(&device.vdev), 0);
	driver.restore_err = -VD_ENOMEM;
	assert_int_equal(vd_vdev_restore(&device.vdev), -VD_ENOMEM);
	assert_true(device.vdev.failed);
	driver.restore_err = 0;
	fake_forget();
	assert_int_equal(vd_vdev_restore(&device.vdev), 0);
	/* The reset did away with FAILED (2.1.1). */
	fake_expect("reset S:1 S:3 F:100000000 S:b restore:A:virtio0 enable:0 S:f");
	assert_int_equal(device.status, READY);
	assert_false(device.vdev.failed);
	vd_bus_remove_device(&bus, &device.vdev);
}

static int give_one(struct vd_vdev_vq *queue)
{
	static unsigned char buffer[16];
	struct vd_iov segment = {buffer, sizeof(buffer)};

	return vd_vq_drv_add(&queue->vq, &segment, 0, 1, buffer);
}

static uint16_t available(void)
{
	return ((const uint16_t *)device.queues[0].ring.driver)[1];
}

static void a_suspended_device_is_left_alone(void **state)
{
	const struct vd_config_field *port = &virtio_rig_type.fields[VIRTIO_RIG_PORT];
	uint64_t value;

	(void)state;
	open_suspendable();
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	fake_forget();
	/* What is added is neither shown nor told until it goes on (3.4.1). */
	assert_int_equal(give_one(&device.queues[0]), 0);
	vd_vdev_kick(&device.queues[0]);
	assert_int_equal(available(), 0);
	assert_int_equal(vd_vdev_config_set(&device.vdev, port, 0, 1), -VD_EBUSY);
	assert_int_equal(vd_vdev_config_get(&device.vdev, port, 0, &value), 0);
	fake_expect("");
	assert_int_equal(vd_vdev_resume(&device.vdev), 0);
	fake_expect("S:1f kick:0");
	assert_int_equal(available(), 1);
	assert_int_equal(vd_vdev_config_set(&device.vdev, port, 0, 1), 0);
	vd_bus_remove_device(&bus, &device.vdev);
	fake_expect_clean(&device);
}

static void a_reset_ends_a_suspension(void **state)
{
	(void)state;
	open_suspendable();
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	assert_int_equal(vd_vdev_recover(&device.vdev), 0);
	fake_forget();
	assert_int_equal(give_one(&device.queues[0]), 0);
	vd_vdev_kick(&device.queues[0]);
	fake_expect("kick:0");
	vd_bus_remove_device(&bus, &device.vdev);
}

static void a_queue_is_not_reset_while_suspended(void **state)
{
	(void)state;
	device.offered |= VD_BIT(VD_F_RING_RESET);
	open_suspendable();
	assert_int_equal(vd_vdev_suspend(&device.vdev), 0);
	fake_forget();
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 0, NULL), -VD_EBUSY);
	fake_expect("");
	vd_bus_remove_device(&bus, &device.vdev);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(a_machine_sleeps_and_wakes),
		TEST(a_driver_may_be_ready_in_restore),
		TEST(a_driver_that_can_not_sleep_says_so),
		TEST(a_device_without_a_driver_just_sleeps),
		TEST(a_device_that_had_been_given_up_on_stays_so),
		TEST(a_restore_that_fails_leaves_a_failed_device),
		TEST(a_change_while_asleep_is_told_after_waking),
		TEST(a_device_is_suspended_and_resumed),
		TEST(suspend_needs_the_feature_and_a_running_device),
		TEST(suspension_may_take_its_time),
		TEST(suspension_is_not_waited_for_for_ever),
		TEST(a_device_that_can_not_asks_to_be_reset),
		TEST(a_driver_that_fails_to_freeze_goes_on),
		TEST(a_restore_can_be_tried_again),
		TEST(a_suspended_device_is_left_alone),
		TEST(a_reset_ends_a_suspension),
		TEST(a_queue_is_not_reset_while_suspended),
	};

	return cmocka_run_group_tests_name("vdev_power", tests, NULL, NULL);
}
