/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory windows: every way across, and every way that must not lead across. */
#include "viaduct/mem.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned char memory[256];

static struct vd_window window(uint64_t peer, uint64_t size, size_t local, uint32_t rights)
{
	return (struct vd_window){
		.peer = peer, .size = size, .local = memory + local, .rights = rights};
}

static int add(struct vd_mem *mem, uint64_t peer, uint64_t size, size_t local, uint32_t rights)
{
	struct vd_window w = window(peer, size, local, rights);

	return vd_mem_add(mem, &w);
}

static void add_refuses_what_can_not_be(void **state)
{
	struct vd_window storage[4];
	struct vd_window null = {.peer = 0, .size = 1, .local = NULL, .rights = VD_MEM_RW};
	struct vd_mem mem;

	(void)state;
	vd_mem_init(&mem, storage, 4, VD_MEM_LIMIT_64);
	assert_int_equal(add(&mem, 0, 0, 0, VD_MEM_RW), -VD_EINVAL);
	assert_int_equal(add(&mem, 0, 1, 0, 0), -VD_EINVAL);
	assert_int_equal(add(&mem, 0, 1, 0, 4), -VD_EINVAL);
	assert_int_equal(vd_mem_add(&mem, &null), -VD_EINVAL);
	assert_int_equal(add(&mem, UINT64_MAX, 2, 0, VD_MEM_RW), -VD_EINVAL);
	assert_int_equal(add(&mem, 0, UINT64_MAX, 0, VD_MEM_RW), -VD_EINVAL);
	assert_int_equal(add(&mem, UINT64_MAX, 1, 0, VD_MEM_RW), 0);
}

static void add_refuses_what_the_peer_can_not_reach(void **state)
{
	struct vd_window storage[4];
	struct vd_mem mem;

	(void)state;
	vd_mem_init(&mem, storage, 4, VD_MEM_LIMIT_32);
	assert_int_equal(add(&mem, 0xa10000000, 16, 0, VD_MEM_RW), -VD_ERANGE);
	assert_int_equal(add(&mem, 0xfffffff0, 17, 0, VD_MEM_RW), -VD_ERANGE);
	assert_int_equal(add(&mem, 0xfffffff0, 16, 0, VD_MEM_RW), 0);
}

static void add_refuses_overlaps_and_keeps_order(void **state)
{
	struct vd_window storage[4];
	struct vd_mem mem;
	void *p;

	(void)state;
	vd_mem_init(&mem, storage, 4, VD_MEM_LIMIT_64);
	assert_int_equal(add(&mem, 0x200, 0x10, 0x20, VD_MEM_RW), 0);
	assert_int_equal(add(&mem, 0x100, 0x10, 0x00, VD_MEM_RW), 0);
	assert_int_equal(add(&mem, 0x1ff, 0x02, 0, VD_MEM_RW), -VD_EEXIST);
	assert_int_equal(add(&mem, 0x20f, 0x01, 0, VD_MEM_RW), -VD_EEXIST);
	assert_int_equal(add(&mem, 0x0ff, 0x200, 0, VD_MEM_RW), -VD_EEXIST);
	assert_int_equal(add(&mem, 0x110, 0xf0, 0x10, VD_MEM_RW), 0);
	assert_int_equal(add(&mem, 0x210, 0x10, 0x40, VD_MEM_RW), 0);
	assert_int_equal(add(&mem, 0x300, 0x10, 0x50, VD_MEM_RW), -VD_ENOSPC);
	assert_int_equal(vd_mem_local(&mem, 0x205, 1, VD_MEM_READ, &p), 0);
	assert_ptr_equal(p, memory + 0x25);
	assert_int_equal(vd_mem_remove(&mem, 0x200, 0x11), -VD_ENOENT);
	assert_int_equal(vd_mem_remove(&mem, 0x200, 0x10), 0);
	assert_int_equal(vd_mem_local(&mem, 0x205, 1, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x210, 1, VD_MEM_READ, &p), 0);
	vd_mem_clear(&mem);
	assert_int_equal(vd_mem_local(&mem, 0x210, 1, VD_MEM_READ, &p), -VD_EFAULT);
}

static void local_checks_both_ends_and_rights(void **state)
{
	struct vd_window storage[2];
	struct vd_mem mem;
	void *p = NULL;

	(void)state;
	vd_mem_init(&mem, storage, 2, VD_MEM_LIMIT_64);
	assert_int_equal(add(&mem, 0x1000, 0x40, 0, VD_MEM_READ), 0);
	assert_int_equal(vd_mem_local(&mem, 0xfff, 1, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x1040, 1, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x1000, 0x41, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x103f, UINT64_MAX, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x1000, 0, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_local(&mem, 0x1000, 0x40, VD_MEM_WRITE, &p), -VD_EACCES);
	assert_int_equal(vd_mem_local(&mem, 0x1000, 0x40, VD_MEM_RW, &p), -VD_EACCES);
	assert_null(p);
	assert_int_equal(vd_mem_local(&mem, 0x103f, 1, VD_MEM_READ, &p), 0);
	assert_ptr_equal(p, memory + 0x3f);
}

static void copies_cross_windows_whole_or_not_at_all(void **state)
{
	struct vd_window storage[2];
	struct vd_mem mem;
	unsigned char copy[8] = {0};
	uint64_t run;
	void *p;

	(void)state;
	vd_mem_init(&mem, storage, 2, VD_MEM_LIMIT_64);
	assert_int_equal(add(&mem, 0x100, 0x10, 0x80, VD_MEM_RW), 0);
	assert_int_equal(add(&mem, 0x110, 0x10, 0x20, VD_MEM_RW), 0);
	memcpy(memory + 0x8c, "abcd", 4);
	memcpy(memory + 0x20, "efgh", 4);
	assert_int_equal(vd_mem_read(&mem, 0x10c, copy, 8), 0);
	assert_memory_equal(copy, "abcdefgh", 8);
	assert_int_equal(vd_mem_span(&mem, 0x10c, 8, VD_MEM_READ, &p, &run), 0);
	assert_int_equal(run, 4);
	assert_int_equal(vd_mem_local(&mem, 0x10c, 8, VD_MEM_READ, &p), -VD_EFAULT);
	assert_int_equal(vd_mem_write(&mem, 0x10e, "1234", 4), 0);
	assert_memory_equal(memory + 0x8c, "ab12", 4);
	assert_memory_equal(memory + 0x20, "34gh", 4);
	assert_int_equal(vd_mem_write(&mem, 0x11e, "9999", 4), -VD_EFAULT);
	assert_memory_equal(memory + 0x2e, "\0\0", 2);
	memset(copy, 7, sizeof(copy));
	assert_int_equal(vd_mem_read(&mem, 0x11c, copy, 8), -VD_EFAULT);
	assert_int_equal(copy[0], 7);
}

static void peer_finds_the_window_with_the_rights(void **state)
{
	struct vd_window storage[3];
	struct vd_mem mem;
	uint64_t addr;

	(void)state;
	vd_mem_init(&mem, storage, 3, VD_MEM_LIMIT_64);
	assert_int_equal(add(&mem, 0x1000, 0x40, 0, VD_MEM_READ), 0);
	assert_int_equal(add(&mem, 0x9000, 0x20, 0x10, VD_MEM_RW), 0);
	assert_int_equal(vd_mem_peer(&mem, memory + 0x18, 8, VD_MEM_READ, &addr), 0);
	assert_int_equal(addr, 0x1018);
	assert_int_equal(vd_mem_peer(&mem, memory + 0x18, 8, VD_MEM_WRITE, &addr), 0);
	assert_int_equal(addr, 0x9008);
	assert_int_equal(vd_mem_peer(&mem, memory + 0x2f, 2, VD_MEM_WRITE, &addr), -VD_EACCES);
	assert_int_equal(vd_mem_peer(&mem, memory + 0x3f, 2, VD_MEM_READ, &addr), -VD_EFAULT);
	assert_int_equal(vd_mem_peer(&mem, memory + 0x41, 1, VD_MEM_READ, &addr), -VD_EFAULT);
	assert_int_equal(vd_mem_peer(&mem, memory, 0, VD_MEM_READ, &addr), -VD_EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_refuses_what_can_not_be),
		cmocka_unit_test(add_refuses_what_the_peer_can_not_reach),
		cmocka_unit_test(add_refuses_overlaps_and_keeps_order),
		cmocka_unit_test(local_checks_both_ends_and_rights),
		cmocka_unit_test(copies_cross_windows_whole_or_not_at_all),
		cmocka_unit_test(peer_finds_the_window_with_the_rights),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
