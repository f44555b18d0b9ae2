/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A remote in front of the hand-written host, with a log of what its owner is told: "up", "down",
 * "pausing", "+name@addr" and "-name@addr" (channels), "writable", "!FAULT", and "msg:addr" for
 * each message an endpoint gets.
 */
#ifndef HOST_RIG_H
#define HOST_RIG_H

#include "host.h"

struct host_rig;

/* An endpoint that keeps what it gets. */
struct rig_ept {
	struct vd_rpmsg_ept ept; /* first */
	struct host_rig *rig;
	enum vd_rpmsg_verdict verdict; /* its answer */
	unsigned n;                    /* messages it got */
	struct vd_rpmsg_msg msg;       /* the last one, ... */
	unsigned char data[2048];      /* ... and its bytes */
	/* Called from the callback, before it answers. */
	void (*on_message)(struct rig_ept *self, const struct vd_rpmsg_msg *msg);
};

#define RIG_HELD 64

struct host_rig {
	struct vd_rpmsg_remote remote;
	struct vd_rpmsg_remote_config config;
	struct vd_rpmsg_events events;
	struct pages memory; /* exactly as much as is asked for */
	struct host_options options;
	struct host host;

	char log[8192];
	/* Called for each word of it. */
	void (*hook)(struct host_rig *rig, const char *word);

	struct vd_rpmsg_msg held[RIG_HELD]; /* messages that endpoints held, oldest first */
	unsigned n_held;

	uint64_t now; /* fake milliseconds */
	unsigned n_waits;
	int wait_err;
	/* What goes on while a sender waits. Without it time passes. */
	void (*on_wait)(struct host_rig *rig, uint32_t ms);
};

/* Fill in what host_rig_open() takes. */
void host_rig_init(struct host_rig *rig);

/* Make the remote; nothing is in front of it yet. */
void host_rig_make(struct host_rig *rig);

/* And put the host there. */
void host_rig_join(struct host_rig *rig);

/* All three. */
void host_rig_open(struct host_rig *rig);
void host_rig_close(struct host_rig *rig);

/* The log since the last time must be exactly this. */
void host_rig_expect(struct host_rig *rig, const char *words);

/* Create @ept, which is zeroed before. */
int rig_ept_create(struct host_rig *rig, struct rig_ept *ept, const char *name, uint32_t addr,
		   unsigned flags);

/* The next thing the host gets is the announcement of @name at @addr, or its end. */
void host_rig_expect_announced(struct host_rig *rig, const char *name, uint32_t addr, bool created);

/* There is nothing more for the host. */
void host_rig_expect_silence(struct host_rig *rig);

/* Send @len bytes to the remote and run both sides. */
void host_rig_send(struct host_rig *rig, uint32_t src, uint32_t dst, const void *data,
		   uint16_t len);

/* When all that is held was given back, no queue misses a buffer. */
void host_rig_expect_all_back(struct host_rig *rig);

static inline struct vd_rpmsg *link_of(struct host_rig *rig)
{
	return &rig->remote.link;
}

#endif /* HOST_RIG_H */
