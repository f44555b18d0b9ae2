/* SPDX-License-Identifier: BSD-3-Clause */
/* How the tool speaks to people: errors, notes, progress. All of it goes to standard error; colour
 * only on a terminal. */
#ifndef VIADUCT_UI_H
#define VIADUCT_UI_H

#include <stdbool.h>
#include <stdio.h>

/* "viaduct: TEXT". What went wrong, naming the value, and what to do next. */
void vt_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for something that did not stop us. */
void vt_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something worth saying that is not a problem. */
void vt_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Progress of something that may take longer than two seconds. On a terminal one line is redrawn;
 * elsewhere a line is printed when a new phase begins, so that a log shows what took the time.
 */
struct vt_progress {
	const char *what;
	double started;
	double drawn;
	bool on_terminal;
	bool shown;
};

void vt_progress_begin(struct vt_progress *progress, const char *what);
/* @done of @total (0: unknown) units are finished. Cheap: draws at most ten times a second. */
void vt_progress_update(struct vt_progress *progress, unsigned long done, unsigned long total);
void vt_progress_end(struct vt_progress *progress, bool ok);

/*
 * For argp's help_filter: what comes from tables goes behind the text that comes after the options.
 * The text to show for @key; @more writes the rest.
 */
char *vt_help_append(int key, const char *text, void (*more)(FILE *out));

/* Monotonic seconds. */
double vt_now(void);

#endif /* VIADUCT_UI_H */
