/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs on the host: waits for a terminal to appear at a path, and returns all it reads from it. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct termios settings;
	char bytes[4096];
	ssize_t n;
	int fd;

	CHECK(argc == 2);
	fd = open_soon(argv[1], O_RDWR | O_NOCTTY);
	CHECK(tcgetattr(fd, &settings) == 0);
	cfmakeraw(&settings);
	CHECK(tcsetattr(fd, TCSANOW, &settings) == 0);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t written = write(fd, bytes + at, (size_t)(n - at));

			if (written < 0)
				return 0;
			at += written;
		}
	return 0;
}
