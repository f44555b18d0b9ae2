/* SPDX-License-Identifier: BSD-3-Clause */
/* `viaduct kernel`: build, find and remove the kernel that `viaduct linux` boots. */
#include "cmd.h"
#include "kernel.h"
#include "ui.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_SOURCE = 's', OPT_JOBS = 'j', OPT_AGAIN = 'f', OPT_MODULES = 'm', OPT_JSON = 'J' };

struct arguments {
	const char *action;
	struct vt_kernel_build build;
	bool modules;
	bool json;
};

static const struct argp_option options[] = {
	{"source", OPT_SOURCE, "FILE", 0,
	 "build: from this linux-source archive instead of Debian's in /usr/src", 0},
	{"jobs", OPT_JOBS, "N", 0, "build: so many compilers at once (default: one a processor)",
	 0},
	{"force", OPT_AGAIN, NULL, 0, "build: even if one is ready", 0},
	{"modules", OPT_MODULES, NULL, 0, "path: print the directory of its modules", 0},
	{"json", OPT_JSON, NULL, 0, "path: print everything that is known, as JSON", 0},
	{0},
};

static const char doc[] =
	"Build, find and remove the Linux kernel that `viaduct linux` boots.\v"
	"build  builds it, unless one is ready: about two minutes, once. It is made\n"
	"       from Debian's package linux-source-6.1 and needs gcc, make, bc, flex,\n"
	"       bison and xz-utils. The result goes to $XDG_CACHE_HOME/viaduct, which\n"
	"       usually means ~/.cache/viaduct.\n"
	"path   prints where it is; exit status 1 if there is none.\n"
	"clean  removes every kernel that was built, and what a killed build left.\n"
	"\n"
	"`viaduct linux` builds the kernel by itself when there is none, so `build`\n"
	"is for those who would rather wait now than later.\n"
	"\n"
	"Examples:\n"
	"  viaduct kernel build\n"
	"  viaduct linux insmod $(viaduct kernel path -m)/rpmsg_client_sample.ko\n";

static error_t parse_jobs(const char *text, struct argp_state *state, long *jobs)
{
	char *end;

	errno = 0;
	*jobs = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || *jobs < 1 || *jobs > 4096)
		argp_error(state, "--jobs takes a number from 1 to 4096, not '%s'", text);
	return 0;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case OPT_SOURCE:
		arguments->build.source = text;
		return 0;
	case OPT_JOBS:
		return parse_jobs(text, state, &arguments->build.jobs);
	case OPT_AGAIN:
		arguments->build.again = true;
		return 0;
	case OPT_MODULES:
		arguments->modules = true;
		return 0;
	case OPT_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->action != NULL)
			argp_error(state, "one action at a time: '%s' is too many", text);
		arguments->action = text;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "say what to do: build, path or clean");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the actions ---- */

/* End as if the signal had never been caught, so that a shell sees it. */
static void end_by_signal(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static int run_build(const struct arguments *arguments)
{
	struct vt_kernel kernel;
	int err = vt_kernel_build(&kernel, &arguments->build);

	if (err == -EINTR)
		end_by_signal(vt_kernel_build_signal());
	if (err != 0)
		return VT_EXIT_FAILED;
	vt_note("Linux %s is ready: %s", kernel.version, kernel.binary);
	return VT_EXIT_OK;
}

static json_t *describe(const struct vt_kernel *kernel, int err)
{
	if (err != 0)
		return json_pack("{s:b, s:s}", "built", 0, "reason",
				 err == -ENOENT ? "no kernel has been built" : strerror(-err));
	return json_pack("{s:b, s:s, s:s, s:s, s:s}", "built", 1, "version", kernel->version,
			 "kernel", kernel->binary, "modules", kernel->modules, "directory",
			 kernel->directory);
}

static void print_json(const struct vt_kernel *kernel, int err)
{
	json_t *all = describe(kernel, err);

	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static void print_path(const struct arguments *arguments, const struct vt_kernel *kernel, int err)
{
	if (err == -ENOENT)
		vt_error("no kernel has been built for this version of viaduct; `viaduct kernel "
			 "build` does it");
	else if (err != 0)
		vt_error("can't look for a kernel: %s", strerror(-err));
	else
		puts(arguments->modules ? kernel->modules : kernel->binary);
}

static int run_path(const struct arguments *arguments)
{
	struct vt_kernel kernel;
	int err = vt_kernel_find(&kernel);

	if (arguments->json)
		print_json(&kernel, err);
	else
		print_path(arguments, &kernel, err);
	return err == 0 ? VT_EXIT_OK : VT_EXIT_FAILED;
}

static int run_clean(const struct arguments *arguments)
{
	(void)arguments;
	return vt_kernel_clean() == 0 ? VT_EXIT_OK : VT_EXIT_FAILED;
}

static const struct {
	const char *name;
	int (*run)(const struct arguments *arguments);
} actions[] = {
	{"build", run_build},
	{"path", run_path},
	{"clean", run_clean},
};

static int run(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .args_doc = "build|path|clean", .doc = doc};
	struct arguments arguments = {.action = NULL};

	argp_err_exit_status = VT_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, arguments.action) == 0)
			return actions[i].run(&arguments);
	vt_error("there is no action '%s'; it is one of build, path and clean", arguments.action);
	return VT_EXIT_USAGE;
}

const struct vt_cmd vt_cmd_kernel = {
	.name = "kernel",
	.summary = "build, find or remove the Linux kernel that `viaduct linux` boots",
	.run = run,
};
