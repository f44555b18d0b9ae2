/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends at work while somebody scribbles over the shared memory between them. Whatever is
 * there, nothing may crash, hang, or touch memory that was not shown: rings, windows and private
 * memory lie between guard pages, and every segment is checked. The driver end gets each buffer
 * back once at most, with no more bytes than it holds. A queue goes on, or is broken with a fault
 * that has a text, and can then be reset.
 *
 *     property_ring_hostile [SEED [ROUNDS]]
 */
#include "ring_pair.h"

#include "viaduct/errno.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA    4096u
#define BUFFERS 64u
#define IOV     12u

struct hostile {
	struct pair pair;
	struct dice dice;
	uint64_t seed;
	bool out[BUFFERS]; /* tokens that are with the device, or may be */
	uint32_t in_len[BUFFERS];
	uint32_t n_out;
	struct vd_chain chains[BUFFERS]; /* popped and not pushed */
	struct vd_iov iov[BUFFERS][IOV];
	uint32_t n_chains;
	uint64_t broken[VD_FAULT_COUNT];
	uint64_t resets;
};

#define EXPECT(hostile, condition)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up(hostile, #condition, __LINE__);                                    \
	} while (0)

static _Noreturn void give_up(const struct hostile *hostile, const char *condition, int line)
{
	fprintf(stderr, "ring_hostile.c:%d: not true: %s\nseed %" PRIu64 ": ", line, condition,
		hostile->seed);
	pair_print_shape(&hostile->pair.shape);
	exit(1);
}

/* ---- the driver ---- */

static void add(struct hostile *hostile)
{
	unsigned count = 1 + dice_roll(&hostile->dice, dice_one_in(&hostile->dice, 4) ? 9 : 2);
	unsigned n_out = dice_roll(&hostile->dice, count + 1);
	uint32_t token = dice_roll(&hostile->dice, BUFFERS);
	struct vd_iov segments[9];
	uint32_t in_len = 0;

	if (hostile->out[token])
		return;
	for (unsigned i = 0; i < count; i++) {
		uint32_t len = 1 + dice_roll(&hostile->dice, 32);
		uint32_t at = dice_roll(&hostile->dice, DATA - len + 1);

		segments[i] = (struct vd_iov){(unsigned char *)hostile->pair.data.at + at, len};
		in_len += i >= n_out ? len : 0;
	}
	if (vd_vq_drv_add(&hostile->pair.drv, segments, n_out, count - n_out,
			  (void *)(uintptr_t)token) != 0)
		return;
	hostile->out[token] = true;
	hostile->in_len[token] = in_len;
	hostile->n_out++;
}

static void get(struct hostile *hostile)
{
	struct vd_used used;
	uintptr_t token;

	if (vd_vq_drv_get(&hostile->pair.drv, &used) != 1)
		return;
	token = (uintptr_t)used.token;
	EXPECT(hostile, token < BUFFERS && hostile->out[token]);
	EXPECT(hostile, used.len <= hostile->in_len[token]);
	hostile->out[token] = false;
	hostile->n_out--;
}

static void driver_step(struct hostile *hostile)
{
	struct vd_vq_drv *vq = &hostile->pair.drv;

	switch (dice_roll(&hostile->dice, 10)) {
	case 0:
	case 1:
	case 2:
		add(hostile);
		break;
	case 3:
	case 4:
		vd_vq_drv_kick(vq);
		break;
	case 5:
		vd_vq_drv_disable_cb(vq);
		break;
	case 6:
		if (dice_one_in(&hostile->dice, 2))
			vd_vq_drv_enable_cb(vq);
		else
			vd_vq_drv_enable_cb_delayed(vq);
		break;
	default:
		get(hostile);
	}
	EXPECT(hostile, vd_vq_drv_num_free(vq) <= hostile->pair.shape.size);
}

/* ---- the device ---- */

/* Is the segment inside one of the windows, with the right to use it so? */
static bool is_shown(const struct hostile *hostile, const struct vd_iov *segment, uint32_t rights)
{
	uintptr_t at = (uintptr_t)segment->base;

	for (uint32_t i = 0; i < hostile->pair.dev_mem.count; i++) {
		const struct vd_window *window = &hostile->pair.dev_windows[i];
		uintptr_t from = (uintptr_t)window->local;

		if (at >= from && at - from < window->size &&
		    segment->len <= window->size - (at - from))
			return (window->rights & rights) == rights;
	}
	return false;
}

static void use_segments(struct hostile *hostile, const struct vd_chain *chain)
{
	volatile unsigned char sink = 0;
	uint64_t out_len = 0;
	uint64_t in_len = 0;

	for (unsigned i = 0; i < chain->n_out; i++) {
		EXPECT(hostile, is_shown(hostile, &chain->iov[i], VD_MEM_READ));
		for (size_t k = 0; k < chain->iov[i].len; k++)
			sink = sink ^ ((unsigned char *)chain->iov[i].base)[k];
		out_len += chain->iov[i].len;
	}
	for (unsigned i = chain->n_out; i < chain->n_out + chain->n_in; i++) {
		EXPECT(hostile, is_shown(hostile, &chain->iov[i], VD_MEM_WRITE));
		memset(chain->iov[i].base, 0x5a, chain->iov[i].len);
		in_len += chain->iov[i].len;
	}
	EXPECT(hostile, out_len == chain->out_len && in_len == chain->in_len);
}

static void pop(struct hostile *hostile)
{
	struct vd_chain *chain = &hostile->chains[hostile->n_chains];
	int got;

	if (hostile->n_chains == BUFFERS)
		return;
	*chain = (struct vd_chain){.iov = hostile->iov[hostile->n_chains], .iov_max = IOV};
	got = vd_vq_dev_pop(&hostile->pair.dev, chain);
	EXPECT(hostile, got == 1 || got == 0 || got == -VD_E2BIG || got == -VD_EPROTO);
	if (got == 1) {
		EXPECT(hostile, chain->n_out + chain->n_in <= IOV);
		use_segments(hostile, chain);
	}
	if (got == 1 || got == -VD_E2BIG)
		hostile->n_chains++;
	EXPECT(hostile, hostile->n_chains <= hostile->pair.shape.size);
}

static void unpop(struct hostile *hostile)
{
	if (hostile->n_chains == 0)
		return;
	if (vd_vq_dev_unpop(&hostile->pair.dev, &hostile->chains[hostile->n_chains - 1]) == 0)
		hostile->n_chains--;
}

static void push(struct hostile *hostile)
{
	struct vd_chain *last;
	struct vd_chain *chain;
	uint64_t most;
	int err;

	if (hostile->n_chains == 0)
		return;
	chain = &hostile->chains[dice_roll(&hostile->dice, hostile->n_chains)];
	most = chain->n_in > 0 ? chain->in_len : 0;
	err = vd_vq_dev_push(&hostile->pair.dev, chain,
			     dice_one_in(&hostile->dice, 2) ? most : most / 2);
	EXPECT(hostile, err == 0 || err == -VD_EPROTO);
	/* The chains move, their segments are not needed any more. */
	last = &hostile->chains[--hostile->n_chains];
	*chain = *last;
}

static void device_step(struct hostile *hostile)
{
	struct vd_vq_dev *vq = &hostile->pair.dev;

	switch (dice_roll(&hostile->dice, 12)) {
	case 0:
	case 1:
		vd_vq_dev_flush(vq);
		break;
	case 2:
		vd_vq_dev_disable_notify(vq);
		break;
	case 3:
		vd_vq_dev_enable_notify(vq);
		break;
	case 4:
		unpop(hostile);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		push(hostile);
		break;
	default:
		pop(hostile);
	}
}

/* ---- the enemy ---- */

static void scribble(struct hostile *hostile)
{
	const struct pair *pair = &hostile->pair;
	const struct pages *areas[] = {&pair->desc, &pair->driver, &pair->device, &pair->tables};
	struct vd_ring_parts parts;
	size_t sizes[4];
	uint32_t area = dice_roll(&hostile->dice, pair->shape.indirect ? 4 : 3);
	unsigned char *at;
	uint32_t offset;

	vd_ring_parts(pair->shape.packed ? VD_RING_PACKED : VD_RING_SPLIT, pair->shape.size,
		      &parts);
	sizes[0] = parts.desc.size;
	sizes[1] = parts.driver.size;
	sizes[2] = parts.device.size;
	sizes[3] = vd_vq_drv_tables_size(pair->shape.size, pair->shape.table_entries);
	at = areas[area]->at;
	offset = dice_roll(&hostile->dice, (uint32_t)sizes[area]);
	switch (dice_roll(&hostile->dice, 6)) {
	case 0:
		at[offset] = (unsigned char)dice_roll(&hostile->dice, 256);
		break;
	case 1:
		at[offset] ^= (unsigned char)(1u << dice_roll(&hostile->dice, 8));
		break;
	case 2:
		at[offset]++;
		break;
	case 3:
		at[offset]--;
		break;
	case 4:
		at[offset] = dice_one_in(&hostile->dice, 2) ? 0 : 0xff;
		break;
	default:
		/* Some 8 bytes for some others. */
		memmove(at + offset / 8 * 8, at + dice_roll(&hostile->dice, offset + 1) / 8 * 8,
			offset / 8 * 8 + 8 <= sizes[area] ? 8 : 1);
	}
}

/* ---- all together ---- */

static void check_fault(struct hostile *hostile, const struct vd_fault *fault)
{
	char text[200];

	if (fault->code == VD_FAULT_NONE)
		return;
	EXPECT(hostile, fault->code < VD_FAULT_COUNT);
	EXPECT(hostile, vd_fault_text(fault, text, sizeof(text)) > 0 && text[0] != '\0');
	hostile->broken[fault->code]++;
}

static void reset(struct hostile *hostile)
{
	struct pair_shape shape = hostile->pair.shape;
	void *token;

	check_fault(hostile, vd_vq_drv_fault(&hostile->pair.drv));
	check_fault(hostile, vd_vq_dev_fault(&hostile->pair.dev));
	while (vd_vq_drv_detach(&hostile->pair.drv, &token) == 1) {
		EXPECT(hostile, (uintptr_t)token < BUFFERS && hostile->out[(uintptr_t)token]);
		hostile->out[(uintptr_t)token] = false;
		hostile->n_out--;
	}
	EXPECT(hostile, hostile->n_out == 0);
	hostile->n_chains = 0;
	pair_open(&hostile->pair, &shape, &hostile->dice);
	hostile->resets++;
}

static bool is_broken(const struct hostile *hostile)
{
	return vd_vq_drv_is_broken(&hostile->pair.drv) || vd_vq_dev_is_broken(&hostile->pair.dev);
}

static void run_shape(struct hostile *hostile, const struct pair_shape *shape, uint32_t steps)
{
	/* From now and then to all the time, so that all stages of a queue are struck. */
	uint32_t rarely = 2 + dice_roll(&hostile->dice, 200);

	pair_take(&hostile->pair, DATA, false, &hostile->dice);
	pair_open(&hostile->pair, shape, &hostile->dice);
	while (steps-- > 0) {
		if (dice_one_in(&hostile->dice, 2))
			driver_step(hostile);
		else
			device_step(hostile);
		if (dice_one_in(&hostile->dice, rarely))
			scribble(hostile);
		/* A while later: the other end goes on, and may break as well. */
		if (is_broken(hostile) && dice_one_in(&hostile->dice, 10))
			reset(hostile);
	}
	reset(hostile);
	pair_give(&hostile->pair);
}

static void print_totals(const struct hostile *hostile)
{
	printf("%" PRIu64 " queues:", hostile->resets);
	for (unsigned code = 0; code < VD_FAULT_COUNT; code++)
		if (hostile->broken[code] > 0)
			printf(" %s %" PRIu64, vd_fault_name((enum vd_fault_code)code),
			       hostile->broken[code]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const uint16_t sizes[] = {1, 2, 4, 8, 16, 64};
	static struct hostile hostile;
	uint32_t rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 1;

	hostile.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	hostile.dice.state = hostile.seed;
	/* A step takes microseconds. */
	alarm(600 * rounds);
	for (uint32_t round = 0; round < rounds; round++)
		for (unsigned number = 0; number < 32; number++)
			for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
				const struct pair_shape shape = {
					.packed = number & 1,
					.indirect = number & 2,
					.event_idx = number & 4,
					.in_order = number & 8,
					.big_endian = number & 16,
					.size = sizes[s],
					.table_entries = 4,
				};

				run_shape(&hostile, &shape, 30000);
			}
	print_totals(&hostile);
	return 0;
}
