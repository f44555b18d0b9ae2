/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting and ending the kernel: see uml_launch.h. */
#include "uml_launch.h"
#include "ui.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors in the kernel's process. */
enum { LOG_FD = 1, LINE_FD = 3, WINDOW_FD = 4, END_FD = 5 };

/* ---- where the guest's memory lives ---- */

/* Not every file system can make a file without a name. */
static int open_nameless(const char *directory)
{
	char path[PATH_MAX];
	int fd = open(directory, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0700);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	snprintf(path, sizeof(path), "%s/viaduct-XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* The kernel keeps it in a deleted file, and executes from it. */
static bool can_execute_in(const char *directory)
{
	int fd = open_nameless(directory);
	void *page = MAP_FAILED;

	if (fd < 0)
		return false;
	if (ftruncate(fd, 4096) == 0)
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (page != MAP_FAILED)
		munmap(page, 4096);
	close(fd);
	return page != MAP_FAILED;
}

static bool has_room(const char *directory, uint64_t size)
{
	struct statvfs at;

	return statvfs(directory, &at) == 0 && (uint64_t)at.f_bavail * at.f_frsize >= size;
}

/* Best first: memory, then disks. A container's /dev/shm is often too small, or not executable. */
static const char *choose_memory_directory(uint64_t size)
{
	const char *const candidates[] = {"/dev/shm", getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"),
					  "/tmp", "/var/tmp"};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const char *directory = candidates[i];

		if (directory != NULL && directory[0] == '/' && has_room(directory, size) &&
		    can_execute_in(directory))
			return directory;
	}
	return NULL;
}

/* ---- the command line ---- */

#define MAX_ARGUMENTS 64
#define MAX_LINE      4000 /* the kernel has room for 4096, and adds something itself */

struct line {
	char *argv[MAX_ARGUMENTS + 1];
	size_t count;
	size_t length;
	char text[MAX_LINE + 256];
};

static bool add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->length;
	va_list args;
	int n;

	if (line->count == MAX_ARGUMENTS)
		return false;
	va_start(args, format);
	n = vsnprintf(line->text + line->length, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room || line->length + (size_t)n >= MAX_LINE)
		return false;
	line->argv[line->count++] = line->text + line->length;
	line->length += (size_t)n + 1;
	return true;
}

/* As the host's, if the command line can have it. */
static bool add_host_name(struct line *line)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-";
	char name[65] = "";

	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0' ||
	    name[strspn(name, plain)] != '\0')
		return true;
	return add(line, "hostname=%s", name);
}

static bool fill_line(struct line *line, const struct vt_uml_launch *launch)
{
	const char *directory = launch->keeper->directory;
	bool ok = add(line, "linux") &&
		  add(line, "mem=%lluK", (unsigned long long)launch->run->memory / 1024) &&
		  add(line, "root=/dev/root") && add(line, "rootfstype=hostfs") &&
		  add(line, launch->run->writable ? "rw" : "ro") &&
		  add(line, "init=%s/init", directory) && add(line, "con=null") &&
		  add(line, "con0=fd:%d", LOG_FD) && add(line, "con1=fd:%d", LINE_FD) &&
		  add(line, "iomem=mmapper,/proc/self/fd/%d", WINDOW_FD) &&
		  add(line, "uml_dir=%s", directory) && add(line, "umid=kernel") &&
		  /* Drivers behind virtio sleep where they could not in an interrupt. */
		  add(line, "threadirqs") &&
		  /* Measuring how long a loop takes is three quarters of a boot. This is more than
		   * any processor needs for 10 ms, so delays are never too short. */
		  add(line, "lpj=50000000") &&
		  /* One run, one boot: a reboot or a panic ends it. */
		  add(line, "noreboot") && add(line, "loglevel=7") && add_host_name(line);

	for (size_t i = 0; i < launch->n_devices; i++)
		ok = ok && add(line, "virtio_uml.device=%s:%u", launch->devices[i].socket,
			       launch->devices[i].id);
	return ok;
}

/* ---- the process ---- */

static void place_descriptors(const struct vt_uml_launch *launch)
{
	/* First out of the way of each other. */
	int log = fcntl(launch->log, F_DUPFD, END_FD);
	int line = fcntl(launch->line, F_DUPFD, END_FD);
	int window = fcntl(launch->window, F_DUPFD, END_FD);
	int nothing = open("/dev/null", O_RDONLY);

	dup2(nothing, STDIN_FILENO);
	dup2(log, LOG_FD);
	dup2(log, STDERR_FILENO);
	dup2(line, LINE_FD);
	dup2(window, WINDOW_FD);
	vt_keeper_close(END_FD, ~0u);
}

static void set_circumstances(void)
{
	const struct rlimit none = {0, 0};
	sigset_t empty;

	umask(0); /* the guest applies the command's own */
	setrlimit(RLIMIT_CORE, &none);
	/* The kernel counts the gap behind its data as memory, and up to a gigabyte is a gap. */
	personality(ADDR_NO_RANDOMIZE);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	if (chdir("/") != 0) /* keep no directory busy */
		return;
}

static _Noreturn void become(const struct vt_uml_launch *launch, char *const *argv,
			     char *const *env, pid_t parent)
{
	setsid();
	vt_keeper_group(launch->keeper, getpid());
	/* The keeper does it better, but both can't be killed at once. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	set_circumstances();
	place_descriptors(launch);
	execve(launch->run->kernel, argv, env);
	dprintf(STDERR_FILENO, "can't execute %s: %s\n", launch->run->kernel, strerror(errno));
	_exit(1);
}

static pid_t start(const struct vt_uml_launch *launch, char *const *argv, char *const *env)
{
	pid_t parent = getpid();
	pid_t pid;

	/* The processes of the guest are children of the kernel; when it dies they must come to us,
	 * to be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(launch, argv, env, parent);
	if (pid < 0)
		vt_error("can't make a process for the kernel: %s", strerror(errno));
	return pid;
}

pid_t vt_uml_launch(const struct vt_uml_launch *launch)
{
	const char *memory = choose_memory_directory(launch->run->memory);
	char temporary[PATH_MAX];
	char path[] = "PATH=/usr/bin:/bin";
	char *env[] = {path, temporary, NULL};
	struct line line = {.count = 0};

	if (memory == NULL) {
		vt_error("nothing can hold the guest's memory of %llu KiB: /dev/shm, "
			 "$XDG_RUNTIME_DIR, $TMPDIR, /tmp and /var/tmp are too full, or mounted "
			 "noexec; ask for less with --mem, or set TMPDIR",
			 (unsigned long long)launch->run->memory / 1024);
		return -1;
	}
	if (!fill_line(&line, launch)) {
		vt_error("%zu devices are too many for the kernel's command line",
			 launch->n_devices);
		return -1;
	}
	snprintf(temporary, sizeof(temporary), "TMPDIR=%s", memory);
	return start(launch, line.argv, env);
}

/* ---- the end ---- */

bool vt_uml_has_ended(pid_t kernel)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)kernel, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == kernel;
}

void vt_uml_sweep(pid_t kernel, const struct vt_keeper *keeper)
{
	/* Its number can't be given to others before it is waited for, so this is safe. */
	kill(-kernel, SIGKILL);
	vt_keeper_group(keeper, 0);
	while (waitpid(-kernel, NULL, __WALL) > 0 || errno == EINTR)
		;
}
