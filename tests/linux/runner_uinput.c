/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run inside the guest: make an input device and take it away again. Its node must appear in /dev
 * and vanish with it, soon.
 */
#include <fcntl.h>
#include <linux/uinput.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 2000

static bool exists(const char *path)
{
	struct stat at;

	return stat(path, &at) == 0;
}

/* Wait until @path is there, or not, with the help of @watch. */
static bool wait_for(int watch, const char *path, bool there)
{
	struct pollfd fd = {.fd = watch, .events = POLLIN};
	char events[4096];

	while (exists(path) != there) {
		if (poll(&fd, 1, TIMEOUT_MS) <= 0)
			return false;
		if (read(watch, events, sizeof(events)) < 0)
			return false;
	}
	return true;
}

static int make_device(void)
{
	struct uinput_setup setup = {.name = "runner"};
	int fd = open("/dev/uinput", O_WRONLY);

	if (fd < 0 || ioctl(fd, UI_SET_EVBIT, EV_KEY) != 0 ||
	    ioctl(fd, UI_SET_KEYBIT, KEY_A) != 0 || ioctl(fd, UI_DEV_SETUP, &setup) != 0 ||
	    ioctl(fd, UI_DEV_CREATE) != 0)
		return -1;
	return fd;
}

int main(void)
{
	int watch = inotify_init1(IN_CLOEXEC);
	int device;

	mkdir("/dev/input", 0755); /* to watch it; the first device makes it otherwise */
	if (inotify_add_watch(watch, "/dev/input", IN_CREATE | IN_DELETE) < 0) {
		perror("watch /dev/input");
		return 1;
	}
	device = make_device();
	if (device < 0) {
		perror("make an input device");
		return 1;
	}
	if (!wait_for(watch, "/dev/input/event0", true)) {
		fputs("/dev/input/event0 did not appear\n", stderr);
		return 1;
	}
	ioctl(device, UI_DEV_DESTROY);
	if (!wait_for(watch, "/dev/input/event0", false)) {
		fputs("/dev/input/event0 did not vanish\n", stderr);
		return 1;
	}
	return 0;
}
