/* SPDX-License-Identifier: BSD-3-Clause */
/* How the tool speaks to people: see ui.h. */
#include "ui.h"

#include <argp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define RED    "\033[1;31m"
#define YELLOW "\033[1;33m"
#define PLAIN  "\033[0m"

static bool stderr_is_terminal(void)
{
	static int known = -1;

	if (known < 0)
		known = isatty(STDERR_FILENO);
	return known;
}

static void say(const char *colour, const char *kind, const char *format, va_list args)
{
	bool coloured = colour != NULL && stderr_is_terminal();

	fprintf(stderr, "viaduct: %s%s%s", coloured ? colour : "", kind, coloured ? PLAIN : "");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void vt_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(RED, "error: ", format, args);
	va_end(args);
}

void vt_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(YELLOW, "warning: ", format, args);
	va_end(args);
}

void vt_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(NULL, "", format, args);
	va_end(args);
}

double vt_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void vt_progress_begin(struct vt_progress *progress, const char *what)
{
	*progress = (struct vt_progress){
		.what = what,
		.started = vt_now(),
		.on_terminal = stderr_is_terminal(),
	};
	if (!progress->on_terminal)
		vt_note("%s ...", what);
}

void vt_progress_update(struct vt_progress *progress, unsigned long done, unsigned long total)
{
	double now = vt_now();

	if (!progress->on_terminal || now - progress->drawn < 0.1)
		return;
	progress->drawn = now;
	progress->shown = true;
	fprintf(stderr, "\r\033[K%s ... ", progress->what);
	if (total > 0)
		fprintf(stderr, "%3lu%% ", done * 100 / total);
	fprintf(stderr, "(%.0f s)", now - progress->started);
	fflush(stderr);
}

void vt_progress_end(struct vt_progress *progress, bool ok)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	vt_note("%s: %s (%.1f s)", progress->what, ok ? "done" : "failed",
		vt_now() - progress->started);
}

char *vt_help_append(int key, const char *text, void (*more)(FILE *out))
{
	char *all = NULL;
	size_t size = 0;
	FILE *out;

	if (key != ARGP_KEY_HELP_POST_DOC || (out = open_memstream(&all, &size)) == NULL)
		return (char *)(uintptr_t)text;
	if (text != NULL)
		fputs(text, out);
	more(out);
	fclose(out);
	return all;
}
