/* SPDX-License-Identifier: BSD-3-Clause */
/* Doorbells: see doorbell.h. */
#include "os/linux/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum vd_doorbell_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return VD_DOORBELL_OTHER;
	if (S_ISSOCK(st.st_mode))
		return VD_DOORBELL_SOCKET;
	/* Anonymous inodes have no type; of those only an eventfd makes a doorbell. */
	return (st.st_mode & S_IFMT) == 0 ? VD_DOORBELL_EVENTFD : VD_DOORBELL_OTHER;
}

void vd_doorbell_set(struct vd_doorbell *bell, int fd)
{
	vd_doorbell_close(bell);
	if (fd < 0)
		return;
	bell->fd = fd;
	bell->kind = kind_of(fd);
	/* A counter at its maximum would block us. The flag belongs to the open file and is thus
	 * set for the other side too; front ends create theirs with it. */
	if (bell->kind != VD_DOORBELL_SOCKET)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
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

void vd_doorbell_drain(const struct vd_doorbell *bell)
{
	char bytes[512];
	ssize_t n = 0;

	if (bell->kind == VD_DOORBELL_SOCKET)
		while ((n = recv(bell->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) ==
		       (ssize_t)sizeof(bytes))
			;
	else if (bell->kind == VD_DOORBELL_OTHER)
		while ((n = read(bell->fd, bytes, sizeof(bytes))) == (ssize_t)sizeof(bytes))
			;
	(void)n;
}
