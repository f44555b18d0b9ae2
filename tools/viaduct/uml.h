/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command inside a real Linux kernel that runs as an ordinary process (User Mode Linux): what
 * `viaduct linux` does once it knows what it was asked for, and the devices that such a kernel is
 * given.
 */
#ifndef VIADUCT_UML_H
#define VIADUCT_UML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* ---- devices ---- */

struct vt_uml_device_kind;

/* One virtio device of the guest. Its driver connects to @socket and speaks vhost-user. */
struct vt_uml_device {
	char socket[108]; /* path of a Unix socket; no colon in it */
	uint32_t id;      /* virtio device id: 3 console, 7 rpmsg, 18 input, ... */
	const struct vt_uml_device_kind *kind;
	void *server; /* the kind's own; NULL for a back end elsewhere */
};

/* Where a kind may work: the one loop of the process, and a private directory that is removed with
 * everything in it in the end. */
struct vt_uml_site {
	uv_loop_t *loop;
	const char *directory;
	unsigned number; /* 0, 1, ...: which device this is, for names in the directory */
};

/*
 * What `--device` can name beside the devices of tool_device.h, which are served on the loop: a row
 * of the table in uml_device.c, as KIND:ARGUMENTS.
 *
 * open() fills socket and id, and starts whatever serves the socket on the loop. It runs before the
 * kernel starts and must not wait for it. 0, or says what is wrong (and how it is right) with
 * vt_error() and returns a negative errno value; then close() is not called.
 * close() runs when the kernel has ended. It may leave handles closing: the loop runs until they
 * have. destroy() runs after that. Both optional.
 */
struct vt_uml_device_kind {
	const char *name;
	const char *arguments; /* for `--help` */
	const char *summary;
	int (*open)(struct vt_uml_device *device, const char *arguments,
		    const struct vt_uml_site *site);
	void (*close)(struct vt_uml_device *device);
	void (*destroy)(struct vt_uml_device *device);
};

/* Every kind there is; ends with NULL. */
extern const struct vt_uml_device_kind *const vt_uml_device_kinds[];

int vt_uml_device_open(struct vt_uml_device *device, const char *spec,
		       const struct vt_uml_site *site);
void vt_uml_device_close(struct vt_uml_device *device);
void vt_uml_device_destroy(struct vt_uml_device *device);

/* ---- a run ---- */

struct vt_uml_run {
	const char *kernel;         /* the program that vt_kernel_find() found */
	uint64_t memory;            /* bytes */
	bool writable;              /* may the command write to the host's file system? */
	bool verbose;               /* show the kernel's messages */
	char *const *argv;          /* the command; ends with NULL */
	const char *const *devices; /* as given to --device */
	size_t n_devices;
	const char *const *shares; /* as given to --share */
	size_t n_shares;
};

enum { VT_UML_FAILED = 125 };

/* Do it, streams, terminal, signals and all. Returns the exit status for the process: the
 * command's, or VT_UML_FAILED after saying what went wrong. */
int vt_uml_run(const struct vt_uml_run *run);

#endif /* VIADUCT_UML_H */
