/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages as they come over the socket: whole, in pieces, several at once, and cut off. */
#include "front_end_rig.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct vu_rig rig;

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, NULL);
	vu_rig_connect(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

struct bytes {
	unsigned char at[64];
	size_t len;
};

static struct bytes message(uint32_t request, uint32_t flags, uint32_t size, uint64_t payload)
{
	struct vd_vu_header header = {.request = request, .flags = flags, .size = size};
	struct bytes bytes = {.len = sizeof(header) + (size > 8 ? 8 : size)};

	memcpy(bytes.at, &header, sizeof(header));
	memcpy(bytes.at + sizeof(header), &payload, sizeof(payload));
	return bytes;
}

static struct bytes get_features(void)
{
	return message(VD_VU_GET_FEATURES, VD_VU_VERSION, 0, 0);
}

static struct bytes set_protocol_features(void)
{
	return message(VD_VU_SET_PROTOCOL_FEATURES, VD_VU_VERSION, 8, 0);
}

static void send_piece(const struct bytes *bytes, size_t from, size_t to)
{
	assert_int_equal(fe_send_bytes(&rig.fe, bytes->at + from, to - from, NULL, 0), 0);
	vu_rig_poll(&rig);
}

static void expect_features(void)
{
	struct fe_message answer;

	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), 0);
	assert_int_equal(answer.header.request, VD_VU_GET_FEATURES);
	assert_int_equal(answer.header.flags, 5);
	assert_int_equal(answer.header.size, 8);
	assert_int_equal(answer.n_fds, 0);
}

static void a_message_may_come_byte_by_byte(void **state)
{
	struct bytes set = set_protocol_features();
	struct bytes get = get_features();

	(void)state;
	for (size_t i = 0; i < set.len; i++) {
		assert_int_equal(rig.traced, 0);
		send_piece(&set, i, i + 1);
	}
	assert_int_equal(rig.traced, 1);
	for (size_t i = 0; i < get.len; i++)
		send_piece(&get, i, i + 1);
	assert_int_equal(rig.traced, 2);
	expect_features();
}

static void a_message_may_be_cut_anywhere(void **state)
{
	struct bytes set = set_protocol_features();

	(void)state;
	for (size_t cut = 1; cut < set.len; cut++) {
		send_piece(&set, 0, cut);
		assert_int_equal(rig.traced, cut - 1);
		send_piece(&set, cut, set.len);
		assert_int_equal(rig.traced, cut);
	}
	vu_rig_expect_alive(&rig);
}

static void several_messages_may_come_at_once(void **state)
{
	unsigned char bytes[1200];
	struct bytes get = get_features();

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		memcpy(bytes + i * 12, get.at, 12);
	assert_int_equal(fe_send_bytes(&rig.fe, bytes, sizeof(bytes), NULL, 0), 0);
	/* No poll takes more than a fair share, and none is needed more than asked for. */
	assert_int_equal(vd_vu_backend_poll(rig.backend), 0);
	assert_in_range(rig.traced, 1, 99);
	vu_rig_poll(&rig);
	assert_int_equal(rig.traced, 100);
	for (unsigned i = 0; i < 100; i++)
		expect_features();
}

static void a_message_and_a_half_are_one_message_yet(void **state)
{
	unsigned char bytes[32];
	struct bytes get = get_features();
	struct bytes set = set_protocol_features();

	(void)state;
	memcpy(bytes, get.at, 12);
	memcpy(bytes + 12, set.at, 20);
	assert_int_equal(fe_send_bytes(&rig.fe, bytes, 27, NULL, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.traced, 1);
	expect_features();
	assert_int_equal(fe_send_bytes(&rig.fe, bytes + 27, 5, NULL, 0), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.traced, 2);
}

static void only_version_1_is_spoken(void **state)
{
	(void)state;
	for (uint32_t version = 0; version < 4; version++) {
		struct bytes get = message(VD_VU_GET_FEATURES, version, 0, 0);

		if (version == 1)
			continue;
		vu_rig_connect(&rig);
		assert_int_equal(fe_send_bytes(&rig.fe, get.at, get.len, NULL, 0), 0);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_VERSION, VD_VU_GET_FEATURES, version, 0);
	}
}

static void a_length_that_no_message_has_ends_the_connection(void **state)
{
	const uint32_t sizes[] = {VD_VU_PAYLOAD_MAX + 1, INT32_MAX, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bytes get = message(VD_VU_GET_CONFIG, 1, sizes[i], 0);

		vu_rig_connect(&rig);
		assert_int_equal(fe_send_bytes(&rig.fe, get.at, 12, NULL, 0), 0);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_SIZE, VD_VU_GET_CONFIG, sizes[i], 0);
	}
}

static void a_front_end_may_leave_between_messages(void **state)
{
	struct bytes set = set_protocol_features();

	(void)state;
	send_piece(&set, 0, set.len);
	fe_disconnect(&rig.fe);
	vu_rig_expect_ended(&rig, -VD_ECONNRESET);
	assert_int_equal(vd_vu_backend_poll(rig.backend), -VD_ECONNRESET);
}

static void a_front_end_that_leaves_inside_a_message_is_told_of(void **state)
{
	struct bytes set = set_protocol_features();

	(void)state;
	for (size_t cut = 1; cut < set.len; cut++) {
		vu_rig_connect(&rig);
		send_piece(&set, 0, cut);
		fe_disconnect(&rig.fe);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_TRUNCATED, cut, cut < 12 ? 12 : 20, 0);
	}
}

static void half_a_message_does_not_leak_into_the_next_connection(void **state)
{
	struct bytes set = set_protocol_features();

	(void)state;
	send_piece(&set, 0, 15);
	vd_vu_backend_disconnect(rig.backend);
	vu_rig_connect(&rig);
	vu_rig_expect_alive(&rig);
}

static void an_answer_that_nobody_takes_ends_the_connection(void **state)
{
	struct bytes get = get_features();

	(void)state;
	for (unsigned i = 0; i < 100000 && rig.ended == 0; i++) {
		assert_int_equal(fe_send_bytes(&rig.fe, get.at, get.len, NULL, 0), 0);
		vu_rig_poll(&rig);
	}
	vu_rig_expect_fault(&rig, VD_FAULT_VU_IO, VD_EAGAIN, 0, 0);
}

/* ---- descriptors ---- */

static void send_with_fds(const struct bytes *bytes, unsigned n)
{
	int fds[FE_FDS_MAX];

	for (unsigned i = 0; i < n; i++)
		fds[i] = rig.fe.regions[0].fd;
	assert_int_equal(fe_send_bytes(&rig.fe, bytes->at, bytes->len, fds, n), 0);
}

static void descriptors_that_nobody_wants_are_closed(void **state)
{
	struct bytes get = get_features();
	unsigned before = vu_count_fds();

	(void)state;
	for (unsigned n = 1; n <= 8; n++) {
		vu_rig_connect(&rig);
		send_with_fds(&get, n);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_FDS, VD_VU_GET_FEATURES, n, 0);
	}
	fe_disconnect(&rig.fe);
	assert_int_equal(vu_count_fds(), before - 2);
}

static void more_descriptors_than_any_message_has_are_closed(void **state)
{
	struct bytes get = get_features();

	(void)state;
	for (unsigned n = 9; n <= FE_FDS_MAX; n++) {
		vu_rig_connect(&rig);
		send_with_fds(&get, n);
		vu_rig_expect_fault(&rig, VD_FAULT_VU_FDS, VD_VU_GET_FEATURES, 9, 8);
	}
}

static void descriptors_of_all_pieces_count(void **state)
{
	struct bytes set = set_protocol_features();
	int fd = rig.fe.regions[0].fd;
	int fds[8] = {fd, fd, fd, fd, fd, fd, fd, fd};

	(void)state;
	assert_int_equal(fe_send_bytes(&rig.fe, set.at, 12, fds, 8), 0);
	vu_rig_poll(&rig);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(fe_send_bytes(&rig.fe, set.at + 12, 8, fds, 1), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_FDS, VD_VU_SET_PROTOCOL_FEATURES, 9, 8);
}

static void descriptors_are_closed_if_the_message_never_ends(void **state)
{
	struct bytes set = set_protocol_features();
	int fd = rig.fe.regions[0].fd;
	unsigned before = vu_count_fds();

	(void)state;
	assert_int_equal(fe_send_bytes(&rig.fe, set.at, 5, &fd, 1), 0);
	vu_rig_poll(&rig);
	assert_int_equal(vu_count_fds(), before + 1);
	fe_disconnect(&rig.fe);
	vu_rig_expect_fault(&rig, VD_FAULT_VU_TRUNCATED, 5, 12, 0);
	assert_int_equal(vu_count_fds(), before - 2);
}

static void received_descriptors_are_not_for_child_processes(void **state)
{
	unsigned char seen[1024] = {0};
	uint64_t queue = 0;

	(void)state;
	for (int fd = 0; fd < 1024; fd++)
		seen[fd] = fcntl(fd, F_GETFD) >= 0;
	assert_int_equal(fe_bells_make(&rig.fe, 0, FE_EVENTFD), 0);
	for (int fd = 0; fd < 1024; fd++)
		seen[fd] |= fcntl(fd, F_GETFD) >= 0;
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_VRING_CALL, &queue, sizeof(queue),
				    &rig.fe.queues[0].call.theirs, 1),
			 0);
	vu_rig_poll(&rig);
	for (int fd = 0; fd < 1024; fd++)
		if (!seen[fd] && fcntl(fd, F_GETFD) >= 0)
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* ---- the connection itself ---- */

static void one_front_end_at_a_time(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vd_vu_backend_connect(rig.backend, pair[1]), -VD_EBUSY);
	assert_int_equal(fcntl(pair[1], F_GETFD), -1);
	close(pair[0]);
	vu_rig_expect_alive(&rig);
}

static void what_is_no_socket_is_refused_or_ends_at_once(void **state)
{
	int pair[2];

	(void)state;
	vd_vu_backend_disconnect(rig.backend);
	assert_int_equal(vd_vu_backend_connect(rig.backend, memfd_create("no socket", 0)), -EPERM);
	assert_false(vd_vu_backend_is_connected(rig.backend));
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(vd_vu_backend_connect(rig.backend, pair[0]), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	vu_rig_expect_ended(&rig, -ENOTSOCK);
	close(pair[1]);
}

static void a_copy_of_the_socket_does_not_keep_the_loop_busy(void **state)
{
	int copy;
	int sock = fe_connect_pair(&rig.fe);

	(void)state;
	vd_vu_backend_disconnect(rig.backend);
	copy = dup(sock);
	assert_int_equal(vd_vu_backend_connect(rig.backend, sock), 0);
	vd_vu_backend_disconnect(rig.backend);
	fe_disconnect(&rig.fe);
	vu_rig_connect(&rig);
	vu_rig_expect_alive(&rig);
	assert_int_equal(rig.ended, 0);
	vu_rig_poll(&rig);
	assert_int_equal(vd_vu_backend_poll(rig.backend), 0);
	assert_int_equal(rig.traced, 1);
	close(copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_may_come_byte_by_byte),
		TEST(a_message_may_be_cut_anywhere),
		TEST(several_messages_may_come_at_once),
		TEST(a_message_and_a_half_are_one_message_yet),
		TEST(only_version_1_is_spoken),
		TEST(a_length_that_no_message_has_ends_the_connection),
		TEST(a_front_end_may_leave_between_messages),
		TEST(a_front_end_that_leaves_inside_a_message_is_told_of),
		TEST(half_a_message_does_not_leak_into_the_next_connection),
		TEST(an_answer_that_nobody_takes_ends_the_connection),
		TEST(descriptors_that_nobody_wants_are_closed),
		TEST(more_descriptors_than_any_message_has_are_closed),
		TEST(descriptors_of_all_pieces_count),
		TEST(descriptors_are_closed_if_the_message_never_ends),
		TEST(received_descriptors_are_not_for_child_processes),
		TEST(one_front_end_at_a_time),
		TEST(what_is_no_socket_is_refused_or_ends_at_once),
		TEST(a_copy_of_the_socket_does_not_keep_the_loop_busy),
	};

	return cmocka_run_group_tests_name("vhost_user_channel", tests, NULL, NULL);
}
