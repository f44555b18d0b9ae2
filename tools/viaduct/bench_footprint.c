/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory: what an idle device takes, and what an endpoint takes. */
#include "bench.h"
#include "ui.h"
#include "viaduct/rpmsg_remote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENDPOINTS 10000u

/* ---- an idle device ---- */

static long rss_kib(pid_t pid)
{
	char path[64];
	char line[256];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	while (file != NULL && kib < 0 && fgets(line, sizeof(line), file) != NULL)
		(void)sscanf(line, "VmRSS: %ld", &kib);
	if (file != NULL)
		fclose(file);
	return kib;
}

/* This very program, as a device that listens; it says so when it does. */
static pid_t start_device(const char *socket, int said)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	dup2(said, STDOUT_FILENO);
	execl("/proc/self/exe", "viaduct", "device", "rpmsg,service=echo", "--json", "--socket",
	      socket, (char *)NULL);
	_exit(127);
}

static long measure_idle(void)
{
	char directory[] = "/tmp/viaduct-XXXXXX";
	char socket[sizeof(directory) + 8];
	char heard[256];
	int said[2];
	long kib = -1;
	pid_t child;

	if (mkdtemp(directory) == NULL || pipe(said) != 0)
		return -1;
	snprintf(socket, sizeof(socket), "%s/rpmsg", directory);
	child = start_device(socket, said[1]);
	close(said[1]);
	if (child > 0 && read(said[0], heard, sizeof(heard)) > 0)
		kib = rss_kib(child);
	close(said[0]);
	if (child > 0) {
		kill(child, SIGTERM);
		waitpid(child, NULL, 0);
	}
	unlink(socket);
	rmdir(directory);
	return kib;
}

/* ---- endpoints ---- */

static enum vd_rpmsg_verdict ignore(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	(void)ept;
	(void)msg;
	return VD_RPMSG_RELEASE;
}

/* All memory of a link with so many endpoints: that of the link itself, and theirs. */
static double memory_with(uint32_t n)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;

	config.link.n_endpoints = n;
	return (double)vd_rpmsg_remote_memory(&config) + (double)n * sizeof(struct vd_rpmsg_ept);
}

/* That many endpoints really can be, and be found. */
static bool try_endpoints(void)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	struct vd_rpmsg_remote *remote = calloc(1, sizeof(*remote));
	struct vd_rpmsg_ept *epts = calloc(ENDPOINTS, sizeof(*epts));
	size_t size;
	void *memory;
	bool ok;

	config.link.n_endpoints = ENDPOINTS;
	size = vd_rpmsg_remote_memory(&config);
	memory = calloc(1, size);
	ok = remote != NULL && epts != NULL && memory != NULL &&
	     vd_rpmsg_remote_init(remote, &config, memory, size) == 0;
	for (uint32_t i = 0; ok && i < ENDPOINTS; i++)
		ok = vd_rpmsg_create_ept(&remote->link, &epts[i], NULL, VD_RPMSG_ADDR_ANY,
					 VD_RPMSG_ADDR_ANY, ignore, 0) == 0;
	for (uint32_t i = 0; ok && i < ENDPOINTS; i++)
		ok = vd_rpmsg_find_ept(&remote->link, epts[i].addr) == &epts[i];
	free(memory);
	free(epts);
	free(remote);
	return ok;
}

int vt_footprint(struct vt_footprint *footprint)
{
	if (!try_endpoints()) {
		vt_error("can't make %u endpoints", ENDPOINTS);
		return -ENOMEM;
	}
	footprint->bytes_per_endpoint = (memory_with(ENDPOINTS) - memory_with(1)) / (ENDPOINTS - 1);
	footprint->idle_rss_kib = measure_idle();
	return 0;
}
