/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications both ways, by every means there is, and through every obstacle. */
#include "front_end_rig.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t version_1 = VD_BIT(VD_F_VERSION_1);
static const uint64_t protocol = VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS);
static const uint64_t inband = (VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS)) |
			       VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS);

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	alarm(20);
	vu_rig_open(&rig, &(struct vu_rig_options){.protocol_features = inband});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	alarm(0);
	return 0;
}

static void run_with(enum fe_bell bell, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(fe_bells_make(&rig.fe, i, bell), 0);
	vu_rig_run(&rig, version_1, protocol, n, 16);
}

/* ---- kinds ---- */

static void bells_of_every_kind_work(void **state)
{
	(void)state;
	for (enum fe_bell bell = FE_EVENTFD; bell <= FE_PIPE; bell++) {
		run_with(bell, 2);
		for (uint32_t i = 0; i < 100; i++) {
			vu_rig_expect_works(&rig, i % 2, i);
			assert_true(fe_called(&rig.fe, i % 2));
			assert_false(fe_called(&rig.fe, 1 - i % 2));
		}
	}
}

static void a_kick_that_nobody_reads_rings_each_time(void **state)
{
	(void)state;
	run_with(FE_EVENTFD, 1);
	for (uint32_t i = 0; i < 10; i++) {
		vu_rig_expect_works(&rig, 0, i);
		/* The front end reads it as well: that takes nothing away. */
		if (i % 2 == 0)
			(void)fe_bell_rang(rig.fe.queues[0].kick.ours);
	}
}

static void without_a_kick_descriptor_the_queue_is_polled(void **state)
{
	struct pollfd pollfd;

	(void)state;
	rig.never_rests = true;
	run_with(FE_NONE, 1);
	assert_int_equal(rig.worker.starts, 0);
	for (uint32_t i = 0; i < 10; i++) {
		pollfd = (struct pollfd){.fd = vd_vu_backend_fd(rig.backend), .events = POLLIN};
		assert_int_equal(poll(&pollfd, 1, 0), 1);
		vu_rig_expect_works(&rig, 0, i);
	}
	/* An empty ring is looked at, but the device need not know. */
	rig.worker.notifies = 0;
	vu_rig_poll(&rig);
	assert_int_equal(rig.worker.notifies, 0);
	/* Until a descriptor comes. */
	assert_int_equal(fe_bells_make(&rig.fe, 0, FE_EVENTFD), 0);
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, 0, rig.fe.queues[0].kick.theirs), 0);
	vu_rig_poll(&rig);
	rig.never_rests = false;
	vu_rig_expect_works(&rig, 0, 99);
}

static void polling_ends_with_the_connection(void **state)
{
	(void)state;
	rig.never_rests = true;
	run_with(FE_NONE, 1);
	fe_disconnect(&rig.fe);
	vu_rig_poll(&rig);
	rig.never_rests = false;
	vu_rig_expect_ended(&rig, -VD_ECONNRESET);
}

/* ---- in band ---- */

static void expect_call_message(uint32_t request, uint32_t index)
{
	const struct vd_vu_state expected = {.index = index};
	struct fe_message message;

	assert_int_equal(fe_receive(&rig.fe, rig.fe.back.ours, &message), 0);
	assert_int_equal(message.header.request, request);
	assert_int_equal(message.header.flags, VD_VU_VERSION);
	assert_int_equal(message.header.size, sizeof(expected));
	assert_memory_equal(message.payload, &expected, sizeof(expected));
	assert_int_equal(message.n_fds, 0);
}

static bool is_quiet(void)
{
	struct pollfd pollfd = {.fd = rig.fe.back.ours, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 0;
}

static void notifications_may_be_messages(void **state)
{
	(void)state;
	rig.fe.queues[0].bell = FE_NONE;
	rig.fe.queues[1].bell = FE_NONE;
	vu_rig_run(&rig, version_1, inband, 2, 16);
	assert_int_equal(rig.worker.starts, 0);
	for (uint32_t i = 0; i < 10; i++) {
		vu_rig_expect_works(&rig, i % 2, i);
		expect_call_message(VD_VU_BACKEND_VRING_CALL, i % 2);
		assert_true(is_quiet());
	}
}

static void a_kick_message_starts_its_queue(void **state)
{
	struct vd_vu_addr addr;

	(void)state;
	rig.fe.queues[1].bell = FE_NONE;
	vu_rig_negotiate(&rig, version_1, inband);
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 1, 8), 0);
	addr = fe_queue_addr(&rig.fe, 1);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, 1, 8), 0);
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_ENABLE, 1, 1), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.worker.starts, 0);
	vu_rig_ask(&rig, 1, 4);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 1, 4);
	expect_call_message(VD_VU_BACKEND_VRING_CALL, 1);
}

static void a_descriptor_is_preferred_to_messages(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, inband, 1, 16);
	vu_rig_expect_works(&rig, 0, 1);
	assert_true(fe_called(&rig.fe, 0));
	assert_true(is_quiet());
}

static void a_broken_queue_may_be_told_of_by_message(void **state)
{
	(void)state;
	rig.fe.queues[1].bell = FE_NONE;
	vu_rig_run(&rig, version_1, inband, 2, 16);
	vu_rig_expect_works(&rig, 1, 1);
	expect_call_message(VD_VU_BACKEND_VRING_CALL, 1);
	((uint16_t *)rig.fe.queues[1].ring.driver)[1] += 100;
	assert_int_equal(fe_kick(&rig.fe, 1), 0);
	((uint16_t *)rig.fe.queues[1].ring.driver)[1] += 100;
	vu_rig_poll(&rig);
	expect_call_message(VD_VU_BACKEND_VRING_ERR, 1);
}

/* What is in the channel, and what the back end sends when there is room. */
static void empty_back_channel(unsigned *calls, unsigned n)
{
	memset(calls, 0, n * sizeof(*calls));
	while (!is_quiet()) {
		struct fe_message message;
		struct vd_vu_state vring;

		assert_int_equal(fe_receive(&rig.fe, rig.fe.back.ours, &message), 0);
		memcpy(&vring, message.payload, sizeof(vring));
		if (message.header.request == VD_VU_BACKEND_VRING_CALL)
			calls[vring.index]++;
	}
}

static void a_call_message_that_finds_no_room_comes_later(void **state)
{
	unsigned calls[2];

	(void)state;
	rig.fe.queues[0].bell = FE_NONE;
	rig.fe.queues[1].bell = FE_NONE;
	vu_rig_run(&rig, version_1, inband, 2, 16);
	rig.fe.taken = RIG_MEMORY / 2;
	for (uint32_t i = 0; i < 3000; i++) {
		rig.fe.taken = RIG_MEMORY / 2;
		vu_rig_expect_works(&rig, 0, i);
	}
	/* The channel is full of calls for queue 0, and does not keep us busy. */
	vu_rig_expect_works(&rig, 1, 1);
	empty_back_channel(calls, 2);
	assert_in_range(calls[0], 1, 2999);
	assert_int_equal(calls[1], 1);
	vu_rig_poll(&rig);
	assert_true(is_quiet());
}

static void what_waits_for_room_in_a_channel_is_sent_through_the_next(void **state)
{
	struct fe_wire full;
	unsigned calls[2];

	(void)state;
	rig.fe.queues[0].bell = FE_NONE;
	vu_rig_run(&rig, version_1, inband, 1, 16);
	for (uint32_t i = 0; i < 3000; i++) {
		rig.fe.taken = RIG_MEMORY / 2;
		vu_rig_expect_works(&rig, 0, i);
	}
	full = rig.fe.back;
	assert_int_equal(fe_bell_make(&rig.fe.back, FE_SOCKET), 0);
	assert_int_equal(
		fe_request(&rig.fe, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &rig.fe.back.theirs, 1), 0);
	vu_rig_poll(&rig);
	empty_back_channel(calls, 2);
	assert_int_equal(calls[0], 1);
	/* The one before is forgotten, though the front end keeps both its ends. */
	assert_int_equal(shutdown(full.ours, SHUT_RDWR), 0);
	vu_rig_poll(&rig);
	vu_rig_expect_works(&rig, 0, 1);
	fe_bell_close(&full);
}

static void a_full_channel_is_forgotten_with_its_connection(void **state)
{
	struct fe_wire full;

	(void)state;
	rig.fe.queues[0].bell = FE_NONE;
	vu_rig_run(&rig, version_1, inband, 1, 16);
	for (uint32_t i = 0; i < 3000; i++) {
		rig.fe.taken = RIG_MEMORY / 2;
		vu_rig_expect_works(&rig, 0, i);
	}
	full = rig.fe.back;
	rig.fe.back = (struct fe_wire){-1, -1};
	vd_vu_backend_disconnect(rig.backend);
	vu_rig_connect(&rig);
	assert_int_equal(shutdown(full.ours, SHUT_RDWR), 0);
	vu_rig_expect_alive(&rig);
	fe_bell_close(&full);
}

/* ---- obstacles ---- */

static void a_call_that_can_not_be_heard_does_not_block(void **state)
{
	uint64_t most = UINT64_MAX - 1;

	(void)state;
	run_with(FE_EVENTFD, 1);
	vu_rig_poll(&rig);
	assert_int_equal(write(rig.fe.queues[0].call.ours, &most, sizeof(most)), 8);
	vu_rig_expect_works(&rig, 0, 1);
	run_with(FE_SOCKET, 1);
	rig.fe.taken = RIG_MEMORY / 2;
	for (uint32_t i = 0; i < 3000; i++) {
		rig.fe.taken = RIG_MEMORY / 2;
		vu_rig_expect_works(&rig, 0, i);
	}
	run_with(FE_PIPE, 1);
	fe_bell_close(&rig.fe.queues[0].call);
	vu_rig_expect_works(&rig, 0, 1);
}

static void a_kick_whose_other_end_is_closed_falls_silent(void **state)
{
	(void)state;
	for (enum fe_bell bell = FE_SOCKET; bell <= FE_PIPE; bell++) {
		run_with(bell, 2);
		vu_rig_expect_works(&rig, 0, 1);
		fe_bell_close(&rig.fe.queues[0].kick);
		vu_rig_expect_works(&rig, 1, 2);
		/* It may come back. */
		assert_int_equal(fe_bells_make(&rig.fe, 0, bell), 0);
		assert_int_equal(
			fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, 0, rig.fe.queues[0].kick.theirs),
			0);
		vu_rig_expect_works(&rig, 0, 3);
	}
}

static void a_kick_that_is_only_half_closed_falls_silent_too(void **state)
{
	(void)state;
	run_with(FE_SOCKET, 1);
	vu_rig_expect_works(&rig, 0, 1);
	assert_int_equal(shutdown(rig.fe.queues[0].kick.ours, SHUT_WR), 0);
	vu_rig_expect_alive(&rig);
}

/* A socket that has sent, and would tell when: that is in its error queue, which nobody reads. */
static int socket_in_error(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int stamps = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd pollfd = {.fd = fd};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)), 0);
	assert_int_equal(send(fd, "", 1, 0), 1);
	assert_int_equal(poll(&pollfd, 1, 1000), 1);
	assert_int_equal(pollfd.revents, POLLERR);
	return fd;
}

static void a_kick_in_error_falls_silent(void **state)
{
	int fd = socket_in_error();

	(void)state;
	run_with(FE_SOCKET, 2);
	assert_int_equal(fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, 0, fd), 0);
	close(fd);
	vu_rig_expect_works(&rig, 1, 1);
}

static void what_makes_no_bell_ends_the_connection(void **state)
{
	const uint32_t by_fd[] = {VD_VU_SET_VRING_KICK, VD_VU_SET_VRING_CALL, VD_VU_SET_VRING_ERR};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint64_t queue = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		vu_rig_negotiate(&rig, version_1, protocol);
		vu_rig_refuses(&rig, by_fd[i], &queue, 8, &null, 1, VD_FAULT_VU_IO, EINVAL, 0, 0);
	}
	close(null);
}

/* How much is left in the bells of 64 queues. */
static size_t left_in_bells(void)
{
	size_t total = 0;

	for (unsigned i = 0; i < 64; i++) {
		int left = 0;

		assert_int_equal(ioctl(rig.fe.queues[i].kick.theirs, FIONREAD, &left), 0);
		total += (size_t)left;
	}
	return total;
}

static void bells_that_never_stop_keep_us_from_nothing_else(void **state)
{
	const char bytes[4096] = {0};

	(void)state;
	vu_rig_close(&rig);
	vu_rig_open(&rig, &(struct vu_rig_options){.worker.n_queues = 64});
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(fe_bells_make(&rig.fe, i, FE_SOCKET), 0);
	vu_rig_run(&rig, version_1, protocol, 64, 16);
	/* More than come in one go, each too full to be emptied at once. */
	for (unsigned i = 0; i < 64; i++)
		while (send(rig.fe.queues[i].kick.ours, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
	assert_int_equal(vd_vu_backend_poll(rig.backend), 0);
	assert_in_range(left_in_bells(), 64 * 4096, SIZE_MAX);
	for (uint32_t i = 0; i < 64; i++)
		vu_rig_expect_works(&rig, i, i);
	assert_int_equal(left_in_bells(), 0);
}

static void the_same_bell_may_serve_several_queues(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	assert_int_equal(
		fe_set_bell(&rig.fe, VD_VU_SET_VRING_KICK, 1, rig.fe.queues[0].kick.theirs), 0);
	vu_rig_poll(&rig);
	fe_bell_close(&rig.fe.queues[1].kick);
	rig.fe.queues[1].kick.ours = fcntl(rig.fe.queues[0].kick.ours, F_DUPFD_CLOEXEC, 0);
	vu_rig_expect_works(&rig, 0, 1);
	vu_rig_expect_works(&rig, 1, 2);
}

/* A front end keeps its ends of all bells: what it does with them later is not for us. */
static void bells_of_a_former_connection_are_not_heard(void **state)
{
	struct fe_wire before;

	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	vu_rig_expect_works(&rig, 0, 1);
	before = rig.fe.queues[0].kick;
	rig.fe.queues[0].kick = (struct fe_wire){-1, -1};
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	rig.worker.notifies = 0;
	assert_int_equal(write(before.ours, &(uint64_t){1}, 8), 8);
	vu_rig_poll(&rig);
	assert_int_equal(rig.worker.notifies, 0);
	fe_bell_close(&before);
}

/* ---- awaiting ---- */

static void awaiting_sees_a_kick(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_expect_works(&rig, 0, 1);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 0), -VD_ETIMEDOUT);
	vu_rig_ask(&rig, 0, 2);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 1000), 0);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 1), -VD_ETIMEDOUT);
}

static void awaiting_one_queue_loses_nothing_of_another(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 2, 16);
	vu_rig_ask(&rig, 0, 1);
	assert_int_equal(vd_vu_backend_await(rig.backend, 1, 5), -VD_ETIMEDOUT);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 1);
	vu_rig_ask(&rig, 0, 2);
	vu_rig_ask(&rig, 1, 3);
	assert_int_equal(vd_vu_backend_await(rig.backend, 1, 1000), 0);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 2);
}

static void awaiting_ends_when_the_front_end_speaks(void **state)
{
	(void)state;
	vu_rig_run(&rig, version_1, protocol, 1, 16);
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_OWNER, NULL, 0, NULL, 0), 0);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 1000), -VD_EPIPE);
	vu_rig_expect_alive(&rig);
	fe_disconnect(&rig.fe);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 1000), -VD_EPIPE);
	vu_rig_expect_ended(&rig, -VD_ECONNRESET);
}

static void awaiting_a_polled_queue_looks_at_it(void **state)
{
	uint64_t before;

	(void)state;
	rig.never_rests = true;
	run_with(FE_NONE, 1);
	vu_rig_expect_works(&rig, 0, 1);
	before = vd_now_ms();
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 20), -VD_ETIMEDOUT);
	assert_in_range(vd_now_ms() - before, 19, 2000);
	vu_rig_ask(&rig, 0, 2);
	assert_int_equal(vd_vu_backend_await(rig.backend, 0, 1000), 0);
	vu_rig_poll(&rig);
	vu_rig_expect_answer(&rig, 0, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bells_of_every_kind_work),
		TEST(a_kick_that_nobody_reads_rings_each_time),
		TEST(without_a_kick_descriptor_the_queue_is_polled),
		TEST(polling_ends_with_the_connection),
		TEST(notifications_may_be_messages),
		TEST(a_kick_message_starts_its_queue),
		TEST(a_descriptor_is_preferred_to_messages),
		TEST(a_broken_queue_may_be_told_of_by_message),
		TEST(a_call_message_that_finds_no_room_comes_later),
		TEST(what_waits_for_room_in_a_channel_is_sent_through_the_next),
		TEST(a_full_channel_is_forgotten_with_its_connection),
		TEST(a_call_that_can_not_be_heard_does_not_block),
		TEST(a_kick_whose_other_end_is_closed_falls_silent),
		TEST(a_kick_that_is_only_half_closed_falls_silent_too),
		TEST(a_kick_in_error_falls_silent),
		TEST(what_makes_no_bell_ends_the_connection),
		TEST(bells_that_never_stop_keep_us_from_nothing_else),
		TEST(the_same_bell_may_serve_several_queues),
		TEST(bells_of_a_former_connection_are_not_heard),
		TEST(awaiting_sees_a_kick),
		TEST(awaiting_one_queue_loses_nothing_of_another),
		TEST(awaiting_ends_when_the_front_end_speaks),
		TEST(awaiting_a_polled_queue_looks_at_it),
	};

	return cmocka_run_group_tests_name("vhost_user_bells", tests, NULL, NULL);
}
