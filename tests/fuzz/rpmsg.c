/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A remote against a driver that sends what it likes and takes buffers away at any moment. Its
 * endpoints do all that endpoints may: answer, hold, compose in place, destroy themselves; and from
 * inside a callback anything can happen that may.
 */
#include "rpmsg_driver.h"
#include "viaduct/errno.h"

#include <string.h>

#define EPTS     8
#define HELD     8
#define COMPOSED 4
#define DATA     70000u

struct fuzz_ept {
	struct vd_rpmsg_ept ept; /* first */
	uint8_t kind;
};

static struct {
	struct fuzz_ept *epts[EPTS];
	struct vd_rpmsg_msg held[HELD];
	unsigned n_held;
	struct vd_rpmsg_tx composed[COMPOSED];
	unsigned n_composed;
	unsigned depth; /* of callbacks */
	bool resets;    /* whoever hears of a fault may reset the device */
	bool up;
	uint64_t now;
} app;

static unsigned char data[DATA];

static void run_one(void);

/* ---- sending ---- */

/* All that sending may answer. */
static void check_sent(int err)
{
	MUST(err == 0 || err == -VD_ENOMEM || err == -VD_EMSGSIZE || err == -VD_EINVAL ||
	     err == -VD_EPIPE || err == -VD_ETIMEDOUT || err == -VD_EINTR);
}

static uint32_t next_address(void)
{
	static const uint32_t addresses[] = {100, 101, 102, 103, 1024, 1025, 53, 0, 99, UINT32_MAX};

	return addresses[next_below(&side.program, 10)];
}

static uint32_t next_size(void)
{
	static const uint32_t sizes[] = {0,   1,   32,  40,    47,    48,    49,
					 495, 496, 497, 65519, 65520, 65535, 69984};

	return sizes[next_below(&side.program, 14)];
}

static void send_from(struct vd_rpmsg_ept *ept, uint32_t dst, uint32_t len)
{
	/* At the end, so that nothing may be read behind it. */
	const void *from = data + DATA - len;

	switch (next_below(&side.program, 4)) {
	case 0:
		check_sent(vd_rpmsg_send(ept, from, len));
		break;
	case 1:
		check_sent(vd_rpmsg_trysend(ept, from, len));
		break;
	case 2:
		check_sent(vd_rpmsg_trysend_offchannel(ept, next_address(), dst, from, len));
		break;
	default:
		check_sent(vd_rpmsg_trysendto(ept, from, len, dst));
	}
}

static void compose(void)
{
	struct vd_rpmsg_tx *tx = &app.composed[app.n_composed];
	int err;

	if (app.n_composed == COMPOSED)
		return;
	err = vd_rpmsg_tx_begin(fuzz_link(), tx);
	MUST(err == 0 || err == -VD_ENOMEM || err == -VD_EPIPE || err == -VD_EOPNOTSUPP);
	if (err != 0)
		return;
	memset(tx->data, 0x77, tx->capacity);
	app.n_composed++;
}

static void finish(void)
{
	struct vd_rpmsg_tx tx;
	unsigned n = next_byte(&side.program);
	uint32_t len;
	int err;

	if (app.n_composed == 0)
		return;
	n %= app.n_composed;
	tx = app.composed[n];
	len = tx.capacity - next_below(&side.program, 2) * (tx.capacity / 2);
	err = next_below(&side.program, 3) == 0 ? -VD_EINVAL
						: vd_rpmsg_tx_commit(&tx, 100, next_address(), len);
	MUST(err == 0 || err == -VD_EINVAL || err == -VD_ESTALE);
	if (err == -VD_EINVAL)
		vd_rpmsg_tx_abort(&tx);
	/* What is void is never found again, so it must not be looked for. */
	if (n < app.n_composed)
		app.composed[n] = app.composed[--app.n_composed];
}

/* ---- receiving ---- */

static void release(unsigned n)
{
	struct vd_rpmsg_msg msg = app.held[n];
	bool current = fuzz_link()->up && msg.epoch == fuzz_link()->epoch;
	int err;

	app.held[n] = app.held[--app.n_held];
	err = vd_rpmsg_release(&msg);
	MUST(current ? err == 0 || err == 1 : err == -VD_ESTALE);
	if (err == 1)
		side.queues[VD_RPMSG_QUEUE_TX].kick = true;
}

static void release_any(void)
{
	unsigned n = next_byte(&side.program);

	if (app.n_held > 0)
		release(n % app.n_held);
}

static void look_at(const struct vd_rpmsg_msg *msg)
{
	volatile unsigned char sum = 0;

	for (uint32_t i = 0; i < msg->len; i++)
		sum ^= ((const unsigned char *)msg->data)[i];
	(void)sum;
}

static bool is_private(const void *at)
{
	for (unsigned i = 0; i < RPMSG_BUFFERS; i++) {
		const struct fuzz_buffer *buffer = &side.queues[VD_RPMSG_QUEUE_TX].buffers[i];

		if (at >= (void *)buffer->at && at < (void *)(buffer->at + buffer->size))
			return false;
	}
	return true;
}

static void destroy(unsigned n)
{
	struct fuzz_ept *ept = app.epts[n];
	int err;

	if (ept == NULL)
		return;
	err = vd_rpmsg_destroy_ept(&ept->ept);
	MUST(err == 0 || err == -VD_EAGAIN);
	MUST((err == 0) == (ept->ept.link == NULL));
	if (err != 0)
		return;
	free(ept);
	app.epts[n] = NULL;
}

/* Those that had to wait for a buffer to die, and are dead now. */
static void bury(void)
{
	for (unsigned i = 0; i < EPTS; i++)
		if (app.epts[i] != NULL && app.epts[i]->ept.link == NULL) {
			free(app.epts[i]);
			app.epts[i] = NULL;
		}
}

static vd_rpmsg_callback received;

static void create(unsigned n)
{
	static const char *const names[] = {NULL, "a", "b", "the-longest-name-there-can-be-x"};
	static const uint32_t addresses[] = {100, 101, 102, 103, VD_RPMSG_ADDR_ANY, 53, 100, 104};
	const char *name = names[next_below(&side.program, 4)];
	int err;

	if (app.epts[n] != NULL)
		return;
	app.epts[n] = calloc(1, sizeof(*app.epts[n]));
	MUST(app.epts[n] != NULL);
	app.epts[n]->kind = (uint8_t)(n % 5);
	err = vd_rpmsg_create_ept(fuzz_link(), &app.epts[n]->ept, name, addresses[n],
				  next_address(), received, n & 1 ? VD_RPMSG_IN_PLACE : 0);
	MUST(err == 0 || err == -VD_EADDRINUSE);
	if (err != 0)
		bury();
}

static enum vd_rpmsg_verdict hold(const struct vd_rpmsg_msg *msg)
{
	if (app.n_held == HELD)
		return VD_RPMSG_RELEASE;
	/* Without the right to hold it is released, whatever the answer. */
	if (msg->in_place)
		app.held[app.n_held++] = *msg;
	return VD_RPMSG_HOLD;
}

static unsigned number_of(const struct vd_rpmsg_ept *ept)
{
	unsigned n = 0;

	while (app.epts[n] == NULL || &app.epts[n]->ept != ept)
		MUST(++n < EPTS);
	return n;
}

static enum vd_rpmsg_verdict received(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	enum vd_rpmsg_verdict verdict = VD_RPMSG_RELEASE;
	unsigned n = number_of(ept);
	uint32_t epoch = fuzz_link()->epoch;

	MUST(ept->link == fuzz_link() && msg->dst == ept->addr && fuzz_link()->up);
	MUST(!msg->in_place || (ept->flags & VD_RPMSG_IN_PLACE));
	MUST(msg->in_place || is_private(msg->data));
	look_at(msg);
	app.depth++;
	switch (app.epts[n]->kind) {
	case 0:
		check_sent(vd_rpmsg_trysendto(ept, msg->data, msg->len, msg->src));
		break;
	case 1:
		verdict = hold(msg);
		break;
	case 2:
		compose();
		break;
	case 3:
		destroy(n);
		create(n);
		break;
	default:
		run_one();
	}
	app.depth--;
	if (verdict == VD_RPMSG_RELEASE && epoch == fuzz_link()->epoch && fuzz_link()->up)
		look_at(msg);
	return verdict;
}

/* ---- what the owner is told ---- */

static void forget(void)
{
	app.n_held = 0;
	app.n_composed = 0;
}

static void link_changed(struct vd_rpmsg *link, bool up)
{
	MUST(up != app.up && link->up == up);
	app.up = up;
	while (!up && app.n_held > 0)
		release(0);
	forget();
}

static void pausing(struct vd_rpmsg *link)
{
	MUST(link->up);
	while (app.n_held > 1)
		release(0);
	while (app.n_composed > 1)
		finish();
	forget();
}

static void channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	MUST(memchr(channel->name, '\0', VD_RPMSG_NAME_SIZE) != NULL && channel->name[0] != '\0');
	MUST(!created || vd_rpmsg_find_channel(link, channel->name) != NULL);
}

static void writable(struct vd_rpmsg *link)
{
	MUST(link->up);
	if (app.epts[0] != NULL && app.epts[0]->ept.link != NULL)
		send_from(&app.epts[0]->ept, 1, next_size());
}

static void fault(struct vd_rpmsg *link, const struct vd_fault *fault)
{
	char text[256];

	(void)link;
	MUST(vd_fault_text(fault, text, sizeof(text)) > 0);
	if (app.resets && fault->code < VD_FAULT_RPMSG_RUNT && !side.gone) {
		side.gone = true;
		vd_device_reset(&side.remote.dev);
	}
}

static int wait(struct vd_rpmsg *link, uint32_t ms)
{
	(void)link;
	rpmsg_driver_take(VD_RPMSG_QUEUE_RX);
	if (rpmsg_driver_post(UINT32_MAX, 1, 0))
		rpmsg_driver_publish(VD_RPMSG_QUEUE_RX);
	app.now += ms / 2 + 1;
	return next_below(&side.program, 8) == 0 ? -VD_EINTR : 0;
}

static uint64_t now(struct vd_rpmsg *link)
{
	(void)link;
	return app.now;
}

static const struct vd_rpmsg_events events = {
	.link_changed = link_changed,
	.pausing = pausing,
	.channel = channel,
	.writable = writable,
	.fault = fault,
	.wait = wait,
	.now = now,
};

/* ---- what the driver does ---- */

static void send_message(void)
{
	unsigned char bytes[2048];
	uint32_t len = next_length(&side.program) % sizeof(bytes);
	uint32_t dst = next_address();
	uint8_t how = next_byte(&side.program);

	memset(bytes, 0, 16);
	memset(bytes + 16, how, sizeof(bytes) - 16);
	fuzz_put(bytes, 4, next_address());
	fuzz_put(bytes + 4, 4, dst);
	fuzz_put(bytes + 12, 2, how & 1 ? next_u16(&side.program) : len - 16);
	fuzz_put(bytes + 14, 2, how);
	(void)rpmsg_driver_send(bytes, len, 1 + (how >> 1) % RPMSG_PIECES,
				how < 250 ? RPMSG_PIECES : how - 250u);
}

static void announce(void)
{
	unsigned char bytes[16 + 41] = {0};
	uint8_t how = next_byte(&side.program);

	fuzz_put(bytes + 4, 4, VD_RPMSG_NS_ADDR);
	fuzz_put(bytes + 12, 2, how % 8 == 0 ? 39 + how / 8 % 3 : 40);
	memset(bytes + 16, 'a' + how % 3, how / 8);
	fuzz_put(bytes + 48, 4, how % 2);
	fuzz_put(bytes + 52, 4, next_below(&side.program, 3));
	(void)rpmsg_driver_send(bytes, how == 255 ? 57 : 56, 1 + how % 5, RPMSG_PIECES);
}

static void post(void)
{
	uint8_t how = next_byte(&side.program);

	(void)rpmsg_driver_post(how & 1 ? UINT32_MAX : next_length(&side.program),
				how & 2 ? 1 : 1 + (how >> 2) % RPMSG_PIECES,
				how < 240 ? 0 : how % 4);
}

static void publish(void)
{
	rpmsg_driver_publish(next_below(&side.program, 2));
}

static void notify(void)
{
	rpmsg_driver_notify(next_below(&side.program, 2));
}

/* One that nobody needs. */
static void notify_idly(void)
{
	(void)vd_device_kick(&side.remote.dev, next_below(&side.program, 4));
}

static void take(void)
{
	rpmsg_driver_take(next_below(&side.program, 2));
}

static void wish(void)
{
	uint8_t how = next_byte(&side.program);
	struct vd_vq_drv *vq = &side.queues[how & 1].vq;

	if (how & 2)
		(void)vd_vq_drv_enable_cb(vq);
	else if (how & 4)
		(void)vd_vq_drv_enable_cb_delayed(vq);
	else
		vd_vq_drv_disable_cb(vq);
}

/* While the remote may be reading it. */
static void rewrite(void)
{
	unsigned n = next_below(&side.program, RPMSG_BUFFERS);
	const struct fuzz_buffer *buffer = &side.queues[VD_RPMSG_QUEUE_TX].buffers[n];

	memset(buffer->at, next_byte(&side.program), buffer->size < 32 ? buffer->size : 32);
}

/* Never an address, as there are no windows that would tell a good one. */
static void break_rules(void)
{
	struct fuzz_queue *queue = &side.queues[next_below(&side.program, 2)];
	uint16_t at = next_u16(&side.program);
	uint8_t value = next_byte(&side.program);

	if (value % 8 != 0)
		return;
	side.broke_rules = true;
	if (side.packed)
		((unsigned char *)queue->ring.desc)[16 * (at % queue->size) + 12 + at / 64 % 4] ^=
			value;
	else
		((unsigned char *)queue->ring.driver)[at % (4 + 2 * queue->size)] ^= value;
}

/* ---- what the remote does ---- */

static void poll(void)
{
	int n = vd_rpmsg_poll(fuzz_link(), 1 + next_below(&side.program, 5));

	MUST(n >= 0 || n == -VD_EPIPE || (n == -VD_EBUSY && app.depth > 0) ||
	     (n == -VD_EPROTO && side.broke_rules));
}

static void send(void)
{
	unsigned n = next_below(&side.program, EPTS);
	uint32_t dst = next_address();

	if (app.epts[n] != NULL)
		send_from(&app.epts[n]->ept, dst, next_size());
}

static void create_any(void)
{
	create(next_below(&side.program, EPTS));
}

static void destroy_any(void)
{
	destroy(next_below(&side.program, EPTS));
}

static void burst(void)
{
	vd_rpmsg_cork(fuzz_link());
	send();
	release_any();
	finish();
	vd_rpmsg_uncork(fuzz_link());
}

/* The driver's side may end at any moment. */
static void reset(void)
{
	if (next_byte(&side.program) % 8 != 0 || side.gone)
		return;
	side.gone = true;
	vd_device_reset(&side.remote.dev);
}

/* ---- control ---- */

static void restart(void)
{
	rpmsg_driver_restart();
}

static void suspend(void)
{
	rpmsg_driver_suspend();
}

static void resume(void)
{
	if (side.paused)
		rpmsg_driver_unpause();
	else
		rpmsg_driver_resume();
}

static void reset_queue(void)
{
	rpmsg_driver_reset_queue(next_below(&side.program, 2));
}

static void pause(void)
{
	rpmsg_driver_pause();
}

/* ---- all of it ---- */

/* From anywhere, callbacks included. */
static void (*const operations[])(void) = {
	send_message, send_message, announce,    post,   publish,     notify,      notify_idly,
	take,         rewrite,      wish,        poll,   send,        compose,     finish,
	release_any,  create_any,   destroy_any, burst,  reset,       break_rules, send_message,
	restart,      suspend,      resume,      resume, reset_queue, pause,
};

#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void run_one(void)
{
	if (app.depth < 3)
		operations[next_below(&side.program, N_OPERATIONS)]();
}

static void message(const unsigned char *at, uint32_t used)
{
	uint32_t len = side.big_endian ? (uint32_t)(at[12] << 8 | at[13])
				       : (uint32_t)(at[13] << 8 | at[12]);

	MUST(len + VD_RPMSG_HEADER_SIZE == used);
}

/* A working driver that brings every notification it owes gets all of its messages read. */
static void settle(void)
{
	struct vd_device *dev = &side.remote.dev;
	bool any = true;

	if (side.paused)
		rpmsg_driver_unpause();
	rpmsg_driver_resume();
	while (fuzz_link()->up && app.n_held > 0)
		release(0);
	while (fuzz_link()->up && app.n_composed > 0)
		finish();
	for (unsigned round = 0; any && round < 200; round++) {
		any = false;
		for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++) {
			rpmsg_driver_publish(i);
			any = any || side.queues[i].kick;
			rpmsg_driver_notify(i);
		}
		while (fuzz_link()->up && app.n_held > 0)
			release(0);
		while (fuzz_link()->up && app.n_composed > 0)
			finish();
	}
	if (any || side.broke_rules || side.gone || !fuzz_link()->up)
		return;
	MUST(!vd_vq_dev_ready(vd_device_vq(dev, VD_RPMSG_QUEUE_TX)));
	MUST(!fuzz_link()->starved || !vd_vq_dev_ready(vd_device_vq(dev, VD_RPMSG_QUEUE_RX)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	memset(&app, 0, sizeof(app));
	side.config.link = (struct vd_rpmsg_config){.events = &events, .n_channels = 2};
	rpmsg_open(bytes, size);
	side.message = message;
	app.resets = next_byte(&side.program) & 1;
	for (unsigned n = 0; n < 5; n++)
		create(n);
	rpmsg_driver_start();
	while (side.program.left > 0) {
		run_one();
		bury();
		if (side.gone)
			rpmsg_driver_restart();
	}
	settle();
	if (fuzz_link()->up && !side.gone)
		rpmsg_driver_suspend();
	rpmsg_driver_stop();
	bury();
	for (unsigned n = 0; n < EPTS; n++)
		destroy(n);
	for (unsigned n = 0; n < EPTS; n++)
		MUST(app.epts[n] == NULL);
	MUST(!app.up);
	rpmsg_close();
	return 0;
}
