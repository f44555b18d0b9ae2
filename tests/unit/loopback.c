/* SPDX-License-Identifier: BSD-3-Clause */
/* The loopback transport: both roles joined, notifications on their way, a device that dies. */
#include "viaduct/loopback.h"
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1 VD_BIT(VD_F_VERSION_1)
#define READY                                                                                      \
	(VD_STATUS_ACKNOWLEDGE | VD_STATUS_DRIVER | VD_STATUS_FEATURES_OK | VD_STATUS_DRIVER_OK)

/* ---- both sides ---- */

static struct virtio_rig rig;
static struct vd_loopback loop;
static struct vd_bus bus;
static struct fake_alloc shared;
static struct fake_alloc local;
static struct vd_window window;
static struct vd_mem mem;
static struct vd_vdev_vq queues[VIRTIO_RIG_QUEUES];
static unsigned char buffers[64][16];
static unsigned n_config;
static unsigned n_used[VIRTIO_RIG_QUEUES];
static uint64_t seen_port; /* by validate() */

static void on_used(struct vd_vdev_vq *queue)
{
	struct vd_used used;

	while (vd_vq_drv_get(&queue->vq, &used) == 1)
		n_used[queue->index]++;
	(void)vd_vq_drv_enable_cb(&queue->vq);
}

static int validate(struct vd_vdev *vdev)
{
	return vd_vdev_config_get(vdev, &virtio_rig_type.fields[VIRTIO_RIG_PORT], 0, &seen_port);
}

static int probe(struct vd_vdev *vdev)
{
	static const struct vd_vq_request requests[VIRTIO_RIG_QUEUES] = {
		{.name = "a", .callback = on_used},
		{.name = "b", .callback = on_used},
		{.name = "c", .callback = on_used},
	};

	return vd_vdev_find_vqs(vdev, VIRTIO_RIG_QUEUES, requests, queues);
}

static void remove_driver(struct vd_vdev *vdev)
{
	(void)vd_vdev_reset(vdev);
	vd_vdev_del_vqs(vdev);
}

static void config_changed(struct vd_vdev *vdev)
{
	(void)vdev;
	n_config++;
}

static const struct vd_device_id ids[] = {{42, VD_ID_ANY}, {0, 0}};
static const uint8_t known[] = {VIRTIO_RIG_F_A, VIRTIO_RIG_F_B, VIRTIO_RIG_F_OPT, VIRTIO_RIG_F_C};

static struct vd_driver driver = {
	.name = "driver",
	.ids = ids,
	.features = known,
	.n_features = sizeof(known),
	.validate = validate,
	.probe = probe,
	.remove = remove_driver,
	.config_changed = config_changed,
};

static struct vd_loopback_config loop_config(void)
{
	return (struct vd_loopback_config){
		.dev = &rig.dev,
		.mem = &mem,
		.shared = &shared.alloc,
		.local = &local.alloc,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
		.features = VD_LOOPBACK_FEATURES,
	};
}

static void join(const struct vd_loopback_config *config)
{
	window = (struct vd_window){
		.peer = 0x1000,
		.size = UINT64_C(1) << 47,
		.local = (void *)0x1000,
		.rights = VD_MEM_RW,
	};
	mem = (struct vd_mem){.window = &window, .count = 1, .capacity = 1, .limit = UINT64_MAX};
	fake_alloc_init(&shared);
	fake_alloc_init(&local);
	memset(n_used, 0, sizeof(n_used));
	n_config = 0;
	vd_bus_init(&bus);
	assert_int_equal(vd_loopback_init(&loop, config), 0);
	assert_int_equal(vd_bus_add_driver(&bus, &driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &loop.vdev), 0);
	rig.log[0] = '\0';
}

static void open_pair(uint64_t features)
{
	struct vd_loopback_config config = loop_config();

	virtio_rig_init(&rig);
	rig.config.features = features;
	virtio_rig_make(&rig);
	join(&config);
	assert_non_null(loop.vdev.driver);
}

static void close_pair(void)
{
	vd_bus_remove_device(&bus, &loop.vdev);
	assert_int_equal(shared.live, 0);
	assert_int_equal(local.live, 0);
	virtio_rig_close(&rig);
}

static void give(unsigned queue, unsigned n)
{
	struct vd_iov segment = {buffers[n], sizeof(buffers[n])};

	assert_int_equal(vd_vq_drv_add(&queues[queue].vq, &segment, 0, 1, buffers[n]), 0);
}

/* ---- together ---- */

static void both_ends_meet(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		open_pair((VIRTIO_RIG_FEATURES & ~(n & 1 ? VD_BIT(VD_F_RING_PACKED) : 0)) &
			  ~(n & 2 ? VD_BIT(VD_F_EVENT_IDX) : 0));
		assert_int_equal(vd_device_status(&rig.dev), READY);
		assert_int_equal(rig.dev.features, loop.vdev.features);
		assert_true(vd_vdev_has(&loop.vdev, VD_F_RING_PACKED) == !(n & 1));
		for (unsigned lap = 0; lap < 40; lap++) {
			for (unsigned queue = 0; queue < VIRTIO_RIG_QUEUES; queue++) {
				give(queue, lap);
				vd_vdev_kick(&queues[queue]);
			}
			while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
				;
			for (unsigned queue = 0; queue < VIRTIO_RIG_QUEUES; queue++)
				assert_int_equal(n_used[queue], lap + 1);
		}
		assert_int_equal(rig.dev.n_faults, 0);
		close_pair();
	}
}

static void notifications_wait_until_they_are_fetched(void **state)
{
	(void)state;
	open_pair(VERSION_1);
	give(0, 0);
	give(2, 1);
	vd_vdev_kick(&queues[0]);
	vd_vdev_kick(&queues[2]);
	assert_int_equal(loop.n_to_device, 2);
	virtio_rig_expect(&rig, "");
	assert_true(vd_loopback_poll_device(&loop));
	virtio_rig_expect(&rig, "notify:0 notify:2");
	assert_false(vd_loopback_poll_device(&loop));
	assert_int_equal(loop.n_to_driver, 2);
	assert_int_equal(n_used[0] + n_used[2], 0);
	assert_true(vd_loopback_poll_driver(&loop));
	assert_int_equal(n_used[0], 1);
	assert_int_equal(n_used[2], 1);
	assert_false(vd_loopback_poll_driver(&loop));
	close_pair();
}

static void notifications_for_one_queue_merge(void **state)
{
	(void)state;
	open_pair(VERSION_1);
	give(1, 0);
	vd_vdev_kick(&queues[1]);
	give(1, 1);
	vd_vdev_kick(&queues[1]);
	assert_int_equal(loop.n_to_device, 2);
	assert_true(vd_loopback_poll_device(&loop));
	virtio_rig_expect(&rig, "notify:1");
	close_pair();
}

static void a_family_that_wants_more_is_called_again(void **state)
{
	(void)state;
	open_pair(VERSION_1);
	give(1, 0);
	vd_vdev_kick(&queues[1]);
	rig.more = true;
	assert_true(vd_loopback_poll_device(&loop));
	assert_true(vd_loopback_poll_device(&loop));
	rig.more = false;
	assert_true(vd_loopback_poll_device(&loop));
	assert_false(vd_loopback_poll_device(&loop));
	virtio_rig_expect(&rig, "notify:1 notify:1 notify:1");
	close_pair();
}

static void changes_of_configuration_get_through(void **state)
{
	uint64_t value;

	(void)state;
	open_pair(VERSION_1);
	assert_int_equal(vd_device_config_update(&rig.dev, 2, "\x34\x12", 2), 0);
	assert_int_equal(n_config, 0);
	assert_true(vd_loopback_poll_driver(&loop));
	assert_int_equal(n_config, 1);
	assert_int_equal(
		vd_vdev_config_get(&loop.vdev, &virtio_rig_type.fields[VIRTIO_RIG_PORT], 0, &value),
		0);
	assert_int_equal(value, 0x1234);
	assert_int_equal(vd_vdev_config_set(&loop.vdev, &virtio_rig_type.fields[VIRTIO_RIG_WIDE], 0,
					    UINT64_C(0x1122334455667788)),
			 0);
	virtio_rig_expect(&rig, "written:16+4 written:20+4");
	assert_memory_equal(rig.space + 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	close_pair();
}

static unsigned device_rings;
static unsigned driver_rings;

static void ring_device(struct vd_loopback *self)
{
	assert_ptr_equal(self, &loop);
	device_rings++;
}

static void ring_driver(struct vd_loopback *self)
{
	assert_ptr_equal(self, &loop);
	driver_rings++;
}

static void doorbells_ring(void **state)
{
	struct vd_loopback_config config = loop_config();

	(void)state;
	virtio_rig_init(&rig);
	virtio_rig_make(&rig);
	config.ring_device = ring_device;
	config.ring_driver = ring_driver;
	join(&config);
	device_rings = driver_rings = 0;
	give(0, 0);
	vd_vdev_kick(&queues[0]);
	assert_int_equal(device_rings, 1);
	(void)vd_loopback_poll_device(&loop);
	assert_int_equal(driver_rings, 1);
	assert_int_equal(vd_device_config_update(&rig.dev, 2, "\x34\x12", 2), 0);
	assert_int_equal(driver_rings, 2);
	close_pair();
}

static void a_queue_of_a_pair_can_be_reset(void **state)
{
	(void)state;
	open_pair(VIRTIO_RIG_FEATURES);
	give(1, 0);
	vd_vdev_kick(&queues[1]);
	while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
		;
	assert_int_equal(n_used[1], 1);
	rig.log[0] = '\0';
	assert_int_equal(vd_vdev_reset_vq(&queues[1], 4, NULL), 0);
	virtio_rig_expect(&rig, "queue_stop:1 queue_start:1");
	give(1, 1);
	vd_vdev_kick(&queues[1]);
	while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
		;
	assert_int_equal(n_used[1], 2);
	close_pair();
}

static void a_pair_is_suspended_and_resumed(void **state)
{
	(void)state;
	open_pair(VIRTIO_RIG_FEATURES);
	assert_int_equal(vd_vdev_suspend(&loop.vdev), 0);
	give(0, 0);
	vd_vdev_kick(&queues[0]);
	assert_false(vd_loopback_poll_device(&loop));
	assert_int_equal(vd_vdev_resume(&loop.vdev), 0);
	while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
		;
	assert_int_equal(n_used[0], 1);
	close_pair();
}

/* ---- legacy ---- */

static void a_big_endian_legacy_pair_understands_itself(void **state)
{
	struct vd_loopback_config config = loop_config();

	(void)state;
	for (unsigned modern = 0; modern < 2; modern++) {
		virtio_rig_init(&rig);
		virtio_rig_make(&rig);
		memcpy(rig.space + 2, "\x34\x12", 2);
		config.legacy_big_endian = true;
		config.features = VD_LOOPBACK_FEATURES & ~(modern ? 0 : VERSION_1);
		join(&config);
		assert_non_null(loop.vdev.driver);
		assert_true(vd_vdev_has(&loop.vdev, VD_F_VERSION_1) == modern);
		assert_int_equal(seen_port, 0x1234);
		/* The index of the available ring lies in memory as the driver's order has it. */
		give(0, 0);
		vd_vdev_kick(&queues[0]);
		if (!modern)
			assert_memory_equal((char *)queues[0].ring.driver + 2, "\0\1", 2);
		while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
			;
		assert_int_equal(n_used[0], 1);
		close_pair();
	}
}

/* ---- limits ---- */

static void as_many_queues_as_there_are_bits(void **state)
{
	static struct vd_device_queue many[VD_LOOPBACK_QUEUES + 1];
	struct vd_loopback_config config = loop_config();
	struct vd_vdev_vq queue;

	(void)state;
	virtio_rig_init(&rig);
	virtio_rig_make(&rig);
	for (unsigned i = 0; i < VD_LOOPBACK_QUEUES + 1; i++)
		many[i] = rig.queues[0];
	rig.config.queues = many;
	rig.config.n_queues = VD_LOOPBACK_QUEUES + 1;
	assert_int_equal(vd_device_init(&rig.dev, &rig.config), 0);
	assert_int_equal(vd_loopback_init(&loop, &config), -VD_EINVAL);
	rig.config.n_queues = VD_LOOPBACK_QUEUES;
	assert_int_equal(vd_device_init(&rig.dev, &rig.config), 0);
	assert_int_equal(vd_loopback_init(&loop, &config), 0);
	assert_int_equal(loop.vdev.ops->queue_size_max(&loop.vdev, VD_LOOPBACK_QUEUES - 1), 16);
	assert_int_equal(loop.vdev.ops->queue_size_max(&loop.vdev, VD_LOOPBACK_QUEUES), 0);
	/* Every queue has a notification of its own. */
	for (uint16_t i = 0; i < VD_LOOPBACK_QUEUES; i++) {
		queue.index = i;
		loop.vdev.ops->notify(&loop.vdev, &queue, i);
		assert_int_equal(loop.n_to_device, i + 1);
		assert_true(vd_loopback_poll_device(&loop));
		assert_false(vd_loopback_poll_device(&loop));
	}
	virtio_rig_close(&rig);
}

/* ---- death ---- */

static void forget_all(struct vd_device *dev)
{
	(void)dev;
}

static void a_dead_device_answers_nothing(void **state)
{
	const struct vd_config_field *port = &virtio_rig_type.fields[VIRTIO_RIG_PORT];
	uint64_t value;

	(void)state;
	open_pair(VIRTIO_RIG_FEATURES);
	give(0, 0);
	vd_vdev_kick(&queues[0]);
	vd_loopback_kill_device(&loop);
	virtio_rig_expect(&rig, "queue_stop:0 queue_stop:1 queue_stop:2 stop");
	/* What had been sent to it is lost. */
	assert_false(vd_loopback_poll_device(&loop));
	give(0, 1);
	vd_vdev_kick(&queues[0]);
	(void)vd_loopback_poll_device(&loop);
	virtio_rig_expect(&rig, "");
	assert_int_equal(vd_vdev_config_get(&loop.vdev, port, 0, &value), -VD_ENODEV);
	assert_int_equal(vd_vdev_reset(&loop.vdev), -VD_ENODEV);
	assert_int_equal(vd_vdev_recover(&loop.vdev), -VD_ENODEV);
	assert_int_equal(vd_vdev_suspend(&loop.vdev), -VD_EOPNOTSUPP);
	assert_int_equal(shared.live, 0);
	close_pair();
}

static void a_driver_that_hears_of_the_death_breaks_its_queues(void **state)
{
	struct vd_used used;

	(void)state;
	open_pair(VERSION_1);
	assert_int_equal(vd_device_config_update(&rig.dev, 2, "ab", 2), 0);
	vd_loopback_kill_device(&loop);
	assert_true(vd_loopback_poll_driver(&loop));
	assert_int_equal(n_config, 1);
	assert_int_equal(vd_vq_drv_get(&queues[0].vq, &used), -VD_EPROTO);
	close_pair();
}

static void a_device_that_comes_back_is_found_reset(void **state)
{
	(void)state;
	open_pair(VIRTIO_RIG_FEATURES);
	for (unsigned n = 0; n < 3; n++) {
		vd_loopback_kill_device(&loop);
		vd_loopback_kill_device(&loop);
		vd_loopback_revive_device(&loop, &rig.dev);
		assert_int_equal(vd_device_status(&rig.dev), 0);
		assert_int_equal(vd_vdev_recover(&loop.vdev), 0);
		assert_int_equal(vd_device_status(&rig.dev), READY);
		n_used[0] = 0;
		give(0, n);
		vd_vdev_kick(&queues[0]);
		while (vd_loopback_poll_device(&loop) || vd_loopback_poll_driver(&loop))
			;
		assert_int_equal(n_used[0], 1);
	}
	close_pair();
}

static void die(struct virtio_rig *self, const char *word)
{
	(void)self;
	if (strcmp(word, "notify:0") == 0)
		vd_loopback_kill_device(&loop);
}

static void a_device_may_die_in_its_own_callback(void **state)
{
	(void)state;
	open_pair(VERSION_1);
	rig.hook = die;
	for (unsigned i = 0; i < VIRTIO_RIG_QUEUES; i++) {
		give(i, i);
		vd_vdev_kick(&queues[i]);
	}
	assert_true(vd_loopback_poll_device(&loop));
	assert_non_null(strstr(rig.log, "notify:0 queue_stop:0"));
	assert_null(strstr(rig.log, "notify:1"));
	rig.hook = NULL;
	close_pair();
}

/* The memory of a dead device may be somebody else's by now. */
static void nobody_looks_into_a_dead_device(void **state)
{
	struct vd_loopback_config config = loop_config();
	struct vd_device *dev = malloc(sizeof(*dev));
	const struct vd_config_field *port = &virtio_rig_type.fields[VIRTIO_RIG_PORT];
	uint64_t value;

	(void)state;
	virtio_rig_init(&rig);
	rig.ops.fault = NULL;
	rig.ops.accept = NULL;
	rig.ops.start = NULL;
	rig.ops.queue_start = NULL;
	rig.ops.queue_stop = NULL;
	virtio_rig_make(&rig);
	memcpy(dev, &rig.dev, sizeof(*dev));
	config.dev = dev;
	rig.ops.stop = forget_all;
	join(&config);
	assert_non_null(loop.vdev.driver);
	vd_loopback_kill_device(&loop);
	free(dev);
	assert_int_equal(vd_vdev_config_get(&loop.vdev, port, 0, &value), -VD_ENODEV);
	assert_int_equal(loop.vdev.ops->queue_size_max(&loop.vdev, 0), 0);
	assert_int_equal(vd_vdev_recover(&loop.vdev), -VD_ENODEV);
	(void)vd_loopback_poll_device(&loop);
	(void)vd_loopback_poll_driver(&loop);
	vd_loopback_revive_device(&loop, &rig.dev);
	rig.ops.stop = forget_all;
	assert_int_equal(vd_vdev_recover(&loop.vdev), 0);
	close_pair();
}

/* Control is a call from one side into the other; the family serves its queues when polled. */
static void queues_are_looked_at_when_the_device_is_polled(void **state)
{
	(void)state;
	open_pair(VIRTIO_RIG_FEATURES);
	loop.config.ring_device = ring_device;
	device_rings = 0;
	/* Made available, but not notified of. */
	give(1, 0);
	vd_vq_drv_publish(&queues[1].vq);
	assert_int_equal(vd_vdev_reset_vq(&queues[0], 8, NULL), 0);
	virtio_rig_expect(&rig, "queue_stop:0 queue_start:0");
	assert_int_equal(device_rings, 1);
	assert_int_equal(loop.n_to_device, 0);
	assert_true(vd_loopback_poll_device(&loop));
	virtio_rig_expect(&rig, "notify:1");
	assert_true(vd_loopback_poll_driver(&loop));
	assert_int_equal(n_used[1], 1);
	close_pair();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_meet),
		cmocka_unit_test(notifications_wait_until_they_are_fetched),
		cmocka_unit_test(notifications_for_one_queue_merge),
		cmocka_unit_test(a_family_that_wants_more_is_called_again),
		cmocka_unit_test(changes_of_configuration_get_through),
		cmocka_unit_test(doorbells_ring),
		cmocka_unit_test(a_queue_of_a_pair_can_be_reset),
		cmocka_unit_test(a_pair_is_suspended_and_resumed),
		cmocka_unit_test(a_big_endian_legacy_pair_understands_itself),
		cmocka_unit_test(as_many_queues_as_there_are_bits),
		cmocka_unit_test(a_dead_device_answers_nothing),
		cmocka_unit_test(a_driver_that_hears_of_the_death_breaks_its_queues),
		cmocka_unit_test(a_device_that_comes_back_is_found_reset),
		cmocka_unit_test(a_device_may_die_in_its_own_callback),
		cmocka_unit_test(nobody_looks_into_a_dead_device),
		cmocka_unit_test(queues_are_looked_at_when_the_device_is_polled),
	};

	return cmocka_run_group_tests_name("loopback", tests, NULL, NULL);
}
