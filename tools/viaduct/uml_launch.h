/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting and ending the kernel's processes. */
#ifndef VIADUCT_UML_LAUNCH_H
#define VIADUCT_UML_LAUNCH_H

#include "uml.h"
#include "uml_keeper.h"

struct vt_uml_launch {
	const struct vt_uml_run *run;
	const struct vt_uml_device *devices;
	size_t n_devices;
	const struct vt_keeper *keeper; /* learns of the new processes */
	int line;                       /* what the guest gets as its line, ... */
	int window;                     /* ... as its window, ... */
	int log;                        /* ... and for its messages */
};

/* Returns the process, which leads a group and a session of its own; or says why not. */
pid_t vt_uml_launch(const struct vt_uml_launch *launch);

/* Has it ended by itself? Takes nothing: vt_uml_sweep() must follow. */
bool vt_uml_has_ended(pid_t kernel);

/* Kill whatever is left of it, and wait until nothing is. */
void vt_uml_sweep(pid_t kernel, const struct vt_keeper *keeper);

#endif /* VIADUCT_UML_LAUNCH_H */
