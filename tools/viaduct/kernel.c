/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache of kernels: where it is, what is in it, who may write to it. */
#include "kernel.h"
#include "kernel_config.h"
#include "kernel_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- paths ---- */

void vt_kernel_join(char out[static PATH_MAX], const char *path, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", path, name) >= PATH_MAX)
		out[0] = '\0';
}

/* As the XDG base directory specification has it: a relative XDG_CACHE_HOME is ignored. */
int vt_kernel_cache(char *path, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	int n;

	if (cache != NULL && cache[0] == '/')
		n = snprintf(path, size, "%s/viaduct", cache);
	else if (home != NULL && home[0] == '/')
		n = snprintf(path, size, "%s/.cache/viaduct", home);
	else
		return -ENOENT;
	return n < (int)size ? 0 : -ENAMETOOLONG;
}

static int make_directories(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0777);
	}
	return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : -errno;
}

static int remove_one(const char *path, const struct stat *unused, int flag, struct FTW *unused_too)
{
	(void)unused;
	(void)flag;
	(void)unused_too;
	return remove(path);
}

int vt_kernel_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* ---- the lock ---- */

/* Whoever cleans the cache removes the lock too; then the one we waited for is no lock any more. */
static bool is_still_there(int lock, const char *path)
{
	struct stat ours;
	struct stat there;

	return fstat(lock, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

static int lock_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0666);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK) {
		vt_note("waiting for another `viaduct` that is building the kernel");
		if (flock(fd, LOCK_EX) == 0)
			return fd;
	}
	close(fd);
	return -errno;
}

int vt_kernel_lock(const char *cache)
{
	char path[PATH_MAX];
	int err = make_directories(cache);
	int fd;

	if (err != 0) {
		vt_error("can't make the directory %s: %s; set XDG_CACHE_HOME to one that can be "
			 "written",
			 cache, strerror(-err));
		return err;
	}
	vt_kernel_join(path, cache, "lock");
	for (;;) {
		fd = lock_file(path);
		if (fd < 0) {
			vt_error("can't lock %s: %s", path, strerror(-fd));
			return fd;
		}
		if (is_still_there(fd, path))
			return fd;
		close(fd);
	}
}

void vt_kernel_unlock(int lock)
{
	close(lock);
}

/* ---- what is there ---- */

/* Of "kernel-6.1.192-0123abcd" the version, if the rest is right. */
static bool parse_name(const char *name, const char *hash, char *version, size_t size)
{
	size_t length = strlen(name);
	size_t tail = strlen(hash) + 1;

	if (strncmp(name, "kernel-", 7) != 0 || length <= 7 + tail || name[length - tail] != '-' ||
	    strcmp(name + length - tail + 1, hash) != 0)
		return false;
	return snprintf(version, size, "%.*s", (int)(length - tail - 7), name + 7) < (int)size;
}

static void fill(struct vt_kernel *kernel, const char *cache, const char *name)
{
	vt_kernel_join(kernel->directory, cache, name);
	vt_kernel_join(kernel->binary, kernel->directory, "linux");
	vt_kernel_join(kernel->modules, kernel->directory, "modules");
}

/* The newest of those with our configuration. */
static int choose(struct vt_kernel *kernel, const char *cache, DIR *directory)
{
	char version[sizeof(kernel->version)];
	char hash[9];
	int err = -ENOENT;

	vt_kernel_config_hash(hash);
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
		if (!parse_name(entry->d_name, hash, version, sizeof(version)))
			continue;
		if (err == 0 && strverscmp(version, kernel->version) <= 0)
			continue;
		strcpy(kernel->version, version);
		fill(kernel, cache, entry->d_name);
		err = 0;
	}
	return err;
}

int vt_kernel_find(struct vt_kernel *kernel)
{
	char cache[PATH_MAX];
	DIR *directory;
	int err = vt_kernel_cache(cache, sizeof(cache));

	if (err != 0)
		return err;
	directory = opendir(cache);
	if (directory == NULL)
		return -errno;
	err = choose(kernel, cache, directory);
	closedir(directory);
	return err;
}

/* ---- clean ---- */

/* Ours by name: nothing else that somebody put there is touched. */
static bool is_ours(const char *name)
{
	return strncmp(name, "kernel-", 7) == 0 || strcmp(name, "building") == 0 ||
	       strcmp(name, "build.log") == 0;
}

static int remove_ours(const char *cache)
{
	DIR *directory = opendir(cache);
	char path[PATH_MAX];
	int err = 0;

	if (directory == NULL)
		return -errno;
	for (struct dirent *entry = readdir(directory); entry != NULL && err == 0;
	     entry = readdir(directory)) {
		if (!is_ours(entry->d_name))
			continue;
		vt_kernel_join(path, cache, entry->d_name);
		err = vt_kernel_remove(path);
	}
	closedir(directory);
	if (err != 0)
		vt_error("can't remove %s: %s", path, strerror(-err));
	return err;
}

int vt_kernel_clean(void)
{
	char cache[PATH_MAX];
	char path[PATH_MAX];
	int err = vt_kernel_cache(cache, sizeof(cache));
	int lock;

	if (err != 0 || access(cache, F_OK) != 0)
		return 0; /* nowhere to keep anything, so nothing is kept */
	lock = vt_kernel_lock(cache);
	if (lock < 0)
		return lock;
	err = remove_ours(cache);
	vt_kernel_join(path, cache, "lock");
	unlink(path);
	rmdir(cache);
	vt_kernel_unlock(lock);
	return err;
}
