/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver end against the device end under a random scheduler and a reference model, for every
 * combination of layout, features, byte order and many sizes. What is shown for each of them:
 * every buffer comes back exactly once, with its token, its bytes and its length, in the right
 * order; nobody sleeps while there is work that he was to be told of; nobody is told who does not
 * want to be; a reset gives everything back; a device end goes on where another one stopped.
 *
 *     property_ring [SEED [ROUNDS]]
 *
 * The seed of a failure is printed, and repeats it.
 */
#include "ring_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 50000

static void enable_cb_now(struct model *model)
{
	step_enable_cb(model, false);
}

static void enable_cb_later(struct model *model)
{
	step_enable_cb(model, true);
}

struct choice {
	void (*step)(struct model *model);
	unsigned weight;
};

static const struct choice driver_steps[] = {
	{step_add, 40},       {step_publish, 4},    {step_need_kick, 4},
	{step_kick, 12},      {step_get, 40},       {enable_cb_now, 4},
	{enable_cb_later, 2}, {step_disable_cb, 3}, {step_drv_wake, 8},
};

static const struct choice device_steps[] = {
	{step_pop, 30},           {step_pop_many, 8}, {step_pop_small, 3},
	{step_unpop, 3},          {step_push, 36},    {step_dev_publish, 4},
	{step_need_notify, 4},    {step_flush, 12},   {step_enable_notify, 4},
	{step_disable_notify, 3}, {step_dev_wake, 8}, {step_replace_device, 2},
};

static void choose(struct model *model, const struct choice *choices, size_t count)
{
	unsigned sum = 0;
	unsigned n;

	for (size_t i = 0; i < count; i++)
		sum += choices[i].weight;
	n = dice_roll(&model->dice, sum);
	while (n >= choices->weight)
		n -= (choices++)->weight;
	choices->step(model);
}

static void run_steps(struct model *model, uint64_t steps)
{
	unsigned favour = 50;

	for (uint64_t i = 0; i < steps; i++) {
		model->steps++;
		/* Now one side is quicker, now the other, so that queues run full and empty. */
		if (i % 64 == 0)
			favour = 10 + dice_roll(&model->dice, 81);
		if (dice_roll(&model->dice, 100) < favour)
			choose(model, driver_steps, sizeof(driver_steps) / sizeof(driver_steps[0]));
		else
			choose(model, device_steps, sizeof(device_steps) / sizeof(device_steps[0]));
		model_check_sleepers(model);
	}
}

static uint16_t another_size(struct model *model)
{
	static const uint16_t split[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
	static const uint16_t packed[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 33, 64, 100, 128, 255, 256};

	return model->pair.shape.packed
		       ? packed[dice_roll(&model->dice, sizeof(packed) / sizeof(packed[0]))]
		       : split[dice_roll(&model->dice, sizeof(split) / sizeof(split[0]))];
}

struct totals {
	uint64_t shapes;
	uint64_t fetched;
	uint64_t kicks;
	uint64_t calls;
};

static void give_back(struct model *model, struct totals *totals)
{
	model_drain(model);
	totals->shapes++;
	totals->fetched += model->fetched;
	totals->kicks += model->kicks;
	totals->calls += model->calls;
	model_give(model);
}

static void run_shape(const struct pair_shape *shape, uint64_t seed, uint64_t steps,
		      struct totals *totals)
{
	struct model model;

	model_take(&model, shape, seed);
	run_steps(&model, steps);
	if (dice_one_in(&model.dice, 2)) {
		step_reset(&model, another_size(&model));
		run_steps(&model, steps / 4);
	}
	give_back(&model, totals);
}

/* Bit by bit: layout and features. */
static struct pair_shape shape_of(unsigned number, uint16_t size, uint16_t table_entries)
{
	return (struct pair_shape){
		.packed = number & 1,
		.indirect = number & 2,
		.event_idx = number & 4,
		.in_order = number & 8,
		.big_endian = number & 16,
		.size = size,
		.table_entries = table_entries,
	};
}

static bool is_size(const struct pair_shape *shape)
{
	return shape->packed || (shape->size & (shape->size - 1)) == 0;
}

static void run_round(uint64_t seed, struct totals *totals)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 128, 255, 256};
	struct dice dice = {.state = seed};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned number = 0; number < 32; number++) {
			uint16_t entries = (uint16_t)(2 + dice_roll(&dice, 7));
			struct pair_shape shape = shape_of(number, sizes[s], entries);
			uint64_t one = dice_roll(&dice, UINT32_MAX);

			if (is_size(&shape))
				run_shape(&shape, one, STEPS, totals);
		}
}

/* Everything is at the driver, then everything at the device, then everything is used at once. */
static void run_one_lap(struct model *model)
{
	model->drv_asleep = model->dev_asleep = false;
	while (model->idle.count > 0 && model->chunks.count > 4 && model->free_descs > 0)
		step_add(model);
	step_kick(model);
	while (model->shown.count > 0)
		step_pop(model);
	while (model->held.count > 0)
		step_push(model);
	step_flush(model);
	while (model->used.count > 0)
		step_get(model);
}

/* The largest rings, where 16-bit distances have no room left: full, three times round. */
static void run_largest(uint64_t seed, struct totals *totals)
{
	struct dice dice = {.state = seed};

	for (unsigned number = 0; number < 16; number++) {
		struct pair_shape shape = shape_of(number, 32768, 2);
		struct model model;

		model_take(&model, &shape, dice_roll(&dice, UINT32_MAX));
		for (unsigned lap = 0; lap < 3; lap++)
			run_one_lap(&model);
		run_steps(&model, 4 * STEPS);
		give_back(&model, totals);
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct totals totals = {0};

	for (uint64_t round = 0; round < rounds; round++)
		run_round(seed + round, &totals);
	run_largest(seed, &totals);
	printf("%" PRIu64 " queues, %" PRIu64 " buffers there and back, %" PRIu64 " kicks, %" PRIu64
	       " calls\n",
	       totals.shapes, totals.fetched, totals.kicks, totals.calls);
	return 0;
}
