/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper: see uml_keeper.h. */
#include "uml_keeper.h"
#include "ui.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct message {
	enum { DIRECTORY, GROUP, TERMINAL } kind;
	int error; /* DIRECTORY */
	char directory[VT_KEEPER_DIRECTORY_MAX];
	pid_t group;
	struct termios before;
	struct termios ours;
};

/* ---- in the keeper ---- */

struct estate {
	char directory[VT_KEEPER_DIRECTORY_MAX];
	pid_t group;
	bool has_terminal;
	struct termios before;
	struct termios ours;
};

static int remove_one(const char *path, const struct stat *unused, int flag, struct FTW *unused_too)
{
	(void)unused;
	(void)flag;
	(void)unused_too;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool same_mode(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static void restore_terminal(const struct estate *estate)
{
	struct termios now;

	if (tcgetattr(STDIN_FILENO, &now) == 0 && same_mode(&now, &estate->ours))
		tcsetattr(STDIN_FILENO, TCSANOW, &estate->before);
}

static void clean_up(const struct estate *estate)
{
	if (estate->group > 0)
		kill(-estate->group, SIGKILL);
	if (estate->has_terminal)
		restore_terminal(estate);
	remove_tree(estate->directory);
}

static void learn(struct estate *estate, const struct message *message)
{
	switch (message->kind) {
	case GROUP:
		estate->group = message->group;
		break;
	case TERMINAL:
		estate->has_terminal = true;
		estate->before = message->before;
		estate->ours = message->ours;
		break;
	case DIRECTORY:
		break;
	}
}

/* Can it be part of the kernel's command line, and of the path of a socket? */
static bool is_fit(const char *directory)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._+-";

	return directory[0] == '/' && directory[strspn(directory, plain)] == '\0' &&
	       strlen(directory) <= VT_KEEPER_DIRECTORY_MAX - sizeof("/viaduct-XXXXXX") &&
	       access(directory, W_OK) == 0;
}

static void make_directory(struct message *message)
{
	const char *base = getenv("TMPDIR");

	if (base == NULL || !is_fit(base))
		base = "/tmp";
	snprintf(message->directory, sizeof(message->directory), "%s/viaduct-XXXXXX", base);
	message->error = mkdtemp(message->directory) != NULL ? 0 : errno;
}

void vt_keeper_close(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	/* A kernel before 5.9. Few programs have more open. */
	for (unsigned fd = first; fd <= last && fd < 1024; fd++)
		close((int)fd);
}

/* Hold nothing open that somebody may wait to see closed. Standard input stays, for the terminal.
 */
static void let_go(int line)
{
	int nothing = open("/dev/null", O_RDWR);

	dup2(nothing, STDOUT_FILENO);
	dup2(nothing, STDERR_FILENO);
	if (!isatty(STDIN_FILENO))
		dup2(nothing, STDIN_FILENO);
	vt_keeper_close(3, (unsigned)line - 1);
	vt_keeper_close((unsigned)line + 1, ~0u);
}

static _Noreturn void keep(int line)
{
	struct message message = {.kind = DIRECTORY};
	struct estate estate = {.group = 0};
	sigset_t all;

	prctl(PR_SET_NAME, "viaduct-keeper");
	/* What ends us, a key or a closed terminal, must not end the keeper too. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	let_go(line);
	make_directory(&message);
	memcpy(estate.directory, message.directory, sizeof(estate.directory));
	if (send(line, &message, sizeof(message), MSG_NOSIGNAL) < 0 || message.error != 0) {
		if (message.error == 0)
			rmdir(estate.directory);
		_exit(1);
	}
	while (recv(line, &message, sizeof(message), 0) == (ssize_t)sizeof(message))
		learn(&estate, &message);
	clean_up(&estate);
	_exit(0);
}

/* ---- with us ---- */

static int complain(const char *what, int err)
{
	vt_error("can't %s: %s", what, strerror(err));
	return -err;
}

static int receive_directory(struct vt_keeper *keeper)
{
	struct message message;

	if (recv(keeper->line, &message, sizeof(message), 0) != (ssize_t)sizeof(message))
		return complain("start the process that cleans up", EIO);
	if (message.error != 0) {
		vt_error(
			"can't make a private directory %s: %s; set TMPDIR to a directory that can "
			"be written",
			message.directory, strerror(message.error));
		return -message.error;
	}
	memcpy(keeper->directory, message.directory, sizeof(keeper->directory));
	return 0;
}

int vt_keeper_start(struct vt_keeper *keeper)
{
	int ends[2];
	int err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return complain("make a socket", errno);
	fflush(NULL); /* or the child would write it too */
	keeper->pid = fork();
	if (keeper->pid == 0)
		keep(ends[1]);
	close(ends[1]);
	keeper->line = ends[0];
	err = keeper->pid < 0 ? complain("make a process", errno) : receive_directory(keeper);
	if (err != 0) {
		close(ends[0]);
		if (keeper->pid > 0)
			waitpid(keeper->pid, NULL, 0);
	}
	return err;
}

static void tell(const struct vt_keeper *keeper, const struct message *message)
{
	/* A keeper that was killed can't be told; vt_keeper_end() finds out. */
	send(keeper->line, message, sizeof(*message), MSG_NOSIGNAL);
}

void vt_keeper_group(const struct vt_keeper *keeper, pid_t group)
{
	struct message message = {.kind = GROUP, .group = group};

	tell(keeper, &message);
}

void vt_keeper_terminal(const struct vt_keeper *keeper, const struct termios *before,
			const struct termios *ours)
{
	struct message message = {.kind = TERMINAL, .before = *before, .ours = *ours};

	tell(keeper, &message);
}

void vt_keeper_end(struct vt_keeper *keeper)
{
	int status;

	close(keeper->line);
	while (waitpid(keeper->pid, &status, 0) < 0)
		if (errno != EINTR)
			return;
	if (!WIFEXITED(status))
		remove_tree(keeper->directory);
}
