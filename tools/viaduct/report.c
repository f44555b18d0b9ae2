/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running device has to tell: see report.h. */
#include "report.h"
#include "ui.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print_json(const struct vt_report *report, const char *event, json_t *fields)
{
	json_t *line = json_pack("{s:s, s:s}", "event", event, "device", report->subject);
	char *text;

	if (fields != NULL)
		json_object_update(line, fields);
	text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (text != NULL) {
		puts(text);
		fflush(stdout); /* whoever reads it waits for it */
	}
	free(text);
	json_decref(line);
}

void vt_report(const struct vt_report *report, const char *event, json_t *fields, const char *text,
	       ...)
{
	char words[1024];
	va_list args;

	if (report->json) {
		print_json(report, event, fields);
	} else if (text != NULL) {
		va_start(args, text);
		vsnprintf(words, sizeof(words), text, args);
		va_end(args);
		vt_note("%s: %s", report->subject, words);
	} else if (report->verbose) {
		char *dump = fields != NULL ? json_dumps(fields, JSON_COMPACT) : NULL;

		vt_note("%s: %s %s", report->subject, event, dump != NULL ? dump : "");
		free(dump);
	}
	json_decref(fields);
}

void vt_report_progress(const struct vt_report *report, const char *event, json_t *fields,
			const char *text)
{
	if (report->quiet && !report->json)
		json_decref(fields);
	else
		vt_report(report, event, fields, "%s", text);
}

void vt_report_fault(const struct vt_report *report, const struct vd_fault *fault)
{
	char text[256];

	vd_fault_text(fault, text, sizeof(text));
	vt_report(report, "fault",
		  json_pack("{s:s, s:s}", "fault", vd_fault_name(fault->code), "text", text),
		  "the peer broke a rule: %s", text);
}
