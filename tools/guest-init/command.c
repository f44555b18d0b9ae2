/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting the command: its streams, its terminal, and what it inherits. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Why the child could not become the command. */
struct trouble {
	enum { AT_DIRECTORY, AT_EXEC } where;
	int error;
};

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		die(125, "can't make a pipe: %s", strerror(errno));
}

static void never_block(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- streams ---- */

/* A terminal of the right size: ours is the master, the command gets the other end. */
static void open_terminal(struct command *command, const struct setup *setup)
{
	struct winsize size = {.ws_row = setup->head.rows, .ws_col = setup->head.columns};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
		die(125, "can't make a terminal: %s", strerror(errno));
	command->terminal_end = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (command->terminal_end < 0)
		die(125, "can't open the terminal: %s", strerror(errno));
	ioctl(master, TIOCSWINSZ, &size);
	never_block(master);
	command->output[VT_WIRE_TERMINAL] = master;
}

/* The command's end of an output; ours goes to command->output. */
static int open_output(struct command *command, enum vt_wire_stream stream)
{
	int ends[2];

	make_pipe(ends);
	never_block(ends[0]);
	command->output[stream] = ends[0];
	return ends[1];
}

static int open_input(struct command *command)
{
	int ends[2];

	make_pipe(ends);
	never_block(ends[1]);
	command->input = ends[1];
	return ends[0];
}

static int choose_input(struct command *command, const struct setup *setup)
{
	if (!setup_has(setup, VT_WIRE_TERMINAL_IN))
		return open_input(command);
	/* A descriptor of its own, so that input and output are closed independently. */
	command->input = fcntl(command->output[VT_WIRE_TERMINAL], F_DUPFD_CLOEXEC, 0);
	return command->terminal_end;
}

static int choose_output(struct command *command, const struct setup *setup)
{
	return setup_has(setup, VT_WIRE_TERMINAL_OUT) ? command->terminal_end
						      : open_output(command, VT_WIRE_STDOUT);
}

static int choose_error(struct command *command, const struct setup *setup, int output)
{
	if (setup_has(setup, VT_WIRE_TERMINAL_ERR))
		return command->terminal_end;
	/* One pipe for both keeps what is written to them in order. */
	if (setup_has(setup, VT_WIRE_ERR_IS_OUT))
		return output;
	return open_output(command, VT_WIRE_STDERR);
}

/* ---- the child ---- */

static void set_signals(uint64_t ignored)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	for (int number = 1; number <= 64; number++)
		if (ignored >> (number - 1) & 1)
			signal(number, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct setup *setup, const int stdio[3], bool terminal,
			     int report)
{
	struct trouble trouble = {.where = AT_DIRECTORY};

	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(stdio[fd], fd);
	if (terminal)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	set_signals(setup->head.ignored);
	umask((mode_t)setup->head.umask);
	if (chdir(setup->directory) == 0) {
		trouble.where = AT_EXEC;
		environ = setup->env; /* execvp() looks for PATH there */
		execvp(setup->argv[0], setup->argv);
	}
	trouble.error = errno;
	if (write(report, &trouble, sizeof(trouble)) < 0)
		_exit(126);
	_exit(125);
}

/* ---- the parent ---- */

/* Is there a file of that name in one of the directories of PATH? */
static bool is_in_path(const char *name, const char *path)
{
	char file[PATH_MAX];

	while (path != NULL) {
		int length = (int)strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", length, path, name) <
			    (int)sizeof(file) &&
		    access(file, F_OK) == 0)
			return true;
		path = path[length] == ':' ? path + length + 1 : NULL;
	}
	return false;
}

/* execvp() says EACCES as well if it may not look into a directory; for a shell, there is no such
 * command then. */
static int what_was_wrong(const struct trouble *trouble, const struct setup *setup)
{
	const char *path = NULL;

	for (char **env = setup->env; *env != NULL; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			path = *env + 5;
	if (trouble->error == EACCES && strchr(setup->argv[0], '/') == NULL &&
	    !is_in_path(setup->argv[0], path))
		return ENOENT;
	return trouble->error;
}

static _Noreturn void explain(const struct trouble *trouble, const struct setup *setup)
{
	int error;

	if (trouble->where == AT_DIRECTORY)
		die(125, "can't start in %s: %s", setup->directory, strerror(trouble->error));
	/* As env(1) and the shells have it. */
	error = what_was_wrong(trouble, setup);
	die(error == ENOENT ? 127 : 126, "can't run %s: %s", setup->argv[0], strerror(error));
}

/* The child's end of @report closes when the command runs. */
static void wait_until_it_runs(int report, const struct setup *setup)
{
	struct trouble trouble;
	ssize_t n;

	do
		n = read(report, &trouble, sizeof(trouble));
	while (n < 0 && errno == EINTR);
	close(report);
	if (n == (ssize_t)sizeof(trouble))
		explain(&trouble, setup);
}

static void close_childs_ends(const struct command *command, const int stdio[3])
{
	for (int fd = 0; fd < 3; fd++)
		if (stdio[fd] != command->terminal_end && !(fd == 2 && stdio[2] == stdio[1]))
			close(stdio[fd]);
}

/* From before the command can end, or the signal would be lost. It waits for relay.c's signalfd. */
static void hold_child_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void command_start(struct command *command, const struct setup *setup)
{
	bool terminal = setup_has(setup, VT_WIRE_TERMINAL_IN);
	int stdio[3];
	int report[2];

	*command = (struct command){.input = -1, .output = {-1, -1, -1}, .terminal_end = -1};
	if (terminal)
		open_terminal(command, setup);
	stdio[0] = choose_input(command, setup);
	stdio[1] = choose_output(command, setup);
	stdio[2] = choose_error(command, setup, stdio[1]);
	make_pipe(report);
	hold_child_signals();
	command->pid = fork();
	if (command->pid < 0)
		die(125, "can't make a process: %s", strerror(errno));
	if (command->pid == 0)
		become(setup, stdio, terminal, report[1]);
	close(report[1]);
	close_childs_ends(command, stdio);
	wait_until_it_runs(report[0], setup);
}
