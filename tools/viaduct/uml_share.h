/* SPDX-License-Identifier: BSD-3-Clause */
/* Which paths of the host the guest must see although it mounts something fresh over them. */
#ifndef VIADUCT_UML_SHARE_H
#define VIADUCT_UML_SHARE_H

#include <stddef.h>

/* A list of paths that ends with NULL; each is its own allocation. */
struct vt_shares {
	char **paths;
	size_t count;
};

/* Where a fresh mount hides the host's files: for `--help`. */
#define VT_SHARE_HIDDEN "/tmp, /run and /dev/shm"

/* What the command itself needs: its @directory, and the program that @name will run. -ENOMEM. */
int vt_shares_for_command(struct vt_shares *shares, const char *directory, const char *name);

/* What was asked for. Says why not. */
int vt_shares_add(struct vt_shares *shares, const char *path);

int vt_shares_begin(struct vt_shares *shares);
void vt_shares_free(struct vt_shares *shares);

#endif /* VIADUCT_UML_SHARE_H */
