/* SPDX-License-Identifier: BSD-3-Clause */
/* How the kernel of `viaduct linux` is configured: a table of options, each group with its reason,
 * and what is done with it. */
#ifndef VIADUCT_KERNEL_CONFIG_H
#define VIADUCT_KERNEL_CONFIG_H

#include <stddef.h>
#include <stdio.h>

/*
 * Handed to every compilation. The virtio driver of User Mode Linux runs queue callbacks in hard
 * interrupt context, where they must not sleep, but the drivers behind them do. Forced interrupt
 * threading (with `threadirqs` on the command line) cures it; the architecture can do that, and
 * only fails to say so in its configuration.
 */
#define VT_KERNEL_CFLAGS "-DCONFIG_IRQ_FORCED_THREADING=1"

/* Steps that make(1) announces while it builds this configuration of 6.1, for the percentage. */
#define VT_KERNEL_STEPS 1010

/* Write the table as a configuration fragment for `make allnoconfig`. */
void vt_kernel_config_write(FILE *out);

/*
 * Compare @config, a finished .config, with the table. 0 if every option has its value; otherwise
 * -ENOTSUP, with the name of the first that has not in @option (@size bytes); or the error of
 * reading the file.
 */
int vt_kernel_config_check(const char *config, char *option, size_t size);

/* Eight hexadecimal digits that change when a kernel must be built anew. */
void vt_kernel_config_hash(char hash[static 9]);

#endif /* VIADUCT_KERNEL_CONFIG_H */
