/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults in words. */
#include "viaduct/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct vd_fault jump = {.code = VD_FAULT_AVAIL_JUMP, .value = {65535, 7, 3}};
static const char jump_text[] =
	"available index moved from 65535 to 7, but only 3 more buffers can be outstanding";

static void text_has_the_values_in_it(void **state)
{
	const struct vd_fault address = {.code = VD_FAULT_ADDRESS,
					 .value = {0xa10000000, UINT64_MAX, 0}};
	const struct vd_fault zero = {.code = VD_FAULT_RIGHTS};
	char text[200];

	(void)state;
	assert_int_equal(vd_fault_text(&jump, text, sizeof(text)), strlen(jump_text));
	assert_string_equal(text, jump_text);
	vd_fault_text(&address, text, sizeof(text));
	assert_string_equal(text, "address 0xa10000000 with 18446744073709551615 bytes is outside "
				  "the memory that was shared");
	vd_fault_text(&zero, text, sizeof(text));
	assert_string_equal(text, "address 0x0 with 0 bytes may not be used that way");
}

static void text_is_cut_as_snprintf_does(void **state)
{
	(void)state;
	for (size_t size = 0; size < sizeof(jump_text) + 3; size++) {
		size_t kept = size < sizeof(jump_text) ? size : sizeof(jump_text);
		char text[sizeof(jump_text) + 4];

		memset(text, '#', sizeof(text));
		assert_int_equal(vd_fault_text(&jump, text, size), strlen(jump_text));
		if (kept > 0) {
			assert_memory_equal(text, jump_text, kept - 1);
			assert_int_equal(text[kept - 1], '\0');
		}
		for (size_t i = kept; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
	}
	assert_int_equal(vd_fault_text(&jump, NULL, 0), strlen(jump_text));
}

static void every_code_has_a_name_and_a_whole_text(void **state)
{
	(void)state;
	for (unsigned code = 0; code < VD_FAULT_COUNT; code++) {
		const struct vd_fault fault = {
			.code = (enum vd_fault_code)code,
			.value = {UINT64_MAX, UINT64_MAX, UINT64_MAX},
		};
		char text[512];
		size_t length = vd_fault_text(&fault, text, sizeof(text));

		assert_true(length > 0 && length < sizeof(text));
		assert_int_equal(strlen(text), length);
		assert_null(strpbrk(text, "{}"));
		assert_string_not_equal(vd_fault_name(fault.code), "?");
		for (unsigned other = 0; other < code; other++)
			assert_string_not_equal(vd_fault_name(fault.code),
						vd_fault_name((enum vd_fault_code)other));
	}
}

static void numbers_that_are_no_code_are_survived(void **state)
{
	const struct vd_fault beyond = {.code = VD_FAULT_COUNT};
	const struct vd_fault negative = {.code = (enum vd_fault_code) - 1};
	char text[64];

	(void)state;
	assert_string_equal(vd_fault_name(VD_FAULT_COUNT), "?");
	assert_string_equal(vd_fault_name((enum vd_fault_code) - 1), "?");
	vd_fault_text(&beyond, text, sizeof(text));
	assert_string_equal(text, "unknown fault");
	vd_fault_text(&negative, text, sizeof(text));
	assert_string_equal(text, "unknown fault");
}

static void names_are_spelt_as_in_the_table(void **state)
{
	(void)state;
	assert_string_equal(vd_fault_name(VD_FAULT_NONE), "NONE");
	assert_string_equal(vd_fault_name(VD_FAULT_AVAIL_JUMP), "AVAIL_JUMP");
	assert_string_equal(vd_fault_name(VD_FAULT_USED_LEN), "USED_LEN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_has_the_values_in_it),
		cmocka_unit_test(text_is_cut_as_snprintf_does),
		cmocka_unit_test(every_code_has_a_name_and_a_whole_text),
		cmocka_unit_test(numbers_that_are_no_code_are_survived),
		cmocka_unit_test(names_are_spelt_as_in_the_table),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
