/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Linux kernel that `viaduct linux` boots, built once for each user.
 *
 *     ~/.cache/viaduct/kernel-VERSION-HASH/
 *             linux        the kernel, a program
 *             modules/     its modules
 *             .config      its configuration
 *             source       which source it was built from
 *             build.log    how
 *
 * HASH stands for the configuration, so a `viaduct` that wants another one builds another. Such a
 * directory appears complete or not at all.
 */
#ifndef VIADUCT_KERNEL_H
#define VIADUCT_KERNEL_H

#include <limits.h>
#include <stdbool.h>

struct vt_kernel {
	char version[64];
	char directory[PATH_MAX];
	char binary[PATH_MAX];
	char modules[PATH_MAX];
};

/* Find a kernel that is ready. 0; -ENOENT: none has been built; or why the cache can't be read. */
int vt_kernel_find(struct vt_kernel *kernel);

struct vt_kernel_build {
	const char *source; /* a linux-source archive; NULL: Debian's */
	long jobs;          /* 0: one for each processor */
	bool again;         /* even if one is ready */
};

/*
 * Build it, unless one is ready. Says what it does, and why it failed. -EINTR: a signal asked to
 * stop; it was handled, everything half-done is gone, and vt_kernel_build_signal() tells which it
 * was.
 */
int vt_kernel_build(struct vt_kernel *kernel, const struct vt_kernel_build *how);
int vt_kernel_build_signal(void);

/* Remove every kernel, and whatever an interrupted build left. Says why if that fails. */
int vt_kernel_clean(void);

#endif /* VIADUCT_KERNEL_H */
