/* SPDX-License-Identifier: BSD-3-Clause */
/* Our terminal, while the command has one of its own behind it. */
#ifndef VIADUCT_UML_TTY_H
#define VIADUCT_UML_TTY_H

#include "uml_keeper.h"

#include <stdbool.h>
#include <stdint.h>

struct vt_tty {
	bool raw;
	struct termios before;
	struct termios ours;
};

/* Pass every key as it is, and let output alone. The keeper undoes it if we can't. 0 or an error.
 */
int vt_tty_make_raw(struct vt_tty *tty, const struct vt_keeper *keeper);

/* Again, after we were stopped and somebody else used the terminal. */
void vt_tty_make_raw_again(const struct vt_tty *tty);

void vt_tty_restore(struct vt_tty *tty);

/* Its size; 0 by 0 if it has none. */
void vt_tty_size(uint16_t *rows, uint16_t *columns);

#endif /* VIADUCT_UML_TTY_H */
