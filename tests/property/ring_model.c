/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring_model.h. */
#include "ring_model.h"

#include "viaduct/errno.h"
#include "viaduct/iov.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64u

#define EXPECT(model, condition)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up(model, #condition, __LINE__);                                      \
	} while (0)

static _Noreturn void give_up(const struct model *model, const char *condition, int line)
{
	char text[200];

	fprintf(stderr, "ring_model.c:%d: not true: %s\n", line, condition);
	fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 " (%s): ", model->seed, model->steps,
		model->step);
	pair_print_shape(&model->pair.shape);
	vd_fault_text(vd_vq_drv_fault(&model->pair.drv), text, sizeof(text));
	fprintf(stderr, "driver end: %s\n", text);
	vd_fault_text(vd_vq_dev_fault(&model->pair.dev), text, sizeof(text));
	fprintf(stderr, "device end: %s\n", text);
	exit(1);
}

/* ---- lists ---- */

static void fifo_take(struct fifo *fifo, uint32_t room)
{
	*fifo = (struct fifo){.items = calloc(room, sizeof(uint32_t)), .room = room};
}

static void fifo_put(struct fifo *fifo, uint32_t item)
{
	fifo->items[(fifo->first + fifo->count++) % fifo->room] = item;
}

static uint32_t fifo_at(const struct fifo *fifo, uint32_t n)
{
	return fifo->items[(fifo->first + n) % fifo->room];
}

static uint32_t fifo_get(struct fifo *fifo)
{
	uint32_t item = fifo_at(fifo, 0);

	fifo->first = (fifo->first + 1) % fifo->room;
	fifo->count--;
	return item;
}

static uint32_t fifo_get_last(struct fifo *fifo)
{
	return fifo_at(fifo, --fifo->count);
}

static void fifo_put_first(struct fifo *fifo, uint32_t item)
{
	fifo->first = (fifo->first + fifo->room - 1) % fifo->room;
	fifo->items[fifo->first] = item;
	fifo->count++;
}

/* Take out number @n; the last one takes its place. */
static uint32_t fifo_take_out(struct fifo *fifo, uint32_t n)
{
	uint32_t item = fifo_at(fifo, n);
	uint32_t last = fifo_get_last(fifo);

	if (n < fifo->count)
		fifo->items[(fifo->first + n) % fifo->room] = last;
	return item;
}

static void fifo_drop(struct fifo *fifo, uint32_t item)
{
	for (uint32_t n = 0; n < fifo->count; n++)
		if (fifo_at(fifo, n) == item) {
			fifo_take_out(fifo, n);
			return;
		}
}

/* ---- setting up ---- */

static struct buffer *buffer(struct model *model, uint32_t number)
{
	return &model->buffers[number];
}

static void take_buffers(struct model *model)
{
	model->buffers = calloc(model->n_buffers, sizeof(struct buffer));
	for (uint32_t i = 0; i < model->n_buffers; i++) {
		struct buffer *b = buffer(model, i);

		b->segments = calloc(model->segments_max, sizeof(struct vd_iov));
		b->chunks = calloc(model->segments_max, sizeof(uint32_t));
		b->iov = calloc(model->iov_max, sizeof(struct vd_iov));
		fifo_put(&model->idle, i);
	}
}

static void start_over(struct model *model)
{
	const struct pair_shape *shape = &model->pair.shape;

	model->free_descs = shape->size;
	model->drv_shown = model->drv_asked = model->drv_got = 0;
	model->dev_popped = model->dev_shown = model->dev_asked = 0;
	model->drv_wish = (struct wish){.kind = shape->event_idx && !shape->packed ? WISH_AT
										   : WISH_ALL};
	model->dev_wish = model->drv_wish;
	model->drv_asleep = model->dev_asleep = false;
	model->drv_called = model->dev_kicked = false;
	model->last_popped = NULL;
}

void model_take(struct model *model, const struct pair_shape *shape, uint64_t seed)
{
	bool large = shape->size > 256;
	uint32_t n_chunks = large ? 4u * shape->size : 2048;

	memset(model, 0, sizeof(*model));
	model->seed = seed;
	model->dice.state = seed;
	model->n_buffers = shape->size > 256 ? shape->size : 256;
	model->segments_max = large ? 4 : 256;
	model->iov_max = model->segments_max + PAIR_CUTS;
	fifo_take(&model->idle, model->n_buffers);
	fifo_take(&model->chunks, n_chunks);
	fifo_take(&model->added, model->n_buffers);
	fifo_take(&model->shown, model->n_buffers);
	fifo_take(&model->held, model->n_buffers);
	fifo_take(&model->popped, model->n_buffers);
	fifo_take(&model->pushed, model->n_buffers);
	fifo_take(&model->used, model->n_buffers);
	take_buffers(model);
	for (uint32_t i = 0; i < n_chunks; i++)
		fifo_put(&model->chunks, i);
	pair_take(&model->pair, (size_t)n_chunks * CHUNK, false, &model->dice);
	pair_open(&model->pair, shape, &model->dice);
	start_over(model);
}

void model_give(struct model *model)
{
	struct fifo *fifos[] = {&model->idle, &model->chunks, &model->added,  &model->shown,
				&model->held, &model->popped, &model->pushed, &model->used};

	for (size_t i = 0; i < sizeof(fifos) / sizeof(fifos[0]); i++)
		free(fifos[i]->items);
	for (uint32_t i = 0; i < model->n_buffers; i++) {
		free(model->buffers[i].segments);
		free(model->buffers[i].chunks);
		free(model->buffers[i].iov);
	}
	free(model->buffers);
	pair_give(&model->pair);
}

/* ---- contents ---- */

/* Byte number @n of what the driver has to say in a buffer, and of what the device answers. */
static unsigned char question(const struct buffer *b, uint64_t n)
{
	return (unsigned char)(b->serial * 31 + n * 7 + (n >> 6));
}

static unsigned char answer(const struct buffer *b, uint64_t n)
{
	return (unsigned char)(b->serial * 17 + n * 5 + 99);
}

static void put_question(struct buffer *b)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < b->n_out; i++)
		for (size_t k = 0; k < b->segments[i].len; k++)
			((unsigned char *)b->segments[i].base)[k] = question(b, at++);
}

static void check_answer(struct model *model, const struct buffer *b, uint32_t len)
{
	uint64_t at = 0;

	for (unsigned i = b->n_out; i < b->n_out + b->n_in; i++)
		for (size_t k = 0; k < b->segments[i].len && at < len; k++, at++)
			EXPECT(model, ((unsigned char *)b->segments[i].base)[k] == answer(b, at));
}

static void check_question(struct model *model, const struct buffer *b)
{
	struct vd_cursor cursor;
	unsigned char bytes[48];
	uint64_t at = 0;
	size_t got;

	vd_cursor_init(&cursor, b->chain.iov, b->chain.n_out);
	while ((got = vd_cursor_pull(&cursor, bytes, sizeof(bytes))) > 0)
		for (size_t k = 0; k < got; k++)
			EXPECT(model, bytes[k] == question(b, at++));
	EXPECT(model, at == b->out_len);
}

static void put_answer(struct model *model, struct buffer *b)
{
	struct vd_cursor cursor;

	vd_cursor_init(&cursor, b->chain.iov + b->chain.n_out, b->chain.n_in);
	for (uint32_t at = 0; at < b->written; at++) {
		unsigned char byte = answer(b, at);

		EXPECT(model, vd_cursor_push(&cursor, &byte, 1) == 1);
	}
}

/* ---- notifications ---- */

/* After how many entries a position repeats, and the most that a decision looks back. */
static uint64_t period(const struct model *model)
{
	return model->pair.shape.packed ? 2u * model->pair.shape.size : 65536;
}

static uint64_t look_back(const struct model *model)
{
	return model->pair.shape.packed ? model->pair.shape.size : 65535;
}

static bool is_wanted(const struct model *model, const struct wish *wish, uint64_t asked,
		      uint64_t shown)
{
	uint64_t first = shown - asked > look_back(model) ? shown - look_back(model) : asked;

	if (asked == shown || wish->kind == WISH_NONE)
		return false;
	if (wish->kind == WISH_ALL)
		return true;
	return (wish->at + period(model) - first % period(model)) % period(model) < shown - first;
}

static struct wish disabled(const struct model *model, struct wish before)
{
	const struct pair_shape *shape = &model->pair.shape;

	/* A split ring with event indexes has no way to say so. */
	return shape->event_idx && !shape->packed ? before : (struct wish){.kind = WISH_NONE};
}

static struct wish enabled(const struct model *model, uint64_t at)
{
	return model->pair.shape.event_idx ? (struct wish){.kind = WISH_AT, .at = at}
					   : (struct wish){.kind = WISH_ALL};
}

void model_check_sleepers(struct model *model)
{
	bool asked = model->drv_asked == model->drv_shown;
	bool answered = model->dev_asked == model->dev_shown;

	if (model->dev_asleep && asked && !model->dev_kicked)
		EXPECT(model, model->shown.count == 0);
	/* Of a delayed wish, as much as it waits for. */
	if (model->drv_asleep && answered && !model->drv_called && model->used.count > 0)
		EXPECT(model,
		       model->drv_wish.kind == WISH_AT && model->dev_shown <= model->drv_wish.at);
}

/* ---- the driver ---- */

/* Does a buffer of this many segments go into a table? */
static bool goes_indirect(const struct model *model, unsigned count)
{
	const struct pair_shape *shape = &model->pair.shape;

	return shape->indirect && count > 1 && count <= shape->table_entries;
}

static void make_segment(struct model *model, struct buffer *b, unsigned n)
{
	uint32_t chunk = fifo_take_out(&model->chunks,
				       dice_roll(&model->dice, model->chunks.count));
	uint32_t len = 1 + dice_roll(&model->dice, dice_one_in(&model->dice, 4) ? CHUNK : 8);
	size_t offset = (size_t)chunk * CHUNK + dice_roll(&model->dice, CHUNK - len + 1);
	unsigned pieces = pair_windows_of(&model->pair, offset, len);

	b->chunks[n] = chunk;
	b->segments[n] = (struct vd_iov){(unsigned char *)model->pair.data.at + offset, len};
	if (n < b->n_out) {
		b->out_len += len;
		b->out_pieces += pieces;
	} else {
		b->in_len += len;
		b->in_pieces += pieces;
	}
}

static void make_buffer(struct model *model, struct buffer *b, unsigned count)
{
	b->serial = model->serial++;
	b->n_out = dice_roll(&model->dice, count + 1);
	b->n_in = count - b->n_out;
	b->out_len = b->in_len = 0;
	b->out_pieces = b->in_pieces = 0;
	b->descs = goes_indirect(model, count) ? 1 : count;
	for (unsigned n = 0; n < count; n++)
		make_segment(model, b, n);
	put_question(b);
}

static void drop_buffer(struct model *model, uint32_t number)
{
	struct buffer *b = buffer(model, number);

	for (unsigned n = 0; n < b->n_out + b->n_in; n++)
		fifo_put(&model->chunks, b->chunks[n]);
	b->held = b->pushed = false;
	fifo_put(&model->idle, number);
}

static unsigned choose_count(struct model *model)
{
	unsigned most = model->pair.shape.size;

	if (most > model->segments_max)
		most = model->segments_max;
	if (dice_one_in(&model->dice, 8))
		return 1 + dice_roll(&model->dice, most);
	most = most < 5 ? most : 5;
	return dice_one_in(&model->dice, 2) ? 1 : 1 + dice_roll(&model->dice, most);
}

static void add_too_long(struct model *model)
{
	unsigned count = model->pair.shape.size + 1u;

	EXPECT(model, vd_vq_drv_add(&model->pair.drv, NULL, count, 0, NULL) == -VD_E2BIG);
	EXPECT(model, vd_vq_drv_add(&model->pair.drv, NULL, 1, count - 1, NULL) == -VD_E2BIG);
}

void step_add(struct model *model)
{
	unsigned count = choose_count(model);
	uint32_t number;
	struct buffer *b;
	int err;

	model->step = "add";
	if (dice_one_in(&model->dice, 500))
		add_too_long(model);
	if (model->idle.count == 0 || model->chunks.count < count)
		return;
	number = fifo_get(&model->idle);
	b = buffer(model, number);
	make_buffer(model, b, count);
	err = vd_vq_drv_add(&model->pair.drv, b->segments, b->n_out, b->n_in, b);
	EXPECT(model, err == (b->descs <= model->free_descs ? 0 : -VD_ENOSPC));
	if (err == 0) {
		model->free_descs -= b->descs;
		fifo_put(&model->added, number);
	} else {
		drop_buffer(model, number);
	}
	EXPECT(model, vd_vq_drv_num_free(&model->pair.drv) == model->free_descs);
}

/* How far a buffer moves the position of either side. */
static unsigned entries_of(const struct model *model, const struct buffer *b)
{
	return model->pair.shape.packed ? b->descs : 1;
}

static void show_added(struct model *model)
{
	while (model->added.count > 0) {
		uint32_t number = fifo_get(&model->added);

		model->drv_shown += entries_of(model, buffer(model, number));
		fifo_put(&model->shown, number);
	}
}

void step_publish(struct model *model)
{
	model->step = "publish";
	show_added(model);
	vd_vq_drv_publish(&model->pair.drv);
}

static void kicked(struct model *model, bool kick)
{
	EXPECT(model,
	       kick == is_wanted(model, &model->dev_wish, model->drv_asked, model->drv_shown));
	model->drv_asked = model->drv_shown;
	model->dev_kicked |= kick;
	model->kicks += kick;
}

void step_need_kick(struct model *model)
{
	model->step = "need_kick";
	kicked(model, vd_vq_drv_need_kick(&model->pair.drv));
}

void step_kick(struct model *model)
{
	model->step = "kick";
	show_added(model);
	kicked(model, vd_vq_drv_kick(&model->pair.drv));
}

void step_get(struct model *model)
{
	struct vd_used used;
	uint32_t number;
	struct buffer *b;
	int got;

	model->step = "get";
	if (model->drv_asleep)
		return;
	EXPECT(model, vd_vq_drv_ready(&model->pair.drv) == (model->used.count > 0));
	got = vd_vq_drv_get(&model->pair.drv, &used);
	EXPECT(model, got == (model->used.count > 0));
	if (got == 0)
		return;
	number = fifo_get(&model->used);
	b = buffer(model, number);
	EXPECT(model, used.token == b);
	EXPECT(model, used.len == b->written);
	check_answer(model, b, used.len);
	model->free_descs += b->descs;
	EXPECT(model, vd_vq_drv_num_free(&model->pair.drv) == model->free_descs);
	model->drv_got += entries_of(model, b);
	model->fetched++;
	drop_buffer(model, number);
}

void step_enable_cb(struct model *model, bool delayed)
{
	uint64_t after = delayed ? (model->drv_shown - model->drv_got) * 3 / 4 : 0;
	bool more;

	model->step = delayed ? "enable_cb_delayed" : "enable_cb";
	more = delayed ? vd_vq_drv_enable_cb_delayed(&model->pair.drv)
		       : vd_vq_drv_enable_cb(&model->pair.drv);
	model->drv_wish = enabled(model, model->drv_got + after);
	EXPECT(model, more == (model->used.count > 0));
	model->drv_asleep = !more;
	model->drv_called = false;
}

void step_disable_cb(struct model *model)
{
	model->step = "disable_cb";
	if (model->drv_asleep)
		return;
	vd_vq_drv_disable_cb(&model->pair.drv);
	model->drv_wish = disabled(model, model->drv_wish);
}

void step_drv_wake(struct model *model)
{
	/* Now and then for no reason at all. */
	if (model->drv_called || dice_one_in(&model->dice, 50))
		model->drv_asleep = false;
	model->drv_called = false;
}

/* ---- the device ---- */

static void expect_popped(struct model *model, struct buffer *b, int got, unsigned iov_max)
{
	const struct vd_chain *chain = &b->chain;
	bool fits = b->out_pieces + b->in_pieces <= iov_max;

	EXPECT(model, got == (fits ? 1 : -VD_E2BIG));
	EXPECT(model, chain->out_len == b->out_len);
	EXPECT(model, chain->in_len == b->in_len);
	EXPECT(model, chain->n_out == (fits ? b->out_pieces : 0));
	EXPECT(model, chain->n_in == (fits ? b->in_pieces : 0));
	if (fits)
		check_question(model, b);
}

static void prepare_chain(struct buffer *b, unsigned iov_max)
{
	memset(&b->chain, 0xa5, sizeof(b->chain));
	b->chain.iov = b->iov;
	b->chain.iov_max = (uint16_t)iov_max;
}

static void hold(struct model *model)
{
	uint32_t number = fifo_get(&model->shown);
	struct buffer *b = buffer(model, number);

	b->held = true;
	model->dev_popped += entries_of(model, b);
	fifo_put(&model->held, number);
	if (model->pair.shape.in_order)
		fifo_put(&model->popped, number);
	model->last_popped = b;
}

static void pop_with(struct model *model, unsigned iov_max)
{
	struct vd_chain none = {.iov = NULL, .iov_max = 0};
	struct buffer *b;

	if (model->dev_asleep)
		return;
	EXPECT(model, vd_vq_dev_ready(&model->pair.dev) == (model->shown.count > 0));
	if (model->shown.count == 0) {
		EXPECT(model, vd_vq_dev_pop(&model->pair.dev, &none) == 0);
		return;
	}
	b = buffer(model, fifo_at(&model->shown, 0));
	prepare_chain(b, iov_max);
	expect_popped(model, b, vd_vq_dev_pop(&model->pair.dev, &b->chain), iov_max);
	hold(model);
}

void step_pop(struct model *model)
{
	model->step = "pop";
	pop_with(model, model->iov_max);
}

void step_pop_small(struct model *model)
{
	model->step = "pop into little";
	pop_with(model, dice_roll(&model->dice, 4));
}

#define MANY 8

/* Chains of a batch are together in an array; their buffers take copies. */
void step_pop_many(struct model *model)
{
	struct vd_chain chains[MANY];
	unsigned count = 1 + dice_roll(&model->dice, MANY);
	int got;

	model->step = "pop_many";
	if (model->dev_asleep || model->shown.count < count)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct buffer *b = buffer(model, fifo_at(&model->shown, i));

		prepare_chain(b, i > 0 && dice_one_in(&model->dice, 20) ? 0 : model->iov_max);
		chains[i] = b->chain;
	}
	got = vd_vq_dev_pop_many(&model->pair.dev, chains, count);
	EXPECT(model, got > 0 && (unsigned)got <= count);
	/* Only one that did not fit ends the batch early. */
	EXPECT(model, (unsigned)got == count || chains[got].iov_max == 0);
	for (int i = 0; i < got; i++) {
		struct buffer *b = buffer(model, fifo_at(&model->shown, 0));

		b->chain = chains[i];
		expect_popped(model, b, 1, model->iov_max);
		hold(model);
	}
}

void step_unpop(struct model *model)
{
	struct buffer *b = model->last_popped;
	uint32_t number;

	model->step = "unpop";
	if (model->dev_asleep || b == NULL)
		return;
	number = (uint32_t)(b - model->buffers);
	EXPECT(model, vd_vq_dev_unpop(&model->pair.dev, &b->chain) == 0);
	b->held = false;
	model->last_popped = NULL;
	model->dev_popped -= entries_of(model, b);
	if (model->pair.shape.in_order)
		fifo_get_last(&model->popped);
	fifo_drop(&model->held, number);
	fifo_put_first(&model->shown, number);
}

void step_push(struct model *model)
{
	uint32_t number;
	struct buffer *b;

	model->step = "push";
	if (model->held.count == 0)
		return;
	number = fifo_take_out(&model->held, dice_one_in(&model->dice, 2)
						     ? 0
						     : dice_roll(&model->dice, model->held.count));
	b = buffer(model, number);
	b->written = 0;
	if (b->chain.n_in > 0)
		b->written = dice_one_in(&model->dice, 2)
				     ? (uint32_t)b->in_len
				     : dice_roll(&model->dice, (uint32_t)b->in_len + 1);
	put_answer(model, b);
	EXPECT(model, vd_vq_dev_push(&model->pair.dev, &b->chain, b->in_len + 1) == -VD_EINVAL);
	EXPECT(model, vd_vq_dev_push(&model->pair.dev, &b->chain, b->written) == 0);
	b->held = false;
	b->pushed = true;
	if (!model->pair.shape.in_order)
		fifo_put(&model->pushed, number);
	if (model->last_popped == b)
		model->last_popped = NULL;
}

static void show_one_used(struct model *model, uint32_t number)
{
	struct buffer *b = buffer(model, number);

	b->pushed = false;
	model->dev_shown += entries_of(model, b);
	fifo_put(&model->used, number);
}

/* In order, what was popped first comes first; otherwise what was pushed first. */
static void show_used(struct model *model)
{
	struct fifo *from = model->pair.shape.in_order ? &model->popped : &model->pushed;

	while (from->count > 0 && buffer(model, fifo_at(from, 0))->pushed)
		show_one_used(model, fifo_get(from));
}

void step_dev_publish(struct model *model)
{
	model->step = "publish (device)";
	show_used(model);
	vd_vq_dev_publish(&model->pair.dev);
}

static void called(struct model *model, bool call)
{
	EXPECT(model,
	       call == is_wanted(model, &model->drv_wish, model->dev_asked, model->dev_shown));
	model->dev_asked = model->dev_shown;
	model->drv_called |= call;
	model->calls += call;
}

void step_need_notify(struct model *model)
{
	model->step = "need_notify";
	called(model, vd_vq_dev_need_notify(&model->pair.dev));
}

void step_flush(struct model *model)
{
	model->step = "flush";
	show_used(model);
	called(model, vd_vq_dev_flush(&model->pair.dev));
}

void step_enable_notify(struct model *model)
{
	bool more;

	model->step = "enable_notify";
	more = vd_vq_dev_enable_notify(&model->pair.dev);
	model->dev_wish = enabled(model, model->dev_popped);
	EXPECT(model, more == (model->shown.count > 0));
	model->dev_asleep = !more;
	model->dev_kicked = false;
}

void step_disable_notify(struct model *model)
{
	model->step = "disable_notify";
	if (model->dev_asleep)
		return;
	vd_vq_dev_disable_notify(&model->pair.dev);
	model->dev_wish = disabled(model, model->dev_wish);
}

void step_dev_wake(struct model *model)
{
	if (model->dev_kicked || dice_one_in(&model->dice, 50))
		model->dev_asleep = false;
	model->dev_kicked = false;
}

void step_replace_device(struct model *model)
{
	model->step = "replace device";
	if (model->held.count > 0)
		return;
	step_flush(model);
	pair_replace_device(&model->pair);
	model->last_popped = NULL;
}

/* ---- both ---- */

static unsigned count_all(const struct model *model)
{
	return model->n_buffers - model->idle.count;
}

void step_reset(struct model *model, uint16_t size)
{
	struct fifo *fifos[] = {&model->added,  &model->shown,  &model->held,
				&model->popped, &model->pushed, &model->used};
	unsigned left = count_all(model);
	struct pair_shape shape = model->pair.shape;
	void *token;

	model->step = "reset";
	while (vd_vq_drv_detach(&model->pair.drv, &token) == 1) {
		struct buffer *b = token;

		EXPECT(model, left > 0 && b >= model->buffers &&
				      b < model->buffers + model->n_buffers && b->descs > 0);
		b->descs = 0; /* a second time would be wrong */
		drop_buffer(model, (uint32_t)(b - model->buffers));
		left--;
	}
	EXPECT(model, left == 0);
	EXPECT(model, vd_vq_drv_num_free(&model->pair.drv) == shape.size);
	for (size_t i = 0; i < sizeof(fifos) / sizeof(fifos[0]); i++)
		fifos[i]->count = 0;
	shape.size = size;
	pair_open(&model->pair, &shape, &model->dice);
	start_over(model);
}

void model_drain(struct model *model)
{
	model->dev_asleep = model->drv_asleep = false;
	while (count_all(model) > 0) {
		step_kick(model);
		step_dev_wake(model);
		while (model->shown.count > 0)
			step_pop(model);
		while (model->held.count > 0)
			step_push(model);
		step_flush(model);
		while (model->used.count > 0)
			step_get(model);
	}
	model->step = "drained";
	EXPECT(model, vd_vq_drv_num_free(&model->pair.drv) == model->pair.shape.size);
	EXPECT(model, !vd_vq_drv_ready(&model->pair.drv) && !vd_vq_dev_ready(&model->pair.dev));
}
