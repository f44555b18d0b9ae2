/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and time on Linux. */
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_zero(const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static void malloc_gives_zeroed_memory_with_any_alignment(void **state)
{
	(void)state;
	for (size_t align = 1; align <= 4096; align *= 2) {
		unsigned char *p = vd_malloc.alloc(&vd_malloc, 100, align);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		assert_true(is_zero(p, 100));
		memset(p, 0xff, 100);
		vd_malloc.free(&vd_malloc, p, 100);
	}
	vd_malloc.free(&vd_malloc, NULL, 0);
}

static void shared_memory_is_whole_pages_that_stay(void **state)
{
	struct vd_shared shared;
	struct stat st;
	void *other;

	(void)state;
	assert_int_equal(vd_shared_create(&shared, "test", 5000), 0);
	assert_int_equal(shared.size, 8192);
	assert_int_equal(fstat(shared.fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_true(is_zero(shared.base, shared.size));
	assert_true(fcntl(shared.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ftruncate(shared.fd, 4096), -1);
	assert_int_equal(ftruncate(shared.fd, 16384), -1);
	other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, shared.fd, 0);
	memcpy(other, "seen", 5);
	assert_string_equal(shared.base, "seen");
	assert_int_equal(munmap(other, 8192), 0);
	vd_shared_destroy(&shared);
	assert_int_equal(fcntl(shared.fd, F_GETFD), -1);
}

static void shared_memory_that_can_not_be_is_an_error(void **state)
{
	struct vd_shared shared;
	struct rlimit before;
	struct rlimit none;

	(void)state;
	assert_int_equal(vd_shared_create(&shared, "nothing", 0), -EINVAL);
	assert_true(vd_shared_create(&shared, "too much", (size_t)1 << 60) < 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(vd_shared_create(&shared, "no descriptor", 1), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void time_goes_on(void **state)
{
	uint64_t ns = vd_now_ns();
	uint64_t ms = vd_now_ms();

	(void)state;
	assert_in_range(ms, ns / 1000000, ns / 1000000 + 1000);
	usleep(2000);
	assert_in_range(vd_now_ns() - ns, 2000000, UINT64_MAX);
	assert_in_range(vd_now_ms() - ms, 1, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malloc_gives_zeroed_memory_with_any_alignment),
		cmocka_unit_test(shared_memory_is_whole_pages_that_stay),
		cmocka_unit_test(shared_memory_that_can_not_be_is_an_error),
		cmocka_unit_test(time_goes_on),
	};

	return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
