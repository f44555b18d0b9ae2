/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role: configuration space, field by field. VIRTIO 1.4, 2.5. */
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)

static struct vd_bus bus;
static struct fake device;
static struct fake_driver driver;

static const struct vd_config_field *field(enum virtio_rig_field n)
{
	return &virtio_rig_type.fields[n];
}

static void open_device(void)
{
	vd_bus_init(&bus);
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	assert_non_null(device.vdev.driver);
	for (unsigned i = 0; i < sizeof(device.space); i++)
		device.space[i] = (unsigned char)(0x10 + i);
	fake_forget();
}

static int set_up(void **state)
{
	(void)state;
	fake_init(&device);
	fake_driver_init(&driver, "A");
	return 0;
}

static void expect_read(enum virtio_rig_field n, uint16_t element, uint64_t want)
{
	uint64_t value = 0;

	assert_int_equal(vd_vdev_config_get(&device.vdev, field(n), element, &value), 0);
	assert_int_equal(value, want);
}

static void fields_are_read_in_their_width(void **state)
{
	(void)state;
	open_device();
	expect_read(VIRTIO_RIG_VERSION, 0, 0x10);
	expect_read(VIRTIO_RIG_PORT, 0, 0x1312);
	expect_read(VIRTIO_RIG_WORDS, 0, 0x17161514);
	expect_read(VIRTIO_RIG_WORDS, 2, 0x1f1e1d1c);
	expect_read(VIRTIO_RIG_MAC, 5, 0x2d);
	assert_int_equal(device.n_reads, 5);
	expect_read(VIRTIO_RIG_WIDE, 0, 0x2726252423222120);
	/* Nothing wider than 32 bits in one piece. */
	assert_int_equal(device.n_reads, 7);
}

static void a_big_endian_legacy_device_is_read_so(void **state)
{
	unsigned char mac[6];

	(void)state;
	device.vdev.big_endian = true;
	device.offered &= ~VERSION_1;
	open_device();
	expect_read(VIRTIO_RIG_PORT, 0, 0x1213);
	expect_read(VIRTIO_RIG_WORDS, 1, 0x18191a1b);
	expect_read(VIRTIO_RIG_WIDE, 0, 0x2021222324252627);
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), mac, 6), 0);
	assert_memory_equal(mac, device.space + 24, 6);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_PORT), 0, 0xa1b2), 0);
	assert_memory_equal(device.space + 2, "\xa1\xb2", 2);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_WIDE), 0,
					    UINT64_C(0x0102030405060708)),
			 0);
	assert_memory_equal(device.space + 16, "\1\2\3\4\5\6\7\10", 8);
}

static void a_big_endian_machine_reads_a_modern_device_little_endian(void **state)
{
	(void)state;
	device.vdev.big_endian = true;
	open_device();
	expect_read(VIRTIO_RIG_PORT, 0, 0x1312);
}

static void elements_outside_do_not_exist(void **state)
{
	uint64_t value = 7;
	unsigned char bytes[8];

	(void)state;
	open_device();
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_PORT), 1, &value),
			 -VD_ENOENT);
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_WORDS), 3, &value),
			 -VD_ENOENT);
	assert_int_equal(
		vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_WORDS), UINT16_MAX, &value),
		-VD_ENOENT);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_WORDS), 3, 1),
			 -VD_ENOENT);
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), bytes, 7),
			 -VD_ENOENT);
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), bytes, 0),
			 -VD_ENOENT);
	assert_int_equal(
		vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), bytes, UINT32_MAX),
		-VD_ENOENT);
	/* Bytes are for fields of bytes. */
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_WORDS), bytes, 2),
			 -VD_ENOENT);
	assert_int_equal(value, 7);
	assert_int_equal(device.n_reads, 0);
}

static void a_field_exists_if_its_feature_is_offered(void **state)
{
	static const uint8_t none[] = {VIRTIO_RIG_F_A};
	uint64_t value;

	(void)state;
	/* Whether or not it was accepted (2.5.1). */
	driver.driver.features = none;
	driver.driver.n_features = 1;
	open_device();
	assert_false(vd_vdev_has(&device.vdev, VIRTIO_RIG_F_OPT));
	expect_read(VIRTIO_RIG_OPT, 0, 0x2f2e);
	device.offered &= ~VD_BIT(VIRTIO_RIG_F_OPT);
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_OPT), 0, &value),
			 -VD_ENOENT);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_OPT), 0, 1), -VD_ENOENT);
}

static void only_writable_fields_are_written(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_VERSION), 0, 1),
			 -VD_EACCES);
	fake_expect("");
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_PORT), 0, 0xa1b2), 0);
	fake_expect("w:2+2");
	assert_memory_equal(device.space + 2, "\xb2\xa1", 2);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_WORDS), 1, 0xdeadbeef),
			 0);
	fake_expect("w:8+4");
	assert_memory_equal(device.space + 8, "\xef\xbe\xad\xde", 4);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_WIDE), 0,
					    UINT64_C(0x0102030405060708)),
			 0);
	fake_expect("w:16+4 w:20+4");
	assert_memory_equal(device.space + 16, "\10\7\6\5\4\3\2\1", 8);
}

/* ---- values that change while they are read ---- */

static unsigned changes;

/* Between the halves of the first few looks. */
static void change(struct fake *self)
{
	if (changes == 0 || self->n_reads % 2 == 1)
		return;
	changes--;
	self->generation++;
	for (unsigned i = 0; i < 8; i++)
		self->space[16 + i]++;
}

static void a_value_that_changes_meanwhile_is_read_again(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 99; n += 7) {
		open_device();
		device.n_reads = 0;
		device.on_read = change;
		changes = n;
		expect_read(VIRTIO_RIG_WIDE, 0,
			    UINT64_C(0x2726252423222120) + n * UINT64_C(0x0101010101010101));
		assert_int_equal(device.n_reads, 2 * (n + 1));
		vd_bus_remove_device(&bus, &device.vdev);
	}
}

static void a_value_that_keeps_changing_is_given_up_on(void **state)
{
	uint64_t value = 5;

	(void)state;
	open_device();
	device.on_read = change;
	changes = UINT32_MAX;
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_WIDE), 0, &value),
			 -VD_EAGAIN);
	assert_int_equal(value, 5);
}

static void change_mac(struct fake *self)
{
	if (changes == 0 || self->n_reads != 3)
		return;
	changes--;
	self->generation++;
	memset(self->space + 24, 'z', 6);
}

static void bytes_belong_together(void **state)
{
	unsigned char mac[6];

	(void)state;
	open_device();
	device.on_read = change_mac;
	changes = 1;
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), mac, 6), 0);
	assert_memory_equal(mac, "zzzzzz", 6);
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), mac, 1), 0);
}

/* ---- a transport that fails ---- */

static int fail_read(struct vd_vdev *vdev, uint32_t offset, void *bytes, uint32_t len)
{
	(void)vdev;
	(void)offset;
	memset(bytes, 0xff, len);
	return -VD_ENODEV;
}

static int fail_write(struct vd_vdev *vdev, uint32_t offset, const void *bytes, uint32_t len)
{
	(void)bytes;
	(void)len;
	fake_of(vdev)->n_reads++;
	return offset == 16 ? -VD_ENODEV : 0;
}

static void errors_of_the_transport_are_passed_on(void **state)
{
	uint64_t value = 5;
	unsigned char mac[6];

	(void)state;
	open_device();
	device.ops.config_read = fail_read;
	device.ops.config_write = fail_write;
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_PORT), 0, &value),
			 -VD_ENODEV);
	assert_int_equal(value, 5);
	assert_int_equal(vd_vdev_config_get_bytes(&device.vdev, field(VIRTIO_RIG_MAC), mac, 6),
			 -VD_ENODEV);
	assert_int_equal(vd_vdev_config_set(&device.vdev, field(VIRTIO_RIG_WIDE), 0, 1),
			 -VD_ENODEV);
	/* The second half is not tried. */
	assert_int_equal(device.n_reads, 1);
}

/* Legacy devices have no generation: read until two looks agree (2.5.4). */
static void without_generations_two_looks_must_agree(void **state)
{
	uint64_t value;

	(void)state;
	device.ops.config_generation = NULL;
	open_device();
	device.on_read = change;
	changes = 3;
	/* 3 looks differ from the one before, 2 agree. */
	expect_read(VIRTIO_RIG_WIDE, 0,
		    UINT64_C(0x2726252423222120) + 3 * UINT64_C(0x0101010101010101));
	assert_int_equal(device.n_reads, 2 * 5);
	changes = UINT32_MAX;
	assert_int_equal(vd_vdev_config_get(&device.vdev, field(VIRTIO_RIG_WIDE), 0, &value),
			 -VD_EAGAIN);
	/* One access can't be torn. */
	device.n_reads = 0;
	expect_read(VIRTIO_RIG_PORT, 0, 0x1312);
	assert_int_equal(device.n_reads, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(fields_are_read_in_their_width),
		TEST(a_big_endian_legacy_device_is_read_so),
		TEST(a_big_endian_machine_reads_a_modern_device_little_endian),
		TEST(elements_outside_do_not_exist),
		TEST(a_field_exists_if_its_feature_is_offered),
		TEST(only_writable_fields_are_written),
		TEST(a_value_that_changes_meanwhile_is_read_again),
		TEST(a_value_that_keeps_changing_is_given_up_on),
		TEST(bytes_belong_together),
		TEST(errors_of_the_transport_are_passed_on),
		TEST(without_generations_two_looks_must_agree),
	};

	return cmocka_run_group_tests_name("vdev_config", tests, NULL, NULL);
}
