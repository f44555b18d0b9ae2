/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device end against a driver that is the input: it lays out buffers that are almost right,
 * moves indexes, scribbles, asks for notifications, and decides when the device end is called and
 * how. It also is the journal that the device end replays.
 */
#include "ring/journal.h"
#include "ring_fuzz.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_dev.h"

#include <string.h>
#include <sys/mman.h>

#define WINDOW 256u
#define LOW    UINT64_C(0x10000)
#define NEXT   (LOW + WINDOW)
#define RO     (NEXT + WINDOW)
#define WO     UINT64_C(0x30000)
#define TOP    (UINT64_MAX - WINDOW + 1)
#define HELD   16
#define IOV    24

struct fuzz {
	struct vd_journal journal; /* first */
	struct program program;
	struct vd_vq_dev vq;
	struct vd_vq_dev_config config;
	struct peer_driver driver;
	struct vd_mem mem;
	struct vd_window windows[6];
	struct vd_chain held[HELD];
	struct vd_iov iov[HELD][IOV];
	unsigned n_held;
	struct vd_chain gone;     /* the chain pushed last */
	enum vd_fault_code fault; /* of the queue, the last time we looked */
};

static struct fuzz fuzz;

/* ---- memory ---- */

static const struct {
	uint64_t peer;
	uint32_t rights;
} windows[] = {
	{0, VD_MEM_RW},    {LOW, VD_MEM_RW},   {NEXT, VD_MEM_RW},
	{RO, VD_MEM_READ}, {WO, VD_MEM_WRITE}, {TOP, VD_MEM_RW},
};

#define N_WINDOWS (sizeof(windows) / sizeof(windows[0]))

static void open_windows(void)
{
	static struct pages pages[N_WINDOWS];

	vd_mem_init(&fuzz.mem, fuzz.windows, N_WINDOWS, VD_MEM_LIMIT_64);
	for (size_t i = 0; i < N_WINDOWS; i++) {
		struct vd_window window = {
			.peer = windows[i].peer, .size = WINDOW, .rights = windows[i].rights};

		if (pages[i].at == NULL)
			pages_take(&pages[i], WINDOW, 1);
		memset(pages[i].at, 0, WINDOW);
		window.local = pages[i].at;
		MUST(vd_mem_add(&fuzz.mem, &window) == 0);
	}
}

static unsigned char *low(void)
{
	return fuzz.windows[1].local;
}

/* Somewhere at, in or near a window. */
static uint64_t next_address(void)
{
	static const uint64_t bases[] = {0, LOW, NEXT, RO, WO, TOP, RO + WINDOW, LOW};
	uint64_t base = bases[next_below(&fuzz.program, 8)];

	return base + (uint64_t)(int64_t)(int8_t)next_byte(&fuzz.program);
}

/* Is the segment inside one of the windows, with the right to use it so? */
static void check_segment(const struct vd_iov *segment, uint32_t rights)
{
	volatile unsigned char sink = 0;

	MUST(segment->len > 0);
	for (size_t i = 0; i < N_WINDOWS; i++) {
		uintptr_t from = (uintptr_t)fuzz.windows[i].local;
		uintptr_t at = (uintptr_t)segment->base;

		if (at < from || at - from >= WINDOW || segment->len > WINDOW - (at - from))
			continue;
		MUST((fuzz.windows[i].rights & rights) == rights);
		sink = *(unsigned char *)segment->base;
		(void)sink;
		return;
	}
	MUST(!"a segment inside the windows");
}

static void check_chain(const struct vd_chain *chain, int got)
{
	uint64_t out_len = 0;
	uint64_t in_len = 0;

	if (got == -VD_E2BIG) {
		MUST(chain->n_out == 0 && chain->n_in == 0);
		MUST(chain->out_len + chain->in_len <= UINT64_C(1) << 32);
		return;
	}
	MUST(chain->n_out + chain->n_in <= chain->iov_max);
	for (unsigned i = 0; i < chain->n_out; i++) {
		check_segment(&chain->iov[i], VD_MEM_READ);
		out_len += chain->iov[i].len;
	}
	for (unsigned i = chain->n_out; i < chain->n_out + chain->n_in; i++) {
		check_segment(&chain->iov[i], VD_MEM_WRITE);
		in_len += chain->iov[i].len;
	}
	MUST(out_len == chain->out_len && in_len == chain->in_len);
}

/* ---- the journal ---- */

static void take_descriptor(struct vd_journal *journal, const struct vd_desc *desc)
{
	(void)journal;
	(void)desc;
}

static uint16_t take_popped(struct vd_journal *journal, uint16_t id)
{
	(void)journal;
	return id;
}

static void take_unpopped(struct vd_journal *journal, uint16_t entry, bool replayed)
{
	(void)journal;
	(void)entry;
	(void)replayed;
}

static void take_pushed(struct vd_journal *journal, uint16_t entry)
{
	(void)journal;
	(void)entry;
}

static void take_publication(struct vd_journal *journal, uint16_t used)
{
	(void)journal;
	(void)used;
}

static bool make_entry(struct vd_journal *journal, uint16_t *entry)
{
	uint8_t byte = next_byte(&fuzz.program);

	(void)journal;
	*entry = byte % 32;
	return byte != 0;
}

static bool make_descriptor(struct vd_journal *journal, uint16_t entry, uint16_t n,
			    struct vd_desc *desc)
{
	(void)journal;
	(void)entry;
	if (n >= next_below(&fuzz.program, 20))
		return false;
	desc->addr = next_address();
	desc->len = next_length(&fuzz.program);
	desc->flags = next_byte(&fuzz.program);
	desc->link = next_byte(&fuzz.program);
	return true;
}

static const struct vd_journal_ops journal_ops = {
	.descriptor = take_descriptor,
	.popped = take_popped,
	.unpopped = take_unpopped,
	.pushed = take_pushed,
	.publish = take_publication,
	.published = take_publication,
	.replay = make_entry,
	.replay_descriptor = make_descriptor,
};

/* ---- what the driver does ---- */

/* Flags that follow from the others are left out of honest descriptors. */
static struct peer_desc next_desc(uint16_t flags)
{
	struct peer_desc desc = {.addr = next_address()};

	desc.len = next_length(&fuzz.program);
	desc.flags = next_byte(&fuzz.program) & flags;
	desc.link = next_byte(&fuzz.program);
	return desc;
}

static void offer(void)
{
	struct peer_desc desc[8];
	unsigned count = 1 + next_below(&fuzz.program, 8);

	for (unsigned i = 0; i < count; i++)
		desc[i] = next_desc(2);
	peer_driver_offer(&fuzz.driver, desc, count);
}

static void offer_plain(void)
{
	struct peer_desc desc = {.addr = LOW + next_byte(&fuzz.program),
				 .len = next_byte(&fuzz.program),
				 .flags = next_byte(&fuzz.program) & 2};

	peer_driver_offer(&fuzz.driver, &desc, 1);
}

/* A table at the start of LOW, behind a few direct descriptors. */
static void offer_table(void)
{
	struct peer_desc entries[8];
	struct peer_desc desc[3];
	unsigned direct = next_below(&fuzz.program, 3);
	unsigned count = 1 + next_below(&fuzz.program, 8);
	uint32_t len = next_length(&fuzz.program);

	for (unsigned i = 0; i < direct; i++)
		desc[i] = next_desc(2);
	for (unsigned i = 0; i < count; i++)
		entries[i] = next_desc(2);
	peer_put_table(&fuzz.driver.ring, low(), entries, count);
	desc[direct] = (struct peer_desc){
		.addr = LOW, .len = len == 0 ? 16 * count : len, .flags = 4};
	peer_driver_offer(&fuzz.driver, desc, direct + 1);
}

static void put_desc(void)
{
	uint8_t index = next_byte(&fuzz.program);
	bool in_table = index & 0x80;

	peer_put_desc(&fuzz.driver.ring, in_table ? low() : fuzz.driver.ring.mem.desc,
		      index % (in_table ? 16 : fuzz.driver.ring.size), next_desc(0xff));
}

/* A table somewhere else: across windows, at the ends, outside. */
static void offer_far_table(void)
{
	struct peer_desc desc = {.addr = next_address()};

	desc.len = 16u * next_below(&fuzz.program, 20) + next_below(&fuzz.program, 2);
	desc.flags = 4 | (next_byte(&fuzz.program) & 3);
	peer_driver_offer(&fuzz.driver, &desc, 1);
}

static void offer_raw(void)
{
	if (fuzz.driver.ring.packed)
		peer_driver_offer_slot(&fuzz.driver, next_desc(0x7f));
	else
		peer_driver_offer_head(&fuzz.driver, next_byte(&fuzz.program) % 18);
}

static void move_index(void)
{
	int8_t by = (int8_t)next_byte(&fuzz.program);

	if (fuzz.driver.ring.packed)
		fuzz.driver.avail += (uint8_t)by % 4;
	else
		peer_driver_set_index(&fuzz.driver,
				      (uint16_t)(fuzz.driver.avail + (uint32_t)(int32_t)by));
}

static void wish(void)
{
	peer_put_wish(&fuzz.driver.ring, true, next_below(&fuzz.program, 5),
		      next_u16(&fuzz.program));
}

static void take_used(void)
{
	struct peer_used used;

	(void)peer_driver_take(&fuzz.driver, &used);
}

static void poke(void)
{
	fuzz_poke(&fuzz.program, &fuzz.driver.ring);
}

/* ---- what the device does ---- */

static int pop_into(unsigned iov_max)
{
	struct vd_chain *chain = &fuzz.held[fuzz.n_held];
	int got;

	*chain = (struct vd_chain){.iov = fuzz.iov[fuzz.n_held], .iov_max = (uint16_t)iov_max};
	got = vd_vq_dev_pop(&fuzz.vq, chain);
	MUST(got == 1 || got == 0 || got == -VD_E2BIG || got == -VD_EPROTO);
	if (got == 1 || got == -VD_E2BIG) {
		check_chain(chain, got);
		fuzz.n_held++;
	}
	return got;
}

static void pop(void)
{
	uint8_t iov_max = next_byte(&fuzz.program);
	bool ready = vd_vq_dev_ready(&fuzz.vq);
	int got;

	if (fuzz.n_held == HELD)
		return;
	got = pop_into(iov_max % 4 == 0 ? iov_max / 4 % IOV : IOV);
	/* With a journal it can't know before it asked. */
	MUST(ready || got == 0 || got == -VD_EPROTO);
	MUST(fuzz.n_held <= fuzz.config.size);
}

static void pop_many(void)
{
	struct vd_chain *chains = &fuzz.held[fuzz.n_held];
	unsigned room = HELD - fuzz.n_held;
	int got;

	if (room == 0)
		return;
	for (unsigned i = 0; i < room; i++)
		chains[i] = (struct vd_chain){
			.iov = fuzz.iov[fuzz.n_held + i],
			.iov_max = (uint16_t)(next_byte(&fuzz.program) % 8 == 0 ? 1 : IOV)};
	got = vd_vq_dev_pop_many(&fuzz.vq, chains, room);
	MUST(got <= (int)room);
	for (int i = 0; i < got; i++)
		check_chain(&chains[i], 1);
	if (got > 0)
		fuzz.n_held += (unsigned)got;
	if (got == -VD_E2BIG)
		fuzz.n_held++;
	MUST(fuzz.n_held <= fuzz.config.size);
}

/* Chains keep their place with their segments: the last one moves over, segments and all. */
static void drop_held(unsigned n)
{
	unsigned last = --fuzz.n_held;

	if (n == last)
		return;
	memcpy(fuzz.iov[n], fuzz.iov[last], sizeof(fuzz.iov[n]));
	fuzz.held[n] = fuzz.held[last];
	fuzz.held[n].iov = fuzz.iov[n];
}

static void push(void)
{
	unsigned n = next_byte(&fuzz.program);
	uint8_t how = next_below(&fuzz.program, 4);
	const struct vd_chain *chain;
	uint64_t written;
	int err;

	if (fuzz.n_held == 0)
		return;
	n %= fuzz.n_held;
	chain = &fuzz.held[n];
	if (how == 3) {
		err = vd_vq_dev_push(&fuzz.vq, chain, chain->in_len + 1);
		MUST(err == (vd_vq_dev_is_broken(&fuzz.vq) ? -VD_EPROTO : -VD_EINVAL));
		return;
	}
	written = chain->n_in == 0 ? 0 : chain->in_len >> how;
	err = vd_vq_dev_push(&fuzz.vq, chain, written);
	MUST(err == (vd_vq_dev_is_broken(&fuzz.vq) ? -VD_EPROTO : 0));
	if (err != 0)
		return;
	fuzz.gone = *chain;
	drop_held(n);
}

/* A packed queue has only a record of what it gave out if it needs one. */
static void push_twice(void)
{
	bool known = !fuzz.driver.ring.packed || fuzz.vq.in_order;
	struct vd_chain gone = fuzz.gone;
	int err;

	for (unsigned i = 0; i < fuzz.n_held; i++)
		if (fuzz.held[i].id == gone.id)
			return;
	if (!known || gone.n_desc == 0)
		return;
	err = vd_vq_dev_push(&fuzz.vq, &gone, 0);
	MUST(err == (vd_vq_dev_is_broken(&fuzz.vq) ? -VD_EPROTO : -VD_EINVAL));
	MUST(vd_vq_dev_unpop(&fuzz.vq, &gone) == -VD_EINVAL);
}

static void unpop(void)
{
	unsigned n = next_byte(&fuzz.program);
	int err;

	if (fuzz.n_held == 0)
		return;
	n = n % 4 == 0 ? n / 4 % fuzz.n_held : fuzz.n_held - 1;
	err = vd_vq_dev_unpop(&fuzz.vq, &fuzz.held[n]);
	MUST(err == 0 || err == -VD_EINVAL);
	if (err == 0)
		drop_held(n);
}

/* Give back what was never taken. */
static void push_nonsense(void)
{
	const struct vd_chain chain = {
		.id = 16 + next_byte(&fuzz.program), .n_desc = 0, .seq = next_byte(&fuzz.program)};
	int err = vd_vq_dev_push(&fuzz.vq, &chain, 0);

	MUST(err == (vd_vq_dev_is_broken(&fuzz.vq) ? -VD_EPROTO : -VD_EINVAL));
	MUST(vd_vq_dev_unpop(&fuzz.vq, &chain) == -VD_EINVAL);
}

static void publish(void)
{
	switch (next_below(&fuzz.program, 3)) {
	case 0:
		vd_vq_dev_publish(&fuzz.vq);
		break;
	case 1:
		(void)vd_vq_dev_need_notify(&fuzz.vq);
		break;
	default:
		(void)vd_vq_dev_flush(&fuzz.vq);
	}
}

static void notify(void)
{
	if (next_byte(&fuzz.program) & 1)
		vd_vq_dev_disable_notify(&fuzz.vq);
	else if (!vd_vq_dev_enable_notify(&fuzz.vq))
		MUST(!vd_vq_dev_ready(&fuzz.vq));
}

/* Whatever else a caller can get wrong when it sets up a queue. */
static void set_up_wrongly(void)
{
	struct vd_vq_dev_config config = fuzz.config;
	struct vd_vq_dev vq;

	switch (next_below(&fuzz.program, 4)) {
	case 0:
		config.size = next_below(&fuzz.program, 2) ? 0 : 32769;
		MUST(vd_vq_dev_state_size(config.layout, config.size, 0) == 0);
		break;
	case 1:
		config.ring.desc = (unsigned char *)config.ring.desc + 8;
		break;
	case 2:
		config.mem = NULL;
		break;
	default:
		config.ring.device = NULL;
	}
	MUST(vd_vq_dev_init(&vq, &config) == -VD_EINVAL);
}

static void break_it(void)
{
	const struct vd_fault fault = {
		.code = (enum vd_fault_code)next_below(&fuzz.program, VD_FAULT_COUNT)};

	vd_vq_dev_break(&fuzz.vq, &fault);
}

/* Where it stands, or anywhere. */
static void begin_again(void)
{
	bool anywhere = next_byte(&fuzz.program) & 1;
	int err;

	fuzz.config.position = vd_vq_dev_position(&fuzz.vq);
	if (anywhere) {
		fuzz.config.position.avail = next_u16(&fuzz.program);
		fuzz.config.position.used = next_u16(&fuzz.program);
	}
	err = vd_vq_dev_init(&fuzz.vq, &fuzz.config);
	MUST(err == 0 || (err == -VD_EINVAL && anywhere));
	if (err != 0) {
		/* Not to be used then. */
		fuzz.config.position = vd_ring_start(fuzz.driver.ring.packed ? VD_RING_PACKED
									     : VD_RING_SPLIT);
		MUST(vd_vq_dev_init(&fuzz.vq, &fuzz.config) == 0);
	}
	fuzz.n_held = 0;
	fuzz.gone.n_desc = 0;
	fuzz.fault = VD_FAULT_NONE;
}

/* ---- all of it ---- */

static void check_fault(void)
{
	const struct vd_fault *fault = vd_vq_dev_fault(&fuzz.vq);
	char text[256];

	if (fuzz.fault != VD_FAULT_NONE)
		MUST(fault->code == fuzz.fault);
	if (fault->code == fuzz.fault)
		return;
	fuzz.fault = fault->code;
	MUST(vd_fault_text(fault, text, sizeof(text)) > 0 && text[0] != '\0');
}

static void (*const operations[])(void) = {
	offer,     offer_plain,    offer_table, offer_far_table,
	offer_raw, put_desc,       move_index,  wish,
	take_used, poke,           pop,         pop,
	pop_many,  push,           push,        push_twice,
	unpop,     publish,        publish,     push_nonsense,
	notify,    set_up_wrongly, break_it,    begin_again,
};

static void set_up(bool packed)
{
	static void *state;
	uint8_t bits = next_byte(&fuzz.program);
	struct peer_ring ring = {.big_endian = bits & 1};
	uint64_t features = (bits & 2 ? VD_BIT(VD_F_EVENT_IDX) : 0) |
			    (bits & 4 ? VD_BIT(VD_F_IN_ORDER) : 0) |
			    (bits & 8 ? 0 : VD_BIT(VD_F_INDIRECT_DESC));
	const struct vd_vq_dev_ops *layout = packed ? &vd_packed_dev : &vd_split_dev;

	fuzz_ring(&ring, packed, fuzz_size(&fuzz.program, packed));
	open_windows();
	peer_driver_init(&fuzz.driver, &ring);
	fuzz.journal.ops = &journal_ops;
	fuzz.n_held = 0;
	fuzz.gone.n_desc = 0;
	fuzz.fault = VD_FAULT_NONE;
	fuzz.config = (struct vd_vq_dev_config){
		.layout = layout,
		.size = ring.size,
		.features = features,
		.big_endian = ring.big_endian,
		.ring = ring.mem,
		.mem = &fuzz.mem,
		.state_size = vd_vq_dev_state_size(layout, ring.size, features),
		.position = vd_ring_start(packed ? VD_RING_PACKED : VD_RING_SPLIT),
		.journal = bits & 16 ? &fuzz.journal : NULL,
	};
	/* From malloc(), for AddressSanitizer to see a byte too far. */
	free(state);
	state = fuzz.config.state_size > 0 ? malloc(fuzz.config.state_size) : NULL;
	fuzz.config.state = state;
	MUST(vd_vq_dev_init(&fuzz.vq, &fuzz.config) == 0);
}

void fuzz_dev(bool packed, const uint8_t *data, size_t size)
{
	fuzz.program = (struct program){.at = data, .left = size};
	set_up(packed);
	while (fuzz.program.left > 0) {
		operations[next_below(&fuzz.program, sizeof(operations) / sizeof(operations[0]))]();
		check_fault();
	}
}
