/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's messages: see uml_log.h. */
#include "uml_log.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAST_LINES 25

static void show(const struct vt_log *log, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' && log->raw)
			fputc('\r', stderr);
		fputc(bytes[i], stderr);
	}
	fflush(stderr);
}

static void keep(struct vt_log *log, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log->kept[log->total++ % sizeof(log->kept)] = bytes[i];
}

/* Whether there was something. */
static bool take(struct vt_log *log)
{
	char buffer[4096];
	ssize_t n = recv(log->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n <= 0)
		return false;
	keep(log, buffer, (size_t)n);
	if (log->show)
		show(log, buffer, (size_t)n);
	return true;
}

static void log_ready(uv_poll_t *poll, int status, int events)
{
	struct vt_log *log = poll->data;

	(void)status;
	if (!take(log) && (events & UV_DISCONNECT))
		uv_poll_stop(poll);
}

int vt_log_open(struct vt_log *log, uv_loop_t *loop, int fd, bool show_it)
{
	int err = uv_poll_init(loop, &log->poll, fd);

	if (err != 0)
		return err;
	log->fd = fd;
	log->show = show_it;
	log->poll.data = log;
	return uv_poll_start(&log->poll, UV_READABLE | UV_DISCONNECT, log_ready);
}

void vt_log_finish(struct vt_log *log)
{
	while (take(log))
		;
}

/* ---- the last lines ---- */

static char byte_at(const struct vt_log *log, size_t at)
{
	return log->kept[at % sizeof(log->kept)];
}

/* Where the last lines begin. */
static size_t find_start(const struct vt_log *log)
{
	size_t oldest = log->total > sizeof(log->kept) ? log->total - sizeof(log->kept) : 0;
	size_t at = log->total;
	unsigned lines = 0;

	for (; at > oldest; at--)
		if (byte_at(log, at - 1) == '\n' && at != log->total && ++lines == LAST_LINES)
			break;
	return at;
}

void vt_log_print_last(const struct vt_log *log)
{
	size_t at = find_start(log);
	bool begins = true;

	if (log->show || log->total == 0)
		return;
	fputs("viaduct: the kernel's last words:\n", stderr);
	for (; at < log->total; at++) {
		char c = byte_at(log, at);

		if (c == '\r')
			continue;
		if (begins)
			fputs("    ", stderr);
		fputc(c, stderr);
		begins = c == '\n';
	}
	if (!begins)
		fputc('\n', stderr);
}
