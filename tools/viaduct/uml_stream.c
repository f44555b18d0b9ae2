/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams that don't wait: see uml_stream.h. */
#include "uml_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- channels ---- */

/* The same pipe or terminal through an open file of our own, with flags of its own. */
static int open_anew(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int choose_way(struct vt_channel *channel, int fd, int flags)
{
	struct stat at;

	if (fstat(fd, &at) != 0)
		return -errno;
	if (S_ISFIFO(at.st_mode) || isatty(fd)) {
		channel->way = VT_CHANNEL_OWN;
		channel->fd = open_anew(fd, flags);
		if (channel->fd >= 0)
			return 0;
	}
	if (S_ISREG(at.st_mode) || S_ISBLK(at.st_mode) || S_ISDIR(at.st_mode))
		channel->way = VT_CHANNEL_PLAIN;
	else
		channel->way = S_ISSOCK(at.st_mode) ? VT_CHANNEL_SOCKET : VT_CHANNEL_CAREFUL;
	/* Two streams may be one descriptor, and the loop wants one for each. */
	channel->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return channel->fd >= 0 ? 0 : -errno;
}

/* uv_poll_init() makes a descriptor non-blocking, for everybody who has it. */
static int join_loop(struct vt_channel *channel, uv_loop_t *loop)
{
	int flags = fcntl(channel->fd, F_GETFL);
	int err = uv_poll_init(loop, &channel->poll, channel->fd);

	fcntl(channel->fd, F_SETFL, flags);
	return err;
}

static int channel_open(struct vt_channel *channel, uv_loop_t *loop, int fd, int flags)
{
	int err;

	channel->fd = -1;
	channel->given = fd;
	channel->watched = false;
	err = choose_way(channel, fd, flags);
	if (err == 0 && channel->way != VT_CHANNEL_PLAIN)
		err = join_loop(channel, loop);
	if (err == UV_EPERM && channel->way == VT_CHANNEL_CAREFUL) {
		/* A device that can't be waited for because it never makes wait: /dev/null. */
		channel->way = VT_CHANNEL_PLAIN;
		err = 0;
	}
	if (err != 0) {
		if (channel->fd >= 0)
			close(channel->fd);
		channel->way = VT_CHANNEL_CLOSED;
	}
	return err;
}

/* Stop using it; the handle itself must stay until the loop has let go of it. */
static void channel_close(struct vt_channel *channel)
{
	if (channel->way == VT_CHANNEL_CLOSED)
		return;
	if (channel->way != VT_CHANNEL_PLAIN)
		uv_close((uv_handle_t *)&channel->poll, NULL);
	close(channel->fd);
	channel->way = VT_CHANNEL_CLOSED;
	channel->watched = false;
}

/* Close the standard stream itself, keeping its number occupied. */
static void give_up(const struct vt_channel *channel)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		return;
	dup2(nothing, channel->given);
	close(nothing);
}

static void channel_watch(struct vt_channel *channel, int events, uv_poll_cb ready)
{
	if (channel->watched)
		return;
	channel->watched = true;
	uv_poll_start(&channel->poll, events, ready);
}

static void channel_unwatch(struct vt_channel *channel)
{
	if (!channel->watched)
		return;
	channel->watched = false;
	uv_poll_stop(&channel->poll);
}

/* ---- sources ---- */

int vt_source_open(struct vt_source *source, uv_loop_t *loop, int fd)
{
	int err = channel_open(&source->channel, loop, fd, O_RDONLY);

	source->channel.poll.data = source;
	return err;
}

/* An error shows when it is read. */
static void source_ready(uv_poll_t *poll, int status, int events)
{
	struct vt_source *source = poll->data;

	(void)events;
	if (status < 0) /* the loop has stopped the handle */
		source->channel.watched = false;
	source->ready(source);
}

void vt_source_watch(struct vt_source *source, bool on)
{
	struct vt_channel *channel = &source->channel;

	if (channel->way == VT_CHANNEL_CLOSED)
		return;
	if (channel->way == VT_CHANNEL_PLAIN) {
		if (on)
			source->ready(source);
		return;
	}
	if (on)
		channel_watch(channel, UV_READABLE | UV_DISCONNECT, source_ready);
	else
		channel_unwatch(channel);
}

ssize_t vt_source_read(struct vt_source *source, void *buffer, size_t size)
{
	const struct vt_channel *channel = &source->channel;
	ssize_t n;

	if (channel->way == VT_CHANNEL_CLOSED)
		return 0;
	do
		n = channel->way == VT_CHANNEL_SOCKET
			    ? recv(channel->fd, buffer, size, MSG_DONTWAIT)
			    : read(channel->fd, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void vt_source_close(struct vt_source *source)
{
	channel_close(&source->channel);
}

void vt_source_end(struct vt_source *source)
{
	if (source->channel.way == VT_CHANNEL_CLOSED)
		return;
	channel_close(&source->channel);
	give_up(&source->channel);
}

/* ---- sinks ---- */

int vt_sink_open(struct vt_sink *sink, uv_loop_t *loop, int fd, size_t room)
{
	int err;

	sink->room = room;
	sink->first = 0;
	sink->count = 0;
	sink->ending = false;
	sink->kept = malloc(room);
	if (sink->kept == NULL)
		return -ENOMEM;
	err = channel_open(&sink->channel, loop, fd, O_WRONLY);
	sink->channel.poll.data = sink;
	return err;
}

/* A pipe or terminal that poll() calls writable takes this much without waiting. */
#define CAREFUL_PIECE 512

static ssize_t write_now(const struct vt_channel *channel, const char *bytes, size_t n)
{
	ssize_t written;

	if (channel->way == VT_CHANNEL_CAREFUL && n > CAREFUL_PIECE)
		n = CAREFUL_PIECE;
	do
		written = channel->way == VT_CHANNEL_SOCKET
				  ? send(channel->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL)
				  : write(channel->fd, bytes, n);
	while (written < 0 && errno == EINTR);
	return written < 0 ? -errno : written;
}

void vt_sink_close(struct vt_sink *sink)
{
	channel_close(&sink->channel);
	free(sink->kept);
	sink->kept = NULL;
	sink->count = 0;
}

static void sink_break(struct vt_sink *sink, int err)
{
	size_t lost = sink->count;

	vt_sink_close(sink);
	give_up(&sink->channel);
	sink->wrote(sink, lost);
	sink->broke(sink, err);
}

/* One piece of what is kept. Whether another may follow at once. */
static bool write_kept(struct vt_sink *sink)
{
	size_t to_end = sink->room - sink->first;
	size_t n = sink->count < to_end ? sink->count : to_end;
	ssize_t written = write_now(&sink->channel, sink->kept + sink->first, n);

	if (written == -EAGAIN && sink->channel.way != VT_CHANNEL_PLAIN)
		return false;
	if (written < 0) {
		sink_break(sink, (int)written);
		return false;
	}
	sink->first = (sink->first + (size_t)written) % sink->room;
	sink->count -= (size_t)written;
	sink->wrote(sink, (size_t)written);
	return sink->count > 0 && sink->channel.way != VT_CHANNEL_CAREFUL;
}

static void sink_ready(uv_poll_t *poll, int status, int events);

/* Wait for room if there is something to write; else nothing is left to do, or not much. */
static void sink_wait(struct vt_sink *sink)
{
	if (sink->channel.way == VT_CHANNEL_CLOSED)
		return;
	if (sink->count > 0) {
		channel_watch(&sink->channel, UV_WRITABLE, sink_ready);
		return;
	}
	channel_unwatch(&sink->channel);
	if (sink->ending)
		vt_sink_end(sink);
}

static void sink_drain(struct vt_sink *sink)
{
	while (sink->count > 0 && write_kept(sink))
		;
	sink_wait(sink);
}

/* An error shows when it is written. */
static void sink_ready(uv_poll_t *poll, int status, int events)
{
	struct vt_sink *sink = poll->data;

	(void)events;
	if (status < 0) /* the loop has stopped the handle */
		sink->channel.watched = false;
	sink_drain(sink);
}

static void keep(struct vt_sink *sink, const char *bytes, size_t n)
{
	size_t at = (sink->first + sink->count) % sink->room;
	size_t to_end = sink->room - at;
	size_t head = n < to_end ? n : to_end;

	memcpy(sink->kept + at, bytes, head);
	memcpy(sink->kept, bytes + head, n - head);
	sink->count += n;
}

bool vt_sink_write(struct vt_sink *sink, const void *bytes, size_t n)
{
	if (sink->channel.way == VT_CHANNEL_CLOSED) {
		sink->wrote(sink, n);
		return true;
	}
	if (n > sink->room - sink->count)
		return false;
	keep(sink, bytes, n);
	if (sink->channel.way == VT_CHANNEL_CAREFUL)
		sink_wait(sink); /* not before poll() says so */
	else if (!sink->channel.watched)
		sink_drain(sink);
	return true;
}

void vt_sink_end(struct vt_sink *sink)
{
	if (sink->channel.way == VT_CHANNEL_CLOSED)
		return;
	sink->ending = true;
	if (sink->count > 0)
		return;
	vt_sink_close(sink);
	give_up(&sink->channel);
}
