/* SPDX-License-Identifier: BSD-3-Clause */
/* The window: see uml_window.h. */
#include "uml_window.h"
#include "guest-init/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static size_t record_size(const char *text)
{
	return sizeof(struct vt_wire_record) + strlen(text) + 1;
}

static size_t list_size(char *const *list)
{
	size_t size = 0;

	for (; *list != NULL; list++)
		size += record_size(*list);
	return size;
}

static size_t setup_size(const struct vt_window_setup *setup)
{
	return sizeof(struct vt_wire_setup) + list_size(setup->argv) + list_size(setup->env) +
	       list_size(setup->shares) + record_size(setup->directory);
}

static char *put(char *at, enum vt_wire_record_kind kind, const char *text)
{
	struct vt_wire_record record = {.kind = kind, .length = (uint32_t)strlen(text) + 1};

	memcpy(at, &record, sizeof(record));
	memcpy(at + sizeof(record), text, record.length);
	return at + sizeof(record) + record.length;
}

static char *put_list(char *at, enum vt_wire_record_kind kind, char *const *list)
{
	for (; *list != NULL; list++)
		at = put(at, kind, *list);
	return at;
}

/* There is no way to ask but to change it. */
static uint32_t current_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static void fill(struct vt_window *window, const struct vt_window_setup *setup, size_t size)
{
	struct vt_wire_setup head = {
		.magic = VT_WIRE_MAGIC,
		.version = VT_WIRE_VERSION,
		.size = (uint32_t)size,
		.slots_at = window->slots_at,
		.ignored = setup->ignored,
		.flags = setup->flags,
		.umask = current_umask(),
		.rows = setup->rows,
		.columns = setup->columns,
	};
	char *at = window->memory + sizeof(head);

	memcpy(window->memory, &head, sizeof(head));
	at = put_list(at, VT_WIRE_ARG, setup->argv);
	at = put_list(at, VT_WIRE_ENV, setup->env);
	at = put_list(at, VT_WIRE_SHARE, setup->shares);
	put(at, VT_WIRE_DIRECTORY, setup->directory);
}

static int map(struct vt_window *window)
{
	int err;

	window->fd = memfd_create("viaduct-window", MFD_CLOEXEC);
	if (window->fd < 0)
		return -errno;
	if (ftruncate(window->fd, (off_t)window->size) == 0)
		window->memory = mmap(NULL, window->size, PROT_READ | PROT_WRITE, MAP_SHARED,
				      window->fd, 0);
	if (window->memory != MAP_FAILED)
		return 0;
	err = -errno;
	close(window->fd);
	return err;
}

int vt_window_make(struct vt_window *window, const struct vt_window_setup *setup)
{
	size_t size = setup_size(setup);
	int err;

	window->memory = MAP_FAILED;
	window->slots_at = (size + PAGE - 1) & ~(PAGE - 1);
	window->size = window->slots_at + (size_t)VT_WIRE_SLOTS * VT_WIRE_SLOT_SIZE;
	err = map(window);
	if (err == 0)
		fill(window, setup, size);
	return err;
}

char *vt_window_slot(const struct vt_window *window, unsigned slot)
{
	return window->memory + window->slots_at + (size_t)slot * VT_WIRE_SLOT_SIZE;
}

void vt_window_free(struct vt_window *window)
{
	munmap(window->memory, window->size);
	close(window->fd);
}
