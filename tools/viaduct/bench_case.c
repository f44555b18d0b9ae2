/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of cases, and choosing among them: see bench.h. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

const struct vt_case_word vt_case_words[] = {
	{VT_BENCH_ROUND_TRIP, "round trip"}, {VT_BENCH_TO_HOST, "to host"},
	{VT_BENCH_PACKED, "packed"},         {VT_BENCH_COPY, "copied"},
	{VT_BENCH_PROCESSES, "processes"},   {VT_BENCH_SLEEP, "sleeping"},
};

const size_t vt_n_case_words = sizeof(vt_case_words) / sizeof(vt_case_words[0]);

void vt_case_describe(const struct vt_case *which, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s", which->name);

	for (size_t i = 0; i < vt_n_case_words && used < size; i++) {
		const struct vt_case_word *word = &vt_case_words[i];

		if ((which->flags & word->flag) && strcmp(which->name, word->word) != 0)
			used += (size_t)snprintf(text + used, size - used, ", %s", word->word);
	}
}

static bool is_meant(const struct vt_case *which, const char *only)
{
	char text[96];

	vt_case_describe(which, text, sizeof(text));
	return only == NULL || strstr(text, only) != NULL;
}

size_t vt_cases_select(struct vt_case *cases, const struct vt_case *all, size_t n_all,
		       const char *only)
{
	bool wanted[VT_CASES_MAX] = {false};
	int at[VT_CASES_MAX];
	size_t n = 0;

	if (n_all > VT_CASES_MAX)
		n_all = VT_CASES_MAX;
	/* What a case is compared with stands before it. */
	for (size_t i = n_all; i-- > 0;) {
		wanted[i] |= is_meant(&all[i], only);
		if (wanted[i] && all[i].base >= 0)
			wanted[all[i].base] = true;
	}
	for (size_t i = 0; i < n_all; i++) {
		if (!wanted[i])
			continue;
		cases[n] = all[i];
		if (all[i].base >= 0)
			cases[n].base = at[all[i].base];
		at[i] = (int)n++;
	}
	return n;
}
