/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role: queues, from finding them to giving them up. VIRTIO 1.4, 2.6 and 3.3. */
#include "viaduct/errno.h"
#include "virtio_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_1   VD_BIT(VD_F_VERSION_1)
#define RING_PACKED VD_BIT(VD_F_RING_PACKED)
#define RING_RESET  VD_BIT(VD_F_RING_RESET)
#define INDIRECT    VD_BIT(VD_F_INDIRECT_DESC)

static struct vd_bus bus;
static struct fake device;
static struct fake_driver driver;

static int set_up(void **state)
{
	(void)state;
	fake_init(&device);
	device.offered = VERSION_1;
	fake_driver_init(&driver, "A");
	driver.n_queues = 1;
	return 0;
}

static void add(void)
{
	vd_bus_init(&bus);
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	fake_forget();
}

static void open_device(void)
{
	add();
	assert_non_null(device.vdev.driver);
}

static void close_device(void)
{
	vd_bus_remove_device(&bus, &device.vdev);
	fake_expect_clean(&device);
	fake_forget();
}

static unsigned char buffers[64][16];

/* Add buffer @n of a queue for the device to write. */
static int give(struct vd_vdev_vq *queue, unsigned n)
{
	struct vd_iov segment = {buffers[n], sizeof(buffers[n])};

	return vd_vq_drv_add(&queue->vq, &segment, 0, 1, buffers[n]);
}

/* ---- sizes ---- */

static void expect_size(uint16_t most, uint16_t wanted, uint16_t size)
{
	device.size_max[0] = most;
	driver.requests[0].size = wanted;
	open_device();
	assert_int_equal(device.queues[0].vq.size, size);
	assert_int_equal(vd_vq_drv_num_free(&device.queues[0].vq), size);
	close_device();
}

static void a_split_queue_has_a_power_of_two_that_both_allow(void **state)
{
	(void)state;
	expect_size(16, 0, 16);
	expect_size(16, 16, 16);
	expect_size(16, 17, 16);
	expect_size(16, UINT16_MAX, 16);
	expect_size(16, 8, 8);
	expect_size(16, 7, 4);
	expect_size(100, 0, 64);
	expect_size(100, 99, 64);
	expect_size(1, 0, 1);
	expect_size(3, 0, 2);
	expect_size(32768, 0, 32768);
}

static void a_packed_queue_has_any_size_that_both_allow(void **state)
{
	(void)state;
	device.offered |= RING_PACKED;
	expect_size(16, 0, 16);
	expect_size(100, 0, 100);
	expect_size(100, 99, 99);
	expect_size(7, 9, 7);
	expect_size(1, 1, 1);
	expect_size(32768, 0, 32768);
}

static void a_size_that_can_not_be_is_refused(void **state)
{
	(void)state;
	device.offered |= RING_PACKED;
	device.size_max[0] = 40000;
	add();
	assert_null(device.vdev.driver);
	fake_expect_clean(&device);
	vd_bus_remove_device(&bus, &device.vdev);
	device.size_max[0] = 0;
	add();
	assert_null(device.vdev.driver);
	assert_int_equal(vd_bus_bind(&device.vdev), -VD_ENOENT);
	fake_expect_clean(&device);
}

/* ---- memory ---- */

static void rings_are_aligned_and_apart(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		const struct vd_ring_mem *ring = &device.queues[0].ring;

		device.offered = VERSION_1 | (packed ? RING_PACKED : 0);
		open_device();
		assert_int_equal((uintptr_t)ring->desc % 64, 0);
		assert_int_equal((uintptr_t)ring->driver % 64, 0);
		assert_int_equal((uintptr_t)ring->device % 64, 0);
		assert_ptr_equal(device.queues[0].vq.ring.desc, ring->desc);
		assert_int_equal(device.shared.live, 1);
		assert_int_equal(device.local.live, 1);
		close_device();
	}
}

static void a_legacy_device_gets_its_rings_in_one_piece(void **state)
{
	const struct vd_ring_mem *ring = &device.queues[0].ring;

	(void)state;
	device.offered = 0;
	device.vdev.legacy_align = 4096;
	driver.requests[0].size = 16;
	open_device();
	assert_int_equal((uintptr_t)ring->desc % 4096, 0);
	assert_int_equal((char *)ring->driver - (char *)ring->desc, 16 * 16);
	assert_int_equal((char *)ring->device - (char *)ring->desc, 4096);
	close_device();
	/* A modern one has no use for that. */
	device.offered = VERSION_1;
	open_device();
	assert_int_not_equal((char *)ring->device - (char *)ring->desc, 4096);
	close_device();
	/* An alignment that can't be. */
	device.offered = 0;
	device.vdev.legacy_align = 48;
	add();
	assert_null(device.vdev.driver);
	fake_expect_clean(&device);
}

static void indirect_tables_are_there_if_they_can_be_used(void **state)
{
	(void)state;
	driver.requests[0].table_entries = 4;
	open_device();
	assert_null(device.queues[0].vq.tables);
	close_device();
	device.offered |= INDIRECT;
	open_device();
	assert_non_null(device.queues[0].vq.tables);
	assert_int_equal(device.queues[0].vq.table_entries, 4);
	assert_int_equal((uintptr_t)device.queues[0].vq.tables % 16, 0);
	close_device();
	/* A table of one entry is no use. */
	driver.requests[0].table_entries = 1;
	open_device();
	assert_null(device.queues[0].vq.tables);
	close_device();
}

static void tables_the_device_can_not_see_are_an_error(void **state)
{
	(void)state;
	device.offered |= INDIRECT;
	driver.requests[0].table_entries = 4;
	device.window.rights = VD_MEM_WRITE;
	add();
	assert_null(device.vdev.driver);
	assert_int_equal(vd_bus_bind(&device.vdev), -VD_EACCES);
	fake_expect_clean(&device);
}

/* ---- life ---- */

static void queues_are_numbered_in_order_and_given_up_in_reverse(void **state)
{
	(void)state;
	driver.n_queues = 3;
	vd_bus_init(&bus);
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	assert_non_null(strstr(fake_log, "enable:0 enable:1 enable:2"));
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(device.queues[i].index, i);
		assert_ptr_equal(device.queues[i].vdev, &device.vdev);
	}
	fake_forget();
	vd_bus_unbind(&device.vdev);
	fake_expect("remove:A:virtio0 reset disable:2 disable:1 disable:0 reset S:1");
	fake_expect_clean(&device);
	vd_vdev_del_vqs(&device.vdev);
	fake_expect("");
}

static void a_kick_notifies_once_for_what_was_added(void **state)
{
	(void)state;
	driver.requests[0].size = 8;
	open_device();
	vd_vdev_kick(&device.queues[0]);
	fake_expect("");
	assert_int_equal(give(&device.queues[0], 0), 0);
	assert_int_equal(give(&device.queues[0], 1), 0);
	vd_vdev_kick(&device.queues[0]);
	fake_expect("kick:0");
	vd_vdev_kick(&device.queues[0]);
	fake_expect("");
	close_device();
}

static uint32_t last_notification;

static void keep_notification(struct vd_vdev *vdev, struct vd_vdev_vq *queue, uint32_t value)
{
	(void)vdev;
	(void)queue;
	last_notification = value;
}

static void a_notification_says_how_far_the_driver_is(void **state)
{
	(void)state;
	driver.n_queues = 2;
	device.ops.notify = keep_notification;
	open_device();
	assert_int_equal(give(&device.queues[1], 0), 0);
	assert_int_equal(give(&device.queues[1], 1), 0);
	vd_vdev_kick(&device.queues[1]);
	assert_int_equal(last_notification, vd_notification(1, 2));
	close_device();
}

/* ---- the reset of one queue ---- */

static unsigned reclaimed;

static void reclaim(struct vd_vdev_vq *queue, void *token)
{
	assert_ptr_equal(queue, &device.queues[0]);
	assert_ptr_equal(token, buffers[reclaimed++]);
	/* The device is off it. */
	assert_false(device.enabled[0]);
}

static void open_resettable(uint64_t features)
{
	device.offered = VERSION_1 | RING_RESET | features;
	driver.requests[0].size = 8;
	open_device();
}

static void a_queue_can_be_reset_alone(void **state)
{
	static const uint16_t sizes[] = {8, 16, 4, 1, 2};

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		open_resettable(packed ? RING_PACKED : 0);
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			unsigned n = 0;

			while (give(&device.queues[0], n) == 0)
				n++;
			vd_vdev_kick(&device.queues[0]);
			fake_forget();
			reclaimed = 0;
			assert_int_equal(vd_vdev_reset_vq(&device.queues[0], sizes[i], reclaim), 0);
			assert_int_equal(reclaimed, n);
			fake_expect("disable:0 enable:0");
			assert_int_equal(device.queues[0].vq.size, sizes[i]);
			assert_int_equal(vd_vq_drv_num_free(&device.queues[0].vq), sizes[i]);
			assert_int_equal(device.shared.live, 1);
		}
		/* 0: as before. */
		assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 0, reclaim), 0);
		assert_int_equal(device.queues[0].vq.size, 2);
		fake_forget();
		close_device();
	}
}

static void a_queue_that_is_reset_is_as_large_as_the_device_allows(void **state)
{
	(void)state;
	open_resettable(0);
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 1000, reclaim), 0);
	assert_int_equal(device.queues[0].vq.size, 16);
	/* The device may have changed its mind. */
	device.size_max[0] = 4;
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 0, reclaim), 0);
	assert_int_equal(device.queues[0].vq.size, 4);
	close_device();
}

static void without_ring_reset_a_queue_stays(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 8, reclaim), -VD_EOPNOTSUPP);
	fake_expect("");
	close_device();
}

static void a_queue_that_the_device_does_not_let_go_of_stays_as_it_is(void **state)
{
	(void)state;
	open_resettable(0);
	assert_int_equal(give(&device.queues[0], 0), 0);
	device.disable_err = -VD_ETIMEDOUT;
	reclaimed = 0;
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 16, reclaim), -VD_ETIMEDOUT);
	assert_int_equal(reclaimed, 0);
	assert_int_equal(device.queues[0].vq.size, 8);
	assert_int_equal(vd_vq_drv_num_free(&device.queues[0].vq), 7);
	device.size_max[0] = 0;
	assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 16, reclaim), -VD_ENOENT);
	device.disable_err = 0;
	close_device();
}

static void kick_in_probe(struct fake_driver *self, struct vd_vdev *vdev, const char *word)
{
	(void)self;
	(void)vdev;
	if (strcmp(word, "scan") != 0)
		return;
	/* DRIVER_OK was set between the two. */
	assert_int_equal(give(&device.queues[0], 1), 0);
	vd_vdev_kick(&device.queues[0]);
}

static int fill_and_kick(struct vd_vdev *vdev)
{
	int err = vd_vdev_find_vqs(vdev, 2, driver.requests, device.queues);

	if (err != 0)
		return err;
	fake_note("fill");
	assert_int_equal(give(&device.queues[0], 0), 0);
	vd_vdev_kick(&device.queues[0]);
	vd_vdev_kick(&device.queues[1]);
	/* It is available already, only not yet notified of. */
	assert_int_equal(((uint16_t *)device.queues[0].ring.driver)[1], 1);
	return 0;
}

/* A probe fills its queues; the device must not hear of it before it is told to begin (3.1.1). */
static void nothing_is_notified_before_driver_ok(void **state)
{
	(void)state;
	driver.driver.probe = fill_and_kick;
	driver.hook = kick_in_probe;
	vd_bus_init(&bus);
	assert_int_equal(vd_bus_add_driver(&bus, &driver.driver), 0);
	fake_forget();
	assert_int_equal(vd_bus_add_device(&bus, &device.vdev), 0);
	assert_non_null(strstr(fake_log, "fill S:f kick:0 scan:A:virtio0 kick:0"));
	assert_null(strstr(fake_log, "kick:1"));
	/* Nor after a reset. */
	fake_forget();
	assert_int_equal(vd_vdev_reset(&device.vdev), 0);
	assert_int_equal(give(&device.queues[1], 2), 0);
	vd_vdev_kick(&device.queues[1]);
	fake_expect("reset");
	close_device();
}

/* Its memory is gone; whoever still has the queue must not find that out the hard way. */
static void a_queue_that_can_not_be_set_up_again_is_broken(void **state)
{
	struct vd_used used;
	void *token;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		open_resettable(n % 2 == 0 ? 0 : RING_PACKED);
		assert_int_equal(give(&device.queues[0], 0), 0);
		if (n < 2)
			device.shared.fail_at = device.shared.calls + 1;
		else
			device.enable_err = -VD_EIO;
		reclaimed = 0;
		assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 16, reclaim),
				 n < 2 ? -VD_ENOMEM : -VD_EIO);
		assert_int_equal(reclaimed, 1);
		assert_int_equal(device.shared.live, 0);
		assert_int_equal(device.local.live, 0);
		assert_int_equal(give(&device.queues[0], 0), -VD_EPROTO);
		assert_int_equal(vd_vq_drv_get(&device.queues[0].vq, &used), -VD_EPROTO);
		assert_int_equal(vd_vq_drv_detach(&device.queues[0].vq, &token), 0);
		assert_false(vd_vq_drv_enable_cb(&device.queues[0].vq));
		vd_vdev_kick(&device.queues[0]);
		assert_string_equal(vd_fault_name(vd_vq_drv_fault(&device.queues[0].vq)->code),
				    "QUEUE_LOST");
		/* It can be tried again. */
		device.enable_err = 0;
		assert_int_equal(vd_vdev_reset_vq(&device.queues[0], 8, reclaim), 0);
		assert_int_equal(give(&device.queues[0], 0), 0);
		close_device();
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(a_split_queue_has_a_power_of_two_that_both_allow),
		TEST(a_packed_queue_has_any_size_that_both_allow),
		TEST(a_size_that_can_not_be_is_refused),
		TEST(rings_are_aligned_and_apart),
		TEST(a_legacy_device_gets_its_rings_in_one_piece),
		TEST(indirect_tables_are_there_if_they_can_be_used),
		TEST(tables_the_device_can_not_see_are_an_error),
		TEST(queues_are_numbered_in_order_and_given_up_in_reverse),
		TEST(a_kick_notifies_once_for_what_was_added),
		TEST(a_notification_says_how_far_the_driver_is),
		TEST(a_queue_can_be_reset_alone),
		TEST(a_queue_that_is_reset_is_as_large_as_the_device_allows),
		TEST(without_ring_reset_a_queue_stays),
		TEST(a_queue_that_the_device_does_not_let_go_of_stays_as_it_is),
		TEST(nothing_is_notified_before_driver_ok),
		TEST(a_queue_that_can_not_be_set_up_again_is_broken),
	};

	return cmocka_run_group_tests_name("vdev_queue", tests, NULL, NULL);
}
