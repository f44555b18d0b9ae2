/* SPDX-License-Identifier: BSD-3-Clause */
/* Running the programs that build the kernel: their output goes into a log, their steps are
 * counted, and a signal to us stops them. */
#include "kernel_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

#define COUNT (sizeof(ending) / sizeof(ending[0]))

static volatile sig_atomic_t stopped_by;
static struct sigaction before[COUNT];
static sigset_t mask_before;

/* ---- signals ---- */

static void remember(int number)
{
	stopped_by = number;
}

/* They are blocked but while we wait, so none can slip in between looking and waiting. */
void vt_kernel_run_prepare(void)
{
	struct sigaction action = {.sa_handler = remember};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT; i++) {
		sigaction(ending[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
		sigaddset(&set, ending[i]);
	}
	stopped_by = 0;
	sigprocmask(SIG_BLOCK, &set, &mask_before);
}

void vt_kernel_run_finish(void)
{
	for (size_t i = 0; i < COUNT; i++)
		sigaction(ending[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

int vt_kernel_build_signal(void)
{
	return stopped_by;
}

/* ---- one program ---- */

/* What our caller's make(1) or shell has set must not reach the kernel's. */
static void clear_environment(void)
{
	static const char *const names[] = {
		"MAKEFLAGS",
		"MFLAGS",
		"MAKELEVEL",
		"MAKEOVERRIDES",
		"ARCH",
		"CROSS_COMPILE",
		"KCFLAGS",
		"KAFLAGS",
		"KBUILD_OUTPUT",
		"KCONFIG_CONFIG",
		"LOCALVERSION",
		"CC",
		"LD",
		"O",
		"V",
		"INSTALL_PATH",
		"KERNELRELEASE",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("LC_ALL", "C", 1);
	setenv("KBUILD_BUILD_USER", "viaduct", 1);
	setenv("KBUILD_BUILD_HOST", "viaduct", 1);
}

static _Noreturn void become(const char *const *argv, int output)
{
	int nothing = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* make(1) then ends its jobs */
	dup2(nothing, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
	clear_environment();
	/* exec() promises not to change them; its type is older than const. */
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "can't run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static pid_t start(const char *const *argv, int *output)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become(argv, ends[1]);
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	else
		setpgid(pid, pid); /* here too: whoever comes first */
	*output = ends[0];
	return pid;
}

/* make(1) says "  CC      kernel/fork.o". */
static void count_step(struct vt_kernel_run *run, const char *line)
{
	if (line[0] == ' ' && line[1] == ' ' && isupper((unsigned char)line[2]))
		run->steps++;
}

struct reader {
	char line[4096];
	size_t length;
};

static void take(struct vt_kernel_run *run, struct reader *reader, char c)
{
	if (reader->length < sizeof(reader->line) - 1)
		reader->line[reader->length++] = c;
	if (c != '\n')
		return;
	reader->line[reader->length] = '\0';
	fputs(reader->line, run->log);
	count_step(run, reader->line);
	reader->length = 0;
}

/* Whether there may be more. */
static bool read_some(struct vt_kernel_run *run, struct reader *reader, int output)
{
	char buffer[4096];
	ssize_t n = read(output, buffer, sizeof(buffer));

	for (ssize_t i = 0; i < n; i++)
		take(run, reader, buffer[i]);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void show_progress(struct vt_kernel_run *run)
{
	/* The total is of one version and others differ a little: never say that it is done. */
	unsigned long most = run->total > 0 ? run->total * 99 / 100 : 0;

	vt_progress_update(run->progress, run->steps < most ? run->steps : most, run->total);
}

static void read_all(struct vt_kernel_run *run, int output, pid_t pid)
{
	struct timespec tick = {.tv_nsec = 250 * 1000 * 1000};
	struct pollfd fd = {.fd = output, .events = POLLIN};
	struct reader reader = {.length = 0};
	bool told = false;

	for (;;) {
		int n = ppoll(&fd, 1, &tick, &mask_before);

		if (stopped_by != 0 && !told) {
			kill(-pid, SIGTERM);
			told = true;
		}
		if (n > 0 && !read_some(run, &reader, output))
			break;
		show_progress(run);
	}
	if (reader.length > 0)
		take(run, &reader, '\n');
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static void log_command(FILE *log, const char *const *argv)
{
	fputs("+", log);
	for (; *argv != NULL; argv++)
		fprintf(log, " %s", *argv);
	fputc('\n', log);
}

int vt_kernel_run(struct vt_kernel_run *run, const char *const *argv)
{
	int output;
	pid_t pid;
	int err;

	log_command(run->log, argv);
	fflush(run->log); /* or the child would have it too */
	pid = start(argv, &output);
	if (pid < 0)
		return -errno;
	read_all(run, output, pid);
	close(output);
	err = wait_for(pid);
	fflush(run->log);
	return stopped_by != 0 ? -EINTR : err;
}
