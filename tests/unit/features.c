/* SPDX-License-Identifier: BSD-3-Clause */
/* Feature bits: names, definitions, prerequisites. VIRTIO 1.4, 2.2 and 6. */
#include "viaduct/errno.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define A VD_BIT(VIRTIO_RIG_F_A)
#define B VD_BIT(VIRTIO_RIG_F_B)
#define C VD_BIT(VIRTIO_RIG_F_C)

static void rows_are_unique_and_need_bits_that_exist(void **state)
{
	uint64_t seen = 0;

	(void)state;
	for (unsigned i = 0; i < vd_n_common_features; i++) {
		const struct vd_feature_row *row = &vd_common_features[i];

		assert_true(row->bit >= VD_F_TRANSPORT_FIRST && row->bit <= VD_F_TRANSPORT_LAST);
		assert_false(seen & VD_BIT(row->bit));
		seen |= VD_BIT(row->bit);
		assert_true(row->needs == VD_F_NONE || row->needs == VD_F_VERSION_1);
		assert_string_equal(vd_feature_name(NULL, row->bit), row->name);
		assert_string_equal(vd_feature_name(&virtio_rig_type, row->bit), row->name);
	}
	assert_false(seen & VD_BIT(VD_F_UNUSED));
	assert_int_equal(VD_F_TRANSPORT_MASK, UINT64_C(0x3ffffff000000));
}

static void names_come_from_the_type_or_are_common(void **state)
{
	(void)state;
	assert_string_equal(vd_feature_name(&virtio_rig_type, VIRTIO_RIG_F_C), "C");
	assert_null(vd_feature_name(NULL, VIRTIO_RIG_F_C));
	assert_null(vd_feature_name(&virtio_rig_type, 3));
	assert_null(vd_feature_name(&virtio_rig_type, VD_F_UNUSED));
	assert_null(vd_feature_name(&virtio_rig_type, 64));
	assert_null(vd_feature_name(&virtio_rig_type, UINT32_MAX));
}

static void only_defined_bits_remain(void **state)
{
	uint64_t common = 0;

	(void)state;
	for (unsigned i = 0; i < vd_n_common_features; i++)
		common |= VD_BIT(vd_common_features[i].bit);
	assert_int_equal(vd_features_defined(NULL, UINT64_MAX), common);
	assert_int_equal(vd_features_defined(&virtio_rig_type, UINT64_MAX),
			 common | A | B | C | VD_BIT(VIRTIO_RIG_F_OPT));
	assert_int_equal(vd_features_defined(&virtio_rig_type, 0), 0);
}

static void what_lacks_its_prerequisite_goes_and_takes_others_with_it(void **state)
{
	(void)state;
	assert_int_equal(vd_features_closed(&virtio_rig_type, A | B | C), A | B | C);
	assert_int_equal(vd_features_closed(&virtio_rig_type, B | C), 0);
	assert_int_equal(vd_features_closed(&virtio_rig_type, A | C), A);
	assert_int_equal(vd_features_closed(&virtio_rig_type, VD_BIT(VD_F_SUSPEND) | A), A);
	/* What nobody defined needs nothing. */
	assert_int_equal(vd_features_closed(NULL, B | VD_BIT(63)), B | VD_BIT(63));
}

static void check_names_the_first_mistake(void **state)
{
	struct vd_fault fault = {.code = VD_FAULT_NONE};

	(void)state;
	assert_int_equal(vd_features_check(&virtio_rig_type, A | B, A | B, &fault), 0);
	assert_int_equal(vd_features_check(&virtio_rig_type, A | B, 0, &fault), 0);
	assert_int_equal(fault.code, VD_FAULT_NONE);
	assert_int_equal(vd_features_check(&virtio_rig_type, A | B, B, &fault), -VD_EINVAL);
	rig_expect_fault(&fault, VD_FAULT_FEATURES_NEED, VIRTIO_RIG_F_B, VIRTIO_RIG_F_A, 0);
	assert_int_equal(vd_features_check(&virtio_rig_type, A, B | C, &fault), -VD_EINVAL);
	rig_expect_fault(&fault, VD_FAULT_FEATURES_UNOFFERED, B | C, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_unique_and_need_bits_that_exist),
		cmocka_unit_test(names_come_from_the_type_or_are_common),
		cmocka_unit_test(only_defined_bits_remain),
		cmocka_unit_test(what_lacks_its_prerequisite_goes_and_takes_others_with_it),
		cmocka_unit_test(check_names_the_first_mistake),
	};

	return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
