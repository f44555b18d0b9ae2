/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio bus: which driver gets which device, and what is left when it does not want it. */
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define READY                                                                                      \
	(VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK | VD_STATUS_DRIVER_OK)

static struct vd_bus bus;
static struct fake device[4];
static struct fake_driver driver[4];

static int set_up(void **state)
{
	static const char *const names[4] = {"A", "B", "C", "D"};

	(void)state;
	vd_bus_init(&bus);
	for (unsigned i = 0; i < 4; i++) {
		fake_init(&device[i]);
		/* Short words in the log. */
		device[i].offered = VERSION_1;
		fake_driver_init(&driver[i], names[i]);
	}
	fake_forget();
	return 0;
}

static void add_device(unsigned n)
{
	assert_int_equal(vd_bus_add_device(&bus, &device[n].vdev), 0);
}

static void add_driver(unsigned n)
{
	assert_int_equal(vd_bus_add_driver(&bus, &driver[n].driver), 0);
}

static void expect_bound(unsigned dev, const struct fake_driver *drv)
{
	assert_ptr_equal(device[dev].vdev.driver, drv);
	assert_int_equal(device[dev].status, drv != NULL ? READY : VD_STATUS_ACKNOWLEDGE);
}

/* ---- matching ---- */

static void id_tables_match_ids_vendors_and_any(void **state)
{
	static const struct vd_device_id one[] = {{7, 0x11}, {0, 0}};
	static const struct vd_device_id any_vendor[] = {{7, VD_ID_ANY}, {0, 0}};
	static const struct vd_device_id any_device[] = {{VD_ID_ANY, 0x11}, {0, 0}};
	static const struct vd_device_id any[] = {{VD_ID_ANY, VD_ID_ANY}, {0, 0}};
	static const struct vd_device_id several[] = {{3, VD_ID_ANY}, {7, 0x22}, {7, 0x11}, {0, 0}};
	static const struct vd_device_id none[] = {{0, 0}, {7, 0x11}};

	(void)state;
	assert_true(vd_id_match(one, 7, 0x11));
	assert_false(vd_id_match(one, 7, 0x12));
	assert_false(vd_id_match(one, 8, 0x11));
	assert_true(vd_id_match(any_vendor, 7, 0x12));
	assert_false(vd_id_match(any_vendor, 8, 0x12));
	assert_true(vd_id_match(any_device, 8, 0x11));
	assert_false(vd_id_match(any_device, 8, 0x12));
	assert_true(vd_id_match(any, 1, 2));
	assert_true(vd_id_match(several, 7, 0x11));
	assert_true(vd_id_match(several, 3, 0x99));
	assert_false(vd_id_match(several, 7, 0x33));
	assert_false(vd_id_match(none, 7, 0x11));
}

static void it_does_not_matter_who_comes_first(void **state)
{
	(void)state;
	add_device(0);
	expect_bound(0, NULL);
	add_driver(0);
	expect_bound(0, &driver[0]);
	add_device(1);
	expect_bound(1, &driver[0]);
}

static void the_first_driver_that_takes_it_gets_it(void **state)
{
	(void)state;
	driver[0].probe_err = -VD_EIO;
	add_driver(0);
	add_driver(1);
	add_driver(2);
	add_device(0);
	expect_bound(0, &driver[1]);
	assert_non_null(strstr(fake_log, "probe:A:virtio0"));
	assert_null(strstr(fake_log, "probe:C"));
}

static void a_device_nobody_wants_waits(void **state)
{
	static const struct vd_device_id other[] = {{43, VD_ID_ANY}, {0, 0}};

	(void)state;
	driver[0].driver.ids = other;
	add_driver(0);
	add_device(0);
	fake_expect("reset S:1");
	expect_bound(0, NULL);
	assert_int_equal(vd_bus_bind(&device[0].vdev), -VD_ENODEV);
	fake_expect("");
}

static void a_driver_gets_all_its_devices(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add_device(i);
	device[2].vdev.device_id = 99;
	add_driver(0);
	expect_bound(0, &driver[0]);
	expect_bound(1, &driver[0]);
	expect_bound(2, NULL);
	expect_bound(3, &driver[0]);
	/* A second one finds none left. */
	fake_forget();
	add_driver(1);
	fake_expect("");
}

static void a_driver_must_be_whole_and_its_name_unique(void **state)
{
	struct fake_driver bad;

	(void)state;
	add_driver(0);
#define REFUSES(change, err)                                                                       \
	do {                                                                                       \
		fake_driver_init(&bad, "bad");                                                     \
		change;                                                                            \
		assert_int_equal(vd_bus_add_driver(&bus, &bad.driver), err);                       \
	} while (0)
	REFUSES(bad.driver.name = NULL, -VD_EINVAL);
	REFUSES(bad.driver.ids = NULL, -VD_EINVAL);
	REFUSES(bad.driver.probe = NULL, -VD_EINVAL);
	REFUSES(bad.driver.remove = NULL, -VD_EINVAL);
	REFUSES(bad.driver.name = "A", -VD_EBUSY);
#undef REFUSES
	assert_int_equal(vd_bus_add_driver(&bus, &driver[0].driver), -VD_EBUSY);
	vd_bus_remove_driver(&bus, &driver[0].driver);
	add_driver(0);
}

/* ---- names ---- */

static void indexes_are_the_lowest_that_are_free(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add_device(i);
	assert_string_equal(device[2].vdev.name, "virtio2");
	vd_bus_remove_device(&bus, &device[1].vdev);
	add_device(3);
	assert_int_equal(device[3].vdev.index, 1);
	assert_string_equal(device[3].vdev.name, "virtio1");
	vd_bus_remove_device(&bus, &device[0].vdev);
	add_device(1);
	assert_string_equal(device[1].vdev.name, "virtio0");
	add_device(0);
	assert_string_equal(device[0].vdev.name, "virtio3");
}

static void large_indexes_have_names_too(void **state)
{
	static struct fake many[120];
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		fake_init(&many[i]);
		fake_forget();
		assert_int_equal(vd_bus_add_device(&bus, &many[i].vdev), 0);
		snprintf(name, sizeof(name), "virtio%u", i);
		assert_string_equal(many[i].vdev.name, name);
	}
}

/* ---- the steps ---- */

static void initialization_takes_the_prescribed_steps(void **state)
{
	(void)state;
	driver[0].n_queues = 1;
	add_driver(0);
	add_device(0);
	/* 3.1.1: reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues, DRIVER_OK. */
	fake_expect("reset S:1 S:3 F:100000000 validate:A:virtio0 S:b probe:A:virtio0 enable:0 S:f "
		    "scan:A:virtio0");
}

static void a_driver_may_be_ready_sooner(void **state)
{
	(void)state;
	driver[0].readies = true;
	add_driver(0);
	add_device(0);
	expect_bound(0, &driver[0]);
	assert_non_null(strstr(fake_log, "probe:A:virtio0 S:f scan:A:virtio0"));
	assert_null(strstr(fake_log, "S:f S:f"));
}

static void optional_parts_of_a_driver_can_be_left_out(void **state)
{
	(void)state;
	driver[0].driver.validate = NULL;
	driver[0].driver.scan = NULL;
	driver[0].driver.config_changed = NULL;
	add_driver(0);
	add_device(0);
	expect_bound(0, &driver[0]);
	vd_vdev_config_changed(&device[0].vdev);
	vd_bus_remove_device(&bus, &device[0].vdev);
	fake_expect_clean(&device[0]);
}

static void a_device_that_can_not_be_reset_is_not_added(void **state)
{
	(void)state;
	device[0].reset_err = -VD_ETIMEDOUT;
	add_driver(0);
	assert_int_equal(vd_bus_add_device(&bus, &device[0].vdev), -VD_ETIMEDOUT);
	fake_expect("reset S:80");
	assert_null(bus.devices);
	add_device(1);
	assert_int_equal(device[1].vdev.index, 0);
}

/* ---- probing that fails ---- */

static void break_validate(void)
{
	driver[0].validate_err = -VD_ENODEV;
}

static void break_features(void)
{
	device[0].features_err = -VD_EIO;
}

static void break_features_ok(void)
{
	device[0].refused = VERSION_1;
}

static void break_enable_first(void)
{
	device[0].enable_err = -VD_EIO;
}

static void break_enable_last(void)
{
	device[0].enable_err = -VD_EIO;
	device[0].enable_err_at = 2;
}

static void break_queue_count(void)
{
	device[0].size_max[2] = 0;
}

static void break_probe(void)
{
	driver[0].probe_err = -VD_ENOMEM;
}

static void mend(void)
{
	driver[0].validate_err = driver[0].probe_err = 0;
	device[0].features_err = device[0].enable_err = 0;
	device[0].refused = 0;
	device[0].size_max[2] = 16;
}

static void a_probe_that_fails_leaves_nothing_behind(void **state)
{
	static const struct {
		void (*break_it)(void);
		int err;
	} steps[] = {
		{break_validate, -VD_ENODEV},    {break_features, -VD_EIO},
		{break_features_ok, -VD_ENODEV}, {break_enable_first, -VD_EIO},
		{break_enable_last, -VD_EIO},    {break_queue_count, -VD_ENOENT},
		{break_probe, -VD_ENOMEM},
	};

	(void)state;
	driver[0].n_queues = 3;
	add_driver(0);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		steps[i].break_it();
		add_device(0);
		assert_null(device[0].vdev.driver);
		assert_true(device[0].status & VD_STATUS_FAILED);
		assert_true(device[0].vdev.failed);
		fake_expect_clean(&device[0]);
		assert_null(strstr(fake_log, "scan"));
		/* As long as it fails it says why; after that, the device is reset and bound. */
		assert_int_equal(vd_bus_bind(&device[0].vdev), steps[i].err);
		mend();
		fake_forget();
		assert_int_equal(vd_bus_bind(&device[0].vdev), 0);
		assert_memory_equal(fake_log, "reset S:1 S:3", 13);
		expect_bound(0, &driver[0]);
		assert_false(device[0].vdev.failed);
		vd_bus_remove_device(&bus, &device[0].vdev);
		fake_expect_clean(&device[0]);
		fake_forget();
	}
}

static void refused_features_are_named(void **state)
{
	(void)state;
	break_features_ok();
	add_driver(0);
	add_device(0);
	rig_expect_fault(&device[0].vdev.fault, VD_FAULT_FEATURES_REFUSED, VERSION_1, 0, 0);
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	driver[0].n_queues = 3;
	for (unsigned i = 0; i < 3; i++)
		driver[0].requests[i].table_entries = 4;
	device[0].offered = VIRTIO_RIG_FEATURES;
	add_driver(0);
	for (unsigned shared = 0; shared < 2; shared++)
		for (unsigned at = 1; at <= 3; at++) {
			struct fake_alloc *alloc = shared ? &device[0].shared : &device[0].local;

			alloc->calls = 0;
			alloc->fail_at = at;
			add_device(0);
			assert_null(device[0].vdev.driver);
			fake_expect_clean(&device[0]);
			assert_int_equal(vd_bus_bind(&device[0].vdev), 0);
			assert_int_equal(device[0].vdev.n_queues, 3);
			vd_bus_remove_device(&bus, &device[0].vdev);
			fake_expect_clean(&device[0]);
			fake_forget();
		}
}

static void a_device_that_failed_and_can_not_be_reset_stays_failed(void **state)
{
	(void)state;
	break_probe();
	add_driver(0);
	add_device(0);
	mend();
	device[0].reset_err = -VD_ENODEV;
	assert_int_equal(vd_bus_bind(&device[0].vdev), -VD_ENODEV);
	assert_true(device[0].vdev.failed);
	assert_null(device[0].vdev.driver);
	device[0].reset_err = 0;
	assert_int_equal(vd_bus_bind(&device[0].vdev), 0);
}

/* ---- leaving ---- */

static void a_driver_that_leaves_gives_its_devices_back(void **state)
{
	(void)state;
	driver[0].n_queues = 2;
	add_driver(0);
	add_device(0);
	add_device(1);
	fake_forget();
	vd_bus_remove_driver(&bus, &driver[0].driver);
	fake_expect("remove:A:virtio0 reset disable:1 disable:0 reset S:1 "
		    "remove:A:virtio1 reset disable:1 disable:0 reset S:1");
	for (unsigned i = 0; i < 2; i++) {
		expect_bound(i, NULL);
		fake_expect_clean(&device[i]);
		assert_int_equal(device[i].vdev.features, 0);
	}
	/* They are there for the next one. */
	add_driver(1);
	expect_bound(0, &driver[1]);
	expect_bound(1, &driver[1]);
}

static void a_device_that_leaves_is_taken_from_its_driver(void **state)
{
	(void)state;
	driver[0].n_queues = 1;
	add_driver(0);
	add_device(0);
	add_device(1);
	fake_forget();
	vd_bus_remove_device(&bus, &device[0].vdev);
	assert_memory_equal(fake_log, "remove:A:virtio0", 16);
	fake_expect_clean(&device[0]);
	assert_null(device[0].vdev.bus);
	assert_null(device[0].vdev.driver);
	assert_ptr_equal(bus.devices, &device[1].vdev);
	expect_bound(1, &driver[0]);
	vd_bus_remove_driver(&bus, &driver[0].driver);
	assert_null(strstr(fake_log, "remove:A:virtio0 remove:A:virtio0"));
}

static void a_driver_can_be_taken_off_and_put_on(void **state)
{
	(void)state;
	add_driver(0);
	add_device(0);
	vd_bus_unbind(&device[0].vdev);
	expect_bound(0, NULL);
	fake_forget();
	vd_bus_unbind(&device[0].vdev);
	fake_expect("");
	assert_int_equal(vd_bus_bind(&device[0].vdev), 0);
	expect_bound(0, &driver[0]);
	/* It was reset when it was taken off. */
	assert_memory_equal(fake_log, "S:3", 3);
}

static void a_device_that_does_not_reset_when_taken_off_is_reset_before_use(void **state)
{
	(void)state;
	add_driver(0);
	add_device(0);
	device[0].reset_err = -VD_ETIMEDOUT;
	vd_bus_unbind(&device[0].vdev);
	assert_true(device[0].vdev.failed);
	assert_int_equal(vd_bus_bind(&device[0].vdev), -VD_ETIMEDOUT);
	device[0].reset_err = 0;
	assert_int_equal(vd_bus_bind(&device[0].vdev), 0);
	expect_bound(0, &driver[0]);
}

/* ---- events ---- */

static char events[1024];

static void event(struct vd_bus *self, const struct vd_vdev *vdev, const char *what, int err)
{
	size_t used = strlen(events);

	assert_ptr_equal(self, &bus);
	snprintf(events + used, sizeof(events) - used, "%s %s %d; ", vdev->name, what, err);
}

static void people_can_be_told(void **state)
{
	(void)state;
	events[0] = '\0';
	bus.event = event;
	add_driver(0);
	add_device(0);
	break_probe();
	driver[0].probe_err = -VD_ENOMEM;
	add_device(1);
	vd_bus_unbind(&device[0].vdev);
	vd_bus_remove_device(&bus, &device[0].vdev);
	assert_string_equal(events, "virtio0 added 0; virtio0 bound 0; virtio1 added 0; "
				    "virtio1 probe failed -12; virtio0 unbound 0; "
				    "virtio0 removed 0; ");
}

/* ---- changes of configuration, and devices that need a reset ---- */

static void change_in_probe(struct fake_driver *self, struct vd_vdev *vdev, const char *word)
{
	(void)self;
	if (strcmp(word, "probe") == 0 || strcmp(word, "scan") == 0)
		vd_vdev_config_changed(vdev);
}

static void a_change_during_probe_is_told_after_it(void **state)
{
	(void)state;
	driver[0].hook = change_in_probe;
	add_driver(0);
	add_device(0);
	assert_non_null(strstr(fake_log, "scan:A:virtio0 config:A:virtio0"));
	/* Once is enough. */
	assert_null(strstr(strstr(fake_log, "config") + 1, "config"));
	fake_forget();
	vd_vdev_config_changed(&device[0].vdev);
	fake_expect("config:A:virtio0");
	vd_bus_unbind(&device[0].vdev);
	fake_forget();
	vd_vdev_config_changed(&device[0].vdev);
	fake_expect("");
}

static void needs_reset(unsigned n)
{
	device[n].status |= VD_STATUS_NEEDS_RESET;
	vd_vdev_config_changed(&device[n].vdev);
}

static void a_device_that_needs_a_reset_breaks_its_queues(void **state)
{
	struct vd_used used;

	(void)state;
	driver[0].n_queues = 2;
	add_driver(0);
	add_device(0);
	fake_forget();
	assert_int_equal(vd_vq_drv_get(&device[0].queues[1].vq, &used), 0);
	needs_reset(0);
	fake_expect("config:A:virtio0");
	rig_expect_fault(&device[0].vdev.fault, VD_FAULT_NEEDS_RESET, READY | VD_STATUS_NEEDS_RESET,
			 0, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vd_vq_drv_get(&device[0].queues[i].vq, &used), -VD_EPROTO);
	assert_int_equal(vd_vdev_recover(&device[0].vdev), 0);
	expect_bound(0, &driver[0]);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vd_vq_drv_get(&device[0].queues[i].vq, &used), 0);
	vd_bus_remove_device(&bus, &device[0].vdev);
	fake_expect_clean(&device[0]);
}

static void recover_on_config(struct fake_driver *self, struct vd_vdev *vdev, const char *word)
{
	(void)self;
	if (strcmp(word, "config") == 0)
		assert_int_equal(vd_vdev_recover(vdev), 0);
}

static void a_driver_may_recover_from_its_callback(void **state)
{
	(void)state;
	driver[0].n_queues = 1;
	driver[0].hook = recover_on_config;
	add_driver(0);
	add_device(0);
	needs_reset(0);
	expect_bound(0, &driver[0]);
	assert_int_equal(device[0].vdev.n_queues, 1);
	vd_bus_remove_device(&bus, &device[0].vdev);
	fake_expect_clean(&device[0]);
}

/* ---- notifications ---- */

static void notifications_reach_the_queue_they_are_for(void **state)
{
	(void)state;
	driver[0].n_queues = 3;
	driver[0].requests[1].callback = NULL;
	add_driver(0);
	add_device(0);
	fake_forget();
	vd_vdev_queue_notified(&device[0].vdev, 2);
	assert_int_equal(driver[0].n_callbacks, 1);
	vd_vdev_queue_notified(&device[0].vdev, 1);
	vd_vdev_queue_notified(&device[0].vdev, 3);
	vd_vdev_queue_notified(&device[0].vdev, UINT16_MAX);
	assert_int_equal(driver[0].n_callbacks, 1);
	vd_vdev_all_notified(&device[0].vdev);
	assert_int_equal(driver[0].n_callbacks, 3);
}

static void unbind_when_used(struct fake_driver *self, struct vd_vdev *vdev, const char *word)
{
	(void)self;
	if (strcmp(word, "used") == 0)
		vd_bus_unbind(vdev);
}

static void a_callback_may_take_the_driver_off(void **state)
{
	(void)state;
	driver[0].n_queues = 3;
	driver[0].hook = unbind_when_used;
	add_driver(0);
	add_device(0);
	vd_vdev_all_notified(&device[0].vdev);
	assert_int_equal(driver[0].n_callbacks, 1);
	expect_bound(0, NULL);
	fake_expect_clean(&device[0]);
	/* What was on its way already. */
	vd_vdev_all_notified(&device[0].vdev);
}

static void a_notification_that_comes_too_late_finds_no_queue(void **state)
{
	(void)state;
	driver[0].n_queues = 3;
	add_driver(0);
	vd_vdev_queue_notified(&device[0].vdev, 1);
	add_device(0);
	vd_bus_unbind(&device[0].vdev);
	vd_vdev_queue_notified(&device[0].vdev, 1);
	assert_int_equal(driver[0].n_callbacks, 0);
}

/* A device may ask for a reset while nobody has it. */
static void a_device_that_needs_a_reset_is_reset_before_it_is_bound(void **state)
{
	(void)state;
	add_device(0);
	needs_reset(0);
	fake_forget();
	add_driver(0);
	assert_memory_equal(fake_log, "reset S:1 S:3", 13);
	expect_bound(0, &driver[0]);
	/* Of what it said before it was reset nothing is passed on. */
	assert_null(strstr(fake_log, "config"));
	vd_bus_unbind(&device[0].vdev);
	needs_reset(0);
	assert_int_equal(vd_vdev_recover(&device[0].vdev), 0);
	expect_bound(0, &driver[0]);
}

static void a_device_that_is_bound_is_not_bound_again(void **state)
{
	(void)state;
	add_driver(0);
	add_driver(1);
	add_device(0);
	fake_forget();
	assert_int_equal(vd_bus_bind(&device[0].vdev), -VD_EBUSY);
	fake_expect("");
	expect_bound(0, &driver[0]);
}

static void features_of_a_driver_that_failed_are_forgotten(void **state)
{
	(void)state;
	break_probe();
	add_driver(0);
	add_device(0);
	assert_int_equal(device[0].vdev.features, 0);
}

static void a_driver_that_names_impossible_features_is_refused(void **state)
{
	static const uint8_t bad[] = {1, 64};

	(void)state;
	driver[0].driver.features = bad;
	driver[0].driver.n_features = 2;
	assert_int_equal(vd_bus_add_driver(&bus, &driver[0].driver), -VD_EINVAL);
	driver[1].driver.legacy_features = bad;
	driver[1].driver.n_legacy_features = 2;
	assert_int_equal(vd_bus_add_driver(&bus, &driver[1].driver), -VD_EINVAL);
	driver[2].driver.features = NULL;
	assert_int_equal(vd_bus_add_driver(&bus, &driver[2].driver), -VD_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(id_tables_match_ids_vendors_and_any),
		TEST(it_does_not_matter_who_comes_first),
		TEST(the_first_driver_that_takes_it_gets_it),
		TEST(a_device_nobody_wants_waits),
		TEST(a_driver_gets_all_its_devices),
		TEST(a_driver_must_be_whole_and_its_name_unique),
		TEST(indexes_are_the_lowest_that_are_free),
		TEST(large_indexes_have_names_too),
		TEST(initialization_takes_the_prescribed_steps),
		TEST(a_driver_may_be_ready_sooner),
		TEST(optional_parts_of_a_driver_can_be_left_out),
		TEST(a_device_that_can_not_be_reset_is_not_added),
		TEST(a_probe_that_fails_leaves_nothing_behind),
		TEST(refused_features_are_named),
		TEST(every_allocation_may_fail),
		TEST(a_device_that_failed_and_can_not_be_reset_stays_failed),
		TEST(a_driver_that_leaves_gives_its_devices_back),
		TEST(a_device_that_leaves_is_taken_from_its_driver),
		TEST(a_driver_can_be_taken_off_and_put_on),
		TEST(a_device_that_does_not_reset_when_taken_off_is_reset_before_use),
		TEST(people_can_be_told),
		TEST(a_change_during_probe_is_told_after_it),
		TEST(a_device_that_needs_a_reset_breaks_its_queues),
		TEST(a_driver_may_recover_from_its_callback),
		TEST(notifications_reach_the_queue_they_are_for),
		TEST(a_callback_may_take_the_driver_off),
		TEST(a_notification_that_comes_too_late_finds_no_queue),
		TEST(a_device_that_needs_a_reset_is_reset_before_it_is_bound),
		TEST(a_device_that_is_bound_is_not_bound_again),
		TEST(features_of_a_driver_that_failed_are_forgotten),
		TEST(a_driver_that_names_impossible_features_is_refused),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
