/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files kernel*.c share. */
#ifndef VIADUCT_KERNEL_PARTS_H
#define VIADUCT_KERNEL_PARTS_H

#include "kernel.h"
#include "ui.h"

#include <stddef.h>
#include <stdio.h>

/* ---- kernel.c: the cache ---- */

/* The directory that holds the kernels, without a slash at the end. -ENOENT: no home. */
int vt_kernel_cache(char *path, size_t size);

/* Make it, and lock it until vt_kernel_unlock(). Waits for another build, saying so. Returns a
 * descriptor, or says why not and returns an error. Programs started meanwhile inherit the lock, so
 * that nothing they still write is mistaken for garbage. */
int vt_kernel_lock(const char *cache);
void vt_kernel_unlock(int lock);

/* Remove a file or a whole tree. What does not exist is removed. */
int vt_kernel_remove(const char *path);

/* PATH/NAME. Never cut short: a path that is too long is as good as none, and fails later. */
void vt_kernel_join(char out[static PATH_MAX], const char *path, const char *name);

/* ---- kernel_run.c: the programs that build it ---- */

struct vt_kernel_run {
	FILE *log;
	struct vt_progress *progress;
	unsigned long steps; /* lines that look like a step of make(1), so far, ... */
	unsigned long total; /* ... and in the end; 0: nobody knows */
};

/* From here on signals that would end us end what vt_kernel_run() runs, and are remembered. */
void vt_kernel_run_prepare(void);
void vt_kernel_run_finish(void);

/* Run a program, its output into the log. 0; -EINTR: a signal stopped it; -ECHILD: it failed. */
int vt_kernel_run(struct vt_kernel_run *run, const char *const *argv);

/* ---- kernel_source.c: what it is built from ---- */

/* Is everything installed? Says what is not, and returns -ENOENT. */
int vt_kernel_source_tools(void);

/* The archive @wanted, or if that is NULL one of Debian's; "" if there is none. Says why not if
 * @wanted can't be used. */
int vt_kernel_source_find(char path[static PATH_MAX], const char *wanted);

/* Say that there is none, or that it is not the best one. */
int vt_kernel_source_check(const char *path, const char *wanted);

/* A line that tells this archive from others. */
int vt_kernel_source_describe(const char *path, char *text, size_t size);

/* Unpack what is needed of it into the new directory @tree. */
int vt_kernel_source_unpack(struct vt_kernel_run *run, const char *archive, const char *tree);

/* Which version lies in @tree. */
int vt_kernel_source_version(const char *tree, char *version, size_t size);

#endif /* VIADUCT_KERNEL_PARTS_H */
