/* SPDX-License-Identifier: BSD-3-Clause */
/* What a kernel is built from: the programs that must be installed, and the source. */
#include "kernel_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCES   "/usr/src"
#define PREFERRED "linux-source-6.1.tar.xz"

/* ---- programs ---- */

static const struct {
	const char *program;
	const char *package;
} tools[] = {
	{"make", "make"}, {"gcc", "gcc"},     {"ld", "binutils"}, {"bc", "bc"},
	{"flex", "flex"}, {"bison", "bison"}, {"tar", "tar"},     {"xz", "xz-utils"},
};

static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	for (const char *at = path != NULL ? path : "/usr/bin:/bin"; *at != '\0';) {
		size_t length = strcspn(at, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)length, at, program);
		if (access(file, X_OK) == 0)
			return true;
		at += length;
		at += *at == ':';
	}
	return false;
}

int vt_kernel_source_tools(void)
{
	char missing[128] = "";

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (is_installed(tools[i].program))
			continue;
		strcat(missing, " ");
		strcat(missing, tools[i].package);
	}
	if (missing[0] == '\0')
		return 0;
	vt_error("to build the kernel these Debian packages are missing:%s; `apt install%s`",
		 missing, missing);
	return -ENOENT;
}

/* ---- which source ---- */

static bool is_source(const char *name)
{
	size_t length = strlen(name);

	return strncmp(name, "linux-source-", 13) == 0 && length > 7 &&
	       strcmp(name + length - 7, ".tar.xz") == 0;
}

/* The newest other one. */
static void find_other_source(char best[static NAME_MAX + 1])
{
	DIR *directory = opendir(SOURCES);

	best[0] = '\0';
	if (directory == NULL)
		return;
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
		if (is_source(entry->d_name) && strverscmp(entry->d_name, best) > 0)
			strcpy(best, entry->d_name);
	closedir(directory);
}

/* Debian's 6.1 if it is there, or any other of Debian's. */
static void find_debian_source(char path[static PATH_MAX])
{
	char other[NAME_MAX + 1];

	vt_kernel_join(path, SOURCES, PREFERRED);
	if (access(path, R_OK) == 0)
		return;
	find_other_source(other);
	if (other[0] != '\0')
		vt_kernel_join(path, SOURCES, other);
	else
		path[0] = '\0';
}

int vt_kernel_source_find(char path[static PATH_MAX], const char *wanted)
{
	if (wanted == NULL) {
		find_debian_source(path);
		return 0;
	}
	if (realpath(wanted, path) != NULL)
		return 0;
	vt_error("can't use the source %s: %s", wanted, strerror(errno));
	return -errno;
}

int vt_kernel_source_check(const char *path, const char *wanted)
{
	if (path[0] == '\0') {
		vt_error("there is no kernel source in " SOURCES
			 "; `apt install linux-source-6.1`, or name an archive with `viaduct "
			 "kernel build --source`");
		return -ENOENT;
	}
	if (wanted == NULL && strstr(path, PREFERRED) == NULL)
		vt_warn("building from %s; the source that is known to work is linux-source-6.1",
			path);
	return 0;
}

/* A newer archive of the same name has another size or date. */
int vt_kernel_source_describe(const char *path, char *text, size_t size)
{
	struct stat at;

	if (stat(path, &at) != 0)
		return -errno;
	snprintf(text, size, "%s %lld %lld\n", path, (long long)at.st_size, (long long)at.st_mtime);
	return 0;
}

/* ---- unpacking ---- */

/*
 * Trees of which only the build files are needed, or nothing at all: half of the files, and two
 * thirds of the bytes. (tar's `*` crosses slashes.)
 */
static const char *const unneeded[] = {
	"Documentation/*.rst",
	"Documentation/*.yaml",
	"Documentation/*.txt",
	"Documentation/*.svg",
	"arch/[a-t]*/*.[chS]",
	"arch/[a-t]*/*.dts*",
	"arch/xtensa/*.[chS]",
	"tools",
	"LICENSES",
	"rust",
	"drivers/gpu/*.[ch]",
	"drivers/net/*/*.[ch]",
	"drivers/media/*.[ch]",
	"drivers/scsi/*.[ch]",
	"drivers/staging/*.[ch]",
	"drivers/usb/*.[ch]",
	"drivers/infiniband/*.[ch]",
	"drivers/video/*.[ch]",
	"drivers/iio/*.[ch]",
	"drivers/mtd/*.[ch]",
	"drivers/hwmon/*.[ch]",
	"drivers/clk/*.[ch]",
	"drivers/pinctrl/*.[ch]",
	"sound/*.[ch]",
};

#define UNNEEDED (sizeof(unneeded) / sizeof(unneeded[0]))

/* The archive linux-source-6.1.tar.xz holds one directory, linux-source-6.1. */
static void top_directory(const char *archive, char top[static NAME_MAX + 1])
{
	const char *slash = strrchr(archive, '/');
	const char *name = slash != NULL ? slash + 1 : archive;
	const char *end = strstr(name, ".tar");

	snprintf(top, NAME_MAX + 1, "%.*s", end != NULL ? (int)(end - name) : NAME_MAX, name);
}

int vt_kernel_source_unpack(struct vt_kernel_run *run, const char *archive, const char *tree)
{
	char exclude[UNNEEDED][NAME_MAX + 64];
	char top[NAME_MAX + 1];
	const char *argv[] = {"tar", "--extract", "--use-compress-program=xz --threads=0", "--file",
			      archive, "--directory", tree, "--strip-components=1",
			      "--no-same-owner", "--anchored",
			      /* room for the rest */
			      [10 + UNNEEDED] = NULL};

	if (mkdir(tree, 0777) != 0)
		return -errno;
	top_directory(archive, top);
	for (size_t i = 0; i < UNNEEDED; i++) {
		snprintf(exclude[i], sizeof(exclude[i]), "--exclude=%s/%s", top, unneeded[i]);
		argv[10 + i] = exclude[i];
	}
	return vt_kernel_run(run, argv);
}

/* "SUBLEVEL = 192" */
static int makefile_number(FILE *makefile, const char *name)
{
	char line[256];
	size_t length = strlen(name);
	int value;

	rewind(makefile);
	while (fgets(line, sizeof(line), makefile) != NULL)
		if (strncmp(line, name, length) == 0 && sscanf(line + length, " = %d", &value) == 1)
			return value;
	return 0;
}

int vt_kernel_source_version(const char *tree, char *version, size_t size)
{
	char path[PATH_MAX];
	FILE *makefile;

	vt_kernel_join(path, tree, "Makefile");
	makefile = fopen(path, "re");
	if (makefile == NULL)
		return -errno;
	snprintf(version, size, "%d.%d.%d", makefile_number(makefile, "VERSION"),
		 makefile_number(makefile, "PATCHLEVEL"), makefile_number(makefile, "SUBLEVEL"));
	fclose(makefile);
	return 0;
}
