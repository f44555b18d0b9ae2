/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user front end for tests: the driver's side of the socket, and the memory and queues
 * behind it. Everything can be done well, step by step, or wrongly; nothing here checks what the
 * back end should.
 *
 *     fe_open(&fe, 1 << 20);
 *     vd_vu_backend_connect(backend, fe_connect_pair(&fe));
 *     fe_negotiate(&fe, features, protocol_features);
 *     fe_share(&fe);
 *     fe_queue_make(&fe, 0, 16);
 *     fe_queue_start(&fe, 0);
 *     fe_add(&fe, 0, ...); fe_kick(&fe, 0);
 *
 * Memory, rings and the in-flight region belong to the front end and outlive the connection: after
 * fe_disconnect() and fe_connect_pair() the same steps, but for fe_queue_make(), go on where the
 * back end left off.
 *
 * Calls that can fail return 0 or a negative errno. The header is independent of any test
 * framework.
 */
#ifndef FRONT_END_H
#define FRONT_END_H

#include "transport/vhost_user/wire.h"
#include "viaduct/vhost_user.h"
#include "viaduct/vq_drv.h"

#define FE_QUEUES_MAX  64
#define FE_REGIONS_MAX 66
#define FE_FDS_MAX     16

/* Where regions are, for the device (guest addresses) and in messages (user addresses): far from
 * each other and from where they are mapped, so that one taken for the other leads nowhere. */
#define FE_GUEST UINT64_C(0x40000000)
#define FE_USER  UINT64_C(0x100000000000)
#define FE_STEP  UINT64_C(0x10000000) /* from one region to the next */

/* What the two sides signal each other with. */
enum fe_bell {
	FE_EVENTFD,
	FE_SOCKET,
	FE_PIPE,
	FE_NONE, /* NO_FD in the message */
};

struct fe_region {
	struct vd_vu_region_desc desc;
	int fd;
	unsigned char *local;
};

/* Two descriptors of one bell: ours, and the one that is sent. */
struct fe_wire {
	int ours;
	int theirs;
};

struct fe_queue {
	uint16_t size;
	struct vd_vq_drv vq;
	struct vd_ring_mem ring;
	void *state;
	size_t state_size;
	uint32_t base; /* what fe_queue_start() says in SET_VRING_BASE */
	enum fe_bell bell;
	struct fe_wire kick;
	struct fe_wire call;
	struct fe_wire err;
};

struct fe {
	int sock;
	/* What is to be done while waiting for an answer: polling a back end in this process. */
	void (*pump)(void *arg);
	void *pump_arg;
	int timeout_ms;

	uint64_t offered; /* by the back end */
	uint64_t features;
	uint64_t protocol_features;
	bool need_reply; /* ask for acknowledgements */

	struct fe_region regions[FE_REGIONS_MAX];
	unsigned n_regions;
	struct vd_mem mem; /* what the device can see, by guest address */
	struct vd_window windows[FE_REGIONS_MAX];
	size_t taken; /* bytes of region 0 */

	struct fe_queue queues[FE_QUEUES_MAX];

	struct fe_wire back; /* the back end's own requests */
	int inflight_fd;
	struct vd_vu_inflight_desc inflight;
};

struct fe_message {
	struct vd_vu_header header;
	unsigned char payload[VD_VU_PAYLOAD_MAX];
	int fds[FE_FDS_MAX]; /* the receiver's to close */
	unsigned n_fds;
};

/* ---- life ---- */

/* Make a front end with one region of @size bytes. */
int fe_open(struct fe *fe, size_t size);
void fe_close(struct fe *fe);

/* Connect to whoever gets the returned socket. */
int fe_connect_pair(struct fe *fe);
int fe_connect_path(struct fe *fe, const char *path);
void fe_disconnect(struct fe *fe);

/* ---- messages ---- */

/* Any bytes with any descriptors, at once. */
int fe_send_bytes(struct fe *fe, const void *bytes, size_t len, const int *fds, unsigned n_fds);

/* A whole message. NEED_REPLY is not added. */
int fe_send(struct fe *fe, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	    const int *fds, unsigned n_fds);

/* The next message of the back end: an answer, or on @sock = fe->back.ours a request of its own.
 * -ETIMEDOUT, -ECONNRESET. */
int fe_receive(struct fe *fe, int sock, struct fe_message *message);

/* Send a request well formed, and wait for the acknowledgement if those are on. -EREMOTEIO: the
 * back end says no. */
int fe_request(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	       unsigned n_fds);

/* Send a request that has an answer of its own, of @answer_size bytes. -EBADMSG: it is none. */
int fe_query(struct fe *fe, uint32_t request, const void *payload, uint32_t size, void *answer,
	     uint32_t answer_size);

int fe_set_u64(struct fe *fe, uint32_t request, uint64_t value);
int fe_get_u64(struct fe *fe, uint32_t request, uint64_t *value);
int fe_set_state(struct fe *fe, uint32_t request, uint32_t index, uint32_t num);

/* Owner, features, protocol features, and the channel for the back end's requests. What is not
 * offered is left out. */
int fe_negotiate(struct fe *fe, uint64_t features, uint64_t protocol_features);

/* ---- memory ---- */

/* A new region, shared with nobody yet. Its number. */
int fe_region_make(struct fe *fe, size_t size);

/* Zeroed bytes of region 0, or NULL. */
void *fe_alloc(struct fe *fe, size_t size, size_t align);

/* The addresses of what is at @local. */
uint64_t fe_guest(const struct fe *fe, const void *local);
uint64_t fe_user(const struct fe *fe, const void *local);

/* SET_MEM_TABLE with the first @n regions; ADD_MEM_REG and REM_MEM_REG with one. */
int fe_share_some(struct fe *fe, unsigned n);
int fe_share(struct fe *fe);
int fe_region_add(struct fe *fe, unsigned region);
int fe_region_remove(struct fe *fe, unsigned region);

/* ---- in-flight region ---- */

/* Have one made for the first @n queues of @size entries, or give back the one we have. */
int fe_inflight_get(struct fe *fe, uint16_t n, uint16_t size);
int fe_inflight_set(struct fe *fe);

/* ---- queues ---- */

/* A queue of the negotiated layout, in memory of region 0; made again, it is new and empty. */
int fe_queue_make(struct fe *fe, unsigned index, uint16_t size);

/* What the messages that start a queue carry. */
struct vd_vu_addr fe_queue_addr(const struct fe *fe, unsigned index);

/* NUM, BASE, ADDR, the three bells, ENABLE. */
int fe_queue_start(struct fe *fe, unsigned index);

/* GET_VRING_BASE; remembered for the next start. */
int fe_queue_stop(struct fe *fe, unsigned index);

/* One of SET_VRING_KICK, _CALL, _ERR with @fd (-1: NO_FD). */
int fe_set_bell(struct fe *fe, uint32_t request, unsigned index, int fd);

/* New descriptors for the bells of a queue, the old ones closed. */
int fe_bells_make(struct fe *fe, unsigned index, enum fe_bell bell);

int fe_bell_make(struct fe_wire *wire, enum fe_bell bell);
void fe_bell_close(struct fe_wire *wire);

/* Add a buffer of one readable and one writable segment (either may be empty). */
int fe_add(struct fe *fe, unsigned index, void *out, size_t out_len, void *in, size_t in_len,
	   void *token);

/* Publish, and notify whether the device wants it or not. */
int fe_kick(struct fe *fe, unsigned index);

/* Has the device signalled? The signals are taken. */
bool fe_called(struct fe *fe, unsigned index);
bool fe_bell_rang(int fd);

#endif /* FRONT_END_H */
