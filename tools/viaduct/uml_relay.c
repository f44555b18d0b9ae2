/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's end of the line: see uml_relay.h. */
#include "uml_relay.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- frames to the guest ---- */

/* The socket always has room: see "credit" in wire.h. If the kernel is gone nobody listens, and
 * that it is gone will be noticed elsewhere. */
static void tell(struct vt_relay *relay, struct vt_wire_frame frame)
{
	if (relay->line_open)
		send(relay->line, &frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void control_next(struct vt_relay *relay)
{
	if (relay->control_busy)
		return;
	if (relay->resize) {
		relay->resize = false;
		relay->control_busy = true;
		tell(relay, (struct vt_wire_frame){.type = VT_WIRE_RESIZE,
						   .value = relay->rows,
						   .length = relay->columns});
	} else if (relay->signals != 0) {
		int number = __builtin_ctzll(relay->signals);

		relay->signals &= relay->signals - 1;
		relay->control_busy = true;
		tell(relay,
		     (struct vt_wire_frame){.type = VT_WIRE_SIGNAL, .value = (uint16_t)number});
	}
}

void vt_relay_signal(struct vt_relay *relay, int number)
{
	relay->signals |= 1ull << number;
	control_next(relay);
}

void vt_relay_resize(struct vt_relay *relay, uint16_t rows, uint16_t columns)
{
	relay->rows = rows;
	relay->columns = columns;
	relay->resize = true;
	control_next(relay);
}

static void close_stream(struct vt_relay *relay, enum vt_wire_stream stream)
{
	tell(relay, (struct vt_wire_frame){.type = VT_WIRE_CLOSE, .stream = (uint8_t)stream});
}

/* ---- standard input ---- */

/* Nothing more comes. A terminal that ends has hung up. */
static void input_ended(struct vt_relay *relay)
{
	relay->input_done = true;
	if (relay->terminal) {
		vt_source_watch(&relay->input, false);
		close_stream(relay, VT_WIRE_TERMINAL);
		return;
	}
	vt_source_end(&relay->input);
	tell(relay, (struct vt_wire_frame){.type = VT_WIRE_INPUT_END});
}

/* The command does not want more; whoever writes to us should know. */
static void input_unwanted(struct vt_relay *relay)
{
	relay->input_done = true;
	if (relay->terminal)
		vt_source_watch(&relay->input, false);
	else
		vt_source_end(&relay->input);
}

/* Fill one slot. Whether there may be more to read at once. */
static bool read_slot(struct vt_relay *relay)
{
	unsigned slot = (unsigned)__builtin_ctz(relay->slots_free);
	ssize_t n = vt_source_read(&relay->input, vt_window_slot(relay->window, slot),
				   VT_WIRE_SLOT_SIZE);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		if (n < 0 && n != -EIO) /* a terminal that is gone says that */
			vt_warn("can't read standard input: %s", strerror((int)-n));
		input_ended(relay);
		return false;
	}
	relay->slots_free &= ~(1u << slot);
	tell(relay, (struct vt_wire_frame){
			    .type = VT_WIRE_INPUT, .value = (uint16_t)slot, .length = (uint32_t)n});
	return relay->input.channel.way == VT_CHANNEL_PLAIN;
}

static void input_ready(struct vt_source *source)
{
	struct vt_relay *relay = source->owner;

	while (relay->slots_free != 0 && !relay->input_done && read_slot(relay))
		;
	if (!relay->input_done && relay->slots_free == 0)
		vt_source_watch(source, false);
}

static void slot_free(struct vt_relay *relay, unsigned slot)
{
	if (slot < VT_WIRE_SLOTS)
		relay->slots_free |= 1u << slot;
	if (!relay->input_done)
		vt_source_watch(&relay->input, true);
}

/* ---- output ---- */

static void output_wrote(struct vt_sink *sink, size_t n)
{
	struct vt_relay_output *output = sink->owner;
	struct vt_relay *relay = output->relay;

	output->owed += (uint32_t)n;
	if (output->owed >= VT_WIRE_CREDIT_STEP) {
		tell(relay, (struct vt_wire_frame){.type = VT_WIRE_CREDIT_BACK,
						   .stream = (uint8_t)(output - relay->outputs),
						   .length = output->owed});
		output->owed = 0;
	}
	if (vt_relay_is_flushed(relay))
		relay->ops->flushed(relay);
}

static void output_broke(struct vt_sink *sink, int err)
{
	struct vt_relay_output *output = sink->owner;
	struct vt_relay *relay = output->relay;
	enum vt_wire_stream stream = (enum vt_wire_stream)(output - relay->outputs);

	close_stream(relay, stream);
	if (err != -EPIPE && err != -ECONNRESET && stream != VT_WIRE_TERMINAL)
		relay->ops->lost(relay, stream, err);
	if (vt_relay_is_flushed(relay))
		relay->ops->flushed(relay);
}

bool vt_relay_is_flushed(const struct vt_relay *relay)
{
	for (unsigned i = 0; i < VT_WIRE_STREAMS; i++)
		if (relay->outputs[i].open && !vt_sink_is_empty(&relay->outputs[i].sink))
			return false;
	return true;
}

/* ---- frames from the guest ---- */

/* Our own guest-init says what can't be: there is nothing to be saved. */
static void nonsense(struct vt_relay *relay, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "the guest sent %s", what);
	relay->ops->failed(relay, 125, text);
	uv_poll_stop(&relay->line_poll);
	relay->line_open = false;
}

static struct vt_relay_output *output_of(struct vt_relay *relay)
{
	unsigned stream = relay->frame.stream;

	return stream < VT_WIRE_STREAMS && relay->outputs[stream].open ? &relay->outputs[stream]
								       : NULL;
}

static void output_ended(struct vt_relay *relay)
{
	struct vt_relay_output *output = output_of(relay);

	/* Ours to use until the end: standard error for messages, the terminal to be restored. */
	if (output != NULL && relay->frame.stream == VT_WIRE_STDOUT)
		vt_sink_end(&output->sink);
}

/* A frame is complete. */
static void obey(struct vt_relay *relay)
{
	const struct vt_wire_frame *frame = &relay->frame;

	switch (frame->type) {
	case VT_WIRE_STARTED:
		relay->ops->started(relay);
		vt_source_watch(&relay->input, true);
		break;
	case VT_WIRE_FAILED:
		relay->text[relay->text_length] = '\0';
		relay->ops->failed(relay, frame->value, relay->text);
		break;
	case VT_WIRE_OUTPUT:
		break; /* its payload was passed on as it came */
	case VT_WIRE_OUTPUT_END:
		output_ended(relay);
		break;
	case VT_WIRE_SLOT_FREE:
		slot_free(relay, frame->value);
		break;
	case VT_WIRE_INPUT_CLOSED:
		input_unwanted(relay);
		break;
	case VT_WIRE_CONTROL_DONE:
		relay->control_busy = false;
		control_next(relay);
		break;
	case VT_WIRE_EXIT:
		relay->ops->exited(relay, frame->value);
		break;
	default:
		nonsense(relay, "a frame of a type that means nothing here");
	}
}

static void take_payload(struct vt_relay *relay, const char *bytes, size_t n)
{
	size_t room = sizeof(relay->text) - 1 - relay->text_length;
	struct vt_relay_output *output = output_of(relay);

	if (relay->frame.type == VT_WIRE_FAILED) {
		n = n < room ? n : room;
		memcpy(relay->text + relay->text_length, bytes, n);
		relay->text_length += n;
	} else if (relay->frame.type == VT_WIRE_OUTPUT && output != NULL) {
		relay->ops->output(relay);
		if (!vt_sink_write(&output->sink, bytes, n))
			nonsense(relay, "more output than it has credit for");
	} else {
		nonsense(relay, "bytes that belong to nothing");
	}
}

/* Take what is needed next, header or payload, from @bytes. Returns how much that was. */
static size_t take(struct vt_relay *relay, const char *bytes, size_t n)
{
	size_t want = relay->payload_left > 0 ? relay->payload_left
					      : sizeof(relay->frame) - relay->frame_have;

	n = n < want ? n : want;
	if (relay->payload_left > 0) {
		relay->payload_left -= (uint32_t)n;
		take_payload(relay, bytes, n);
	} else {
		memcpy((char *)&relay->frame + relay->frame_have, bytes, n);
		relay->frame_have += n;
		if (relay->frame_have < sizeof(relay->frame))
			return n;
		relay->payload_left = relay->frame.length;
	}
	if (relay->payload_left == 0 && relay->line_open) {
		relay->frame_have = 0;
		obey(relay);
	}
	return n;
}

/* As read(): how much there was, 0 for the end, or a negative errno value. */
static ssize_t receive(struct vt_relay *relay)
{
	char buffer[64 * 1024];
	ssize_t n = recv(relay->line, buffer, sizeof(buffer), MSG_DONTWAIT);

	for (ssize_t at = 0; at < n && relay->line_open;)
		at += (ssize_t)take(relay, buffer + at, (size_t)(n - at));
	return n < 0 ? -errno : n;
}

static void line_ready(uv_poll_t *poll, int status, int events)
{
	struct vt_relay *relay = poll->data;
	ssize_t n = receive(relay);

	(void)status;
	(void)events;
	/* The end of the line is the end of the kernel, and its owner sees that. */
	if (n <= 0 && n != -EAGAIN && n != -EINTR)
		uv_poll_stop(poll);
}

void vt_relay_finish(struct vt_relay *relay)
{
	while (relay->line_open && receive(relay) > 0)
		;
}

/* ---- opening and closing ---- */

static int open_output(struct vt_relay *relay, enum vt_wire_stream stream, int fd)
{
	struct vt_relay_output *output = &relay->outputs[stream];
	int err;

	output->relay = relay;
	output->sink.owner = output;
	output->sink.wrote = output_wrote;
	output->sink.broke = output_broke;
	err = vt_sink_open(&output->sink, relay->loop, fd, VT_WIRE_CREDIT);
	output->open = err == 0;
	if (err != 0)
		vt_error("can't use descriptor %d for output: %s", fd, strerror(-err));
	return err;
}

static int open_outputs(struct vt_relay *relay, uint32_t flags)
{
	int err = 0;

	if (relay->terminal)
		err = open_output(relay, VT_WIRE_TERMINAL, STDIN_FILENO);
	if (err == 0 && !(flags & VT_WIRE_TERMINAL_OUT))
		err = open_output(relay, VT_WIRE_STDOUT, STDOUT_FILENO);
	if (err == 0 && !(flags & (VT_WIRE_TERMINAL_ERR | VT_WIRE_ERR_IS_OUT)))
		err = open_output(relay, VT_WIRE_STDERR, STDERR_FILENO);
	return err;
}

static int open_input(struct vt_relay *relay)
{
	int err;

	relay->input.owner = relay;
	relay->input.ready = input_ready;
	err = vt_source_open(&relay->input, relay->loop, STDIN_FILENO);
	if (err != 0)
		vt_error("can't use standard input: %s", strerror(-err));
	return err;
}

int vt_relay_open(struct vt_relay *relay, uv_loop_t *loop, int line, const struct vt_window *window,
		  uint32_t flags)
{
	int err = uv_poll_init(loop, &relay->line_poll, line);

	if (err != 0) {
		vt_error("can't wait for the line to the guest: %s", uv_strerror(err));
		return err;
	}
	relay->loop = loop;
	relay->line = line;
	relay->line_open = true;
	relay->line_poll.data = relay;
	relay->window = window;
	relay->terminal = (flags & VT_WIRE_TERMINAL_IN) != 0;
	relay->slots_free = (1u << VT_WIRE_SLOTS) - 1;
	uv_poll_start(&relay->line_poll, UV_READABLE | UV_DISCONNECT, line_ready);
	err = open_outputs(relay, flags);
	return err != 0 ? err : open_input(relay);
}

void vt_relay_close(struct vt_relay *relay)
{
	if (relay->loop == NULL)
		return;
	relay->line_open = false;
	uv_close((uv_handle_t *)&relay->line_poll, NULL);
	vt_source_close(&relay->input);
	for (unsigned i = 0; i < VT_WIRE_STREAMS; i++)
		if (relay->outputs[i].open)
			vt_sink_close(&relay->outputs[i].sink);
}
