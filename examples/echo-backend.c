/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest rpmsg service there is: an echo on a channel named rpmsg-raw, for any vhost-user
 * front end that connects to a Unix socket. No event loop but poll(), no thread, and after the
 * start no allocation.
 *
 *     echo-backend /tmp/echo.sock &
 *     viaduct linux --device vhost-user:/tmp/echo.sock,id=7 -- sh -c 'ls /dev/rpmsg*'
 */
#include <viaduct/linux.h>
#include <viaduct/rpmsg_remote.h>
#include <viaduct/vhost_user.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The library does nothing by itself: this runs inside vd_vu_backend_poll(). */
static enum vd_rpmsg_verdict echo(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	int err = vd_rpmsg_trysendto(ept, msg->data, msg->len, msg->src);

	if (err != 0)
		fprintf(stderr, "a message of %u bytes could not be returned: error %d\n", msg->len,
			-err);
	return VD_RPMSG_RELEASE;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(sock, 1) != 0) {
		perror(path);
		exit(1);
	}
	return sock;
}

/* Serve one front end until it is gone. */
static void serve(struct vd_vu_backend *backend)
{
	struct pollfd events = {.fd = vd_vu_backend_fd(backend), .events = POLLIN};
	char why[200];

	while (vd_vu_backend_poll(backend) == 0)
		poll(&events, 1, -1);
	if (vd_vu_backend_fault(backend)->code != VD_FAULT_NONE) {
		vd_fault_text(vd_vu_backend_fault(backend), why, sizeof(why));
		fprintf(stderr, "the front end broke a rule: %s\n", why);
	}
}

int main(int argc, char **argv)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	static struct vd_rpmsg_remote remote;
	struct vd_vu_backend_config backend_config = {
		.dev = &remote.dev,
		.protocol_features = VD_VU_PROTOCOL_DEFAULT,
	};
	struct vd_rpmsg_ept ept = {0};
	struct vd_vu_backend *backend;
	size_t size = vd_rpmsg_remote_memory(&config);
	int sock;

	if (argc != 2) {
		fprintf(stderr, "usage: echo-backend SOCKET\n");
		return 2;
	}
	if (vd_rpmsg_remote_init(&remote, &config, malloc(size), size) != 0 ||
	    vd_rpmsg_create_ept(&remote.link, &ept, "rpmsg-raw", VD_RPMSG_ADDR_ANY,
				VD_RPMSG_ADDR_ANY, echo, 0) != 0 ||
	    vd_vu_backend_create(&backend, &backend_config) != 0) {
		fprintf(stderr, "out of memory\n");
		return 1;
	}
	vd_guard_install();
	sock = listen_at(argv[1]);
	for (;;) {
		if (vd_vu_backend_connect(backend, accept(sock, NULL, NULL)) == 0)
			serve(backend);
	}
}
