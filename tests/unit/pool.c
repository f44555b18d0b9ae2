/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool allocator: alignment, exhaustion, holes, and a long random life against a model. */
#include "viaduct/alloc.h"

#include "ring_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GRAIN VD_POOL_GRAIN

static struct vd_pool pool;
static struct pages memory;
static struct pages words; /* as many as are asked for and no more */

static void open_pool(size_t size)
{
	pages_take(&memory, size, GRAIN);
	pages_take(&words, vd_pool_words(size) * sizeof(uint32_t) + 4, 4);
	vd_pool_init(&pool, memory.at, size, words.at);
}

static void close_pool(void)
{
	pages_give(&memory);
	pages_give(&words);
}

static void *take(size_t size, size_t align)
{
	return pool.alloc.alloc(&pool.alloc, size, align);
}

static void give(void *p, size_t size)
{
	pool.alloc.free(&pool.alloc, p, size);
}

static size_t offset_of(const void *p)
{
	return (size_t)((const unsigned char *)p - pool.base);
}

static void words_for_every_grain(void **state)
{
	(void)state;
	assert_int_equal(vd_pool_words(0), 0);
	assert_int_equal(vd_pool_words(GRAIN - 1), 0);
	assert_int_equal(vd_pool_words(GRAIN), 1);
	assert_int_equal(vd_pool_words(32 * GRAIN), 1);
	assert_int_equal(vd_pool_words(33 * GRAIN - 1), 1);
	assert_int_equal(vd_pool_words(33 * GRAIN), 2);
}

static void pieces_follow_one_another_and_are_zeroed(void **state)
{
	unsigned char *a;
	unsigned char *b;

	(void)state;
	open_pool(4 * GRAIN);
	memset(memory.at, 0xaa, 4 * GRAIN);
	a = take(1, 1);
	b = take(GRAIN + 1, 8);
	assert_int_equal(offset_of(a), 0);
	assert_int_equal(offset_of(b), GRAIN);
	assert_int_equal(a[0], 0);
	for (unsigned i = 0; i < GRAIN + 1; i++)
		assert_int_equal(b[i], 0);
	assert_int_equal(pool.used, 3);
	assert_int_equal(offset_of(take(GRAIN, GRAIN)), 3 * GRAIN);
	assert_null(take(1, 1));
	close_pool();
}

static void nothing_comes_from_nothing(void **state)
{
	(void)state;
	open_pool(2 * GRAIN);
	assert_null(take(0, 1));
	assert_null(take(2 * GRAIN + 1, 1));
	assert_null(take(SIZE_MAX, 1));
	assert_null(take(SIZE_MAX - GRAIN, 64));
	give(NULL, 0);
	give(NULL, 100);
	assert_int_equal(pool.used, 0);
	assert_non_null(take(2 * GRAIN, 1));
	close_pool();
	open_pool(GRAIN - 1);
	assert_null(take(1, 1));
	close_pool();
}

static void a_rest_that_is_no_whole_grain_stays_unused(void **state)
{
	(void)state;
	pages_take(&memory, 3 * GRAIN, GRAIN);
	pages_take(&words, 4, 4);
	vd_pool_init(&pool, memory.at, 3 * GRAIN - 1, words.at);
	assert_non_null(take(GRAIN, 1));
	assert_non_null(take(GRAIN, 1));
	assert_null(take(1, 1));
	close_pool();
}

/* Alignment is of the address, wherever the pool begins. */
static void every_alignment_is_kept(void **state)
{
	static _Alignas(8192) unsigned char arena[8192 * 4];
	static uint32_t taken[8192 * 4 / GRAIN / 32];

	(void)state;
	for (size_t base = 0; base < 8192; base += 960) {
		size_t start = base / GRAIN * GRAIN;

		vd_pool_init(&pool, arena + start, sizeof(arena) - start, taken);
		for (size_t align = 1; align <= 8192; align *= 2) {
			void *p = take(100, align);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
			/* What lies before it is not lost. */
			give(p, 100);
			assert_int_equal(pool.used, 0);
		}
	}
	vd_pool_init(&pool, arena, 4096, taken);
	assert_non_null(take(64, 4096));
	/* The arena is aligned to 8192: there is one place for 4096 in it. */
	assert_null(take(64, 4096));
	assert_null(take(64, (size_t)1 << (8 * sizeof(size_t) - 1)));
}

static void holes_are_used_again_first_fit(void **state)
{
	void *piece[8];

	(void)state;
	open_pool(8 * GRAIN);
	for (unsigned i = 0; i < 8; i++)
		piece[i] = take(GRAIN, 1);
	assert_null(take(1, 1));
	give(piece[1], GRAIN);
	give(piece[4], GRAIN);
	give(piece[5], GRAIN);
	assert_null(take(3 * GRAIN, 1));
	assert_int_equal(offset_of(take(2 * GRAIN, 1)), 4 * GRAIN);
	assert_int_equal(offset_of(take(GRAIN, 1)), GRAIN);
	assert_null(take(1, 1));
	close_pool();
}

static void neighbours_that_are_free_are_one(void **state)
{
	static const unsigned orders[3][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		void *piece[4];

		open_pool(64 * GRAIN);
		for (unsigned i = 0; i < 4; i++)
			piece[i] = take(16 * GRAIN, 64);
		for (unsigned i = 0; i < 4; i++)
			give(piece[orders[n][i]], 16 * GRAIN);
		assert_int_equal(pool.used, 0);
		assert_int_equal(offset_of(take(64 * GRAIN, 64)), 0);
		close_pool();
	}
}

/* ---- a long life ---- */

#define GRAINS 300
#define PIECES 64

struct piece {
	unsigned char *p;
	size_t size;
	unsigned char fill;
};

static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % limit);
}

static bool owner[GRAINS]; /* the model: which grains are taken */

static size_t grains_of(size_t size)
{
	return (size + GRAIN - 1) / GRAIN;
}

/* Is there room in the model for that? Then the pool must find the first such place. */
static size_t model_find(size_t size, size_t align)
{
	size_t count = grains_of(size);

	for (size_t first = 0; first + count <= GRAINS; first++) {
		size_t n = 0;

		if ((uintptr_t)(pool.base + first * GRAIN) % align != 0)
			continue;
		while (n < count && !owner[first + n])
			n++;
		if (n == count)
			return first;
	}
	return GRAINS;
}

static void model_mark(size_t first, size_t count, bool taken)
{
	for (size_t i = first; i < first + count; i++) {
		assert_true(owner[i] != taken);
		owner[i] = taken;
	}
}

static void live_take(struct piece *piece)
{
	size_t size = 1 + random_below(random_below(8) == 0 ? 4000 : 300);
	size_t align = (size_t)1 << random_below(11);
	size_t first = model_find(size, align);
	unsigned char *p = take(size, align);

	if (first == GRAINS) {
		assert_null(p);
		return;
	}
	assert_ptr_equal(p, pool.base + first * GRAIN);
	model_mark(first, grains_of(size), true);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(p[i], 0);
	*piece = (struct piece){.p = p, .size = size, .fill = (unsigned char)random_below(256)};
	memset(p, piece->fill, size);
}

static void live_give(struct piece *piece)
{
	for (size_t i = 0; i < piece->size; i++)
		assert_int_equal(piece->p[i], piece->fill);
	model_mark(offset_of(piece->p) / GRAIN, grains_of(piece->size), false);
	give(piece->p, piece->size);
	piece->p = NULL;
}

static void a_random_life_agrees_with_the_model(void **state)
{
	static struct piece pieces[PIECES];
	size_t used = 0;

	(void)state;
	seed = 0x9e3779b97f4a7c15;
	open_pool(GRAINS * GRAIN);
	for (unsigned step = 0; step < 20000; step++) {
		struct piece *piece = &pieces[random_below(PIECES)];

		if (piece->p == NULL)
			live_take(piece);
		else
			live_give(piece);
		used = 0;
		for (unsigned i = 0; i < GRAINS; i++)
			used += owner[i];
		assert_int_equal(pool.used, used);
	}
	assert_int_not_equal(used, 0);
	for (unsigned i = 0; i < PIECES; i++)
		if (pieces[i].p != NULL)
			live_give(&pieces[i]);
	assert_int_equal(pool.used, 0);
	assert_non_null(take(GRAINS * GRAIN, 1));
	close_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_for_every_grain),
		cmocka_unit_test(pieces_follow_one_another_and_are_zeroed),
		cmocka_unit_test(nothing_comes_from_nothing),
		cmocka_unit_test(a_rest_that_is_no_whole_grain_stays_unused),
		cmocka_unit_test(every_alignment_is_kept),
		cmocka_unit_test(holes_are_used_again_first_fit),
		cmocka_unit_test(neighbours_that_are_free_are_one),
		cmocka_unit_test(a_random_life_agrees_with_the_model),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
