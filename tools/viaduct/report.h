/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a running device has to tell: lines for people on standard error, or with --json an object a
 * line on standard output for scripts. Every event has a name, and fields that both forms show.
 */
#ifndef VIADUCT_REPORT_H
#define VIADUCT_REPORT_H

#include "viaduct/fault.h"

#include <jansson.h>
#include <stdbool.h>

struct vt_report {
	const char *subject; /* which device: its SPEC */
	bool json;
	bool quiet;   /* people only want to know what matters to them */
	bool verbose; /* people want to see everything */
};

/*
 * Tell of @event. @text says it to people (NULL: only those who want everything); @fields, which
 * may be NULL and is taken over, holds what json_pack() made for scripts.
 */
void vt_report(const struct vt_report *report, const char *event, json_t *fields, const char *text,
	       ...) __attribute__((format(printf, 4, 5)));

/* The same for what goes as it should: not shown to people who want quiet. */
void vt_report_progress(const struct vt_report *report, const char *event, json_t *fields,
			const char *text);

/* A peer broke a rule: counted by the caller, told in words. */
void vt_report_fault(const struct vt_report *report, const struct vd_fault *fault);

#endif /* VIADUCT_REPORT_H */
