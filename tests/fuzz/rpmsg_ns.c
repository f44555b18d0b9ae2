/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name service of an rpmsg remote: announcements that are almost right, into a table with few
 * places, while channels of our own come and go and buffers are scarce. A model says what every
 * announcement has to lead to, and which of our channels the driver has to know in the end.
 */
#include "rpmsg_driver.h"
#include "viaduct/errno.h"

#include <string.h>

#define CHANNELS 3 /* places in the table */
#define OURS     4
#define EXPECTED 256
#define MESSAGE  40u

/* What an announcement leads to: a channel, or a fault. */
struct outcome {
	enum vd_fault_code fault; /* NONE: a channel came or went */
	bool created;
	struct vd_rpmsg_channel channel;
};

static struct {
	struct vd_rpmsg_channel channels[CHANNELS];
	struct outcome expected[EXPECTED];
	unsigned first;
	unsigned count;
	struct vd_rpmsg_ept *ours[OURS];
	bool known[OURS]; /* to the driver */
} model;

static const char *const our_names[OURS] = {"a", "b", "b", "a name of thirty-one characters"};

/* ---- the model of the table ---- */

static void expect(struct outcome outcome)
{
	MUST(model.count < EXPECTED);
	model.expected[(model.first + model.count++) % EXPECTED] = outcome;
}

static struct outcome next_expected(void)
{
	struct outcome outcome = model.expected[model.first];

	MUST(model.count > 0);
	model.first = (model.first + 1) % EXPECTED;
	model.count--;
	return outcome;
}

static void expect_fault(enum vd_fault_code fault)
{
	expect((struct outcome){.fault = fault});
}

static struct vd_rpmsg_channel *find(const char *name, uint32_t addr)
{
	for (unsigned i = 0; i < CHANNELS; i++)
		if (strcmp(model.channels[i].name, name) == 0 && model.channels[i].addr == addr)
			return &model.channels[i];
	return NULL;
}

static struct vd_rpmsg_channel *free_place(void)
{
	for (unsigned i = 0; i < CHANNELS; i++)
		if (model.channels[i].name[0] == '\0')
			return &model.channels[i];
	return NULL;
}

static void foresee_creation(const struct vd_rpmsg_channel *channel)
{
	if (find(channel->name, channel->addr) != NULL) {
		expect_fault(VD_FAULT_RPMSG_NS_EXISTS);
	} else if (free_place() == NULL) {
		expect_fault(VD_FAULT_RPMSG_NS_FULL);
	} else {
		*free_place() = *channel;
		expect((struct outcome){.created = true, .channel = *channel});
	}
}

static void foresee_destruction(const struct vd_rpmsg_channel *channel)
{
	struct vd_rpmsg_channel *place = find(channel->name, channel->addr);

	if (place == NULL) {
		expect_fault(VD_FAULT_RPMSG_NS_UNKNOWN);
		return;
	}
	expect((struct outcome){.channel = *channel});
	memset(place, 0, sizeof(*place));
}

/* A message of @len bytes that says it has @claimed. */
static void foresee(const unsigned char *bytes, uint32_t len, uint32_t claimed)
{
	struct vd_rpmsg_channel channel;
	uint32_t flags = fuzz_get32(bytes + 16 + 36);

	memcpy(channel.name, bytes + 16, sizeof(channel.name));
	channel.name[VD_RPMSG_NAME_SIZE - 1] = '\0';
	channel.addr = fuzz_get32(bytes + 16 + 32);
	if (len < 16)
		expect_fault(VD_FAULT_RPMSG_RUNT);
	else if (claimed > len - 16)
		expect_fault(VD_FAULT_RPMSG_LENGTH);
	else if (!fuzz_link()->ns)
		expect_fault(VD_FAULT_RPMSG_NO_ENDPOINT);
	else if (claimed > fuzz_link()->copy_size)
		expect_fault(VD_FAULT_RPMSG_LENGTH);
	else if (claimed != MESSAGE)
		expect_fault(VD_FAULT_RPMSG_NS_SIZE);
	else if (channel.name[0] == '\0')
		expect_fault(VD_FAULT_RPMSG_NS_NAME);
	else if (flags == 0)
		foresee_creation(&channel);
	else if (flags == 1)
		foresee_destruction(&channel);
	else
		expect_fault(VD_FAULT_RPMSG_NS_FLAGS);
}

static void check_table(void)
{
	if (!fuzz_link()->up || model.count > 0)
		return;
	for (unsigned i = 0; i < CHANNELS; i++) {
		const char *name = model.channels[i].name;

		if (name[0] != '\0')
			MUST(vd_rpmsg_find_channel(fuzz_link(), name) != NULL);
		MUST(fuzz_link()->channels[i].addr == model.channels[i].addr);
		MUST(strcmp(fuzz_link()->channels[i].name, name) == 0);
	}
}

/* ---- what the owner is told ---- */

static void channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	struct outcome outcome = next_expected();

	(void)link;
	MUST(outcome.fault == VD_FAULT_NONE && outcome.created == created);
	MUST(outcome.channel.addr == channel->addr);
	MUST(strcmp(outcome.channel.name, channel->name) == 0);
}

static void fault(struct vd_rpmsg *link, const struct vd_fault *fault)
{
	(void)link;
	MUST(next_expected().fault == fault->code);
}

static void link_changed(struct vd_rpmsg *link, bool up)
{
	(void)link;
	/* The driver has to be told of everything again, and has to tell. */
	if (up) {
		memset(model.known, 0, sizeof(model.known));
		return;
	}
	model.first = 0;
	model.count = 0;
	memset(model.channels, 0, sizeof(model.channels));
}

static const struct vd_rpmsg_events events = {
	.channel = channel, .fault = fault, .link_changed = link_changed};

/* ---- our channels ---- */

static enum vd_rpmsg_verdict ignore(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	(void)ept;
	(void)msg;
	return VD_RPMSG_RELEASE;
}

static void bury(void)
{
	for (unsigned n = 0; n < OURS; n++)
		if (model.ours[n] != NULL && model.ours[n]->link == NULL) {
			free(model.ours[n]);
			model.ours[n] = NULL;
		}
}

static void create_ours(void)
{
	unsigned n = next_below(&side.program, OURS);

	if (model.ours[n] != NULL)
		return;
	model.ours[n] = calloc(1, sizeof(*model.ours[n]));
	MUST(model.ours[n] != NULL);
	MUST(vd_rpmsg_create_ept(fuzz_link(), model.ours[n], our_names[n], 100 + n,
				 VD_RPMSG_ADDR_ANY, ignore, 0) == 0);
}

static void destroy_ours(void)
{
	unsigned n = next_below(&side.program, OURS);
	int err = model.ours[n] != NULL ? vd_rpmsg_destroy_ept(model.ours[n]) : 0;

	MUST(err == 0 || err == -VD_EAGAIN);
	bury();
}

/* Each is announced once, and taken back once, in turn. */
static void message(const unsigned char *at, uint32_t used)
{
	unsigned n = fuzz_get32(at + 48) - 100;
	uint32_t flags = fuzz_get32(at + 52);

	MUST(used == 56 && fuzz_get32(at + 4) == VD_RPMSG_NS_ADDR);
	MUST(n < OURS && fuzz_get32(at) == 100 + n);
	MUST(strncmp((const char *)at + 16, our_names[n], 32) == 0);
	MUST(flags <= 1 && model.known[n] == (flags == 1));
	model.known[n] = flags == 0;
}

/* ---- operations ---- */

static void put_name(unsigned char *at)
{
	uint8_t how = next_byte(&side.program);
	unsigned len = how / 4 % 34;

	/* As many bytes as there are, with or without a NUL; sometimes with something behind it. */
	memset(at, 'a' + how % 4, len < 32 ? len : 32);
	if (how == 255)
		at[next_below(&side.program, 32)] = '\0';
}

static void announce(void)
{
	unsigned char bytes[16 + MESSAGE + 32] = {0};
	uint8_t how = next_byte(&side.program);
	uint32_t len = how % 16 == 0 ? next_below(&side.program, sizeof(bytes)) : 16 + MESSAGE;
	uint32_t claimed = how % 16 == 1 ? next_byte(&side.program) : len - 16;

	if (len == 0 || model.count == EXPECTED)
		return;
	fuzz_put(bytes, 4, next_byte(&side.program));
	fuzz_put(bytes + 4, 4, VD_RPMSG_NS_ADDR);
	fuzz_put(bytes + 12, 2, claimed);
	put_name(bytes + 16);
	fuzz_put(bytes + 16 + 32, 4, next_below(&side.program, 3));
	fuzz_put(bytes + 16 + 36, 4, how % 16 == 2 ? next_u32(&side.program) : how >> 7);
	claimed &= 0xffff;
	if (rpmsg_driver_send(bytes, len, 1 + how % 4, RPMSG_PIECES) == NULL)
		return;
	/* What lies behind the end of a short one is not there. */
	foresee(bytes, len, claimed);
	rpmsg_driver_publish(VD_RPMSG_QUEUE_TX);
}

static void post(void)
{
	(void)rpmsg_driver_post(UINT32_MAX, 1, 0);
	rpmsg_driver_publish(VD_RPMSG_QUEUE_RX);
}

static void notify(void)
{
	rpmsg_driver_notify(VD_RPMSG_QUEUE_RX);
	rpmsg_driver_notify(VD_RPMSG_QUEUE_TX);
}

static void take(void)
{
	rpmsg_driver_take(VD_RPMSG_QUEUE_RX);
	rpmsg_driver_take(VD_RPMSG_QUEUE_TX);
}

static void poll(void)
{
	int n = vd_rpmsg_poll(fuzz_link(), 1 + next_below(&side.program, 20));

	MUST(n >= 0 || n == -VD_EPIPE);
}

/* What was sent into a link that is down is forgotten with the queue. */
static void forget_what_waits(void)
{
	if (!fuzz_link()->up && !fuzz_link()->paused)
		link_changed(fuzz_link(), false);
}

static void restart(void)
{
	if (next_byte(&side.program) % 4 != 0)
		return;
	forget_what_waits();
	rpmsg_driver_restart();
}

static void pause(void)
{
	if (next_byte(&side.program) & 1)
		rpmsg_driver_suspend();
	else
		rpmsg_driver_pause();
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
	unsigned index = next_below(&side.program, 4);

	if (index >= VD_RPMSG_N_QUEUES || side.suspended || side.paused)
		return;
	/* The end of the link forgets the table, but not what is on its way there. */
	while (vd_rpmsg_poll(fuzz_link(), 1) > 0)
		;
	if (index == VD_RPMSG_QUEUE_TX && side.queues[index].enabled)
		forget_what_waits();
	rpmsg_driver_reset_queue(index);
}

static void (*const operations[])(void) = {
	announce, announce, announce, announce, create_ours, create_ours, destroy_ours, post,
	notify,   take,     poll,     restart,  pause,       resume,      resume,       reset_queue,
};

/* With all the buffers it wants, the driver knows just those channels that there are. */
static void settle(void)
{
	resume();
	for (unsigned round = 0; round < 40 && fuzz_link()->up; round++) {
		post();
		notify();
		take();
		(void)vd_rpmsg_poll(fuzz_link(), 100);
	}
	take();
	bury();
	if (!fuzz_link()->up)
		return;
	MUST(fuzz_link()->n_due == 0 && model.count == 0);
	check_table();
	for (unsigned n = 0; n < OURS; n++)
		MUST(model.known[n] == (fuzz_link()->ns && model.ours[n] != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	memset(&model, 0, sizeof(model));
	side.config.link = (struct vd_rpmsg_config){.events = &events, .n_channels = CHANNELS};
	rpmsg_open(bytes, size);
	side.message = message;
	side.size = 96;
	rpmsg_driver_start();
	while (side.program.left > 0) {
		operations[next_below(&side.program, sizeof(operations) / sizeof(operations[0]))]();
		bury();
		check_table();
	}
	settle();
	rpmsg_driver_stop();
	for (unsigned n = 0; n < OURS; n++)
		if (model.ours[n] != NULL)
			MUST(vd_rpmsg_destroy_ept(model.ours[n]) == 0);
	bury();
	rpmsg_close();
	return 0;
}
