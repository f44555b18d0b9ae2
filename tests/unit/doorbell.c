/* SPDX-License-Identifier: BSD-3-Clause */
/* Doorbells of every kind, and what the other side can do to them: nothing here may block. */
#include "os/linux/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct vd_doorbell bell;

/* A test that blocks fails. */
static int setup(void **state)
{
	(void)state;
	bell = (struct vd_doorbell){.fd = -1};
	alarm(10);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vd_doorbell_close(&bell);
	alarm(0);
	return 0;
}

static bool set(int fd)
{
	return vd_doorbell_set(&bell, fd) == 0;
}

static void a_bell_that_is_not_there_does_nothing(void **state)
{
	(void)state;
	assert_false(vd_doorbell_exists(&bell));
	vd_doorbell_ring(&bell);
	assert_false(vd_doorbell_drain(&bell));
	vd_doorbell_close(&bell);
	assert_true(set(-1));
	assert_false(vd_doorbell_exists(&bell));
}

static void setting_a_bell_closes_the_one_before(void **state)
{
	int first = eventfd(0, EFD_CLOEXEC);
	int second = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_true(set(first));
	assert_true(set(second));
	assert_int_equal(fcntl(first, F_GETFD), -1);
	assert_true(set(-1));
	assert_int_equal(fcntl(second, F_GETFD), -1);
}

static void an_eventfd_counts(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t value;

	(void)state;
	assert_true(set(fd));
	assert_int_equal(bell.kind, VD_DOORBELL_EVENTFD);
	vd_doorbell_ring(&bell);
	vd_doorbell_ring(&bell);
	assert_int_equal(read(fd, &value, sizeof(value)), 8);
	assert_int_equal(value, 2);
}

static void an_eventfd_at_its_maximum_does_not_block(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t most = UINT64_MAX - 1;

	(void)state;
	assert_int_equal(write(fd, &most, sizeof(most)), 8);
	assert_true(set(fd));
	vd_doorbell_ring(&bell);
	assert_int_equal(read(fd, &most, sizeof(most)), 8);
	assert_int_equal(most, UINT64_MAX - 1);
}

static void an_eventfd_is_left_to_be_read_by_the_other_side(void **state)
{
	int fd = eventfd(3, EFD_CLOEXEC);
	uint64_t value;

	(void)state;
	assert_true(set(fd));
	assert_true(vd_doorbell_drain(&bell));
	assert_int_equal(read(fd, &value, sizeof(value)), 8);
	assert_int_equal(value, 3);
	assert_true(vd_doorbell_drain(&bell));
}

static void a_socket_that_is_full_does_not_block(void **state)
{
	char bytes[65536];
	size_t total = 0;
	ssize_t n;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(set(pair[1]));
	assert_int_equal(bell.kind, VD_DOORBELL_SOCKET);
	for (unsigned i = 0; i < 100000; i++)
		vd_doorbell_ring(&bell);
	/* Blocking for the other side, as it was. */
	assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	while ((n = recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	assert_int_not_equal(total, 0);
	assert_int_equal(total % 8, 0);
	vd_doorbell_ring(&bell);
	assert_int_equal(recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT), 8);
	close(pair[0]);
}

static void a_socket_whose_other_end_is_closed_sends_no_signal(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(set(pair[1]));
	close(pair[0]);
	vd_doorbell_ring(&bell);
	assert_false(vd_doorbell_drain(&bell));
}

static void a_socket_is_drained_in_a_bounded_time(void **state)
{
	const char bytes[1000] = {0};
	ssize_t n;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(set(pair[1]));
	assert_true(vd_doorbell_drain(&bell));
	while ((n = send(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	for (unsigned i = 0; i < 10000; i++)
		assert_true(vd_doorbell_drain(&bell));
	assert_int_equal(recv(pair[1], &n, sizeof(n), MSG_DONTWAIT), -1);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_false(vd_doorbell_drain(&bell));
	close(pair[0]);
}

static void an_empty_datagram_is_no_end(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(set(pair[1]));
	assert_int_equal(send(pair[0], "", 0, 0), 0);
	assert_true(vd_doorbell_drain(&bell));
	close(pair[0]);
}

static void a_pipe_takes_signals(void **state)
{
	uint64_t value = 0;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_true(set(pair[1]));
	assert_int_equal(bell.kind, VD_DOORBELL_PIPE);
	for (unsigned i = 0; i < 10000; i++)
		vd_doorbell_ring(&bell);
	assert_int_equal(read(pair[0], &value, sizeof(value)), 8);
	assert_int_equal(value, 1);
	close(pair[0]);
}

static volatile sig_atomic_t pipe_signals;

static void count_signal(int number)
{
	(void)number;
	pipe_signals++;
}

static void a_pipe_without_a_reader_sends_no_signal(void **state)
{
	void (*before)(int) = signal(SIGPIPE, count_signal);
	sigset_t pending;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_true(set(pair[1]));
	close(pair[0]);
	vd_doorbell_ring(&bell);
	assert_int_equal(pipe_signals, 0);
	assert_int_equal(sigpending(&pending), 0);
	assert_false(sigismember(&pending, SIGPIPE));
	(void)raise(SIGPIPE);
	assert_int_equal(pipe_signals, 1);
	(void)signal(SIGPIPE, before);
}

static void a_pipe_signal_that_was_blocked_and_pending_stays(void **state)
{
	const struct timespec now = {0};
	sigset_t pipe_signal;
	sigset_t before;
	int pair[2];

	(void)state;
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	assert_int_equal(sigprocmask(SIG_BLOCK, &pipe_signal, &before), 0);
	(void)raise(SIGPIPE);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_true(set(pair[1]));
	close(pair[0]);
	vd_doorbell_ring(&bell);
	assert_int_equal(sigtimedwait(&pipe_signal, NULL, &now), SIGPIPE);
	assert_int_equal(sigtimedwait(&pipe_signal, NULL, &now), -1);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

static void a_pipe_is_drained_and_its_end_noticed(void **state)
{
	const char bytes[4096] = {0};
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(set(pair[0]));
	assert_true(vd_doorbell_drain(&bell));
	while (write(pair[1], bytes, sizeof(bytes)) > 0)
		;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(vd_doorbell_drain(&bell));
	close(pair[1]);
	assert_false(vd_doorbell_drain(&bell));
}

/* Files of other kinds can make any operation wait, or never run dry. */
static void what_makes_no_doorbell_is_refused(void **state)
{
	static const char *const paths[] = {"/dev/null", "/dev/zero", "/dev/random",
					    "/dev/tty",  "/",         "/proc/self/maps"};
	int memory = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		assert_int_equal(vd_doorbell_set(&bell, fd), -EINVAL);
		assert_false(vd_doorbell_exists(&bell));
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	}
	assert_int_equal(vd_doorbell_set(&bell, memory), -EINVAL);
	assert_int_equal(fcntl(memory, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bell_that_is_not_there_does_nothing),
		TEST(setting_a_bell_closes_the_one_before),
		TEST(an_eventfd_counts),
		TEST(an_eventfd_at_its_maximum_does_not_block),
		TEST(an_eventfd_is_left_to_be_read_by_the_other_side),
		TEST(a_socket_that_is_full_does_not_block),
		TEST(a_socket_whose_other_end_is_closed_sends_no_signal),
		TEST(a_socket_is_drained_in_a_bounded_time),
		TEST(an_empty_datagram_is_no_end),
		TEST(a_pipe_takes_signals),
		TEST(a_pipe_without_a_reader_sends_no_signal),
		TEST(a_pipe_signal_that_was_blocked_and_pending_stays),
		TEST(a_pipe_is_drained_and_its_end_noticed),
		TEST(what_makes_no_doorbell_is_refused),
	};

	return cmocka_run_group_tests_name("doorbell", tests, NULL, NULL);
}
