/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run of `viaduct linux`. In order: the keeper, the devices, the window, the kernel, the relay;
 * then the loop, until the kernel is gone and all output is out; then back in the opposite order.
 */
#include "uml.h"
#include "guest-init/wire.h"
#include "ui.h"
#include "uml_keeper.h"
#include "uml_launch.h"
#include "uml_log.h"
#include "uml_relay.h"
#include "uml_share.h"
#include "uml_tty.h"
#include "uml_window.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_TIMEOUT_MS    30000
#define POWER_OFF_MS       2000 /* after the command has ended nothing the kernel still does matters */
#define INTERRUPT_PATIENCE 2.0 /* seconds */

/* Signals that are passed on to the command, unless they were ignored when we were started. */
static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

#define PASSED (sizeof(passed) / sizeof(passed[0]))

/* The others that we listen to. */
enum { ON_CHILD = PASSED, ON_RESIZE, ON_CONTINUE, SIGNALS };

struct session {
	const struct vt_uml_run *run;
	uv_loop_t loop;
	struct vt_keeper keeper;
	struct vt_tty tty;
	struct vt_log log;
	struct vt_shares shares;
	struct vt_window window;
	struct vt_relay relay;
	struct vt_uml_device *devices;
	size_t n_devices; /* that are open */
	uv_signal_t signals[SIGNALS];
	uv_timer_t timer; /* for the boot, then for the power-off */
	pid_t kernel;     /* 0 when nothing of it is left */
	uint32_t flags;   /* of the set-up */
	uint64_t ignored;

	double started_at;
	bool started; /* the command runs */
	bool ended;   /* the command has ended, with @status */
	int status;
	int killed_by;       /* a signal made us kill the guest */
	double interrupted;  /* when the last SIGINT came that got no reaction; 0: none */
	unsigned terminated; /* SIGTERMs so far */
	bool timed_out;
	char failure[512]; /* why the command could not run */
	char lost[128];    /* what became of its output */
};

/* ---- ending ---- */

static void kill_guest(const struct session *session)
{
	if (session->kernel > 0)
		kill(-session->kernel, SIGKILL); /* SIGCHLD tells when it is done */
}

static void stop_if_done(struct session *session)
{
	if (session->kernel == 0 && vt_relay_is_flushed(&session->relay))
		uv_stop(&session->loop);
}

static void kernel_ended(struct session *session)
{
	vt_uml_sweep(session->kernel, &session->keeper);
	session->kernel = 0;
	uv_timer_stop(&session->timer);
	vt_relay_finish(&session->relay);
	vt_log_finish(&session->log);
	stop_if_done(session);
}

static void power_off_timed_out(uv_timer_t *timer)
{
	kill_guest(timer->data);
}

/*
 * A driver that waits for its device forever is the usual reason, and the kernel has not even begun
 * to show its messages then. A fault in its own code makes it panic, and a panic shows them.
 */
static void boot_timed_out(uv_timer_t *timer)
{
	struct session *session = timer->data;

	session->timed_out = true;
	kill(session->kernel, SIGSEGV);
	uv_timer_start(timer, power_off_timed_out, POWER_OFF_MS, 0);
}

/* ---- what the relay says ---- */

static void command_started(struct vt_relay *relay)
{
	struct session *session = relay->owner;

	session->started = true;
	uv_timer_stop(&session->timer);
	if (session->run->verbose)
		vt_note("the command runs after %.0f ms%s", (vt_now() - session->started_at) * 1000,
			session->tty.raw ? "\r" : "");
}

static void end(struct session *session, int status)
{
	session->ended = true;
	session->status = status;
	uv_timer_start(&session->timer, power_off_timed_out, POWER_OFF_MS, 0);
}

static void command_failed(struct vt_relay *relay, int status, const char *text)
{
	struct session *session = relay->owner;

	snprintf(session->failure, sizeof(session->failure), "%s", text);
	end(session, status);
}

static void command_exited(struct vt_relay *relay, int status)
{
	end(relay->owner, status);
}

static void command_wrote(struct vt_relay *relay)
{
	struct session *session = relay->owner;

	session->interrupted = 0;
}

static void output_lost(struct vt_relay *relay, enum vt_wire_stream stream, int err)
{
	struct session *session = relay->owner;

	snprintf(session->lost, sizeof(session->lost), "can't write standard %s: %s",
		 stream == VT_WIRE_STDOUT ? "output" : "error", strerror(-err));
}

static void output_flushed(struct vt_relay *relay)
{
	stop_if_done(relay->owner);
}

static const struct vt_relay_ops relay_ops = {
	.started = command_started,
	.failed = command_failed,
	.output = command_wrote,
	.exited = command_exited,
	.lost = output_lost,
	.flushed = output_flushed,
};

/* ---- signals ---- */

/* Is the user out of patience with the command? */
static bool insists(struct session *session, int number)
{
	double now = vt_now();

	if (number == SIGTERM)
		return ++session->terminated > 1;
	if (number != SIGINT)
		return false;
	if (session->interrupted == 0)
		session->interrupted = now;
	return now - session->interrupted >= INTERRUPT_PATIENCE;
}

static void give_up(struct session *session, int number)
{
	session->killed_by = number;
	kill_guest(session);
	if (session->kernel == 0) /* only output is left, and nobody wants it */
		uv_stop(&session->loop);
}

static void pass_signal(struct session *session, int number)
{
	bool ends_us = number != SIGUSR1 && number != SIGUSR2;

	if (session->started && !session->ended && !insists(session, number))
		vt_relay_signal(&session->relay, number);
	else if (ends_us)
		give_up(session, number);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct session *session = handle->data;
	uint16_t rows;
	uint16_t columns;

	switch (number) {
	case SIGCHLD:
		if (session->kernel > 0 && vt_uml_has_ended(session->kernel))
			kernel_ended(session);
		break;
	case SIGCONT:
		vt_tty_make_raw_again(&session->tty);
		break;
	case SIGWINCH:
		vt_tty_size(&rows, &columns);
		vt_relay_resize(&session->relay, rows, columns);
		break;
	default:
		pass_signal(session, number);
	}
}

static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* What the command inherits; asked before we change any of it. */
static uint64_t ignored_signals(void)
{
	uint64_t ignored = 0;

	for (int number = 1; number < 32; number++)
		if (is_ignored(number))
			ignored |= 1ull << (number - 1);
	return ignored;
}

static void watch_signal(struct session *session, unsigned place, int number)
{
	uv_signal_init(&session->loop, &session->signals[place]);
	session->signals[place].data = session;
	if (!(session->ignored >> (number - 1) & 1) || number == SIGCHLD)
		uv_signal_start(&session->signals[place], on_signal, number);
}

static void watch_signals(struct session *session)
{
	for (unsigned i = 0; i < PASSED; i++)
		watch_signal(session, i, passed[i]);
	watch_signal(session, ON_CHILD, SIGCHLD);
	watch_signal(session, ON_RESIZE, SIGWINCH);
	watch_signal(session, ON_CONTINUE, SIGCONT);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- starting ---- */

static bool same_file(int a, int b)
{
	struct stat of_a;
	struct stat of_b;

	return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

static uint32_t choose_flags(void)
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

/* Somebody may have started us without them. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
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
static int link_guest_init(const struct session *session)
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

static int open_devices(struct session *session)
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

static int fill_shares(struct session *session, const char *directory)
{
	const struct vt_uml_run *run = session->run;
	int err = vt_shares_begin(&session->shares);

	if (err == 0)
		err = vt_shares_for_command(&session->shares, directory, run->argv[0]);
	for (size_t i = 0; i < run->n_shares && err == 0; i++)
		err = vt_shares_add(&session->shares, run->shares[i]);
	return err;
}

static int make_window(struct session *session)
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

static int launch_with(struct session *session, int line, int log)
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
static int launch(struct session *session)
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

static int make_terminal_raw(struct session *session)
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

static int start(struct session *session)
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

/* ---- the whole ---- */

/* Everything gets the time it needs to close. */
static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void finish(struct session *session)
{
	if (session->kernel > 0)
		kill_guest(session);
	if (session->kernel > 0)
		vt_uml_sweep(session->kernel, &session->keeper);
	vt_tty_restore(&session->tty);
	vt_relay_close(&session->relay);
	for (size_t i = 0; i < session->n_devices; i++)
		vt_uml_device_close(&session->devices[i]);
	uv_walk(&session->loop, close_handle, NULL);
	uv_run(&session->loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < session->n_devices; i++)
		vt_uml_device_destroy(&session->devices[i]);
	uv_loop_close(&session->loop);
	vt_keeper_end(&session->keeper);
	if (session->window.memory != NULL)
		vt_window_free(&session->window);
	vt_shares_free(&session->shares);
	free(session->devices);
}

static int fail(const struct session *session, const char *why)
{
	vt_log_print_last(&session->log);
	vt_error("%s%s", why, session->run->verbose ? "" : "; --verbose shows all its messages");
	return VT_UML_FAILED;
}

/* What happened, as an exit status and in words. */
static int conclude(const struct session *session)
{
	if (session->failure[0] != '\0') {
		vt_error("%s", session->failure);
		return session->status;
	}
	if (session->lost[0] != '\0')
		vt_error("%s", session->lost);
	if (session->ended)
		return session->status == 0 && session->lost[0] != '\0' ? VT_UML_FAILED
									: session->status;
	if (session->killed_by != 0)
		return 128 + session->killed_by;
	if (session->timed_out)
		return fail(session, "the kernel did not start the command within 30 seconds");
	return fail(session, session->started ? "the kernel ended before the command did"
					      : "the kernel ended before it started the command");
}

int vt_uml_run(const struct vt_uml_run *run)
{
	static struct session session;

	session = (struct session){.run = run, .ignored = ignored_signals()};
	session.relay.ops = &relay_ops;
	session.relay.owner = &session;
	fill_standard_descriptors();
	session.flags = choose_flags();
	if (vt_keeper_start(&session.keeper) != 0)
		return VT_UML_FAILED;
	uv_loop_init(&session.loop);
	uv_timer_init(&session.loop, &session.timer);
	session.timer.data = &session;
	watch_signals(&session);
	if (start(&session) != 0) {
		finish(&session);
		return VT_UML_FAILED;
	}
	uv_timer_start(&session.timer, boot_timed_out, BOOT_TIMEOUT_MS, 0);
	uv_run(&session.loop, UV_RUN_DEFAULT);
	finish(&session);
	return conclude(&session);
}
