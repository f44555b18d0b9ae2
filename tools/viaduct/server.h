/* SPDX-License-Identifier: BSD-3-Clause */
/* Serving a device to vhost-user front ends that connect to a Unix socket, one at a time. */
#ifndef VIADUCT_SERVER_H
#define VIADUCT_SERVER_H

#include "tool_device.h"
#include "viaduct/vhost_user.h"

struct vt_server {
	struct vt_device *device;
	bool persist; /* accept the next front end when one is gone */
	bool trace;   /* show every message */
	/* Optional: a front end is gone, and no other will be accepted. @err: -ECONNRESET if it
	 * left by itself, or what was wrong. */
	void (*ended)(struct vt_server *server, int err);
	void *owner;

	/* private */
	char path[108];
	int listener;
	uv_poll_t on_connect;
	uv_poll_t on_work;
	struct vd_vu_backend *backend;
	unsigned open_handles;
	bool talked; /* whoever is connected has sent a request */
	bool closing;
};

/* Listen at @path. 0, or says why not and returns a negative errno. */
int vt_server_open(struct vt_server *server, const char *path);

/* Stop. The device is detached at once; the loop runs until handles are closed. */
void vt_server_close(struct vt_server *server);

/* Free what is left when the loop has run. */
void vt_server_destroy(struct vt_server *server);

/* Look at the device's queues now, outside of any event of the front end. */
void vt_server_poll(struct vt_server *server);

#endif /* VIADUCT_SERVER_H */
