/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages on their way out: every form of sending, with buffers of every shape and without any. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANY    VD_RPMSG_ADDR_ANY
#define HEADER 16u
#define MOST   (512u - HEADER)

static struct host_rig rig;
static struct rig_ept ept[4];
static unsigned char bytes[HOST_SIZE];

static void create(unsigned n, uint32_t addr)
{
	assert_int_equal(rig_ept_create(&rig, &ept[n], NULL, addr, 0), 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 13);
}

/* With an endpoint at 60. */
static void open_sender(void)
{
	host_rig_open(&rig);
	create(0, 60);
}

/* The same, in front of a host that posted @n buffers and keeps those that come back. */
static void open_with_buffers(unsigned n)
{
	host_rig_init(&rig);
	rig.options.empty = true;
	host_rig_make(&rig);
	host_rig_join(&rig);
	rig.host.keeps = true;
	create(0, 60);
	if (n > 0)
		assert_int_equal(host_post(&rig.host, n), n);
	host_run(&rig.host);
	rig.log[0] = '\0';
}

static void close_with_all_back(void)
{
	host_rig_expect_silence(&rig);
	host_rig_expect_all_back(&rig);
	host_rig_close(&rig);
}

static int trysend(const char *text)
{
	return vd_rpmsg_trysendto(&ept[0].ept, text, (uint32_t)strlen(text), 9);
}

static void expect(const char *text)
{
	assert_true(host_expect(&rig.host, 60, 9, text, (uint16_t)strlen(text)));
}

/* ---- forms ---- */

static void every_form_says_who_speaks_to_whom(void **state)
{
	struct vd_rpmsg_ept *from = &ept[0].ept;

	(void)state;
	open_sender();
	from->dst = 7;
	assert_int_equal(vd_rpmsg_send(from, "a", 1), 0);
	assert_true(host_expect(&rig.host, 60, 7, "a", 1));
	assert_int_equal(vd_rpmsg_sendto(from, "bc", 2, 8), 0);
	assert_true(host_expect(&rig.host, 60, 8, "bc", 2));
	assert_int_equal(vd_rpmsg_send_offchannel(from, 1, 2, "def", 3), 0);
	assert_true(host_expect(&rig.host, 1, 2, "def", 3));
	assert_int_equal(vd_rpmsg_trysend(from, "g", 1), 0);
	assert_true(host_expect(&rig.host, 60, 7, "g", 1));
	assert_int_equal(vd_rpmsg_trysendto(from, "hi", 2, 8), 0);
	assert_true(host_expect(&rig.host, 60, 8, "hi", 2));
	assert_int_equal(vd_rpmsg_trysend_offchannel(from, 0x12345678, 0xfffffffe, "jkl", 3), 0);
	assert_true(host_expect(&rig.host, 0x12345678, 0xfffffffe, "jkl", 3));
	assert_int_equal(link_of(&rig)->stats.tx_messages, 6);
	assert_int_equal(link_of(&rig)->stats.tx_bytes, 12);
	close_with_all_back();
}

static void messages_of_every_length_arrive(void **state)
{
	(void)state;
	open_sender();
	assert_int_equal(vd_rpmsg_max_payload(link_of(&rig)), MOST);
	for (uint16_t len = 0; len <= MOST; len++) {
		assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, len > 0 ? bytes : NULL, len, 9), 0);
		assert_true(host_expect(&rig.host, 60, 9, bytes, len));
	}
	close_with_all_back();
}

/* All six forms with the same arguments. */
static void expect_all_fail(struct vd_rpmsg_ept *from, uint32_t dst, uint32_t len, int err)
{
	from->dst = dst;
	assert_int_equal(vd_rpmsg_send(from, bytes, len), err);
	assert_int_equal(vd_rpmsg_sendto(from, bytes, len, dst), err);
	assert_int_equal(vd_rpmsg_send_offchannel(from, 60, dst, bytes, len), err);
	assert_int_equal(vd_rpmsg_trysend(from, bytes, len), err);
	assert_int_equal(vd_rpmsg_trysendto(from, bytes, len, dst), err);
	assert_int_equal(vd_rpmsg_trysend_offchannel(from, 60, dst, bytes, len), err);
}

static void what_can_not_be_sent_is_refused(void **state)
{
	struct vd_rpmsg_ept nobody = {0};

	(void)state;
	open_sender();
	expect_all_fail(&ept[0].ept, ANY, 1, -VD_EINVAL);
	assert_int_equal(vd_rpmsg_send_offchannel(&ept[0].ept, ANY, 9, "x", 1), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_trysend_offchannel(&ept[0].ept, ANY, 9, "x", 1), -VD_EINVAL);
	expect_all_fail(&nobody, 9, 1, -VD_EINVAL);
	expect_all_fail(&ept[0].ept, 9, MOST + 1, -VD_EMSGSIZE);
	expect_all_fail(&ept[0].ept, 9, UINT32_MAX, -VD_EMSGSIZE);
	expect_all_fail(&ept[0].ept, 9, UINT32_MAX - HEADER + 1, -VD_EMSGSIZE);
	/* A destroyed endpoint does not exist. */
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[0].ept), 0);
	expect_all_fail(&ept[0].ept, 9, 1, -VD_EINVAL);
	assert_int_equal(link_of(&rig)->stats.tx_messages, 0);
	host_rig_expect(&rig, "");
	close_with_all_back();
}

static void nobody_speaks_over_a_link_that_is_down(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	create(0, 60);
	expect_all_fail(&ept[0].ept, 9, 1, -VD_EPIPE);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), -VD_EPIPE);
	host_rig_join(&rig);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	expect_all_fail(&ept[0].ept, 9, 1, -VD_EPIPE);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), -VD_EPIPE);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	assert_int_equal(trysend("x"), 0);
	expect("x");
	host_unbind(&rig.host);
	expect_all_fail(&ept[0].ept, 9, 1, -VD_EPIPE);
	assert_int_equal(rig.n_waits, 0);
	host_bind(&rig.host);
	close_with_all_back();
}

/* ---- without buffers ---- */

static void a_try_fails_at_once_and_hears_when_to_try_again(void **state)
{
	(void)state;
	open_with_buffers(2);
	assert_int_equal(trysend("a"), 0);
	assert_int_equal(trysend("b"), 0);
	assert_int_equal(trysend("c"), -VD_ENOMEM);
	assert_int_equal(trysend("c"), -VD_ENOMEM);
	host_run(&rig.host);
	host_rig_expect(&rig, "");
	assert_int_equal(rig.n_waits, 0);
	expect("a");
	expect("b");
	assert_int_equal(host_post(&rig.host, 2), 2);
	host_run(&rig.host);
	host_rig_expect(&rig, "writable");
	assert_int_equal(trysend("c"), 0);
	expect("c");
	/* Nobody failed since: nobody is told. */
	assert_int_equal(host_post(&rig.host, 3), 3);
	host_run(&rig.host);
	host_rig_expect(&rig, "");
	close_with_all_back();
}

static void who_polls_hears_of_it_too(void **state)
{
	(void)state;
	open_with_buffers(0);
	assert_int_equal(trysend("a"), -VD_ENOMEM);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 0);
	host_rig_expect(&rig, "");
	assert_int_equal(host_post(&rig.host, 1), 1);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 0);
	host_rig_expect(&rig, "writable");
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 0);
	host_rig_expect(&rig, "");
	close_with_all_back();
}

static void send_on_writable(struct host_rig *self, const char *word)
{
	(void)self;
	while (strcmp(word, "writable") == 0 && trysend("again") == 0)
		;
}

static void the_event_may_use_up_what_it_tells_of(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.hook = send_on_writable;
	assert_int_equal(trysend("again"), -VD_ENOMEM);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(host_post(&rig.host, 3), 3);
		host_run(&rig.host);
		host_rig_expect(&rig, "writable");
		expect("again");
		expect("again");
		expect("again");
	}
	close_with_all_back();
}

static void the_host_posts_one(struct host_rig *self, uint32_t ms)
{
	assert_int_equal(ms, 15000 - self->now % 100000);
	assert_int_equal(host_post(&self->host, 1), 1);
}

static void sending_waits_for_a_buffer(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.on_wait = the_host_posts_one;
	rig.now = 100000;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), 0);
	expect("a");
	assert_int_equal(rig.n_waits, 1);
	assert_int_equal(link_of(&rig)->stats.tx_waits, 1);
	close_with_all_back();
}

static void nothing_happens_for_a_while(struct host_rig *self, uint32_t ms)
{
	assert_int_equal(ms, 15000 - self->now);
	self->now += 4000;
}

static void sending_waits_fifteen_seconds(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.on_wait = nothing_happens_for_a_while;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_ETIMEDOUT);
	/* At 0, 4, 8, and 12 s. */
	assert_int_equal(rig.n_waits, 4);
	/* Each call has its own time. */
	rig.on_wait = NULL;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_ETIMEDOUT);
	assert_int_equal(rig.now, 16000 + 15000);
	close_with_all_back();
}

static void an_error_of_waiting_is_the_senders(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.wait_err = -VD_EAGAIN;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_EAGAIN);
	assert_int_equal(rig.n_waits, 1);
	close_with_all_back();
}

static void who_can_not_wait_tries(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.events.wait = NULL;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_ENOMEM);
	rig.events = (struct vd_rpmsg_events){0};
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_ENOMEM);
	close_with_all_back();
}

static void the_host_goes(struct host_rig *self, uint32_t ms)
{
	(void)ms;
	host_unbind(&self->host);
}

static void the_link_may_go_while_somebody_waits(void **state)
{
	(void)state;
	open_with_buffers(0);
	rig.on_wait = the_host_goes;
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "a", 1, 9), -VD_EPIPE);
	host_rig_expect(&rig, "down");
	host_bind(&rig.host);
	close_with_all_back();
}

static void expect_then_post(struct host_rig *self, uint32_t ms)
{
	(void)ms;
	expect("before");
	assert_int_equal(host_post(&self->host, 1), 1);
}

/* What was sent before must be on its way, or the host has nothing to give back. */
static void waiting_publishes_what_was_corked(void **state)
{
	(void)state;
	open_with_buffers(1);
	rig.on_wait = expect_then_post;
	vd_rpmsg_cork(link_of(&rig));
	assert_int_equal(trysend("before"), 0);
	assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, "after", 5, 9), 0);
	vd_rpmsg_uncork(link_of(&rig));
	expect("after");
	close_with_all_back();
}

/* ---- corks ---- */

static void a_burst_costs_one_notification(void **state)
{
	uint64_t before = 0;

	(void)state;
	open_sender();
	for (unsigned round = 0; round < 3; round++) {
		(void)vd_vq_drv_enable_cb(&rig.host.vqs[VD_RPMSG_QUEUE_RX].vq);
		before = rig.host.loop.n_to_driver;
		vd_rpmsg_cork(link_of(&rig));
		vd_rpmsg_cork(link_of(&rig));
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(trysend("x"), 0);
		vd_rpmsg_uncork(link_of(&rig));
		/* Not one of them can be seen yet. */
		host_rig_expect_silence(&rig);
		assert_int_equal(rig.host.loop.n_to_driver, before);
		vd_rpmsg_uncork(link_of(&rig));
		assert_int_equal(rig.host.loop.n_to_driver, before + 1);
		for (unsigned i = 0; i < 10; i++)
			expect("x");
	}
	/* Without a cork each is shown at once. */
	assert_int_equal(trysend("y"), 0);
	expect("y");
	close_with_all_back();
}

static void answer_thrice(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vd_rpmsg_trysendto(&self->ept, msg->data, msg->len, msg->src), 0);
}

static void what_callbacks_send_costs_one_notification(void **state)
{
	uint64_t before;

	(void)state;
	open_sender();
	ept[0].on_message = answer_thrice;
	(void)vd_vq_drv_enable_cb(&rig.host.vqs[VD_RPMSG_QUEUE_RX].vq);
	(void)vd_vq_drv_enable_cb(&rig.host.vqs[VD_RPMSG_QUEUE_TX].vq);
	before = rig.host.loop.n_to_driver;
	for (unsigned i = 0; i < 5; i++)
		assert_true(host_add(&rig.host, 9, 60, "x", 1));
	host_kick(&rig.host);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 5);
	/* One for each queue. */
	assert_int_equal(rig.host.loop.n_to_driver, before + 2);
	for (unsigned i = 0; i < 15; i++)
		expect("x");
	assert_int_equal(host_reclaim(&rig.host), 5);
	close_with_all_back();
}

/* ---- composing in place ---- */

static void begin(struct vd_rpmsg_tx *tx)
{
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), tx), 0);
}

static int commit(struct vd_rpmsg_tx *tx, const char *text)
{
	memcpy(tx->data, text, strlen(text));
	return vd_rpmsg_tx_commit(tx, 60, 9, (uint32_t)strlen(text));
}

static void a_message_is_composed_where_it_is_read(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_sender();
	begin(&tx);
	assert_int_equal(tx.capacity, MOST);
	memcpy(tx.data, bytes, MOST);
	host_rig_expect_silence(&rig);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 1, 2, MOST), 0);
	assert_true(host_expect(&rig.host, 1, 2, bytes, MOST));
	begin(&tx);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 0, 0, 0), 0);
	assert_true(host_expect(&rig.host, 0, 0, "", 0));
	assert_int_equal(link_of(&rig)->stats.tx_messages, 2);
	assert_int_equal(link_of(&rig)->stats.tx_bytes, MOST);
	close_with_all_back();
}

static void a_commit_that_failed_can_be_mended(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_sender();
	begin(&tx);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, ANY, 9, 1), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, ANY, 1), -VD_EINVAL);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, 9, MOST + 1), -VD_EMSGSIZE);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, 9, UINT32_MAX), -VD_EMSGSIZE);
	assert_int_equal(commit(&tx, "mended"), 0);
	expect("mended");
	close_with_all_back();
}

static void a_message_is_composed_once(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_sender();
	begin(&tx);
	assert_int_equal(commit(&tx, "once"), 0);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, 9, 1), -VD_ESTALE);
	vd_rpmsg_tx_abort(&tx);
	expect("once");
	begin(&tx);
	vd_rpmsg_tx_abort(&tx);
	vd_rpmsg_tx_abort(&tx);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, 9, 1), -VD_ESTALE);
	assert_int_equal(trysend("a"), 0);
	expect("a");
	close_with_all_back();
}

static void what_is_composed_later_may_be_sent_first(void **state)
{
	struct vd_rpmsg_tx tx[4];

	(void)state;
	for (unsigned in_order = 0; in_order < 2; in_order++) {
		host_rig_init(&rig);
		rig.options.refuses = in_order ? 0 : VD_BIT(VD_F_IN_ORDER);
		host_rig_make(&rig);
		host_rig_join(&rig);
		create(0, 60);
		for (unsigned i = 0; i < 4; i++)
			begin(&tx[i]);
		assert_int_equal(trysend("e"), 0);
		assert_int_equal(commit(&tx[2], "c"), 0);
		assert_int_equal(commit(&tx[3], "d"), 0);
		if (!in_order) {
			expect("e");
			expect("c");
			expect("d");
		}
		assert_int_equal(commit(&tx[1], "b"), 0);
		assert_int_equal(commit(&tx[0], "a"), 0);
		/* IN_ORDER shows the host buffers as it posted them. */
		for (unsigned i = 0; in_order && i < 5; i++)
			expect((const char *[]){"a", "b", "c", "d", "e"}[i]);
		if (!in_order) {
			expect("b");
			expect("a");
		}
		close_with_all_back();
	}
}

static void nothing_is_lost_by_an_abort(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	/* As many buffers as a batch, and more. */
	for (unsigned n = 3; n <= 9; n++) {
		open_with_buffers(n);
		for (unsigned i = 0; i < 20; i++) {
			begin(&tx);
			vd_rpmsg_tx_abort(&tx);
		}
		for (unsigned i = 0; i < n; i++) {
			begin(&tx);
			if (i == n / 2)
				vd_rpmsg_tx_abort(&tx);
			else
				assert_int_equal(commit(&tx, "x"), 0);
		}
		assert_int_equal(trysend("x"), 0);
		assert_int_equal(trysend("x"), -VD_ENOMEM);
		for (unsigned i = 0; i < n; i++)
			expect("x");
		assert_int_equal(rig.host.n_nobody, 0);
		close_with_all_back();
	}
}

/* With IN_ORDER the host sees a buffer in its old place: it can't carry what is sent later. */
static void an_abort_changes_no_order(void **state)
{
	struct vd_rpmsg_tx tx[2];

	(void)state;
	for (unsigned in_order = 0; in_order < 2; in_order++) {
		host_rig_init(&rig);
		rig.options.refuses = in_order ? 0 : VD_BIT(VD_F_IN_ORDER);
		host_rig_make(&rig);
		host_rig_join(&rig);
		create(0, 60);
		begin(&tx[0]);
		assert_int_equal(trysend("a"), 0);
		begin(&tx[1]);
		vd_rpmsg_tx_abort(&tx[0]);
		assert_int_equal(trysend("b"), 0);
		vd_rpmsg_tx_abort(&tx[1]);
		assert_int_equal(trysend("c"), 0);
		expect("a");
		expect("b");
		expect("c");
		host_rig_expect_silence(&rig);
		assert_int_equal(rig.host.n_nobody, in_order ? 2 : 0);
		close_with_all_back();
	}
}

/* An old buffer that is given back when its batch was used up can't be un-popped. */
static void a_wasted_buffer_goes_to_nobody(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_with_buffers(8);
	begin(&tx);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(trysend("x"), 0);
	/* The next batch is begun by looking, and not used. */
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &(struct vd_rpmsg_tx){0}), 0);
	assert_int_equal(trysend("x"), 0);
	assert_int_equal(host_stop_queue(&rig.host, VD_RPMSG_QUEUE_RX).used & 0x7fff, 6);
	for (unsigned i = 0; i < 4; i++)
		expect("x");
	host_rig_expect_silence(&rig);
	assert_int_equal(rig.host.n_nobody, 2);
	assert_int_equal(vd_rpmsg_tx_commit(&tx, 60, 9, 0), -VD_ESTALE);
	close_with_all_back();
}

static void what_is_composed_is_void_with_the_link(void **state)
{
	struct vd_rpmsg_tx tx[2];

	(void)state;
	open_sender();
	begin(&tx[0]);
	begin(&tx[1]);
	host_restart(&rig.host);
	assert_int_equal(vd_rpmsg_tx_commit(&tx[0], 60, 9, 0), -VD_ESTALE);
	vd_rpmsg_tx_abort(&tx[1]);
	begin(&tx[0]);
	begin(&tx[1]);
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_tx_commit(&tx[0], 60, 9, 0), -VD_ESTALE);
	vd_rpmsg_tx_abort(&tx[1]);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
	assert_int_equal(vd_rpmsg_tx_commit(&tx[0], 60, 9, 0), -VD_ESTALE);
	vd_rpmsg_tx_abort(&tx[1]);
	/* Nothing of it was sent, or lost. */
	host_rig_expect_silence(&rig);
	for (unsigned i = 0; i < rig.host.n_buffers; i++)
		assert_int_equal(trysend("x"), 0);
	for (unsigned i = 0; i < rig.host.n_buffers; i++)
		expect("x");
	close_with_all_back();
}

static void places_to_compose_in_are_counted(void **state)
{
	struct vd_rpmsg_tx tx[5];

	(void)state;
	open_sender();
	for (unsigned i = 0; i < 4; i++)
		begin(&tx[i]);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx[4]), -VD_ENOMEM);
	/* The others still send, and whoever found no place hears when there is one. */
	assert_int_equal(trysend("x"), 0);
	host_rig_expect(&rig, "");
	assert_int_equal(commit(&tx[0], "y"), 0);
	host_rig_expect(&rig, "writable");
	begin(&tx[4]);
	assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx[0]), -VD_ENOMEM);
	vd_rpmsg_tx_abort(&tx[2]);
	host_rig_expect(&rig, "writable");
	vd_rpmsg_tx_abort(&tx[1]);
	vd_rpmsg_tx_abort(&tx[3]);
	vd_rpmsg_tx_abort(&tx[4]);
	host_rig_expect(&rig, "");
	while (host_receive(&rig.host, &(struct host_message){0}))
		;
	close_with_all_back();
}

/* The host has nothing to notify of: the buffer never went back. */
static void an_abort_makes_writable(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	open_with_buffers(1);
	begin(&tx);
	assert_int_equal(trysend("x"), -VD_ENOMEM);
	vd_rpmsg_tx_abort(&tx);
	host_rig_expect(&rig, "writable");
	assert_int_equal(trysend("x"), 0);
	expect("x");
	/* So it does for announcements that are due. */
	assert_int_equal(host_post(&rig.host, 1), 1);
	begin(&tx);
	assert_int_equal(rig_ept_create(&rig, &ept[1], "late", 61, 0), 0);
	host_rig_expect_silence(&rig);
	vd_rpmsg_tx_abort(&tx);
	host_rig_expect_announced(&rig, "late", 61, true);
	host_rig_expect(&rig, "");
	close_with_all_back();
}

/* ---- shapes of buffers ---- */

static void buffers_in_pieces_are_filled(void **state)
{
	struct vd_rpmsg_tx tx;

	(void)state;
	for (uint8_t pieces = 2; pieces <= VD_RPMSG_SEGMENTS; pieces++) {
		host_rig_init(&rig);
		rig.options.pieces = pieces;
		host_rig_make(&rig);
		host_rig_join(&rig);
		create(0, 60);
		for (uint16_t len = 0; len <= MOST; len = (uint16_t)(len < 40 ? len + 1 : len + 57))
			if (vd_rpmsg_sendto(&ept[0].ept, bytes, len, 9) == 0)
				assert_true(host_expect(&rig.host, 60, 9, bytes, len));
			else
				fail();
		assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, bytes, MOST, 9), 0);
		assert_true(host_expect(&rig.host, 60, 9, bytes, MOST));
		assert_int_equal(vd_rpmsg_tx_begin(link_of(&rig), &tx), -VD_EOPNOTSUPP);
		close_with_all_back();
	}
}

static void the_size_of_buffers_is_learnt(void **state)
{
	static const uint32_t sizes[] = {17, 64, 511, 513, HOST_SIZE};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint16_t most = (uint16_t)(sizes[i] - HEADER);

		host_rig_init(&rig);
		rig.options.rx_size = sizes[i];
		host_rig_make(&rig);
		host_rig_join(&rig);
		create(0, 60);
		assert_int_equal(vd_rpmsg_max_payload(link_of(&rig)), most);
		assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, bytes, most + 1u, 9), -VD_EMSGSIZE);
		assert_int_equal(vd_rpmsg_sendto(&ept[0].ept, bytes, most, 9), 0);
		assert_true(host_expect(&rig.host, 60, 9, bytes, most));
		close_with_all_back();
	}
}

static void no_more_is_written_than_one_buffer_holds(void **state)
{
	(void)state;
	open_with_buffers(0);
	assert_true(host_post_as(&rig.host, 512, 1, 0));
	assert_true(host_post_as(&rig.host, HEADER + 4, 1, 0));
	assert_true(host_post_as(&rig.host, HEADER, 1, 0));
	assert_true(host_post_as(&rig.host, 512, 1, 0));
	assert_int_equal(host_post(&rig.host, 0), 0);
	assert_int_equal(trysend("the first one is large"), 0);
	/* Its turn is next, and it is too small. */
	assert_int_equal(trysend("12345"), -VD_EMSGSIZE);
	assert_int_equal(trysend("1234"), 0);
	assert_int_equal(trysend("1"), -VD_EMSGSIZE);
	assert_int_equal(trysend(""), 0);
	assert_int_equal(trysend("the last one is large"), 0);
	expect("the first one is large");
	expect("1234");
	expect("");
	expect("the last one is large");
	close_with_all_back();
}

static void buffers_that_hold_no_message_go_back(void **state)
{
	(void)state;
	open_with_buffers(0);
	assert_true(host_post_as(&rig.host, HEADER - 1, 1, 0));
	assert_true(host_post_as(&rig.host, 512, 1, 1));
	assert_true(host_post_as(&rig.host, 512, 2, 1));
	assert_true(host_post_as(&rig.host, 512, VD_RPMSG_SEGMENTS + 1, 0));
	assert_true(host_post_as(&rig.host, 512, VD_RPMSG_SEGMENTS + 2, 0));
	assert_true(host_post_as(&rig.host, 512, 1, 0));
	assert_int_equal(host_post(&rig.host, 0), 0);
	assert_int_equal(trysend("a"), 0);
	assert_int_equal(trysend("b"), -VD_ENOMEM);
	host_rig_expect(&rig, "!RPMSG_SHAPE !RPMSG_SHAPE !RPMSG_SHAPE !RPMSG_SHAPE !RPMSG_SHAPE");
	expect("a");
	host_rig_expect_silence(&rig);
	assert_int_equal(rig.host.n_void, 5);
	/* Nor is it one that somebody waited for. */
	assert_true(host_post_as(&rig.host, HEADER - 1, 1, 0));
	assert_int_equal(host_post(&rig.host, 0), 0);
	host_run(&rig.host);
	host_rig_expect(&rig, "!RPMSG_SHAPE");
	assert_int_equal(host_post(&rig.host, 1), 1);
	host_run(&rig.host);
	host_rig_expect(&rig, "writable");
	close_with_all_back();
}

static struct vd_ring_position position;

static void stop_on_fault(struct host_rig *self, const char *word)
{
	if (strcmp(word, "!RPMSG_SHAPE") != 0)
		return;
	self->hook = NULL;
	position = host_stop_queue(&rig.host, VD_RPMSG_QUEUE_RX);
	assert_int_equal(host_missing(&rig.host, VD_RPMSG_QUEUE_RX, position), 0);
}

static void the_queue_may_stop_when_a_fault_is_told_of(void **state)
{
	(void)state;
	for (unsigned pieces = 2; pieces <= VD_RPMSG_SEGMENTS + 1; pieces++) {
		open_with_buffers(0);
		rig.hook = stop_on_fault;
		assert_true(host_post_as(&rig.host, 512, pieces, 1));
		assert_int_equal(host_post(&rig.host, 1), 1);
		assert_int_equal(trysend("a"), -VD_EPIPE);
		host_rig_expect(&rig, "!RPMSG_SHAPE down");
		host_start_queue(&rig.host, VD_RPMSG_QUEUE_RX, position);
		host_rig_expect(&rig, "up");
		assert_int_equal(trysend("a"), 0);
		expect("a");
		host_rig_expect_silence(&rig);
		assert_int_equal(rig.host.n_void, 1);
		close_with_all_back();
	}
}

static void buffer_sizes_can_be_agreed_on(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.h2r_size = 256;
	rig.config.r2h_size = 1024;
	rig.options.empty = true;
	host_rig_make(&rig);
	host_rig_join(&rig);
	assert_int_equal(vd_rpmsg_max_payload(link_of(&rig)), 1024 - HEADER);
	for (unsigned i = 0; i < vd_rpmsg_type.n_fields; i++) {
		uint64_t value;

		assert_int_equal(vd_vdev_config_get(&rig.host.loop.vdev, &vd_rpmsg_type.fields[i],
						    0, &value),
				 0);
		assert_int_equal(value, i == 0 ? 256 : 1024);
	}
	host_rig_close(&rig);
	/* A driver that does not know it has Linux' size. */
	host_rig_init(&rig);
	rig.config.h2r_size = 256;
	rig.config.r2h_size = 1024;
	rig.options.empty = true;
	rig.options.refuses = VD_BIT(VD_RPMSG_F_BUFSZ);
	host_rig_make(&rig);
	host_rig_join(&rig);
	assert_int_equal(vd_rpmsg_max_payload(link_of(&rig)), MOST);
	host_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_says_who_speaks_to_whom),
		cmocka_unit_test(messages_of_every_length_arrive),
		cmocka_unit_test(what_can_not_be_sent_is_refused),
		cmocka_unit_test(nobody_speaks_over_a_link_that_is_down),
		cmocka_unit_test(a_try_fails_at_once_and_hears_when_to_try_again),
		cmocka_unit_test(who_polls_hears_of_it_too),
		cmocka_unit_test(the_event_may_use_up_what_it_tells_of),
		cmocka_unit_test(sending_waits_for_a_buffer),
		cmocka_unit_test(sending_waits_fifteen_seconds),
		cmocka_unit_test(an_error_of_waiting_is_the_senders),
		cmocka_unit_test(who_can_not_wait_tries),
		cmocka_unit_test(the_link_may_go_while_somebody_waits),
		cmocka_unit_test(waiting_publishes_what_was_corked),
		cmocka_unit_test(a_burst_costs_one_notification),
		cmocka_unit_test(what_callbacks_send_costs_one_notification),
		cmocka_unit_test(a_message_is_composed_where_it_is_read),
		cmocka_unit_test(a_commit_that_failed_can_be_mended),
		cmocka_unit_test(a_message_is_composed_once),
		cmocka_unit_test(what_is_composed_later_may_be_sent_first),
		cmocka_unit_test(nothing_is_lost_by_an_abort),
		cmocka_unit_test(an_abort_changes_no_order),
		cmocka_unit_test(a_wasted_buffer_goes_to_nobody),
		cmocka_unit_test(what_is_composed_is_void_with_the_link),
		cmocka_unit_test(places_to_compose_in_are_counted),
		cmocka_unit_test(an_abort_makes_writable),
		cmocka_unit_test(buffers_in_pieces_are_filled),
		cmocka_unit_test(the_size_of_buffers_is_learnt),
		cmocka_unit_test(no_more_is_written_than_one_buffer_holds),
		cmocka_unit_test(buffers_that_hold_no_message_go_back),
		cmocka_unit_test(the_queue_may_stop_when_a_fault_is_told_of),
		cmocka_unit_test(buffer_sizes_can_be_agreed_on),
	};

	return cmocka_run_group_tests_name("rpmsg_send", tests, NULL, NULL);
}
