/* SPDX-License-Identifier: BSD-3-Clause */
/* The terminal: see uml_tty.h. */
#include "uml_tty.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

int vt_tty_make_raw(struct vt_tty *tty, const struct vt_keeper *keeper)
{
	struct termios mode;

	if (tcgetattr(STDIN_FILENO, &tty->before) != 0)
		return -errno;
	mode = tty->before;
	cfmakeraw(&mode);
	/* The keeper must know before it happens what to undo. What the terminal makes of the mode
	 * may differ from it; then the keeper hears a second time. */
	vt_keeper_terminal(keeper, &tty->before, &mode);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) != 0)
		return -errno;
	tty->raw = true;
	if (tcgetattr(STDIN_FILENO, &tty->ours) == 0)
		vt_keeper_terminal(keeper, &tty->before, &tty->ours);
	return 0;
}

void vt_tty_make_raw_again(const struct vt_tty *tty)
{
	if (tty->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &tty->ours);
}

void vt_tty_restore(struct vt_tty *tty)
{
	if (tty->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &tty->before);
	tty->raw = false;
}

void vt_tty_size(uint16_t *rows, uint16_t *columns)
{
	struct winsize size = {.ws_row = 0};

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row;
	*columns = size.ws_col;
}
