/* SPDX-License-Identifier: BSD-3-Clause */
/* See host_rig.h. */
#include "host_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the log ---- */

static struct host_rig *rig_of(struct vd_rpmsg *link)
{
	return (struct host_rig *)(void *)vd_rpmsg_remote_of(link);
}

static void note(struct host_rig *rig, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct host_rig *rig, const char *format, ...)
{
	size_t used = strlen(rig->log);
	char word[100];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(word, sizeof(word), format, arguments);
	va_end(arguments);
	if (used + sizeof(word) + 1 < sizeof(rig->log))
		snprintf(rig->log + used, sizeof(rig->log) - used, "%s%s", used > 0 ? " " : "",
			 word);
	if (rig->hook != NULL)
		rig->hook(rig, word);
}

void host_rig_expect(struct host_rig *rig, const char *words)
{
	assert_string_equal(rig->log, words);
	rig->log[0] = '\0';
}

/* ---- events ---- */

static void link_changed(struct vd_rpmsg *link, bool up)
{
	assert_int_equal(link->up, up);
	note(rig_of(link), "%s", up ? "up" : "down");
	if (!up)
		rig_of(link)->n_held = 0;
}

static void pausing(struct vd_rpmsg *link)
{
	note(rig_of(link), "pausing");
	rig_of(link)->n_held = 0;
}

static void channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *which, bool created)
{
	note(rig_of(link), "%c%s@%u", created ? '+' : '-', which->name, which->addr);
}

static void writable(struct vd_rpmsg *link)
{
	note(rig_of(link), "writable");
}

static void fault(struct vd_rpmsg *link, const struct vd_fault *what)
{
	note(rig_of(link), "!%s", vd_fault_name(what->code));
}

static int wait_for_buffer(struct vd_rpmsg *link, uint32_t ms)
{
	struct host_rig *rig = rig_of(link);

	rig->n_waits++;
	if (rig->on_wait != NULL)
		rig->on_wait(rig, ms);
	else
		rig->now += ms;
	return rig->wait_err;
}

static uint64_t now(struct vd_rpmsg *link)
{
	return rig_of(link)->now;
}

/* ---- endpoints ---- */

static enum vd_rpmsg_verdict message(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct rig_ept *self = (struct rig_ept *)(void *)ept;
	struct host_rig *rig = self->rig;

	assert_ptr_equal(msg->link, link_of(rig));
	assert_true(msg->len <= sizeof(self->data));
	self->n++;
	self->msg = *msg;
	if (msg->len > 0)
		memcpy(self->data, msg->data, msg->len);
	note(rig, "msg:%u", msg->dst);
	if (self->on_message != NULL)
		self->on_message(self, msg);
	if (self->verdict == VD_RPMSG_HOLD && msg->in_place) {
		assert_true(rig->n_held < RIG_HELD);
		rig->held[rig->n_held++] = *msg;
	}
	return self->verdict;
}

int rig_ept_create(struct host_rig *rig, struct rig_ept *ept, const char *name, uint32_t addr,
		   unsigned flags)
{
	memset(ept, 0, sizeof(*ept));
	ept->rig = rig;
	return vd_rpmsg_create_ept(link_of(rig), &ept->ept, name, addr, VD_RPMSG_ADDR_ANY, message,
				   flags);
}

/* ---- life ---- */

void host_rig_init(struct host_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct vd_rpmsg_remote_config)VD_RPMSG_REMOTE_DEFAULTS;
	rig->config.queue_size = 16;
	rig->config.batch = 4;
	rig->config.n_held = 4;
	rig->config.link.n_channels = 3;
	rig->events = (struct vd_rpmsg_events){
		.link_changed = link_changed,
		.pausing = pausing,
		.channel = channel,
		.writable = writable,
		.fault = fault,
		.wait = wait_for_buffer,
		.now = now,
	};
	rig->config.link.events = &rig->events;
}

void host_rig_make(struct host_rig *rig)
{
	size_t size = vd_rpmsg_remote_memory(&rig->config);

	assert_int_not_equal(size, 0);
	pages_take(&rig->memory, size, 8);
	assert_int_equal(vd_rpmsg_remote_init(&rig->remote, &rig->config, rig->memory.at, size), 0);
}

void host_rig_join(struct host_rig *rig)
{
	host_open(&rig->host, &rig->remote, &rig->options);
}

void host_rig_open(struct host_rig *rig)
{
	host_rig_init(rig);
	host_rig_make(rig);
	host_rig_join(rig);
	host_rig_expect(rig, "up");
}

void host_rig_close(struct host_rig *rig)
{
	rig->hook = NULL;
	host_close(&rig->host);
	pages_give(&rig->memory);
}

/* ---- what one expects ---- */

void host_rig_expect_announced(struct host_rig *rig, const char *name, uint32_t addr, bool created)
{
	bool big = rig->host.options.big_endian;
	unsigned char want[40] = {0};
	struct host_message got;

	memcpy(want, name, strlen(name));
	for (unsigned i = 0; i < 4; i++)
		want[32 + (big ? 3 - i : i)] = (unsigned char)(addr >> (8 * i));
	want[36 + (big ? 3 : 0)] = !created;
	assert_true(host_receive(&rig->host, &got));
	assert_int_equal(got.src, addr);
	assert_int_equal(got.dst, VD_RPMSG_NS_ADDR);
	assert_int_equal(got.len, sizeof(want));
	assert_int_equal(got.used, 16 + sizeof(want));
	assert_memory_equal(got.data, want, sizeof(want));
}

void host_rig_expect_silence(struct host_rig *rig)
{
	struct host_message got;

	assert_false(host_receive(&rig->host, &got));
}

void host_rig_send(struct host_rig *rig, uint32_t src, uint32_t dst, const void *data, uint16_t len)
{
	assert_true(host_send(&rig->host, src, dst, data, len));
	host_run(&rig->host);
}

void host_rig_expect_all_back(struct host_rig *rig)
{
	for (uint16_t i = 0; i < VD_RPMSG_N_QUEUES; i++) {
		struct vd_ring_position position = host_stop_queue(&rig->host, i);

		assert_int_equal(host_missing(&rig->host, i, position), 0);
	}
}
