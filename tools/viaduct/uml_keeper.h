/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: a process that outlives us by an instant, however we end, and cleans up. It kills the
 * kernel with all its processes, gives the terminal back as it was, and removes the private
 * directory. It acts when our end of a socket closes, and not even SIGKILL keeps that open.
 */
#ifndef VIADUCT_UML_KEEPER_H
#define VIADUCT_UML_KEEPER_H

#include <limits.h>
#include <sys/types.h>
#include <termios.h>

/* Sockets live in the directory and their paths must stay below 108 bytes. */
#define VT_KEEPER_DIRECTORY_MAX 80

struct vt_keeper {
	pid_t pid;
	int line;
	char directory[VT_KEEPER_DIRECTORY_MAX];
};

/* Start it; it makes the directory. Says why not, and returns an error. */
int vt_keeper_start(struct vt_keeper *keeper);

/* From now on there is a process group to kill; 0: not any more. For the new process itself to
 * call, so that no moment is left in which nobody knows of it. */
void vt_keeper_group(const struct vt_keeper *keeper, pid_t group);

/* Standard input is a terminal that we changed from @before to @ours. It is restored only if it
 * still is as we left it: a shell may have been faster. */
void vt_keeper_terminal(const struct vt_keeper *keeper, const struct termios *before,
			const struct termios *ours);

/* Close all descriptors from @first to @last, in a new process. */
void vt_keeper_close(unsigned first, unsigned last);

/* Clean up now, and wait until that is done. */
void vt_keeper_end(struct vt_keeper *keeper);

#endif /* VIADUCT_UML_KEEPER_H */
