/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building the kernel. Everything happens in the directory "building" of the cache, under the lock;
 * what is finished moves out of it by one rename. So whatever is found in "building" at the start
 * is garbage of a build that was killed.
 */
#include "kernel.h"
#include "kernel_config.h"
#include "kernel_parts.h"
#include "ui.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL 20 /* lines of the log that explain a failure */

struct build {
	const struct vt_kernel_build *how;
	struct vt_kernel *kernel;
	char source[PATH_MAX];
	char cache[PATH_MAX];
	char work[PATH_MAX];   /* CACHE/building, and in it: */
	char tree[PATH_MAX];   /* the kernel's source */
	char output[PATH_MAX]; /* what make(1) makes of it */
	char result[PATH_MAX]; /* what is kept */
	char log_path[PATH_MAX];
	char version[64];
	char refused[160]; /* an option that the kernel does not accept */
	struct vt_kernel_run run;
};

/* ---- the steps ---- */

static int unpack(struct build *build)
{
	int err = vt_kernel_source_unpack(&build->run, build->source, build->tree);

	return err != 0 ? err
			: vt_kernel_source_version(build->tree, build->version,
						   sizeof(build->version));
}

static int write_fragment(const char *path)
{
	FILE *out = fopen(path, "we");

	if (out == NULL)
		return -errno;
	vt_kernel_config_write(out);
	return fclose(out) == 0 ? 0 : -errno;
}

static int check_config(struct build *build)
{
	char path[PATH_MAX];

	vt_kernel_join(path, build->output, ".config");
	return vt_kernel_config_check(path, build->refused, sizeof(build->refused));
}

static int configure(struct build *build)
{
	char fragment[PATH_MAX];
	char directory[PATH_MAX + 2];
	char options[PATH_MAX + 32];
	const char *argv[] = {"make", "-C", "", directory, "ARCH=um", options, "allnoconfig", NULL};
	int err;

	vt_kernel_join(fragment, build->work, "fragment");
	err = write_fragment(fragment);
	if (err == 0 && mkdir(build->output, 0777) != 0)
		err = -errno;
	if (err != 0)
		return err;
	argv[2] = build->tree;
	snprintf(directory, sizeof(directory), "O=%s", build->output);
	snprintf(options, sizeof(options), "KCONFIG_ALLCONFIG=%s", fragment);
	err = vt_kernel_run(&build->run, argv);
	return err != 0 ? err : check_config(build);
}

static long default_jobs(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int compile(struct build *build)
{
	char directory[PATH_MAX + 2];
	char jobs[32];
	const char *argv[] = {
		"make", "-C", build->tree, directory, "ARCH=um", jobs, "KCFLAGS=" VT_KERNEL_CFLAGS,
		NULL};

	snprintf(directory, sizeof(directory), "O=%s", build->output);
	snprintf(jobs, sizeof(jobs), "-j%ld",
		 build->how->jobs > 0 ? build->how->jobs : default_jobs());
	build->run.steps = 0;
	build->run.total = VT_KERNEL_STEPS;
	return vt_kernel_run(&build->run, argv);
}

/* ---- keeping the result ---- */

static int write_source(const struct build *build)
{
	char text[PATH_MAX + 64];
	char path[PATH_MAX];
	FILE *out;
	int err = vt_kernel_source_describe(build->source, text, sizeof(text));

	if (err != 0)
		return err;
	vt_kernel_join(path, build->result, "source");
	out = fopen(path, "we");
	if (out == NULL)
		return -errno;
	fputs(text, out);
	return fclose(out) == 0 ? 0 : -errno;
}

/* Was the kernel in the cache made of the archive that lies there now? */
static bool is_current(const struct build *build, const struct vt_kernel *kernel)
{
	char now[PATH_MAX + 64];
	char then[PATH_MAX + 64] = "";
	char path[PATH_MAX];
	FILE *in;

	vt_kernel_join(path, kernel->directory, "source");
	in = fopen(path, "re");
	if (in == NULL)
		return false;
	if (fgets(then, sizeof(then), in) == NULL)
		then[0] = '\0';
	fclose(in);
	return vt_kernel_source_describe(build->source, now, sizeof(now)) == 0 &&
	       strcmp(now, then) == 0;
}

static int move(const struct build *build, const char *from, const char *to)
{
	char source[PATH_MAX];
	char target[PATH_MAX];

	vt_kernel_join(source, build->output, from);
	vt_kernel_join(target, build->result, to);
	return rename(source, target) == 0 ? 0 : -errno;
}

static int collect(struct build *build)
{
	char modules[PATH_MAX];
	int err = 0;

	vt_kernel_join(modules, build->result, "modules");
	if (mkdir(build->result, 0777) != 0 || mkdir(modules, 0777) != 0)
		return -errno;
	err = move(build, "linux", "linux");
	if (err == 0)
		err = move(build, "samples/rpmsg/rpmsg_client_sample.ko",
			   "modules/rpmsg_client_sample.ko");
	if (err == 0)
		err = move(build, ".config", ".config");
	return err != 0 ? err : write_source(build);
}

/* An older kernel of the same name goes first; `building` takes it along when it is removed. */
static int publish(struct build *build)
{
	char hash[9];
	char name[NAME_MAX];
	char target[PATH_MAX];
	char old[PATH_MAX];
	char log[PATH_MAX];

	vt_kernel_config_hash(hash);
	snprintf(name, sizeof(name), "kernel-%s-%s", build->version, hash);
	vt_kernel_join(target, build->cache, name);
	vt_kernel_join(old, build->work, "old");
	vt_kernel_join(log, build->result, "build.log");
	fclose(build->run.log);
	build->run.log = NULL;
	if (rename(build->log_path, log) != 0)
		return -errno;
	rename(target, old); /* usually there is none */
	return rename(build->result, target) == 0 ? 0 : -errno;
}

/* ---- the whole ---- */

static void show_log_tail(const char *path)
{
	char lines[TAIL][512];
	size_t n = 0;
	FILE *log = fopen(path, "re");

	if (log == NULL)
		return;
	while (fgets(lines[n % TAIL], sizeof(lines[0]), log) != NULL)
		n++;
	fclose(log);
	for (size_t i = n > TAIL ? n - TAIL : 0; i < n; i++)
		fprintf(stderr, "    %s", lines[i % TAIL]);
}

static int step(struct build *build, const char *what, int (*run)(struct build *build))
{
	struct vt_progress progress;
	char text[128];
	int err;

	snprintf(text, sizeof(text), "%s%s%s", what, build->version[0] != '\0' ? " " : "",
		 build->version);
	vt_progress_begin(&progress, text);
	fprintf(build->run.log, "== %s\n", text);
	build->run.progress = &progress;
	build->run.total = 0;
	err = run(build);
	vt_progress_end(&progress, err == 0);
	return err;
}

static int run_steps(struct build *build)
{
	int err = step(build, "unpacking the kernel's source", unpack);

	if (err == 0)
		err = step(build, "configuring Linux", configure);
	if (err == 0)
		err = step(build, "compiling Linux", compile);
	if (err == 0)
		err = collect(build);
	return err != 0 ? err : publish(build);
}

static int prepare(struct build *build)
{
	int err = vt_kernel_remove(build->work);

	vt_kernel_join(build->tree, build->work, "source");
	vt_kernel_join(build->output, build->work, "output");
	vt_kernel_join(build->result, build->work, "result");
	if (err == 0 && mkdir(build->work, 0777) != 0)
		err = -errno;
	if (err != 0) {
		vt_error("can't prepare %s: %s", build->work, strerror(-err));
		return err;
	}
	build->run.log = fopen(build->log_path, "we");
	if (build->run.log == NULL) {
		vt_error("can't write %s: %s", build->log_path, strerror(errno));
		return -errno;
	}
	return 0;
}

static void explain(const struct build *build, int err)
{
	switch (err) {
	case -EINTR:
		vt_note("the build was interrupted; what it had made is removed");
		break;
	case -ENOTSUP:
		vt_error(
			"Linux %s does not accept the option %s, without which nothing works here; "
			"build from linux-source-6.1",
			build->version, build->refused);
		break;
	case -ECHILD:
		show_log_tail(build->log_path);
		vt_error("the kernel could not be built; the whole log is %s", build->log_path);
		break;
	default:
		vt_error("the kernel could not be built: %s; the log is %s", strerror(-err),
			 build->log_path);
	}
}

static int build_locked(struct build *build)
{
	int err = prepare(build);

	if (err != 0)
		return err;
	vt_kernel_run_prepare();
	err = run_steps(build);
	if (build->run.log != NULL)
		fclose(build->run.log);
	if (err != 0)
		explain(build, err);
	vt_kernel_remove(build->work);
	vt_kernel_run_finish();
	return err;
}

/* Ready already, or made so by the build we waited for? Without a source what is there must do. */
static bool is_ready(struct build *build)
{
	if (build->how->again || vt_kernel_find(build->kernel) != 0)
		return false;
	return build->source[0] == '\0' || is_current(build, build->kernel);
}

static int build_under_lock(struct build *build)
{
	int lock = vt_kernel_lock(build->cache);
	int err = 0;

	if (lock < 0)
		return lock;
	if (!is_ready(build))
		err = build_locked(build);
	vt_kernel_unlock(lock);
	return err != 0 ? err : vt_kernel_find(build->kernel);
}

int vt_kernel_build(struct vt_kernel *kernel, const struct vt_kernel_build *how)
{
	struct build build = {.how = how, .kernel = kernel};
	int err = vt_kernel_cache(build.cache, sizeof(build.cache));

	if (err != 0) {
		vt_error("there is no place to keep a kernel; set XDG_CACHE_HOME or HOME");
		return err;
	}
	vt_kernel_join(build.work, build.cache, "building");
	vt_kernel_join(build.log_path, build.cache, "build.log");
	err = vt_kernel_source_find(build.source, how->source);
	if (err != 0 || is_ready(&build))
		return err;
	err = vt_kernel_source_check(build.source, how->source);
	if (err == 0)
		err = vt_kernel_source_tools();
	if (err != 0)
		return err;
	return build_under_lock(&build);
}
