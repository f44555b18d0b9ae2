/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of events in the guest, and the line to the host. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int line = -1;

static void write_all(int fd, const void *data, size_t left)
{
	const char *at = data;

	while (left > 0) {
		ssize_t n = write(fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* the host is gone, and with it everybody who could care */
			reboot(RB_POWER_OFF);
		at += n;
		left -= (size_t)n;
	}
}

void line_send(struct vt_wire_frame frame, const void *payload, uint32_t length)
{
	static char buffer[sizeof(frame) + VT_WIRE_PAYLOAD_MAX];

	frame.length = length;
	memcpy(buffer, &frame, sizeof(frame));
	if (length > 0)
		memcpy(buffer + sizeof(frame), payload, length);
	write_all(line, buffer, sizeof(frame) + length);
}

void power_off(void)
{
	sync();
	if (line >= 0)
		tcdrain(line);
	reboot(RB_POWER_OFF);
	_exit(0); /* ends the kernel, if it won't turn itself off */
}

void die(int status, const char *format, ...)
{
	char text[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	if (line >= 0)
		line_send((struct vt_wire_frame){.type = VT_WIRE_FAILED, .value = (uint16_t)status},
			  text, (uint32_t)length);
	else
		fprintf(stderr, "guest-init: %s\n", text);
	power_off();
}

/* Every byte as it is, both ways. */
static void make_raw(int fd)
{
	struct termios mode;

	if (tcgetattr(fd, &mode) != 0)
		die(125, "the line to the host is no terminal: %s", strerror(errno));
	cfmakeraw(&mode);
	if (tcsetattr(fd, TCSANOW, &mode) != 0)
		die(125, "the line to the host can't be made raw: %s", strerror(errno));
}

static void open_line(void)
{
	int fd = open("/dev/" VT_WIRE_LINE, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die(125, "no line to the host: /dev/" VT_WIRE_LINE ": %s", strerror(errno));
	make_raw(fd);
	line = fd;
	/* The command must not write into it. */
	unlink("/dev/" VT_WIRE_LINE);
}

/* Without a /dev/console on the host's file system the kernel starts us with nothing open, and the
 * first things we open must not become somebody's standard error. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/", O_PATH);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

int main(void)
{
	struct setup setup;
	struct command command;
	int uevents;
	int status;

	if (getpid() != 1) {
		fputs("guest-init is process 1 of the kernel that `viaduct linux` boots, and of no "
		      "use elsewhere.\n",
		      stderr);
		return 1;
	}
	fill_standard_descriptors();
	prctl(PR_SET_NAME, "init");
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	mount_first();
	uevents = dev_start();
	open_line();
	setup_read(&setup);
	mount_rest(setup.shares);
	dev_settle(uevents);
	command_start(&command, &setup);
	line_send((struct vt_wire_frame){.type = VT_WIRE_STARTED}, NULL, 0);
	status = relay_run(&command, &setup, line, uevents);
	sync(); /* before the host is told: it may not wait for our end */
	line_send((struct vt_wire_frame){.type = VT_WIRE_EXIT, .value = (uint16_t)status}, NULL, 0);
	power_off();
}
