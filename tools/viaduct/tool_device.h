/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that the tool can play, for `viaduct device` and `viaduct linux --device`. Each kind
 * lives in a file of its own and is one row of the table in tool_device.c.
 */
#ifndef VIADUCT_TOOL_DEVICE_H
#define VIADUCT_TOOL_DEVICE_H

#include "report.h"
#include "spec.h"
#include "viaduct/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <uv.h>

struct vt_device;

struct vt_device_kind {
	const char *name;
	uint32_t id;           /* virtio device id */
	const char *arguments; /* for `--help` */
	const char *summary;
	/* Make the device that @spec describes; set device->dev. 0, or says what is wrong and how
	 * it is right, and returns a negative errno. */
	int (*create)(struct vt_device *device, const struct vt_spec *spec);
	/* Begin to let go: close handles of the loop, which runs until they are closed. */
	void (*close)(struct vt_device *device);
	/* The loop has run; free what is left. */
	void (*destroy)(struct vt_device *device);
	/* Optional: called after each poll of its transport, for work that had to wait for its end.
	 */
	void (*after_poll)(struct vt_device *device);
	/* Optional: tell how much went through. */
	void (*tell)(struct vt_device *device);
};

struct vt_device {
	const struct vt_device_kind *kind;
	uv_loop_t *loop;
	struct vd_device *dev;
	struct vt_report report;
	void *state; /* the kind's own */
};

extern const struct vt_device_kind *const vt_device_kinds[];

/* Is there a kind of the name that @spec begins with? */
const struct vt_device_kind *vt_device_kind_of(const char *spec);

/* Make the device @spec describes, on @loop. @report is copied but for its subject, which is @spec
 * and must outlive the device. 0 or, after saying why, a negative errno. */
int vt_device_create(struct vt_device *device, const char *spec, uv_loop_t *loop,
		     const struct vt_report *report);
void vt_device_close(struct vt_device *device);
void vt_device_destroy(struct vt_device *device);

/* "  KIND,ARGUMENTS\n      SUMMARY\n" for each kind, for --help. */
void vt_device_help(FILE *out);

#endif /* VIADUCT_TOOL_DEVICE_H */
