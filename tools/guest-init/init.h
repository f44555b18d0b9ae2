/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Process 1 of the kernel that `viaduct linux` boots. It mounts what a Linux program expects to
 * find, keeps /dev in step with the kernel's devices, runs one command, carries its streams over
 * the line that wire.h describes, and turns the machine off when the command has ended.
 */
#ifndef VIADUCT_GUEST_INIT_H
#define VIADUCT_GUEST_INIT_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- main.c: saying things to the host ---- */

/* Send one frame with @length bytes of payload. Waits until the host takes it: it always does. */
void line_send(struct vt_wire_frame frame, const void *payload, uint32_t length);

/* Tell the host why nothing can go on, with the exit status it should end with, and power off. */
_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Everything written to files reaches the host; everything sent reaches it too. Then it is dark. */
_Noreturn void power_off(void);

/* ---- mounts.c ---- */

/* /proc, /sys and an empty /dev: what is needed before anything else can be found. */
void mount_first(void);

/* The other fresh file systems, and @shares of the host seen through them. */
void mount_rest(char *const *shares);

/* ---- dev.c ---- */

/* Fill /dev from /sys. Returns a socket that becomes readable when a device comes or goes. */
int dev_start(void);

/* Channels of a virtio device are announced when its driver is ready, a moment after boot: wait
 * until there are no more of them, so that a command finds /dev as it will be. */
void dev_settle(int socket);

/* Do what the kernel announced on that socket. */
void dev_follow(int socket);

/* ---- setup.c ---- */

struct setup {
	struct vt_wire_setup head;
	int window; /* open for pread() */
	char **argv;
	char **env;
	char **shares;
	const char *directory;
};

/* Read what the host left in the window. */
void setup_read(struct setup *setup);

static inline bool setup_has(const struct setup *setup, uint32_t flag)
{
	return (setup->head.flags & flag) != 0;
}

/* ---- command.c ---- */

/* The running command, and our ends of its streams; -1 where there is none. */
struct command {
	pid_t pid;
	int input;                   /* its standard input or its terminal: we write */
	int output[VT_WIRE_STREAMS]; /* we read */
	int terminal_end;            /* its end of the terminal, so that ours never sees a hang-up
					while it runs */
};

/* Start it; does not return if that is impossible. */
void command_start(struct command *command, const struct setup *setup);

/* ---- relay.c ---- */

/* Carry everything between @command and the host until the command has ended and all it wrote is
 * sent. Returns its exit status as a shell would give it. */
int relay_run(struct command *command, const struct setup *setup, int line, int uevents);

#endif /* VIADUCT_GUEST_INIT_H */
