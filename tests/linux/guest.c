/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs share that run inside the kernel under test: see guest.h. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (%s)\n", strerror(saved));
	exit(1);
}

static void pause_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

int open_soon(const char *path, int flags)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
		int fd = open(path, flags | O_CLOEXEC);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
			die("open %s", path);
		pause_ms(5);
	}
	die("%s did not appear", path);
}

void wait_gone(const char *path)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
		if (access(path, F_OK) != 0)
			return;
		pause_ms(5);
	}
	die("%s did not go away", path);
}

bool wait_for(int fd, short events, int ms)
{
	struct pollfd entry = {.fd = fd, .events = events};

	return poll(&entry, 1, ms) == 1;
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("write '%s' to %s", text, path);
	close(fd);
}

void fill(unsigned char *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

bool is_filled(const unsigned char *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

/* ---- /sys/class/rpmsg ---- */

static bool read_line(int number, const char *attribute, char *line, size_t size)
{
	char path[96];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "/sys/class/rpmsg/rpmsg%d/%s", number, attribute);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	ok = fgets(line, (int)size, file) != NULL;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return ok;
}

static bool has_number(int number, const char *attribute, int64_t wanted)
{
	char line[64];

	return read_line(number, attribute, line, sizeof(line)) &&
	       (wanted < 0 || (int64_t)strtoll(line, NULL, 0) == (int64_t)(int32_t)wanted);
}

int find_rpmsg(const char *name, int64_t src, int64_t dst)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
		for (int number = 63; number >= 0; number--) {
			char line[64];

			if (read_line(number, "name", line, sizeof(line)) &&
			    strcmp(line, name) == 0 && has_number(number, "src", src) &&
			    has_number(number, "dst", dst))
				return number;
		}
		pause_ms(5);
	}
	die("no /dev/rpmsgN for %s", name);
}
