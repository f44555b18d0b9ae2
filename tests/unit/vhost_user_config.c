/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space over vhost-user, news of its changes, and queues that break. */
#include "front_end_rig.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t protocol = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	vu_rig_negotiate(&rig, version_1, protocol);
	return 0;
}

static int setup_without(void **state)
{
	(void)state;
	vu_rig_open(&rig, &(struct vu_rig_options){.worker.no_config = true});
	vu_rig_negotiate(&rig, version_1, protocol);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

struct access {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	unsigned char bytes[VD_VU_PAYLOAD_MAX];
};

static struct access access_to(uint32_t offset, uint32_t size)
{
	struct access access = {.offset = offset, .size = size};

	memset(access.bytes, 0xee, sizeof(access.bytes));
	return access;
}

/* ---- reading ---- */

static void expect_read(uint32_t offset, uint32_t size)
{
	struct access access = access_to(offset, size);

	assert_int_equal(
		fe_query(&rig.fe, VD_VU_GET_CONFIG, &access, 12 + size, &access, 12 + size), 0);
	assert_int_equal(access.offset, offset);
	assert_int_equal(access.size, size);
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(access.bytes[i], rig.worker.space[offset + i]);
}

static void every_part_of_the_space_can_be_read(void **state)
{
	(void)state;
	for (uint32_t offset = 0; offset <= WORKER_CONFIG; offset++)
		for (uint32_t size = 0; size <= WORKER_CONFIG - offset; size++)
			expect_read(offset, size);
}

static void expect_unreadable(uint32_t offset, uint32_t size)
{
	struct access access = access_to(offset, size);

	assert_int_equal(fe_query(&rig.fe, VD_VU_GET_CONFIG, &access, 12 + size, NULL, 0), 0);
}

static void reading_outside_is_answered_with_nothing(void **state)
{
	(void)state;
	expect_unreadable(0, WORKER_CONFIG + 1);
	expect_unreadable(WORKER_CONFIG, 1);
	expect_unreadable(WORKER_CONFIG + 1, 0);
	expect_unreadable(UINT32_MAX, 1);
	expect_unreadable(UINT32_MAX, 0);
	expect_unreadable(0, VD_VU_PAYLOAD_MAX - 12);
	vu_rig_expect_alive(&rig);
}

static void refuses_size(uint32_t request, uint32_t said, uint32_t sent)
{
	struct access access = access_to(0, said);

	vu_rig_negotiate(&rig, version_1, protocol);
	vu_rig_refuses(&rig, request, &access, 12 + sent, NULL, 0, VD_FAULT_VU_VALUE, request, said,
		       0);
}

static void an_access_must_bring_the_bytes_it_speaks_of(void **state)
{
	(void)state;
	for (uint32_t request = VD_VU_GET_CONFIG; request <= VD_VU_SET_CONFIG; request++) {
		refuses_size(request, 4, 5);
		refuses_size(request, 5, 4);
		refuses_size(request, 0, 1);
		refuses_size(request, UINT32_MAX, 4);
		refuses_size(request, UINT32_MAX - 11, 0);
	}
}

/* ---- writing ---- */

static void expect_write(uint32_t offset, uint32_t size, uint32_t flags, bool taken)
{
	struct access access = access_to(offset, size);
	unsigned char before[WORKER_CONFIG];

	memcpy(before, rig.worker.space, sizeof(before));
	access.flags = flags;
	vu_rig_expect_ack(&rig, VD_VU_SET_CONFIG, &access, 12 + size, NULL, 0, !taken);
	for (uint32_t i = 0; i < WORKER_CONFIG; i++)
		assert_int_equal(rig.worker.space[i],
				 taken && i >= offset && i < offset + size ? 0xee : before[i]);
	memcpy(rig.worker.space, before, sizeof(before));
}

static void only_what_is_writable_can_be_written(void **state)
{
	(void)state;
	expect_write(4, 4, 0, true);
	expect_write(5, 1, 0, true);
	expect_write(8, 8, 0, true);
	expect_write(4, 12, 0, true);
	assert_int_equal(rig.worker.config_writes, 4);
	expect_write(0, 4, 0, false);
	expect_write(3, 2, 0, false);
	expect_write(16, 1, 0, false);
	expect_write(15, 2, 0, false);
	expect_write(WORKER_CONFIG, 1, 0, false);
	expect_write(UINT32_MAX, 1, 0, false);
	assert_int_equal(rig.worker.config_writes, 4);
}

static void migration_writes_everything(void **state)
{
	(void)state;
	expect_write(0, WORKER_CONFIG, VD_VU_CONFIG_MIGRATION, true);
	expect_write(1, 2, VD_VU_CONFIG_MIGRATION, true);
	expect_write(0, WORKER_CONFIG + 1, VD_VU_CONFIG_MIGRATION, false);
	expect_write(WORKER_CONFIG, 1, VD_VU_CONFIG_MIGRATION, false);
	assert_int_equal(rig.worker.config_writes, 0);
}

static void unknown_flags_are_refused(void **state)
{
	struct access access = access_to(4, 4);

	(void)state;
	access.flags = 2;
	vu_rig_refuses(&rig, VD_VU_SET_CONFIG, &access, 16, NULL, 0, VD_FAULT_VU_VALUE,
		       VD_VU_SET_CONFIG, 2, 0);
}

static void a_device_may_have_no_configuration_space(void **state)
{
	(void)state;
	expect_unreadable(0, 1);
	expect_read(0, 0);
	expect_write(0, 1, 0, false);
	expect_write(0, 1, VD_VU_CONFIG_MIGRATION, false);
	expect_write(0, 0, VD_VU_CONFIG_MIGRATION, true);
	expect_write(0, 0, 0, true);
}

/* ---- news ---- */

static bool is_quiet(void)
{
	struct pollfd pollfd = {.fd = rig.fe.back.ours, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 0;
}

static void expect_change(void)
{
	struct fe_message message;

	assert_int_equal(fe_receive(&rig.fe, rig.fe.back.ours, &message), 0);
	assert_int_equal(message.header.request, VD_VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(message.header.flags, VD_VU_VERSION);
	assert_int_equal(message.header.size, 0);
	assert_int_equal(message.n_fds, 0);
}

static void change(unsigned char value)
{
	assert_int_equal(vd_device_config_update(&rig.worker.dev, 0, &value, 1), 0);
}

static void a_change_is_told_to_a_driver_that_is_ready(void **state)
{
	(void)state;
	change(1);
	assert_true(is_quiet());
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	change(2);
	assert_true(is_quiet());
	vu_rig_expect_works(&rig, 0, 1);
	change(3);
	expect_change();
	assert_true(is_quiet());
}

static void nothing_is_told_to_who_did_not_negotiate_it(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol & ~VD_BIT(VD_VU_F_CONFIG), 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	change(1);
	assert_true(is_quiet());
	vu_rig_run(&rig, version_1, protocol & ~VD_BIT(VD_VU_F_BACKEND_REQ), 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	change(2);
	vu_rig_expect_alive(&rig);
}

/* More changes than fit the channel. */
static void fill_channel(void)
{
	for (unsigned i = 0; i < 3000; i++)
		change((unsigned char)i);
}

static void a_change_that_finds_no_room_is_told_later(void **state)
{
	unsigned n = 0;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	fill_channel();
	vu_rig_poll(&rig);
	for (; !is_quiet(); n++)
		expect_change();
	assert_in_range(n, 2, 2999);
	vu_rig_poll(&rig);
	assert_true(is_quiet());
	change(0);
	expect_change();
}

static void a_change_that_waits_is_told_through_the_next_channel(void **state)
{
	struct fe_wire full;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	fill_channel();
	full = rig.fe.back;
	assert_int_equal(fe_bell_make(&rig.fe.back, FE_SOCKET), 0);
	assert_int_equal(
		fe_request(&rig.fe, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &rig.fe.back.theirs, 1), 0);
	vu_rig_poll(&rig);
	expect_change();
	assert_true(is_quiet());
	/* The other one is forgotten, though the front end kept both its ends. */
	assert_int_equal(shutdown(full.ours, SHUT_RDWR), 0);
	vu_rig_expect_works(&rig, 0, 2);
	assert_true(is_quiet());
	fe_bell_close(&full);
}

static void a_change_that_waits_is_forgotten_with_the_connection(void **state)
{
	struct fe_wire full;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	fill_channel();
	full = rig.fe.back;
	rig.fe.back = (struct fe_wire){-1, -1};
	vd_vu_backend_disconnect(rig.backend);
	assert_int_equal(shutdown(full.ours, SHUT_RDWR), 0);
	vu_rig_poll(&rig);
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	assert_true(is_quiet());
	fe_bell_close(&full);
}

static void a_channel_whose_other_end_is_closed_is_no_trouble(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	fill_channel();
	fe_bell_close(&rig.fe.back);
	vu_rig_expect_works(&rig, 0, 2);
	change(1);
	vu_rig_expect_alive(&rig);
}

static void a_channel_that_is_no_socket_is_no_trouble(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	assert_int_equal(
		fe_request(&rig.fe, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &rig.fe.regions[0].fd, 1),
		0);
	vu_rig_expect_works(&rig, 0, 1);
	change(1);
	vu_rig_expect_alive(&rig);
}

/* ---- queues that break ---- */

static void break_queue(uint16_t index)
{
	uint16_t *avail = rig.fe.queues[index].ring.driver;

	avail[1] = (uint16_t)(avail[1] + 9);
	assert_int_equal(fe_kick(&rig.fe, index), 0);
	avail[1] = (uint16_t)(avail[1] + 9);
	vu_rig_poll(&rig);
}

static void a_broken_queue_is_told_in_every_way(void **state)
{
	(void)state;
	vu_rig_negotiate(&rig, version_1, VD_VU_PROTOCOL_DEFAULT);
	assert_int_equal(fe_share(&rig.fe), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fe_queue_make(&rig.fe, i, 8), 0);
		assert_int_equal(fe_queue_start(&rig.fe, i), 0);
	}
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, 1 | 2 | 8), 0);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, 1 | 2 | 8 | 4), 0);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_expect_works(&rig, 1, 2);
	break_queue(1);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(rig.worker.fault.code, VD_FAULT_AVAIL_JUMP);
	assert_true(fe_bell_rang(rig.fe.queues[1].err.ours));
	assert_false(fe_bell_rang(rig.fe.queues[0].err.ours));
	expect_change();
	assert_true(is_quiet());
	assert_int_equal(vd_device_status(&rig.worker.dev), 1 | 2 | 4 | 8 | VD_STATUS_NEEDS_RESET);
	/* The device stands still until it is reset. */
	vu_rig_ask(&rig, 0, 3);
	vu_rig_poll(&rig);
	vu_rig_expect_silence(&rig, 0);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, 0), 0);
	assert_int_equal(
		fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, version_1 | VD_BIT(VD_VU_FEATURE_PROTOCOL)),
		0);
	assert_int_equal(fe_queue_make(&rig.fe, 1, 8), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 1), 0);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, 1 | 2 | 8 | 4), 0);
	vu_rig_expect_works(&rig, 1, 4);
}

static void a_queue_that_is_broken_from_the_start_is_told_too(void **state)
{
	(void)state;
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 8), 0);
	((uint16_t *)rig.fe.queues[0].ring.driver)[1] = 9;
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	assert_true(fe_bell_rang(rig.fe.queues[0].err.ours));
	assert_true(vd_device_status(&rig.worker.dev) & VD_STATUS_NEEDS_RESET);
}

static void who_reports_needs_reset_otherwise_breaks_no_queue(void **state)
{
	struct vd_fault fault = {.code = VD_FAULT_NEEDS_RESET};

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 8);
	vu_rig_expect_works(&rig, 0, 1);
	vd_device_fail(&rig.worker.dev, &fault);
	assert_false(fe_bell_rang(rig.fe.queues[0].err.ours));
	expect_change();
	assert_true(is_quiet());
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WITHOUT(name) cmocka_unit_test_setup_teardown(name, setup_without, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_part_of_the_space_can_be_read),
		TEST(reading_outside_is_answered_with_nothing),
		TEST(an_access_must_bring_the_bytes_it_speaks_of),
		TEST(only_what_is_writable_can_be_written),
		TEST(migration_writes_everything),
		TEST(unknown_flags_are_refused),
		WITHOUT(a_device_may_have_no_configuration_space),
		TEST(a_change_is_told_to_a_driver_that_is_ready),
		TEST(nothing_is_told_to_who_did_not_negotiate_it),
		TEST(a_change_that_finds_no_room_is_told_later),
		TEST(a_change_that_waits_is_told_through_the_next_channel),
		TEST(a_change_that_waits_is_forgotten_with_the_connection),
		TEST(a_channel_whose_other_end_is_closed_is_no_trouble),
		TEST(a_channel_that_is_no_socket_is_no_trouble),
		TEST(a_broken_queue_is_told_in_every_way),
		TEST(a_queue_that_is_broken_from_the_start_is_told_too),
		TEST(who_reports_needs_reset_otherwise_breaks_no_queue),
	};

	return cmocka_run_group_tests_name("vhost_user_config", tests, NULL, NULL);
}
