/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounds of cases: see bench.h. */
#include "bench.h"
#include "ui.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Messages of a probe: enough to be steady, short enough to be done before and after each run. */
#define PROBE_COUNT 20000

/* How far apart the probes before and after a run may be for the run to count. Two virtual
 * processors that share a cache are about four times as fast as two that do not. */
#define PLACEMENT_CHANGED 1.5

#define RETRIES 5

static double probe(struct vt_pair *pair)
{
	const struct vt_case which = {.name = "probe", .count = PROBE_COUNT};
	double best = INFINITY;

	pair->processes = false;
	for (int i = 0; i < 3; i++) {
		double ns = vt_base_ping_pong(pair, &which);

		best = ns < best ? ns : best;
	}
	return best;
}

static bool is_same_place(double before, double after)
{
	return after < before * PLACEMENT_CHANGED && before < after * PLACEMENT_CHANGED;
}

/* One run, in the same place as the rest of its round. False: it was moved, again and again. */
static bool run_in_place(struct vt_bench *bench, struct vt_pair *pair, const struct vt_case *which,
			 double place, double *ns)
{
	for (int i = 0; i < RETRIES; i++) {
		bool stayed = is_same_place(place, probe(pair));

		pair->processes = which->flags & VT_BENCH_PROCESSES;
		*ns = which->run(pair, which);
		if (*ns < 0 || (stayed && is_same_place(place, probe(pair))))
			return true;
		bench->retried++;
	}
	return false;
}

static int run_case(struct vt_bench *bench, struct vt_pair *pair, unsigned round, size_t i)
{
	struct vt_case which = bench->cases[i];
	struct vt_result *result = &bench->results[i];

	which.count /= bench->count_divisor;
	if (!run_in_place(bench, pair, &which, bench->ping_pong[round], &result->ns[round]))
		return -EAGAIN;
	if (result->ns[round] < 0) {
		vt_error("measuring %s with %u bytes went wrong", which.name, which.payload);
		return -EIO;
	}
	result->ratio[round] = which.base < 0
				       ? 1
				       : result->ns[round] / bench->results[which.base].ns[round];
	return 0;
}

static int run_round(struct vt_bench *bench, struct vt_pair *pair, unsigned round,
		     struct vt_progress *progress)
{
	int err = 0;

	bench->ping_pong[round] = probe(pair);
	for (size_t i = 0; err == 0 && i < bench->n_cases; i++) {
		err = run_case(bench, pair, round, i);
		vt_progress_update(progress, round * bench->n_cases + i,
				   bench->rounds * bench->n_cases);
	}
	return err;
}

/* A round in which the machine would not hold still is done again. */
static int run_steady_round(struct vt_bench *bench, struct vt_pair *pair, unsigned round,
			    struct vt_progress *progress)
{
	int err = -EAGAIN;

	for (int i = 0; i < RETRIES && err == -EAGAIN; i++)
		err = run_round(bench, pair, round, progress);
	if (err == -EAGAIN)
		vt_error("the processors change places faster than one can measure; try again "
			 "when the machine is quieter");
	return err;
}

int vt_bench_run(struct vt_bench *bench, struct vt_pair *pair)
{
	struct vt_progress progress;
	int err = 0;

	bench->results = calloc(bench->n_cases, sizeof(*bench->results));
	if (bench->results == NULL)
		return -ENOMEM;
	vt_progress_begin(&progress, "measuring");
	for (unsigned round = 0; err == 0 && round < bench->rounds; round++)
		err = run_steady_round(bench, pair, round, &progress);
	vt_progress_end(&progress, err == 0);
	return err;
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double vt_median(const double *values, unsigned n)
{
	double sorted[VT_ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), smaller);
	return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}
