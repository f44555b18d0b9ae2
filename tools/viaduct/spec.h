/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SPECs: how a device is described on the command line. KIND[,KEY[=VALUE]]... A comma that belongs
 * to a value is written twice.
 */
#ifndef VIADUCT_SPEC_H
#define VIADUCT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#define VT_SPEC_OPTIONS 64

struct vt_spec_option {
	char *key;
	char *value; /* NULL: there was no '=' */
};

struct vt_spec {
	char *text; /* the memory that everything below points into */
	char *kind;
	struct vt_spec_option options[VT_SPEC_OPTIONS];
	unsigned n_options;
};

/* 0, or says what is wrong and returns a negative errno. */
int vt_spec_parse(struct vt_spec *spec, const char *text);
void vt_spec_free(struct vt_spec *spec);

/* @text as a number from @min to @max, decimal or 0x...; false if it is none. */
bool vt_spec_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

#endif /* VIADUCT_SPEC_H */
