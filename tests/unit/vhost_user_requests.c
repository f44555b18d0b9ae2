/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of requests: what each must look like, what it needs, and what it answers. */
#include "front_end_rig.h"
#include "viaduct/errno.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ANY 0xff

/* The text of the specification once more, so that the back end's own table is not asked. */
static const struct request {
	uint32_t number;
	uint32_t size_min;
	uint32_t size_max;
	unsigned fds_min;
	unsigned fds_max;
	uint8_t needs; /* protocol feature */
	bool answers;  /* by itself, with a number unless noted below */
} requests[] = {
	{VD_VU_GET_FEATURES, 0, 0, 0, 0, ANY, true},
	{VD_VU_SET_FEATURES, 8, 8, 0, 0, ANY, false},
	{VD_VU_SET_OWNER, 0, 0, 0, 0, ANY, false},
	{VD_VU_RESET_OWNER, 0, 0, 0, 0, ANY, false},
	{VD_VU_SET_MEM_TABLE, 8, 264, 0, 8, ANY, false},
	{VD_VU_SET_VRING_NUM, 8, 8, 0, 0, ANY, false},
	{VD_VU_SET_VRING_ADDR, 40, 40, 0, 0, ANY, false},
	{VD_VU_SET_VRING_BASE, 8, 8, 0, 0, ANY, false},
	{VD_VU_GET_VRING_BASE, 8, 8, 0, 0, ANY, true},
	{VD_VU_SET_VRING_KICK, 8, 8, 0, 1, ANY, false},
	{VD_VU_SET_VRING_CALL, 8, 8, 0, 1, ANY, false},
	{VD_VU_SET_VRING_ERR, 8, 8, 0, 1, ANY, false},
	{VD_VU_GET_PROTOCOL_FEATURES, 0, 0, 0, 0, ANY, true},
	{VD_VU_SET_PROTOCOL_FEATURES, 8, 8, 0, 0, ANY, false},
	{VD_VU_GET_QUEUE_NUM, 0, 0, 0, 0, VD_VU_F_MQ, true},
	{VD_VU_SET_VRING_ENABLE, 8, 8, 0, 0, ANY, false},
	{VD_VU_SET_BACKEND_REQ_FD, 0, 0, 1, 1, VD_VU_F_BACKEND_REQ, false},
	{VD_VU_SET_VRING_ENDIAN, 8, 8, 0, 0, VD_VU_F_CROSS_ENDIAN, false},
	{VD_VU_GET_CONFIG, 12, 4096, 0, 0, VD_VU_F_CONFIG, true},
	{VD_VU_SET_CONFIG, 12, 4096, 0, 0, VD_VU_F_CONFIG, false},
	{VD_VU_GET_INFLIGHT_FD, 20, 24, 0, 0, VD_VU_F_INFLIGHT_SHMFD, true},
	{VD_VU_SET_INFLIGHT_FD, 20, 24, 1, 1, VD_VU_F_INFLIGHT_SHMFD, false},
	{VD_VU_RESET_DEVICE, 0, 0, 0, 0, VD_VU_F_RESET_DEVICE, false},
	{VD_VU_VRING_KICK, 8, 8, 0, 0, VD_VU_F_INBAND_NOTIFICATIONS, false},
	{VD_VU_GET_MAX_MEM_SLOTS, 0, 0, 0, 0, VD_VU_F_CONFIGURE_MEM_SLOTS, true},
	{VD_VU_ADD_MEM_REG, 40, 40, 1, 1, VD_VU_F_CONFIGURE_MEM_SLOTS, false},
	{VD_VU_REM_MEM_REG, 40, 40, 0, 1, VD_VU_F_CONFIGURE_MEM_SLOTS, false},
	{VD_VU_SET_STATUS, 8, 8, 0, 0, VD_VU_F_STATUS, false},
	{VD_VU_GET_STATUS, 0, 0, 0, 0, VD_VU_F_STATUS, true},
};

#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static const uint64_t everything = VD_VU_PROTOCOL_DEFAULT | VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS);

static struct vu_rig rig;
static const unsigned char nothing[VD_VU_PAYLOAD_MAX + 8];

static int setup(void **state)
{
	(void)state;
	vu_rig_open(&rig, &(struct vu_rig_options){.protocol_features = everything});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_rig_close(&rig);
	return 0;
}

static void connect_with(uint64_t protocol_features)
{
	vu_rig_negotiate(&rig, VD_BIT(VD_F_VERSION_1), protocol_features);
}

/* ---- what every row is checked for ---- */

static void refuses_size(const struct request *request, uint32_t size)
{
	int fd = rig.fe.regions[0].fd;

	connect_with(everything);
	vu_rig_refuses(&rig, request->number, nothing, size, &fd, request->fds_min,
		       VD_FAULT_VU_SIZE, request->number, size, 0);
}

static void every_request_has_its_size(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_REQUESTS; i++) {
		if (requests[i].size_min > 0)
			refuses_size(&requests[i], requests[i].size_min - 1);
		if (requests[i].size_min > 1)
			refuses_size(&requests[i], 0);
		if (requests[i].size_max < VD_VU_PAYLOAD_MAX)
			refuses_size(&requests[i], requests[i].size_max + 1);
		refuses_size(&requests[i], VD_VU_PAYLOAD_MAX + 1);
	}
}

static void every_request_has_its_number_of_descriptors(void **state)
{
	int fds[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		fds[i] = rig.fe.regions[0].fd;
	for (unsigned i = 0; i < N_REQUESTS; i++) {
		const struct request *request = &requests[i];

		for (unsigned n = 0; n <= 8; n++) {
			if (n >= request->fds_min && n <= request->fds_max)
				continue;
			connect_with(everything);
			vu_rig_refuses(&rig, request->number, nothing, request->size_min, fds, n,
				       VD_FAULT_VU_FDS, request->number, n, request->fds_max);
		}
	}
}

static void a_request_needs_its_protocol_feature(void **state)
{
	int fd = rig.fe.regions[0].fd;

	(void)state;
	for (unsigned i = 0; i < N_REQUESTS; i++) {
		const struct request *request = &requests[i];
		uint64_t others = everything & ~VD_BIT(request->needs % 64);

		if (request->needs == ANY)
			continue;
		/* In-band notifications don't go without some. */
		if ((others & VD_BIT(VD_VU_F_REPLY_ACK)) == 0 ||
		    (others & VD_BIT(VD_VU_F_BACKEND_REQ)) == 0)
			others &= ~VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS);
		connect_with(others);
		vu_rig_refuses(&rig, request->number, nothing, request->size_min, &fd,
			       request->fds_min, VD_FAULT_VU_UNNEGOTIATED, request->number,
			       request->needs, 0);
	}
}

static bool is_known(uint32_t number)
{
	for (unsigned i = 0; i < N_REQUESTS; i++)
		if (requests[i].number == number)
			return true;
	return false;
}

static void unknown_requests_end_the_connection(void **state)
{
	const uint32_t far[] = {46, 64, 255, 256, 65535, 65536 + 1, 0x80000001u, UINT32_MAX};

	(void)state;
	for (uint32_t number = 0; number < 46; number++) {
		if (is_known(number))
			continue;
		connect_with(everything);
		vu_rig_refuses(&rig, number, nothing, 8, NULL, 0, VD_FAULT_VU_REQUEST, number, 0,
			       0);
	}
	for (unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		connect_with(everything);
		vu_rig_refuses(&rig, far[i], nothing, 8, NULL, 0, VD_FAULT_VU_REQUEST, far[i], 0,
			       0);
	}
}

/* ---- good ones ---- */

static uint64_t u64(uint32_t request)
{
	uint64_t value = UINT64_MAX;

	assert_int_equal(fe_get_u64(&rig.fe, request, &value), 0);
	return value;
}

static void numbers_are_answered_with_flags_5_and_8_bytes(void **state)
{
	uint64_t features = VD_BIT(WORKER_F_A) | VD_BIT(WORKER_F_B) | VD_BIT(30) |
			    VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_F_INDIRECT_DESC) |
			    VD_BIT(VD_F_EVENT_IDX) | VD_BIT(VD_F_RING_PACKED) |
			    VD_BIT(VD_F_IN_ORDER) | VD_BIT(VD_F_RING_RESET);

	(void)state;
	connect_with(everything);
	assert_int_equal(u64(VD_VU_GET_FEATURES), features);
	assert_int_equal(u64(VD_VU_GET_PROTOCOL_FEATURES), everything);
	assert_int_equal(u64(VD_VU_GET_QUEUE_NUM), 2);
	assert_int_equal(u64(VD_VU_GET_MAX_MEM_SLOTS), 64);
	assert_int_equal(u64(VD_VU_GET_STATUS), 0);
}

static void protocol_features_can_be_asked_for_first_of_all(void **state)
{
	(void)state;
	vu_rig_connect(&rig);
	assert_int_equal(u64(VD_VU_GET_PROTOCOL_FEATURES), everything);
}

static void an_answer_of_its_own_takes_the_place_of_an_acknowledgement(void **state)
{
	struct vd_vu_state vring = {.index = 1};
	struct fe_message answer;

	(void)state;
	connect_with(everything);
	assert_int_equal(fe_send(&rig.fe, VD_VU_GET_VRING_BASE, VD_VU_VERSION | VD_VU_NEED_REPLY,
				 &vring, sizeof(vring), NULL, 0),
			 0);
	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), 0);
	assert_int_equal(answer.header.flags, 5);
	assert_int_equal(answer.header.size, sizeof(vring));
	assert_memory_equal(answer.payload, &vring, sizeof(vring));
	vu_rig_poll(&rig);
	rig.fe.timeout_ms = 0;
	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), -ETIMEDOUT);
}

static void an_acknowledgement_comes_if_it_was_negotiated_and_asked_for(void **state)
{
	struct fe_message answer;

	(void)state;
	connect_with(everything);
	vu_rig_expect_ack(&rig, VD_VU_SET_OWNER, NULL, 0, NULL, 0, 0);
	rig.fe.timeout_ms = 0;
	assert_int_equal(fe_request(&rig.fe, VD_VU_SET_OWNER, NULL, 0, NULL, 0), 0);
	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), -ETIMEDOUT);
	connect_with(everything & ~VD_BIT(VD_VU_F_REPLY_ACK) &
		     ~VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS));
	assert_int_equal(fe_send(&rig.fe, VD_VU_SET_OWNER, VD_VU_VERSION | VD_VU_NEED_REPLY, NULL,
				 0, NULL, 0),
			 0);
	assert_int_equal(fe_receive(&rig.fe, rig.fe.sock, &answer), -ETIMEDOUT);
	vu_rig_expect_alive(&rig);
}

static void the_acknowledgement_of_acknowledgements_comes_already(void **state)
{
	uint64_t features = VD_BIT(VD_VU_F_REPLY_ACK);

	(void)state;
	vu_rig_connect(&rig);
	vu_rig_expect_ack(&rig, VD_VU_SET_PROTOCOL_FEATURES, &features, 8, NULL, 0, 0);
}

static void everything_can_be_acknowledged(void **state)
{
	(void)state;
	connect_with(everything);
	rig.fe.need_reply = true;
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, rig.fe.features), 0);
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_STATUS, 0), 0);
	assert_int_equal(fe_request(&rig.fe, VD_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	assert_int_equal(fe_request(&rig.fe, VD_VU_RESET_OWNER, NULL, 0, NULL, 0), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_VRING_KICK, 1, 0), 0);
	vu_rig_expect_alive(&rig);
}

/* ---- features ---- */

static void refuses_u64(uint32_t request, uint64_t value, enum vd_fault_code code, uint64_t a,
			uint64_t b)
{
	vu_rig_refuses(&rig, request, &value, sizeof(value), NULL, 0, code, a, b, 0);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		vu_rig_connect(&rig);
		if (u64(VD_VU_GET_FEATURES) & VD_BIT(bit))
			continue;
		refuses_u64(VD_VU_SET_FEATURES, VD_BIT(bit) | VD_BIT(VD_F_VERSION_1),
			    VD_FAULT_FEATURES_UNOFFERED, VD_BIT(bit), 0);
	}
}

/* A notification is an eventfd, which carries no data. */
static void what_the_transport_can_not_carry_is_not_offered(void **state)
{
	(void)state;
	vu_rig_connect(&rig);
	assert_true(rig.worker.dev.offered & VD_BIT(VD_F_NOTIFICATION_DATA));
	assert_false(u64(VD_VU_GET_FEATURES) & VD_BIT(VD_F_NOTIFICATION_DATA));
}

static void features_need_what_they_need(void **state)
{
	(void)state;
	vu_rig_connect(&rig);
	refuses_u64(VD_VU_SET_FEATURES, VD_BIT(WORKER_F_B), VD_FAULT_FEATURES_NEED, WORKER_F_B,
		    WORKER_F_A);
	vu_rig_connect(&rig);
	refuses_u64(VD_VU_SET_FEATURES, VD_BIT(VD_F_RING_PACKED), VD_FAULT_FEATURES_NEED,
		    VD_F_RING_PACKED, VD_F_VERSION_1);
}

static void protocol_features_that_were_not_offered_are_refused(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		if (everything & VD_BIT(bit))
			continue;
		vu_rig_connect(&rig);
		refuses_u64(VD_VU_SET_PROTOCOL_FEATURES, VD_BIT(bit), VD_FAULT_VU_PROTOCOL_FEATURES,
			    VD_BIT(bit), 0);
	}
}

static void in_band_notifications_need_two_others(void **state)
{
	uint64_t inband = VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS);
	uint64_t ack = VD_BIT(VD_VU_F_REPLY_ACK);
	uint64_t req = VD_BIT(VD_VU_F_BACKEND_REQ);

	(void)state;
	vu_rig_connect(&rig);
	refuses_u64(VD_VU_SET_PROTOCOL_FEATURES, inband, VD_FAULT_VU_PROTOCOL_FEATURES, inband, 0);
	vu_rig_connect(&rig);
	refuses_u64(VD_VU_SET_PROTOCOL_FEATURES, inband | ack, VD_FAULT_VU_PROTOCOL_FEATURES,
		    inband | ack, 0);
	vu_rig_connect(&rig);
	refuses_u64(VD_VU_SET_PROTOCOL_FEATURES, inband | req, VD_FAULT_VU_PROTOCOL_FEATURES,
		    inband | req, 0);
	vu_rig_connect(&rig);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_PROTOCOL_FEATURES, inband | req | ack), 0);
	vu_rig_expect_alive(&rig);
}

static void features_are_frozen_while_a_queue_runs(void **state)
{
	uint64_t set = VD_BIT(VD_F_VERSION_1) | VD_BIT(VD_VU_FEATURE_PROTOCOL);

	(void)state;
	vu_rig_run(&rig, VD_BIT(VD_F_VERSION_1), VD_BIT(VD_VU_F_MQ), 1, 16);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, set), 0);
	vu_rig_expect_works(&rig, 0, 1);
	refuses_u64(VD_VU_SET_FEATURES, set | VD_BIT(WORKER_F_A), VD_FAULT_FEATURES_FROZEN,
		    set | VD_BIT(WORKER_F_A), 0);
	vu_rig_run(&rig, VD_BIT(VD_F_VERSION_1), VD_BIT(VD_VU_F_MQ), 1, 16);
	refuses_u64(VD_VU_SET_PROTOCOL_FEATURES, VD_BIT(VD_VU_F_MQ), VD_FAULT_VU_ORDER,
		    VD_VU_SET_PROTOCOL_FEATURES, 0);
}

static void a_device_may_refuse_features_that_are_legal(void **state)
{
	(void)state;
	rig.worker.refuses = true;
	connect_with(VD_BIT(VD_VU_F_MQ));
	assert_int_equal(fe_share(&rig.fe), 0);
	assert_int_equal(fe_queue_make(&rig.fe, 0, 16), 0);
	assert_int_equal(fe_queue_start(&rig.fe, 0), 0);
	vu_rig_expect_fault(&rig, VD_FAULT_FEATURES_REFUSED, VD_BIT(VD_F_VERSION_1), 0, 0);
}

/* ---- values ---- */

static void refuses_state(uint32_t request, uint32_t index, uint32_t num, enum vd_fault_code code,
			  uint64_t a, uint64_t b, uint64_t c)
{
	struct vd_vu_state vring = {.index = index, .num = num};

	connect_with(everything);
	vu_rig_refuses(&rig, request, &vring, sizeof(vring), NULL, 0, code, a, b, c);
}

static void a_queue_must_exist(void **state)
{
	const uint32_t indexes[] = {2, 3, 255, 256, 65536, 0x80000000u, UINT32_MAX};
	const uint32_t by_state[] = {VD_VU_SET_VRING_NUM,    VD_VU_SET_VRING_BASE,
				     VD_VU_GET_VRING_BASE,   VD_VU_SET_VRING_ENABLE,
				     VD_VU_SET_VRING_ENDIAN, VD_VU_VRING_KICK};

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct vd_vu_addr addr = {.index = indexes[i]};

		for (unsigned r = 0; r < 6; r++)
			refuses_state(by_state[r], indexes[i], 1, VD_FAULT_QUEUE_RANGE, indexes[i],
				      2, 0);
		connect_with(everything);
		vu_rig_refuses(&rig, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0,
			       VD_FAULT_QUEUE_RANGE, indexes[i], 2, 0);
	}
}

static void a_bell_must_be_of_a_queue_and_there_or_not(void **state)
{
	const uint32_t by_fd[] = {VD_VU_SET_VRING_KICK, VD_VU_SET_VRING_CALL, VD_VU_SET_VRING_ERR};

	(void)state;
	assert_int_equal(fe_bells_make(&rig.fe, 0, FE_EVENTFD), 0);
	for (unsigned r = 0; r < 3; r++) {
		uint64_t there = 1;
		uint64_t absent = 1 | VD_VU_VRING_NO_FD;
		uint64_t none = 2 | VD_VU_VRING_NO_FD;
		uint64_t odd = 0x200;
		int fd = rig.fe.queues[0].kick.theirs;

		connect_with(everything);
		vu_rig_refuses(&rig, by_fd[r], &there, 8, NULL, 0, VD_FAULT_VU_FDS, by_fd[r], 0, 1);
		connect_with(everything);
		vu_rig_refuses(&rig, by_fd[r], &absent, 8, &fd, 1, VD_FAULT_VU_FDS, by_fd[r], 1, 0);
		connect_with(everything);
		vu_rig_refuses(&rig, by_fd[r], &none, 8, NULL, 0, VD_FAULT_QUEUE_RANGE, 2, 2, 0);
		connect_with(everything);
		vu_rig_refuses(&rig, by_fd[r], &odd, 8, &fd, 1, VD_FAULT_VU_VALUE, by_fd[r], 0x200,
			       0);
	}
}

static void flags_that_nobody_offered_are_refused(void **state)
{
	struct vd_vu_addr logged = {.index = 0, .flags = 1};

	(void)state;
	connect_with(everything);
	vu_rig_refuses(&rig, VD_VU_SET_VRING_ADDR, &logged, sizeof(logged), NULL, 0,
		       VD_FAULT_VU_VALUE, VD_VU_SET_VRING_ADDR, 1, 0);
	refuses_state(VD_VU_SET_VRING_ENABLE, 0, 2, VD_FAULT_VU_VALUE, VD_VU_SET_VRING_ENABLE, 2,
		      0);
	refuses_state(VD_VU_SET_VRING_ENDIAN, 0, 2, VD_FAULT_VU_VALUE, VD_VU_SET_VRING_ENDIAN, 2,
		      0);
	connect_with(everything);
	refuses_u64(VD_VU_SET_STATUS, 0x100, VD_FAULT_VU_VALUE, VD_VU_SET_STATUS, 0x100);
}

static void a_queue_has_from_one_to_its_most_entries(void **state)
{
	const uint32_t sizes[] = {0, 257, 32768, 65536, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		refuses_state(VD_VU_SET_VRING_NUM, 1, sizes[i], VD_FAULT_QUEUE_SIZE, 1, sizes[i],
			      256);
	connect_with(everything);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, 1, 1), 0);
	assert_int_equal(fe_set_state(&rig.fe, VD_VU_SET_VRING_NUM, 1, 256), 0);
	vu_rig_expect_alive(&rig);
}

static void enabling_needs_the_feature_bit_for_it(void **state)
{
	struct vd_vu_state vring = {.index = 0, .num = 1};
	uint64_t version_1 = VD_BIT(VD_F_VERSION_1);

	(void)state;
	vu_rig_connect(&rig);
	assert_int_equal(fe_set_u64(&rig.fe, VD_VU_SET_FEATURES, version_1), 0);
	vu_rig_refuses(&rig, VD_VU_SET_VRING_ENABLE, &vring, sizeof(vring), NULL, 0,
		       VD_FAULT_VU_ORDER, VD_VU_SET_VRING_ENABLE, 0, 0);
}

/* ---- names ---- */

static void requests_and_features_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_REQUESTS; i++)
		assert_non_null(vd_vu_request_name(requests[i].number));
	assert_string_equal(vd_vu_request_name(VD_VU_SET_MEM_TABLE), "SET_MEM_TABLE");
	assert_null(vd_vu_request_name(0));
	assert_null(vd_vu_request_name(46));
	assert_null(vd_vu_request_name(UINT32_MAX));
	for (unsigned bit = 0; bit < 64; bit++)
		assert_true((everything & VD_BIT(bit)) == 0 ||
			    vd_vu_protocol_feature_name(bit) != NULL);
	assert_string_equal(vd_vu_protocol_feature_name(VD_VU_F_STATUS), "STATUS");
	assert_null(vd_vu_protocol_feature_name(20));
	assert_null(vd_vu_protocol_feature_name(UINT32_MAX));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_request_has_its_size),
		TEST(every_request_has_its_number_of_descriptors),
		TEST(a_request_needs_its_protocol_feature),
		TEST(unknown_requests_end_the_connection),
		TEST(numbers_are_answered_with_flags_5_and_8_bytes),
		TEST(protocol_features_can_be_asked_for_first_of_all),
		TEST(an_answer_of_its_own_takes_the_place_of_an_acknowledgement),
		TEST(an_acknowledgement_comes_if_it_was_negotiated_and_asked_for),
		TEST(the_acknowledgement_of_acknowledgements_comes_already),
		TEST(everything_can_be_acknowledged),
		TEST(features_that_were_not_offered_are_refused),
		TEST(what_the_transport_can_not_carry_is_not_offered),
		TEST(features_need_what_they_need),
		TEST(protocol_features_that_were_not_offered_are_refused),
		TEST(in_band_notifications_need_two_others),
		TEST(features_are_frozen_while_a_queue_runs),
		TEST(a_device_may_refuse_features_that_are_legal),
		TEST(a_queue_must_exist),
		TEST(a_bell_must_be_of_a_queue_and_there_or_not),
		TEST(flags_that_nobody_offered_are_refused),
		TEST(a_queue_has_from_one_to_its_most_entries),
		TEST(enabling_needs_the_feature_bit_for_it),
		cmocka_unit_test(requests_and_features_have_names),
	};

	return cmocka_run_group_tests_name("vhost_user_requests", tests, NULL, NULL);
}
