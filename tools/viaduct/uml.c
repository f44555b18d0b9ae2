/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run of `viaduct linux`. In order: the keeper, the devices, the window, the kernel, the relay;
 * then the loop, until the kernel is gone and all output is out; then back in the opposite order.
 */
#include "ui.h"
#include "uml_launch.h"
#include "uml_session.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT_TIMEOUT_MS 30000
#define POWER_OFF_MS    2000 /* after the command has ended nothing the kernel still does matters */

/* ---- ending ---- */

void vt_session_kill(const struct vt_session *session)
{
	if (session->kernel > 0)
		kill(-session->kernel, SIGKILL);
}

static void stop_if_done(struct vt_session *session)
{
	if (session->kernel == 0 && vt_relay_is_flushed(&session->relay))
		uv_stop(&session->loop);
}

void vt_session_kernel_ended(struct vt_session *session)
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
	vt_session_kill(timer->data);
}

/*
 * A driver that waits for its device forever is the usual reason, and the kernel has not even begun
 * to show its messages then. A fault in its own code makes it panic, and a panic shows them.
 */
static void boot_timed_out(uv_timer_t *timer)
{
	struct vt_session *session = timer->data;

	session->timed_out = true;
	kill(session->kernel, SIGSEGV);
	uv_timer_start(timer, power_off_timed_out, POWER_OFF_MS, 0);
}

/* ---- what the relay says ---- */

static void command_started(struct vt_relay *relay)
{
	struct vt_session *session = relay->owner;

	session->started = true;
	uv_timer_stop(&session->timer);
	if (session->run->verbose)
		vt_note("the command runs after %.0f ms%s", (vt_now() - session->started_at) * 1000,
			session->tty.raw ? "\r" : "");
}

static void end(struct vt_session *session, int status)
{
	session->ended = true;
	session->status = status;
	uv_timer_start(&session->timer, power_off_timed_out, POWER_OFF_MS, 0);
}

static void command_failed(struct vt_relay *relay, int status, const char *text)
{
	struct vt_session *session = relay->owner;

	snprintf(session->failure, sizeof(session->failure), "%s", text);
	end(session, status);
}

static void command_exited(struct vt_relay *relay, int status)
{
	end(relay->owner, status);
}

static void command_wrote(struct vt_relay *relay)
{
	struct vt_session *session = relay->owner;

	session->interrupted = 0;
}

static void output_lost(struct vt_relay *relay, enum vt_wire_stream stream, int err)
{
	struct vt_session *session = relay->owner;

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

/* ---- the whole ---- */

/* Somebody may have started us without them. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* Everything gets the time it needs to close. */
static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void finish(struct vt_session *session)
{
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

static int fail(const struct vt_session *session, const char *why)
{
	vt_log_print_last(&session->log);
	vt_error("%s%s", why, session->run->verbose ? "" : "; --verbose shows all its messages");
	return VT_UML_FAILED;
}

/* What happened, as an exit status and in words. */
static int conclude(const struct vt_session *session)
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
		return fail(session, "the kernel did not start the command within 30 seconds; does "
				     "the back end of every device answer?");
	return fail(session, session->started ? "the kernel ended before the command did"
					      : "the kernel ended before it started the command");
}

int vt_uml_run(const struct vt_uml_run *run)
{
	static struct vt_session session;

	session = (struct vt_session){.run = run, .ignored = vt_session_ignored()};
	session.relay.ops = &relay_ops;
	session.relay.owner = &session;
	fill_standard_descriptors();
	session.flags = vt_session_flags();
	if (vt_keeper_start(&session.keeper) != 0)
		return VT_UML_FAILED;
	uv_loop_init(&session.loop);
	uv_timer_init(&session.loop, &session.timer);
	session.timer.data = &session;
	vt_session_watch_signals(&session);
	if (vt_session_start(&session) != 0) {
		finish(&session);
		return VT_UML_FAILED;
	}
	uv_timer_start(&session.timer, boot_timed_out, BOOT_TIMEOUT_MS, 0);
	uv_run(&session.loop, UV_RUN_DEFAULT);
	finish(&session);
	return conclude(&session);
}
