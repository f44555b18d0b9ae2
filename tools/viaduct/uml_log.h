/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's messages: shown as they come, or kept in case the last of them must explain
 * something. */
#ifndef VIADUCT_UML_LOG_H
#define VIADUCT_UML_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct vt_log {
	int fd;
	uv_poll_t poll;
	bool show;
	bool raw;         /* the terminal needs carriage returns */
	char kept[16384]; /* a ring of the last bytes */
	size_t total;     /* bytes that ever came */
};

/* @fd: a non-blocking socket. 0 or an error of libuv. Closing the loop's handles closes it. */
int vt_log_open(struct vt_log *log, uv_loop_t *loop, int fd, bool show);

/* Take what is there still. */
void vt_log_finish(struct vt_log *log);

/* Print the last lines, unless they were shown anyway. */
void vt_log_print_last(const struct vt_log *log);

#endif /* VIADUCT_UML_LOG_H */
