/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user back end that only listens: says "listening", prints the number of the first request
 * it gets on the Unix socket named on its command line, and hangs up.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint32_t header[3];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int peer;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	strcpy(address.sun_path, argv[1]);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listener, 1) != 0) {
		perror(argv[1]);
		return 1;
	}
	puts("listening");
	fflush(stdout);
	peer = accept(listener, NULL, NULL);
	if (peer < 0 || recv(peer, header, sizeof(header), MSG_WAITALL) != sizeof(header)) {
		perror("no request");
		return 1;
	}
	printf("request %u\n", header[0]);
	return 0;
}
