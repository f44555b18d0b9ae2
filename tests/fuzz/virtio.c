/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device under a transport that is the input: any call at any time, with any value, also from
 * inside the family's callbacks. The family keeps count of what it was promised: it is never
 * started twice, it has no queue but while it runs, and whatever begins also ends.
 */
#include "ring_fuzz.h"
#include "viaduct/device.h"
#include "viaduct/errno.h"

#include <string.h>

#define QUEUES  3
#define LARGEST 8
#define WINDOW  512u
#define PEER    UINT64_C(0x10000)
#define CONFIG  24u

static struct {
	struct program program;
	struct vd_device dev;
	struct vd_device_queue queues[QUEUES];
	unsigned char *space; /* configuration space, ... */
	unsigned char *memory;
	struct vd_window window;
	struct vd_mem mem;
	struct peer_driver driver[QUEUES];
	unsigned char *ring[QUEUES][3];
	bool suspends; /* the family can */
	bool refuses;  /* some features */
	unsigned depth;

	/* what the family knows */
	bool started;
	bool quiet; /* between suspend and resume */
	bool has[QUEUES];
} fuzz;

static void run_one(void);

/* ---- the device type ---- */

static const struct vd_feature_row features[] = {
	{0, VD_F_NONE, "A"},
	{1, 0, "B"},
	{50, 1, "C"},
};

static const struct vd_config_field fields[] = {
	{.offset = 0, .width = 1, .count = 1, .feature = VD_F_NONE, .name = "version"},
	{.offset = 2,
	 .width = 2,
	 .count = 2,
	 .feature = VD_F_NONE,
	 .writable = true,
	 .name = "port"},
	{.offset = 8,
	 .width = 8,
	 .count = 1,
	 .feature = VD_F_NONE,
	 .writable = true,
	 .name = "wide"},
	{.offset = 16, .width = 4, .count = 2, .feature = 1, .writable = true, .name = "option"},
};

static const struct vd_device_type type = {
	.id = 42,
	.name = "fuzz",
	.features = features,
	.n_features = sizeof(features) / sizeof(features[0]),
	.fields = fields,
	.n_fields = sizeof(fields) / sizeof(fields[0]),
	.config_size = CONFIG,
};

/* ---- the family ---- */

/* Something happens while the family is busy, now and then. */
static void interrupt(void)
{
	if (next_byte(&fuzz.program) % 8 == 0)
		run_one();
}

/* What ends may end faster, but not begin again before it has ended. */
static void interrupt_end(void)
{
	uint8_t how = next_byte(&fuzz.program);

	if (how == 255)
		vd_device_reset(&fuzz.dev);
	else if (how > 250)
		vd_device_queue_disable(&fuzz.dev, how % QUEUES, NULL);
	else if (how > 240)
		(void)vd_device_kick(&fuzz.dev, how % QUEUES);
	else if (how > 230)
		vd_device_set_status(&fuzz.dev, VD_STATUS_FAILED);
}

/* Nothing is the family's but what it was given. */
static void check_queues(void)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		if (vd_device_vq(&fuzz.dev, i) != NULL)
			MUST(fuzz.started && fuzz.has[i] && fuzz.dev.queues[i].enabled);
	for (uint16_t i = QUEUES; i != 0; i = i < 5 ? 300 : 0)
		MUST(vd_device_vq(&fuzz.dev, i) == NULL);
}

static bool accept(struct vd_device *dev, uint64_t bits)
{
	MUST((bits & ~vd_device_offered(dev)) == 0);
	MUST(vd_features_closed(&type, bits) == bits);
	return !fuzz.refuses || !(bits & 1);
}

static int start(struct vd_device *dev)
{
	MUST(!fuzz.started && (vd_device_status(dev) & VD_STATUS_DRIVER_OK));
	for (unsigned i = 0; i < QUEUES; i++)
		MUST(!fuzz.has[i]);
	fuzz.started = true;
	fuzz.quiet = false;
	interrupt();
	return next_byte(&fuzz.program) == 255 ? -VD_EIO : 0;
}

static void stop(struct vd_device *dev)
{
	(void)dev;
	MUST(fuzz.started);
	for (unsigned i = 0; i < QUEUES; i++)
		MUST(!fuzz.has[i]);
	fuzz.started = false;
}

static void queue_start(struct vd_device *dev, uint16_t index)
{
	MUST(index < QUEUES && fuzz.started && !fuzz.has[index]);
	MUST(vd_device_vq(dev, index) != NULL);
	fuzz.has[index] = true;
	if (next_byte(&fuzz.program) & 1)
		(void)vd_vq_dev_enable_notify(vd_device_vq(dev, index));
	interrupt();
}

static void queue_stop(struct vd_device *dev, uint16_t index)
{
	(void)dev;
	MUST(index < QUEUES && fuzz.started && fuzz.has[index]);
	fuzz.has[index] = false;
	interrupt_end();
}

/* Give back what there is. */
static bool serve(struct vd_device *dev, uint16_t index, unsigned most)
{
	struct vd_iov iov[8];
	struct vd_chain chain = {.iov = iov, .iov_max = 8};
	struct vd_vq_dev *vq = vd_device_vq(dev, index);
	int got = 0;

	while (vq != NULL && most-- > 0 &&
	       ((got = vd_vq_dev_pop(vq, &chain)) == 1 || got == -VD_E2BIG))
		(void)vd_vq_dev_push(vq, &chain, got == 1 ? chain.in_len : 0);
	return got == 1;
}

static bool notified(struct vd_device *dev, uint16_t index)
{
	bool more;

	MUST(fuzz.started && fuzz.has[index] && vd_device_vq(dev, index) != NULL);
	interrupt();
	more = serve(dev, index, 4);
	vd_device_flush(dev, index);
	return more;
}

static void config_written(struct vd_device *dev, uint32_t offset, uint32_t len)
{
	(void)dev;
	MUST(offset + len <= CONFIG);
	interrupt();
}

static int suspend(struct vd_device *dev)
{
	(void)dev;
	MUST(fuzz.started && !fuzz.quiet && dev->running);
	fuzz.quiet = true;
	return next_byte(&fuzz.program) == 255 ? -VD_EIO : 0;
}

static int resume(struct vd_device *dev)
{
	(void)dev;
	MUST(fuzz.started && fuzz.quiet);
	fuzz.quiet = false;
	return next_byte(&fuzz.program) == 255 ? -VD_EIO : 0;
}

static void fault(struct vd_device *dev, const struct vd_fault *fault)
{
	char text[256];

	(void)dev;
	MUST(vd_fault_text(fault, text, sizeof(text)) > 0);
	if (next_byte(&fuzz.program) % 64 == 63 && fuzz.depth < 3)
		vd_device_reset(&fuzz.dev);
}

static const struct vd_device_ops suspending = {
	.accept = accept,
	.start = start,
	.stop = stop,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notified,
	.config_written = config_written,
	.suspend = suspend,
	.resume = resume,
	.fault = fault,
};

static const struct vd_device_ops plain = {
	.accept = accept,
	.start = start,
	.stop = stop,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notified,
	.config_written = config_written,
	.fault = fault,
};

/* ---- the transport ---- */

static void send_queue(struct vd_device *dev, uint16_t index)
{
	/* Not to a driver that is not ready, or has suspended the device (2.1.2, 3.4.2). */
	MUST(index < QUEUES && (vd_device_status(dev) & VD_STATUS_DRIVER_OK));
	MUST(!(vd_device_status(dev) & VD_STATUS_SUSPEND));
}

static void send_config(struct vd_device *dev)
{
	MUST(vd_device_status(dev) & VD_STATUS_DRIVER_OK);
	MUST(!(vd_device_status(dev) & VD_STATUS_SUSPEND));
}

static const struct vd_device_transport_ops transport = {.notify = send_queue,
							 .config_changed = send_config};

/* ---- what it does ---- */

static void write_status(void)
{
	static const uint8_t usual[] = {1, 3, 11, 15, 7, 31, 16, 4, 128, 64, 0, 12};
	uint8_t how = next_byte(&fuzz.program);

	vd_device_set_status(&fuzz.dev,
			     how < 200 ? usual[how % sizeof(usual)] : next_byte(&fuzz.program));
}

static void add_status(void)
{
	vd_device_set_status(&fuzz.dev, (uint8_t)(vd_device_status(&fuzz.dev) |
						  1u << next_below(&fuzz.program, 8)));
}

static void accept_features(void)
{
	uint8_t how = next_byte(&fuzz.program);
	uint64_t bits = vd_device_offered(&fuzz.dev);
	int err;

	if (how & 1)
		bits &= ~VD_BIT(VD_F_RING_PACKED);
	if (how & 2)
		bits &= ~VD_BIT(VD_F_VERSION_1);
	if (how & 4)
		bits &= ~VD_BIT(VD_F_IN_ORDER);
	if (how & 8)
		bits &= ~VD_BIT(how >> 4);
	if (!(how & 16))
		bits = vd_features_closed(&type, bits);
	if (how == 255)
		bits = (uint64_t)next_u32(&fuzz.program) << 32 | next_u32(&fuzz.program);
	err = vd_device_set_features(&fuzz.dev, bits);
	MUST(err == 0 || err == -VD_EBUSY);
	MUST(err != 0 || fuzz.dev.features == bits);
}

static struct vd_queue_setup next_setup(unsigned index)
{
	static const uint16_t sizes[] = {8, 4, 2, 1, 7, 3, 16, 0, 32768, 65535};
	uint8_t how = next_byte(&fuzz.program);
	bool packed = vd_device_has(&fuzz.dev, VD_F_RING_PACKED);
	struct vd_queue_setup setup = {
		.size = sizes[how % 16 < 10 ? how % 16 : 0],
		.big_endian = how & 16,
		.ring = {.desc = fuzz.ring[index][0],
			 .driver = fuzz.ring[index][1],
			 .device = fuzz.ring[index][2]},
		.position = vd_ring_start(packed ? VD_RING_PACKED : VD_RING_SPLIT),
	};

	if (how >= 224)
		setup.ring.desc = (unsigned char *)setup.ring.desc + (how & 15);
	if (how >= 192) {
		setup.position.avail = next_u16(&fuzz.program);
		setup.position.used = next_u16(&fuzz.program);
	}
	if (how == 255)
		setup.ring.device = NULL;
	return setup;
}

static void enable(void)
{
	unsigned index = next_below(&fuzz.program, QUEUES + 1);
	struct vd_queue_setup setup = next_setup(index % QUEUES);
	bool was_enabled = index < QUEUES && fuzz.queues[index].enabled;
	int err;

	/* The ring in front is as large as any; the driver puts its own into it. */
	if (!was_enabled && index < QUEUES && setup.size <= LARGEST && setup.size > 0) {
		struct peer_ring ring = {.packed = vd_device_has(&fuzz.dev, VD_F_RING_PACKED),
					 .big_endian = setup.big_endian,
					 .size = setup.size,
					 .mem = {.desc = fuzz.ring[index][0],
						 .driver = fuzz.ring[index][1],
						 .device = fuzz.ring[index][2]}};

		peer_driver_init(&fuzz.driver[index], &ring);
	}
	err = vd_device_queue_enable(&fuzz.dev, (uint16_t)index, &setup);
	MUST(err == 0 || err == -VD_EINVAL || err == -VD_EBUSY);
	MUST(err != 0 || (index < QUEUES && !was_enabled));
	MUST(err != 0 || setup.size <= fuzz.queues[index].size_max);
}

static void disable(void)
{
	struct vd_ring_position position;

	vd_device_queue_disable(&fuzz.dev, next_below(&fuzz.program, QUEUES + 1),
				next_byte(&fuzz.program) & 1 ? &position : NULL);
}

/* Only the transport that paused it, or nobody's queue, may be moved: to where it is. */
static void move(void)
{
	unsigned index = next_below(&fuzz.program, QUEUES);
	struct vd_ring_mem ring = fuzz.queues[index].setup.ring;

	if (fuzz.queues[index].enabled && !fuzz.dev.running)
		vd_device_queue_move(&fuzz.dev, (uint16_t)index, &ring);
}

static void offer(void)
{
	unsigned index = next_below(&fuzz.program, QUEUES);
	struct peer_desc desc = {.addr = PEER + next_length(&fuzz.program),
				 .len = next_length(&fuzz.program),
				 .flags = next_byte(&fuzz.program) & 2};

	if (fuzz.driver[index].ring.size != 0)
		(void)peer_driver_offer(&fuzz.driver[index], &desc, 1);
}

static void kick(void)
{
	uint8_t how = next_byte(&fuzz.program);

	(void)vd_device_kick(&fuzz.dev, how < 128 ? how % 4 : next_u32(&fuzz.program));
}

static void read_config(void)
{
	unsigned char bytes[64];
	uint32_t offset = next_length(&fuzz.program);
	uint32_t len = next_below(&fuzz.program, sizeof(bytes));
	int err;

	memset(bytes, 0xaa, sizeof(bytes));
	err = vd_device_config_read(&fuzz.dev, offset, bytes, len);
	MUST(err == (offset <= CONFIG && len <= CONFIG - offset ? 0 : -VD_EINVAL));
	for (uint32_t i = 0; err != 0 && i < len; i++)
		MUST(bytes[i] == 0);
	MUST(len == sizeof(bytes) || bytes[len] == 0xaa);
}

static void write_config(void)
{
	unsigned char bytes[32];
	uint32_t offset = next_length(&fuzz.program);
	uint32_t len = next_below(&fuzz.program, 32);
	unsigned char version = fuzz.space[0];
	int err;

	memset(bytes, next_byte(&fuzz.program), sizeof(bytes));
	err = vd_device_config_write(&fuzz.dev, offset, bytes, len);
	MUST(err == 0 || err == -VD_EINVAL || err == -VD_EACCES);
	MUST(fuzz.space[0] == version);
}

static void update_config(void)
{
	unsigned char bytes[32] = {0};
	uint32_t offset = next_length(&fuzz.program);
	uint32_t len = next_below(&fuzz.program, 32);
	int err = vd_device_config_update(&fuzz.dev, offset, bytes, len);

	MUST(err == 0 || err == -VD_EINVAL || err == -VD_EBUSY);
	MUST(err != -VD_EBUSY || (vd_device_status(&fuzz.dev) & VD_STATUS_SUSPEND));
	fuzz.space[0] = 1;
}

static void pause(void)
{
	vd_device_pause(&fuzz.dev);
	MUST(!fuzz.dev.running);
}

static void unpause(void)
{
	vd_device_unpause(&fuzz.dev);
	MUST(!fuzz.dev.paused || fuzz.depth > 0);
}

static void need_reset(void)
{
	struct vd_fault fault = {.code = VD_FAULT_NEEDS_RESET};

	if (next_byte(&fuzz.program) % 8 != 0)
		return;
	vd_device_fail(&fuzz.dev, &fault);
}

static void reset(void)
{
	if (next_byte(&fuzz.program) % 4 != 0)
		return;
	vd_device_reset(&fuzz.dev);
	if (fuzz.depth > 0)
		return;
	MUST(vd_device_status(&fuzz.dev) == 0 && !fuzz.started && fuzz.dev.features == 0);
}

/* What a good driver does, to get further than chance does. */
static void initialize(void)
{
	struct vd_device *dev = &fuzz.dev;
	uint64_t bits = vd_device_offered(dev);

	if (next_byte(&fuzz.program) & 1)
		bits &= ~VD_BIT(VD_F_RING_PACKED);
	vd_device_reset(dev);
	vd_device_set_status(dev, 1);
	vd_device_set_status(dev, 3);
	(void)vd_device_set_features(dev, bits);
	vd_device_set_status(dev, 11);
	enable();
	enable();
	vd_device_set_status(dev, 15);
}

static void (*const operations[])(void) = {
	write_status, add_status, accept_features, enable,       disable,
	move,         offer,      offer,           kick,         kick,
	pause,        unpause,    read_config,     write_config, update_config,
	reset,        enable,     need_reset,      initialize,
};

static void check_status(void)
{
	const struct vd_device *dev = &fuzz.dev;
	uint8_t status = vd_device_status(dev);

	MUST(!dev->running || (status & VD_STATUS_DRIVER_OK));
	MUST(!dev->running || !(status & (VD_STATUS_NEEDS_RESET | VD_STATUS_FAILED)));
	MUST(!dev->running || !dev->paused);
	MUST(!(status & VD_STATUS_SUSPEND) || !(status & VD_STATUS_DRIVER_OK));
	MUST(!dev->running || fuzz.started);
	MUST(!dev->running || vd_features_closed(&type, dev->features) == dev->features);
	MUST(!dev->running || (dev->features & ~vd_device_offered(dev)) == 0);
}

static void run_one(void)
{
	if (fuzz.depth == 3)
		return;
	fuzz.depth++;
	operations[next_below(&fuzz.program, sizeof(operations) / sizeof(operations[0]))]();
	fuzz.depth--;
	if (fuzz.depth > 0)
		return;
	check_queues();
	check_status();
}

/* ---- set-up ---- */

static void *exactly(size_t size)
{
	void *at = malloc(size); /* aligned to 16 */

	MUST(at != NULL);
	return memset(at, 0, size);
}

/* Rings for the largest queue of either layout. */
static void make_rings(void)
{
	struct vd_ring_parts parts;

	MUST(vd_ring_parts(VD_RING_SPLIT, LARGEST, &parts) == 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		fuzz.ring[i][0] = exactly(parts.desc.size);
		fuzz.ring[i][1] = exactly(parts.driver.size);
		fuzz.ring[i][2] = exactly(parts.device.size);
	}
}

static void make_device(uint8_t bits)
{
	struct vd_device_config config = {
		.type = &type,
		.ops = bits & 1 ? &suspending : &plain,
		.features = VD_DEVICE_RING_FEATURES | 3 | VD_BIT(50) |
			    (bits & 1 ? VD_BIT(VD_F_SUSPEND) : 0),
		.queues = fuzz.queues,
		.n_queues = QUEUES,
		.config = fuzz.space,
		.split = &vd_split_dev,
		.packed = bits & 2 ? NULL : &vd_packed_dev,
	};

	for (unsigned i = 0; i < QUEUES; i++) {
		fuzz.queues[i].size_max = i == 2 ? LARGEST - 1 : LARGEST;
		fuzz.queues[i].state_size = vd_device_queue_state_size(&config,
								       fuzz.queues[i].size_max);
		fuzz.queues[i].state = exactly(fuzz.queues[i].state_size);
	}
	MUST(vd_device_init(&fuzz.dev, &config) == 0);
}

static void set_up(void)
{
	uint8_t bits = next_byte(&fuzz.program);

	fuzz.refuses = bits & 4;
	fuzz.space = exactly(CONFIG);
	fuzz.space[0] = 1;
	fuzz.memory = exactly(WINDOW);
	fuzz.window = (struct vd_window){
		.peer = PEER, .size = WINDOW, .local = fuzz.memory, .rights = VD_MEM_RW};
	fuzz.mem = (struct vd_mem){
		.window = &fuzz.window, .count = 1, .capacity = 1, .limit = VD_MEM_LIMIT_64};
	make_rings();
	make_device(bits);
	vd_device_attach(&fuzz.dev, &transport, NULL, &fuzz.mem,
			 bits & 8 ? VD_BIT(VD_F_VERSION_1) : VD_F_TRANSPORT_MASK);
	vd_device_set_legacy_order(&fuzz.dev, bits & 16);
}

static void tear_down(void)
{
	vd_device_detach(&fuzz.dev);
	MUST(!fuzz.started);
	for (unsigned i = 0; i < QUEUES; i++) {
		for (unsigned part = 0; part < 3; part++)
			free(fuzz.ring[i][part]);
		free(fuzz.queues[i].state);
	}
	free(fuzz.space);
	free(fuzz.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.program = (struct program){.at = data, .left = size};
	set_up();
	while (fuzz.program.left > 0)
		run_one();
	tear_down();
	return 0;
}
