/* SPDX-License-Identifier: BSD-3-Clause */
/* The device role: the life of its queues. VIRTIO 1.4, 2.6, 2.6.1 and 3.1. */
#include "viaduct/errno.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1   VD_BIT(VD_F_VERSION_1)
#define RING_PACKED VD_BIT(VD_F_RING_PACKED)
#define IN_ORDER    VD_BIT(VD_F_IN_ORDER)

#define NEGOTIATED (VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK)
#define RUNNING    (NEGOTIATED | VD_STATUS_DRIVER_OK)

static struct virtio_rig rig;

static const uint64_t layouts[2] = {VERSION_1, VERSION_1 | RING_PACKED};

static void open_running(uint64_t features)
{
	virtio_rig_open(&rig);
	virtio_rig_start(&rig, features);
}

/* ---- memory ---- */

static void state_of_the_worst_case_is_asked_for(void **state)
{
	struct vd_device_config split = {.split = &vd_split_dev};
	struct vd_device_config both = {.split = &vd_split_dev, .packed = &vd_packed_dev};

	(void)state;
	for (uint32_t size = 1; size <= 256; size *= 2) {
		size_t need = vd_vq_dev_state_size(&vd_split_dev, size, IN_ORDER);

		assert_int_equal(vd_device_queue_state_size(&split, (uint16_t)size), need);
		assert_true(vd_device_queue_state_size(&both, (uint16_t)size) >= need);
		assert_true(vd_device_queue_state_size(&both, (uint16_t)size) >=
			    vd_vq_dev_state_size(&vd_packed_dev, size, IN_ORDER));
	}
	assert_int_equal(vd_device_queue_state_size(&split, 0), 0);
	assert_int_equal(vd_device_queue_state_size(&both, 0), 0);
}

/* ---- enable ---- */

static void enable_refuses_what_can_not_be(void **state)
{
	struct vd_queue_setup setup;
	struct vd_queue_setup bad;

	(void)state;
	open_running(VERSION_1);
	setup = virtio_rig_setup(&rig, 0, 8);
	assert_int_equal(vd_device_queue_enable(&rig.dev, VIRTIO_RIG_QUEUES, &setup), -VD_EINVAL);
	assert_int_equal(vd_device_queue_enable(&rig.dev, UINT16_MAX, &setup), -VD_EINVAL);
	bad = setup;
	bad.size = 2 * VIRTIO_RIG_SIZE_MAX;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	bad.size = 7;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	bad.size = 0;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	bad = setup;
	bad.ring.desc = (char *)bad.ring.desc + 8;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	bad = setup;
	bad.ring.device = NULL;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	bad = setup;
	bad.position.avail = 9;
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &bad), -VD_EINVAL);
	assert_null(vd_device_vq(&rig.dev, 0));
	virtio_rig_expect(&rig, "");
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &setup), 0);
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &setup), -VD_EBUSY);
	assert_int_equal(rig.dev.n_faults, 0);
	virtio_rig_close(&rig);
}

static void a_queue_is_the_familys_only_while_the_device_runs(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_expect(&rig, "");
	assert_null(vd_device_vq(&rig.dev, 0));
	vd_device_set_status(&rig.dev, RUNNING);
	assert_non_null(strstr(rig.log, "start queue_start:0"));
	assert_non_null(vd_device_vq(&rig.dev, 0));
	assert_null(vd_device_vq(&rig.dev, 1));
	assert_null(vd_device_vq(&rig.dev, VIRTIO_RIG_QUEUES));
	rig.log[0] = '\0';
	virtio_rig_enable(&rig, 1, 16);
	virtio_rig_expect(&rig, "queue_start:1");
	assert_non_null(vd_device_vq(&rig.dev, 1));
	assert_int_equal(vd_device_vq(&rig.dev, 1)->size, 16);
	virtio_rig_close(&rig);
}

static void nothing_is_used_before_driver_ok(void **state)
{
	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		virtio_rig_open(&rig);
		virtio_rig_negotiate(&rig, layouts[layout]);
		virtio_rig_enable(&rig, 0, 8);
		virtio_rig_offer(&rig, 0);
		virtio_rig_offer(&rig, 0);
		assert_false(virtio_rig_kick(&rig, 0));
		vd_device_flush(&rig.dev, 0);
		assert_int_equal(virtio_rig_take(&rig, 0), 0);
		virtio_rig_expect(&rig, "");
		vd_device_set_status(&rig.dev, RUNNING);
		(void)virtio_rig_kick(&rig, 0);
		assert_int_equal(virtio_rig_take(&rig, 0), 2);
		assert_non_null(strstr(rig.log, ">queue:0"));
		virtio_rig_close(&rig);
	}
}

/* ---- kicks ---- */

static void a_kick_reaches_the_family(void **state)
{
	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 1, 8);
	rig.log[0] = '\0';
	virtio_rig_offer(&rig, 1);
	assert_false(virtio_rig_kick(&rig, 1));
	virtio_rig_expect(&rig, "notify:1 >queue:1");
	assert_int_equal(virtio_rig_take(&rig, 1), 1);
	/* A spurious one. */
	assert_false(virtio_rig_kick(&rig, 1));
	virtio_rig_expect(&rig, "notify:1");
	/* With NOTIFICATION_DATA the upper half says more; the queue is the same. */
	assert_false(vd_device_kick(&rig.dev, vd_notification(1, 0xabcd)));
	virtio_rig_expect(&rig, "notify:1");
	virtio_rig_close(&rig);
}

static void kicks_for_queues_that_are_not_served_are_ignored(void **state)
{
	(void)state;
	open_running(VERSION_1);
	assert_false(virtio_rig_kick(&rig, 2));
	virtio_rig_expect(&rig, "");
	assert_false(virtio_rig_kick(&rig, VIRTIO_RIG_QUEUES));
	virtio_rig_expect(&rig, "!QUEUE_RANGE");
	virtio_rig_expect_fault(&rig, VD_FAULT_QUEUE_RANGE, VIRTIO_RIG_QUEUES, VIRTIO_RIG_QUEUES);
	assert_int_equal(vd_device_status(&rig.dev), RUNNING);
	vd_device_reset(&rig.dev);
	rig.log[0] = '\0';
	assert_false(virtio_rig_kick(&rig, 0));
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void a_family_that_wants_more_is_heard(void **state)
{
	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	rig.more = true;
	assert_true(virtio_rig_kick(&rig, 0));
	assert_true(virtio_rig_kick(&rig, 0));
	rig.more = false;
	assert_false(virtio_rig_kick(&rig, 0));
	virtio_rig_close(&rig);
}

static void fail_on_notify(struct virtio_rig *self, const char *word)
{
	const struct vd_fault fault = {.code = VD_FAULT_HEAD_RANGE};

	if (strcmp(word, "notify:0") == 0)
		vd_device_fail(&self->dev, &fault);
}

static void reset_on_notify(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "notify:0") == 0)
		vd_device_reset(&self->dev);
}

static void disable_on_notify(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "notify:0") == 0)
		vd_device_queue_disable(&self->dev, 0, NULL);
}

static void detach_on_notify(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "notify:0") == 0)
		vd_device_detach(&self->dev);
}

static void there_is_no_more_once_the_queue_is_gone(void **state)
{
	void (*const hooks[])(struct virtio_rig *, const char *) = {
		fail_on_notify, reset_on_notify, disable_on_notify, detach_on_notify};

	(void)state;
	for (unsigned i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		open_running(VERSION_1);
		virtio_rig_enable(&rig, 0, 8);
		virtio_rig_offer(&rig, 0);
		rig.more = true;
		rig.hook = hooks[i];
		assert_false(virtio_rig_kick(&rig, 0));
		assert_int_equal(virtio_rig_take(&rig, 0), 0);
		assert_null(vd_device_vq(&rig.dev, 0));
		virtio_rig_close(&rig);
	}
}

/* ---- a queue that its driver broke ---- */

static void break_queue(uint16_t index)
{
	if (rig.driver[index].ring.packed)
		peer_driver_offer_slot(&rig.driver[index], rig_in(0xdead0000, 8));
	else
		peer_driver_offer_head(&rig.driver[index], 99);
}

static void a_broken_queue_needs_a_reset(void **state)
{
	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		open_running(layouts[layout]);
		virtio_rig_enable(&rig, 0, 8);
		virtio_rig_enable(&rig, 1, 8);
		rig.log[0] = '\0';
		break_queue(0);
		assert_false(virtio_rig_kick(&rig, 0));
		assert_true(vd_device_status(&rig.dev) & VD_STATUS_NEEDS_RESET);
		assert_non_null(strstr(rig.log, ">config"));
		assert_int_equal(rig.dev.n_faults, 1);
		assert_string_equal(vd_fault_name(rig.dev.fault.code),
				    layout == 0 ? "HEAD_RANGE" : "ADDRESS");
		/* All queues stop, not only that one. */
		assert_null(vd_device_vq(&rig.dev, 1));
		rig.log[0] = '\0';
		vd_device_reset(&rig.dev);
		virtio_rig_expect(&rig, "queue_stop:0 queue_stop:1 stop");
		virtio_rig_start(&rig, layouts[layout]);
		virtio_rig_enable(&rig, 0, 8);
		virtio_rig_offer(&rig, 0);
		(void)virtio_rig_kick(&rig, 0);
		assert_int_equal(virtio_rig_take(&rig, 0), 1);
		virtio_rig_close(&rig);
	}
}

/* A family may not flush, or find it out on its own. */
static void a_broken_queue_is_noticed_even_if_the_family_is_quiet(void **state)
{
	struct vd_iov iov;
	struct vd_chain chain = {.iov = &iov, .iov_max = 1};

	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	break_queue(0);
	rig.lazy = true;
	assert_int_equal(vd_vq_dev_pop(vd_device_vq(&rig.dev, 0), &chain), -VD_EPROTO);
	rig.log[0] = '\0';
	assert_false(virtio_rig_kick(&rig, 0));
	assert_true(vd_device_status(&rig.dev) & VD_STATUS_NEEDS_RESET);
	virtio_rig_close(&rig);
}

static void a_flush_of_a_queue_that_is_not_served_does_nothing(void **state)
{
	(void)state;
	open_running(VERSION_1);
	vd_device_flush(&rig.dev, 0);
	vd_device_flush(&rig.dev, VIRTIO_RIG_QUEUES);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

/* ---- disable and enable again ---- */

static void a_queue_that_is_disabled_is_left_alone(void **state)
{
	struct vd_ring_position position;

	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		open_running(layouts[layout]);
		virtio_rig_enable(&rig, 0, 8);
		for (unsigned i = 0; i < 3; i++)
			virtio_rig_offer(&rig, 0);
		(void)virtio_rig_kick(&rig, 0);
		assert_int_equal(virtio_rig_take(&rig, 0), 3);
		rig.log[0] = '\0';
		vd_device_queue_disable(&rig.dev, 0, &position);
		virtio_rig_expect(&rig, "queue_stop:0");
		assert_int_equal(position.avail & 0x7fff, 3);
		assert_int_equal(position.used & 0x7fff, 3);
		virtio_rig_offer(&rig, 0);
		assert_false(virtio_rig_kick(&rig, 0));
		vd_device_flush(&rig.dev, 0);
		assert_int_equal(virtio_rig_take(&rig, 0), 0);
		virtio_rig_expect(&rig, "");
		virtio_rig_close(&rig);
	}
}

static void disable_is_for_queues_that_are_enabled(void **state)
{
	struct vd_ring_position position = {7, 7};

	(void)state;
	open_running(VERSION_1);
	vd_device_queue_disable(&rig.dev, 1, &position);
	vd_device_queue_disable(&rig.dev, VIRTIO_RIG_QUEUES, &position);
	vd_device_queue_disable(&rig.dev, UINT16_MAX, &position);
	assert_int_equal(position.avail, 7);
	virtio_rig_expect(&rig, "");
	virtio_rig_close(&rig);
}

static void a_queue_is_enabled_again_from_its_defaults_with_another_size(void **state)
{
	static const uint16_t sizes[] = {8, 16, 2, 1, 4};

	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		open_running(layouts[layout] | VD_BIT(VD_F_RING_RESET));
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			virtio_rig_enable(&rig, 0, sizes[i]);
			assert_int_equal(vd_device_vq(&rig.dev, 0)->size, sizes[i]);
			for (unsigned n = 0; n < sizes[i]; n++)
				virtio_rig_offer(&rig, 0);
			(void)virtio_rig_kick(&rig, 0);
			assert_int_equal(virtio_rig_take(&rig, 0), sizes[i]);
			vd_device_queue_disable(&rig.dev, 0, NULL);
		}
		assert_int_equal(rig.dev.n_faults, 0);
		virtio_rig_close(&rig);
	}
}

static void a_queue_goes_on_where_it_stopped(void **state)
{
	struct vd_ring_position position;
	struct vd_queue_setup setup;

	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		open_running(layouts[layout]);
		setup = virtio_rig_setup(&rig, 0, 4);
		for (unsigned lap = 0; lap < 20; lap++) {
			assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &setup), 0);
			virtio_rig_offer(&rig, 0);
			virtio_rig_offer(&rig, 0);
			virtio_rig_offer(&rig, 0);
			(void)virtio_rig_kick(&rig, 0);
			assert_int_equal(virtio_rig_take(&rig, 0), 3);
			vd_device_queue_disable(&rig.dev, 0, &position);
			setup.position = position;
		}
		assert_int_equal(rig.dev.n_faults, 0);
		virtio_rig_close(&rig);
	}
}

/* The family gives back what it holds when its queue is stopped: the driver is told. */
static void push_all(struct virtio_rig *self, uint16_t index)
{
	struct vd_vq_dev *vq = vd_device_vq(&self->dev, index);
	struct vd_iov iov[8];
	struct vd_chain chain = {.iov = iov, .iov_max = 8};

	while (vq != NULL && vd_vq_dev_pop(vq, &chain) == 1)
		assert_int_equal(vd_vq_dev_push(vq, &chain, 0), 0);
}

static void push_on_stop(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "queue_stop:0") == 0)
		push_all(self, 0);
}

static void push_other_on_stop(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "queue_stop:0") == 0)
		push_all(self, 1);
}

static void what_is_given_back_at_the_last_moment_is_published(void **state)
{
	struct vd_ring_position position;

	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_offer(&rig, 0);
	virtio_rig_offer(&rig, 0);
	rig.hook = push_on_stop;
	rig.log[0] = '\0';
	vd_device_queue_disable(&rig.dev, 0, &position);
	virtio_rig_expect(&rig, "queue_stop:0 >queue:0");
	assert_int_equal(virtio_rig_take(&rig, 0), 2);
	assert_int_equal(position.avail, 2);
	assert_int_equal(position.used, 2);
	virtio_rig_close(&rig);
}

static void what_is_given_back_in_other_queues_then_is_published_too(void **state)
{
	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	rig.hook = push_other_on_stop;
	rig.log[0] = '\0';
	vd_device_queue_disable(&rig.dev, 0, NULL);
	virtio_rig_expect(&rig, "queue_stop:0 >queue:1");
	assert_int_equal(virtio_rig_take(&rig, 1), 1);
	virtio_rig_close(&rig);
}

static void a_family_needs_not_care_about_queues_coming_and_going(void **state)
{
	(void)state;
	virtio_rig_init(&rig);
	rig.ops.start = NULL;
	rig.ops.queue_start = NULL;
	rig.ops.queue_stop = NULL;
	rig.ops.fault = NULL;
	rig.ops.accept = NULL;
	rig.ops.config_written = NULL;
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	virtio_rig_start(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_offer(&rig, 0);
	(void)virtio_rig_kick(&rig, 0);
	assert_int_equal(virtio_rig_take(&rig, 0), 1);
	vd_device_queue_disable(&rig.dev, 0, NULL);
	virtio_rig_enable(&rig, 0, 8);
	assert_int_equal(vd_device_config_write(&rig.dev, 2, "ab", 2), 0);
	assert_int_equal(vd_device_config_write(&rig.dev, 0, "a", 1), -VD_EACCES);
	vd_device_reset(&rig.dev);
	virtio_rig_close(&rig);
}

static void reset_on_stop(struct virtio_rig *self, const char *word)
{
	if (strncmp(word, "queue_stop", 10) == 0)
		vd_device_reset(&self->dev);
}

/* A family that loses its link may end the connection there and then. */
static void a_queue_that_is_stopping_can_be_reset(void **state)
{
	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 1, 8);
	rig.log[0] = '\0';
	rig.hook = reset_on_stop;
	vd_device_queue_disable(&rig.dev, 0, NULL);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:1 stop");
	assert_int_equal(vd_device_status(&rig.dev), 0);
	rig.hook = NULL;
	virtio_rig_start(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 1, 8);
	rig.log[0] = '\0';
	rig.hook = reset_on_stop;
	vd_device_reset(&rig.dev);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:1 stop");
	virtio_rig_close(&rig);
}

/* A driver may notify before it is ready, or make buffers available without notifying at all, as it
 * has seen no used index yet. */
static void kick_on_stop(struct virtio_rig *self, const char *word)
{
	if (strcmp(word, "queue_stop:0") == 0)
		assert_false(vd_device_kick(&self->dev, vd_notification(0, 0)));
}

static void a_queue_that_is_stopping_is_not_kicked(void **state)
{
	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	rig.hook = kick_on_stop;
	rig.log[0] = '\0';
	vd_device_queue_disable(&rig.dev, 0, NULL);
	virtio_rig_expect(&rig, "queue_stop:0");
	rig.hook = NULL;
	virtio_rig_close(&rig);
}

static void a_layout_that_is_not_linked_is_refused_even_if_accepted(void **state)
{
	struct vd_queue_setup setup;

	(void)state;
	virtio_rig_init(&rig);
	rig.config.packed = NULL;
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	setup = virtio_rig_setup(&rig, 0, 8);
	vd_device_set_status(&rig.dev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1 | VD_BIT(VD_F_RING_PACKED)), 0);
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &setup), -VD_EINVAL);
	virtio_rig_close(&rig);
}

static void features_are_frozen_while_a_queue_is_set_up(void **state)
{
	struct vd_queue_setup setup;

	(void)state;
	virtio_rig_init(&rig);
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	setup = virtio_rig_setup(&rig, 0, 8);
	vd_device_set_status(&rig.dev, VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER);
	assert_int_equal(vd_device_queue_enable(&rig.dev, 0, &setup), 0);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), -VD_EBUSY);
	virtio_rig_expect_fault(&rig, VD_FAULT_FEATURES_FROZEN, VERSION_1, 0);
	vd_device_queue_disable(&rig.dev, 0, NULL);
	assert_int_equal(vd_device_set_features(&rig.dev, VERSION_1), 0);
	virtio_rig_close(&rig);
}

static void what_is_there_already_is_served_when_the_device_starts(void **state)
{
	(void)state;
	for (unsigned layout = 0; layout < 2; layout++) {
		virtio_rig_open(&rig);
		virtio_rig_negotiate(&rig, layouts[layout]);
		virtio_rig_enable(&rig, 0, 8);
		virtio_rig_enable(&rig, 1, 8);
		virtio_rig_offer(&rig, 0);
		virtio_rig_offer(&rig, 0);
		assert_false(virtio_rig_kick(&rig, 0));
		rig.log[0] = '\0';
		vd_device_set_status(&rig.dev, RUNNING);
		virtio_rig_expect(&rig, "start queue_start:0 queue_start:1 notify:0 >queue:0");
		assert_int_equal(virtio_rig_take(&rig, 0), 2);
		virtio_rig_close(&rig);
	}
}

static void what_is_there_already_is_served_when_a_queue_is_enabled(void **state)
{
	struct vd_queue_setup setup;

	(void)state;
	open_running(VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	setup = virtio_rig_setup(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	rig.log[0] = '\0';
	assert_int_equal(vd_device_queue_enable(&rig.dev, 1, &setup), 0);
	virtio_rig_expect(&rig, "queue_start:1 notify:1 >queue:1");
	assert_int_equal(virtio_rig_take(&rig, 1), 1);
	/* A family may need two queues to go on with either. */
	virtio_rig_offer(&rig, 1);
	virtio_rig_enable(&rig, 2, 8);
	virtio_rig_expect(&rig, "queue_start:2 notify:1 >queue:1");
	virtio_rig_close(&rig);
}

static void kick_later(struct vd_device *dev, uint16_t index)
{
	struct virtio_rig *self = dev->transport_data;
	size_t used = strlen(self->log);

	snprintf(self->log + used, sizeof(self->log) - used, " >later:%u", index);
}

static void a_transport_may_take_its_time_with_that(void **state)
{
	(void)state;
	virtio_rig_init(&rig);
	rig.transport.kick_later = kick_later;
	virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	virtio_rig_enable(&rig, 1, 8);
	virtio_rig_offer(&rig, 1);
	vd_device_set_status(&rig.dev, RUNNING);
	virtio_rig_expect(&rig, "start queue_start:0 queue_start:1 >later:1");
	assert_int_equal(virtio_rig_take(&rig, 1), 0);
	virtio_rig_close(&rig);
}

static void a_queue_that_is_broken_from_the_start_needs_a_reset(void **state)
{
	(void)state;
	virtio_rig_open(&rig);
	virtio_rig_negotiate(&rig, VERSION_1);
	virtio_rig_enable(&rig, 0, 8);
	peer_driver_set_index(&rig.driver[0], 100);
	vd_device_set_status(&rig.dev, RUNNING);
	assert_int_equal(vd_device_status(&rig.dev), RUNNING | VD_STATUS_NEEDS_RESET);
	virtio_rig_close(&rig);
}

/* A split queue then has the next lower power of two. */
static void a_queue_may_have_any_size_max(void **state)
{
	(void)state;
	for (uint16_t most = 1; most <= 130; most++) {
		uint16_t power = 1;

		while (power * 2 <= most)
			power = (uint16_t)(power * 2);
		for (unsigned layout = 0; layout < 2; layout++) {
			virtio_rig_init(&rig);
			rig.queues[1].size_max = most;
			virtio_rig_attach(&rig, VD_F_TRANSPORT_MASK);
			virtio_rig_start(&rig, layouts[layout] | IN_ORDER);
			virtio_rig_enable(&rig, 1, layout == 0 ? power : most);
			virtio_rig_offer(&rig, 1);
			(void)virtio_rig_kick(&rig, 1);
			assert_int_equal(virtio_rig_take(&rig, 1), 1);
			virtio_rig_close(&rig);
		}
	}
}

static void no_queue_is_larger_than_a_ring_can_be(void **state)
{
	struct vd_device_config both = {.split = &vd_split_dev, .packed = &vd_packed_dev};

	(void)state;
	assert_int_not_equal(vd_device_queue_state_size(&both, 32768), 0);
	assert_int_equal(vd_device_queue_state_size(&both, 32769), 0);
	assert_int_equal(vd_device_queue_state_size(&both, UINT16_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_of_the_worst_case_is_asked_for),
		cmocka_unit_test(enable_refuses_what_can_not_be),
		cmocka_unit_test(a_queue_is_the_familys_only_while_the_device_runs),
		cmocka_unit_test(nothing_is_used_before_driver_ok),
		cmocka_unit_test(a_kick_reaches_the_family),
		cmocka_unit_test(kicks_for_queues_that_are_not_served_are_ignored),
		cmocka_unit_test(a_family_that_wants_more_is_heard),
		cmocka_unit_test(there_is_no_more_once_the_queue_is_gone),
		cmocka_unit_test(a_broken_queue_needs_a_reset),
		cmocka_unit_test(a_broken_queue_is_noticed_even_if_the_family_is_quiet),
		cmocka_unit_test(a_flush_of_a_queue_that_is_not_served_does_nothing),
		cmocka_unit_test(a_queue_that_is_disabled_is_left_alone),
		cmocka_unit_test(disable_is_for_queues_that_are_enabled),
		cmocka_unit_test(a_queue_is_enabled_again_from_its_defaults_with_another_size),
		cmocka_unit_test(a_queue_goes_on_where_it_stopped),
		cmocka_unit_test(what_is_given_back_at_the_last_moment_is_published),
		cmocka_unit_test(what_is_given_back_in_other_queues_then_is_published_too),
		cmocka_unit_test(a_family_needs_not_care_about_queues_coming_and_going),
		cmocka_unit_test(a_queue_that_is_stopping_can_be_reset),
		cmocka_unit_test(a_queue_that_is_stopping_is_not_kicked),
		cmocka_unit_test(a_layout_that_is_not_linked_is_refused_even_if_accepted),
		cmocka_unit_test(features_are_frozen_while_a_queue_is_set_up),
		cmocka_unit_test(what_is_there_already_is_served_when_the_device_starts),
		cmocka_unit_test(what_is_there_already_is_served_when_a_queue_is_enabled),
		cmocka_unit_test(a_transport_may_take_its_time_with_that),
		cmocka_unit_test(a_queue_that_is_broken_from_the_start_needs_a_reset),
		cmocka_unit_test(a_queue_may_have_any_size_max),
		cmocka_unit_test(no_queue_is_larger_than_a_ring_can_be),
	};

	return cmocka_run_group_tests_name("device_queue", tests, NULL, NULL);
}
