/* SPDX-License-Identifier: BSD-3-Clause */
/* The file systems of the guest: the host's, and fresh ones on top where the host's would be
 * wrong (/proc, /sys, /dev) or where a command must be able to write (/tmp, /run, /dev/shm). */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct fresh {
	const char *type;
	const char *where;
	const char *options;
	bool make; /* its directory is on a fresh file system, so make it */
};

static const struct fresh first[] = {
	{"proc", "/proc", NULL, false},
	{"sysfs", "/sys", NULL, false},
	{"tmpfs", "/dev", "mode=755", false},
};

static const struct fresh rest[] = {
	{"devpts", "/dev/pts", "mode=620,ptmxmode=666", true},
	{"tmpfs", "/dev/shm", "mode=1777", true},
	{"tmpfs", "/tmp", "mode=1777", false},
	{"tmpfs", "/run", "mode=755", false},
};

/* The host's file system once more, without anything mounted over it. */
#define HOST_VIEW "/dev/.host"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void mount_fresh(const struct fresh *fresh)
{
	if (fresh->make && mkdir(fresh->where, 0755) != 0)
		die(125, "can't make %s: %s", fresh->where, strerror(errno));
	if (mount(fresh->type, fresh->where, fresh->type, MS_NOSUID, fresh->options) != 0)
		die(125, "can't mount %s: %s", fresh->where, strerror(errno));
}

void mount_first(void)
{
	for (size_t i = 0; i < COUNT(first); i++)
		mount_fresh(&first[i]);
}

/* Make the directories that lead to @path. What exists already is fine. */
static void make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

/* Something to mount on: a directory on a directory, a file on a file. */
static int make_target(const char *path, bool directory)
{
	int fd;

	make_parents(path);
	if (directory)
		return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : close(fd);
}

static void mount_share(const char *path)
{
	char source[PATH_MAX];
	struct stat at;

	snprintf(source, sizeof(source), "%s%s", HOST_VIEW, path);
	if (stat(source, &at) != 0)
		die(125, "can't share %s: %s", path, strerror(errno));
	if (make_target(path, S_ISDIR(at.st_mode)) != 0 ||
	    mount(source, path, NULL, MS_BIND, NULL) != 0)
		die(125, "can't share %s: %s", path, strerror(errno));
}

/* A plain bind takes along no mounts below "/", so it shows what they hide. */
static void open_host_view(void)
{
	if (mkdir(HOST_VIEW, 0755) != 0 || mount("/", HOST_VIEW, NULL, MS_BIND, NULL) != 0)
		die(125, "can't look at the host's file system: %s", strerror(errno));
}

/* What was bound from it stays. */
static void close_host_view(void)
{
	umount2(HOST_VIEW, MNT_DETACH);
	rmdir(HOST_VIEW);
}

void mount_rest(char *const *shares)
{
	if (*shares != NULL)
		open_host_view();
	for (size_t i = 0; i < COUNT(rest); i++)
		mount_fresh(&rest[i]);
	if (*shares == NULL)
		return;
	for (; *shares != NULL; shares++)
		mount_share(*shares);
	close_host_view();
}
