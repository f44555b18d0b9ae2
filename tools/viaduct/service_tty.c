/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tty: a terminal at the other end of the kernel's /dev/ttyRPMSGn. What the guest writes comes out
 * of a pty, and what is written to the pty is read by the guest. Nothing is dropped either way:
 * while nobody reads the pty, messages wait in the guest's buffers, and while the guest takes
 * nothing, the pty is not read.
 *
 * The kernel's driver tells its address with the first message it sends, so until the guest has
 * written something, what is written to the pty waits.
 */
#include "service.h"
#include "ui.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

struct tty {
	struct vt_service *service;
	uv_poll_t on_pty;
	uv_signal_t on_child;
	int master;
	int slave; /* kept open, or the master would report a hang-up whenever nobody has it open */
	char *link;     /* symbolic link to the slave, ours to remove */
	pid_t child;    /* with exec= */
	size_t written; /* of the message being written */
	bool peer_known;
	bool has_handle;
	bool closed;
	char unsent[65536]; /* read from the pty, and no buffer to send it in */
	size_t n_unsent;
};

/* ---- what is watched for ---- */

static void on_pty(uv_poll_t *handle, int status, int events);

static void watch(struct tty *tty)
{
	int events = 0;

	if (tty->closed)
		return;
	if (tty->peer_known && tty->n_unsent == 0)
		events |= UV_READABLE;
	if (tty->service->n_waiting > 0)
		events |= UV_WRITABLE;
	if (events != 0)
		uv_poll_start(&tty->on_pty, events, on_pty);
	else
		uv_poll_stop(&tty->on_pty);
}

/* ---- guest to pty ---- */

/* Write the rest of a message. True: all of it is written. */
static bool write_out(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	struct tty *tty = service->state;

	while (tty->written < msg->len) {
		ssize_t n = write(tty->master, (const char *)msg->data + tty->written,
				  msg->len - tty->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			break; /* the terminal is gone */
		tty->written += (size_t)n;
	}
	tty->written = 0;
	return true;
}

static enum vd_rpmsg_verdict message(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	struct tty *tty = service->state;
	enum vd_rpmsg_verdict verdict = VD_RPMSG_RELEASE;

	service->ept.dst = msg->src;
	tty->peer_known = true;
	if (service->n_waiting > 0 || !write_out(service, msg))
		verdict = vt_service_wait(service, msg);
	watch(tty);
	return verdict;
}

/* ---- pty to guest ---- */

/* True: nothing is left. */
static bool send_unsent(struct tty *tty)
{
	struct vt_service *service = tty->service;

	if (tty->n_unsent == 0)
		return true;
	if (vt_service_send(service, service->ept.dst, tty->unsent, (uint32_t)tty->n_unsent) ==
	    -ENOMEM)
		return false;
	tty->n_unsent = 0;
	return true;
}

static void read_in(struct tty *tty)
{
	size_t most = vd_rpmsg_max_payload(tty->service->link);

	while (send_unsent(tty)) {
		ssize_t n = read(tty->master, tty->unsent,
				 most < sizeof(tty->unsent) ? most : sizeof(tty->unsent));

		if (n <= 0)
			break;
		tty->n_unsent = (size_t)n;
	}
}

static void on_pty(uv_poll_t *handle, int status, int events)
{
	struct tty *tty = handle->data;

	(void)status;
	if (events & UV_WRITABLE)
		vt_service_retry(tty->service);
	if (events & UV_READABLE)
		read_in(tty);
	watch(tty);
	vt_service_settle(tty->service);
}

static void writable(struct vt_service *service)
{
	struct tty *tty = service->state;

	(void)send_unsent(tty);
	watch(tty);
}

static void link_changed(struct vt_service *service, bool up)
{
	struct tty *tty = service->state;

	(void)up;
	tty->peer_known = false;
	tty->written = 0;
	service->ept.dst = VD_RPMSG_ADDR_ANY;
	watch(tty);
}

/* ---- the terminal ---- */

static int make_link(struct tty *tty, const char *path)
{
	const char *slave = ptsname(tty->master);

	(void)unlink(path);
	if (slave == NULL || symlink(slave, path) != 0) {
		vt_error("can't make a link to the terminal at %s: %s", path, strerror(errno));
		return -EEXIST;
	}
	tty->link = strdup(path);
	return 0;
}

static void run_child(const char *command)
{
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* COMMAND in a session of its own, with the pty as its controlling terminal. */
static int start_command(struct tty *tty, const char *command)
{
	tty->child = fork();
	if (tty->child < 0)
		return -errno;
	if (tty->child == 0) {
		close(tty->master);
		if (login_tty(tty->slave) != 0)
			_exit(126);
		run_child(command);
	}
	return 0;
}

/* The command has ended: its channel goes too, which hangs up the guest's terminal. */
static void on_child(uv_signal_t *handle, int number)
{
	struct tty *tty = handle->data;
	struct vt_service *service = tty->service;
	int status;

	(void)number;
	if (tty->child <= 0 || waitpid(tty->child, &status, WNOHANG) != tty->child)
		return;
	tty->child = 0;
	read_in(tty);
	vt_report(&service->device->report, "exit",
		  json_pack("{s:s, s:i}", "service", service->name, "status", status),
		  "%s: the command has ended", service->name);
	(void)vd_rpmsg_destroy_ept(&service->ept);
}

static int watch_child(struct tty *tty)
{
	uv_signal_init(tty->service->device->loop, &tty->on_child);
	tty->on_child.data = tty;
	return uv_signal_start(&tty->on_child, on_child, SIGCHLD);
}

static int set_up(struct tty *tty, const char *arguments)
{
	struct vt_service *service = tty->service;

	if (arguments != NULL && strncmp(arguments, "exec=", 5) == 0)
		return start_command(tty, arguments + 5);
	if (arguments != NULL && strncmp(arguments, "link=", 5) == 0)
		return make_link(tty, arguments + 5);
	if (arguments != NULL) {
		vt_error("tty: '%s' should be exec=COMMAND or link=PATH", arguments);
		return -EINVAL;
	}
	vt_report(&service->device->report, "tty",
		  json_pack("{s:s, s:s}", "service", service->name, "path", ptsname(tty->master)),
		  "%s: the terminal is %s", service->name, ptsname(tty->master));
	return 0;
}

static int open_pty(struct tty *tty, bool raw)
{
	struct termios settings;

	if (openpty(&tty->master, &tty->slave, NULL, NULL, NULL) != 0)
		return -errno;
	(void)fcntl(tty->master, F_SETFL, fcntl(tty->master, F_GETFL) | O_NONBLOCK);
	(void)fcntl(tty->master, F_SETFD, FD_CLOEXEC);
	(void)fcntl(tty->slave, F_SETFD, FD_CLOEXEC);
	/* Bytes pass as they are; the terminal discipline is the guest's. */
	if (raw && tcgetattr(tty->slave, &settings) == 0) {
		cfmakeraw(&settings);
		(void)tcsetattr(tty->slave, TCSANOW, &settings);
	}
	return 0;
}

static int open_tty(struct vt_service *service, const char *arguments)
{
	struct tty *tty = calloc(1, sizeof(*tty));
	bool with_command = arguments != NULL && strncmp(arguments, "exec=", 5) == 0;
	int err;

	if (tty == NULL)
		return -ENOMEM;
	service->state = tty;
	tty->service = service;
	tty->master = -1;
	tty->slave = -1;
	err = open_pty(tty, !with_command);
	if (err != 0) {
		vt_error("can't open a terminal: %s", strerror(-err));
		return err;
	}
	uv_poll_init(service->device->loop, &tty->on_pty, tty->master);
	tty->on_pty.data = tty;
	tty->has_handle = true;
	err = watch_child(tty);
	return err == 0 ? set_up(tty, arguments) : err;
}

static void poll_closed(uv_handle_t *handle)
{
	struct tty *tty = handle->data;

	close(tty->master);
	close(tty->slave);
}

static void close_tty(struct vt_service *service)
{
	struct tty *tty = service->state;

	if (tty == NULL || tty->closed || !tty->has_handle)
		return;
	tty->closed = true;
	if (tty->child > 0)
		kill(tty->child, SIGHUP);
	if (tty->link != NULL)
		(void)unlink(tty->link);
	free(tty->link);
	uv_close((uv_handle_t *)&tty->on_child, NULL);
	uv_close((uv_handle_t *)&tty->on_pty, poll_closed);
}

const struct vt_service_kind vt_service_tty = {
	.name = "tty",
	.channel = "rpmsg-tty",
	.summary = "a terminal",
	.open = open_tty,
	.message = message,
	.retry = write_out,
	.writable = writable,
	.link_changed = link_changed,
	.close = close_tty,
};
