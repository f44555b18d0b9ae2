/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs share that run inside the kernel under test. */
#ifndef VIADUCT_TESTS_LINUX_GUEST_H
#define VIADUCT_TESTS_LINUX_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Long enough for a busy machine, short enough for a test that hangs. */
#define PATIENCE_MS 20000

/* Say what is wrong, with errno, and end with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			die("%s:%d: %s", __FILE__, __LINE__, #condition);                          \
	} while (0)

/* Device nodes come a moment after their devices: open one when it is there. */
int open_soon(const char *path, int flags);

/* Wait until @path is gone. */
void wait_gone(const char *path);

/* Wait for @events on @fd. False: they did not come within @ms. */
bool wait_for(int fd, short events, int ms);

/* Write all of @text to the (sysfs) file at @path. */
void write_file(const char *path, const char *text);

/* A pattern that depends on @seed, and whether @bytes hold it. */
void fill(unsigned char *bytes, size_t len, unsigned seed);
bool is_filled(const unsigned char *bytes, size_t len, unsigned seed);

/* The number in the name of the newest /dev/rpmsgN whose device has this name and these addresses
 * (-1: any), waiting for it. */
int find_rpmsg(const char *name, int64_t src, int64_t dst);

#endif /* VIADUCT_TESTS_LINUX_GUEST_H */
