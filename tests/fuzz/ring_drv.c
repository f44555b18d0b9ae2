/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver end against a device that is the input: it uses buffers almost right, moves indexes,
 * scribbles, asks for notifications, and decides when the driver end is called and how.
 */
#include "ring_fuzz.h"
#include "viaduct/errno.h"
#include "viaduct/virtio.h"
#include "viaduct/vq_drv.h"

#include <string.h>

#define DATA      1024u
#define DATA_AT   UINT64_C(0x40000)
#define TABLES_AT UINT64_C(0x80000)
#define TOKENS    32
#define SEEN      16

struct fuzz {
	struct program program;
	struct vd_vq_drv vq;
	struct vd_vq_drv_config config;
	struct peer_device device;
	struct vd_mem mem;
	struct vd_window windows[2];
	unsigned char *data;
	bool out[TOKENS]; /* added, and not come back */
	uint64_t room[TOKENS];
	unsigned n_out;
	struct {
		uint16_t id;
		uint16_t slots;
	} seen[SEEN]; /* what the device took */
	unsigned n_seen;
	enum vd_fault_code fault;
};

static struct fuzz fuzz;

/* ---- what the driver does ---- */

static bool is_broken(void)
{
	return vd_vq_drv_is_broken(&fuzz.vq);
}

static void add(void)
{
	struct vd_iov segments[8];
	unsigned n_out = next_below(&fuzz.program, 4);
	unsigned n_in = next_below(&fuzz.program, 5);
	unsigned token = next_below(&fuzz.program, TOKENS);
	uint64_t room = 0;
	int err;

	if (fuzz.out[token])
		return;
	for (unsigned i = 0; i < n_out + n_in; i++) {
		uint8_t at = next_byte(&fuzz.program);
		uint8_t len = next_byte(&fuzz.program);

		segments[i] = (struct vd_iov){fuzz.data + 4 * at, len % 64};
		room += i >= n_out ? segments[i].len : 0;
	}
	err = vd_vq_drv_add(&fuzz.vq, segments, n_out, n_in, (void *)(uintptr_t)token);
	MUST(err != -VD_EPROTO || is_broken());
	if (err != 0)
		return;
	fuzz.out[token] = true;
	fuzz.room[token] = room;
	fuzz.n_out++;
}

static void add_wrong(void)
{
	static unsigned char elsewhere[16];
	const struct vd_iov segments[4] = {
		{fuzz.data, 8}, {elsewhere, 8}, {fuzz.data, SIZE_MAX}, {fuzz.data, 8}};
	int err;

	switch (next_below(&fuzz.program, 6)) {
	case 5:
		err = vd_vq_drv_add(&fuzz.vq, segments + 2, 1, 1, NULL);
		break;
	case 0:
		err = vd_vq_drv_add(&fuzz.vq, segments, 1, 1, NULL);
		break;
	case 1:
		err = vd_vq_drv_add(&fuzz.vq, segments + 1, 0, 1, NULL);
		break;
	case 2:
		err = vd_vq_drv_add(&fuzz.vq, segments + 2, 1, 0, NULL);
		break;
	case 3:
		err = vd_vq_drv_add(&fuzz.vq, segments, 2, UINT32_MAX, NULL);
		break;
	default:
		err = vd_vq_drv_add(&fuzz.vq, segments, 0, 0, NULL);
	}
	MUST(err < 0);
}

static void publish(void)
{
	switch (next_below(&fuzz.program, 4)) {
	case 0:
		vd_vq_drv_publish(&fuzz.vq);
		break;
	case 1:
		(void)vd_vq_drv_need_kick(&fuzz.vq);
		break;
	case 2:
		(void)vd_vq_drv_notification(&fuzz.vq, 1);
		break;
	default:
		(void)vd_vq_drv_kick(&fuzz.vq);
	}
}

/* A buffer came back: was it ours, and only once? */
static void give_back(uintptr_t token)
{
	MUST(token < TOKENS && fuzz.out[token]);
	fuzz.out[token] = false;
	MUST(fuzz.n_out-- > 0);
}

static void get(void)
{
	bool ready = vd_vq_drv_ready(&fuzz.vq);
	struct vd_used used;
	int got = vd_vq_drv_get(&fuzz.vq, &used);

	MUST(got == 1 || got == 0 || got == -VD_EPROTO);
	MUST(ready || got != 1);
	if (got != 1)
		return;
	give_back((uintptr_t)used.token);
	MUST(used.len <= fuzz.room[(uintptr_t)used.token]);
}

static void notify(void)
{
	switch (next_below(&fuzz.program, 3)) {
	case 0:
		vd_vq_drv_disable_cb(&fuzz.vq);
		break;
	case 1:
		if (!vd_vq_drv_enable_cb(&fuzz.vq))
			MUST(!vd_vq_drv_ready(&fuzz.vq));
		break;
	default:
		if (!vd_vq_drv_enable_cb_delayed(&fuzz.vq))
			MUST(!vd_vq_drv_ready(&fuzz.vq));
	}
}

/* Whatever a caller can get wrong when it sets up a queue. */
static void set_up_wrongly(void)
{
	struct vd_vq_drv_config config = fuzz.config;
	struct vd_vq_drv vq;

	switch (next_below(&fuzz.program, 4)) {
	case 0:
		config.size = next_below(&fuzz.program, 2) ? 0 : 32769;
		break;
	case 1:
		config.ring.desc = (unsigned char *)config.ring.desc + 8;
		break;
	case 2:
		config.state_size--;
		break;
	default:
		config.tables = config.ring.desc;
		config.features |= VD_BIT(VD_F_INDIRECT_DESC);
		MUST(vd_vq_drv_init(&vq, &config) == -VD_EFAULT);
		return;
	}
	MUST(vd_vq_drv_init(&vq, &config) == -VD_EINVAL);
}

static void break_it(void)
{
	const struct vd_fault fault = {
		.code = (enum vd_fault_code)next_below(&fuzz.program, VD_FAULT_COUNT)};

	vd_vq_drv_break(&fuzz.vq, &fault);
}

/* ---- what the device does ---- */

static void see(void)
{
	uint16_t id = 0;
	uint16_t slots = 0;

	if (fuzz.n_seen == SEEN || !peer_device_skim(&fuzz.device, &id, &slots))
		return;
	fuzz.seen[fuzz.n_seen].id = id;
	fuzz.seen[fuzz.n_seen++].slots = slots;
}

static void use(void)
{
	unsigned n = next_byte(&fuzz.program);
	uint8_t len = next_byte(&fuzz.program);

	if (fuzz.n_seen == 0)
		return;
	n %= fuzz.n_seen;
	peer_device_use(&fuzz.device, fuzz.seen[n].id, len < 64 ? len : 0, fuzz.seen[n].slots);
	fuzz.seen[n] = fuzz.seen[--fuzz.n_seen];
}

/* All that it has in one, or some of it. */
static void use_batch(void)
{
	unsigned n = next_byte(&fuzz.program);
	uint16_t slots = 0;

	if (fuzz.n_seen == 0)
		return;
	n %= fuzz.n_seen;
	for (unsigned i = 0; i <= n; i++)
		slots = (uint16_t)(slots + fuzz.seen[i].slots);
	peer_device_use(&fuzz.device, fuzz.seen[n].id, 0, slots);
	fuzz.n_seen -= n + 1;
	memmove(fuzz.seen, fuzz.seen + n + 1, fuzz.n_seen * sizeof(fuzz.seen[0]));
}

static void use_wrong(void)
{
	uint8_t kind = next_byte(&fuzz.program);
	uint32_t id = kind & 1 ? next_byte(&fuzz.program) % 20u : next_u32(&fuzz.program);

	peer_device_use(&fuzz.device, id, next_length(&fuzz.program),
			next_below(&fuzz.program, 20));
}

static void move_index(void)
{
	int8_t by = (int8_t)next_byte(&fuzz.program);

	if (fuzz.device.ring.packed)
		fuzz.device.used += (uint8_t)by % 4;
	else
		peer_device_set_index(&fuzz.device,
				      (uint16_t)(fuzz.device.used + (uint32_t)(int32_t)by));
}

static void wish(void)
{
	peer_put_wish(&fuzz.device.ring, false, next_below(&fuzz.program, 5),
		      next_u16(&fuzz.program));
}

static void poke(void)
{
	fuzz_poke(&fuzz.program, &fuzz.device.ring);
}

/* ---- all of it ---- */

/* Windows: the data, and the tables if there are any. */
static void open_windows(void *tables, size_t tables_size)
{
	static struct pages data;
	struct vd_window window = {.peer = DATA_AT, .size = DATA, .rights = VD_MEM_RW};

	if (data.at == NULL)
		pages_take(&data, DATA, 4);
	fuzz.data = data.at;
	window.local = data.at;
	vd_mem_init(&fuzz.mem, fuzz.windows, 2, VD_MEM_LIMIT_64);
	MUST(vd_mem_add(&fuzz.mem, &window) == 0);
	if (tables == NULL)
		return;
	window = (struct vd_window){
		.peer = TABLES_AT, .size = tables_size, .local = tables, .rights = VD_MEM_READ};
	MUST(vd_mem_add(&fuzz.mem, &window) == 0);
}

static void begin(struct peer_ring *ring, uint64_t features, uint8_t bits)
{
	static void *state;
	static void *tables;
	const struct vd_vq_drv_ops *layout = ring->packed ? &vd_packed_drv : &vd_split_drv;
	uint16_t entries = (uint16_t)(2 + bits % 4);
	size_t tables_size = vd_vq_drv_tables_size(ring->size, entries);

	/* From malloc(), for AddressSanitizer to see a byte too far. */
	free(state);
	free(tables);
	tables = features & VD_BIT(VD_F_INDIRECT_DESC) ? calloc(1, tables_size) : NULL;
	fuzz.config = (struct vd_vq_drv_config){
		.layout = layout,
		.size = ring->size,
		.features = features,
		.big_endian = ring->big_endian,
		.ring = ring->mem,
		.mem = &fuzz.mem,
		.state_size = vd_vq_drv_state_size(layout, ring->size),
		.tables = tables,
		.table_entries = entries,
		.chain_max = bits & 4 ? 0 : 3,
	};
	state = malloc(fuzz.config.state_size);
	fuzz.config.state = state;
	open_windows(tables, tables_size);
	MUST(vd_vq_drv_init(&fuzz.vq, &fuzz.config) == 0);
	peer_device_init(&fuzz.device, ring);
	fuzz.n_seen = 0;
	fuzz.fault = VD_FAULT_NONE;
}

/* After a reset, everything comes back and the queue may have another size. */
static void begin_again(void)
{
	struct peer_ring ring = fuzz.device.ring;
	uint64_t features = fuzz.config.features;
	uint16_t size = fuzz_size(&fuzz.program, ring.packed);
	void *token;

	/* Buffers that came back before the reset are still to be had, even between the others. */
	if (vd_vq_drv_detach(&fuzz.vq, &token) == 1) {
		give_back((uintptr_t)token);
		get();
	}
	while (vd_vq_drv_detach(&fuzz.vq, &token) == 1)
		give_back((uintptr_t)token);
	MUST(fuzz.n_out == 0);
	MUST(vd_vq_drv_num_free(&fuzz.vq) == ring.size);
	fuzz_ring(&ring, ring.packed, size);
	begin(&ring, features, next_byte(&fuzz.program));
}

static void check_fault(void)
{
	const struct vd_fault *fault = vd_vq_drv_fault(&fuzz.vq);
	char text[256];

	if (fuzz.fault != VD_FAULT_NONE)
		MUST(fault->code == fuzz.fault);
	if (fault->code == fuzz.fault)
		return;
	fuzz.fault = fault->code;
	MUST(vd_fault_text(fault, text, sizeof(text)) > 0 && text[0] != '\0');
}

static void (*const operations[])(void) = {
	add,         add,  add,       publish,        publish,
	see,         see,  use,       use_batch,      use_wrong,
	get,         get,  get,       notify,         move_index,
	wish,        poke, add_wrong, set_up_wrongly, break_it,
	begin_again,
};

void fuzz_drv(bool packed, const uint8_t *data, size_t size)
{
	struct peer_ring ring = {.packed = packed};
	uint8_t bits;

	fuzz.program = (struct program){.at = data, .left = size};
	memset(fuzz.out, 0, sizeof(fuzz.out));
	fuzz.n_out = 0;
	bits = next_byte(&fuzz.program);
	ring.big_endian = bits & 1;
	fuzz_ring(&ring, packed, fuzz_size(&fuzz.program, packed));
	begin(&ring,
	      (bits & 2 ? VD_BIT(VD_F_EVENT_IDX) : 0) | (bits & 4 ? VD_BIT(VD_F_IN_ORDER) : 0) |
		      (bits & 8 ? VD_BIT(VD_F_INDIRECT_DESC) : 0) |
		      (bits & 16 ? 0 : VD_BIT(VD_F_VERSION_1)),
	      bits >> 5);
	while (fuzz.program.left > 0) {
		operations[next_below(&fuzz.program, sizeof(operations) / sizeof(operations[0]))]();
		MUST(vd_vq_drv_num_free(&fuzz.vq) <= fuzz.config.size);
		check_fault();
	}
}
