/* SPDX-License-Identifier: BSD-3-Clause */
/* `viaduct bench`: what a message costs on this machine, beside what the machine can do at best. */
#include "bench.h"
#include "cmd.h"
#include "ui.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_JSON = 'j', OPT_ONLY = 'o', OPT_QUICK = 'q', OPT_ROUNDS = 'r' };

struct arguments {
	const char *what;
	const char *only;
	unsigned rounds;
	bool json;
	bool quick;
};

static const struct argp_option options[] = {
	{"only", OPT_ONLY, "TEXT", 0,
	 "only the rows with TEXT in their names, and those they are compared with", 0},
	{"rounds", OPT_ROUNDS, "N", 0, "measure everything so many times (5)", 0},
	{"quick", OPT_QUICK, NULL, 0, "fewer messages and rounds: to see that it works", 0},
	{"json", OPT_JSON, NULL, 0, "print an object with all figures of all rounds", 0},
	{0},
};

static const char doc[] =
	"Measure what a message costs between two processors of this machine, beside the\n"
	"best that the machine can do and what one would use instead."
	"\v"
	"  ring       buffers through split and packed virtqueues\n"
	"  rpmsg      messages through the rpmsg remote, both ways, and there and back\n"
	"  footprint  memory: an idle `viaduct device rpmsg`, an endpoint among 10000\n"
	"\n"
	"Every payload is written, summed and checked for order by the receiver. The\n"
	"figures are medians over the rounds; a ratio is taken within each round, to the\n"
	"row with the same payload named in the column. A run during which the machine\n"
	"moved the two workers to other processors is thrown away.\n";

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end;

	switch (key) {
	case OPT_ROUNDS:
		arguments->rounds = (unsigned)strtoul(text, &end, 10);
		if (*end != '\0' || arguments->rounds < 1 || arguments->rounds > VT_ROUNDS_MAX)
			argp_error(state, "--rounds takes a number from 1 to %d, not '%s'",
				   VT_ROUNDS_MAX, text);
		return 0;
	case OPT_ONLY:
		arguments->only = text;
		return 0;
	case OPT_QUICK:
		arguments->quick = true;
		return 0;
	case OPT_JSON:
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->what != NULL)
			argp_error(state, "one benchmark at a time; '%s' is a second one", text);
		arguments->what = text;
		return 0;
	case ARGP_KEY_END:
		if (arguments->what == NULL)
			argp_error(state, "say what to measure: ring, rpmsg or footprint");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- printing ---- */

static void print_row(const struct vt_bench *bench, size_t i)
{
	const struct vt_case *which = &bench->cases[i];
	const struct vt_result *result = &bench->results[i];
	double ratio = vt_median(result->ratio, bench->rounds);
	char text[96];

	vt_case_describe(which, text, sizeof(text));
	printf("%-44s", text);
	if (which->payload > 0)
		printf(" %5u", which->payload);
	else
		printf(" %5s", "");
	printf(" %10.1f", vt_median(result->ns, bench->rounds));
	if (which->base >= 0) {
		vt_case_describe(&bench->cases[which->base], text, sizeof(text));
		printf("  %7.2fx %s", ratio, text);
	}
	if (which->aim > 0)
		printf("  (aim: %gx%s)", which->aim, ratio <= which->aim ? "" : ", missed");
	putchar('\n');
}

static void print_table(const struct vt_bench *bench)
{
	printf("%-44s %5s %10s  %s\n", "", "bytes", "ns/message", "ratio in the round");
	for (size_t i = 0; i < bench->n_cases; i++)
		print_row(bench, i);
	printf("\nmedians of %u rounds; two processors hand a cache line to and fro in %.0f ns; "
	       "%u runs repeated\n",
	       bench->rounds, vt_median(bench->ping_pong, bench->rounds), bench->retried);
}

static json_t *numbers(const double *values, unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(array, json_real(values[i]));
	return array;
}

static json_t *case_object(const struct vt_bench *bench, size_t i)
{
	const struct vt_case *which = &bench->cases[i];
	const struct vt_result *result = &bench->results[i];
	json_t *object = json_pack("{s:s, s:i, s:f, s:o}", "name", which->name, "payload",
				   (int)which->payload, "ns", vt_median(result->ns, bench->rounds),
				   "ns_by_round", numbers(result->ns, bench->rounds));
	char text[96];

	for (size_t w = 0; w < vt_n_case_words; w++)
		json_object_set_new(object, vt_case_words[w].word,
				    json_boolean(which->flags & vt_case_words[w].flag));
	if (which->base >= 0) {
		vt_case_describe(&bench->cases[which->base], text, sizeof(text));
		json_object_set_new(object, "compared_with", json_string(text));
		json_object_set_new(object, "ratio",
				    json_real(vt_median(result->ratio, bench->rounds)));
		json_object_set_new(object, "ratio_by_round",
				    numbers(result->ratio, bench->rounds));
	}
	if (which->aim > 0)
		json_object_set_new(object, "aim", json_real(which->aim));
	return object;
}

static void print_json(const struct vt_bench *bench, const char *what)
{
	json_t *cases = json_array();
	json_t *all;

	for (size_t i = 0; i < bench->n_cases; i++)
		json_array_append_new(cases, case_object(bench, i));
	all = json_pack("{s:s, s:i, s:i, s:o, s:o}", "bench", what, "rounds", (int)bench->rounds,
			"repeated_runs", (int)bench->retried, "ping_pong_ns",
			numbers(bench->ping_pong, bench->rounds), "cases", cases);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

/* ---- running ---- */

static int run_cases(const struct arguments *arguments, const struct vt_case *all, size_t n_all)
{
	struct vt_case cases[VT_CASES_MAX];
	struct vt_bench bench = {
		.cases = cases,
		.n_cases = vt_cases_select(cases, all, n_all, arguments->only),
		.rounds = arguments->quick ? 1 : arguments->rounds,
		.count_divisor = arguments->quick ? 20 : 1,
	};
	struct vt_pair pair;
	int err;

	if (bench.n_cases == 0) {
		vt_error("no row has '%s' in its name; without --only all of them are measured",
			 arguments->only);
		return VT_EXIT_USAGE;
	}
	if (vt_pair_open(&pair) != 0)
		return VT_EXIT_FAILED;
	err = vt_bench_run(&bench, &pair);
	if (err == 0 && arguments->json)
		print_json(&bench, arguments->what);
	else if (err == 0)
		print_table(&bench);
	free(bench.results);
	vt_pair_close(&pair);
	return err == 0 ? VT_EXIT_OK : VT_EXIT_FAILED;
}

static int run_footprint(const struct arguments *arguments)
{
	struct vt_footprint footprint;

	if (vt_footprint(&footprint) != 0)
		return VT_EXIT_FAILED;
	if (arguments->json)
		printf("{\"idle_rss_kib\": %ld, \"bytes_per_endpoint\": %.1f}\n",
		       footprint.idle_rss_kib, footprint.bytes_per_endpoint);
	else
		printf("resident memory of an idle `viaduct device rpmsg`   %ld KiB (aim: under "
		       "6144)\nmemory of an endpoint, ten thousand on a link        %.1f bytes "
		       "(aim: under 128)\n",
		       footprint.idle_rss_kib, footprint.bytes_per_endpoint);
	return VT_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {.rounds = 5};
	struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "ring|rpmsg|footprint",
		.doc = doc,
	};

	argp_err_exit_status = VT_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
		return VT_EXIT_USAGE;
	if (strcmp(arguments.what, "ring") == 0)
		return run_cases(&arguments, vt_ring_cases, vt_n_ring_cases);
	if (strcmp(arguments.what, "rpmsg") == 0)
		return run_cases(&arguments, vt_rpmsg_cases, vt_n_rpmsg_cases);
	if (strcmp(arguments.what, "footprint") == 0)
		return run_footprint(&arguments);
	vt_error("there is no benchmark '%s'; there are ring, rpmsg and footprint", arguments.what);
	return VT_EXIT_USAGE;
}

const struct vt_cmd vt_cmd_bench = {
	.name = "bench",
	.summary = "measure what a message costs on this machine",
	.run = run,
};
