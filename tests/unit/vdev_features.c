/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role: what it accepts of what it is offered. VIRTIO 1.4, 2.2, 3.1.1 and 6. */
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define A         VD_BIT(VIRTIO_RIG_F_A)
#define B         VD_BIT(VIRTIO_RIG_F_B)
#define C         VD_BIT(VIRTIO_RIG_F_C)
#define OPT       VD_BIT(VIRTIO_RIG_F_OPT)

/* What this library's driver role can live with. */
#define COMMON                                                                                     \
	(VD_DEVICE_RING_FEATURES | VD_BIT(VD_F_SUSPEND) | VD_BIT(VD_F_ACCESS_PLATFORM) |           \
	 VD_BIT(VD_F_ORDER_PLATFORM))

static struct vd_bus bus;
static struct fake device;
static struct fake_driver driver;

static int set_up(void **state)
{
	(void)state;
	vd_bus_init(&bus);
	fake_init(&device);
	fake_driver_init(&driver, "A");
	fake_forget();
	return 0;
}

static void expect_accepted(uint64_t offered, uint64_t accepted)
{
	device.offered = offered;
	fake_forget();
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	assert_non_null(device.vdev.driver);
	assert_int_equal(device.accepted, accepted);
	assert_int_equal(device.vdev.features, accepted);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_true(vd_vdev_has(&device.vdev, bit) == ((accepted & VD_BIT(bit)) != 0));
	vd_bus_remove_device(&bus, &device.vdev);
	vd_bus_remove_driver(&bus, &driver.driver);
}

static void all_that_both_know_is_accepted(void **state)
{
	(void)state;
	expect_accepted(VIRTIO_RIG_FEATURES, VIRTIO_RIG_FEATURES);
	expect_accepted(VERSION_1, VERSION_1);
	expect_accepted(COMMON, COMMON);
}

static void bits_that_somebody_does_not_know_are_ignored(void **state)
{
	static const uint8_t only_opt[] = {VIRTIO_RIG_F_OPT};

	(void)state;
	expect_accepted(UINT64_MAX, COMMON | A | B | C | OPT);
	driver.driver.features = only_opt;
	driver.driver.n_features = 1;
	expect_accepted(UINT64_MAX, COMMON | OPT);
	driver.driver.n_features = 0;
	expect_accepted(UINT64_MAX, COMMON);
}

static void what_lacks_its_prerequisite_is_not_accepted(void **state)
{
	static const uint8_t b_and_c[] = {VIRTIO_RIG_F_B, VIRTIO_RIG_F_C};

	(void)state;
	expect_accepted(VERSION_1 | B | C, VERSION_1);
	expect_accepted(VERSION_1 | A | C, VERSION_1 | A);
	driver.driver.features = b_and_c;
	driver.driver.n_features = 2;
	expect_accepted(VERSION_1 | A | B | C, VERSION_1);
}

static void a_driver_can_not_ask_for_common_bits(void **state)
{
	static const uint8_t greedy[] = {VD_F_SR_IOV, VD_F_ADMIN_VQ, VD_F_NOTIF_CONFIG_DATA, 30,
					 44};

	(void)state;
	driver.driver.features = greedy;
	driver.driver.n_features = sizeof(greedy);
	expect_accepted(UINT64_MAX, COMMON);
}

static void what_the_transport_does_not_carry_is_not_accepted(void **state)
{
	(void)state;
	device.vdev.transport_features = VERSION_1 | VD_BIT(VD_F_EVENT_IDX);
	expect_accepted(UINT64_MAX, VERSION_1 | VD_BIT(VD_F_EVENT_IDX) | A | B | C | OPT);
}

static void packed_rings_are_accepted_only_if_linked(void **state)
{
	(void)state;
	device.vdev.packed = NULL;
	expect_accepted(COMMON, COMMON & ~VD_BIT(VD_F_RING_PACKED));
}

static void a_device_without_version_1_is_a_legacy_one(void **state)
{
	static const uint8_t legacy[] = {VIRTIO_RIG_F_OPT};

	(void)state;
	/* Without a table of its own for them, the driver's other one serves. */
	expect_accepted(UINT64_MAX & ~VERSION_1,
			VD_BIT(VD_F_INDIRECT_DESC) | VD_BIT(VD_F_EVENT_IDX) | A | B | C | OPT);
	assert_null(strstr(fake_log, "S:b"));
	driver.driver.legacy_features = legacy;
	driver.driver.n_legacy_features = 1;
	expect_accepted(UINT64_MAX & ~VERSION_1,
			VD_BIT(VD_F_INDIRECT_DESC) | VD_BIT(VD_F_EVENT_IDX) | OPT);
	driver.driver.n_legacy_features = 0;
	expect_accepted(A | OPT, 0);
	/* It is for legacy devices only. */
	expect_accepted(VERSION_1 | A | OPT, VERSION_1 | A | OPT);
}

static void validate_may_take_features_away(void **state)
{
	(void)state;
	driver.clears = OPT;
	expect_accepted(VERSION_1 | A | OPT, VERSION_1 | A);
	/* And what needs them goes, too. */
	driver.clears = A;
	expect_accepted(VERSION_1 | A | B | C | OPT, VERSION_1 | OPT);
}

static void a_device_of_unknown_type_has_the_drivers_features(void **state)
{
	(void)state;
	device.vdev.type = NULL;
	expect_accepted(UINT64_MAX, COMMON | A | B | C | OPT);
}

static void a_refusal_ends_the_probe(void **state)
{
	(void)state;
	device.refused = A;
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	assert_null(device.vdev.driver);
	assert_true(device.status & VD_STATUS_FAILED);
	assert_false(device.status & VD_STATUS_DRIVER_OK);
	assert_null(strstr(fake_log, "probe"));
	/* A driver that does without falls back. */
	driver.clears = A;
	assert_int_equal(vd_bus_bind(&device.vdev), 0);
	assert_int_equal(device.accepted & A, 0);
}

/* What configuration space looks like may depend on what was accepted, its byte order for one. */
static void the_device_knows_the_features_when_validate_looks_at_it(void **state)
{
	(void)state;
	expect_accepted(VERSION_1, VERSION_1);
	assert_non_null(strstr(fake_log, "S:3 F:100000000 validate:A:virtio0 S:b probe"));
	driver.clears = A;
	expect_accepted(VERSION_1 | A, VERSION_1);
	assert_non_null(strstr(fake_log, "S:3 F:100000001 validate:A:virtio0 F:100000000 S:b "
					 "probe"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(all_that_both_know_is_accepted),
		TEST(bits_that_somebody_does_not_know_are_ignored),
		TEST(what_lacks_its_prerequisite_is_not_accepted),
		TEST(a_driver_can_not_ask_for_common_bits),
		TEST(what_the_transport_does_not_carry_is_not_accepted),
		TEST(packed_rings_are_accepted_only_if_linked),
		TEST(a_device_without_version_1_is_a_legacy_one),
		TEST(validate_may_take_features_away),
		TEST(a_device_of_unknown_type_has_the_drivers_features),
		TEST(a_refusal_ends_the_probe),
		TEST(the_device_knows_the_features_when_validate_looks_at_it),
	};

	return cmocka_run_group_tests_name("vdev_features", tests, NULL, NULL);
}
