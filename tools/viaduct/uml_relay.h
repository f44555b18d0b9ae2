/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's end of the line to the guest: the command's streams, and what else there is to say.
 * See guest-init/wire.h. */
#ifndef VIADUCT_UML_RELAY_H
#define VIADUCT_UML_RELAY_H

#include "guest-init/wire.h"
#include "uml_stream.h"
#include "uml_window.h"

struct vt_relay;

/* What the owner hears of. */
struct vt_relay_ops {
	void (*started)(struct vt_relay *relay);
	/* It can't run; @text says why, @status is for our exit. */
	void (*failed)(struct vt_relay *relay, int status, const char *text);
	void (*output)(struct vt_relay *relay); /* the command wrote something */
	void (*exited)(struct vt_relay *relay, int status);
	/* Some of what it wrote is lost, for a reason other than that nobody reads it. */
	void (*lost)(struct vt_relay *relay, enum vt_wire_stream stream, int err);
	/* Everything it wrote is out. May come again. */
	void (*flushed)(struct vt_relay *relay);
};

/* One stream of the command. */
struct vt_relay_output {
	struct vt_sink sink;
	bool open;
	uint32_t owed; /* bytes written out that the guest was not yet told of */
	struct vt_relay *relay;
};

struct vt_relay {
	const struct vt_relay_ops *ops;
	void *owner;
	uv_loop_t *loop;
	const struct vt_window *window;
	int line;
	uv_poll_t line_poll;
	bool line_open;
	bool terminal; /* standard input is one */

	struct vt_source input;
	unsigned slots_free; /* bit N: slot N */
	bool input_done;     /* it ended, or nobody wants more */

	struct vt_relay_output outputs[VT_WIRE_STREAMS];

	bool control_busy; /* a RESIZE or SIGNAL has not been answered */
	uint64_t signals;  /* waiting to be sent: bit N for signal N */
	bool resize;       /* the same */
	uint16_t rows;
	uint16_t columns;

	struct vt_wire_frame frame; /* being received, ... */
	size_t frame_have;          /* ... so much of it, ... */
	uint32_t payload_left;      /* ... and so much still to come */
	char text[512];             /* of FAILED */
	size_t text_length;
};

/*
 * Take over @line (a non-blocking socket) and the standard streams; @flags are those of the
 * set-up. Nothing is read from standard input before the command has started. 0, or says why not.
 */
int vt_relay_open(struct vt_relay *relay, uv_loop_t *loop, int line, const struct vt_window *window,
		  uint32_t flags);

void vt_relay_signal(struct vt_relay *relay, int number);
void vt_relay_resize(struct vt_relay *relay, uint16_t rows, uint16_t columns);

/* The kernel has ended: take what it still said. */
void vt_relay_finish(struct vt_relay *relay);

/* Is everything out that the command wrote? */
bool vt_relay_is_flushed(const struct vt_relay *relay);

void vt_relay_close(struct vt_relay *relay);

#endif /* VIADUCT_UML_RELAY_H */
