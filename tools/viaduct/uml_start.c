/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that a run of `viaduct linux` needs before its kernel can run. */
#include "guest-init/wire.h"
#include "ui.h"
#include "uml_launch.h"
#include "uml_session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(int a, int b)
{
	struct stat of_a;
	struct stat of_b;

	return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

uint32_t vt_session_flags(void)
{
	uint32_t flags = 0;

	if (isatty(STDIN_FILENO)) {
		flags = VT_WIRE_TERMINAL_IN;
		if (isatty(STDOUT_FILENO))
			flags |= VT_WIRE_TERMINAL_OUT;
		if (isatty(STDERR_FILENO))
			flags |= VT_WIRE_TERMINAL_ERR;
	}
	if (!(flags & (VT_WIRE_TERMINAL_OUT | VT_WIRE_TERMINAL_ERR)) &&
	    same_file(STDOUT_FILENO, STDERR_FILENO))
		flags |= VT_WIRE_ERR_IS_OUT;
	return flags;
}

/* Process 1 of the guest: beside us in the build tree, in libexec when installed. */
static int find_guest_init(char path[static PATH_MAX])
{
	static const char *const places[] = {VIADUCT_GUEST_INIT_INSTALLED,
					     "../guest-init/guest-init"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char candidate[PATH_MAX * 2];

	self[n > 0 ? n : 0] = '\0';
	if (strrchr(self, '/') != NULL)
		*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(candidate, sizeof(candidate), "%s/%s", self, places[i]);
		if (access(candidate, X_OK) == 0 && realpath(candidate, path) != NULL)
			return 0;
	}
	vt_error("can't find guest-init, the first process of the guest, at %s/%s; install viaduct "
		 "anew",
		 self, places[0]);
	return -ENOENT;
}

/* The kernel's command line can't have every path: give it a link without surprises. */
static int link_guest_init(const struct vt_session *session)
{
	char target[PATH_MAX];
	char path[PATH_MAX];
	int err = find_guest_init(target);

	if (err != 0)
		return err;
	snprintf(path, sizeof(path), "%s/init", session->keeper.directory);
	if (symlink(target, path) == 0)
		return 0;
	vt_error("can't make %s: %s", path, strerror(errno));
	return -errno;
}

static int open_devices(struct vt_session *session)
{
	const struct vt_uml_run *run = session->run;
	int err = 0;

	session->devices = calloc(run->n_devices + 1, sizeof(*session->devices));
	if (session->devices == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < run->n_devices && err == 0; i++) {
		struct vt_uml_site site = {&session->loop, session->keeper.directory, (unsigned)i};

		err = vt_uml_device_open(&session->devices[i], run->devices[i], &site);
		if (err == 0)
			session->n_devices++;
	}
	return err;
}

static int fill_shares(struct vt_session *session, const char *directory)
{
	const struct vt_uml_run *run = session->run;
	int err = vt_shares_begin(&session->shares);

	if (err == 0)
		err = vt_shares_for_command(&session->shares, directory, run->argv[0]);
	for (size_t i = 0; i < run->n_shares && err == 0; i++)
		err = vt_shares_add(&session->shares, run->shares[i]);
	return err;
}

static int make_window(struct vt_session *session)
{
	char directory[PATH_MAX];
	struct vt_window_setup setup = {.argv = session->run->argv,
					.env = environ,
					.directory = directory,
					.flags = session->flags,
					.ignored = session->ignored};
	int err;

	if (getcwd(directory, sizeof(directory)) == NULL) {
		vt_error("there is no working directory any more: %s", strerror(errno));
		return -errno;
	}
	err = fill_shares(session, directory);
	if (err != 0)
		return err;
	setup.shares = session->shares.paths;
	vt_tty_size(&setup.rows, &setup.columns);
	err = vt_window_make(&session->window, &setup);
	if (err != 0)
		vt_error("can't make the memory that is shared with the guest: %s", strerror(-err));
	return err;
}

static int make_socket(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0)
		return 0;
	vt_error("can't make a socket: %s", strerror(errno));
	return -errno;
}

static int launch_with(struct vt_session *session, int line, int log)
{
	struct vt_uml_launch launch = {
		.run = session->run,
		.devices = session->devices,
		.n_devices = session->n_devices,
		.keeper = &session->keeper,
		.line = line,
		.window = session->window.fd,
		.log = log,
	};

	session->started_at = vt_now();
	session->kernel = vt_uml_launch(&launch);
	if (session->kernel > 0)
		return 0;
	session->kernel = 0;
	return -ECHILD;
}

/* The guest's ends of the sockets are closed here, so that its end shows. */
static int launch(struct vt_session *session)
{
	int line[2];
	int log[2];
	int err = make_socket(line);

	if (err != 0)
		return err;
	err = make_socket(log);
	if (err != 0)
		return err;
	err = vt_log_open(&session->log, &session->loop, log[0], session->run->verbose);
	if (err == 0)
		err = vt_relay_open(&session->relay, &session->loop, line[0], &session->window,
				    session->flags);
	if (err == 0)
		err = launch_with(session, line[1], log[1]);
	close(line[1]);
	close(log[1]);
	return err;
}

static int make_terminal_raw(struct vt_session *session)
{
	int err;

	if (!(session->flags & VT_WIRE_TERMINAL_IN))
		return 0;
	err = vt_tty_make_raw(&session->tty, &session->keeper);
	if (err != 0)
		vt_error("can't change the mode of the terminal: %s", strerror(-err));
	session->log.raw = err == 0;
	return err;
}

int vt_session_start(struct vt_session *session)
{
	int err = link_guest_init(session);

	if (err == 0)
		err = open_devices(session);
	if (err == 0)
		err = make_window(session);
	if (err == 0)
		err = launch(session);
	return err != 0 ? err : make_terminal_raw(session);
}
