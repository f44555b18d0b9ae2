/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages on their way in: whatever shape they have, and whatever a callback does meanwhile, each
 * is delivered once or dropped with a word, and its buffer goes back. */
#include "host_rig.h"
#include "ring/wire.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER 16u

static struct host_rig rig;
static struct rig_ept ept[4];
static unsigned char bytes[HOST_SIZE];

/* A copying endpoint at 60, and one at 61 that reads in place. */
static void create_both(void)
{
	assert_int_equal(rig_ept_create(&rig, &ept[0], NULL, 60, 0), 0);
	assert_int_equal(rig_ept_create(&rig, &ept[1], NULL, 61, VD_RPMSG_IN_PLACE), 0);
}

static void open_both(void)
{
	host_rig_open(&rig);
	create_both();
}

static void close_with_all_back(void)
{
	host_rig_expect_all_back(&rig);
	host_rig_close(&rig);
}

/* A message in `bytes`, whose header claims @claimed bytes of payload. */
static void compose(uint32_t dst, uint32_t claimed)
{
	host_compose(&rig.host, bytes, 9, dst, claimed, NULL, 0);
	for (unsigned i = HEADER; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + dst);
}

static void send_raw(uint32_t len, unsigned pieces, unsigned n_in)
{
	assert_non_null(host_send_raw(&rig.host, bytes, len, pieces, n_in));
	host_run(&rig.host);
}

/* Add @n messages of one byte, 'a', 'b', ... */
static void add_letters(uint32_t dst, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char letter = (char)('a' + i);

		assert_true(host_add(&rig.host, 9, dst, &letter, 1));
	}
	host_kick(&rig.host);
}

static void expect_dropped(const char *fault, uint64_t dropped)
{
	host_rig_expect(&rig, fault);
	assert_int_equal(link_of(&rig)->stats.rx_dropped, dropped);
	assert_int_equal(ept[0].n + ept[1].n, 0);
	assert_int_equal(host_reclaim(&rig.host), 1);
}

/* ---- shapes ---- */

#define PAYLOAD 5u
#define TRAILER 2u /* bytes behind the payload, which mean nothing */

static void send_in_cut(unsigned n, const uint32_t *sizes, unsigned pieces)
{
	struct rig_ept *self = &ept[n];
	unsigned before = self->n;

	compose(60 + n, PAYLOAD);
	assert_true(host_add_cut(&rig.host, bytes, sizes, pieces));
	host_kick(&rig.host);
	host_run(&rig.host);
	assert_int_equal(self->n, before + 1);
	assert_int_equal(self->msg.src, 9);
	assert_int_equal(self->msg.dst, 60 + n);
	assert_int_equal(self->msg.len, PAYLOAD);
	assert_memory_equal(self->data, bytes + HEADER, PAYLOAD);
	/* Only what lies in one piece can be read there. */
	assert_int_equal(self->msg.in_place, n == 1 && sizes[0] >= HEADER + PAYLOAD);
	rig.log[0] = '\0';
	(void)host_reclaim(&rig.host);
}

/* Every way to cut @left bytes into @pieces more, behind those in @sizes. */
static void send_in_cuts(uint32_t *sizes, unsigned done, unsigned pieces, uint32_t left)
{
	if (done + 1 == pieces) {
		sizes[done] = left;
		send_in_cut(0, sizes, pieces);
		send_in_cut(1, sizes, pieces);
		return;
	}
	for (uint32_t size = 1; size < left; size++) {
		sizes[done] = size;
		send_in_cuts(sizes, done + 1, pieces, left - size);
	}
}

static void messages_arrive_in_every_cut(void **state)
{
	uint32_t sizes[VD_RPMSG_SEGMENTS];

	(void)state;
	open_both();
	for (unsigned pieces = 1; pieces <= VD_RPMSG_SEGMENTS; pieces++)
		send_in_cuts(sizes, 0, pieces, HEADER + PAYLOAD + TRAILER);
	assert_int_equal(link_of(&rig)->stats.rx_dropped, 0);
	close_with_all_back();
}

static void empty_messages_arrive(void **state)
{
	(void)state;
	open_both();
	host_rig_send(&rig, 9, 60, "", 0);
	host_rig_send(&rig, 9, 61, "", 0);
	host_rig_expect(&rig, "msg:60 msg:61");
	assert_int_equal(ept[0].msg.len + ept[1].msg.len, 0);
	assert_true(ept[1].msg.in_place);
	close_with_all_back();
}

static void a_buffer_in_too_many_pieces_is_dropped(void **state)
{
	(void)state;
	open_both();
	compose(60, 40);
	send_raw(HEADER + 40, VD_RPMSG_SEGMENTS + 1, 0);
	expect_dropped("!RPMSG_SHAPE", 1);
	/* Between others, it costs them nothing. */
	add_letters(60, 2);
	assert_non_null(host_send_raw(&rig.host, bytes, HEADER + 40, VD_RPMSG_SEGMENTS + 2, 0));
	assert_non_null(host_send_raw(&rig.host, bytes, HEADER + 40, VD_RPMSG_SEGMENTS + 1, 0));
	add_letters(61, 1);
	host_run(&rig.host);
	host_rig_expect(&rig, "msg:60 msg:60 !RPMSG_SHAPE !RPMSG_SHAPE msg:61");
	assert_int_equal(host_reclaim(&rig.host), 5);
	close_with_all_back();
}

static void a_buffer_that_is_to_be_written_is_no_message(void **state)
{
	(void)state;
	open_both();
	compose(60, 4);
	send_raw(HEADER + 4, 1, 1);
	expect_dropped("!RPMSG_SHAPE", 1);
	send_raw(HEADER + 4, 3, 2);
	expect_dropped("!RPMSG_SHAPE", 2);
	send_raw(HEADER + 4, 2, 1);
	expect_dropped("!RPMSG_SHAPE", 3);
	close_with_all_back();
}

static void runts_are_dropped(void **state)
{
	(void)state;
	open_both();
	compose(60, 0);
	for (uint32_t len = 1; len < HEADER; len++) {
		send_raw(len, len < 3 ? len : 3, 0);
		expect_dropped("!RPMSG_RUNT", len);
	}
	close_with_all_back();
}

static void a_length_that_lies_is_not_believed(void **state)
{
	static const uint32_t claimed[] = {5, 6, 16, 496, 497, 0x7fff, 0x8000, 0xfffe, 0xffff};

	(void)state;
	open_both();
	for (unsigned i = 0; i < 2 * sizeof(claimed) / sizeof(claimed[0]); i++) {
		compose(60 + i % 2, claimed[i / 2]);
		send_raw(HEADER + 4, 1 + i % 3, 0);
		expect_dropped("!RPMSG_LENGTH", i + 1);
	}
	compose(60, 1);
	send_raw(HEADER, 1, 0);
	host_rig_expect(&rig, "!RPMSG_LENGTH");
	/* Less than there is, is the truth. */
	compose(60, 3);
	send_raw(HEADER + 4, 1, 0);
	host_rig_expect(&rig, "msg:60");
	assert_int_equal(ept[0].msg.len, 3);
	close_with_all_back();
}

static void a_message_for_nobody_is_dropped(void **state)
{
	(void)state;
	open_both();
	compose(62, 4);
	send_raw(HEADER + 4, 1, 0);
	expect_dropped("!RPMSG_NO_ENDPOINT", 1);
	compose(VD_RPMSG_ADDR_ANY, 4);
	send_raw(HEADER + 4, 1, 0);
	expect_dropped("!RPMSG_NO_ENDPOINT", 2);
	close_with_all_back();
}

/* ---- copies ---- */

static void what_is_copied_has_a_limit(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.link.max_payload = 8;
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_both();
	compose(60, 8);
	send_raw(HEADER + 8, 1, 0);
	send_raw(HEADER + 8, 3, 0);
	compose(61, 9);
	send_raw(HEADER + 9, 1, 0);
	host_rig_expect(&rig, "up msg:60 msg:60 msg:61");
	compose(60, 9);
	send_raw(HEADER + 9, 1, 0);
	send_raw(HEADER + 9, 3, 0);
	/* It can't be read in place: it is in pieces. */
	compose(61, 9);
	send_raw(HEADER + 9, 3, 0);
	host_rig_expect(&rig, "!RPMSG_LENGTH !RPMSG_LENGTH !RPMSG_LENGTH");
	assert_int_equal(link_of(&rig)->stats.rx_dropped, 3);
	assert_int_equal(link_of(&rig)->stats.rx_bytes, 8 + 8 + 9);
	close_with_all_back();
}

static void buffers_of_other_sizes_are_received(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.link.max_payload = HOST_SIZE - HEADER;
	rig.options.tx_size = HOST_SIZE;
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_both();
	for (unsigned n = 0; n < 2; n++) {
		compose(60 + n, HOST_SIZE - HEADER);
		send_raw(HOST_SIZE, 1 + 2 * n, 0);
		assert_int_equal(ept[n].msg.len, HOST_SIZE - HEADER);
		assert_memory_equal(ept[n].data, bytes + HEADER, HOST_SIZE - HEADER);
	}
	close_with_all_back();
}

static void write_over(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	for (unsigned i = 0; i < HOST_BUFFERS; i++)
		if (rig.host.tx[i].with_device)
			memset(rig.host.tx[i].at + HEADER, 'X', 4);
	assert_memory_equal(msg->data, self->ept.addr == 60 ? "good" : "XXXX", 4);
}

static void a_copy_stays_what_was_checked(void **state)
{
	(void)state;
	open_both();
	ept[0].on_message = write_over;
	ept[1].on_message = write_over;
	host_rig_send(&rig, 9, 60, "good", 4);
	host_rig_send(&rig, 9, 61, "good", 4);
	host_rig_expect(&rig, "msg:60 msg:61");
	close_with_all_back();
}

/* ---- poll ---- */

static void messages_and_bytes_are_counted(void **state)
{
	const struct vd_rpmsg_stats *stats = &link_of(&rig)->stats;

	(void)state;
	open_both();
	for (uint16_t len = 0; len < 10; len++)
		host_rig_send(&rig, 9, 60 + len % 3, bytes, len);
	assert_int_equal(stats->rx_messages, 7);
	assert_int_equal(stats->rx_bytes, 0 + 1 + 3 + 4 + 6 + 7 + 9);
	assert_int_equal(stats->rx_dropped, 3);
	assert_int_equal(stats->tx_messages, 0);
	close_with_all_back();
}

static void poll_keeps_to_its_budget(void **state)
{
	(void)state;
	open_both();
	add_letters(60, 12);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 0), 0);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 1);
	assert_int_equal(ept[0].n, 1);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 3), 3);
	assert_int_equal(ept[0].data[0], 'd');
	/* What poll took is back when it returns; it took nothing in advance. */
	assert_int_equal(host_reclaim(&rig.host), 4);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 6), 6);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 2);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 0);
	assert_int_equal(ept[0].n, 12);
	close_with_all_back();
}

static void a_kick_has_a_budget_too(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.budget = 2;
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_both();
	(void)vd_loopback_poll_device(&rig.host.loop);
	add_letters(60, 7);
	assert_true(vd_loopback_poll_device(&rig.host.loop));
	assert_int_equal(ept[0].n, 2);
	/* It asked to be called again. */
	assert_true(vd_loopback_poll_device(&rig.host.loop));
	assert_int_equal(ept[0].n, 4);
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 7);
	/* And to be notified, when there was no more. */
	add_letters(60, 1);
	host_run(&rig.host);
	assert_int_equal(ept[0].n, 8);
	close_with_all_back();
}

static void poll_within(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	assert_int_equal(vd_rpmsg_poll(self->ept.link, 1), -VD_EBUSY);
	/* Nor does a notification get around that. */
	(void)vd_loopback_poll_device(&rig.host.loop);
}

static void poll_is_not_called_from_within(void **state)
{
	(void)state;
	open_both();
	ept[0].on_message = poll_within;
	ept[1].on_message = poll_within;
	add_letters(60, 3);
	add_letters(61, 3);
	host_run(&rig.host);
	host_rig_expect(&rig, "msg:60 msg:60 msg:60 msg:61 msg:61 msg:61");
	/* Notifications still come. */
	host_rig_send(&rig, 9, 60, "x", 1);
	host_rig_expect(&rig, "msg:60");
	close_with_all_back();
}

static void a_queue_that_broke_is_an_error_until_the_reset(void **state)
{
	struct vd_split_avail *avail;

	(void)state;
	host_rig_init(&rig);
	rig.options.refuses = VD_BIT(VD_F_RING_PACKED);
	host_rig_make(&rig);
	host_rig_join(&rig);
	create_both();
	avail = rig.host.vqs[VD_RPMSG_QUEUE_TX].ring.driver;
	vd_store16(&avail->idx, 1000, false);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), -VD_EPROTO);
	host_rig_expect(&rig, "up !AVAIL_JUMP");
	assert_true(vd_device_status(&rig.remote.dev) & VD_STATUS_NEEDS_RESET);
	assert_true(vd_rpmsg_poll(link_of(&rig), 1) < 0);
	assert_true(vd_rpmsg_trysendto(&ept[0].ept, "x", 1, 9) < 0);
	host_restart(&rig.host);
	host_rig_send(&rig, 9, 60, "x", 1);
	host_rig_expect(&rig, "down up msg:60");
	close_with_all_back();
}

/* ---- callbacks that take the link away ---- */

static struct vd_ring_position position;

static void stop_on_fault(struct host_rig *self, const char *word)
{
	if (strcmp(word, "!RPMSG_SHAPE") != 0)
		return;
	self->hook = NULL;
	position = host_stop_queue(&rig.host, VD_RPMSG_QUEUE_TX);
	assert_int_equal(host_missing(&rig.host, VD_RPMSG_QUEUE_TX, position), 0);
}

static void a_queue_may_stop_when_a_fault_is_told_of(void **state)
{
	(void)state;
	for (unsigned n_in = 0; n_in < 2; n_in++) {
		open_both();
		compose(60, 4);
		rig.hook = stop_on_fault;
		(void)vd_rpmsg_poll(link_of(&rig), 1);
		assert_non_null(host_send_raw(&rig.host, bytes, HEADER + 4,
					      n_in ? 2 : VD_RPMSG_SEGMENTS + 1, n_in));
		add_letters(60, 1);
		host_run(&rig.host);
		host_rig_expect(&rig, "!RPMSG_SHAPE down");
		host_start_queue(&rig.host, VD_RPMSG_QUEUE_TX, position);
		host_run(&rig.host);
		host_rig_expect(&rig, "up msg:60");
		assert_int_equal(host_reclaim(&rig.host), 2);
		close_with_all_back();
	}
}

static void restart(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	self->on_message = NULL;
	host_restart(&rig.host);
	add_letters(61, 2);
}

static void stop_queue(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	self->on_message = NULL;
	position = host_stop_queue(&rig.host, VD_RPMSG_QUEUE_TX);
	assert_int_equal(host_missing(&rig.host, VD_RPMSG_QUEUE_TX, position), 0);
}

static void stop_and_start_queue(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	stop_queue(self, msg);
	host_start_queue(&rig.host, VD_RPMSG_QUEUE_TX, position);
}

static void suspend(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	self->on_message = NULL;
	assert_int_equal(vd_vdev_suspend(&rig.host.loop.vdev), 0);
}

static void suspend_and_resume(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	suspend(self, msg);
	assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
}

static void release_all(void)
{
	while (rig.n_held > 0)
		if (vd_rpmsg_release(&rig.held[--rig.n_held]) == 1)
			(void)vd_device_kick(&rig.remote.dev,
					     vd_notification(VD_RPMSG_QUEUE_TX, 0));
}

/* As many can be held as before: no place was lost. */
static void expect_places(void)
{
	unsigned before = ept[3].n;

	if (ept[3].ept.link == NULL)
		assert_int_equal(rig_ept_create(&rig, &ept[3], NULL, 63, VD_RPMSG_IN_PLACE), 0);
	ept[3].verdict = VD_RPMSG_HOLD;
	add_letters(63, rig.config.n_held);
	host_run(&rig.host);
	assert_int_equal(ept[3].n, before + rig.config.n_held);
	assert_int_equal(rig.n_held, rig.config.n_held);
	release_all();
	assert_int_equal(vd_rpmsg_destroy_ept(&ept[3].ept), 0);
	memset(&ept[3], 0, sizeof(ept[3]));
	assert_int_equal(host_reclaim(&rig.host), rig.config.n_held);
}

static void the_host_may_restart_in_a_callback(void **state)
{
	(void)state;
	open_both();
	for (unsigned n = 0; n < 2; n++) {
		ept[n].on_message = restart;
		ept[n].verdict = VD_RPMSG_HOLD;
		add_letters(60 + n, 4);
		host_run(&rig.host);
		/* What the old life had left is gone with it. */
		host_rig_expect(&rig, n == 0 ? "msg:60 down up msg:61 msg:61"
					     : "msg:61 down up msg:61 msg:61");
		ept[1].verdict = VD_RPMSG_RELEASE;
		release_all();
		assert_int_equal(host_reclaim(&rig.host), 2);
		expect_places();
		rig.log[0] = '\0';
	}
	close_with_all_back();
}

/* Four messages, the second of which has @on_message happen. */
static void interrupt_batch(struct rig_ept *self,
			    void (*on_message)(struct rig_ept *self,
					       const struct vd_rpmsg_msg *msg))
{
	rig.log[0] = '\0';
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 100), 0);
	add_letters(self->ept.addr, 1);
	assert_true(host_add(&rig.host, 9, self->ept.addr, "b", 1));
	add_letters(self->ept.addr, 2);
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 1);
	self->on_message = on_message;
}

static void a_queue_may_stop_in_a_callback(void **state)
{
	(void)state;
	open_both();
	for (unsigned n = 0; n < 2; n++) {
		interrupt_batch(&ept[n], stop_queue);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 2);
		assert_false(link_of(&rig)->up);
		/* Whoever goes on finds the rest. */
		host_start_queue(&rig.host, VD_RPMSG_QUEUE_TX, position);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 4);
		assert_int_equal(host_reclaim(&rig.host), 4);
		expect_places();
	}
	close_with_all_back();
}

static void a_queue_may_stop_and_go_on_in_a_callback(void **state)
{
	(void)state;
	open_both();
	for (unsigned n = 0; n < 2; n++) {
		interrupt_batch(&ept[n], stop_and_start_queue);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 4);
		assert_int_equal(host_reclaim(&rig.host), 4);
		expect_places();
	}
	close_with_all_back();
}

static void the_host_may_suspend_in_a_callback(void **state)
{
	(void)state;
	open_both();
	for (unsigned n = 0; n < 2; n++) {
		interrupt_batch(&ept[n], suspend);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 2);
		assert_int_equal(vd_vdev_resume(&rig.host.loop.vdev), 0);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 4);
		assert_int_equal(host_reclaim(&rig.host), 4);
		expect_places();
	}
	close_with_all_back();
}

static void the_host_may_suspend_and_resume_in_a_callback(void **state)
{
	(void)state;
	open_both();
	for (unsigned n = 0; n < 2; n++) {
		ept[n].verdict = VD_RPMSG_HOLD;
		interrupt_batch(&ept[n], suspend_and_resume);
		host_run(&rig.host);
		assert_int_equal(ept[n].n, 4);
		/* Held are those that came after it. */
		assert_int_equal(host_reclaim(&rig.host), n == 0 ? 4 : 2);
		ept[n].verdict = VD_RPMSG_RELEASE;
		release_all();
		(void)host_reclaim(&rig.host);
		expect_places();
	}
	close_with_all_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_in_every_cut),
		cmocka_unit_test(empty_messages_arrive),
		cmocka_unit_test(a_buffer_in_too_many_pieces_is_dropped),
		cmocka_unit_test(a_buffer_that_is_to_be_written_is_no_message),
		cmocka_unit_test(runts_are_dropped),
		cmocka_unit_test(a_length_that_lies_is_not_believed),
		cmocka_unit_test(a_message_for_nobody_is_dropped),
		cmocka_unit_test(what_is_copied_has_a_limit),
		cmocka_unit_test(buffers_of_other_sizes_are_received),
		cmocka_unit_test(a_copy_stays_what_was_checked),
		cmocka_unit_test(messages_and_bytes_are_counted),
		cmocka_unit_test(poll_keeps_to_its_budget),
		cmocka_unit_test(a_kick_has_a_budget_too),
		cmocka_unit_test(poll_is_not_called_from_within),
		cmocka_unit_test(a_queue_that_broke_is_an_error_until_the_reset),
		cmocka_unit_test(a_queue_may_stop_when_a_fault_is_told_of),
		cmocka_unit_test(the_host_may_restart_in_a_callback),
		cmocka_unit_test(a_queue_may_stop_in_a_callback),
		cmocka_unit_test(a_queue_may_stop_and_go_on_in_a_callback),
		cmocka_unit_test(the_host_may_suspend_in_a_callback),
		cmocka_unit_test(the_host_may_suspend_and_resume_in_a_callback),
	};

	return cmocka_run_group_tests_name("rpmsg_receive", tests, NULL, NULL);
}
