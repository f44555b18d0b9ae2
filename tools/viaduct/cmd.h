/* SPDX-License-Identifier: BSD-3-Clause */
/* The subcommands of `viaduct`. Each lives in a file of its own, cmd_NAME.c, and is one row of the
 * table in main.c. */
#ifndef VIADUCT_CMD_H
#define VIADUCT_CMD_H

struct vt_cmd {
	const char *name;
	const char *summary; /* one line for `viaduct --help` */
	/* argv[0] is "viaduct NAME". Returns the exit status of the process. */
	int (*run)(int argc, char **argv);
};

/* Exit statuses, beside a command's own: 0 it worked; 1 it did not; 2 the command line makes no
 * sense (argp's is 64). */
enum {
	VT_EXIT_OK = 0,
	VT_EXIT_FAILED = 1,
	VT_EXIT_USAGE = 2,
};

#endif /* VIADUCT_CMD_H */
