/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs inside the kernel: loads the kernel's own sample client and follows its log to the end.
 * guest_sample MODULE
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT 100 /* the module's default */

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0)
		die("load %s", path);
	close(fd);
}

/* Read the kernel's log until the client has said goodbye. */
static unsigned follow(int log)
{
	unsigned messages = 0;
	char record[4096];

	for (;;) {
		ssize_t n;

		if (!wait_for(log, POLLIN, PATIENCE_MS))
			die("the client stopped after %u messages", messages);
		n = read(log, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue; /* some records were overwritten before they were read */
		CHECK(n > 0);
		record[n] = '\0';
		messages += strstr(record, "incoming msg") != NULL;
		if (strstr(record, "goodbye!") != NULL)
			return messages;
	}
}

int main(int argc, char **argv)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned messages;

	CHECK(argc == 2 && log >= 0);
	for (unsigned round = 0; round < 3; round++) {
		CHECK(lseek(log, 0, SEEK_END) >= 0);
		load(argv[1]);
		messages = follow(log);
		if (messages != COUNT)
			die("the client received %u messages, not %d", messages, COUNT);
		CHECK(syscall(SYS_delete_module, "rpmsg_client_sample", 0) == 0);
	}
	puts("the sample client said goodbye");
	return 0;
}
