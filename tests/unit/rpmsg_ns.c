/* SPDX-License-Identifier: BSD-3-Clause */
/* The rpmsg name service: our announcements, whatever the peer's buffers do, and the peer's. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANY VD_RPMSG_ADDR_ANY

static struct host_rig rig;
static struct rig_ept ept[8];

static void create(unsigned n, const char *name, uint32_t addr)
{
	assert_int_equal(rig_ept_create(&rig, &ept[n], name, addr, 0), 0);
}

static int destroy(unsigned n)
{
	return vd_rpmsg_destroy_ept(&ept[n].ept);
}

static void expect_announced(const char *name, uint32_t addr, bool created)
{
	host_rig_expect_announced(&rig, name, addr, created);
}

/* Up, but the host has posted no buffer to send in. */
static void open_without_buffers(void)
{
	host_rig_init(&rig);
	rig.options.empty = true;
	host_rig_make(&rig);
	host_rig_join(&rig);
	host_rig_expect(&rig, "up");
}

static void post(unsigned n)
{
	assert_int_equal(host_post(&rig.host, n), n);
	host_run(&rig.host);
}

/* ---- ours ---- */

static void channels_are_announced_when_they_are_created_and_destroyed(void **state)
{
	(void)state;
	host_rig_open(&rig);
	create(0, "first", 60);
	expect_announced("first", 60, true);
	create(1, NULL, 61);
	host_rig_expect_silence(&rig);
	create(2, "a name of thirty-one characters", ANY);
	expect_announced("a name of thirty-one characters", 1024, true);
	assert_int_equal(destroy(0), 0);
	assert_null(ept[0].ept.link);
	expect_announced("first", 60, false);
	assert_int_equal(destroy(1), 0);
	host_rig_expect_silence(&rig);
	assert_int_equal(link_of(&rig)->n_due, 0);
	host_rig_close(&rig);
}

static void channels_are_announced_again_to_whoever_comes(void **state)
{
	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	create(0, "a", 60);
	create(1, "b", 61);
	create(2, NULL, 62);
	create(3, "c", 63);
	assert_int_equal(destroy(1), 0);
	host_rig_join(&rig);
	for (unsigned n = 0; n < 3; n++) {
		expect_announced("a", 60, true);
		expect_announced("c", 63, true);
		host_rig_expect_silence(&rig);
		host_restart(&rig.host);
	}
	host_unbind(&rig.host);
	/* Nobody has to be told. */
	assert_int_equal(destroy(0), 0);
	create(1, "b", 61);
	host_bind(&rig.host);
	expect_announced("c", 63, true);
	expect_announced("b", 61, true);
	host_rig_expect_silence(&rig);
	host_rig_close(&rig);
}

static void nothing_is_announced_without_the_feature(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.options.refuses = VD_BIT(VD_RPMSG_F_NS);
	host_rig_make(&rig);
	create(0, "a", 60);
	host_rig_join(&rig);
	create(1, "b", 61);
	assert_int_equal(destroy(0), 0);
	host_rig_expect_silence(&rig);
	/* Nor is anybody listening. */
	host_rig_expect(&rig, "up");
	assert_true(host_announce(&rig.host, "theirs", 70, 0));
	host_run(&rig.host);
	host_rig_expect(&rig, "!RPMSG_NO_ENDPOINT");
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "theirs"));
	host_rig_close(&rig);
}

static void announcements_wait_for_buffers(void **state)
{
	(void)state;
	open_without_buffers();
	create(0, "a", 60);
	create(1, "b", 61);
	create(2, "c", 62);
	assert_int_equal(link_of(&rig)->n_due, 3);
	post(1);
	assert_int_equal(link_of(&rig)->n_due, 2);
	post(4);
	expect_announced("a", 60, true);
	expect_announced("b", 61, true);
	expect_announced("c", 62, true);
	assert_int_equal(link_of(&rig)->n_due, 0);
	host_rig_close(&rig);
}

static void poll_sends_what_is_due(void **state)
{
	(void)state;
	open_without_buffers();
	create(0, "a", 60);
	assert_int_equal(host_post(&rig.host, 2), 2);
	/* No notification is fetched. */
	assert_int_equal(vd_rpmsg_poll(link_of(&rig), 1), 0);
	expect_announced("a", 60, true);
	host_rig_close(&rig);
}

static void what_the_peer_never_heard_of_is_not_taken_back(void **state)
{
	(void)state;
	open_without_buffers();
	create(0, "a", 60);
	assert_int_equal(destroy(0), 0);
	assert_null(ept[0].ept.link);
	assert_int_equal(link_of(&rig)->n_due, 0);
	create(1, "b", 61);
	post(4);
	expect_announced("b", 61, true);
	host_rig_expect_silence(&rig);
	host_rig_close(&rig);
}

/* Announce "a" at 60 and "b" at 61, and leave no buffer. */
static void open_announced(void)
{
	open_without_buffers();
	rig.host.keeps = true;
	create(0, "a", 60);
	create(1, "b", 61);
	post(2);
	expect_announced("a", 60, true);
	expect_announced("b", 61, true);
	rig.log[0] = '\0';
}

static void an_endpoint_that_can_not_say_so_dies_later(void **state)
{
	(void)state;
	open_announced();
	assert_int_equal(destroy(0), -VD_EAGAIN);
	assert_non_null(ept[0].ept.link);
	assert_int_equal(destroy(0), -VD_EAGAIN);
	/* But nobody reaches it, and its address is free. */
	assert_null(vd_rpmsg_find_ept(link_of(&rig), 60));
	host_rig_send(&rig, 9, 60, "x", 1);
	host_rig_expect(&rig, "!RPMSG_NO_ENDPOINT");
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &ept[0].ept, NULL, 70, ANY,
					     ept[0].ept.callback, 0),
			 -VD_EINVAL);
	create(2, "a", 60);
	post(3);
	expect_announced("a", 60, false);
	expect_announced("a", 60, true);
	assert_null(ept[0].ept.link);
	host_rig_expect_silence(&rig);
	host_rig_close(&rig);
}

static void a_dying_endpoint_is_dead_when_the_link_goes(void **state)
{
	(void)state;
	open_announced();
	assert_int_equal(destroy(0), -VD_EAGAIN);
	host_unbind(&rig.host);
	assert_null(ept[0].ept.link);
	assert_int_equal(link_of(&rig)->n_due, 0);
	memset(&ept[0], 0xaa, sizeof(ept[0]));
	rig.host.options.empty = false;
	host_bind(&rig.host);
	expect_announced("b", 61, true);
	host_rig_expect_silence(&rig);
	host_rig_close(&rig);
}

static void an_endpoint_may_die_in_its_callback_while_due(void **state)
{
	(void)state;
	open_without_buffers();
	create(0, "a", 60);
	create(1, "b", 61);
	create(2, "c", 62);
	assert_int_equal(destroy(1), 0);
	memset(&ept[1], 0xaa, sizeof(ept[1]));
	post(4);
	expect_announced("a", 60, true);
	expect_announced("c", 62, true);
	host_rig_expect_silence(&rig);
	host_rig_close(&rig);
}

static void many_due_announcements_go_out_in_order(void **state)
{
	static struct rig_ept many[100];

	(void)state;
	memset(many, 0, sizeof(many));
	host_rig_init(&rig);
	rig.options.empty = true;
	host_rig_make(&rig);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(rig_ept_create(&rig, &many[i], "same", ANY, 0), 0);
	host_rig_join(&rig);
	assert_int_equal(link_of(&rig)->n_due, 100);
	rig.host.keeps = true;
	for (uint32_t i = 0; i < 100; i++) {
		if (i % 7 == 0)
			post(7);
		expect_announced("same", 1024 + i, true);
	}
	host_rig_close(&rig);
}

/* ---- the peer's ---- */

static void announce(const char *name, uint32_t addr, uint32_t flags)
{
	assert_true(host_announce(&rig.host, name, addr, flags));
	host_run(&rig.host);
}

static void the_peers_channels_are_known(void **state)
{
	(void)state;
	host_rig_open(&rig);
	announce("a", 100, 0);
	announce("b", 101, 0);
	host_rig_expect(&rig, "+a@100 +b@101");
	assert_int_equal(vd_rpmsg_find_channel(link_of(&rig), "b")->addr, 101);
	assert_string_equal(vd_rpmsg_find_channel(link_of(&rig), "a")->name, "a");
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "c"));
	assert_null(vd_rpmsg_find_channel(link_of(&rig), ""));
	announce("a", 100, 1);
	host_rig_expect(&rig, "-a@100");
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "a"));
	/* The same name at two addresses are two channels. */
	announce("b", 102, 0);
	announce("b", 101, 1);
	host_rig_expect(&rig, "+b@102 -b@101");
	assert_int_equal(vd_rpmsg_find_channel(link_of(&rig), "b")->addr, 102);
	host_rig_close(&rig);
}

static void odd_announcements_are_reported_and_change_nothing(void **state)
{
	static const uint32_t odd[] = {2, 3, 0x80000000, UINT32_MAX, 256};

	(void)state;
	host_rig_open(&rig);
	announce("a", 100, 0);
	announce("a", 100, 0);
	announce("a", 101, 1);
	announce("b", 100, 1);
	announce("", 100, 0);
	announce("", 100, 1);
	host_rig_expect(&rig, "+a@100 !RPMSG_NS_EXISTS !RPMSG_NS_UNKNOWN !RPMSG_NS_UNKNOWN "
			      "!RPMSG_NS_NAME !RPMSG_NS_NAME");
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		announce("c", 200, odd[i]);
		host_rig_expect(&rig, "!RPMSG_NS_FLAGS");
	}
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "c"));
	assert_int_equal(vd_rpmsg_find_channel(link_of(&rig), "a")->addr, 100);
	host_rig_close(&rig);
}

static void announcements_have_one_size(void **state)
{
	unsigned char message[64] = "name";

	(void)state;
	host_rig_open(&rig);
	for (uint16_t len = 0; len <= 64; len++) {
		if (len == 40)
			continue;
		host_rig_send(&rig, 1, VD_RPMSG_NS_ADDR, message, len);
		host_rig_expect(&rig, "!RPMSG_NS_SIZE");
	}
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "name"));
	assert_int_equal(host_reclaim(&rig.host) > 0, 1);
	host_rig_close(&rig);
}

static void a_name_without_an_end_is_cut(void **state)
{
	(void)state;
	host_rig_open(&rig);
	announce("0123456789012345678901234567890123456789", 100, 0);
	host_rig_expect(&rig, "+0123456789012345678901234567890@100");
	assert_non_null(vd_rpmsg_find_channel(link_of(&rig), "0123456789012345678901234567890"));
	announce("0123456789012345678901234567890X", 100, 1);
	host_rig_expect(&rig, "-0123456789012345678901234567890@100");
	host_rig_close(&rig);
}

static void the_table_of_channels_has_an_end(void **state)
{
	(void)state;
	host_rig_open(&rig);
	for (uint32_t i = 0; i < 3; i++)
		announce("a", i, 0);
	rig.log[0] = '\0';
	announce("a", 3, 0);
	host_rig_expect(&rig, "!RPMSG_NS_FULL");
	/* One that is known is not a question of room. */
	announce("a", 2, 0);
	host_rig_expect(&rig, "!RPMSG_NS_EXISTS");
	announce("a", 1, 1);
	announce("a", 3, 0);
	host_rig_expect(&rig, "-a@1 +a@3");
	announce("a", 1, 0);
	host_rig_expect(&rig, "!RPMSG_NS_FULL");
	host_rig_close(&rig);
}

static void a_table_may_have_no_places(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.config.link.n_channels = 0;
	host_rig_make(&rig);
	host_rig_join(&rig);
	rig.log[0] = '\0';
	announce("a", 1, 0);
	announce("a", 1, 1);
	host_rig_expect(&rig, "!RPMSG_NS_FULL !RPMSG_NS_UNKNOWN");
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "a"));
	host_restart(&rig.host);
	host_rig_close(&rig);
}

static void channels_go_with_the_link(void **state)
{
	(void)state;
	host_rig_open(&rig);
	announce("a", 100, 0);
	host_restart(&rig.host);
	host_rig_expect(&rig, "+a@100 down up");
	assert_null(vd_rpmsg_find_channel(link_of(&rig), "a"));
	announce("a", 100, 0);
	host_rig_expect(&rig, "+a@100");
	host_rig_close(&rig);
}

static void answer(struct host_rig *self, const char *word)
{
	if (strcmp(word, "+theirs@100") == 0)
		assert_int_equal(rig_ept_create(self, &ept[0], "ours", ANY, 0), 0);
	if (strcmp(word, "-theirs@100") == 0)
		assert_int_equal(vd_rpmsg_destroy_ept(&ept[0].ept), 0);
}

static void a_channel_may_be_answered_from_its_event(void **state)
{
	(void)state;
	host_rig_open(&rig);
	rig.hook = answer;
	announce("theirs", 100, 0);
	expect_announced("ours", 1024, true);
	announce("theirs", 100, 1);
	expect_announced("ours", 1024, false);
	host_rig_close(&rig);
}

/* ---- byte order ---- */

static void a_big_endian_host_understands_and_is_understood(void **state)
{
	(void)state;
	host_rig_init(&rig);
	rig.options.big_endian = true;
	host_rig_make(&rig);
	create(0, "a", 0x12345678);
	host_rig_join(&rig);
	expect_announced("a", 0x12345678, true);
	announce("b", 0x01020304, 0);
	announce("b", 0x01020304, 1);
	host_rig_expect(&rig, "up +b@16909060 -b@16909060");
	assert_int_equal(destroy(0), 0);
	expect_announced("a", 0x12345678, false);
	host_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channels_are_announced_when_they_are_created_and_destroyed),
		cmocka_unit_test(channels_are_announced_again_to_whoever_comes),
		cmocka_unit_test(nothing_is_announced_without_the_feature),
		cmocka_unit_test(announcements_wait_for_buffers),
		cmocka_unit_test(poll_sends_what_is_due),
		cmocka_unit_test(what_the_peer_never_heard_of_is_not_taken_back),
		cmocka_unit_test(an_endpoint_that_can_not_say_so_dies_later),
		cmocka_unit_test(a_dying_endpoint_is_dead_when_the_link_goes),
		cmocka_unit_test(an_endpoint_may_die_in_its_callback_while_due),
		cmocka_unit_test(many_due_announcements_go_out_in_order),
		cmocka_unit_test(the_peers_channels_are_known),
		cmocka_unit_test(odd_announcements_are_reported_and_change_nothing),
		cmocka_unit_test(announcements_have_one_size),
		cmocka_unit_test(a_name_without_an_end_is_cut),
		cmocka_unit_test(the_table_of_channels_has_an_end),
		cmocka_unit_test(a_table_may_have_no_places),
		cmocka_unit_test(channels_go_with_the_link),
		cmocka_unit_test(a_channel_may_be_answered_from_its_event),
		cmocka_unit_test(a_big_endian_host_understands_and_is_understood),
	};

	return cmocka_run_group_tests_name("rpmsg_ns", tests, NULL, NULL);
}
