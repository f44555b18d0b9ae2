/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs inside the kernel: sends bytes to a terminal device and expects the same back.
 * guest_tty DEVICE BYTES
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void make_raw(int fd)
{
	struct termios settings;

	CHECK(tcgetattr(fd, &settings) == 0);
	cfmakeraw(&settings);
	CHECK(tcsetattr(fd, TCSANOW, &settings) == 0);
}

int main(int argc, char **argv)
{
	size_t total = argc == 3 ? strtoul(argv[2], NULL, 0) : 0;
	unsigned char *out = malloc(total + 1);
	unsigned char *in = malloc(total + 1);
	size_t sent = 0;
	size_t got = 0;
	int fd;

	CHECK(argc == 3 && out != NULL && in != NULL);
	fd = open_soon(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK);
	make_raw(fd);
	fill(out, total, 5);
	while (got < total) {
		struct pollfd entry = {.fd = fd, .events = POLLIN};
		ssize_t n;

		/* Not more under way than a terminal keeps: what it has no room for, it drops. */
		if (sent < total && sent - got < 1024) {
			size_t most = total - sent < 300 ? total - sent : 300;

			n = write(fd, out + sent, most);
			if (n < 0 && errno != EAGAIN && errno != ENOMEM)
				die("write");
			sent += n > 0 ? (size_t)n : 0;
		}
		CHECK(poll(&entry, 1, sent < total && sent - got < 1024 ? 0 : PATIENCE_MS) >= 0);
		n = read(fd, in + got, total - got);
		if (n < 0 && errno != EAGAIN)
			die("read after %zu bytes", got);
		if (n <= 0 && sent - got >= 1024 && entry.revents == 0)
			die("%zu bytes sent, only %zu came back", sent, got);
		got += n > 0 ? (size_t)n : 0;
	}
	if (!is_filled(in, total, 5))
		die("other bytes came back");
	printf("%zu bytes there and back\n", total);
	return 0;
}
