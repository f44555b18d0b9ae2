/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole messages over a Unix socket: see channel.h. */
#include "transport/vhost_user/channel.h"

#include "viaduct/errno.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Take over the descriptors that came with a piece; too many are closed, and told. */
static bool keep_fds(struct vd_vu_message *message, const struct msghdr *msg)
{
	bool all = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (message->n_fds < VD_VU_FDS_MAX) {
				message->fds[message->n_fds++] = fd;
			} else {
				close(fd);
				all = false;
			}
		}
	}
	return all;
}

/* Where the next byte goes, and how many may be read without touching the message behind it. */
static struct iovec next_piece(struct vd_vu_channel *channel)
{
	size_t header_size = sizeof(channel->in.header);

	if (channel->got < header_size)
		return (struct iovec){(char *)&channel->in.header + channel->got,
				      header_size - channel->got};
	return (struct iovec){channel->in.payload + (channel->got - header_size),
			      header_size + channel->in.header.size - channel->got};
}

static int fail(struct vd_fault *fault, enum vd_fault_code code, uint64_t a, uint64_t b, uint64_t c)
{
	*fault = (struct vd_fault){.code = code, .value = {a, b, c}};
	return -VD_EPROTO;
}

static int check_header(const struct vd_vu_header *header, struct vd_fault *fault)
{
	if ((header->flags & VD_VU_VERSION_MASK) != VD_VU_VERSION)
		return fail(fault, VD_FAULT_VU_VERSION, header->request, header->flags, 0);
	if (header->size > VD_VU_PAYLOAD_MAX)
		return fail(fault, VD_FAULT_VU_SIZE, header->request, header->size, 0);
	return 0;
}

static int end_of_stream(const struct vd_vu_channel *channel, struct vd_fault *fault)
{
	size_t whole = sizeof(channel->in.header);

	if (channel->got == 0)
		return -VD_ECONNRESET;
	if (channel->got >= whole)
		whole += channel->in.header.size;
	return fail(fault, VD_FAULT_VU_TRUNCATED, channel->got, whole, 0);
}

/* One recvmsg(). The bytes read, 0 for none now, or an error. */
static ssize_t receive_piece(struct vd_vu_channel *channel, struct vd_fault *fault)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VD_VU_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = next_piece(channel);
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(channel->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return end_of_stream(channel, fault);
	if (!keep_fds(&channel->in, &msg))
		return fail(fault, VD_FAULT_VU_FDS, channel->in.header.request, VD_VU_FDS_MAX + 1,
			    VD_VU_FDS_MAX);
	return n;
}

int vd_vu_channel_receive(struct vd_vu_channel *channel, struct vd_fault *fault)
{
	const size_t header_size = sizeof(channel->in.header);

	for (;;) {
		ssize_t n;

		if (channel->got >= header_size &&
		    channel->got == header_size + channel->in.header.size)
			return 1;
		n = receive_piece(channel, fault);
		if (n <= 0)
			return (int)n;
		channel->got += (size_t)n;
		if (channel->got == header_size) {
			int err = check_header(&channel->in.header, fault);

			if (err != 0)
				return err;
		}
	}
}

void vd_vu_channel_done(struct vd_vu_channel *channel)
{
	for (unsigned i = 0; i < channel->in.n_fds; i++)
		if (channel->in.fds[i] >= 0)
			close(channel->in.fds[i]);
	channel->in.n_fds = 0;
	channel->got = 0;
}

int vd_vu_send(int sock, const struct vd_vu_header *header, const void *payload, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov[2] = {
		{(void *)header, sizeof(*header)},
		{(void *)payload, header->size},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = header->size > 0 ? 2 : 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(*header) + header->size ? 0 : -VD_EIO;
}
