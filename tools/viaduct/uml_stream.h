/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our standard streams in an event loop: never waiting for them, and never changing how they behave
 * for others who share them. (O_NONBLOCK belongs to the open file, and the shell that started us
 * has the same one.)
 */
#ifndef VIADUCT_UML_STREAM_H
#define VIADUCT_UML_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

/* A descriptor that we can read or write without waiting, one way or another. */
struct vt_channel {
	enum {
		VT_CHANNEL_CLOSED,
		VT_CHANNEL_PLAIN,   /* a file: it never makes anybody wait */
		VT_CHANNEL_OWN,     /* a pipe or terminal opened anew, for us alone, not blocking */
		VT_CHANNEL_SOCKET,  /* each call says that it won't wait */
		VT_CHANNEL_CAREFUL, /* none of that: small pieces, when poll() says so */
	} way;
	int fd;
	int given; /* the standard stream it was opened from */
	uv_poll_t poll;
	bool watched;
};

/* Something that the command reads: our standard input. */
struct vt_source {
	struct vt_channel channel;
	/* There is something to read, or the end. Called while watched, and at once by
	 * vt_source_watch() for a plain file. */
	void (*ready)(struct vt_source *source);
	void *owner;
};

int vt_source_open(struct vt_source *source, uv_loop_t *loop, int fd);
/* Call ready() from now on; or not. */
void vt_source_watch(struct vt_source *source, bool on);
/* As read(), with a negative errno value for an error; -EAGAIN: not now. */
ssize_t vt_source_read(struct vt_source *source, void *buffer, size_t size);
/* Nothing more will be read. Whoever writes there learns it at the next write. */
void vt_source_end(struct vt_source *source);
/* Let go of it. */
void vt_source_close(struct vt_source *source);

/* Something that the command writes. What can't go out at once is kept, up to a fixed amount. */
struct vt_sink {
	struct vt_channel channel;
	char *kept; /* a ring */
	size_t room;
	size_t first;
	size_t count;
	bool ending; /* when nothing is kept any more */
	/* @n more bytes are out, or will never be needed. */
	void (*wrote)(struct vt_sink *sink, size_t n);
	/* Nothing more can be written, for the reason @err (negative). It is closed. */
	void (*broke)(struct vt_sink *sink, int err);
	void *owner;
};

/* @room: the most that will ever be kept. */
int vt_sink_open(struct vt_sink *sink, uv_loop_t *loop, int fd, size_t room);
/* False: it would have to keep more than it can. */
bool vt_sink_write(struct vt_sink *sink, const void *bytes, size_t n);
/* Nothing more will be written. When all is out, whoever reads there sees the end. */
void vt_sink_end(struct vt_sink *sink);
/* Let go of it, and of what it keeps. */
void vt_sink_close(struct vt_sink *sink);

static inline bool vt_sink_is_empty(const struct vt_sink *sink)
{
	return sink->channel.way == VT_CHANNEL_CLOSED || sink->count == 0;
}

#endif /* VIADUCT_UML_STREAM_H */
