/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Give a program a terminal and talk to it. Reads what to do from standard input, a line each:
 *
 *     send TEXT            type it; \n \r \\ and \ooo (octal) as in C
 *     expect TEXT          wait until the terminal shows it
 *     resize ROWS COLUMNS  change the terminal's size
 *     signal NUMBER        send the program a signal
 *     pause                wait until it has been silent for 300 ms
 *     hangup               close the terminal
 *     end STATUS           wait until it ends, with that exit status (128 + N for signal N); then
 *                          the terminal must be in the mode that it had in the beginning
 *
 * usage: runner_pty PROGRAM [ARGUMENT...]; exit status 0 if all went as described. Whatever the
 * terminal showed goes to standard error if not.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#define TIMEOUT_MS 20000
#define SILENCE_MS 300

static int master;
static int slave; /* kept open, to look at its mode */
static pid_t program;
static struct termios before;

static char shown[1 << 20];
static size_t n_shown;
static size_t searched; /* what `expect` has found is not found again */

static _Noreturn void fail(const char *what, const char *detail)
{
	fprintf(stderr, "runner_pty: %s%s\n---- the terminal showed:\n%s\n----\n", what, detail,
		shown);
	if (program > 0)
		kill(program, SIGKILL);
	exit(1);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Take in what the terminal shows within @timeout. False: nothing. */
static bool look(int timeout)
{
	struct pollfd fd = {.fd = master, .events = POLLIN};
	ssize_t n;

	if (poll(&fd, 1, timeout) <= 0)
		return false;
	n = read(master, shown + n_shown, sizeof(shown) - 1 - n_shown);
	if (n <= 0)
		return false;
	n_shown += (size_t)n;
	shown[n_shown] = '\0';
	return true;
}

static char unescape(const char **at)
{
	const char *p = *at;
	int value = 0;

	if (*p != '\\') {
		*at = p + 1;
		return *p;
	}
	p++;
	if (*p >= '0' && *p <= '7') {
		for (int digits = 0; digits < 3 && *p >= '0' && *p <= '7'; digits++)
			value = value * 8 + (*p++ - '0');
		*at = p;
		return (char)value;
	}
	*at = p + 1;
	return *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p;
}

static void decode(const char *text, char *out)
{
	while (*text != '\0')
		*out++ = unescape(&text);
	*out = '\0';
}

/* ---- what can be done ---- */

static void do_send(const char *text)
{
	char raw[1024];

	decode(text, raw);
	if (write(master, raw, strlen(raw)) < 0)
		fail("can't type: ", strerror(errno));
}

static void do_expect(const char *text)
{
	char wanted[1024];
	long until = now_ms() + TIMEOUT_MS;
	char *found;

	decode(text, wanted);
	while ((found = strstr(shown + searched, wanted)) == NULL) {
		if (now_ms() > until)
			fail("never shown: ", text);
		look(100);
	}
	searched = (size_t)(found - shown) + strlen(wanted);
}

static void do_resize(const char *text)
{
	struct winsize size = {.ws_row = 0};

	if (sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) != 2)
		fail("resize takes rows and columns, not ", text);
	ioctl(master, TIOCSWINSZ, &size);
}

static void do_signal(const char *text)
{
	kill(program, atoi(text));
}

static void do_pause(const char *text)
{
	(void)text;
	while (look(SILENCE_MS))
		;
}

static void do_hangup(const char *text)
{
	(void)text;
	close(slave);
	close(master);
	master = slave = -1;
}

static bool mode_is_as_before(void)
{
	struct termios now;

	if (tcgetattr(slave, &now) != 0)
		fail("can't read the mode of the terminal: ", strerror(errno));
	return now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag &&
	       now.c_cflag == before.c_cflag && now.c_lflag == before.c_lflag;
}

/* If the program was killed another process restores the mode, and may need a moment. */
static void check_mode(void)
{
	long until = now_ms() + TIMEOUT_MS;

	while (!mode_is_as_before()) {
		if (now_ms() > until)
			fail("the terminal was left in another mode", "");
		look(20);
	}
}

/* Keep reading what it shows, or it could not end. */
static void wait_until_ended(void)
{
	long until = now_ms() + TIMEOUT_MS;
	struct pollfd fds[2] = {
		{.fd = pidfd_open(program, 0), .events = POLLIN},
		{.fd = master, .events = POLLIN},
	};

	while (!(fds[0].revents & POLLIN)) {
		if (now_ms() > until)
			fail("did not end", "");
		poll(fds, 2, TIMEOUT_MS);
		if (fds[1].revents != 0 && !look(0))
			fds[1].fd = -1;
	}
	close(fds[0].fd);
	while (master >= 0 && look(0))
		;
}

static void do_end(const char *text)
{
	char got[64];
	int status;

	wait_until_ended();
	waitpid(program, &status, 0);
	program = 0;
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	snprintf(got, sizeof(got), "%d instead of %s", status, text);
	if (status != atoi(text))
		fail("ended with status ", got);
	if (slave >= 0)
		check_mode();
}

static const struct {
	const char *name;
	void (*run)(const char *text);
} actions[] = {
	{"send", do_send},   {"expect", do_expect}, {"resize", do_resize}, {"signal", do_signal},
	{"pause", do_pause}, {"hangup", do_hangup}, {"end", do_end},
};

static void act(char *line)
{
	size_t length = strcspn(line, " \n");
	char *text = line + length + (line[length] == ' ');

	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strncmp(actions[i].name, line, length) == 0 &&
		    actions[i].name[length] == '\0') {
			actions[i].run(text);
			return;
		}
	fail("no such action: ", line);
}

static void start(char **argv)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	if (openpty(&master, &slave, NULL, NULL, &size) != 0 || tcgetattr(slave, &before) != 0)
		fail("no terminal: ", strerror(errno));
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	program = fork();
	if (program != 0)
		return;
	login_tty(dup(slave));
	execv(argv[0], argv);
	_exit(127);
}

int main(int argc, char **argv)
{
	char line[1024];

	if (argc < 2) {
		fputs("usage: runner_pty PROGRAM [ARGUMENT...] < ACTIONS\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	start(argv + 1);
	while (fgets(line, sizeof(line), stdin) != NULL)
		act(line);
	return 0;
}
