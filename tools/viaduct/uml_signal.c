/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals to a run of `viaduct linux`: most are for the command. */
#include "ui.h"
#include "uml_launch.h"
#include "uml_session.h"

#include <signal.h>

#define INTERRUPT_PATIENCE 2.0 /* seconds */

/* ---- what they do ---- */

/* Is the user out of patience with the command? */
static bool insists(struct vt_session *session, int number)
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

static void give_up(struct vt_session *session, int number)
{
	session->killed_by = number;
	vt_session_kill(session);
	if (session->kernel == 0) /* only output is left, and nobody wants it */
		uv_stop(&session->loop);
}

static void pass_signal(struct vt_session *session, int number)
{
	bool ends_us = number != SIGUSR1 && number != SIGUSR2;

	if (session->started && !session->ended && !insists(session, number))
		vt_relay_signal(&session->relay, number);
	else if (ends_us)
		give_up(session, number);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct vt_session *session = handle->data;
	uint16_t rows;
	uint16_t columns;

	switch (number) {
	case SIGCHLD:
		if (session->kernel > 0 && vt_uml_has_ended(session->kernel))
			vt_session_kernel_ended(session);
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

/* ---- listening ---- */

static const int watched[VT_SESSION_SIGNALS] = {
	/* passed on to the command, ... */
	SIGINT,
	SIGTERM,
	SIGHUP,
	SIGQUIT,
	SIGUSR1,
	SIGUSR2,
	/* ... and for ourselves */
	SIGCHLD,
	SIGWINCH,
	SIGCONT,
};

static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

uint64_t vt_session_ignored(void)
{
	uint64_t ignored = 0;

	for (int number = 1; number < 32; number++)
		if (is_ignored(number))
			ignored |= 1ull << (number - 1);
	return ignored;
}

/* What was ignored when we were started stays so, but we have to know when the kernel ends. */
static bool is_wanted(const struct vt_session *session, int number)
{
	return number == SIGCHLD || !(session->ignored >> (number - 1) & 1);
}

void vt_session_watch_signals(struct vt_session *session)
{
	for (unsigned i = 0; i < VT_SESSION_SIGNALS; i++) {
		uv_signal_t *handle = &session->signals[i];

		uv_signal_init(&session->loop, handle);
		handle->data = session;
		if (is_wanted(session, watched[i]))
			uv_signal_start(handle, on_signal, watched[i]);
	}
	signal(SIGPIPE, SIG_IGN);
}
