/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory that the guest's process 1 and we share: what to run, and the bytes of standard input.
 * See guest-init/wire.h. */
#ifndef VIADUCT_UML_WINDOW_H
#define VIADUCT_UML_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/* What the command gets. */
struct vt_window_setup {
	char *const *argv;
	char *const *env;
	const char *directory;
	char *const *shares; /* all three end with NULL */
	uint32_t flags;      /* VT_WIRE_TERMINAL_IN and so on */
	uint16_t rows;
	uint16_t columns;
	uint64_t ignored; /* signals */
};

struct vt_window {
	int fd;
	char *memory;
	size_t size;
	size_t slots_at;
};

/* 0 or a negative errno value. */
int vt_window_make(struct vt_window *window, const struct vt_window_setup *setup);

/* Where the bytes of a slot go. */
char *vt_window_slot(const struct vt_window *window, unsigned slot);

void vt_window_free(struct vt_window *window);

#endif /* VIADUCT_UML_WINDOW_H */
