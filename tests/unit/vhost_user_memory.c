/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory: regions that fit and regions that can't, changed while queues run and taken away.
 */
#include "front_end_rig.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t protocol = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	return 0;
}

static int setup_suspends(void **state)
{
	(void)state;
	vu_rig_open(&rig, &(struct vu_rig_options){.worker.suspends = true});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

static void make_regions(unsigned n, size_t size)
{
	while (rig.fe.n_regions < n)
		assert_true(fe_region_make(&rig.fe, size) >= 0);
}

static unsigned mappings(void)
{
	return vu_count_maps() - rig.maps_before;
}

/* ---- the table ---- */

static void a_table_has_up_to_8_regions(void **state)
{
	(void)state;
	make_regions(8, PAGE);
	vu_rig_negotiate(&rig, version_1, protocol);
	rig.fe.need_reply = true;
	for (unsigned n = 0; n <= 8; n++) {
		assert_int_equal(fe_share_some(&rig.fe, n), 0);
		assert_int_equal(mappings(), 8 + n);
	}
	for (unsigned n = 8; n-- > 0;) {
		assert_int_equal(fe_share_some(&rig.fe, n), 0);
		assert_int_equal(mappings(), 8 + n);
	}
}

static void refuses_table(const struct vd_vu_mem_table *table, uint32_t size, unsigned n_fds,
			  enum vd_fault_code code, uint64_t a, uint64_t b, uint64_t c)
{
	int fds[8];

	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = rig.fe.regions[0].fd;
	vu_rig_negotiate(&rig, version_1, protocol);
	vu_rig_refuses(&rig, VD_VU_SET_MEM_TABLE, table, size, fds, n_fds, code, a, b, c);
	assert_int_equal(mappings(), rig.fe.n_regions);
}

static void a_table_has_as_many_regions_and_files_as_it_says(void **state)
{
	struct vd_vu_mem_table table = {.count = 2};

	(void)state;
	refuses_table(&table, 8 + 32, 2, VD_FAULT_VU_VALUE, VD_VU_SET_MEM_TABLE, 2, 0);
	refuses_table(&table, 8 + 63, 2, VD_FAULT_VU_VALUE, VD_VU_SET_MEM_TABLE, 2, 0);
	refuses_table(&table, 8 + 64, 1, VD_FAULT_VU_FDS, VD_VU_SET_MEM_TABLE, 1, 2);
	refuses_table(&table, 8 + 64, 3, VD_FAULT_VU_FDS, VD_VU_SET_MEM_TABLE, 3, 2);
	table.count = 9;
	refuses_table(&table, 264, 8, VD_FAULT_VU_VALUE, VD_VU_SET_MEM_TABLE, 9, 0);
	table.count = UINT32_MAX;
	refuses_table(&table, 264, 8, VD_FAULT_VU_VALUE, VD_VU_SET_MEM_TABLE, UINT32_MAX, 0);
}

/* User Mode Linux always sends two, and says how many count. */
static void a_table_may_have_room_to_spare(void **state)
{
	struct vd_vu_mem_table table = {.count = 1};

	(void)state;
	table.region[0] = rig.fe.regions[0].desc;
	memset(&table.region[1], 0xff, sizeof(table.region[1]));
	vu_rig_negotiate(&rig, version_1, protocol);
	vu_rig_expect_ack(&rig, VD_VU_SET_MEM_TABLE, &table, 72, &rig.fe.regions[0].fd, 1, 0);
	assert_int_equal(mappings(), 2);
}

/* ---- one region ---- */

static const struct vd_vu_region_desc good = {
	.guest_addr = FE_GUEST,
	.size = 4 * PAGE,
	.user_addr = FE_USER,
	.offset = 0,
};

static void expect_region(struct vd_vu_region_desc desc, int fd, bool fits)
{
	struct vd_vu_mem_table table = {.count = 1, .region = {desc}};

	vu_rig_negotiate(&rig, version_1, protocol);
	if (fits) {
		vu_rig_expect_ack(&rig, VD_VU_SET_MEM_TABLE, &table, 40, &fd, 1, 0);
		assert_int_equal(mappings(), rig.fe.n_regions + 1);
		return;
	}
	vu_rig_refuses(&rig, VD_VU_SET_MEM_TABLE, &table, 40, &fd, 1, VD_FAULT_VU_REGION, 0,
		       desc.guest_addr, desc.size);
	assert_int_equal(mappings(), rig.fe.n_regions);
}

static void a_region_must_be_inside_its_file(void **state)
{
	int fd = rig.fe.regions[0].fd;
	struct vd_vu_region_desc desc = good;

	(void)state;
	desc.size = RIG_MEMORY;
	expect_region(desc, fd, true);
	desc.size = RIG_MEMORY + 1;
	expect_region(desc, fd, false);
	desc.size = 1;
	desc.offset = RIG_MEMORY - 1;
	expect_region(desc, fd, true);
	desc.offset = RIG_MEMORY;
	expect_region(desc, fd, false);
	desc = good;
	desc.offset = RIG_MEMORY - good.size;
	expect_region(desc, fd, true);
	desc.offset++;
	expect_region(desc, fd, false);
	desc.offset = UINT64_MAX - good.size + 1;
	expect_region(desc, fd, false);
	desc.offset = UINT64_MAX;
	expect_region(desc, fd, false);
}

static void a_region_has_bytes_and_an_end(void **state)
{
	int fd = rig.fe.regions[0].fd;
	struct vd_vu_region_desc desc = good;

	(void)state;
	desc.size = 0;
	expect_region(desc, fd, false);
	desc.size = UINT64_MAX;
	expect_region(desc, fd, false);
	desc = good;
	desc.guest_addr = UINT64_MAX - good.size + 1;
	expect_region(desc, fd, true);
	desc.guest_addr++;
	expect_region(desc, fd, false);
	desc = good;
	desc.user_addr = UINT64_MAX - good.size + 1;
	expect_region(desc, fd, true);
	desc.user_addr++;
	expect_region(desc, fd, false);
}

static void a_region_needs_a_file_that_can_be_shared_and_written(void **state)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int folder = open("/", O_RDONLY | O_CLOEXEC);
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	expect_region(good, fd, true);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	expect_region(good, fd, false);
	expect_region(good, null, false);
	expect_region(good, folder, false);
	expect_region(good, pipes[0], false);
	expect_region(good, rig.fe.sock >= 0 ? rig.fe.sock : null, false);
	close(fd);
	close(null);
	close(folder);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_region_may_begin_in_the_middle_of_a_page(void **state)
{
	struct exchange {
		uint32_t question;
		uint32_t answer;
	} * exchange;
	struct vd_used used;

	(void)state;
	/* Rings and buffers are where they were, but the region in between begins at byte 100. */
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_non_null(fe_alloc(&rig.fe, 100, 1));
	rig.fe.taken = 112;
	assert_int_equal(fe_queue_make(&rig.fe, 0, 8), 0);
	exchange = fe_alloc(&rig.fe, sizeof(*exchange), 4);
	exchange->question = 7;
	rig.fe.regions[0].desc.guest_addr += 100;
	rig.fe.regions[0].desc.user_addr += 100;
	rig.fe.regions[0].desc.offset += 100;
	rig.fe.regions[0].desc.size -= 100;
	assert_int_equal(fe_share(&rig.fe), 0);
	rig.fe.regions[0].desc.guest_addr -= 100;
	rig.fe.regions[0].desc.user_addr -= 100;
	rig.fe.regions[0].desc.offset -= 100;
	rig.fe.regions[0].desc.size += 100;
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	assert_int_equal(fe_add(&rig.fe, 0, &exchange->question, 4, &exchange->answer, 4, exchange),
			 0);
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(vd_vq_drv_get(&rig.fe.queues[0].vq, &used), 1);
	assert_int_equal(exchange->answer, worker_answer(7));
}

/* ---- two regions ---- */

static void expect_pair(struct vd_vu_region_desc a, struct vd_vu_region_desc b, bool fits)
{
	struct vd_vu_mem_table table = {.count = 2, .region = {a, b}};
	int fds[2] = {rig.fe.regions[0].fd, rig.fe.regions[0].fd};

	vu_rig_negotiate(&rig, version_1, protocol);
	if (fits)
		vu_rig_expect_ack(&rig, VD_VU_SET_MEM_TABLE, &table, sizeof(table), fds, 2, 0);
	else
		vu_rig_refuses(&rig, VD_VU_SET_MEM_TABLE, &table, sizeof(table), fds, 2,
			       VD_FAULT_VU_REGION, 1, b.guest_addr, b.size);
	assert_int_equal(mappings(), rig.fe.n_regions + (fits ? 2 : 0));
}

static void regions_do_not_overlap(void **state)
{
	struct vd_vu_region_desc far = good;
	struct vd_vu_region_desc near = good;

	(void)state;
	far.guest_addr += FE_STEP;
	far.user_addr += FE_STEP;
	expect_pair(good, far, true);
	expect_pair(good, good, false);
	near = far;
	near.guest_addr = good.guest_addr + good.size;
	near.user_addr = good.user_addr + good.size;
	expect_pair(good, near, true);
	near.guest_addr--;
	expect_pair(good, near, false);
	near.guest_addr++;
	near.user_addr--;
	expect_pair(good, near, false);
	near.user_addr = good.user_addr - good.size;
	expect_pair(good, near, true);
	near.user_addr++;
	expect_pair(good, near, false);
	near = far;
	near.guest_addr = good.guest_addr + 1;
	near.size = 1;
	expect_pair(good, near, false);
}

/* ---- slots ---- */

static void there_are_64_slots_and_no_more(void **state)
{
	struct vd_vu_mem_reg last;

	(void)state;
	make_regions(65, PAGE);
	vu_rig_negotiate(&rig, version_1, protocol);
	rig.fe.need_reply = true;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(fe_region_add(&rig.fe, i), 0);
	assert_int_equal(mappings(), 65 + 64);
	assert_int_equal(fe_region_add(&rig.fe, 64), -EREMOTEIO);
	assert_int_equal(mappings(), 65 + 64);
	assert_int_equal(fe_region_remove(&rig.fe, 10), 0);
	assert_int_equal(fe_region_add(&rig.fe, 64), 0);
	assert_int_equal(fe_share_some(&rig.fe, 8), 0);
	assert_int_equal(mappings(), 65 + 8);
	last.region = rig.fe.regions[64].desc;
	vu_rig_refuses(&rig, VD_VU_REM_MEM_REG, &last, sizeof(last), NULL, 0, VD_FAULT_VU_REGION, 8,
		       last.region.guest_addr, last.region.size);
}

static void a_region_is_removed_by_its_addresses_and_size(void **state)
{
	struct vd_vu_mem_reg reg = {.padding = 0};

	(void)state;
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		vu_rig_negotiate(&rig, version_1, protocol);
		assert_int_equal(fe_region_add(&rig.fe, 0), 0);
		reg.region = rig.fe.regions[0].desc;
		reg.region.guest_addr += wrong == 0;
		reg.region.user_addr += wrong == 1;
		reg.region.size -= wrong == 2;
		vu_rig_refuses(&rig, VD_VU_REM_MEM_REG, &reg, sizeof(reg), NULL, 0,
			       VD_FAULT_VU_REGION, 1, reg.region.guest_addr, reg.region.size);
	}
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_region_add(&rig.fe, 0), 0);
	reg.region = rig.fe.regions[0].desc;
	reg.region.offset = 12345;
	vu_rig_expect_ack(&rig, VD_VU_REM_MEM_REG, &reg, sizeof(reg), NULL, 0, 0);
	assert_int_equal(mappings(), 1);
}

static void a_descriptor_with_a_removal_is_closed(void **state)
{
	struct vd_vu_mem_reg reg = {.region = rig.fe.regions[0].desc};
	unsigned fds;

	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	vu_rig_poll(&rig);
	fds = vu_count_fds();
	assert_int_equal(fe_region_add(&rig.fe, 0), 0);
	vu_rig_expect_ack(&rig, VD_VU_REM_MEM_REG, &reg, sizeof(reg), &rig.fe.regions[0].fd, 1, 0);
	assert_int_equal(vu_count_fds(), fds);
	assert_int_equal(mappings(), 1);
}

static void added_regions_do_not_overlap(void **state)
{
	struct vd_vu_mem_reg reg = {.region = good};

	(void)state;
	vu_rig_negotiate(&rig, version_1, protocol);
	assert_int_equal(fe_region_add(&rig.fe, 0), 0);
	reg.region.user_addr += FE_STEP;
	vu_rig_refuses(&rig, VD_VU_ADD_MEM_REG, &reg, sizeof(reg), &rig.fe.regions[0].fd, 1,
		       VD_FAULT_VU_REGION, 1, good.guest_addr, good.size);
	assert_int_equal(mappings(), 1);
}

/* ---- while queues run ---- */

/* The address of the back end's only mapping. */
static void *mapping_of_back_end(void)
{
	void *local = NULL;

	assert_int_equal(vd_mem_local(rig.worker.dev.mem, FE_GUEST, 1, VD_MEM_RW, &local), 0);
	return local;
}

static void expect_no_flap(unsigned pauses)
{
	assert_int_equal(rig.worker.starts, 1);
	assert_int_equal(rig.worker.stops, 0);
	if (rig.worker.config.suspends) {
		assert_int_equal(rig.worker.suspends, pauses);
		assert_int_equal(rig.worker.resumes, pauses);
		assert_int_equal(rig.worker.queue_starts, 2);
		assert_int_equal(rig.worker.queue_stops, 0);
	} else {
		assert_int_equal(rig.worker.queue_starts, 2 + 2 * pauses);
		assert_int_equal(rig.worker.queue_stops, 2 * pauses);
	}
}

static void the_same_table_again_moves_nothing(void **state)
{
	void *before;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_expect_works(&rig, 0, 1);
	before = mapping_of_back_end();
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(fe_share(&rig.fe), 0);
		vu_rig_poll(&rig);
		assert_ptr_equal(mapping_of_back_end(), before);
		vu_rig_expect_works(&rig, 0, 10 + i);
		vu_rig_expect_works(&rig, 1, 20 + i);
	}
	expect_no_flap(5);
}

static void requests_in_work_survive_the_same_table(void **state)
{
	(void)state;
	rig.worker.config.hold = 4;
	rig.worker.config.order = WORKER_NEWEST_FIRST;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	for (uint32_t i = 0; i < 4; i++)
		vu_rig_ask(&rig, 1, i);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 1);
	assert_int_equal(fe_share(&rig.fe), 0);
	vu_rig_poll(&rig);
	for (uint32_t i = 4; i-- > 0;)
		vu_rig_expect_answer(&rig, 1, i);
	vu_rig_expect_silence(&rig, 1);
	rig.worker.config.hold = 0;
	vu_rig_expect_works(&rig, 1, 9);
}

static void more_memory_is_added_while_queues_run(void **state)
{
	uint32_t *far;
	struct vd_used used;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_expect_works(&rig, 0, 1);
	assert_int_equal(fe_region_make(&rig.fe, PAGE), 1);
	far = (uint32_t *)(void *)rig.fe.regions[1].local;
	far[0] = 5;
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_add(&rig.fe, 0, &far[0], 4, &far[1], 4, NULL), 0);
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(vd_vq_drv_get(&rig.fe.queues[0].vq, &used), 1);
	assert_int_equal(far[1], worker_answer(5));
	expect_no_flap(1);
	assert_int_equal(fe_region_remove(&rig.fe, 1), 0);
	vu_rig_expect_works(&rig, 0, 6);
	assert_int_equal(fe_region_add(&rig.fe, 1), 0);
	vu_rig_expect_works(&rig, 1, 7);
	expect_no_flap(2);
}

/* The same file at the same addresses, mapped anew because it is cut differently. */
static void rings_follow_their_memory(void **state)
{
	struct vd_vu_mem_table table = {.count = 2};
	int fds[2] = {rig.fe.regions[0].fd, rig.fe.regions[0].fd};
	void *before;

	(void)state;
	rig.worker.config.hold = 2;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_ask(&rig, 0, 1);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_poll(&rig);
	before = mapping_of_back_end();
	table.region[0] = rig.fe.regions[0].desc;
	table.region[0].size = RIG_MEMORY / 2;
	table.region[1] = rig.fe.regions[0].desc;
	table.region[1].guest_addr += RIG_MEMORY / 2;
	table.region[1].user_addr += RIG_MEMORY / 2;
	table.region[1].offset += RIG_MEMORY / 2;
	table.region[1].size = RIG_MEMORY / 2;
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_MEM_TABLE, &table, sizeof(table), fds, 2),
			 0);
	vu_rig_poll(&rig);
	assert_ptr_not_equal(mapping_of_back_end(), before);
	vu_rig_expect_answer(&rig, 0, 1);
	vu_rig_expect_answer(&rig, 0, 2);
	rig.worker.config.hold = 0;
	vu_rig_expect_works(&rig, 0, 3);
	vu_rig_expect_works(&rig, 1, 4);
	expect_no_flap(1);
}

static void a_table_without_the_rings_ends_the_connection(void **state)
{
	struct vd_vu_mem_table table = {.count = 1};

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	table.region[0] = rig.fe.regions[0].desc;
	table.region[0].user_addr += FE_STEP;
	vu_rig_refuses(&rig, VD_VU_SET_MEM_TABLE, &table, 40, &rig.fe.regions[0].fd, 1,
		       VD_FAULT_QUEUE_MEMORY, 0, 0, fe_queue_addr(&rig.fe, 0).desc);
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	vu_rig_expect_works(&rig, 0, 1);
}

static void an_empty_table_ends_the_connection_of_a_running_queue(void **state)
{
	struct vd_vu_mem_table table = {.count = 0};

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	vu_rig_refuses(&rig, VD_VU_SET_MEM_TABLE, &table, 8, NULL, 0, VD_FAULT_QUEUE_MEMORY, 0, 0,
		       fe_queue_addr(&rig.fe, 0).desc);
}

static void a_device_that_can_not_pause_needs_a_reset(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_expect_works(&rig, 0, 1);
	rig.worker.suspend_result = -VD_EBUSY;
	assert_int_equal(fe_share(&rig.fe), 0);
	vu_rig_expect_alive(&rig);
	assert_true(vd_device_status(&rig.worker.dev) & VD_STATUS_NEEDS_RESET);
	assert_int_equal(rig.worker.fault.code, VD_FAULT_SUSPEND_FAILED);
}

static void a_queue_that_breaks_while_pausing_stays_broken(void **state)
{
	(void)state;
	rig.worker.config.hold = 1;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	vu_rig_ask(&rig, 0, 1);
	vu_rig_poll(&rig);
	vd_vq_dev_break(vd_device_vq(&rig.worker.dev, 0),
			&(struct vd_fault){.code = VD_FAULT_CHAIN_LONG});
	assert_int_equal(fe_share(&rig.fe), 0);
	vu_rig_expect_alive(&rig);
	assert_null(vd_device_vq(&rig.worker.dev, 0));
}

/* ---- buffers outside ---- */

static void a_buffer_outside_breaks_its_queue_only(void **state)
{
	uint32_t *far;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	assert_int_equal(fe_region_make(&rig.fe, PAGE), 1);
	far = (uint32_t *)(void *)rig.fe.regions[1].local;
	assert_int_equal(fe_add(&rig.fe, 0, &far[0], 4, &far[1], 4, NULL), 0);
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(rig.worker.fault.code, VD_FAULT_ADDRESS);
	assert_int_equal(rig.worker.fault.value[0], rig.fe.regions[1].desc.guest_addr);
	assert_true(vd_device_status(&rig.worker.dev) & VD_STATUS_NEEDS_RESET);
	assert_true(fe_bell_rang(rig.fe.queues[0].err.ours));
	assert_false(fe_bell_rang(rig.fe.queues[1].err.ours));
}

/* ---- guards ---- */

#define GUARDS 1024

/* A region that could be taken away and kill us is not accepted. */
static void a_region_that_can_not_be_guarded_is_refused(void **state)
{
	static char anything;
	static volatile bool hit;
	static int guards[GUARDS];
	unsigned n = 0;
	struct vd_vu_inflight_desc desc = {.num_queues = 1, .queue_size = 16};
	struct vd_vu_mem_reg message;

	(void)state;
	make_regions(1, PAGE);
	vu_rig_negotiate(&rig, version_1, protocol);
	message = (struct vd_vu_mem_reg){.region = rig.fe.regions[0].desc};
	while (n < GUARDS && (guards[n] = vd_guard_add(&anything, 1, &hit)) >= 0)
		n++;
	assert_int_equal(vd_guard_add(&anything, 1, &hit), -VD_ENOSPC);
	vu_rig_expect_ack(&rig, VD_VU_ADD_MEM_REG, &message, sizeof(message), &rig.fe.regions[0].fd,
			  1, 1);
	assert_int_equal(mappings(), 1);
	vu_rig_refuses(&rig, VD_VU_GET_INFLIGHT_FD, &desc, sizeof(desc), NULL, 0, VD_FAULT_VU_IO,
		       VD_ENOSPC, 0, 0);
	assert_int_equal(mappings(), 1);
	while (n > 0)
		vd_guard_remove(guards[--n]);
	vu_rig_negotiate(&rig, version_1, protocol);
	vu_rig_expect_ack(&rig, VD_VU_ADD_MEM_REG, &message, sizeof(message), &rig.fe.regions[0].fd,
			  1, 0);
}

/* ---- huge pages ---- */

#define HUGE_PAGE ((size_t)2 << 20)

/* Region 1 gets a file of one huge page behind it, and ends in the middle of that. False: this
 * machine has none. */
static bool make_huge_region(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	void *map = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)HUGE_PAGE) == 0)
		map = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		return false;
	}
	assert_int_equal(munmap(map, HUGE_PAGE), 0);
	make_regions(2, PAGE);
	close(rig.fe.regions[1].fd);
	rig.fe.regions[1].fd = fd;
	rig.fe.regions[1].desc.size = 0xa0000;
	return true;
}

/* They are huge for fe_close(), too. */
static void unmake_huge_region(void)
{
	rig.fe.regions[1].desc.size = PAGE;
}

static void huge_pages_are_given_back_whole(void **state)
{
	struct vd_vu_inflight_desc desc = {.mmap_size = 0x10000, .num_queues = 1, .queue_size = 16};

	(void)state;
	if (!make_huge_region())
		skip();
	for (unsigned i = 0; i < 3; i++) {
		vu_rig_negotiate(&rig, version_1, protocol);
		assert_int_equal(fe_share(&rig.fe), 0);
		assert_int_equal(fe_request(&rig.fe, VD_VU_SET_INFLIGHT_FD, &desc, sizeof(desc),
					    &rig.fe.regions[1].fd, 1),
				 0);
		vu_rig_expect_alive(&rig);
		assert_int_equal(mappings(), 5);
		fe_disconnect(&rig.fe);
		vu_rig_expect_ended(&rig, -ECONNRESET);
		assert_int_equal(mappings(), 2);
	}
	unmake_huge_region();
}

static void huge_pages_may_be_taken_away(void **state)
{
	unsigned char *there;

	(void)state;
	assert_int_equal(vd_guard_install(), 0);
	if (!make_huge_region())
		skip();
	there = rig.fe.regions[1].local;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	assert_int_equal(fe_add(&rig.fe, 0, there, 4, there + 4, 4, there), 0);
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	vu_rig_expect_alive(&rig);
	assert_int_equal(fe_add(&rig.fe, 0, there, 4, there + 4, 4, there), 0);
	assert_int_equal(fe_kick(&rig.fe, 0), 0);
	assert_int_equal(ftruncate(rig.fe.regions[1].fd, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, FE_GUEST + FE_STEP, 0, 0);
	unmake_huge_region();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SUSPENDS(name)                                                                             \
	{                                                                                          \
#name " (suspends)", name, setup_suspends, teardown, NULL                          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table_has_up_to_8_regions),
		TEST(a_table_has_as_many_regions_and_files_as_it_says),
		TEST(a_table_may_have_room_to_spare),
		TEST(a_region_must_be_inside_its_file),
		TEST(a_region_has_bytes_and_an_end),
		TEST(a_region_needs_a_file_that_can_be_shared_and_written),
		TEST(a_region_may_begin_in_the_middle_of_a_page),
		TEST(regions_do_not_overlap),
		TEST(there_are_64_slots_and_no_more),
		TEST(a_region_is_removed_by_its_addresses_and_size),
		TEST(a_descriptor_with_a_removal_is_closed),
		TEST(added_regions_do_not_overlap),
		TEST(the_same_table_again_moves_nothing),
		SUSPENDS(the_same_table_again_moves_nothing),
		TEST(requests_in_work_survive_the_same_table),
		SUSPENDS(requests_in_work_survive_the_same_table),
		TEST(more_memory_is_added_while_queues_run),
		SUSPENDS(more_memory_is_added_while_queues_run),
		TEST(rings_follow_their_memory),
		SUSPENDS(rings_follow_their_memory),
		TEST(a_table_without_the_rings_ends_the_connection),
		TEST(an_empty_table_ends_the_connection_of_a_running_queue),
		SUSPENDS(a_device_that_can_not_pause_needs_a_reset),
		TEST(a_queue_that_breaks_while_pausing_stays_broken),
		TEST(a_buffer_outside_breaks_its_queue_only),
		TEST(a_region_that_can_not_be_guarded_is_refused),
		TEST(huge_pages_are_given_back_whole),
		TEST(huge_pages_may_be_taken_away),
	};

	return cmocka_run_group_tests_name("vhost_user_memory", tests, NULL, NULL);
}
