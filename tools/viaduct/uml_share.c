/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths to be seen through fresh mounts: see uml_share.h. */
#include "uml_share.h"
#include "ui.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As guest-init/mounts.c mounts them. */
static const char *const fresh[] = {"/tmp", "/run", "/dev/shm"};

#define FRESH (sizeof(fresh) / sizeof(fresh[0]))

/* ---- the list ---- */

int vt_shares_begin(struct vt_shares *shares)
{
	shares->count = 0;
	shares->paths = calloc(1, sizeof(*shares->paths));
	return shares->paths != NULL ? 0 : -ENOMEM;
}

void vt_shares_free(struct vt_shares *shares)
{
	for (size_t i = 0; i < shares->count; i++)
		free(shares->paths[i]);
	free(shares->paths);
}

static bool has(const struct vt_shares *shares, const char *path)
{
	for (size_t i = 0; i < shares->count; i++)
		if (strcmp(shares->paths[i], path) == 0)
			return true;
	return false;
}

static int append(struct vt_shares *shares, const char *path)
{
	char **more;

	if (has(shares, path))
		return 0;
	more = realloc(shares->paths, (shares->count + 2) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	shares->paths = more;
	more[shares->count] = strdup(path);
	if (more[shares->count] == NULL)
		return -ENOMEM;
	more[++shares->count] = NULL;
	return 0;
}

/* ---- what is hidden ---- */

/* The part of @path behind the fresh mount that hides it, or NULL: "/x" of "/tmp/x", "" of "/tmp".
 */
static const char *hidden_part(const char *path)
{
	for (size_t i = 0; i < FRESH; i++) {
		size_t length = strlen(fresh[i]);

		if (strncmp(path, fresh[i], length) == 0 &&
		    (path[length] == '\0' || path[length] == '/'))
			return path + length;
	}
	return NULL;
}

/*
 * Share what @path (absolute, without links) is part of: of /tmp/clone/build/tests all of
 * /tmp/clone, since what is in one directory of a tree tends to need the others. Of /tmp itself
 * nothing: a fresh one is what was promised.
 */
static int add_tree(struct vt_shares *shares, const char *path)
{
	const char *part = hidden_part(path);
	char top[PATH_MAX];
	size_t length;

	if (part == NULL || part[0] == '\0' || part[1] == '\0')
		return 0;
	length = (size_t)(part - path) + 1 + strcspn(part + 1, "/");
	snprintf(top, sizeof(top), "%.*s", (int)length, path);
	return append(shares, top);
}

/* ---- what the command needs ---- */

/* The program, and if it is a link that which it leads to. */
static int add_program(struct vt_shares *shares, const char *path)
{
	char directory[PATH_MAX];
	char real[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int err = 0;

	snprintf(directory, sizeof(directory), "%.*s/.", (int)(slash - path), path);
	if (realpath(directory, real) != NULL && strlen(real) + strlen(slash) < sizeof(real)) {
		strcat(real, slash);
		err = add_tree(shares, real);
	}
	if (err == 0 && realpath(path, real) != NULL)
		err = add_tree(shares, real);
	return err;
}

static bool is_program(const char *path)
{
	struct stat at;

	return stat(path, &at) == 0 && S_ISREG(at.st_mode) && access(path, X_OK) == 0;
}

/* The first on PATH, as execvp() would find it. */
static bool find_on_path(const char *name, char found[static PATH_MAX])
{
	const char *path = getenv("PATH");

	for (const char *at = path != NULL ? path : "/bin:/usr/bin"; *at != '\0';) {
		size_t length = strcspn(at, ":");

		if (snprintf(found, PATH_MAX, "%.*s/%s", (int)length, length > 0 ? at : ".", name) <
			    PATH_MAX &&
		    is_program(found))
			return true;
		at += length;
		at += *at == ':';
	}
	return false;
}

int vt_shares_for_command(struct vt_shares *shares, const char *directory, const char *name)
{
	char found[PATH_MAX];
	int err = add_tree(shares, directory);

	if (err != 0)
		return err;
	if (strchr(name, '/') != NULL)
		return add_program(shares, name);
	return find_on_path(name, found) ? add_program(shares, found) : 0;
}

/* ---- what was asked for ---- */

int vt_shares_add(struct vt_shares *shares, const char *path)
{
	char real[PATH_MAX];
	int err;

	if (realpath(path, real) == NULL) {
		vt_error("can't share %s: %s", path, strerror(errno));
		return -errno;
	}
	/* Everywhere else the host's files can be seen anyway. */
	err = hidden_part(real) != NULL ? append(shares, real) : 0;
	if (err != 0)
		vt_error("can't share %s: %s", path, strerror(-err));
	return err;
}
