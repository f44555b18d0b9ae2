/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of devices that `viaduct linux --device` knows. */
#include "server.h"
#include "tool_device.h"
#include "ui.h"
#include "uml.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- vhost-user: a back end that somebody else runs ---- */

/* "PATH,id=N". The path may contain commas. */
static int parse_vhost_user(const char *arguments, char path[static PATH_MAX], uint32_t *id)
{
	const char *comma = strrchr(arguments, ',');
	unsigned long value;
	char *end;

	if (comma == NULL || comma == arguments || strncmp(comma, ",id=", 4) != 0)
		return -EINVAL;
	errno = 0;
	value = strtoul(comma + 4, &end, 0);
	if (errno != 0 || end == comma + 4 || *end != '\0' || value == 0 || value > 0xffff)
		return -EINVAL;
	if (comma - arguments >= PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(path, PATH_MAX, "%.*s", (int)(comma - arguments), arguments);
	*id = (uint32_t)value;
	return 0;
}

static void warn_if_absent(const char *path)
{
	struct stat at;

	if (stat(path, &at) != 0)
		vt_warn("there is no socket %s yet; the guest starts without that device", path);
	else if (!S_ISSOCK(at.st_mode))
		vt_warn("%s is not a socket; the guest starts without that device", path);
}

/* The kernel takes the path up to the first colon, and no more than 107 bytes of it: give it a
 * short link instead. */
static int link_socket(struct vt_uml_device *device, const char *path,
		       const struct vt_uml_site *site)
{
	char absolute[PATH_MAX];
	char here[PATH_MAX] = "";

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return -errno;
	if (snprintf(absolute, sizeof(absolute), "%s%s%s", here, path[0] == '/' ? "" : "/", path) >=
	    (int)sizeof(absolute))
		return -ENAMETOOLONG;
	snprintf(device->socket, sizeof(device->socket), "%s/device%u", site->directory,
		 site->number);
	return symlink(absolute, device->socket) == 0 ? 0 : -errno;
}

static int vhost_user_open(struct vt_uml_device *device, const char *arguments,
			   const struct vt_uml_site *site)
{
	char path[PATH_MAX];
	int err = parse_vhost_user(arguments, path, &device->id);

	if (err != 0) {
		vt_error("--device vhost-user:PATH,id=N takes the path of a Unix socket and a "
			 "virtio device id from 1 to 65535, not '%s'",
			 arguments);
		return err;
	}
	warn_if_absent(path);
	err = link_socket(device, path, site);
	if (err != 0)
		vt_error("can't use the socket %s: %s", path, strerror(-err));
	return err;
}

static const struct vt_uml_device_kind vhost_user = {
	.name = "vhost-user",
	.arguments = "PATH,id=N",
	.summary = "the back end that listens on the Unix socket PATH, as virtio device N",
	.open = vhost_user_open,
};

/* ---- devices that we play ourselves ---- */

struct served {
	struct vt_device device;
	struct vt_server server;
	char spec[];
};

static void served_close(struct vt_uml_device *device)
{
	struct served *served = device->server;

	vt_server_close(&served->server);
	vt_device_close(&served->device);
}

static void served_destroy(struct vt_uml_device *device)
{
	struct served *served = device->server;

	vt_server_destroy(&served->server);
	vt_device_destroy(&served->device);
	free(served);
}

static const struct vt_uml_device_kind served_kind = {
	.name = "served",
	.close = served_close,
	.destroy = served_destroy,
};

static int serve(struct served *served, struct vt_uml_device *device,
		 const struct vt_uml_site *site)
{
	static const struct vt_report report = {.quiet = true};
	int err = vt_device_create(&served->device, served->spec, site->loop, &report);

	if (err != 0)
		return err;
	snprintf(device->socket, sizeof(device->socket), "%s/device%u", site->directory,
		 site->number);
	served->server = (struct vt_server){.device = &served->device, .persist = true};
	err = vt_server_open(&served->server, device->socket);
	if (err != 0) {
		vt_device_close(&served->device);
		uv_run(site->loop, UV_RUN_NOWAIT);
		vt_device_destroy(&served->device);
	}
	return err;
}

/* The guest may let go of the device and take it again, so the server persists. */
static int served_open(struct vt_uml_device *device, const char *spec,
		       const struct vt_uml_site *site)
{
	struct served *served = calloc(1, sizeof(*served) + strlen(spec) + 1);
	int err;

	if (served == NULL)
		return -ENOMEM;
	strcpy(served->spec, spec);
	err = serve(served, device, site);
	if (err != 0) {
		free(served);
		return err;
	}
	device->kind = &served_kind;
	device->server = served;
	device->id = served->device.kind->id;
	return 0;
}

/* ---- all of them ---- */

const struct vt_uml_device_kind *const vt_uml_device_kinds[] = {
	&vhost_user,
	NULL,
};

static void complain(const char *spec)
{
	char names[256] = "";

	for (size_t i = 0; vt_device_kinds[i] != NULL; i++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, "%s, ", vt_device_kinds[i]->name);
	}
	for (size_t i = 0; vt_uml_device_kinds[i] != NULL; i++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, "or %s:%s",
			 vt_uml_device_kinds[i]->name, vt_uml_device_kinds[i]->arguments);
	}
	vt_error("--device takes %s, not '%s'; --help explains them", names, spec);
}

int vt_uml_device_open(struct vt_uml_device *device, const char *spec,
		       const struct vt_uml_site *site)
{
	size_t length = strcspn(spec, ":");
	const char *arguments = spec[length] == ':' ? spec + length + 1 : "";

	memset(device, 0, sizeof(*device));
	if (vt_device_kind_of(spec) != NULL)
		return served_open(device, spec, site);
	for (size_t i = 0; vt_uml_device_kinds[i] != NULL; i++) {
		const struct vt_uml_device_kind *kind = vt_uml_device_kinds[i];

		if (strlen(kind->name) != length || strncmp(kind->name, spec, length) != 0)
			continue;
		device->kind = kind;
		return kind->open(device, arguments, site);
	}
	complain(spec);
	return -EINVAL;
}

void vt_uml_device_destroy(struct vt_uml_device *device)
{
	if (device->kind != NULL && device->kind->destroy != NULL)
		device->kind->destroy(device);
}

void vt_uml_device_close(struct vt_uml_device *device)
{
	if (device->kind != NULL && device->kind->close != NULL)
		device->kind->close(device);
}
