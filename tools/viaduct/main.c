/* SPDX-License-Identifier: BSD-3-Clause */
/* `viaduct`: run, watch and test a virtio conversation between two processors. Finds the subcommand
 * and runs it. */
#include "cmd.h"
#include "ui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct vt_cmd vt_cmd_bench;
extern const struct vt_cmd vt_cmd_device;
extern const struct vt_cmd vt_cmd_kernel;
extern const struct vt_cmd vt_cmd_linux;

static const struct vt_cmd *const commands[] = {
	&vt_cmd_linux, &vt_cmd_device, &vt_cmd_kernel, &vt_cmd_bench, NULL,
};

static void print_help(FILE *out)
{
	fputs("Usage: viaduct COMMAND [ARGUMENTS]\n"
	      "\n"
	      "Run, watch and test what virtio carries between two processors, on a desk and\n"
	      "against a real Linux kernel.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (const struct vt_cmd *const *cmd = commands; *cmd != NULL; cmd++)
		fprintf(out, "  %-8s  %s\n", (*cmd)->name, (*cmd)->summary);
	fputs("\n"
	      "`viaduct COMMAND --help` explains a command; `man viaduct-COMMAND` explains it at "
	      "length.\n",
	      out);
}

static const struct vt_cmd *find(const char *name)
{
	for (const struct vt_cmd *const *cmd = commands; *cmd != NULL; cmd++)
		if (strcmp((*cmd)->name, name) == 0)
			return *cmd;
	return NULL;
}

static int run(const struct vt_cmd *cmd, int argc, char **argv)
{
	char full_name[64];

	/* What argp prints as the name of the program. */
	snprintf(full_name, sizeof(full_name), "viaduct %s", cmd->name);
	argv[0] = full_name;
	return cmd->run(argc, argv);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct vt_cmd *cmd = find(name);

	if (cmd != NULL)
		return run(cmd, argc - 1, argv + 1);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return VT_EXIT_OK;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("viaduct " VIADUCT_VERSION);
		return VT_EXIT_OK;
	}
	if (argc < 2) {
		print_help(stderr);
		return VT_EXIT_USAGE;
	}
	vt_error("there is no command '%s'; `viaduct --help` lists them", name);
	return VT_EXIT_USAGE;
}
