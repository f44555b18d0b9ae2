/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev, kept by hand. The kernel could do it (DEVTMPFS), but then it allocates memory where it must
 * not when a virtio device announces something from an interrupt, and dies of it now and then.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Nothing new for so long: what the other side offers by itself is there. A device that keeps
 * announcing is not waited for for ever. */
#define SETTLE_MS         20
#define SETTLE_EVENTS_MAX 64

/* What the kernel says about a device, as NAME=VALUE strings one after the other. */
struct report {
	char text[4096];
	size_t length;
};

static const char *value_of(const struct report *report, const char *name)
{
	size_t name_length = strlen(name);
	const char *end = report->text + report->length;

	for (const char *at = report->text; at < end; at += strlen(at) + 1)
		if (strncmp(at, name, name_length) == 0 && at[name_length] == '=')
			return at + name_length + 1;
	return "";
}

/* Names may have directories in them: "input/event0". */
static void make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + strlen("/dev/"), '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

static void add(const char *path, const struct report *report, bool block)
{
	dev_t number = makedev((unsigned)atoi(value_of(report, "MAJOR")),
			       (unsigned)atoi(value_of(report, "MINOR")));

	make_parents(path);
	/* Only one user here, and what runs as another in the guest is a test of ours. */
	mknod(path, (block ? S_IFBLK : S_IFCHR) | 0666, number);
}

static void apply(const struct report *report, bool block, bool present)
{
	const char *name = value_of(report, "DEVNAME");
	char path[PATH_MAX];

	if (*name == '\0')
		return;
	snprintf(path, sizeof(path), "/dev/%s", name);
	if (present)
		add(path, report, block);
	else
		unlink(path);
}

/* In /sys lines end with newlines, in messages with zeros; make it zeros, and end with one. */
static void finish(struct report *report, ssize_t length)
{
	report->length = length > 0 ? (size_t)length : 0;
	report->text[report->length++] = '\0';
	for (size_t i = 0; i < report->length; i++)
		if (report->text[i] == '\n')
			report->text[i] = '\0';
}

static void add_from_sys(int directory, const char *number, bool block)
{
	struct report report;
	char path[NAME_MAX + sizeof("/uevent")];
	int fd;

	snprintf(path, sizeof(path), "%s/uevent", number);
	fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* it went away */
	finish(&report, read(fd, report.text, sizeof(report.text) - 1));
	close(fd);
	apply(&report, block, true);
}

static void scan(const char *directory, bool block)
{
	DIR *numbers = opendir(directory);

	if (numbers == NULL)
		return; /* a kernel without block devices has no /sys/dev/block */
	for (struct dirent *entry = readdir(numbers); entry != NULL; entry = readdir(numbers))
		if (entry->d_name[0] != '.')
			add_from_sys(dirfd(numbers), entry->d_name, block);
	closedir(numbers);
}

static void scan_all(void)
{
	scan("/sys/dev/char", false);
	scan("/sys/dev/block", true);
}

static void make_links(void)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
		{"pts/ptmx", "/dev/ptmx"},
	};

	unlink("/dev/ptmx"); /* the one from /sys belongs to no mounted devpts */
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		symlink(links[i][0], links[i][1]);
}

static int listen_to_kernel(void)
{
	struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int room = 1 << 20;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&all, sizeof(all)) != 0)
		die(125, "can't listen to the kernel's device events: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

int dev_start(void)
{
	/* Listening comes first: a device that appears during the scan is then at worst made twice.
	 */
	int fd = listen_to_kernel();

	scan_all();
	make_links();
	return fd;
}

static void follow_one(struct report *report)
{
	const char *action = value_of(report, "ACTION");
	bool block = strcmp(value_of(report, "SUBSYSTEM"), "block") == 0;

	if (strcmp(action, "add") == 0 || strcmp(action, "change") == 0)
		apply(report, block, true);
	else if (strcmp(action, "remove") == 0)
		apply(report, block, false);
}

void dev_follow(int fd)
{
	struct report report;

	for (;;) {
		ssize_t n = recv(fd, report.text, sizeof(report.text) - 1, 0);

		if (n < 0 && errno == ENOBUFS) {
			scan_all(); /* events were lost; what was added is still in /sys */
			continue;
		}
		if (n <= 0)
			return;
		finish(&report, n);
		follow_one(&report);
	}
}

static bool has_virtio_devices(void)
{
	DIR *devices = opendir("/sys/bus/virtio/devices");
	struct dirent *entry = NULL;

	if (devices == NULL)
		return false;
	do
		entry = readdir(devices);
	while (entry != NULL && entry->d_name[0] == '.');
	closedir(devices);
	return entry != NULL;
}

void dev_settle(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	if (!has_virtio_devices())
		return;
	for (int events = 0; events < SETTLE_EVENTS_MAX && poll(&pollfd, 1, SETTLE_MS) == 1;
	     events++)
		dev_follow(fd);
}
