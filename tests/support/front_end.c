/* SPDX-License-Identifier: BSD-3-Clause */
/* A vhost-user front end for tests: see front_end.h. */
#include "front_end.h"

#include "viaduct/virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- life ---- */

int fe_open(struct fe *fe, size_t size)
{
	int err;

	memset(fe, 0, sizeof(*fe));
	fe->sock = -1;
	fe->inflight_fd = -1;
	fe->back = (struct fe_wire){-1, -1};
	fe->timeout_ms = 2000;
	for (unsigned i = 0; i < FE_QUEUES_MAX; i++) {
		fe->queues[i].kick = (struct fe_wire){-1, -1};
		fe->queues[i].call = (struct fe_wire){-1, -1};
		fe->queues[i].err = (struct fe_wire){-1, -1};
	}
	vd_mem_init(&fe->mem, fe->windows, FE_REGIONS_MAX, VD_MEM_LIMIT_64);
	err = fe_region_make(fe, size);
	return err < 0 ? err : 0;
}

void fe_close(struct fe *fe)
{
	fe_disconnect(fe);
	for (unsigned i = 0; i < FE_QUEUES_MAX; i++) {
		fe_bell_close(&fe->queues[i].kick);
		fe_bell_close(&fe->queues[i].call);
		fe_bell_close(&fe->queues[i].err);
		free(fe->queues[i].state);
	}
	for (unsigned i = 0; i < fe->n_regions; i++) {
		munmap(fe->regions[i].local, (size_t)fe->regions[i].desc.size);
		close_fd(&fe->regions[i].fd);
	}
	close_fd(&fe->inflight_fd);
}

int fe_connect_pair(struct fe *fe)
{
	int pair[2];

	fe_disconnect(fe);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	fe->sock = pair[0];
	return pair[1];
}

int fe_connect_path(struct fe *fe, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	fe_disconnect(fe);
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fe->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fe->sock < 0 || connect(fe->sock, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	return 0;
}

void fe_disconnect(struct fe *fe)
{
	close_fd(&fe->sock);
	fe_bell_close(&fe->back);
	fe->protocol_features = 0;
}

/* ---- messages ---- */

int fe_send_bytes(struct fe *fe, const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FE_FDS_MAX)];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	n = sendmsg(fe->sock, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int fe_send(struct fe *fe, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	    const int *fds, unsigned n_fds)
{
	unsigned char bytes[sizeof(struct vd_vu_header) + VD_VU_PAYLOAD_MAX + 8];
	struct vd_vu_header header = {.request = request, .flags = flags, .size = size};
	size_t copied = size < VD_VU_PAYLOAD_MAX + 8 ? size : VD_VU_PAYLOAD_MAX + 8;

	memcpy(bytes, &header, sizeof(header));
	if (payload != NULL)
		memcpy(bytes + sizeof(header), payload, copied);
	else
		memset(bytes + sizeof(header), 0, copied);
	return fe_send_bytes(fe, bytes, sizeof(header) + copied, fds, n_fds);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait until @sock has something, pumping meanwhile. */
static int wait_for(struct fe *fe, int sock)
{
	struct pollfd pollfd = {.fd = sock, .events = POLLIN};
	long deadline = now_ms() + fe->timeout_ms;

	for (;;) {
		if (fe->pump != NULL)
			fe->pump(fe->pump_arg);
		if (poll(&pollfd, 1, fe->pump != NULL ? 0 : fe->timeout_ms) > 0)
			return 0;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
	}
}

static void keep_fds(struct fe_message *message, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && message->n_fds < FE_FDS_MAX; i++)
			memcpy(&message->fds[message->n_fds++], CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
	}
}

/* @len bytes of @sock into @to, and whatever descriptors come with them. */
static int receive_bytes(struct fe *fe, int sock, void *to, size_t len, struct fe_message *message)
{
	size_t got = 0;

	while (got < len) {
		union {
			char bytes[CMSG_SPACE(sizeof(int) * FE_FDS_MAX)];
			struct cmsghdr align;
		} control;
		struct iovec iov = {(char *)to + got, len - got};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes)};
		ssize_t n;
		int err = wait_for(fe, sock);

		if (err != 0)
			return err;
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		keep_fds(message, &msg);
		got += (size_t)n;
	}
	return 0;
}

int fe_receive(struct fe *fe, int sock, struct fe_message *message)
{
	int err;

	message->n_fds = 0;
	err = receive_bytes(fe, sock, &message->header, sizeof(message->header), message);
	if (err != 0)
		return err;
	if (message->header.size > sizeof(message->payload))
		return -EBADMSG;
	return receive_bytes(fe, sock, message->payload, message->header.size, message);
}

static bool is_answer(const struct fe_message *message, uint32_t request, uint32_t size)
{
	return message->header.request == request &&
	       message->header.flags == (VD_VU_VERSION | VD_VU_REPLY) &&
	       message->header.size == size;
}

int fe_request(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	       unsigned n_fds)
{
	bool ack = fe->need_reply && (fe->protocol_features & VD_BIT(VD_VU_F_REPLY_ACK));
	uint32_t flags = VD_VU_VERSION | (ack ? VD_VU_NEED_REPLY : 0);
	struct fe_message answer;
	uint64_t value;
	int err = fe_send(fe, request, flags, payload, size, fds, n_fds);

	if (err != 0 || !ack)
		return err;
	err = fe_receive(fe, fe->sock, &answer);
	if (err != 0)
		return err;
	if (!is_answer(&answer, request, sizeof(value)))
		return -EBADMSG;
	memcpy(&value, answer.payload, sizeof(value));
	return value == 0 ? 0 : -EREMOTEIO;
}

int fe_query(struct fe *fe, uint32_t request, const void *payload, uint32_t size, void *answer,
	     uint32_t answer_size)
{
	struct fe_message message;
	int err = fe_send(fe, request, VD_VU_VERSION, payload, size, NULL, 0);

	if (err == 0)
		err = fe_receive(fe, fe->sock, &message);
	if (err != 0)
		return err;
	if (!is_answer(&message, request, answer_size))
		return -EBADMSG;
	if (answer_size > 0)
		memcpy(answer, message.payload, answer_size);
	return 0;
}

int fe_set_u64(struct fe *fe, uint32_t request, uint64_t value)
{
	return fe_request(fe, request, &value, sizeof(value), NULL, 0);
}

int fe_get_u64(struct fe *fe, uint32_t request, uint64_t *value)
{
	return fe_query(fe, request, NULL, 0, value, sizeof(*value));
}

int fe_set_state(struct fe *fe, uint32_t request, uint32_t index, uint32_t num)
{
	struct vd_vu_state state = {.index = index, .num = num};

	return fe_request(fe, request, &state, sizeof(state), NULL, 0);
}

static int open_back(struct fe *fe)
{
	int err = 0;

	fe_bell_close(&fe->back);
	if (fe->protocol_features & VD_BIT(VD_VU_F_BACKEND_REQ))
		err = fe_bell_make(&fe->back, FE_SOCKET);
	if (err != 0 || fe->back.theirs < 0)
		return err;
	return fe_request(fe, VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &fe->back.theirs, 1);
}

static int negotiate_protocol(struct fe *fe, uint64_t features)
{
	uint64_t offered;
	int err = fe_get_u64(fe, VD_VU_GET_PROTOCOL_FEATURES, &offered);

	if (err == 0)
		err = fe_set_u64(fe, VD_VU_SET_PROTOCOL_FEATURES, features & offered);
	if (err != 0)
		return err;
	fe->protocol_features = features & offered;
	return open_back(fe);
}

int fe_negotiate(struct fe *fe, uint64_t features, uint64_t protocol_features)
{
	int err = fe_request(fe, VD_VU_SET_OWNER, NULL, 0, NULL, 0);

	if (err == 0)
		err = fe_get_u64(fe, VD_VU_GET_FEATURES, &fe->offered);
	if (err == 0 && protocol_features != 0)
		err = negotiate_protocol(fe, protocol_features);
	fe->features = features & fe->offered;
	if (protocol_features != 0)
		fe->features |= VD_BIT(VD_VU_FEATURE_PROTOCOL);
	return err == 0 ? fe_set_u64(fe, VD_VU_SET_FEATURES, fe->features) : err;
}

/* ---- memory ---- */

static int map_region(struct fe_region *region, size_t size)
{
	region->fd = memfd_create("front-end", MFD_CLOEXEC);
	if (region->fd < 0 || ftruncate(region->fd, (off_t)size) != 0)
		return -errno;
	region->local = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	return region->local != MAP_FAILED ? 0 : -errno;
}

int fe_region_make(struct fe *fe, size_t size)
{
	unsigned n = fe->n_regions;
	struct fe_region *region = &fe->regions[n];
	struct vd_window window;
	int err;

	if (n == FE_REGIONS_MAX)
		return -ENOSPC;
	err = map_region(region, size);
	if (err != 0)
		return err;
	region->desc = (struct vd_vu_region_desc){
		.guest_addr = FE_GUEST + n * FE_STEP,
		.size = size,
		.user_addr = FE_USER + n * FE_STEP,
	};
	window = (struct vd_window){.peer = region->desc.guest_addr,
				    .size = size,
				    .local = region->local,
				    .rights = VD_MEM_RW};
	err = vd_mem_add(&fe->mem, &window);
	fe->n_regions++;
	return err != 0 ? err : (int)n;
}

void *fe_alloc(struct fe *fe, size_t size, size_t align)
{
	size_t at = (fe->taken + align - 1) / align * align;

	if (at + size > fe->regions[0].desc.size)
		return NULL;
	fe->taken = at + size;
	return memset(fe->regions[0].local + at, 0, size);
}

static const struct fe_region *region_of(const struct fe *fe, const void *local)
{
	for (unsigned i = 0; i < fe->n_regions; i++) {
		uintptr_t offset = (uintptr_t)local - (uintptr_t)fe->regions[i].local;

		if (offset < fe->regions[i].desc.size)
			return &fe->regions[i];
	}
	abort();
}

uint64_t fe_guest(const struct fe *fe, const void *local)
{
	const struct fe_region *region = region_of(fe, local);

	return region->desc.guest_addr + ((uintptr_t)local - (uintptr_t)region->local);
}

uint64_t fe_user(const struct fe *fe, const void *local)
{
	const struct fe_region *region = region_of(fe, local);

	return region->desc.user_addr + ((uintptr_t)local - (uintptr_t)region->local);
}

int fe_share_some(struct fe *fe, unsigned n)
{
	struct vd_vu_mem_table table = {.count = n};
	int fds[VD_VU_FDS_MAX];

	if (n > VD_VU_FDS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		table.region[i] = fe->regions[i].desc;
		fds[i] = fe->regions[i].fd;
	}
	return fe_request(fe, VD_VU_SET_MEM_TABLE, &table,
			  (uint32_t)(8 + n * sizeof(table.region[0])), fds, n);
}

int fe_share(struct fe *fe)
{
	return fe_share_some(fe, fe->n_regions);
}

int fe_region_add(struct fe *fe, unsigned region)
{
	struct vd_vu_mem_reg message = {.region = fe->regions[region].desc};

	return fe_request(fe, VD_VU_ADD_MEM_REG, &message, sizeof(message), &fe->regions[region].fd,
			  1);
}

int fe_region_remove(struct fe *fe, unsigned region)
{
	struct vd_vu_mem_reg message = {.region = fe->regions[region].desc};

	return fe_request(fe, VD_VU_REM_MEM_REG, &message, sizeof(message), NULL, 0);
}

/* ---- in-flight region ---- */

int fe_inflight_get(struct fe *fe, uint16_t n, uint16_t size)
{
	struct vd_vu_inflight_desc desc = {.num_queues = n, .queue_size = size};
	struct fe_message answer;
	int err = fe_send(fe, VD_VU_GET_INFLIGHT_FD, VD_VU_VERSION, &desc, sizeof(desc), NULL, 0);

	if (err == 0)
		err = fe_receive(fe, fe->sock, &answer);
	if (err != 0)
		return err;
	if (!is_answer(&answer, VD_VU_GET_INFLIGHT_FD, sizeof(desc)) || answer.n_fds != 1)
		return -EBADMSG;
	memcpy(&fe->inflight, answer.payload, sizeof(fe->inflight));
	close_fd(&fe->inflight_fd);
	fe->inflight_fd = answer.fds[0];
	return 0;
}

int fe_inflight_set(struct fe *fe)
{
	return fe_request(fe, VD_VU_SET_INFLIGHT_FD, &fe->inflight, sizeof(fe->inflight),
			  &fe->inflight_fd, 1);
}

/* ---- bells ---- */

static int make_eventfd(struct fe_wire *wire)
{
	wire->ours = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wire->theirs = wire->ours >= 0 ? fcntl(wire->ours, F_DUPFD_CLOEXEC, 0) : -1;
	return wire->theirs >= 0 ? 0 : -errno;
}

int fe_bell_make(struct fe_wire *wire, enum fe_bell bell)
{
	int pair[2];

	*wire = (struct fe_wire){-1, -1};
	switch (bell) {
	case FE_EVENTFD:
		return make_eventfd(wire);
	case FE_SOCKET:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
			return -errno;
		*wire = (struct fe_wire){.ours = pair[0], .theirs = pair[1]};
		return 0;
	default:
		return 0;
	}
}

/* A pipe has a direction. */
static int make_bell(struct fe_wire *wire, enum fe_bell bell, bool we_write)
{
	int pair[2];

	if (bell != FE_PIPE)
		return fe_bell_make(wire, bell);
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	*wire = (struct fe_wire){.ours = pair[we_write], .theirs = pair[!we_write]};
	return 0;
}

void fe_bell_close(struct fe_wire *wire)
{
	close_fd(&wire->ours);
	close_fd(&wire->theirs);
}

int fe_bells_make(struct fe *fe, unsigned index, enum fe_bell bell)
{
	struct fe_queue *queue = &fe->queues[index];
	int err;

	fe_bell_close(&queue->kick);
	fe_bell_close(&queue->call);
	fe_bell_close(&queue->err);
	err = make_bell(&queue->kick, bell, true);
	if (err == 0)
		err = make_bell(&queue->call, bell, false);
	if (err == 0)
		err = make_bell(&queue->err, bell, false);
	queue->bell = bell;
	return err;
}

/* The other side may be as slow as it likes: a bell that can't be rung rings already. */
static void ring(int fd)
{
	const uint64_t one = 1;
	ssize_t n = send(fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(fd, &one, sizeof(one));
	(void)n;
}

bool fe_bell_rang(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	bool rang = false;
	uint64_t value;

	while (poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLIN) &&
	       read(fd, &value, sizeof(value)) > 0)
		rang = true;
	return rang;
}

/* ---- queues ---- */

static bool is_packed(const struct fe *fe)
{
	return fe->features & VD_BIT(VD_F_RING_PACKED);
}

static int place_ring(struct fe *fe, struct fe_queue *queue, uint16_t size)
{
	enum vd_ring_layout layout = is_packed(fe) ? VD_RING_PACKED : VD_RING_SPLIT;
	size_t bytes = vd_ring_place(layout, size, NULL, NULL);
	void *at = fe_alloc(fe, bytes, 64);

	if (bytes == 0 || at == NULL)
		return -ENOMEM;
	queue->size = size;
	(void)vd_ring_place(layout, size, at, &queue->ring);
	return 0;
}

int fe_queue_make(struct fe *fe, unsigned index, uint16_t size)
{
	struct fe_queue *queue = &fe->queues[index];
	const struct vd_vq_drv_ops *layout = is_packed(fe) ? &vd_packed_drv : &vd_split_drv;
	struct vd_vq_drv_config config;
	int err = place_ring(fe, queue, size);

	if (err != 0)
		return err;
	free(queue->state);
	queue->state_size = vd_vq_drv_state_size(layout, size);
	queue->state = malloc(queue->state_size);
	queue->base = is_packed(fe) ? 0x80008000u : 0;
	config = (struct vd_vq_drv_config){
		.layout = layout,
		.size = size,
		.features = fe->features,
		.ring = queue->ring,
		.mem = &fe->mem,
		.state = queue->state,
		.state_size = queue->state_size,
	};
	err = queue->state != NULL ? vd_vq_drv_init(&queue->vq, &config) : -ENOMEM;
	if (err == 0 && queue->kick.ours < 0)
		err = fe_bells_make(fe, index, queue->bell);
	return err;
}

struct vd_vu_addr fe_queue_addr(const struct fe *fe, unsigned index)
{
	const struct fe_queue *queue = &fe->queues[index];

	return (struct vd_vu_addr){
		.index = index,
		.desc = fe_user(fe, queue->ring.desc),
		.avail = fe_user(fe, queue->ring.driver),
		.used = fe_user(fe, queue->ring.device),
		.log = UINT64_MAX,
	};
}

int fe_set_bell(struct fe *fe, uint32_t request, unsigned index, int fd)
{
	uint64_t value = index | (fd < 0 ? VD_VU_VRING_NO_FD : 0);

	return fe_request(fe, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

int fe_queue_start(struct fe *fe, unsigned index)
{
	struct fe_queue *queue = &fe->queues[index];
	struct vd_vu_addr addr = fe_queue_addr(fe, index);
	int err = fe_set_state(fe, VD_VU_SET_VRING_NUM, index, queue->size);

	if (err == 0)
		err = fe_set_state(fe, VD_VU_SET_VRING_BASE, index, queue->base);
	if (err == 0)
		err = fe_request(fe, VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (err == 0)
		err = fe_set_bell(fe, VD_VU_SET_VRING_CALL, index, queue->call.theirs);
	if (err == 0)
		err = fe_set_bell(fe, VD_VU_SET_VRING_ERR, index, queue->err.theirs);
	if (err == 0)
		err = fe_set_bell(fe, VD_VU_SET_VRING_KICK, index, queue->kick.theirs);
	if (err == 0 && (fe->features & VD_BIT(VD_VU_FEATURE_PROTOCOL)))
		err = fe_set_state(fe, VD_VU_SET_VRING_ENABLE, index, 1);
	return err;
}

int fe_queue_stop(struct fe *fe, unsigned index)
{
	struct vd_vu_state state = {.index = index};
	int err = fe_query(fe, VD_VU_GET_VRING_BASE, &state, sizeof(state), &state, sizeof(state));

	if (err == 0)
		fe->queues[index].base = state.num;
	return err;
}

int fe_add(struct fe *fe, unsigned index, void *out, size_t out_len, void *in, size_t in_len,
	   void *token)
{
	const struct vd_iov segments[2] = {{out, out_len}, {in, in_len}};
	unsigned n_out = out_len > 0;
	unsigned n_in = in_len > 0;

	return vd_vq_drv_add(&fe->queues[index].vq, segments + !n_out, n_out, n_in, token);
}

int fe_kick(struct fe *fe, unsigned index)
{
	struct fe_queue *queue = &fe->queues[index];
	struct vd_vu_state state = {.index = index};

	(void)vd_vq_drv_kick(&queue->vq);
	if (queue->kick.ours >= 0)
		ring(queue->kick.ours);
	else if (fe->protocol_features & VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS))
		return fe_request(fe, VD_VU_VRING_KICK, &state, sizeof(state), NULL, 0);
	return 0;
}

bool fe_called(struct fe *fe, unsigned index)
{
	return fe_bell_rang(fe->queues[index].call.ours);
}
