/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpmsg: messages between endpoints on two processors, and channels announced by name.
 *
 * A *link* is one rpmsg device with its two queues. An *endpoint* is a local address with a
 * callback; messages carry a source and a destination address. A *channel* is a named service: one
 * side announces a name and an address, the other one then knows whom to talk to. Everything on the
 * wire is as Linux has it (drivers/rpmsg/virtio_rpmsg_bus.c, rpmsg_ns.c); VIRTIO only reserves the
 * id.
 *
 * This header is the same for both roles. A link of the *remote* role (the device; usually the
 * small core) is set up with viaduct/rpmsg_remote.h, one of the *host* role (the driver; usually
 * Linux' side) with viaduct/rpmsg_host.h.
 *
 * Memory: the caller's. Context: nothing blocks, except vd_rpmsg_send() and its kind, which wait as
 * the link's owner says. All calls for one link must come from one thread or interrupt level at a
 * time. Callbacks come from vd_rpmsg_poll(), and may call anything here, destroying their own
 * endpoint included.
 */
#ifndef VIADUCT_RPMSG_H
#define VIADUCT_RPMSG_H

#include "viaduct/fault.h"
#include "viaduct/iov.h"
#include "viaduct/virtio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Feature bits of the device type: Linux' virtio_rpmsg_bus.c, and NuttX' and OpenAMP's downstream.
 */
enum vd_rpmsg_feature {
	VD_RPMSG_F_NS = 0, /* channels are announced */
	VD_RPMSG_F_BUFSZ =
		2, /* buffer sizes stand in configuration space; without it they are 512 */
};

enum {
	VD_RPMSG_NAME_SIZE = 32, /* bytes of a name, the final NUL included */
	VD_RPMSG_HEADER_SIZE = 16,
	VD_RPMSG_BUFFER_SIZE = 512,    /* Linux: MAX_RPMSG_BUF_SIZE */
	VD_RPMSG_NS_ADDR = 53,         /* the name service listens here */
	VD_RPMSG_FIRST_DYNAMIC = 1024, /* addresses below are for services that chose theirs */
};

#define VD_RPMSG_ADDR_ANY 0xffffffffu

/* The queues, from the driver's point of view as everywhere (Linux: "input", "output"). */
enum {
	VD_RPMSG_QUEUE_RX = 0, /* the host receives: the remote sends */
	VD_RPMSG_QUEUE_TX = 1, /* the host sends: the remote receives */
	VD_RPMSG_N_QUEUES = 2,
};

/* The type of device: features and configuration space, for both roles and for whoever prints it.
 */
extern const struct vd_device_type vd_rpmsg_type;

struct vd_rpmsg;
struct vd_rpmsg_ept;

/* A received message. Valid during the callback, or until released if it is held. */
struct vd_rpmsg_msg {
	struct vd_rpmsg *link;
	const void *data;
	uint32_t len;
	uint32_t src;
	uint32_t dst;
	bool in_place;   /* it lies where it arrived, and can be held; otherwise data is a copy */
	uint32_t buffer; /* private */
	uint32_t epoch;  /* private */
};

/* What a callback answers: whether the message's buffer goes back to the peer, or is held. */
enum vd_rpmsg_verdict {
	VD_RPMSG_RELEASE,
	VD_RPMSG_HOLD, /* copy *msg and give it back with vd_rpmsg_release(); only if msg->in_place
			*/
};

typedef enum vd_rpmsg_verdict vd_rpmsg_callback(struct vd_rpmsg_ept *ept,
						const struct vd_rpmsg_msg *msg);

/* Flags of an endpoint. */
enum vd_rpmsg_ept_flags {
	/*
	 * Messages are read where they arrived, in memory the peer can still write: no copy, and
	 * only such messages can be held. Without it the callback gets a private copy, whose
	 * content stays what was checked.
	 */
	VD_RPMSG_IN_PLACE = 1,
};

/* An endpoint. The caller's memory, from create to destroy; set to zero before. */
struct vd_rpmsg_ept {
	struct vd_rpmsg *link; /* NULL while it does not exist */
	vd_rpmsg_callback *callback;
	const char *name; /* announced as a channel, or NULL; lives as long as the endpoint */
	uint32_t addr;    /* local address */
	uint32_t
		dst; /* where vd_rpmsg_send() sends to, or VD_RPMSG_ADDR_ANY; may be set any time */
	uint8_t flags;

	uint8_t due;                    /* private: the announcement the peer has not got yet */
	struct vd_rpmsg_ept *next;      /* private: of those in the same bucket */
	struct vd_rpmsg_ept *next_name; /* private: of those with a name */
};

/* A channel the peer announced. */
struct vd_rpmsg_channel {
	char name[VD_RPMSG_NAME_SIZE]; /* empty: this place is free */
	uint32_t addr;                 /* the peer's address */
};

/* What happens on a link, for its owner. All optional. */
struct vd_rpmsg_events {
	/* The peer is there, or gone. Endpoints stay; messages held are void when this returns. */
	void (*link_changed)(struct vd_rpmsg *link, bool up);
	/*
	 * The link is about to be suspended, or the memory it lives in to be mapped elsewhere.
	 * Messages held and buffers composed in are void when this returns: copy what is needed.
	 */
	void (*pausing)(struct vd_rpmsg *link);
	/* The peer announced a channel, or took it back. */
	void (*channel)(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel,
			bool created);
	/* Buffers are available again after a try-call failed for want of one, or of a place to
	 * compose in. May come from inside commit and abort. */
	void (*writable)(struct vd_rpmsg *link);
	/* The peer broke a rule, or sent what nobody wants (RPMSG_NO_ENDPOINT). */
	void (*fault)(struct vd_rpmsg *link, const struct vd_fault *fault);
	/*
	 * Wait until the peer may have returned a buffer, at most @ms milliseconds; for the sending
	 * calls that wait. 0, or an error for them to return. Without it they never wait.
	 */
	int (*wait)(struct vd_rpmsg *link, uint32_t ms);
	/* Monotonic milliseconds, with wait. */
	uint64_t (*now)(struct vd_rpmsg *link);
};

struct vd_rpmsg_stats {
	uint64_t rx_messages;
	uint64_t rx_bytes; /* payload */
	uint64_t tx_messages;
	uint64_t tx_bytes;
	uint64_t rx_dropped; /* for addresses where nobody listens, or malformed */
	uint64_t tx_waits;   /* sending found no buffer */
};

/* How a link is set up, whatever its role; the role's config contains one. */
struct vd_rpmsg_config {
	const struct vd_rpmsg_events *events; /* or NULL */
	/* About how many endpoints there will be. More are fine; look-up is tuned to this. */
	uint32_t n_endpoints;
	/* Channels the peer may announce at a time; more are refused. */
	uint32_t n_channels;
	/* The longest payload to be received where messages are copied (without VD_RPMSG_IN_PLACE).
	 * 0: VD_RPMSG_BUFFER_SIZE - VD_RPMSG_HEADER_SIZE. */
	uint32_t max_payload;
};

struct vd_rpmsg_role;

/* Private, but for stats and owner. */
struct vd_rpmsg {
	void *owner; /* the application's */
	struct vd_rpmsg_stats stats;

	const struct vd_rpmsg_role *role;
	const struct vd_rpmsg_events *events;
	struct vd_rpmsg_ept **buckets; /* endpoints by address */
	uint32_t n_buckets;            /* a power of two */
	uint32_t n_channels;
	struct vd_rpmsg_channel *channels;
	void *copy; /* private copy of the message being delivered */
	uint32_t copy_size;
	struct vd_rpmsg_ept *named;    /* those with a name, dying ones included */
	struct vd_rpmsg_ept *next_due; /* where sending announcements goes on */
	uint32_t n_epts;
	uint32_t n_due;     /* announcements that could not be sent yet */
	uint32_t next_addr; /* where the search for a free dynamic address begins */
	uint32_t tx_size;   /* size of the buffers we send in, as far as is known */
	uint32_t epoch;     /* counts the link's lives: what was held in an older one is void */
	bool up;
	bool ns;         /* VD_RPMSG_F_NS was negotiated */
	bool big_endian; /* byte order of headers: a legacy driver's */
	bool starved;    /* a sender found no buffer: tell it when there is one */
	bool paused;     /* suspended: the peer is there, but may not be spoken to */
	bool polling;    /* inside vd_rpmsg_poll() */
	uint8_t corked;  /* depth: flushing waits for the end of poll, or for uncork */
	struct vd_rpmsg_ept ns_ept;
};

/* ---- endpoints ---- */

/*
 * Create @ept: listen at @addr (VD_RPMSG_ADDR_ANY: the next free dynamic one). @dst: the peer's
 * address if it is known, or VD_RPMSG_ADDR_ANY. With a @name it is announced as a channel, now or
 * as soon as the link is up, and again whenever the peer comes back. -VD_EINVAL: no callback, a
 * name that is empty or too long, or an endpoint that exists. -VD_EADDRINUSE: somebody listens
 * there. -VD_ENOSPC: all dynamic addresses are taken.
 */
int vd_rpmsg_create_ept(struct vd_rpmsg *link, struct vd_rpmsg_ept *ept, const char *name,
			uint32_t addr, uint32_t dst, vd_rpmsg_callback *callback, unsigned flags);

/*
 * Destroy it; a channel is taken back. No callback comes after this. 0, also if it does not exist.
 * -VD_EAGAIN: the peer can't be told now for want of a buffer; vd_rpmsg_poll() will do it, and the
 * memory is in use until then, that is until ept->link is NULL.
 */
int vd_rpmsg_destroy_ept(struct vd_rpmsg_ept *ept);

/* The endpoint at @addr, or NULL. The time does not depend on how many there are. */
struct vd_rpmsg_ept *vd_rpmsg_find_ept(struct vd_rpmsg *link, uint32_t addr);

/* The channel that the peer announced as @name, or NULL. */
const struct vd_rpmsg_channel *vd_rpmsg_find_channel(struct vd_rpmsg *link, const char *name);

/* ---- receiving ---- */

/*
 * Receive up to @budget messages and hand them to their endpoints, then publish all that was sent
 * and released meanwhile, with at most one notification for each queue. Returns how many messages
 * there were. -VD_EPIPE: the link is down or suspended. -VD_EPROTO: the peer broke its queue.
 * -VD_EBUSY: called from a callback of itself.
 */
int vd_rpmsg_poll(struct vd_rpmsg *link, unsigned budget);

/*
 * Give a held message back. 0; or 1: all places for held messages had been taken, which stopped
 * reception, and messages may be waiting: poll again, or if notifications drive the link, act as if
 * one had come (vd_device_kick()). -VD_ESTALE: the peer is gone since, and the buffer with it.
 * -VD_EINVAL: it is not held.
 */
int vd_rpmsg_release(const struct vd_rpmsg_msg *msg);

/* ---- sending ---- */

/* The longest payload a message can have, as far as is known now. */
uint32_t vd_rpmsg_max_payload(const struct vd_rpmsg *link);

/*
 * Send @len bytes: from the endpoint to its dst; to @dst; or from @src to @dst, whoever listens
 * there (Linux: rpmsg_send, rpmsg_sendto, rpmsg_send_offchannel and their try variants).
 *
 * The try variants return -VD_ENOMEM at once if there is no buffer; vd_rpmsg_events.writable
 * follows when there is one. The others wait for one up to 15 s, as Linux does, and then return
 * -VD_ETIMEDOUT. They can't be called from an interrupt.
 *
 * -VD_EMSGSIZE: longer than a buffer. -VD_EINVAL: src or dst is VD_RPMSG_ADDR_ANY, to which nobody
 * can speak, or the endpoint does not exist. -VD_EPIPE: the link is down or suspended.
 */
int vd_rpmsg_send(struct vd_rpmsg_ept *ept, const void *data, uint32_t len);
int vd_rpmsg_sendto(struct vd_rpmsg_ept *ept, const void *data, uint32_t len, uint32_t dst);
int vd_rpmsg_send_offchannel(struct vd_rpmsg_ept *ept, uint32_t src, uint32_t dst, const void *data,
			     uint32_t len);
int vd_rpmsg_trysend(struct vd_rpmsg_ept *ept, const void *data, uint32_t len);
int vd_rpmsg_trysendto(struct vd_rpmsg_ept *ept, const void *data, uint32_t len, uint32_t dst);
int vd_rpmsg_trysend_offchannel(struct vd_rpmsg_ept *ept, uint32_t src, uint32_t dst,
				const void *data, uint32_t len);

/* A message being composed where the peer will read it. */
struct vd_rpmsg_tx {
	void *data;            /* write the payload here */
	uint32_t capacity;     /* this many bytes at most */
	struct vd_rpmsg *link; /* private */
	uint32_t buffer;       /* private */
	uint32_t epoch;        /* private */
};

/*
 * Obtain a buffer to compose a message in. -VD_ENOMEM: there is none, or no place for it;
 * writable() follows. -VD_EPIPE: the link is down. -VD_EOPNOTSUPP: the peer's buffer is in pieces;
 * use a copying call.
 *
 * A peer that negotiated IN_ORDER sees messages in the order in which they were begun: until it is
 * committed or aborted, this one holds up all that are sent after it.
 */
int vd_rpmsg_tx_begin(struct vd_rpmsg *link, struct vd_rpmsg_tx *tx);

/* Send it. Errors as above, and -VD_ESTALE: the peer is gone since, or it was committed or aborted
 * before. On an error it still is to be committed or aborted, except after -VD_ESTALE. */
int vd_rpmsg_tx_commit(struct vd_rpmsg_tx *tx, uint32_t src, uint32_t dst, uint32_t len);

/* Change your mind. The buffer is used for the next message. */
void vd_rpmsg_tx_abort(struct vd_rpmsg_tx *tx);

/* Publish what was sent between vd_rpmsg_cork() and now, at once. Corking makes a burst of messages
 * cost one publication and one notification; poll does it for what callbacks send. */
void vd_rpmsg_cork(struct vd_rpmsg *link);
void vd_rpmsg_uncork(struct vd_rpmsg *link);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_RPMSG_H */
