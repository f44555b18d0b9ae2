/* SPDX-License-Identifier: BSD-3-Clause */
/* rpmsg endpoints: creation, addresses, look-up, destruction at the worst of moments. */
#include "host_rig.h"
#include "viaduct/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ANY VD_RPMSG_ADDR_ANY

static struct host_rig rig;
static struct rig_ept ept[8];

static int create(unsigned n, const char *name, uint32_t addr)
{
	return rig_ept_create(&rig, &ept[n], name, addr, 0);
}

static int destroy(unsigned n)
{
	return vd_rpmsg_destroy_ept(&ept[n].ept);
}

/* ---- creation ---- */

static enum vd_rpmsg_verdict nothing(struct vd_rpmsg_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)self;
	(void)msg;
	return VD_RPMSG_RELEASE;
}

static void create_refuses_what_can_not_be(void **state)
{
	static const char longest[] = "a name of thirty-one characters";
	static const char too_long[] = "a name of thirty-two characters.";
	struct vd_rpmsg_ept one = {0};

	(void)state;
	assert_int_equal(strlen(longest), 31);
	host_rig_open(&rig);
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &one, NULL, 7, ANY, NULL, 0),
			 -VD_EINVAL);
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &one, "", 7, ANY, nothing, 0),
			 -VD_EINVAL);
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &one, too_long, 7, ANY, nothing, 0),
			 -VD_EINVAL);
	assert_null(one.link);
	assert_int_equal(link_of(&rig)->n_epts, 1); /* the name service's */
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &one, longest, 7, 9, nothing, 0), 0);
	assert_ptr_equal(one.link, link_of(&rig));
	assert_int_equal(one.addr, 7);
	assert_int_equal(one.dst, 9);
	host_rig_expect_announced(&rig, longest, 7, true);
	/* It exists. */
	assert_int_equal(vd_rpmsg_create_ept(link_of(&rig), &one, NULL, 8, ANY, nothing, 0),
			 -VD_EINVAL);
	host_rig_close(&rig);
}

static void an_address_has_one_listener(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(create(0, NULL, 100), 0);
	assert_int_equal(create(1, NULL, 100), -VD_EADDRINUSE);
	assert_null(ept[1].ept.link);
	assert_int_equal(create(1, NULL, VD_RPMSG_NS_ADDR), -VD_EADDRINUSE);
	assert_int_equal(destroy(0), 0);
	assert_null(ept[0].ept.link);
	assert_int_equal(destroy(0), 0);
	assert_int_equal(create(1, NULL, 100), 0);
	/* Every address but one can be chosen. */
	assert_int_equal(create(0, NULL, 0), 0);
	assert_int_equal(create(2, NULL, ANY - 1), 0);
	assert_int_equal(create(3, NULL, 2000), 0);
	assert_int_equal(create(4, NULL, ANY), 0);
	assert_int_equal(ept[4].ept.addr, VD_RPMSG_FIRST_DYNAMIC);
	host_rig_close(&rig);
}

static void dynamic_addresses_are_not_given_again_soon(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(create(0, NULL, 1026), 0);
	for (uint32_t i = 0; i < 5; i++) {
		static const uint32_t want[] = {1024, 1025, 1027, 1028, 1029};

		assert_int_equal(create(1, NULL, ANY), 0);
		assert_int_equal(ept[1].ept.addr, want[i]);
		assert_int_equal(destroy(1), 0);
	}
	host_rig_close(&rig);
}

static void dynamic_addresses_begin_anew_at_the_end(void **state)
{
	(void)state;
	host_rig_open(&rig);
	link_of(&rig)->next_addr = ANY - 2;
	assert_int_equal(create(0, NULL, 1024), 0);
	assert_int_equal(create(1, NULL, ANY - 1), 0);
	assert_int_equal(create(2, NULL, ANY), 0);
	assert_int_equal(ept[2].ept.addr, ANY - 2);
	assert_int_equal(create(3, NULL, ANY), 0);
	assert_int_equal(ept[3].ept.addr, 1025);
	host_rig_close(&rig);
}

static void endpoints_can_be_there_before_the_link(void **state)
{
	(void)state;
	host_rig_init(&rig);
	host_rig_make(&rig);
	assert_int_equal(create(0, NULL, 60), 0);
	assert_int_equal(create(1, "late", ANY), 0);
	assert_int_equal(destroy(0), 0);
	assert_int_equal(create(0, NULL, 61), 0);
	host_rig_join(&rig);
	host_rig_expect(&rig, "up");
	host_rig_expect_announced(&rig, "late", 1024, true);
	host_rig_send(&rig, 9, 61, "x", 1);
	host_rig_expect(&rig, "msg:61");
	host_rig_close(&rig);
}

/* ---- look-up ---- */

static uint32_t longest_chain(void)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < link_of(&rig)->n_buckets; i++) {
		uint32_t n = 0;

		for (const struct vd_rpmsg_ept *at = link_of(&rig)->buckets[i]; at != NULL;
		     at = at->next)
			n++;
		most = n > most ? n : most;
	}
	return most;
}

#define MANY 10000

static unsigned hits;

static enum vd_rpmsg_verdict count(struct vd_rpmsg_ept *self, const struct vd_rpmsg_msg *msg)
{
	uint32_t addr;

	memcpy(&addr, msg->data, sizeof(addr));
	assert_int_equal(addr, self->addr);
	hits++;
	return VD_RPMSG_RELEASE;
}

static void ten_thousand_endpoints_are_found_as_fast_as_one(void **state)
{
	struct vd_rpmsg_ept *many = calloc(MANY, sizeof(*many));

	(void)state;
	host_rig_init(&rig);
	rig.config.link.n_endpoints = MANY;
	host_rig_make(&rig);
	host_rig_join(&rig);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(
			vd_rpmsg_create_ept(link_of(&rig), &many[i], NULL, ANY, ANY, count, 0), 0);
	/* The name service's is the one that shares a place with another. */
	assert_int_equal(link_of(&rig)->n_epts, MANY + 1);
	assert_true(longest_chain() <= 2);
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(vd_rpmsg_find_ept(link_of(&rig), 1024 + i), &many[i]);
	assert_null(vd_rpmsg_find_ept(link_of(&rig), 1024 + MANY));
	assert_null(vd_rpmsg_find_ept(link_of(&rig), ANY));
	hits = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t addr = 1024 + (i * 7919u) % MANY;

		assert_true(host_send(&rig.host, 1, addr, &addr, sizeof(addr)));
		if (i % 8 == 7)
			host_run(&rig.host);
	}
	host_run(&rig.host);
	assert_int_equal(hits, MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(vd_rpmsg_destroy_ept(&many[(i * 7919u) % MANY]), 0);
	assert_int_equal(link_of(&rig)->n_epts, 1);
	host_rig_close(&rig);
	free(many);
}

/* More than were said to come are fine. */
static void look_up_does_not_depend_on_the_estimate(void **state)
{
	static struct vd_rpmsg_ept many[100];

	(void)state;
	host_rig_init(&rig);
	rig.config.link.n_endpoints = 0;
	host_rig_make(&rig);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(
			vd_rpmsg_create_ept(link_of(&rig), &many[i], NULL, ANY, ANY, count, 0), 0);
	for (unsigned i = 0; i < 100; i += 2)
		assert_int_equal(vd_rpmsg_destroy_ept(&many[i]), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(vd_rpmsg_find_ept(link_of(&rig), 1024 + i),
				 i % 2 == 0 ? NULL : &many[i]);
	pages_give(&rig.memory);
	memset(many, 0, sizeof(many));
}

/* ---- destruction ---- */

static void destroy_self(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	assert_int_equal(vd_rpmsg_destroy_ept(&self->ept), 0);
	assert_null(self->ept.link);
	/* The memory is free from here on. */
	memset(&self->ept, 0xaa, sizeof(self->ept));
}

static void an_endpoint_may_destroy_itself_in_its_callback(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(create(0, NULL, 60), 0);
	ept[0].on_message = destroy_self;
	assert_true(host_add(&rig.host, 9, 60, "a", 1));
	assert_true(host_add(&rig.host, 9, 60, "b", 1));
	host_rig_send(&rig, 9, 60, "c", 1);
	host_rig_expect(&rig, "msg:60 !RPMSG_NO_ENDPOINT !RPMSG_NO_ENDPOINT");
	assert_int_equal(ept[0].n, 1);
	assert_int_equal(link_of(&rig)->stats.rx_messages, 1);
	assert_int_equal(link_of(&rig)->stats.rx_dropped, 2);
	assert_int_equal(host_reclaim(&rig.host), 3);
	host_rig_close(&rig);
}

static void destroy_self_and_hold(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	assert_int_equal(vd_rpmsg_destroy_ept(&self->ept), 0);
}

static void a_message_outlives_the_endpoint_that_holds_it(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(rig_ept_create(&rig, &ept[0], NULL, 60, VD_RPMSG_IN_PLACE), 0);
	ept[0].on_message = destroy_self_and_hold;
	ept[0].verdict = VD_RPMSG_HOLD;
	host_rig_send(&rig, 9, 60, "held", 4);
	assert_int_equal(rig.n_held, 1);
	assert_memory_equal(rig.held[0].data, "held", 4);
	assert_int_equal(host_reclaim(&rig.host), 0);
	assert_int_equal(vd_rpmsg_release(&rig.held[0]), 0);
	assert_int_equal(host_reclaim(&rig.host), 1);
	host_rig_close(&rig);
}

static void destroy_next(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	(void)msg;
	self->on_message = NULL;
	assert_int_equal(destroy(1), 0);
	memset(&ept[1].ept, 0xaa, sizeof(ept[1].ept));
}

static void an_endpoint_may_be_destroyed_in_the_callback_of_another(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(create(0, NULL, 60), 0);
	assert_int_equal(create(1, NULL, 61), 0);
	ept[0].on_message = destroy_next;
	assert_true(host_add(&rig.host, 9, 60, "a", 1));
	assert_true(host_add(&rig.host, 9, 61, "b", 1));
	host_rig_send(&rig, 9, 60, "", 0);
	host_rig_expect(&rig, "msg:60 !RPMSG_NO_ENDPOINT msg:60");
	memset(&ept[1].ept, 0, sizeof(ept[1].ept));
	host_rig_close(&rig);
}

static void create_next(struct rig_ept *self, const struct vd_rpmsg_msg *msg)
{
	uint32_t addr = self->ept.addr;

	(void)msg;
	assert_int_equal(vd_rpmsg_destroy_ept(&self->ept), 0);
	assert_int_equal(create(addr == 60 ? 1 : 0, NULL, addr), 0);
}

static void an_address_may_change_hands_in_a_callback(void **state)
{
	(void)state;
	host_rig_open(&rig);
	assert_int_equal(create(0, NULL, 60), 0);
	ept[0].on_message = create_next;
	assert_true(host_add(&rig.host, 9, 60, "a", 1));
	host_rig_send(&rig, 9, 60, "b", 1);
	host_rig_expect(&rig, "msg:60 msg:60");
	assert_int_equal(ept[1].n, 1);
	assert_int_equal(ept[1].data[0], 'b');
	host_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses_what_can_not_be),
		cmocka_unit_test(an_address_has_one_listener),
		cmocka_unit_test(dynamic_addresses_are_not_given_again_soon),
		cmocka_unit_test(dynamic_addresses_begin_anew_at_the_end),
		cmocka_unit_test(endpoints_can_be_there_before_the_link),
		cmocka_unit_test(ten_thousand_endpoints_are_found_as_fast_as_one),
		cmocka_unit_test(look_up_does_not_depend_on_the_estimate),
		cmocka_unit_test(an_endpoint_may_destroy_itself_in_its_callback),
		cmocka_unit_test(a_message_outlives_the_endpoint_that_holds_it),
		cmocka_unit_test(an_endpoint_may_be_destroyed_in_the_callback_of_another),
		cmocka_unit_test(an_address_may_change_hands_in_a_callback),
	};

	return cmocka_run_group_tests_name("rpmsg_endpoint", tests, NULL, NULL);
}
