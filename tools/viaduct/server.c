/* SPDX-License-Identifier: BSD-3-Clause */
/* Serving a device to vhost-user front ends: see server.h. */
#include "server.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the socket ---- */

static bool somebody_listens(const struct sockaddr_un *address)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answer = sock >= 0 &&
		      connect(sock, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (sock >= 0)
		close(sock);
	return answer;
}

/* Remove a socket that its owner left behind when it was killed. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		vt_error("%s exists and is not a socket", address->sun_path);
		return -EEXIST;
	}
	if (somebody_listens(address)) {
		vt_error("another program listens at %s already", address->sun_path);
		return -EADDRINUSE;
	}
	unlink(address->sun_path);
	return 0;
}

static int listen_at(struct vt_server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int err;

	memcpy(address.sun_path, server->path, sizeof(address.sun_path));
	err = clear_path(&address);
	if (err != 0)
		return err;
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0 ||
	    bind(server->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(server->listener, 4) != 0) {
		err = -errno;
		vt_error("can't listen at %s: %s", server->path, strerror(-err));
		if (server->listener >= 0)
			close(server->listener);
		server->listener = -1;
	}
	return err;
}

/* ---- front ends ---- */

static void accept_next(struct vt_server *server);

static void front_end_gone(struct vt_server *server, int err)
{
	struct vt_device *device = server->device;

	/* Somebody looked whether there is anybody: see somebody_listens(). */
	if (!server->talked && err == -ECONNRESET) {
		accept_next(server);
		return;
	}
	if (err == -EPROTO)
		vt_report_fault(&device->report, vd_vu_backend_fault(server->backend));
	vt_report_progress(&device->report, "disconnected", json_pack("{s:i}", "errno", -err),
			   err == -ECONNRESET ? "the front end is gone"
					      : "the front end was disconnected");
	if (server->persist)
		accept_next(server);
	else if (server->ended != NULL)
		server->ended(server, err);
}

void vt_server_poll(struct vt_server *server)
{
	int err;

	if (server->backend == NULL || !vd_vu_backend_is_connected(server->backend))
		return;
	err = vd_vu_backend_poll(server->backend);
	if (err == 0 && server->device->kind->after_poll != NULL)
		server->device->kind->after_poll(server->device);
	if (err != 0)
		front_end_gone(server, err);
}

static void on_work(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	vt_server_poll(handle->data);
}

static void on_connect(uv_poll_t *handle, int status, int events)
{
	struct vt_server *server = handle->data;
	int sock = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

	(void)status;
	(void)events;
	if (sock < 0)
		return;
	/* One at a time: others wait in the backlog of the socket. */
	uv_poll_stop(&server->on_connect);
	server->talked = false;
	if (vd_vu_backend_connect(server->backend, sock) != 0)
		accept_next(server);
}

static void accept_next(struct vt_server *server)
{
	if (!server->closing)
		uv_poll_start(&server->on_connect, UV_READABLE, on_connect);
}

static void show(struct vt_server *server, uint32_t request, uint32_t flags, uint32_t size,
		 unsigned n_fds)
{
	const char *name = vd_vu_request_name(request);

	vt_report(&server->device->report, "message",
		  json_pack("{s:i, s:s, s:i, s:i, s:i}", "request", (int)request, "name",
			    name != NULL ? name : "?", "flags", (int)flags, "size", (int)size,
			    "fds", (int)n_fds),
		  NULL);
}

static void on_request(struct vd_vu_backend *backend, uint32_t request, uint32_t flags,
		       const void *payload, uint32_t size, unsigned n_fds)
{
	struct vt_server *server = vd_vu_backend_config(backend)->owner;

	(void)payload;
	if (!server->talked)
		vt_report(&server->device->report, "connected", NULL, NULL);
	server->talked = true;
	if (server->trace)
		show(server, request, flags, size, n_fds);
}

/* ---- life ---- */

static int open_backend(struct vt_server *server)
{
	struct vd_vu_backend_config config = {
		.dev = server->device->dev,
		.protocol_features = VD_VU_PROTOCOL_DEFAULT,
		.owner = server,
		.trace = on_request,
	};
	int err = vd_vu_backend_create(&server->backend, &config);

	if (err != 0)
		vt_error("can't serve a device: %s", strerror(-err));
	return err;
}

static void watch(struct vt_server *server)
{
	uv_loop_t *loop = server->device->loop;

	uv_poll_init(loop, &server->on_connect, server->listener);
	server->on_connect.data = server;
	uv_poll_init(loop, &server->on_work, vd_vu_backend_fd(server->backend));
	server->on_work.data = server;
	server->open_handles = 2;
	uv_poll_start(&server->on_work, UV_READABLE, on_work);
	accept_next(server);
}

int vt_server_open(struct vt_server *server, const char *path)
{
	int err;

	server->listener = -1;
	server->backend = NULL;
	server->open_handles = 0;
	server->closing = false;
	if (strlen(path) >= sizeof(server->path)) {
		vt_error("the path of a socket has at most %zu bytes: %s", sizeof(server->path) - 1,
			 path);
		return -ENAMETOOLONG;
	}
	memset(server->path, 0, sizeof(server->path));
	memcpy(server->path, path, strlen(path));
	err = listen_at(server);
	if (err == 0)
		err = open_backend(server);
	if (err != 0) {
		vt_server_destroy(server);
		return err;
	}
	watch(server);
	return 0;
}

static void handle_closed(uv_handle_t *handle)
{
	struct vt_server *server = handle->data;

	server->open_handles--;
}

void vt_server_close(struct vt_server *server)
{
	if (server->closing || server->open_handles == 0)
		return;
	server->closing = true;
	vd_vu_backend_disconnect(server->backend);
	uv_close((uv_handle_t *)&server->on_connect, handle_closed);
	uv_close((uv_handle_t *)&server->on_work, handle_closed);
}

void vt_server_destroy(struct vt_server *server)
{
	vd_vu_backend_destroy(server->backend);
	server->backend = NULL;
	if (server->listener < 0)
		return;
	close(server->listener);
	unlink(server->path);
	server->listener = -1;
}
