/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ring fuzzers share: the input is a program, one operation after another, each with a few
 * bytes of operands that name values near valid ones, so that mutations stay deep in the code.
 */
#ifndef RING_FUZZ_H
#define RING_FUZZ_H

#include "ring_pages.h"
#include "ring_peer.h"

#include <stdio.h>
#include <stdlib.h>

/* Holds in every build. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct program {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t next_byte(struct program *program)
{
	if (program->left == 0)
		return 0;
	program->left--;
	return *program->at++;
}

static inline uint8_t next_below(struct program *program, unsigned below)
{
	return (uint8_t)(next_byte(program) % below);
}

static inline uint16_t next_u16(struct program *program)
{
	uint16_t low = next_byte(program);

	return (uint16_t)(low | next_byte(program) << 8);
}

static inline uint32_t next_u32(struct program *program)
{
	uint32_t low = next_u16(program);

	return low | (uint32_t)next_u16(program) << 16;
}

/* A small number, mostly; sometimes one of the ends. */
static inline uint32_t next_length(struct program *program)
{
	uint8_t byte = next_byte(program);

	if (byte < 200)
		return byte;
	if (byte < 240)
		return (byte - 200u) * 16;
	if (byte < 248)
		return UINT32_C(1) << (24 + byte % 8);
	return UINT32_MAX - (byte - 248u);
}

/* A ring of this layout and size in guarded memory, all zero. Always the same memory. */
void fuzz_ring(struct peer_ring *ring, bool packed, uint16_t size);

/* One of a few small sizes that the layout allows. */
uint16_t fuzz_size(struct program *program, bool packed);

/* Put one byte somewhere into the shared memory of a ring. */
void fuzz_poke(struct program *program, const struct peer_ring *ring);

/* Run @data as a program against the end under test. */
void fuzz_dev(bool packed, const uint8_t *data, size_t size);
void fuzz_drv(bool packed, const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* RING_FUZZ_H */
