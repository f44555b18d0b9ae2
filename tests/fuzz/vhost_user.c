/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user back end against a front end that is the input: it sends requests that are almost
 * right, messages that are none, descriptors of every kind, fills rings, rings bells, takes memory
 * away, and hangs up. Whatever it did, it leaves nothing behind, and the next front end is served.
 */
#include "front_end_rpmsg.h"
#include "front_end_worker.h"
#include "ring/packed.h"
#include "ring_fuzz.h"
#include "transport/vhost_user/backend.h"
#include "viaduct/errno.h"
#include "viaduct/linux.h"
#include "viaduct/rpmsg_remote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUES                2u
#define QUEUE_MAX             16u
#define MAIN_BYTES            0x8000u
#define RING_BYTES            0x1000u /* of the main file, for each queue */
#define BUFFERS               0x4000u /* where those are in it */
#define V1                    VD_BIT(VD_F_VERSION_1)
#define ALL_PROTOCOL_FEATURES (VD_VU_PROTOCOL_DEFAULT | VD_BIT(VD_VU_F_INBAND_NOTIFICATIONS))

/* How often mappings are counted, which takes as long as some inputs. */
#define INPUTS_PER_CENSUS 512

static struct program program;

/* A value that is what it should be, mostly. */
static uint64_t near(uint64_t good)
{
	uint8_t how = next_byte(&program);

	if (how < 0xd0)
		return good;
	if (how < 0xe8)
		return good + (uint64_t)(int64_t)(int8_t)next_byte(&program);
	if (how < 0xf0)
		return good ^ UINT64_C(1) << (next_byte(&program) % 64);
	if (how < 0xf8)
		return next_u32(&program);
	return UINT64_MAX - (how & 7u) * 0x800u;
}

/* ---- under test ---- */

enum {
	WORKER,
	HOLDER,
	REMOTE,
	N_DEVICES,
};

static struct worker workers[2];
static struct vd_rpmsg_remote remote;
static struct vd_rpmsg_ept ept;
static struct vd_vu_backend *backends[N_DEVICES];
static struct vd_vu_backend *backend; /* the one that has its turn */

static enum vd_rpmsg_verdict echo(struct vd_rpmsg_ept *at, const struct vd_rpmsg_msg *msg)
{
	(void)vd_rpmsg_trysendto(at, msg->data, msg->len, msg->src);
	return VD_RPMSG_RELEASE;
}

static struct vd_device *make_remote(void)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	size_t size;
	void *memory;

	config.queue_size = QUEUE_MAX;
	size = vd_rpmsg_remote_memory(&config);
	memory = calloc(1, size);
	MUST(memory != NULL && vd_rpmsg_remote_init(&remote, &config, memory, size) == 0);
	MUST(vd_rpmsg_create_ept(&remote.link, &ept, "echo", 7, VD_RPMSG_ADDR_ANY, echo, 0) == 0);
	return &remote.dev;
}

static void make_backends(void)
{
	static const struct worker_config configs[2] = {
		{.n_queues = QUEUES, .size_max = QUEUE_MAX},
		{.n_queues = QUEUES,
		 .size_max = QUEUE_MAX,
		 .suspends = true,
		 .hold = 2,
		 .at_once = 3,
		 .order = WORKER_RANDOM},
	};
	struct vd_device *devices[N_DEVICES] = {&workers[0].dev, &workers[1].dev, make_remote()};

	for (unsigned i = 0; i < 2; i++)
		MUST(worker_init(&workers[i], &configs[i]) == 0);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		struct vd_vu_backend_config config = {.dev = devices[i],
						      .protocol_features = ALL_PROTOCOL_FEATURES};

		MUST(vd_vu_backend_create(&backends[i], &config) == 0);
	}
}

/* ---- what can be sent beside a message ---- */

enum file {
	F_MAIN,
	F_MORE,
	F_SMALL,
	F_EMPTY,
	F_INFLIGHT,
	F_READ_ONLY,
	F_EVENT,
	F_SOCKET,
	F_DATAGRAM,
	F_PIPE_OUT,
	F_PIPE_IN,
	F_NULL,
	F_ZERO,
	F_EPOLL,
	N_FILES,
	N_MEMORIES = F_READ_ONLY, /* those in front of it can be cut */
};

static const uint32_t memory_bytes[N_MEMORIES] = {MAIN_BYTES, 0x3000, 0x1000, 0, 0x2000};

/* [0]: sent; [1]: ours, or -1. */
static int files[N_FILES][2];
static uint64_t sizes[N_MEMORIES];
static bool used[N_FILES]; /* since it was made */
static struct vd_vu_inflight_desc inflight;

static int make_memory(uint64_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static int make_read_only(void)
{
	int fd = make_memory(0x2000);

	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0);
	return fd;
}

static void swap(int pair[2])
{
	int first = pair[0];

	pair[0] = pair[1];
	pair[1] = first;
}

/* A few messages fill it. */
static void make_socket(int type, int pair[2])
{
	int small = 1;

	MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
}

static void make_file(enum file file)
{
	int *pair = files[file];

	pair[1] = -1;
	switch (file) {
	case F_READ_ONLY:
		pair[0] = make_read_only();
		break;
	case F_EVENT:
		pair[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		break;
	case F_SOCKET:
	case F_DATAGRAM:
		make_socket(file == F_SOCKET ? SOCK_STREAM : SOCK_DGRAM, pair);
		break;
	case F_PIPE_OUT:
		MUST(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
		break;
	case F_PIPE_IN:
		MUST(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
		swap(pair);
		break;
	case F_NULL:
	case F_ZERO:
		pair[0] = open(file == F_NULL ? "/dev/null" : "/dev/zero", O_RDWR | O_CLOEXEC);
		break;
	case F_EPOLL:
		pair[0] = epoll_create1(EPOLL_CLOEXEC);
		break;
	default:
		sizes[file] = memory_bytes[file];
		pair[0] = make_memory(memory_bytes[file]);
		break;
	}
	MUST(pair[0] >= 0);
	used[file] = false;
}

static void close_file(enum file file)
{
	close(files[file][0]);
	if (files[file][1] >= 0)
		close(files[file][1]);
}

static void remake_file(enum file file)
{
	close_file(file);
	make_file(file);
}

static int take_file(enum file file)
{
	used[file] = true;
	return files[file][0];
}

/* By write(): a mapping of a file that was cut would kill us. */
static void put(enum file file, uint64_t offset, const void *bytes, size_t len)
{
	if (offset > sizes[file] || len > sizes[file] - offset)
		return;
	used[file] = true;
	(void)!pwrite(files[file][0], bytes, len, (off_t)offset);
}

static void cut(enum file file, uint64_t size)
{
	used[file] = true;
	if (ftruncate(files[file][0], (off_t)size) == 0)
		sizes[file] = size;
}

/* ---- the connection ---- */

static int sock = -1;

static void hang_up(void)
{
	if (sock >= 0)
		close(sock);
	sock = -1;
}

static void dial(void)
{
	int pair[2];

	if (sock >= 0)
		return;
	/* It hears of the end of the one before when it is polled. */
	(void)vd_vu_backend_poll(backend);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	sock = pair[0];
	(void)vd_vu_backend_connect(backend, pair[1]);
}

/* The record the back end made: its answer ends with the piece that brings it. */
static void keep_inflight(int fd, const unsigned char *end)
{
	struct stat st;

	close_file(F_INFLIGHT);
	memcpy(&inflight, end - sizeof(inflight), sizeof(inflight));
	files[F_INFLIGHT][0] = fd;
	MUST(fstat(fd, &st) == 0 && inflight.mmap_size <= (uint64_t)st.st_size);
	sizes[F_INFLIGHT] = (uint64_t)st.st_size;
	used[F_INFLIGHT] = true;
}

static bool hear(void)
{
	unsigned char bytes[4096];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	int fd;

	if (n <= 0)
		return false;
	if (CMSG_FIRSTHDR(&msg) != NULL) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		MUST((size_t)n >= sizeof(inflight));
		keep_inflight(fd, bytes + n);
	}
	return true;
}

static void poll_backend(void)
{
	int err = vd_vu_backend_poll(backend);

	MUST((err == 0) == vd_vu_backend_is_connected(backend));
	if (err == -VD_EPROTO)
		MUST(vd_vu_backend_fault(backend)->code != VD_FAULT_NONE);
	while (sock >= 0 && hear())
		;
}

static void send_bytes(const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FE_FDS_MAX)];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

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
	if (sock >= 0)
		(void)sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void send_message(uint32_t request, const void *payload, size_t size, const int *fds,
			 unsigned n_fds)
{
	unsigned char bytes[sizeof(struct vd_vu_header) + 512] = {0};
	struct vd_vu_header header = {.request = request,
				      .flags = VD_VU_VERSION |
					       (next_byte(&program) & 1 ? VD_VU_NEED_REPLY : 0),
				      .size = (uint32_t)size};

	memcpy(bytes, &header, sizeof(header));
	if (size > 0)
		memcpy(bytes + sizeof(header), payload, size);
	send_bytes(bytes, sizeof(header) + size, fds, n_fds);
}

/* ---- requests that are almost right ---- */

/* Of all queues: what the input said last. */
static uint16_t ring_size;
static uint64_t features;
static bool packed;

/* Everything is to be as it was in the connection before. */
static bool again;

static uint8_t next_queue(void)
{
	return next_below(&program, QUEUES);
}

static void send_u64(uint32_t request, uint64_t value)
{
	value = near(value);
	send_message(request, &value, sizeof(value), NULL, 0);
}

static void send_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vd_vu_state state = {.index = (uint32_t)near(index), .num = (uint32_t)near(num)};

	send_message(request, &state, sizeof(state), NULL, 0);
}

static void send_features(void)
{
	static const uint64_t choices[] = {
		V1,
		V1 | VD_BIT(VD_F_EVENT_IDX),
		V1 | VD_BIT(VD_F_IN_ORDER),
		V1 | VD_BIT(VD_F_INDIRECT_DESC),
		0,
		V1 | VD_BIT(VD_F_RING_PACKED),
		V1 | VD_BIT(VD_F_RING_PACKED) | VD_BIT(VD_F_IN_ORDER),
		V1 | VD_BIT(VD_F_RING_PACKED) | VD_BIT(VD_F_EVENT_IDX) | VD_BIT(VD_F_INDIRECT_DESC),
	};
	uint8_t byte = again ? 0 : next_byte(&program);

	if (!again)
		features = choices[byte % 8] | (byte & 8 ? 0 : VD_BIT(VD_VU_FEATURE_PROTOCOL));
	packed = features & VD_BIT(VD_F_RING_PACKED);
	send_u64(VD_VU_SET_FEATURES, features);
}

static void send_protocol_features(void)
{
	static const uint64_t choices[] = {
		ALL_PROTOCOL_FEATURES & ~VD_BIT(VD_VU_F_STATUS),
		ALL_PROTOCOL_FEATURES,
		VD_VU_PROTOCOL_DEFAULT & ~VD_BIT(VD_VU_F_STATUS),
		VD_BIT(VD_VU_F_INFLIGHT_SHMFD) | VD_BIT(VD_VU_F_CONFIGURE_MEM_SLOTS),
	};

	send_u64(VD_VU_SET_PROTOCOL_FEATURES, choices[again ? 0 : next_below(&program, 4)]);
}

static void send_status(void)
{
	static const uint8_t choices[] = {15, 0, 1, 3, 11, 0x80, 15, 0x4f};

	send_u64(VD_VU_SET_STATUS, choices[next_below(&program, 8)]);
}

/* Part @n of memory: the main file whole, the others behind it. */
static struct vd_vu_region_desc next_region(unsigned n)
{
	struct vd_vu_region_desc region = {
		.guest_addr = near(FE_GUEST + n * FE_STEP),
		.size = near(n < N_MEMORIES ? memory_bytes[n] : 0x1000),
		.user_addr = near(FE_USER + n * FE_STEP),
		.offset = near(0),
	};

	return region;
}

static enum file next_file(enum file good)
{
	uint8_t byte = next_byte(&program);

	return byte < 0xe0 ? good : (enum file)(byte % N_FILES);
}

static void send_table(void)
{
	unsigned n = 1 + next_byte(&program) % 3u;
	struct vd_vu_mem_table table = {.count = (uint32_t)near(n)};
	int fds[3];

	for (unsigned i = 0; i < n; i++) {
		table.region[i] = next_region(i);
		fds[i] = take_file(next_file((enum file)i));
	}
	send_message(VD_VU_SET_MEM_TABLE, &table, 8 + n * sizeof(table.region[0]), fds,
		     (unsigned)near(n) % 4);
}

static void send_region(uint32_t request)
{
	unsigned n = next_byte(&program) % 4u;
	struct vd_vu_mem_reg message = {.region = next_region(n)};
	int fd = take_file(next_file((enum file)n));

	send_message(request, &message, sizeof(message), &fd, request == VD_VU_ADD_MEM_REG);
}

static void send_addr(uint32_t index)
{
	uint64_t base = FE_USER + index * RING_BYTES;
	struct vd_vu_addr addr = {
		.index = index,
		.flags = (uint32_t)near(0),
		.desc = near(base),
		.avail = near(base + 0x400),
		.used = near(base + 0x800),
	};

	send_message(VD_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

static void send_num(uint32_t index)
{
	static const uint16_t choices[] = {4, 8, 16, 2, 1, 3, 7, 4};

	if (!again)
		ring_size = choices[next_below(&program, 8)];
	send_state(VD_VU_SET_VRING_NUM, index, ring_size);
}

static void send_bell(uint32_t request, uint32_t index)
{
	static const enum file choices[] = {F_EVENT,   F_SOCKET, F_DATAGRAM, F_PIPE_OUT,
					    F_PIPE_IN, F_EVENT,  F_EPOLL,    F_NULL};
	uint8_t how = next_byte(&program);
	int fd = take_file(next_file(choices[how % 8]));
	bool none = how >= 0xe0;
	uint64_t value = near(index | (none ? VD_VU_VRING_NO_FD : 0u));

	send_message(request, &value, sizeof(value), &fd, !none);
}

static void send_config(uint32_t request)
{
	unsigned char bytes[sizeof(struct vd_vu_config) + 64] = {0};
	uint32_t size = next_byte(&program) % 33u;
	struct vd_vu_config config = {.offset = (uint32_t)near(next_byte(&program) % 16u),
				      .size = (uint32_t)near(size),
				      .flags = (uint32_t)near(0)};

	memcpy(bytes, &config, sizeof(config));
	memset(bytes + sizeof(config), next_byte(&program), size);
	send_message(request, bytes, sizeof(config) + size, NULL, 0);
}

static void ask_for_inflight(void)
{
	struct vd_vu_inflight_desc desc = {.num_queues = (uint16_t)near(QUEUES),
					   .queue_size = (uint16_t)near(QUEUE_MAX)};

	send_message(VD_VU_GET_INFLIGHT_FD, &desc, sizeof(desc), NULL, 0);
}

static void give_inflight(void)
{
	struct vd_vu_inflight_desc desc = {.mmap_size = near(inflight.mmap_size),
					   .mmap_offset = near(0),
					   .num_queues = (uint16_t)near(inflight.num_queues),
					   .queue_size = (uint16_t)near(inflight.queue_size)};
	int fd = take_file(next_file(F_INFLIGHT));

	send_message(VD_VU_SET_INFLIGHT_FD, &desc, sizeof(desc), &fd, 1);
}

static void give_backend_req(void)
{
	int fd = take_file(next_file(F_SOCKET));

	send_message(VD_VU_SET_BACKEND_REQ_FD, NULL, 0, &fd, 1);
}

static void send_base(uint32_t index)
{
	send_state(VD_VU_SET_VRING_BASE, index, packed ? 0x80008000u : 0);
}

static void send_plain(void)
{
	static const uint8_t requests[] = {
		VD_VU_GET_FEATURES,  VD_VU_SET_OWNER,    VD_VU_RESET_OWNER,       VD_VU_GET_STATUS,
		VD_VU_GET_QUEUE_NUM, VD_VU_RESET_DEVICE, VD_VU_GET_MAX_MEM_SLOTS, VD_VU_SET_LOG_FD,
	};

	send_message(requests[next_below(&program, 8)], NULL, 0, NULL, 0);
}

static void do_request(void)
{
	uint8_t which = next_below(&program, 22);
	uint32_t index = next_queue();

	switch (which) {
	case 0:
		return send_features();
	case 1:
		return send_protocol_features();
	case 2:
		return send_status();
	case 3:
		return send_table();
	case 4:
		return send_region(VD_VU_ADD_MEM_REG);
	case 5:
		return send_region(VD_VU_REM_MEM_REG);
	case 6:
		return send_addr(index);
	case 7:
		return send_num(index);
	case 8:
		return send_base(index);
	case 9:
		return send_bell(VD_VU_SET_VRING_KICK, index);
	case 10:
		return send_bell(VD_VU_SET_VRING_CALL, index);
	case 11:
		return send_bell(VD_VU_SET_VRING_ERR, index);
	case 12:
		return send_state(VD_VU_SET_VRING_ENABLE, index, next_byte(&program) & 1);
	case 13:
		return send_state(VD_VU_GET_VRING_BASE, index, 0);
	case 14:
		return send_state(VD_VU_SET_VRING_ENDIAN, index, next_byte(&program) & 1);
	case 15:
		return send_state(VD_VU_VRING_KICK, index, 0);
	case 16:
		return send_config(VD_VU_GET_CONFIG);
	case 17:
		return send_config(VD_VU_SET_CONFIG);
	case 18:
		return ask_for_inflight();
	case 19:
		return give_inflight();
	case 20:
		return give_backend_req();
	default:
		return send_plain();
	}
}

enum {
	WITH_PROTOCOL = 1,
	WITH_REQUESTS = 2,
	NEW_RECORD = 4,
	OLD_RECORD = 8,
	WITH_STATUS = 16,
	NO_CALLS = 32,
};

static void start_queue(unsigned index, uint8_t how)
{
	send_num(index);
	send_base(index);
	send_addr(index);
	if (!(how & NO_CALLS))
		send_bell(VD_VU_SET_VRING_CALL, index);
	send_bell(VD_VU_SET_VRING_KICK, index);
	send_state(VD_VU_SET_VRING_ENABLE, index, 1);
	poll_backend();
}

/* All it takes, so that what follows meets queues that run. */
static void introduce(uint8_t how)
{
	dial();
	if (how & WITH_PROTOCOL)
		send_protocol_features();
	send_features();
	if (how & WITH_REQUESTS)
		give_backend_req();
	send_table();
	poll_backend();
	if (how & NEW_RECORD)
		ask_for_inflight();
	else if (how & OLD_RECORD)
		give_inflight();
	for (unsigned i = 0; i < QUEUES; i++)
		start_queue(i, how);
	if (how & WITH_STATUS)
		send_status();
}

static void do_introduction(void)
{
	introduce(next_byte(&program));
}

/* As after a crash of the back end, which for the record it is. */
static void do_restart(void)
{
	hang_up();
	again = true;
	introduce(WITH_PROTOCOL | OLD_RECORD);
	again = false;
}

/* ---- messages that are none ---- */

static void do_message(void)
{
	unsigned char bytes[600] = {0};
	struct vd_vu_header header = {.request = next_byte(&program) % 48u,
				      .flags = (uint32_t)near(VD_VU_VERSION),
				      .size = (uint32_t)near(next_byte(&program) % 80u)};
	size_t len = header.size < 512 ? header.size : 512;
	int fds[FE_FDS_MAX];
	unsigned n_fds = next_byte(&program);

	n_fds = n_fds < 0xa0 ? 0 : n_fds % FE_FDS_MAX;
	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = take_file((enum file)next_below(&program, N_FILES));
	memcpy(bytes, &header, sizeof(header));
	for (size_t i = 0; i < len; i++)
		bytes[sizeof(header) + i] = next_byte(&program);
	send_bytes(bytes, sizeof(header) + len, fds, n_fds);
}

static void do_bytes(void)
{
	unsigned char bytes[64];
	size_t len = 1 + next_byte(&program) % sizeof(bytes);

	for (size_t i = 0; i < len; i++)
		bytes[i] = next_byte(&program);
	send_bytes(bytes, len, NULL, 0);
}

/* ---- the driver ---- */

static uint16_t avail[QUEUES]; /* how far it has come: an index, or slot and wrap counter */

static uint64_t next_address(void)
{
	return near(FE_GUEST + BUFFERS + next_byte(&program) * 64u);
}

struct buffer {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
	uint16_t id;
};

static void add_split(unsigned queue, const struct buffer *desc)
{
	uint16_t slot = desc->id % ring_size;
	uint16_t at = avail[queue]++;
	uint64_t base = (uint64_t)queue * RING_BYTES;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
		uint16_t next;
	} raw = {desc->addr, desc->len, desc->flags, desc->next};

	put(F_MAIN, base + slot * 16u, &raw, sizeof(raw));
	put(F_MAIN, base + 0x404 + at % ring_size * 2u, &slot, 2);
	put(F_MAIN, base + 0x402, &avail[queue], 2);
}

static void add_packed(unsigned queue, const struct buffer *desc)
{
	uint16_t at = avail[queue] % ring_size;
	bool wrap = avail[queue] / ring_size % 2 == 0;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t id;
		uint16_t flags;
	} raw = {desc->addr, desc->len, desc->id, desc->flags};

	raw.flags |= wrap ? VD_DESC_AVAIL : VD_DESC_USED;
	put(F_MAIN, (uint64_t)queue * RING_BYTES + at * 16u, &raw, sizeof(raw));
	avail[queue]++;
}

static void do_buffer(void)
{
	static const uint8_t flags[] = {0, VD_DESC_WRITE, VD_DESC_NEXT, VD_DESC_INDIRECT};
	uint8_t byte = next_byte(&program);
	unsigned queue = byte & 1;
	struct buffer desc = {.addr = next_address(),
			      .len = (uint32_t)near(byte & 2 ? 512 : 8),
			      .flags = flags[(byte >> 2) % 4],
			      .next = next_below(&program, QUEUE_MAX),
			      .id = next_below(&program, QUEUE_MAX)};

	if (packed)
		add_packed(queue, &desc);
	else
		add_split(queue, &desc);
}

static void do_poke(void)
{
	uint8_t where = next_byte(&program);
	enum file file = where & 1 ? F_INFLIGHT : F_MAIN;
	uint16_t offset = next_u16(&program);
	uint64_t value = near(next_byte(&program));

	offset %= file == F_MAIN ? BUFFERS + 0x1000 : 0x800;
	put(file, offset, &value, 1u << (where >> 1) % 4);
}

static void put16(uint64_t at, uint64_t value)
{
	uint16_t small = (uint16_t)near(value);

	put(F_INFLIGHT, at, &small, sizeof(small));
}

static void record_entry(uint64_t at, unsigned n)
{
	uint8_t how = next_byte(&program);
	unsigned length = 1 + how / 2 % 3u;

	put16(at, how & 1);
	put16(at + (packed ? 2 : 6), n + 1);
	if (!packed)
		return;
	put16(at + 4, n + length - 1);
	put16(at + 6, length);
}

/* What a predecessor might have left. */
static void do_record(void)
{
	uint64_t at = next_queue() * vd_vu_inflight_region_size(inflight.queue_size);

	put16(at + 8, VD_VU_INFLIGHT_V1);
	put16(at + 10, ring_size);
	for (unsigned i = 0; i < 5; i++)
		put16(at + 12 + 2 * i, next_below(&program, 6));
	for (unsigned i = 0; i < ring_size; i++)
		record_entry(packed ? at + 32 + 32 * i : at + 16 + 16 * i, i);
}

static void do_kick(void)
{
	static const enum file bells[] = {F_EVENT, F_SOCKET, F_DATAGRAM, F_PIPE_OUT};
	enum file bell = bells[next_below(&program, 4)];
	int fd = files[bell][1] >= 0 ? files[bell][1] : files[bell][0];
	uint64_t one = near(1);

	used[bell] = true;
	(void)!write(fd, &one, sizeof(one));
}

static void do_cut(void)
{
	static const uint32_t lengths[] = {0, 0x1000, 0x4000, 0x4800};
	uint8_t byte = next_byte(&program);
	enum file file = (enum file)(byte % N_MEMORIES);

	cut(file, byte & 0x80 ? lengths[byte / 8 % 4] : memory_bytes[file]);
}

/* The other end of a bell is read, which makes room in it. */
static void do_answer(void)
{
	static const enum file bells[] = {F_SOCKET, F_DATAGRAM, F_PIPE_IN, F_EVENT};
	enum file bell = bells[next_below(&program, 4)];
	char bytes[512];

	(void)!read(files[bell][bell != F_EVENT], bytes, sizeof(bytes));
}

/* Nothing fits into it any more. */
static void do_stuff(void)
{
	static const char bytes[64];

	used[F_SOCKET] = true;
	while (write(files[F_SOCKET][0], bytes, sizeof(bytes)) > 0)
		;
}

/* The other end of a bell closes. */
static void do_lost_bell(void)
{
	static const enum file bells[] = {F_SOCKET, F_DATAGRAM, F_PIPE_OUT, F_PIPE_IN};

	remake_file(bells[next_below(&program, 4)]);
}

static void do_connection(void)
{
	uint8_t how = next_byte(&program);

	if (how < 0x40)
		hang_up();
	else if (how < 0x50)
		vd_vu_backend_disconnect(backend);
	else if (how < 0x60)
		(void)vd_vu_backend_await(backend, next_queue(), 0);
	dial();
}

static void do_work(void)
{
	uint8_t how = next_byte(&program);

	if (backend == backends[HOLDER] && how % 8 == 7)
		(void)worker_unpop(&workers[HOLDER]);
	else if (backend == backends[HOLDER])
		worker_complete(&workers[HOLDER], how % 4u);
	poll_backend();
}

static void do_one(void)
{
	static void (*const operations[])(void) = {
		do_introduction, do_request,    do_request,   do_request, do_message, do_bytes,
		do_buffer,       do_buffer,     do_buffer,    do_poke,    do_kick,    do_kick,
		do_cut,          do_connection, do_lost_bell, do_work,    do_work,    do_answer,
		do_stuff,        do_restart,    do_record,
	};
	uint8_t byte = next_byte(&program);

	operations[byte % (sizeof(operations) / sizeof(operations[0]))]();
	if (!(byte & 0x80) && vd_vu_backend_is_connected(backend))
		poll_backend();
}

/* ---- afterwards ---- */

static struct fe fe;

static void pump(void *arg)
{
	(void)arg;
	(void)vd_vu_backend_poll(backend);
}

static void greet(void)
{
	fe.taken = 0;
	MUST(vd_vu_backend_connect(backend, fe_connect_pair(&fe)) == 0);
	MUST(fe_negotiate(&fe, V1, 0) == 0);
	MUST(fe.features == V1);
	MUST(fe_share(&fe) == 0);
}

static void be_served_by_worker(void)
{
	uint32_t *question;
	struct vd_used answer;

	MUST(fe_queue_make(&fe, 0, 8) == 0 && fe_queue_start(&fe, 0) == 0);
	question = fe_alloc(&fe, 8, 8);
	/* One that holds two answers the third. */
	for (unsigned i = 0; i < 3; i++)
		MUST(fe_add(&fe, 0, question, 4, question + 1, 4, question) == 0);
	MUST(fe_kick(&fe, 0) == 0);
	for (unsigned i = 0; i < 20 && vd_vu_backend_poll(backend) == 0; i++)
		if (vd_vq_drv_get(&fe.queues[0].vq, &answer) == 1)
			break;
	MUST(question[1] == worker_answer(0));
}

static void be_served_by_remote(void)
{
	struct fe_rpmsg rpmsg;
	struct fe_rpmsg_msg msg;

	MUST(fe_rpmsg_make(&rpmsg, &fe, 4) == 0);
	MUST(fe_queue_start(&fe, 0) == 0 && fe_queue_start(&fe, 1) == 0);
	MUST(fe_rpmsg_send(&rpmsg, 1024, 7, "hello", 5) == 0 && fe_kick(&fe, 1) == 0);
	for (unsigned i = 0; i < 20 && vd_vu_backend_poll(backend) == 0; i++)
		if (fe_rpmsg_receive(&rpmsg, &msg) == 1)
			break;
	MUST(msg.src == 7 && msg.len == 5);
	fe_rpmsg_free(&rpmsg);
}

static void end_connection(void)
{
	hang_up();
	for (unsigned i = 0; i < 2000 && vd_vu_backend_is_connected(backend); i++)
		(void)vd_vu_backend_poll(backend);
	MUST(!vd_vu_backend_is_connected(backend));
	MUST(vd_device_status(backend->dev) == 0);
	MUST(backend->memory.count == 0 && backend->inflight.base == NULL);
}

static void be_served(void)
{
	greet();
	if (backend == backends[REMOTE])
		be_served_by_remote();
	else
		be_served_by_worker();
	fe_disconnect(&fe);
	end_connection();
}

/* ---- what is left behind ---- */

static unsigned count_fds(void)
{
	static DIR *dir;
	unsigned n = 0;

	if (dir == NULL)
		dir = opendir("/proc/self/fd");
	MUST(dir != NULL);
	rewinddir(dir);
	while (readdir(dir) != NULL)
		n++;
	return n;
}

static unsigned count_shared_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	char rights[8];
	unsigned n = 0;

	MUST(maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%*s %7s", rights) == 1 && rights[3] == 's')
			n++;
	(void)fclose(maps);
	return n;
}

static void count_maps_sometimes(void)
{
	static unsigned inputs;
	static unsigned maps;

	if (inputs++ % INPUTS_PER_CENSUS != 0)
		return;
	if (maps == 0)
		maps = count_shared_maps();
	MUST(count_shared_maps() == maps);
}

/* As if nobody had been here before. */
static void restore(void)
{
	for (unsigned i = 0; i < N_FILES; i++)
		if (used[i])
			remake_file((enum file)i);
	inflight = (struct vd_vu_inflight_desc){
		.mmap_size = 0x2000, .num_queues = QUEUES, .queue_size = QUEUE_MAX};
	memset(avail, 0, sizeof(avail));
	ring_size = 4;
	features = V1 | VD_BIT(VD_VU_FEATURE_PROTOCOL);
	packed = false;
	workers[HOLDER].random = 0;
}

static void set_up(void)
{
	MUST(vd_guard_install() == 0);
	make_backends();
	for (unsigned i = 0; i < N_FILES; i++)
		make_file((enum file)i);
	MUST(fe_open(&fe, 0x4000) == 0);
	fe.pump = pump;
	for (unsigned i = 0; i < N_DEVICES; i++) {
		backend = backends[i];
		be_served();
	}
	(void)count_fds();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned fds;

	if (backend == NULL)
		set_up();
	restore();
	/* The fuzzer opens some of its own between two inputs. */
	fds = count_fds();
	program = (struct program){data, size};
	backend = backends[next_below(&program, N_DEVICES)];
	dial();
	while (program.left > 0)
		do_one();
	end_connection();
	be_served();
	MUST(count_fds() == fds);
	count_maps_sometimes();
	return 0;
}
