/* SPDX-License-Identifier: BSD-3-Clause */
/* See front_end_rig.h. */
#include "front_end_rig.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

unsigned vu_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

unsigned vu_count_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	char rights[8];
	unsigned n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%*s %7s", rights) == 1 && rights[3] == 's')
			n++;
	(void)fclose(maps);
	return n;
}

static void pump(void *arg)
{
	vu_rig_poll(arg);
}

static void trace(struct vd_vu_backend *backend, uint32_t request, uint32_t flags,
		  const void *payload, uint32_t size, unsigned n_fds)
{
	struct vu_rig *rig = vd_vu_backend_config(backend)->owner;

	(void)request;
	(void)flags;
	(void)payload;
	(void)size;
	(void)n_fds;
	rig->traced++;
}

void vu_rig_open(struct vu_rig *rig, const struct vu_rig_options *options)
{
	static const struct vu_rig_options none;
	struct vd_vu_backend_config config = {
		.dev = &rig->worker.dev, .owner = rig, .trace = trace};

	if (options == NULL)
		options = &none;
	memset(rig, 0, sizeof(*rig));
	rig->fds_before = vu_count_fds();
	rig->maps_before = vu_count_maps();
	config.protocol_features = options->protocol_features != 0 ? options->protocol_features
								   : VD_VU_PROTOCOL_DEFAULT;
	assert_int_equal(worker_init(&rig->worker, &options->worker), 0);
	assert_int_equal(vd_vu_backend_create(&rig->backend, &config), 0);
	assert_int_equal(fe_open(&rig->fe, RIG_MEMORY), 0);
	rig->fe.pump = pump;
	rig->fe.pump_arg = rig;
}

void vu_rig_close(struct vu_rig *rig)
{
	vd_vu_backend_destroy(rig->backend);
	worker_free(&rig->worker);
	fe_close(&rig->fe);
	assert_int_equal(vu_count_fds(), rig->fds_before);
	assert_int_equal(vu_count_maps(), rig->maps_before);
}

void vu_rig_connect(struct vu_rig *rig)
{
	vd_vu_backend_disconnect(rig->backend);
	rig->ended = 0;
	assert_int_equal(vd_vu_backend_connect(rig->backend, fe_connect_pair(&rig->fe)), 0);
}

void vu_rig_negotiate(struct vu_rig *rig, uint64_t features, uint64_t protocol_features)
{
	vu_rig_connect(rig);
	assert_int_equal(fe_negotiate(&rig->fe, features, protocol_features), 0);
	assert_int_equal(rig->fe.features & ~VD_BIT(VD_VU_FEATURE_PROTOCOL), features);
	assert_int_equal(rig->fe.protocol_features, protocol_features);
}

void vu_rig_run(struct vu_rig *rig, uint64_t features, uint64_t protocol_features, unsigned n,
		uint16_t size)
{
	vu_rig_negotiate(rig, features, protocol_features);
	assert_int_equal(fe_share(&rig->fe), 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(fe_queue_make(&rig->fe, i, size), 0);
		assert_int_equal(fe_queue_start(&rig->fe, i), 0);
		vu_rig_poll(rig);
	}
	assert_int_equal(rig->ended, 0);
}

void vu_rig_poll(struct vu_rig *rig)
{
	struct pollfd pollfd = {.fd = vd_vu_backend_fd(rig->backend), .events = POLLIN};
	unsigned most = rig->never_rests ? 10 : 1000;

	while (poll(&pollfd, 1, 0) == 1 && most-- > 0) {
		int err = vd_vu_backend_poll(rig->backend);

		if (err != 0 && rig->ended == 0)
			rig->ended = err;
		if (err != 0)
			break;
	}
	/* A back end that has nothing to do must say so. */
	if (!rig->never_rests)
		assert_int_equal(poll(&pollfd, 1, 0), 0);
}

void vu_rig_expect_alive(struct vu_rig *rig)
{
	uint64_t features;

	vu_rig_poll(rig);
	assert_int_equal(rig->ended, 0);
	assert_int_equal(fe_get_u64(&rig->fe, VD_VU_GET_FEATURES, &features), 0);
	assert_true(vd_vu_backend_is_connected(rig->backend));
}

void vu_rig_expect_ended(struct vu_rig *rig, int err)
{
	vu_rig_poll(rig);
	assert_int_equal(rig->ended, err);
	assert_false(vd_vu_backend_is_connected(rig->backend));
	assert_int_equal(vd_device_status(&rig->worker.dev), 0);
}

void vu_rig_expect_fault(struct vu_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			 uint64_t c)
{
	const struct vd_fault *fault = vd_vu_backend_fault(rig->backend);

	vu_rig_expect_ended(rig, -EPROTO);
	assert_string_equal(vd_fault_name(fault->code), vd_fault_name(code));
	assert_int_equal(fault->value[0], a);
	assert_int_equal(fault->value[1], b);
	assert_int_equal(fault->value[2], c);
}

void vu_rig_refuses(struct vu_rig *rig, uint32_t request, const void *payload, uint32_t size,
		    const int *fds, unsigned n_fds, enum vd_fault_code code, uint64_t a, uint64_t b,
		    uint64_t c)
{
	assert_int_equal(fe_send(&rig->fe, request, VD_VU_VERSION, payload, size, fds, n_fds), 0);
	vu_rig_expect_fault(rig, code, a, b, c);
}

void vu_rig_expect_ack(struct vu_rig *rig, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned n_fds, uint64_t value)
{
	struct fe_message answer;
	uint64_t said;

	assert_int_equal(fe_send(&rig->fe, request, VD_VU_VERSION | VD_VU_NEED_REPLY, payload, size,
				 fds, n_fds),
			 0);
	assert_int_equal(fe_receive(&rig->fe, rig->fe.sock, &answer), 0);
	assert_int_equal(answer.header.request, request);
	assert_int_equal(answer.header.flags, VD_VU_VERSION | VD_VU_REPLY);
	assert_int_equal(answer.header.size, sizeof(said));
	assert_int_equal(answer.n_fds, 0);
	memcpy(&said, answer.payload, sizeof(said));
	assert_int_equal(said, value);
}

/* ---- requests to the worker ---- */

struct exchange {
	uint32_t question;
	uint32_t answer;
};

void vu_rig_ask(struct vu_rig *rig, unsigned index, uint32_t number)
{
	struct exchange *exchange = fe_alloc(&rig->fe, sizeof(*exchange), 8);

	assert_non_null(exchange);
	exchange->question = number;
	assert_int_equal(
		fe_add(&rig->fe, index, &exchange->question, 4, &exchange->answer, 4, exchange), 0);
	assert_int_equal(fe_kick(&rig->fe, index), 0);
}

void vu_rig_expect_answer(struct vu_rig *rig, unsigned index, uint32_t number)
{
	const struct exchange *exchange;
	struct vd_used used;

	assert_int_equal(vd_vq_drv_get(&rig->fe.queues[index].vq, &used), 1);
	exchange = used.token;
	assert_int_equal(used.len, 4);
	assert_int_equal(exchange->question, number);
	assert_int_equal(exchange->answer, worker_answer(number));
}

void vu_rig_expect_silence(struct vu_rig *rig, unsigned index)
{
	struct vd_used used;

	assert_int_equal(vd_vq_drv_get(&rig->fe.queues[index].vq, &used), 0);
}

void vu_rig_expect_works(struct vu_rig *rig, unsigned index, uint32_t number)
{
	vu_rig_ask(rig, index, number);
	vu_rig_poll(rig);
	assert_int_equal(rig->ended, 0);
	vu_rig_expect_answer(rig, index, number);
}
