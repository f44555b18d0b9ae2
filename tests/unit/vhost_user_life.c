/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Front ends that come and go: at every point of the set-up, with everything given back each time.
 * The rig compares file descriptors and mappings of before and after.
 */
#include "front_end_rig.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t no_status = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

/* ---- the set-up as steps ---- */

static void step_owner(void)
{
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_OWNER, NULL, 0, NULL, 0), 0);
}

static void step_protocol(void)
{
	uint64_t value;

	assert_int_equal(fe_get_u64(&rig.fe, VD_VU_GET_PROTOCOL_FEATURES, &value), 0);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_PROTOCOL_FEATURES, no_status), 0);
	rig.fe.protocol_features = no_status;
}

static void step_back_channel(void)
{
	fe_bell_close(&rig.fe.back);
	assert_int_equal(fe_bell_make(&rig.fe.back, FE_SOCKET), 0);
	assert_int_equal(
		fe_request(&rig.fe, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &rig.fe.back.theirs, 1), 0);
}

static void step_features(void)
{
	rig.fe.features = version_1 | VD_BIT(VD_VU_FEATURE_PROTOCOL);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, rig.fe.features), 0);
}

static void step_memory(void)
{
	assert_int_equal(fe_share_some(&rig.fe, 1), 0);
}

static void step_more_memory(void)
{
	assert_int_equal(fe_region_add(&rig.fe, 1), 0);
}

static void step_inflight(void)
{
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 16), 0);
}

static void step_inflight_back(void)
{
	assert_int_equal(fe_inflight_set(&rig.fe), 0);
}

static void step_queue(void)
{
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, 0, 16), 0);
}

static void step_addr(void)
{
	struct vd_vu_addr addr = fe_queue_addr(&rig.fe, 0);

	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			 0);
}

static void step_call(void)
{
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_CALL, 0, rig.fe.queues[0].call.theirs), 0);
}

static void step_err(void)
{
	assert_int_equal(fe_set_bell(&rig.fe, VD_VU_SET_VRING_ERR, 0, rig.fe.queues[0].err.theirs),
			 0);
}

static void step_kick(void)
{
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, 0, rig.fe.queues[0].kick.theirs), 0);
}

static void step_enable(void)
{
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENABLE, 0, 1), 0);
}

static void step_ask(void)
{
	vu_rig_ask(&rig, 0, 77);
}

static void step_answer(void)
{
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 77);
}

static void step_hold(void)
{
	rig.worker.config.hold = 4;
	vu_rig_ask(&rig, 0, 78);
}

static void (*const steps[])(void) = {
	step_owner,       step_protocol, step_back_channel, step_features,      step_memory,
	step_more_memory, step_inflight, step_queue,        step_inflight_back, step_addr,
	step_call,        step_err,      step_kick,         step_enable,        step_ask,
	step_answer,      step_hold,
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static void whole_life(void)
{
	rig.worker.config.hold = 0;
	rig.fe.taken = 0;
	vu_rig_connect(&rig);
	for (unsigned i = 0; i < N_STEPS; i++)
		steps[i]();
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(rig.worker.n_held, 1);
}

static void leave_after(unsigned n, bool polled)
{
	vu_rig_connect(&rig);
	rig.fe.taken = 0;
	rig.worker.config.hold = 0;
	for (unsigned i = 0; i < n; i++)
		steps[i]();
	if (polled)
		vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	fe_disconnect(&rig.fe);
	vu_rig_expect_ended(&rig, -VD_ECONNRESET);
	assert_int_equal(vd_vu_backend_fault(rig.backend)->code, VD_FAULT_NONE);
}

static void a_front_end_may_leave_at_any_point(void **state)
{
	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	for (unsigned n = 0; n <= N_STEPS; n++) {
		unsigned fds;
		unsigned maps;

		leave_after(n, true);
		fds = vu_count_fds();
		maps = vu_count_maps();
		leave_after(n, false);
		leave_after(n, true);
		assert_int_equal(vu_count_fds(), fds);
		assert_int_equal(vu_count_maps(), maps);
		assert_int_equal(maps, rig.maps_before + 2);
		whole_life();
	}
	assert_int_equal(rig.worker.starts, rig.worker.stops + 1);
}

/* A kernel that is shut down says its last words and is gone. */
static void what_was_notified_of_before_the_end_is_done(void **state)
{
	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	whole_life();
	worker_complete(&rig.worker, 1);
	rig.worker.config.hold = 0;
	rig.worker.served = 0;
	vu_rig_ask(&rig, 0, 1);
	vu_rig_ask(&rig, 0, 2);
	fe_disconnect(&rig.fe);
	vu_rig_expect_ended(&rig, -VD_ECONNRESET);
	assert_int_equal(rig.worker.served, 2);
}

static void a_message_that_breaks_a_rule_ends_it_at_any_point(void **state)
{
	uint64_t too_much = UINT64_MAX;

	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	for (unsigned n = 0; n <= N_STEPS; n++) {
		vu_rig_connect(&rig);
		rig.fe.taken = 0;
		rig.worker.config.hold = 0;
		for (unsigned i = 0; i < n; i++)
			steps[i]();
		vu_rig_refuses(&rig, VD_VU_SET_PROTOCOL_FEATURES, &too_much, 8, NULL, 0,
			       VD_FAULT_VU_PROTOCOL_FEATURES, UINT64_MAX, 0, 0);
		assert_int_equal(vu_count_maps(), rig.maps_before + 2);
	}
}

static void the_back_end_may_end_it_at_any_point(void **state)
{
	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	for (unsigned n = 0; n <= N_STEPS; n++) {
		struct fe_message message;

		vu_rig_connect(&rig);
		rig.fe.taken = 0;
		rig.worker.config.hold = 0;
		for (unsigned i = 0; i < n; i++)
			steps[i]();
		vu_rig_poll(&rig);
		vd_vu_backend_disconnect(rig.backend);
		vd_vu_backend_disconnect(rig.backend);
		assert_false(vd_vu_backend_is_connected(rig.backend));
		assert_int_equal(vd_vu_backend_poll(rig.backend), -VD_ECONNRESET);
		assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &message), -ECONNRESET);
		assert_int_equal(vu_count_maps(), rig.maps_before + 2);
		assert_int_equal(rig.worker.starts, rig.worker.stops);
	}
}

static void a_device_outlives_its_back_end(void **state)
{
	struct vd_vu_backend_config config = *vd_vu_backend_config(rig.backend);

	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	whole_life();
	vd_vu_backend_destroy(rig.backend);
	assert_int_equal(rig.worker.starts, rig.worker.stops);
	vd_vu_backend_destroy(NULL);
	assert_int_equal(vd_vu_backend_create(&rig.backend, &config), 0);
	whole_life();
}

static void a_socket_with_a_name_is_as_good(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[64];
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	(void)snprintf(path, sizeof(path), "vhost-user-life-%d.sock", (int)getpid());
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(fe_connect_path(&rig.fe, path), 0);
	assert_int_equal(
		vd_vu_backend_connect(rig.backend, accept4(listener, NULL, NULL, SOCK_CLOEXEC)), 0);
	unlink(path);
	close(listener);
	assert_int_equal(fe_negotiate(&rig.fe, version_1, no_status), 0);
	step_memory();
	step_queue();
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 1);
}

static void an_application_may_wait_on_one_descriptor_for_ever(void **state)
{
	int fd = vd_vu_backend_fd(rig.backend);

	(void)state;
	assert_int_equal(fe_region_make(&rig.fe, 4096), 1);
	for (unsigned i = 0; i < 3; i++) {
		whole_life();
		assert_int_equal(vd_vu_backend_fd(rig.backend), fd);
	}
}

/* ---- the in-flight region as a file ---- */

static void refuses_inflight(struct vd_vu_inflight_desc desc, int fd, uint64_t value)
{
	vu_rig_negotiate(&rig, version_1, no_status);
	vu_rig_refuses(&rig, VD_VU_SET_INFLIGHT_FD, &desc, sizeof(desc), &fd, 1, VD_FAULT_VU_VALUE,
		       VD_VU_SET_INFLIGHT_FD, value, 0);
	assert_int_equal(vu_count_maps(), rig.maps_before + 1);
}

static void an_inflight_region_must_be_in_its_file(void **state)
{
	struct vd_vu_inflight_desc good;
	struct vd_vu_inflight_desc desc;
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_inflight_get(&rig.fe, 2, 16), 0);
	good = rig.fe.inflight;
	assert_int_equal(good.mmap_offset, 0);
	assert_int_equal(good.num_queues, 2);
	assert_int_equal(good.queue_size, 16);
	desc = good;
	desc.mmap_size--;
	refuses_inflight(desc, rig.fe.inflight_fd, desc.mmap_size);
	desc.mmap_size = UINT64_MAX;
	desc.mmap_offset = UINT64_MAX - good.mmap_size + 1;
	refuses_inflight(desc, rig.fe.inflight_fd, desc.mmap_size);
	desc = good;
	desc.mmap_offset = 4096;
	refuses_inflight(desc, rig.fe.inflight_fd, desc.mmap_size);
	desc.mmap_offset = UINT64_MAX - 4095;
	refuses_inflight(desc, rig.fe.inflight_fd, desc.mmap_size);
	desc = good;
	desc.mmap_offset = 8;
	refuses_inflight(desc, rig.fe.regions[0].fd, desc.mmap_size);
	desc = good;
	desc.num_queues = 0;
	refuses_inflight(desc, rig.fe.inflight_fd, 0);
	desc.num_queues = 3;
	refuses_inflight(desc, rig.fe.inflight_fd, 3);
	desc = good;
	desc.queue_size = 0;
	refuses_inflight(desc, rig.fe.inflight_fd, 0);
	desc.queue_size = 32769;
	refuses_inflight(desc, rig.fe.inflight_fd, 32769);
	desc.queue_size = 17;
	desc.mmap_size += 4096;
	refuses_inflight(good, rig.fe.sock >= 0 ? rig.fe.sock : 0, good.mmap_size);
	assert_int_equal(ftruncate(sealed, 65536), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	refuses_inflight(good, sealed, good.mmap_size);
	close(sealed);
}

static void an_inflight_region_may_be_asked_for_with_20_bytes(void **state)
{
	struct vd_vu_inflight_desc desc = {.num_queues = 1, .queue_size = 8};
	struct fe_message answer;

	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	assert_int_equal(fe_send(&rig.fe, VD_VU_GET_INFLIGHT_FD, 1, &desc, 20, NULL, 0), 0);
	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), 0);
	assert_int_equal(answer.header.size, 20);
	assert_int_equal(answer.n_fds, 1);
	close(answer.fds[0]);
}

static void an_inflight_region_comes_before_the_queues(void **state)
{
	struct vd_vu_inflight_desc desc = {.num_queues = 1, .queue_size = 8};

	(void)state;
	vu_rig_run(&rig, version_1, no_status, 1, 8);
	vu_rig_refuses(&rig, VD_VU_GET_INFLIGHT_FD, &desc, sizeof(desc), NULL, 0, VD_FAULT_VU_ORDER,
		       VD_VU_GET_INFLIGHT_FD, 0, 0);
}

static void queues_must_fit_the_inflight_region(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, no_status);
	step_memory();
	assert_int_equal(fe_inflight_get(&rig.fe, 1, 8), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_SIZE, 0, 16, 8);
	vu_rig_negotiate(&rig, version_1, no_status);
	step_memory();
	assert_int_equal(fe_inflight_get(&rig.fe, 1, 16), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 1, 8), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 1), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_QUEUE_SIZE, 1, 8, 16);
	vu_rig_negotiate(&rig, version_1, no_status);
	step_memory();
	assert_int_equal(fe_inflight_get(&rig.fe, 1, 16), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 8), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 1);
}

/* ---- memory that is taken away ---- */

static void run_guarded(uint64_t features)
{
	/* Not in setup: cmocka has a handler of its own while a test runs. */
	assert_int_equal(vd_guard_install(), 0);
	vu_rig_negotiate(&rig, features, no_status);
	step_memory();
	assert_int_equal(fe_inflight_get(&rig.fe, 1, 16), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 1);
}

static void memory_that_is_cut_off_ends_the_connection_and_nothing_else(void **state)
{
	uint64_t packed = version_1 | VD_BIT(VD_F_RING_PACKED);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		run_guarded(i % 2 == 0 ? version_1 : packed);
		rig.worker.config.hold = i / 2 * 2;
		vu_rig_ask(&rig, 0, 2);
		vu_rig_poll(&rig);
		vu_rig_ask(&rig, 0, 3);
		assert_int_equal(ftruncate(rig.fe.regions[0].fd, 0), 0);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, FE_GUEST, 0, 0);
		rig.worker.config.hold = 0;
		assert_int_equal(ftruncate(rig.fe.regions[0].fd, RIG_MEMORY), 0);
		rig.fe.taken = 0;
		run_guarded(version_1);
	}
}

static void a_message_that_meets_it_tells_of_it(void **state)
{
	(void)state;
	run_guarded(version_1);
	assert_int_equal(ftruncate(rig.fe.regions[0].fd, 0), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_BASE, 0, 1), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, FE_GUEST, 0, 0);
}

/* The back end seals what it makes; only another front end's file can shrink. */
static void an_inflight_region_that_is_cut_off_ends_the_connection(void **state)
{
	(void)state;
	run_guarded(version_1);
	assert_int_not_equal(ftruncate(rig.fe.inflight_fd, 0), 0);
	close(rig.fe.inflight_fd);
	rig.fe.inflight_fd = memfd_create("another", MFD_CLOEXEC);
	assert_int_equal(ftruncate(rig.fe.inflight_fd, (off_t)rig.fe.inflight.mmap_size), 0);
	vu_rig_negotiate(&rig, version_1, no_status);
	step_memory();
	assert_int_equal(fe_inflight_set(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_ask(&rig, 0, 2);
	assert_int_equal(ftruncate(rig.fe.inflight_fd, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, 0, 0, 0);
	run_guarded(version_1);
}

static void more_memory_than_the_machine_has_can_be_taken_away(void **state)
{
	off_t huge = (off_t)1 << 42;

	(void)state;
	assert_int_equal(vd_guard_install(), 0);
	assert_int_equal(ftruncate(rig.fe.regions[0].fd, huge), 0);
	rig.fe.regions[0].desc.size = (uint64_t)huge;
	vu_rig_negotiate(&rig, version_1, no_status);
	step_memory();
	rig.fe.regions[0].desc.size = RIG_MEMORY;
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_ask(&rig, 0, 2);
	assert_int_equal(ftruncate(rig.fe.regions[0].fd, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_REGION_SHRUNK, FE_GUEST, 0, 0);
	assert_int_equal(ftruncate(rig.fe.regions[0].fd, RIG_MEMORY), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_front_end_may_leave_at_any_point),
		TEST(what_was_notified_of_before_the_end_is_done),
		TEST(a_message_that_breaks_a_rule_ends_it_at_any_point),
		TEST(the_back_end_may_end_it_at_any_point),
		TEST(a_device_outlives_its_back_end),
		TEST(a_socket_with_a_name_is_as_good),
		TEST(an_application_may_wait_on_one_descriptor_for_ever),
		TEST(an_inflight_region_must_be_in_its_file),
		TEST(an_inflight_region_may_be_asked_for_with_20_bytes),
		TEST(an_inflight_region_comes_before_the_queues),
		TEST(queues_must_fit_the_inflight_region),
		TEST(memory_that_is_cut_off_ends_the_connection_and_nothing_else),
		TEST(a_message_that_meets_it_tells_of_it),
		TEST(an_inflight_region_that_is_cut_off_ends_the_connection),
		TEST(more_memory_than_the_machine_has_can_be_taken_away),
	};

	return cmocka_run_group_tests_name("vhost_user_life", tests, NULL, NULL);
}
