/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring: cases that run between two workers on two processors, in rounds, beside what the
 * machine can do at best in the same round. Absolute times on a shared machine mean little; a ratio
 * within one round does.
 */
#ifndef VIADUCT_BENCH_H
#define VIADUCT_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- two workers ---- */

#define VT_CACHE_LINE 64

/* What both workers see, first in the shared memory. */
struct vt_bench_shared {
	uint32_t ready; /* workers that wait for the start */
	uint32_t go;
	uint32_t failed; /* a worker found a message that was not as sent */
	double began;
	double ended[2]; /* by worker */
};

struct vt_pair {
	int cpu[2];
	bool processes; /* two processes; otherwise two threads */
	struct vt_bench_shared *shared;
	unsigned char *memory; /* shared, behind that; VT_BENCH_MEMORY bytes, zero before a run */
	int bell[2];           /* eventfds: to wake worker 0, worker 1 */
};

#define VT_BENCH_MEMORY (4u << 20)

typedef void vt_worker(struct vt_pair *pair, void *argument);

/* Find two processors, and memory. 0, or says why not and returns a negative errno. */
int vt_pair_open(struct vt_pair *pair);
void vt_pair_close(struct vt_pair *pair);

/*
 * Run @first on one processor and @second on the other. Returns the seconds from their common start
 * until the later one was done; negative if a worker failed.
 */
double vt_pair_run(struct vt_pair *pair, vt_worker *first, vt_worker *second, void *argument);

/* For a worker: something arrived that was not sent so. Ends the worker. */
void vt_pair_fail(struct vt_pair *pair);

/* Wake the other worker; sleep until woken, at most @ms (-1: for ever). */
void vt_bell_ring(int bell);
void vt_bell_wait(int bell, int ms);

/* Looks at an empty queue before going to sleep: about as long as waking up takes, which is half of
 * what an eventfd takes there and back. Looking for less, both sleep while either wakes up. */
#define VT_BENCH_SPINS 1000

static inline void vt_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" : : : "memory");
#endif
}

/* ---- payloads ---- */

/* A payload of @size bytes (a multiple of 8, at least 16) that tells its number; every word is
 * written, and every word is read and summed. */
void vt_payload_fill(unsigned char *to, uint32_t size, uint64_t number);
bool vt_payload_check(const unsigned char *from, uint32_t size, uint64_t number);

/* ---- cases ---- */

enum vt_bench_flags {
	VT_BENCH_COPY = 1,      /* payloads are composed and read in private memory, and copied */
	VT_BENCH_PROCESSES = 2, /* between processes, not threads */
	VT_BENCH_SLEEP = 4,     /* who has nothing to do sleeps */
	VT_BENCH_PACKED = 8,
	VT_BENCH_ROUND_TRIP = 16,
	VT_BENCH_TO_HOST = 32, /* rpmsg: from the remote to the host */
};

struct vt_case {
	const char *name; /* "split", "rpmsg", "bare ring", ... */
	uint32_t payload;
	unsigned flags;
	uint32_t count; /* messages in a run */
	/* Nanoseconds a message; negative if it went wrong. */
	double (*run)(struct vt_pair *pair, const struct vt_case *which);
	int base;   /* index of the case it is compared with, or -1 */
	double aim; /* the ratio it should not exceed; 0: none */
};

#define VT_CASES_MAX 64

/* The words for the flags, in the order in which they are said. */
struct vt_case_word {
	unsigned flag;
	const char *word;
};

extern const struct vt_case_word vt_case_words[];
extern const size_t vt_n_case_words;

/* The name of a row: what is measured, and how. */
void vt_case_describe(const struct vt_case *which, char *text, size_t size);

/*
 * Copy those cases of @all whose names have @only (NULL: anything) in them to @cases, with those
 * that they are compared with. How many; at most VT_CASES_MAX.
 */
size_t vt_cases_select(struct vt_case *cases, const struct vt_case *all, size_t n_all,
		       const char *only);

#define VT_ROUNDS_MAX 101

struct vt_result {
	double ns[VT_ROUNDS_MAX];
	double ratio[VT_ROUNDS_MAX]; /* to the base, in the same round */
};

struct vt_bench {
	const struct vt_case *cases;
	size_t n_cases;
	unsigned rounds;
	unsigned count_divisor; /* --quick */
	struct vt_result *results;
	double ping_pong[VT_ROUNDS_MAX]; /* what the placement was, each round */
	unsigned retried;                /* runs thrown away because the placement changed */
};

/* Run all rounds. 0, or says what went wrong and returns a negative errno. */
int vt_bench_run(struct vt_bench *bench, struct vt_pair *pair);

double vt_median(const double *values, unsigned n);

extern const struct vt_case vt_ring_cases[];
extern const size_t vt_n_ring_cases;
extern const struct vt_case vt_rpmsg_cases[];
extern const size_t vt_n_rpmsg_cases;

/* What the machine can do, and what a user would use instead; bench_base.c. */
double vt_base_ping_pong(struct vt_pair *pair, const struct vt_case *which);
double vt_base_ring(struct vt_pair *pair, const struct vt_case *which);
double vt_base_socket(struct vt_pair *pair, const struct vt_case *which);
double vt_base_pipe(struct vt_pair *pair, const struct vt_case *which);
double vt_base_eventfd(struct vt_pair *pair, const struct vt_case *which);

/* ---- footprint ---- */

struct vt_footprint {
	long idle_rss_kib; /* of an idle `viaduct device rpmsg`; -1: could not be found out */
	double bytes_per_endpoint; /* with ten thousand of them */
};

int vt_footprint(struct vt_footprint *footprint);

#endif /* VIADUCT_BENCH_H */
