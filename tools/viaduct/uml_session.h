/* SPDX-License-Identifier: BSD-3-Clause */
/* One run of `viaduct linux`, as the files uml.c, uml_start.c and uml_signal.c see it. */
#ifndef VIADUCT_UML_SESSION_H
#define VIADUCT_UML_SESSION_H

#include "uml.h"
#include "uml_keeper.h"
#include "uml_log.h"
#include "uml_relay.h"
#include "uml_share.h"
#include "uml_tty.h"
#include "uml_window.h"

/* Signals that are listened to; the table is in uml_signal.c. */
#define VT_SESSION_SIGNALS 9

struct vt_session {
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
	uv_signal_t signals[VT_SESSION_SIGNALS];
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

/* ---- uml_start.c ---- */

/* What the command's streams are to be: flags of the set-up. */
uint32_t vt_session_flags(void);

/* From the private directory to the kernel's process. 0, or says why not; what was made is in the
 * session, and to be taken apart in either case. */
int vt_session_start(struct vt_session *session);

/* ---- uml_signal.c ---- */

/* Signals that the command inherits as ignored: bit N - 1 for signal N. To be asked before any of
 * them is changed. */
uint64_t vt_session_ignored(void);

/* Listen to those that are passed on, and to those that concern us. */
void vt_session_watch_signals(struct vt_session *session);

/* ---- uml.c ---- */

/* Kill the guest; SIGCHLD tells when that is done. */
void vt_session_kill(const struct vt_session *session);

/* The kernel's process has ended. */
void vt_session_kernel_ended(struct vt_session *session);

#endif /* VIADUCT_UML_SESSION_H */
