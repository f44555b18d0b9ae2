/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the command and the line. One loop waits for everything; nothing in it blocks but sending
 * a frame, and the host always takes those.
 */
#include "init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the command has ended and everything else was killed its pipes end by themselves. Should
 * something not die, because a driver holds it, this is how long a pipe may stay silent. */
#define SILENCE_MS 1000

struct slot {
	uint16_t number;
	uint32_t length;
};

struct relay {
	struct command *command;
	const struct setup *setup;
	int line;
	int uevents;
	int children; /* signalfd for SIGCHLD */

	uint32_t credit[VT_WIRE_STREAMS]; /* bytes that the host has room for */

	struct slot slots[VT_WIRE_SLOTS]; /* input that waits, oldest first */
	unsigned waiting;
	char input[VT_WIRE_SLOT_SIZE]; /* the oldest one's bytes, ... */
	uint32_t input_at;             /* ... of which so many are written */
	bool input_loaded;
	bool input_ends; /* when nothing waits any more */

	struct vt_wire_frame frame; /* from the host, and how much of it is here */
	size_t frame_have;

	bool ended;
	int status;
};

/* What poll() looks at: one place each, so that an event needs no search. */
enum place {
	LINE,
	CHILDREN,
	UEVENTS,
	INPUT,
	OUTPUT,
	PLACES = OUTPUT + VT_WIRE_STREAMS,
};

static void tell(uint8_t type, uint8_t stream, uint16_t value)
{
	line_send((struct vt_wire_frame){.type = type, .stream = stream, .value = value}, NULL, 0);
}

/* ---- standard input ---- */

static void drop_slot(struct relay *relay)
{
	tell(VT_WIRE_SLOT_FREE, 0, relay->slots[0].number);
	relay->waiting--;
	memmove(&relay->slots[0], &relay->slots[1], relay->waiting * sizeof(relay->slots[0]));
	relay->input_loaded = false;
}

static void close_input(struct relay *relay)
{
	if (relay->command->input < 0)
		return;
	close(relay->command->input);
	relay->command->input = -1;
}

/* The command reads no more. */
static void input_closed(struct relay *relay)
{
	close_input(relay);
	tell(VT_WIRE_INPUT_CLOSED, 0, 0);
	while (relay->waiting > 0)
		drop_slot(relay);
}

static void load_slot(struct relay *relay)
{
	const struct slot *slot = &relay->slots[0];
	off_t at = (off_t)relay->setup->head.slots_at + (off_t)slot->number * VT_WIRE_SLOT_SIZE;

	if (pread(relay->setup->window, relay->input, slot->length, at) != (ssize_t)slot->length)
		die(125, "can't read the window: %s", strerror(errno));
	relay->input_at = 0;
	relay->input_loaded = true;
}

/* Write what the command takes of the oldest slot. False: it takes nothing now. */
static bool write_input(struct relay *relay)
{
	const struct slot *slot = &relay->slots[0];
	ssize_t n;

	if (!relay->input_loaded)
		load_slot(relay);
	n = write(relay->command->input, relay->input + relay->input_at,
		  slot->length - relay->input_at);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		input_closed(relay);
	if (n <= 0)
		return false;
	relay->input_at += (uint32_t)n;
	if (relay->input_at == slot->length)
		drop_slot(relay);
	return true;
}

static void feed(struct relay *relay)
{
	while (relay->waiting > 0 && relay->command->input >= 0 && write_input(relay))
		;
	if (relay->waiting == 0 && relay->input_ends)
		close_input(relay);
}

static void take_input(struct relay *relay, const struct vt_wire_frame *frame)
{
	struct slot slot = {.number = frame->value, .length = frame->length};

	if (slot.number >= VT_WIRE_SLOTS || slot.length > VT_WIRE_SLOT_SIZE ||
	    relay->waiting == VT_WIRE_SLOTS)
		die(125, "the host sent input where there is no room");
	relay->slots[relay->waiting++] = slot;
	if (relay->command->input < 0)
		drop_slot(relay);
	else
		feed(relay);
}

/* ---- output ---- */

static void close_output(struct relay *relay, unsigned stream)
{
	close(relay->command->output[stream]);
	relay->command->output[stream] = -1;
}

static void pass_output(struct relay *relay, unsigned stream)
{
	static char buffer[VT_WIRE_PAYLOAD_MAX];
	uint32_t most = relay->credit[stream] < sizeof(buffer) ? relay->credit[stream]
							       : (uint32_t)sizeof(buffer);
	ssize_t n = read(relay->command->output[stream], buffer, most);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* a terminal's end shows as EIO */
		close_output(relay, stream);
		tell(VT_WIRE_OUTPUT_END, (uint8_t)stream, 0);
		return;
	}
	relay->credit[stream] -= (uint32_t)n;
	line_send((struct vt_wire_frame){.type = VT_WIRE_OUTPUT, .stream = (uint8_t)stream}, buffer,
		  (uint32_t)n);
}

/* ---- what the host asks for ---- */

/* A key at a terminal, or its end, reaches all processes in front of it; other signals are meant
 * for one process. */
static void pass_signal(const struct relay *relay, int number)
{
	bool group = number == SIGINT || number == SIGQUIT || number == SIGHUP;

	if (!relay->ended)
		kill(group ? -relay->command->pid : relay->command->pid, number);
}

static void resize(const struct relay *relay, const struct vt_wire_frame *frame)
{
	struct winsize size = {.ws_row = frame->value, .ws_col = (unsigned short)frame->length};

	/* The kernel sends SIGWINCH to whom it concerns. */
	ioctl(relay->command->output[VT_WIRE_TERMINAL], TIOCSWINSZ, &size);
}

/* Nobody reads @stream: the command learns it as it would from any closed pipe, and from a terminal
 * as a hang-up. */
static void stop_output(struct relay *relay, unsigned stream)
{
	if (relay->command->output[stream] < 0)
		return;
	close_output(relay, stream);
	if (stream != VT_WIRE_TERMINAL)
		return;
	close_input(relay);
	close(relay->command->terminal_end);
	relay->command->terminal_end = -1;
}

static void obey(struct relay *relay, const struct vt_wire_frame *frame)
{
	unsigned stream = frame->stream < VT_WIRE_STREAMS ? frame->stream : 0;

	switch (frame->type) {
	case VT_WIRE_INPUT:
		take_input(relay, frame);
		break;
	case VT_WIRE_INPUT_END:
		relay->input_ends = true;
		feed(relay);
		break;
	case VT_WIRE_CREDIT_BACK:
		relay->credit[stream] += frame->length;
		break;
	case VT_WIRE_CLOSE:
		stop_output(relay, stream);
		break;
	case VT_WIRE_RESIZE:
		resize(relay, frame);
		tell(VT_WIRE_CONTROL_DONE, 0, 0);
		break;
	case VT_WIRE_SIGNAL:
		pass_signal(relay, frame->value);
		tell(VT_WIRE_CONTROL_DONE, 0, 0);
		break;
	default:
		die(125, "the host sent frame type %u, which means nothing here", frame->type);
	}
}

/* One read never gives more than a frame; there are few, and they are small. */
static void hear_line(struct relay *relay)
{
	char *at = (char *)&relay->frame + relay->frame_have;
	ssize_t n = read(relay->line, at, sizeof(relay->frame) - relay->frame_have);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		power_off(); /* the host is gone */
	relay->frame_have += (size_t)n;
	if (relay->frame_have < sizeof(relay->frame))
		return;
	relay->frame_have = 0;
	obey(relay, &relay->frame);
}

/* ---- the end of the command ---- */

static void command_ended(struct relay *relay, int status)
{
	relay->ended = true;
	relay->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	/* What it left running can't outlive the machine, and would keep its pipes open. */
	kill(-1, SIGKILL);
	close_input(relay);
	if (relay->command->terminal_end >= 0)
		close(relay->command->terminal_end);
}

static void reap(struct relay *relay)
{
	struct signalfd_siginfo unused;
	int status;
	pid_t pid;

	if (read(relay->children, &unused, sizeof(unused)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == relay->command->pid)
			command_ended(relay, status);
}

static bool all_sent(const struct relay *relay)
{
	if (!relay->ended)
		return false;
	for (unsigned stream = 0; stream < VT_WIRE_STREAMS; stream++)
		if (relay->command->output[stream] >= 0)
			return false;
	return true;
}

/* Is the host, and not the command, what we wait for? */
static bool host_is_slow(const struct relay *relay)
{
	for (unsigned stream = 0; stream < VT_WIRE_STREAMS; stream++)
		if (relay->command->output[stream] >= 0 && relay->credit[stream] == 0)
			return true;
	return false;
}

/* ---- the loop ---- */

static int watch_children(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die(125, "can't watch the command: %s", strerror(errno));
	return fd;
}

static void watch(const struct relay *relay, struct pollfd fds[PLACES])
{
	const struct command *command = relay->command;

	fds[LINE] = (struct pollfd){.fd = relay->line, .events = POLLIN};
	fds[CHILDREN] = (struct pollfd){.fd = relay->children, .events = POLLIN};
	fds[UEVENTS] = (struct pollfd){.fd = relay->uevents, .events = POLLIN};
	/* Without events poll() still says when the command closes its end of the pipe. */
	fds[INPUT] = (struct pollfd){.fd = command->input,
				     .events = (short)(relay->waiting > 0 ? POLLOUT : 0)};
	for (unsigned stream = 0; stream < VT_WIRE_STREAMS; stream++)
		fds[OUTPUT + stream] = (struct pollfd){
			.fd = relay->credit[stream] > 0 ? command->output[stream] : -1,
			.events = POLLIN,
		};
}

static void attend(struct relay *relay, const struct pollfd fds[PLACES])
{
	if (fds[INPUT].revents & POLLERR)
		input_closed(relay);
	else if (fds[INPUT].revents & POLLOUT)
		feed(relay);
	for (unsigned stream = 0; stream < VT_WIRE_STREAMS; stream++)
		if (fds[OUTPUT + stream].revents != 0)
			pass_output(relay, stream);
	if (fds[UEVENTS].revents & POLLIN)
		dev_follow(relay->uevents);
	if (fds[LINE].revents != 0)
		hear_line(relay);
	if (fds[CHILDREN].revents & POLLIN)
		reap(relay);
}

int relay_run(struct command *command, const struct setup *setup, int line, int uevents)
{
	static struct relay relay;
	struct pollfd fds[PLACES];
	int ready;

	relay = (struct relay){
		.command = command,
		.setup = setup,
		.line = line,
		.uevents = uevents,
		.children = watch_children(),
		.credit = {VT_WIRE_CREDIT, VT_WIRE_CREDIT, VT_WIRE_CREDIT},
	};
	while (!all_sent(&relay)) {
		bool impatient = relay.ended && !host_is_slow(&relay);

		watch(&relay, fds);
		ready = poll(fds, PLACES, impatient ? SILENCE_MS : -1);
		if (ready == 0)
			break;
		if (ready > 0)
			attend(&relay, fds);
	}
	return relay.status;
}
