/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Surviving SIGBUS. Each test runs in a child process, where a handler can be installed, replaced,
 * and die of.
 */
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE ((size_t)4096)

enum {
	OK = 42,
	WRONG = 43,
};

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(WRONG);                                                              \
	} while (0)

/* How @body ends: with an exit code, or 1000 and a signal. */
static int outcome(void (*body)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_int_not_equal(child, -1);
	if (child == 0) {
		struct rlimit no_core = {0, 0};

		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGBUS, SIG_DFL);
		alarm(10);
		body();
		_exit(OK);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

struct file {
	int fd;
	unsigned char *at;
	volatile bool hit;
	int handle;
};

static void map_file(struct file *file, size_t size)
{
	file->hit = false;
	file->fd = memfd_create("guard", MFD_CLOEXEC);
	MUST(file->fd >= 0 && ftruncate(file->fd, (off_t)size) == 0);
	file->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	MUST(file->at != MAP_FAILED);
}

static void guard_file(struct file *file, size_t size)
{
	map_file(file, size);
	file->handle = vd_guard_add(file->at, size, &file->hit);
	MUST(file->handle >= 0);
}

static void cut(const struct file *file, size_t size)
{
	MUST(ftruncate(file->fd, (off_t)size) == 0);
}

static unsigned char look(const unsigned char *at)
{
	return *(const volatile unsigned char *)at;
}

/* ---- ours ---- */

static void survive(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	guard_file(&file, 4 * PAGE);
	memset(file.at, 1, 4 * PAGE);
	MUST(look(file.at + PAGE) == 1 && !file.hit);
	cut(&file, PAGE);
	MUST(look(file.at + PAGE) == 0 && file.hit);
	/* All of it is replaced, and can be written. */
	MUST(look(file.at) == 0);
	file.at[3 * PAGE] = 7;
	MUST(look(file.at + 3 * PAGE) == 7);
	vd_guard_remove(file.handle);
}

static void survive_writing(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	guard_file(&file, 2 * PAGE);
	cut(&file, 0);
	file.at[PAGE + 5] = 9;
	MUST(look(file.at + PAGE + 5) == 9 && file.hit);
}

static void hit_the_right_one(void)
{
	struct file files[3];

	MUST(vd_guard_install() == 0);
	for (unsigned i = 0; i < 3; i++)
		guard_file(&files[i], PAGE);
	vd_guard_remove(files[0].handle);
	guard_file(&files[0], PAGE);
	cut(&files[1], 0);
	MUST(look(files[1].at) == 0);
	MUST(!files[0].hit && files[1].hit && !files[2].hit);
	cut(&files[0], 0);
	MUST(look(files[0].at + PAGE - 1) == 0 && files[0].hit && !files[2].hit);
}

static void replace_more_than_there_is(void)
{
	size_t huge = (size_t)1 << 42;
	struct file file;

	MUST(vd_guard_install() == 0);
	guard_file(&file, huge);
	file.at[huge - 1] = 1;
	cut(&file, 0);
	MUST(look(file.at + huge / 2) == 0 && file.hit);
}

static void keep_errno(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	guard_file(&file, PAGE);
	cut(&file, 0);
	errno = 12345;
	MUST(look(file.at) == 0);
	MUST(errno == 12345);
}

static void fill_the_table(void)
{
	static volatile bool hits[1025];
	static unsigned char bytes[1025];
	int handles[1025];

	for (unsigned i = 0; i < 1024; i++) {
		handles[i] = vd_guard_add(&bytes[i], 1, &hits[i]);
		MUST(handles[i] >= 0);
	}
	MUST(vd_guard_add(&bytes[1024], 1, &hits[1024]) == -VD_ENOSPC);
	vd_guard_remove(-VD_ENOSPC);
	vd_guard_remove(handles[500]);
	MUST(vd_guard_add(&bytes[1024], 1, &hits[1024]) >= 0);
}

static void memory_that_is_taken_away_becomes_zeroes(void **state)
{
	(void)state;
	assert_int_equal(outcome(survive), OK);
	assert_int_equal(outcome(survive_writing), OK);
	assert_int_equal(outcome(hit_the_right_one), OK);
	assert_int_equal(outcome(keep_errno), OK);
}

static void even_if_it_is_more_than_the_machine_has(void **state)
{
	(void)state;
	assert_int_equal(outcome(replace_more_than_there_is), OK);
}

static void there_is_room_for_1024_mappings(void **state)
{
	(void)state;
	assert_int_equal(outcome(fill_the_table), OK);
}

/* ---- not ours ---- */

static void touch_unguarded(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	map_file(&file, PAGE);
	cut(&file, 0);
	(void)look(file.at);
}

static void touch_what_was_guarded(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	guard_file(&file, PAGE);
	vd_guard_remove(file.handle);
	cut(&file, 0);
	(void)look(file.at);
}

static void touch_behind_the_guard(void)
{
	struct file file;

	MUST(vd_guard_install() == 0);
	map_file(&file, 2 * PAGE);
	MUST(vd_guard_add(file.at, PAGE, &file.hit) >= 0);
	cut(&file, 0);
	(void)look(file.at + PAGE);
}

static void exit_simply(int number)
{
	_exit(number == SIGBUS ? 7 : WRONG);
}

static void exit_with_info(int number, siginfo_t *info, void *context)
{
	_exit(number == SIGBUS && info->si_code == BUS_ADRERR && context != NULL ? 8 : WRONG);
}

static void touch_with_simple_handler(void)
{
	(void)signal(SIGBUS, exit_simply);
	touch_unguarded();
}

static void touch_with_full_handler(void)
{
	struct sigaction action = {.sa_sigaction = exit_with_info, .sa_flags = SA_SIGINFO};

	MUST(sigaction(SIGBUS, &action, NULL) == 0);
	touch_unguarded();
}

static void touch_ignored(void)
{
	(void)signal(SIGBUS, SIG_IGN);
	touch_unguarded();
}

static void install_twice(void)
{
	MUST(vd_guard_install() == 0);
	touch_unguarded();
}

static void install_twice_and_survive(void)
{
	MUST(vd_guard_install() == 0);
	survive();
}

static void what_is_not_ours_goes_to_who_was_there_before(void **state)
{
	(void)state;
	assert_int_equal(outcome(touch_unguarded), 1000 + SIGBUS);
	assert_int_equal(outcome(touch_what_was_guarded), 1000 + SIGBUS);
	assert_int_equal(outcome(touch_behind_the_guard), 1000 + SIGBUS);
	assert_int_equal(outcome(touch_with_simple_handler), 7);
	assert_int_equal(outcome(touch_with_full_handler), 8);
	assert_int_equal(outcome(touch_ignored), 1000 + SIGBUS);
}

static void installing_again_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(outcome(install_twice), 1000 + SIGBUS);
	assert_int_equal(outcome(install_twice_and_survive), OK);
}

/* ---- signals that are sent, not caused ---- */

static void send_to_myself(void)
{
	MUST(vd_guard_install() == 0);
	(void)kill(getpid(), SIGBUS);
}

static volatile sig_atomic_t heard;

static void hear(int number)
{
	(void)number;
	heard++;
}

static void send_twice_and_survive(void)
{
	(void)signal(SIGBUS, hear);
	MUST(vd_guard_install() == 0);
	(void)kill(getpid(), SIGBUS);
	(void)kill(getpid(), SIGBUS);
	MUST(heard == 2);
	survive();
}

static void send_ignored_and_survive(void)
{
	(void)signal(SIGBUS, SIG_IGN);
	MUST(vd_guard_install() == 0);
	(void)kill(getpid(), SIGBUS);
	survive();
}

static void a_signal_that_was_sent_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(outcome(send_to_myself), 1000 + SIGBUS);
	assert_int_equal(outcome(send_twice_and_survive), OK);
	assert_int_equal(outcome(send_ignored_and_survive), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_taken_away_becomes_zeroes),
		cmocka_unit_test(even_if_it_is_more_than_the_machine_has),
		cmocka_unit_test(there_is_room_for_1024_mappings),
		cmocka_unit_test(what_is_not_ours_goes_to_who_was_there_before),
		cmocka_unit_test(installing_again_changes_nothing),
		cmocka_unit_test(a_signal_that_was_sent_is_not_ours),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
