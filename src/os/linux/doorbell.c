/* SPDX-License-Identifier: BSD-3-Clause */
/* Doorbells: see doorbell.h. */
#include "os/linux/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* False: of no kind. */
static bool find_kind(int fd, enum vd_doorbell_kind *kind)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	switch (st.st_mode & S_IFMT) {
	case 0: /* anonymous inodes have no type; of those only an eventfd makes a doorbell */
		*kind = VD_DOORBELL_EVENTFD;
		return true;
	case S_IFSOCK:
		*kind = VD_DOORBELL_SOCKET;
		return true;
	case S_IFIFO:
		*kind = VD_DOORBELL_PIPE;
		return true;
	default:
		return false;
	}
}

int vd_doorbell_set(struct vd_doorbell *bell, int fd)
{
	vd_doorbell_close(bell);
	if (fd < 0)
		return 0;
	if (!find_kind(fd, &bell->kind)) {
		close(fd);
		return -EINVAL;
	}
	bell->fd = fd;
	/* A counter at its maximum would block us. The flag belongs to the open file and is thus
	 * set for the other side too; front ends create theirs with it. One that takes it off again
	 * can make us wait for it: Linux knows no other way to write to an eventfd. */
	if (bell->kind != VD_DOORBELL_SOCKET)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

void vd_doorbell_close(struct vd_doorbell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

/* A pipe without a reader sends a signal that would end the process: catch it here. */
static void write_quietly(int fd, const void *bytes, size_t len)
{
	const struct timespec now = {0};
	sigset_t pipe_signal;
	sigset_t before;
	ssize_t n;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	n = write(fd, bytes, len);
	if (n < 0 && errno == EPIPE && !sigismember(&before, SIGPIPE))
		(void)sigtimedwait(&pipe_signal, NULL, &now);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void vd_doorbell_ring(const struct vd_doorbell *bell)
{
	const uint64_t one = 1;
	ssize_t n;

	if (bell->fd < 0)
		return;
	if (bell->kind == VD_DOORBELL_SOCKET)
		n = send(bell->fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (bell->kind == VD_DOORBELL_EVENTFD)
		n = write(bell->fd, &one, sizeof(one));
	else
		return write_quietly(bell->fd, &one, sizeof(one));
	(void)n;
}

static bool is_closed(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};

	return poll(&pollfd, 1, 0) != 0;
}

bool vd_doorbell_drain(const struct vd_doorbell *bell)
{
	char bytes[4096];
	ssize_t n;

	if (bell->fd < 0 || bell->kind == VD_DOORBELL_EVENTFD)
		return bell->fd >= 0;
	if (bell->kind == VD_DOORBELL_SOCKET)
		n = recv(bell->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	else
		n = read(bell->fd, bytes, sizeof(bytes));
	/* Nothing is the end of a stream, or an empty datagram; or an error that is for others to
	 * read, and stays until they do. */
	if (n == 0 || (n < 0 && errno == EAGAIN))
		return !is_closed(bell->fd);
	return n > 0 || errno == EINTR;
}
