/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of the kernel that `viaduct linux` boots. Everything not named here is off, which is
 * what makes it build in two minutes and boot in a twentieth of a second. */
#include "kernel_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Options are separated by spaces; one without a value is "=y", and "=n" must stay off. A question
 * mark behind the name: newer kernels do not have it and behave so anyway. */
struct group {
	const char *why;
	const char *options;
};

static const struct group groups[] = {
	{
		.why = "The machine. Small code compiles faster, and speed is lost elsewhere.",
		.options = "64BIT EXPERT CC_OPTIMIZE_FOR_SIZE MULTIUSER",
	},
	{
		.why = "What it says when it dies.",
		.options = "PRINTK PRINTK_TIME BUG KALLSYMS",
	},
	{
		.why = "Sleeps that last as long as they were asked to, and no ticks while idle.",
		.options = "HIGH_RES_TIMERS NO_HZ_IDLE POSIX_TIMERS",
	},
	{
		.why = "getrandom() answers at once: the host seeded the generator.",
		.options = "RANDOM_TRUST_BOOTLOADER?",
	},
	{
		.why = "System calls that programs, language runtimes and event loops take for "
		       "granted.",
		.options = "FUTEX EPOLL EVENTFD SIGNALFD TIMERFD INOTIFY_USER FILE_LOCKING "
			   "ADVISE_SYSCALLS AIO MEMBARRIER SYSVIPC POSIX_MQUEUE KCMP FHANDLE "
			   "CROSS_MEMORY_ATTACH BASE_FULL?",
	},
	{
		.why = "Programs and scripts; and core files, for whoever asks for them.",
		.options = "BINFMT_ELF BINFMT_SCRIPT COREDUMP ELF_CORE",
	},
	{
		.why = "The host's file system as root, and the fresh ones on top of it.",
		.options = "HOSTFS PROC_FS PROC_SYSCTL PROC_PAGE_MONITOR SYSFS SHMEM TMPFS "
			   "TMPFS_XATTR",
	},
	{
		.why = "Terminals and local sockets. RPMSG_CHAR wants NET, and so do device "
		       "events.",
		.options = "TTY UNIX98_PTYS NET UNIX",
	},
	{
		.why = "The line and the window between the command and `viaduct`; kernel "
		       "messages.",
		.options = "NULL_CHAN STDERR_CONSOLE CON_ZERO_CHAN=\"fd:0,fd:1\" CON_CHAN=\"null\" "
			   "MMAPPER",
	},
	{
		.why = "Devices over vhost-user. PCI over virtio is there only for the DMA "
		       "emulation it "
		       "brings, which RPMSG_VIRTIO needs; the device id means nothing.",
		.options = "VIRTIO_UML UML_PCI_OVER_VIRTIO UML_PCI_OVER_VIRTIO_DEVICE_ID=1234 "
			   "VIRTIO_MENU",
	},
	{
		.why = "The console drivers: multiport console (3) and, with remoteproc, its "
		       "serial "
		       "cousin (11).",
		.options = "VIRTIO_CONSOLE REMOTEPROC",
	},
	{
		.why = "The input driver (18), and a way for programs to make input devices "
		       "themselves.",
		.options = "INPUT INPUT_EVDEV INPUT_MISC INPUT_UINPUT VIRTIO_INPUT",
	},
	{
		.why = "The rpmsg drivers (7): bus, name service, character devices, terminals.",
		.options = "RPMSG_VIRTIO RPMSG_NS RPMSG_CHAR RPMSG_CTRL RPMSG_TTY",
	},
	{
		.why = "Kernel modules, and the kernel's own rpmsg client as the first of them.",
		.options = "MODULES MODULE_UNLOAD SAMPLES SAMPLE_RPMSG_CLIENT=m",
	},
	{
		.why = "A look inside drivers: /sys/kernel/debug and dynamic debug messages.",
		.options = "DEBUG_FS DYNAMIC_DEBUG",
	},
	{
		.why = "Making device nodes from interrupt context allocates memory and kills the "
		       "kernel on most boots; guest-init makes them.",
		.options = "DEVTMPFS=n",
	},
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* Raise when the way of building changes and old kernels must not be used any more. */
#define RECIPE "1"

/* ---- one option after the other ---- */

struct option {
	char name[64];
	char value[64];
	bool may_be_missing;
};

/* Take the first option off @list. False at its end. */
static bool next_option(const char **list, struct option *option)
{
	size_t length = strcspn(*list, " ");
	size_t name = strcspn(*list, " =?");

	if (length == 0)
		return false;
	snprintf(option->name, sizeof(option->name), "%.*s", (int)name, *list);
	option->may_be_missing = (*list)[name] == '?';
	name += option->may_be_missing;
	if (name < length)
		snprintf(option->value, sizeof(option->value), "%.*s", (int)(length - name - 1),
			 *list + name + 1);
	else
		strcpy(option->value, "y");
	*list += length;
	*list += strspn(*list, " ");
	return true;
}

static void write_option(FILE *out, const struct option *option)
{
	if (strcmp(option->value, "n") == 0)
		fprintf(out, "# CONFIG_%s is not set\n", option->name);
	else
		fprintf(out, "CONFIG_%s=%s\n", option->name, option->value);
}

void vt_kernel_config_write(FILE *out)
{
	struct option option;

	for (size_t i = 0; i < GROUPS; i++) {
		const char *list = groups[i].options;

		fprintf(out, "# %s\n", groups[i].why);
		while (next_option(&list, &option))
			write_option(out, &option);
	}
}

/* ---- check ---- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (file == NULL)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

/* Does @config have the line @line? */
static bool has_line(const char *config, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = strstr(config, line); at != NULL; at = strstr(at + 1, line))
		if ((at == config || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

static bool option_holds(const char *config, const struct option *option)
{
	char line[sizeof(struct option) + 16];

	if (option->may_be_missing)
		return true;
	if (strcmp(option->value, "n") == 0) {
		snprintf(line, sizeof(line), "CONFIG_%s=y", option->name);
		return !has_line(config, line);
	}
	snprintf(line, sizeof(line), "CONFIG_%s=%s", option->name, option->value);
	return has_line(config, line);
}

int vt_kernel_config_check(const char *path, char *name, size_t size)
{
	char *config = read_file(path);
	struct option option;
	int err = 0;

	if (config == NULL)
		return errno != 0 ? -errno : -EIO;
	for (size_t i = 0; i < GROUPS && err == 0; i++) {
		const char *list = groups[i].options;

		while (err == 0 && next_option(&list, &option))
			if (!option_holds(config, &option))
				err = -ENOTSUP;
	}
	if (err != 0)
		snprintf(name, size, "CONFIG_%s=%s", option.name, option.value);
	free(config);
	return err;
}

/* ---- hash ---- */

/* FNV-1a. */
static uint64_t add_to_hash(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	return hash;
}

void vt_kernel_config_hash(char text[static 9])
{
	uint64_t hash = 0xcbf29ce484222325ull;

	hash = add_to_hash(hash, VT_KERNEL_CFLAGS RECIPE);
	for (size_t i = 0; i < GROUPS; i++)
		hash = add_to_hash(hash, groups[i].options);
	snprintf(text, 9, "%08x", (unsigned)(hash >> 32 ^ (hash & 0xffffffffu)));
}
