/* SPDX-License-Identifier: BSD-3-Clause */
/* `viaduct linux`: run a command inside a real Linux kernel, with virtio devices. */
#include "cmd.h"
#include "kernel.h"
#include "tool_device.h"
#include "ui.h"
#include "uml.h"
#include "uml_share.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_DEVICE = 'd', OPT_MEMORY = 'm', OPT_SHARE = 's', OPT_VERBOSE = 'v', OPT_WRITABLE = 'w' };

struct arguments {
	struct vt_uml_run run;
	const char **devices;
	const char **shares;
};

#define MEGABYTE (1024ull * 1024)

static const struct argp_option options[] = {
	{"device", OPT_DEVICE, "SPEC", 0,
	 "give the kernel this virtio device; may be repeated (see below)", 0},
	{"mem", OPT_MEMORY, "SIZE", 0, "the kernel's memory, with K, M or G behind it (128M)", 0},
	{"rw", OPT_WRITABLE, NULL, 0, "let CMD write to the host's file system", 0},
	{"share", OPT_SHARE, "DIR", 0,
	 "show the host's DIR although it lies below /tmp, /run or /dev/shm; may be repeated", 0},
	{"verbose", OPT_VERBOSE, NULL, 0, "show the kernel's messages on standard error", 0},
	{0},
};

static const char doc_before[] =
	"Run CMD inside a real Linux kernel that runs as an ordinary process.";

static const char doc_after[] =
	"CMD sees the host's files, but can't change them without --rw; /tmp, /run and\n"
	"/dev/shm are its own and empty. It gets the environment, the working\n"
	"directory, the standard streams and the signals of `viaduct`, and a terminal\n"
	"if standard input is one. It is root in there, and you on the host.\n"
	"Without CMD a terminal gets a shell.\n"
	"\n"
	"The exit status is CMD's; 128+N if signal N ended it; 126 or 127 if it can't\n"
	"be run; 125 if something else went wrong. The kernel is built when there is\n"
	"none (see `viaduct kernel`).\n";

/* ---- the command line ---- */

static bool parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned long long value;
	char *end;
	int shift = 0;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || text[0] == '-')
		return false;
	if (*end != '\0') {
		unit = strchr(units, *end & ~0x20);
		if (unit == NULL || *unit == '\0' || end[1] != '\0')
			return false;
		shift = 10 * (int)(unit - units + 1);
	}
	*size = value << shift;
	return value <= UINT64_MAX >> shift && *size >= 1024;
}

static void append(const char ***list, size_t *count, const char *text, struct argp_state *state)
{
	const char **more = realloc(*list, (*count + 1) * sizeof(*more));

	if (more == NULL)
		argp_failure(state, VT_UML_FAILED, ENOMEM, "can't remember '%s'", text);
	*list = more;
	more[(*count)++] = text;
}

/* All from the first word that is no option belongs to the command. */
static void take_command(struct arguments *arguments, struct argp_state *state)
{
	arguments->run.argv = &state->argv[state->next - 1];
	state->next = state->argc;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct vt_uml_run *run = &arguments->run;

	switch (key) {
	case OPT_DEVICE:
		append(&arguments->devices, &run->n_devices, text, state);
		return 0;
	case OPT_SHARE:
		append(&arguments->shares, &run->n_shares, text, state);
		return 0;
	case OPT_MEMORY:
		if (!parse_size(text, &run->memory))
			argp_error(state, "--mem takes a size such as 64M, not '%s'", text);
		return 0;
	case OPT_VERBOSE:
		run->verbose = true;
		return 0;
	case OPT_WRITABLE:
		run->writable = true;
		return 0;
	case ARGP_KEY_ARG:
		take_command(arguments, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void help_devices(FILE *out)
{
	fputs("\nDevices:\n", out);
	vt_device_help(out);
	for (size_t i = 0; vt_uml_device_kinds[i] != NULL; i++)
		fprintf(out, "  %s:%s\n      %s\n", vt_uml_device_kinds[i]->name,
			vt_uml_device_kinds[i]->arguments, vt_uml_device_kinds[i]->summary);
	fputs("\nExamples:\n"
	      "  viaduct linux uname -a\n"
	      "  viaduct linux --device rpmsg,service=echo sh -c 'ls /dev/rpmsg*'\n"
	      "  viaduct linux --device vhost-user:/tmp/console.sock,id=3 cat /dev/hvc0\n"
	      "  tar c src | viaduct linux tar t | less\n",
	      out);
}

static char *help_filter(int key, const char *text, void *unused)
{
	(void)unused;
	return vt_help_append(key, text, help_devices);
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[--] [CMD [ARG...]]",
	.help_filter = help_filter,
};

/* ---- the kernel ---- */

/* The signal that stopped the build stops us too, as if it had never been caught. */
static int build_kernel(struct vt_kernel *kernel)
{
	static const struct vt_kernel_build how = {.jobs = 0};
	int err = vt_kernel_build(kernel, &how);

	if (err == -EINTR) {
		signal(vt_kernel_build_signal(), SIG_DFL);
		raise(vt_kernel_build_signal());
	}
	return err;
}

static int find_kernel(struct vt_kernel *kernel)
{
	int err = vt_kernel_find(kernel);

	if (err == -ENOENT)
		return build_kernel(kernel);
	if (err != 0)
		vt_error("can't look for the kernel: %s", strerror(-err));
	return err;
}

/* ---- the whole ---- */

static int run_with_kernel(struct arguments *arguments)
{
	struct vt_kernel kernel;

	if (find_kernel(&kernel) != 0)
		return VT_UML_FAILED;
	arguments->run.kernel = kernel.binary;
	arguments->run.devices = arguments->devices;
	arguments->run.shares = arguments->shares;
	return vt_uml_run(&arguments->run);
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {.run = {.memory = 128 * MEGABYTE}};
	char fallback[] = "/bin/sh";
	char *shell[] = {getenv("SHELL"), NULL};
	struct argp help = argp;
	char doc[sizeof(doc_before) + sizeof(doc_after)];
	int status;

	snprintf(doc, sizeof(doc), "%s\v%s", doc_before, doc_after);
	help.doc = doc;
	argp_err_exit_status = VT_UML_FAILED; /* others could be the command's */
	if (argp_parse(&help, argc, argv, ARGP_IN_ORDER, NULL, &arguments) != 0)
		return VT_UML_FAILED;
	if (arguments.run.argv == NULL) {
		if (!isatty(STDIN_FILENO)) {
			vt_error("say which command to run; only on a terminal it is a shell "
				 "without saying");
			return VT_UML_FAILED;
		}
		if (shell[0] == NULL || shell[0][0] == '\0')
			shell[0] = fallback;
		arguments.run.argv = shell;
	}
	status = run_with_kernel(&arguments);
	free(arguments.devices);
	free(arguments.shares);
	return status;
}

const struct vt_cmd vt_cmd_linux = {
	.name = "linux",
	.summary = "run a command inside a real Linux kernel, with virtio devices",
	.run = run,
};
