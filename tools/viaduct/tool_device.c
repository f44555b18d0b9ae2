/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of devices that the tool can play: see tool_device.h. */
#include "tool_device.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct vt_device_kind vt_device_rpmsg;

const struct vt_device_kind *const vt_device_kinds[] = {
	&vt_device_rpmsg,
	NULL,
};

const struct vt_device_kind *vt_device_kind_of(const char *spec)
{
	size_t length = strcspn(spec, ",");

	for (size_t i = 0; vt_device_kinds[i] != NULL; i++)
		if (strlen(vt_device_kinds[i]->name) == length &&
		    strncmp(vt_device_kinds[i]->name, spec, length) == 0)
			return vt_device_kinds[i];
	return NULL;
}

static int create(struct vt_device *device, const char *text)
{
	struct vt_spec spec;
	int err = vt_spec_parse(&spec, text);

	if (err != 0)
		return err;
	err = device->kind->create(device, &spec);
	vt_spec_free(&spec);
	return err;
}

int vt_device_create(struct vt_device *device, const char *spec, uv_loop_t *loop,
		     const struct vt_report *report)
{
	*device = (struct vt_device){
		.kind = vt_device_kind_of(spec),
		.loop = loop,
		.report = *report,
	};
	device->report.subject = spec;
	if (device->kind == NULL) {
		vt_error("there is no device '%s'; `viaduct device --help` lists what there is",
			 spec);
		return -ENODEV;
	}
	return create(device, spec);
}

void vt_device_close(struct vt_device *device)
{
	if (device->kind != NULL)
		device->kind->close(device);
}

void vt_device_destroy(struct vt_device *device)
{
	if (device->kind != NULL)
		device->kind->destroy(device);
	device->kind = NULL;
}

void vt_device_help(FILE *out)
{
	for (size_t i = 0; vt_device_kinds[i] != NULL; i++)
		fprintf(out, "  %s%s\n%s", vt_device_kinds[i]->name, vt_device_kinds[i]->arguments,
			vt_device_kinds[i]->summary);
}
