/* SPDX-License-Identifier: BSD-3-Clause */
/* What to run and how, from the window that the host filled before the kernel started. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *allocate(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (memory == NULL)
		die(125, "no memory for the command line and the environment; give the kernel more "
			 "with --mem");
	return memory;
}

static void read_window(int window, void *to, size_t size)
{
	if (pread(window, to, size, 0) != (ssize_t)size)
		die(125, "can't read what to run from the window: %s", strerror(errno));
}

/* One kind of record, as a list that ends with NULL. */
static char **list_of(char *records, size_t size, uint32_t kind)
{
	/* Never more entries than records. */
	char **list = allocate(size / sizeof(struct vt_wire_record) + 1, sizeof(*list));
	size_t n = 0;

	for (size_t at = 0; at < size;) {
		struct vt_wire_record record;

		memcpy(&record, records + at, sizeof(record));
		at += sizeof(record);
		if (record.kind == kind)
			list[n++] = records + at;
		at += record.length;
	}
	return list;
}

/* The host is trusted, but a version of it that we don't know is not. */
static void check(const struct vt_wire_setup *head)
{
	if (head->magic != VT_WIRE_MAGIC || head->version != VT_WIRE_VERSION)
		die(125, "guest-init and viaduct are of different versions; install both anew");
}

void setup_read(struct setup *setup)
{
	char *all;
	char *records;
	size_t size;

	setup->window = open("/dev/" VT_WIRE_WINDOW, O_RDONLY | O_CLOEXEC);
	if (setup->window < 0)
		die(125, "no window to the host: /dev/" VT_WIRE_WINDOW ": %s", strerror(errno));
	unlink("/dev/" VT_WIRE_WINDOW); /* nobody else's business */
	read_window(setup->window, &setup->head, sizeof(setup->head));
	check(&setup->head);
	all = allocate(1, setup->head.size);
	read_window(setup->window, all, setup->head.size);
	records = all + sizeof(setup->head);
	size = setup->head.size - sizeof(setup->head);
	setup->argv = list_of(records, size, VT_WIRE_ARG);
	setup->env = list_of(records, size, VT_WIRE_ENV);
	setup->shares = list_of(records, size, VT_WIRE_SHARE);
	setup->directory = list_of(records, size, VT_WIRE_DIRECTORY)[0];
}
