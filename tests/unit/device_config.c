/* SPDX-License-Identifier: BSD-3-Clause */
/* The device role: configuration space, from both sides. VIRTIO 1.4, 2.5. */
#include "viaduct/errno.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define SIZE      VIRTIO_RIG_CONFIG_SIZE

static struct virtio_rig rig;

/* Byte n of configuration space holds n. */
static void open_numbered(void)
{
	virtio_rig_open(&rig);
	for (unsigned i = 0; i < SIZE; i++)
		rig.space[i] = (unsigned char)i;
}

static void the_field_of_each_byte_is_known(void **state)
{
	static const struct {
		uint32_t first;
		uint32_t last;
		int field;
	} map[] = {
		{0, 0, VIRTIO_RIG_VERSION},   {1, 1, -1},
		{2, 3, VIRTIO_RIG_PORT},      {4, 15, VIRTIO_RIG_WORDS},
		{16, 23, VIRTIO_RIG_WIDE},    {24, 29, VIRTIO_RIG_MAC},
		{30, 31, VIRTIO_RIG_OPT},     {32, 40, -1},
		{UINT32_MAX, UINT32_MAX, -1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		for (uint64_t at = map[i].first; at <= map[i].last; at++) {
			const struct vd_config_field *want =
				map[i].field < 0 ? NULL : &virtio_rig_type.fields[map[i].field];

			assert_ptr_equal(vd_config_field_at(&virtio_rig_type, (uint32_t)at), want);
		}
}

/* ---- the driver reads ---- */

static void every_range_inside_can_be_read_at_any_time(void **state)
{
	unsigned char bytes[SIZE + 1];

	(void)state;
	open_numbered();
	/* The driver has not even acknowledged the device (2.5.2). */
	for (uint32_t offset = 0; offset <= SIZE; offset++)
		for (uint32_t len = 0; offset + len <= SIZE; len++) {
			memset(bytes, 0xee, sizeof(bytes));
			assert_int_equal(vd_device_config_read(&rig.dev, offset, bytes, len), 0);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(bytes[i], offset + i);
			assert_int_equal(bytes[len], 0xee);
		}
	assert_int_equal(rig.dev.n_faults, 0);
	virtio_rig_close(&rig);
}

static void a_read_that_leaves_it_gets_zeroes(void **state)
{
	static const uint32_t ranges[][2] = {
		{SIZE, 1},       {SIZE - 1, 2},   {0, SIZE + 1},
		{UINT32_MAX, 1}, {UINT32_MAX, 2}, {1, SIZE},
	};
	unsigned char bytes[SIZE + 1];

	(void)state;
	open_numbered();
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		memset(bytes, 0xee, sizeof(bytes));
		assert_int_equal(vd_device_config_read(&rig.dev, ranges[i][0], bytes, ranges[i][1]),
				 -VD_EINVAL);
		for (uint32_t n = 0; n < ranges[i][1]; n++)
			assert_int_equal(bytes[n], 0);
		virtio_rig_expect(&rig, "!CONFIG_RANGE");
		virtio_rig_expect_fault(&rig, VD_FAULT_CONFIG_RANGE, ranges[i][0], ranges[i][1]);
	}
	virtio_rig_close(&rig);
}

static void a_device_may_have_no_configuration_space(void **state)
{
	unsigned char byte = 1;

	(void)state;
	virtio_rig_init(&rig);
	rig.config.config = NULL;
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	assert_int_equal(vd_device_config_read(&rig.dev, 0, &byte, 1), -VD_EINVAL);
	assert_int_equal(byte, 0);
	assert_int_equal(vd_device_config_read(&rig.dev, 0, &byte, 0), 0);
	assert_int_equal(vd_device_config_write(&rig.dev, 0, &byte, 1), -VD_EINVAL);
	assert_int_equal(vd_device_config_update(&rig.dev, 0, &byte, 1), -VD_EINVAL);
	virtio_rig_close(&rig);
}

/* ---- the driver writes ---- */

static void the_family_hears_of_writes(void **state)
{
	(void)state;
	open_numbered();
	assert_int_equal(vd_device_config_write(&rig.dev, 2, "ab", 2), 0);
	virtio_rig_expect(&rig, "written:2+2");
	assert_memory_equal(rig.space + 2, "ab", 2);
	/* Over several writable fields at once. */
	assert_int_equal(vd_device_config_write(&rig.dev, 3, "cdefghijklmnopqrstuvw", 21), 0);
	virtio_rig_expect(&rig, "written:3+21");
	assert_memory_equal(rig.space + 2, "acdefghijklmnopqrstuvw", 22);
	/* A part of an element. */
	assert_int_equal(vd_device_config_write(&rig.dev, 18, "X", 1), 0);
	virtio_rig_expect(&rig, "written:18+1");
	assert_int_equal(rig.space[18], 'X');
	/* What the driver changes itself is no news to it. */
	assert_int_equal(rig.dev.config_generation, 0);
	virtio_rig_close(&rig);
}

static void writes_that_touch_what_is_not_writable_change_nothing(void **state)
{
	static const uint32_t ranges[][2] = {{0, 1},  {1, 1},  {1, 3}, {0, 4},
					     {24, 6}, {23, 2}, {16, 9}};
	unsigned char bytes[SIZE];
	unsigned char before[SIZE];

	(void)state;
	open_numbered();
	memset(bytes, 0xee, sizeof(bytes));
	memcpy(before, rig.space, SIZE);
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		assert_int_equal(
			vd_device_config_write(&rig.dev, ranges[i][0], bytes, ranges[i][1]),
			-VD_EACCES);
		virtio_rig_expect(&rig, "!CONFIG_READONLY");
		virtio_rig_expect_fault(&rig, VD_FAULT_CONFIG_READONLY, ranges[i][0], ranges[i][1]);
		assert_memory_equal(rig.space, before, SIZE);
	}
	assert_int_equal(vd_device_config_write(&rig.dev, 31, bytes, 2), -VD_EINVAL);
	assert_int_equal(vd_device_config_write(&rig.dev, UINT32_MAX, bytes, 2), -VD_EINVAL);
	assert_memory_equal(rig.space, before, SIZE);
	virtio_rig_close(&rig);
}

static void a_field_whose_feature_is_not_offered_can_not_be_written(void **state)
{
	(void)state;
	virtio_rig_init(&rig);
	rig.config.features &= ~VD_BIT(VIRTIO_RIG_F_OPT);
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	assert_int_equal(vd_device_config_write(&rig.dev, 30, "ab", 2), -VD_EACCES);
	virtio_rig_close(&rig);
	open_numbered();
	/* Offered is enough. */
	assert_int_equal(vd_device_config_write(&rig.dev, 30, "ab", 2), 0);
	assert_memory_equal(rig.space + 30, "ab", 2);
	virtio_rig_close(&rig);
}

/* ---- the family changes it ---- */

static void updates_move_the_generation_and_are_told_once_the_driver_is_ready(void **state)
{
	uint32_t generation;

	(void)state;
	open_numbered();
	generation = rig.dev.config_generation;
	assert_int_equal(vd_device_config_update(&rig.dev, 0, "V", 1), 0);
	virtio_rig_expect(&rig, "");
	assert_int_not_equal(rig.dev.config_generation, generation);
	virtio_rig_start(&rig, VERSION_1);
	generation = rig.dev.config_generation;
	assert_int_equal(vd_device_config_update(&rig.dev, 24, "abcdef", 6), 0);
	virtio_rig_expect(&rig, ">config");
	assert_int_not_equal(rig.dev.config_generation, generation);
	assert_memory_equal(rig.space + 24, "abcdef", 6);
	assert_int_equal(rig.space[0], 'V');
	vd_device_reset(&rig.dev);
	rig.log[0] = '\0';
	assert_int_equal(vd_device_config_update(&rig.dev, 0, "W", 1), 0);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void updates_outside_are_refused(void **state)
{
	unsigned char before[SIZE];

	(void)state;
	open_numbered();
	memcpy(before, rig.space, SIZE);
	assert_int_equal(vd_device_config_update(&rig.dev, SIZE - 1, "ab", 2), -VD_EINVAL);
	assert_int_equal(vd_device_config_update(&rig.dev, SIZE, "a", 1), -VD_EINVAL);
	assert_int_equal(vd_device_config_update(&rig.dev, UINT32_MAX, "ab", 2), -VD_EINVAL);
	assert_memory_equal(rig.space, before, SIZE);
	assert_int_equal(rig.dev.config_generation, 0);
	assert_int_equal(rig.dev.n_faults, 0);
	virtio_rig_close(&rig);
}

/* ---- legacy byte order ---- */

static const unsigned char turned[SIZE] = {
	0,  1,  3,  2,  7,  6,  5,  4,  11, 10, 9,  8,  15, 14, 13, 12,
	23, 22, 21, 20, 19, 18, 17, 16, 24, 25, 26, 27, 28, 29, 31, 30,
};

static void open_legacy(bool big_endian)
{
	open_numbered();
	vd_device_set_legacy_order(&rig.dev, big_endian);
	vd_device_set_status(&rig.dev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
}

static void a_big_endian_legacy_driver_sees_each_field_turned_round(void **state)
{
	unsigned char bytes[SIZE];

	(void)state;
	open_legacy(true);
	/* However the access cuts the fields. */
	for (uint32_t offset = 0; offset < SIZE; offset++)
		for (uint32_t len = 1; offset + len <= SIZE; len++) {
			assert_int_equal(vd_device_config_read(&rig.dev, offset, bytes, len), 0);
			assert_memory_equal(bytes, turned + offset, len);
		}
	virtio_rig_close(&rig);
	open_legacy(false);
	assert_int_equal(vd_device_config_read(&rig.dev, 0, bytes, SIZE), 0);
	assert_memory_equal(bytes, rig.space, SIZE);
	virtio_rig_close(&rig);
}

static void a_big_endian_legacy_driver_writes_each_field_turned_round(void **state)
{
	(void)state;
	open_legacy(true);
	assert_int_equal(vd_device_config_write(&rig.dev, 2, "\x12\x34", 2), 0);
	assert_memory_equal(rig.space + 2, "\x34\x12", 2);
	assert_int_equal(vd_device_config_write(&rig.dev, 5, "\x99", 1), 0);
	assert_int_equal(rig.space[6], 0x99);
	assert_int_equal(vd_device_config_write(&rig.dev, 14, "abcd", 4), 0);
	assert_memory_equal(rig.space + 12, "ba", 2);
	assert_memory_equal(rig.space + 22, "dc", 2);
	virtio_rig_close(&rig);
}

static void a_driver_with_version_1_sees_little_endian_fields(void **state)
{
	unsigned char bytes[SIZE];

	(void)state;
	open_legacy(true);
	virtio_rig_start(&rig, VERSION_1);
	assert_int_equal(vd_device_config_read(&rig.dev, 0, bytes, SIZE), 0);
	assert_memory_equal(bytes, rig.space, SIZE);
	virtio_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_field_of_each_byte_is_known),
		cmocka_unit_test(every_range_inside_can_be_read_at_any_time),
		cmocka_unit_test(a_read_that_leaves_it_gets_zeroes),
		cmocka_unit_test(a_device_may_have_no_configuration_space),
		cmocka_unit_test(the_family_hears_of_writes),
		cmocka_unit_test(writes_that_touch_what_is_not_writable_change_nothing),
		cmocka_unit_test(a_field_whose_feature_is_not_offered_can_not_be_written),
		cmocka_unit_test(updates_move_the_generation_and_are_told_once_the_driver_is_ready),
		cmocka_unit_test(updates_outside_are_refused),
		cmocka_unit_test(a_big_endian_legacy_driver_sees_each_field_turned_round),
		cmocka_unit_test(a_big_endian_legacy_driver_writes_each_field_turned_round),
		cmocka_unit_test(a_driver_with_version_1_sees_little_endian_fields),
	};

	return cmocka_run_group_tests_name("device_config", tests, NULL, NULL);
}
