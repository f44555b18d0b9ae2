/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user front end: the rpmsg host in front of a back end with the rpmsg remote, in a
 * thread of its own, and in front of back ends that break the rules.
 */
#include "viaduct/vhost_user_front.h"
#include "transport/vhost_user/channel.h"
#include "viaduct/errno.h"
#include "viaduct/rpmsg_host.h"
#include "viaduct/rpmsg_remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANY     VD_RPMSG_ADDR_ANY
#define MEMORY  ((size_t)1 << 20)
#define ECHO    30u /* where the echo listens, */
#define SINK    31u /* and what takes all and says nothing */
#define PATIENT 5000

/* A back end and its remote, in a thread. */
struct server {
	struct vd_rpmsg_remote_config config;
	uint64_t protocol;

	struct vd_rpmsg_remote remote;
	struct vd_rpmsg_ept echo;
	struct vd_rpmsg_ept sink;
	void *memory;
	struct vd_vu_backend *backend;
	pthread_t thread;
	int stop;
	bool running;
	unsigned n_sunk;
};

static struct {
	struct server server;
	struct vd_shared memory;
	struct vd_pool pool;
	uint32_t *pool_words;
	struct vd_vu_front_config config;
	struct vd_vu_front *front;
	struct vd_bus bus;
	struct vd_rpmsg_driver driver;
	struct vd_rpmsg_host_config host_config;
	struct vd_rpmsg_events events;
	struct vd_rpmsg_host host;
	void *host_memory;
	struct vd_rpmsg_ept ept;
	uint32_t next_answer;
	uint32_t n_sent;
	unsigned ups;
	unsigned downs;
} rig;

/* ---- the back end ---- */

static enum vd_rpmsg_verdict echo(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	if (vd_rpmsg_trysendto(ept, msg->data, msg->len, msg->src) != 0)
		abort();
	return VD_RPMSG_RELEASE;
}

static enum vd_rpmsg_verdict sink(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct server *server = (struct server *)(void *)((char *)ept -
							  offsetof(struct server, sink));

	(void)msg;
	server->n_sunk++;
	return VD_RPMSG_RELEASE;
}

static void *serve(void *argument)
{
	struct server *server = argument;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = vd_vu_backend_fd(server->backend), .events = POLLIN},
			{.fd = server->stop, .events = POLLIN},
		};

		(void)poll(fds, 2, -1);
		if (fds[1].revents != 0)
			return NULL;
		if (vd_vu_backend_is_connected(server->backend))
			(void)vd_vu_backend_poll(server->backend);
	}
}

/* Start one; the socket to it. */
static int start_server(struct server *server)
{
	struct vd_vu_backend_config config = {.dev = &server->remote.dev,
					      .protocol_features = server->protocol};
	size_t size = vd_rpmsg_remote_memory(&server->config);
	int ends[2];

	server->memory = aligned_alloc(8, size);
	memset(&server->echo, 0, sizeof(server->echo));
	memset(&server->sink, 0, sizeof(server->sink));
	assert_int_equal(
		vd_rpmsg_remote_init(&server->remote, &server->config, server->memory, size), 0);
	assert_int_equal(vd_rpmsg_create_ept(&server->remote.link, &server->echo, "echo", ECHO, ANY,
					     echo, VD_RPMSG_IN_PLACE),
			 0);
	assert_int_equal(vd_rpmsg_create_ept(&server->remote.link, &server->sink, NULL, SINK, ANY,
					     sink, VD_RPMSG_IN_PLACE),
			 0);
	assert_int_equal(vd_vu_backend_create(&server->backend, &config), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vd_vu_backend_connect(server->backend, ends[0]), 0);
	server->stop = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
	server->running = true;
	return ends[1];
}

/* It dies: nothing is given back, nobody is told but by the socket. */
static void stop_server(struct server *server)
{
	const uint64_t one = 1;

	if (!server->running)
		return;
	assert_int_equal(write(server->stop, &one, sizeof(one)), sizeof(one));
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	server->running = false;
	vd_vu_backend_destroy(server->backend);
	close(server->stop);
	free(server->memory);
}

/* ---- the front end ---- */

static void on_link(struct vd_rpmsg *link, bool up)
{
	(void)link;
	rig.ups += up;
	rig.downs += !up;
}

static int on_wait(struct vd_rpmsg *link, uint32_t ms)
{
	(void)link;
	return vd_vu_front_await(rig.front, VD_RPMSG_QUEUE_TX, ms);
}

static uint64_t on_now(struct vd_rpmsg *link)
{
	(void)link;
	return vd_now_ms();
}

/* Answers come in order, none twice. */
static enum vd_rpmsg_verdict take(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	uint32_t number;

	(void)ept;
	assert_int_equal(msg->len, 40);
	memcpy(&number, msg->data, sizeof(number));
	assert_int_equal(number, rig.next_answer);
	rig.next_answer++;
	return VD_RPMSG_RELEASE;
}

static void turn(void)
{
	struct pollfd fd = {.fd = vd_vu_front_fd(rig.front), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, PATIENT), 1);
	assert_int_equal(vd_vu_front_poll(rig.front), 0);
}

static void send_one(void)
{
	unsigned char data[40] = {0};

	memcpy(data, &rig.n_sent, sizeof(rig.n_sent));
	assert_int_equal(vd_rpmsg_sendto(&rig.ept, data, sizeof(data), ECHO), 0);
	rig.n_sent++;
}

static void expect_answers(void)
{
	while (rig.next_answer < rig.n_sent)
		turn();
}

static void expect_conversation(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k <= i % 7; k++)
			send_one();
		expect_answers();
	}
}

static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.server.config = (struct vd_rpmsg_remote_config)VD_RPMSG_REMOTE_DEFAULTS;
	rig.server.config.features |= VD_BIT(VD_F_IN_ORDER);
	rig.server.protocol = VD_VU_PROTOCOL_DEFAULT;
	rig.host_config = (struct vd_rpmsg_host_config)VD_RPMSG_HOST_DEFAULTS;
	rig.events = (struct vd_rpmsg_events){
		.link_changed = on_link, .wait = on_wait, .now = on_now};
	rig.host_config.link.events = &rig.events;
	assert_int_equal(vd_shared_create(&rig.memory, "front", MEMORY), 0);
	rig.pool_words = calloc(vd_pool_words(MEMORY), sizeof(*rig.pool_words));
	vd_pool_init(&rig.pool, rig.memory.base, MEMORY, rig.pool_words);
	rig.config = (struct vd_vu_front_config){
		.device_id = VD_ID_RPMSG,
		.type = &vd_rpmsg_type,
		.memory = &rig.memory,
		.peer = 0x40000000,
		.shared = &rig.pool.alloc,
		.local = &vd_malloc,
		.split = &vd_split_drv,
		.packed = &vd_packed_drv,
		.features = VD_VU_FRONT_FEATURES,
		.protocol_features = VD_VU_FRONT_PROTOCOL,
		.n_queues = 2,
		.queue_size = 16,
	};
	return 0;
}

static void make_front(void)
{
	size_t size = vd_rpmsg_host_memory(&rig.host_config);

	assert_int_equal(vd_vu_front_create(&rig.front, &rig.config), 0);
	rig.host_memory = aligned_alloc(8, size);
	assert_int_equal(vd_rpmsg_host_init(&rig.host, &rig.host_config, rig.host_memory, size), 0);
	assert_int_equal(vd_rpmsg_create_ept(&rig.host.link, &rig.ept, NULL, 400, ANY, take, 0), 0);
	vd_rpmsg_driver_init(&rig.driver);
	vd_rpmsg_driver_add(&rig.driver, &rig.host);
	vd_bus_init(&rig.bus);
	assert_int_equal(vd_bus_add_driver(&rig.bus, &rig.driver.driver), 0);
}

static void open_rig(void)
{
	make_front();
	assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 0);
	assert_int_equal(vd_bus_add_device(&rig.bus, vd_vu_front_vdev(rig.front)), 0);
	assert_non_null(rig.host.vdev);
	assert_int_equal(rig.ups, 1);
}

static int teardown(void **state)
{
	(void)state;
	if (rig.front != NULL && vd_vu_front_vdev(rig.front)->bus != NULL)
		vd_bus_remove_device(&rig.bus, vd_vu_front_vdev(rig.front));
	assert_int_equal(rig.pool.used, 0);
	vd_vu_front_destroy(rig.front);
	stop_server(&rig.server);
	free(rig.host_memory);
	free(rig.pool_words);
	vd_shared_destroy(&rig.memory);
	return 0;
}

static void expect_gone(void)
{
	struct pollfd fd = {.fd = vd_vu_front_fd(rig.front), .events = POLLIN};
	int err;

	do {
		assert_int_equal(poll(&fd, 1, PATIENT), 1);
		err = vd_vu_front_poll(rig.front);
	} while (err == 0);
	assert_int_equal(err, -VD_ECONNRESET);
	assert_false(vd_vu_front_is_connected(rig.front));
}

/* ---- conversations ---- */

static void a_host_talks_to_a_remote(void **state)
{
	(void)state;
	open_rig();
	assert_true(vd_vdev_has(rig.host.vdev, VD_F_RING_PACKED));
	assert_true(vd_vdev_has(rig.host.vdev, VD_F_IN_ORDER));
	expect_conversation(200);
	assert_non_null(vd_rpmsg_find_channel(&rig.host.link, "echo"));
}

static void over_split_rings(void **state)
{
	(void)state;
	rig.config.packed = NULL;
	open_rig();
	assert_false(vd_vdev_has(rig.host.vdev, VD_F_RING_PACKED));
	expect_conversation(200);
}

static void without_event_index(void **state)
{
	(void)state;
	rig.config.features &= ~VD_BIT(VD_F_EVENT_IDX);
	open_rig();
	expect_conversation(200);
}

/* Each protocol feature that the two can do without. */
static void with_fewer_protocol_features(void **state)
{
	static const unsigned without[] = {
		VD_VU_F_MQ,     VD_VU_F_REPLY_ACK,      VD_VU_F_BACKEND_REQ,
		VD_VU_F_CONFIG, VD_VU_F_INFLIGHT_SHMFD, VD_VU_F_RESET_DEVICE,
		VD_VU_F_STATUS,
	};

	for (size_t i = 0; i <= sizeof(without) / sizeof(without[0]); i++) {
		if (i == sizeof(without) / sizeof(without[0]))
			rig.config.protocol_features = 0;
		else
			rig.config.protocol_features = VD_VU_FRONT_PROTOCOL & ~VD_BIT(without[i]);
		open_rig();
		expect_conversation(20);
		/* The driver leaves and comes back. */
		vd_bus_unbind(vd_vu_front_vdev(rig.front));
		assert_int_equal(vd_bus_bind(vd_vu_front_vdev(rig.front)), 0);
		expect_conversation(20);
		teardown(state);
		setup(state);
	}
	open_rig();
}

static void senders_wait_for_the_back_end(void **state)
{
	(void)state;
	open_rig();
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(vd_rpmsg_sendto(&rig.ept, "x", 1, SINK), 0);
	assert_true(rig.host.link.stats.tx_waits > 0);
	/* In order: when this comes back all the others are there. */
	send_one();
	expect_answers();
	stop_server(&rig.server);
	assert_int_equal(rig.server.n_sunk, 5000);
}

static void sizes_come_from_configuration_space(void **state)
{
	(void)state;
	rig.server.config.h2r_size = 256;
	rig.server.config.r2h_size = 1024;
	open_rig();
	assert_int_equal(vd_rpmsg_max_payload(&rig.host.link), 240);
	expect_conversation(20);
}

/* ---- death ---- */

static void a_dead_back_end_shows_and_a_driver_can_be_recovered(void **state)
{
	(void)state;
	rig.config.protocol_features &= ~VD_BIT(VD_VU_F_INFLIGHT_SHMFD);
	open_rig();
	for (unsigned i = 0; i < 3; i++) {
		expect_conversation(20);
		stop_server(&rig.server);
		expect_gone();
		assert_int_equal(vd_vu_front_poll(rig.front), 0);
		assert_int_equal(rig.host.vdev->ops->get_status(rig.host.vdev), 0xff);
		assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 0);
		assert_int_equal(vd_vdev_recover(vd_vu_front_vdev(rig.front)), 0);
		assert_int_equal(rig.downs, i + 1);
		assert_int_equal(rig.ups, i + 2);
	}
	expect_conversation(20);
}

static void a_driver_can_be_unbound_while_its_back_end_is_dead(void **state)
{
	(void)state;
	open_rig();
	stop_server(&rig.server);
	expect_gone();
	vd_bus_unbind(vd_vu_front_vdev(rig.front));
	assert_int_equal(rig.pool.used, 0);
	assert_int_equal(vd_bus_bind(vd_vu_front_vdev(rig.front)), -VD_ENODEV);
	assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 0);
	assert_int_equal(vd_bus_bind(vd_vu_front_vdev(rig.front)), 0);
	expect_conversation(20);
}

/* What the dead one had not finished, its successor does; the driver notices nothing. */
static void resume(void)
{
	open_rig();
	for (unsigned i = 0; i < 5; i++) {
		stop_server(&rig.server);
		for (unsigned k = 0; k < 5; k++)
			send_one();
		expect_gone();
		assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 1);
		expect_answers();
		expect_conversation(20);
	}
	assert_int_equal(rig.ups, 1);
	assert_int_equal(rig.downs, 0);
}

static void a_successor_resumes_packed_rings(void **state)
{
	(void)state;
	resume();
}

static void a_successor_resumes_split_rings(void **state)
{
	(void)state;
	rig.config.packed = NULL;
	resume();
}

static void a_successor_with_fewer_features_can_not_resume(void **state)
{
	(void)state;
	open_rig();
	stop_server(&rig.server);
	expect_gone();
	rig.server.config.features &= ~VD_BIT(VD_F_RING_PACKED);
	assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 0);
	assert_int_equal(vd_vdev_recover(vd_vu_front_vdev(rig.front)), 0);
	assert_false(vd_vdev_has(rig.host.vdev, VD_F_RING_PACKED));
	expect_conversation(20);
}

static void one_back_end_at_a_time(void **state)
{
	int ends[2];

	(void)state;
	open_rig();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(vd_vu_front_connect(rig.front, ends[0]), -VD_EBUSY);
	assert_int_equal(read(ends[1], ends, 1), 0);
	close(ends[1]);
	expect_conversation(5);
}

/* ---- back ends that break the rules ---- */

/* One that answers GET_FEATURES with what is given here, and hangs up or not. */
struct liar {
	int sock;
	const void *bytes;
	size_t size;
	bool stays;
};

static void *lie(void *argument)
{
	struct liar *liar = argument;
	unsigned char request[12];

	if (recv(liar->sock, request, sizeof(request), MSG_WAITALL) != sizeof(request) ||
	    send(liar->sock, liar->bytes, liar->size, MSG_NOSIGNAL) != (ssize_t)liar->size)
		abort();
	while (liar->stays && recv(liar->sock, request, 1, 0) > 0)
		;
	close(liar->sock);
	return NULL;
}

static int connect_to_liar(const void *bytes, size_t size, bool stays)
{
	struct liar liar = {.bytes = bytes, .size = size, .stays = stays};
	pthread_t thread;
	int ends[2];
	int err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	liar.sock = ends[0];
	assert_int_equal(pthread_create(&thread, NULL, lie, &liar), 0);
	err = vd_vu_front_connect(rig.front, ends[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(vd_vu_front_is_connected(rig.front));
	return err;
}

struct answer {
	struct vd_vu_header header;
	uint64_t value;
} __attribute__((packed));

static void expect_fault(enum vd_fault_code code, uint64_t a, uint64_t b)
{
	const struct vd_fault *fault = vd_vu_front_fault(rig.front);

	assert_int_equal(fault->code, code);
	assert_int_equal(fault->value[0], a);
	assert_int_equal(fault->value[1], b);
}

static void wrong_answers_end_the_connection(void **state)
{
	struct answer answer = {{VD_VU_GET_FEATURES, VD_VU_VERSION | VD_VU_REPLY, 8}, 0};

	(void)state;
	rig.config.timeout_ms = PATIENT;
	make_front();
	answer.header.request = VD_VU_GET_QUEUE_NUM;
	assert_int_equal(connect_to_liar(&answer, sizeof(answer), true), -VD_EPROTO);
	expect_fault(VD_FAULT_VU_ANSWER, VD_VU_GET_FEATURES, VD_VU_GET_QUEUE_NUM);
	answer.header.request = VD_VU_GET_FEATURES;
	answer.header.size = 4;
	assert_int_equal(connect_to_liar(&answer, 16, true), -VD_EPROTO);
	expect_fault(VD_FAULT_VU_SIZE, VD_VU_GET_FEATURES, 4);
	answer.header.size = 8;
	answer.header.flags = VD_VU_VERSION;
	assert_int_equal(connect_to_liar(&answer, sizeof(answer), true), -VD_EPROTO);
	expect_fault(VD_FAULT_VU_ANSWER, VD_VU_GET_FEATURES, VD_VU_GET_FEATURES);
	answer.header.flags = VD_VU_REPLY | 2;
	assert_int_equal(connect_to_liar(&answer, sizeof(answer), true), -VD_EPROTO);
	expect_fault(VD_FAULT_VU_VERSION, VD_VU_GET_FEATURES, VD_VU_REPLY | 2);
	assert_int_equal(connect_to_liar(&answer, 0, false), -VD_ECONNRESET);
}

static void silence_ends_the_connection(void **state)
{
	(void)state;
	rig.config.timeout_ms = 20;
	make_front();
	assert_int_equal(connect_to_liar(NULL, 0, true), -VD_ETIMEDOUT);
	/* It is as good as new. */
	assert_int_equal(vd_vu_front_connect(rig.front, start_server(&rig.server)), 0);
	vd_vu_front_disconnect(rig.front);
}

static void configurations_that_make_no_sense(void **state)
{
	struct vd_vu_front *front;

	(void)state;
	rig.config.queue_size = 12;
	assert_int_equal(vd_vu_front_create(&front, &rig.config), -VD_EINVAL);
	assert_null(front);
	rig.config.queue_size = 16;
	rig.config.n_queues = 0;
	assert_int_equal(vd_vu_front_create(&front, &rig.config), -VD_EINVAL);
	rig.config.n_queues = 300;
	assert_int_equal(vd_vu_front_create(&front, &rig.config), -VD_EINVAL);
	vd_vu_front_destroy(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_talks_to_a_remote),
		TEST(over_split_rings),
		TEST(without_event_index),
		TEST(with_fewer_protocol_features),
		TEST(senders_wait_for_the_back_end),
		TEST(sizes_come_from_configuration_space),
		TEST(a_dead_back_end_shows_and_a_driver_can_be_recovered),
		TEST(a_driver_can_be_unbound_while_its_back_end_is_dead),
		TEST(a_successor_resumes_packed_rings),
		TEST(a_successor_resumes_split_rings),
		TEST(a_successor_with_fewer_features_can_not_resume),
		TEST(one_back_end_at_a_time),
		TEST(wrong_answers_end_the_connection),
		TEST(silence_ends_the_connection),
		TEST(configurations_that_make_no_sense),
	};

	return cmocka_run_group_tests_name("vhost_user_front", tests, NULL, NULL);
}
